# SPDX-License-Identifier: GPL-2.0-only
"""The agent killed between any two of its steps: what it leaves is found and removed by a stop.

Killed by the programs it starts, before and after each call's work; and by strace(1), as it enters
one system call after the other: those that start and end programs, and those that touch files.
SIGTERM lets it take back what it added; after SIGKILL the next stop has to.
"""

import contextlib
import os
import signal
import subprocess
import time

import pytest

from tests.lab.agent import IP, PATH
from tests.lab.state import place, processes, wait_until

from .hosts import LVS
from .test_programs import VIP, VIP6, Case, Scenario, become, finish, learn, stop_well
from .tools import Order

CHANGES = (("start", False), ("stop", True))
SCENARIOS = [
    Scenario("ipv4", arp_bg="true", nic="eth0"),
    Scenario("ipv6", ip=VIP6, where="eth0/64", lvs_ipv6_addrlabel="true"),
    Scenario("lvs", ip=LVS, lvs_support="true"),
]
SIGNALS = ("TERM", "KILL")
#: System calls that may come between two changes, here or in a child; of openat those of files in
#: HA_RSCTMP alone.
STEPS = ("clone", "clone3", "fork", "vfork", "pipe2", "poll", "wait4", "openat", "unlink", "flock",
         "write", "kill", "socket", "sendto")
