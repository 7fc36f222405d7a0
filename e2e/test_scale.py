"""How many machines an app has, and a node that takes no more: on one node with real machines.
Several nodes are in src/control/scale_test.cc and scale_sim_test.cc."""

import json

import images
from load import Load
from perigee_node import wait_until
from scenario import Scenario

SERVE = ('mkdir -p /www; echo here > /www/index.html; '
         'exec /bin/busybox httpd -f -p 8080 -h /www')
BOOT_S = 60


class ScaleTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.deploy(images.scratch_folder(
            cls.folder / 'many', 'many', ['/bin/busybox', 'sh', '-c', SERVE]))

    def cli(self, *words, check=True):
        return self.node.cli(*words, '-a', 'many', check=check)

    def started(self):
        return [one['id'] for one in self.node.machines('many') if one['state'] == 'started']

    def has(self, count):
        wait_until(f'{count} machines', BOOT_S,
                   lambda: len(self.started()) == len(self.node.machines('many')) == count)

    def scenario_a_node_that_is_cordoned_or_drained_takes_no_machine_and_loses_none(self):
        self.assertIn('cordoned', self.node.cli('nodes', 'cordon', 'e2e').stdout)
        self.assertIn('node e2e is cordoned', self.cli('scale', 'count', '2').stdout)
        self.node.cli('nodes', 'drain', 'e2e')
        refused = self.node.cli('nodes', 'remove', 'e2e', check=False)
        self.assertIn('node e2e still has machines', refused.stderr)
        self.assertEqual(len(self.started()), 1, 'there is no other node for it')
        self.node.cli('nodes', 'uncordon', 'e2e')
        self.has(2)
        listed = json.loads(self.node.cli('nodes', '--json').stdout)
        self.assertEqual([(one['name'], one['state']) for one in listed], [('e2e', 'ready')])

    def scenario_an_app_is_scaled_without_a_failed_request(self):
        self.cli('scale', 'count', '2')
        self.has(2)
        gone = self.started()[0]
        self.cli('machine', 'destroy', '--force', gone)
        wait_until('it is gone', BOOT_S, lambda: gone not in self.started())
        self.has(2)  # the number is kept
        with Load(lambda: self.node.get('many'), rate=20) as load:
            self.cli('regions', 'set', 'all')
            self.cli('scale', 'count', 'auto')
            self.has(1)
        self.assertEqual(load.failed(), [], load.describe())

    def scenario_regions_and_numbers_are_told_with_their_reasons(self):
        self.cli('scale', 'count', 'auto')
        self.assertIn('loc', self.cli('regions', 'set', 'loc').stdout)
        shown = json.loads(self.cli('scale', 'show', '--json').stdout)
        self.assertEqual([(one['region'], one['want']) for one in shown['targets']], [('loc', 1)])
        self.assertIn('one in each region', self.cli('scale').stdout)
        fleet = json.loads(self.cli('regions', '--json').stdout)
        self.assertEqual(fleet['regions'][0]['nodes_ready'], 1)
        self.assertEqual(fleet['app']['regions'], ['loc'])
        wrong = self.cli('regions', 'set', 'fra', check=False)
        self.assertIn('fra: no node is there; see `perigee regions list`', wrong.stderr)
