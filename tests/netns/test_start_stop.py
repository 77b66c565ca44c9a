# SPDX-License-Identifier: GPL-2.0-only
"""start, monitor, probe, status, validate-all and stop of an address in the node's own network."""

import subprocess

import pytest

from tests.lab.state import address, addresses, everything, ip, links, place


def prefix(vip):
    return 64 if ":" in vip else 24


def test_start_adds_the_address(pair, agent, vip):
    done = agent("start", ip=vip)
    assert (done.rc, done.out, done.err) == (0, "", "")
    assert place(pair.node, vip) == "eth0/%d" % prefix(vip)


def test_stop_removes_the_address_and_nothing_else(pair, agent, vip):
    before = everything(pair.node)
    agent("start", ip=vip)
    done = agent("stop", ip=vip)
    assert (done.rc, done.out, done.err) == (0, "", "")
    assert everything(pair.node) == before


def test_start_twice(pair, agent, served):
    before = everything(pair.node)
    assert agent("start", ip=served).rc == 0
    assert everything(pair.node) == before


def test_stop_twice(pair, agent, served):
    assert agent("stop", ip=served).rc == 0
    assert agent("stop", ip=served).rc == 0
    assert place(pair.node, served) == ""


@pytest.mark.parametrize("action", ["monitor", "probe"])
def test_monitor(agent, action, vip):
    assert agent(action, ip=vip).rc == 7
    assert agent("start", ip=vip).rc == 0
    done = agent(action, ip=vip)
    assert (done.rc, done.out, done.err) == (0, "", "")
    assert agent("stop", ip=vip).rc == 0
    assert agent(action, ip=vip).rc == 7


def test_status_says_running_or_stopped(agent, vip):
    done = agent("status", ip=vip)
    assert (done.rc, done.out) == (7, "stopped\n")
    agent("start", ip=vip)
    done = agent("status", ip=vip)
    assert (done.rc, done.out) == (0, "running\n")


def test_validate_all_changes_nothing(pair, agent, vip):
    before = everything(pair.node)
    assert agent("validate-all", ip=vip).rc == 0
    assert everything(pair.node) == before


def test_monitor_is_quiet_in_the_log(agent, vip):
    agent("start", ip=vip, arp_bg="false")
    assert agent("monitor", ip=vip).log == ""


def test_neighbour_reaches_the_address(pair, need, served):
    need("ping", "iputils-ping")
    done = subprocess.run(["ip", "netns", "exec", pair.neighbour, "ping", "-nc1", "-W2", served],
                          stdout=subprocess.PIPE, timeout=20)
    assert done.returncode == 0, done.stdout


def test_start_brings_the_interface_up(pair, agent, vip):
    ip(pair.node, "link", "set", "dev", "eth0", "down")
    done = agent("start", ip=vip, nic="eth0", cidr_netmask=prefix(vip))
    assert done.rc == 0, done
    assert "UP" in links(pair.node)["eth0"]["flags"]
    assert place(pair.node, vip) == "eth0/%d" % prefix(vip)


def test_address_that_was_there_already_is_running(pair, agent, vip):
    ip(pair.node, "addr", "add", "%s/%d" % (vip, prefix(vip)), "dev", "eth0")
    before = addresses(pair.node)
    assert agent("monitor", ip=vip).rc == 0
    assert agent("start", ip=vip).rc == 0
    assert [entry["local"] for entry in addresses(pair.node)] == [
        entry["local"] for entry in before]


def test_two_addresses_of_one_network_stop_one_by_one(pair, agent):
    for vip in ("192.0.2.50", "192.0.2.51"):
        assert agent("start", ip=vip).rc == 0
    assert agent("stop", ip="192.0.2.50").rc == 0
    assert agent("monitor", ip="192.0.2.51").rc == 0
    assert place(pair.node, "192.0.2.50") == ""


def test_many_agents_at_the_same_time(pair, agent):
    vips = ["192.0.2.%d" % number for number in range(60, 68)]
    runs = [agent.start_process("start", subprocess.DEVNULL, subprocess.DEVNULL, ip=vip)
            for vip in vips]
    assert [run.wait(30) for run in runs] == [0] * len(vips)
    assert [place(pair.node, vip) for vip in vips] == ["eth0/24"] * len(vips)


def test_a_prefix_of_the_address_is_another_address(pair, agent):
    assert agent("start", ip="192.0.2.50").rc == 0
    assert agent("monitor", ip="192.0.2.5").rc == 7
    assert agent("stop", ip="192.0.2.5").rc == 0
    assert place(pair.node, "192.0.2.50") == "eth0/24"


def test_another_mask_is_another_address(pair, agent):
    agent("start", ip="192.0.2.50")
    asked = {"ip": "192.0.2.50", "nic": "eth0"}
    assert agent("monitor", cidr_netmask=28, **asked).rc == 7
    assert agent("monitor", cidr_netmask=2, **asked).rc == 7
    assert agent("monitor", cidr_netmask=24, **asked).rc == 0


@pytest.mark.parametrize("mask", [2, 25])
def test_stop_with_another_mask_removes_the_address(pair, agent, mask):
    ip(pair.node, "addr", "add", "192.0.2.50/24", "dev", "eth0")
    assert agent("monitor", ip="192.0.2.50", nic="eth0", cidr_netmask=mask).rc == 7
    assert agent("stop", ip="192.0.2.50", nic="eth0", cidr_netmask=mask).rc == 0
    assert place(pair.node, "192.0.2.50") == ""


def test_address_on_another_interface_is_not_running(two_nics, agent, vip):
    ip(two_nics.node, "addr", "add", "%s/%d" % (vip, prefix(vip)), "dev", "eth1", "noprefixroute")
    assert agent("monitor", ip=vip, nic="eth0").rc == 7
    done = agent("stop", ip=vip, nic="eth0")
    assert done.rc == 0, done
    assert address(two_nics.node, vip)["dev"] == "eth1"


def test_down_interface_elsewhere_is_no_matter_to_stop(two_nics, agent, vip):
    ip(two_nics.node, "addr", "add", "%s/%d" % (vip, prefix(vip)), "dev", "eth1", "noprefixroute")
    ip(two_nics.neighbour, "link", "set", "dev", "eth1", "down")
    done = agent("stop", ip=vip, nic="eth0", check_link_status="true")
    assert done.rc == 0, done
    assert address(two_nics.node, vip)["dev"] == "eth1"
