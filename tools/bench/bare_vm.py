"""The reference of the cold start: a bare qemu-system-x86_64 with the same kernel, memory, disks
and app as a machine of Perigee, a static neighbour entry, and an initrd with a minimal init of its
own (bench/bare_init.c). Its tap is made beforehand: only the fork of QEMU and what follows is
measured.
"""

import os
import pathlib
import subprocess
import time

GATEWAY = '10.199.77.1'


def ip(*words, check=True):
    subprocess.run(['ip', *words], check=check, capture_output=not check)


def build_initrd(folder, init, kernel_dir, make_initrd):
    """The bare machines' initrd, in `folder`: with the modules that every machine needs. A line
    of modules.order with a second word is for a control channel or an option, which they lack."""
    modules = pathlib.Path(folder, 'bare-kernel')
    modules.mkdir()
    (modules / 'modules').symlink_to(pathlib.Path(kernel_dir, 'modules'))
    lines = pathlib.Path(kernel_dir, 'modules.order').read_text().splitlines()
    order = [line for line in lines if len(line.split()) == 1]
    (modules / 'modules.order').write_text('\n'.join(order) + '\n')
    initrd = pathlib.Path(folder, 'bare-initrd.cpio')
    subprocess.run([make_initrd, init, modules, initrd], check=True)
    return initrd


class BareVm:
    """`spec` is the spec.json of the machine to be matched; `number` tells several apart."""

    def __init__(self, folder, spec, initrd, number=0):
        self.spec = spec
        self.initrd = initrd
        self.tap = f'pgbench{number}'
        self.address = f'10.199.77.{number + 2}'
        self.mac = f'02:00:00:00:77:{number + 2:02x}'
        self.upper = pathlib.Path(folder, f'bare-upper-{number}.ext4')
        self.output = pathlib.Path(folder, f'bare-{number}')
        self.process = None

    def make_tap(self):
        ip('link', 'delete', self.tap, check=False)
        ip('tuntap', 'add', 'dev', self.tap, 'mode', 'tap')
        ip('addr', 'add', f'{GATEWAY}/32', 'dev', self.tap)
        ip('link', 'set', self.tap, 'up')
        ip('route', 'add', f'{self.address}/32', 'dev', self.tap)
        ip('neigh', 'replace', self.address, 'lladdr', self.mac, 'nud', 'permanent',
           'dev', self.tap)

    def remove_tap(self):
        ip('link', 'delete', self.tap, check=False)

    def _command(self):
        vmm = self.spec['vmm']
        kernel_words = ('console=ttyS0 quiet reboot=t panic=-1 no_timer_check cryptomgr.notests '
                        'init_on_alloc=0')
        if vmm['accelerator'] == 'tcg':
            kernel_words += f' tsc_early_khz={vmm["tsc_khz"]} tsc=reliable'
        app = ','.join(self.spec['process']['argv'])
        layers = self.spec['layers']
        kernel_words += (f' bare.layers={len(layers)} bare.ip={self.address} bare.gateway={GATEWAY}'
                         f' bare.app={app}')
        kvm = vmm['accelerator'] == 'kvm'
        command = ['qemu-system-x86_64', '-nodefaults', '-no-user-config', '-no-reboot',
                   '-display', 'none', '-machine', 'microvm,auto-kernel-cmdline=off',
                   '-accel', 'kvm' if kvm else 'tcg,tb-size=64', '-cpu', 'host' if kvm else 'max',
                   '-smp', str(self.spec['cpus']), '-m', f'{self.spec["memory_mib"]}M',
                   '-kernel', vmm['kernel'], '-initrd', str(self.initrd), '-append', kernel_words,
                   '-serial', f'file:{self.output}.console']
        for index, path in enumerate([*layers, str(self.upper)]):
            mode = 'readonly=on' if index < len(layers) else 'cache=unsafe'
            command += ['-drive', f'id=d{index},if=none,format=raw,{mode},file={path}',
                        '-device', f'virtio-blk-device,drive=d{index}']
        return command + ['-netdev', f'tap,id=n0,ifname={self.tap},script=no,downscript=no',
                          '-device', f'virtio-net-device,netdev=n0,mac={self.mac}']

    def prepare(self):
        """A fresh upper disk like the machine's, before the clock runs."""
        size = os.stat(self.spec['upper']).st_size
        with open(self.upper, 'wb') as file:
            file.truncate(size)
        subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', '-O', '^has_journal',
                        '-E', 'lazy_itable_init=1', self.upper], check=True)

    def start(self):
        """Forks QEMU; returns when that was."""
        command = self._command()
        log = open(f'{self.output}.log', 'wb')
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        return began

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self):
        self.stop()
        self.remove_tap()
