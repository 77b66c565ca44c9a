# SPDX-License-Identifier: GPL-2.0-only
"""Where we differ from the shell agent on purpose, row by row: both agents, side by side.

Each test is one row of doc/differences.md, and shows on real interfaces what the shell agent of
resource-agents does and what ours does. The one installed is Debian 12's 4.12; where it does not
show what a row says of the shell agent, the test says so. Rows 19 and 20, on Cluster IP, have tests
of their own. tests/twin compares all the rest.
"""

import contextlib
import os
import pathlib
import subprocess
import threading

import pytest

from tests.lab.agent import PATH, Agent
from tests.lab.frames import Recorder
from tests.lab.namespaces import Pair, in_namespace
from tests.lab.state import (address, addresses, addrlabels, ip, place, processes, routes,
                             wait_until)

from .hosts import PROGRAM, SHELL_AGENT

VIP, VIP6 = "192.0.2.50", "2001:db8::50"
OURS4, OURS6 = "192.0.2.1/24 brd +", "2001:db8::1/64 nodad"


class Side:
    """One agent and its own two hosts; side(action, **parameters) gives a Done."""

    def __init__(self, name, agent, pair):
        self.name = name
        self.agent = agent
        self.pair = pair
        self.node = pair.node

    def __call__(self, action, **asked):
        return self.agent(action, **asked)

    def codes(self, *actions, **asked):
        """The exit codes of several actions."""
        return [self(action, **asked).rc for action in actions]

    def where(self, wanted=VIP):
        """Where an address is: "eth0/24", or ""."""
        return place(self.node, wanted)

    def lengths(self, dev=None):
        """The prefix lengths of the VIP, on one interface or on all."""
        return sorted(one["prefixlen"] for one in addresses(self.node, dev)
                      if one["local"] == VIP)

    def routes(self):
        """The IPv6 routes, in an order of their own."""
        return sorted(map(str, routes(self.node, "inet6")))

    def rename(self, nic, name):
        for words in (("down",), ("name", name), ("up",)):
            ip(self.node, "link", "set", "dev", name if words == ("up",) else nic, *words)

    def tables(self):
        """What `nft list tables` prints."""
        return subprocess.run(["ip", "netns", "exec", self.node, "nft", "list", "tables"],
                              stdout=subprocess.PIPE, text=True, check=True, timeout=20).stdout


@pytest.fixture
def sides(netns, need, tmp_path, request):
    """sides(nic="eth0", ours=(...), theirs=(...)): the shell agent's Side, and ours."""
    def make(nic="eth0", ours=(OURS4, OURS6), theirs=()):
        made = []
        for name, program in (("shell", SHELL_AGENT), ("ours", PROGRAM)):
            hosts = Pair(netns(), netns(), nic)
            hosts.connect(nic, "eth0", ours=ours, theirs=theirs)
            folder = tmp_path / name
            folder.mkdir()
            made.append(Side(name, Agent(program, hosts.node, folder), hosts))
        make.made = made
        return made

    if not pathlib.Path(SHELL_AGENT).exists():
        need("ocf-tester", "resource-agents")
    return make


def test_row_1_stop_without_a_route(sides):
    """The route is gone: the shell agent's stop is 0 and leaves the address, ours removes it."""
    for side in sides():
        assert side("start", ip=VIP).rc == 0
        ip(side.node, "route", "delete", "192.0.2.0/24")
        assert side("stop", ip=VIP).rc == 0
        assert side.where() == ("eth0/24" if side.name == "shell" else "")


@pytest.mark.parametrize("name, value", [
    ("arp_count", "0"), ("iflabel", "much-too-long-a-label"), ("preferred_lft", ""),
    ("arp_sender", "pigeon")])
def test_row_2_stop_with_a_bad_optional_value(sides, name, value):
    """The shell agent's stop fails with 6 and leaves the address: fencing.  Ours does its work."""
    shell, ours = sides()
    for side in (shell, ours):
        assert side("start", ip=VIP).rc == 0
    assert (shell("stop", ip=VIP, **{name: value}).rc, shell.where()) == (6, "eth0/24")
    assert (ours("stop", ip=VIP, **{name: value}).rc, ours.where()) == (0, "")


