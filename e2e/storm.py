"""A storm: machine operations through the API while processes of the node are killed at random, and
what must hold afterwards.

The client's side of the contract is kept per machine: `may_be`, the states that it may end up in.
An operation that was answered leaves one; one that was cut may or may not have been taken.

Some machines have a volume, of a few that outlive them all: none may be lost, doubled, left with a
machine that is gone, or lose a line that was seen in its file.
"""

import contextlib
import http.client
import os
import pathlib
import random
import signal
import sqlite3
import threading
import time
import urllib.request

from perigee_node import wait_until

MACHINES = 3
VOLUMES = 3
VOLUME_FILE = '/data/boots'  # where the app adds a line at each boot
PORT = 8080
POINTS_PER_CHECK = 3
KILL_WITHIN_S = 1.5
SETTLE_S = 120
API_S = 60  # for the API to be back
ROLES = ('control', 'worker', 'router')
VERBS = ('start', 'stop', 'stop', 'suspend', 'suspend', 'restart', 'destroy')
ACTIVE_SHARE = 0.7  # of the machines, at each point
# A machine whose VM was killed before it was saved has nothing to be suspended.
TARGETS = {'start': {'started'}, 'restart': {'started'}, 'stop': {'stopped'},
           'suspend': {'suspended', 'stopped'}}


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Machine:
    def __init__(self, ident):
        self.id = ident
        self.may_be = {'started'}

    def __str__(self):
        return f'{self.id} ({" or ".join(sorted(self.may_be))})'


