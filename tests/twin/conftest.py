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
TEXTS = []      # reports of workers


def pytest_sessionfinish(session):
    """In a worker of pytest-xdist: hand the report over to the process that prints."""
    if hasattr(session.config, "workeroutput") and REPORT.scenarios:
        session.config.workeroutput["twin"] = REPORT.text()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Take the report of a worker."""
    TEXTS.append(getattr(node, "workeroutput", {}).get("twin", ""))


def pytest_terminal_summary(terminalreporter):
    """Print what was compared and the count per row."""
    for text in [REPORT.text() if REPORT.scenarios else "", *TEXTS]:
        if text:
            terminalreporter.section("twin comparison")
            terminalreporter.write_line(text)
