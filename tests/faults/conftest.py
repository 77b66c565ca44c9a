# SPDX-License-Identifier: GPL-2.0-only
"""Hosts for the whole session, and the fixtures of tests/netns."""

import itertools
import secrets
import subprocess

import pytest

from tests.netns.conftest import (Pair, netns_factory, pair, prepare, recorder,  # noqa: F401
                                  remove, rival, two_nics)
from tests.netns.state import ip

from .hosts import PROGRAM, Alone, Host, Hosts, folder_of


@pytest.fixture
def agent(pair, tmp_path):      # noqa: F811
    """The agent on the node, in a process group of its own: see tests/netns/agent.py."""
    return Alone(PROGRAM, pair.node, tmp_path)


@pytest.fixture(scope="session")
def hosts(need, request, tmp_path_factory):
    """The Hosts that cases run on, see hosts.py."""
    need("ip", "iproute2")
    base = tmp_path_factory.mktemp("hosts")
    numbers = itertools.count()

    def namespace():
        name = "ip2t-" + secrets.token_hex(4)
        request.addfinalizer(lambda: remove(name))
        subprocess.run(["ip", "netns", "add", name], check=True, timeout=20)
        ip(name, "link", "set", "dev", "lo", "up")
        return name

    def make():
        made = Pair(namespace(), namespace(), "eth0")
        made.connect("eth0", "eth0", ours=("192.0.2.1/24 brd +", "2001:db8::1/64 nodad"),
                     theirs=("192.0.2.2/24 brd +", "2001:db8::2/64 nodad"))
        return Host(made, folder_of(base, next(numbers)))

    return Hosts(make)


@pytest.fixture(scope="session")
def tally(request):
    """Counters that the end of the run prints: tally["faults"] += 1."""
    counts = request.config.__dict__.setdefault("_faults_tally", {})

    def add(what, number):
        counts[what] = counts.get(what, 0) + number

    return add


def pytest_terminal_summary(terminalreporter, config):
    """Print how many faults were injected and examples tried."""
    for what, number in getattr(config, "_faults_tally", {}).items():
        terminalreporter.write_line("%s: %d" % (what, number))
