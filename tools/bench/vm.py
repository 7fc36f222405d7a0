#!/usr/bin/env python3
"""vm.py [--runs N] [--direct] [--only many]: what a VM costs, against bare QEMU.

Writes build/bench/vm.json: rows {name, unit, perigee, reference, ratio}.
  cold_start      from the API's start call (POST …/machines/M/start) to the first HTTP byte at the
                  guest's address, against the same from the fork of a bare QEMU with the same
                  kernel, memory, disks and app. Interleaved; medians.
  resume          from the API's start call of a suspended machine to its first HTTP byte, against
                  the bare VM's cold start. Medians.
  idle_vm_memory  the proportional memory (PSS) of the machine's VMM, booted and left alone for
                  three seconds, against the bare QEMU's. Medians.
  monitor_memory  the proportional memory of the machine's monitor process; no reference.
  init_size       perigee-init, the program in the guest; no reference.
  start_20        twenty machines of 128 MiB started at once, to the last one's first byte, against
                  twenty bare QEMUs. Medians of three rounds in turn.
  cold_start_minimal  the same as cold_start, both with the kernel of `./dev guest-kernel`; only
                  where that has been built.
  daemons_20_memory, daemons_20_cpu  all daemons and monitors (PSS; percent of a core over 30 s)
                  beside those twenty, idle; no reference.

--direct starts perigee-monitor itself instead of a node: what the driver and everything below cost
(cold_start and monitor_memory only). --only many: the rows of twenty machines alone.
Needs root and a release build; the node is one of its own in /var/tmp and is gone afterwards.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path += [str(REPOSITORY / 'e2e'), str(pathlib.Path(__file__).resolve().parent)]

import bare_vm  # noqa: E402
import first_byte  # noqa: E402
import many  # noqa: E402
import perigee_node  # noqa: E402
from many import pss_kib  # noqa: E402

BUILD = pathlib.Path(os.environ.get('PERIGEE_BUILD', REPOSITORY / 'build/release'))
KERNELS = REPOSITORY / 'build'
MINIMAL = BUILD / 'guest-minimal/vmlinux'
EXAMPLE = REPOSITORY / 'examples/hello'
PORT = 8080
BOOT_S = 60
STOP_S = 30
IDLE_S = 3
MEMORY_RUNS = 9
MANY_ROUNDS = 3


class NodeMachine:
    """The example, deployed to a node of its own; started and stopped through the API."""

    def __init__(self, guest='guest'):
        self.node = perigee_node.Node(f'guest_dir = "{BUILD / guest}"\n')
        try:
            self.node.up()
            subprocess.run([EXAMPLE / 'prepare'], check=True)
            self.node.deploy(EXAMPLE)
            self.id = self.node.machine('hello')['id']
        except BaseException:
            self.node.destroy()
            raise
        folder = self.node.state / 'machines' / self.id / 'vm'
        self.spec = json.loads((folder / 'spec.json').read_text())
        self.address = self.spec['nic']['address']
        self.stop()

    def call(self, action):
        status, value = self.node.api('POST', f'/v1/apps/hello/machines/{self.id}/{action}')
        if status // 100 != 2:
            raise SystemExit(f'{action}: {status} {value}')

    def prepare(self):
        pass

    def start(self):
        began = time.monotonic()
        self.call('start')
        return began

    def monitor_pid(self):
        return self.node.monitor_pids()[0]

    def vmm_pid(self):
        return self.node.vmm_pids()[0]

    def stop(self):
        self.call('stop')
        self.wait_for('stopped')

    def suspend(self):
        self.call('suspend')
        self.wait_for('suspended')

    def wait_for(self, state):
        perigee_node.wait_until(f'the machine is {state}', STOP_S, lambda: self.node.api(
            'GET', f'/v1/apps/hello/machines/{self.id}')[1]['state'] == state)

    def close(self):
        self.node.destroy()


class DirectMachine:
    """The same app under perigee-monitor alone."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='pg-direct-', dir='/var/tmp'))
        root = self.folder / 'root'
        (root / 'bin').mkdir(parents=True)
        shutil.copy('/bin/busybox', root / 'bin/busybox')
        shutil.copytree(EXAMPLE / 'www', root / 'www')
        layer = self.folder / 'layer.erofs'
        subprocess.run(['mkfs.erofs', '--quiet', layer, root], check=True)
        self.address = '10.199.78.2'
        guest = BUILD / 'guest'
        self.spec = {
            'machine': 'direct00000000', 'instance_id': 'direct', 'cpus': 1, 'memory_mib': 128,
            'layers': [str(layer)], 'upper': str(self.folder / 'upper.ext4'),
            'nic': {'tap': 'pg-direct', 'mac': '02:00:00:00:78:02', 'address': self.address,
                    'gateway': '10.199.78.1', 'mtu': 1420, 'nameservers': []},
            'process': {'argv': ['/bin/busybox', 'httpd', '-f', '-p', str(PORT), '-h', '/www']},
            'vmm': {'accelerator': 'tcg', 'kernel': str(guest / 'vmlinux'),
                    'initrd': str(guest / 'initrd.cpio'), 'tsc_khz': self.tsc_khz()},
            'socket': str(self.folder / 'm.sock')}
        self.vm = self.folder / 'vm'

    def tsc_khz(self):
        text = subprocess.run(['dmesg'], capture_output=True, text=True, check=True).stdout
        return round(float(re.search(r'tsc: Detected ([\d.]+) MHz', text).group(1)) * 1000)

    def prepare(self):
        with open(self.spec['upper'], 'wb') as file:
            file.truncate(1 << 30)
        subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', '-O', '^has_journal',
                        '-E', 'lazy_itable_init=1', self.spec['upper']], check=True)
        shutil.rmtree(self.vm, ignore_errors=True)
        self.vm.mkdir()
        (self.vm / 'spec.json').write_text(json.dumps(self.spec))

    def start(self):
        began = time.monotonic()
        subprocess.run([BUILD / 'bin/perigee-monitor', self.vm], check=True)
        return began

    def vmm_pid(self):
        return json.loads((self.vm / 'vmm.json').read_text())['pid']

    def monitor_pid(self):
        found = subprocess.run(['pgrep', '-f', f'perigee-monitor {self.vm}'], capture_output=True,
                               text=True, check=True)
        return int(found.stdout.split()[0])

    def stop(self):
        os.kill(self.vmm_pid(), 9)
        perigee_node.wait_until('the monitor ends', STOP_S,
                                lambda: not pathlib.Path(self.spec['socket']).exists())

    def close(self):
        if (self.vm / 'vmm.json').exists() and not (self.vm / 'exit.json').exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def measure(subject, address):
    """Milliseconds from start() to the first byte."""
    subject.prepare()
    began = subject.start()
    return (first_byte.wait_for_first_byte(address, PORT, BOOT_S) - began) * 1000