def test_row_3_missing_namespace(sides):
    """255 for every action, as `ip netns exec` has it, against codes that Pacemaker can use."""
    actions = ("probe", "monitor", "stop", "start", "validate-all")
    shell, ours = sides()
    assert shell.codes(*actions, ip=VIP, network_namespace="nowhere") == [255] * 5
    assert ours.codes(*actions, ip=VIP, network_namespace="nowhere") == [7, 7, 0, 5, 5]
    assert "nowhere" in ours("start", ip=VIP, network_namespace="nowhere").reason


def test_row_4_stale_pid_file(sides, request):
    """A pid file names somebody else's process by now: the shell agent's stop kills it."""
    for side in sides():
        side("start", ip=VIP, arp_bg="false")
        foreign = subprocess.Popen(["sleep", "60"])
        request.addfinalizer(foreign.wait)
        request.addfinalizer(foreign.kill)
        (side.agent.rsctmp / ("send_arp-" + VIP)).write_text("%d\n" % foreign.pid)
        assert side("stop", ip=VIP).rc == 0
        if side.name == "shell":
            assert foreign.wait(5) == -15
        else:
            assert foreign.poll() is None


def test_row_4_name_of_the_pid_file(sides, netns):
    """In a namespace our file's name tells interface and namespace: nobody else's is meant."""
    for side in sides():
        asked = {"ip": VIP, "network_namespace": side.node, "arp_count": 100, "arp_interval": 100}
        assert side("start", inside=side.pair.neighbour, **asked).rc == 0
        wait_until(lambda: list(side.agent.rsctmp.glob("send_arp-*")), "the pid file")
        names = [path.name for path in side.agent.rsctmp.glob("send_arp-*")]
        assert names == ["send_arp-%s" % VIP if side.name == "shell" else
                         "send_arp-%s-eth0-%s" % (VIP, side.node)]
        assert side("stop", inside=side.pair.neighbour, **asked).rc == 0


def test_row_5_prefix_compared_as_text(sides):
    """The prefix 2 is the beginning of 24.  (That a dot matches any character cannot be seen on an
    address: all three of its dots have to be somewhere.)"""
    shell, ours = sides()
    for side in (shell, ours):
        ip(side.node, "addr", "add", VIP + "/24", "dev", "eth0")
    assert shell("monitor", ip=VIP, nic="eth0", cidr_netmask=2).rc == 0
    assert ours("monitor", ip=VIP, nic="eth0", cidr_netmask=2).rc == 7


def test_row_6_broadcast_guessed(sides):
    """The seventh word of this route is its metric, and grep finds it in another address."""
    for side in sides(ours=("172.16.0.1/16 brd + noprefixroute",)):
        side.pair.connect("eth1", "eth1", ours=("10.100.0.1/16 brd +",))
        ip(side.node, "route", "add", "172.16.0.0/16", "dev", "eth0", "proto", "static",
           "metric", "100")
        assert side("start", ip="172.16.0.9").rc == 0
        assert address(side.node, "172.16.0.9").get("broadcast") == (
            "10.100.255.255" if side.name == "shell" else "172.16.255.255")


def test_row_7_spelling_of_ipv6(sides):
    """With no route to ask for the kernel's spelling, the shell agent does not find the address:
    its monitor says 7, its stop leaves it.  The route is missing here for the link is down."""
    asked = {"ip": "2001:DB8:0:0::50", "nic": "eth0", "cidr_netmask": "64", "nodad": "true"}
    shell, ours = sides()
    for side in (shell, ours):
        keep = pathlib.Path("/proc/sys/net/ipv6/conf/eth0/keep_addr_on_down")
        in_namespace(side.node, lambda: keep.write_text("1\n"))
        assert side("start", **asked).rc == 0
        ip(side.node, "link", "set", "dev", "eth0", "down")
        assert side.where(VIP6) == "eth0/64"
    assert (shell.codes("monitor", "stop", **asked), shell.where(VIP6)) == ([7, 0], "eth0/64")
    assert (ours.codes("monitor", "stop", **asked), ours.where(VIP6)) == ([0, 0], "")


CLONE = {"unique_clone_address": "true", "CRM_meta_globally_unique": "true",
         "CRM_meta_clone_max": 3, "CRM_meta_clone": 2}


@pytest.mark.parametrize("base, result", [("192.0.2.254", "192.0.3.0"), (VIP6, "2001:db8::52")])
def test_row_8_clone_number_pasted(sides, base, result):
    """192.0.2.254 + 2 is 192.0.2.256 for the shell agent, and IPv6 is beyond it: 6."""
    shell, ours = sides(ours=("192.0.2.1/22 brd +", OURS6))
    assert shell("start", ip=base, **CLONE).rc == 6
    assert ours("start", ip=base, **CLONE).rc == 0
    assert ours.where(result) in ("eth0/22", "eth0/64")


