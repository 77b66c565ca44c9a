# SPDX-License-Identifier: GPL-2.0-only
"""What all tests share: marks taken from the folder, and how a missing tool is met."""

import collections
import os
import pathlib
import re
import shutil
import signal
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
KINDS = ("unit", "twin", "netns", "faults", "cluster", "vm", "packages")
#: They take all CPUs by themselves, or go by time: they run alone, one after the other.
ALONE = ("twin", "cluster", "vm")
TIMED = ("test_killed.py", "test_sick.py", "test_crowds.py", "test_limits.py", "test_bench.py")
#: What bin/test does not install in the root of another release.
NOT_THERE = re.compile(r"\(package (corosync|pacemaker|crmsh|pcs|qemu)")
NEED_ROOT = ("twin", "netns", "faults", "cluster")


def signals_by_default():
    """Whatever the caller ignores or blocks (nohup, a CI's supervisor): tests and the programs that
    they start have every signal as it is by default, but for the two that Python ignores."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


signals_by_default()


def lacking(reason):
    """Skip on a user's machine; fail where CI is set, for nothing may lack there."""
    if os.environ.get("CI") and not ("IN_RELEASE" in os.environ and NOT_THERE.search(reason)):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def need():
    """A function need(program, package): go on only where `program` is installed."""

    def check(program, package):
        path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not path:
            lacking("%s is not installed (package %s)" % (program, package))
        return path

    return check


def _kind(item):
    try:
        return item.path.relative_to(HERE).parts[0]
    except ValueError:
        return ""


@pytest.hookimpl(tryfirst=True)       # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items):
    seen = collections.Counter()
    for item in items:
        kind = _kind(item)
        function = item.nodeid.partition("[")[0]
        seen[function] += 1
        if kind == "netns" and seen[function] > 1:
            item.add_marker("variant")
        if kind in KINDS:
            item.add_marker(kind)
        if kind in ALONE or item.path.name in TIMED:
            item.add_marker("alone")
        elif kind == "faults":
            item.add_marker(pytest.mark.xdist_group(item.path.name))
        if kind == "cluster" and item.get_closest_marker("slow"):
            item.add_marker("long")     # left out unless asked for: bin/test -m long


def pytest_runtest_setup(item):
    kind = _kind(item)
    if kind in NEED_ROOT and os.geteuid() != 0:
        lacking("%s tests need root" % kind)
    if kind == "cluster" and any(_kind(other) == "vm" for other in item.session.items):
        from tests.vm import ahead, lab
        ahead.begin(lab.seconds())


def pytest_unconfigure():
    if "tests.vm.ahead" in sys.modules:
        sys.modules["tests.vm.ahead"].end()
