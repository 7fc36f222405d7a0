"""Choice and care, with other people's clients and servers: a router that runs alone in front of
two servers. Requests wait for a place, are compressed, replayed, led back to their machine; a
server that fails is set aside."""

import concurrent.futures
import gzip
import http.server
import subprocess
import threading
import time

from lone_router import HOST, LoneRouterCase
from perigee_node import wait_until

PAGE = '<p>a line of a page</p>\n' * 500
QUEUED = 6
SETTINGS = '''
[app.http_service.concurrency]
type = "requests"
soft_limit = 1
hard_limit = 1
[app.http_service.http_options]
compress = true
affinity = { cookie = "seat" }
[app.http_service.http_options.response]
headers = { Server = false, X-Frame-Options = "DENY" }
'''


class Careful(http.server.BaseHTTPRequestHandler):
    """/page, /slow, /who says its name, /to/NAME sends the request there, /broken hangs up."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        server = self.server
        with server.lock:
            server.now += 1
            server.most = max(server.most, server.now)
            server.seen.append((self.path, self.headers))
        try:
            self.answer_path(server)
        finally:
            with server.lock:
                server.now -= 1

    do_POST = do_GET

    def answer_path(self, server):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        if server.broken:
            self.close_connection = True
        elif self.path == '/slow':
            time.sleep(0.2)
            self.reply(server.named)
        elif self.path.startswith('/to/') and 'Fly-Replay-Src' not in self.headers:
            self.reply('not for clients', {'fly-replay': f'instance={self.path[4:]};state=abc'})
        elif self.path == '/page':
            self.reply(PAGE, {'Content-Type': 'text/html', 'ETag': '"1"'})
        else:
            self.reply(f'{server.named} {body.decode()}'.strip())

    def reply(self, text, headers=None):
        body = text.encode()
        self.send_response(200)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Care(LoneRouterCase):
    def setUp(self):
        super().setUp()
        self.one = self.careful('127.0.0.3', 0)
        self.port = self.one.server_address[1]
        self.two = self.careful('127.0.0.4', self.port)

    def careful(self, address, port):
        served = self.serve(address, address, port, Careful)
        served.broken, served.now, served.most, served.seen = False, 0, 0, []
        served.lock = threading.Lock()
        return served

    def start_before(self, machines, settings=SETTINGS):
        self.write(machines, more='threads = 1')  # each has its own opinion of a server
        self.file.write_text(self.file.read_text() + settings)
        return self.start()

    def curl(self, *words, path='/who'):
        """Runs curl over TLS; the head of the answer and its body."""
        command = ['curl', '-sS', '-i', '--max-time', '30', '--cacert',
                   str(self.certificate), '--resolve', f'{HOST}:{self.https}:127.0.0.1',
                   *words, f'https://{HOST}:{self.https}{path}']
        done = subprocess.run(command, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, f'{command}\n{done.stderr}')
        head, _, body = done.stdout.partition(b'\r\n\r\n')
        return head.decode().lower(), body

    def scenario_requests_wait_for_a_place_and_lose_nobody(self):
        self.start_before(['127.0.0.3'])
        with concurrent.futures.ThreadPoolExecutor(QUEUED) as pool:
            answers = list(pool.map(lambda _: self.get('/slow'), range(QUEUED)))
        self.assertEqual(answers, [(200, '127.0.0.3')] * QUEUED)
        self.assertEqual(self.one.most, 1)

    def scenario_responses_are_compressed_and_get_the_fields_that_the_app_wants(self):
        self.start_before(['127.0.0.3'])
        for version in ('--http1.1', '--http2'):
            with self.subTest(version):
                head, body = self.curl(version, '-H', 'Accept-Encoding: gzip', path='/page')
                self.assertIn('content-encoding: gzip', head)
                self.assertIn('etag: w/"1"', head)
                self.assertIn('vary: accept-encoding', head)
                self.assertIn('x-frame-options: deny', head)
                self.assertNotIn('server:', head)
                self.assertEqual(gzip.decompress(body).decode(), PAGE)
                self.assertLess(len(body), len(PAGE) / 10)
                plain, body = self.curl(version, path='/page')
                self.assertNotIn('content-encoding', plain)
                self.assertEqual(body.decode(), PAGE)

    def scenario_a_request_is_replayed_with_its_body_and_a_cookie_leads_back(self):
        self.start_before(['127.0.0.3', '127.0.0.4'])
        jar = self.folder / 'jar'
        for version in ('--http1.1', '--http2'):
            with self.subTest(version):
                head, body = self.curl(version, '-d', 'a body', '-H', 'fly-replay-src: forged',
                                       '-H', 'perigee-force-machine: 127.0.0.3',
                                       path='/to/127.0.0.4')
                self.assertEqual(body, b'127.0.0.4 a body')
                self.assertNotIn('fly-replay', head)
                self.assertNotIn('Fly-Replay-Src', self.one.seen[-1][1])
                told = self.two.seen[-1][1]
                self.assertRegex(told['Fly-Replay-Src'],
                                 r'^instance=127\.0\.0\.3;region=loc;t=\d+;state=abc$')
                self.assertEqual(told['Fly-Forwarded-Port'], told['perigee-forwarded-port'])
        _, first = self.curl('-c', str(jar))
        for _ in range(4):
            head, again = self.curl('-b', str(jar))
            self.assertEqual(again, first)
            self.assertNotIn('set-cookie', head)

    def scenario_a_server_that_fails_is_set_aside_and_comes_back(self):
        self.start_before(['127.0.0.3', '127.0.0.4'], settings='')
        self.two.broken = True
        tries = len(self.two.seen)
        self.assertEqual([self.get('/who') for _ in range(30)], [(200, '127.0.0.3')] * 30)
        self.assertLess(len(self.two.seen) - tries, 8)
        wait_until('the log says so', 10, lambda: self.says('127.0.0.4 is set aside'))
        self.two.broken = False
        wait_until('it serves again', 30, lambda: self.get('/who') == (200, '127.0.0.4'))
        answers = {self.get('/who')[1] for _ in range(10)}
        self.assertEqual(answers, {'127.0.0.3', '127.0.0.4'})
