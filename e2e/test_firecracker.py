"""The Firecracker driver against a contract server in Firecracker's place (e2e/firecracker/): the
real monitor, the real jail, tap and vsock socket; every call checked against the API's description.
Firecracker itself is not needed, nor KVM."""

import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / 'firecracker'))

import contract  # noqa: E402
from bench import MONITOR, UID, Bench, wait_for  # noqa: E402

OPENAPI = os.environ.get('PERIGEE_FIRECRACKER_OPENAPI')
NIC = {'iface_id': 'eth0', 'host_dev_name': 't0'}
LOAD = {'snapshot_path': '/s', 'mem_backend': {'backend_type': 'File', 'backend_path': '/m'}}

# What Firecracker refuses: (call, body, state, whether it is configured).
MISUSE = [
    ('PUT /nowhere', {}, 'Not started', False),
    ('PUT /vm', {'state': 'Paused'}, 'Running', True),
    ('PUT /boot-source', None, 'Not started', False),
    ('PUT /boot-source', {'kernel_image_path': '/k'}, 'Running', True),
    ('PUT /boot-source', {'boot_args': 'quiet'}, 'Not started', False),
    ('PUT /boot-source', {'kernel_image_path': 7}, 'Not started', False),
    ('PUT /machine-config', {'vcpu_count': 0, 'mem_size_mib': 128}, 'Not started', False),
    ('PUT /machine-config', {'vcpu_count': 33, 'mem_size_mib': 128}, 'Not started', False),
    ('PUT /machine-config', {'vcpu_count': True, 'mem_size_mib': 128}, 'Not started', False),
    ('PUT /drives/a', {'drive_id': 'b', 'is_root_device': False}, 'Not started', False),
    ('PUT /drives/a-b', {'drive_id': 'a-b', 'is_root_device': False}, 'Not started', False),
    ('PUT /drives/a', {'drive_id': 'a', 'is_root_device': False, 'cache_type': 'None'},
     'Not started', False),
    ('PUT /network-interfaces/eth0', {**NIC, 'mtu': 67}, 'Not started', False),
    ('PUT /network-interfaces/eth0', {**NIC, 'speed': 1}, 'Not started', False),
    ('PUT /vsock', {'guest_cid': 2, 'uds_path': '/v'}, 'Not started', False),
    ('PATCH /vm', {'state': 'Paused'}, 'Not started', True),
    ('PATCH /vm', {'state': 'Stopped'}, 'Running', True),
    ('PUT /snapshot/create', {'snapshot_path': '/s', 'mem_file_path': '/m'}, 'Running', True),
    ('PUT /snapshot/load', LOAD, 'Not started', True),
    ('PUT /actions', {'action_type': 'InstanceStart'}, 'Running', True),
    ('PUT /actions', {'action_type': 'SendCtrlAltDel'}, 'Not started', True),
    ('GET /version', {}, 'Running', True),
]


