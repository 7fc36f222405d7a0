"""Headers compile alone.

A header whose own .cc includes it first is proven by the build. The others are compiled here with
-fsyntax-only, and remembered under build/tidy by the hash of everything they include.
"""

import concurrent.futures
import hashlib
import json
import os
import shutil
import subprocess

from tidylib.tree import Finding

COMPILER = 'clang++-19'
FLAGS = ['-std=c++23', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-xc++']


def proven_by_build(tree, header):
    """Whether the header's own .cc (or test) includes it before anything else."""
    stem = header.path[:-len('.h')]
    for suffix in ('.cc', '_test.cc'):
        source = tree.by_path.get(stem + suffix)
        if source is not None:
            includes = source.includes()
            if includes and header.path.endswith('/' + includes[0][2]):
                return True
    return False


def fingerprint(tree, header, seen=None):
    """A hash of the header and of all project headers that it includes."""
    seen = set() if seen is None else seen
    waiting = [header]
    while waiting:
        file = waiting.pop()
        if file.path in seen:
            continue
        seen.add(file.path)
        for _, _, name in file.includes():
            for base in ('src/', 'guest/', os.path.dirname(file.path) + '/'):
                if base + name in tree.by_path:
                    waiting.append(tree.by_path[base + name])
    digest = hashlib.sha256(' '.join(FLAGS).encode())
    for path in sorted(seen):
        digest.update(path.encode() + b'\0' + tree.by_path[path].text.encode() + b'\0')
    return digest.hexdigest()


def compile_alone(tree, header):
    command = [COMPILER, *FLAGS, '-Isrc', '-Iguest', '-I.', '-']
    done = subprocess.run(command, cwd=tree.root, input=f'#include "{header.path}"\n',
                          capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    error = next((line for line in done.stderr.splitlines() if 'error' in line), 'compiler failed')
    return Finding(header.path, 1, f'does not compile alone: {error}')


def check_headers(tree):
    """Every header compiles alone."""
    headers = [file for file in tree.cpp()
               if file.suffix == '.h' and not proven_by_build(tree, file)]
    if not shutil.which(COMPILER):
        return [Finding('tools/setup', 1, f'{COMPILER} is not installed: run ./dev setup')]
    cache_path = tree.root / 'build/tidy/headers.json'
    try:
        passed = set(json.loads(cache_path.read_text()))
    except (OSError, ValueError):
        passed = set()
    prints = {header.path: fingerprint(tree, header) for header in headers}
    waiting = [header for header in headers if prints[header.path] not in passed]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = list(pool.map(lambda header: compile_alone(tree, header), waiting))
    bad = {finding.path for finding in findings if finding}
    cache_path.parent.mkdir(parents=True, exist_ok=True)
    cache_path.write_text(json.dumps(sorted(prints[path] for path in prints if path not in bad)))
    return [finding for finding in findings if finding]
