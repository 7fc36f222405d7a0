"""Routers that are replaced while users are served: nobody notices."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc_app
import images
from lone_router import self_signed, start
from perigee_node import BIN, REPOSITORY, free_ports, wait_until
from scenario import Scenario

PAGES, CALLS = 'hello.localhost', 'calls.localhost'
DRAIN_S = 5
LOAD_S = 14
CHANGE_S = 0.02  # 50 changes a second
STREAM_ROUNDS = 20
PATIENCE_S = 20


def other_version(program, folder):
    """A copy of a program that says it is another version."""
    said = subprocess.run([program, '--version'], capture_output=True, text=True, check=True).stdout
    version = said.split()[-1].encode()
    other = version[:-1] + (b'7' if version[-1:] != b'7' else b'8')
    copy = folder / 'perigeed.other'
    copy.write_bytes(pathlib.Path(program).read_bytes().replace(version + b'\0', other + b'\0'))
    copy.chmod(0o755)
    said = subprocess.run([copy, '--version'], capture_output=True, text=True, check=True).stdout
    assert said.split()[-1].encode() == other, said
    return copy


class Counted(threading.Thread):
    """Repeats something until it is told to stop; counts what went wrong, with its time."""

    def __init__(self, once, pause=0.01):
        super().__init__(daemon=True)
        self.once, self.pause = once, pause
        self.done, self.failed = 0, []
        self.ending = threading.Event()

    def run(self):
        begun = time.monotonic()
        while not self.ending.wait(self.pause):
            try:
                self.once()
                self.done += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failed.append(f'after {time.monotonic() - begun:.2f} s: {error!r}')

    def finish(self):
        self.ending.set()
        self.join()
        return self


class KeptConnection:
    """Requests on one connection, for as long as its server wants to keep it."""

    def __init__(self, connect, method='GET', path='/', host=PAGES):
        self.connect, self.method, self.path, self.host = connect, method, path, host
        self.connection = None

    def __call__(self):
        if self.connection is None:
            self.connection = self.connect()
        try:
            self.connection.request(self.method, self.path, headers={'Host': self.host},
                                    body=b'x' if self.method == 'POST' else None)
            answer = self.connection.getresponse()
            body = answer.read()
            if answer.status != 200 or not body:
                raise AssertionError(f'status {answer.status}: {body[:200]}')
            keep = not answer.will_close
        except BaseException:
            self.drop()
            raise
        if not keep:
            self.drop()

    def drop(self):
        self.connection.close()
        self.connection = None


class AloneHandoverTest(unittest.TestCase):
    """A router that a file configures, its servers, and everything that users do."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir='/var/tmp', prefix='pg-over-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)
        self.program = self.folder / 'perigeed'
        shutil.copy(BIN / 'perigeed', self.program)
        self.http, self.https, self.calls_port, self.pages_port = free_ports(4)
        for name in ('one', 'two'):
            self_signed(self.folder, name, PAGES, CALLS)
        self.trusted = self.folder / 'trusted.pem'
        self.trusted.write_text(''.join((self.folder / f'{name}.pem').read_text()
                                        for name in ('one', 'two')))
        self.servers = {name: self.start(name, sys.executable, REPOSITORY / 'e2e/answers.py', name,
                                         address, str(self.pages_port))
                        for name, address in (('first', '127.0.0.1'), ('second', '127.0.0.2'))}
        for name in self.servers:
            wait_until(f'{name} listens', PATIENCE_S, lambda n=name: 'listening' in self.log(n))
        self.number = 0
        self.write()

    def write(self):
        """The next of the router's files: each differs from the one before."""
        self.number += 1
        name = ('one', 'two')[self.number // 10 % 2]
        text = f'''
http = ["127.0.0.1:{self.http}"]
https = ["127.0.0.1:{self.https}"]
access_log = "/dev/null"
drain = "{DRAIN_S}s"
[[app]]
name = "hello"
hosts = ["{PAGES}"]
certificate = "{name}.pem"
private_key = "{name}.key"
machines = ["127.0.0.1", "127.0.0.2"]
[app.http_service]
internal_port = {self.pages_port}
concurrency = {{ type = "requests", soft_limit = {100 + self.number % 50} }}
[[app]]
name = "calls"
hosts = ["{CALLS}"]
certificate = "{name}.pem"
private_key = "{name}.key"
machines = ["127.0.0.1"]
[app.http_service]
internal_port = {self.calls_port}
http_options = {{ h2_backend = true }}
concurrency = {{ type = "requests", soft_limit = {1000 + self.number % 50} }}
'''
        (self.folder / 'new.toml').write_text(text)
        (self.folder / 'new.toml').replace(self.folder / 'router.toml')

    def start(self, name, *command):
        return start(self.addCleanup, self.folder, name, *command,
                     environment={'NOTIFY_SOCKET': str(self.folder / 'notify')})

    @staticmethod
    def kill(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def log(self, name):
        return (self.folder / f'{name}.log').read_text()

    def start_router(self):
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notify.close)
        self.notify.bind(str(self.folder / 'notify'))
        (self.folder / 'notify').chmod(0o777)
        self.notify.settimeout(PATIENCE_S)
        router = self.start('router', self.program, 'router', '--config',
                            self.folder / 'router.toml')
        self.assertEqual(self.notify.recv(1000), b'READY=1')
        self.router = router.pid
        return router

    def replace(self):
        """Has the router start its successor; (pid of the former, pid of the new one)."""
        former = self.router
        os.kill(former, signal.SIGUSR2)
        told = {self.notify.recv(1000).decode() for _ in range(2)}
        self.assertIn('READY=1', told)
        self.router = int(next(each for each in told if each.startswith('MAINPID=')).split('=')[1])
        self.addCleanup(self.kill, self.router)
        self.assertNotEqual(former, self.router)
        return former, self.router

    def change(self):
        self.write()
        os.kill(self.router, signal.SIGHUP)

    def plain(self):
        return http.client.HTTPConnection('127.0.0.1', self.http, timeout=PATIENCE_S)

    def secure(self):
        context = ssl.create_default_context(cafile=self.trusted)
        raw = socket.create_connection(('127.0.0.1', self.https), PATIENCE_S)
        connection = http.client.HTTPConnection(PAGES, timeout=PATIENCE_S)
        connection.sock = context.wrap_socket(raw, server_hostname=PAGES)
        return connection

    def once(self, connect, path='/'):
        """A request on a connection of its own."""
        kept = KeptConnection(connect, path=path)
        kept()
        if kept.connection is not None:
            kept.drop()

    def web_socket(self):
        """A WebSocket that is open for a second."""
        with socket.create_connection(('127.0.0.1', self.http), PATIENCE_S) as client:
            client.sendall(f'GET /ws HTTP/1.1\r\nHost: {PAGES}\r\nConnection: Upgrade\r\n'
                           'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
                           'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'.encode())
            head = b''
            while not head.endswith(b'\r\n\r\n'):
                piece = client.recv(1)
                if not piece:
                    raise AssertionError(f'cut in the head: {head}')
                head += piece
            if not head.startswith(b'HTTP/1.1 101 '):
                raise AssertionError(head[:200])
            for number in range(STREAM_ROUNDS):
                message = f'{number:8}'.encode()
                client.sendall(message)
                got = b''
                while len(got) < len(message):
                    piece = client.recv(len(message) - len(got))
                    if not piece:
                        raise AssertionError(f'cut in round {number}')
                    got += piece
                if got != message:
                    raise AssertionError(f'{got} for {message}')
                time.sleep(0.05)

    def version_of(self, pid):
        return subprocess.run([f'/proc/{pid}/exe', '--version'], capture_output=True, text=True,
                              check=True).stdout

    @contextlib.contextmanager
    def everything(self):
        """Each kind of what users do, all the time, while the routes change 50 times a second."""
        kinds = {
            'kept': [Counted(KeptConnection(self.plain)) for _ in range(4)],
            'kept, TLS': [Counted(KeptConnection(self.secure)) for _ in range(2)],
            'kept, POST': [Counted(KeptConnection(self.plain, 'POST', '/after/0.02'))],
            'new': [Counted(lambda: self.once(self.plain)) for _ in range(2)],
            'new, TLS': [Counted(lambda: self.once(self.secure, '/after/0.02'))],
            'web sockets': [Counted(self.web_socket) for _ in range(3)],
        }
        changes = Counted(self.change, CHANGE_S)
        for each in [*sum(kinds.values(), []), changes]:
            each.start()
        yield
        changes.finish()
        for kind, threads in kinds.items():
            failed = sum((each.finish().failed for each in threads), [])
            self.assertEqual(failed, [], kind)
            self.assertGreater(sum(each.done for each in threads), 10, kind)
        self.assertEqual(changes.failed, [])
        self.assertGreater(changes.done, LOAD_S / CHANGE_S / 3)

    def scenario_a_restart_and_an_upgrade_of_a_router_fail_nothing(self):
        if grpc_app.missing():
            self.skipTest(grpc_app.missing())
        self.start('calls', 'node', grpc_app.modules() / 'server.js', str(self.calls_port))
        wait_until('the calls listen', PATIENCE_S, lambda: 'listening' in self.log('calls'))
        first = self.start_router()
        with self.everything():
            client = self.start('client', 'node', grpc_app.modules() / 'handover.js',
                                f'127.0.0.1:{self.https}', CALLS, PAGES, self.trusted, str(LOAD_S))
            time.sleep(1.5)
            before = self.version_of(self.router)
            self.replace()
            first.wait(DRAIN_S + PATIENCE_S)  # by itself
            self.assertEqual(self.version_of(self.router), before)
            other_version(BIN / 'perigeed', self.folder).replace(self.program)
            second, third = self.replace()
            self.assertNotEqual(self.version_of(third), before)
            wait_until('the second has ended', DRAIN_S + PATIENCE_S, lambda: self.is_gone(second))
            self.assertEqual(client.wait(LOAD_S + PATIENCE_S), 0, self.log('client'))
        seen = json.loads(self.log('client').splitlines()[-1])
        for kind in ('unaries', 'streams', 'pages'):
            self.assertEqual(seen[kind]['failed'], [], kind)
            self.assertGreater(seen[kind]['done'], 5, kind)
        # What does not end is cut when the time of a drain is over, and not before.
        self.assertGreater(seen['held']['ms'], DRAIN_S * 1000)

    @staticmethod
    def is_gone(pid):
        """Ended, or a zombie that nobody here waits for."""
        try:
            stat = pathlib.Path(f'/proc/{pid}/stat').read_text()
        except OSError:
            return True
        return stat.rsplit(')', 1)[1].split()[0] == 'Z'

    def scenario_a_successor_that_can_not_serve_changes_nothing(self):
        self.start_router()
        (self.folder / 'router.toml').write_text('http = 5\n')
        os.kill(self.router, signal.SIGUSR2)
        wait_until('the router says why', PATIENCE_S, lambda: 'serves on' in self.log('router'))
        self.once(self.plain)
        self.write()
        self.replace()
        self.once(self.plain)

    def scenario_a_server_killed_in_mid_request_fails_what_can_not_be_repeated(self):
        self.start_router()
        reads = [Counted(KeptConnection(self.plain, path='/after/0.05')) for _ in range(8)]
        writes = [Counted(KeptConnection(self.plain, 'POST', '/after/0.05')) for _ in range(4)]
        for each in reads + writes:
            each.start()
        time.sleep(1)
        self.servers['first'].kill()
        time.sleep(2)
        failed = sum((each.finish().failed for each in reads), [])
        self.assertEqual(failed, [])
        for each in writes:  # what was under way there, once
            self.assertLessEqual(len(each.finish().failed), 1, each.failed)
        self.assertGreater(min(each.done for each in reads + writes), 5)


class NodeHandoverTest(Scenario):
    """A node whose perigeed is upgraded."""

    router_config = f'drain = "{DRAIN_S}s"\n'

    def scenario_an_upgrade_of_a_node_fails_no_request_and_no_machine(self):
        node = self.node
        node.deploy(images.nginx_folder(self.folder / 'steady', 'steady page\n', 'steady'))
        self.page_is('steady', 'steady page')
        vmm = [(pid, node.started_at(pid)) for pid in node.vmm_pids()]
        roles = ('perigeed', 'control', 'worker', 'router')
        before = {role: node.role_pid(role) for role in roles}
        program = self.new_release()

        def connect():
            return http.client.HTTPConnection('127.0.0.1', node.http_port, timeout=PATIENCE_S)

        def page():
            status, text = node.get('steady', https=True, timeout=PATIENCE_S)
            assert status == 200 and 'steady page' in text, (status, text)
        kept = Counted(KeptConnection(connect, host='steady.localhost'))
        new = Counted(page)
        kept.start()
        new.start()
        time.sleep(0.5)
        reload = subprocess.run([program, 'reload'], env=node.environment, capture_output=True,
                                text=True, timeout=120, check=False)
        self.assertEqual(reload.returncode, 0, reload.stdout + reload.stderr)
        after = {role: node.role_pid(role) for role in roles}
        time.sleep(DRAIN_S + 1)
        for load in (kept, new):
            self.assertEqual(load.finish().failed, [])
            self.assertGreater(load.done, 20)
        self.assertEqual(after['perigeed'], before['perigeed'])  # the service manager's process
        for role in roles:
            self.assertEqual(pathlib.Path(f'/proc/{after[role]}/exe').resolve(), program, role)
        self.assertEqual([(pid, node.started_at(pid)) for pid in node.vmm_pids()], vmm)
        wait_until('the former router has ended', PATIENCE_S,
                   lambda: not os.path.exists(f'/proc/{before["router"]}'))
        self.page_is('steady', 'steady page')

    def new_release(self):
        """Another release beside the first; its perigeed."""
        release = self.folder / 'new'
        (release / 'bin').mkdir(parents=True)
        other_version(BIN / 'perigeed', release).rename(release / 'bin/perigeed')
        for name in ('perigee', 'perigee-monitor'):
            (release / 'bin' / name).symlink_to((BIN / name).resolve())
        (release / 'guest').symlink_to((BIN.parent / 'guest').resolve())
        return (release / 'bin/perigeed').resolve()
