"""Encrypted volumes with real VMs: the app reads and writes, the server's disk holds ciphertext,
and the key is seen nowhere outside of the machine."""

import json
import pathlib
import secrets
import subprocess
import sys

import images
from perigee_node import wait_until
from scenario import Scenario
from sealed import open_sealed
from search import Search, needles_of

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'guest'))

import xts  # noqa: E402

TOKEN, OPEN_TOKEN = secrets.token_hex(16), secrets.token_hex(16)
# Writes the token at each boot, in two parts: the command itself must not be what is found.
COMMAND = ['/bin/busybox', 'sh', '-c',
           f'echo {TOKEN[:16]}""{TOKEN[16:]} >>/data/tokens; /bin/busybox sync; mkdir -p /www; '
           'ln -sf /data/tokens /www/tokens; '
           '/bin/busybox df -m /data | /bin/busybox tail -n 1 >/www/df; '
           'exec /bin/busybox httpd -f -p 8080 -h /www']
CONFIG = f'''
[env]
OPEN = "{OPEN_TOKEN}"

[mounts]
source = "data"
destination = "/data"
initial_size = "64mb"
'''
EXT4_MAGIC = slice(1024 + 56, 1024 + 58)


class EncryptedVolumesTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.context = images.scratch_folder(cls.folder / 'vault', 'vault', COMMAND, config=CONFIG)
        cls.node.api('POST', '/v1/apps', {'app_name': 'vault'})

    def cli(self, *words):
        return json.loads(self.node.cli(*words, '-a', 'vault', '--json').stdout)

    def boots(self):
        """How often the app has booted, by what it has written to its volume."""
        def page():
            try:
                status, text = self.node.get('vault', '/tokens')
            except OSError:
                return None
            return len(text.split()) if status == 200 else None
        return wait_until('vault answers', 40, page)

    def act(self, action, state):
        machine = self.node.machine('vault')['id']
        status, answer = self.node.api('POST', f'/v1/apps/vault/machines/{machine}/{action}')
        self.assertEqual(status, 200, answer)
        wait_until(f'the machine is {state}', 40,
                   lambda: self.node.machine('vault')['state'] == state)

    def feed(self):
        sock = self.node.run / 'control.sock'
        return Search({b'-': ''}).socket(sock, '/internal/v1/feed/node/e2e').decode()

    def sealed_key(self, volume):
        record = self.node.state / 'volumes' / volume / 'volume.json'
        return json.loads(record.read_text())['sealed_key']

    def key(self, volume):
        ring = self.node.root / 'etc/perigee/keys.json'
        return open_sealed(ring, 'volume-key', volume, self.sealed_key(volume))

    def disk(self, volume):
        return self.node.state / 'volumes' / volume / 'disk.ext4'

    def check_ciphertext(self, volume):
        """The token is on the disk for those who have the key, and for nobody else."""
        cipher, found = xts.Xts(self.key(volume)), False
        for at, raw in xts.data_of(self.disk(volume)):
            plain = cipher.decrypt(at, raw)
            found = found or TOKEN.encode() in plain
            self.assertNotIn(TOKEN.encode(), raw)
            if at == 0:
                self.assertEqual(plain[EXT4_MAGIC], b'\x53\xef')
                self.assertNotEqual(raw[EXT4_MAGIC], b'\x53\xef')
        self.assertTrue(found, 'the token is not on the disk')

    def scenario_an_encrypted_volume_is_ciphertext_on_the_server_and_lives_as_others_do(self):
        volume = self.cli('volumes', 'create', 'data', '--encrypted', '--size-mb', 64)
        self.assertTrue(volume['encrypted'])
        # What nobody wrote is noise to the guest: the new file system must be sound all the same.
        new = self.folder / 'new.ext4'
        raw = self.disk(volume['id']).read_bytes()
        new.write_bytes(xts.Xts(self.key(volume['id'])).decrypt(0, raw))
        check = subprocess.run(['e2fsck', '-fn', new], capture_output=True, text=True, check=False)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)

        self.node.deploy(self.context)
        self.assertEqual(self.boots(), 1)
        self.check_ciphertext(volume['id'])
        self.assertEqual([v['id'] for v in self.cli('volumes', 'list')], [volume['id']])

        self.node.cli('volumes', 'extend', volume['id'], '--size-mb', 128, '-a', 'vault')
        self.node.deploy(self.context)
        self.assertEqual(self.boots(), 2)
        size = int(self.node.get('vault', '/df')[1].split()[1])
        self.assertGreater(size, 100, 'the file system did not grow')

        self.act('suspend', 'suspended')
        self.act('start', 'started')
        self.assertEqual(self.boots(), 2, 'it was booted anew')

        before = self.sealed_key(volume['id'])
        self.assertEqual(self.node.api('POST', '/v1/keys/rotate')[0], 202)
        wait_until('the key is sealed anew', 10,
                   lambda: self.sealed_key(volume['id']) != before)
        self.act('stop', 'stopped')
        self.act('start', 'started')
        self.assertEqual(self.boots(), 3)

        made = self.cli('volumes', 'snapshots', 'create', volume['id'])
        copy = self.cli('volumes', 'create', 'copy', '--snapshot', made['id'])
        self.assertTrue(copy['encrypted'])
        self.check_ciphertext(copy['id'])
        self.check_ciphertext(volume['id'])
        self.search_for_key(volume['id'])

    def search_for_key(self, volume):
        machine = self.node.machine('vault')
        self.assertTrue(machine['config']['mounts'][0]['encrypted'])
        key = self.key(volume)
        halves = {**needles_of('the key', key[:32]), **needles_of('the key', key[32:])}
        search = Search({**halves, **needles_of('the control', OPEN_TOKEN.encode())})
        app = '/v1/apps/vault'
        good = search.api(self.node, [f'{app}/volumes', f'{app}/volumes/{volume}',
                                      f'{app}/machines', f'{app}/machines/{machine["id"]}',
                                      f'{app}/machines/{machine["id"]}/events',
                                      f'{app}/volumes/{volume}/snapshots'])
        self.assertEqual(len(good), 6, good)
        search.look('the feed', self.feed().encode())
        search.processes(self.node.processes())
        search.folder(self.node.root)
        found = {place for name, place in search.hits if name.startswith('the control')}
        for place in ('store.db', 'machine.json', 'spec.json', 'the feed', '/machines'):
            self.assertTrue(any(place in one for one in found), f'{place}: not searched? {found}')
        self.assertEqual([hit for hit in search.hits if not hit[0].startswith('the control')], [])