def test_row_8_clone_number_added_twice(sides):
    """In a namespace the shell agent starts itself once more, and adds once more."""
    for side in sides():
        done = side("start", ip="192.0.2.10", inside=side.pair.neighbour,
                    network_namespace=side.node, **CLONE)
        assert done.rc == 0, done
        assert side.where("192.0.2.14" if side.name == "shell" else "192.0.2.12") == "eth0/24"


def test_row_8_out_of_range(sides):
    _, ours = sides()
    assert ours("start", ip="255.255.255.254", **CLONE).rc == 6
    assert ours("start", ip="ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", **CLONE).rc == 6


def test_row_9_refresh_of_ipv6(sides, request):
    """The shell agent hands the IPv6 address to send_arp; ours sends neighbour advertisements."""
    for side in sides():
        recorder = Recorder(side.pair.neighbour, "eth0")
        request.addfinalizer(recorder.close)
        tools = side.agent.stand_in("send_arp", 'echo "$*" >>%s/arp\n' % side.agent.folder, "ha")
        side.agent.stand_in("send_ua", 'exec /usr/libexec/heartbeat/send_ua "$@"\n', "ha")
        asked = {"ip": VIP6, "nodad": "true", "arp_count": 1, "env": {"HA_BIN": tools}}
        assert side("start", **asked).rc == 0
        before = len(recorder.advertisements(VIP6))
        assert side("monitor", arp_count_refresh=2, **asked).rc == 0
        wait_until(lambda: not processes(side.node), "the end of the refresh")
        sent = len(recorder.advertisements(VIP6)) - before
        arp = (side.agent.folder / "arp").exists()
        assert (arp, sent) == ((True, 0) if side.name == "shell" else (False, 2))


def test_row_10_altname(sides):
    """The shell agent starts by the alternative name, but does not find what it has started."""
    shell, ours = sides()
    for side in (shell, ours):
        ip(side.node, "link", "property", "add", "dev", "eth0", "altname", "uplink")
    asked = {"ip": VIP, "nic": "uplink", "cidr_netmask": "24"}
    actions = ("start", "monitor", "stop")
    assert (shell.codes(*actions, **asked), shell.where()) == ([0, 7, 0], "eth0/24")
    assert (ours.codes(*actions, **asked), ours.where()) == ([0, 0, 0], "")


def test_row_11_interface_named_up(sides):
    """`ip link set up up` names no interface: the shell agent's start fails, and leaves the
    address.  (An interface named primary is no trouble to 4.12.)"""
    shell, ours = sides(nic="up")
    assert (shell("start", ip=VIP).rc, shell.where()) == (1, "up/24")
    assert ours.codes("start", "monitor", "stop", ip=VIP) == [0, 0, 0]


def test_row_12_label_on_ipv6(sides):
    """The shell agent passes it on; what the kernel makes of it: nothing.  Ours warns."""
    for side in sides():
        tools = side.agent.stand_in("ip", 'echo "$*" >>%s/calls\nexec /sbin/ip "$@"\n'
                                    % side.agent.folder)
        done = side("start", ip=VIP6, iflabel="web", env={"PATH": tools + ":" + PATH})
        assert done.rc == 0 and "label" not in address(side.node, VIP6)
        added = [line for line in (side.agent.folder / "calls").read_text().splitlines()
                 if "addr add" in line]
        assert len(added) == 1
        assert ("label eth0:web" in added[0]) is (side.name == "shell")
        assert ("WARNING: iflabel" in done.log) is (side.name == "ours")


def test_row_13_hanging_tool(sides):
    """The shell agent waits for as long as it is let; ours ends in time, with a reason."""
    for side in sides():
        tools = side.agent.stand_in("ip", 'case "$*" in *"addr add"*) exec sleep 600;; esac\n'
                                    'exec /sbin/ip "$@"\n')
        asked = {"ip": VIP, "CRM_meta_timeout": 1500, "env": {"PATH": tools + ":" + PATH}}
        if side.name == "shell":
            with pytest.raises(subprocess.TimeoutExpired):
                side("start", limit=3, **asked)
        else:
            done = side("start", limit=3, **asked)
            assert (done.rc, done.reason != "") == (1, True), done
            wait_until(lambda: not processes(side.node), "the tool's end")


