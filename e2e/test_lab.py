"""The lab: cities on this machine, as far apart as the earth has them."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import lab as lab_module
from lab import LAST_MILE_MS, PLACES, Lab, round_trip_ms
from perigee_node import wait_until

SLACK_MS = 8  # of the shortest of five, on a machine that has other things to do


class LabNetworkTest(unittest.TestCase):
    """Its network alone: what is between four cities, and that nothing stays."""

    lab = None

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.destroy)
        made = json.loads(cls.lab.cli('up', '--cities', ','.join(PLACES), '--json')
                          .stdout)
        cls.lab.id = made['id']
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

    def scenario_lab_another_up_repairs_what_was_killed(self):
        found = subprocess.run(['pgrep', '-f', f'lab wan --dir {self.lab.directory}'], text=True,
                               capture_output=True, check=True)
        os.kill(int(found.stdout), signal.SIGKILL)
        wait_until('the network is down', 5,
                   lambda: self.lab.cli('heal', check=False).returncode != 0)
        self.lab.cli('up')
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
        lab.id = json.loads(lab.cli('up', '--cities', 'iad,fra', '--json')
                            .stdout)['id']
        stray = subprocess.Popen([lab_module.BIN / 'perigee', 'lab', 'exec', 'iad', '--', 'sleep',
                                  '300'], env=lab.environment, stderr=subprocess.DEVNULL)
        mount = lab.directory / 'mounted'
        mount.mkdir()
        subprocess.run(['mount', '-t', 'tmpfs', 'none', mount], check=True)
        wait_until('a process in the city', 5, lambda: len(lab.leftovers()) > 5)
        found = subprocess.run(['pgrep', '-f', f'lab wan --dir {lab.directory}'], text=True,
                               capture_output=True, check=True)
        os.kill(int(found.stdout), signal.SIGKILL)
        (lab.directory / 'lab.json').write_text('{')  # and the disk was full
        started = time.monotonic()
        lab.cli('down')
        self.assertLess(time.monotonic() - started, 20)
        stray.wait(5)
        self.assertEqual(lab.leftovers(), [])
        self.assertFalse(pathlib.Path(lab.directory).exists())
        lab.cli('down')  # nothing to do is no failure