LASTING = ("clone", "fork", "openat", "unlink", "flock", "write")   # where SIGKILL may matter
#: Those that strace watches: one has the built-in sender, which forks and locks its pid file.
TRACED = [
    (Scenario("built-in", arp_bg="true", env={"HA_BIN": "/nonexistent"}, arp_count=2), STEPS),
    (SCENARIOS[2], LASTING),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_killed_by_its_programs(hosts, tally, scenario):
    cases = []
    hosts.at_once([scenario], lambda host, _: cases.extend(between_calls(host, scenario)))
    tally("agents killed between two steps", len(cases))
    hosts.at_once(cases, killed_by_a_program, finish)


def killed_by_a_program(host, case):
    """One case: a program that the agent starts kills it."""
    play(host, case, case.order.kind, lambda: host.tools.obey(case.order))


def between_calls(host, scenario):
    """Each call of start and stop, with each signal, before its work and after it."""
    calls = learn(host, scenario)
    for action, served in CHANGES:
        seen = {}
        for call in calls[action, served]:
            seen[call] = seen.get(call, 0) + 1
            if seen[call] > 2 or call.startswith("send_arp"):   # the agent is gone by then
                continue
            for name in SIGNALS:
                for after in (False, True):
                    yield Case(scenario, action, served, Order(call, seen[call], name, after))


# --- by strace -------------------------------------------------------------------------------


class Step:
    """The nth call of a system call, where the agent gets a signal."""

    def __init__(self, scenario, action, served, name, nth, kind, line):
        self.scenario = scenario
        self.action = action
        self.served = served
        self.name = name
        self.nth = nth
        self.kind = kind
        self.line = line

    def __str__(self):
        return "[%s] %s: SIG%s at %s number %d, in good health: %s" % (
            self.scenario.name, self.action, self.kind, self.name, self.nth, self.line)


@pytest.mark.parametrize("scenario, names", TRACED, ids=[pair[0].name for pair in TRACED])
def test_killed_at_a_system_call(hosts, tally, need, scenario, names):
    strace = need("strace", "strace")
    cases = []
    hosts.at_once([scenario], lambda host, _: cases.extend(
        step for step in at_calls(host, scenario, strace) if step.name in names))
    assert cases
    tally("agents killed between two steps", len(cases))
    hosts.at_once(cases, lambda host, step: killed_at_a_call(host, step, strace), finish)


def at_calls(host, scenario, strace):
    """The Steps of start and stop, taken from a run in good health."""
    trace = host.folder / "trace"
    steps = []
    for action, served in CHANGES:
        become(host, scenario, served)
        known = ",".join("?" + name for name in STEPS)
        host.agent.by = (strace, "-qq", "-o", str(trace), "-e", "trace=" + known)
        try:
            assert scenario.run(host, action).rc == 0
        finally:
            host.agent.by = ()
        host.serves = scenario if action == "start" else None
        steps += list(of_trace(trace.read_text(), host, scenario, action, served))
    become(host, scenario, False)
    return steps


def of_trace(text, host, scenario, action, served):
    """The Steps of one trace, from the first program on that the agent started."""
    seen = {}
    begun = False
    for line in text.splitlines():
        name = line.partition("(")[0]
        seen[name] = seen.get(name, 0) + 1
        begun = begun or name == "pipe2"
        if not begun or name == "openat" and str(host.agent.rsctmp) not in line:
            continue
        for kind in SIGNALS:
            if kind == "TERM" or name in LASTING:
                yield Step(scenario, action, served, name, seen[name], kind, line[:80])


def killed_at_a_call(host, step, strace):
    """One case: strace sends the signal."""
    def prepare():
        host.agent.by = (strace, "-qq", "-o", "/dev/null", "-e", "trace=" + step.name, "-e",
                         "inject=%s:signal=%s:when=%d" % (step.name, step.kind, step.nth))

    try:
        play(host, step, step.kind, prepare)
    finally:
        host.agent.by = ()


# --- one case --------------------------------------------------------------------------------


def play(host, case, kind, prepare):
    """The action that is killed, then a stop and a start in good health."""
    scenario = case.scenario
    become(host, scenario, case.served)
    before = host.state()
    prepare()
    done = scenario.run(host, case.action)
    host.agent.by = ()
    host.calm("what the killed agent left running")
    if case.action == "start" and done.rc == 0:     # a step that did not come this time
        assert host.places(scenario.ip) >= scenario.where
    elif case.action == "start" and kind == "TERM":
        different = host.differs(before)
        assert not different, "not taken back, %s: %r" % (different, done)
    elif done.rc == 0:
        different = host.differs(host.before)
        assert not different, "0, but left, %s: %r" % (different, done)
    stop_well(host, scenario)


# --- what has to go on ------------------------------------------------------------------------


@pytest.mark.parametrize("env", [{}, {"HA_BIN": "/nonexistent"}], ids=["usual", "built-in"])
@pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])
def test_announcements_outlive_the_agent(pair, agent, recorder, vip, env):
    """The agent's process group is killed as soon as start has returned: all rounds go out, and
    who started it does not wait for them."""
    command = agent.command("start")
    values = agent.environment("start", ip=vip, arp_bg="true", arp_count=8, arp_interval=150,
                               nodad="true", env=env)
    begin = time.monotonic()
    process = subprocess.Popen(command, env=values, start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=20)
    returned = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, out, err) == (0, b"", b"")
    assert processes(pair.node), "the announcements are over already: %s" % agent.log()
    packets = recorder.advertisements if ":" in vip else recorder.arps
    wanted = 8 if ":" in vip else 16
    wait_until(lambda: len(packets(vip)) >= wanted, "all announcements")
    assert time.monotonic() - returned > 0.5 > 0, "announced after %s s" % (returned - begin)
    wait_until(lambda: not processes(pair.node), "the sender's end")
    assert [path.name for path in agent.rsctmp.iterdir()] == ["IPaddr2-" + vip]     # the note
    assert agent("stop", ip=vip).rc == 0
    assert place(pair.node, vip) == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
@pytest.mark.parametrize("call", ["*addr\\ add*", "*link\\ set*", "*addr\\ show\\ to*"])
def test_children_end_with_the_agents_group(pair, agent, number, call):
    """Pacemaker kills the agent's process group; a tool that hangs goes with it, and no stop later
    has to cope with it."""
    here = agent.folder / "here"
    tools = agent.stand_in("ip", 'case "$*" in %s) : >%s; trap "" TERM; sleep 600; esac\n'
                                 'exec %s "$@"\n' % (call, here, IP))
    process = subprocess.Popen(agent.command("start"), stdin=subprocess.DEVNULL,
                               start_new_session=True, env=agent.environment(
                                   "start", ip=VIP, env={"PATH": tools + ":" + PATH}))
    try:
        wait_until(here.exists, "the tool that hangs")
    finally:
        os.killpg(process.pid, number)
    assert process.wait(20) == -number
    if number == signal.SIGKILL:
        wait_until(lambda: not processes(pair.node), "the tool's end")
    assert agent("stop", ip=VIP).rc == 0
    assert place(pair.node, VIP) == ""
