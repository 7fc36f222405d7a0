"""The reference of the cold start: a bare qemu-system-x86_64 with the same kernel, memory, disks
and app as a machine of Perigee, a static neighbour entry, and an initrd with a minimal init of its
own (bench/bare_init.c). Its tap is made beforehand: only the fork of QEMU and what follows is
measured.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import time

TAP = 'pgbench0'
GATEWAY = '10.199.77.1'
ADDRESS = '10.199.77.2'
MAC = '02:00:00:00:77:02'
LEFT_OUT = ('virtio_console', 'vsock', 'vmw_vsock_virtio_transport_common',
            'vmw_vsock_virtio_transport')  # a bare machine has no control channel


def ip(*words, check=True):
    subprocess.run(['ip', *words], check=check, capture_output=not check)


class BareVm:
    """`spec` is the spec.json of the machine to be matched."""

    def __init__(self, folder, spec, init, kernel_dir, make_initrd):
        self.folder = pathlib.Path(folder)
        self.spec = spec
        self.upper = self.folder / 'bare-upper.ext4'
        self.initrd = self._build_initrd(init, pathlib.Path(kernel_dir), make_initrd)
        self.process = None

    def _build_initrd(self, init, kernel_dir, make_initrd):
        modules = self.folder / 'bare-kernel'
        modules.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (modules / 'modules').symlink_to(kernel_dir / 'modules')
        lines = (kernel_dir / 'modules.order').read_text().splitlines()
        order = [line.split()[0] for line in lines if line.split()[0] not in LEFT_OUT]
        (modules / 'modules.order').write_text('\n'.join(order) + '\n')
        initrd = self.folder / 'bare-initrd.cpio'
        subprocess.run([make_initrd, init, modules, initrd], check=True)
        return initrd

    @staticmethod
    def make_tap():
        ip('link', 'delete', TAP, check=False)
        ip('tuntap', 'add', 'dev', TAP, 'mode', 'tap')
        ip('addr', 'add', f'{GATEWAY}/32', 'dev', TAP)
        ip('link', 'set', TAP, 'up')
        ip('route', 'add', f'{ADDRESS}/32', 'dev', TAP)
        ip('neigh', 'replace', ADDRESS, 'lladdr', MAC, 'nud', 'permanent', 'dev', TAP)

    @staticmethod
    def remove_tap():
        ip('link', 'delete', TAP, check=False)

    def _command(self):
        vmm = self.spec['vmm']
        kernel_words = ('console=ttyS0 quiet reboot=t panic=-1 no_timer_check cryptomgr.notests '
                        'init_on_alloc=0')
        if vmm['accelerator'] == 'tcg':
            kernel_words += f' tsc_early_khz={vmm["tsc_khz"]} tsc=reliable'
        app = ','.join(self.spec['process']['argv'])
        layers = self.spec['layers']
        kernel_words += (f' bare.layers={len(layers)} bare.ip={ADDRESS} bare.gateway={GATEWAY}'
                         f' bare.app={app}')
        kvm = vmm['accelerator'] == 'kvm'
        command = ['qemu-system-x86_64', '-nodefaults', '-no-user-config', '-no-reboot',
                   '-display', 'none', '-machine', 'microvm,auto-kernel-cmdline=off',
                   '-accel', 'kvm' if kvm else 'tcg,tb-size=64', '-cpu', 'host' if kvm else 'max',
                   '-smp', str(self.spec['cpus']), '-m', f'{self.spec["memory_mib"]}M',
                   '-kernel', vmm['kernel'], '-initrd', str(self.initrd), '-append', kernel_words,
                   '-serial', f'file:{self.folder}/bare-console.log']
        for index, path in enumerate([*layers, str(self.upper)]):
            mode = 'readonly=on' if index < len(layers) else 'cache=unsafe'
            command += ['-drive', f'id=d{index},if=none,format=raw,{mode},file={path}',
                        '-device', f'virtio-blk-device,drive=d{index}']
        return command + ['-netdev', f'tap,id=n0,ifname={TAP},script=no,downscript=no',
                          '-device', f'virtio-net-device,netdev=n0,mac={MAC}']

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
        log = (self.folder / 'bare-vmm.log').open('wb')
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
        shutil.rmtree(self.folder / 'bare-kernel', ignore_errors=True)
