#!/usr/bin/env python3
"""compare_openapi.py FILE: compares contract.json with Firecracker's own description of its API
(src/firecracker/swagger/firecracker.yaml of a release). Prints what differs, one line each; exits
with 1 where something does. Needs python3-yaml."""

import json
import sys

import contract


def load(path):
    import yaml  # not there on every machine: the caller says so
    with open(path, encoding='utf-8') as file:
        return yaml.safe_load(file)


def name_of(reference):
    return reference['$ref'].rsplit('/', 1)[1]


def calls_of(document):
    """{"PUT /vsock": "Vsock"}; None for a call without a body."""
    calls = {}
    for path, methods in document['paths'].items():
        for method, operation in methods.items():
            bodies = [name_of(parameter['schema']) for parameter in operation.get('parameters', [])
                      if parameter['in'] == 'body']
            calls[f'{method.upper()} {path}'] = bodies[0] if bodies else None
    return calls


def entry_of(definitions, value):
    """A property as contract.json writes it."""
    if '$ref' in value:
        definition = definitions[name_of(value)]
        if definition['type'] != 'string':
            return {'type': name_of(value)}
        value = definition
    entry = {'type': value['type']}
    if 'enum' in value:  # YAML reads Off as false
        entry['enum'] = ['Off' if item is False else item for item in value['enum']]
    for ours, theirs in (('min', 'minimum'), ('max', 'maximum')):
        if theirs in value:
            entry[ours] = value[theirs]
    if 'items' in value:
        entry['items'] = entry_of(definitions, value['items'])['type']
    return entry


def fields_of(definitions, name):
    definition = definitions[name]
    required = definition.get('required', [])
    return {field: {**entry_of(definitions, value),
                    **({'required': True} if field in required else {})}
            for field, value in definition.get('properties', {}).items()}


def differences(document):
    ours = json.loads(contract.FILE.read_text(encoding='utf-8'))
    if document['info']['version'] != ours['version']:
        yield f'version: ours is of {ours["version"]}, theirs {document["info"]["version"]}'
    theirs = calls_of(document)
    for name in sorted(theirs.keys() | ours['calls'].keys()):
        if name not in theirs or name not in ours['calls']:
            yield f'{name}: only in {"theirs" if name in theirs else "ours"}'
        elif theirs[name] != ours['calls'][name].get('body'):
            yield f'{name}: body {ours["calls"][name].get("body")}, theirs {theirs[name]}'
    for name, kind in ours['types'].items():
        if kind == 'anything':
            continue
        if name not in document['definitions']:
            yield f'{name}: only in ours'
            continue
        plain = {field: {key: value for key, value in entry.items() if key != 'since'}
                 for field, entry in kind.items()}
        expected = fields_of(document['definitions'], name)
        for field in sorted(plain.keys() | expected.keys()):
            if plain.get(field) != expected.get(field):
                yield f'{name}.{field}: {plain.get(field)}, theirs {expected.get(field)}'


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = list(differences(load(sys.argv[1])))
    print('\n'.join(found) if found else 'contract.json is what Firecracker describes')
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    main()
