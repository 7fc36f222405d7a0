"""kill -9 of each process in turn, while a client sends 50 requests per second."""

import contextlib
import os
import signal
import time

import images
from load import Load
from scenario import Scenario
from perigee_node import wait_until

BEFORE_S = 1
AFTER_S = 4
ROUTER_BACK_S = 1.0


class KillTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = images.nginx_folder(cls.folder / 'steady', 'steady page\n', 'steady')
        cls.node.deploy(folder)

    def setUp(self):
        self.page_is('steady', 'steady page')
        wait_until('one VM runs', 30, lambda: len(self.node.vmm_pids()) == 1)
        wait_until('one monitor runs', 30, lambda: len(self.node.monitor_pids()) == 1)

    def kill_under_load(self, pid):
        """kill -9 with the client running; returns the load and when it was."""
        with Load(lambda: self.node.get('steady')) as load:
            time.sleep(BEFORE_S)
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            time.sleep(AFTER_S)
        self.assertGreater(len(load.samples), 50 * (BEFORE_S + AFTER_S) * 0.8)
        self.assertFalse([one for one in load.failed() if one.sent < killed - 0.2],
                         'requests failed before anything was killed: ' + load.describe())
        return load, killed

    @contextlib.contextmanager
    def vm_stays(self):
        """The VM that runs before runs after: same process, same start."""
        vmm = self.node.vmm_pids()[0]
        started = self.node.started_at(vmm)
        instance = self.node.machine('steady')['instance_id']
        yield
        self.assertEqual(self.node.vmm_pids(), [vmm])
        self.assertEqual(self.node.started_at(vmm), started)
        machine = wait_until('control knows the machine again', 20, self.started_machine)
        self.assertEqual(machine['instance_id'], instance)

    def started_machine(self):
        try:
            machine = self.node.machine('steady')
        except (OSError, AssertionError):
            return None
        return machine if machine['state'] == 'started' else None

    def role_is_back(self, role, old):
        return wait_until(f'{role} runs again', 10, lambda: self.other_pid(role, old))

    def other_pid(self, role, old):
        try:
            pid = self.node.role_pid(role)
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid if pid != old else None

    def deploys_still_work(self):
        """The platform as a whole: a change goes through every role."""
        folder = images.nginx_folder(self.folder / 'after', f'made {time.time_ns()}\n', 'after')
        self.node.deploy(folder)
        self.page_is('after', (folder / 'index.html').read_text().strip())
        self.node.cli('destroy', 'after', '--yes')
        wait_until('its VM has ended', 20, lambda: len(self.node.vmm_pids()) == 1)

    def scenario_killed_control_fails_no_request_and_is_back(self):
        with self.vm_stays():
            old = self.node.role_pid('control')
            load, _ = self.kill_under_load(old)
            self.assertEqual(load.failed(), [], load.describe())
            self.role_is_back('control', old)
        self.deploys_still_work()

    def scenario_killed_worker_fails_no_request_and_adopts_its_vm(self):
        with self.vm_stays():
            old = self.node.role_pid('worker')
            load, _ = self.kill_under_load(old)
            self.assertEqual(load.failed(), [], load.describe())
            self.role_is_back('worker', old)
        self.deploys_still_work()

    def scenario_killed_router_is_back_within_a_second(self):
        with self.vm_stays():
            old = self.node.role_pid('router')
            load, killed = self.kill_under_load(old)
            late = [one for one in load.failed() if one.sent > killed + ROUTER_BACK_S]
            self.assertEqual(late, [], load.describe())
            self.role_is_back('router', old)

    def scenario_killed_supervisor_fails_no_request_and_its_successor_adopts(self):
        roles = {role: self.node.role_pid(role) for role in ('control', 'worker', 'router')}
        with self.vm_stays():
            old = self.node.role_pid('perigeed')
            load, _ = self.kill_under_load(old)
            self.assertEqual(load.failed(), [], load.describe())
            self.node.up()
            self.role_is_back('perigeed', old)
            now = {role: self.node.role_pid(role) for role in roles}
            self.assertEqual(now, roles, 'the roles were started anew instead of adopted')
        # The new supervisor is one: it starts what dies.
        self.kill_and_wait('worker')
        self.deploys_still_work()

    def kill_and_wait(self, role):
        old = self.node.role_pid(role)
        os.kill(old, signal.SIGKILL)
        self.role_is_back(role, old)

    def scenario_killed_vmm_is_reported_with_its_reason_and_started_again(self):
        vmm = self.node.vmm_pids()[0]
        os.kill(vmm, signal.SIGKILL)
        wait_until('another VM runs', 30, lambda: self.node.vmm_pids() not in ([], [vmm]))
        self.page_is('steady', 'steady page')
        machine = wait_until('the machine is started again', 20, self.started_machine)
        exits = [event for event in machine['events'] if event['type'] == 'exit']
        self.assertTrue(exits, machine['events'])
        self.assertIn('signal 9', str(exits))
        self.assertIn('VMM', str(exits))

    def scenario_killed_monitor_is_replaced_and_its_vm_goes_on(self):
        # Decision 0006: the VM survives; the worker starts another monitor, which adopts it.
        with self.vm_stays():
            monitor = self.node.monitor_pids()[0]
            load, _ = self.kill_under_load(monitor)
            self.assertEqual(load.failed(), [], load.describe())
            wait_until('another monitor runs', 30,
                       lambda: self.node.monitor_pids() not in ([], [monitor]))
        # The successor sees what its predecessor would have seen: the VM's end.
        exits = self.exits()
        vmm = self.node.vmm_pids()[0]
        os.kill(vmm, signal.SIGKILL)
        wait_until('another VM runs', 30, lambda: self.node.vmm_pids() not in ([], [vmm]))
        self.page_is('steady', 'steady page')
        wait_until('the machine is reported started', 20, self.started_machine)
        self.assertEqual(self.exits(), exits + 1)

    def scenario_killed_monitor_and_vmm_are_reported_and_started_again(self):
        exits = self.exits()
        monitor, vmm = self.node.monitor_pids()[0], self.node.vmm_pids()[0]
        os.kill(monitor, signal.SIGKILL)
        os.kill(vmm, signal.SIGKILL)
        wait_until('another VM runs', 30, lambda: self.node.vmm_pids() not in ([], [vmm]))
        self.page_is('steady', 'steady page')
        wait_until('the machine is reported started', 20, self.started_machine)
        self.assertEqual(self.exits(), exits + 1)

    def exits(self):
        events = self.node.machine('steady')['events']
        return len([event for event in events if event['type'] == 'exit'])

    def scenario_a_worker_killed_with_a_vmm_reports_what_happened(self):
        vmm = self.node.vmm_pids()[0]
        worker = self.node.role_pid('worker')
        os.kill(worker, signal.SIGKILL)
        os.kill(vmm, signal.SIGKILL)
        self.role_is_back('worker', worker)
        wait_until('another VM runs', 30, lambda: self.node.vmm_pids() not in ([], [vmm]))
        self.page_is('steady', 'steady page')
        machine = wait_until('the machine is started again', 20, self.started_machine)
        self.assertIn('signal 9', str(machine['events']))
