# SPDX-License-Identifier: GPL-2.0-only
"""FakeCommands of the doors in commands.py, by way of subprocess.Popen, which pytest-subprocess
fakes.

test_commands.py holds them against the real ones.
"""

import contextlib
import difflib
import subprocess

import pytest
from pytest_subprocess import FakeProcess

from ipaddr2_py import children, commands, ocf

NO_PID = 2 ** 22        # the kernel's process ids stay below


class Started:
    """What a twin of query_start() gives: the Popen, or the status that says why there is none."""

    def __init__(self, popen=None, rc=127):
        self.popen = popen
        self.rc = rc
        self.pid = NO_PID if popen else 0


class FakeCommands:
    """The doors of commands.py by way of subprocess.Popen; calls holds (verb, argv) in order."""

    def __init__(self):
        self.calls = []

    def query(self, argv, seconds=None):
        return self.query_end(self.query_start(argv), seconds)

    def prefetch(self, argv):
        """Only what is asked for in the end counts, and that is run then."""

    def import_sh(self):
        """The library is there: nothing is imported for it."""
        return True

    def query_start(self, argv):
        started = self.start("query", argv, subprocess.PIPE)
        started.argv = argv
        return started

    def run(self, argv, _seconds=None):
        return self.query_end(self.start("run", argv, subprocess.STDOUT))

    def start(self, verb, argv, stderr):
        path = commands.find(argv[0])
        if not path:
            return Started()
        self.calls.append((verb, list(argv)))
        children = {name: value for name, value in commands.ENV.items()
                    if name not in ("LANG", "LANGUAGE")}
        try:
            return Started(subprocess.Popen(
                list(argv), executable=path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=stderr, env=dict(children, LC_ALL="C")))
        except (OSError, ValueError):
            return Started(rc=126)

    def wait_some(self, _started, _seconds):
        """Every program ends in time, as far as query_end() does not find that it hangs."""
        return True

    def query_end(self, started, seconds=None):
        if not started.popen:
            return children.Result(started.rc)
        try:
            out, err = started.popen.communicate(timeout=children.remaining())
        except subprocess.TimeoutExpired as late:
            started.popen.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.popen.communicate(timeout=10)
            return children.Result(137, text(late.output), text(late.stderr), True)
        rc = started.popen.returncode
        return children.Result(rc if rc >= 0 else 128 - rc, text(out), text(err))

    def detach(self, work):
        """The child's work, done at once in this process; what it raises is the child's own."""
        self.calls.append(("detach", []))
        with contextlib.suppress(BaseException):
            work()
        return NO_PID

    def replace(self, argv):
        """Become another program: what is left of this one is its exit status."""
        raise ocf.OcfExit(self.query_end(self.start("replace", argv, subprocess.PIPE)).rc)


def text(output):
    return (output or b"").decode("utf-8", "surrogateescape")


class Programs(FakeProcess):
    """pytest-subprocess with an order: what is described happens in full, as described, once.

    query(argv), run(argv), replace(argv) and detach() describe what comes next; argv is a list, or
    a text that is split at white space. out and err are what the program prints, rc its exit
    status; a program that hangs is ended at the time limit. Queries that no change parts may come
    in any order.
    """

    def __init__(self, fakes, folder):
        super().__init__()
        self.fakes = fakes
        self.folder = folder        # the only one on PATH
        self.expected = []

    def query(self, argv, out="", err="", rc=0, hangs=False):
        self.expect("query", argv, out, err, rc, hangs)

    def run(self, argv, out="", rc=0, hangs=False):
        self.expect("run", argv, out, "", rc, hangs)

    def replace(self, argv, rc=0):
        self.expect("replace", argv, "", "", rc, False)

    def detach(self):
        self.expected.append(("detach", []))

    def expect(self, verb, argv, out, err, rc, hangs):
        words = argv.split() if isinstance(argv, str) else [str(word) for word in argv]
        self.expected.append((verb, words))

        def hang(_process):
            raise subprocess.TimeoutExpired(words, 0)

        self.register(words, stdout=out.encode("utf-8", "surrogateescape"),
                      stderr=err.encode("utf-8", "surrogateescape"), returncode=rc,
                      callback=hang if hangs else None)

    def real(self, argv, **options):
        """A process of the test's own."""
        self.pass_command([str(word) for word in argv])
        return subprocess.Popen([str(word) for word in argv], **options)

    def install(self, *names):
        """Put stand-ins on PATH, which are looked up and never run."""
        for name in names:
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("#!/bin/false\n")
            path.chmod(0o755)

    def check(self):
        """Fail on what nobody described, what did not happen, and any other order."""
        described, started = told(self.expected), told(self.fakes.calls)
        if described != started:
            pytest.fail("described (-) and started (+) differ:\n%s" % "\n".join(
                difflib.ndiff(described, started)), pytrace=False)


def told(calls):
    """A line for each call: changes in their order, the queries between two of them sorted."""
    lines, queries = [], []
    for verb, argv in calls:
        line = "%s %s" % (verb, commands.quoted(argv))
        if verb == "query":
            queries.append(line)
        else:
            lines += sorted(queries) + [line]
            queries = []
    return lines + sorted(queries)
