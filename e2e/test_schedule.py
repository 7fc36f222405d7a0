"""A machine with a schedule, on a real node and the real clock: its hours begin with its creation,
which the test moves back in a backup of the store, so that one is over in some seconds."""

import base64
import hashlib
import json
import time

import images
from scenario import Scenario
from perigee_node import wait_until

HOUR_S = 3600
SOON_S = 6  # until a machine is due; longer than a node takes to start
START_S = 30
QUIET_S = 3
SERVER = ['/bin/busybox', 'httpd', '-f', '-p', '8080']


def with_creation(backup, machine, created_at):
    """The lines of a backup with another time of creation of one machine."""
    lines = [json.loads(line) for line in backup.read_text().splitlines()[:-1]]
    for line in lines[1:]:
        if base64.b64decode(line['key']).decode() == f'/machines/{machine}':
            value = json.loads(base64.b64decode(line['value']))
            value['created_at_ns'] = int(created_at * 1e9)
            line['value'] = base64.b64encode(json.dumps(value).encode()).decode()
    text = ''.join(json.dumps(line, separators=(',', ':')) + '\n' for line in lines)
    end = json.dumps({'sha256': hashlib.sha256(text.encode()).hexdigest()}, separators=(',', ':'))
    return text + end + '\n'


class ScheduleTest(Scenario):
    def state(self):
        return self.node.machine('hourly')['state']

    def starts_by_schedule(self):
        path = f'/v1/apps/hourly/machines/{self.machine}/events'
        return sum(event['source'] == 'schedule' for event in self.node.api('GET', path)[1])

    def stop(self):
        self.node.cli('machine', 'stop', self.machine, '-a', 'hourly')
        wait_until('it is stopped', START_S, lambda: self.state() == 'stopped')

    def restart_with_creation(self, created_at):
        backup = self.folder / 'backup'
        self.node.cli('store', 'backup', backup)
        self.node.cli('down', '--keep-machines')
        backup.write_text(with_creation(backup, self.machine, created_at))
        self.node.cli('store', 'restore', backup, '--force')
        self.node.up()

    def scenario_a_machine_with_a_schedule_is_started_on_time_and_made_up_for_once(self):
        self.node.deploy(images.scratch_folder(self.folder / 'hourly', 'hourly', SERVER,
                                               memory=128))
        self.machine = self.node.machine('hourly')['id']
        self.node.cli('machine', 'update', self.machine, '-a', 'hourly', '--schedule', 'hourly')
        self.stop()
        due = time.time() + SOON_S
        self.restart_with_creation(due - HOUR_S)
        while time.time() < due - 0.5:
            self.assertEqual(self.state(), 'stopped', f'{due - time.time():.1f} s too early')
            time.sleep(0.2)
        wait_until('its schedule has started it', START_S, lambda: self.state() == 'started')
        self.assertGreater(time.time(), due)
        self.assertEqual(self.starts_by_schedule(), 1)

        # What was missed while the node was down is made up for, once.
        self.stop()
        self.restart_with_creation(time.time() - HOUR_S - 1)
        wait_until('the hour that was missed is made up for', START_S,
                   lambda: self.state() == 'started')
        self.assertEqual(self.starts_by_schedule(), 2)
        self.stop()
        time.sleep(QUIET_S)
        self.assertEqual(self.state(), 'stopped')