def run_resume(machine, runs):
    """Milliseconds of each resume; the machine runs before and after."""
    times = []
    for number in range(runs):
        machine.suspend()
        began = machine.start()
        first = first_byte.wait_for_first_byte(machine.address, PORT, BOOT_S)
        times.append((first - began) * 1000)
        print(f'{number + 1:3}/{runs}  resume {times[-1]:6.0f} ms', flush=True)
        machine.wait_for('started')
    return times


def idle_memory(subject, address, vmm_pid):
    """KiB of a VM that has answered once and been left alone."""
    measure(subject, address)
    time.sleep(IDLE_S)
    memory = pss_kib(vmm_pid())
    subject.stop()
    return memory


def run_memory(machine, bare):
    ours, theirs = [], []
    for _ in range(MEMORY_RUNS):
        ours.append(idle_memory(machine, machine.address, machine.vmm_pid))
        theirs.append(idle_memory(bare, bare.address, lambda: bare.process.pid))
    return ours, theirs


def run(machine, bare, runs):
    ours, theirs, memory = [], [], []
    for number in range(runs):
        ours.append(measure(machine, machine.address))
        memory.append(pss_kib(machine.monitor_pid()))
        machine.stop()
        theirs.append(measure(bare, bare.address))
        bare.stop()
        print(f'{number + 1:3}/{runs}  perigee {ours[-1]:6.0f} ms   bare QEMU {theirs[-1]:6.0f} ms',
              flush=True)
    return ours, theirs, memory


