"""A strict reader of Prometheus' text format 0.0.4, written from its specification: what breaks the
format, or a rule that Prometheus only warns of, is an error here."""

import re

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(rf'({NAME})(?:\{{(.*)\}})? (\S+)')
HEAD = re.compile(rf'# (HELP|TYPE) ({NAME}) (.+)')
TYPES = {'counter', 'gauge', 'untyped'}


def labels_of(text):
    labels, at = {}, 0
    while at < len(text):
        found = LABEL.match(text, at)
        assert found, f'labels {text!r} at {at}'
        assert found[1] not in labels, f'label {found[1]} twice in {text!r}'
        labels[found[1]] = re.sub(r'\\(.)', lambda part: '\n' if part[1] == 'n' else part[1],
                                  found[2])
        at = found.end()
        assert at == len(text) or text[at] == ',', f'labels {text!r} at {at}'
        at += 1
    return labels


def parse(text):
    """name → [(labels, value)]. Each family has HELP, then TYPE, then its samples, and only once;
    no sample stands twice; counters end in _total and are not below 0."""
    assert text.endswith('\n'), 'the last line is cut'
    kinds, samples, seen, family = {}, {}, set(), None
    for line in text.splitlines():
        head = HEAD.fullmatch(line)
        if head and head[1] == 'HELP':
            family = head[2]
            assert family not in kinds, f'{family} comes twice'
            kinds[family] = None
        elif head:
            assert head[2] == family and kinds[family] is None and head[3] in TYPES, line
            kinds[family] = head[3]
            assert head[3] != 'counter' or family.endswith('_total'), line
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample and sample[1] == family and kinds[family], f'{line!r} below {family}'
            labels, value = labels_of(sample[2] or ''), float(sample[3])
            assert kinds[family] != 'counter' or value >= 0, line
            key = (family, tuple(sorted(labels.items())))
            assert key not in seen, f'{line!r} stands twice'
            seen.add(key)
            samples.setdefault(family, []).append((labels, value))
    return samples
