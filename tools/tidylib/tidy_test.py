"""Each tidy check finds what it is for, in a small tree made for it, and passes without it."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tidylib import headers, modules, text, tree  # noqa: E402

LOW = {
    'src/low/CMakeLists.txt': 'perigee_module(low)\n',
    'src/low/low.h': '// Low.\n#pragma once\nint low();\n',
    'src/low/README.md': '# low\n',
}
HIGH = {
    'src/high/CMakeLists.txt': 'perigee_module(high DEPS low)\n',
    'src/high/high.cc': '// High.\n#include "low/low.h"\n',
    'src/high/README.md': '# high\n',
}


class TidyTest(unittest.TestCase):
    def tree_of(self, *parts):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for part in parts:
            for path, content in part.items():
                file = pathlib.Path(folder.name, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
        return tree.Tree(folder.name)

    def passes(self, check, *parts):
        self.assertEqual([str(finding) for finding in check(self.tree_of(*parts))], [])

    def finds(self, words, check, *parts):
        findings = '\n'.join(str(finding) for finding in check(self.tree_of(*parts)))
        self.assertIn(words, findings)

    def test_a_declared_edge_passes_also_through_another_module(self):
        top = {'src/top/CMakeLists.txt': 'perigee_module(top DEPS high)\n',
               'src/top/top.cc': '#include "low/low.h"\n'}
        self.passes(modules.check_edges, LOW, HIGH)
        self.passes(modules.check_edges, LOW, HIGH, top)

    def test_an_undeclared_edge_is_found_with_file_and_line(self):
        bad = {'src/low/low.cc': '// Low.\n#include "high/high.h"\n', 'src/high/high.h': ''}
        self.finds('src/low/low.cc:2: includes high/high.h', modules.check_edges, LOW, HIGH, bad)

    def test_a_test_dependency_is_for_tests_only(self):
        for name, check in (('low_test.cc', self.passes), ('low.cc', None)):
            part = {'src/low/CMakeLists.txt': 'perigee_module(low TEST_DEPS high)\n',
                    f'src/low/{name}': '#include "high/high.h"\n', 'src/high/high.h': '',
                    'src/high/CMakeLists.txt': 'perigee_module(high)\n'}
            if check:
                check(modules.check_edges, LOW, part)
            else:
                self.finds('declares no edge low -> high', modules.check_edges, LOW, part)

    def test_an_include_of_no_file_and_an_unknown_module_are_found(self):
        self.finds('is not a file', modules.check_edges, LOW, {'src/low/a.cc': '#include "x/y.h"'})
        self.finds('unknown module low', modules.check_edges, HIGH)
        local = {'src/low/a.cc': '#include "b.h"', 'src/low/b.h': ''}
        self.finds('"b.h" is not a file', modules.check_edges, LOW, local)
        self.passes(modules.check_edges, LOW, {'src/low/main/a.cc': '#include "b.h"',
                                               'src/low/main/b.h': ''})

    def test_a_cycle_is_found_with_its_path(self):
        bad = {'src/low/CMakeLists.txt': '# on\nperigee_module(low DEPS\n  high)\n'}
        self.passes(modules.check_cycles, LOW, HIGH)
        self.finds('src/low/CMakeLists.txt:2: cycle: low -> high -> low', modules.check_cycles,
                   HIGH, LOW, bad)

    def test_third_party_headers_belong_into_a_cc_of_a_module_that_links_them(self):
        code = '#include <nlohmann/json.hpp>\n'
        linked = {'src/low/CMakeLists.txt': 'perigee_module(low LIBRARIES nlohmann_json::x)\n'}
        self.passes(modules.check_third_party, LOW, linked, {'src/low/a.cc': code})
        self.finds('links no nlohmann_json', modules.check_third_party, LOW, {'src/low/a.cc': code})
        self.finds('in a header', modules.check_third_party, LOW, linked, {'src/low/a.h': code})

    def test_doctest_is_for_tests(self):
        code = '#include <doctest/doctest.h>\n'
        self.passes(modules.check_doctest, {'src/low/a_test.cc': code})
        self.finds('outside of a test', modules.check_doctest, {'src/low/a.cc': code})

    def test_readmes_are_there_and_short(self):
        self.passes(modules.check_readmes, LOW)
        self.finds('missing', modules.check_readmes, {'src/low/low.h': ''})
        self.finds('41 lines', modules.check_readmes, {'src/low/README.md': 'x\n' * 41})

    def test_columns_are_counted_in_characters(self):
        self.passes(text.check_columns, {'a.py': 'é ' * 50 + '\n'})
        self.finds('a.py:2: 101 columns', text.check_columns, {'a.py': '\nx' + ' y' * 50 + '\n'})
        self.passes(text.check_columns, {'a.md': '| ' + 'y ' * 60 + '|\n'})

    def test_long_files_and_functions_are_found(self):
        body = '  call("}");  // }\n' * 69
        short = f'namespace a {{\nint f(int x) {{\n{body[:-19]}}}\n}}\n'
        self.passes(text.check_function_length, {'a.cc': short})
        self.finds('a.cc:2: T::f: 71 lines', text.check_function_length,
                   {'a.cc': f'namespace a {{\nint T::f(int x) {{\n{body}}}\n}}\n'})
        self.passes(text.check_function_length,
                    {'a.cc': f'// Longer than 70 lines: a table.\nint f(int x) {{\n{body}}}\n'})
        self.finds('f: 71 lines', text.check_function_length, {'a.py': 'def f():\n' + '  1\n' * 70})
        self.finds('601 lines', text.check_file_length, {'a.cc': '\n' * 601})

    def test_functions_are_told_from_classes_lambdas_and_lists(self):
        code = ('class A {\n public:\n  A() : x_{1} {}\n  int f() const { return 1; }\n};\n'
                'int g() {\n  auto l = [](int x) { return x; };\n  if (l(1)) { return 2; }\n}\n'
                'const int kList[] = {1, 2};\n')
        names = [name for name, _, _ in text.cpp_functions(code)]
        self.assertIn('f', names)
        self.assertEqual([lines for lines in text.cpp_functions(code) if lines[0] == 'g'],
                         [('g', 6, 9)])
        self.assertNotIn('l', names)

    def test_leftovers_and_paths_of_the_machine_are_found(self):
        mark = 'TO' + 'DO'
        self.finds(f'a.cc:1: {mark}', text.check_words, {'a.cc': f'// {mark}: later\n'})
        fixture = self.tree_of({'a.sh': 'x'})
        pathlib.Path(fixture.root, 'a.sh').write_text(f'cd {fixture.root.resolve()}\n')
        self.assertIn('names a path', str(text.check_words(tree.Tree(fixture.root))[0]))
        self.passes(text.check_words, LOW)

    def test_openings(self):
        self.passes(text.check_openings, LOW, {'src/low/low.cc': '#include "low/low.h"\n'})
        self.finds('a.cc:1: opens', text.check_openings, {'a.cc': '#include <x>\n'})
        self.finds('no #pragma once', text.check_openings, {'a.h': '// A.\n'})

    def test_only_sys_touches_the_clock(self):
        code = '// system_clock::now\nauto t = std::chrono::system_clock::now();\n'
        self.passes(text.check_clocks, {'src/sys/a.cc': code}, {'src/low/a_test.cc': code})
        self.finds('src/low/a.cc:2', text.check_clocks, {'src/low/a.cc': code})

    def test_a_document_names_only_files_that_exist(self):
        self.passes(text.check_named_files, LOW, {'A.md': 'see `src/low/low.h`, `src/low/`\n'})
        self.finds('A.md:1: src/low/gone.h', text.check_named_files,
                   {'A.md': 'see `src/low/gone.h`\n'})

    def test_a_header_that_does_not_compile_alone_is_found(self):
        bad = {'src/low/bad.h': '// Bad.\n#pragma once\nstd::string s();\n'}
        self.passes(headers.check_headers, LOW)
        self.finds('bad.h:1: does not compile alone', headers.check_headers, LOW, bad)
        # Its own .cc shows that it does, unless something else comes first.
        self.passes(headers.check_headers, bad, {'src/low/bad.cc': '#include "low/bad.h"\n'})
        self.finds('bad.h', headers.check_headers, bad,
                   {'src/low/bad.cc': '#include <string>\n#include "low/bad.h"\n'})


if __name__ == '__main__':
    unittest.main()
