# SPDX-License-Identifier: GPL-2.0-only
"""route_table: an address whose network is in another routing table than main."""

import pytest

from tests.lab.state import everything, ip, place, routes
from tests.netns import field

NETWORK = {"198.51.100.9": "198.51.100.0/24", "2001:db8:9::9": "2001:db8:9::/64"}
WHERE = {"198.51.100.9": "eth1/24", "2001:db8:9::9": "eth1/64"}


@pytest.fixture(params=NETWORK, ids=["ipv4", "ipv6"])
def there(request, two_nics):
    """An address whose network is in table 100 over eth1, and in main over eth0."""
    ip(two_nics.node, "addr", "add", "203.0.113.1/24", "dev", "eth1")
    ip(two_nics.node, "route", "add", NETWORK[request.param], "dev", "eth0")
    ip(two_nics.node, "route", "add", NETWORK[request.param], "dev", "eth1", "table", "100")
    return request.param


def test_the_table_tells_the_place(two_nics, agent, there):
    asked = {"ip": there, "route_table": "100", "nodad": "true"}
    assert agent("validate-all", **asked).rc == 0
    assert agent("start", **asked).rc == 0
    assert place(two_nics.node, there) == WHERE[there]
    assert agent("monitor", **asked).rc == 0
    field.forget(agent)
    assert agent("monitor", **asked).rc == 0            # by the routes
    assert agent("stop", **asked).rc == 0
    assert place(two_nics.node, there) == ""


def test_main_by_default(two_nics, agent, there):
    assert agent("start", ip=there, nodad="true").rc == 0
    assert place(two_nics.node, there) == WHERE[there].replace("eth1", "eth0")


def test_nic_or_mask_with_it(two_nics, agent, there):
    family = "inet6" if ":" in there else "inet"
    before = routes(two_nics.node, family, "100")
    assert agent("start", ip=there, route_table="100", nic="eth0").rc == 1
    for asked in ({"nic": "eth1"}, {"cidr_netmask": WHERE[there][5:]}):
        asked.update(ip=there, route_table="100", nodad="true")
        assert agent("start", **asked).rc == 0
        assert place(two_nics.node, there) == WHERE[there]
        assert agent("stop", **asked).rc == 0
    assert routes(two_nics.node, family, "100") == before


def test_stop_without_a_note_looks_there(two_nics, agent, there):
    mask = WHERE[there][4:]
    for nic in ("eth0", "eth1"):
        ip(two_nics.node, "addr", "add", there + mask, "dev", nic,
           *(["nodad"] if ":" in there else []))
    assert agent("stop", ip=there, route_table="100").rc == 0
    assert place(two_nics.node, there) == "eth0" + mask


def test_a_name_and_proto(two_nics, agent):
    for nic, proto in (("eth0", "static"), ("eth1", "boot")):
        ip(two_nics.node, "route", "append", "198.51.100.0/24", "dev", nic, "table", "default",
           "proto", proto)
    for nic, proto in (("eth0", "static"), ("eth1", "boot")):
        asked = {"ip": "198.51.100.9", "route_table": "default", "proto": proto}
        assert agent("start", **asked).rc == 0
        assert place(two_nics.node, "198.51.100.9") == nic + "/24"
        assert agent("stop", **asked).rc == 0


@pytest.mark.parametrize("table, rc, reason", [
    ("77", 1, "no route in table 77 holds"), ("blue", 5, "route_table [blue]"),
    ("all", 6, "route_table [all]"), ("cache", 6, "route_table [cache]"),
    ("unspec", 6, "route_table [unspec]"), ("0", 6, "route_table [0]"),
    ("4294967296", 6, "route_table [4294967296]"), ("-1", 6, "route_table [-1]"),
    ("1 2", 6, "route_table [1 2]")])
def test_no_such_table(two_nics, agent, table, rc, reason):
    before = everything(two_nics.node)
    for action in ("start", "validate-all"):
        done = agent(action, ip="198.51.100.9", route_table=table)
        assert done.rc == rc and reason in done.reason, done
    assert agent("monitor", ip="198.51.100.9", route_table=table, CRM_meta_interval=0).rc == 7
    assert everything(two_nics.node) == before
    ip(two_nics.node, "addr", "add", "198.51.100.9/24", "dev", "eth1")
    assert agent("stop", ip="198.51.100.9", route_table=table).rc == 0
    assert place(two_nics.node, "198.51.100.9") == ""


def test_nic_and_mask_need_no_table(two_nics, agent):
    asked = {"ip": "198.51.100.9", "nic": "eth1", "cidr_netmask": "24", "route_table": "77"}
    assert agent("start", **asked).rc == 0
    assert place(two_nics.node, "198.51.100.9") == "eth1/24"
