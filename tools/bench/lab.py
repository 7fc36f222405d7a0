#!/usr/bin/env python3
"""lab.py [--cities A,B,…] [--requests N]: what users of seventeen cities wait, with
Perigee and with one origin in iad.

Writes build/bench/lab.json: rows {name, unit, perigee, reference, ratio}. The network is simulated
(docs/lab.md); requests are TLS 1.3 over new connections, a row's figures are taken in turn.
  ttfb_far_users    time to the first byte in hkg, nrt, sin and syd, a machine in each city, against
                    nginx in iad that ends TLS on its host, before the same machine. Medians.
  ttfb_edge_only    the same users with a machine in iad alone: TLS ends at their edge.
  ttfb_over_ideal   all cities, a machine in each, against nginx on the nearest machine's host.
  download_1mb_far  1 MB from iad's machine, for the far users, through the warm backhaul, against
                    a connection of their own to iad's nginx.
  page_load_far_saved_ms  a page of 10 KiB and 20 assets of 30 KiB over HTTP/1.1, six connections:
                    what the far users save against iad's nginx, with a machine in each city.
  page_load_edge_only_saved_ms  the same with a machine in iad alone.
  route_change_p99_s  from the API's answer to the last router that uses the change, p99.
  choice_regret     with a third of the cities asking for more than their machine has room for
                    (policy balanced): choices of a machine more than 5 ms farther than the one that
                    the same rules choose knowing all machines' load.
  lab_up_s, lab_memory_mib  the lab itself: until all nodes are ready; PSS with a machine in each.

Needs root and a release build. The lab is one of its own in /var/tmp and is gone afterwards.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path += [str(REPOSITORY / 'e2e'), str(pathlib.Path(__file__).resolve().parent)]

import lab_app  # noqa: E402
import lab_choice  # noqa: E402
import lab_routes  # noqa: E402
from lab_net import BenchLab  # noqa: E402
from lab_users import (median_of_medians, nginx, page_loads, perigee, sample)  # noqa: E402

BUILD = pathlib.Path(os.environ.get('PERIGEE_BUILD', REPOSITORY / 'build/release'))
CITIES = 'iad,ams,atl,dfw,ewr,fra,hkg,lax,lhr,mrs,nrt,ord,sea,sin,sjc,syd,yyz'
FAR = ['hkg', 'nrt', 'sin', 'syd']
ORIGIN = 'iad'
DOWNLOADS = 20
PAGES = 10
CHANGES = 100
TTFB, WHOLE = 0, 1


def row(name, unit, ours, reference=None):
    return {'name': name, 'unit': unit, 'perigee': round(ours, 4),
            'reference': None if reference is None else round(reference, 4),
            'ratio': None if reference is None else round(ours / reference, 4)}


class Bench:
    def __init__(self, options, folder):
        self.requests = options.requests
        self.rows = []
        self.lab = BenchLab(BUILD / 'bin/perigee', options.cities.split(','))
        self.far = [city for city in FAR if city in self.lab.cities]
        self.app = lab_app.App(self.lab, folder / 'app')

    def add(self, *values):
        self.rows.append(row(*values))
        print(json.dumps(self.rows[-1]), flush=True)

    def start_proxies(self, machines):
        """nginx beside each machine."""
        for city, machine in machines.items():
            self.lab.start_proxy(city, machine['private_ip'], lab_app.PORT)

    def edges(self, city):
        return [perigee(self.lab, city), nginx(self.lab, ORIGIN)]

    def compare_one_machine(self):
        """A machine in the origin's city alone."""
        self.start_proxies(self.app.wait_for([ORIGIN]))
        sample(self.lab, self.far, self.edges, 3)  # the ways between the edges are warm from here
        taken = sample(self.lab, self.far, self.edges, self.requests)
        self.add('ttfb_edge_only', 'ms', median_of_medians(taken, self.far, 0),
                 median_of_medians(taken, self.far, 1))
        sample(self.lab, self.far, self.edges, 2, lab_app.LARGE_PATH)
        taken = sample(self.lab, self.far, self.edges, DOWNLOADS, lab_app.LARGE_PATH)
        self.add('download_1mb_far', 'ms', median_of_medians(taken, self.far, 0, WHOLE),
                 median_of_medians(taken, self.far, 1, WHOLE))
        self.compare_pages('page_load_edge_only_saved_ms')
        self.lab.stop_proxies()

    def compare_pages(self, name):
        saved = []
        for city in self.far:
            ours, origins = page_loads(self.lab, city, self.edges(city), PAGES)
            saved.append(statistics.median(origins) - statistics.median(ours))
        self.add(name, 'ms', statistics.median(saved))

    def compare_everywhere(self):
        """A machine in each city."""
        self.start_proxies(self.app.wait_for(self.lab.cities))
        cities = list(self.lab.cities)
        taken = sample(self.lab, cities,
                       lambda city: self.edges(city) + [nginx(self.lab, city)], self.requests)
        self.add('ttfb_far_users', 'ms', median_of_medians(taken, self.far, 0),
                 median_of_medians(taken, self.far, 1))
        self.add('ttfb_over_ideal', 'ms', median_of_medians(taken, cities, 0),
                 median_of_medians(taken, cities, 2))
        self.compare_pages('page_load_far_saved_ms')
        self.lab.stop_proxies()

    def measure_choices(self):
        share, count, busy, failures = lab_choice.regret(self.lab)
        print(f'{count} choices, {busy:.0%} of machines between the limits, '
              f'{len(failures)} failed {failures[:3]}', flush=True)
        self.add('choice_regret', 'share of choices', share)

    def measure_routes(self):
        self.add('route_change_p99_s', 's', lab_routes.percentile(
            lab_routes.route_changes(self.lab, self.app, CHANGES), 0.99))

    def run(self, only):
        self.add('lab_up_s', 's', self.lab.up_s)
        self.app.deploy(ORIGIN)
        if only in (None, 'one'):
            self.compare_one_machine()
        if only == 'one':
            return
        self.app.deploy_everywhere()
        self.add('lab_memory_mib', 'MiB', self.lab.memory_mib())
        for name, measure in (('everywhere', self.compare_everywhere),
                              ('routes', self.measure_routes), ('choice', self.measure_choices)):
            if only in (None, name):
                measure()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cities', default=CITIES, help='the first is the origin, and has control')
    parser.add_argument('--requests', type=int, default=200, help='of each kind, from each city')
    parser.add_argument('--only', choices=['one', 'everywhere', 'routes', 'choice'],
                        help='a part: a machine in the origin alone, one in each city, …')
    options = parser.parse_args()
    out = REPOSITORY / 'build/bench/lab.json'
    out.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as cleanup:
        folder = pathlib.Path(cleanup.enter_context(
            tempfile.TemporaryDirectory(prefix='pg-bench-', dir='/var/tmp')))
        bench = Bench(options, folder)
        cleanup.callback(bench.lab.close)
        bench.run(options.only)
    out.write_text(json.dumps(bench.rows, indent=2) + '\n')
    print(f'written: {out.relative_to(REPOSITORY)}')


if __name__ == '__main__':
    main()
