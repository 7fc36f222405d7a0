"""What a neighbour feels: its answer times in calm and in stormy windows, in turn.

`Experiment(...).run()` goes round the storms, a calm window before each, until both sides have
enough samples. All calm windows are one side: calm is calm. Of each window the load is kept that
neither the node nor the test has caused, so that a bad result can be told from a disturbed one.
"""

import dataclasses
import os
import pathlib
import threading
import time

SAMPLES = 1000  # of the calm, and of each storm
PERCENT = 99
CALM_S = 0.3
STORM_S = 1.0
ONSET_S = 0.15  # until a storm that was ordered has begun
REST_S = 0.05  # for the last of a storm to be gone
MAX_CYCLES = 24
# Of all processor time: more than this from outside, and the neighbour's times are not the storm's.
OUTSIDE = 0.05


@dataclasses.dataclass
class Side:
    times: list = dataclasses.field(default_factory=list)
    outside: float = 0  # seconds of processor time taken from outside
    capacity: float = 0  # seconds of processor time that there were

    def percentile(self, percent=PERCENT):
        return sorted(self.times)[len(self.times) * percent // 100]

    @property
    def disturbed(self):
        return self.outside > OUTSIDE * self.capacity

    def __str__(self):
        times = ', '.join(f'p{percent} {self.percentile(percent) * 1000:.1f} ms'
                          for percent in (50, PERCENT))
        return (f'{len(self.times)} samples, {times}, '
                f'{self.outside / self.capacity * 100:.1f}% of the processors lost to others')


class Experiment:
    """`ask()` asks the neighbour once; `storms` are named functions that take seconds and rage
    for as long; `node` is whose processes are not outside."""

    def __init__(self, node, ask, storms):
        self.node = node
        self.ask = ask
        self.storms = storms
        self.calm = Side()
        self.stormy = {name: Side() for name in storms}

    def run(self):
        for _ in range(MAX_CYCLES):
            if all(len(side.times) >= SAMPLES for side in self.sides()):
                return self
            for name, storm in self.storms.items():
                self._sample(self.calm, CALM_S)
                if len(self.stormy[name].times) < SAMPLES:
                    self._storm(self.stormy[name], storm)
        raise AssertionError(f'too few samples in {MAX_CYCLES} rounds:\n{self}')

    def sides(self):
        return [self.calm, *self.stormy.values()]

    def ratios(self, floor_s):
        """Of each storm's p99 to the calm one."""
        calm = max(self.calm.percentile(), floor_s)
        return {name: side.percentile() / calm for name, side in self.stormy.items()}

    @property
    def disturbed(self):
        return any(side.disturbed for side in self.sides())

    def _storm(self, side, storm):
        thread = threading.Thread(target=storm, args=(STORM_S + ONSET_S,), daemon=True)
        thread.start()
        time.sleep(ONSET_S)
        self._sample(side, STORM_S)
        thread.join()
        time.sleep(REST_S)

    def _sample(self, side, seconds):
        before, start = self._outside(), time.monotonic()
        now = start
        while now < start + seconds:
            self.ask()
            asked, now = now, time.monotonic()
            side.times.append(now - asked)
        side.outside += max(0, self._outside() - before)
        side.capacity += (now - start) * os.cpu_count()

    def _outside(self):
        """Seconds that processors ran others' programs, or were taken away by a hypervisor. Work
        in the kernel is left out: it can't be told for whom it is."""
        with open('/proc/stat', encoding='ascii') as file:
            user, nice, _, _, _, _, _, steal = map(int, file.readline().split()[1:9])
        ours = sum(user_ticks(pid) for pid in (*self.node.processes(), os.getpid()))
        return (user + nice + steal - ours) / os.sysconf('SC_CLK_TCK')

    def __str__(self):
        lines = [f'  calm: {self.calm}']
        lines += [f'  {name}: {side}; {ratio:.2f} of calm'
                  for (name, side), ratio in zip(self.stormy.items(), self.ratios(0).values())]
        return '\n'.join(lines)


def user_ticks(pid):
    """Of a process and its children that have ended."""
    try:
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[13])
