# SPDX-License-Identifier: GPL-2.0-only
"""A fault of the agent, wherever it is, or a signal at any moment: a reason and no leftovers."""

import contextlib
import itertools
import sys

import pytest

from ipaddr2_py import changes, children, commands
from ipaddr2_py.announce import packets
from tests.unit.scenes import ON_ETH0, ON_ETH0_6
from tests.unit.fake_commands import NO_PID

GUARDED = ("agent", "actions.start", "actions.stop", "vip", "findif", "changes.interface",
           "announce.sender", "ocf", "params", "announce.pidfile", "commands", "place", "addresses",
           "changes.files", "announce.dad", "announce.lookout")
#: main() as it ends: nothing is left that could handle a fault in these. A generator that is
#: closed is called as well, and Python drops what it raises then.
LAST = ("main", "unexpected", "ocf_exit_reason", "ocf_log", "write_all", "<genexpr>", "to_bytes")
#: To what these call a fault does not matter: before main(), asked ahead, or an answer by itself.
CALLERS = ("run", "load_environment", "prefetch_ip", "is_file", "write_all")
#: What befalls these may leave a note behind, or none, or the kernel's setting: that fails nothing.
NOTE = ("note_path", "plain", "put_settings_back.<listcomp>")
#: What befalls these as they end finds the work done.
DONE = ("serve", "__exit__", "ip_start", "perform", "discard_prefetched", "outcome")


class World:
    """A host that answers from its state, in place of ip(8): holds tells whether the VIP is on."""

    def __init__(self, captured, holds=False):
        self.holds = holds
        self.texts = {"route": captured("route-inet-192.0.2.1"), "link": captured("link-eth0-long"),
                      "dev": captured("addr-inet-eth0"), "inet": captured("addr-inet-to-10"),
                      "inet6": captured("addr-inet6-settled")}

    def query(self, argv):
        if "exact" in argv:
            return children.Result(0)
        if "addr" not in argv:
            return children.Result(0, self.texts.get(argv[4 if "route" in argv else 1], ""))
        if "to" not in argv:
            return children.Result(0, self.texts["dev"])
        return children.Result(0, self.texts[argv[3]] if self.holds else "")

    def run(self, argv):
        if "add" in argv or "delete" in argv:
            self.holds = "add" in argv
        return children.Result(0)

    def prefetch(self, argv):
        """It is answered when it is asked for."""

    def import_sh(self):
        """The library is there: nothing is imported for it."""
        return True

    def detach(self, work):
        with contextlib.suppress(BaseException):
            work()

    def query_start(self, argv):
        return Started(argv)

    def query_end(self, started):
        return self.query(started.argv) if started.argv[0] == "ip" else children.Result(0)


class Started:
    """A program under way, under no number that a process has."""

    def __init__(self, argv):
        self.argv = argv
        self.pid = NO_PID


class Fault:
    """Raises `problem` at call (or return) number `at` of a function of the package."""

    def __init__(self, problem, at, event):
        self.problem = problem
        self.left = at
        self.event = event
        self.happened = ""

    def __call__(self, frame, event, _argument):
        if event != self.event or frame.f_globals.get("__name__", "")[11:] not in GUARDED \
                or frame.f_code.co_name in LAST or self.happened \
                or frame.f_back.f_code.co_name in CALLERS:
            return
        self.left -= 1
        if self.left < 0:
            self.happened = frame.f_code.co_name
            if self.happened == "<listcomp>":           # as Python before 3.12 calls it
                self.happened = frame.f_back.f_code.co_name + ".<listcomp>"
            sys.setprofile(None)
            raise self.problem


@pytest.fixture
def world(host, agent, captured, monkeypatch):
    """A function world(action, fault, **parameters): the agent's run, and the World after it."""
    def run(action, fault, holds, **parameters):
        place = World(captured, holds)
        for name in ("query", "prefetch", "query_start", "query_end", "detach"):
            monkeypatch.setattr(commands, name, getattr(place, name))
        for name in ("import_sh", "run"):
            monkeypatch.setattr(changes, name, getattr(place, name))
        sys.setprofile(fault)
        try:
            done = agent(action, **parameters)
        finally:
            sys.setprofile(None)
        return done, place

    packets.Announcer.made.clear()
    return run


SLOW = pytest.mark.slow
BUILTIN = {"ip": "192.0.2.10", "arp_sender": "builtin", "arp_bg": "no", "arp_count": 1}
#: Action, parameters, whether the address is there, and how many calls to go on by.
CASES = [
    pytest.param(action, parameters, holds, step, marks=marks)
    for step, marks in ((11, ()), (1, SLOW)) for action, parameters, holds in (
        ("start", ON_ETH0, False), ("start", ON_ETH0_6, False), ("start", BUILTIN, False),
        ("stop", ON_ETH0, True), ("stop", ON_ETH0_6, True),
        ("monitor", dict(ON_ETH0, arp_count_refresh=1), True), ("status", ON_ETH0, True),
        ("validate-all", ON_ETH0, False))]


@pytest.mark.parametrize("action, parameters, holds, step", CASES)
def test_no_fault_reaches_pacemaker(world, action, parameters, holds, step):
    for at in itertools.count(0, step):
        fault = Fault(OSError(24, "Too many open files"), at, "call")
        done, place = world(action, fault, holds, arp_interval=1, **parameters)
        if not fault.happened:
            assert done.rc == 0 and at > 10
            return
        background = action == "start" or "arp_count_refresh" in parameters
        assert done.rc == 1 or done.rc == 0 and (background or fault.happened in DONE + NOTE), \
            (fault.happened, done)
        if done.rc:
            assert done.reasons, fault.happened
        if done.rc and "Too many open files" in done.reasons[-1]:
            assert "ERROR: Traceback (most recent call last):" in done.log
            assert "ERROR: OSError: [Errno 24] Too many open files" in done.log
        if action == "start" and fault.happened not in DONE:
            assert place.holds is (done.rc == 0), (fault.happened, done)


@pytest.mark.parametrize("event", ["call", "return"])
@pytest.mark.parametrize("action, parameters, holds, step", CASES)
def test_a_signal_at_any_moment(world, monkeypatch, action, parameters, holds, step, event):
    died = []
    monkeypatch.setattr(children, "die_of", died.append)
    for at in itertools.count(0 if event == "call" else step // 2, step):
        died.clear()
        fault = Fault(children.Terminated(15), at, event)
        done, place = world(action, fault, holds, arp_interval=1, **parameters)
        if not fault.happened:
            assert done.rc == 0 and at > 10
            return
        if died:
            assert died == [15]
            assert action != "start" or not place.holds or fault.happened in DONE, fault.happened
        else:
            assert done.rc == 0, (fault.happened, done)
