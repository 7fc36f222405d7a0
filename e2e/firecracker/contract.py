"""Firecracker's API as data (contract.json) and the check of a call against it: paths, methods,
fields, types, ranges, and when a call is allowed. "when" is one of

  any     always                     before  until the guest starts
  after   once it has started        paused  while it stands still
  fresh   before anything of the guest's hardware is configured

"since" is the first version that knows a call or a field; an older one refuses it."""

import json
import pathlib
import re

FILE = pathlib.Path(__file__).with_name('contract.json')
ID = re.compile(r'[A-Za-z0-9_]+')
JSON_TYPES = {'string': str, 'integer': int, 'boolean': bool, 'array': list, 'object': dict}
REPORTING = ('PUT /logger', 'PUT /metrics', 'PUT /serial')  # not the guest's hardware


class Refused(Exception):
    """The sentence of a 400."""


def version_of(text):
    return tuple(int(part) for part in text.split('-')[0].split('.')[:2])


class Contract:
    def __init__(self, version):
        document = json.loads(FILE.read_text(encoding='utf-8'))
        self.calls, self.types = document['calls'], document['types']
        self.payload_limit = document['payload_limit']
        self.version = version_of(version)

    def find(self, method, path):
        """The call's name, and the id in its path, if any."""
        for name in self.calls:
            verb, _, pattern = name.partition(' ')
            if verb == method and pattern == path:
                return name, None
            prefix, brace, _ = pattern.partition('{')
            if verb == method and brace and path.startswith(prefix):
                if not ID.fullmatch(path[len(prefix):]):
                    raise Refused(f'{path}: an id has letters, digits and _')
                return name, path[len(prefix):]
        raise Refused(f'Invalid request method and/or path: {method} {path}')

    def check(self, method, path, body, state, configured):
        """The call's name and id. `body`: parsed, None without one. `state`: as GET / says it.
        `configured`: hardware has been."""
        name, path_id = self.find(method, path)
        call = self.calls[name]
        if not self.knows(call):
            raise Refused(f'{name}: not in this version')
        self.check_time(name, call['when'], body, state, configured)
        self.check_body(name, call, body)
        if path_id is not None:
            ids = {body.get(field) for field in ('id', 'drive_id', 'iface_id') if field in body}
            if ids != {path_id}:
                raise Refused(f'{path}: the body is of {", ".join(map(str, ids))}')
        return name, path_id

    def knows(self, entry):
        return 'since' not in entry or version_of(entry['since']) <= self.version

    @staticmethod
    def check_time(name, when, body, state, configured):
        if name == 'PUT /actions':
            starts = isinstance(body, dict) and body.get('action_type') == 'InstanceStart'
            when = 'before' if starts else 'after'
        wrong = {'any': False,
                 'before': state != 'Not started',
                 'after': state == 'Not started',
                 'paused': state != 'Paused',
                 'fresh': state != 'Not started' or configured}[when]
        if wrong:
            raise Refused(f'{name} is not supported now: the microVM is {state}'
                          f'{", configured" if configured else ""}')

    def check_body(self, name, call, body):
        if 'body' not in call:
            if body is not None:
                raise Refused(f'{name}: takes no body')
            return
        if body is None:
            raise Refused(f'{name}: empty {name.split()[0]} request')
        self.check_type(name, call['body'], body)

    def check_type(self, where, type_name, value):
        kind = self.types[type_name]
        if not isinstance(value, dict):
            raise Refused(f'{where}: expected an object')
        if kind == 'anything':
            return
        for field, entry in kind.items():
            if entry.get('required') and field not in value:
                raise Refused(f'{where}: missing field `{field}`')
        for field, item in value.items():
            entry = kind.get(field)
            if entry is None or not self.knows(entry):
                raise Refused(f'{where}: unknown field `{field}`')
            self.check_value(f'{where}.{field}', entry, item)

    def check_value(self, where, entry, value):
        if entry['type'] in self.types:
            self.check_type(where, entry['type'], value)
            return
        expected = JSON_TYPES[entry['type']]
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            raise Refused(f'{where}: invalid type, expected {entry["type"]}')
        if 'enum' in entry and value not in entry['enum']:
            raise Refused(f'{where}: unknown variant `{value}`')
        if not entry.get('min', value) <= value <= entry.get('max', value):
            raise Refused(f'{where}: {value} is out of range')
        for item in value if expected is list else []:
            self.check_value(f'{where}[]', {'type': entry['items']}, item)
