# SPDX-License-Identifier: GPL-2.0-only
"""The neighbours learn where the address is now: what is sent, how often, and by whom."""

import os
import signal
import subprocess
import time

import pytest

from tests.netns.state import ip, links, neighbours, place, processes, wait_until

VIP = "192.0.2.50"
VIP6 = "2001:db8::50"
STALE = "02:00:00:00:00:99"
NO_TOOLS = {"HA_BIN": "/nonexistent"}


def packets(recorder, vip):
    return recorder.advertisements(vip) if ":" in vip else recorder.arps(vip)


def own_mac(pair):
    return links(pair.node)[pair.nic]["address"]


@pytest.mark.parametrize("env", [{}, NO_TOOLS], ids=["usual", "built-in"])
def test_neighbour_learns_the_address(pair, agent, vip, env):
    ip(pair.neighbour, "neigh", "replace", vip, "lladdr", STALE, "dev", "eth0", "nud", "stale")
    done = agent("start", ip=vip, env=env)
    assert done.rc == 0, done
    wait_until(lambda: neighbours(pair.neighbour)[vip].get("lladdr") == own_mac(pair),
               "the neighbour's new entry")


@pytest.mark.parametrize("env", [{}, NO_TOOLS], ids=["usual", "built-in"])
def test_arp_says_whose_the_address_is(pair, agent, recorder, env):
    agent("start", ip=VIP, arp_count=1, arp_bg="false", env=env)
    wait_until(lambda: len(recorder.arps(VIP)) >= 2, "request and reply")
    found = recorder.arps(VIP)
    assert sorted(packet["op"] for packet in found) == [1, 2]
    assert {packet["mac"] for packet in found} == {own_mac(pair)}
    assert {packet["target"] for packet in found} == {VIP}
    assert {packet["to"] for packet in found} == {"ff:ff:ff:ff:ff:ff"}


@pytest.mark.parametrize("env", [{}, NO_TOOLS], ids=["usual", "built-in"])
def test_advertisement_says_whose_the_address_is(pair, agent, recorder, env):
    agent("start", ip=VIP6, nodad="true", arp_count=1, env=env)
    found = wait_until(lambda: recorder.advertisements(VIP6), "an advertisement")
    assert found[0] == {"target": VIP6, "mac": own_mac(pair), "override": True,
                        "to": "33:33:00:00:00:01"}


@pytest.mark.parametrize("env", [{}, NO_TOOLS], ids=["usual", "built-in"])
@pytest.mark.parametrize("count", [1, 4])
def test_arp_count(agent, recorder, count, env):
    agent("start", ip=VIP, arp_count=count, arp_bg="false", env=env)
    assert len(recorder.arps(VIP)) == 2 * count


@pytest.mark.parametrize("env", [{}, NO_TOOLS], ids=["usual", "built-in"])
def test_arp_count_ipv6(agent, recorder, env):
    assert agent("start", ip=VIP6, arp_count=4, env=env).rc == 0
    assert len(recorder.advertisements(VIP6)) == 4


@pytest.mark.parametrize("env", [{}, NO_TOOLS], ids=["usual", "built-in"])
def test_arp_interval_is_in_milliseconds(agent, vip, env):
    done = agent("start", ip=vip, arp_count=4, arp_bg="false", env=env, nodad="true",
                 arp_interval=300)
    assert 0.8 < done.seconds < 4, done


def test_arp_bg_true_returns_at_once(pair, agent, recorder, vip):
    done = agent("start", ip=vip, arp_count=20, arp_interval=200, arp_bg="true")
    assert done.rc == 0 and done.seconds < 2.5, done
    assert processes(pair.node)
    wait_until(lambda: packets(recorder, vip), "the first announcement")


def test_caller_sees_end_of_file_while_the_sender_runs(pair, agent, vip):
    begin = time.monotonic()
    process = agent.start_process("start", subprocess.PIPE, subprocess.PIPE, ip=vip,
                                  arp_count=50, arp_interval=200, arp_bg="true")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, b"", b"")
    assert time.monotonic() - begin < 3
    assert processes(pair.node)


def test_background_sender_survives_the_agents_group(pair, agent):
    process = agent.start_process("start", subprocess.DEVNULL, subprocess.DEVNULL, ip=VIP,
                                  arp_count=50, arp_interval=200)
    assert process.wait(20) == 0
    wait_until(lambda: processes(pair.node), "the sender")
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    assert processes(pair.node)


def test_background_sender_ends_and_leaves_no_file(pair, agent, vip):
    agent("start", ip=vip, arp_bg="true", arp_count=2)
    wait_until(lambda: not processes(pair.node), "the sender's end")
    assert agent("stop", ip=vip).rc == 0
    assert list(agent.rsctmp.glob("send_arp*")) == []


@pytest.mark.parametrize("asked", [
    {}, {"env": NO_TOOLS}, {"arp_sender": "iputils_arping"}], ids=["usual", "built-in", "arping"])
def test_stop_ends_a_running_sender(pair, agent, asked):
    agent("start", ip=VIP, arp_count=300, arp_interval=200, **asked)
    wait_until(lambda: list(agent.rsctmp.glob("send_arp-*")), "the pid file")
    assert agent("stop", ip=VIP, **asked).rc == 0
    wait_until(lambda: not processes(pair.node), "the sender's end")
    assert list(agent.rsctmp.glob("send_arp-*")) == []
    assert place(pair.node, VIP) == ""


