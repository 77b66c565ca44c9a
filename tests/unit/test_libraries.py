# SPDX-License-Identifier: GPL-2.0-only
"""sh, imported under `python3 -IS` without what it draws in, and nothing else the worse for it."""

import os
import pathlib
import subprocess
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
HEAD = """
import sys
sys.path.insert(0, %r)
from ipaddr2_py import changes, commands
from ipaddr2_py.changes import sh_import
commands.load_environment({"PATH": "/usr/bin:/bin"})
""" % str(CHECKOUT)

#: What sh imports and a plain command never needs.
HEAVY = ("asyncio", "logging", "inspect", "ast", "getpass", "glob", "importlib.metadata", "pty",
         "tty", "textwrap", "platform", "ssl", "socket", "subprocess", "concurrent", "email")


def python(text, *options):
    done = subprocess.run([sys.executable, "-IS", *options, "-c", HEAD + text], timeout=20,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={"LANG": "C", "PATH": "/usr/bin:/bin"}, cwd="/")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split()


def test_a_change_draws_little_in():
    loaded = python("changes.run(['true'])\nprint(*sys.modules)")
    assert "sh" in loaded
    assert not set(HEAVY) & set(loaded)


def test_the_systems_folders_count_in_a_virtual_environment():
    """Since Python 3.14 sys.prefix is the environment's own."""
    text = """
sys.prefix = "/nowhere"
sh_import.add_site_packages()
print(any(path.startswith("/nowhere") for path in sys.path), sh_import.load().__name__)
"""
    assert python(text) == ["False", "sh"]


def test_what_was_stood_in_for_is_whole_afterwards():
    names = {"asyncio": "Queue", "logging": "Formatter", "inspect": "signature", "ast": "parse",
             "getpass": "getuser", "glob": "iglob", "locale": "setlocale", "platform": "machine",
             "importlib.metadata": "version", "pty": "openpty", "textwrap": "dedent",
             "traceback": "format_exception", "tty": "setraw"}
    text = """
import importlib
sh_import.load()
for name, attribute in %r.items():
    module = importlib.import_module(name)
    print(type(module).__name__, callable(getattr(module, attribute)))
"""
    assert python(text % names) == ["module", "True"] * len(names)


def test_sh_is_imported_once_and_leaves_no_finder():
    text = """
before = list(sys.meta_path)
first = sh_import.load()
print(first is sh_import.load(), sys.meta_path == before)
"""
    assert python(text) == ["True", "True"]


def test_a_fault_is_told_in_full_after_sh():
    """The traceback module is one of those that sh imports."""
    text = """
sh_import.load()
try:
    1 / 0
except ZeroDivisionError as problem:
    import traceback
    print("".join(traceback.format_exception(type(problem), problem, problem.__traceback__)))
"""
    assert "ZeroDivisionError:" in python(text)


def test_the_users_own_folder_is_never_used():
    folders = python("sh_import.add_site_packages()\nprint(*sys.path)")
    assert not [folder for folder in folders if folder.startswith(os.path.expanduser("~/.local"))]
