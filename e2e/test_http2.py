"""HTTP/2 and gRPC with other people's clients and servers, on a node of its own: curl, nghttp,
h2load and gRPC's Node.js library; nginx and a gRPC server in machines."""

import hashlib
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import grpc_app
import images
from lone_router import self_signed, start
from perigee_node import BIN, free_ports, wait_until
from scenario import Scenario

REQUESTS = 2000
CALLS = 10000
CALLS_TO_A_MACHINE = 100  # emulated, where there is no KVM
MIB = 1024 * 1024
CLIENT_S = 180
# nginx takes uploads with these in its configuration.
UPLOADS = '''
RUN ["/bin/busybox", "sed", "-i", "s|root /www;|root /www; dav_methods PUT;|", \
     "/etc/nginx/nginx.conf"]
RUN ["/bin/busybox", "sed", "-i", "s|listen|client_max_body_size 64m; listen|", \
     "/etc/nginx/nginx.conf"]
RUN ["/bin/busybox", "chmod", "777", "/www"]
'''


class Http2(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = images.nginx_folder(cls.folder / 'pages', 'a page\n', 'pages')
        dockerfile = folder / 'Dockerfile'
        dockerfile.write_text(dockerfile.read_text().replace('\nEXPOSE', UPLOADS + 'EXPOSE'))
        cls.node.deploy(folder)

    def curl(self, *words, app='pages', path='/', check=True):
        """Runs curl for a page over TLS; its output, with the version and status at its end."""
        port = self.node.https_port
        command = ['curl', '-sS', '--max-time', '60', '--cacert', str(self.node.state / 'ca.pem'),
                   '--resolve', f'{app}.localhost:{port}:127.0.0.1',
                   '-w', '\n%{http_version} %{http_code}', *words,
                   f'https://{app}.localhost:{port}{path}']
        done = subprocess.run(command, capture_output=True, check=False)
        self.assertTrue(done.returncode == 0 or not check, f'{command}\n{done.stderr}')
        return done.stdout

    def scenario_curl_speaks_either_version_uploads_and_asks_for_ranges(self):
        self.page_is('pages', 'a page')
        self.assertEqual(self.curl('--http2'), b'a page\n\n2 200')
        self.assertEqual(self.curl('--http1.1'), b'a page\n\n1.1 200')
        plain = ['curl', '-sS', '--http2-prior-knowledge', '-w', '%{http_version}',
                 '-H', 'Host: pages.localhost', f'http://127.0.0.1:{self.node.http_port}/']
        self.assertEqual(subprocess.check_output(plain), b'a page\n2')
        sent = self.folder / 'sent'
        sent.write_bytes(os.urandom(3 * MIB))
        for version in ('--http2', '--http1.1'):
            with self.subTest(version):
                path = f'/up{version}'
                said = self.curl(version, '-T', str(sent), '-H', 'Expect: 100-continue', path=path)
                self.assertRegex(said, rb' 20[14]$')
                got = self.curl(version, path=path).rsplit(b'\n', 1)[0]
                self.assertEqual(hashlib.sha256(got).digest(),
                                 hashlib.sha256(sent.read_bytes()).digest())
                part = self.curl(version, '-r', '1000-1999', path=path)
                self.assertEqual(part.rsplit(b'\n', 1)[0], sent.read_bytes()[1000:2000])
                self.assertTrue(part.endswith(b' 206'))

    def scenario_nghttp_and_h2load_find_nothing_to_complain_of(self):
        self.page_is('pages', 'a page')
        url = f'http://127.0.0.1:{self.node.http_port}/'
        said = subprocess.run(['nghttp', '-nv', '-H', ':authority: pages.localhost', '-m', '10',
                               url], capture_output=True, text=True, timeout=60, check=True).stdout
        self.assertEqual(said.count(':status: 200'), 10, said)
        report = subprocess.run(
            ['h2load', '-n', str(REQUESTS), '-c', '4', '-m', '16',
             '-H', ':authority: pages.localhost', url],
            capture_output=True, text=True, timeout=120, check=True).stdout
        self.assertIn(f'{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout', report)
        self.assertRegex(report, rf'{REQUESTS} 2xx')

    def scenario_grpc_calls_of_every_kind_go_to_a_machine_and_back(self):
        if grpc_app.missing():
            self.skipTest(grpc_app.missing())
        self.node.deploy(grpc_app.app_folder(self.folder / 'calls', 'calls'))
        ca = self.node.state / 'ca.pem'
        seen = grpc_app.calls(f'127.0.0.1:{self.node.https_port}', 'calls.localhost', ca,
                              CALLS_TO_A_MACHINE, MIB, CLIENT_S)
        calls_went_well(self, seen)
        self.assertEqual(seen['many'], CALLS_TO_A_MACHINE)
        self.assertEqual(seen['large'], {'code': 0, 'same': True})


class GrpcAloneTest(unittest.TestCase):
    """The same client and server with a router that a file configures, without a machine."""

    def setUp(self):
        if grpc_app.missing():
            self.skipTest(grpc_app.missing())
        folder = tempfile.TemporaryDirectory(dir='/var/tmp', prefix='pg-grpc-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)
        self_signed(self.folder, 'cert', 'calls.localhost')
        self.http, self.https, self.port = free_ports(3)
        (self.folder / 'router.toml').write_text(f'''
http = ["127.0.0.1:{self.http}"]
https = ["127.0.0.1:{self.https}"]
access_log = "/dev/null"

[[app]]
name = "calls"
hosts = ["calls.localhost"]
certificate = "cert.pem"
private_key = "cert.key"
machines = ["127.0.0.1"]

[app.http_service]
internal_port = {self.port}
http_options = {{ h2_backend = true }}
concurrency = {{ type = "requests", soft_limit = 1000 }}
''')
        self.start('server', 'node', grpc_app.modules() / 'server.js', str(self.port))
        wait_until('the server listens', 20, lambda: 'listening' in self.log('server'))
        self.router = self.start('router', BIN / 'perigeed', 'router', '--config',
                                 self.folder / 'router.toml')

    def start(self, name, *command):
        return start(self.addCleanup, self.folder, name, *command)

    def most_memory(self):
        """The most that the router has had resident, in bytes."""
        status = pathlib.Path(f'/proc/{self.router.pid}/status').read_text()
        return int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) * 1024

    def log(self, name):
        return (self.folder / f'{name}.log').read_text()

    def scenario_ten_thousand_grpc_calls_and_messages_of_64_MiB(self):
        def calls(count, large):
            return grpc_app.calls(f'127.0.0.1:{self.https}', 'calls.localhost',
                                  self.folder / 'cert.pem', count, large, CLIENT_S)
        many = calls(CALLS, 0)
        calls_went_well(self, many)
        self.assertEqual(many['many'], CALLS)
        before = self.most_memory()
        self.assertEqual(calls(0, 64 * MIB)['large'], {'code': 0, 'same': True})
        self.assertLess(self.most_memory() - before, 24 * MIB)  # it keeps no message whole

    def scenario_what_the_router_refuses_is_a_status_of_grpc(self):
        plain = grpc_app.calls(f'127.0.0.1:{self.http}', 'calls.localhost', '-', 0, 0, CLIENT_S)
        calls_went_well(self, plain)
        self.assertEqual(plain['nobody']['code'], 12)
        self.assertIn('unknown_app', plain['nobody']['details'])


def calls_went_well(test, seen):
    test.assertEqual(seen['unary'], {'code': 0, 'text': 'hello', 'trailer': 'end'})
    test.assertEqual(seen['collect'], '6')
    test.assertEqual(seen['list'], ['x', 'x', 'x'])
    test.assertEqual(seen['chat'], ['0', '1', '2', '3', '4'])
    test.assertEqual(seen['refused'], {'code': 5, 'details': 'nothing there: ä', 'why': 'missing'})
    test.assertEqual(seen['cancel'], 1)
    test.assertGreaterEqual(seen['cancelledAtServer'], 1)
    test.assertEqual(seen['deadline'], 4)
