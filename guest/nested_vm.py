"""A microVM inside a microVM: the outer one (QEMU, TCG, an AMD processor with SVM) has a working
/dev/kvm and, as its app's image, what a host needs to run VMs: QEMU, perigee-monitor, the guest's
kernel and initrd. So KVM is tested on machines that have none."""
import os
import shutil
import subprocess

PROCESSOR = 'EPYC,+svm,+npt'
MEMORY_MIB = 768
KVM_MODULES = ('irqbypass', 'kvm', 'kvm-amd')  # of the kernel's package, in load order
FIRMWARE = ('bios-microvm.bin', 'pvh.bin', 'linuxboot_dma.bin', 'kvmvapic.bin')
SHELL = ('sh', 'ls', 'cat', 'grep', 'insmod', 'kill', 'pidof', 'sleep')


def unpack_modules(kernel_dir, folder, names):
    """The kernel's modules `names` out of its package, which tools/guest/fetch-kernel has kept, as
    folder/NAME.ko. FileNotFoundError: the package has none of that name."""
    cache = os.path.join(kernel_dir, 'cache')
    package = next(name for name in sorted(os.listdir(cache)) if name.endswith('.deb'))
    unpacked = os.path.join(folder, 'unpacked')
    wanted = ['*/%s.ko' % name for name in names]
    archive = subprocess.Popen(['dpkg-deb', '--fsys-tarfile', os.path.join(cache, package)],
                               stdout=subprocess.PIPE)
    os.mkdir(unpacked)
    subprocess.run(['tar', '-x', '-C', unpacked, '--wildcards', *wanted], stdin=archive.stdout,
                   check=True)
    archive.stdout.close()
    archive.wait()
    found = {name: os.path.join(where, name)
             for where, _, files in os.walk(unpacked) for name in files}
    for name in names:
        if name + '.ko' not in found:
            raise FileNotFoundError('%s has no module %s' % (package, name))
        subprocess.run(['strip', '-d', '-o', os.path.join(folder, name + '.ko'),
                        found[name + '.ko']], check=True)
    shutil.rmtree(unpacked)


def copy_program(program, root, place='bin'):
    """A program and the libraries that it is linked with, below `root`."""
    target = os.path.join(root, place, os.path.basename(program))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(program, target)
    listing = subprocess.run(['ldd', program], capture_output=True, text=True, check=True).stdout
    for word in listing.split():
        if word.startswith('/') and os.path.exists(word):
            library = root + word
            os.makedirs(os.path.dirname(library), exist_ok=True)
            if not os.path.exists(library):
                shutil.copy(word, library)


def host_layer(root, image, monitor, modules):
    """Lays down a host's root: `image` is the folder of vmlinux and initrd.cpio, `modules` one of
    *.ko files."""
    copy_program(shutil.which('qemu-system-x86_64'), root, 'usr/bin')
    copy_program(monitor, root)
    shutil.copy('/bin/busybox', os.path.join(root, 'bin/busybox'))
    for applet in SHELL:
        os.symlink('busybox', os.path.join(root, 'bin', applet))
    share = os.path.join(root, 'usr/share/qemu')
    os.makedirs(share)
    for name in FIRMWARE:
        shutil.copy(os.path.join('/usr/share/qemu', name), share)
    os.mkdir(os.path.join(root, 'guest'))
    for name in ('vmlinux', 'initrd.cpio'):
        shutil.copy(os.path.join(image, name), os.path.join(root, 'guest'))
    shutil.copytree(modules, os.path.join(root, 'modules'))
