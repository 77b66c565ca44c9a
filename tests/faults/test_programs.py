# SPDX-License-Identifier: GPL-2.0-only
"""Every program that an action starts fails in turn, in every way: the action's code stays honest.

A scenario is played once in good health, and the calls that its programs received are the list of
what can go wrong: each is met once missing, not executable, with a wrong exit code, killed, silent,
talking rubbish and hanging, before its work and after it.  What is true is read by `ip -json`.
"""

import itertools
import re

import pytest

from .hosts import ALTNAME, LVS
from .tools import EXITS, LOSSES, Order

VIP, VIP6 = "192.0.2.50", "2001:db8::50"
HANG_TIMEOUT = 2000         # ms that an action has when a tool hangs
ALL_ACTIONS = (("start", False), ("stop", True), ("monitor", True), ("monitor", False),
               ("probe", True), ("status", True), ("validate-all", False))
LOGGERS = ("logger", "ha_logger")
BACKGROUND = ("send_arp", "logger")     # what may still run when the agent has ended
CHANGING = re.compile(r" (add|delete|del|set|flush) ")


class Scenario:
    """asked: the parameters; `where` the address is when served; `only`: what of the calls goes
    wrong (a regular expression); `actions`: (action, is the address served before?); namespace:
    by network_namespace; quiet: the programs that matter here stay the stand-ins, see tools.QUIET.
    """

    def __init__(self, name, ip=VIP, where="eth0/24", only="", actions=ALL_ACTIONS, env=None,
                 namespace=False, quiet=False, **asked):
        self.name = name
        self.ip = ip
        self.where = {where}
        self.only = re.compile(only)
        self.actions = actions
        self.env = env or {}
        self.namespace = namespace
        self.quiet = quiet
        self.asked = {"ip": ip, "arp_count": 1, "arp_bg": "false", **asked}

    def run(self, host, action, **more):
        """The action on a host."""
        if self.namespace:
            more.update(network_namespace=host.node, inside=host.outside)
        if self.quiet:
            more.pop("healthy", None)
        return host.run(action, self.asked, env=self.env, **more)

    def __str__(self):
        return "[%s]" % self.name


CHANGES = (("start", False), ("stop", True))
SCENARIOS = [
    Scenario("ipv4"),
    Scenario("ipv6", ip=VIP6, where="eth0/64", lvs_ipv6_addrlabel="true", nic="eth0",
             actions=(("start", False), ("stop", True), ("monitor", True))),
    Scenario("lvs", ip=LVS, lvs_support="true", actions=CHANGES, only="addr show to|dev lo"),
    Scenario("background", actions=CHANGES[:1], arp_bg="true", only="^send_arp"),
    Scenario("arping", actions=CHANGES[:1], run_arping="true", arp_sender="iputils_arping",
             only="^arping", quiet=True),
    Scenario("refresh", actions=(("monitor", True),), arp_count_refresh=1, only="^send_arp"),
    Scenario("refresh6", ip=VIP6, where="eth0/64", actions=(("monitor", True),),
             arp_count_refresh=1, nodad="true", only="^send_ua"),
    Scenario("flush", actions=CHANGES[1:], flush_routes="true", nic="eth0", cidr_netmask="24",
             only="flush"),
    Scenario("connections", actions=CHANGES[1:], kill_connections="true", only="^ss"),
    Scenario("connections6", ip=VIP6, where="eth0/64", actions=CHANGES[1:],
             kill_connections="true", nodad="true", only="^ss"),
    Scenario("link", check_link_status="true", only="-o link show",
             actions=(("start", False), ("monitor", True))),
    Scenario("altname", nic=ALTNAME, only=ALTNAME,
             actions=(("start", False), ("stop", True), ("monitor", True), ("probe", True))),
    Scenario("namespace", namespace=True, only="netns exec",
             actions=(("start", False), ("stop", True), ("monitor", True), ("monitor", False))),
    Scenario("syslog", env={"HA_LOGFACILITY": "local3"}, only="^logger", actions=CHANGES,
             quiet=True),
    Scenario("logd", env={"HA_LOGD": "yes"}, only="^ha_logger", actions=CHANGES, quiet=True),
]


