"""ctest_results.py LABEL REPORT: one line per test of a ctest JUnit report,
pass|fail|skip<TAB>LABEL NAME<TAB>REASON.

A test that could not run at all (no executable) has failed. A line "skipped: REASON" in a test's
output is a check within it that was skipped: it gets a line of its own.
"""

import re
import sys
import xml.etree.ElementTree as xml

SKIPPED = re.compile(r'skipped: (.+)', re.IGNORECASE)


def results_of(label, case):
    name = f'{label} {case.get("name")}'
    skipped = case.find('skipped')
    reason = (skipped.get('message') or '') if skipped is not None else ''
    status = case.get('status')
    if status == 'run':
        result = 'pass'
    elif status == 'disabled' or reason.startswith('SKIP_'):
        result = 'skip'
    else:
        result = 'fail'
    yield result, name, reason
    for line in (case.findtext('system-out') or '').splitlines():
        match = SKIPPED.search(line)
        if match:
            yield 'skip', name, match.group(1).strip()


def main():
    label, report = sys.argv[1:]
    for case in xml.parse(report).getroot().iter('testcase'):
        for result in results_of(label, case):
            print(*result, sep='\t')


if __name__ == '__main__':
    main()
