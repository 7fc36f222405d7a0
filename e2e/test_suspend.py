"""Suspend and resume with real VMs: what was in memory goes on, once."""

import os
import random
import signal
import time

import images
from scenario import Scenario
from perigee_node import wait_until

# Counts in memory, ten times a second, and shows the count, its clock, its boot and a random
# number, made just now.
COUNTER = (
    'mkdir -p /www; i=0; /bin/busybox httpd -p 8080 -h /www; while true; do i=$((i+1)); '
    'echo "$i $(/bin/busybox date +%s) $(/bin/busybox cat /proc/sys/kernel/random/boot_id) '
    '$(/bin/busybox head -c 16 /dev/urandom | /bin/busybox md5sum | /bin/busybox cut -c1-32)" '
    '>/www/n; /bin/busybox mv /www/n /www/now; echo "tick $i"; /bin/busybox sleep 0.1; done')
CLOCK_S = 3


class SuspendTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.deploy(images.scratch_folder(
            cls.folder / 'count', 'count', ['/bin/busybox', 'sh', '-c', COUNTER],
            service='auto_start_machines = false'))

    def setUp(self):
        self.path = f'/v1/apps/count/machines/{self.node.machine("count")["id"]}'
        if self.node.machine('count')['state'] != 'started':
            self.act('start')
        self.wait_for('started')
        self.look()

    def act(self, action):
        status, answer = self.node.api('POST', f'{self.path}/{action}')
        self.assertEqual(status, 200, answer)

    def wait_for(self, state):
        wait_until(f'the machine is {state}', 30,
                   lambda: self.node.machine('count')['state'] == state)

    def suspend(self):
        self.act('suspend')
        self.wait_for('suspended')
        wait_until('its VM is gone', 10, lambda: self.node.vmm_pids() == [])

    def start(self):
        self.act('start')
        self.wait_for('started')
        return self.look()

    def look(self):
        """count, clock, boot, random"""
        def page():
            try:
                status, text = self.node.get('count', '/now')
            except OSError:
                return None
            return text.split() if status == 200 and len(text.split()) == 4 else None
        count, clock, boot, noise = wait_until('the counter answers', 30, page)
        return int(count), int(clock), boot, noise

    def snapshot_files(self):
        machine = self.node.machine('count')['id']
        folder = self.node.state / 'machines' / machine / 'vm'
        return {name: folder / name for name in ('ram', 'vmm.state', 'snapshot.json')
                if (folder / name).exists()}

    def scenario_a_suspended_machine_goes_on_where_it_was(self):
        before = self.look()
        self.suspend()
        self.assertEqual(self.node.monitor_pids(), [])
        self.assertEqual(set(self.snapshot_files()), {'ram', 'vmm.state', 'snapshot.json'})
        status, text = self.node.get('count')
        self.assertEqual(status, 503)
        self.assertIn('suspended', text)
        time.sleep(CLOCK_S + 2)  # so that a clock which stood still is told from one that is right
        after = self.start()
        self.assertEqual(after[2], before[2], 'it was booted anew')
        wait_until('it counts on', 10, lambda: self.look()[0] > before[0])
        self.assertLess(after[0], before[0] + 40, 'it ran while it was suspended')
        self.assertLess(abs(self.look()[1] - time.time()), CLOCK_S, 'its clock is behind')
        self.assertNotIn('snapshot.json', self.snapshot_files(), 'it could be resumed twice')
        again = self.look()
        self.suspend()
        self.assertGreaterEqual(self.start()[0], again[0])
        self.assertEqual(self.look()[2], before[2])

    def scenario_output_goes_on_after_a_resume_without_loss(self):
        first = self.look()[0]
        self.suspend()
        self.start()
        last = self.look()[0]
        wait_until('the output is there', 10, lambda: f'tick {last}\n' in self.log())
        lines = self.log().splitlines()
        booted = max(number for number, line in enumerate(lines) if 'Starting instance' in line)
        ticks = [int(line.rsplit(' ', 1)[1]) for line in lines[booted:] if 'tick' in line]
        seen = [tick for tick in ticks if first <= tick <= last]
        self.assertEqual(seen, list(range(first, last + 1)))

    def log(self):
        return self.node.cli('logs', '-a', 'count', '--no-tail', '--lines', '400').stdout

    def scenario_a_suspended_machine_survives_kill_9_of_everything(self):
        before = self.look()
        self.suspend()
        for role in ('perigeed', 'control', 'worker', 'router'):
            os.kill(self.node.role_pid(role), signal.SIGKILL)
        self.node.up()
        wait_until('control answers again', 20, self.knows_the_machine)
        self.assertEqual(self.node.machine('count')['state'], 'suspended')
        self.assertEqual(self.start()[2], before[2])

    def knows_the_machine(self):
        try:
            return self.node.machine('count')['state'] in ('suspended', 'started')
        except (OSError, AssertionError):
            return False

    def scenario_stop_forgets_the_snapshot(self):
        before = self.look()
        self.suspend()
        self.act('stop')
        self.wait_for('stopped')
        self.assertEqual(self.snapshot_files(), {})
        self.assertNotEqual(self.start()[2], before[2])

    def scenario_a_snapshot_that_is_broken_is_not_resumed_but_booted(self):
        before = self.look()
        self.suspend()
        self.snapshot_files()['vmm.state'].write_bytes(b'no device state')
        after = self.start()
        self.assertNotEqual(after[2], before[2])
        self.assertEqual(len(self.node.vmm_pids()), 1)

    def scenario_only_a_started_machine_is_suspended(self):
        self.act('stop')
        self.wait_for('stopped')
        status, answer = self.node.api('POST', f'{self.path}/suspend')
        self.assertEqual(status, 409)
        self.assertIn('stopped', str(answer))
        self.start()

    def scenario_a_monitor_or_worker_killed_during_a_suspend_loses_nothing(self):
        chance = random.Random(7)
        for round_number in range(6):
            victim = self.node.monitor_pids()[0] if round_number % 2 else self.node.role_pid(
                'worker')
            before = self.look()
            self.act('suspend')
            time.sleep(chance.uniform(0, 0.25))
            os.kill(victim, signal.SIGKILL)
            wait_until('it is suspended, or runs', 30, self.has_settled)
            wait_until('it is told to start', 10, self.told_to_start)
            self.wait_for('started')
            after = self.look()
            self.assertEqual(after[2], before[2], f'round {round_number}: booted anew')
            self.assertGreaterEqual(after[0], before[0])
            self.assertEqual(len(self.node.vmm_pids()), 1)

    def told_to_start(self):
        return self.node.api('POST', f'{self.path}/start')[0] == 200

    def has_settled(self):
        try:
            machine = self.node.machine('count')
        except (OSError, AssertionError):
            return False
        vms = len(self.node.vmm_pids())
        return (machine['state'], vms) in (('suspended', 0), ('started', 1))
