# SPDX-License-Identifier: GPL-2.0-only
"""The package's own importer: compiled modules that are up to date, and nothing else."""

import compileall
import marshal
import os
import pathlib
import py_compile
import shutil
import subprocess
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
#: Prints how the module vip was loaded, and whether it is the edited one.
PROGRAM = """
import sys
sys.path.insert(0, %r)
import ipaddr2_py

python = ipaddr2_py.Compiled.__mro__[1]
get_code, loaded = python.get_code, []
python.get_code = lambda self, name: (loaded.append(name), get_code(self, name))[1]
sys.meta_path.insert(0, ipaddr2_py.Compiled)
from ipaddr2_py import vip

print("by-Python" if "ipaddr2_py.vip" in loaded else type(vip.__spec__.loader).__name__)
print(getattr(vip, "EDITED", "as-it-was"), vip.__file__, vip.__cached__, vip.__package__)
"""


@pytest.fixture(name="package")
def fixture_package(tmp_path):
    """A copy of the package, compiled; its folder."""
    shutil.copytree(CHECKOUT / "ipaddr2_py", tmp_path / "__init__" / "ipaddr2_py",
                    ignore=shutil.ignore_patterns("__pycache__"))
    package = tmp_path / "__init__" / "ipaddr2_py"
    compileall.compile_dir(str(package), quiet=1)
    return package


def loaded(package):
    """[how it was loaded, edited or not, file, compiled file, package] of the module vip."""
    done = subprocess.run([sys.executable, "-IS", "-c", PROGRAM % str(package.parent)], text=True,
                          capture_output=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


def cached(package):
    (path,) = (package / "__pycache__").glob("vip.*.pyc")
    return path


def test_what_is_compiled_is_taken(package):
    assert loaded(package) == ["Compiled", "as-it-was", str(package / "vip.py"),
                               str(cached(package)), "ipaddr2_py"]


def edit(package, text, keep_time=False):
    path = package / "vip.py"
    before = path.stat()
    path.write_text(path.read_text() + text)
    seconds = 0 if keep_time else 10
    os.utime(path, (before.st_atime, before.st_mtime + seconds))


def test_a_source_that_is_newer_is_read(package):
    edit(package, "EDITED = 'edited'\n")
    assert loaded(package)[:2] == ["by-Python", "edited"]
    assert loaded(package)[:2] == ["Compiled", "edited"]        # Python has compiled it anew


def test_a_source_of_the_same_time_and_another_size_is_read(package):
    edit(package, "EDITED = 'edited'\n", keep_time=True)
    assert loaded(package)[:2] == ["by-Python", "edited"]


def test_another_versions_is_not_taken(package):
    data = cached(package).read_bytes()
    cached(package).write_bytes(b"\0\0\r\n" + data[4:])
    assert loaded(package)[0] == "by-Python"


def test_what_is_checked_by_hash_is_left_to_python(package):
    py_compile.compile(str(package / "vip.py"),
                       invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    assert loaded(package)[0] == "by-Python"


@pytest.mark.parametrize("length", [0, 1, 15])
def test_a_header_that_is_cut_off_is_not_taken(package, length):
    cached(package).write_bytes(cached(package).read_bytes()[:length])
    assert loaded(package)[0] == "by-Python"


DAMAGES = {
    "cut off": lambda data: data[:600], "one byte short": lambda data: data[:-1],
    "zeros": lambda data: data[:600] + bytes(len(data) - 600),
    "garbage": lambda data: data[:16] + bytes(range(255, 0, -1)) * 20,
    "nothing behind the header": lambda data: data[:16],
    "another object": lambda data: data[:16] + marshal.dumps(["no", "code"]),
    "too long, and cut off": lambda data: data[:600] + bytes(1 << 16),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_not_whole_is_done_without(package, kind):
    cached(package).write_bytes(DAMAGES[kind](cached(package).read_bytes()))
    assert loaded(package)[0] in ("Compiled", "by-Python")


@pytest.mark.parametrize("kind", DAMAGES)
def test_the_package_itself_is_not_whole(package, kind):
    """Python's own importer reads it; the program tries again without what is compiled."""
    shutil.copytree(CHECKOUT / "bin", package.parent / "bin")
    (path,) = (package / "__pycache__").glob("__init__.*.pyc")
    path.write_bytes(DAMAGES[kind](path.read_bytes()))
    done = subprocess.run([sys.executable, "-IS", str(package.parent / "bin" / "IPaddr2"), "usage"],
                          env={}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"usage" in done.stdout


@pytest.mark.parametrize("problem, code", [
    ("OSError(24, 'Too many open files')", 1), ("OSError(23, 'Too many open files in system')", 1),
    ("OSError(12, 'Cannot allocate memory')", 1), ("MemoryError()", 1),
    ("ModuleNotFoundError('x')", 5), ("OSError(5, 'Input/output error')", 5),
    ("SyntaxError('x')", 5), ("KeyboardInterrupt()", 5)])
def test_a_program_that_cannot_begin(package, problem, code):
    """Out of descriptors or memory says nothing of what is installed here."""
    shutil.copytree(CHECKOUT / "bin", package.parent / "bin")
    (package / "__init__.py").write_text("raise %s\n" % problem)
    done = subprocess.run([sys.executable, "-IS", str(package.parent / "bin" / "IPaddr2"), "start"],
                          env={}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == code
    told = done.stderr.decode()
    assert told.startswith("ocf-exit-reason:the agent cannot run: " + problem.partition("(")[0])
    assert told.count("\n") == 1 and ("belongs in" in told) is (code == 5)


def test_nothing_compiled_at_all(package):
    shutil.rmtree(package / "__pycache__")
    assert loaded(package)[0] == "by-Python"


def test_other_modules_are_not_its_own(package):
    program = ("import sys; sys.path.insert(0, %r); import ipaddr2_py\n"
               "for name in ('ipaddr2_py', 'ipaddr2_py.none', 'ipaddr2_py.vip.x', 'json', 'vip'):\n"
               "    assert ipaddr2_py.Compiled.find_spec(name) is None, name" % str(package.parent))
    subprocess.run([sys.executable, "-IS", "-c", program], check=True, timeout=60)


def test_a_fault_is_told_with_its_line(package):
    edit(package, "\n\ndef fail():\n    raise ValueError('here')\n")
    loaded(package)
    program = PROGRAM % str(package.parent) + "vip.fail()\n"
    done = subprocess.run([sys.executable, "-IS", "-c", program], text=True, capture_output=True,
                          timeout=60)
    assert done.stdout.startswith("Compiled")
    assert "raise ValueError('here')" in done.stderr and str(package / "vip.py") in done.stderr
