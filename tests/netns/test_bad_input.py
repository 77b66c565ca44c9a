# SPDX-License-Identifier: GPL-2.0-only
"""Wrong values: 6 on start and validate-all with a reason that says which, and nothing changed."""

import pytest

from tests.lab.state import everything

VIP = "192.0.2.50"
VIP6 = "2001:db8::50"

BAD = [("ip", value, {}) for value in (
    "192.0.2", "192.0.2.256", "192.0.2.050", "224.0.0.1", "1.2.3.4.5", "0.1.2.3", ":::",
    "2001:db8::g", "2001:db8::1::2", "12345::", "192.0.2.50/24", "192.0.2.50 dev lo", "-4",
    "localhost", "192.0.2.50\n-4", "192.0.2 .50", "fe80::1%eth0", "!", "(", "$(id)")]
BAD += [("nic", value, {"ip": VIP}) for value in (
    "eth7", "-eth0", "eth0 up", "eth0;id", "eth0/../lo", "an-interface-name-far-too-long")]
BAD += [("cidr_netmask", value, {"ip": VIP, "nic": "eth0"}) for value in (
    "0", "33", "129", "24x", "/24", "-1", "2 4", "255.0.255.0", "255.255.255", "256.0.0.0",
    "0024", "+24")]
BAD += [("cidr_netmask", value, {"ip": VIP6, "nic": "eth0"}) for value in ("0", "129", "x", "-1")]
BAD += [("broadcast", value, {"ip": VIP}) for value in (
    "nowhere", "192.0.2", "192.0.2.256", "++", "192.0.2.255 dev lo", "-x")]
BAD += [("iflabel", value, {"ip": VIP}) for value in (
    "0123456789a", "a b", "-x y", "tab\there")]
BAD += [(name, value, {"ip": VIP}) for name in ("arp_interval", "arp_count") for value in (
    "0", "-1", "many", "1.5", "", "1 0", "0x10")]
BAD += [("arp_count_refresh", value, {"ip": VIP}) for value in ("-1", "x", "1 0")]
BAD += [("metric", value, {"ip": VIP}) for value in ("-1", "x", "1 0", "99999999999")]
BAD += [("lvs_ipv6_addrlabel_value", value, {"ip": VIP6, "lvs_ipv6_addrlabel": "true"})
        for value in ("-1", "x", "", "1 0")]
BAD += [("arp_sender", value, {"ip": VIP}) for value in ("pigeon", "send_arp -x", "/bin/sh")]
BAD += [("proto", value, {"ip": VIP}) for value in ("no such", "-4")]
BAD += [("preferred_lft", value, {"ip": VIP6}) for value in ("", "0 valid_lft 1", "-1")]
BAD += [("preferred_lft", "", {"ip": VIP})]


@pytest.mark.parametrize("name, value, others", BAD,
                         ids=["%s=%r" % (name, value) for name, value, _ in BAD])
def test_wrong_value(pair, agent, name, value, others):
    before = everything(pair.node)
    for action in ("start", "validate-all"):
        done = agent(action, **{**others, name: value})
        assert done.rc == 6, done
        assert name in done.reason, done
        assert " ".join(value.split("\n")) in done.reason, done
        assert done.err.count("\n") == 1, done
        assert "Traceback" not in done.log, done
    for action in ("monitor", "probe", "stop"):
        done = agent(action, **{**others, name: value})
        assert done.rc in {"monitor": (1, 6, 7), "probe": (6, 7), "stop": (0,)}[action], done
        assert "Traceback" not in done.log + done.err, done
    assert everything(pair.node) == before


@pytest.mark.parametrize("action, rc", [
    ("start", 6), ("validate-all", 6), ("monitor", 6), ("stop", 0)])
@pytest.mark.parametrize("asked", [{}, {"ip": ""}], ids=["unset", "empty"])
def test_ip_is_required(pair, agent, asked, action, rc):
    before = everything(pair.node)
    done = agent(action, **asked)
    assert done.rc == rc, done
    assert rc == 0 or "ip" in done.reason.split() or "(ip" in done.reason
    assert everything(pair.node) == before


@pytest.mark.parametrize("name, value", [
    ("CRM_meta_clone_max", "0"), ("CRM_meta_clone_max", "x"), ("CRM_meta_clone", "x")])
def test_wrong_meta_attribute(pair, agent, name, value):
    before = everything(pair.node)
    done = agent("start", ip=VIP, **{name: value})
    assert done.rc == 6, done
    assert name.replace("CRM_meta_", "") in done.reason
    assert everything(pair.node) == before


@pytest.mark.parametrize("name", ["lvs_support", "nodad", "noprefixroute", "flush_routes",
                                  "run_arping", "arp_bg", "check_link_status", "kill_connections"])
def test_odd_booleans_are_false(agent, name):
    assert agent("start", ip=VIP, **{name: "Perhaps so"}).rc == 0


def test_old_agents_parameters_are_no_matter(agent):
    assert agent("start", ip=VIP, arp_mac="ffffffffffff", table="main").rc == 0


@pytest.mark.parametrize("value", ["x", "-1", "", "0", "1.5"])
def test_odd_timeout_is_no_matter(agent, value):
    assert agent("start", ip=VIP, CRM_meta_timeout=value).rc == 0
