"""What boot_test.py is made of: the control channel's codec in Python (written independently of
src/channel, so that each checks the other), test images, and a QEMU microvm under TCG."""
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

HOST_MAGIC = bytes.fromhex('f59c1ed342b7086fa15de93077c48b12')
GUEST_MAGIC = bytes.fromhex('f62790bc5e13cd843af9610ed87542ab')
CONFIGURE, SIGNAL, SHUTDOWN, ACK, TIME, PING, ATTACH, INQUIRE = 2, 3, 4, 5, 6, 7, 1, 0x10
EXEC, EXEC_INPUT, EXEC_RESIZE, EXEC_SIGNAL, EXEC_CREDIT, EXEC_CLOSE = range(9, 15)
EXEC_STARTED, EXEC_OUTPUT, EXEC_EXITED, EXEC_INPUT_CREDIT = range(0x87, 0x8b)
HELLO, STARTED, OUTPUT, EXITED, FAILED, PONG = 0x81, 0x82, 0x83, 0x84, 0x85, 0x86
LISTENING, STATS = 0x90, 0x91
WAITING, RUNNING, EXITED_STATE, FAILED_STATE = range(4)
TAGS = {'argv': 1, 'env': 2, 'user': 3, 'workdir': 4, 'hostname': 5, 'addresses': 6,
        'gateways': 7, 'nameservers': 8, 'hosts': 9, 'layers': 10, 'upper_disk': 11, 'mtu': 12,
        'tty': 13, 'volume': 20, 'volume_key': 21, 'gateway_mac': 28}


def frame(kind, payload=b''):
    return struct.pack('<IB', len(payload), kind) + payload


def attach(nonce, received=0):
    return HOST_MAGIC + struct.pack('<Q', nonce) + frame(ATTACH, struct.pack('<HQ', 1, received))


def configure(**fields):
    payload = b''
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            data = encoded(item)
            payload += struct.pack('<HI', TAGS[name], len(data)) + data
    return frame(CONFIGURE, payload + struct.pack('<HI', 0, 0))


def encoded(item):
    """A record's value: a number, a text, bytes, or a tuple of these."""
    if isinstance(item, tuple):
        return b''.join(map(encoded, item))
    if isinstance(item, bytes):
        return item
    return struct.pack('<I', item) if isinstance(item, int) else item.encode()


def stuffed(data):
    return data.replace(b'\xf4', b'\xf4\0').replace(b'\xf5', b'\xf4\1')


def exec_frame(session, *argv, env=(), user='', directory='', window=None):
    """`window`: (rows, columns) of a terminal."""
    def text(value):
        data = value.encode()
        return struct.pack('<I', len(data)) + data

    payload = struct.pack('<IBHH', session, window is not None, *(window or (0, 0)))
    payload += text(user) + text(directory)
    for words in (argv, env):
        payload += struct.pack('<I', len(words)) + b''.join(map(text, words))
    return frame(EXEC, stuffed(payload))


def exec_input(session, data, end=False):
    return frame(EXEC_INPUT, struct.pack('<IB', session, end) + stuffed(data))


def parse(kind, data):
    """The message as a dict with its 'kind'."""
    if kind == HELLO:
        names, values = ('version', 'state', 'pid', 'dropped'), struct.unpack_from('<HBIQ', data)
    elif kind == STARTED:
        names, values = ('pid',), struct.unpack_from('<I', data)
    elif kind == OUTPUT:
        names = ('stream', 'sequence', 'bytes')
        values = (*struct.unpack_from('<BQ', data), data[9:])
    elif kind == EXITED:
        names = ('sequence', 'code', 'signal', 'oom')
        values = struct.unpack_from('<QiIB', data)
    elif kind == EXEC_STARTED:
        names = ('session', 'pid', 'message')
        values = (*struct.unpack_from('<II', data), data[8:].decode())
    elif kind == EXEC_OUTPUT:
        names = ('session', 'stream', 'bytes')
        values = (*struct.unpack_from('<IB', data), data[5:])
    elif kind == EXEC_EXITED:
        names, values = ('session', 'code', 'signal'), struct.unpack_from('<III', data)
    elif kind == EXEC_INPUT_CREDIT:
        names, values = ('session', 'credit'), struct.unpack_from('<II', data)
    elif kind == FAILED:
        names, values = ('sequence', 'message'), (struct.unpack_from('<Q', data)[0],
                                                  data[8:].decode())
    else:
        names, values = ('data',), (data,)
    return {'kind': kind, **dict(zip(names, values))}


