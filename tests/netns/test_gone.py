# SPDX-License-Identifier: GPL-2.0-only
"""Stop, monitor and start when something went away or cannot be had: no stop may end in fencing,
none may leave the address, and a start that fails leaves nothing behind."""

import pytest

from tests.lab.state import addrlabels, address, everything, ip, links, place


def base(vip):
    return "2001:db8::/64" if ":" in vip else "192.0.2.0/24"


def test_stop_after_the_route_went_away(pair, agent, served):
    ip(pair.node, "route", "delete", base(served))
    done = agent("stop", ip=served)
    assert done.rc == 0, done
    assert place(pair.node, served) == ""


def test_stop_of_one_asked_for_by_nic_after_the_route_went_away(pair, agent, served):
    ip(pair.node, "route", "delete", base(served))
    assert agent("stop", ip=served, nic="eth0").rc == 0
    assert place(pair.node, served) == ""


def test_stop_after_another_route_came(two_nics, agent):
    agent("start", ip="192.0.2.50")
    ip(two_nics.node, "route", "add", "192.0.2.48/28", "dev", "eth1")
    assert agent("stop", ip="192.0.2.50").rc == 0
    assert place(two_nics.node, "192.0.2.50") == ""


def test_stop_without_route_leaves_other_addresses(pair, agent, served):
    ip(pair.node, "route", "delete", base(served))
    agent("stop", ip=served)
    assert place(pair.node, "192.0.2.1") == "eth0/24"
    assert place(pair.node, "2001:db8::1") == "eth0/64"


def test_stop_after_the_address_went_away(pair, agent, served):
    ip(pair.node, "addr", "delete", place(pair.node, served).replace("eth0", served), "dev", "eth0")
    assert agent("monitor", ip=served).rc == 7
    assert agent("stop", ip=served).rc == 0


def test_stop_with_the_link_down(pair, agent):
    agent("start", ip="192.0.2.50")
    ip(pair.node, "link", "set", "dev", "eth0", "down")
    done = agent("stop", ip="192.0.2.50")
    assert done.rc == 0, done
    assert place(pair.node, "192.0.2.50") == ""
    assert "UP" not in links(pair.node)["eth0"]["flags"]


def test_interface_went_away(pair, agent, served):
    ip(pair.node, "link", "delete", "dev", "eth0")
    assert agent("probe", ip=served, nic="eth0").rc == 7
    assert agent("monitor", ip=served, nic="eth0").rc == 1
    mask = 64 if ":" in served else 24
    assert agent("monitor", ip=served, nic="eth0", cidr_netmask=mask).rc == 7
    assert agent("stop", ip=served, nic="eth0").rc == 0
    assert agent("stop", ip=served).rc == 0


def test_start_without_the_interface(pair, agent, vip):
    done = agent("start", ip=vip, nic="eth7")
    assert done.rc == 6
    assert "eth7" in done.reason


def test_nothing_found(pair, agent):
    asked = {"ip": "203.0.113.9"}
    before = everything(pair.node)
    for action in ("start", "validate-all", "monitor"):
        done = agent(action, **asked)
        assert (done.rc, done.reason != "") == (1, True), done
    assert agent("probe", **asked).rc == 7
    assert agent("stop", **asked).rc == 0
    assert everything(pair.node) == before


BAD_VALUES = [
    ("arp_count", "0"), ("arp_count", "many"), ("arp_interval", "0"), ("arp_interval", ""),
    ("arp_count_refresh", "x"), ("iflabel", "a-very-long-label"), ("iflabel", "a b"),
    ("preferred_lft", ""), ("arp_sender", "pigeon"), ("broadcast", "nowhere"), ("mac", "12:34"),
    ("metric", "x"), ("proto", "no such"), ("send_arp_opts", "--bad"), ("clusterip_hash", "odd"),
    ("nic", "eth0:a-very-long-label"), ("lvs_ipv6_addrlabel", "true"),
    ("CRM_meta_clone_max", "0"), ("CRM_meta_clone", "x"), ("CRM_meta_timeout", "x")]


@pytest.mark.parametrize("name, value", BAD_VALUES)
def test_stop_with_a_bad_optional_value(pair, agent, name, value):
    agent("start", ip="192.0.2.50")
    done = agent("stop", ip="192.0.2.50", **{name: value})
    assert done.rc == 0, done
    assert place(pair.node, "192.0.2.50") == ""


@pytest.mark.parametrize("name, value", [
    ("lvs_ipv6_addrlabel_value", "x"), ("lvs_support", "true"), ("preferred_lft", ""),
    ("iflabel", "a-very-long-label"), ("arp_count", "0")])
def test_stop_of_an_ipv6_address_with_a_bad_optional_value(pair, agent, name, value):
    agent("start", ip="2001:db8::50")
    done = agent("stop", ip="2001:db8::50", lvs_ipv6_addrlabel="true", **{name: value})
    assert done.rc == 0, done
    assert place(pair.node, "2001:db8::50") == ""


@pytest.mark.parametrize("asked", [{}, {"ip": ""}, {"ip": "rubbish"}, {"ip": "192.0.2.50 dev lo"},
                                   {"ip": "-4"}])
def test_stop_that_cannot_know_its_address(pair, agent, asked):
    before = everything(pair.node)
    done = agent("stop", **asked)
    assert done.rc == 0, done
    assert everything(pair.node) == before


@pytest.mark.parametrize("name, value", [
    ("nic", "eth0 dev lo"), ("nic", "-4"), ("cidr_netmask", "24 dev lo"), ("cidr_netmask", "x"),
    ("cidr_netmask", "99"), ("network_namespace", "a b")])
def test_stop_with_a_place_that_cannot_be(pair, agent, name, value):
    """The stop is no failure, and what else is on the interfaces stays."""
    before = everything(pair.node)
    agent("start", ip="192.0.2.50", arp_bg="false")
    done = agent("stop", ip="192.0.2.50", **{name: value})
    assert done.rc == 0 and "Traceback" not in done.log, done
    ip(pair.node, "addr", "delete", "192.0.2.50/24", "dev", "eth0", check=False)
    assert everything(pair.node) == before


def test_failed_announcement_takes_the_address_back(pair, agent):
    tools = agent.stand_in("send_ua", "echo no way; exit 1\n", "tools")
    agent.stand_in("send_arp", "exit 1\n", "tools")
    before = everything(pair.node)
    done = agent("start", ip="2001:db8::50", lvs_ipv6_addrlabel="true", env={"HA_BIN": tools})
    assert (done.rc, done.reason != "") == (1, True), done
    assert "no way" in done.log
    assert everything(pair.node) == before


def test_failed_announcement_is_no_matter_for_ipv4(pair, agent):
    tools = agent.stand_in("send_arp", "echo no way; exit 1\n", "tools")
    done = agent("start", ip="192.0.2.50", arp_bg="false", env={"HA_BIN": tools})
    assert done.rc == 0, done
    assert "no way" in done.log and "ERROR" in done.log
    assert place(pair.node, "192.0.2.50") == "eth0/24"


def test_failed_add_takes_the_label_back(pair, agent):
    before = everything(pair.node)
    done = agent("start", ip="2001:db8::50", lvs_ipv6_addrlabel="true",
                 preferred_lft="99999999999")
    assert done.rc in (1, 6), done
    assert addrlabels(pair.node) == before["labels"]
    assert address(pair.node, "2001:db8::50") is None
