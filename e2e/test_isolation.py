"""What a machine is kept from: its VMM's privileges, and what it may take of its host."""

import os
import pathlib
import signal

import images
from scenario import Scenario
from perigee_node import wait_until

FIRST_UID = 0x70000000
PAGE = ('mkdir -p /www; echo page > /www/index.html; '
        'exec /bin/busybox httpd -f -p 8080 -h /www')
VMM_OVERHEAD_MIB = 192


def status_of(pid):
    """/proc/PID/status as a dictionary."""
    lines = pathlib.Path(f'/proc/{pid}/status').read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(':') for line in lines)}


def cgroups_of(pid):
    """controller → group, of version 1 and 2."""
    groups = {}
    for line in pathlib.Path(f'/proc/{pid}/cgroup').read_text().splitlines():
        _, names, place = line.split(':', 2)
        for name in names.split(',') if names else ['unified']:
            groups[name] = place
    return groups


class PrivilegeTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for app in ('one', 'two'):
            cls.node.deploy(images.scratch_folder(
                cls.folder / app, app, ['/bin/busybox', 'sh', '-c', PAGE]))

    def vmm_of(self, app):
        machine = self.node.machine(app)['id']
        return next(pid for pid, command in self.node.processes().items()
                    if f'guest=perigee-{machine}' in command)

    def scenario_a_vmm_is_a_user_of_its_own_without_privileges(self):
        seen = set()
        for app in ('one', 'two'):
            status = status_of(self.vmm_of(app))
            uids = set(status['Uid'].split()) | set(status['Gid'].split())
            self.assertEqual(len(uids), 1, status)
            uid = int(uids.pop())
            self.assertGreater(uid, FIRST_UID)
            seen.add(uid)
            self.assertEqual(status['Groups'], '')
            for kind in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
                self.assertEqual(int(status[kind], 16), 0, kind)
            self.assertEqual(status['NoNewPrivs'], '1')
            self.assertEqual(status['Seccomp'], '2')
        self.assertEqual(len(seen), 2, 'two VMMs share a user')

    def scenario_a_vmm_sees_no_file_process_or_network_of_its_host(self):
        pid = self.vmm_of('one')
        root = pathlib.Path(f'/proc/{pid}/root')
        names = {entry.name for entry in root.iterdir()}
        self.assertLessEqual(names, {'usr', 'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'dev',
                                     'proc', 'vmm'})
        self.assertLessEqual({entry.name for entry in (root / 'dev').iterdir()},
                             {'null', 'urandom', 'kvm'})
        self.assertEqual(list((root / 'vmm').iterdir()), [])
        for line in pathlib.Path(f'/proc/{pid}/mountinfo').read_text().splitlines():
            place, options = line.split()[4:6]
            self.assertIn('nosuid', options.split(','), line)
            if place != '/proc':
                self.assertIn('ro', options.split(','), line)
        for kind in ('mnt', 'pid', 'net', 'ipc', 'uts'):
            self.assertNotEqual(os.readlink(f'/proc/{pid}/ns/{kind}'),
                                os.readlink(f'/proc/self/ns/{kind}'), kind)
        self.assertEqual(status_of(pid)['NSpid'].split(), [str(pid), '1'])
        interfaces = pathlib.Path(f'/proc/{pid}/net/dev').read_text().splitlines()[2:]
        self.assertEqual([line.split(':')[0].strip() for line in interfaces], ['lo'])

    def scenario_a_vmm_is_limited_by_its_control_groups_and_resource_limits(self):
        machine = self.node.machine('one')
        pid = self.vmm_of('one')
        groups = cgroups_of(pid)
        mounts = pathlib.Path('/proc/self/mounts').read_text().splitlines()
        version_1 = {name: line.split()[1] for line in mounts if line.split()[2] == 'cgroup'
                     for name in line.split()[3].split(',') if name in ('cpu', 'memory', 'pids')}
        if set(version_1) != {'cpu', 'memory', 'pids'}:
            self.skipTest('the limits are looked up in version 1 only')

        def value(controller, file):
            return int(pathlib.Path(version_1[controller] + groups[controller], file).read_text())

        for controller in version_1:
            self.assertTrue(groups[controller].endswith('/' + machine['id']), groups)
        memory = (machine['config']['guest']['memory_mb'] + VMM_OVERHEAD_MIB) << 20
        self.assertEqual(value('memory', 'memory.limit_in_bytes'), memory)
        self.assertGreater(value('cpu', 'cpu.cfs_quota_us'), 0)
        self.assertLessEqual(value('pids', 'pids.max'), 256)
        limits = pathlib.Path(f'/proc/{pid}/limits').read_text()
        bounds = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
        self.assertEqual(bounds['Max core file size'], ['0', '0'])
        self.assertEqual(bounds['Max processes'], ['256', '256'])
        self.assertEqual(bounds['Max open files'], ['1024', '1024'])

    def scenario_control_groups_go_with_the_vm_however_it_ends(self):
        machine = self.node.machine('two')['id']

        def groups():
            return list(pathlib.Path('/sys/fs/cgroup').glob(f'**/perigee-*/{machine}'))

        self.assertNotEqual(groups(), [])
        monitor = next(pid for pid, command in self.node.processes().items()
                       if 'perigee-monitor' in command and machine in command)
        for pid in (monitor, self.vmm_of('two')):
            os.kill(pid, signal.SIGKILL)
        path = f'/v1/apps/two/machines/{machine}'
        wait_until('the machine is up again', 30, lambda: self.page_answers('two'))
        self.assertEqual(self.node.api('POST', f'{path}/stop')[0], 200)
        wait_until('its groups are gone', 20, lambda: groups() == [])
        self.assertEqual(self.node.api('POST', f'{path}/start')[0], 200)
        self.page_is('two', 'page')

    def page_answers(self, app):
        try:
            return self.node.get(app)[0] == 200
        except OSError:
            return False