class FirecrackerTest(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0 or not os.path.exists('/dev/net/tun'):
            self.skipTest('taps and jails need root and /dev/net/tun')
        if not MONITOR.exists():
            raise AssertionError(f'{MONITOR} is not built: ./dev build release')
        self.bench = Bench()
        self.addCleanup(self.bench.close)

    def boot(self):
        self.assertEqual(self.bench.boot(), '')
        self.bench.wait_for_state('running')
        self.bench.wait_for_output('the app runs')

    def counters(self):
        return self.bench.ask('inquire', topic='counters')['counters']

    def scenario_firecracker_boots_an_app_passes_its_output_and_signals_and_ends_with_it(self):
        bench = self.bench
        self.boot()
        self.assertEqual(bench.ask('signal', number=10), {'ok': True})
        bench.wait_for_output('signal 10')
        console = bench.vm / 'console.log'
        wait_for('the console', lambda: 'the kernel boots' in console.read_text('utf-8'))
        wait_for('its counters', lambda: self.counters()['block_read_bytes'] == 5120)
        self.assertEqual(self.counters()['net_sent_bytes'], 90)
        vmm = pathlib.Path(f'/proc/{bench.status()["vmm_pid"]}/status').read_text('utf-8')
        self.assertIn(f'Uid:\t{UID}\t{UID}\t{UID}\t{UID}', vmm)
        groups = pathlib.Path(f'/proc/{bench.status()["vmm_pid"]}/cgroup').read_text('utf-8')
        self.assertIn(f'/{bench.spec["cgroup"]}\n', groups)
        bench.ask('signal', number=int(signal.SIGINT))
        end = bench.wait_for_exit()
        self.assertEqual((end['exit_code'], end['vmm_died']), (7, False), end)
        self.assertEqual((bench.refused(), bench.left()), ([], []))
        self.assertEqual(bench.calls()[0], 'GET /version')
        self.assertEqual(bench.calls()[-1], 'PUT /actions')

    def scenario_a_firecracker_is_suspended_and_resumed_once(self):
        bench = self.bench
        self.boot()
        self.assertEqual(bench.ask('suspend'), {'ok': True})
        self.assertTrue(bench.wait_for_exit()['suspended'])
        self.assertEqual(bench.left(), [])
        for name in ('ram', 'vmm.state', 'snapshot.json'):
            self.assertTrue((bench.vm / name).exists(), name)
        memory = (bench.vm / 'ram').read_bytes()
        self.assertEqual(bench.boot(resume=True), '')
        bench.wait_for_output('the guest was resumed')
        self.assertFalse((bench.vm / 'snapshot.json').exists())
        self.assertEqual((bench.vm / 'ram').read_bytes(), memory)
        # And again, while the memory of the first time is still mapped.
        self.assertEqual(bench.ask('suspend'), {'ok': True})
        bench.wait_for_exit()
        self.assertEqual(bench.boot(resume=True), '')
        bench.wait_for_output('the guest was resumed', count=2)
        bench.ask('signal', number=int(signal.SIGTERM))
        self.assertEqual(bench.wait_for_exit()['exit_code'], 0)
        self.assertIn('there is no snapshot', bench.boot(resume=True))
        self.assertEqual((bench.refused(), bench.left()), ([], []))
        loads = [entry['body'] for entry in bench.recorded()
                 if entry.get('call') == 'PUT /snapshot/load']
        self.assertEqual([load['clock_realtime'] for load in loads], [True, True])

    def scenario_a_new_monitor_takes_up_a_firecracker_and_can_kill_it(self):
        bench = self.bench
        self.boot()
        before = bench.status()
        os.kill(before['monitor_pid'], signal.SIGKILL)
        bench.wait_for_end(before['monitor_pid'])
        self.assertEqual(bench.adopt(), '')
        self.assertEqual(bench.status()['vmm_pid'], before['vmm_pid'])
        bench.wait_for_state('running')
        wait_for('a signal passes', lambda: bench.ask('signal', number=10) == {'ok': True})
        bench.wait_for_output('signal 10')
        self.assertEqual(bench.output().count('the app runs'), 1)
        self.assertEqual(bench.ask('kill'), {'ok': True})
        end = bench.wait_for_exit()
        self.assertEqual((end['signal'], end['reason']), (9, 'killed'))
        self.assertEqual((bench.refused(), bench.left()), ([], []))

    def scenario_a_firecracker_that_nobody_saw_end_leaves_nothing(self):
        bench = self.bench
        self.boot()
        status = bench.status()
        os.kill(status['monitor_pid'], signal.SIGKILL)
        bench.wait_for_end(status['monitor_pid'])
        os.kill(status['vmm_pid'], signal.SIGKILL)
        bench.wait_for_end(status['vmm_pid'])
        self.assertNotEqual(bench.left(), [])
        self.assertEqual(bench.adopt(), '')
        self.assertTrue(bench.exit_record()['vmm_died'])
        self.assertEqual(bench.left(), [])

    def scenario_a_firecracker_that_does_not_start_says_why_and_leaves_nothing(self):
        bench = self.bench
        bench.behave(exit=148)
        self.assertIn('a forbidden system call (seccomp)', bench.boot())
        bench.behave(version='1.13.9')
        self.assertIn('Firecracker 1.13.9 is too old: install 1.14 or later', bench.boot())
        bench.behave()
        (bench.root / 'vmlinux').write_bytes(b'MZ bzImage')
        self.assertIn('the kernel is not an ELF file', bench.boot())
        bench.spec['uid'] = 0
        self.assertIn('a user of its own, not root', bench.boot())
        self.assertEqual(bench.left(), [])

    def scenario_an_older_firecracker_is_asked_for_nothing_that_it_does_not_know(self):
        bench = self.bench
        bench.behave(version='1.14.0')
        self.boot()
        self.assertEqual(bench.ask('suspend'), {'ok': True})
        bench.wait_for_exit()
        self.assertEqual(bench.boot(resume=True), '')
        bench.wait_for_output('the guest was resumed')
        self.assertEqual(bench.refused(), [])

    def scenario_doctor_boots_a_machine_on_each_platform_and_says_what_works(self):
        bench = self.bench
        (bench.root / 'firecracker').chmod(0o755)
        (bench.root / 'jailer').symlink_to(bench.spec['vmm']['jailer'])
        environment = {**os.environ, 'PATH': f'{bench.root}:{os.environ["PATH"]}',
                       'PERIGEE_ROOT': str(bench.root)}
        done = subprocess.run([MONITOR.with_name('perigee'), 'doctor', '--self-test', '--json'],
                              env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        trials = {trial['platform']: trial for trial in json.loads(done.stdout)}
        self.assertEqual(list(trials), ['firecracker', 'kvm', 'tcg'])
        for trial in trials.values():
            self.assertNotEqual(trial['works'], bool(trial['reason']), trial)
        self.assertTrue(trials['tcg']['works'], trials)
        if os.path.exists('/dev/kvm'):
            self.assertTrue(trials['firecracker']['works'], trials)
            self.assertEqual(bench.calls()[-1], 'PUT /actions')
        else:
            self.assertEqual(trials['firecracker']['reason'], 'there is no /dev/kvm')
        self.assertEqual(bench.refused(), [])

    def scenario_the_contract_refuses_what_firecracker_refuses(self):
        rules = contract.Contract('1.17.0')
        for call, body, state, configured in MISUSE:
            with self.subTest(call=call, body=body, state=state):
                with self.assertRaises(contract.Refused):
                    rules.check(*call.split(), body, state, configured)
        with self.assertRaises(contract.Refused):
            contract.Contract('1.13.0').check('PUT', '/serial', {}, 'Not started', False)

    def scenario_the_contract_is_what_firecracker_describes(self):
        if not OPENAPI:
            self.skipTest('PERIGEE_FIRECRACKER_OPENAPI does not name Firecracker\'s OpenAPI file')
        if importlib.util.find_spec('yaml') is None:
            self.skipTest('python3-yaml is not installed')
        compare = pathlib.Path(contract.FILE).with_name('compare_openapi.py')
        done = subprocess.run([sys.executable, compare, OPENAPI], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
