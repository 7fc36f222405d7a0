#!/usr/bin/env python3
"""router.py [--rounds N] [--seconds N] [--only ROW…]: what Perigee's router costs, beside HAProxy,
nginx and h2o.

Each proxy alone on a core with one worker thread, the load and the server behind it on the other;
in each round every proxy has its turn at every row. What counts is the time that the proxy's
threads ran, as the kernel counts it, by operation. Writes build/bench/router.json: rows {name,
unit, perigee, haproxy, nginx, h2o, best_peer, ratio, low, high}: medians over the rounds, the ratio
of Perigee's to the best peer's, and the least and greatest ratio of a single round. null: that
proxy does not speak it.

  h1, h1_tls         a GET of 13 bytes on 64 connections kept alive (wrk)
  h2_tls             the same on 8 connections of 16 streams (h2load)
  handshake_full     a TLS 1.3 connection with one request (ECDSA P-256, X25519, AES-128-GCM)
  handshake_resumed  the same with the last connection's ticket
  tcp_pingpong       a message of 64 bytes there and back, one at a time on each of 64 connections
  tcp_bulk           a MiB of 512 MiB over one TCP connection (HAProxy splices)
  tls_bulk           a MiB of a body of 64 MiB over TLS
  idle_memory_plain, idle_memory_tls  bytes (PSS) of a connection that waits after one request
  two_threads        h1 of Perigee with two threads, against its own with one, both on either core:
                     {perigee: with two, one_thread, ratio, low, high}

Needs two cores and root; all parts are of its own and are gone afterwards.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from router_load import Load  # noqa: E402
from router_peers import (H2o, Haproxy, Nginx, OneThread, Perigee, Site,  # noqa: E402
                          TcpUpstream, TwoThreads, Upstream, unpack)

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
PROXIES = (Perigee, Haproxy, Nginx, H2o)
HANDSHAKES = 300
H2_REQUESTS = 20_000
TCP_BULK = 512 * 1024 * 1024
IDLE = 4000
SETTLE_S = 0.3


class Rows:
    """Each method does some operations on a proxy that runs, and says how many."""

    def __init__(self, load, seconds):
        self.load = load
        self.seconds = seconds

    def h1(self, proxy):
        return self.load.wrk(f'http://127.0.0.1:{proxy.http}/', self.seconds)

    def h1_tls(self, proxy):
        return self.load.wrk(f'https://127.0.0.1:{proxy.https}/', self.seconds)

    def h2_tls(self, proxy):
        return self.load.h2load(proxy.https, H2_REQUESTS) if proxy.http2 else None

    def handshake_full(self, proxy):
        return self.load.handshakes(proxy.https, HANDSHAKES, 'full')

    def handshake_resumed(self, proxy):
        return self.load.handshakes(proxy.https, HANDSHAKES, 'resumed')

    def tcp_pingpong(self, proxy):
        return self.load.pingpong(proxy.tcp, self.seconds) if proxy.tcp_proxy else None

    def tcp_bulk(self, proxy):
        return self.load.bulk(proxy.tcp, TCP_BULK) if proxy.tcp_proxy else None

    def tls_bulk(self, proxy):
        return self.load.download(proxy.https, '/large', Upstream.LARGE)


CPU_ROWS = ('h1', 'h1_tls', 'h2_tls', 'handshake_full', 'handshake_resumed', 'tcp_pingpong',
            'tcp_bulk', 'tls_bulk')
MEMORY_ROWS = ('idle_memory_plain', 'idle_memory_tls')
THREADS_ROW = 'two_threads'


def cpu_of(rows, name, proxy):
    """CPU-µs for an operation; None: not spoken."""
    before = proxy.cpu_us()
    done = getattr(rows, name)(proxy)
    return None if done is None else (proxy.cpu_us() - before) / done


def memory_of(load, name, proxy):
    """Bytes for a connection, on a proxy that was just started."""
    tls = name == 'idle_memory_tls'
    port = proxy.https if tls else proxy.http
    with load.idle_connections(port, 64, tls):  # what is made at the first ones
        pass
    time.sleep(SETTLE_S)
    before = proxy.memory()
    with load.idle_connections(port, IDLE, tls):
        time.sleep(SETTLE_S)
        return (proxy.memory() - before) / IDLE


def summary(name, values):
    """A row of router.json from each proxy's values, a list by round."""
    peers = [proxy.name for proxy in PROXIES if proxy is not Perigee]
    spoken = {each: found for each, found in values.items() if None not in found}
    middle = {each: statistics.median(found) for each, found in spoken.items()}
    row = {'name': name, 'unit': 'bytes' if name in MEMORY_ROWS else 'CPU-us'}
    row |= {proxy.name: round(middle[proxy.name], 2) if proxy.name in middle else None
            for proxy in PROXIES}
    row |= {'best_peer': None, 'ratio': None, 'low': None, 'high': None}
    rivals = [each for each in peers if each in middle]
    if rivals and Perigee.name in middle:
        best = min(rivals, key=middle.get)
        ratios = [ours / theirs for ours, theirs in zip(spoken[Perigee.name], spoken[best])]
        row |= {'best_peer': best, 'ratio': round(middle[Perigee.name] / middle[best], 3),
                'low': round(min(ratios), 3), 'high': round(max(ratios), 3)}
    return row


