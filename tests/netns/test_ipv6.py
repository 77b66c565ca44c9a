# SPDX-License-Identifier: GPL-2.0-only
"""What is particular to IPv6: spelling, duplicate address detection, labels and lifetimes."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.lab.state import (address, addresses, addrlabels, batch, everything, ip, links, place,
                             processes, routes, wait_until)

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


@pytest.mark.slow
@pytest.mark.parametrize("given", [{}, {"env": {"HA_BIN": "/nonexistent"}}, {"arp_bg": "true"}],
                         ids=["usual", "no tools", "background"])
def test_collision(pair, agent, rival, given):
    rival(VIP)
    before = everything(pair.node)
    done = agent("start", ip=VIP, lvs_ipv6_addrlabel="true", CRM_meta_timeout=4000, **given)
    assert (done.rc, done.reason != "") == (1, True), done
    assert VIP in done.log and done.seconds < 3, done
    assert everything(pair.node) == before
    assert not processes(pair.node)


def setting(pair, name, value):
    """Write one file under /proc/sys/net/ipv6 of the node."""
    subprocess.run(["ip", "netns", "exec", pair.node, "sh", "-c",
                    'echo "$1" >/proc/sys/net/ipv6/"$2"', "sh", str(value), name],
                   check=True, timeout=20)


def slow_detection(pair):
    """As it lasts on a host: up to a second until the question, and a second for the answer."""
    setting(pair, "neigh/eth0/retrans_time_ms", 1000)
    setting(pair, "conf/eth0/router_solicitation_delay", 1)


@pytest.mark.slow
def test_a_host_that_keeps_the_address_fails_the_start(pair, agent, rival):
    slow_detection(pair)
    rival(VIP)
    before = everything(pair.node)
    done = agent("start", ip=VIP)
    assert done.rc == 1 and 8 < done.seconds < 14, done
    assert done.log.count("tried anew") > 2 and "dadfailed" in done.reason, done
    assert everything(pair.node) == before and not processes(pair.node)


@pytest.mark.slow
@pytest.mark.parametrize("usual", [True, False], ids=["as on a host", "quick"])
@pytest.mark.parametrize("given", [{}, {"arp_bg": "true", "arp_sender": "builtin"}])
def test_a_host_that_gives_the_address_up_in_time(pair, agent, rival, recorder, usual, given):
    """As on a failover whose other half is still going on."""
    if usual:
        slow_detection(pair)
    rival(VIP)
    process = agent.start_process("start", subprocess.DEVNULL, subprocess.DEVNULL, ip=VIP, **given)
    wait_until(lambda: (address(pair.node, VIP) or {}).get("dadfailed"), "the collision")
    time.sleep(0.5)
    ip(pair.neighbour, "addr", "del", VIP + "/64", "dev", "eth0")
    assert process.wait(20) == 0, agent.log()
    assert not {"tentative", "dadfailed"} & set(address(pair.node, VIP))
    assert agent("monitor", ip=VIP).rc == 0
    own = links(pair.node)["eth0"]["address"]
    wait_until(lambda: [packet for packet in recorder.advertisements(VIP)
                        if packet["mac"] == own], "the announcement")
    assert agent.log().count("ip -f inet6 addr add") == 1, "the words are logged once"


@pytest.mark.slow
def test_what_is_added_anew_is_as_it_was(pair, agent, rival):
    rival(VIP)
    asked = {"ip": VIP, "noprefixroute": "true", "metric": 77, "preferred_lft": 600,
             "lvs_ipv6_addrlabel": "true"}
    process = agent.start_process("start", subprocess.DEVNULL, subprocess.DEVNULL, **asked)
    wait_until(lambda: (address(pair.node, VIP) or {}).get("dadfailed"), "the collision")
    ip(pair.neighbour, "addr", "del", VIP + "/64", "dev", "eth0")
    assert process.wait(20) == 0, agent.log()
    found = address(pair.node, VIP)
    assert found["noprefixroute"] and found["metric"] == 77 and found["preferred_life_time"] <= 600
    assert VIP + "/128" in addrlabels(pair.node)
    assert agent("stop", **asked).rc == 0
    assert place(pair.node, VIP) == "" and VIP + "/128" not in addrlabels(pair.node)


def test_a_start_that_is_ended_between_two_tries_leaves_nothing(pair, agent, rival):
    rival(VIP)
    before = everything(pair.node)
    process = agent.start_process("start", subprocess.DEVNULL, subprocess.DEVNULL, ip=VIP)
    wait_until(lambda: "tried anew" in agent.log(), "the collision")
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    assert everything(pair.node) == before


# --- a link without carrier ------------------------------------------------------------------


def unplug(pair):
    """Take the node's carrier away, as if it had never been there: the kernel goes on with
    detection on an interface that had one."""
    ip(pair.neighbour, "link", "set", "dev", "eth0", "down")
    batch(pair.node, "link set dev eth0 down", "link set dev eth0 up",
          "addr add 2001:db8::1/64 dev eth0 nodad")
    wait_until(lambda: links(pair.node)["eth0"]["operstate"] != "UP", "carrier lost")


@pytest.fixture
def unplugged(pair, agent):
    """A function that starts the VIP while the node's link has no carrier; the Done."""
    def start(timeout=3000, **given):
        unplug(pair)
        done = agent("start", ip=VIP, CRM_meta_timeout=timeout, **given)
        assert done.rc == 0 and "WARNING" in done.log and "carrier" in done.log, done
        assert "ERROR" not in done.log and done.err == "", done
        assert done.seconds < min(timeout / 1000 * 0.7, 11), done
        assert address(pair.node, VIP)["tentative"]
        return done

    return start


