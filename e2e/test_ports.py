"""Services that are no HTTP, with the clients that people use: redis-cli, psql, openssl, dig."""

import json
import os
import signal
import socket
import struct
import subprocess

import postgres
import wire_app
from perigee_node import free_ports, wait_until
from scenario import Scenario

START_S = 240  # the first deploy makes the images
CLIENT_S = 20
# Of this test alone, even where others run beside it. They lead nowhere but to this node.
NUMBER = os.getpid()
PREFIX4 = f'198.51.100.{NUMBER % 32 * 8}/29'
PREFIX6 = f'2001:db8:{NUMBER % 0x10000:x}::/64'
PROXY_SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'


class PortsTest(Scenario):
    """`wire` has addresses of its own, `db` a port of the node's."""

    @classmethod
    def setUpClass(cls):
        cls.db_port, cls.dead_port = free_ports(2)
        cls.settings = f'address_prefixes = ["{PREFIX4}", "{PREFIX6}"]\n'
        cls.router_config = f'tcp = ["127.0.0.1:{cls.db_port}", "127.0.0.1:{cls.dead_port}"]\n'
        super().setUpClass()
        cls.ca = str(cls.node.state / 'ca.pem')
        cls.node.cli('deploy', cwd=cls.make_db(), timeout=START_S)
        wire = wire_app.folder(cls.folder / 'wire', 'wire')
        cls.node.cli('deploy', cwd=wire, timeout=START_S)
        cls.address4 = cls.allocate('allocate-v4')
        cls.address6 = cls.allocate('allocate-v6')

    @classmethod
    def make_db(cls):
        folder = postgres.folder(cls.folder / 'db', 'db')
        toml = folder / 'perigee.toml'
        toml.write_text(toml.read_text().replace(
            f'[http_service]\ninternal_port = {postgres.PORT}\n',
            f'[[services]]\ninternal_port = {postgres.PORT}\n  [[services.ports]]\n'
            f'  port = {cls.db_port}\n  handlers = ["pg_tls"]\n'))
        return folder

    @classmethod
    def allocate(cls, verb):
        return json.loads(cls.node.cli('ips', verb, '-a', 'wire', '--json').stdout)['ip']

    def client(self, *words, check=True, text=''):
        """What a client prints."""
        done = subprocess.run([str(word) for word in words], input=text, text=True, check=False,
                              capture_output=True, timeout=CLIENT_S)
        if check and done.returncode != 0:
            raise AssertionError(f'{words}: {done.stdout}{done.stderr}')
        return done.stdout + done.stderr

    def redis(self, *words, address=None, port=6379):
        return self.client('redis-cli', '-h', address or self.address4, '-p', port, *words)

    def echo(self, port, text=b'', family=socket.AF_INET, count=None):
        """What comes back from the echo: `count` bytes, or as many as were sent."""
        address = self.address4 if family == socket.AF_INET else self.address6
        with socket.create_connection((address, port), CLIENT_S) as one:
            one.sendall(text)
            got = b''
            while len(got) < (count or len(text)):
                more = one.recv(65536)
                if not more:
                    break
                got += more
            return one.getsockname(), got

    def scenario_redis_is_reached_by_tcp_and_by_tls_at_addresses_of_its_own(self):
        self.assertEqual(self.redis('set', 'key', 'value').strip(), 'OK')
        self.assertEqual(self.redis('get', 'key').strip(), 'value')
        self.assertEqual(self.redis('get', 'key', address=self.address6).strip(), 'value')
        tls = ('--tls', '--cacert', self.ca, '--sni', 'wire.localhost')
        self.assertEqual(self.redis(*tls, 'get', 'key', port=6380).strip(), 'value')
        large = 'x' * 2_000_000
        self.client('redis-cli', '-h', self.address4, '-x', 'set', 'large', text=large)
        self.assertEqual(len(self.redis('get', 'large').strip()), len(large))

    def scenario_psql_goes_through_pg_tls_at_a_port_that_the_app_has_claimed(self):
        where = (f'hostaddr=127.0.0.1 host=db.localhost port={self.db_port} user=postgres '
                 f'dbname=postgres sslrootcert={self.ca} gssencmode=disable')
        for mode in ('require', 'verify-full'):
            # It says that it is starting up until it has recovered.
            wait_until('PostgreSQL answers psql', 60, lambda mode=mode: self.client(
                'psql', f'{where} sslmode={mode}', '-Atc', 'SELECT 6 * 7',
                check=False).strip() == '42')
        plain = self.client('psql', f'{where} sslmode=disable', '-c', 'SELECT 1', check=False)
        self.assertIn('takes TLS connections only', plain)
        # The port is taken; an address of its own is the way out, as the error says.
        other = self.make_other()
        first = self.node.cli('deploy', cwd=other, check=False)
        self.assertNotEqual(first.returncode, 0)
        self.assertIn(f'{self.db_port} belongs to app db', first.stderr)
        self.assertIn('perigee ips allocate-v4', first.stderr)
        # A port that nobody has claimed is closed.
        with socket.create_connection(('127.0.0.1', self.dead_port), CLIENT_S) as one:
            self.assertEqual(one.recv(1), b'')

    def make_other(self):
        folder = self.folder / 'other'
        folder.mkdir(exist_ok=True)
        self.node.api('POST', '/v1/apps', {'app_name': 'other'})
        (folder / 'perigee.toml').write_text(
            'app = "other"\n[build]\nimage = "127.0.0.1:1/none:1"\n[[services]]\n'
            f'internal_port = 1\n  [[services.ports]]\n  port = {self.db_port}\n')
        return folder

    def scenario_openssl_agrees_on_the_ports_own_alpn_and_version(self):
        words = ('openssl', 's_client', '-connect', f'{self.address4}:7003', '-servername',
                 'wire.localhost', '-CAfile', self.ca, '-verify_return_error')
        told = self.client(*words, '-alpn', 'other,echo/1')
        self.assertIn('ALPN protocol: echo/1', told)
        self.assertIn('Verify return code: 0 (ok)', told)
        self.assertIn('no application protocol',
                      self.client(*words, '-alpn', 'other', check=False))
        self.assertIn('alert', self.client(*words, '-tls1_2', check=False))

    def scenario_an_echo_gets_a_proxy_header_of_version_2_and_then_the_bytes(self):
        self.assertEqual(self.echo(7001, b'plain')[1], b'plain')
        self.assertEqual(self.echo(7001, b'plain', socket.AF_INET6)[1], b'plain')
        client, got = self.echo(7002, b'hello', count=28 + 5)
        self.assertEqual(got[:12], PROXY_SIGNATURE)
        version, family, size = struct.unpack('!BBH', got[12:16])
        self.assertEqual((version, family, size), (0x21, 0x11, 12))
        source, own, source_port, own_port = struct.unpack('!4s4sHH', got[16:28])
        self.assertEqual((socket.inet_ntoa(source), source_port), client[:2])
        self.assertEqual((socket.inet_ntoa(own), own_port), (self.address4, 7002))
        self.assertEqual(got[28:], b'hello')

    def scenario_datagrams_are_answered_from_the_address_that_was_asked(self):
        for family, address in ((socket.AF_INET, self.address4), (socket.AF_INET6, self.address6)):
            for port in (7000, 7009):
                with socket.socket(family, socket.SOCK_DGRAM) as one:
                    one.settimeout(CLIENT_S)
                    one.connect((address, port))  # so it hears nobody else
                    one.send(b'ping %d' % port)
                    self.assertEqual(one.recv(100), b'ping %d' % port)
        told = self.client('dig', f'@{self.address4}', '+short', '+time=5', '+tries=2',
                           'any.example', 'A')
        self.assertEqual(told.strip(), wire_app.ADDRESS)

    def scenario_ports_outlive_the_router_and_the_supervisor_and_end_with_the_node(self):
        self.redis('set', 'kept', 'yes')
        os.kill(self.node.role_pid('router'), signal.SIGKILL)
        self.assertEqual(self.redis('get', 'kept').strip(), 'yes')  # waits in the listener's queue
        os.kill(self.node.role_pid('perigeed'), signal.SIGKILL)
        self.assertEqual(self.redis('get', 'kept').strip(), 'yes')
        router = self.node.role_pid('router')
        self.node.up()
        self.assertEqual(self.node.role_pid('router'), router)  # adopted, with all its sockets
        self.assertEqual(self.redis('get', 'kept').strip(), 'yes')
        network = PREFIX4.split('/', maxsplit=1)[0]
        self.assertIn(network, self.client('ip', 'route', 'show', 'table', 'local'))
        self.node.down()
        self.assertNotIn(network, self.client('ip', 'route', 'show', 'table', 'local'))
        self.node.up()
        wait_until('redis answers again', 60, self.answers)

    def answers(self):
        return 'PONG' in self.client('redis-cli', '-h', self.address4, 'ping', check=False)
