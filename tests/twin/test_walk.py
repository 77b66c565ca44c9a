# SPDX-License-Identifier: GPL-2.0-only
"""A random walk: actions and outside changes, both agents in step, a model beside ours.

TWIN_SEED chooses another walk, TWIN_STEPS its length; the seed is printed when the walk fails, and
with -s always. Where an expected difference parts the two states, the address is wiped on both
sides; where that does not join them again, the walk goes on in a fresh pair of worlds.
"""
import os
import random

import pytest

from . import compare, expected, model, notes, play

SEED = int(os.environ.get("TWIN_SEED", "20240426"))
STEPS = int(os.environ.get("TWIN_STEPS", "500"))
SHAPE = "default"

RESOURCES = (
    "4", "4 nic=e0", "4 nic=e0 cidr_netmask=24", "4 cidr_netmask=24", "4 nic=e0 cidr_netmask=32",
    "4 iflabel=web", "4 lvs_support=true", "4 nic=e1 cidr_netmask=24", "4 arp_bg=false",
    "4 arp_count_refresh=1", "4 nic=e0 cidr_netmask=24 noprefixroute=true", "6", "6 nic=e0",
    "6 nic=e0 cidr_netmask=64", "6 lvs_ipv6_addrlabel=true", "6 nic=e0 nodad=true preferred_lft=0",
    "6 nic=e1 cidr_netmask=64 flush_routes=true", "6 arp_bg=true", "ip=2001:DB8:0::50 nic=e0",
)
EVERY = ("cidr_netmask", "nic", "iflabel", "lvs_support", "arp_bg", "arp_count_refresh",
         "noprefixroute", "lvs_ipv6_addrlabel", "nodad", "preferred_lft", "flush_routes")
CHANGES = (
    "?ip addr del {ip}/{prefix} dev e0", "?ip addr del {ip}/{prefix} dev e0",
    "?ip addr add {ip}/{prefix} dev e0", "?ip addr add {ip}/{prefix} dev e1 noprefixroute",
    "?ip addr del {ip}/{prefix} dev e1", "?ip addr add {ip}/{host} dev lo",
    "?ip addr del {ip}/{host} dev lo", "?ip addr add {ip}/{host} dev e0",
    "?ip addr del {ip}/{host} dev e0", "?ip link set e0 down", "?ip link set e0 up",
    "?ip link set e0 up", "?ip link set p0 down", "?ip link set p0 up", "?ip link set p0 up",
    "?ip route del 192.0.2.0/24 dev e0", "?ip route add 192.0.2.0/24 dev e0 scope link",
    "?ip -6 route del 2001:db8::/64 dev e0", "?ip -6 route add 2001:db8::/64 dev e0",
    "?ip route add 192.0.2.0/24 dev e1 scope link metric 50",
    "?ip route del 192.0.2.0/24 dev e1 metric 50", "?ip route add blackhole 192.0.2.48/28",
    "?ip route del blackhole 192.0.2.48/28", "?ip addr del 192.0.2.1/24 dev e0",
    "?ip addr add 192.0.2.1/24 brd + dev e0", "?ip addr add 2001:db8::1/64 dev e0",
    "?ip addr add 192.0.2.7/24 dev e0", "?ip addr del 192.0.2.7/24 dev e0",
    "?ip addr flush dev e0", "?drop send_arp-{ip}", "put send_arp-{ip} 4194000",
    "?ip route add 192.0.2.32/27 dev e1 scope link", "?ip route del 192.0.2.32/27 dev e1",
    "?ip -6 route add 2001:db8::/80 dev e1", "?ip -6 route del 2001:db8::/80 dev e1",
    "?ip route add 192.0.2.50/32 dev lo scope link", "?ip route del 192.0.2.50/32 dev lo",
    "?ip -6 route add 2001:db8::50/128 dev e0", "?ip -6 route del 2001:db8::50/128 dev e0",
    "?drop IPaddr2-{ip}", "?drop IPaddr2-{ip},nic=e0",
)
ACTIONS = ("start", "start", "start", "stop", "stop", "monitor", "monitor", "probe", "status",
           "validate-all")


