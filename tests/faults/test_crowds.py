# SPDX-License-Identifier: GPL-2.0-only
"""Fifty actions at once, on one address and on fifty."""

import concurrent.futures
import random
import subprocess

import pytest

from tests.lab.state import everything, place, processes, wait_until

from .test_files import BUILTIN, VIP, VIP6

AT_ONCE = 50


def at_once(agent, runs):
    """Start all (action, parameters) at the same time; their (action, exit code, stderr)."""
    def one(number, action, asked):
        with open(agent.folder / ("err%d" % number), "w+") as err:
            process = agent.start_process(action, subprocess.DEVNULL, err, CRM_meta_timeout=60000,
                                          **asked)
            code = process.wait(60)
            err.seek(0)
            return action, code, err.read()

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(len(runs)), *zip(*runs)))


def honest(told):
    """Every action of a crowd ended with a code that it may have, and a reason if it failed."""
    codes = {"start": (0, 1), "stop": (0, 1), "monitor": (0, 1, 7)}
    for action, code, err in told:
        assert code in codes[action] and "unexpected" not in err, (action, code, err)
        assert code != 1 or "ocf-exit-reason:" in err, (action, code, err)


@pytest.mark.parametrize("asked", [
    {"ip": VIP}, {"ip": VIP, "env": BUILTIN}, {"ip": VIP6, "nodad": "true", "arp_bg": "true"}],
    ids=["ipv4", "built-in", "ipv6"])
def test_fifty_at_once_on_one_address(pair, agent, asked):
    """Starts alone all succeed, stops alone too; a mixture is honest, and a stop clears it up."""
    before = everything(pair.node)
    for action, there in (("start", True), ("stop", False)):
        told = at_once(agent, [(action, {**asked, "arp_count": 1})] * AT_ONCE)
        assert {code for _, code, _ in told} == {0}, told
        assert bool(place(pair.node, asked["ip"])) is there
    choice = random.Random(12)
    told = at_once(agent, [(choice.choice(("start", "stop", "monitor")), {**asked, "arp_count": 1})
                           for _ in range(AT_ONCE)])
    honest(told)
    assert agent("stop", **asked).rc == 0
    wait_until(lambda: not processes(pair.node), "the end of all announcements")
    assert everything(pair.node) == before
    assert list(agent.rsctmp.iterdir()) == []
    assert "Traceback" not in agent.log()


def test_fifty_at_once_on_fifty_addresses(pair, agent):
    before = everything(pair.node)
    each = [{"ip": "192.0.2.%d" % number, "arp_count": 1} for number in range(100, 125)]
    each += [{"ip": "2001:db8::%d" % number, "arp_count": 1} for number in range(100, 125)]
    for action, there in (("start", True), ("monitor", True), ("stop", False)):
        told = at_once(agent, [(action, asked) for asked in each])
        assert {code for _, code, _ in told} == {0}, told
        assert [bool(place(pair.node, asked["ip"])) for asked in each] == [there] * AT_ONCE
    wait_until(lambda: not processes(pair.node), "the end of all announcements")
    assert everything(pair.node) == before
    assert list(agent.rsctmp.iterdir()) == []
    assert "Traceback" not in agent.log()
