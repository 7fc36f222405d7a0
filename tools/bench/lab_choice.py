"""Would an oracle have chosen better? A third of the cities ask for more than their machine has
room for; then each choice that a router made is compared with what one would choose who knows
every machine's requests at that moment."""

import datetime
import http.client
import json
import random
import threading
import time

import lab_app
from lab_routes import UnixConnection

SECONDS = 200
BUSY_RATE = 2.0  # requests a second from a busy city; each is held for some HOLD_S
CALM_RATE = 0.25
NEARER_MS = 5
REQUEST_S = 60
SEED = 4
LOG_S = 2  # until the last line is in a router's log


class Request:
    """As its router accounts for it, in seconds of the one clock that all routers here have."""

    def __init__(self, city, identity):
        self.city, self.identity = city, identity
        self.decided = self.ended = 0.0
        self.home = ''  # the city whose machine served it


class CityLoad:
    """A city's users, who ask at random moments."""

    def __init__(self, lab, city, rate, seed):
        self.lab, self.city, self.rate = lab, city, rate
        self.random = random.Random(seed)
        self.requests, self.failures = [], []

    def run(self):
        threads = []
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(self.random.expovariate(self.rate))
            threads.append(threading.Thread(target=self.ask))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def ask(self):
        connection = http.client.HTTPConnection(self.lab.cities[self.city]['node'], 80,
                                                timeout=REQUEST_S)
        try:
            connection.request('GET', lab_app.HOLD_PATH, headers={'Host': lab_app.HOST})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(f'{self.city}: {error}')
            return
        finally:
            connection.close()
        if response.status != 200:
            self.failures.append(f'{self.city}: {response.status} {body[:200]}')
            return
        self.requests.append(Request(self.city, response.getheader('perigee-request-id')))


def busy_cities(lab):
    """A third, spread over the list."""
    return set(list(lab.cities)[::3])


def make_load(lab):
    busy = busy_cities(lab)
    loads = [CityLoad(lab, city, BUSY_RATE if city in busy else CALM_RATE, SEED + number)
             for number, city in enumerate(lab.cities)]
    threads = [lab.visit(load.city, load.run) for load in loads]
    for thread in threads:
        thread.join()
    return ([one for load in loads for one in load.requests],
            [one for load in loads for one in load.failures])


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp()


def learn_choices(lab, requests):
    """Where the routers say that they sent them, and when."""
    time.sleep(LOG_S)
    ends = {}
    for city in lab.cities:
        log = lab.root(city) / 'var/lib/perigee/router/access.log'
        for line in log.read_text().splitlines():
            told = json.loads(line)
            ends[told['request_id']] = seconds(told['at'])
    connections = {city: UnixConnection(lab.root(city) / 'run/perigee/router.sock')
                   for city in lab.cities}
    for request in requests:
        told = connections[request.city].ask(f'/internal/v1/explain/{request.identity}')
        if 'chosen' not in told:
            raise SystemExit(f'bench-lab: {request.city} explains {request.identity}: {told}')
        request.home = next(one['region'] for one in told['candidates'] if one['chosen'])
        request.decided, request.ended = seconds(told['at']), ends[request.identity]
    for connection in connections.values():
        connection.close()


class Truth:
    """What every machine had to do at any moment."""

    def __init__(self, lab, requests):
        self.lab = lab
        self.homes = {}
        for request in requests:
            self.homes.setdefault(request.home, []).append(request)

    def load(self, city, moment, but=None):
        """Requests that were decided for the city's machine by then, and not answered there."""
        count = 0
        for request in self.homes.get(city, []):
            there = self.lab.rtt_ms[request.city][city] / 2000
            if request is not but and request.decided <= moment < request.ended - there:
                count += 1
        return count

    def best(self, request):
        """The city whose machine the rules (docs/load-balancing.md) choose, knowing all."""
        def rank(city):
            load = self.load(city, request.decided, request)
            return (load >= lab_app.HARD_LIMIT, load >= lab_app.SOFT_LIMIT,
                    self.lab.rtt_ms[request.city][city])
        return min(self.lab.cities, key=rank)

    def busy_share(self, requests):
        """Of machines between the soft and the hard limit, at the moments of the choices."""
        moments = [request.decided for request in requests]
        loads = [self.load(city, moment) for moment in moments for city in self.lab.cities]
        return sum(lab_app.SOFT_LIMIT <= load < lab_app.HARD_LIMIT for load in loads) / len(loads)


def regret(lab):
    """(share of choices with a machine more than NEARER_MS farther than the oracle's, number of
    choices, share of machines between the limits, failures)."""
    requests, failures = make_load(lab)
    learn_choices(lab, requests)
    truth = Truth(lab, requests)
    worse = 0
    for request in requests:
        distance = lab.rtt_ms[request.city]
        if distance[request.home] - distance[truth.best(request)] > NEARER_MS:
            worse += 1
    return worse / len(requests), len(requests), truth.busy_share(requests), failures
