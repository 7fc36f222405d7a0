"""The other end of a machine's control channel as a script (docs/formats/guest-channel.md): what
perigee-init says, without a VM. The app: says its words, echoes signals, ends at SIGTERM with code
0 and at SIGINT with code 7. What it is can be saved and restored."""

import base64
import struct

HOST_MAGIC = bytes.fromhex('f59c1ed342b7086fa15de93077c48b12')
GUEST_MAGIC = bytes.fromhex('f62790bc5e13cd843af9610ed87542ab')
ATTACH, CONFIGURE, SIGNAL, SHUTDOWN, ACK, RESUMED = 1, 2, 3, 4, 5, 8
HELLO, STARTED, OUTPUT, EXITED = 0x81, 0x82, 0x83, 0x84
WAITING, RUNNING, ENDED = 0, 1, 2
APP_PID = 77
EXIT_CODES = {15: 0, 2: 7}
HEADER = struct.Struct('<IB')


def frame(kind, payload=b''):
    return HEADER.pack(len(payload), kind) + payload


class Guest:
    """Bytes in, bytes out. `over`: the machine ends now."""

    def __init__(self, saved=None):
        saved = saved or {}
        self.state = saved.get('state', WAITING)
        self.sequence = saved.get('sequence', 0)
        self.kept = [(number, base64.b64decode(data)) for number, data in saved.get('kept', [])]
        self.over = False
        self.connect()

    def saved(self):
        return {'state': self.state, 'sequence': self.sequence,
                'kept': [(number, base64.b64encode(data).decode()) for number, data in self.kept]}

    def connect(self):
        """A new connection: nothing of the last one counts."""
        self.buffer, self.attached = b'', False

    def feed(self, data):
        """What is answered."""
        self.buffer += data
        answer = b''
        while (message := self.take()) is not None:
            answer += self.handle(*message)
        return answer

    def take(self):
        if not self.attached:
            at = self.buffer.find(HOST_MAGIC)
            if at < 0 or len(self.buffer) < at + len(HOST_MAGIC) + 8:
                return None
            self.nonce = self.buffer[at + len(HOST_MAGIC):][:8]
            self.buffer = self.buffer[at + len(HOST_MAGIC) + 8:]
            self.attached = True
        if len(self.buffer) < HEADER.size:
            return None
        length, kind = HEADER.unpack_from(self.buffer)
        if len(self.buffer) < HEADER.size + length:
            return None
        payload = self.buffer[HEADER.size:HEADER.size + length]
        self.buffer = self.buffer[HEADER.size + length:]
        return kind, payload

    def handle(self, kind, payload):
        if kind == ATTACH:
            self.forget(struct.unpack_from('<HQ', payload)[1])
            pid = APP_PID if self.state == RUNNING else 0
            hello = frame(HELLO, struct.pack('<HBIQ', 1, self.state, pid, 0))
            return GUEST_MAGIC + self.nonce + hello + b''.join(data for _, data in self.kept)
        if kind == CONFIGURE and self.state == WAITING:
            self.state = RUNNING
            return frame(STARTED, struct.pack('<I', APP_PID)) + self.say('the app runs\n')
        if kind == SIGNAL and self.state == RUNNING:
            return self.signal(struct.unpack_from('<I', payload)[0])
        if kind == RESUMED:
            return self.say('the guest was resumed\n')
        if kind == ACK:
            self.forget(struct.unpack_from('<Q', payload)[0])
            self.over = self.state == ENDED and not self.kept
        return b''

    def signal(self, number):
        said = self.say(f'signal {number}\n')
        if number not in EXIT_CODES:
            return said
        self.state = ENDED
        return said + self.keep(EXITED, lambda sequence: struct.pack(
            '<QiIB', sequence, EXIT_CODES[number], 0, 0))

    def say(self, words):
        return self.keep(OUTPUT, lambda sequence: struct.pack('<BQ', 1, sequence) + words.encode())

    def keep(self, kind, payload):
        self.sequence += 1
        data = frame(kind, payload(self.sequence))
        self.kept.append((self.sequence, data))
        return data

    def forget(self, sequence):
        self.kept = [(number, data) for number, data in self.kept if number > sequence]
