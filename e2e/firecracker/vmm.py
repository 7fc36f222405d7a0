"""A program that listens on an API socket as Firecracker does: every call is checked against the
contract, and against what Firecracker looks at when it is made: the files of a drive, the tap, the
paths of sockets. It keeps the documented state machine, and has a scripted guest at the other end
of its vsock. It runs as the user and in the folder that the jailer has given it; paths are the
jail's. What it was asked, and what it found wrong, goes to its record, one JSON object a line.

One thread, one call at a time, as Firecracker's API server."""

import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time

from contract import REPORTING, Contract, Refused
from guest import Guest

GUEST_PORT = 1000
GUEST_BOOT_S = 0.2  # until the guest's driver is there; later, until init listens
MAX_COMMAND_LINE = 2048
MAX_DEVICES = 17
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 0x0002, 0x1000, 0x4000
EXIT_GENERIC, EXIT_ARGUMENTS = 1, 153


def here(path):
    """Where a path of the jail is, seen from its root, the working directory."""
    if not path.startswith('/') or '/../' in path:
        raise Refused(f'{path}: not an absolute path in the jail')
    return '.' + path


def opened(path, flags):
    try:
        return os.open(here(path), flags | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Refused(f'{path}: {error.strerror}') from error


def can_open(path, flags=os.O_RDONLY):
    os.close(opened(path, flags))


def attach_tap(name):
    tun = opened('/dev/net/tun', os.O_RDWR)
    try:
        fcntl.ioctl(tun, TUNSETIFF,
                    struct.pack('16sH22x', name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    except OSError as error:
        raise Refused(f'tap {name}: {error.strerror}') from error
    return tun


class Vsock:
    """The host's side of the vsock, and the guest behind it once that has booted."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        try:
            self.listener.bind(here(path))
        except OSError as error:
            raise Refused(f'{path}: {error.strerror}') from error
        self.listener.listen(4)
        self.host, self.guest, self.listens_from = None, None, None

    def boot(self, guest):
        self.guest, self.listens_from = guest, time.monotonic() + GUEST_BOOT_S

    def sockets(self):
        """Nothing is accepted before the guest's driver is there."""
        if self.guest is None or time.monotonic() < self.listens_from - GUEST_BOOT_S / 2:
            return []
        return [self.host or self.listener]

    def turn(self):
        if self.host is None:
            self.accept()
            return
        data = self.host.recv(65536)
        if not data:
            self.hang_up()
            return
        self.host.sendall(self.guest.feed(data))

    def accept(self):
        host = self.listener.accept()[0]
        host.settimeout(2)
        line = host.recv(32)
        if line != f'CONNECT {GUEST_PORT}\n'.encode() or time.monotonic() < self.listens_from:
            host.close()  # no such listener in the guest
            return
        host.sendall(b'OK 1073741824\n')
        self.host = host
        self.guest.connect()

    def hang_up(self):
        if self.host is not None:
            self.host.close()
            self.host = None


class Vmm:
    def __init__(self, name, version, record):
        self.name, self.version, self.record = name, version, record
        self.contract = Contract(version)
        self.state = 'Not started'
        self.settings = {}  # {"PUT /drives/{drive_id} disk0": body}: the guest's hardware
        self.reporting = {}
        self.taps, self.vsock, self.dies = [], None, None

    def note(self, **what):
        os.write(self.record, json.dumps(what).encode() + b'\n')

    # ---- calls ----

    def answer(self, method, path, text):
        """The status and body of a call."""
        try:
            body = None if not text else json.loads(text)
            if len(text) > self.contract.payload_limit:
                raise Refused('the body is too long')
            name, path_id = self.contract.check(method, path, body, self.state,
                                                bool(self.settings))
            self.note(call=name, body=body)
            return self.perform(name, path_id, body)
        except (Refused, ValueError) as error:
            self.note(refused=f'{method} {path}', why=str(error))
            return 400, {'fault_message': str(error)}

    def perform(self, name, path_id, body):
        if name == 'GET /version':
            return 200, {'firecracker_version': self.version}
        if name == 'GET /':
            return 200, {'app_name': 'Firecracker', 'id': self.name, 'state': self.state,
                         'vmm_version': self.version}
        if name.startswith('GET '):
            raise Refused(f'{name}: the contract server has no answer to it')
        if name == 'PUT /actions':
            self.act(body['action_type'])
        elif name == 'PATCH /vm':
            self.state = {'Paused': 'Paused', 'Resumed': 'Running'}[body['state']]
        elif name == 'PUT /snapshot/create':
            self.save(body)
        elif name == 'PUT /snapshot/load':
            self.load(body)
        elif name in REPORTING:
            self.report(name, body)
        else:
            self.configure(f'{name} {path_id}', name, body)
        return 204, None

    def configure(self, key, name, body):
        if name == 'PUT /boot-source':
            self.check_boot_source(body)
        elif name.startswith('PUT /drives/'):
            self.check_drive(body)
        elif name.startswith('PUT /network-interfaces/'):
            self.taps.append(attach_tap(body['host_dev_name']))
        elif name == 'PUT /vsock':
            self.vsock = Vsock(body['uds_path'])
        elif name == 'PUT /machine-config' and body['mem_size_mib'] < 1:
            raise Refused('the memory size is invalid')
        self.settings[key] = {'name': name, 'body': body}

    @staticmethod
    def check_boot_source(body):
        kernel = opened(body['kernel_image_path'], os.O_RDONLY)
        magic = os.read(kernel, 4)
        os.close(kernel)
        if magic != b'\x7fELF':
            raise Refused('the kernel is not an ELF file')
        if 'initrd_path' in body:
            can_open(body['initrd_path'])
        if len(body.get('boot_args', '')) > MAX_COMMAND_LINE:
            raise Refused('the command line is too long')

    @staticmethod
    def check_drive(body):
        if ('path_on_host' in body) == ('socket' in body):
            raise Refused('a drive has a path or a socket')
        can_open(body['path_on_host'], os.O_RDONLY if body.get('is_read_only') else os.O_RDWR)

    def report(self, name, body):
        for field in ('log_path', 'metrics_path', 'serial_out_path'):
            if field in body:
                self.reporting[field] = opened(body[field], os.O_WRONLY | os.O_CREAT)
        self.note(reporting=name)
        if name == 'PUT /metrics':
            self.flush_metrics()

    def flush_metrics(self):
        """What has been counted since the last line. Here a line is all there ever is to count."""
        counted = {'utc_timestamp_ms': 1, 'block': {'read_bytes': 7000},
                   'block_disk0': {'read_bytes': 4096, 'write_bytes': 0},
                   'block_disk1': {'read_bytes': 1024, 'write_bytes': 512},
                   'net_eth0': {'rx_bytes_count': 60, 'tx_bytes_count': 90},
                   'balloon': {'inflate_count': 0}, 'vcpu': {'failures': 0},
                   'seccomp': {'num_faults': 0}}
        os.write(self.reporting['metrics_path'], json.dumps(counted).encode() + b'\n')

    def act(self, action):
        if action == 'FlushMetrics' and 'metrics_path' in self.reporting:
            self.flush_metrics()
        if action != 'InstanceStart':
            return
        if not any(key.startswith('PUT /boot-source') for key in self.settings):
            raise Refused('there is no boot source')
        devices = sum(key.startswith(('PUT /drives', 'PUT /net', 'PUT /vsock', 'PUT /bal',
                                      'PUT /entropy')) for key in self.settings)
        if devices > MAX_DEVICES:
            raise Refused(f'{devices} devices are too many')
        self.run(Guest())
        self.print('the kernel boots\n')

    def run(self, guest):
        self.state = 'Running'
        if self.vsock:
            self.vsock.boot(guest)

    def print(self, words):
        if 'serial_out_path' in self.reporting:
            os.write(self.reporting['serial_out_path'], words.encode())

    # ---- snapshots ----

    def save(self, body):
        saved = {'settings': self.settings,
                 'guest': self.vsock.guest.saved() if self.vsock else None}
        for field, data in (('mem_file_path', b'memory ' * 1000),
                            ('snapshot_path', json.dumps(saved).encode())):
            file = opened(body[field], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.write(file, data)
            os.fsync(file)
            os.close(file)

    def load(self, body):
        """What fails here ends the process, after the answer."""
        self.dies = EXIT_GENERIC
        backend = body.get('mem_backend')
        if ('mem_file_path' in body) == (backend is not None):
            raise Refused('a snapshot has mem_backend or mem_file_path')
        can_open(backend['backend_path'])
        state = opened(body['snapshot_path'], os.O_RDONLY)
        saved = json.loads(os.read(state, 1 << 20))
        os.close(state)
        for key, setting in saved['settings'].items():
            if setting['name'] != 'PUT /boot-source':
                self.configure(key, setting['name'], setting['body'])
        self.state, self.dies = 'Paused', None
        if self.vsock:
            self.vsock.boot(Guest(saved['guest']))
        if body.get('resume_vm'):
            self.state = 'Running'

    # ---- the loop ----

    def serve(self, path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(here(path))
        listener.listen(4)
        connection, pending = None, b''
        while True:
            watched = [connection or listener]
            # A guest that stands still hears nothing.
            watched += self.vsock.sockets() if self.vsock and self.state == 'Running' else []
            ready = select.select(watched, [], [], 0.02)[0]
            if listener in ready:
                connection, pending = listener.accept()[0], b''
            elif connection in ready:
                data = connection.recv(65536)
                pending = self.requests(connection, pending + data)
                if not data:
                    connection.close()
                    connection = None
            if self.vsock and any(one in ready for one in self.vsock.sockets()):
                self.vsock.turn()
            if self.vsock and self.vsock.guest and self.vsock.guest.over:
                return 0  # the guest has reset the machine

    def requests(self, connection, pending):
        """Answers the whole requests; what is left over."""
        while b'\r\n\r\n' in pending:
            head, _, rest = pending.partition(b'\r\n\r\n')
            lines = head.decode().split('\r\n')
            method, path, protocol = lines[0].split(' ')
            fields = {name.lower(): value.strip()
                      for name, _, value in (line.partition(':') for line in lines[1:])}
            length = int(fields.get('content-length', 0))
            if len(rest) < length:
                return pending
            if protocol != 'HTTP/1.1':
                self.note(refused=lines[0], why='not HTTP/1.1')
            status, body = self.answer(method, path, rest[:length].decode())
            connection.sendall(response(status, body))
            pending = rest[length:]
            if self.dies is not None:
                sys.exit(self.dies)
        return pending


def response(status, body):
    head = f'HTTP/1.1 {status} \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n'
    if body is None:
        return (head + '\r\n').encode()
    text = json.dumps(body)
    return (f'{head}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n'
            f'{text}').encode()


def run(name, arguments, version, record):
    """Becomes Firecracker with these arguments; the exit code."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    options = dict(zip(arguments[::2], arguments[1::2]))
    if len(arguments) % 2 or set(options) - {'--api-sock', '--http-api-max-payload-size'}:
        print(f'Arguments parsing error: {arguments}', file=sys.stderr)
        return EXIT_ARGUMENTS
    vmm = Vmm(name, version, record)
    return vmm.serve(options.get('--api-sock', '/run/firecracker.socket'))
