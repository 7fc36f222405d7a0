"""The store, moved: from SQLite into etcd and back to an earlier day, a member of etcd killed on
the way, a second control taking over (these nodes run control alone); and deploys into VMs while
etcd's leader is killed, PERIGEE_ETCD_KILLS times."""

import json
import os
import pathlib
import random
import signal
import tempfile
import threading
import unittest

import images
from etcd import Etcd
from perigee_node import Node, wait_until
from scenario import Scenario

TAKE_OVER_S = 40  # 16 s, by the design
KILLS = int(os.environ.get('PERIGEE_ETCD_KILLS', '1'))


def control_node(etcd, name):
    """A node with control alone, which knows where etcd is and keeps its state in SQLite."""
    node = Node(settings='roles = ["control"]\n',
                more_config=f'[store]\nengine = "sqlite"\nendpoints = {json.dumps(etcd.urls)}\n')
    change_config(node, 'node = "e2e"', f'node = "{name}"')
    return node


def change_config(node, old, new):
    path = node.root / 'etc/perigee/perigeed.toml'
    text = path.read_text()
    assert old in text, text
    path.write_text(text.replace(old, new))


def apps(node):
    status, answer = node.api('GET', '/v1/apps')
    assert status == 200, answer
    return sorted(app['name'] for app in answer['apps'])


class StoreTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='pg-', dir='/var/tmp')
        self.addCleanup(folder.cleanup)
        self.backup = pathlib.Path(folder.name) / 'perigee.backup'
        self.etcd = Etcd()
        self.addCleanup(self.etcd.destroy)
        self.node = self.make_node('one')

    def make_node(self, name):
        node = control_node(self.etcd, name)
        self.addCleanup(node.destroy)
        return node

    def create(self, node, app):
        status, answer = node.api('POST', '/v1/apps', {'app_name': app})
        self.assertEqual(status, 201, answer)

    def refused(self, words, *command):
        done = self.node.cli('store', *command, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(words, done.stderr)

    def down(self, node):
        node.cli('down', '--keep-machines')

    def scenario_move_to_etcd_and_back_to_an_earlier_day(self):
        node = self.node
        self.refused('no store', 'backup', self.backup)
        node.up()
        self.create(node, 'first')
        node.cli('secrets', 'set', 'KEY=value', '-a', 'first', '--stage')
        node.cli('store', 'backup', self.backup)  # while control runs
        self.assertEqual(self.backup.stat().st_mode & 0o777, 0o600)
        self.create(node, 'second')
        self.refused('perigeed runs', 'migrate', '--to', 'etcd')

        self.down(node)
        node.cli('store', 'migrate', '--to', 'etcd')
        change_config(node, 'engine = "sqlite"', 'engine = "etcd"')
        node.up()
        self.assertEqual(apps(node), ['first', 'second'])
        self.assertIn('KEY', node.cli('secrets', 'list', '-a', 'first').stdout)
        self.etcd.kill(self.etcd.leader())
        self.create(node, 'third')

        self.down(node)
        self.refused('--force', 'restore', self.backup)
        cut = self.backup.with_name('cut')
        cut.write_bytes(self.backup.read_bytes()[:-40])
        self.refused('backup', 'restore', cut, '--force')
        node.cli('store', 'restore', self.backup, '--force')
        node.up()
        self.assertEqual(apps(node), ['first'])

    def scenario_a_second_control_follows_and_takes_over(self):
        one = self.node
        change_config(one, 'engine = "sqlite"', 'engine = "etcd"')
        one.up()
        two = self.make_node('two')
        change_config(two, 'engine = "sqlite"', 'engine = "etcd"')
        for name in ('etc/perigee/keys.json', 'var/lib/perigee/token', 'var/lib/perigee/ca.pem',
                     'var/lib/perigee/ca.key'):
            (two.root / name).parent.mkdir(parents=True, exist_ok=True)
            (two.root / name).write_bytes((one.root / name).read_bytes())
            (two.root / name).chmod(0o600)
        two.up()
        self.create(one, 'app')
        wait_until('the other control shows the app', 5, lambda: apps(two) == ['app'])
        self.assertEqual(self.etcd.value('/perigee/leaders/releases')['holder'], 'one')
        one.cli('store', 'backup', self.backup)

        for pid in sorted(one.processes()):  # as if the server had lost its power
            os.kill(pid, signal.SIGKILL)
        wait_until('the other control leads', TAKE_OVER_S, lambda: self.etcd.value(
            '/perigee/leaders/releases')['holder'] == 'two')
        self.assertEqual(self.etcd.value('/perigee/leaders/releases')['epoch'], 2)
        self.create(two, 'another')
        self.refused('another node', 'restore', self.backup)


class EtcdDeployTest(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.etcd = Etcd()
        cls.addClassCleanup(cls.etcd.destroy)
        cls.node_config = f'[store]\nengine = "etcd"\nendpoints = {json.dumps(cls.etcd.urls)}\n'
        super().setUpClass()

    def scenario_its_leader_killed_during_deploys_nothing_acknowledged_is_lost(self):
        chance = random.Random(1)
        for number in range(1, KILLS + 1):
            app = ['/bin/busybox', 'sh', '-c', f'mkdir /www; echo page {number} >/www/index.html; '
                   'exec /bin/busybox httpd -f -p 8080 -h /www']
            folder = images.scratch_folder(self.folder / f'v{number}', 'kept', app, memory=128)
            leader = self.etcd.leader()
            killer = threading.Timer(chance.uniform(0, 3), self.etcd.kill, [leader])
            killer.start()
            self.node.deploy(folder)
            killer.join()
            self.etcd.start(leader)
            self.page_is('kept', f'page {number}')
            wait_until('etcd has a leader', 30, lambda: self.etcd.leader() is not None)
        status, releases = self.node.api('GET', '/v1/apps/kept/releases')
        self.assertEqual(status, 200)
        self.assertEqual(sorted((each['version'], each['status']) for each in releases['releases']),
                         [(number, 'succeeded') for number in range(1, KILLS + 1)])
        self.assertEqual(len([one for one in self.node.machines('kept')
                              if one['state'] == 'started']), 1)
