# SPDX-License-Identifier: GPL-2.0-only
"""The neighbours learn where the address is now: what is sent, how often, and by whom."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.lab.state import address, ip, links, neighbours, place, processes, wait_until

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


@pytest.mark.slow
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


@pytest.mark.parametrize("sender, left", [("builtin", 1), ("send_arp", 2)])
def test_a_refresh_takes_the_place_of_a_burst(pair, agent, sender, left):
    """The one that runs is ended, and stop finds the one that took over; left: its processes."""
    asked = {"ip": VIP, "arp_sender": sender, "arp_interval": 200}
    agent("start", arp_count=300, **asked)
    wait_until(lambda: list(agent.rsctmp.glob("send_arp-*")), "the pid file")
    before = set(processes(pair.node))
    assert agent("monitor", arp_count=300, arp_count_refresh=300, **asked).rc == 0
    wait_until(lambda: not before & set(processes(pair.node)), "the first burst's end")
    wait_until(lambda: len(processes(pair.node)) == left, "the second burst")
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


@pytest.mark.slow
def test_iputils_arping(pair, agent, recorder, need):
    need("arping", "iputils-arping")
    done = agent("start", ip=VIP, arp_sender="iputils_arping", arp_count=1, arp_bg="false")
    assert done.rc == 0, done
    assert [packet["op"] for packet in recorder.arps(VIP)] == [1]
    assert recorder.arps(VIP)[0]["mac"] == own_mac(pair)


@pytest.mark.slow
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


@pytest.mark.slow
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


# --- counts and intervals --------------------------------------------------------------------


@pytest.mark.parametrize("count", ["3", "0000003"])
def test_a_count_is_a_number(agent, recorder, count):
    done = agent("start", ip=VIP, arp_sender="builtin", arp_bg="false", arp_interval=300,
                 arp_count=count)
    assert done.rc == 0 and 0.6 <= done.seconds < 1.5, done
    assert len(recorder.arps(VIP)) == 6


def test_an_interval_is_a_number(agent, recorder):
    done = agent("start", ip=VIP, arp_sender="builtin", arp_bg="false", arp_count=3,
                 arp_interval="00000000000300")
    assert done.rc == 0 and 0.6 <= done.seconds < 1.5, done
    assert len(recorder.arps(VIP)) == 6


BIG = str(2 ** 63 - 1)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [
    {"arp_interval": 430000000, "arp_count": 5}, {"arp_interval": 430000000, "arp_count": 1000000},
    {"arp_interval": BIG, "arp_count": BIG}, {"arp_repeat_after": 2 ** 32 - 1, "arp_count": 1}],
    ids=["interval", "both", "huge", "repeat"])
def test_what_lasts_for_years_is_begun(pair, agent, recorder, vip, asked):
    """poll(2), time.sleep() and the like have limits, which the background must not die of."""
    done = agent("start", ip=vip, arp_sender="builtin", arp_bg="true", **asked)
    assert done.rc == 0, done
    wait_until(lambda: packets(recorder, vip), "the first round")
    wait_until(lambda: list(agent.rsctmp.glob("send_arp-*")), "the pid file")
    looked = time.monotonic() + 1.2         # a look lies in between
    while time.monotonic() < looked:
        assert len(processes(pair.node)) >= 1
        time.sleep(0.05)
    assert agent("stop", ip=vip).rc == 0
    wait_until(lambda: not processes(pair.node), "the sender's end")
    assert "ERROR" not in agent.log(), agent.log()


@pytest.mark.slow
@pytest.mark.parametrize("interval", [430000000, BIG])
def test_a_program_that_lasts_for_years_is_waited_for(pair, agent, interval):
    tools = agent.stand_in("ipoibarping", "exec sleep 60\n")
    done = agent("start", ip=VIP, arp_sender="ipoibarping", arp_interval=interval, arp_count=BIG,
                 env={"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.rc == 0, done
    wait_until(lambda: list(agent.rsctmp.glob("send_arp-*")), "the pid file")
    looked = time.monotonic() + 1.2
    while time.monotonic() < looked:
        assert len(processes(pair.node)) >= 2       # the program, and who waits for it
        time.sleep(0.05)
    ip(pair.node, "addr", "flush", "dev", "eth0")
    wait_until(lambda: not processes(pair.node), "the sender's end", 4)
    assert "has gone" in agent.log() and "ERROR" not in agent.log(), agent.log()


# --- the interface's hardware address --------------------------------------------------------


def sources(recorder, vip):
    """(Ethernet source, announced address) of each packet about the VIP, as bytes."""
    found = []
    for frame in recorder.frames():
        if frame[12:14] == b"\x08\x06" and frame[28:32] == bytes(map(int, VIP.split("."))):
            found.append((frame[6:12], frame[22:28]))
        elif frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136 \
                and ":" in vip and frame[76:78] == b"\0\x50":
            found.append((frame[6:12], frame[80:86]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("background", ["true", "false"])
def test_packets_follow_the_hardware_address(pair, agent, recorder, vip, background):
    """As a bond's that fails over: every later packet carries the new one."""
    new = bytes.fromhex("020000000007")
    process = agent.start_process("start", subprocess.DEVNULL, subprocess.DEVNULL, ip=vip,
                                  arp_sender="builtin", arp_count=12, arp_interval=200,
                                  arp_bg=background)
    wait_until(lambda: sources(recorder, vip), "the first round")
    ip(pair.node, "link", "set", "dev", pair.nic, "address", "02:00:00:00:00:07")
    before = len(sources(recorder, vip))
    assert process.wait(20) == 0
    wait_until(lambda: not processes(pair.node), "the burst's end")
    later = sources(recorder, vip)[before + 2:]
    assert len(later) > 5 and set(later) == {(new, new)}


