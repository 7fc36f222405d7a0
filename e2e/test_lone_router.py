"""A router without a node: it serves what a file says, and reads it anew without a lost request."""

import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

import answers
from lone_router import HOST, RSA, LoneRouterCase, self_signed
from perigee_node import BIN, REPOSITORY, wait_until


class Counts(answers.Answers):
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


class LoneRouterTest(LoneRouterCase):
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
        self_signed(self.folder, 'rsa', HOST, key=RSA)
        self.write(['127.0.0.1'])
        text = self.file.read_text()
        for one, two in (('"cert.pem"', '"rsa.pem"'), ('"cert.key"', '"rsa.key"')):
            text = text.replace(one, f'[{one}, {two}]')
        self.file.write_text(text)
        self.start()
        self.assertEqual(self.get(tls=True), (200, 'one'))
        for words, subject in (((), 'cert'), (('-tls1_2',), 'cert'),
                               (('-sigalgs', 'rsa_pss_rsae_sha256'), 'rsa'),
                               (('-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'), 'rsa')):
            shown = subprocess.run(
                ['openssl', 's_client', '-connect', f'127.0.0.1:{self.https}', '-servername', HOST,
                 *words], input='', capture_output=True, text=True, timeout=20, check=False)
            self.assertIn(f'subject=CN = {subject}\n', shown.stdout)

    def scenario_two_threads_hold_one_limit_and_go_on_with_each_others_sessions(self):
        self.serve('three', '127.0.0.3', self.port, Counts)
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
        trusted = ssl.create_default_context(cafile=self.certificate)
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


if __name__ == '__main__':
    unittest.main()
