"""Hosts of apps' own: certificates that are brought, of both kinds of key, and those that an
authority gives by ACME to whatever router it asks.
"""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

from lone_router import RSA, self_signed
from pebble import Pebble
from perigee_node import Node, wait_until

HOST = 'www.shop.test'
KNOWN, UNKNOWN = 'no_service', 'unknown_app'
# No machines: routers say themselves that the app serves nothing, which does for what is shown.
ROLES = 'roles = ["control", "router"]\n'


def s_client(port, host, *words):
    """What openssl says of a connection."""
    done = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{port}', '-servername',
                           host, *words], input='', capture_output=True, text=True, timeout=20,
                          check=False)
    return done.stdout + done.stderr


def fingerprint(port, host):
    """Of the certificate that is shown there; None where there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(('127.0.0.1', port), 10) as plain:
            with context.wrap_socket(plain, server_hostname=host) as secure:
                return hashlib.sha256(secure.getpeercert(binary_form=True)).hexdigest()
    except ssl.SSLError:
        return None


def kept_connection(port, host, context):
    """An HTTP connection over TLS, to be used again."""
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.sock = context.wrap_socket(socket.create_connection(('127.0.0.1', port), 20),
                                          server_hostname=host)
    return connection


def ask(connection, host):
    """What the router says of the host: KNOWN, or UNKNOWN."""
    connection.request('GET', '/', headers={'Host': host, 'Accept': 'application/json'})
    return json.loads(connection.getresponse().read())['status']


class CertsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node(ROLES).up()
        cls.addClassCleanup(cls.node.destroy)
        for app in ('shop', 'blog'):
            assert cls.node.api('POST', '/v1/apps', {'app_name': app})[0] == 201

    def certs(self, verb, *words, app='shop', check=True):
        return self.node.cli('certs', verb, *words, '-a', app, check=check)

    def bring(self, host, files, app='shop', check=True):
        return self.certs('import', host, '--fullchain', files[0], '--private-key', files[1],
                          app=app, check=check)

    def shown(self, host):
        return wait_until(f'{host} has a certificate', 20,
                          lambda: fingerprint(self.node.https_port, host))

    def scenario_certs_of_both_kinds_of_key_stand_side_by_side(self):
        folder, port = self.node.root, self.node.https_port
        self.bring(HOST, self_signed(folder, 'ecdsa', HOST))
        self.shown(HOST)
        self.bring(HOST, self_signed(folder, 'rsa', HOST, key=RSA))
        wait_until('RSA is shown', 20, lambda: 'CN = rsa' in s_client(
            port, HOST, '-tls1_3', '-sigalgs', 'rsa_pss_rsae_sha256'))
        self.assertIn('CN = ecdsa', s_client(port, HOST, '-tls1_3'))
        self.assertIn('CN = ecdsa', s_client(port, HOST, '-tls1_2'))
        self.assertIn('CN = rsa', s_client(port, HOST, '-tls1_2', '-cipher',
                                           'ECDHE-RSA-AES128-GCM-SHA256'))
        listed = json.loads(self.certs('list', '--json').stdout)['certificates']
        mine = next(each for each in listed if each['hostname'] == HOST)
        self.assertEqual({each['type'] for each in mine['certificates']}, {'ecdsa', 'rsa'})
        self.assertNotIn('PRIVATE KEY', self.certs('show', HOST, '--json').stdout)

    def scenario_certs_change_under_open_connections_and_sessions_go_on(self):
        host, folder, port = 'open.shop.test', self.node.root, self.node.https_port
        first = self_signed(folder, 'first', host)
        self.bring(host, first)
        before = self.shown(host)
        trusted = ssl.create_default_context(cafile=first[0])
        connection = kept_connection(port, host, trusted)
        self.addCleanup(connection.close)
        self.assertEqual(ask(connection, host), KNOWN)
        session = folder / 'session'
        # The ticket comes behind the handshake: the client must stay for the answer.
        self.save_session(port, host, session)
        self.bring(host, self_signed(folder, 'second', host))
        wait_until('the second is shown', 20, lambda: fingerprint(port, host) != before)
        self.assertEqual(ask(connection, host), KNOWN)
        self.assertIn('Reused', s_client(port, host, '-sess_in', session))
        self.certs('remove', host)
        wait_until('it is gone', 20, lambda: fingerprint(port, host) is None)
        self.assertEqual(ask(connection, host), UNKNOWN)

    def save_session(self, port, host, session):
        client = subprocess.Popen(
            ['openssl', 's_client', '-connect', f'127.0.0.1:{port}', '-servername', host,
             '-sess_out', session, '-quiet'], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client.stdin.write(f'GET / HTTP/1.1\r\nHost: {host}\r\n\r\n'.encode())
        client.stdin.flush()
        wait_until('a ticket has come', 20, lambda: session.exists() and session.stat().st_size)
        client.kill()
        client.wait()

    def scenario_certs_that_can_not_be_served_are_refused_with_the_next_step(self):
        folder = self.node.root
        good = self_signed(folder, 'good', 'good.shop.test')
        other = self_signed(folder, 'other', 'good.shop.test')
        for host, files, said in (
                ('good.shop.test', (good[0], other[1]), 'private key: it is not that of'),
                ('bad.shop.test', good, 'it is not for bad.shop.test'),
                ('good.shop.test', (good[1], good[1]), 'not PEM of certificates'),
                ('shop.localhost', good, 'below localhost'),
                ('bücher.test', good, 'xn--')):
            refused = self.bring(host, files, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(said, refused.stderr)
        self.bring('good.shop.test', good)
        taken = self.bring('good.shop.test', good, app='blog', check=False)
        self.assertIn("good.shop.test is app shop's", taken.stderr)
        self.bring('*.shop.test', self_signed(folder, 'wild', '*.shop.test'), app='blog')
        wait_until('the wildcard is shown', 20,
                   lambda: 'CN = wild' in s_client(self.node.https_port, 'any.shop.test'))
        self.assertIn('CN = good', s_client(self.node.https_port, 'good.shop.test'))
        no_authority = self.certs('add', 'auto.shop.test', check=False)
        self.assertIn('perigee certs import auto.shop.test', no_authority.stderr)


class Users(threading.Thread):
    """Comes again and again with a new connection; counts what fails."""

    def __init__(self, port, host, context):
        super().__init__(daemon=True)
        self.port, self.host, self.context = port, host, context
        self.done = threading.Event()
        self.good, self.failures = 0, []

    def run(self):
        while not self.done.is_set():
            try:
                connection = kept_connection(self.port, self.host, self.context)
                with contextlib.closing(connection):
                    assert ask(connection, self.host) == KNOWN
                self.good += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failures.append(repr(error))
            time.sleep(0.02)

    def end(self):
        self.done.set()
        self.join()


def second_router(node):
    """Another server with a router alone, which follows the first one's control."""
    second = Node('roles = ["router"]\n')
    config = second.root / 'etc/perigee/perigeed.toml'
    config.write_text(config.read_text().replace('node = "e2e"', 'node = "edge"'))
    second.run.mkdir(parents=True)
    (second.run / 'control.sock').symlink_to(node.run / 'control.sock')
    return second


