"""A fleet of five cities, three of them with control and etcd, and what its users notice when parts
of it fail. The long forms, by environment: PERIGEE_OUTAGE_S (60) of all controls and etcd,
PERIGEE_CUT_S (20) of the network.
"""

import json
import os
import pathlib
import shutil
import tempfile
import time
import unittest

import fleet_check
import shell_app
from fleet_lab import FleetLab
from perigee_node import REPOSITORY, wait_until

CONTROLS = ('iad', 'ewr', 'ord')
CITIES = CONTROLS + ('fra', 'lhr')
APP_CITIES = ('iad', 'ord', 'fra')  # ewr's users are served from iad, lhr's from fra
OUTAGE_S = float(os.environ.get('PERIGEE_OUTAGE_S', '60'))
CUT_S = float(os.environ.get('PERIGEE_CUT_S', '20'))
RATE = 4  # requests a second and city
DETECTION_S = 2.0  # until nothing is sent to a node that is dead or cut off
SETTLE_S = 60
LOST_S = 20  # a node that says nothing for 15 s is lost


class FleetTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = FleetLab(CITIES, CONTROLS)
        cls.addClassCleanup(cls.lab.destroy)
        cls.lab.up()
        folder = tempfile.TemporaryDirectory(prefix='pg-', dir='/var/tmp')
        cls.addClassCleanup(folder.cleanup)
        cls.app = shell_app.folder(pathlib.Path(folder.name) / 'there', 'there')
        cls.lab.api('POST', '/v1/apps', body={'app_name': 'there'})
        cls.lab.perigee('regions', 'set', *APP_CITIES, '-a', 'there')
        cls.lab.perigee('deploy', cwd=cls.app)

    def setUp(self):
        self.lab.cli('up')  # what a scenario before this one has ended
        self.lab.await_ready()
        self.agree()

    def agree(self):
        last = []

        def look():
            last[:] = fleet_check.disagreements(str(self.lab.directory), CONTROLS[0])
            return not last
        try:
            wait_until('store, mesh and routes agree', SETTLE_S, look, pause=1)
        except AssertionError as error:
            raise AssertionError(f'{error}: {last}') from None

    def none_failed(self, users, city, besides=(), since=0.0):
        self.assertEqual(users.failed(city, besides), [], users.describe(since))

    def no_control_answers(self):
        self.assertEqual([self.lab.api('GET', '/v1/apps', city) for city in CONTROLS],
                         [None] * len(CONTROLS))

    def scenario_fleet_every_control_answers_and_a_deploy_by_any_is_everywhere(self):
        for control in CONTROLS:
            self.assertEqual(self.lab.states(control), {city: 'ready' for city in CITIES})
            listed = self.lab.perigee('machine', 'list', '-a', 'there', '--json', city=control)
            self.assertEqual(sorted(each['region'] for each in json.loads(listed.stdout)),
                             sorted(APP_CITIES))
        self.lab.perigee('deploy', city='ord', cwd=self.app)  # the image is uploaded there
        self.agree()
        before = self.rings()
        self.assertEqual(len(before), 1)
        self.lab.perigee('secrets', 'rotate-key', city='ewr')
        wait_until('all controls have the same new key ring', SETTLE_S,
                   lambda: len(self.rings()) == 1 and self.rings() != before)

    def rings(self):
        return {(self.lab.root(city) / 'etc/perigee/keys.json').read_text() for city in CONTROLS}

    def scenario_fleet_a_server_with_the_wrong_token_or_store_does_not_become_a_control(self):
        token = json.loads(self.lab.perigee('nodes', 'token', '--json').stdout)['token']
        folder = self.lab.directory / 'xxx'  # a server's, in the network of lhr
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        (folder / 'etc/perigee').mkdir(parents=True)
        config = (self.lab.root('ord') / 'etc/perigee/perigeed.toml').read_text()
        config = config.replace('node = "ord"', 'node = "xxx"').replace('10.90.3.1:', '10.90.5.1:')
        self.join_refused(folder, config, token, 'nodes token --control')
        elsewhere = config.replace('user = ', 'prefix = "/perigee/x"\nuser = ')
        self.join_refused(folder, elsewhere, token, 'there is no fleet in it')
        self.join_refused(folder, config.split('[store]')[0], token, "needs the fleet's etcd")
        self.assertNotIn('xxx', self.lab.states())

    def join_refused(self, folder, config, token, words):
        (folder / 'etc/perigee/perigeed.toml').write_text(config)
        done = self.lab.cli('exec', 'lhr', '--', 'env', f'PERIGEE_ROOT={folder}',
                            REPOSITORY / 'build/release/bin/perigeed', '--join',
                            self.lab.address('iad'), '--token', token, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(words, done.stdout + done.stderr)

    def scenario_fleet_without_control_and_etcd_no_request_fails_routers_restarted_meanwhile(self):
        with self.lab.users('there', RATE) as users:
            time.sleep(3)
            start = time.monotonic()
            for city in CONTROLS:
                self.lab.kill(city, '--data-dir=')
            for city in CONTROLS:
                self.lab.kill(city, 'perigeed', ' control ')
                self.lab.kill(city, 'perigeed', ' link ')
            self.no_control_answers()
            for number, city in enumerate(CITIES, 1):
                time.sleep(max(0, start + OUTAGE_S * number / (len(CITIES) + 1) - time.monotonic()))
                self.lab.reload(city)
            time.sleep(max(0, start + OUTAGE_S - time.monotonic()))
            self.no_control_answers()
            self.lab.cli('up')
            self.lab.await_ready()
            self.lab.perigee('deploy', cwd=self.app)
            time.sleep(2)
        self.assertGreater(users.asked(), 0.9 * OUTAGE_S * RATE * len(CITIES), 'they did ask')
        for city in CITIES:
            self.none_failed(users, city, since=start)
        self.agree()

    def scenario_fleet_a_node_that_dies_costs_the_requests_of_its_detection_alone(self):
        with self.lab.users('there', RATE, [city for city in CITIES if city != 'fra']) as users:
            time.sleep(3)
            moment = time.monotonic()
            self.lab.kill_city('fra')
            time.sleep(15)
        # Of those in flight and sent until detection, at most: nearer cities notice nothing.
        self.none_failed(users, 'lhr', [(moment - 1, moment + DETECTION_S)], moment)
        for city in CONTROLS:
            self.none_failed(users, city, since=moment)
        self.assertIsNotNone(users.answered_after('lhr', moment + DETECTION_S))

    def scenario_fleet_a_dead_control_node_costs_others_no_request_and_another_leads(self):
        others = [city for city in CITIES if city != 'ewr']
        with self.lab.users('there', RATE, others) as users:
            time.sleep(2)
            moment = time.monotonic()
            self.lab.kill_city('ewr')
            self.assertEqual(self.lab.api('POST', '/v1/apps', 'iad', {'app_name': 'meanwhile'})[0],
                             201)
            wait_until('nodes that asked it report to others', 30, lambda: all(
                self.lab.states('iad').get(city) == 'ready' for city in ('fra', 'lhr')) and
                self.lab.states('iad').get('ewr') == 'lost', pause=0.5)
        for city in others:
            self.none_failed(users, city, since=moment)
        self.lab.perigee('destroy', 'meanwhile', '--yes')

    def scenario_fleet_a_node_whose_own_control_can_not_start_is_served_by_the_others(self):
        ca = self.lab.root('ewr') / 'etc/etcd/ca.pem'
        away = ca.with_name('away.pem')
        with self.lab.users('there', RATE, ['ewr']) as users:
            moment = time.monotonic()
            ca.rename(away)  # without which its control does not trust its store
            self.addCleanup(lambda: away.exists() and away.rename(ca))
            self.assertEqual(len(self.lab.kill('ewr', 'perigeed', ' control ')), 1)
            self.lab.perigee('deploy', cwd=self.app)  # requests of ewr go to the new machines
            time.sleep(max(2, moment + LOST_S - time.monotonic()))
            self.assertIsNone(self.lab.api('GET', '/v1/apps', 'ewr', timeout=2))
            self.assertEqual(self.lab.states('iad')['ewr'], 'ready')
        self.none_failed(users, 'ewr', since=moment)
        away.rename(ca)
        wait_until('the control of ewr answers', 30,
                   lambda: self.lab.states('ewr').get('ewr') == 'ready', pause=0.5)
        self.agree()

    def scenario_fleet_each_half_of_a_cut_network_serves_and_all_agrees_when_it_has_healed(self):
        west, east = ('iad', 'ord'), ('ewr', 'fra', 'lhr')  # two controls, and one without majority
        self.addCleanup(self.lab.cli, 'heal')
        with self.lab.users('there', RATE) as users:
            time.sleep(3)
            moment = time.monotonic()
            self.lab.cut_in_two(west, east)
            cut = time.monotonic()
            time.sleep(CUT_S / 2)
            self.assertEqual(self.lab.api('POST', '/v1/apps', 'iad', {'app_name': 'west'})[0], 201)
            refused = self.lab.api('POST', '/v1/apps', 'ewr', {'app_name': 'east'})
            self.assertTrue(refused is None or refused[0] == 503, refused)
            time.sleep(max(0, cut + CUT_S - time.monotonic()))
            self.lab.cli('heal')
            self.lab.await_ready()
            self.agree()
            time.sleep(2)
        for city in CITIES:
            self.none_failed(users, city, [(moment - 1, cut + DETECTION_S)], moment)
        for control in CONTROLS:
            names = [app['name'] for app in self.lab.api('GET', '/v1/apps', control)[1]['apps']]
            self.assertEqual(sorted(names), ['there', 'west'], control)
        self.lab.perigee('destroy', 'west', '--yes')
