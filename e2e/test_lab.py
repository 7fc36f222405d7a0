"""The lab: cities on this machine, as far apart as the earth has them."""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

import lab as lab_module
import shell_app
from lab import LAST_MILE_MS, PLACES, Lab, kill, mesh_interfaces, round_trip_ms
from perigee_node import REPOSITORY, wait_until

SLACK_MS = 8  # of the shortest of three, on a machine that has other things to do


class LabNetworkTest(unittest.TestCase):
    """Its network alone: what is between four cities, and that nothing stays."""

    lab = None

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.destroy)
        cls.lab.bring_up(PLACES, '--no-nodes')
        cls.echoes = [cls.lab.echo(city) for city in PLACES]
        for echo in cls.echoes:
            cls.addClassCleanup(echo.close)

    def takes(self, ms, source, to, user=False):
        measured = self.lab.best(source, to, user)
        self.assertIsNotNone(measured, f'{source} does not reach {to}')
        self.assertGreaterEqual(measured, ms - 0.2, f'{source} to {to}')
        self.assertLess(measured, ms + SLACK_MS, f'{source} to {to}')

    def scenario_lab_cities_are_as_far_apart_as_the_rule_says(self):
        for a in PLACES:
            for b in PLACES:
                if a < b:
                    self.takes(round_trip_ms(a, b), a, b)

    def scenario_lab_users_are_10_ms_from_their_edge_and_the_whole_way_from_others(self):
        for city in PLACES:
            self.takes(LAST_MILE_MS, city, city, user=True)
        self.takes(LAST_MILE_MS + round_trip_ms('syd', 'iad'), 'syd', 'iad', user=True)

    def scenario_lab_a_cut_ends_at_once_and_heals(self):
        self.addCleanup(self.lab.cli, 'heal')
        self.lab.cli('cut', 'fra')
        self.assertIsNone(self.lab.ask('iad', 'fra', timeout=0.5))
        self.assertIsNone(self.lab.ask('fra', 'syd', timeout=0.5))
        self.takes(LAST_MILE_MS, 'fra', 'fra', user=True)
        self.takes(round_trip_ms('iad', 'syd'), 'iad', 'syd')
        self.assertIn('fra-iad  cut', self.lab.cli('status').stdout)
        self.lab.cli('heal', 'iad-fra')
        self.takes(round_trip_ms('iad', 'fra'), 'iad', 'fra')
        self.assertIsNone(self.lab.ask('fra', 'syd', timeout=0.5))
        self.lab.cli('heal')
        self.takes(round_trip_ms('fra', 'syd'), 'fra', 'syd')

    def scenario_lab_a_path_gets_worse_and_recovers(self):
        self.addCleanup(self.lab.cli, 'heal')
        self.lab.cli('degrade', 'iad-fra', '--rtt', 300)
        self.takes(300, 'iad', 'fra')
        self.takes(round_trip_ms('iad', 'syd'), 'iad', 'syd')
        self.lab.cli('degrade', 'iad-fra', '--loss', 100)
        self.assertIsNone(self.lab.ask('iad', 'fra', timeout=0.5))
        self.lab.cli('heal', 'iad-fra')
        self.takes(round_trip_ms('iad', 'fra'), 'iad', 'fra')

    def scenario_lab_a_capture_holds_what_goes_between_cities_alone(self):
        path = self.lab.directory / 'wan.pcap'
        self.lab.cli('capture', path)
        self.lab.ask('iad', 'fra')
        self.lab.ask('iad', 'iad', user=True)
        self.lab.cli('capture')
        capture = path.read_bytes()
        self.assertEqual(capture[:4], b'\x4d\x3c\xb2\xa1')
        self.assertEqual(capture.count(b'x' * 100), 2, 'the question and the answer')

    def scenario_lab_a_bounded_path_carries_its_rate_in_frames_that_a_wire_takes(self):
        self.addCleanup(self.lab.cli, 'heal')
        path = self.lab.directory / 'rate.pcap'
        self.lab.cli('capture', path)
        self.lab.send('iad', 'fra', 1_000_000)
        self.lab.cli('capture')
        self.assertGreater(max(map(len, lab_module.frames(path))), 1514)
        self.lab.cli('degrade', 'iad-fra', '--rate', 8)
        self.lab.cli('capture', path)
        self.assertGreater(self.lab.send('iad', 'fra', 1_000_000), 1)
        self.lab.cli('capture')
        self.assertLessEqual(max(map(len, lab_module.frames(path))), 1514)

    def scenario_lab_another_up_repairs_what_was_killed(self):
        kill(f'lab wan --dir {self.lab.directory}')
        wait_until('the network is down', 5,
                   lambda: self.lab.cli('heal', check=False).returncode != 0)
        self.lab.cli('up', '--no-nodes')
        self.takes(round_trip_ms('iad', 'fra'), 'iad', 'fra')

    def scenario_lab_refuses_what_it_can_not_do_and_says_what_to_do(self):
        for words, expected in ((('up', '--cities', 'iad,zzz'), 'not a well-known region'),
                                (('up', '--cities', '3'), 'has other cities (iad,fra,syd,nrt)'),
                                (('cut', 'ams'), 'it has iad fra syd nrt'),
                                (('degrade', 'fra'), 'give at least one of --loss')):
            done = self.lab.cli(*words, check=False)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertIn(expected, done.stderr)


