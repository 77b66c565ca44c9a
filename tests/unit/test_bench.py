# SPDX-License-Identifier: GPL-2.0-only
"""The bench's arithmetic: medians of ratios, growth, targets; and that agents take turns."""

import contextlib
import pathlib

import pytest

from tests.bench import chart, measure, report, rounds
from tests.bench.report import MOST, OTHER, OURS
from tests.bench.rounds import IP, Bench

ROW = "monitor, running"
ABOUT = {"sh": "1.14.2", "runs": 3, "other": "shell agent", "cpu": "some", "cores": 2,
         "kernel": "6.1", "system": "Debian", "iproute2": "6.1.0", "python": "3.11.2",
         "resource-agents": "4.12", "date": "2024-04-26"}


@pytest.fixture
def bench():
    return Bench({OURS: "/ours", OTHER: "/other"}, pathlib.Path("/nonexistent"))


def fill(bench, row, **walls):
    """Give a row values, the same for CPU."""
    for who, values in walls.items():
        for value in values:
            bench.note((row, who), measure.Cost(value, value))


def test_a_ratio_is_that_of_runs_of_the_same_round(bench):
    """A machine that grows slower between the rounds does not matter."""
    fill(bench, ROW, ours=[4, 40, 4.4, 44, 5], other=[10, 100, 11, 110, 10])
    made = report.document(bench, ABOUT)
    assert made["rows"][ROW]["time"]["ratio"]["median"] == 0.4
    assert made["rows"][ROW]["time"][OURS]["median"] == 5


@pytest.mark.parametrize("ours, met", [(4.9, True), (5.0, True), (5.1, False)])
def test_targets(bench, ours, met):
    fill(bench, ROW, ours=[ours] * 3, other=[10.0] * 3)
    made = report.document(bench, ABOUT)
    told = {told["kind"]: told for told in made["targets"]}
    assert (told["time"]["value"], told["time"]["limit"]) == (pytest.approx(ours / 10), 0.5)
    assert told["time"]["met"] is met and not told["cpu"]["met"]
    assert ("time: 0.51 > 0.50" in report.table(made)) is not met
    assert "cpu: %.2f > 0.40" % (ours / 10) in report.table(made)


@pytest.mark.parametrize("sh, limit", [("1.14.2", 0.95), ("2.4.0", 1.0)])
def test_the_first_announcements_limit_depends_on_sh(bench, sh, limit):
    row = rounds.ANNOUNCED[0][0]
    for who, value in ((OURS, 9.7), (OTHER, 10.0)):
        bench.wall[row, who] += [value] * 3
    made = report.document(bench, {**ABOUT, "sh": sh})
    assert [(told["limit"], told["met"]) for told in made["targets"]] == [(limit, limit == 1.0)]


@pytest.mark.parametrize("extra, met", [(20.0, True), (19.0, True), (30.0, False)])
def test_growth_is_held_against_that_of_ip(bench, extra, met):
    """20 ms more for 20,000 addresses by `ip` alone."""
    fill(bench, ROW, ours=[10, 11, 10], other=[30, 30, 30], ip=[2, 2.2, 2])
    fill(bench, ROW + rounds.suffix_of(MOST), ours=[10 + extra, 11 + extra, 10 + extra],
         other=[150] * 3, ip=[22, 22.2, 22])
    made = report.document(bench, ABOUT)
    grown = made["growth"][ROW]
    assert (grown["ip"], grown["other"]) == (1.0, 6.0)
    assert grown["ratio"] == pytest.approx(extra / 20)
    assert [told["met"] for told in made["targets"] if told["kind"] == "growth"] == [met]


@pytest.mark.parametrize("ours, met", [([4, 8, 4.1], True), ([4.1, 8.2, 3.9], False)])
def test_load_is_held_turn_by_turn(bench, ours, met):
    load = {who: {"cpu seconds": sum(turns), "turns": turns, "monitors": 600, "median ms": 10.0,
                  "late": 0} for who, turns in ((OURS, ours), (OTHER, [10, 20, 10]))}
    made = report.document(bench, ABOUT, load)
    assert [(told["row"], told["met"]) for told in made["targets"]] == [("load", met)]
    assert "its CPU, ours / other" in report.table(made)


def test_one_agents_rows_alone_are_held_against_nothing(bench):
    fill(bench, ROW, ours=[5, 5])
    assert report.document(bench, ABOUT)["targets"] == []


def test_agents_take_turns_action_by_action(bench, monkeypatch):
    """No other run comes between those that are compared, and neither agent is always first."""
    ran, changed = [], []
    monkeypatch.setattr(measure, "run", lambda argv, env, expected=0: (
        ran.append((argv[0], argv[-1], expected)), measure.Cost(1.0, 1.0))[1])
    monkeypatch.setattr(rounds, "ip", lambda _name, *words: changed.append((words[1], len(ran))))
    host = contextlib.nullcontext()
    host.enter, host.name = lambda: None, "host"
    for number in (0, 1):
        rounds.watched(bench, host, number)
    pairs = [pair for pair in zip(ran, ran[1:]) if {run[0] for run in pair} == {"/ours", "/other"}]
    assert len(pairs) == 12
    assert all(first[1:] == second[1:] for first, second in pairs)
    assert [first[0] for first, _ in pairs] == ["/ours"] * 6 + ["/other"] * 6
    assert [verb for verb, _ in changed] == ["add", "del"] * 2
    assert {len(bench.wall[row, who]) for row in report.WATCHED for who in (OURS, OTHER, IP)} == {2}


def test_chart(bench):
    fill(bench, ROW, ours=[4.0, 4.0], other=[10.0, 10.0])
    text = chart.chart(report.document(bench, ABOUT))
    assert "40 %" in text and "median of 3 runs" in text