class Walk:
    """One walk: the pair of worlds, the model, what happened so far."""

    def __init__(self, agents, chance):
        self.agents, self.chance = agents, chance
        self.done, self.actions, self.parted, self.fresh = [], 0, 0, 0
        self.pair, self.model, self.before = None, None, None
        self.renew()

    def renew(self):
        """A fresh pair of worlds, and a resource in it."""
        if self.pair:
            self.pair.close()
        self.pair = play.Pair(SHAPE, agents=self.agents)
        self.model, self.free = model.Model(), True
        self.configure()
        self.before = self.pair.first_look()

    def configure(self):
        """Another resource in place of the present one, as after a stop."""
        self.pair.assign(" ".join(EVERY))
        self.pair.assign(self.chance.choice(RESOURCES))

    def parameter(self, name):
        return self.pair.environment.get("OCF_RESKEY_" + name)

    def choose(self):
        """The next step, as a scenario would have it."""
        if self.chance.random() < 0.6:
            return self.chance.choice(ACTIONS)
        six = ":" in self.parameter("ip")
        return self.chance.choice(CHANGES).format(
            ip=expected_ip(self.parameter("ip")), prefix=64 if six else 24, host=128 if six else 32)

    def step(self):
        """Choose a step, do it on both sides, judge it; complaints as texts."""
        if self.free and self.chance.random() < 0.3:
            self.configure()
        step = self.choose()
        self.done.append(step)
        seen = self.pair.step(step)
        scenario = play.Scenario("walk, seed %d" % SEED, SHAPE, "",
                                 "... " + "; ".join(self.done[-12:]))
        case = compare.Case(scenario, len(self.done) - 1, step, dict(self.pair.environment),
                            self.before, seen)
        complaints = self.judge(case)
        self.before = seen
        if not compare.same_state(seen):
            self.join()
        return complaints

    def judge(self, case):
        """Compare, and ask the model about ours; remember whether the resource may change."""
        if case.step not in play.ACTIONS:
            return [compare.describe(one) for one in compare.states(case)]
        self.actions += 1
        self.free = case.step == "stop"
        parameters = {name: self.parameter(name) for name in ("cidr_netmask", "nic")}
        parameters["ip"] = expected_ip(self.parameter("ip"))
        judged = self.model.judge(case.step, parameters, case.before[1], case.seen[1])
        _, unexpected = expected.sort_out(case, compare.actions(case))
        return ["the model: " + one for one in judged] + [
            compare.describe(one) for one in unexpected]

    def join(self):
        """Bring the two worlds together again after an expected difference."""
        self.parted += 1
        ip = expected_ip(self.parameter("ip"))
        for nic, prefix in sorted(set().union(*(notes.places(one, ip) for one in self.before))):
            self.pair.step("?ip addr del %s/%s dev %s" % (ip, prefix, nic), same=False)
        for name in (ip, "send_arp-" + ip):
            self.pair.step("?drop " + name, same=False)
        self.pair.step("?ip addrlabel del prefix %s label 99" % ip, same=False)
        self.model.started = None
        self.before = self.pair.both("look")
        if not compare.same_state(self.before):
            self.fresh += 1
            self.renew()


def expected_ip(text):
    """The address by value; those of the walk differ in capitals and zeros alone."""
    return text.lower().replace(":0::", "::")


@pytest.mark.slow
def test_a_random_walk(twins):
    """Nothing unexpected, and the address where the model says, whatever happens."""
    print("TWIN_SEED=%d TWIN_STEPS=%d" % (SEED, STEPS))
    walk = Walk(twins, random.Random(SEED))
    try:
        for number in range(STEPS):
            complaints = walk.step()
            assert not complaints, "seed %d, step %d of %s\nwith %s:\n%s" % (
                SEED, number, walk.done[-12:],
                {name: value for name, value in walk.pair.environment.items() if value},
                "\n".join(complaints))
    finally:
        walk.pair.close()
    print("%d actions compared, states parted %d times, %d fresh starts" % (
        walk.actions, walk.parted, walk.fresh))
    assert walk.actions > STEPS / 3
