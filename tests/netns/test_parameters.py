# SPDX-License-Identifier: GPL-2.0-only
"""Each parameter of an address, seen on the interface."""

import pytest

from tests.lab.agent import IP
from tests.lab.state import address, everything, ip, place, routes

VIP = "192.0.2.50"


def started(pair, agent, **parameters):
    """Start, and give what the kernel then says of the address."""
    parameters.setdefault("ip", VIP)
    done = agent("start", **parameters)
    assert done.rc == 0, done
    assert agent("monitor", **parameters).rc == 0
    return address(pair.node, parameters["ip"])


def test_broadcast_comes_from_the_base_address(pair, agent):
    assert started(pair, agent)["broadcast"] == "192.0.2.255"


def test_no_broadcast_where_the_base_address_has_none(pair, agent):
    ip(pair.node, "addr", "delete", "192.0.2.1/24", "dev", "eth0")
    ip(pair.node, "addr", "add", "192.0.2.1/24", "dev", "eth0")
    assert "broadcast" not in started(pair, agent)


@pytest.mark.parametrize("given, seen", [
    ("192.0.2.127", "192.0.2.127"), ("+", "192.0.2.255"), ("-", "192.0.2.0")])
def test_broadcast_given(pair, agent, given, seen):
    assert started(pair, agent, broadcast=given)["broadcast"] == seen


def test_broadcast_plus_follows_the_mask(pair, agent):
    assert started(pair, agent, nic="eth0", cidr_netmask=28, broadcast="+")[
        "broadcast"] == "192.0.2.63"


def test_broadcast_is_not_guessed_from_a_metric(two_nics, agent):
    ip(two_nics.node, "addr", "add", "10.100.0.1/16", "brd", "+", "dev", "eth1")
    ip(two_nics.node, "route", "add", "172.16.0.0/24", "dev", "eth0", "proto", "static",
       "metric", "100")
    assert "broadcast" not in started(two_nics, agent, ip="172.16.0.9")


def test_broadcast_is_not_taken_from_another_interface(two_nics, agent):
    ip(two_nics.node, "addr", "add", "192.0.2.3/25", "brd", "192.0.2.127", "dev", "eth1",
       "noprefixroute")
    assert started(two_nics, agent, nic="eth0")["broadcast"] == "192.0.2.255"


def test_label_is_the_interface_by_default(pair, agent):
    assert started(pair, agent)["label"] == "eth0"


@pytest.mark.parametrize("asked", [{"iflabel": "web"}, {"nic": "eth0", "iflabel": "web"},
                                   {"nic": "eth0:web"}])
def test_label(pair, agent, asked):
    assert started(pair, agent, **asked)["label"] == "eth0:web"
    assert agent("stop", ip=VIP, **asked).rc == 0
    assert place(pair.node, VIP) == ""


def test_longest_label(pair, agent):
    assert started(pair, agent, iflabel="0123456789")["label"] == "eth0:0123456789"


def test_cidr_netmask(pair, agent):
    started(pair, agent, nic="eth0", cidr_netmask=28)
    assert place(pair.node, VIP) == "eth0/28"
    assert agent("stop", ip=VIP, nic="eth0", cidr_netmask=28).rc == 0
    assert place(pair.node, VIP) == ""


def test_netmask_is_the_old_name(pair, agent):
    started(pair, agent, netmask=28)
    assert place(pair.node, VIP) == "eth0/28"


@pytest.mark.parametrize("given, prefix", [("255.255.255.240", 28), ("255.255.255.255", 32)])
def test_dotted_quad_netmask_is_converted_with_a_warning(pair, agent, given, prefix):
    done = agent("start", ip=VIP, nic="eth0", cidr_netmask=given)
    assert done.rc == 0, done
    assert "WARNING" in done.log and given in done.log
    assert place(pair.node, VIP) == "eth0/%d" % prefix
    assert agent("stop", ip=VIP, nic="eth0", cidr_netmask=given).rc == 0
    assert place(pair.node, VIP) == ""


@pytest.mark.parametrize("given, made", [("true", False), ("false", True)])
def test_noprefixroute(pair, agent, given, made):
    asked = {"ip": "198.51.100.5", "nic": "eth0", "cidr_netmask": 24, "noprefixroute": given}
    assert started(pair, agent, **asked).get("noprefixroute", False) is not made
    assert ("198.51.100.0/24" in [route["dst"] for route in routes(pair.node)]) is made