def test_row_14_no_send_arp(sides, request):
    """No announcement at all, against the built-in sender's."""
    for side in sides():
        recorder = Recorder(side.pair.neighbour, "eth0")
        request.addfinalizer(recorder.close)
        done = side("start", ip=VIP, arp_bg="false", arp_count=2, env={"HA_BIN": "/nonexistent"})
        assert done.rc == 0, done
        assert len(recorder.arps(VIP)) == (0 if side.name == "shell" else 4)


def test_row_14_no_send_ua(sides):
    """Without send_ua the shell agent does not wait for duplicate address detection: it serves an
    address that another host has."""
    for side in sides(theirs=(VIP6 + "/64 nodad",)):
        done = side("start", ip=VIP6, env={"HA_BIN": "/nonexistent"})
        if side.name == "shell":
            assert done.rc == 0
            wait_until(lambda: "dadfailed" in str(address(side.node, VIP6)), "the duplicate")
        else:
            assert (done.rc, side.where(VIP6)) == (1, ""), done


@pytest.mark.parametrize("value, shell_code", [
    ("192.0.2.05", 0), ("224.0.0.1", 0), (":::", 0),
    # 4.12 refuses three digits that begin with a zero, as we do.
    ("192.0.2.050", 6)])
def test_row_15_no_addresses(sides, value, shell_code):
    asked = {"ip": value, "nic": "eth0", "cidr_netmask": "24"}
    shell, ours = sides()
    assert shell("validate-all", **asked).rc == shell_code
    assert ours.codes("validate-all", "start", **asked) == [6, 6]
    assert len(addresses(ours.node, "eth0")) == 2


def test_row_16_words_smuggled_in(sides):
    """One parameter becomes two options of `ip addr add` with the shell agent."""
    asked = {"ip": VIP6, "preferred_lft": "60 valid_lft 90"}
    shell, ours = sides()
    assert shell("start", **asked).rc == 0
    assert address(shell.node, VIP6)["valid_life_time"] <= 90
    assert ours.codes("start", "validate-all", **asked) == [6, 6]
    assert ours.where(VIP6) == ""
    assert ours("start", ip=VIP6).rc == 0
    assert (ours("stop", **asked).rc, ours.where(VIP6)) == (0, "")


@pytest.mark.parametrize("asked", [{"nic": "-4"}, {"nic": "eth0 up"}, {"iflabel": "-x y"}])
def test_row_16_options(sides, asked):
    _, ours = sides()
    assert ours.codes("start", "validate-all", ip=VIP, **asked) == [6, 6]
    assert ours.where() == ""


def test_row_17_on_another_interface(sides):
    """Stop with the VIP on another interface.  4.12 exits 0 here as ours does (the error 1 that the
    row speaks of came later, when a link that is down began to count); neither touches it."""
    for side in sides():
        side.pair.connect("eth1", "eth1")
        ip(side.node, "addr", "add", VIP + "/24", "dev", "eth1")
        ip(side.node, "link", "set", "dev", "eth1", "down")
        assert side("stop", ip=VIP, nic="eth0").rc == 0
        assert side.where() == "eth1/24"


def test_row_18_failed_start(sides):
    """The announcement fails, and start with it: the shell agent leaves the address behind."""
    for side in sides():
        tools = side.agent.stand_in("send_ua", "exit 1\n", "ha")
        side.agent.stand_in("send_arp", "exit 1\n", "ha")
        done = side("start", ip=VIP6, env={"HA_BIN": tools})
        assert done.rc == 1, done
        assert side.where(VIP6) == ("eth0/64" if side.name == "shell" else "")


# --- what start remembers --------------------------------------------------------------------


def test_row_21_a_route_goes(sides):
    """A healthy address is "not running" for the shell agent, and cannot be started either."""
    shell, ours = sides()
    for side in (shell, ours):
        assert side("start", ip=VIP).rc == 0
        ip(side.node, "route", "delete", "192.0.2.0/24")
    actions = ("monitor", "probe", "start", "monitor")
    assert (shell.codes(*actions, ip=VIP), shell.where()) == ([1, 7, 1, 1], "eth0/24")
    assert (ours.codes(*actions, ip=VIP), ours.where()) == ([0, 0, 0, 0], "eth0/24")


