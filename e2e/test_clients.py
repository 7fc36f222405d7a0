"""Clients that other people wrote, against a router that a file configures, with a web app of
Node.js behind it: Chromium, ws, openssl, wrk, testssl.sh. (curl, nghttp, h2load and gRPC are in
test_http2.py; redis-cli, psql, dig in test_ports.py.)"""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import packages
from lone_router import HOST, start
from perigee_node import BIN, free_ports, wait_until

SOURCES = packages.ROOT / 'e2e/clients'
CLIENT_S = 120
TESTSSL_S = 600
# What testssl.sh says and is no fault of the router's.
EXCLUDED = {
    'engine_problem': 'its openssl has no GOST',
    'secure_renego': 'it fails to ask with openssl 3; the scenario with openssl does',
    'cert_chain_of_trust': "its list of CAs does not have the test's",
    'cert_trust': 'the same',
    'cert_revocation': 'the CA publishes no list of revoked certificates',
    'cert_crlDistributionPoints': 'the same',
    'cert_ocspURL': 'the same',
    # Tickets follow the handshake of TLS 1.3; it hangs up at once, so it sees one or not by luck.
    # The scenario with openssl resumes a session.
    'sessionresumption_ticket': 'it does not wait for the ticket',
    'DNS_CAArecord': 'localhost has no DNS records',
    'HSTS': "an app's to send",
    'security_headers': 'the same',
    'overall_grade': 'follows from the trust',
    'grade_cap_reason_1': 'the same',
}
GOOD_ENOUGH = {'OK', 'INFO', 'LOW'}


class ClientsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if shutil.which('node') is None:
            raise unittest.SkipTest('there is no Node.js here (apt-get install nodejs)')
        folder = tempfile.TemporaryDirectory(dir='/var/tmp', prefix='pg-clients-')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.folder.chmod(0o755)
        packages.fetch(packages.WS)
        packages.unpack(packages.WS, cls.folder / 'ws')
        cls.http, cls.https, cls.app = free_ports(3)
        cls.make_certificates()
        cls.start('app', 'node', SOURCES / 'server.js', cls.app)
        wait_until('the app listens', 20, lambda: 'listening' in cls.log('app'))
        (cls.folder / 'router.toml').write_text(f'''
http = ["127.0.0.1:{cls.http}"]
https = ["127.0.0.1:{cls.https}"]
access_log = "/dev/null"

[[app]]
name = "hello"
hosts = ["{HOST}", "127.0.0.1"]  # wrk takes the URL's for SNI
certificate = "leaf.pem"
private_key = "leaf.key"
machines = ["127.0.0.1"]

[app.http_service]
internal_port = {cls.app}
''')
        cls.start('router', BIN / 'perigeed', 'router', '--config', cls.folder / 'router.toml')
        wait_until('the router answers', 20, cls.answers)

    @classmethod
    def make_certificates(cls):
        """A CA, and a certificate for HOST by it."""
        def openssl(*words):
            subprocess.run(['openssl', *[str(word) for word in words]], cwd=cls.folder, check=True,
                           capture_output=True)
        key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')
        openssl('req', '-x509', *key, '-days', 90, '-subj', '/CN=a test', '-keyout', 'ca.key',
                '-out', 'ca.pem')
        openssl('req', *key, '-subj', f'/CN={HOST}', '-keyout', 'leaf.key', '-out', 'leaf.csr')
        (cls.folder / 'extensions').write_text(
            f'subjectAltName=DNS:{HOST}\nextendedKeyUsage=serverAuth\n'
            'keyUsage=critical,digitalSignature\nbasicConstraints=CA:FALSE\n')
        openssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', 90,
                '-extfile', 'extensions', '-out', 'leaf.pem')
        (cls.folder / 'leaf.key').chmod(0o644)  # for the router's user, which reads it anew

    @classmethod
    def start(cls, name, *command):
        return start(cls.addClassCleanup, cls.folder, name, *command,
                     environment={'NODE_PATH': str(cls.folder / 'ws/usr/share/nodejs')})

    @classmethod
    def log(cls, name):
        return (cls.folder / f'{name}.log').read_text()

    @classmethod
    def answers(cls):
        done = subprocess.run(['curl', '-sf', '-H', f'Host: {HOST}',
                               f'http://127.0.0.1:{cls.http}/data'], capture_output=True,
                              check=False)
        return done.stdout == b'data'

    def run_client(self, *command, given=None, timeout=CLIENT_S, **environment):
        return subprocess.run([str(word) for word in command], input=given, capture_output=True,
                              text=True, timeout=timeout, check=False,
                              env=os.environ | environment)

    def scenario_websockets(self):
        for url, ca in ((f'ws://127.0.0.1:{self.http}/', '-'),
                        (f'wss://127.0.0.1:{self.https}/', self.folder / 'ca.pem')):
            with self.subTest(url):
                done = self.run_client('node', SOURCES / 'socket.js', url, HOST, ca,
                                       NODE_PATH=str(self.folder / 'ws/usr/share/nodejs'))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(json.loads(done.stdout), {
                    'text': True, 'frames': 8, 'pong': 'are you there', 'closed': 1000,
                    'deflated': True, 'closedByServer': [4001, 'as asked'], 'cut': [1006, '']})

    def scenario_chromium_shows_a_page_and_talks_over_a_socket(self):
        if shutil.which('chromium') is None:
            self.skipTest('chromium is not installed: tools/setup test')
        public = subprocess.run(['openssl', 'x509', '-in', self.folder / 'leaf.pem', '-pubkey',
                                 '-noout'], capture_output=True, check=True).stdout
        der = subprocess.run(['openssl', 'pkey', '-pubin', '-outform', 'der'], input=public,
                             capture_output=True, check=True).stdout
        pinned = base64.b64encode(hashlib.sha256(der).digest()).decode()
        self.start(
            'chromium', 'chromium', '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
            '--disable-background-networking', f'--user-data-dir={self.folder}/chromium',
            f'--ignore-certificate-errors-spki-list={pinned}',
            f'--host-resolver-rules=MAP {HOST} 127.0.0.1', f'https://{HOST}:{self.https}/')
        wait_until('the page has asked and talked', CLIENT_S, lambda: 'says' in self.log('app'))
        self.assertIn('the page says: data, h2, hello over a socket\n', self.log('app'))

    def s_client(self, *words, given=''):
        done = self.run_client('openssl', 's_client', '-connect', f'127.0.0.1:{self.https}',
                               '-servername', HOST, '-CAfile', self.folder / 'ca.pem', *words,
                               given=given)
        return done.stdout + done.stderr

    def scenario_openssl(self):
        request = f'GET /data HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n'
        for version in ('-tls1_2', '-tls1_3'):
            for offered, chosen in (('h2,http/1.1', 'h2'), ('http/1.1', 'http/1.1')):
                with self.subTest(version, offered=offered):
                    said = self.s_client(version, '-alpn', offered)
                    self.assertIn(f'ALPN protocol: {chosen}', said)
                    self.assertIn('Verification: OK', said)
                    if version == '-tls1_2':
                        self.assertIn('Secure Renegotiation IS supported', said)
            with self.subTest(f'{version}: a request and its answer'):
                said = self.s_client(version, '-ign_eof', '-quiet', given=request)
                self.assertRegex(said, r'(?s)HTTP/1.1 200 OK.*data')
        with self.subTest('a session goes on'):
            session = self.folder / 'session'
            self.s_client('-tls1_3', '-ign_eof', '-sess_out', session, given=request)
            self.assertIn('Reused, TLSv1.3', self.s_client('-tls1_3', '-sess_in', session))
        for version in ('-tls1', '-tls1_1'):
            with self.subTest(f'{version} is refused'):
                said = self.s_client(version, '-cipher', 'DEFAULT@SECLEVEL=0')
                self.assertIn('Cipher is (NONE)', said)

    def scenario_wrk(self):
        for url in (f'http://127.0.0.1:{self.http}/data', f'https://127.0.0.1:{self.https}/data'):
            with self.subTest(url):
                done = self.run_client('wrk', '-t1', '-c8', '-d1s', '-H', f'Host: {HOST}', url)
                self.assertRegex(done.stdout, r'[1-9]\d* requests in')
                self.assertNotRegex(done.stdout, 'Non-2xx|Socket errors')

    def scenario_testssl_finds_nothing_above_low(self):
        if shutil.which('testssl') is None:
            self.skipTest('testssl.sh is not installed: tools/setup test')
        report = self.folder / 'testssl.json'
        done = self.run_client(
            'testssl', '--quiet', '--color', '0', '--warnings', 'off', '--jsonfile', report,
            '--add-ca', self.folder / 'ca.pem', '--ip', '127.0.0.1', '--nodns', 'min',
            f'https://{HOST}:{self.https}/', timeout=TESTSSL_S)
        self.assertTrue(report.exists(), done.stdout + done.stderr)
        found = json.loads(report.read_text())
        self.assertGreater(len(found), 80, done.stdout)  # it has looked
        bad = [f'{each["id"]}: {each["severity"]}: {each["finding"]}' for each in found
               if each['severity'] not in GOOD_ENOUGH and each['id'] not in EXCLUDED]
        self.assertEqual(bad, [])
        findings = {each['id']: each['finding'] for each in found}
        self.assertIn('offered', findings['TLS1_3'])


if __name__ == '__main__':
    unittest.main()
