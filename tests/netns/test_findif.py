# SPDX-License-Identifier: GPL-2.0-only
"""Which interface and prefix an address gets from the routing table."""

import pytest

from tests.lab.state import address, everything, ip, place


def lands_on(hosts, agent, vip, **parameters):
    """Start, monitor and stop; give where the address was ("eth0/24")."""
    done = agent("start", ip=vip, **parameters)
    assert done.rc == 0, done
    where = place(hosts.node, vip)
    assert agent("monitor", ip=vip, **parameters).rc == 0
    done = agent("stop", ip=vip, **parameters)
    assert done.rc == 0, done
    assert place(hosts.node, vip) == ""
    return where


def refused(hosts, agent, rc, **parameters):
    """start and validate-all exit rc with a reason and change nothing."""
    before = everything(hosts.node)
    for action in ("start", "validate-all"):
        done = agent(action, **parameters)
        assert (done.rc, done.reason != "") == (rc, True), done
    assert everything(hosts.node) == before


def route(hosts, *words):
    ip(hosts.node, "route", "add", *words)


def test_longest_prefix(two_nics, agent):
    ip(two_nics.node, "addr", "add", "10.0.0.1/8", "dev", "eth0")
    ip(two_nics.node, "addr", "add", "10.2.3.1/24", "dev", "eth1")
    assert lands_on(two_nics, agent, "10.2.3.9") == "eth1/24"
    assert lands_on(two_nics, agent, "10.2.4.9") == "eth0/8"


def test_longest_prefix_ipv6(two_nics, agent):
    ip(two_nics.node, "addr", "add", "2001:db8:9::1/48", "dev", "eth1", "nodad")
    ip(two_nics.node, "addr", "add", "2001:db8:9::2/64", "dev", "eth0", "nodad")
    assert lands_on(two_nics, agent, "2001:db8:9::9") == "eth0/64"
    assert lands_on(two_nics, agent, "2001:db8:9:1::9") == "eth1/48"


def test_prefix_goes_before_metric(two_nics, agent):
    route(two_nics, "10.0.0.0/8", "dev", "eth0")
    route(two_nics, "10.2.3.0/24", "dev", "eth1", "metric", "101")
    assert lands_on(two_nics, agent, "10.2.3.9") == "eth1/24"


@pytest.mark.parametrize("metrics, winner", [
    (("200", "100"), "eth1/24"), (("100", "200"), "eth0/24"), (("5", "0"), "eth1/24"),
    (("1000", "200"), "eth1/24")])
def test_lowest_metric_among_equals(two_nics, agent, metrics, winner):
    route(two_nics, "198.51.100.0/24", "dev", "eth0", "metric", metrics[0])
    route(two_nics, "198.51.100.0/24", "dev", "eth1", "metric", metrics[1])
    assert lands_on(two_nics, agent, "198.51.100.9") == winner


def test_lowest_metric_among_equals_ipv6(two_nics, agent):
    route(two_nics, "2001:db8:9::/64", "dev", "eth0", "metric", "1024")
    route(two_nics, "2001:db8:9::/64", "dev", "eth1", "metric", "300")
    assert lands_on(two_nics, agent, "2001:db8:9::9") == "eth1/64"


def test_two_equal_routes_are_decided_by_byte_order(two_nics, agent):
    ip(two_nics.node, "route", "append", "198.51.100.0/24", "dev", "eth1")
    ip(two_nics.node, "route", "append", "198.51.100.0/24", "dev", "eth0")
    assert lands_on(two_nics, agent, "198.51.100.9") == "eth0/24"


@pytest.mark.parametrize("vip, where", [("192.0.2.70", "eth1/32"), ("2001:db8::70", "eth1/128")])
def test_host_route_counts_in_full(two_nics, agent, vip, where):
    route(two_nics, vip, "dev", "eth1")
    assert lands_on(two_nics, agent, vip) == where


@pytest.mark.parametrize("kind", ["unreachable", "blackhole", "prohibit", "throw"])
def test_route_to_nowhere_never_matches(pair, agent, kind):
    route(pair, kind, "192.0.2.48/28")
    route(pair, kind, "2001:db8::/112")
    assert lands_on(pair, agent, "192.0.2.50") == "eth0/24"
    assert lands_on(pair, agent, "2001:db8::50") == "eth0/64"


def test_default_route_never_matches(pair, agent):
    route(pair, "default", "dev", "eth0")
    ip(pair.node, "-6", "route", "add", "default", "dev", "eth0")
    refused(pair, agent, 1, ip="203.0.113.9")
    refused(pair, agent, 1, ip="2001:db8:9::9")


def test_route_by_gateway_never_matches(pair, agent):
    route(pair, "198.51.100.0/24", "via", "192.0.2.2")
    route(pair, "2001:db8:9::/64", "via", "2001:db8::2")
    refused(pair, agent, 1, ip="198.51.100.9")
    refused(pair, agent, 1, ip="2001:db8:9::9")


@pytest.mark.parametrize("vip, mask", [("198.51.100.9", 24), ("2001:db8:9::9", 64)])
def test_nic_and_mask_need_no_route(pair, agent, vip, mask):
    assert lands_on(pair, agent, vip, nic="eth0", cidr_netmask=mask) == "eth0/%d" % mask


