"""A node of its own for a test: PERIGEE_ROOT in a temporary folder, free ports, its own network.

Everything goes through what users have: the `perigee` command, the public API, the router's ports.
Processes are found and ended by pid, and only those that belong to this node's folder.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
BIN = REPOSITORY / 'build/release/bin'
KEEP = False  # leave the node's folder behind
ROLES = ('control', 'worker', 'router')
UP_S = 60  # a first start includes a trial boot
STOP_S = 30


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(('127.0.0.1', 0))
        return [one.getsockname()[1] for one in sockets]


def free_network():
    """One that no node on this host has: neither one that runs nor one that was killed."""
    taken = subprocess.run(['nft', 'list', 'ruleset'], capture_output=True, text=True,
                           check=True).stdout
    for number in range(40):
        network = f'10.{210 + (os.getpid() + number) % 40}.0.0/16'
        if network not in taken:
            return network
    raise AssertionError('no network from 10.210 to 10.249 is free: nft list ruleset')


def wait_until(what, seconds, condition, pause=0.05):
    """The first true value of `condition()`; fails naming `what` when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'not within {seconds} s: {what}')
        time.sleep(pause)


class Node:
    def __init__(self, settings='', router_config='', worker_config='', more_config=''):
        """Lines for perigeed.toml: `settings` first, `router_config` and `worker_config` in those
        sections, `more_config` at its end."""
        # Short, for Unix socket paths; open, for the router's own user must reach its part.
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='pg-', dir='/var/tmp'))
        self.root.chmod(0o755)
        self.api_port, self.http_port, self.https_port, self.metrics_port = free_ports(4)
        config = self.root / 'etc/perigee/perigeed.toml'
        config.parent.mkdir(parents=True)
        config.write_text(f'''{settings}node = "e2e"
region = "loc"

[api]
listen = ["127.0.0.1:{self.api_port}"]

[router]
http = ["127.0.0.1:{self.http_port}"]
https = ["127.0.0.1:{self.https_port}"]
{router_config}
[metrics]
listen = ["127.0.0.1:{self.metrics_port}"]

[worker]
network = "{free_network()}"
{worker_config}''' + more_config)
        self.environment = dict(os.environ, PERIGEE_ROOT=str(self.root), NO_COLOR='1')

    # ---- places ----

    @property
    def state(self):
        return self.root / 'var/lib/perigee'

    @property
    def run(self):
        return self.root / 'run/perigee'

    # ---- the command line ----

    def cli(self, *words, cwd=None, check=True, timeout=180, input=''):
        """Runs `perigee WORDS`; its output is in .stdout and .stderr."""
        done = subprocess.run([BIN / 'perigee', *map(str, words)], cwd=cwd or self.root,
                              env=self.environment, input=input, text=True,
                              capture_output=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f'perigee {" ".join(map(str, words))}: exit {done.returncode}\n'
                                 f'{done.stdout}{done.stderr}')
        return done

    def up(self):
        self.cli('up', timeout=UP_S)
        return self

    def down(self):
        self.cli('down', timeout=STOP_S)

    def deploy(self, folder, *words, check=True):
        return self.cli('deploy', *words, cwd=folder, check=check)

    # ---- the API ----

    def token(self):
        return (self.state / 'token').read_text().strip()

    def api(self, method, path, body=None):
        """(status, value) of a call of the public API."""
        connection = http.client.HTTPConnection('127.0.0.1', self.api_port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {'Authorization': f'Bearer {self.token()}'})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.strip() else None

    def machines(self, app):
        status, value = self.api('GET', f'/v1/apps/{app}/machines')
        assert status == 200, f'machines of {app}: {status} {value}'
        return value

    def machine(self, app):
        """The app's one machine that is not on its way out."""
        machines = [one for one in self.machines(app)
                    if one['state'] not in ('destroying', 'destroyed')]
        assert len(machines) == 1, f'{app} has {len(machines)} machines: {machines}'
        return machines[0]

    # ---- the router ----

    def get(self, app, path='/', https=False, timeout=5, headers=None):
        """(status, text) of a page of the app, on a new connection."""
        host = f'{app}.localhost'
        if https:
            raw = socket.create_connection(('127.0.0.1', self.https_port), timeout)
            context = ssl.create_default_context(cafile=self.state / 'ca.pem')
            connection = http.client.HTTPConnection(host, timeout=timeout)
            try:
                connection.sock = context.wrap_socket(raw, server_hostname=host)
            except (OSError, ssl.SSLError):
                raw.close()
                raise
        else:
            connection = http.client.HTTPConnection('127.0.0.1', self.http_port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request('GET', path, headers={'Host': host, 'Connection': 'close',
                                                     **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode('utf-8', 'replace')

    # ---- processes ----

    def processes(self):
        """pid → command line of every process of this node, found by its folder."""
        mine = {}
        key = f'PERIGEE_ROOT={self.root}'.encode()
        for entry in pathlib.Path('/proc').iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / 'cmdline').read_bytes()
                environment = (entry / 'environ').read_bytes().split(b'\0')
                state = (entry / 'stat').read_text().rsplit(')', 1)[1].split()[0]
            except (OSError, IndexError):
                continue  # it ended meanwhile
            if state != 'Z' and (key in environment or str(self.root).encode() in command):
                mine[int(entry.name)] = command.replace(b'\0', b' ').decode('utf-8', 'replace')
        return mine

    def pids_of(self, word):
        return [pid for pid, command in self.processes().items()
                if word in os.path.basename(command.split(' ', 1)[0])]

    def role_pid(self, role):
        return int((self.run / f"{role}.pid").read_text().split()[0])

    def vmm_pids(self):
        return self.pids_of('qemu-system')

    def monitor_pids(self):
        return self.pids_of('perigee-monitor')

    @staticmethod
    def started_at(pid):
        """When a process started, in clock ticks: tells a process from one that took its pid."""
        return int(pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[19])

    # ---- the end ----

    def leftovers(self):
        """What of this node is still there: lines for a person; empty is as it should be."""
        check = subprocess.run([REPOSITORY / 'tools/dev/leftovers', self.root],
                               capture_output=True, text=True, check=False)
        return check.stdout.strip().splitlines()

    def last_logs(self):
        text = ''
        for path in sorted((self.root / 'var/log/perigee').glob('*.log')):
            lines = path.read_text(errors='replace').splitlines()[-15:]
            text += f'--- {path.name}\n' + '\n'.join(lines) + '\n'
        return text

    def destroy(self):
        """Ends everything, by force where needed, and removes the folder."""
        if self.root.exists() and self.processes():
            self.cli('down', check=False, timeout=STOP_S)
        for _ in range(20):  # a supervisor may start a role while we look
            left = self.processes()
            if not left:
                break
            for pid in sorted(left):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        if KEEP:
            print(f'kept: {self.root}')
        else:
            shutil.rmtree(self.root, ignore_errors=True)
