# SPDX-License-Identifier: GPL-2.0-only
"""The iptables target CLUSTERIP on a kernel that has it: the shell agent and ours, step by step."""

import os
import re

import pytest

from tests.conftest import lacking
from tests.vm import ahead, lab
from tests.vm.cases import CASES, split

LIMIT = lab.seconds()
MAC = "77d26fe5f87e"        # printf '192.0.2.100 24 192.0.2.255\\n' | md5sum

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen(need):
    """Agent ("shell", "ours") -> case -> what was seen after each step."""
    need("qemu-system-x86_64", "qemu-system-x86")
    if not os.path.exists(ahead.SHELL):
        lacking("the shell agent is not installed (package resource-agents)")
    try:
        return ahead.result(LIMIT)
    except lab.NoMachine as problem:
        lacking("no machine with the target CLUSTERIP: %s" % problem)


def outcome(step):
    """What of a step has to be the same with both agents.

    Which instance came first, and made the rule, is chance where both start at once.
    """
    found = {name: value for name, value in step.items() if name != "err"}
    if len(step.get("rc", ())) > 1:
        rules = [re.sub("--local-node [12]", "", rule) for rule in step["state"]["rules"]]
        found["state"] = dict(step["state"], rules=rules)
    return found


@pytest.mark.parametrize("case", CASES)
def test_same_as_the_shell_agent(seen, case):
    for step, shell, ours in zip(CASES[case], seen["shell"][case], seen["ours"][case]):
        text, row = split(step)
        if row is None:
            assert outcome(ours) == outcome(shell), (text, ours, shell)
        else:
            assert outcome(ours) != outcome(shell), "row %d no longer shows: %s" % (row, text)


def last(seen, agent, case, step):
    """What was seen after the last such step of a case."""
    number = max(number for number, one in enumerate(CASES[case]) if split(one)[0] == step)
    return seen[agent][case][number]


def rules(step):
    return [rule for rule in step["state"]["rules"] if "CLUSTERIP" in rule]


def empty(step):
    """Neither rule nor bucket, address, MAC or lock is left."""
    state = step["state"]
    return (rules(step) == [] and state["buckets"] is None and MAC not in state["groups"]
            and all("192.0.2.100/24" not in words for words in state["addresses"])
            and state["locks"] == [])


def test_real_target_is_used(seen):
    step = last(seen, "ours", "two instances", "1 start")
    assert len(rules(step)) == 1 and "--total-nodes 2 --local-node 1" in rules(step)[0]
    assert step["state"]["buckets"] == "1,2" and MAC in step["state"]["groups"]
    assert empty(last(seen, "ours", "two instances", "1 stop"))


def test_row_19_second_rule(seen):
    assert len(rules(last(seen, "shell", "address lost", "0 start"))) == 2
    assert len(rules(last(seen, "ours", "address lost", "0 start"))) == 1
    assert rules(last(seen, "shell", "address lost", "0 stop"))
    assert empty(last(seen, "ours", "address lost", "0 stop"))


def test_row_19_bucket_taken_by_hand(seen):
    assert not empty(last(seen, "shell", "bucket lost, stopped", "0 stop"))
    assert empty(last(seen, "ours", "bucket lost, stopped", "0 stop"))


def test_row_19_other_mac_at_stop(seen):
    assert rules(seen["shell"]["other mac at stop"][1])
    assert empty(seen["ours"]["other mac at stop"][1])
    assert [seen[agent]["other mac at stop"][2]["rc"] for agent in ("shell", "ours")] == [[1], [0]]


def test_row_20_clone_number_beyond_clone_max(seen):
    assert [seen[agent]["beyond clone_max"][0]["rc"] for agent in ("shell", "ours")] == [[0], [6]]
    assert empty(seen["ours"]["beyond clone_max"][1])


def test_both_buckets_answer_everything_and_nothing_twice(seen):
    one, both, two = [step["answered"] for step in seen["ours"]["sourceip-sourceport"]
                      if "answered" in step]
    assert sorted(one + two) == both and len(both) == 48
    assert 10 < len(one) < 38
