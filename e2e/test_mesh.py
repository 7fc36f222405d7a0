"""What goes between nodes: keys and certificates change while users are served; NAT."""

import base64
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import shell_app
from lab import Lab, kill, mesh_interfaces
from perigee_node import BIN, wait_until

CITIES = ('iad', 'fra', 'syd')
ANNOUNCEMENT_S = 2
CERTIFICATE_S = 15  # renewed after 10
RATE = 40


class MeshChangeTest(unittest.TestCase):
    """Three cities, an app in fra. fra joins once more, as from behind a NAT (nobody knows where to
    call it), and with a certificate that lasts seconds."""

    lab = None

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.destroy)
        cls.roots = cls.lab.bring_up(CITIES)
        for city in CITIES:
            cls.configure(city, f'key_announcement = "{ANNOUNCEMENT_S}s"')
        cls.configure('iad', f'certificate_life = "{CERTIFICATE_S}s"')
        cls.restart('iad', 'control')
        wait_until('control is back', 20, lambda: cls.states().get('syd') == 'ready')
        cls.join_from_behind_nat('fra')
        for city in ('iad', 'syd'):
            cls.restart(city, 'link')
        wait_until('all nodes are ready', 30,
                   lambda: cls.states() == {city: 'ready' for city in CITIES})
        folder = tempfile.TemporaryDirectory(prefix='pg-', dir='/var/tmp')
        cls.addClassCleanup(folder.cleanup)
        app = shell_app.folder(pathlib.Path(folder.name) / 'there', 'there')
        cls.perigee('deploy', '--region', 'fra', cwd=app)
        wait_until('users of syd have the page', 30, lambda: cls.page('syd') == 'page\n')

    @classmethod
    def perigee(cls, *words, cwd='/'):
        return cls.lab.cli('exec', 'iad', '--', 'perigee', *words, cwd=cwd).stdout

    @classmethod
    def shown(cls, city):
        return json.loads(cls.perigee('nodes', 'show', city, '--json'))

    @classmethod
    def states(cls):
        done = cls.lab.cli('exec', 'iad', '--', 'perigee', 'nodes', '--json', check=False)
        nodes = json.loads(done.stdout) if done.returncode == 0 else []
        return {node['name']: node['state'] for node in nodes}

    @classmethod
    def configure(cls, city, line):
        path = cls.roots[city] / 'etc/perigee/perigeed.toml'
        path.write_text(path.read_text().replace('[fleet]\n', f'[fleet]\n{line}\n'))

    @classmethod
    def restart(cls, city, role):
        kill(f'perigeed {role} .*{cls.roots[city]}/')

    @classmethod
    def join_from_behind_nat(cls, city):
        pid_file = cls.roots[city] / 'run/perigee/perigeed.pid'
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGTERM)
        cls.perigee('nodes', 'drain', city)
        cls.perigee('nodes', 'remove', city)
        wait_until('the node is down', 20, lambda: not cls.runs(city))
        # As a new server: with a key that nobody has met, and no memory of where the others are.
        kill(f'wireguard-go .*{cls.lab.visit(city, mesh_interfaces)[0]}')
        for name in ('identity.json', 'wireguard.json'):
            (cls.roots[city] / 'var/lib/perigee/fleet' / name).unlink()
        config = cls.roots[city] / 'etc/perigee/perigeed.toml'
        config.write_text(''.join(line for line in config.read_text().splitlines(True)
                                  if not line.startswith('endpoint')))
        token = json.loads(cls.perigee('nodes', 'token', '--json'))['token']
        token_file = cls.lab.directory / 'token'
        token_file.write_text(token)
        cls.lab.start(cls.roots[city] / 'var/log/perigee/perigeed.log', 'exec', city, '--',
                      BIN / 'perigeed', '--join', f'{cls.lab.address("iad")}:4281',
                      '--token-file', token_file, '--endpoint', 'none')

    @classmethod
    def runs(cls, city):
        cities = json.loads(cls.lab.cli('status', '--json').stdout)['cities']
        return next(each['node_runs'] for each in cities if each['city'] == city)

    def certificate(self, city):
        identity = json.loads(
            (self.roots[city] / 'var/lib/perigee/fleet/identity.json').read_text())
        return identity['admission']['certificate']

    def peers(self, city):
        """By public key, what wireguard-go in the city counts."""
        name = self.lab.visit(city, mesh_interfaces)[0]
        path = f'/var/run/wireguard/{name}.sock'
        if not pathlib.Path(path).exists():
            self.skipTest("the kernel's WireGuard has no socket to be asked at")
        with socket.socket(socket.AF_UNIX) as device:
            device.connect(path)
            device.settimeout(5)
            device.sendall(b'get=1\n\n')
            text = ''
            while not text.endswith('\n\n'):
                text += device.recv(65536).decode()
        peers = {}
        for line in text.splitlines():
            key, _, value = line.partition('=')
            if key == 'public_key':
                current = peers.setdefault(base64.b64encode(bytes.fromhex(value)).decode(), {})
            elif key in ('rx_bytes', 'tx_bytes') and peers:
                current[key] = int(value)
        return peers

    def key_of(self, city):
        return self.shown(city)['wireguard_key']

    def rotate(self, *cities):
        before = {city: self.key_of(city) for city in cities}
        for city in cities:
            self.assertIn('ordered', self.perigee('nodes', 'rotate-keys', city))
        for city in cities:
            wait_until(f'{city} has another key', 30, lambda city=city: (
                self.key_of(city) != before[city] and 'key_rotation' not in self.shown(city)))
        return before

    def scenario_mesh_keys_and_certificates_change_under_load_and_no_request_is_lost(self):
        seconds = 24
        load = subprocess.Popen(
            [BIN / 'perigee', 'lab', 'load', 'there', '--from', 'syd', '--rate', str(RATE),
             '--seconds', str(seconds), '--json'],
            env=self.lab.environment, stdout=subprocess.PIPE, text=True)
        self.addCleanup(load.kill)
        begun = time.monotonic()
        first = self.certificate('fra')
        iad_to_syd = self.peers('iad')[self.key_of('syd')]

        old = self.rotate('fra')['fra']  # where the app is
        wait_until('syd has forgotten the old key', 10, lambda: old not in self.peers('syd'))
        self.assertIn(self.key_of('fra'), self.peers('syd'))
        after = self.peers('iad')[self.key_of('syd')]
        for count in ('rx_bytes', 'tx_bytes'):
            self.assertGreaterEqual(after[count], iad_to_syd[count], 'another peer was touched')
        self.rotate('syd', 'iad')  # the users' edge, and control, at one time
        self.assertLess(time.monotonic() - begun, seconds, 'the load is over: nothing was shown')

        told, _ = load.communicate(timeout=60)
        result = json.loads(told)
        self.assertEqual(result['outcomes'], {'200': RATE * seconds}, result)
        wait_until('the certificate was renewed twice', 2 * CERTIFICATE_S,
                   lambda: self.log('fra').count('certificate was renewed') >= 2)
        self.assertNotEqual(self.certificate('fra'), first)
        self.assertLess(ends_at(first), time.time())
        self.assertEqual(self.states(), {city: 'ready' for city in CITIES})
        self.assertIn('started', self.perigee('machine', 'list', '-a', 'there'))
        self.assertNotIn('403', self.log('fra'))

    def scenario_mesh_two_nodes_behind_nat_reach_each_other_through_a_third(self):
        self.join_from_behind_nat('syd')
        wait_until('syd is back', 30, lambda: self.states().get('syd') == 'ready')
        wait_until('its users have the page', 30, lambda: self.page('syd') == 'page\n')
        log = (self.roots['syd'] / 'var/lib/perigee/router/access.log')
        wait_until('the request is in the log', 5, lambda: '"relay":"iad"' in log.read_text())

    @classmethod
    def page(cls, city):
        return cls.lab.cli('curl', '--from', city, 'http://there.lab.test/', '--',
                            '--max-time', '5', check=False).stdout

    def log(self, city):
        return (self.roots[city] / 'var/log/perigee/link.log').read_text()


def ends_at(certificate):
    """Seconds since 1970."""
    with tempfile.NamedTemporaryFile('w', suffix='.pem') as file:
        file.write(certificate)
        file.flush()
        decoded = subprocess.run(['openssl', 'x509', '-noout', '-enddate', '-in', file.name],
                                 text=True, capture_output=True, check=True).stdout
    return ssl.cert_time_to_seconds(decoded.strip().removeprefix('notAfter='))
