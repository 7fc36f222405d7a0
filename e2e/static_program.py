"""Programs in C that run in a machine without libraries."""

import pathlib
import shutil
import subprocess

from perigee_node import REPOSITORY


def compile_static(folder, source, *libraries):
    """Compiles e2e/SOURCE into `folder`; `libraries` as the linker names them."""
    program = pathlib.Path(folder, pathlib.Path(source).stem)
    compiler = shutil.which('clang-19') or shutil.which('cc')
    # What a static library says about libc's plugins concerns none of these programs.
    subprocess.run([compiler, '-static', '-O1', '-Wall', '-Werror', '-Wl,--no-warnings', '-o',
                    program, REPOSITORY / 'e2e' / source, *libraries], check=True)
    return program