def row(name, unit, perigee, reference=None):
    """A row of vm.json from one value or several, of which the median counts."""
    def middle(values):
        return round(statistics.median(values if isinstance(values, list) else [values]), 2)
    if reference is None:
        return {'name': name, 'unit': unit, 'perigee': middle(perigee), 'reference': None,
                'ratio': None}
    return {'name': name, 'unit': unit, 'perigee': middle(perigee), 'reference': middle(reference),
            'ratio': round(middle(perigee) / middle(reference), 3)}


def measure_all(machine, bare, options):
    ours, theirs, monitors = run(machine, bare, options.runs)
    rows = [row('cold_start', 'ms', ours, theirs)]
    if not options.direct:
        vmms = run_memory(machine, bare)
        measure(machine, machine.address)
        resumes = run_resume(machine, options.runs)
        machine.stop()
        rows += [row('resume', 'ms', resumes, theirs), row('idle_vm_memory', 'KiB', *vmms)]
    rows.append(row('monitor_memory', 'KiB', monitors))
    if not options.direct:
        rows.append(row('init_size', 'KiB', (BUILD / 'bin/perigee-init').stat().st_size / 1024))
    return rows


def measure_many(machine, bare):
    crowd = many.Crowd(machine.node, 'hello', machine.id, PORT)
    ours, theirs, memory, percent = many.measure(crowd, bare, MANY_ROUNDS)
    return [row('start_20', 'ms', ours, theirs), row('daemons_20_memory', 'KiB', memory),
            row('daemons_20_cpu', '% of a core', percent)]


@contextlib.contextmanager
def side_by_side(make_machine, count, kernel='guest-kernel'):
    """(the machine, `count` bare VMs that match it), gone afterwards."""
    machine, bare = make_machine(), []
    with tempfile.TemporaryDirectory(prefix='pg-bare-', dir='/var/tmp') as folder:
        try:
            initrd = bare_vm.build_initrd(folder, BUILD / 'bin/bare-init', KERNELS / kernel,
                                          REPOSITORY / 'tools/guest/make-initrd')
            for number in range(count):
                bare.append(bare_vm.BareVm(folder, machine.spec, initrd, number))
                bare[-1].make_tap()
            yield machine, bare
        finally:
            for vm in bare:
                vm.close()
            machine.close()


def node_rows(options):
    rows = []
    with side_by_side(NodeMachine, many.COUNT) as (machine, bare):
        if options.only is None:
            rows += measure_all(machine, bare[0], options)
        rows += measure_many(machine, bare)
    if options.only is None and MINIMAL.exists():
        with side_by_side(lambda: NodeMachine('guest-minimal'), 1,
                          'guest-kernel-minimal') as (machine, bare):
            ours, theirs, _ = run(machine, bare[0], options.runs)
        rows.append(row('cold_start_minimal', 'ms', ours, theirs))
    return rows


def direct_rows(options):
    with side_by_side(DirectMachine, 1) as (machine, bare):
        return measure_all(machine, bare[0], options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--runs', type=int, default=20)
    parser.add_argument('--direct', action='store_true')
    parser.add_argument('--only', choices=['many'])
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit('vm.py: makes taps and VMs: run it as root')
    perigee_node.BIN = BUILD / 'bin'
    result = direct_rows(options) if options.direct else node_rows(options)
    print(json.dumps(result, indent=2))
    if not options.direct and options.only is None:
        out = REPOSITORY / 'build/bench/vm.json'
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
