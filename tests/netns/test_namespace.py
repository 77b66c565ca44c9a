# SPDX-License-Identifier: GPL-2.0-only
"""network_namespace: the agent runs outside and serves the address inside.

Outside is the neighbour's namespace here, so that even a wrong agent cannot touch the host's.
"""

import subprocess

import pytest

from tests.lab.state import everything, place, processes, wait_until


@pytest.fixture
def outside(pair, agent):
    """agent(action, ...) run in the neighbour's namespace, told to serve in the node's."""

    def run(action, **parameters):
        parameters.setdefault("network_namespace", pair.node)
        return agent(action, inside=pair.neighbour, **parameters)

    return run


def test_start_monitor_stop(pair, outside, vip):
    before = everything(pair.neighbour)
    assert [outside(action, ip=vip).rc for action in ("probe", "monitor")] == [7, 7]
    done = outside("start", ip=vip)
    assert (done.rc, done.err) == (0, ""), done
    assert place(pair.node, vip).startswith("eth0/")
    assert [outside(action, ip=vip).rc for action in ("probe", "monitor", "start")] == [0, 0, 0]
    done = outside("status", ip=vip)
    assert (done.rc, done.out) == (0, "running\n")
    assert outside("validate-all", ip=vip).rc == 0
    assert outside("stop", ip=vip).rc == 0
    assert place(pair.node, vip) == ""
    assert everything(pair.neighbour) == before


@pytest.mark.parametrize("action, rc", [
    ("probe", 7), ("monitor", 7), ("status", 7), ("stop", 0), ("start", 5), ("validate-all", 5)])
def test_missing_namespace(pair, outside, action, rc):
    done = outside(action, ip="192.0.2.50", network_namespace="ip2t-nowhere")
    assert done.rc == rc, done
    if rc == 5:
        assert "ip2t-nowhere" in done.reason
    assert place(pair.neighbour, "192.0.2.50") == ""


def test_namespace_went_away(netns, outside):
    name = netns()
    asked = {"ip": "127.0.0.9", "network_namespace": name}
    assert outside("start", **asked).rc == 0
    assert place(name, "127.0.0.9") == "lo/8"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    assert outside("monitor", **asked).rc == 7
    assert outside("stop", **asked).rc == 0
    assert outside("start", **asked).rc == 5


@pytest.mark.parametrize("name", ["a b", "-all", "../self", "x/../y"])
def test_bad_namespace_name(pair, outside, name):
    before = everything(pair.neighbour)
    for action in ("start", "validate-all"):
        done = outside(action, ip="192.0.2.50", network_namespace=name)
        assert done.rc in (5, 6) and name in done.reason, done
    assert outside("stop", ip="192.0.2.50", network_namespace=name).rc == 0
    assert everything(pair.neighbour) == before


def test_clone_number_is_added_once(pair, outside):
    done = outside("start", ip="192.0.2.50", unique_clone_address="true",
                   CRM_meta_globally_unique="true", CRM_meta_clone_max=3, CRM_meta_clone=2)
    assert done.rc == 0, done
    assert place(pair.node, "192.0.2.52") == "eth0/24"
    assert place(pair.node, "192.0.2.54") == ""


def test_unknown_action(outside):
    done = outside("dance", ip="192.0.2.50")
    assert done.rc == 3 and "usage" in done.out, done


def test_one_address_in_two_namespaces(pair, agent):
    """Each has a sender of its own; the stop of one leaves the other's running."""
    asked = {"ip": "192.0.2.50", "arp_count": 600, "arp_interval": 100}
    for name in (pair.node, pair.neighbour):
        inside = pair.neighbour if name == pair.node else pair.node
        assert agent("start", inside=inside, network_namespace=name, **asked).rc == 0
    wait_until(lambda: len(list(agent.rsctmp.glob("send_arp-192.0.2.50*"))) == 2, "pid files")
    assert agent("stop", inside=pair.neighbour, network_namespace=pair.node, **asked).rc == 0
    wait_until(lambda: not processes(pair.node), "the sender's end")
    assert processes(pair.neighbour)
    assert place(pair.neighbour, "192.0.2.50") == "eth0/24"
