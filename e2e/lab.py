"""A lab for a test: a network of cities in a folder of its own, and ways to look at it that do not
rely on what `perigee lab` says.
"""

import json
import math
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import netns
from perigee_node import BIN

PLACES = {'iad': (38.945, -77.456), 'fra': (50.033, 8.571), 'syd': (-33.946, 151.177),
          'nrt': (35.765, 140.386)}
LAST_MILE_MS = 10


def kill(words):
    """The one process whose command line they match."""
    found = subprocess.run(['pgrep', '-f', words], text=True, capture_output=True, check=False)
    pids = found.stdout.split()
    assert len(pids) == 1, f'{words}: {pids}'
    os.kill(int(pids[0]), signal.SIGKILL)


def mesh_interfaces():
    """WireGuard's, in the network that this thread is in."""
    return [name for _, name in socket.if_nameindex() if name.startswith('pgw-')]


def round_trip_ms(a, b):
    """The lab's rule, worked out anew."""
    if a == b:
        return 0
    lat_a, lon_a, lat_b, lon_b = map(math.radians, PLACES[a] + PLACES[b])
    arc = (math.sin((lat_b - lat_a) / 2) ** 2 +
           math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2)
    km = 2 * 6371 * math.asin(math.sqrt(arc))
    return km * 2 / 200 * 1.5 + 2


class Lab:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='pgl-', dir='/var/tmp'))
        self.directory.rmdir()
        self.environment = dict(os.environ, PERIGEE_LAB=str(self.directory), NO_COLOR='1')
        self.id = ''
        self.started = []

    def cli(self, *words, check=True, timeout=150, cwd='/'):
        done = subprocess.run([BIN / 'perigee', 'lab', *map(str, words)], env=self.environment,
                              cwd=cwd, text=True, capture_output=True, timeout=timeout,
                              check=False)
        if check and done.returncode != 0:
            raise AssertionError(f'perigee lab {" ".join(map(str, words))}: exit '
                                 f'{done.returncode}\n{done.stdout}{done.stderr}{self.logs()}')
        return done

    def start(self, log, *words):
        """A command that runs until the lab is down."""
        with open(log, 'ab') as out:
            self.started.append(subprocess.Popen(
                [BIN / 'perigee', 'lab', *map(str, words)], env=self.environment, stdout=out,
                stderr=out, start_new_session=True))

    def bring_up(self, cities, *options):
        """Brings it up; {city: its node's folder}."""
        made = json.loads(self.cli('up', '--cities', ','.join(cities), *options, '--json').stdout)
        self.id = made['id']
        return {city['city']: pathlib.Path(city['root']) for city in made['cities']}

    def logs(self):
        return ''.join(f'--- {path}\n{path.read_text(errors="replace")[-2000:]}'
                       for path in self.directory.glob('**/*.log'))

    # ---- places ----

    def namespace(self, city, user=False):
        return f'pgl-{self.id}-{city}' + ('-user' if user else '')

    def address(self, city, user=False):
        return f'10.90.{list(PLACES).index(city) + 1}.{2 if user else 1}'

    def visit(self, city, function, user=False):
        """What `function` returns on a thread that is in the city's network."""
        result = netns.visit(self.namespace(city, user), function)
        assert result, f'nothing came back from {city}'
        return result[0]

    # ---- measurements ----

    def echo(self, city):
        """A UDP echo in the city, until it is closed."""
        return Echo(self, city)

    def ask(self, source, to, user=False, timeout=1.0):
        """Milliseconds to the echo of `to` and back; None: no answer in time."""
        def once():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                start = time.monotonic()
                client.sendto(b'x' * 100, (self.address(to), Echo.PORT))
                if not select.select([client], [], [], timeout)[0]:
                    return None
                client.recv(200)
                return (time.monotonic() - start) * 1000
        return self.visit(source, once, user)

    def best(self, source, to, user=False, count=3):
        """The shortest of some: what a busy machine adds is not the network's."""
        times = [self.ask(source, to, user) for _ in range(count)]
        return min((one for one in times if one is not None), default=None)

    def send(self, source, to, size):
        """Seconds that so many bytes take over a new TCP connection."""
        def receiver():
            server = socket.create_server(('', 0))
            server.settimeout(30)
            return server

        def sender():
            with socket.create_connection((self.address(to), server.getsockname()[1]), 10) as out:
                out.sendall(b'y' * size)

        with self.visit(to, receiver) as server:
            start = time.monotonic()
            thread = threading.Thread(target=self.visit, args=(source, sender))
            thread.start()
            with server.accept()[0] as connection:
                left = size
                while left > 0:
                    got = len(connection.recv(1 << 16))
                    assert got, f'{left} bytes are missing'
                    left -= got
            thread.join()
            return time.monotonic() - start

    # ---- the end ----

    def leftovers(self):
        """What of this lab is on the host, found without its help: lines for a person."""
        found = []
        mark = f'PERIGEE_LAB_PART={self.id}'.encode()
        for entry in pathlib.Path('/proc').iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if mark in (entry / 'environ').read_bytes().split(b'\0'):
                    found.append(f'process {entry.name}')
            except OSError:
                continue  # it ended meanwhile
        found += [f'namespace {path}'
                  for path in pathlib.Path('/run/netns').glob(f'pgl-{self.id}*')]
        found += [f'mount {line.split()[4]}'
                  for line in pathlib.Path('/proc/self/mountinfo').read_text().splitlines()
                  if line.split()[4].startswith(str(self.directory))]
        if self.directory.exists():
            found.append(f'folder {self.directory}')
        return found

    def destroy(self):
        self.cli('down', check=False)
        for process in self.started:
            process.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)


def frames(capture):
    """Those in a pcap file."""
    found = []
    data = capture.read_bytes()
    at = 24
    while at < len(data):
        size = int.from_bytes(data[at + 8:at + 12], 'little')
        found.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return found


def between_nodes(capture):
    """The bytes of a capture without frames from or to users: 10.90.N.2."""
    return b''.join(frame for frame in frames(capture)
                    if frame[12:14] != b'\x08\x00' or 2 not in (frame[29], frame[33]))


class Echo:
    """Answers datagrams in a city."""

    PORT = 7000

    def __init__(self, lab, city):
        self.socket = lab.visit(city, self._bind)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @classmethod
    def _bind(cls):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(('', cls.PORT))
        server.settimeout(0.2)
        return server

    def _serve(self):
        while self.socket.fileno() >= 0:
            try:
                data, peer = self.socket.recvfrom(2000)
                self.socket.sendto(data, peer)
            except TimeoutError:
                continue
            except OSError:
                return

    def close(self):
        self.socket.close()
        self.thread.join()
