"""A node's own life: down leaves nothing, up again brings the apps back; the demo."""

import subprocess
import time

import images
from scenario import Scenario
from perigee_node import REPOSITORY, wait_until

DEMO_AGAIN_S = 60


class LifeTest(Scenario):
    def scenario_down_leaves_nothing_and_up_brings_the_apps_back(self):
        self.node.deploy(images.nginx_folder(self.folder / 'back', 'i am back\n', 'back'))
        self.page_is('back', 'i am back')
        self.node.down()
        self.nothing_left()
        self.node.up()
        self.page_is('back', 'i am back')
        self.page_is('back', 'i am back', https=True)

    def scenario_up_twice_is_one_node_and_down_twice_is_no_error(self):
        self.node.up()
        supervisor = self.node.role_pid('perigeed')
        self.node.up()
        self.assertEqual(self.node.role_pid('perigeed'), supervisor)
        self.node.down()
        self.node.down()
        self.nothing_left()
        self.node.up()

    def scenario_a_stopped_machine_stays_stopped_and_starts_again(self):
        self.node.deploy(images.nginx_folder(self.folder / 'idle', 'idle page\n', 'idle'))
        machine = self.node.machine('idle')
        path = f'/v1/apps/idle/machines/{machine["id"]}'
        self.assertEqual(self.node.api('POST', f'{path}/stop')[0], 200)
        status, _ = self.node.api('GET', f'{path}/wait?state=stopped&timeout=8')
        self.assertEqual(status, 200)
        time.sleep(1)
        self.assertEqual(self.node.machine('idle')['state'], 'stopped')
        self.assertEqual(self.node.api('POST', f'{path}/start')[0], 200)
        self.page_is('idle', 'idle page')

    def scenario_the_root_disk_is_fresh_after_a_restart(self):
        command = ['/bin/busybox', 'sh', '-c',
                   'test -e /kept && echo was here || echo first start; echo x > /kept; '
                   'mkdir -p /www; echo page > /www/index.html; '
                   'exec /bin/busybox httpd -f -p 8080 -h /www']
        self.node.deploy(images.scratch_folder(self.folder / 'fresh', 'fresh', command))
        self.page_is('fresh', 'page')
        machine = self.node.machine('fresh')
        self.assertEqual(
            self.node.api('POST', f'/v1/apps/fresh/machines/{machine["id"]}/restart')[0], 200)
        wait_until('both starts are in the log', 30, lambda: self.node.cli(
            'logs', '-a', 'fresh', '--no-tail').stdout.count('first start') == 2)
        self.page_is('fresh', 'page')


class DemoTest(Scenario):
    """./dev demo as a person runs it, on its own ports and folder."""

    @classmethod
    def setUpClass(cls):
        pass  # it has a node of its own

    def dev(self, verb):
        start = time.monotonic()
        done = subprocess.run([REPOSITORY / 'dev', verb], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=600, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout, time.monotonic() - start

    def scenario_the_demo_prints_its_url_is_fast_again_and_leaves_nothing(self):
        self.dev('demo-stop')
        self.addCleanup(self.dev, 'demo-stop')
        output, _ = self.dev('demo')
        lines = output.splitlines()
        self.assertTrue([line for line in lines if 'http://hello.localhost:8080/' in line], output)
        self.assertTrue([line for line in lines if 'https://hello.localhost:8443/' in line], output)
        _, took = self.dev('demo')
        self.assertLess(took, DEMO_AGAIN_S)
        output, _ = self.dev('demo-stop')
        self.assertIn('nothing of it is left', output)