def parse_stats(data):
    """Load, memory, files, and the four tables as lists of (name, numbers)."""
    stats = {'load': struct.unpack_from('<3I', data),
             'memory': struct.unpack_from('<17Q', data, 12),
             'files': struct.unpack_from('<2Q', data, 148)}
    at = 164
    for table, fields in (('cpus', 8), ('disks', 11), ('networks', 16), ('filesystems', 4)):
        count, = struct.unpack_from('<H', data, at)
        at += 2
        stats[table] = []
        for _ in range(count):
            name = data[at + 1:at + 1 + data[at]].decode()
            at += 1 + data[at]
            stats[table].append((name, struct.unpack_from(f'<{fields}Q', data, at)))
            at += 8 * fields
    assert at == len(data), (at, len(data))
    return stats


class Channel:
    """A connection of the host. `received` carries over from an earlier one."""

    def __init__(self, path, received=0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.received = received
        self.nonce = int.from_bytes(os.urandom(8), 'little')
        self.mark = GUEST_MAGIC + struct.pack('<Q', self.nonce)
        self.attached = False
        self.buffer = b''
        self.send(attach(self.nonce, received))

    def send(self, data):
        self.socket.sendall(data)

    def next(self, timeout=20.0):
        """The next message; None at the end of the connection; TimeoutError."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.take()
            if message is not None:
                return message
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError('the guest sent nothing for %.1f s' % timeout)
            data = self.socket.recv(65536)
            if not data:
                return None
            self.buffer += data

    def take(self):
        if not self.attached:
            at = self.buffer.find(self.mark)
            if at < 0:
                return None
            self.buffer = self.buffer[at + len(self.mark):]
            self.attached = True
        if len(self.buffer) < 5:
            return None
        length, kind = struct.unpack_from('<IB', self.buffer)
        if len(self.buffer) < 5 + length:
            return None
        payload, self.buffer = self.buffer[5:5 + length], self.buffer[5 + length:]
        return parse(kind, payload)

    def ack(self, sequence):
        self.received = max(self.received, sequence)
        self.send(frame(ACK, struct.pack('<Q', sequence)))

    def until(self, kind, timeout=20.0, acknowledge=True):
        """Messages up to the first of `kind`, which is the last of the list."""
        messages = []
        while True:
            message = self.next(timeout)
            if message is None:
                raise EOFError('the VM ended; before that: %r' % messages)
            if acknowledge and message.get('sequence', 0) > self.received:
                self.ack(message['sequence'])
            messages.append(message)
            if message['kind'] == kind:
                return messages

    def close(self):
        self.socket.close()


def output_of(messages, stream=None):
    return b''.join(m['bytes'] for m in messages
                    if m['kind'] == OUTPUT and stream in (None, m['stream']))


def tsc_khz():
    """The TSC's rate, counted against CLOCK_MONOTONIC_RAW by a small C program."""
    source = r'''
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC_RAW, &t);
                          return t.tv_sec * 1e3 + t.tv_nsec / 1e6; }
int main(void) { double a = now(); unsigned long long x = __rdtsc(); while (now() < a + 100) {}
                 double b = now(); printf("%.0f\n", (double)(__rdtsc() - x) / (b - a)); }
'''
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'tsc')
        subprocess.run(['clang-19', '-O1', '-x', 'c', '-', '-o', path], input=source.encode(),
                       check=True)
        return int(subprocess.run([path], capture_output=True, check=True).stdout)


def make_layer(path, populate):
    """An EROFS image of what populate(folder) lays down."""
    with tempfile.TemporaryDirectory() as folder:
        populate(folder)
        subprocess.run(['mkfs.erofs', '--quiet', path, folder], check=True, capture_output=True)


