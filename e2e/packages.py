"""Debian packages as plain files: downloaded with apt once, unpacked, never installed.

The end-to-end tests make their nginx image and run their registry from them: installed, Debian's
servers would start and take ports.

  e2e/packages.py             (tools/setup calls it) downloads all into build/cache/debs; after that
                              nothing here needs a network
  e2e/packages.py --registry  unpacks the registry and prints where its program is
"""

import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEBS = ROOT / 'build/cache/debs'

# nginx with all that it loads, and a shell for RUN steps and look-ups.
NGINX = ['nginx', 'nginx-common', 'libc6', 'libpcre2-8-0', 'libssl3', 'zlib1g', 'libcrypt1',
         'busybox-static']
REGISTRY = ['docker-registry']


def deb_of(package):
    """The downloaded file of a package, or None."""
    found = sorted(DEBS.glob(f'{package}_*.deb'), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def fetch(packages):
    """Downloads those that are not there yet."""
    missing = [package for package in packages if deb_of(package) is None]
    if not missing:
        return
    DEBS.mkdir(parents=True, exist_ok=True)
    # As root apt drops to the user _apt, who may not be able to write here: keep root for this one.
    command = ['apt-get', '-qq', '-o', 'APT::Sandbox::User=root', 'download', *missing]
    if subprocess.run(command, cwd=DEBS, check=False).returncode != 0:
        sys.exit(f'packages: apt-get could not download {" ".join(missing)} (see its message '
                 'above): run apt-get update, check the network, then run again')


def unpack(packages, folder):
    """The files of all packages, as if installed, in one folder; done once per set of versions."""
    debs = [deb_of(package) for package in packages]
    stamp = folder.with_name(folder.name + '.debs')
    wanted = '\n'.join(deb.name for deb in debs)
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for deb in debs:
        subprocess.run(['dpkg', '-x', str(deb), str(folder)], check=True)
    stamp.write_text(wanted)
    return folder


def registry_program():
    fetch(REGISTRY)
    return unpack(REGISTRY, ROOT / 'build/cache/docker-registry') / 'usr/bin/docker-registry'


def main():
    if sys.argv[1:] == ['--registry']:
        print(registry_program())
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        fetch(NGINX + REGISTRY)


if __name__ == '__main__':
    main()
