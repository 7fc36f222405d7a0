"""Debian packages as plain files: downloaded with apt once, unpacked, never installed.

The end-to-end tests make their nginx image and run their registry and etcd from them: installed,
Debian's servers would start and take ports.

  e2e/packages.py             (tools/setup calls it) downloads all into build/cache/debs; after that
                              nothing here needs a network. Unpacks etcd, for the store's unit tests
  e2e/packages.py --registry  unpacks the registry and prints where its program is
  e2e/packages.py --etcd      the same of etcd
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
ETCD = ['etcd-server', 'etcd-client']
# Redis and a Python without its library, for the app of services that are no HTTP.
WIRE = ['redis-server', 'redis-tools', 'libc6', 'libatomic1', 'libjemalloc2', 'liblzf1', 'libssl3',
        'libsystemd0', 'libcap2', 'libgcrypt20', 'libgpg-error0', 'liblzma5', 'liblz4-1',
        'libzstd1', 'libgcc-s1', 'libstdc++6', 'zlib1g', 'libexpat1', 'python3.11-minimal',
        'libpython3.11-minimal', 'busybox-static']
WS = ['node-ws']  # the WebSocket library alone: Node.js is the host's
PROMETHEUS = ['prometheus']  # promtool is in it
PEBBLE = ['pebble']  # a certificate authority, and a DNS server for it
# What `./dev bench-router` compares with, and what they load beside nginx's.
PEERS = ['haproxy', 'h2o', 'liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1',
         'libsystemd0', 'libyaml-0-2', 'libcap2']
# PostgreSQL's server (without JIT) with all that it loads.
POSTGRES = ['postgresql-15', 'libpq5', 'libc6', 'libicu72', 'libstdc++6', 'libgcc-s1', 'libxml2',
            'libxslt1.1', 'liblzma5', 'liblz4-1', 'libzstd1', 'zlib1g', 'libssl3', 'libpam0g',
            'libselinux1', 'libpcre2-8-0', 'libsystemd0', 'libcap2', 'libgcrypt20',
            'libgpg-error0', 'libuuid1', 'libaudit1', 'libcap-ng0', 'libcrypt1',
            'libgssapi-krb5-2', 'libkrb5-3', 'libk5crypto3', 'libkrb5support0', 'libcom-err2',
            'libkeyutils1', 'libldap-2.5-0', 'libsasl2-2', 'libgnutls30', 'libp11-kit0',
            'libidn2-0', 'libunistring2', 'libtasn1-6', 'libnettle8', 'libhogweed6', 'libgmp10',
            'libffi8', 'busybox-static']


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


def promtool_program():
    fetch(PROMETHEUS)
    return unpack(PROMETHEUS, ROOT / 'build/cache/prometheus') / 'usr/bin/promtool'


def etcd_program():
    """etcd; etcdctl is beside it."""
    fetch(ETCD)
    return unpack(ETCD, ROOT / 'build/cache/etcd') / 'usr/bin/etcd'


def pebble_programs():
    """The folder of pebble and pebble-challtestsrv."""
    fetch(PEBBLE)
    return unpack(PEBBLE, ROOT / 'build/cache/pebble') / 'usr/bin'


def main():
    if sys.argv[1:] == ['--registry']:
        print(registry_program())
    elif sys.argv[1:] == ['--etcd']:
        print(etcd_program())
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        fetch(NGINX + REGISTRY + POSTGRES + PROMETHEUS + WIRE + WS + PEBBLE)
        etcd_program()


if __name__ == '__main__':
    main()
