# SPDX-License-Identifier: GPL-2.0-only
"""A node whose cable is pulled or whose interface is down, with and without check_link_status."""
import pytest

from tests.cluster.lab import AGENT, OURS, wait_until

V4 = ("192.0.2.120", 24)
V6 = pytest.param("2001:db8::120", 64, marks=pytest.mark.slow)
NOT_RUNNING = "not running"
ours_alone = pytest.mark.skipif(AGENT != OURS, reason="the shell agent has no such parameter")


@pytest.mark.parametrize("ip, mask", [V4, V6])
def test_carrier_lost_and_not_watched(empty, ip, mask):
    """As with the shell agent: the address stays where it is, nobody is told."""
    empty.primitive("vip", ip=ip, cidr_netmask=mask, nic="eth0")
    where = empty.running_on("vip")
    empty.cable(where[0], "down")
    wait_until(lambda: not empty.pings(ip), "silence")
    empty.settle()
    assert empty.holders(ip) == where and not empty.failures()
    empty.cable(where[0], "up")
    empty.check({"vip": ip})


@ours_alone
@pytest.mark.parametrize("ip, mask", [V4, V6])
def test_carrier_lost_with_check_link_status(empty, ip, mask):
    """The monitor finds the address not running; with migration-threshold=1 it moves."""
    empty.primitive("vip", meta="migration-threshold=1", ip=ip, cidr_netmask=mask, nic="eth0",
                    check_link_status="true")
    where = empty.running_on("vip")[0]
    empty.cable(where, "down")
    wait_until(lambda: empty.running_on("vip") not in ([], [where]), "the move")
    empty.check({"vip": ip}, [(where, "vip_monitor_2000", NOT_RUNNING)])
    empty.cable(where, "up")
    empty.forgive()
    empty.check({"vip": ip})


def test_interface_down_and_not_watched(empty):
    """An IPv4 address survives its interface's being down: as with the shell agent, it is still
    running. (IPv6 addresses do not survive that, see below.)"""
    ip, mask = V4
    empty.primitive("vip", ip=ip, cidr_netmask=mask, nic="eth0")
    where = empty.running_on("vip")
    empty.nodes[where[0]].run("ip", "link", "set", "eth0", "down")
    wait_until(lambda: not empty.pings(ip), "silence")
    empty.settle()
    assert empty.holders(ip) == where and not empty.failures()
    empty.nodes[where[0]].run("ip", "link", "set", "eth0", "up")
    empty.check({"vip": ip})


WATCHED = pytest.param(*V4, {"check_link_status": "true"}, marks=ours_alone, id="ipv4 watched")


@pytest.mark.parametrize("ip, mask, more", [
    WATCHED, pytest.param(*V6.values, {}, id="ipv6, whose address the kernel removes")])
def test_interface_down_is_healed(empty, ip, mask, more):
    """A monitor fails, and start sets the interface up again on the same node."""
    empty.primitive("vip", ip=ip, cidr_netmask=mask, nic="eth0", **more)
    where = empty.running_on("vip")[0]
    empty.nodes[where].run("ip", "link", "set", "eth0", "down")
    failed = [(where, "vip_monitor_2000", NOT_RUNNING)]
    wait_until(lambda: empty.failures() == failed, "a failed monitor")
    empty.check({"vip": ip}, failed)
    assert empty.running_on("vip") == [where]
    empty.forgive()
    empty.check({"vip": ip})
