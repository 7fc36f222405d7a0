"""Checks of sizes and words: lines, files, functions, openings, named files."""

import ast
import re

from tidylib.tree import CPP, Finding

COLUMNS = 100
FILE_LINES = 600
FUNCTION_LINES = 70
WAIVER = 'Longer than 70 lines: '  # in a comment above a function, followed by the reason
FORBIDDEN = re.compile(r'\b(TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK)\b')
# What reads the clock or makes entropy: only `sys` does (and the guest's init, a world of its own).
CLOCKS = re.compile(r'\b(system_clock::now|steady_clock::now|high_resolution_clock|clock_gettime|'
                    r'gettimeofday|getrandom|random_device|mt19937)\b')
CLOCK_OWNERS = ('src/sys/', 'src/base/log.cc', 'guest/', 'tools/')
# Paths named in documents, in backquotes; each must exist.
NAMED = re.compile(r'`((?:src|guest|tools|e2e|docs|examples|cmake|\.ci)/[\w./-]*[\w/])`')


def check_columns(tree):
    """No line is longer than 100 columns (tables and lines that are one long word aside)."""
    findings = []
    for file in tree.files:
        if file.suffix == '.json':
            continue
        for number, line in enumerate(file.lines, 1):
            table = file.suffix == '.md' and line.lstrip().startswith('|')
            words = line.split()
            if len(line) > COLUMNS and not table and max(map(len, words)) <= COLUMNS:
                message = f'{len(line)} columns, at most {COLUMNS}'
                findings.append(Finding(file.path, number, message))
    return findings


def check_file_length(tree):
    """No file is longer than 600 lines."""
    return [Finding(file.path, FILE_LINES + 1, f'{len(file.lines)} lines, at most {FILE_LINES}')
            for file in tree.files if len(file.lines) > FILE_LINES]


def check_function_length(tree):
    """No function is longer than 70 lines."""
    findings = []
    for file in tree.files:
        if file.suffix in CPP:
            functions = cpp_functions(file.text)
        elif file.suffix == '.py':
            functions = python_functions(file.text)
        else:
            continue
        for name, first, last in functions:
            above = ' '.join(file.lines[max(0, first - 4):first])
            if last - first + 1 > FUNCTION_LINES and WAIVER not in above:
                findings.append(Finding(file.path, first, f'{name}: {last - first + 1} lines, at '
                                        f'most {FUNCTION_LINES}'))
    return findings


def python_functions(text):
    return [(node.name, node.lineno, node.end_lineno) for node in ast.walk(ast.parse(text))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def blank_literals(text):
    """The text with comments, strings and preprocessor lines blanked, line breaks kept."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|'
        r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'|^[ \t]*#(?:\\\n|[^\n])*", re.DOTALL | re.MULTILINE)
    return pattern.sub(lambda match: re.sub(r'[^\n]', ' ', match.group(0)), text)


def cpp_functions(text):
    """(name, first line, last line) of each function body, by matching braces: approximate."""
    functions = []
    stack = []  # (start of its head, is a function) of each open brace
    text = blank_literals(text)
    head = 0  # where the statement before the next brace starts
    parens = 0
    for at, char in enumerate(text):
        if char in '()':
            parens += 1 if char == '(' else -1
        elif char == '{':
            inside = any(function for _, function in stack)
            stack.append((head, not inside and _is_function(text[head:at])))
            head = at + 1
        elif char == '}' and stack:
            start, function = stack.pop()
            if function:
                start += len(text[start:]) - len(text[start:].lstrip())
                lines = (text.count('\n', 0, start) + 1, text.count('\n', 0, at) + 1)
                functions.append((_name(text[start:at]), *lines))
            head = at + 1
        elif char == ';' and parens <= 0:
            head = at + 1
    return functions


def _is_function(head):
    head = re.sub(r'^\s*(public|private|protected)\s*:', '', head).strip()
    if '(' not in head or head.endswith(('=', ',', '(')):
        return False
    return not re.match(r'(namespace|class|struct|enum|union|extern\s*$)\b', head)


def _name(head):
    match = re.search(r'([~\w:]+)\s*\(', head)
    return match.group(1) if match else 'function'


def check_words(tree):
    """No leftovers (unfinished-work marks) and no path of the machine it was written on."""
    checkout = str(tree.root.resolve())
    findings = []
    for file in tree.files:
        for number, line in enumerate(file.lines, 1):
            mark = FORBIDDEN.search(line)
            if mark and not re.search(r'mktemp|X{4,}', line):
                findings.append(Finding(file.path, number, f'{mark.group(0)}: finish it or open an '
                                        'issue'))
            if checkout.count('/') > 1 and checkout in line:
                findings.append(Finding(file.path, number, 'names a path of one machine'))
    return findings


def check_openings(tree):
    """A header, and a source file without one, opens with a comment that says what it is."""
    findings = []
    for file in tree.files:
        first = file.lines[0] if file.lines else ''
        if file.suffix == '.h' and '#pragma once' not in file.text:
            findings.append(Finding(file.path, 1, 'no #pragma once'))
        if file.suffix == '.cc' and (file.is_test or file.path[:-3] + '.h' in tree.by_path):
            continue  # its header has it
        if file.suffix in CPP:
            told = first.startswith(('//', '/*'))
        elif file.suffix in ('.py', '.sh') and len(file.lines) > 3:
            told = (file.lines[1] if first.startswith('#!') else first).startswith(('#', '"""'))
        else:
            continue
        if not told:
            findings.append(Finding(file.path, 1, 'opens without a comment that says what it is'))
    return findings


def check_clocks(tree):
    """Clock and entropy are touched in sys only (tests and benchmarks aside)."""
    findings = []
    for file in tree.cpp():
        if file.is_test or file.path.startswith(CLOCK_OWNERS):
            continue
        for number, line in enumerate(blank_literals(file.text).splitlines(), 1):
            match = CLOCKS.search(line)
            if match:
                findings.append(Finding(file.path, number, f'{match.group(0)}: take a sys::Clock, '
                                        'sys::Entropy or the loop instead'))
    return findings


def check_named_files(tree):
    """Every file that a document names in backquotes exists."""
    findings = []
    for file in tree.files:
        if file.suffix != '.md':
            continue
        for number, line in enumerate(file.lines, 1):
            for path in NAMED.findall(line):
                if not tree.exists(path):
                    findings.append(Finding(file.path, number, f'{path} does not exist'))
    return findings
