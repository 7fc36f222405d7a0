#!/usr/bin/env python3
"""backhaul_loss.py [--loss PERCENT] [--rtt MS] [--rate N] [--bytes N] [--seconds N]

What a lost packet costs requests between two routers, for pools of 1, 2, 4 and 8 connections, with
the kernel's own congestion control.

Requests of one rate (open loop) cross a lab's emulated path that loses packets. Writes
build/bench/backhaul_loss.json and prints a table: milliseconds from when a request was due to its
last byte, and the share of requests that waited at least one more round trip than they had to.
Needs root and a release build (--build for another); the lab is one of its own and is gone
afterwards.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / 'e2e'))  # before this folder, which has a lab.py too
sys.dont_write_bytecode = True

from lab import Lab  # noqa: E402

PORT = 4299
POOLS = (1, 2, 4, 8)
CONTROL = pathlib.Path('/proc/sys/net/ipv4/tcp_congestion_control')


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))]


def measure(lab, program, connections, options):
    server = f'{lab.address("fra")}:{PORT}'
    inside = {city: ['nsenter', f'--net=/run/netns/{lab.namespace(city)}', '--']
              for city in ('iad', 'fra')}
    with subprocess.Popen([*inside['fra'], program, 'serve', server]) as serving:
        try:
            time.sleep(0.5)
            done = subprocess.run([*inside['iad'], program, 'ask', server, str(connections),
                                   str(options.rate), str(options.seconds), str(options.bytes)],
                                  text=True, capture_output=True, check=True)
        finally:
            serving.kill()
    lines = done.stdout.splitlines()
    times = sorted(float(line) for line in lines if not line.startswith('failed'))
    least = times[0]
    return {'connections': connections, 'requests': len(lines),
            'failed': len(lines) - len(times), 'mean_ms': round(sum(times) / len(times), 1),
            'p50_ms': percentile(times, 0.5), 'p90_ms': percentile(times, 0.9),
            'p99_ms': percentile(times, 0.99), 'longest_ms': times[-1],
            'stalled': round(sum(one >= least + options.rtt for one in times) / len(times), 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--loss', type=float, default=2)
    parser.add_argument('--rtt', type=float, default=150)
    parser.add_argument('--rate', type=int, default=50)
    parser.add_argument('--bytes', type=int, default=10_000)
    parser.add_argument('--seconds', type=int, default=20)
    parser.add_argument('--build', default='release')
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit('a lab makes network namespaces: run this as root')
    program = REPOSITORY / f'build/{options.build}/bin/backhaul-load'
    lab = Lab()
    rows = []
    try:
        lab.id = json.loads(lab.cli('up', '--no-nodes', '--cities', 'iad,fra', '--json')
                            .stdout)['id']
        lab.cli('degrade', 'iad-fra', '--rtt', options.rtt, '--loss', options.loss)
        print(f'{options.rate} requests/s for {options.bytes} bytes over {options.rtt:g} ms, '
              f'{options.loss:g} % lost (simulated network), {CONTROL.read_text().strip()}')
        print(f'{"connections":12}{"mean":>8}{"p50":>8}{"p90":>8}{"p99":>8}{"longest":>9}  stalled')
        for connections in POOLS:
            row = measure(lab, program, connections, options)
            rows.append(row)
            print(f'{connections:<12}{row["mean_ms"]:>8.0f}{row["p50_ms"]:>8.0f}'
                  f'{row["p90_ms"]:>8.0f}{row["p99_ms"]:>8.0f}{row["longest_ms"]:>9.0f}'
                  f'{row["stalled"]:>9.1%}'
                  + (f'  {row["failed"]} failed' if row['failed'] else ''), flush=True)
    finally:
        lab.destroy()
    results = REPOSITORY / 'build/bench/backhaul_loss.json'
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps({'options': vars(options), 'rows': rows}, indent=2) + '\n')


if __name__ == '__main__':
    main()
