# SPDX-License-Identifier: GPL-2.0-only
"""Hosts for the whole session, and the fixtures of tests/netns."""

import itertools

import pytest

from tests.lab.agent import Agent
from tests.lab.namespaces import joined, make as make_namespace
from tests.netns.conftest import (netns_factory, pair, recorder, rival,  # noqa: F401
                                  two_nics)

from .hosts import PROGRAM, Host, Hosts, folder_of


@pytest.fixture
def agent(pair, tmp_path):      # noqa: F811
    """The agent on the node, in a process group of its own: see tests/lab/agent.py."""
    return Agent(PROGRAM, pair.node, tmp_path)


@pytest.fixture(scope="session")
def hosts(need, request, tmp_path_factory):
    """The Hosts that cases run on, see hosts.py."""
    need("ip", "iproute2")
    base = tmp_path_factory.mktemp("hosts")
    numbers = itertools.count()

    def make():
        two = joined(lambda: make_namespace(request.addfinalizer))
        return Host(two, folder_of(base, next(numbers)))

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
