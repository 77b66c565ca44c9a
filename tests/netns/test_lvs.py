# SPDX-License-Identifier: GPL-2.0-only
"""lvs_support: a real server's address on lo steps aside while the director serves it."""

import pytest

from tests.lab.state import address, addresses, ip, place

VIP = "192.0.2.50"


@pytest.fixture
def hidden(pair):
    """The address on lo, as a real server of LVS has it."""
    ip(pair.node, "addr", "add", VIP + "/32", "brd", "255.255.255.255", "dev", "lo",
       "scope", "host")
    return address(pair.node, VIP)


def test_without_the_parameter_lo_keeps_it(pair, agent, hidden):
    assert agent("monitor", ip=VIP).rc == 7
    done = agent("start", ip=VIP)
    assert done.rc == 0, done
    assert [entry["dev"] for entry in addresses(pair.node) if entry["local"] == VIP] == [
        "lo", "eth0"]
    assert agent("stop", ip=VIP).rc == 0
    assert address(pair.node, VIP) == hidden


def test_lo_is_put_aside_and_restored(pair, agent, hidden):
    asked = {"ip": VIP, "lvs_support": "true"}
    done = agent("start", **asked)
    assert done.rc == 0, done
    assert place(pair.node, VIP) == "eth0/24"
    assert (agent.rsctmp / VIP).read_text() == VIP + " 32 255.255.255.255 lo\n"
    assert agent("monitor", **asked).rc == 0
    done = agent("stop", **asked)
    assert done.rc == 0, done
    found = address(pair.node, VIP)
    assert (found["dev"], found["prefixlen"], found["broadcast"]) == ("lo", 32, "255.255.255.255")
    assert not (agent.rsctmp / VIP).exists()


def test_monitor_does_not_count_lo(agent, hidden):
    assert agent("monitor", ip=VIP, lvs_support="true").rc == 7
    assert agent("monitor", ip=VIP, lvs_support="true", nic="eth0").rc == 7


def test_stop_of_an_unserved_address_leaves_lo(pair, agent, hidden):
    assert agent("stop", ip=VIP, lvs_support="true").rc == 0
    assert address(pair.node, VIP) == hidden


def test_nothing_on_lo(pair, agent):
    asked = {"ip": VIP, "lvs_support": "true"}
    assert agent("start", **asked).rc == 0
    assert list(agent.rsctmp.glob(VIP)) == []
    assert agent("stop", **asked).rc == 0
    assert place(pair.node, VIP) == ""


def test_failed_start_restores_lo(pair, agent, hidden, rival, need):
    need("arping", "iputils-arping")
    rival(VIP)
    done = agent("start", ip=VIP, lvs_support="true", run_arping="true")
    assert done.rc == 1, done
    assert place(pair.node, VIP) == "lo/32"
    assert not (agent.rsctmp / VIP).exists()


def test_failed_start_restores_lo_without_asking_around(pair, agent, hidden):
    """The collision check has no business on lo, least of all where it is what failed."""
    tools = agent.stand_in("arping", "echo 'ARPing 2.23, by Thomas Habets'; exit 1\n")
    done = agent("start", ip=VIP, lvs_support="true", run_arping="true",
                 env={"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.rc == 5, done
    assert place(pair.node, VIP) == "lo/32"
    assert not (agent.rsctmp / VIP).exists()


def test_an_address_alone_elsewhere_is_a_real_servers(two_nics, agent):
    """LVS keeps it on a tunnel or a dummy interface as well: stop leaves it, served or not."""
    ip(two_nics.node, "addr", "add", VIP + "/32", "dev", "eth1")
    for action, rc in (("monitor", 7), ("stop", 0), ("start", 0), ("stop", 0)):
        done = agent(action, ip=VIP)
        assert done.rc == rc, done
    assert place(two_nics.node, VIP) == "eth1/32"


@pytest.mark.parametrize("content", ["", "rubbish\n", "192.0.2.50 32 x; lo -batch\n"])
def test_stop_survives_a_spoilt_file(pair, agent, content):
    asked = {"ip": VIP, "lvs_support": "true"}
    agent("start", **asked)
    (agent.rsctmp / VIP).write_text(content)
    done = agent("stop", **asked)
    assert done.rc == 0 and "Traceback" not in done.log, done
    assert place(pair.node, VIP) == ""


def test_lvs_and_a_clone_do_not_go_together(agent):
    done = agent("start", ip=VIP, lvs_support="true", CRM_meta_clone_max=2)
    assert done.rc == 6 and "LVS" in done.reason.upper(), done