class Case:
    """One order given to one action."""

    def __init__(self, scenario, action, served, order):
        self.scenario = scenario
        self.action = action
        self.served = served
        self.order = order

    def __str__(self):
        return "[%s] %s%s: %s" % (self.scenario.name, self.action,
                                  " of a served address" if self.served else "", self.order)


def test_healthy(hosts):
    """The stand-ins change nothing: each scenario works, and its calls are seen."""
    hosts.at_once(SCENARIOS, lambda host, scenario: learn(host, scenario))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_programs(hosts, tally, scenario):
    cases = []
    hosts.at_once([scenario], lambda host, _: cases.extend(all_cases(host, scenario)))
    assert cases
    tally("faults injected into programs", len(cases))
    hosts.at_once(cases, play, finish)


def learn(host, scenario):
    """Play the scenario in good health; (action, served) -> its calls in order."""
    calls = {}
    for action, served in ALL_ACTIONS:
        become(host, scenario, served)
        host.tools.restore()
        done = scenario.run(host, action)
        expected = 7 if action in ("monitor", "probe", "status") and not served else 0
        assert done.rc == expected, (action, done)
        host.serves = {"start": scenario, "stop": None}.get(action, host.serves)
        host.calm("what the action has left in the background")
        calls[action, served] = [anywhere(host, " ".join(call))
                                 for call in host.tools.calls()]
    become(host, scenario, False)
    return calls


def anywhere(host, call):
    """A call as a pattern that fits on every host and in every process."""
    if "logger " in call:
        return call.split()[0] + " *"
    return call.replace(str(host.agent.rsctmp), "*").replace(host.node, "*").replace(
        host.agent.program, "*")


def all_cases(host, scenario):
    """The cases of a scenario, the actions taking turns as far as they go."""
    calls = learn(host, scenario)
    lists = []
    for action, served in scenario.actions:
        seen = {}
        orders = []
        for call in filter(scenario.only.search, calls[action, served]):
            seen[call] = seen.get(call, 0) + 1
            # While duplicate address detection is waited for, the same is asked again and again.
            if seen[call] <= 2:
                orders += all_orders(call, seen[call])
        orders += [Order(program, 0, kind) for program in sorted({call.split()[0] for call in seen})
                   for kind in LOSSES]
        lists.append([Case(scenario, action, served, order) for order in orders])
    return [case for cases in itertools.zip_longest(*lists) for case in cases if case]


def all_orders(call, nth):
    """Everything that can go wrong with one call."""
    becomes = "netns exec" in call      # of which nothing is left that could set a time limit
    for kind in EXITS if becomes else EXITS + ("hang",):
        yield Order(call, nth, kind)
        if (CHANGING.search(call) or not call.startswith("ip ")) and kind != "silent":
            yield Order(call, nth, kind, after=True)
    for kind in LOSSES:
        yield Order(call, nth, kind)
    if call.startswith("ip "):
        for kind in ("exit1",) if becomes else ("exit1", "hang"):
            yield Order(call, nth, kind, stays=True)


# --- one case ----------------------------------------------------------------------------------


def become(host, scenario, served):
    """Start or stop in good health until the address is served, or is not."""
    host.tools.restore()
    if host.serves not in (None, scenario):
        stop_well(host, host.serves)
    if served and not host.serves:
        start_well(host, scenario)
    elif not served and host.serves:
        stop_well(host, scenario)


def start_well(host, scenario):
    """A start in good health works, whatever was before."""
    host.serves = scenario
    done = scenario.run(host, "start", healthy=True)
    assert done.rc == 0, "the start that followed failed: %r" % done
    assert host.places(scenario.ip) == scenario.where, "not there after the start that followed"
    host.calm("the announcements of the start that followed")


def stop_well(host, scenario):
    """A stop in good health leaves nothing, whatever was before."""
    done = scenario.run(host, "stop", healthy=True)
    host.serves = None
    assert done.rc == 0, "the stop that followed failed: %r" % done
    host.calm("what the stop that followed had to end")
    different = host.differs(host.before)
    if scenario.name == "lvs" and (different or host.files()):
        # As with the shell agent, a stop that does not find the address does not look for what was
        # put aside for it; the next start and stop settle that.
        assert not host.places(scenario.ip) & scenario.where, "still there"
        start_well(host, scenario)
        done = scenario.run(host, "stop", healthy=True)
        host.serves = None
        assert done.rc == 0, "the next stop failed: %r" % done
        different = host.differs(host.before)
    assert not different, "left by the stop that followed, " + different
    assert host.files() == [], "files left by the stop that followed"


