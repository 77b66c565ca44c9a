# SPDX-License-Identifier: GPL-2.0-only
"""The steps of run(): when sh is asked, and what becomes of a child that sh reaps."""

import os
import types

import pytest

from ipaddr2_py import changes, children, commands, ocf
from ipaddr2_py.children import RUN

pytestmark = pytest.mark.usefixtures("real_programs")
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"


@pytest.fixture(name="asked")
def who_is_asked(monkeypatch):
    """What run() asks, one after the other; sh gives asked.result, and is there by asked.there."""
    told = types.SimpleNamespace(names=[], result=children.Result(3, "by sh"), there=True)

    def note(name, result):
        return lambda *_words: told.names.append(name) or result()

    monkeypatch.setattr(commands, "discard_prefetched", note("discard", lambda: None))
    monkeypatch.setattr(changes, "import_sh", note("import", lambda: told.there))
    monkeypatch.setattr(changes, "_run", note("sh", lambda: told.result))
    monkeypatch.setattr(commands, "run_directly", note("directly", lambda: children.Result(4)))
    commands.load_environment({"PATH": PATH})
    return told


@pytest.mark.parametrize("program, fails, there, result, names, rc", [
    ("true", False, True, 3, ["import", "sh"], 3),
    ("true", False, True, None, ["import", "sh", "directly"], 4),
    ("true", False, False, 3, ["import", "directly"], 4),
    ("true", True, True, 3, ["directly"], 4),
    ("no/program", False, True, 3, ["directly"], 4)])
def test_who_starts_a_program(asked, program, fails, there, result, names, rc):
    RUN.sh_fails, asked.there = fails, there
    asked.result = result and children.Result(result)
    assert changes.run([program]).rc == rc
    assert asked.names == ["discard"] + names


def test_it_never_raises(asked, monkeypatch):
    def fails(_name):
        raise MemoryError("none left")

    monkeypatch.setattr(commands, "find", fails)
    result = changes.run(["true"])
    assert (result.rc, result.out) == (126, "MemoryError: none left")


@pytest.mark.parametrize("traced", [True, False])
def test_what_is_traced(asked, monkeypatch, traced):
    told = []
    monkeypatch.setattr(RUN, "tracers", [told.append] if traced else [])
    monkeypatch.setattr(RUN, "trace", told.append)
    changes.run(["true"])
    assert len(told) == traced


def test_by_sh():
    commands.load_environment({"PATH": PATH})
    program = commands.find("sh")
    result = changes._run(program, ["sh", "-c", "echo $PPID; echo more >&2; exit 3"])
    assert (result.rc, result.out) == (3, f"{os.getpid()}\nmore\n")
    assert not RUN.children and not RUN.sh_fails


def test_no_child_outlives_an_agent_that_is_told_to_end(monkeypatch):
    def told(_streams, _limit):
        raise ocf.OcfExit(1)

    commands.load_environment({"PATH": PATH})
    monkeypatch.setattr(children, "read_streams", told)
    killed, real = [], changes.kill_unreaped
    monkeypatch.setattr(changes, "kill_unreaped", lambda pid: killed.append(pid) or real(pid))
    with pytest.raises(ocf.OcfExit):
        changes._run(commands.find("sleep"), ["sleep", "60"])
    assert len(killed) == 1 and not RUN.children


def test_a_problem_before_there_was_a_child():
    assert changes._forked(ValueError()) == 0
    try:
        raise ValueError
    except ValueError as problem:
        assert changes._forked(problem) == 0


class Child:
    """sh's running command, alive for so many looks."""

    pid = 2 ** 22 + 1           # no process has it

    def __init__(self, looks, code):
        self.looks, self.waited, self.process = looks, 0, self
        self.exit_code = code

    def is_alive(self):
        self.looks -= 1
        return self.looks >= 0, None

    def wait(self):
        self.waited += 1
        raise ValueError("sh says that it failed")


@pytest.mark.parametrize("looks, code, left, rc", [
    (0, 0, 9, 0), (3, 7, 9, 7), (12, 2, 9, 2), (3, -9, 9, 137), (3, None, 9, children.UNKNOWN),
    (3, 5, 0, 5)])
def test_reaping_by_sh(clock, looks, code, left, rc):
    child, overrun = Child(looks, code), []
    limit = types.SimpleNamespace(left=lambda: left, overrun=lambda: overrun.append(1))
    RUN.children.add(child.pid)
    begin = clock.now
    assert changes.reap_by_sh(child, limit) == rc
    assert child.waited == 1 and child.pid not in RUN.children
    assert len(overrun) == (0 if left else looks)
    pauses = [min(0.0001 * 2 ** number, 0.02) for number in range(looks)] if left else \
        [0.002, 0.002, 0.002]
    assert clock.now - begin == pytest.approx(sum(pauses), rel=1e-3, abs=1e-9)


def test_a_child_that_cannot_be_killed_is_left(clock):
    child, limit = Child(1000, 0), types.SimpleNamespace(left=lambda: 0, overrun=lambda: None)
    assert changes.reap_by_sh(child, limit) == 137
    assert child.looks == 1000 - children.LAST_LOOKS and child.waited == 0


def test_a_child_that_was_killed_is_none_any_more():
    RUN.children.add(Child.pid)
    changes.kill_unreaped(Child.pid)
    assert not RUN.children
