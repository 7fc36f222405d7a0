"""What a restart of the host leaves: every process gone, /run empty, the disk as it was."""

import os
import shutil
import signal

import images
from scenario import Scenario
from perigee_node import wait_until

PAGE = ('mkdir -p /www; /bin/busybox cp /proc/sys/kernel/random/boot_id /www/index.html; '
        'exec /bin/busybox httpd -f -p 8080 -h /www')
OFF = 'auto_start_machines = false'


class HostRestartTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for app in ('halted', 'runs', 'saved'):
            cls.node.deploy(images.scratch_folder(
                cls.folder / app, app, ['/bin/busybox', 'sh', '-c', PAGE], memory=128, service=OFF,
                config='\n[[restart]]\npolicy = "never"\n'))

    def order(self, app, action, state):
        path = f'/v1/apps/{app}/machines/{self.node.machine(app)["id"]}'
        self.assertEqual(self.node.api('POST', f'{path}/{action}')[0], 200)
        self.is_in(app, state)

    def is_in(self, app, state):
        wait_until(f'{app} is {state}', 40, lambda: self.state_of(app) == state)

    def state_of(self, app):
        try:
            return self.node.machine(app)['state']
        except (OSError, AssertionError):
            return None

    def lose_the_host(self):
        # The supervisor first: it would start the roles again.
        for pid in [self.node.role_pid('perigeed')] + list(self.node.processes()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until('every process is gone', 10, lambda: not self.node.processes())
        shutil.rmtree(self.node.run)

    def scenario_what_ran_runs_again_and_what_rested_rests(self):
        boots = {app: self.node.get(app)[1] for app in ('runs', 'saved')}
        self.order('halted', 'stop', 'stopped')
        self.order('saved', 'suspend', 'suspended')
        self.lose_the_host()
        self.node.up()
        self.is_in('runs', 'started')
        again = wait_until('runs answers', 40, lambda: self.page('runs'))
        self.assertNotEqual(again, boots['runs'])
        self.assertEqual(self.state_of('halted'), 'stopped')
        self.assertEqual(self.state_of('saved'), 'suspended')
        self.assertEqual(len(self.node.vmm_pids()), 1)
        self.order('saved', 'start', 'started')
        self.assertEqual(wait_until('saved answers', 40, lambda: self.page('saved')),
                         boots['saved'], 'it was booted anew')

    def page(self, app):
        try:
            status, text = self.node.get(app)
        except OSError:
            return None
        return text if status == 200 else None

    def scenario_auto_destroy_goes_once_it_has_ended_though_the_worker_is_killed_then(self):
        self.node.api('POST', '/v1/apps', {'app_name': 'once'})
        config = {'image': self.node.machine('runs')['config']['image'], 'auto_destroy': True,
                  'guest': {'memory_mb': 128}, 'restart': {'policy': 'no'},
                  'init': {'exec': ['/bin/busybox', 'sh', '-c', 'sleep 1; exit 3']}}
        status, made = self.node.api('POST', '/v1/apps/once/machines', {'config': config})
        self.assertEqual(status, 200, made)
        wait_until('it runs', 40, lambda: self.state_of('once') == 'started')
        worker = self.node.role_pid('worker')
        os.kill(worker, signal.SIGKILL)
        wait_until('it is gone', 40, lambda: self.node.machines('once') == [])
        wait_until('its folder is gone', 20, lambda: not (
            self.node.state / 'machines' / made['id']).exists())
