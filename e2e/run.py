#!/usr/bin/env python3
"""Runs the end-to-end scenarios: each method named scenario_… of the classes in e2e/test_*.py.

  e2e/run.py [WORD …]        those whose name holds one of the words; all without a word
  e2e/run.py --list          their names
  e2e/run.py --results FILE  appends a line "pass|fail|skip<TAB>NAME<TAB>REASON" for each
  e2e/run.py --keep          leaves the folder of each node (logs, disks) behind

Real parts only: the release build, real VMs, real images, Debian's registry. Needs root.
"""

import argparse
import os
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import perigee_node  # noqa: E402


class Report(unittest.TestResult):
    """One line per scenario, with its time; what went wrong below it."""

    def __init__(self, results):
        super().__init__()
        self.results = results
        self.started = 0
        self.count = {'pass': 0, 'fail': 0, 'skip': 0}

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def _line(self, result, test, reason=''):
        self.count[result] += 1
        name = name_of(test)
        word = {'pass': 'ok  ', 'fail': 'FAIL', 'skip': 'skip'}[result]
        took = time.monotonic() - self.started if self.started else 0
        print(f'{word} {name} ({took:.1f} s){": " + reason if result == "skip" else ""}',
              flush=True)
        if self.results:
            with open(self.results, 'a', encoding='utf-8') as out:
                out.write(f'{result}\te2e {name}\t{reason}\n')

    def addSuccess(self, test):
        self._line('pass', test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, self.failures)

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, self.errors)

    def addSubTest(self, test, subtest, err):
        """Without this a scenario whose part failed would be in no count at all."""
        super().addSubTest(test, subtest, err)
        if err is None:
            return
        failed = issubclass(err[0], test.failureException)
        self._failed(subtest, self.failures if failed else self.errors)

    def _failed(self, test, kept):
        text = kept[-1][1]
        self._line('fail', test, text.strip().splitlines()[-1][:200].replace('\t', ' '))
        print(text + node_logs(test), flush=True)

    def addSkip(self, test, reason):
        self._line('skip', test, reason)


def node_logs(test):
    node = getattr(getattr(test, 'test_case', test), 'node', None)
    return node.last_logs() if node is not None else ''


def name_of(test):
    text = test.id() if hasattr(test, 'id') else str(test)
    if isinstance(test, unittest.case._SubTest):  # its id ends with what tells it from the others
        return f'{name_of(test.test_case)}: {test._subDescription()}'
    if text.startswith('setUpClass'):
        return f'start of {text.split(".")[-1].rstrip(")")}'
    return text.split('.')[-1].replace('scenario_', '').replace('_', ' ')


def scenarios(words):
    loader = unittest.TestLoader()
    loader.testMethodPrefix = 'scenario_'
    suite = loader.discover(str(pathlib.Path(__file__).parent), pattern='test_*.py')
    if loader.errors:
        sys.exit('\n'.join(loader.errors))
    found = unittest.TestSuite()
    for by_file in suite:
        for by_class in by_file:
            for test in by_class:
                name = f'{type(test).__name__} {name_of(test)}'
                if not words or any(word in name for word in words):
                    found.addTest(test)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('words', nargs='*', metavar='WORD')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('--keep', action='store_true')
    parser.add_argument('--results')
    options = parser.parse_args()
    suite = scenarios(options.words)
    if options.list:
        for test in suite:
            print(f'{type(test).__name__}: {name_of(test)}')
        return 0
    if suite.countTestCases() == 0:
        sys.exit(f'no scenario matches {" ".join(options.words)}; see e2e/run.py --list')
    if os.geteuid() != 0:
        sys.exit('the end-to-end scenarios make taps and VMs: run them as root')
    perigee_node.KEEP = options.keep
    report = Report(options.results)
    suite.run(report)
    print(', '.join(f'{number} {word}' for word, number in report.count.items() if number))
    return 1 if report.count['fail'] else 0


if __name__ == '__main__':
    sys.exit(main())