def test_a_refresh_takes_the_place_of_a_burst(pair, agent):
    """As with send_arp: the one that runs is ended, and stop finds the one that took over."""
    asked = {"ip": VIP, "arp_sender": "builtin", "arp_interval": 200}
    agent("start", arp_count=300, **asked)
    wait_until(lambda: list(agent.rsctmp.glob("send_arp-*")), "the pid file")
    assert agent("monitor", arp_count=300, arp_count_refresh=300, **asked).rc == 0
    wait_until(lambda: len(processes(pair.node)) == 1, "the first burst's end")
    wait_until(lambda: list(agent.rsctmp.glob("send_arp-*")), "the pid file")
    assert agent("stop", **asked).rc == 0
    wait_until(lambda: not processes(pair.node), "the second burst's end")
    assert list(agent.rsctmp.glob("send_arp-*")) == []


def test_stop_leaves_a_foreign_process_alone(agent, request):
    agent("start", ip=VIP, arp_bg="false")
    foreign = subprocess.Popen(["sleep", "60"])
    request.addfinalizer(foreign.wait)
    request.addfinalizer(foreign.kill)
    (agent.rsctmp / ("send_arp-" + VIP)).write_text("%d\n" % foreign.pid)
    assert agent("stop", ip=VIP).rc == 0
    assert foreign.poll() is None
    assert not (agent.rsctmp / ("send_arp-" + VIP)).exists()


@pytest.mark.parametrize("content", ["", "no number\n", "999999999\n", "0\n"])
def test_stop_with_a_useless_pid_file(pair, agent, content):
    agent("start", ip=VIP, arp_bg="false")
    (agent.rsctmp / ("send_arp-" + VIP)).write_text(content)
    done = agent("stop", ip=VIP)
    assert done.rc == 0 and "Traceback" not in done.log, done
    assert place(pair.node, VIP) == ""
    assert not (agent.rsctmp / ("send_arp-" + VIP)).exists()


def test_no_refresh_by_default(agent, recorder, vip):
    agent("start", ip=vip, arp_bg="false")
    before = len(packets(recorder, vip))
    agent("monitor", ip=vip, arp_bg="false")
    assert len(packets(recorder, vip)) == before


def test_arp_count_refresh(agent, recorder, vip):
    agent("start", ip=vip, arp_bg="false", arp_count=1)
    before = len(packets(recorder, vip))
    done = agent("monitor", ip=vip, arp_bg="false", arp_count_refresh=3)
    assert done.rc == 0, done
    assert "ERROR" not in done.log, done
    assert len(packets(recorder, vip)) - before == (3 if ":" in vip else 6)
    assert recorder.arps(VIP6) == []


def test_send_arp_by_name(agent, recorder, need):
    done = agent("start", ip=VIP, arp_sender="send_arp", arp_count=1, arp_bg="false")
    assert done.rc == 0, done
    assert len(recorder.arps(VIP)) == 2


def test_iputils_arping(pair, agent, recorder, need):
    need("arping", "iputils-arping")
    done = agent("start", ip=VIP, arp_sender="iputils_arping", arp_count=1, arp_bg="false")
    assert done.rc == 0, done
    assert [packet["op"] for packet in recorder.arps(VIP)] == [1]
    assert recorder.arps(VIP)[0]["mac"] == own_mac(pair)


def test_send_arp_opts(agent, recorder, need):
    need("arping", "iputils-arping")
    agent("start", ip=VIP, arp_sender="iputils_arping", arp_count=1, arp_bg="false",
          send_arp_opts=" -A   -q ")
    assert [packet["op"] for packet in recorder.arps(VIP)] == [2]


@pytest.mark.parametrize("sender, program, argv", [
    ("libnet_arping", "arping", "-U -c 5 -i eth0 -S 192.0.2.50 192.0.2.50"),
    ("ipoibarping", "ipoibarping", "-q -c 5 -U -I eth0 192.0.2.50")])
def test_senders_that_debian_lacks(agent, sender, program, argv):
    tools = agent.stand_in(program, 'echo "said: $*"; exit 1\n')
    done = agent("start", ip=VIP, arp_sender=sender, arp_bg="false",
                 env={"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.rc == 0, done
    assert "said: " + argv in done.log
    assert ("rc=1" in done.log) is (sender == "ipoibarping")


@pytest.mark.parametrize("sender", ["ipoibarping", "send_arp"])
def test_a_missing_sender_has_a_substitute(pair, agent, recorder, sender):
    done = agent("start", ip=VIP, arp_sender=sender, arp_bg="false", arp_count=1, env=NO_TOOLS)
    assert done.rc == 0, done
    assert {packet["mac"] for packet in recorder.arps(VIP)} == {own_mac(pair)}


def test_nothing_is_sent_on_lo(agent):
    done = agent("start", ip="127.0.0.3", arp_bg="false")
    assert done.rc == 0, done
    assert "send_arp" not in done.log


def test_run_arping_finds_a_collision(pair, agent, rival, need):
    need("arping", "iputils-arping")
    rival(VIP)
    done = agent("start", ip=VIP, run_arping="true")
    assert (done.rc, done.reason != "") == (1, True), done
    assert VIP in done.log and "ERROR" in done.log
    assert place(pair.node, VIP) == ""


def test_run_arping_without_a_collision(pair, agent, need):
    need("arping", "iputils-arping")
    done = agent("start", ip=VIP, run_arping="true")
    assert done.rc == 0, done
    assert place(pair.node, VIP) == "eth0/24"


def test_collision_is_not_looked_for_by_default(pair, agent, rival):
    rival(VIP)
    assert agent("start", ip=VIP).rc == 0
    assert place(pair.node, VIP) == "eth0/24"


@pytest.mark.parametrize("status", [2, 127, 0])
def test_run_arping_takes_one_exit_code_alone_as_a_collision(agent, status):
    tools = agent.stand_in("arping", "exit %d\n" % status)
    done = agent("start", ip=VIP, run_arping="true",
                 env={"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.rc == 0, done
