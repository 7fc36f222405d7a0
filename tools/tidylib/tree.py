"""The files that tidy looks at, read once, and what a check reports about them.

A check is a function `check(tree) -> list[Finding]`; an empty list passes. Each one is a rule of
the house style that a compiler does not enforce.
"""

import dataclasses
import functools
import os
import pathlib
import re

SKIPPED_FOLDERS = {'.git', 'build', '__pycache__', 'corpus', 'testdata'}
CPP = {'.cc', '.h'}
TEST_NAME = re.compile(r'_(test|fuzz|bench)\.cc$|_(fixture|contract)\.h$|_main\.cc$')
TEXT = CPP | {'.py', '.sh', '.md', '.txt', '.cmake', '.toml', '.json', ''}


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    message: str

    def __str__(self):
        return f'{self.path}:{self.line}: {self.message}'


@dataclasses.dataclass(frozen=True)
class File:
    path: str  # relative to the root, with slashes
    text: str

    @property
    def suffix(self):
        return pathlib.PurePosixPath(self.path).suffix

    @property
    def name(self):
        return pathlib.PurePosixPath(self.path).name

    @functools.cached_property
    def lines(self):
        return self.text.splitlines()

    @property
    def module(self):
        """The module that the file belongs to, or None outside src/."""
        parts = self.path.split('/')
        return parts[1] if parts[0] == 'src' and len(parts) > 2 else None

    @property
    def is_test(self):
        return '/e2e/' in self.path or bool(TEST_NAME.search(self.name))

    def includes(self):
        """(line number, '"' or '<', name) of each include."""
        found = []
        for number, line in enumerate(self.lines, 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if match:
                found.append((number, match.group(1), match.group(2)))
        return found


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = list(self._read())
        self.by_path = {file.path: file for file in self.files}

    def _read(self):
        for folder, subfolders, names in os.walk(self.root):
            subfolders[:] = sorted(name for name in subfolders if name not in SKIPPED_FOLDERS)
            for name in sorted(names):
                path = pathlib.Path(folder, name)
                if path.suffix in TEXT and not path.is_symlink():
                    try:
                        text = path.read_text(encoding='utf-8')
                    except (UnicodeDecodeError, OSError):
                        continue  # not text
                    yield File(path.relative_to(self.root).as_posix(), text)

    def exists(self, path):
        return (self.root / path).exists()

    def cpp(self):
        return [file for file in self.files if file.suffix in CPP]
