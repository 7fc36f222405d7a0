"""Rented servers for a test: each is a network namespace with addresses of its own, all on one
bridge, and a folder that is its PERIGEE_ROOT. A shell there is root's: what it calls
/etc/perigee, /var/lib/perigee, /opt/perigee, /root … is in that folder.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import netns
import packages
from perigee_node import REPOSITORY

# Absolute paths that are the server's own.
PLACES = re.compile(r'(?<![\w/.])/(?=(?:etc/perigee|var/lib/perigee|var/lib/etcd|opt/perigee|root)'
                    r'(?![\w-]))')
SHELL_S = 60


def ip(*words):
    subprocess.run(['ip', *words], check=True, capture_output=True)


class Servers:
    def __init__(self):
        self.id = f'pgs-{os.getpid()}'  # the namespace of the bridge, too
        self.all = {}
        ip('netns', 'add', self.id)
        ip('-n', self.id, 'link', 'add', 'switch', 'type', 'bridge')
        ip('-n', self.id, 'link', 'set', 'switch', 'up')

    def add(self, name, *addresses):
        """A server with these addresses, prefix included; it reaches all others."""
        server = Server(self.id, name, addresses)
        self.all[name] = server
        return server

    def destroy(self):
        for server in self.all.values():
            server.destroy()
        ip('netns', 'delete', self.id)


class Server:
    def __init__(self, switch, name, addresses):
        self.switch = switch
        self.name = name
        self.addresses = addresses
        self.space = f'{switch}-{name}'
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='pg-', dir='/var/tmp'))
        self.started = []
        self.connect()
        self.install()

    def connect(self):
        ip('netns', 'add', self.space)
        ip('-n', self.switch, 'link', 'add', self.name, 'type', 'veth', 'peer', 'name', 'eth0',
           'netns', self.space)
        ip('-n', self.switch, 'link', 'set', self.name, 'master', 'switch', 'up')
        ip('-n', self.space, 'link', 'set', 'lo', 'up')
        for address in self.addresses:
            ip('-n', self.space, 'address', 'add', address, 'dev', 'eth0')
        ip('-n', self.space, 'link', 'set', 'eth0', 'up')
        ip('-n', self.space, 'route', 'add', 'default', 'dev', 'eth0')

    def disconnect(self):
        ip('-n', self.switch, 'link', 'delete', self.name)  # at once, unlike the namespace
        ip('netns', 'delete', self.space)

    def install(self):
        """The programs, as a link to those that were built."""
        self.root.chmod(0o755)
        for folder in ('root', 'opt', 'var/lib'):
            (self.root / folder).mkdir(parents=True)
        (self.root / 'opt/perigee').symlink_to(REPOSITORY / 'build/release')

    def replace(self):
        """Another server in its place, with the same addresses and nothing on its disk."""
        self.disconnect()
        shutil.rmtree(self.root)
        self.root.mkdir()
        self.connect()
        self.install()

    # ---- a shell there ----

    def here(self, text):
        return PLACES.sub(f'{self.root}/', text)

    def _shell(self, text):
        etcd = packages.etcd_program().parent
        environment = {'PERIGEE_ROOT': str(self.root), 'HOME': str(self.root / 'root'),
                       'NO_COLOR': '1', 'LANG': 'C.UTF-8', 'PWD': str(self.root / 'root'),
                       'PATH': f'{self.root}/opt/perigee/bin:{etcd}:{os.environ["PATH"]}'}
        words = ['nsenter', f'--net=/run/netns/{self.space}', '--', 'bash', '-eo', 'pipefail', '-c',
                 self.here(text)]
        return words, environment

    def run(self, text, check=True, cwd=None, timeout=SHELL_S):
        """Runs shell text there, to its end; what it printed."""
        words, environment = self._shell(text)
        done = subprocess.run(words, env=environment, cwd=cwd or self.root / 'root', text=True,
                              input='', capture_output=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f'{self.name}: exit {done.returncode} of\n{text}\n{done.stdout}'
                                 f'{done.stderr}{self.logs()}')
        return done.stdout + done.stderr

    def start(self, text, line=''):
        """The same of what runs on: it is given a line of input; what it says is logged."""
        words, environment = self._shell(text)
        with open(self.root / 'started.log', 'ab') as log:
            process = subprocess.Popen(words, env=environment, cwd=self.root / 'root',
                                       stdin=subprocess.PIPE, stdout=log, stderr=log, text=True,
                                       start_new_session=True)
        process.stdin.write(line + '\n')
        process.stdin.close()
        self.started.append(process)

    def write(self, path, text, mode='w'):
        """A file of the server, which a page shows."""
        place = pathlib.Path(self.here(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place, mode, encoding='utf-8') as file:
            file.write(self.here(text))

    def read(self, path):
        return pathlib.Path(self.here(path)).read_bytes()

    def visit(self, function):
        """What `function` returns on a thread that is in the server's network."""
        result = netns.visit(self.space, function)
        return result[0] if result else None

    # ---- its processes ----

    def pids(self, word=''):
        """Of processes of its own, with `word` in their command lines."""
        key = f'PERIGEE_ROOT={self.root}'.encode()
        found = []
        for entry in pathlib.Path('/proc').iterdir():
            if not entry.name.isdigit():
                continue
            try:
                mine = key in (entry / 'environ').read_bytes().split(b'\0')
                command = (entry / 'cmdline').read_bytes().replace(b'\0', b' ')
            except OSError:
                continue  # it ended meanwhile
            if mine and word.encode() in command:
                found.append(int(entry.name))
        return sorted(found)

    def all_pids(self):
        """With those that bear no mark, and are in its network all the same: wireguard-go."""
        inside = subprocess.run(['ip', 'netns', 'pids', self.space], text=True,
                                capture_output=True, check=False).stdout.split()
        return sorted({*self.pids(), *map(int, inside)})

    def kill(self):
        """As if it had lost its power."""
        for _ in range(40):
            left = self.all_pids()
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        raise AssertionError(f'{self.name} does not die: {self.all_pids()}')

    def leftovers(self):
        done = subprocess.run([REPOSITORY / 'tools/dev/leftovers', self.root], text=True,
                              capture_output=True, check=False)
        return done.stdout.splitlines()

    def logs(self):
        paths = [self.root / 'started.log', *sorted((self.root / 'var/log/perigee').glob('*.log'))]
        return ''.join(f'--- {self.name} {path.name}\n{path.read_text(errors="replace")[-1500:]}'
                       for path in paths if path.exists())

    def destroy(self):
        if self.pids():
            self.run('perigee down', check=False)
        self.kill()
        for process in self.started:
            process.wait(20)
        for line in reversed(self.leftovers()):  # of one that a test has killed
            kind, place = line.split(' ', 1)
            if kind == 'cgroup':
                os.rmdir(place)
        self.disconnect()
        shutil.rmtree(self.root, ignore_errors=True)