class LabDownTest(unittest.TestCase):
    """Down removes everything, whatever was killed before."""

    def scenario_lab_down_leaves_nothing_after_a_crash(self):
        lab = Lab()
        self.addCleanup(lab.destroy)
        roots = list(lab.bring_up(['iad', 'fra']).values())
        meshes = [name for city in ('iad', 'fra') for name in lab.visit(city, mesh_interfaces)]
        self.assertEqual(len(meshes), 2)
        stray = subprocess.Popen([lab_module.BIN / 'perigee', 'lab', 'exec', 'iad', '--', 'sleep',
                                  '300'], env=lab.environment, stderr=subprocess.DEVNULL)
        mount = lab.directory / 'mounted'
        mount.mkdir()
        subprocess.run(['mount', '-t', 'tmpfs', 'none', mount], check=True)
        for words in (f'lab wan --dir {lab.directory}', f'wireguard-go .*{meshes[0]}',
                      f'perigeed worker .*{roots[0]}/'):
            kill(words)
        os.kill(int((roots[1] / 'run/perigee/perigeed.pid').read_text().split()[0]),
                signal.SIGKILL)
        (lab.directory / 'lab.json').write_text('{')  # and the disk was full
        started = time.monotonic()
        lab.cli('down')
        self.assertLess(time.monotonic() - started, 20)
        stray.wait(5)
        self.assertEqual(lab.leftovers(), [])
        for root in roots:
            check = subprocess.run([REPOSITORY / 'tools/dev/leftovers', root], text=True,
                                   capture_output=True, check=False)
            self.assertEqual(check.stdout, '')
        for name in meshes:
            self.assertFalse(pathlib.Path(f'/var/run/wireguard/{name}.sock').exists(), name)
        lab.cli('down')  # nothing to do is no failure


