"""Requests as users make them: from a city's network, over new connections with TLS 1.3, by curl;
and pages as a browser loads them. Times are in milliseconds."""

import http.client
import queue
import socket
import ssl
import statistics
import subprocess
import threading
import time

import lab_app
from lab_net import NGINX_PORT, nginx_host

CONNECTIONS = 6  # of a browser, to one host over HTTP/1.1
REQUEST_S = 60
FORMAT = '%{http_code} %{num_connects} %{time_starttransfer} %{time_total} %{errormsg}\\n'


class Edge:
    """Where requests go to: Perigee's router in a city, or nginx beside it."""

    def __init__(self, lab, city, host, port):
        self.address, self.host, self.port = lab.cities[city]['node'], host, port
        self.resolve = f'{host}:{port}:{self.address}'

    def url(self, path='/'):
        return f'https://{self.host}:{self.port}{path}'


def perigee(lab, city):
    return Edge(lab, city, lab_app.HOST, 443)


def nginx(lab, city):
    return Edge(lab, city, nginx_host(city), NGINX_PORT)


class Sampler:
    """One curl among a city's users that asks edges in turn, `count` times each."""

    def __init__(self, lab, city, edges, count, path='/'):
        self.city, self.edges, self.count = city, edges, count
        words = ['curl', '--silent', '--http1.1', '--tlsv1.3', '--no-sessionid',
                 '--max-time', REQUEST_S, '--header', 'Connection: close',
                 '--cacert', lab.authorities(),
                 '--write-out', FORMAT]
        for edge in edges:
            words += ['--resolve', edge.resolve]
        for _ in range(count):
            for edge in edges:
                words += ['--output', '/dev/null', edge.url(path)]
        self.process = subprocess.Popen(lab.user_command(city, *words), text=True,
                                        stdout=subprocess.PIPE)

    def samples(self):
        """For each edge: the times to the first byte and to the end. A failure ends the bench."""
        lines = self.process.communicate()[0].splitlines()
        if self.process.returncode != 0 or len(lines) != self.count * len(self.edges):
            raise SystemExit(f'bench-lab: curl from {self.city}: exit {self.process.returncode}, '
                             f'{len(lines)} answers')
        out = [([], []) for _ in self.edges]
        for number, line in enumerate(lines):
            status, connects, first, total, *_ = line.split()
            if (status, connects) != ('200', '1'):
                raise SystemExit(f'bench-lab: request {number} from {self.city} to '
                                 f'{self.edges[number % len(self.edges)].url()}: {line}')
            ttfb, whole = out[number % len(self.edges)]
            ttfb.append(float(first) * 1000)
            whole.append(float(total) * 1000)
        return out


def sample(lab, cities, edges_of, count, path='/'):
    """{city: [(times to the first byte, to the end) of each edge]}; all cities at once."""
    running = {city: Sampler(lab, city, edges_of(city), count, path) for city in cities}
    return {city: sampler.samples() for city, sampler in running.items()}


def median_of_medians(samples, cities, edge, which=0):
    return statistics.median(statistics.median(samples[city][edge][which]) for city in cities)


class Browser:
    """Loads the page and its assets over six connections, as browsers do with HTTP/1.1."""

    def __init__(self, edge, authorities):
        self.edge = edge
        self.context = ssl.create_default_context(cafile=str(authorities))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3

    def connect(self):
        raw = socket.create_connection((self.edge.address, self.edge.port), REQUEST_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPConnection(self.edge.host)
        connection.sock = self.context.wrap_socket(raw, server_hostname=self.edge.host)
        return connection

    def get(self, connection, path, size):
        """Asks; the connection to use for the next one."""
        if connection.sock is None:
            connection = self.connect()
        connection.request('GET', path)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or len(body) != size:
            raise RuntimeError(f'{self.edge.url(path)}: {response.status}, {len(body)} bytes')
        return connection

    def load(self):
        """How long the page took."""
        began = time.monotonic()
        first = self.get(self.connect(), '/', lab_app.PAGE_BYTES)
        assets = queue.SimpleQueue()
        for number in range(lab_app.ASSETS):
            assets.put(f'/asset-{number}')
        failures = []
        threads = [threading.Thread(target=self.fetch, args=(assets, connection, failures))
                   for connection in [first] + [None] * (CONNECTIONS - 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise SystemExit(f'bench-lab: {failures[0]}')
        return (time.monotonic() - began) * 1000

    def fetch(self, assets, connection, failures):
        try:
            while True:
                try:
                    path = assets.get_nowait()
                except queue.Empty:
                    return
                connection = self.get(connection or self.connect(), path, lab_app.ASSET_BYTES)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            failures.append(error)
        finally:
            if connection is not None:
                connection.close()


def page_loads(lab, city, edges, count):
    """[times of each edge], in turn, by users of the city."""
    authorities = lab.authorities()
    times = [[] for _ in edges]

    def all_of_them():
        for _ in range(count):
            for number, edge in enumerate(edges):
                times[number].append(Browser(edge, authorities).load())

    lab.visit(city, all_of_them).join()
    if any(len(one) != count for one in times):
        raise SystemExit(f'bench-lab: a page did not load in {city}')
    return times