def make_upper(path, *words, size=64 << 20):
    with open(path, 'wb') as file:
        file.truncate(size)
    subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', '-E', 'lazy_itable_init=1,nodiscard',
                    '-O', '^has_journal', *words, path], check=True, capture_output=True,
                   env=dict(os.environ, UNIX_IO_NOZEROOUT='1'))


def busybox_layer(folder):
    for name in ('bin', 'etc', 'home/web', 'www', 'run/kept'):
        os.makedirs(os.path.join(folder, name))
    shutil.copy('/bin/busybox', os.path.join(folder, 'bin/busybox'))
    for applet in ('sh', 'id', 'cat', 'env', 'stty', 'tty', 'ps', 'sleep', 'seq',
                   'httpd', 'ls', 'ip', 'pwd', 'kill',
                   'hostname', 'mount', 'wget', 'dd', 'tail', 'date', 'wc', 'grep', 'yes', 'head',
                   'true'):
        os.symlink('busybox', os.path.join(folder, 'bin', applet))
    files = {'etc/passwd': 'root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\n',
             'etc/group': 'root:x:0:\nweb:x:1001:\nadm:x:4:web\nlog:x:5:other,web\n',
             'www/index.html': 'a page from the guest\n', 'etc/layer': 'lower\n'}
    for name, text in files.items():
        with open(os.path.join(folder, name), 'w') as file:
            file.write(text)
    with open(os.path.join(folder, 'bin/broken'), 'w') as file:
        file.write('#!/bin/nosuch\n')
    os.chmod(os.path.join(folder, 'bin/broken'), 0o755)


class Vm:
    """One QEMU. `layers` and `upper` are image paths; the control socket is made here, listening,
    and handed to QEMU by descriptor, so that the first host connects before the fork."""

    def __init__(self, folder, kernel, initrd, layers, upper, khz, tap=None, memory=128, extra='',
                 exit_by='reboot', cpu='max', volumes=()):
        self.folder = folder
        self.path = os.path.join(folder, 'control.sock')
        self.console = os.path.join(folder, 'console.log')
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(4)
        self.channel = Channel(self.path)
        append = ('console=ttyS0 quiet reboot=t panic=-1 tsc_early_khz=%d tsc=reliable '
                  'no_timer_check cryptomgr.notests init_on_alloc=0 perigee.exit=%s %s'
                  % (khz, exit_by, extra))
        command = ['qemu-system-x86_64', '-M', 'microvm,accel=tcg,auto-kernel-cmdline=off',
                   '-cpu', cpu, '-m', str(memory), '-nodefaults', '-no-user-config',
                   '-nographic', '-no-reboot', '-kernel', kernel, '-initrd', initrd,
                   '-serial', 'file:' + self.console,
                   '-device', 'virtio-serial-device,max_ports=2',
                   '-chardev', 'socket,id=ch,fd=%d,server=on,wait=off' % listener.fileno(),
                   '-device', 'virtserialport,chardev=ch,nr=1,name=perigee.control']
        for index, path in enumerate([*layers, upper, *volumes]):
            readonly = ',readonly=on' if index < len(layers) else ''
            command += ['-drive', 'id=d%d,file=%s,format=raw,if=none%s' % (index, path, readonly),
                        '-device', 'virtio-blk-device,drive=d%d' % index]
        if tap:
            command += ['-netdev', 'tap,id=n0,ifname=%s,script=no,downscript=no' % tap,
                        '-device', 'virtio-net-device,netdev=n0,mac=02:00:00:00:00:02']
        command += ['-append', append]
        self.command = command
        self.forked = time.monotonic()
        self.process = subprocess.Popen(command, pass_fds=[listener.fileno()],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(os.path.join(folder, 'qemu.log'), 'wb'))
        listener.close()

    def wait(self, timeout=20.0):
        return self.process.wait(timeout)

    def cpu_seconds(self):
        with open('/proc/%d/stat' % self.process.pid) as file:
            fields = file.read().rsplit(') ', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def console_text(self):
        with open(self.console, errors='replace') as file:
            return file.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
