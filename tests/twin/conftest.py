# SPDX-License-Identifier: GPL-2.0-only
"""What the twin tests need, and one report over all of them at the end."""
import os

import pytest

from tests.conftest import lacking

from . import play, report, sandbox


@pytest.fixture(scope="session")
def twins(need):
    """Both agents are there, and namespaces can be made: (path of the shell agent, of ours)."""
    need("ip", "iproute2")
    need("arping", "iputils-arping")
    if not os.access(play.SHELL, os.X_OK):
        lacking("%s is not installed (package resource-agents)" % play.SHELL)
    try:
        play.Pair("bare", agents=(play.SHELL, play.SHELL)).close()
    except (OSError, sandbox.SandboxDied) as error:
        lacking("network, mount and process namespaces cannot be made: %s" % error)
    return play.SHELL, play.OURS


@pytest.fixture(scope="session")
def everything():
    """The report over all scenarios, handwritten and generated; printed at the end of the run."""
    return REPORT


REPORT = report.Report()


def pytest_terminal_summary(terminalreporter):
    """Print what was compared and the count per row."""
    if REPORT.scenarios:
        terminalreporter.section("twin comparison")
        terminalreporter.write_line(REPORT.text())
