# SPDX-License-Identifier: GPL-2.0-only
"""The bench measures every action of both agents, in namespaces of its own; no time is judged."""

import json
import os
import subprocess
import sys

import pytest

from tests.bench import agents, report, rounds
from tests.conftest import lacking

pytestmark = pytest.mark.slow
ROWS = {row for row, _, _ in rounds.ACTIONS}


@pytest.fixture
def bench(need):
    """A function that runs the bench with words; what it printed."""
    need("ip", "iproute2")
    need("strace", "strace")
    if not os.access(agents.SHELL, os.X_OK):
        lacking("the shell agent is not installed (package resource-agents)")

    def run(*words):
        done = subprocess.run([sys.executable, "-m", "tests.bench", *words], timeout=120,
                              cwd=agents.CHECKOUT, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_both_agents_go_through_every_action(bench, tmp_path):
    table = bench("--quick", "--runs", "2", "--write", str(tmp_path / "speed"))
    made = json.loads((tmp_path / "speed.json").read_text())
    assert ROWS | {row for row, _, _ in rounds.ANNOUNCED} == set(made["rows"])
    for row, told in made["rows"].items():
        assert row in table
        assert {report.OURS, report.OTHER, report.RATIO} <= set(told["time"]), row
        assert all(0 < summed["median"] <= summed["upper_quartile"]
                   for summed in told["time"].values())     # of two runs, the lower may be below 0
    counted = {(told["row"], told["kind"]): told for told in made["targets"]
               if told["kind"] in ("programs", "memory")}
    assert len(counted) == 2 * len(report.WATCHED)
    assert all(told["met"] for told in counted.values()), counted
    programs = made["rows"]["monitor, running"]["programs"]
    assert programs[report.OURS] == 2 < programs[report.OTHER]      # start has noted the place
    assert "monitor, running" in (tmp_path / "speed.svg").read_text()


@pytest.mark.slow
def test_profile_tells_of_every_action(bench):
    text = bench("--profile", "--runs", "1")
    assert {section.splitlines()[0] for section in text.split("\n\n")} == ROWS
    assert text.count("interpreter, start and end") == len(ROWS)
    assert "ask ip -o -f inet addr show to" in text and "change ip -f inet addr delete" in text
