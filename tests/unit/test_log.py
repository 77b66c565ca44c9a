# SPDX-License-Identifier: GPL-2.0-only
"""Log lines go where the shell agents' library sends them, in the very same form.

The same messages through ocf-shellfuncs (of the package resource-agents) and through ocf.py.
"""

import os
import pathlib
import pty
import re
import subprocess
import sys

import pytest

from tests.conftest import lacking

pytestmark = pytest.mark.slow
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = "/usr/lib/ocf/lib/heartbeat"
MESSAGES = [
    ("crit", "a crit"), ("err", "an err"), ("warn", "a warn"), ("info", "an info"),
    ("debug", "a debug"), ("info", "two  blanks, 100% [x] $HOME * 'q' \"d\""), ("info", ""),
    ("info", "with ERROR inside"), ("debug", "with WARNING inside"), ("err", "\u00e9"),
    ("reason", "a reason 50%"), ("info", "-n")]

SHELL = """
. %s/ocf-shellfuncs
__OCF_ACTION=monitor
say() { if [ "$1" = reason ]; then ocf_exit_reason "$2"; else ocf_log "$1" "$2"; fi; }
while [ $# -gt 0 ]; do say "$1" "$2"; shift 2; done
""" % LIBRARY

PYTHON = """
import posix, sys
sys.path.insert(0, %r)
from ipaddr2_py import commands, ocf
from ipaddr2_py.logs import log
commands.load_environment(posix.environ)
ocf.setup()
words = sys.argv[1:]
while words:
    level, text, *words = words
    if level == "reason":
        ocf.ocf_exit_reason(text)
    else:
        ocf.ocf_log(level, text)
log.flush()
""" % str(CHECKOUT)

#: A stand-in of logger and ha_logger: notes its words.
NOTER = """#!/bin/sh
{ printf ' [%%s]' "$@"; echo; } >>"%s"
exit %d
"""


class Library:
    """One of the two: run(messages, env) gives what was written where, {place: text}."""

    def __init__(self, argv, folder):
        self.argv = argv
        self.folder = folder
        folder.mkdir()

    def run(self, messages, env, terminal, rc):
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        for name in ("logger", "ha_logger"):
            (bin_folder / name).write_text(NOTER % (self.folder / name, rc))
            (bin_folder / name).chmod(0o755)
        values = {"PATH": "%s:/usr/bin:/bin:/usr/sbin" % bin_folder, "OCF_ROOT": "/usr/lib/ocf",
                  "OCF_RESOURCE_INSTANCE": "vip", "HA_RSCTMP": str(self.folder),
                  "HA_DATEFMT": "DATE "}
        values.update((name, value.replace("HERE", str(self.folder)))
                      for name, value in env.items())
        stdin, ours = (subprocess.DEVNULL, None) if not terminal else reversed(pty.openpty())
        words = [word for message in messages for word in message]
        done = subprocess.run(self.argv + words, env=values, stdin=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=20)
        if terminal:
            os.close(stdin)
            os.close(ours)
        places = {"stdout": done.stdout.decode(), "stderr": done.stderr.decode()}
        for name in ("log", "debug", "logger", "ha_logger"):
            path = self.folder / name
            places[name] = path.read_text("utf-8") if path.exists() else None
        return {name: text and re.sub(r"\[\d+\]", "[PID]", text).replace(str(self.folder), "HERE")
                for name, text in places.items()}


@pytest.fixture
def libraries(tmp_path):
    if not os.path.exists(LIBRARY + "/ocf-shellfuncs"):
        lacking("the shell agents' library is not installed (package resource-agents)")
    (tmp_path / "shell").mkdir()
    (tmp_path / "python").mkdir()
    shell, python = tmp_path / "shell/IPaddr2", tmp_path / "python/IPaddr2"
    shell.write_text(SHELL)
    python.write_text(PYTHON)
    return (Library(["sh", str(shell)], tmp_path / "theirs"),
            Library([sys.executable, "-IS", str(python)], tmp_path / "ours"))


