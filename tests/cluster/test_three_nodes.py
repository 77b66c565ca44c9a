# SPDX-License-Identifier: GPL-2.0-only
"""Three nodes, two addresses that stay together: round the cluster, and quorum lost."""
import pytest

from tests.cluster.lab import wait_until

pytestmark = pytest.mark.slow
NODES = 3
ADDRESSES = {"vip": "192.0.2.130", "vip6": "2001:db8::130"}


@pytest.fixture
def group(empty):
    """A group of an IPv4 and an IPv6 address."""
    empty.primitive("vip", ip=ADDRESSES["vip"], cidr_netmask=24, nic="eth0")
    empty.primitive("vip6", ip=ADDRESSES["vip6"], cidr_netmask=64, nic="eth0")
    empty.run("crm", "configure", "group", "both", *ADDRESSES)
    empty.check(ADDRESSES)
    return empty


def where(lab):
    """The one node that has the group."""
    names = {name for resource in ADDRESSES for name in lab.running_on(resource)}
    assert len(names) == 1, f"a group on {names}"
    return names.pop()


def test_round_the_cluster(group):
    """To each node in turn."""
    for name in group.nodes:
        group.run("crm", "resource", "move", "both", name, "force")
        group.check(ADDRESSES)
        assert where(group) == name
    group.run("crm", "resource", "clear", "both")


def test_standby_one_after_the_other(group):
    """With two of three in standby the third serves; back online, nothing moves."""
    for name in ("n1", "n2"):
        group.run("crm", "node", "standby", name)
        group.check(ADDRESSES)
    assert where(group) == "n3"
    for name in ("n1", "n2"):
        group.run("crm", "node", "online", name)
    group.check(ADDRESSES)
    assert where(group) == "n3"


def test_killed_and_quorum_lost(group):
    """One node dies: another takes over. A second: the last has no quorum, and stops."""
    group.run("crm_attribute", "-q", "-n", "no-quorum-policy", "-v", "stop")
    first = where(group)
    group.kill(group.nodes[first])
    wait_until(lambda: group.online() == {*group.nodes} - {first}, f"{first} gone")
    group.check(ADDRESSES)
    second = where(group)
    group.kill(group.nodes[second])
    last = ({*group.nodes} - {first, second}).pop()
    wait_until(lambda: group.online() == {last}, "the last node alone")
    group.settle()
    assert not any(group.holders(ip) for ip in ADDRESSES.values())
    group.revive(group.nodes[first])
    group.check(ADDRESSES)
    group.revive(group.nodes[second])
    group.check(ADDRESSES)