def finish(host):
    """After all cases a start works, and a stop."""
    become(host, SCENARIOS[0], False)
    become(host, SCENARIOS[0], True)
    become(host, SCENARIOS[0], False)


def play(host, case):
    """One case: the broken action, then a stop in good health, after which nothing is left that
    a start could stumble over; that it does not, the next case or finish() shows."""
    scenario = case.scenario
    become(host, scenario, case.served)
    before = host.state()
    host.tools.obey(case.order)
    timeout = HANG_TIMEOUT if case.order.kind == "hang" else 20000
    done = scenario.run(host, case.action, CRM_meta_timeout=timeout, limit=timeout / 250)
    assert len(done.log) < 50000, "a megabyte went into the log"
    if not lied(case.order) and "netns exec" not in case.order.call:   # which the agent became
        CHECKS.get(case.action, check_monitor)(host, case, done, before)
    if case.order.program in LOGGERS:
        assert done.rc == 0, "what cannot be logged decided the outcome: %r" % done
    if case.order.kind == "hang" and case.order.program in BACKGROUND:
        # Nobody waits for it; a send_arp that has not come to write its pid file is not found by
        # stop either, and ends at its time limit.
        host.end_processes()
    host.calm()
    if scenario.name == "lvs" and "addr add %s/32" % LVS in case.order.call:
        # What cannot be restored is given up, as by the shell agent, with an error in the log.
        assert "ERROR: " in done.log or host.places(LVS) or lied(case.order), done
        host.give_back()
    if case.action in ("start", "stop"):
        stop_well(host, scenario)
    else:
        different = host.differs(before)
        assert not different, "%s changed something, %s" % (case.action, different)


def lied(order):
    """Whether a tool claimed success where that cannot be told from the truth: it listed nothing,
    or did nothing that could be looked for afterwards."""
    if order.after or order.kind not in ("silent", "garbage", "megabyte"):
        return False
    if CHANGING.search(order.call):
        return bool(re.search("addrlabel del|dev lo", order.call))
    return order.kind == "silent"


def with_reason(done, codes):
    """A failure is one of the codes and says why."""
    assert done.rc in codes, "the exit code: %r" % done
    assert done.reason, "no reason: %r" % done


def check_start(host, case, done, before):
    """0 and served, or a code and nothing is left of it."""
    if done.rc == 0:
        assert host.places(case.scenario.ip) >= case.scenario.where, "0, not there: %r" % done
        return
    with_reason(done, (1, 5))
    # Where `ip` stays broken, nothing can be taken back; the code says that it failed.
    if not case.order.stays and case.order.kind not in LOSSES:
        different = host.differs(before)
        assert not different, "not taken back, %s: %r" % (different, done)


def check_stop(host, case, done, before):
    """0 and gone, or a code.  An address label that cannot be deleted, or an address of lo that
    cannot be restored, is no reason to be fenced: said in the log, left to the next stop."""
    if done.rc:
        with_reason(done, (1, 5))
        return
    assert not host.places(case.scenario.ip) & case.scenario.where, "0, still there: %r" % done
    different = host.differs(host.before)
    if case.order.kind in LOSSES or re.search("addrlabel del|dev lo", case.order.call):
        assert not different or "ERROR: " in done.log, "silently left, %s: %r" % (different, done)
    else:
        assert not different, "0, but left, %s: %r" % (different, done)
        assert host.files() == [], "files left: %s: %r" % (host.files(), done)


def check_monitor(host, case, done, before):
    """0 and 7 are the truth; whoever cannot tell says 1 (5 without `ip`), never 7."""
    if done.rc in (0, 7):
        assert (done.rc == 0) is case.served, "not the truth: %r" % done
    else:
        with_reason(done, (1, 5))


def check_validate(host, case, done, before):
    """0, or a code that does not blame the configuration."""
    if done.rc:
        with_reason(done, (1, 5))


CHECKS = {"start": check_start, "stop": check_stop, "validate-all": check_validate}
