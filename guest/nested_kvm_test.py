#!/usr/bin/env python3
"""nested_kvm_test.py IMAGE KERNELDIR MONITOR: boots a microVM under TCG whose processor has SVM,
and in it, with KVM, another one through perigee-monitor: QEMU's KVM path, on any machine.
Exits with 77, and a reason, where a tool is missing."""
import json
import os
import shutil
import sys
import tempfile
import time

import guest_vm
import nested_vm
from guest_vm import EXITED, STARTED, Vm, configure, output_of

# Generous: calm it takes 15 s, but two emulators share the machine with whatever else runs.
TRIAL_S = 300
PATIENCE_S = 420

SPEC = {'machine': 'trial', 'memory_mib': 128,
        'vmm': {'accelerator': 'kvm', 'kernel': '/guest/vmlinux', 'initrd': '/guest/initrd.cpio'}}

# While the trial runs, the VMM is looked at: it has a processor of KVM's among its descriptors.
SCRIPT = f'''
for name in {' '.join(nested_vm.KVM_MODULES)}; do insmod /modules/$name.ko || exit 3; done
perigee-monitor --trial /trial {TRIAL_S} & trial=$!
while kill -0 $trial 2>/dev/null; do
  vmm=$(pidof qemu-system-x86_64) && ls -l /proc/$vmm/fd 2>/dev/null | grep -q kvm-vcpu && used=yes
  sleep 1
done
wait $trial; status=$?
cat /trial/vmm.log
echo "kvm ${{used:-no}} status $status"
'''


def lay_down(root, image, kernel, monitor):
    with tempfile.TemporaryDirectory() as modules:
        nested_vm.unpack_modules(kernel, modules, nested_vm.KVM_MODULES)
        nested_vm.host_layer(root, image, monitor, modules)
    os.mkdir(os.path.join(root, 'trial'))
    with open(os.path.join(root, 'trial/spec.json'), 'w', encoding='utf-8') as spec:
        json.dump(SPEC, spec)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    image, kernel, monitor = sys.argv[1:]
    for tool in ('qemu-system-x86_64', 'mkfs.erofs', 'mke2fs', 'busybox', 'clang-19', 'dpkg-deb'):
        if shutil.which(tool) is None:
            print(f'skipped: {tool} is not installed')
            sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        layer, upper = os.path.join(folder, 'host.erofs'), os.path.join(folder, 'upper.ext4')
        guest_vm.make_layer(layer, lambda root: lay_down(root, image, kernel, monitor))
        guest_vm.make_upper(upper)
        begun = time.monotonic()
        with Vm(folder, os.path.join(image, 'vmlinux'), os.path.join(image, 'initrd.cpio'), [layer],
                upper, guest_vm.tsc_khz(), memory=nested_vm.MEMORY_MIB,
                cpu=nested_vm.PROCESSOR) as vm:
            vm.channel.send(configure(argv=['/bin/sh', '-c', SCRIPT], layers=1))
            vm.channel.until(STARTED, timeout=PATIENCE_S)
            output = output_of(vm.channel.until(EXITED, timeout=PATIENCE_S)).decode()
    print(f'{output}took {time.monotonic() - begun:.1f} s')
    sys.exit(0 if 'kvm yes status 0\n' in output else 1)


if __name__ == '__main__':
    main()