@pytest.mark.parametrize("vip", ["198.51.100.9", "2001:db8:9::9"])
def test_nic_alone_needs_a_route(pair, agent, vip):
    refused(pair, agent, 1, ip=vip, nic="eth0")


@pytest.mark.parametrize("vip", ["198.51.100.9", "2001:db8:9::9"])
def test_mask_alone_needs_a_route(pair, agent, vip):
    refused(pair, agent, 1, ip=vip, cidr_netmask=64 if ":" in vip else 24)


def test_nic_restricts_the_routes(two_nics, agent):
    route(two_nics, "192.0.2.0/25", "dev", "eth1", "metric", "50")
    assert lands_on(two_nics, agent, "192.0.2.9") == "eth1/25"
    assert lands_on(two_nics, agent, "192.0.2.9", nic="eth0") == "eth0/24"


def test_nic_is_a_whole_name(two_nics, agent):
    two_nics.connect("eth10", "eth10")
    route(two_nics, "198.51.100.0/24", "dev", "eth10")
    refused(two_nics, agent, 1, ip="198.51.100.9", nic="eth1")


def test_mask_without_nic(pair, agent):
    assert lands_on(pair, agent, "192.0.2.50", cidr_netmask=28) == "eth0/28"
    assert lands_on(pair, agent, "192.0.2.50", cidr_netmask=32) == "eth0/32"


def test_mask_wider_than_the_route_without_nic(pair, agent):
    refused(pair, agent, 1, ip="192.0.2.50", cidr_netmask=16)


@pytest.mark.parametrize("mask", [80, 128])
def test_ipv6_mask_narrower_than_the_route_without_nic(pair, agent, mask):
    place = lands_on(pair, agent, "2001:db8::50", cidr_netmask=mask)
    assert place == "eth0/%d" % mask


def test_ipv6_mask_wider_than_the_route_without_nic(pair, agent):
    refused(pair, agent, 1, ip="2001:db8::50", cidr_netmask=48)


def test_ipv6_mask_of_the_route_without_nic(pair, agent):
    assert lands_on(pair, agent, "2001:db8::50", cidr_netmask=64) == "eth0/64"


def test_loopback_network(pair, agent):
    assert lands_on(pair, agent, "127.0.0.3") == "lo/8"


def test_link_local_without_nic(pair, agent):
    refused(pair, agent, 6, ip="fe80::50")
    refused(pair, agent, 6, ip="FE80::50")


def test_link_local_with_nic(pair, agent):
    assert lands_on(pair, agent, "fe80::50", nic="eth0") == "eth0/64"


def test_proto(two_nics, agent):
    route(two_nics, "198.51.100.0/24", "dev", "eth0", "proto", "static")
    route(two_nics, "198.51.100.0/25", "dev", "eth1", "proto", "boot")
    assert lands_on(two_nics, agent, "198.51.100.9") == "eth1/25"
    assert lands_on(two_nics, agent, "198.51.100.9", proto="static") == "eth0/24"
    refused(two_nics, agent, 1, ip="198.51.100.9", proto="kernel")


def test_altname(pair, agent, vip):
    ip(pair.node, "link", "property", "add", "dev", "eth0", "altname", "a-rather-long-altname0")
    asked = {"nic": "a-rather-long-altname0"}
    assert lands_on(pair, agent, vip, **asked).startswith("eth0/")


def test_altname_with_mask(pair, agent):
    ip(pair.node, "link", "property", "add", "dev", "eth0", "altname", "public0")
    asked = {"nic": "public0", "cidr_netmask": 28}
    assert lands_on(pair, agent, "192.0.2.50", **asked) == "eth0/28"


def test_altname_with_label(pair, agent):
    ip(pair.node, "link", "property", "add", "dev", "eth0", "altname", "public0")
    assert agent("start", ip="192.0.2.50", nic="public0:web").rc == 0
    assert address(pair.node, "192.0.2.50")["label"] == "eth0:web"


@pytest.mark.parametrize("pair", ["up", "primary", "dev", "master", "br-0.12", "a+b"],
                         indirect=True)
def test_interface_named_like_a_keyword(pair, agent, vip):
    mask = 64 if ":" in vip else 24
    assert lands_on(pair, agent, vip) == "%s/%d" % (pair.nic, mask)
    assert lands_on(pair, agent, vip, nic=pair.nic) == "%s/%d" % (pair.nic, mask)


def test_keyword_interface_is_brought_up(pair, agent):
    ip(pair.node, "link", "add", "name", "up", "link", "eth0", "type", "macvlan")
    assert lands_on(pair, agent, "198.51.100.9", nic="up", cidr_netmask=24) == "up/24"


@pytest.mark.parametrize("words", [["link", "eth0", "type", "macvlan"], ["type", "bridge"]],
                         ids=["macvlan", "bridge"])
def test_other_kinds_of_interface(pair, agent, words):
    ip(pair.node, "link", "add", "name", "net0", *words)
    ip(pair.node, "link", "set", "dev", "net0", "up")
    ip(pair.node, "addr", "add", "198.51.100.1/24", "dev", "net0")
    assert lands_on(pair, agent, "198.51.100.9") == "net0/24"