def test_row_21_a_route_comes(sides):
    """A longer route comes: the shell agent adds the address once more, by that one's length."""
    for side in sides():
        assert side("start", ip=VIP).rc == 0
        ip(side.node, "route", "add", "192.0.2.32/27", "dev", "eth0", "scope", "link")
        assert side("monitor", ip=VIP).rc == (7 if side.name == "shell" else 0)
        assert side("start", ip=VIP).rc == 0
        assert side.lengths() == ([24, 27] if side.name == "shell" else [24])


def test_row_21_a_renamed_interface(sides):
    asked = {"ip": VIP, "nic": "eth0", "cidr_netmask": "24"}
    shell, ours = sides()
    for side in (shell, ours):
        assert side("start", **asked).rc == 0
        side.rename("eth0", "old0")
    assert (shell("stop", **asked).rc, shell.where()) == (0, "old0/24")
    assert (ours("stop", **asked).rc, ours.where()) == (0, "")


def test_row_21_an_interface_is_switched_off(sides):
    """The kernel takes the routes away, the address stays: 1, a fault, against 7, not running."""
    shell, ours = sides()
    for side in (shell, ours):
        assert side("start", ip=VIP).rc == 0
        ip(side.node, "link", "set", "dev", "eth0", "down")
    assert shell.codes("monitor", "start", ip=VIP) == [1, 1]
    assert ours.codes("monitor", "start", "monitor", ip=VIP) == [7, 0, 0]


def test_row_22_secondary_addresses(sides):
    """The VIP came first: with it the kernel deletes the later addresses of its network."""
    asked = {"ip": VIP, "nic": "eth0", "cidr_netmask": "24"}
    for side in sides(ours=()):
        setting = pathlib.Path("/proc/sys/net/ipv4/conf/eth0/promote_secondaries")
        in_namespace(side.node, lambda: setting.write_text("0\n"))
        assert side("start", **asked).rc == 0
        ip(side.node, "addr", "add", "192.0.2.1/24", "dev", "eth0")
        assert (side("stop", **asked).rc, side.where()) == (0, "")
        assert side.where("192.0.2.1") == ("" if side.name == "shell" else "eth0/24")
        assert in_namespace(side.node, setting.read_text) == "0\n"


@pytest.mark.parametrize("words", [[VIP + "/32"], [VIP, "peer", "192.0.2.254/32"]])
def test_row_23_other_forms(sides, words):
    """Another prefix length, or a peer, on the resource's own interface."""
    for side in sides():
        ip(side.node, "addr", "add", *words, "dev", "eth0")
        assert side("stop", ip=VIP).rc == 0
        assert (side.where() == "") is (side.name == "ours")


def test_row_24_host_route_over_lo(sides):
    """A real server of LVS.  4.12 passes over host routes, and is right here as ours is; releases
    after it take them for the address's place."""
    for side in sides():
        ip(side.node, "addr", "add", VIP + "/32", "dev", "lo")
        ip(side.node, "route", "add", VIP + "/32", "dev", "lo", "scope", "link")
        assert side("probe", ip=VIP).rc == 7
        assert side.codes("start", "monitor", ip=VIP) == [0, 0]
        assert side.lengths("eth0") == [24]
        assert side("stop", ip=VIP).rc == 0
        assert side.where() == "lo/32"


def test_row_25_a_route_of_another_program(sides):
    """As a router's advertisement leaves it: with the address the kernel deletes this route too."""
    asked = {"ip": VIP6, "nic": "eth0", "cidr_netmask": "64", "nodad": "true"}
    for side in sides(ours=("2001:db8::1/128 nodad",)):
        ip(side.node, "-6", "route", "add", "2001:db8::/64", "dev", "eth0", "proto", "ra",
           "metric", "100")
        before = side.routes()
        assert side.codes("start", "stop", "start", "stop", **asked) == [0, 0, 0, 0]
        assert (side.routes() == before) is (side.name == "ours")


def test_row_26_a_duplicate_that_goes(sides, request):
    """Another host gives the address up after a second and a half, as in a failover."""
    for side in sides(theirs=(VIP6 + "/64 nodad",)):
        given_up = threading.Timer(1.5, ip, (
            side.pair.neighbour, "addr", "delete", VIP6 + "/64", "dev", "eth0"))
        request.addfinalizer(given_up.cancel)
        given_up.start()
        done = side("start", ip=VIP6)
        assert (done.rc, side.where(VIP6)) == ((1, "") if side.name == "shell" else (
            0, "eth0/64")), done
        given_up.join()