# --- nobody to tell --------------------------------------------------------------------------


def quiet(done):
    """A start that announced nothing, and did not complain about it."""
    said = [line for line in done.log.splitlines() if "ERROR" in line or "WARNING" in line]
    return done.rc == 0 and not said and "nothing is announced" in done.log


@pytest.mark.parametrize("ip_, given", [
    ("10.8.0.50", {}), ("10.8.0.50", {"arp_bg": "false"}), ("10.8.0.50", {"env": NO_TOOLS}),
    ("10.8.0.50", {"arp_sender": "iputils_arping"}), ("10.8.0.50", {"arp_sender": "builtin"}),
    ("2001:db8:8::50", {}), ("2001:db8:8::50", {"arp_bg": "true"}),
    ("2001:db8:8::50", {"nodad": "true"}), ("2001:db8:8::50", {"env": NO_TOOLS}),
    ("2001:db8:8::50", {"arp_sender": "builtin", "nodad": "true"})])
def test_a_tunnel_has_nothing_to_announce(pair, agent, tunnel, ip_, given):
    tunnel()
    done = agent("start", ip=ip_, arp_repeat_after=1, **given)
    assert quiet(done), done
    assert not processes(pair.node)
    monitored = agent("monitor", ip=ip_, arp_count_refresh=2, **given)
    assert monitored.rc == 0 and "ERROR" not in monitored.log, monitored
    assert agent("stop", ip=ip_, **given).rc == 0
    assert address(pair.node, ip_) is None


@pytest.mark.parametrize("sender", ["", "builtin"])
def test_an_interface_without_arp_has_nothing_to_announce(pair, agent, recorder, vip, sender):
    ip(pair.node, "link", "set", "dev", pair.nic, "arp", "off")
    done = agent("start", ip=vip, arp_sender=sender)
    assert quiet(done), done
    assert agent("monitor", ip=vip, arp_sender=sender).rc == 0
    assert agent("stop", ip=vip, arp_sender=sender).rc == 0
    assert not packets(recorder, vip)


# --- the address goes while it is announced --------------------------------------------------


