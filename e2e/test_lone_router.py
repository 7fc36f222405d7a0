"""A router without a node: it serves what a file says, and reads it anew without a lost request."""

import contextlib
import http.client
import http.server
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from perigee_node import BIN, REPOSITORY, wait_until

HOST = 'hello.localhost'


class Answers(http.server.BaseHTTPRequestHandler):
    """Says its server's name, after the time that the path names."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        pause = re.fullmatch(r'/after/([0-9.]+)', self.path)
        if pause:
            time.sleep(float(pause[1]))
        body = self.server.named.encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Counts(Answers):
    """Knows how many requests it has had at once."""
    lock = threading.Lock()
    now = most = 0

    def do_GET(self):
        with Counts.lock:
            Counts.now += 1
            Counts.most = max(Counts.most, Counts.now)
        time.sleep(0.01)
        with Counts.lock:  # before the answer: the next request may come at once
            Counts.now -= 1
        super().do_GET()


@contextlib.contextmanager
def server(named, address, port, answers=Answers):
    served = http.server.ThreadingHTTPServer((address, port), answers)
    served.named = named
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield served.server_address[1]
    finally:
        served.shutdown()
        served.server_close()
        thread.join()


def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


class LoneRouterTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir='/var/tmp', prefix='pg-lone-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)
        self.file = self.folder / 'router.toml'
        self.http, self.https = free_port(), free_port()
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', f'/CN={HOST}',
                        '-addext', f'subjectAltName=DNS:{HOST}', '-keyout', self.folder / 'key.pem',
                        '-out', self.folder / 'cert.pem'], check=True, capture_output=True)
        (self.folder / 'key.pem').chmod(0o644)  # for the router's user, which reads it anew
        first = contextlib.ExitStack()
        self.addCleanup(first.close)
        self.port = first.enter_context(server('one', '127.0.0.1', 0))
        first.enter_context(server('two', '127.0.0.2', self.port))

    def write(self, machines, more=''):
        self.file.write_text(f'''
http = ["127.0.0.1:{self.http}"]
https = ["127.0.0.1:{self.https}"]
access_log = "/dev/null"
{more}
[[app]]
name = "hello"
hosts = ["{HOST}"]
certificate = "cert.pem"
private_key = "key.pem"
machines = {machines!r}
[app.http_service]
internal_port = {self.port}
''')

    def start(self):
        self.log = open(self.folder / 'router.log', 'wb')
        self.addCleanup(self.log.close)
        # PERIGEE_ROOT: no node's state of this server is looked at.
        router = subprocess.Popen([BIN / 'perigeed', 'router', '--config', self.file],
                                  stderr=self.log, stdout=self.log,
                                  env=os.environ | {'PERIGEE_ROOT': str(self.folder / 'none')})
        self.addCleanup(self.end, router)
        wait_until('the router answers', 20, self.answers, pause=0.05)
        return router

    @staticmethod
    def end(router):
        if router.poll() is None:
            router.kill()
        router.wait()

    def answers(self):
        try:
            return self.get() is not None
        except OSError:
            return False

    def get(self, path='/', tls=False, timeout=20):
        if tls:
            trusted = ssl.create_default_context(cafile=self.folder / 'cert.pem')
            plain = socket.create_connection(('127.0.0.1', self.https), timeout=timeout)
            connection = http.client.HTTPConnection(HOST, timeout=timeout)
            connection.sock = trusted.wrap_socket(plain, server_hostname=HOST)
        else:
            connection = http.client.HTTPConnection('127.0.0.1', self.http, timeout=timeout)
        with contextlib.closing(connection):
            connection.request('GET', path, headers={'Host': HOST})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def scenario_it_serves_reloads_and_drains(self):
        self.write(['127.0.0.1'])
        router = self.start()
        self.assertEqual(self.get(), (200, 'one'))
        self.assertEqual(self.get(tls=True), (200, 'one'))
        status = pathlib.Path(f'/proc/{router.pid}/status').read_text()
        self.assertIn('Uid:\t64990', status)
        with self.subTest('a new file takes effect, and loses no request'):
            self.no_request_is_lost(router)
        with self.subTest('a file with a mistake changes nothing'):
            self.file.write_text('[[app]]\nname = 7\n')
            router.send_signal(signal.SIGHUP)
            wait_until('the log says so', 20, lambda: self.says('what was read before stays'))
            self.assertIn('router.toml:2: app.name', self.text())
            self.assertEqual(self.get(), (200, 'two'))
        with self.subTest('a request under way is answered at the end'):
            answers = []
            asking = threading.Thread(target=lambda: answers.append(self.get('/after/1.5')))
            asking.start()
            time.sleep(0.5)
            router.terminate()
            asking.join()
            self.assertEqual(answers, [(200, 'two')])
            self.assertEqual(router.wait(20), 0)

    def no_request_is_lost(self, router):
        seen = []
        done = threading.Event()

        def ask():
            while not done.is_set():
                seen.append(self.get())
        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        for turn in range(20):
            self.write(['127.0.0.2'] if turn % 2 else ['127.0.0.1', '127.0.0.2'])
            router.send_signal(signal.SIGHUP)
            time.sleep(0.05)
        wait_until('the second server answers', 20, lambda: self.get() == (200, 'two'))
        done.set()
        for client in clients:
            client.join()
        self.assertGreater(len(seen), 50)
        self.assertEqual({status for status, _ in seen}, {200})

    def scenario_of_two_certificates_it_shows_that_which_the_client_can_check(self):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
                        '-subj', '/CN=rsa', '-addext', f'subjectAltName=DNS:{HOST}', '-keyout',
                        self.folder / 'rsa.key', '-out', self.folder / 'rsa.pem'], check=True,
                       capture_output=True)
        (self.folder / 'rsa.key').chmod(0o644)
        self.write(['127.0.0.1'])
        text = self.file.read_text()
        for one, two in (('"cert.pem"', '"rsa.pem"'), ('"key.pem"', '"rsa.key"')):
            text = text.replace(one, f'[{one}, {two}]')
        self.file.write_text(text)
        self.start()
        self.assertEqual(self.get(tls=True), (200, 'one'))
        for words, subject in (((), HOST), (('-tls1_2',), HOST),
                               (('-sigalgs', 'rsa_pss_rsae_sha256'), 'rsa'),
                               (('-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'), 'rsa')):
            shown = subprocess.run(
                ['openssl', 's_client', '-connect', f'127.0.0.1:{self.https}', '-servername', HOST,
                 *words], input='', capture_output=True, text=True, timeout=20, check=False)
            self.assertIn(f'subject=CN = {subject}\n', shown.stdout)

    def scenario_two_threads_hold_one_limit_and_go_on_with_each_others_sessions(self):
        with server('three', '127.0.0.3', self.port, Counts):
            self.write(['127.0.0.3'], more='threads = 2')
            with self.file.open('a') as file:
                file.write('concurrency = { type = "requests", soft_limit = 2, hard_limit = 3 }\n')
            router = self.start()
            names = [entry.name for entry in pathlib.Path('/proc').glob(f'{router.pid}/task/*')]
            self.assertGreater(len(names), 2)
            seen = []

            def ask():
                for _ in range(20):
                    seen.append(self.get()[0])
            clients = [threading.Thread(target=ask) for _ in range(24)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            self.assertLessEqual(Counts.most, 3)
            self.assertEqual(len(seen), 24 * 20)
            self.assertLessEqual(set(seen), {200, 503})
            self.assertGreater(seen.count(200), 24)
            self.sessions_go_on()

    def sessions_go_on(self):
        """On whichever thread a connection ends up."""
        trusted = ssl.create_default_context(cafile=self.folder / 'cert.pem')
        session, reused = None, []
        for _ in range(12):
            plain = socket.create_connection(('127.0.0.1', self.https), timeout=20)
            with trusted.wrap_socket(plain, server_hostname=HOST, session=session) as client:
                client.sendall(f'GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n'.encode())
                self.assertIn(b' 200 ', client.recv(1000))  # with the ticket before it
                reused.append(client.session_reused)
                session = client.session
        self.assertEqual(reused, [False] + [True] * 11)

    def scenario_a_wrong_file_is_told_with_its_line(self):
        for text, said in (('[[app]]\nname = "a"\n', r'router\.toml:\d+: app\.hosts'),
                           (None, 'No such file')):
            if text is None:
                self.file.unlink()
            else:
                self.file.write_text(text)
            router = subprocess.run([BIN / 'perigeed', 'router', '--config', self.file],
                                    capture_output=True, text=True, timeout=20, check=False)
            self.assertNotEqual(router.returncode, 0)
            self.assertRegex(router.stderr, said)

    def scenario_the_example_is_a_good_file(self):
        example = (REPOSITORY / 'examples/router/router.toml').read_text()
        self.file.write_text(example.replace('127.0.0.1:8080', f'127.0.0.1:{self.http}')
                             .replace('internal_port = 3000', f'internal_port = {self.port}'))
        self.start()
        self.assertIn(self.get(), [(200, 'one'), (200, 'two')])
        self.assertFalse(self.says('unknown'))

    def text(self):
        return (self.folder / 'router.log').read_text()

    def says(self, what):
        return what in self.text()


if __name__ == '__main__':
    unittest.main()
