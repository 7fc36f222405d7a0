#!/usr/bin/env python3
"""Whether a lab's store, mesh and routes agree: what etcd holds against what WireGuard's devices
and the routers' snapshots say, read from where they are, not from control.

  e2e/fleet_check.py FOLDER   of a lab; prints what disagrees, a line each, and fails if any is
"""

import base64
import json
import os
import pathlib
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PERIGEE = REPOSITORY / 'build/release/bin/perigee'


class Fleet:
    """A lab as its folder and `perigee lab status` show it."""

    def __init__(self, folder):
        done = subprocess.run([PERIGEE, 'lab', '--dir', folder, 'status', '--json'],
                              capture_output=True, text=True, check=True)
        self.cities = {city['city']: city for city in json.loads(done.stdout)['cities']}

    def run(self, city, *command, text_in=''):
        space = self.cities[city]['namespace']
        done = subprocess.run(['nsenter', f'--net=/run/netns/{space}', '--', *command],
                              input=text_in, capture_output=True, text=True, check=False,
                              env=dict(os.environ, no_proxy='*'))
        if done.returncode != 0:
            raise RuntimeError(f'{city}: {" ".join(command)}: {done.stderr.strip()}')
        return done.stdout

    # ---- the store ----

    def _etcd(self, city, path, body, token=''):
        folder = pathlib.Path(self.cities[city]['root']) / 'etc/etcd'
        config = (f'silent\nshow-error\nfail\ncacert = "{folder}/ca.pem"\n'
                  f'cert = "{folder}/member.pem"\nkey = "{folder}/member.key"\nmax-time = 5\n'
                  f'url = "https://{self.cities[city]["node"]}:2379{path}"\n'
                  f'header = "Authorization: {token}"\ndata = {json.dumps(json.dumps(body))}\n')
        return json.loads(self.run(city, 'curl', '--config', '-', text_in=config))

    def stored(self, kind, city):
        """The last part of the key → value of all records of a kind, by a linearizable read."""
        folder = pathlib.Path(self.cities[city]['root']) / 'etc/etcd'
        login = {'name': 'perigee', 'password': (folder / 'password').read_text()}
        token = self._etcd(city, '/v3/auth/authenticate', login)['token']
        prefix = f'/perigee/{kind}/'
        ends = {'key': prefix, 'range_end': prefix[:-1] + '0'}  # '0' follows '/'
        query = {name: base64.b64encode(text.encode()).decode() for name, text in ends.items()}
        entries = self._etcd(city, '/v3/kv/range', query, token).get('kvs', [])
        return {base64.b64decode(entry['key']).decode().rsplit('/', 1)[1]:
                json.loads(base64.b64decode(entry['value'])) for entry in entries}

    # ---- the mesh and the routes ----

    def mesh(self, city):
        """(own key, {peer's key: seconds since its last handshake or None}) of WireGuard."""
        links = json.loads(self.run(city, 'ip', '-json', 'link', 'show'))
        device = [link['ifname'] for link in links if link['ifname'].startswith('pgw-')]
        if len(device) != 1:
            raise RuntimeError(f'{city}: WireGuard devices {device}')
        lines = self.run(city, 'wg', 'show', device[0], 'dump').splitlines()
        peers = [line.split('\t') for line in lines[1:]]
        return lines[0].split('\t')[1], {peer[0]: int(peer[4]) for peer in peers}

    def snapshot(self, city):
        """(routes, nodes) as the city's router has them on disk."""
        path = pathlib.Path(self.cities[city]['root']) / 'var/lib/perigee/router/routes.json'
        changes = [json.loads(line) for line in path.read_text().splitlines()]
        values = {change['key']: change['value'] for change in changes if 'key' in change}
        return ([value for key, value in values.items() if key.startswith('/routes/')],
                [value for key, value in values.items() if key.startswith('/nodes/')])


def check_mesh(fleet, nodes):
    keys = {name: node['membership']['wireguard_key'] for name, node in nodes.items()}
    for city in fleet.cities:
        own, peers = fleet.mesh(city)
        if own != keys.get(city):
            yield f'mesh: {city} has the key {own}, the store says {keys.get(city)}'
        others = {key for name, key in keys.items() if name != city}
        if set(peers) != others:
            yield f'mesh: {city} has {len(peers)} peers, the store {len(others)} other nodes'
        silent = [name for name, key in keys.items() if peers.get(key) == 0]
        if silent:
            yield f'mesh: {city} never shook hands with {" ".join(silent)}'


def check_routes(fleet, nodes, machines):
    """Each router sends requests to the machines that should run, where the store has them."""
    wanted = {ident: machine['node'] for ident, machine in machines.items()
              if machine['desired'] == 'started' and not machine.get('cordoned')}
    for city in fleet.cities:
        routes, known_nodes = fleet.snapshot(city)
        targets = {target['machine']: target['node']
                   for route in routes for target in route['targets']
                   if target['state'] == 'started' and target['listening']}
        for ident in sorted(set(wanted) | set(targets)):
            if wanted.get(ident) != targets.get(ident):
                yield (f'routes: {city} has machine {ident} on {targets.get(ident)}, '
                       f'the store on {wanted.get(ident)}')
        known = {node['node'] for node in known_nodes}
        if known != set(nodes):
            yield f'routes: {city} knows the nodes {sorted(known)}, the store {sorted(nodes)}'


def disagreements(folder, member):
    """Lines for a person; none: all agree. `member`: a city whose etcd is asked."""
    fleet = Fleet(folder)
    try:
        nodes = fleet.stored('nodes', member)
        machines = fleet.stored('machines', member)
        lines = [f'nodes: {name} is in the store and no city of the lab'
                 for name in nodes if name not in fleet.cities]
        return lines + [*check_mesh(fleet, nodes), *check_routes(fleet, nodes, machines)]
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        return [f'{type(error).__name__}: {error}']


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    controls = [name for name, city in Fleet(sys.argv[1]).cities.items() if city['etcd_runs']]
    if not controls:
        sys.exit('no member of etcd runs in this lab')
    lines = disagreements(sys.argv[1], controls[0])
    print('\n'.join(lines or ['store, mesh and routes agree']))
    sys.exit(1 if lines else 0)


if __name__ == '__main__':
    main()