def forget(agent):
    """Empty HA_RSCTMP, as some do at boot or to clean up: stop does not find the sender then."""
    shutil.rmtree(agent.rsctmp)
    agent.rsctmp.mkdir()


LASTING = {"arp_count": 500, "arp_interval": 200, "arp_bg": "true"}


@pytest.mark.slow
@pytest.mark.parametrize("vip, asked", [
    (VIP, {}), (VIP, {"arp_sender": "builtin"}), (VIP, {"arp_sender": "iputils_arping"}),
    (VIP, {"arp_sender": "builtin", "arp_interval": 100000}),
    (VIP, {"arp_count": 1, "arp_repeat_after": 300}),
    (VIP6, {}), (VIP6, {"arp_sender": "builtin"}), (VIP6, {"env": NO_TOOLS}),
    (VIP6, {"arp_count": 1, "arp_repeat_after": 300, "arp_bg": "false"})])
def test_a_sender_that_stop_does_not_find_ends(pair, agent, recorder, vip, asked):
    asked = {"ip": vip, **LASTING, **asked}
    assert agent("start", **asked).rc == 0
    wait_until(lambda: list(agent.rsctmp.glob("send_arp-*")), "the pid file")
    wait_until(lambda: packets(recorder, vip), "the first announcement")
    forget(agent)
    assert agent("stop", **asked).rc == 0
    wait_until(lambda: not processes(pair.node), "the sender's end", 4)
    assert "ERROR" not in agent.log(), agent.log()


@pytest.mark.slow
def test_an_address_that_is_deleted_by_hand_is_announced_no_more(pair, agent):
    agent("start", ip=VIP, **LASTING)
    ip(pair.node, "addr", "del", VIP + "/24", "dev", pair.nic)
    wait_until(lambda: not processes(pair.node), "the sender's end", 4)
    assert "%s/24 on eth0 has gone" % VIP in agent.log()
    assert not list(agent.rsctmp.glob("send_arp-*"))


@pytest.mark.parametrize("sender", ["builtin", "send_arp"])
def test_the_file_of_a_later_sender_stays(pair, agent, sender):
    """The one of before, whose file was lost, ends without taking that of its successor along."""
    asked = {"ip": VIP, "arp_sender": sender, **LASTING}
    agent("start", **asked)
    wait_until(lambda: list(agent.rsctmp.glob("send_arp-*")), "the pid file")
    first = set(processes(pair.node))
    forget(agent)
    assert agent("stop", **asked).rc == 0
    assert agent("start", nic="eth0", cidr_netmask=25, **asked).rc == 0
    path = agent.rsctmp / ("send_arp-" + VIP)
    wait_until(path.exists, "the second pid file")
    for pid in first & set(processes(pair.node)):       # ended as if it had looked just before
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
    wait_until(lambda: not first & set(processes(pair.node)), "the first sender's end")
    assert path.exists()
    assert agent("stop", **asked).rc == 0
    wait_until(lambda: not processes(pair.node), "the second sender's end", 1)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["exit 1", "exec sleep 60", "echo rubbish"])
@pytest.mark.parametrize("sender", ["builtin", "send_arp"])
def test_where_it_cannot_be_told_the_sender_goes_on(pair, agent, recorder, sender, how):
    real = shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin")
    sick = agent.folder / "sick"
    tools = agent.stand_in("ip", "[ -e %s ] && { echo x >>%s; %s; }\nexec %s \"$@\"\n" % (
        sick, sick, how, real))
    path = {"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"}
    agent("start", ip=VIP, arp_sender=sender, env=path, **LASTING)
    sick.touch()
    wait_until(lambda: len(sick.read_text()) > 4, "a third look")
    before = len(recorder.arps(VIP))
    wait_until(lambda: len(recorder.arps(VIP)) > before + 3, "further rounds")
    sick.unlink()
    assert agent("stop", ip=VIP).rc == 0
    wait_until(lambda: not processes(pair.node), "the sender's end", 5)
