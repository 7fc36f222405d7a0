"""Twenty machines of 128 MiB on one node: how fast they start at once, and what the daemons and
monitors beside them cost. The reference of the start is twenty bare QEMUs, forked at once."""

import concurrent.futures
import pathlib
import re
import time

import first_byte
import perigee_node

COUNT = 20
START_S = 300
SETTLE_S = 10
IDLE_S = 30
STATE_S = 120


def pss_kib(pid):
    text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    return int(re.search(r'^Pss:\s+(\d+)', text, re.MULTILINE).group(1))


def cpu_ns(pid):
    """Of all its threads that live."""
    total = 0
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        total += int((task / 'schedstat').read_text().split()[0])
    return total


class Crowd:
    """Twenty machines like `machine`, an app's on `node`."""

    def __init__(self, node, app, machine, port):
        self.node = node
        self.path = f'/v1/apps/{app}/machines'
        self.port = port
        config = self._call('GET', f'/{machine}')['config']
        made = [self._call('POST', '', {'config': config, 'skip_launch': True})
                for _ in range(COUNT)]
        self.ids = [each['id'] for each in made]
        self._all('start')  # a first start, after which each has an address
        self._reach('started')
        self.addresses = [self._call('GET', f'/{each}')['private_ip'] for each in self.ids]

    def _call(self, method, path, body=None):
        status, value = self.node.api(method, self.path + path, body)
        if status // 100 != 2:
            raise SystemExit(f'{method} {path}: {status} {value}')
        return value

    def _all(self, action):
        with concurrent.futures.ThreadPoolExecutor(COUNT) as pool:
            list(pool.map(lambda each: self._call('POST', f'/{each}/{action}'), self.ids))

    def _reach(self, state):
        perigee_node.wait_until(f'{COUNT} machines are {state}', STATE_S, lambda: all(
            self._call('GET', f'/{each}')['state'] == state for each in self.ids), pause=0.5)

    def start(self):
        """Milliseconds until the last one has answered."""
        began = time.monotonic()
        self._all('start')
        took = (first_byte.wait_for_all(self.addresses, self.port, START_S) - began) * 1000
        self._reach('started')
        return took

    def stop(self):
        self._all('stop')
        self._reach('stopped')

    def daemons(self):
        return [pid for name in ('perigeed', 'perigee-monitor') for pid in self.node.pids_of(name)]

    def idle_cost(self):
        """(KiB, percent of a core) of all daemons and monitors, machines idle."""
        time.sleep(SETTLE_S)
        before = {pid: cpu_ns(pid) for pid in self.daemons()}
        began = time.monotonic()
        time.sleep(IDLE_S)
        spent = sum(cpu_ns(pid) - before[pid] for pid in before)
        percent = spent / (time.monotonic() - began) / 1e7
        return sum(pss_kib(pid) for pid in self.daemons()), percent


def start_bare(vms, port):
    """Milliseconds from the first fork until the last one has answered."""
    for vm in vms:
        vm.prepare()
    began = vms[0].start()
    for vm in vms[1:]:
        vm.start()
    return (first_byte.wait_for_all([vm.address for vm in vms], port, START_S) - began) * 1000


def measure(crowd, bare, rounds):
    """(ours, theirs, KiB, percent): starts in turn, then the cost of twenty that idle."""
    ours, theirs = [], []
    crowd.stop()
    for number in range(rounds):
        ours.append(crowd.start())
        if number + 1 == rounds:
            memory, percent = crowd.idle_cost()
        crowd.stop()
        theirs.append(start_bare(bare, crowd.port))
        for vm in bare:
            vm.stop()
        print(f'{number + 1:3}/{rounds}  {COUNT} machines {ours[-1]:6.0f} ms   '
              f'{COUNT} bare QEMUs {theirs[-1]:6.0f} ms', flush=True)
    return ours, theirs, memory, percent
