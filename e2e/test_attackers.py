"""Clients who mean harm, against a router on a core of its own: floods of every kind, slow clients,
idle ones, bytes that are nearly requests. Others' requests go on, memory stays in bounds, and
nothing falls over.

A part of `./dev soak`: it wants both cores for itself. Each attack comes from a network namespace,
over a link of its own, since programs of the router's own machine are not bounded like a client;
and has half of the other core. `PERIGEE_ATTACK_S` is how long it takes (`./dev soak` says 20),
`PERIGEE_MUTATED` how many requests are made wrong (1,000,000 there). How long others wait is judged
only where the attack is long enough for a p99; the figures are printed.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import attackers
import netns
import packages
from lone_router import HOST, self_signed, start
from perigee_node import BIN, free_ports, wait_until

ATTACK_S = float(os.environ.get('PERIGEE_ATTACK_S', 2))
MUTATED = int(os.environ.get('PERIGEE_MUTATED', 2000))
JUDGED_S = 10  # an attack that is shorter has too few samples for a p99
WORST_RATIO = 3
LEAST_P99_MS = 1.0  # below, the clock and the scheduler are what is measured
ROUTER_CORE, CLIENT_CORE = 0, 1
CONNECTIONS = 500  # a client may have 512
OTHER_HOST = 'other.localhost'
RATE = 100  # of the others' requests, in a second
ATTACKED_MIB = 128  # that the router may have beyond what it had at rest
IDLE_KIB = 40  # and for each idle TLS connection
QUOTA_US, PERIOD_US = 5000, 10_000
NAMESPACE = f'pgattack-{os.getpid()}'
LINK = f'pga{os.getpid()}'
ROUTER, ATTACKER = '10.213.77.1', '10.213.77.66'
SLOWHTTPTEST = {
    'slow heads (slowhttptest -H)': ['-H', '-i', '1'],
    'slow bodies (-B)': ['-B', '-i', '1', '-s', '8192'],
    'ranges (-R)': ['-R'],
    'slow readers (-X)': ['-X', '-w', '512', '-y', '1024', '-n', '1', '-z', '32', '-k', '3'],
}


def go_first(priority):
    """This thread or process, before the attacker, which has the same core: it is the router's
    delays that count, not those of who asks it and of the apps behind it."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))


class HalfACore:
    """A control group with half of the time of a core; its processes end with it."""

    def __init__(self):
        name = f'perigee-attack-{os.getpid()}'
        if pathlib.Path('/sys/fs/cgroup/cgroup.controllers').exists():
            self.folder = pathlib.Path('/sys/fs/cgroup', name)
            limits = {'cpu.max': f'{QUOTA_US} {PERIOD_US}'}
        else:
            self.folder = pathlib.Path('/sys/fs/cgroup/cpu', name)
            limits = {'cpu.cfs_period_us': PERIOD_US, 'cpu.cfs_quota_us': QUOTA_US}
        self.folder.mkdir()
        for file, value in limits.items():
            (self.folder / file).write_text(str(value))

    def enter(self):
        netns.enter(NAMESPACE)
        (self.folder / 'cgroup.procs').write_text(str(os.getpid()))
        os.sched_setaffinity(0, {CLIENT_CORE})
        os.nice(10)

    def close(self):
        for pid in (self.folder / 'cgroup.procs').read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        wait_until('the attackers are gone', 20,
                   lambda: not (self.folder / 'cgroup.procs').read_text())
        self.folder.rmdir()


class Others:
    """Asks at a fixed rate on one connection, and by the tenth on a new one. `times` in ms,
    `failed` what went wrong."""

    def __init__(self, port, host=HOST):
        self.port, self.host = port, host
        self.times, self.failed = [], []
        self.done = threading.Event()
        self.kept = None

    def _connection(self, number):
        if number % 10 and self.kept is not None:
            return self.kept
        if self.kept is not None:
            self.kept.close()
        self.kept = attackers.connect(('127.0.0.1', self.port))
        self.kept.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.kept

    def _ask(self, number):
        one = self._connection(number)
        one.settimeout(20)
        one.sendall(f'GET / HTTP/1.1\r\nHost: {self.host}\r\n\r\n'.encode())
        answer = b''
        while b'Hello' not in answer:
            more = one.recv(4096)
            if not more:
                raise OSError(f'no answer: {answer[:100]}')
            answer += more
        if not answer.startswith(b'HTTP/1.1 200'):
            raise OSError(f'{answer[:100]}')

    def run(self):
        go_first(3)
        number, due = 0, time.monotonic()
        while not self.done.is_set():
            try:
                self._ask(number)
                self.times.append((time.monotonic() - due) * 1000)
            except OSError as error:
                self.failed.append(f'request {number}: {error}')
                self.kept = None
            number += 1
            due = max(due + 1 / RATE, time.monotonic() - 1)
            time.sleep(max(0, due - time.monotonic()))

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        if self.kept is not None:
            self.kept.close()

    def p99(self):
        return statistics.quantiles(self.times, n=100)[98]


class AttackersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if 'PERIGEE_ATTACK_S' not in os.environ:
            raise unittest.SkipTest('it is a part of ./dev soak')
        if len(os.sched_getaffinity(0)) < 2:
            raise unittest.SkipTest('the router and its attackers need a core each')
        folder = tempfile.TemporaryDirectory(dir='/var/tmp', prefix='pg-attack-')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.folder.chmod(0o755)
        cls.addClassCleanup(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, {CLIENT_CORE})
        cls.http, cls.https, cls.app, cls.other_app = free_ports(4)
        cls.make_link()
        packages.fetch(packages.NGINX)
        packages.unpack(packages.NGINX, cls.folder / 'nginx')
        cls.start_app('app', cls.app, 1)
        cls.start_app('other-app', cls.other_app, 2)
        cls.start_router()
        cls.half_a_core = HalfACore()
        cls.addClassCleanup(cls.half_a_core.close)
        with Others(cls.http) as others:
            time.sleep(max(ATTACK_S, 3))
        assert not others.failed, others.failed[:3]
        cls.calm_ms = max(others.p99(), LEAST_P99_MS)
        print(f'calm: p99 {others.p99():.2f} ms, {cls.memory("VmRSS") // 1024} MiB', flush=True)

    @classmethod
    def make_link(cls):
        def ip(*words):
            subprocess.run(['ip', *words], check=True)
        ip('netns', 'add', NAMESPACE)
        cls.addClassCleanup(ip, 'netns', 'delete', NAMESPACE)
        ip('link', 'add', LINK, 'type', 'veth', 'peer', 'name', 'out', 'netns', NAMESPACE)
        ip('addr', 'add', f'{ROUTER}/24', 'dev', LINK)
        ip('link', 'set', LINK, 'up')
        for address in (ATTACKER, *attackers.SOURCES):
            ip('-n', NAMESPACE, 'addr', 'add', f'{address}/24', 'dev', 'out')
        ip('-n', NAMESPACE, 'link', 'set', 'out', 'up')

    @classmethod
    def start_app(cls, name, port, priority):
        folder = cls.folder / name
        folder.mkdir()
        (folder / 'nginx.conf').write_text(f'''user nobody nogroup;
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 4000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "Hello\\n"; }}
  }}
}}
''')
        library = cls.folder / 'nginx/usr/lib/x86_64-linux-gnu'
        cls.spawn(name, cls.folder / 'nginx/usr/sbin/nginx', '-p', folder, '-c',
                  folder / 'nginx.conf', '-e', 'stderr',
                  environment={'LD_LIBRARY_PATH': str(library)}, priority=priority)

    @classmethod
    def start_router(cls):
        self_signed(cls.folder, 'cert', HOST)
        (cls.folder / 'router.toml').write_text(f'''http = ["0.0.0.0:{cls.http}"]
https = ["0.0.0.0:{cls.https}"]
access_log = "/dev/null"
threads = 1
[[app]]
name = "hello"
hosts = ["{HOST}", "{ROUTER}"]
certificate = "cert.pem"
private_key = "cert.key"
machines = ["127.0.0.1"]
[app.http_service]
internal_port = {cls.app}
[[app]]
name = "other"
hosts = ["{OTHER_HOST}"]
machines = ["127.0.0.1"]
[app.http_service]
internal_port = {cls.other_app}
''')
        cls.router = cls.spawn('router', BIN / 'perigeed', 'router', '--config',
                               cls.folder / 'router.toml',
                               core=ROUTER_CORE)

        def answers():
            with socket.socket() as one:
                return one.connect_ex(('127.0.0.1', cls.https)) == 0
        wait_until('the router listens', 20, answers, pause=0.05)

    @classmethod
    def spawn(cls, name, *command, core=CLIENT_CORE, environment=None, priority=0):
        def place():
            os.sched_setaffinity(0, {core})
            if priority:
                go_first(priority)
        return start(cls.addClassCleanup, cls.folder, name, *command, environment=environment,
                     preexec_fn=place)

    @classmethod
    def memory(cls, line):
        """KiB of the router: VmRSS, VmHWM."""
        text = pathlib.Path(f'/proc/{cls.router.pid}/status').read_text()
        return int(text.split(f'{line}:')[1].split()[0])

    @contextlib.contextmanager
    def others_go_on(self, what, memory_mib=ATTACKED_MIB, rest_kib=None, host=HOST):
        # By default what it has now: freed memory is the allocator's to keep.
        rest_kib = rest_kib or self.memory('VmRSS')
        pathlib.Path(f'/proc/{self.router.pid}/clear_refs').write_text('5')  # VmHWM begins anew
        with Others(self.http, host) as others:
            yield
        peak = (self.memory('VmHWM') - rest_kib) / 1024
        self.assertEqual(others.failed[:3], [])
        p99 = others.p99()
        print(f'{what}: p99 {p99:.2f} ms ({p99 / self.calm_ms:.1f} of calm), peak +{peak:.0f} MiB',
              flush=True)
        self.assertIsNone(self.router.poll(), 'the router has ended')
        self.assertLess(peak, memory_mib)
        if ATTACK_S >= JUDGED_S:
            self.assertLess(p99 / self.calm_ms, WORST_RATIO)

    def attack(self, *command, timeout=ATTACK_S + 60):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              check=False, preexec_fn=self.half_a_core.enter, timeout=timeout)
        self.assertEqual(done.returncode, 0, f'{command}\n{done.stdout}{done.stderr}')
        return done

    def own(self, kind, port, seconds=ATTACK_S):
        done = self.attack(sys.executable, attackers.__file__, kind, ROUTER, port,
                           seconds, timeout=seconds + 60)
        counted = json.loads(done.stdout.splitlines()[-1])
        return counted, done.stderr

    def scenario_floods(self):
        for kind in [*attackers.FLOODS, 'connections']:
            with self.subTest(kind), self.others_go_on(kind):
                counted, _ = self.own(kind, self.http)
                rate = {name: round(value / ATTACK_S) for name, value in counted.items()}
                print(f'{kind}: {rate["units"]} frames in {rate["connections"]} connections a '
                      'second', flush=True)
                self.assertGreater(counted['connections'], 0)

    def scenario_all_connections_of_a_client(self):
        """As many as it may have, each of them busy: what it asks for waits, at its app too, so
        others ask another one."""
        for scheme, port in (('http', self.http), ('https', self.https)):
            what = f'{CONNECTIONS} busy connections ({scheme})'
            with self.subTest(what), self.others_go_on(what, host=OTHER_HOST):
                done = self.attack('wrk', '-t', 1, '-c', CONNECTIONS, '-d',
                                   f'{max(1, int(ATTACK_S))}s', f'{scheme}://{ROUTER}:{port}/')
                rate = float(done.stdout.split('Requests/sec:')[1].split()[0])
                print(f'{what}: {rate:.0f} requests a second', flush=True)
                self.assertGreater(rate, 1000)

    def scenario_handshakes(self):
        with self.others_go_on('hellos'):
            counted, _ = self.own('hellos', self.https)
            print(f'hellos: {counted["connections"] / ATTACK_S:.0f} a second, '
                  f'{counted["units"]} answered', flush=True)

    def scenario_slow_clients(self):
        if shutil.which('slowhttptest') is None:
            self.skipTest('slowhttptest is not installed: tools/setup test')
        for what, words in SLOWHTTPTEST.items():
            with self.subTest(what), self.others_go_on(what):
                self.attack('slowhttptest', *words, '-c', '2000', '-r', '500', '-l',
                            max(1, int(ATTACK_S)), '-p', '3', '-u',
                            f'http://{ROUTER}:{self.http}/')

    def scenario_idle_tls_connections(self):
        count = 10_000 if ATTACK_S >= JUDGED_S else 1000
        rest_kib = self.memory('VmRSS')
        with subprocess.Popen(
                [sys.executable, attackers.__file__, 'idle', ROUTER, str(self.https), '600',
                 str(count)], stdout=subprocess.PIPE, text=True,
                preexec_fn=self.half_a_core.enter) as client:
            try:
                self.assertEqual(client.stdout.readline(), 'held\n')
                with self.others_go_on(f'{count} idle TLS connections', count * IDLE_KIB / 1024,
                                       rest_kib):
                    time.sleep(ATTACK_S)
            finally:
                client.kill()

    def scenario_mutated_requests(self):
        sent = 0
        with self.others_go_on(f'{MUTATED} mutated requests'):
            while sent < MUTATED:
                counted, seed = self.own('mutated', self.http)
                sent += counted['units']
                self.assertIsNone(self.router.poll(), seed)
                self.assertGreater(counted['units'], 0)
        print(f'{sent} sent', flush=True)


if __name__ == '__main__':
    unittest.main()