def threads_row(load, options):
    """What a request costs with two threads, beside the same with one."""
    rows = Rows(load, options.seconds)
    found = {kind.name: [] for kind in (OneThread, TwoThreads)}
    for _ in range(options.rounds):
        for kind in (OneThread, TwoThreads):
            with kind(load.site) as proxy:
                found[kind.name].append(cpu_of(rows, 'h1', proxy))
    one, two = found[OneThread.name], found[TwoThreads.name]
    ratios = [with_two / with_one for with_two, with_one in zip(two, one)]
    return {'name': THREADS_ROW, 'unit': 'CPU-us', 'perigee': round(statistics.median(two), 2),
            'one_thread': round(statistics.median(one), 2),
            'ratio': round(statistics.median(two) / statistics.median(one), 3),
            'low': round(min(ratios), 3), 'high': round(max(ratios), 3)}


def print_threads(row):
    print(f'{row["name"]:18}{row["perigee"]:>10}   ratio {row["ratio"]:.2f}  ({row["low"]:.2f}, '
          f'{row["high"]:.2f}) of one thread\'s {row["one_thread"]}  {row["unit"]}')


def print_table(rows):
    print(f'{"":18}' + ''.join(f'{proxy.name:>10}' for proxy in PROXIES) + '   ratio  (low, high)')
    for row in rows:
        values = ''.join(f'{"-" if row[proxy.name] is None else row[proxy.name]:>10}'
                         for proxy in PROXIES)
        ratio = '       -' if row['ratio'] is None else (
            f'{row["ratio"]:8.2f}  ({row["low"]:.2f}, {row["high"]:.2f}) of {row["best_peer"]}')
        print(f'{row["name"]:18}{values}{ratio}  {row["unit"]}')


def one_turn(kind, load, options):
    """(row, value) of one proxy in one round."""
    rows = Rows(load, options.seconds)
    with kind(load.site) as proxy:
        for name in options.only:
            if name in CPU_ROWS:
                yield name, cpu_of(rows, name, proxy)
    for name in options.only:
        if name in MEMORY_ROWS:
            with kind(load.site) as proxy:
                yield name, memory_of(load, name, proxy)


def measure(load, options):
    values = {name: {proxy.name: [] for proxy in PROXIES} for name in options.only}
    for number in range(options.rounds):
        for kind in PROXIES:
            for name, value in one_turn(kind, load, options):
                values[name][kind.name].append(value)
        print(f'round {number + 1} of {options.rounds}', file=sys.stderr, flush=True)
    return [summary(name, values[name]) for name in options.only]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--seconds', type=int, default=2)
    every_row = (*CPU_ROWS, *MEMORY_ROWS, THREADS_ROW)
    parser.add_argument('--only', nargs='+', choices=every_row, default=every_row)
    options = parser.parse_args()
    with_threads = THREADS_ROW in options.only
    options.only = [name for name in options.only if name != THREADS_ROW]
    if os.geteuid() != 0 or len(os.sched_getaffinity(0)) < 2:
        sys.exit('router.py: each proxy is given a core of its own: two cores and root')
    with tempfile.TemporaryDirectory(prefix='pg-router-', dir='/var/tmp') as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        site = Site(folder, 0, 0, unpack(folder))
        site.make_certificate()
        upstream = Upstream(folder)
        tcp_upstream = TcpUpstream()
        site.upstream, site.tcp_upstream = upstream.port, tcp_upstream.port
        try:
            rows = measure(Load(site), options) if options.only else []
            threads = [threads_row(Load(site), options)] if with_threads else []
        finally:
            upstream.stop()
            tcp_upstream.stop()
    print_table(rows)
    for row in threads:
        print_threads(row)
    rows += threads
    out = REPOSITORY / 'build/bench/router.json'
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    main()
