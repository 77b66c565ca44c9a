# SPDX-License-Identifier: GPL-2.0-only
"""The agent as a security boundary, as SECURITY.md draws it.

Read from the source where that settles it, and from strace(1) where only the kernel can tell.
"""

import ast
import os
import pathlib
import re
import stat
import subprocess
import sys

import pytest

from tests.lab.agent import PATH
from tests.lab.state import ip, place

from .hosts import PROGRAM

CHECKOUT = pathlib.Path(PROGRAM).parents[1]
SOURCES = sorted([CHECKOUT / "bin" / "IPaddr2", CHECKOUT / "bin" / "vipctl",
                  *(CHECKOUT / "ipaddr2_py").rglob("*.py")])
VIP, VIP6 = "192.0.2.50", "2001:db8::50"
#: Ways to start a program, and who may.
DOORWAYS = [CHECKOUT / "ipaddr2_py" / name for name in (
    "commands.py", "changes/__init__.py", "hand/look.py")]
DOORS = {"posix_spawn", "fork", "execve", "Command"}
SHELLS = {"system", "popen", "popen2", "popen3", "popen4", "getoutput", "getstatusoutput",
          "spawnl", "spawnle", "spawnlp", "spawnlpe", "spawnv", "spawnve", "spawnvp", "spawnvpe",
          "execl", "execle", "execlp", "execlpe", "execv", "execvp", "execvpe", "posix_spawnp",
          "eval", "exec", "compile", "create_subprocess_shell", "startfile"}
SECRET = "hunter2-correct-horse"
FULL = {"lvs_support": "true", "iflabel": "web", "flush_routes": "true", "arp_bg": "false"}


# --- read from the source ----------------------------------------------------------------------


def calls(path):
    """(name, node) of every call in a source file; the name is the last part."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            function = node.func
            yield (function.attr if isinstance(function, ast.Attribute) else
                   getattr(function, "id", "")), node


@pytest.mark.parametrize("path", SOURCES, ids=[path.name for path in SOURCES])
def test_source_has_no_shell(path):
    """Nothing hands a text to a shell or to Python; what the agent runs starts in commands.py."""
    for name, node in calls(path):
        if (path.name, name) == ("IPaddr2", "execv"):
            continue            # itself once more, where a compiled module is spoilt
        assert name not in SHELLS, "%s:%d: %s()" % (path, node.lineno, name)
        shell = [keyword for keyword in node.keywords if keyword.arg == "shell"]
        assert not shell, "%s:%d: shell=" % (path, node.lineno)
        if name in DOORS:
            assert path in DOORWAYS, "%s:%d: %s()" % (path, node.lineno, name)


def test_subprocess_is_for_the_command_line_only():
    """Modules that the agent's actions import know of no other way to start a program."""
    for path in SOURCES:
        names = {alias.name.partition(".")[0] for node in ast.walk(ast.parse(path.read_text()))
                 if isinstance(node, (ast.Import, ast.ImportFrom))
                 for alias in node.names + ([ast.alias(node.module)] if isinstance(
                     node, ast.ImportFrom) and node.module else [])}
        starters = {"subprocess", "pty", "asyncio", "multiprocessing"}
        assert path.parent.name == "provider" or not names & starters, path


# --- read from the kernel ----------------------------------------------------------------------


class Traced:
    """What strace saw of a run: lines of execve and openat, of the agent and its children."""

    def __init__(self, text):
        self.programs = re.findall(r'execve\("((?:[^"\\]|\\.)*)", .* = 0$', text, re.M)
        self.opened = re.findall(
            r'open(?:at)?\((?:AT_FDCWD, )?"((?:[^"\\]|\\.)*)", ([A-Z_|]+)(?:, (\d+))?\) = \d+',
            text)
        self.text = text


