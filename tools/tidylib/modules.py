"""Checks of the module graph: declared edges, cycles, where third-party headers are seen, READMEs.

The graph is read from the `perigee_module(NAME DEPS … LIBRARIES … TEST_DEPS …)` call of each folder
under src/ (cmake/PerigeeModule.cmake): what CMake links is what a file may include.
"""

import dataclasses
import re

from tidylib.tree import Finding

README_LINES = 40

# Third-party headers by prefix, and a library name of whose link line they may be used with. fmt
# and doctest may be seen everywhere.
THIRD_PARTY = [
    ('nlohmann/', 'nlohmann_json'),
    ('openssl/', 'OpenSSL::'),
    ('curl/', 'CURL::'),
    ('sqlite3.h', 'SQLite'),
    ('archive.h', 'LibArchive'),
    ('archive_entry.h', 'LibArchive'),
    ('toml++/', 'tomlplusplus'),
    ('CLI/', 'CLI11'),
    ('nghttp2/', 'nghttp2'),
    ('ares.h', 'cares'),
    ('zlib.h', 'ZLIB'),
    ('zstd.h', 'zstd'),
    ('libdeflate.h', 'deflate'),
    ('isa-l', 'isal'),
    ('bpf/', 'bpf'),
    ('spdlog/', 'spdlog'),
    ('benchmark/', None),
]


@dataclasses.dataclass
class Module:
    name: str
    path: str
    line: int
    deps: list
    libraries: str
    test_deps: list


def modules_of(tree):
    """Each declared module by name."""
    modules = {}
    for file in tree.files:
        if file.module is None or file.name != 'CMakeLists.txt':
            continue
        text = re.sub(r'#[^\n]*', '', file.text)
        for match in re.finditer(r'\bperigee_module\(\s*(\w+)([^)]*)\)', text):
            parts = _keywords(match.group(2).split())
            line = text.count('\n', 0, match.start()) + 1
            rest = text[match.end():]  # find_package, target_link_libraries … beside the call
            modules[match.group(1)] = Module(
                match.group(1), file.path, line, parts['DEPS'],
                ' '.join(parts['LIBRARIES']) + rest, parts['TEST_DEPS'])
    return modules


def _keywords(words):
    parts = {'': [], 'DEPS': [], 'LIBRARIES': [], 'TEST_DEPS': [], 'PACKAGES': []}
    current = ''
    for word in words:
        if word in parts:
            current = word
        else:
            parts[current].append(word)
    return parts


def closure(modules, names):
    seen = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += modules[name].deps if name in modules else []
    return seen


def check_edges(tree):
    """Every include of another module follows a declared edge."""
    modules = modules_of(tree)
    folders = {file.module for file in tree.files if file.module}
    findings = []
    for module in modules.values():
        for name in module.deps + module.test_deps:
            if name not in modules:
                findings.append(Finding(module.path, module.line, f'unknown module {name}'))
    for file in tree.cpp():
        if file.module not in modules:
            continue
        module = modules[file.module]
        allowed = closure(modules, [module.name] + (module.test_deps if file.is_test else []))
        for line, kind, name in file.includes():
            target = name.split('/')[0] if '/' in name else None
            if kind == '"' and target in folders and target not in allowed:
                findings.append(Finding(
                    file.path, line, f'includes {name}, but {module.path} declares no edge '
                    f'{module.name} -> {target}: add {target} to its DEPS, or use something lower'))
            elif kind == '"' and not (tree.exists(f'src/{name}') or beside(tree, file, name)):
                findings.append(Finding(file.path, line, f'"{name}" is not a file under src/'))
    return findings


def beside(tree, file, name):
    """Whether `name` is a file in the folder of `file`: allowed in a program's own subfolder."""
    folder = file.path.rsplit('/', 1)[0]
    return folder.count('/') > 1 and tree.exists(f'{folder}/{name}')


def check_cycles(tree):
    """The module graph has no cycle."""
    modules = modules_of(tree)
    findings = []
    for module in modules.values():
        path = _path_back(modules, module.name)
        if path:
            findings.append(Finding(module.path, module.line, 'cycle: ' + ' -> '.join(path)))
    return findings


def _path_back(modules, start):
    """A path of edges from `start` to itself, or None."""
    waiting = [[start]]
    seen = set()
    while waiting:
        path = waiting.pop()
        for name in modules[path[-1]].deps if path[-1] in modules else []:
            if name == start:
                return path + [name]
            if name not in seen:
                seen.add(name)
                waiting.append(path + [name])
    return None


def check_third_party(tree):
    """A third-party header is seen in .cc files only, in a module that links its library."""
    modules = modules_of(tree)
    findings = []
    for file in tree.cpp():
        for line, _, name in file.includes():
            library = next((lib for prefix, lib in THIRD_PARTY if name.startswith(prefix)), '')
            if library == '':
                continue
            if file.suffix == '.h':
                findings.append(Finding(file.path, line, f'{name} in a header: third-party headers '
                                        'belong into one wrapper .cc'))
            elif library and file.module in modules:
                module = modules[file.module]
                if library not in module.libraries:
                    findings.append(Finding(file.path, line,
                                            f'{name}: {module.path} links no {library}'))
    return findings


def check_doctest(tree):
    """doctest is included by tests only."""
    return [Finding(file.path, line, f'{name} outside of a test')
            for file in tree.cpp() for line, _, name in file.includes()
            if name.startswith('doctest/') and not file.is_test and 'test' not in file.name]


def check_readmes(tree):
    """Each module has a README.md of at most 40 lines."""
    findings = []
    for folder in sorted({file.module for file in tree.files if file.module}):
        path = f'src/{folder}/README.md'
        file = tree.by_path.get(path)
        if file is None:
            findings.append(Finding(path, 1, 'missing: purpose, main types, who may depend on it'))
        elif len(file.lines) > README_LINES:
            findings.append(Finding(path, README_LINES + 1, f'{len(file.lines)} lines, at most '
                                    f'{README_LINES}'))
    return findings
