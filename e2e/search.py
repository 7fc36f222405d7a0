"""Looks for planted words in everything that a node leaves to be seen: files, processes' command
lines and environments, API answers, feeds, core dumps."""

import base64
import contextlib
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.parse

CHUNK = 4 * 1024 * 1024
FEED_S = 2


def needles_of(name, data):
    """{bytes: what they are}: the usual encodings of a word, wherever it stands in a larger one."""
    found = {data: name, data.hex().encode(): f'{name} in hex',
             data.hex().upper().encode(): f'{name} in hex',
             urllib.parse.quote(data).encode(): f'{name} in a URL'}
    for shift in range(3):  # base64 depends on where the word begins; its edges on the neighbours
        text = base64.b64encode(b'x' * shift + data)
        found[text[4 if shift else 0:-4]] = f'{name} in base64'
    return found


class Search:
    def __init__(self, needles):
        self.needles = needles
        self.longest = max(map(len, needles))
        self.hits = []  # (what was found, where)
        self.looked = 0  # bytes

    def look(self, where, data):
        self.looked += len(data)
        for needle, name in self.needles.items():
            if needle in data:
                self.hits.append((name, where))

    def file(self, path):
        """Data only: the disks are sparse."""
        with contextlib.suppress(FileNotFoundError), open(path, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            at = 0
            while at < size:
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:
                    return  # a hole up to the end
                end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                while at < end:
                    self.look(str(path), os.pread(file.fileno(), min(CHUNK, end - at) +
                                                  self.longest, at))
                    at += min(CHUNK, end - at)

    def folder(self, folder):
        for path in sorted(pathlib.Path(folder).rglob('*')):
            if path.is_file() and not path.is_symlink():
                self.file(path)

    def processes(self, pids):
        for pid in pids:
            for name in ('cmdline', 'environ', 'maps'):
                path = pathlib.Path(f'/proc/{pid}/{name}')
                with contextlib.suppress(OSError):  # it ended meanwhile
                    self.look(str(path), path.read_bytes())

    def api(self, node, paths):
        """Answers of the public API, as text; returns those that are not errors."""
        good = []
        for path in paths:
            connection = http.client.HTTPConnection('127.0.0.1', node.api_port, timeout=10)
            with contextlib.closing(connection):
                connection.request('GET', path, None, {'Authorization': f'Bearer {node.token()}'})
                answer = connection.getresponse()
                self.look(f'GET {path}', answer.read())
                if answer.status == 200:
                    good.append(path)
        return good

    def socket(self, path, target):
        """What a GET on a Unix socket answers within a moment: a feed has no end. The bytes."""
        data = b''
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as stream:
            stream.settimeout(FEED_S)
            stream.connect(str(path))
            stream.sendall(f'GET {target} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
            end = time.monotonic() + FEED_S
            with contextlib.suppress(TimeoutError):
                while time.monotonic() < end:
                    piece = stream.recv(CHUNK)
                    if not piece:
                        break
                    data += piece
        self.look(f'{path.name}{target}', data)
        return data


def cores_are_files():
    """Whether the kernel writes a core into the process's own folder."""
    pattern = pathlib.Path('/proc/sys/kernel/core_pattern').read_text().strip()
    return not pattern.startswith('|') and '/' not in pattern


IGNORED_S = 3


def abort(pid, may_ignore=False, seconds=20):
    """Ends a process as a crash would, with its core's limit raised as far as it goes (without
    CAP_SYS_RESOURCE not above what the process itself gave up); its core file, or None."""
    folder = pathlib.Path(f'/proc/{pid}/cwd').resolve()
    before = set(folder.glob('core*'))
    for limit in ('unlimited:', 'unlimited'):  # the soft limit, then both
        subprocess.run(['prlimit', f'--pid={pid}', f'--core={limit}'], check=False,
                       capture_output=True)
    os.kill(pid, signal.SIGABRT)
    end = time.monotonic() + seconds
    if may_ignore:
        end = time.monotonic() + IGNORED_S
    while time.monotonic() < end and is_alive(pid):
        time.sleep(0.05)
    assert may_ignore or not is_alive(pid), f'process {pid} outlived SIGABRT'
    found = set(folder.glob('core*')) - before
    return found.pop() if found else None


def is_alive(pid):
    try:
        state = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0]
    except OSError:
        return False
    return state not in 'ZX'
