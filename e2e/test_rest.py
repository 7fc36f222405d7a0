"""Machines that rest without requests and wake for one: no request fails."""

import json
import random
import time

import images
from scenario import Scenario
from perigee_node import wait_until

IDLE_S = 2
BOOT_ID = ('mkdir -p /www; /bin/busybox cp /proc/sys/kernel/random/boot_id /www/index.html; '
           'exec /bin/busybox httpd -f -p 8080 -h /www')
WAKE_S = 30
ROUNDS_S = 18


class RestTest(Scenario):
    node_config = f'\n[control]\nautostop_idle = "{IDLE_S}s"\n'

    def deploy(self, app, service):
        folder = images.scratch_folder(
            self.folder / app, app, ['/bin/busybox', 'sh', '-c', BOOT_ID], service=service)
        self.node.deploy(folder)

    def rests(self, app, state):
        wait_until(f'{app} is {state}', 30, lambda: self.node.machine(app)['state'] == state)

    def ask(self, app):
        """A page that must come, however long the machine takes to wake."""
        status, text = self.node.get(app, timeout=WAKE_S)
        self.assertEqual(status, 200, text)
        return text.strip()

    def sources(self, app):
        path = f'/v1/apps/{app}/machines/{self.node.machine(app)["id"]}/events'
        return [(event['type'], event['source']) for event in self.node.api('GET', path)[1]]

    def scenario_an_idle_machine_is_suspended_and_no_request_fails_around_it(self):
        self.deploy('nap', 'auto_stop_machines = "suspend"')
        boot = self.ask('nap')
        self.rests('nap', 'suspended')
        self.assertEqual(self.node.vmm_pids(), [])
        self.assertEqual(self.ask('nap'), boot, 'it was booted anew')
        self.assertIn(('suspend', 'autostop'), self.sources('nap'))
        self.assertIn(('resume', 'proxy'), self.sources('nap'))
        # Requests at moments around those at which it goes to rest.
        chance = random.Random(5)
        asked, end = 0, time.monotonic() + ROUNDS_S
        while time.monotonic() < end:
            time.sleep(IDLE_S + chance.uniform(-0.3, 1.7))
            self.assertEqual(self.ask('nap'), boot)
            asked += 1
        rests = self.sources('nap').count(('suspend', 'autostop'))
        self.assertGreaterEqual(rests, 2, f'{asked} requests, but it hardly ever rested')

    def scenario_the_command_line_orders_and_describes_machines(self):
        self.deploy('cli', 'auto_start_machines = false')
        machine = self.node.machine('cli')['id']

        def run(*words):
            return self.node.cli('machine', *words, '-a', 'cli', '--json').stdout

        run('stop', machine, '--signal', 'SIGTERM', '--timeout', '1s')
        run('wait', machine, '--state', 'stopped')
        self.assertEqual(json.loads(run('metadata', 'set', machine, 'team=blue')),
                         {'team': 'blue'})
        path = f'/v1/apps/cli/machines/{machine}'
        self.assertEqual(self.node.api('POST', f'{path}/lease', {'description': 'e2e'})[0], 200)
        refused = self.node.cli('machine', 'start', machine, '-a', 'cli', check=False)
        self.assertIn('e2e', refused.stderr)
        self.assertEqual(json.loads(run('lease', 'list', machine))['description'], 'e2e')
        run('lease', 'clear', machine)
        other = json.loads(run('clone', machine, '--skip-launch', '--name', 'second'))
        self.assertEqual(other['config']['metadata'], {'team': 'blue'})
        run('destroy', other['id'])
        changed = json.loads(run('update', machine, '-e', 'MODE=x', '--schedule', 'daily'))
        self.assertEqual(changed['config']['schedule'], 'daily')
        run('wait', machine, '--state', 'started')
        shown = self.node.cli('machine', 'status', machine, '-a', 'cli').stdout
        self.assertIn('update', shown)
        self.assertEqual(len(json.loads(run('list'))), 1)

    def scenario_a_stopped_machine_is_started_by_a_request_unless_autostart_is_off(self):
        self.deploy('woken', 'auto_stop_machines = "stop"')
        self.ask('woken')
        self.rests('woken', 'stopped')
        self.ask('woken')
        self.assertIn(('start', 'proxy'), self.sources('woken'))
        self.deploy('held', 'auto_start_machines = false')
        self.ask('held')
        machine = self.node.machine('held')['id']
        self.node.cli('machine', 'stop', machine, '-a', 'held')
        self.rests('held', 'stopped')
        status, text = self.node.get('held')
        self.assertEqual(status, 503)
        self.assertIn('stopped', text)
