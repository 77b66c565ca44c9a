# SPDX-License-Identifier: GPL-2.0-only
"""What is particular to IPv6: spelling, duplicate address detection, labels and lifetimes."""

import subprocess

import pytest

from tests.netns.state import (address, addresses, addrlabels, everything, ip, place, routes,
                               wait_until)

VIP = "2001:db8::50"


def test_address_is_usable_when_start_returns(pair, agent):
    assert agent("start", ip=VIP).rc == 0
    assert "tentative" not in address(pair.node, VIP)


def test_detection_is_waited_for_without_send_ua(pair, agent):
    subprocess.run(["ip", "netns", "exec", pair.node, "sh", "-c",
                    "echo 500 >/proc/sys/net/ipv6/neigh/eth0/retrans_time_ms"], check=True)
    done = agent("start", ip=VIP, env={"HA_BIN": str(agent.folder)})
    assert done.rc == 0, done
    assert "tentative" not in address(pair.node, VIP)
    assert 0.4 < done.seconds < 3


@pytest.mark.parametrize("tools", ["usual", "none"])
def test_collision(pair, agent, rival, tools):
    rival(VIP)
    before = everything(pair.node)
    env = {"HA_BIN": str(agent.folder)} if tools == "none" else {}
    done = agent("start", ip=VIP, lvs_ipv6_addrlabel="true", env=env)
    assert (done.rc, done.reason != "") == (1, True), done
    assert VIP in done.log
    assert everything(pair.node) == before


def test_nodad(pair, agent, rival):
    rival(VIP)
    assert agent("start", ip=VIP, nodad="true").rc == 0
    assert address(pair.node, VIP).get("nodad")


def test_dad_is_on_by_default(pair, agent):
    agent("start", ip=VIP)
    assert not address(pair.node, VIP).get("nodad")


def test_dadfailed_address_is_not_left_by_stop(pair, agent, rival):
    rival(VIP)
    ip(pair.node, "addr", "add", VIP + "/64", "dev", "eth0")
    wait_until(lambda: address(pair.node, VIP).get("dadfailed"), "collision")
    assert agent("stop", ip=VIP).rc == 0
    assert place(pair.node, VIP) == ""


@pytest.mark.parametrize("value", [None, "7"])
def test_addrlabel(pair, agent, value):
    asked = {"ip": VIP, "lvs_ipv6_addrlabel": "true", "lvs_ipv6_addrlabel_value": value}
    before = addrlabels(pair.node)
    done = agent("start", **asked)
    assert done.rc == 0, done
    assert addrlabels(pair.node) == {**before, VIP + "/128": int(value or 99)}
    assert agent("monitor", **asked).rc == 0
    assert agent("stop", **asked).rc == 0
    assert addrlabels(pair.node) == before


def test_no_addrlabel_by_default(pair, agent):
    before = addrlabels(pair.node)
    agent("start", ip=VIP)
    assert addrlabels(pair.node) == before


def test_addrlabel_that_is_there_already_is_no_matter(pair, agent):
    ip(pair.node, "addrlabel", "add", "prefix", VIP + "/128", "label", "99")
    done = agent("start", ip=VIP, lvs_ipv6_addrlabel="true")
    assert done.rc == 0, done
    assert "WARNING" in done.log
    assert addrlabels(pair.node)[VIP + "/128"] == 99


def test_preferred_lft_is_forever_by_default(pair, agent):
    agent("start", ip=VIP)
    assert address(pair.node, VIP)["preferred_life_time"] == 2 ** 32 - 1


def test_preferred_lft(pair, agent):
    assert agent("start", ip=VIP, preferred_lft=0).rc == 0
    found = address(pair.node, VIP)
    assert found["deprecated"] and found["preferred_life_time"] == 0
    assert agent("monitor", ip=VIP, preferred_lft=0).rc == 0
    assert agent("stop", ip=VIP, preferred_lft=0).rc == 0
    assert place(pair.node, VIP) == ""


def test_preferred_lft_in_seconds(pair, agent):
    agent("start", ip=VIP, preferred_lft=600)
    assert 590 <= address(pair.node, VIP)["preferred_life_time"] <= 600


@pytest.mark.parametrize("given, made", [("true", False), ("false", True)])
def test_noprefixroute(pair, agent, given, made):
    asked = {"ip": "2001:db8:9::5", "nic": "eth0", "cidr_netmask": 64}
    assert agent("start", noprefixroute=given, **asked).rc == 0
    assert ("2001:db8:9::/64" in [route["dst"] for route in routes(pair.node, "inet6")]) is made


def test_metric_is_the_routes(pair, agent):
    asked = {"ip": "2001:db8:9::5", "nic": "eth0", "cidr_netmask": 64, "metric": 77}
    assert agent("start", **asked).rc == 0
    assert [route["metric"] for route in routes(pair.node, "inet6")
            if route["dst"] == "2001:db8:9::/64"] == [77]


SPELLINGS = ["2001:DB8::50", "2001:0db8:0:0:0:0:0:0050", "2001:dB8:0::0050"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spelling(pair, agent, spelling):
    assert agent("start", ip=spelling).rc == 0
    assert place(pair.node, VIP) == "eth0/64"
    assert agent("monitor", ip=VIP).rc == 0
    assert agent("monitor", ip=spelling).rc == 0
    assert agent("stop", ip=spelling).rc == 0
    assert place(pair.node, VIP) == ""


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spelling_without_any_route(pair, agent, spelling):
    asked = {"nic": "eth0", "cidr_netmask": 64, "noprefixroute": "true", "ip": spelling}
    ip(pair.node, "-6", "route", "flush", "dev", "eth0")
    assert agent("start", **asked).rc == 0
    assert agent("monitor", **asked).rc == 0
    assert agent("start", **asked).rc == 0
    assert agent("stop", **asked).rc == 0
    assert place(pair.node, VIP) == ""


@pytest.mark.parametrize("asked", [{"iflabel": "web"}, {"nic": "eth0:web"}])
def test_label_is_left_out_with_a_warning(pair, agent, asked):
    done = agent("start", ip=VIP, **asked)
    assert done.rc == 0, done
    assert "WARNING" in done.log and "web" in done.log
    assert place(pair.node, VIP) == "eth0/64"
    assert agent("monitor", ip=VIP, **asked).rc == 0
    assert agent("stop", ip=VIP, **asked).rc == 0
    assert place(pair.node, VIP) == ""


def test_broadcast_is_nothing_to_ipv6(pair, agent):
    assert agent("start", ip=VIP).rc == 0
    assert "broadcast" not in address(pair.node, VIP)


def test_lvs_support_is_for_ipv4(pair, agent):
    before = everything(pair.node)
    done = agent("start", ip=VIP, lvs_support="true")
    assert done.rc == 6 and "lvs_support" in done.reason, done
    assert everything(pair.node) == before


def test_addrlabel_is_for_ipv6(pair, agent):
    before = addresses(pair.node)
    done = agent("start", ip="192.0.2.50", lvs_ipv6_addrlabel="true")
    assert done.rc == 6 and "lvs_ipv6_addrlabel" in done.reason, done
    assert addresses(pair.node) == before