class LabFleetTest(unittest.TestCase):
    """Nodes in the lab: each joins as a rented server would. An app runs in fra alone."""

    lab = None

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.destroy)
        cls.roots = cls.lab.bring_up(PLACES)
        folder = tempfile.TemporaryDirectory(prefix='pg-', dir='/var/tmp')
        cls.addClassCleanup(folder.cleanup)
        app = shell_app.folder(pathlib.Path(folder.name) / 'there', 'there')
        cls.perigee('deploy', '--region', 'fra', cwd=app)

    @classmethod
    def perigee(cls, *words, cwd='/'):
        return cls.lab.cli('exec', 'iad', '--', 'perigee', *words, cwd=cwd).stdout

    def states(self):
        token = (self.roots['iad'] / 'var/lib/perigee/token').read_text().strip()
        answer = self.lab.cli('exec', 'iad', '--', 'curl', '-sS', '-H',
                              f'Authorization: Bearer {token}', 'http://127.0.0.1:4280/v1/nodes')
        return {node['name']: node['state'] for node in json.loads(answer.stdout)['nodes']}

    def scenario_lab_each_city_is_a_node_that_has_joined(self):
        self.assertEqual(self.states(), {city: 'ready' for city in PLACES})
        for city in PLACES:
            if city != 'iad':
                self.assertIn('has joined the fleet',
                              (self.roots[city] / 'var/log/perigee/perigeed.log').read_text())

    def fetch(self, source, edge, *options):
        """(page, ms to its first byte) of the app, by users of `source` at the edge of `edge`."""
        done = self.lab.cli('curl', '--from', source, '--edge', edge, 'http://there.lab.test/',
                            '--', *options, check=False)
        self.assertIn(f'{source} to {edge} (simulated)', done.stderr)
        return done.stdout, float(re.search(r'first byte ([\d.]+) s', done.stderr)[1]) * 1000

    def scenario_lab_a_page_is_as_far_away_as_the_city_that_serves_it(self):
        page, near = self.fetch('fra', 'fra')
        self.assertEqual(page, 'page\n')
        self.assertGreater(near, 2 * LAST_MILE_MS)  # to connect, then to ask
        page, far = self.fetch('syd', 'fra')
        self.assertEqual(page, 'page\n')
        self.assertGreater(far, 2 * (LAST_MILE_MS + round_trip_ms('syd', 'fra')))

    def scenario_lab_every_edge_serves_an_app_that_runs_in_one_city(self):
        for city in PLACES:
            self.assertEqual(self.fetch(city, city)[0], 'page\n', city)

    def scenario_lab_users_wait_less_for_their_own_edge_than_for_a_far_origin(self):
        svg = self.lab.directory / 'latency.svg'
        self.fetch('syd', 'syd')  # the way from edge to edge is warm from here on
        report = json.loads(self.lab.cli('latency', 'there', '--origin', 'fra', '--requests', 3,
                                         '--svg', svg, '--json').stdout)
        self.assertIn('great-circle', report['simulated'])
        waits = {city['city']: (city['origin']['median_ms'], city['perigee']['median_ms'])
                 for city in report['cities']}
        origin, perigee = waits['syd']
        self.assertGreater(origin, 3 * (LAST_MILE_MS + round_trip_ms('syd', 'fra')))
        self.assertGreater(perigee, round_trip_ms('syd', 'fra'))
        self.assertLess(perigee, 0.6 * origin)
        self.assertIn('<svg', svg.read_text())

    def scenario_lab_an_app_behind_a_cut_is_back_when_it_has_healed(self):
        self.addCleanup(self.lab.cli, 'heal')
        self.lab.cli('cut', 'fra')
        self.assertEqual(self.fetch('fra', 'fra')[0], 'page\n')
        self.assertNotEqual(self.fetch('syd', 'syd', '--max-time', '20')[0], 'page\n')
        self.lab.cli('heal')
        wait_until('the page is back', 30,
                   lambda: self.fetch('syd', 'syd', '--max-time', '5')[0] == 'page\n')

    def scenario_lab_nothing_goes_between_cities_in_the_clear(self):
        path = self.lab.directory / 'clear.pcap'
        mark = 'X-Mark: only-for-the-app'
        wait_until('the page is there', 30, lambda: self.fetch('syd', 'syd')[0] == 'page\n')
        self.lab.cli('capture', path)
        self.assertEqual(self.fetch('syd', 'syd', '--header', mark)[0], 'page\n')
        self.perigee('machine', 'list', '-a', 'there')
        self.lab.cli('capture')
        encrypted = path.read_bytes()
        self.assertGreater(len(encrypted), 1000)
        self.assertNotIn(b'only-for-the-app', encrypted)
        # Users of an earlier scenario may still be closing connections to far edges.
        self.assertNotIn(b'HTTP/1.1', lab_module.between_nodes(path))
        self.lab.cli('capture', path)  # and had it been in the clear, it would have been seen
        self.fetch('syd', 'fra', '--header', mark)
        self.lab.cli('capture')
        self.assertIn(b'only-for-the-app', path.read_bytes())

    def scenario_lab_a_node_that_was_killed_is_started_by_another_up(self):
        pid = int((self.roots['fra'] / 'run/perigee/perigeed.pid').read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        wait_until('the node is down', 5, lambda: not self.node_runs('fra'))
        self.lab.cli('up')
        self.assertTrue(self.node_runs('fra'))
        self.assertEqual(self.states()['fra'], 'ready')

    def node_runs(self, name):
        cities = json.loads(self.lab.cli('status', '--json').stdout)['cities']
        return next(city['node_runs'] for city in cities if city['city'] == name)