def test_row_27_no_carrier(sides):
    """Detection does not end: the shell agent waits for it until it is killed."""
    for side in sides():
        ip(side.pair.neighbour, "link", "delete", "dev", "eth0")
        ip(side.node, "link", "add", "name", "eth0", "type", "veth", "peer", "name", "peer0")
        in_namespace(side.node, lambda: pathlib.Path(
            "/proc/sys/net/ipv6/conf/eth0/router_solicitations").write_text("0\n"))
        ip(side.node, "link", "set", "dev", "eth0", "up")
        asked = {"ip": VIP6, "nic": "eth0", "cidr_netmask": "64", "CRM_meta_timeout": 3000}
        if side.name == "shell":
            with pytest.raises(subprocess.TimeoutExpired):
                side("start", limit=4, **asked)
        else:
            done = side("start", limit=4, **asked)
            assert (done.rc, "still tentative" in done.log) == (0, True), done
            assert side.codes("monitor", "stop", **asked) == [0, 0]


def test_row_28_anonymous_clone_on_lo(sides):
    """What Pacemaker passes to the second node of a clone that is not globally unique."""
    asked = {"ip": VIP, "nic": "lo", "cidr_netmask": "32", "CRM_meta_clone": 1,
             "CRM_meta_clone_max": 2, "CRM_meta_globally_unique": "false"}
    for side in sides():
        tools = [side.agent.stand_in(name, 'echo "$*" >>%s/calls\n' % side.agent.folder)
                 for name in ("iptables-legacy", "iptables", "modprobe", "arptables", "nft")][0]
        done = side("start", **asked, env={"PATH": tools + ":" + PATH})
        calls = side.agent.folder / "calls"
        shared = calls.exists() and "CLUSTERIP --new" in calls.read_text()
        assert (done.rc, side.where(), shared) == (0, "lo/32", side.name == "shell"), done


def test_row_29_signals_that_the_caller_ignores(sides):
    """The caller ignores SIGTERM: so does the shell agent's sender, where it does not set its
    signals itself, and stop cannot end it."""
    for side in sides():
        tools = side.agent.stand_in("send_arp", 'echo $$ >"$6"; exec sleep 600\n', "ha")
        side.agent.program = side.agent.stand_in("IPaddr2", "trap '' TERM\nexec %s \"$@\"\n"
                                                 % side.agent.program, "caller") + "/IPaddr2"
        asked = {"ip": VIP, "env": {"HA_BIN": tools}}
        assert side("start", **asked).rc == 0
        wait_until((side.agent.rsctmp / ("send_arp-" + VIP)).exists, "the pid file")
        assert (side("stop", **asked).rc, side.where()) == (0, "")
        if side.name == "ours":
            wait_until(lambda: not processes(side.node), "the sender's end")
    assert processes(sides.made[0].node)