class Storm:
    def __init__(self, node, app, config, seed):
        self.node = node
        self.app_path = f'/v1/apps/{app}'
        self.path = f'{self.app_path}/machines'
        self.config = config
        self.random = random.Random(seed)
        self.machines = []
        self.lines = {}  # volume's id → lines seen in its file
        self.destroyed = []  # ids
        self.log = []  # what was done, for whoever reads a failure
        self.unexpected = []  # answers that no operation may give

    # ---- operations ----

    def call(self, method, path, body=None):
        """(status, value) of one call; (0, None): the connection was cut, nobody knows."""
        try:
            return self.node.api(method, self.path + path, body)
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None

    def make_volumes(self):
        for _ in range(VOLUMES):
            status, value = self.node.api('POST', f'{self.app_path}/volumes',
                                          {'name': 'data', 'size_mb': 64, 'encrypted': True})
            assert status == 200, value
            self.lines[value['id']] = 0

    def create(self):
        before = {each.id for each in self.machines} | set(self.destroyed)
        config = dict(self.config)
        free = [each['id'] for each in self.volumes() if each['attached_machine_id'] is None]
        if free:
            config['mounts'] = [{'volume': self.random.choice(free), 'path': '/data'}]
        status, value = self.call('POST', '', {'config': config})
        if status == 200:
            self.machines.append(Machine(value['id']))
        elif status == 0:  # taken or not: it shows
            for each in self.listed():
                if each['id'] not in before:
                    self.machines.append(Machine(each['id']))
        self.log.append(f'create: {status}')

    def operate(self, machine, verb):
        if verb == 'destroy':
            status, _ = self.call('DELETE', f'/{machine.id}?force=true')
            targets = {'gone'}
        else:
            status, _ = self.call('POST', f'/{machine.id}/{verb}')
            targets = TARGETS[verb]
        self.log.append(f'{verb} {machine.id}: {status}')
        if status == 200:
            machine.may_be = set(targets)
        elif status == 0:
            machine.may_be |= targets
        elif status not in (409, 404):  # refused: as it is, it can't
            self.unexpected.append(f'{verb} {machine}: {status}')

    def listed(self):
        """The app's machines, as soon as the API is there."""
        return self.answer(self.path)

    def volumes(self):
        return self.answer(f'{self.app_path}/volumes')

    def answer(self, path):
        def ask():
            try:
                status, value = self.node.api('GET', path)
            except (OSError, http.client.HTTPException, ValueError):
                return None
            return (value,) if status == 200 else None
        return wait_until('the API answers', API_S, ask)[0]

    # ---- kills ----

    def victims(self):
        found = [(role, pid) for role in ROLES for pid in self._role(role)]
        found += [('perigeed', pid) for pid in self._role('perigeed')]
        found += [('monitor', pid) for pid in self.node.monitor_pids()]
        found += [('vmm', pid) for pid in self.vmms().values()]
        return found

    def _role(self, role):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return [self.node.role_pid(role)]
        return []

    def kill_one(self):
        """A kind of process first, so that the many monitors don't stand before the few roles."""
        found = self.victims()
        kind = self.random.choice(sorted({name for name, _ in found}))
        pid = self.random.choice(sorted(pid for name, pid in found if name == kind))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.log.append(f'kill -9 {kind} {pid}')
        if kind == 'perigeed':
            self.node.up()

    def point(self):
        """One kill, at a random moment of operations on every machine."""
        while len(self.machines) < MACHINES:
            self.create()
        chosen = [(each, self.random.choice(VERBS)) for each in self.machines
                  if self.random.random() < ACTIVE_SHARE]
        workers = [threading.Thread(target=self.operate, args=each) for each in chosen]
        for worker in workers:
            worker.start()
        time.sleep(self.random.uniform(0, KILL_WITHIN_S))
        self.kill_one()
        for worker in workers:
            worker.join(API_S)
            if worker.is_alive():
                self.unexpected.append('an operation does not return')

    # ---- what must hold ----

    def vmms(self):
        """machine id → pid of its VMM."""
        found = {}
        for pid, command in self.node.processes().items():
            for each in self.machines:
                if f'guest=perigee-{each.id}' in command:
                    if each.id in found:
                        raise AssertionError(f'{each.id} has two VMMs: {found[each.id]} and {pid}')
                    found[each.id] = pid
        return found

    def settle(self):
        """Waits until every machine is as it was acknowledged, and nothing else is there."""
        problems = ['not looked yet']

        def look():
            problems[:] = self.problems()
            return not problems

        try:
            wait_until('what was acknowledged holds', SETTLE_S, look, pause=0.25)
        except AssertionError as error:
            raise AssertionError('\n'.join([str(error), *problems, 'after:', *self.log[-30:]])) \
                from None

    def problems(self):
        if self.unexpected:
            return list(self.unexpected)
        listed = self.listed()
        states = {each['id']: each['state'] for each in listed}
        found = []
        for each in list(self.machines):
            state = states.get(each.id, 'gone')
            if state not in each.may_be:
                found.append(f'{each} is {state}')
                continue
            each.may_be = {state}
            if state == 'gone':
                self.machines.remove(each)
                self.destroyed.append(each.id)
        known = {each.id for each in self.machines}
        found += [f'{ident} is listed but not known' for ident in states if ident not in known]
        return found + self.leaks() + self.volume_problems(listed)

    def volume_problems(self, machines):
        volumes = {each['id']: each['attached_machine_id'] for each in self.volumes()}
        folders = {path.name for path in (self.node.state / 'volumes').iterdir()}
        found = []
        if set(volumes) != set(self.lines) or folders != set(self.lines):
            found.append(f'volumes {sorted(volumes)}, folders {sorted(folders)}, made were '
                         f'{sorted(self.lines)}')
        known = {each.id for each in self.machines}
        found += [f'{volume} is with {machine}, which is gone'
                  for volume, machine in volumes.items() if machine and machine not in known]
        for each in machines:
            for mount in each['config'].get('mounts', []):
                if volumes.get(mount['volume']) != each['id']:
                    found.append(f'{each["id"]} has not its volume {mount["volume"]}')
                elif each['state'] == 'started':
                    found += self.data_problems(mount['volume'], each['private_ip'])
        return found

    def data_problems(self, volume, address):
        try:
            with OPENER.open(f'http://{address}:{PORT}{VOLUME_FILE}', timeout=2) as answer:
                lines = len(answer.read().split())
        except OSError as error:
            return [f'{volume}: {address} does not show its file: {error}']
        if lines < self.lines[volume]:
            return [f'{volume} has {lines} lines, and had {self.lines[volume]}']
        self.lines[volume] = lines
        return []

    def leaks(self):
        """What belongs to no machine, or to one that does not run."""
        running = {each.id for each in self.machines if each.may_be == {'started'}}
        known = {each.id for each in self.machines}
        found = []
        if set(self.vmms()) != running:
            found.append(f'VMMs of {sorted(self.vmms())}, started are {sorted(running)}')
        if len(self.node.vmm_pids()) != len(running):
            found.append(f'{len(self.node.vmm_pids())} VMMs for {len(running)} started machines')
        if len(self.node.monitor_pids()) != len(running):
            found.append(f'{len(self.node.monitor_pids())} monitors for {len(running)} machines')
        taps = {path.name for path in pathlib.Path('/sys/class/net').glob('pg-*')}
        for ident in [*known - running, *self.destroyed]:
            if f'pg-{ident[:12]}' in taps:
                found.append(f'{ident} has a tap')
            found += [f'{ident} has a cgroup: {path}' for path in cgroups_of(ident)]
        found += [f'a mount: {line}' for line in pathlib.Path('/proc/self/mountinfo').read_text()
                  .splitlines() if str(self.node.root) in line and 'nsfs' not in line]
        return found + self.rows_and_files(known)

    def rows_and_files(self, known):
        folders = {path.name for path in (self.node.state / 'machines').iterdir()}
        found = [f'the folder of {each} is left' for each in sorted(folders - known)]
        with contextlib.closing(sqlite3.connect(
                f'file:{self.node.state}/store.db?mode=ro', uri=True)) as store:
            rows = {key.rsplit('/', 1)[1] for (key,) in
                    store.execute("SELECT key FROM entries WHERE key LIKE '/machines/%'")}
        found += [f'the row of {each} is left' for each in sorted(rows - known)]
        logs = self.node.state / 'logs'  # kept on purpose, within bounds
        for ident in self.destroyed:
            found += [f'{path} is left' for path in named_after(self.node.root, ident)
                      if not path.is_relative_to(logs)]
        return found


def cgroups_of(ident):
    return [path for path in named_after(pathlib.Path('/sys/fs/cgroup'), ident) if path.is_dir()]


def named_after(top, ident):
    """What is called after a machine below `top`; what vanishes meanwhile is not there."""
    return [pathlib.Path(folder, name) for folder, folders, files in os.walk(top)
            for name in (*folders, *files) if ident in name]