def test_metric_is_the_routes(pair, agent):
    asked = {"ip": "198.51.100.5", "nic": "eth0", "cidr_netmask": 24, "metric": 77}
    assert started(pair, agent, **asked)["metric"] == 77
    found = [route for route in routes(pair.node) if route["dst"] == "198.51.100.0/24"]
    assert [route["metric"] for route in found] == [77]


@pytest.mark.parametrize("name, value", [("preferred_lft", "0"), ("nodad", "true")])
def test_ipv6_only_parameters_do_nothing_for_ipv4(pair, agent, name, value):
    plain = started(pair, agent)
    agent("stop", ip=VIP)
    assert started(pair, agent, **{name: value}) == plain


def test_flush_routes(pair, agent):
    tools = agent.stand_in("ip", 'echo "$*" >>"$HA_RSCTMP/calls"; exec %s "$@"\n' % IP)
    env = {"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"}
    for given in ("false", "true"):
        assert agent("start", ip=VIP, flush_routes=given, env=env).rc == 0
        assert agent("stop", ip=VIP, flush_routes=given, env=env).rc == 0
        calls = (agent.rsctmp / "calls").read_text().splitlines()
        assert ("route flush cache" in calls) is (given == "true")


def test_link_status_is_not_looked_at_by_default(pair, agent):
    started(pair, agent, nic="eth0", cidr_netmask=24)
    ip(pair.neighbour, "link", "set", "dev", "eth0", "down")
    assert agent("monitor", ip=VIP, nic="eth0", cidr_netmask=24).rc == 0


@pytest.mark.parametrize("end", ["node", "neighbour"])
def test_check_link_status(pair, agent, end):
    asked = {"ip": VIP, "nic": "eth0", "cidr_netmask": 24, "check_link_status": "true"}
    started(pair, agent, **asked)
    ip(getattr(pair, end), "link", "set", "dev", "eth0", "down")
    assert agent("monitor", **asked).rc == 7
    assert agent("status", **asked).rc == 7
    assert agent("stop", **asked).rc == 0
    assert place(pair.node, VIP) == ""


def test_check_link_status_with_an_altname(pair, agent):
    ip(pair.node, "link", "property", "add", "dev", "eth0", "altname", "public0")
    asked = {"ip": VIP, "check_link_status": "true"}
    started(pair, agent, **asked)
    ip(pair.neighbour, "link", "set", "dev", "eth0", "down")
    assert agent("monitor", **asked).rc == 7


def test_check_link_status_knows_its_own_interface(two_nics, agent):
    ip(two_nics.neighbour, "link", "set", "dev", "eth1", "down")
    started(two_nics, agent, check_link_status="true")


CLONE = {"unique_clone_address": "true", "CRM_meta_globally_unique": "true",
         "CRM_meta_clone_max": 3, "CRM_meta_clone": 2}


@pytest.mark.parametrize("given, seen", [
    ("192.0.2.50", "192.0.2.52"), ("2001:db8::50", "2001:db8::52"),
    ("2001:db8::fe", "2001:db8::100"), ("2001:db8::ffff", "2001:db8::1:1")])
def test_unique_clone_address_adds_the_clone_number(pair, agent, given, seen):
    done = agent("start", ip=given, **CLONE)
    assert done.rc == 0, done
    assert address(pair.node, seen) and not address(pair.node, given)
    assert agent("monitor", ip=given, **CLONE).rc == 0
    assert agent("stop", ip=given, **CLONE).rc == 0
    assert not address(pair.node, seen)


def test_unique_clone_address_carries_into_the_next_octet(pair, agent):
    done = agent("start", ip="10.1.1.254", nic="eth0", cidr_netmask=16, **CLONE)
    assert done.rc == 0, done
    assert address(pair.node, "10.1.2.0")


@pytest.mark.parametrize("given", ["255.255.255.254", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"])
def test_unique_clone_address_out_of_range(pair, agent, given):
    before = everything(pair.node)
    done = agent("start", ip=given, nic="eth0", cidr_netmask=24, **CLONE)
    assert done.rc == 6, done
    assert given in done.reason
    assert everything(pair.node) == before


def test_unique_clone_address_needs_a_globally_unique_clone(agent):
    asked = dict(CLONE, CRM_meta_globally_unique="false")
    assert agent("validate-all", ip=VIP, **asked).rc == 6
