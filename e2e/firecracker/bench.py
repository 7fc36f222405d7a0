"""A perigee-monitor whose Firecracker is the contract server: a VM's directory with what a boot
needs, in a network namespace of its own, and what the contract server has seen."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MONITOR = HERE.parent.parent / 'build/release/bin/perigee-monitor'
UID = 64901
PATIENCE_S = 30


def wait_for(what, condition):
    """The first true value of `condition()`."""
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f'not within {PATIENCE_S} s: {what}')
        time.sleep(0.02)
    return value


class Bench:
    def __init__(self, tap='pgfc0', **behaviour):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='pgfc-', dir='/var/tmp'))
        self.namespace = self.root.name
        subprocess.run(['ip', 'netns', 'add', self.namespace], check=True)
        self.vm = self.root / 'vm'
        self.vm.mkdir(mode=0o700)
        self.record = self.root / 'record.jsonl'
        self.monitor_pid = 0  # of the last one that took the VM
        self.behave(**behaviour)
        for name, content in (('firecracker', b'#!\n'), ('vmlinux', b'\x7fELF kernel'),
                              ('initrd', b'0707'), ('layer', b'L' * 4096), ('upper', b'U' * 4096)):
            (self.root / name).write_bytes(content)
            (self.root / name).chmod(0o600 if name == 'upper' else 0o644)
        self.spec = {
            'machine': 'c0ffee00000001', 'instance_id': 'i1', 'cpus': 1, 'memory_mib': 128,
            'layers': [str(self.root / 'layer')], 'upper': str(self.root / 'upper'), 'uid': UID,
            'cgroup': f'{self.namespace}/c0ffee00000001',
            'limits': {'cpu_percent': 50, 'disk_iops': 1000, 'disk_mib_s': 20},
            'nic': {'tap': tap, 'mac': '02:00:00:00:00:02', 'address': '10.201.0.2',
                    'gateway': '10.201.0.1', 'mtu': 1420},
            'process': {'argv': ['app']},
            'vmm': {'kind': 'firecracker', 'accelerator': 'kvm', 'jailer': str(HERE / 'jailer'),
                    'program': str(self.root / 'firecracker'),
                    'kernel': str(self.root / 'vmlinux'), 'initrd': str(self.root / 'initrd')},
            'socket': str(self.root / 'monitor.sock')}

    def behave(self, version='1.16.1', **more):
        """How the next Firecracker is; see the jailer."""
        behaviour = {'version': version, 'record': str(self.record), **more}
        (self.root / 'behaviour.json').write_text(json.dumps(behaviour), encoding='utf-8')

    # ---- the monitor ----

    def monitor(self, *options):
        """Starts one; what it complains about, '' if it keeps the VM."""
        done = subprocess.run(['nsenter', f'--net=/run/netns/{self.namespace}', MONITOR, *options],
                              capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)
        if done.returncode != 0:
            return done.stderr.strip() or 'no reason given'
        with contextlib.suppress(OSError):  # the VM may have ended meanwhile
            self.monitor_pid = self.status()['monitor_pid']
        return ''

    def boot(self, resume=False):
        for name in ('exit.json', 'vmm.json'):
            (self.vm / name).unlink(missing_ok=True)
        (self.vm / 'spec.json').write_text(json.dumps({**self.spec, 'resume': resume}), 'utf-8')
        return self.monitor(self.vm)

    def adopt(self):
        return self.monitor('--adopt', self.vm)

    def ask(self, command, **fields):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(self.spec['socket'])
            client.sendall(json.dumps({'command': command, **fields}).encode() + b'\n')
            return json.loads(client.makefile().readline())

    def status(self):
        return self.ask('status')['status']

    def wait_for_state(self, state):
        return wait_for(f'state {state}', lambda: self.status()['state'] == state)

    def wait_for_exit(self):
        """The VM's end, once VMM and monitor are gone."""
        self.wait_for_end(self.monitor_pid)
        return self.exit_record()

    def exit_record(self):
        return json.loads((self.vm / 'exit.json').read_text('utf-8'))['exit']

    @staticmethod
    def wait_for_end(pid):
        wait_for(f'the end of process {pid}', lambda: not os.path.exists(f'/proc/{pid}'))

    # ---- what there is to see ----

    def output(self):
        path = self.vm / 'output.log'
        return path.read_bytes().decode(errors='replace') if path.exists() else ''

    def wait_for_output(self, words, count=1):
        wait_for(f'"{words}" in the output', lambda: self.output().count(words) >= count)

    def recorded(self):
        if not self.record.exists():
            return []
        return [json.loads(line) for line in self.record.read_text('utf-8').splitlines()]

    def calls(self):
        return [entry['call'] for entry in self.recorded() if 'call' in entry]

    def refused(self):
        return [entry for entry in self.recorded() if 'refused' in entry]

    def left(self):
        """What a VM must not leave behind."""
        links = subprocess.run(['ip', '-n', self.namespace, '-o', 'link'], capture_output=True,
                               text=True, check=True).stdout
        found = [str(self.vm / 'jail')] if (self.vm / 'jail').exists() else []
        found += [str(path) for path in self.cgroups() if path.name == self.spec['machine']]
        return found + [line for line in links.splitlines() if 'pgfc' in line]

    def cgroups(self):
        """Directories of our control groups, innermost first."""
        return sorted(pathlib.Path('/sys/fs/cgroup').glob(f'**/{self.namespace}/**/'), reverse=True)

    def close(self):
        for entry in pathlib.Path('/proc').iterdir():
            if entry.name.isdigit() and self.is_ours(entry):
                os.kill(int(entry.name), signal.SIGKILL)
        subprocess.run(['ip', 'netns', 'del', self.namespace], check=False)
        wait_for('the end of our control groups', self.remove_cgroups)
        shutil.rmtree(self.root, ignore_errors=True)

    def remove_cgroups(self):
        """Whether they are gone: a process that was just killed is still in one."""
        for group in self.cgroups():
            with contextlib.suppress(OSError):
                group.rmdir()
        return not self.cgroups()

    def is_ours(self, process):
        try:
            words = (process / 'cmdline').read_bytes().split(b'\0')
        except OSError:
            return False
        return any(word.startswith(str(self.root).encode()) for word in words)
