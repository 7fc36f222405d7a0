"""The pages of docs/operate, followed: a first fleet, a node more and less, backup and restore, the
server with control lost, etcd, a second control, an upgrade, a node killed for good. Each command
is the page's own, so that a page that is wrong fails here. What can't be followed in a namespace is
in NOT_RUN, with the reason.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import perigee_node
import shell_app
from pages import Page
from perigee_node import REPOSITORY, wait_until
from servers import Servers

READY_S = 60
BOOT_S = 90
SERVED_S = 30
HOST = 'hello.apps.example.org'
PROGRAMS = ('perigee', 'perigeed', 'perigee-monitor')
# The first server's; others are written by `perigeed --join`.
MORE_CONFIG = '\n[worker]\nmemory_mib = 1024\n\n[control]\nlost_after = "15s"\n'
NOT_RUN = {
    ('operate/fleet.md', 'What each server needs', 0):
        'apt-get and scp: what it installs is compared with tools/setup instead',
    ('operate/killed-node.md', 'A node that was killed for good', 2):
        "taps last where Firecracker has them alone: QEMU's go with it",
}


def started(machines):
    return {each['node'] for each in machines if each['state'] == 'started'}


class OperateTest(unittest.TestCase):
    """One scenario: each step goes on from the fleet that the one before it has left."""

    @classmethod
    def setUpClass(cls):
        if not (perigee_node.BIN / 'perigee').exists():
            raise AssertionError('build/release/bin/perigee is not built: ./dev build release')
        cls.servers = Servers()
        cls.addClassCleanup(cls.servers.destroy)
        folder = tempfile.TemporaryDirectory(prefix='pg-', dir='/var/tmp')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        names = ('fleet', 'nodes', 'store', 'upgrade', 'killed-node', 'guest-kernel', 'README')
        cls.pages = {name: Page(f'operate/{name}.md') for name in names}

    def page(self, name, heading, number=0, language='sh'):
        return self.pages[name].block(heading, number, language)

    # ---- looking at the fleet ----

    def api(self, server, path, body=None):
        token = server.read('/var/lib/perigee/token').decode().strip()

        def ask():
            connection = http.client.HTTPConnection('127.0.0.1', 4280, timeout=10)
            with contextlib.closing(connection):
                connection.request('POST' if body else 'GET', path, json.dumps(body or {}),
                                   {'Authorization': f'Bearer {token}'})
                return json.loads(connection.getresponse().read())
        return server.visit(lambda: quiet(ask))

    def states(self, server):
        answer = self.api(server, '/v1/nodes')
        return {node['name']: node['state'] for node in answer['nodes']} if answer else {}

    def await_state(self, server, state, *nodes):
        wait_until(f'{" ".join(nodes)} {state}', READY_S, lambda: all(
            self.states(server).get(node) == state for node in nodes), pause=0.2)

    def apps(self, server):
        return sorted(app['name'] for app in self.api(server, '/v1/apps')['apps'])

    def machines(self, server):
        return self.api(server, '/v1/apps/hello/machines') or []

    def await_machines(self, server, *nodes):
        wait_until(f'machines run on {" ".join(nodes)}', BOOT_S,
                   lambda: started(self.machines(server)) == set(nodes), pause=0.2)

    def page_of(self, server):
        """(status, text) for a user of this server's edge."""
        def ask():
            connection = http.client.HTTPConnection('127.0.0.1', 80, timeout=5)
            with contextlib.closing(connection):
                connection.request('GET', '/', headers={'Host': HOST, 'Connection': 'close'})
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
        return server.visit(lambda: quiet(ask))

    def serves(self, *servers):
        for server in servers:
            wait_until(f'{server.name} serves the app', SERVED_S,
                       lambda server=server: self.page_of(server) == (200, 'page\n'), pause=0.2)

    def vmms(self, server):
        return server.pids('qemu-system')

    # ---- steps ----

    def join(self, server, token_command, command):
        said = self.iad.run(token_command)
        token = re.search(r'pgj1-\S+', said)
        self.assertIsNotNone(token, said)
        self.assertIn('--token-file -', said)
        server.start(command, token[0])

    def scenario_operate_the_pages_are_followed_from_a_first_fleet_to_an_upgrade(self):
        self.first_fleet()
        self.a_node_more_and_less()
        self.back_to_a_backup()
        self.server_with_control_lost()
        self.move_to_etcd()
        self.second_control()
        self.upgrade()
        self.killed_for_good()
        left = {place for page in self.pages.values() for place in page.untaken()}
        self.assertEqual(left, set(NOT_RUN), 'blocks that this test neither runs nor excuses')

    def first_fleet(self):
        iad = self.iad = self.servers.add('iad-1', '203.0.113.7/24', '10.0.0.1/24')
        self.fra = self.servers.add('fra-1', '203.0.113.20/24', '10.0.0.2/24')
        self.sin = self.servers.add('sin-1', '203.0.113.30/24')
        copy_programs(iad)
        iad.write('/etc/perigee/perigeed.toml',
                  self.page('fleet', 'The first server', language='toml') + MORE_CONFIG)
        commands = self.page('fleet', 'The first server').splitlines(keepends=True)
        self.assertEqual(len(commands), 2)
        iad.run(commands[0])
        join = self.page('fleet', 'Each further server')
        self.join(self.fra, commands[1], join)
        self.join(self.sin, commands[1], join.replace('fra', 'sin'))
        self.await_state(iad, 'ready', 'iad-1', 'fra-1', 'sin-1')
        self.assertEqual([len(server.pids('--join')) for server in (self.fra, self.sin)], [1, 1])
        self.assertEqual(self.fra.pids('pgj1-') + self.sin.pids('pgj1-'), [])
        self.app = shell_app.folder(self.folder / 'hello', 'hello', memory=128)
        iad.run('perigee deploy', cwd=self.app)
        iad.run('perigee regions set all -a hello')
        self.await_machines(iad, 'iad-1', 'fra-1', 'sin-1')
        self.serves(iad, self.fra, self.sin)

    def a_node_more_and_less(self):
        iad = self.iad
        fra2 = self.servers.add('fra-2', '203.0.113.21/24')
        self.join(fra2, self.page('nodes', 'Adding one'), self.page('nodes', 'Adding one', 1))
        self.await_state(iad, 'ready', 'fra-2')
        self.assertRegex(iad.run(self.page('nodes', 'Adding one', 2)), r'fra-2 .*ready')
        iad.run('perigee scale count 2 --region fra -a hello')
        self.await_machines(iad, 'iad-1', 'fra-1', 'sin-1', 'fra-2')
        iad.run(self.page('nodes', 'Taking one out for a while'))
        self.await_machines(iad, 'iad-1', 'fra-1', 'sin-1', 'fra-2')
        self.assertIn('fra-2', iad.run(self.page('nodes', 'Retiring one for good')))
        wait_until('fra-2 has no machine', BOOT_S, lambda: not self.api(
            iad, '/v1/nodes/fra-2')['machine_list'], pause=0.2)
        iad.run(self.page('nodes', 'Retiring one for good', 1))
        self.assertNotIn('fra-2', self.states(iad))
        fra2.run(self.page('nodes', 'Retiring one for good', 2))
        self.assertEqual(fra2.leftovers(), [])
        self.serves(iad, self.fra, self.sin)

    def back_to_a_backup(self):
        iad = self.iad
        vmms = self.vmms(iad)
        iad.run(self.page('store', 'Backup and restore'))
        self.api(iad, '/v1/apps', {'app_name': 'later'})
        self.assertEqual(self.apps(iad), ['hello', 'later'])
        for number in (1, 2, 3):
            iad.run(self.page('store', 'Backup and restore', number))
        self.assertEqual(self.apps(iad), ['hello'])
        self.assertEqual(self.vmms(iad), vmms)
        self.await_state(iad, 'ready', 'iad-1', 'fra-1', 'sin-1')
        self.serves(iad, self.fra, self.sin)

    def server_with_control_lost(self):
        iad, vmms = self.iad, self.vmms(self.fra)
        kept = self.folder / 'kept'
        shutil.copytree(iad.root / 'root/kept', kept)  # to another place, as the page says
        iad.kill()
        iad.replace()
        copy_programs(iad)
        self.serves(self.fra, self.sin)  # meanwhile
        shutil.copytree(kept, iad.root / 'root/kept')
        iad.run(self.page('store', 'The server with control is gone'))
        self.await_state(iad, 'ready', 'iad-1', 'fra-1', 'sin-1')
        self.assertEqual(self.apps(iad), ['hello'])
        iad.run('perigee deploy', cwd=self.app)
        self.await_machines(iad, 'iad-1', 'fra-1', 'sin-1')
        self.assertNotEqual(self.vmms(self.fra), vmms)
        self.serves(iad, self.fra, self.sin)

    def move_to_etcd(self):
        heading = 'Setting etcd up'
        self.ord = self.servers.add('ord-1', '198.51.100.9/24', '10.0.0.3/24')
        copy_programs(self.ord)
        members = {'10.0.0.1': self.iad, '10.0.0.2': self.fra, '10.0.0.3': self.ord}
        office = self.folder / 'certificates'
        office.mkdir()
        self.iad.run(self.page('store', heading), cwd=office)
        for address, server in members.items():
            files = {'ca.pem': 'ca.pem', f'{address}.pem': 'node.pem', f'{address}.key': 'node.key'}
            for name, there in files.items():
                server.write(f'/etc/perigee/etcd/{there}', (office / name).read_text())
            server.start(self.page('store', heading, 1).replace('ip=10.0.0.1\n', f'ip={address}\n'))
        users = self.page('store', heading, 2)
        last = []

        def has_leader():
            last[:] = [self.iad.run(users.split('etcdctl user add root')[0] +
                                    'etcdctl endpoint health', check=False)]
            return 'is healthy' in last[0]
        try:
            wait_until('etcd has a leader', READY_S, has_leader, pause=0.2)
        except AssertionError as error:
            raise AssertionError(f'{error}: {last[0]}{self.iad.logs()}') from None
        self.iad.run(users)
        self.ord.write('/etc/perigee/etcd/password',
                       self.iad.read('/etc/perigee/etcd/password').decode())
        moving = 'Moving from SQLite to etcd'
        self.iad.write('/etc/perigee/perigeed.toml',
                       '\n' + self.page('store', moving, language='toml'), 'a')
        vmms = self.vmms(self.iad)
        self.iad.run(self.page('store', moving))
        self.assertEqual(self.vmms(self.iad), vmms)
        self.assertIn('engine = "etcd"', self.iad.read('/etc/perigee/perigeed.toml').decode())
        self.await_state(self.iad, 'ready', 'iad-1', 'fra-1', 'sin-1')
        self.assertEqual(self.apps(self.iad), ['hello'])

    def second_control(self):
        self.sin.kill()  # for what comes last: until then it counts as lost
        heading = 'More nodes with control'
        self.ord.write('/etc/perigee/perigeed.toml',
                       self.page('fleet', heading, language='toml'))
        self.join(self.ord, self.page('fleet', heading), self.page('fleet', heading, 1))
        wait_until('control answers on ord-1', READY_S, lambda: (
            self.ord.root / 'var/lib/perigee/token').exists() and self.api(self.ord, '/v1/apps'))
        self.await_state(self.ord, 'ready', 'iad-1', 'fra-1', 'ord-1')
        self.assertEqual(self.apps(self.ord), ['hello'])
        wait_until('a machine runs on ord-1', BOOT_S,
                   lambda: 'ord-1' in started(self.machines(self.ord)), pause=0.2)

    def upgrade(self):
        copy_programs(self.ord, '/opt/perigee.new')
        vmms = self.vmms(self.ord)
        shown = self.ord.run(self.page('upgrade', 'Upgrading'))
        self.assertRegex(shown, r'ord-1 .*ready')
        self.assertEqual(self.vmms(self.ord), vmms)
        self.assertTrue((self.ord.root / 'root/before-upgrade').exists())
        new = os.stat(self.ord.root / 'opt/perigee/bin/perigeed').st_ino
        running = (self.ord.root / 'run/perigee/perigeed.pid').read_text().split()[0]
        self.assertEqual(os.stat(f'/proc/{running}/exe').st_ino, new)
        self.serves(self.iad, self.fra, self.ord)

    def killed_for_good(self):
        self.await_state(self.iad, 'lost', 'sin-1')
        command = self.page('nodes', 'One that is gone')
        self.iad.run(command.replace('fra-2', 'sin-1'))
        self.assertNotIn('sin-1', self.states(self.iad))
        self.serves(self.iad, self.fra, self.ord)
        heading = 'A node that was killed for good'
        found = self.sin.run(self.page('killed-node', heading), check=False, cwd=REPOSITORY)
        name = re.search(r'perigee-([0-9a-f]{8})', found)
        self.assertIsNotNone(name, found)
        self.sin.run(self.page('killed-node', heading, 1).replace('1f00ab12', name[1]))
        self.assertEqual(self.sin.leftovers(), [])

    def scenario_operate_what_the_pages_name_exists(self):
        wanted = self.pages['fleet'].block('What each server needs').replace('\\\n', ' ')
        packages = re.search(r'apt-get install (.*)', wanted)[1].split()
        listed = subprocess.run([REPOSITORY / 'tools/setup', '--list', 'run'], check=True,
                                capture_output=True, text=True).stdout.split()
        self.assertEqual(sorted(packages), sorted(listed))
        for page in [*self.pages.values(), Page('lab.md')]:
            for words in page.inline_commands():
                self.assert_has_help(words, page.path)
        for line in Page('lab.md').block('The lab').splitlines():
            if line.startswith('sudo perigee lab'):
                words, _, options = line.split('#')[0].removeprefix('sudo ').partition(' --')
                text = self.assert_has_help(' '.join(words.split()[1:3]), 'lab.md')
                for option in re.findall(r'--[a-z-]+', f'--{options}' if options else ''):
                    self.assertIn(option, text, line)
        shown = subprocess.run([REPOSITORY / 'tools/dev/leftovers', '/'], check=False,
                               capture_output=True, text=True)
        if not pathlib.Path('/var/lib/perigee').exists():
            self.assertEqual((shown.returncode, shown.stdout + shown.stderr), (0, ''))

    def assert_has_help(self, words, page):
        done = subprocess.run([perigee_node.BIN / 'perigee', *words.split(), '--help'], text=True,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, f'{page}: `perigee {words}`: {done.stderr}')
        return done.stdout


def quiet(call):
    try:
        return call()
    except OSError:
        return None


def copy_programs(server, place='/opt/perigee'):
    """Programs of its own, where a release is copied to."""
    folder = pathlib.Path(server.here(place))
    if folder.is_symlink():
        folder.unlink()
    (folder / 'bin').mkdir(parents=True)
    for program in PROGRAMS:
        shutil.copy(perigee_node.BIN / program, folder / 'bin')
    (folder / 'guest').symlink_to(perigee_node.BIN.parent / 'guest')