@pytest.mark.parametrize("env", [
    {}, {"HA_debug": "1"}, {"HA_debug": "0"},
    {"HA_LOGFILE": "HERE/log"}, {"HA_LOGFILE": "HERE/log", "HA_debug": "1"},
    {"HA_DEBUGLOG": "HERE/debug"}, {"HA_DEBUGLOG": "HERE/debug", "HA_debug": "1"},
    {"HA_LOGFILE": "HERE/log", "HA_DEBUGLOG": "HERE/debug", "HA_debug": "2"},
    {"HA_LOGFILE": "HERE/log", "HA_DEBUGLOG": "HERE/log", "HA_debug": "1"},
    {"HA_LOGFACILITY": "daemon", "HA_debug": "1"},
    {"HA_LOGFACILITY": "local3", "HA_LOGFILE": "HERE/log", "HA_DEBUGLOG": "HERE/debug",
     "HA_debug": "1"},
    {"HA_LOGFACILITY": "none"},
    {"HA_LOGFACILITY": "none", "HA_LOGFILE": "HERE/log", "HA_debug": "1"},
    {"HA_LOGD": "yes", "HA_LOGFILE": "HERE/log", "HA_debug": "1"}, {"HA_LOGD": "no"},
    {"HA_LOGTAG": "a tag", "HA_LOGFILE": "HERE/log", "HA_LOGFACILITY": "daemon"},
    {"HA_LOGFILE": "HERE/log", "OCF_EXIT_REASON_PREFIX": "why:"},
    {"HA_LOGFILE": "HERE/log", "HA_DATEFMT": "A  B   "}, {"HA_DATEFMT": "  A"},
    {"HA_LOGFILE": "/no/such/folder/log"},
], ids=lambda env: ",".join("%s=%s" % item for item in env.items()) or "nothing")
def test_lines_are_the_same(libraries, env):
    theirs, ours = (library.run(MESSAGES, env, False, 0) for library in libraries)
    if env.get("HA_LOGFILE", "").startswith("/no"):
        theirs["stderr"] = re.sub(r".*/IPaddr2: .*\n", "", theirs["stderr"])   # the shell's own
    assert ours == theirs


def test_where_ha_logger_fails(libraries):
    env = {"HA_LOGD": "yes", "HA_LOGFILE": "HERE/log", "HA_LOGFACILITY": "daemon", "HA_debug": "1",
           "HA_DEBUGLOG": "HERE/debug"}
    theirs, ours = (library.run(MESSAGES, env, False, 1) for library in libraries)
    assert ours == theirs


@pytest.mark.parametrize("env", [{}, {"HA_debug": "1", "HA_LOGTAG": "tag"},
                                 {"HA_LOGFILE": "HERE/log", "HA_LOGFACILITY": "daemon"}])
def test_on_a_terminal(libraries, env):
    theirs, ours = (library.run(MESSAGES, env, True, 0) for library in libraries)
    assert ours == theirs
    assert ours["stderr"] and not ours["log"] and not ours["logger"]


@pytest.mark.parametrize("format", [None, "%b %d %T ", "%Y/%m/%d_%T", "%e. %b", "%s", "%F  %R"])
def test_the_date(libraries, format):
    """Digits aside, for time goes on between the two."""
    env = {"HA_LOGFILE": "HERE/log"}
    if format:
        env["HA_DATEFMT"] = format
    for library in libraries:
        library.argv = ["env", "-u", "HA_DATEFMT"] + library.argv if not format else library.argv
    theirs, ours = (re.sub("[0-9]", "0", library.run([("info", "x")], env, False, 0)["log"])
                    for library in libraries)
    assert ours == theirs


def test_a_background_child_logs_too(tmp_path):
    """Whatever logger the agent itself has not waited for when the child is made."""
    program = tmp_path / "logger"
    program.write_text(NOTER % (tmp_path / "noted", 0))
    program.chmod(0o755)
    text = PYTHON.partition("words =")[0] + """
def work():
    for text in ("two", "three"):
        ocf.ocf_log("info", text)
    log.flush()

ocf.ocf_log("info", "one")
posix._exit(posix.WEXITSTATUS(posix.waitpid(commands.detach(work), 0)[1]))
"""
    done = subprocess.run([sys.executable, "-IS", "-c", text], stdin=subprocess.DEVNULL, timeout=20,
                          env={"PATH": "%s:/usr/bin:/bin" % tmp_path, "HA_LOGFACILITY": "daemon"})
    lines = (tmp_path / "noted").read_text().splitlines()
    assert sorted(line.rpartition("[INFO: ")[2] for line in lines) == ["one]", "three]", "two]"]
    assert done.returncode == 0