@pytest.fixture
def traced(agent, need):
    """traced(action, cwd, **parameters): run the agent under strace; (Done, Traced)."""
    strace = need("strace", "strace")
    folder = agent.folder / "strace"
    folder.mkdir()

    def run(action, cwd="/", env=None, **parameters):
        command = agent.command(action)
        at = command.index(agent.program)
        for path in folder.iterdir():
            path.unlink()
        # A file for each process: lines of several would be torn apart in one.
        command[at:at] = [strace, "-ff", "-qq", "-s", "4096", "-o", str(folder / "of"), "-e",
                          "trace=execve,execveat,open,openat,creat,chmod,fchmod,socket,connect"]
        done = subprocess.run(command, cwd=cwd, env=agent.environment(action, env, **parameters),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60)
        # strace goes on until the last process has ended.
        return done, Traced("".join(path.read_text() for path in folder.iterdir()))

    return run


RUNS = [("start", {"ip": VIP, **FULL}), ("start", {"ip": VIP6, "lvs_ipv6_addrlabel": "true"}),
        ("monitor", {"ip": VIP, "arp_count_refresh": "1", "arp_bg": "false"}),
        ("validate-all", {"ip": VIP}), ("status", {"ip": VIP}), ("stop", {"ip": VIP, **FULL}),
        ("stop", {"ip": VIP6, "lvs_ipv6_addrlabel": "true"}), ("meta-data", {}), ("usage", {})]


def test_programs_that_are_started(pair, agent, traced):
    """By absolute paths, none of them a shell, none but those that the specification names."""
    seen = set()
    for action, asked in RUNS:
        done, trace = traced(action, arp_count=1, **asked)
        assert done.returncode in (0, 7), (action, done)
        assert agent.program in trace.programs
        seen |= set(trace.programs) - {agent.program}
    assert all(path.startswith("/") for path in seen), seen
    names = {os.path.basename(path) for path in seen}
    assert names <= {"ip", "send_arp", "send_ua", "arping", "nft"}, names
    assert {"ip", "send_arp", "send_ua"} <= names


def test_hostile_words_start_nothing(pair, agent, traced):
    evil = "$(touch %s/taken);`id`|sh&" % agent.folder
    for name in ("nic", "iflabel", "arp_sender", "broadcast", "network_namespace", "send_arp_opts",
                 "ip", "mac", "proto", "preferred_lft", "cidr_netmask"):
        for action in ("start", "stop"):
            _, trace = traced(action, **{"ip": VIP, "arp_bg": "false", name: evil})
            assert {os.path.basename(path) for path in trace.programs} <= {
                "IPaddr2", "ip", "send_arp", "nft"}
    assert not (agent.folder / "taken").exists()


def test_nothing_of_the_working_folder(agent, traced):
    """No program, no module and no library, whatever PATH, PYTHON* and the home folder hold."""
    evil = agent.folder / "evil"
    packages = evil / ".local" / ("lib/python%d.%d/site-packages" % sys.version_info[:2])
    packages.mkdir(parents=True)
    touch = "import os; open(%r, 'a').write(__name__ + '\\n')\n" % str(agent.folder / "taken")
    modules = ("posix", "os", "time", "site", "sitecustomize", "usercustomize", "sh", "jinja2",
               "ipaddr2_py", "encodings", "select", "traceback", "struct", "socket", "fcntl")
    for folder in (evil, packages):
        for name in modules:
            (folder / (name + ".py")).write_text(touch)
        (folder / "evil.pth").write_text(touch.replace("\n", "") + "\n")
    for name in ("ip", "send_arp", "arping", "logger", "python3", "sh", "env"):
        (evil / name).write_text("#!/bin/sh\necho program >>%s/taken\n" % agent.folder)
        (evil / name).chmod(0o755)
    for path in (".", "", "./", "evil:", ":" + PATH, "../evil:" + PATH):
        env = {"PATH": path, "HOME": str(evil), "PYTHONPATH": str(evil), "PYTHONHOME": str(evil),
               "PYTHONUSERBASE": str(evil / ".local"), "PYTHONSTARTUP": str(evil / "os.py"),
               "PYTHONINSPECT": "1", "PYTHONBREAKPOINT": "os.system", "PYTHONPLATLIBDIR": "evil",
               "PYTHONWARNINGS": "error", "PYTHONEXECUTABLE": str(evil / "python3"),
               "PYTHONPYCACHEPREFIX": str(evil), "HA_LOGFACILITY": "local3" if path else None}
        for action in ("start", "monitor", "stop", "meta-data"):
            done, trace = traced(action, cwd=str(evil), ip=VIP, env=env, arp_count=1,
                                 arp_bg="false")
            assert done.returncode == 0 and done.stderr == "", (action, path, done)
            assert all(program.startswith("/") for program in trace.programs), trace.programs
            assert not [name for name, _, _ in trace.opened if str(evil) in name]
            relative = {name for name, _, _ in trace.opened if not name.startswith("/")}
            assert not relative, relative
    assert not (agent.folder / "taken").exists()


