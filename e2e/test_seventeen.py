"""All of the lab's seventeen cities: up, an app in each by three commands, a page from each edge,
down. What it takes is printed: seconds, and the memory of all its processes as the kernel shares it
out.
"""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from fleet_lab import FleetLab
from perigee_node import REPOSITORY

CITIES = ('iad', 'ams', 'atl', 'dfw', 'ewr', 'fra', 'hkg', 'lax', 'lhr', 'mrs', 'nrt', 'ord', 'sea',
          'sin', 'sjc', 'syd', 'yyz')
UP_S = 120
MEMORY_MIB = 8 * 1024


def memory_mib(pids):
    """Their proportional set size: what they share counts once."""
    total = 0
    for pid in pids:
        try:
            text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
        except OSError:
            continue  # it ended meanwhile
        found = re.search(r'^Pss:\s+(\d+) kB', text, re.MULTILINE)
        total += int(found[1]) if found else 0
    return total / 1024


class SeventeenCitiesTest(unittest.TestCase):
    def app_folder(self):
        """examples/hello without its perigee.toml, which `launch` is to write."""
        folder = tempfile.TemporaryDirectory(prefix='pg-', dir='/var/tmp')
        self.addCleanup(folder.cleanup)
        app = pathlib.Path(folder.name) / 'hello'
        shutil.copytree(REPOSITORY / 'examples/hello', app,
                        ignore=shutil.ignore_patterns('perigee.toml', 'busybox'))
        subprocess.run([app / 'prepare'], check=True)
        return app

    def scenario_lab_seventeen_cities_with_an_app_in_each_by_three_commands(self):
        lab = FleetLab(CITIES, ())
        self.addCleanup(lab.destroy)
        app = self.app_folder()
        started = time.monotonic()
        lab.up()
        up = time.monotonic()
        self.assertEqual([city for city in CITIES if lab.cities[city]['etcd_runs']],
                         ['iad', 'ewr', 'ord'])
        for words in (('launch', '--no-deploy'), ('regions', 'set', 'all'), ('deploy',)):
            lab.perigee(*words, city='iad', cwd=app)
        deployed = time.monotonic()
        pids = lab.all_pids()
        memory = memory_mib(pids)
        listed = json.loads(
            lab.perigee('machine', 'list', '-a', 'hello', '--json', city='ord').stdout)
        self.assertEqual(sorted(each['region'] for each in listed), sorted(CITIES))
        for city in CITIES:
            page = lab.cli('curl', '--from', city, 'http://hello.lab.test/')
            self.assertIn('HTTP 200', page.stderr, city)
        self.assertLess(up - started, UP_S)
        self.assertLess(memory, MEMORY_MIB)
        downed = time.monotonic()
        lab.cli('down')
        self.assertEqual(lab.leftovers(), [])
        print(f'17 cities: up in {up - started:.1f} s, the three commands {deployed - up:.1f} s, '
              f'down {time.monotonic() - downed:.1f} s; {memory:.0f} MiB in {len(pids)} '
              'processes with 17 VMs')