def plug_in(pair):
    ip(pair.neighbour, "link", "set", "dev", "eth0", "up")


@pytest.mark.parametrize("timeout", [1500, 3000, 12000, pytest.param(20000, marks=pytest.mark.slow),
                                     pytest.param(60000, marks=pytest.mark.slow)])
def test_a_link_without_carrier_fails_no_start(pair, agent, unplugged, timeout):
    unplugged(timeout)
    assert agent("monitor", ip=VIP).rc == 0
    assert len(processes(pair.node)) == 1
    assert agent("stop", ip=VIP).rc == 0
    wait_until(lambda: not processes(pair.node), "the end of who waits", 2)
    assert place(pair.node, VIP) == "" and not list(agent.rsctmp.glob("send_arp-*"))


@pytest.mark.slow
@pytest.mark.parametrize("given", [
    {}, {"arp_bg": "true"}, {"arp_sender": "builtin"}, {"arp_sender": "builtin", "arp_bg": "true"},
    {"env": {"HA_BIN": "/nonexistent"}}])
def test_it_is_announced_once_the_carrier_is_there(pair, agent, unplugged, recorder, given):
    unplugged(arp_count=3, **given)
    plug_in(pair)
    wait_until(lambda: len(recorder.advertisements(VIP)) >= 3, "the announcement")
    assert not {"tentative", "dadfailed"} & set(address(pair.node, VIP))
    wait_until(lambda: not processes(pair.node), "the sender's end")
    assert agent("monitor", ip=VIP).rc == 0
    assert not list(agent.rsctmp.glob("send_arp-*")) and "ERROR" not in agent.log(), agent.log()


@pytest.mark.slow
@pytest.mark.parametrize("background", ["true", "false"])
def test_it_is_announced_again_after_a_while(pair, agent, unplugged, recorder, background):
    unplugged(arp_count=1, arp_repeat_after=1, arp_bg=background, arp_sender="builtin")
    plug_in(pair)
    wait_until(lambda: len(recorder.advertisements(VIP)) >= 2, "both announcements")
    wait_until(lambda: not processes(pair.node), "the sender's end")


@pytest.mark.slow
def test_a_refresh_announces_nothing_that_is_tentative(pair, agent, unplugged, recorder):
    """And it leaves the one alone that waits."""
    unplugged(arp_sender="builtin")
    before = processes(pair.node)
    done = agent("monitor", ip=VIP, arp_sender="builtin", arp_count_refresh=2)
    assert done.rc == 0 and "ERROR" not in done.log, done
    assert processes(pair.node) == before
    plug_in(pair)
    wait_until(lambda: recorder.advertisements(VIP), "the announcement")
    assert agent("monitor", ip=VIP, arp_sender="builtin", arp_count_refresh=2).rc == 0


@pytest.mark.slow
def test_a_duplicate_that_is_seen_later_is_left_alone(pair, agent, unplugged):
    unplugged()
    ip(pair.neighbour, "addr", "add", VIP + "/64", "dev", "eth0", "nodad")
    setting(pair, "conf/eth0/dad_transmits", 50)    # the neighbour answers late, its link is young
    plug_in(pair)
    wait_until(lambda: address(pair.node, VIP).get("dadfailed"), "the collision")
    wait_until(lambda: not processes(pair.node), "the end of who waits", 4)
    assert "ERROR: IPv6 address collision %s" % VIP in agent.log()
    assert address(pair.node, VIP)["dadfailed"], "left for monitor to tell"
    assert agent("monitor", ip=VIP).rc == 1
    assert agent("stop", ip=VIP).rc == 0


@pytest.mark.slow
@pytest.mark.parametrize("words", [["addr", "del", VIP + "/64", "dev", "eth0"],
                                   ["link", "del", "dev", "eth0"]])
def test_who_waits_ends_when_the_address_has_gone(pair, agent, unplugged, words):
    unplugged()
    shutil.rmtree(agent.rsctmp)
    ip(pair.node, *words)
    wait_until(lambda: not processes(pair.node), "the end of who waits", 4)
    assert "has gone" in agent.log() and "ERROR" not in agent.log(), agent.log()


@pytest.mark.slow
def test_who_waits_survives_the_agents_group(pair, agent):
    unplug(pair)
    process = agent.start_process("start", subprocess.PIPE, subprocess.PIPE, ip=VIP,
                                  CRM_meta_timeout=3000)
    assert process.communicate(timeout=20) == (b"", b"") and process.returncode == 0
    for number in (signal.SIGHUP, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
    assert len(processes(pair.node)) == 1


@pytest.mark.slow
def test_a_start_again_leaves_one_who_waits(pair, agent, unplugged):
    unplugged()
    ip(pair.node, "addr", "del", VIP + "/64", "dev", "eth0")
    assert agent("start", ip=VIP, CRM_meta_timeout=3000).rc == 0
    assert len(processes(pair.node)) == 1
    assert agent("start", ip=VIP).rc == 0, "it is there"
    assert len(processes(pair.node)) == 1


def test_where_detection_is_off_nothing_is_waited_for(pair, agent):
    unplug(pair)
    done = agent("start", ip=VIP, nodad="true")
    assert done.rc == 0 and done.seconds < 2 and "WARNING" not in done.log, done
    assert not address(pair.node, VIP).get("tentative")


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
