"""How soon the last router of the lab uses a change: from the answer of the API to the router's own
account of its routes, which it is asked for again and again at its socket."""

import http.client
import json
import socket
import statistics
import time

import lab_app

PAUSE_S = 0.010  # between two questions to a router
CHANGE_S = 10


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=CHANGE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))

    def ask(self, path):
        self.request('GET', path)
        return json.loads(self.getresponse().read())


class Routers:
    def __init__(self, lab):
        self.connections = {city: UnixConnection(lab.root(city) / 'run/perigee/router.sock')
                            for city in lab.cities}

    def machines(self, city):
        """That the city's router may hand requests to."""
        status = self.connections[city].ask('/internal/v1/status')
        return {target['machine'] for route in status['routes'] if route['app'] == lab_app.NAME
                for target in route['targets']}

    def wait_for(self, holds):
        """Until `holds(machines)` of every router; how long each took."""
        began = time.monotonic()
        took = {}
        while len(took) < len(self.connections):
            for city in self.connections:
                if city not in took and holds(self.machines(city)):
                    took[city] = time.monotonic() - began
            if time.monotonic() - began > CHANGE_S:
                late = sorted(set(self.connections) - set(took))
                raise SystemExit(f'bench-lab: routers in {" ".join(late)} did not learn of a '
                                 f'change in {CHANGE_S} s')
            time.sleep(PAUSE_S)
        return took

    def close(self):
        for connection in self.connections.values():
            connection.close()


def route_changes(lab, app, count):
    """Seconds to the last router, of `count` changes: machines are cordoned and uncordoned."""
    routers = Routers(lab)
    machines = [one['id'] for one in app.machines()]
    took = []
    for number in range(count):
        machine = machines[number // 2 % len(machines)]
        gone = number % 2 == 0
        app.call('POST', machine, 'cordon' if gone else 'uncordon')
        last = routers.wait_for(lambda known: (machine in known) != gone)
        took.append(max(last.values()))
    routers.close()
    return took


def percentile(values, share):
    return statistics.quantiles(values, n=100, method='inclusive')[int(share * 100) - 1]
