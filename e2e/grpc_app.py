#!/usr/bin/env python3
"""gRPC's own Node.js library, as client on this host and as the app in a machine (e2e/grpc).

  e2e/grpc_app.py   (tools/setup calls it) fetches the library into build/cache/grpc, by npm and the
                    lock file; after that nothing here needs a network
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

import packages

SOURCES = packages.ROOT / 'e2e/grpc'
CACHE = packages.ROOT / 'build/cache/grpc'
PORT = 50051
MEMORY_MIB = 512
DOCKERFILE = f'''FROM scratch
ADD rootfs.tar /
WORKDIR /app
CMD ["/usr/bin/node", "server.js", "{PORT}"]
'''
PERIGEE_TOML = f'''app = "{{app}}"

[http_service]
internal_port = {PORT}

[http_service.http_options]
h2_backend = true

[[vm]]
memory = {MEMORY_MIB}
'''


def missing():
    """Why there can be no gRPC here; None where there can."""
    if shutil.which('node') is None or shutil.which('npm') is None:
        return 'there is no Node.js with npm here (apt-get install nodejs npm)'
    return None


def modules():
    """The folder that holds client.js, server.js and node_modules; fetched once per lock file."""
    stamp = CACHE / 'package-lock.json'
    wanted = (SOURCES / 'package-lock.json').read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        shutil.copy(SOURCES / 'package.json', CACHE)
        lock = CACHE / 'package-lock.json'
        lock.write_text(wanted)
        command = ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund']
        done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lock.unlink()
            sys.exit(f'grpc_app: npm could not fetch the packages of {SOURCES}: check the network, '
                     f'run again\n{done.stderr}')
    for source in SOURCES.glob('*.js'):
        shutil.copy(source, CACHE)
    return CACHE


def libraries(program):
    """The shared libraries that a program of this host loads, its loader too."""
    said = subprocess.run(['ldd', program], capture_output=True, text=True, check=True).stdout
    return re.findall(r'(/\S+) \(0x', said)


def app_folder(folder, app):
    """A build context whose image is this host's Node.js with server.js; perigee.toml for `app`."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    node = shutil.which('node')
    with tarfile.open(folder / 'rootfs.tar', 'w', dereference=True) as out:
        out.add(node, '/usr/bin/node')
        for library in libraries(node):
            out.add(library, library)
        out.add(modules(), '/app')
    (folder / 'Dockerfile').write_text(DOCKERFILE)
    (folder / 'perigee.toml').write_text(PERIGEE_TOML.format(app=app))
    return folder


def calls(address, host, ca, count, large_bytes, timeout):
    """What client.js saw (its JSON)."""
    command = ['node', str(modules() / 'client.js'), address, host, str(ca), str(count),
               str(large_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise AssertionError(f'{" ".join(command)}\n{done.stdout}{done.stderr}')
    return json.loads(done.stdout)


if __name__ == '__main__':
    if missing():
        print(f'setup: {missing()}: the scenarios of gRPC will be skipped', file=sys.stderr)
    else:
        modules()
