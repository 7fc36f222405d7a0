"""A client that asks for a page at a fixed rate and remembers how each request ended.

Open loop: a request is sent when its time has come, whether the ones before it are answered or
not, and each on a connection of its own, so that nothing hides an outage.
"""

import concurrent.futures
import dataclasses
import threading
import time

RATE = 50
WORKERS = 100  # enough for 2 s of unanswered requests


@dataclasses.dataclass
class Sample:
    sent: float  # time.monotonic()
    took: float
    problem: str  # '' when it was answered as it should be


class Load:
    """`with Load(lambda: node.get('hello')) as load: …`, then `load.samples`."""

    def __init__(self, request, rate=RATE):
        self.request = request
        self.pause = 1 / rate
        self.samples = []
        self.stopped = threading.Event()
        self.pool = concurrent.futures.ThreadPoolExecutor(WORKERS)
        self.thread = threading.Thread(target=self._send)

    def _one(self, due):
        start = time.monotonic()
        try:
            status, text = self.request()
            problem = '' if status == 200 else f'{status}: {text[:200]}'
        except Exception as error:  # every way to fail counts
            problem = f'{type(error).__name__}: {error}'
        self.samples.append(Sample(due, time.monotonic() - start, problem))

    def _send(self):
        due = time.monotonic()
        while not self.stopped.is_set():
            self.pool.submit(self._one, due)
            due += self.pause
            time.sleep(max(0, due - time.monotonic()))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        self.pool.shutdown()

    def failed(self):
        return [sample for sample in self.samples if sample.problem]

    def describe(self, limit=5):
        bad = self.failed()
        lines = [f'{len(bad)} of {len(self.samples)} requests failed']
        first = min((sample.sent for sample in self.samples), default=0)
        lines += [f'  at {sample.sent - first:.2f} s: {sample.problem}' for sample in bad[:limit]]
        return '\n'.join(lines)
