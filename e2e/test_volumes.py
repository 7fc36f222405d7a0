"""Volumes with real VMs: data that outlives machines, and whose it is."""

import json
import subprocess

import images
from perigee_node import wait_until
from scenario import Scenario

# Appends a word to a file of its volume at each boot; serves that file, and what `df` says.
COMMAND = ['/bin/busybox', 'sh', '-c',
           'echo boot >>/data/boots; /bin/busybox sync; mkdir -p /www; '
           'ln -sf /data/boots /www/boots; '
           '/bin/busybox df -m /data | /bin/busybox tail -n 1 >/www/df; '
           'exec /bin/busybox httpd -f -p 8080 -h /www']
MOUNTS = '''
[mounts]
source = "data"
destination = "/data"
initial_size = "64mb"
'''


class VolumesTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.context = images.scratch_folder(cls.folder / 'keep', 'keep', COMMAND, config=MOUNTS)
        cls.node.deploy(cls.context)

    def boots(self, app='keep'):
        """How often the app has booted, by what it has written to its volume."""
        def page():
            try:
                status, text = self.node.get(app, '/boots')
            except OSError:
                return None
            return len(text.split()) if status == 200 else None
        return wait_until(f'{app} answers', 40, page)

    def volumes(self, app='keep'):
        return json.loads(self.node.cli('volumes', 'list', '-a', app, '--json').stdout)

    def volume(self, app='keep'):
        volumes = self.volumes(app)
        self.assertEqual(len(volumes), 1, volumes)
        return volumes[0]

    def act(self, action, state):
        machine = self.node.machine('keep')['id']
        status, answer = self.node.api('POST', f'/v1/apps/keep/machines/{machine}/{action}')
        self.assertEqual(status, 200, answer)
        wait_until(f'the machine is {state}', 40,
                   lambda: self.node.machine('keep')['state'] == state)

    def scenario_a_volume_outlives_redeploys_and_grows_when_it_is_extended(self):
        boots = self.boots()
        before, machine = self.volume(), self.node.machine('keep')['id']
        self.assertEqual(before['attached_machine_id'], machine)
        self.assertEqual(before['state'], 'created')
        self.node.cli('volumes', 'extend', before['id'], '--size-mb', 128, '-a', 'keep')
        self.node.deploy(self.context)
        self.assertEqual(self.boots(), boots + 1)
        self.assertEqual(self.node.machine('keep')['id'], machine)
        self.assertEqual(self.volume()['id'], before['id'])
        size = int(self.node.get('keep', '/df')[1].split()[1])
        self.assertGreater(size, 100, 'the file system did not grow')

    def scenario_a_volume_is_of_one_machine(self):
        self.boots()
        volume = self.volume()
        machine = self.node.machine('keep')
        config = dict(machine['config'], mounts=[{'volume': volume['id'], 'path': '/data'}])
        status, answer = self.node.api('POST', '/v1/apps/keep/machines', {'config': config})
        self.assertEqual(status, 409, answer)
        self.assertIn(machine['id'], str(answer))
        status, answer = self.node.api('DELETE', f'/v1/apps/keep/volumes/{volume["id"]}')
        self.assertEqual(status, 409, answer)
        self.assertEqual(len(self.node.vmm_pids()), 1)

    def scenario_a_snapshot_of_a_running_machine_becomes_another_volume(self):
        boots = self.boots()
        volume = self.volume()
        made = json.loads(self.node.cli('volumes', 'snapshots', 'create', volume['id'], '-a',
                                        'keep', '--json').stdout)
        self.assertEqual(self.boots(), boots, 'the machine did not go on')
        copy = json.loads(self.node.cli('volumes', 'create', 'copy', '--snapshot', made['id'],
                                        '-a', 'keep', '--json').stdout)
        disk = self.node.state / 'volumes' / copy['id'] / 'disk.ext4'
        # What a guest would find: the journal replayed, no error.
        check = subprocess.run(['e2fsck', '-fy', disk], capture_output=True, text=True, check=False)
        self.assertIn(check.returncode, (0, 1), check.stdout + check.stderr)
        text = subprocess.run(['debugfs', '-R', 'cat /boots', disk], capture_output=True, text=True,
                              check=True).stdout
        self.assertEqual(len(text.split()), boots)
        self.node.cli('volumes', 'snapshots', 'destroy', volume['id'], made['id'], '-a', 'keep')
        self.node.cli('volumes', 'destroy', copy['id'], '--yes', '-a', 'keep')
        wait_until('the copy is gone', 20, lambda: not disk.parent.exists())

    def scenario_a_volume_is_there_after_a_suspend_and_a_resume(self):
        boots = self.boots()
        self.act('suspend', 'suspended')
        self.act('start', 'started')
        self.assertEqual(self.boots(), boots, 'it was booted anew')
        self.act('stop', 'stopped')
        self.act('start', 'started')
        self.assertEqual(self.boots(), boots + 1)

    def scenario_zz_an_app_goes_with_its_volumes(self):
        folder = self.node.state / 'volumes' / self.volume()['id']
        self.assertTrue(folder.exists())
        self.node.cli('destroy', 'keep', '--yes')
        wait_until('the volume is gone', 40, lambda: not folder.exists())
        self.node.down()
        self.nothing_left()
        self.node.up()