class AcmeTest(unittest.TestCase):
    def setUp(self):
        self.node = Node(ROLES)
        self.addCleanup(self.node.destroy)
        self.second = second_router(self.node)
        self.addCleanup(self.second.destroy)
        # The authority asks the second server's router, which has asked for nothing.
        self.pebble = Pebble(self.second.http_port, self.second.https_port)
        self.pebble.__enter__()
        self.addCleanup(self.pebble.__exit__)
        self.config = self.node.root / 'etc/perigee/perigeed.toml'
        self.plain = self.config.read_text()
        self.configure('http-01')
        self.node.up()
        self.second.up()
        self.assertEqual(self.node.api('POST', '/v1/apps', {'app_name': 'shop'})[0], 201)

    def configure(self, challenge):
        self.config.write_text(self.plain + f'''
[acme]
directory = "{self.pebble.directory}"
contact = "ops@shop.test"
ca = "{self.pebble.ca}"
challenges = ["{challenge}"]
keys = ["ecdsa", "rsa"]
renew_after = "10s"
retry = "1s"
''')

    def host(self, host):
        return self.node.api('GET', f'/v1/apps/shop/certificates/{host}')[1]

    def add(self, host):
        status, added = self.node.api('POST', '/v1/apps/shop/certificates/acme',
                                      {'hostname': host})
        self.assertEqual(status, 201, added)

    def wait_ready(self, host):
        wait_until(f'{host} has certificates of both kinds', 60, lambda: {
            each['type'] for each in self.host(host)['certificates']} == {'ecdsa', 'rsa'})

    @contextlib.contextmanager
    def watched_clients(self):
        """What /proc says of the ACME client while the block runs."""
        seen, done = [], threading.Event()

        def watch():
            while not done.is_set():
                seen.extend(self.clients())
                time.sleep(0.01)
        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield seen
        finally:
            done.set()
            watching.join()

    def clients(self):
        """The status of each process of uacme that control has started."""
        control = self.node.role_pid('control')
        found = []
        for entry in pathlib.Path('/proc').iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / 'comm').read_text() == 'uacme\n':
                    status = (entry / 'status').read_text()
                    if f'PPid:\t{control}\n' in status:
                        found.append(status)
        return found

    def scenario_acme_issues_and_renews_by_both_challenges_at_a_router_that_did_not_ask(self):
        with self.watched_clients() as seen:
            self.add('a.shop.test')
            self.wait_ready('a.shop.test')
        self.assertTrue(seen, 'no process of the ACME client was seen')
        for status in seen:
            self.assertIn('Uid:\t64991\t64991\t64991\t64991', status)
            self.assertIn('NoNewPrivs:\t1', status)
            self.assertIn('CapBnd:\t0000000000000000', status)
        self.assertIn('acme_challenge', self.access_log(self.second))
        self.assertNotIn('acme_challenge', self.access_log(self.node))
        context = ssl.create_default_context(cadata=self.pebble.root())
        users = [Users(node.https_port, 'a.shop.test', context)
                 for node in (self.node, self.second)]
        wait_until('both routers show it', 20, lambda: all(
            fingerprint(each.port, each.host) for each in users))
        kept = kept_connection(self.second.https_port, 'a.shop.test', context)
        self.addCleanup(kept.close)
        for each in users:
            each.start()
        self.assertEqual(ask(kept, 'a.shop.test'), KNOWN)
        before = {each['type']: each['created_at']
                  for each in self.host('a.shop.test')['certificates']}
        with self.subTest('by TLS-ALPN-01, control killed and started anew in between'):
            self.configure('tls-alpn-01')
            os.kill(self.node.role_pid('control'), signal.SIGKILL)
            wait_until('control is back', 30, self.control_answers)
            self.add('b.shop.test')
            self.wait_ready('b.shop.test')
            self.assertTrue(s_client(self.second.https_port, 'b.shop.test').find('Pebble') >= 0)
        with self.subTest('renewed'):
            wait_until('both certificates are new', 60, lambda: all(
                before[each['type']] < each['created_at']
                for each in self.host('a.shop.test')['certificates']))
        self.assertEqual(ask(kept, 'a.shop.test'), KNOWN)
        for each in users:
            each.end()
            self.assertEqual(each.failures, [])
            self.assertGreater(each.good, 20)
        self.assertNotIn('PRIVATE KEY', self.everything_stored())
        self.node.down()
        self.assertEqual(list((self.node.run / 'acme').iterdir()), [])  # no account's key stays

    def control_answers(self):
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            return self.node.api('GET', '/v1/apps/shop')[0] == 200

    def access_log(self, node):
        return ''.join(path.read_text(errors='replace')
                       for path in (node.state / "router").glob("access.log"))

    def everything_stored(self):
        return ''.join(path.read_bytes().decode('latin-1')
                       for path in self.node.state.glob('store.db*'))


if __name__ == '__main__':
    unittest.main()
