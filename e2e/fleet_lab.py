"""A lab with several control nodes and etcd, users in every city who count what becomes of their
requests, and what a test does to such a fleet: it ends programs of a city, or all of a city at
once.
"""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import threading
import time

import netns
import packages
from lab import Lab
from load import Load
from perigee_node import wait_until

ANSWER_S = 10
READY_S = 60


class FleetLab(Lab):
    def __init__(self, cities, control):
        super().__init__()
        self.environment['PERIGEE_ETCD'] = str(packages.etcd_program())
        self.controls = list(control)  # none: those that the lab has by itself
        self.cities = {}
        self.names = list(cities)

    def up(self):
        control = ['--control', ','.join(self.controls)] if self.controls else []
        made = json.loads(self.cli('up', '--cities', ','.join(self.names), *control,
                                   '--json').stdout)
        self.id = made['id']
        self.cities = {city['city']: city for city in made['cities']}
        return self

    def address(self, city, user=False):
        return self.cities[city]['users' if user else 'node']

    def root(self, city):
        return pathlib.Path(self.cities[city]['root'])

    # ---- the platform's commands and API, in a city with control ----

    def perigee(self, *words, city=None, cwd='/', check=True):
        return self.cli('exec', city or self.controls[0], '--', 'perigee', *words, cwd=cwd,
                        check=check)

    def api(self, method, path, city=None, body=None, timeout=20):
        """(status, value) of a call of the city's control; None where it does not answer."""
        city = city or self.controls[0]
        token = (self.root(city) / 'var/lib/perigee/token').read_text().strip()

        def call():
            connection = http.client.HTTPConnection('127.0.0.1', 4280, timeout=timeout)
            with contextlib.closing(connection):
                connection.request(method, path, json.dumps(body) if body is not None else None,
                                   {'Authorization': f'Bearer {token}'})
                answer = connection.getresponse()
                text = answer.read()
                return answer.status, json.loads(text) if text.strip() else None
        try:
            return self.visit(city, lambda: quiet(call))
        except AssertionError:
            return None

    def states(self, city=None):
        answer = self.api('GET', '/v1/nodes', city)
        if answer is None or answer[0] != 200:
            return {}
        return {node['name']: node['state'] for node in answer[1]['nodes']}

    def await_ready(self, cities=None):
        """Until each control calls each of these cities' nodes ready."""
        wanted = {city: 'ready' for city in cities or self.names}
        for control in self.controls:
            wait_until(f'control on {control} calls {" ".join(wanted)} ready', READY_S,
                       lambda control=control: wanted.items() <= self.states(control).items(),
                       pause=0.5)

    def reload(self, city):
        """Everything of the city's node anew, in order."""
        self.cli('exec', city, '--', 'perigeed', 'reload')

    # ---- users ----

    def users(self, app, rate, cities=None):
        return Users(self, app, rate, cities or self.names)

    # ---- violence ----

    def pids(self, city, *words):
        """Of the programs in the city's network whose command line holds all the words."""
        space = os.stat(f'/run/netns/{self.namespace(city)}').st_ino
        found = []
        for entry in pathlib.Path('/proc').iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / 'cmdline').read_bytes().replace(b'\0', b' ').decode()
                if (entry / 'ns/net').stat().st_ino != space:
                    continue
            except OSError:
                continue  # it ended meanwhile
            if command and all(word in command for word in words):
                found.append(int(entry.name))
        return found

    def all_pids(self):
        """Of all of the lab: in its cities' networks, and between them."""
        between = [int(line.split()[1]) for line in self.leftovers() if line.startswith('process')]
        return {pid for city in self.names for pid in self.pids(city)}.union(between)

    def kill(self, city, *words):
        killed = self.pids(city, *words)
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return killed

    def kill_city(self, city):
        """As if its server had lost its power: whatever runs there, in no order."""
        for _ in range(20):
            if not self.kill(city):
                return
            time.sleep(0.05)
        raise AssertionError(f'{city} does not die: {self.pids(city)}')

    def cut_in_two(self, one, other):
        for a in one:
            for b in other:
                self.cli('cut', f'{a}-{b}')


def quiet(call):
    try:
        return call()
    except OSError:
        return None


class Users:
    """Users of every city at once, each asking their own city's edge at a fixed rate."""

    def __init__(self, lab, app, rate, cities):
        self.lab = lab
        self.app = app
        self.place = threading.local()
        self.loads = {city: Load(lambda city=city: self._ask(city), rate) for city in cities}

    def _ask(self, city):
        if getattr(self.place, 'city', None) != city:  # a pool's thread, at its first request
            netns.enter(self.lab.namespace(city, user=True))
            self.place.city = city
        connection = http.client.HTTPConnection(self.lab.address(city), 80, timeout=ANSWER_S)
        with contextlib.closing(connection):
            connection.request('GET', '/', headers={'Host': f'{self.app}.lab.test',
                                                    'Connection': 'close'})
            answer = connection.getresponse()
            return answer.status, answer.read().decode('utf-8', 'replace')

    def __enter__(self):
        for load in self.loads.values():
            load.__enter__()
        return self

    def __exit__(self, *ignored):
        for load in self.loads.values():
            load.stopped.set()
        for load in self.loads.values():
            load.__exit__()

    def asked(self):
        return sum(len(load.samples) for load in self.loads.values())

    def failed(self, city, besides=()):
        """Failed requests of a city's users, without those sent in the spans of time `besides`."""
        return [sample for sample in self.loads[city].failed()
                if not any(start <= sample.sent <= end for start, end in besides)]

    def answered_after(self, city, moment):
        """When the first request after `moment` was sent that was answered well."""
        good = [sample.sent for sample in self.loads[city].samples
                if sample.sent > moment and not sample.problem]
        return min(good, default=None)

    def describe(self, since=0.0):
        lines = []
        for city, load in self.loads.items():
            bad = load.failed()
            lines.append(f'{city}: {len(bad)} of {len(load.samples)} failed')
            lines += [f'  at {sample.sent - since:.2f} s, after {sample.took:.2f} s: '
                      f'{sample.problem}' for sample in bad[:8]]
        return '\n'.join(lines)
