"""What apps write: kept through every daemon's death, searched where it is, readable afterwards."""

import os
import re
import signal
import subprocess
import time

import images
from perigee_node import BIN, wait_until
from scenario import Scenario

COUNTER = ('/bin/busybox mkdir -p /www; echo page > /www/index.html; '
           '/bin/busybox httpd -p 8080 -h /www; i=0; '
           'while true; do echo "count $i"; i=$((i+1)); /bin/busybox usleep 20000; done')
FAILING = 'echo "about to fail"; echo "because of X" >&2; exit 9'


def shell(script):
    return ['/bin/busybox', 'sh', '-c', script]


def numbers(text):
    return [int(number) for number in re.findall(r'count (\d+)$', text, re.MULTILINE)]


class LogsTest(Scenario):
    def logs(self, app, *words):
        return self.node.cli('logs', '-a', app, '--no-tail', '--lines', '10000', *words).stdout

    def scenario_no_line_is_lost_or_doubled_by_the_death_of_any_daemon(self):
        self.node.deploy(images.scratch_folder(self.folder / 'count', 'count', shell(COUNTER)))
        machine = self.node.machine('count')['id']
        follower = subprocess.Popen(
            [BIN / 'perigee', 'logs', '-a', 'count', '--lines', '10000'],
            env=self.node.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        try:
            for victim in ('worker', 'monitor', 'control', 'monitor'):
                before = numbers(self.logs('count'))[-1]
                pid = (self.node.monitor_pids()[0] if victim == 'monitor'
                       else self.node.role_pid(victim))
                os.kill(pid, signal.SIGKILL)
                wait_until(f'lines come after the death of the {victim}', 40,
                           lambda low=before: self.last_number('count') > low + 50)
                self.assertIsNone(follower.poll(), f'perigee logs ended with the {victim}')
            time.sleep(1)  # it connects again within a second
        finally:
            follower.kill()
        printed, complaints = follower.communicate()
        followed = numbers(printed)
        kept = numbers(self.logs('count'))
        self.assertEqual(kept, list(range(len(kept))), 'a line is missing or doubled')
        self.assertGreater(len(followed), len(kept) - 100, 'the follower was left behind')
        self.assertEqual(followed, list(range(len(followed))), 'the follower missed a line')
        self.assertIn('trying again', complaints)
        self.assertIn('connected again', complaints)

        # Searched where it is; by stream, time and machine.
        found = numbers(self.logs('count', '--search', 'count 17'))
        self.assertEqual([one for one in found if one <= kept[-1]],
                         [one for one in kept if str(one).startswith('17')])
        self.assertEqual(self.logs('count', '--stream', 'stderr'), '')
        self.assertEqual(self.logs('count', '--machine', 'nosuch'), '')
        self.assertEqual(self.logs('count', '--region', 'ams'), '')
        recent = numbers(self.logs('count', '--since', '2s', '--machine', machine))
        self.assertTrue(0 < len(recent) < len(kept), (len(recent), len(kept)))

    def last_number(self, app):
        try:
            found = numbers(self.node.cli('logs', '-a', app, '--no-tail', '--lines', '5').stdout)
        except AssertionError:  # control is away
            return -1
        return found[-1] if found else -1

    def scenario_a_deploy_is_watched_through_a_restart_of_control(self):
        slow = '/bin/busybox sleep 4; ' + COUNTER
        folder = images.scratch_folder(self.folder / 'slow', 'slow', shell(slow))
        deploy = subprocess.Popen([BIN / 'perigee', 'deploy'], cwd=folder,
                                  env=self.node.environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_until('the machine starts', 30, lambda: self.starting('slow'))
            os.kill(self.node.role_pid('control'), signal.SIGKILL)
            printed, complaints = deploy.communicate(timeout=60)
        finally:
            deploy.kill()
        self.assertEqual(deploy.returncode, 0, printed + complaints)
        self.assertIn('slow v1 is deployed', printed)
        self.assertIn('trying again', complaints)
        lines = [line for line in printed.splitlines() if line.startswith('    ')]
        self.assertEqual(len(lines), len(set(lines)), f'an event came twice: {printed}')

    def starting(self, app):
        status, machines = self.node.api('GET', f'/v1/apps/{app}/machines')
        return status == 200 and any(one['state'] == 'started' for one in machines)

    def scenario_the_output_of_a_failed_deploy_stays_readable(self):
        folder = images.scratch_folder(self.folder / 'fails', 'fails', shell(FAILING))
        done = self.node.deploy(folder, check=False)
        self.assertNotEqual(done.returncode, 0)
        wait_until('its machine is gone', 30, lambda: not self.node.machines('fails'))
        time.sleep(0.5)
        text = self.logs('fails')
        self.assertIn('about to fail', text)
        self.assertIn('because of X', self.logs('fails', '--stream', 'stderr'))
        self.assertNotIn('about to fail', self.logs('fails', '--stream', 'stderr'))
