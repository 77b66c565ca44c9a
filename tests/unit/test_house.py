# SPDX-License-Identifier: GPL-2.0-only
"""The house's rules: who imports whom, who starts programs, a lean monitor, small rooms."""

import ast
import functools
import pathlib
import re
import subprocess
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = CHECKOUT / "ipaddr2_py"
MODULES = {path.stem: path for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"}
PROGRAMS = [CHECKOUT / "bin/IPaddr2", CHECKOUT / "bin/announce"]
TESTS = sorted((CHECKOUT / "tests").rglob("*.py"))

#: Each knows only those above it; those of Cluster IP may know one another as well.
FLOORS = [
    {"params", "environment", "libraries", "packets", "signals"},       # know nobody
    {"waiting", "metadata"},
    {"commands"},
    {"ahead", "log"},
    {"ocf", "provider", "announce_cli"},
    {"addresses", "files", "trace"},
    {"findif", "pidfile", "place", "dad", "lookout"},
    {"promotion"},
    {"interface"},
    {"announce", "vip"},
    {"namespace", "clusterip"},
    {"stop"},
    {"start"},
    {"agent"},
]

#: What monitor, status and probe may load beyond what `python3 -IS` has loaded.
HOT = {"ipaddr2_py"} | {"ipaddr2_py." + name for name in (
    "agent", "vip", "findif", "addresses", "ocf", "ahead", "commands", "waiting",
    "environment", "params", "place", "signals")}
SMALL = {"_socket", "select", "fcntl", "syslog", "errno", "gc"}


@functools.lru_cache(maxsize=None)
def parsed(path):
    return ast.parse(path.read_text("utf-8"), str(path), feature_version=(3, 9))


def floor(name):
    name = "clusterip" if name.startswith("clusterip") else name
    assert any(name in names for names in FLOORS), "%s: on which floor does it live?" % name
    return next(number for number, names in enumerate(FLOORS) if name in names)


def imported(path):
    """(modules of this package, other modules) that a file imports, wherever in it."""
    ours, others = set(), set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            others |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if node.level or node.module == "ipaddr2_py":
                ours |= {node.module} if node.level and node.module else names
            else:
                others.add(node.module)
    return ours & set(MODULES), others


# --- arrows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_arrows(name):
    group = name.startswith("clusterip")
    for other in imported(MODULES[name])[0]:
        assert floor(other) < floor(name) or group and other.startswith("clusterip"), other


def test_arrows_of_cluster_ip_make_no_circle():
    known = {name: imported(path)[0] for name, path in MODULES.items()
             if name.startswith("clusterip")}
    while known:
        free = [name for name, others in known.items() if not others & set(known)]
        assert free, known
        for name in free:
            del known[name]


def test_params_knows_nobody():
    assert imported(MODULES["params"]) == (set(), set())


@pytest.mark.parametrize("path", list(MODULES.values()) + PROGRAMS, ids=lambda path: path.name)
def test_one_door(path):
    """commands.py alone starts programs; it gets sh from libraries.py."""
    starting = re.compile(r"(system|popen|startfile|fork\w*|posix_spawnp?|exec[lv]\w*|spawn\w+)$")
    doors = {"subprocess", "pty", "multiprocessing", "asyncio", "ctypes", "_posixsubprocess",
             "runpy"}
    found = set(imported(path)[1] & doors)
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) \
                and node.value.id in ("os", "posix") and starting.match(node.attr):
            found.add(node.attr)
    expected = {"posix_spawn", "fork", "execve"} if path.stem == "commands" else set()
    assert found == expected
    assert ("sh" in imported(path)[1]) is (path.stem == "libraries")


@pytest.mark.parametrize("path", MODULES.values(), ids=lambda path: path.name)
def test_who_ends_processes(path):
    kills = [node for node in ast.walk(parsed(path))
             if isinstance(node, ast.Attribute) and node.attr in ("kill", "killpg")]
    assert not kills or path.stem in ("commands", "pidfile", "signals", "waiting")


# --- rooms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", list(MODULES.values()) + PROGRAMS, ids=lambda path: path.name)
def test_rooms_are_small(path):
    """Lines that are not empty: 350 to a module, 45 to a function."""
    lines = path.read_text("utf-8").splitlines()
    assert sum(bool(line) for line in lines) <= 350
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef):
            inside = lines[node.lineno - 1:node.end_lineno]
            assert sum(bool(line) for line in inside) <= 45, node.name


@pytest.mark.parametrize("path", MODULES.values(), ids=lambda path: path.name)
def test_docstrings_promise(path):
    tree = parsed(path)
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


@pytest.mark.parametrize("path", list(MODULES.values()) + PROGRAMS + TESTS,
                         ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_source_file(path):
    text = path.read_text("utf-8")
    if text:
        first = text.splitlines()[1 if text.startswith("#!") else 0]
        assert first == "# SPDX-License-Identifier: GPL-2.0-only"
    parsed(path)        # in the grammar of Python 3.9


def test_no_drawer_for_everything():
    assert not {"utils", "util", "helpers", "common", "misc"} & set(MODULES)


# --- what is loaded --------------------------------------------------------------------------


def loaded(words, env):
    done = subprocess.run([sys.executable, "-IS", "-X", "importtime", *words], env=env, timeout=20,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    lines = done.stderr.decode().splitlines()
    return done, {line.rpartition("|")[2].strip() for line in lines if line.startswith("import ")}


@pytest.mark.parametrize("action, rc", [("usage", 0), ("help", 0), ("nonsense", 3), ("", 3)])
def test_usage_loads_no_more_than_a_monitor(action, rc):
    """For monitor, status and probe themselves there is test_lean.py."""
    bare = loaded(["-c", "pass"], {})[1]
    done, modules = loaded([str(CHECKOUT / "bin/IPaddr2"), action], {})
    assert done.returncode == rc
    assert modules - bare <= HOT | SMALL | ({"ipaddr2_py.log"} if rc else set())
