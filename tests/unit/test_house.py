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
FILES = {str(path.relative_to(PACKAGE).with_suffix("")): path
         for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = {name.replace("/__init__", ""): path for name, path in FILES.items()
           if name != "__init__"}
HOT = {name for name in MODULES if "/" not in name and MODULES[name].name != "__init__.py"}
FOLDERS = {name.partition("/")[0] for name in MODULES} - HOT
PROGRAMS = [CHECKOUT / "bin/IPaddr2", CHECKOUT / "bin/vipctl"]
TESTS = sorted((CHECKOUT / "tests").rglob("*.py"))

#: Each knows only those below it; of those on one line none knows another.
ARROWS = ["provider", "hand", "agent", "actions", "clusterip", "announce", "changes", "logs", "vip",
          "findif place", "addresses", "ocf", "commands", "children", "params"]
#: What a cold module imports in a function: the backends of Cluster IP, of which one is used, and
#: what a parameter switches on.
LATE = {("clusterip", "clusterip/target"), ("clusterip", "clusterip/nft"),
        ("clusterip", "clusterip/iptables"), ("clusterip/nft", "announce/packets"),
        ("provider/metadata", "changes/sh_import"), ("hand/check", "clusterip/target"),
        ("actions/stop", "changes/connections")}
#: They load what one verb of vipctl needs.
VERBS = {"hand/program", "hand/explain"}
#: Small modules written in C that a monitor may load.
SMALL = {"_socket", "select", "fcntl", "syslog", "errno", "gc"}


@functools.lru_cache(maxsize=None)
def parsed(path):
    return ast.parse(path.read_text("utf-8"), str(path), feature_version=(3, 9))


def imports(path):
    """(modules of this package, other modules, depth) for each import statement of a file.

    Modules of the package are named as in MODULES; depth is 0 at the top of the file.
    """
    found = []
    home = path.relative_to(PACKAGE).parent.parts if PACKAGE in path.parents else ()

    def visit(node, depth):
        if isinstance(node, ast.Import):
            found.append((set(), {alias.name for alias in node.names}, depth))
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = (node.module or "").replace(".", "/")
            if not node.level and node.module.split(".")[0] != "ipaddr2_py":
                found.append((set(), {node.module}, depth))
                return
            base = home[:len(home) - node.level + 1] if node.level else ()
            start = "/".join((*base, *module.replace("ipaddr2_py", "").strip("/").split("/")))
            start = start.strip("/")
            inside = {"/".join(filter(None, (start, name))) for name in names} & set(MODULES)
            outside = len(inside) < len(names) and start in MODULES
            found.append((inside | ({start} if outside else set()), set(), depth))
        inner = isinstance(node, (ast.FunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, depth + inner)

    visit(parsed(path), 0)
    return found


def imported(path):
    """(modules of this package, other modules) that a file imports, wherever in it."""
    ours, others = set(), set()
    for mine, more, _depth in imports(path):
        ours |= mine
        others |= more
    return ours, others


# --- arrows ----------------------------------------------------------------------------------


def rank(name):
    return next(number for number, line in enumerate(ARROWS)
                if name.partition("/")[0] in line.split())


def test_a_folder_is_cold():
    """What lies at the top is what a monitor loads, at once; a folder waits for an action."""
    for name in HOT:
        for ours, _others, depth in imports(MODULES[name]):
            for other in ours:
                assert (other.partition("/")[0] in FOLDERS) == bool(depth), (name, other)


def test_a_folder_is_loaded_as_a_whole():
    late = {(name, other) for name in MODULES if name not in HOT and name not in VERBS
            for ours, _others, depth in imports(MODULES[name]) if depth for other in ours}
    assert late == LATE


@pytest.mark.parametrize("name", MODULES)
def test_arrows(name):
    folder = name.partition("/")[0]
    for other in imported(MODULES[name])[0] - {name}:
        cold = name in HOT and other.partition("/")[0] in FOLDERS
        assert cold or other.partition("/")[0] == folder or rank(other) > rank(name), other


def test_no_circle():
    """At the top of the files no import leads back."""
    known = {name: set().union(*(ours for ours, _, depth in imports(path) if not depth)) - {name}
             for name, path in MODULES.items()}
    while known:
        free = [name for name, others in known.items() if not others & set(known)]
        assert free, known
        for name in free:
            del known[name]


def test_params_knows_nobody():
    assert imported(MODULES["params"]) == (set(), set())


@pytest.mark.parametrize("path", list(MODULES.values()) + PROGRAMS, ids=lambda path: path.name)
def test_one_door(path):
    """commands.py alone starts programs, and changes/ by sh, which it gets from sh_import.py."""
    starting = re.compile(r"(system|popen|startfile|fork\w*|posix_spawnp?|exec[lv]\w*|spawn\w+)$")
    doors = {"subprocess", "pty", "multiprocessing", "asyncio", "ctypes", "_posixsubprocess",
             "runpy"}
    found = set(imported(path)[1] & doors)
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) \
                and node.value.id in ("os", "posix") and starting.match(node.attr):
            found.add(node.attr)
    allowed = {"commands.py": {"posix_spawn", "fork", "execve"}, "IPaddr2": {"execv"},
               "look.py": {"fork", "ctypes"}}   # a look in a process, and namespace, of its own
    assert found == allowed.get(path.name, set())
    assert ("sh" in imported(path)[1]) is (path.name == "sh_import.py")


@pytest.mark.parametrize("path", MODULES.values(), ids=lambda path: path.name)
def test_who_ends_processes(path):
    kills = [node for node in ast.walk(parsed(path))
             if isinstance(node, ast.Attribute) and node.attr in ("kill", "killpg")]
    assert not kills or path in [MODULES[name] for name in (
        "changes", "children", "announce/pidfile", "hand/rehearse")]


# --- rooms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_nobody_changes_a_vip(name):
    """But for ip_init and its steps, in vip.py; nor the user's parameters."""
    if name in ("vip", "hand/cib"):         # the latter makes parameters
        return
    for node in ast.walk(parsed(MODULES[name])):
        targets = node.targets if isinstance(node, ast.Assign) else \
            [node.target] if isinstance(node, (ast.AugAssign, ast.AnnAssign)) else []
        for target in targets:
            while isinstance(target, (ast.Attribute, ast.Subscript)):
                target = target.value
                assert ast.unparse(target) not in ("vip", "burst.vip", "self.vip", "params"), \
                    ast.unparse(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert not (node.func.attr in ("update", "pop", "setdefault", "clear")
                        and "params" in ast.unparse(node.func.value)), ast.unparse(node)


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
    hot = {"ipaddr2_py"} | {"ipaddr2_py." + name for name in HOT}
    assert modules - bare <= hot | SMALL | ({"ipaddr2_py.logs", "ipaddr2_py.logs.log"} if rc
                                            else set())