def test_row_30_ipv6_is_off(sides):
    asked = {"ip": VIP6, "nic": "eth0", "cidr_netmask": "64"}
    for side in sides():
        setting = pathlib.Path("/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        in_namespace(side.node, lambda: setting.write_text("1\n"))
        done = side("start", **asked)
        assert done.rc == 1
        told = "IPv6 is switched off on eth0" in done.reason, "is disabled on" in done.reason
        assert told == ((False, False) if side.name == "shell" else (True, True)), done


# --- what breaks an agent --------------------------------------------------------------------


def test_row_31_a_namespace_loses_its_name(sides, request):
    """`ip netns delete` takes the name alone where a process is inside: the address answers on."""
    for side in sides():
        asked = {"ip": VIP, "network_namespace": side.node, "inside": side.pair.neighbour}
        assert side("start", arp_bg="false", **asked).rc == 0
        resident = subprocess.Popen(["ip", "netns", "exec", side.node, "sleep", "60"])
        request.addfinalizer(resident.wait)
        request.addfinalizer(resident.kill)
        wait_until(lambda: processes(side.node) == [resident.pid], "the resident")
        subprocess.run(["ip", "netns", "delete", side.node], check=True, timeout=20)
        codes = side.codes("monitor", "stop", **asked)
        held = subprocess.run(["nsenter", "--net=/proc/%d/ns/net" % resident.pid, "ip", "addr"],
                              stdout=subprocess.PIPE, text=True, check=True, timeout=20).stdout
        assert (codes, VIP + "/" in held) == (
            ([255, 255], True) if side.name == "shell" else ([7, 0], False))


def test_row_32_shared_once(sides, need):
    """The clone has become a plain resource: the shell agent leaves the rule that drops half of the
    clients.  (Its kernel target is a stand-in here; ours shares by nft.)"""
    need("nft", "nftables")
    clone = {"CRM_meta_clone": 0, "CRM_meta_clone_max": 2, "CRM_meta_globally_unique": "true"}
    shell, ours = sides()
    tools = [shell.agent.stand_in(name, 'echo "$*" >>%s/calls\n' % shell.agent.folder)
             for name in ("iptables-legacy", "iptables", "modprobe")][0]
    env = {"PATH": tools + ":" + PATH}
    assert shell("start", ip=VIP, env=env, **clone).rc == 0
    assert shell.codes("monitor", "stop", ip=VIP, env=env) == [0, 0]
    calls = (shell.agent.folder / "calls").read_text()
    assert "-I INPUT" in calls and "-D INPUT" not in calls
    shared = dict(clone, clusterip_firewall="nft")
    assert ours("start", ip=VIP, **shared).rc == 0
    assert "table" in ours.tables()
    assert ours.codes("monitor", "stop", ip=VIP) == [7, 0]
    assert (ours.where(), ours.tables()) == ("", "")


def test_row_33_odd_names(sides):
    """The shell agent passes over interfaces called ipsec0 and the like, FreeS/WAN's of old."""
    asked = {"ip": VIP, "nic": "ipsec0", "cidr_netmask": "24"}
    shell, ours = sides(nic="ipsec0")
    assert (shell.codes("start", "monitor", "stop", **asked), shell.where()) == (
        [0, 7, 0], "ipsec0/24")
    assert (ours.codes("start", "monitor", "stop", **asked), ours.where()) == ([0, 0, 0], "")


def test_row_33_backslash(sides):
    """`read` takes the backslash away: there is no interface ab."""
    asked = {"ip": VIP, "nic": "a\\b", "cidr_netmask": "24"}
    shell, ours = sides()
    for side in (shell, ours):
        side.rename("eth0", "a\\b")
    assert shell("start", **asked).rc != 0
    assert ours.codes("start", "monitor", "stop", **asked) == [0, 0, 0]


def test_row_34_a_sender_outlives_its_address(sides):
    """HA_RSCTMP is emptied while a sender runs: the shell agent's announces on to its end."""
    for side in sides():
        assert side("start", ip=VIP, arp_count=1000, arp_interval=100).rc == 0
        wait_until(lambda: (side.agent.rsctmp / ("send_arp-" + VIP)).exists(), "the pid file")
        for path in side.agent.rsctmp.iterdir():
            path.unlink()
        assert (side("stop", ip=VIP).rc, side.where()) == (0, "")
        if side.name == "ours":
            wait_until(lambda: not processes(side.node), "the sender's end")
    assert processes(sides.made[0].node)


def test_row_35_a_reader_that_does_not_read(sides, request):
    """Log lines go to stderr, a pipe that is full: the shell agent waits until it is killed."""
    full, end = os.pipe()
    request.addfinalizer(lambda: os.close(full))
    request.addfinalizer(lambda: os.close(end))
    os.set_blocking(end, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(end, bytes(4096))
    os.set_blocking(end, True)
    for side in sides():
        process = side.agent.start_process("start", subprocess.DEVNULL, end, ip=VIP,
                                           arp_bg="false", env={"HA_LOGFILE": None})
        try:
            assert process.wait(3) == 0 and side.name == "ours"
        except subprocess.TimeoutExpired:
            assert side.name == "shell"
        finally:
            process.kill()
            process.wait()


# --- where the address belongs ---------------------------------------------------------------


def test_row_36_equal_prefixes(sides):
    """The shell agent takes the last route that is listed, which has the highest metric."""
    for side in sides():
        side.pair.connect("eth1", "eth1")
        ip(side.node, "route", "add", "192.0.2.0/24", "dev", "eth1", "scope", "link",
           "metric", "200")
        assert side("start", ip=VIP).rc == 0
        assert side.where() == ("eth1/24" if side.name == "shell" else "eth0/24")


def test_row_37_host_route(sides):
    for side in sides():
        side.pair.connect("eth1", "eth1")
        ip(side.node, "route", "add", VIP + "/32", "dev", "eth1", "scope", "link")
        assert side("start", ip=VIP).rc == 0
        assert side.where() == ("eth0/24" if side.name == "shell" else "eth1/32")


def test_row_38_gateway_of_ipv6(sides):
    """The shell agent takes the gateway for an interface, and cannot add the address there."""
    vip = "2001:db8:9::50"
    for side in sides():
        ip(side.node, "-6", "route", "add", "2001:db8:9::/64", "via", "2001:db8::9")
        assert side("validate-all", ip=vip).rc == (0 if side.name == "shell" else 1)
        done = side("start", ip=vip, nodad="true")
        assert (done.rc, side.where(vip)) == (1, ""), done
        assert ('"2001:db8::9"' in done.err) is (side.name == "shell"), done


def test_row_39_half_of_all_addresses(sides):
    """As VPN programs lay their default route: the shell agent gives the address a prefix of 1."""
    vip = "203.0.113.50"
    for side in sides():
        ip(side.node, "route", "add", "128.0.0.0/1", "dev", "eth0", "scope", "link")
        done = side("start", ip=vip)
        assert (done.rc, side.where(vip)) == (
            (0, "eth0/1") if side.name == "shell" else (1, "")), done


def test_row_40_proto(sides):
    """4.12 does not know this parameter, which came later."""
    shell, ours = sides()
    assert shell("validate-all", ip=VIP, proto="static").rc == 0
    assert ours.codes("validate-all", "probe", ip=VIP, proto="static") == [1, 7]
    assert ours("validate-all", ip=VIP, proto="kernel").rc == 0


def test_row_45_nothing_to_announce(sides):
    """No neighbour asks for addresses on such an interface."""
    for side in sides():
        ip(side.node, "link", "set", "dev", "eth0", "arp", "off")
        tools = side.agent.stand_in("send_arp", 'echo "$*" >>%s/arp\n' % side.agent.folder, "ha")
        done = side("start", ip=VIP, arp_bg="false", env={"HA_BIN": tools})
        assert (done.rc, side.where()) == (0, "eth0/24")
        assert (side.agent.folder / "arp").exists() is (side.name == "shell")


# --- the rest --------------------------------------------------------------------------------


def test_row_41_address_label(sides):
    """The address was deleted by hand: its label stays with the shell agent."""
    asked = {"ip": VIP6, "nodad": "true", "lvs_ipv6_addrlabel": "true"}
    for side in sides():
        assert side("start", **asked).rc == 0
        ip(side.node, "addr", "delete", VIP6 + "/64", "dev", "eth0")
        assert side("stop", **asked).rc == 0
        assert (VIP6 + "/128" in addrlabels(side.node)) is (side.name == "shell")


def test_row_42_unknown_action(sides):
    shell, ours = sides()
    asked = {"ip": "nonsense"}
    assert shell("promote", **asked).rc != 3
    done = ours("promote", **asked)
    assert (done.rc, "promote" in done.reason) == (3, True), done


def test_row_42_meta_data_without_ocf_root(sides):
    shell, ours = sides()
    asked = {"env": {"OCF_ROOT": None}}
    assert shell("meta-data", **asked).rc != 0
    done = ours("meta-data", **asked)
    assert done.rc == 0 and done.out.startswith("<?xml"), done


@pytest.mark.parametrize("name, value", [("mac", "nonsense"), ("arp_count_refresh", "often")])
def test_row_43_wrong_though_unused(sides, name, value):
    shell, ours = sides()
    assert shell("validate-all", ip=VIP, **{name: value}).rc == 0
    assert ours.codes("validate-all", "start", ip=VIP, **{name: value}) == [6, 6]


def test_row_44_pid_file_of_send_ua(sides):
    """A send_ua in the background: the shell agent's stop does not find it."""
    asked = {"ip": VIP6, "arp_bg": "true", "nodad": "true", "arp_count": 100, "arp_interval": 100}
    for side in sides():
        assert side("start", **asked).rc == 0
        wait_until(lambda: processes(side.node), "the sender")
        named = side.agent.rsctmp / ("send_arp-" + VIP6)
        if side.name == "ours":
            wait_until(named.exists, "the pid file")
        assert side("stop", **asked).rc == 0
        assert named.exists() is False
        assert bool(processes(side.node)) is (side.name == "shell")