def test_mode_and_flags_of_files(pair, agent, traced):
    """All that is made in HA_RSCTMP: 0600, and not through a link, whatever the umask."""
    ip(pair.node, "addr", "add", VIP + "/32", "brd", "255.255.255.255", "dev", "lo")
    made = []
    before = os.umask(0)
    try:
        for asked in ({"ip": VIP, "lvs_support": "true", "arp_bg": "false", "arp_count": 1},
                      {"ip": VIP, "lvs_support": "true", "arp_sender": "iputils_arping",
                       "arp_count": 1},
                      {"ip": VIP, "arp_bg": "true", "env": {"HA_BIN": "/nonexistent"}},
                      {"ip": VIP6, "arp_bg": "true", "arp_count": 1}):
            for action in ("start", "stop"):
                done, trace = traced(action, **asked)
                assert done.returncode == 0, done
                made += [entry for entry in trace.opened
                         if str(agent.rsctmp) in entry[0] and "O_CREAT" in entry[1]]
    finally:
        os.umask(before)
    names = {os.path.basename(name) for name, _, _ in made}
    locks = {name for name in names if name.startswith("IPaddr2-promote-")}
    assert names - locks == {VIP, "send_arp-" + VIP, "send_arp-" + VIP6,
                             "IPaddr2-%s~" % VIP, "IPaddr2-%s~" % VIP6}
    for name, flags, mode in made:
        assert mode == "0600", (name, flags, mode)
        # O_EXCL does not follow links either: open(2).  It is how send_arp makes its own file.
        assert "O_NOFOLLOW" in flags or "O_EXCL" in flags, (name, flags)
    ours = [flags for _, flags, _ in made if "O_NOFOLLOW" in flags]
    assert ours and all("O_CLOEXEC" in flags for flags in ours), ours


def test_trace_file_is_private(agent):
    """0600, made without following a link; it holds no more of the environment than OCF's part."""
    target, link = agent.folder / "trace", agent.folder / "link"
    link.symlink_to(agent.folder / "elsewhere")
    env = {"OCF_TRACE_RA": "1", "OCF_TRACE_FILE": str(target), "API_PASSWORD": SECRET}
    assert agent("monitor", ip=VIP, env=env).rc == 7
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert "ip -o -f inet" in target.read_text() and SECRET not in target.read_text()
    assert agent("monitor", ip=VIP, env=dict(env, OCF_TRACE_FILE=str(link))).rc == 7
    assert not (agent.folder / "elsewhere").exists()


@pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])
def test_no_secret_in_the_log(pair, agent, vip):
    """Variables that are none of the agent's stay out of log, reason and output, also on errors."""
    env = {"API_PASSWORD": SECRET, "OCF_RESKEY_passwd": SECRET, "CIB_pam_service": SECRET,
           "PCMK_authkey": SECRET, "HA_debug": "1", "HA_DEBUGLOG": str(agent.folder / "debug")}
    dones = [agent(action, ip=vip, env=env, **asked) for asked in (
        {}, {"nic": "eth7"}, {"arp_count": "x"}, {"CRM_meta_timeout": "1"},
        {"network_namespace": "nowhere"}) for action in ("start", "monitor", "stop")]
    told = [done.out + done.err + done.log for done in dones]
    told.append((agent.folder / "debug").read_text())
    assert not [text for text in told if SECRET in text]
    assert place(pair.node, vip) == ""
