# SPDX-License-Identifier: GPL-2.0-only
"""Fifty moves in a row under load, and never an address on two nodes.

Watched in two places: on the bridge, where somebody asks every few milliseconds who has the
address, and in the kernels of the nodes, which note the instant of each change.
"""
import statistics

import pytest

from tests.cluster.lab import wait_until
from tests.cluster.watch import Watch, at_once, changes, gaps, traffic

pytestmark = pytest.mark.slow
MOVES = 50


both_families = pytest.mark.parametrize("ip, mask", [("192.0.2.140", 24), ("2001:db8::140", 64)])


@pytest.fixture
def watch(empty):
    """The nodes answer connections, and the changes of their addresses are written down."""
    with Watch(empty.folder) as watch:
        for name, node in empty.nodes.items():
            watch.start(f"{name}.addresses", node, "ip", "-ts", "-o", "monitor", "address")
            watch.start(f"{name}.serve", node, *traffic("serve", name))
        yield watch


def most_holders(empty, watch, ip):
    """at_once() of what was written down."""
    return at_once({name: watch.lines(f"{name}.addresses") for name in empty.nodes}, ip)


@both_families
def test_the_watch_sees_a_duplicate(empty, watch, ip, mask):
    """Without an agent, the address on both nodes by hand: both places notice."""
    watch.start("asked", empty.wire, *traffic("ask", "svc", ip, 0.005))
    for node in empty.nodes.values():
        node.run("ip", "address", "add", f"{ip}/{mask}", "dev", "eth0", "nodad")
    both = {empty.mac(name) for name in empty.nodes}
    wait_until(lambda: {mac for _, mac in watch.lines("asked")} == both, "answers of both")
    wait_until(lambda: most_holders(empty, watch, ip) == 2, "changes of both")
    for node in empty.nodes.values():
        node.run("ip", "address", "delete", f"{ip}/{mask}", "dev", "eth0")
    watch.stop()
    assert len(changes([mac for _, mac in watch.lines("asked")])) > 2


@both_families
def test_fifty_moves(empty, watch, ip, mask, record_property):
    """One holder at any instant, no failed action, each move seen by the client exactly once."""
    empty.primitive("vip", ip=ip, cidr_netmask=mask, nic="eth0")
    empty.check({"vip": ip})
    watch.start("knocks", empty.client, *traffic("knock", ip, 0.02))
    watch.start("asked", empty.wire, *traffic("ask", "svc", ip, 0.005))

    def served_by(name):
        return watch.lines("knocks")[-1:] and watch.lines("knocks")[-1][1] == name

    visited = empty.running_on("vip")
    wait_until(lambda: served_by(visited[0]), "the first connection")
    for _ in range(MOVES):
        visited.append(next(name for name in empty.nodes if name != visited[-1]))
        empty.run("crm_resource", "-r", "vip", "--move", "-N", visited[-1])
        empty.check({"vip": ip})
        wait_until(lambda: served_by(visited[-1]), f"a connection to {visited[-1]}")
        empty.run("crm_resource", "-r", "vip", "--clear")
    watch.stop()

    knocks = watch.lines("knocks")
    assert changes([name for _, name in knocks if name != "-"]) == visited
    macs = [empty.mac(name) for name in visited]
    assert changes([mac for _, mac in watch.lines("asked")]) == macs
    assert most_holders(empty, watch, ip) == 1
    seen = gaps(knocks)
    summary = (f"{len(seen)} moves, gap median {statistics.median(seen):.2f} s, "
               f"largest {max(seen):.2f} s")
    record_property("gap", summary)
    print(f"{ip}: {summary}")
