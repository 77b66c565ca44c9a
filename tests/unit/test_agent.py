# SPDX-License-Identifier: GPL-2.0-only
"""Each action's exit code, output and the commands it starts, in their order."""

import pytest

from tests.unit.scenes import (ADD6, DAD6, DELETE4, DELETE6, DEV6, EXACT6, ON_ETH0, ON_ETH0_6,
                               ROUTE4, SHOW4, SHOW6, UP)

# --- monitor and status ----------------------------------------------------------------------


@pytest.mark.parametrize("text, given, served", [
    ("to-10", {}, True), ("to-none", {}, False), ("to-10", {"cidr_netmask": "24"}, False),
    ("to-10", {"cidr_netmask": "2"}, False), ("to-10", {"nic": "eth1"}, False),
    ("to-1", {}, False), ("to-10", {"nic": "eth9"}, False),
    ("to-10", {"cidr_netmask": "255.255.255.128"}, True), ("to-10", {"nic": "eth0:web"}, True),
])
def test_monitor_status_and_probe(fp, agent, captured, text, given, served):
    for action in ("monitor", "status", "probe"):
        fp.query(SHOW4, captured("addr-inet-" + text))
        done = agent(action, **dict(ON_ETH0, **given))
        assert done.rc == (0 if served else 7), done
        assert done.out == ("" if action != "status" else "running\n" if served else "stopped\n")
        assert done.reasons == []


def test_monitor_finds_the_place_by_route(fp, agent, captured):
    fp.query(ROUTE4, captured("route-inet-192.0.2.1"))
    fp.query(SHOW4, captured("addr-inet-to-10"))
    assert agent("monitor", ip="192.0.2.10").rc == 0


@pytest.mark.parametrize("text, rc, status", [
    ("tentative", 0, "running\n"), ("settled", 0, "running\n"), ("to-1", 7, "stopped\n")])
def test_monitor_ipv6(fp, agent, captured, text, rc, status):
    for action, out in (("monitor", ""), ("status", status)):
        fp.query(SHOW6, captured("addr-inet6-" + text))
        done = agent(action, **dict(ON_ETH0_6, ip="2001:DB8:0:0::E"))
        assert (done.rc, done.out, done.reasons) == (rc, out, [])


def test_monitor_of_a_duplicate(fp, agent, captured):
    fp.query("ip -o -f inet6 addr show to 2001:db8::dad", captured("addr-inet6-dadfailed"))
    done = agent("monitor", **dict(ON_ETH0_6, ip="2001:db8::dad"))
    assert done.rc == 1 and "2001:db8::dad" in done.reasons[0]


@pytest.mark.parametrize("action, rc", [
    ("probe", 7), ("monitor", 1), ("status", 1), ("start", 1), ("validate-all", 1)])
def test_nothing_tells_where_the_address_belongs(fp, agent, captured, action, rc):
    if action != "validate-all":
        fp.query("ip -o -f inet addr show to 203.0.114.1")
    fp.query("ip -o -f inet route list match 203.0.114.1 scope link",
             captured("route-inet-203.0.114.1"))
    done = agent(action, ip="203.0.114.1")
    assert done.rc == rc
    assert (len(done.reasons) == 1 and "203.0.114.1" in done.reasons[0]) if rc != 7 \
        else done.reasons == []


@pytest.mark.parametrize("action", ["monitor", "status", "probe", "start", "stop"])
def test_an_ip_that_fails_is_not_taken_for_an_address_that_is_gone(fp, agent, action):
    fp.query(SHOW4, err="Cannot open netlink socket: Permission denied", rc=2)
    done = agent(action, **ON_ETH0)
    assert done.rc == 1
    assert "192.0.2.10" in done.reasons[0] and "Permission denied" in done.reasons[0]


@pytest.mark.parametrize("link, rc", [("eth0", 0), ("lo", 0), ("eth2", 7), ("mac2", 7)])
def test_link_status(fp, agent, captured, link, rc):
    for action in ("monitor", "status", "probe"):
        fp.query(SHOW4, captured("addr-inet-to-10"))
        fp.query("ip -o link show dev eth0", captured("link-" + link))
        assert agent(action, check_link_status="true", **ON_ETH0).rc == rc


# --- start -----------------------------------------------------------------------------------


def test_start_of_a_served_address(agent, scene):
    scene.look(scene.here, brd=False, link=False)
    done = agent("start", **ON_ETH0)
    assert (done.rc, done.out, done.reasons) == (0, "", [])


def test_start(fp, agent, captured, scene):
    fp.query(ROUTE4, captured("route-inet-192.0.2.1"))
    scene.look()
    scene.add()
    scene.announce()
    done = agent("start", ip="192.0.2.10")
    assert (done.rc, done.out, done.reasons) == (0, "", []), done
    assert [line for line in done.log if line.startswith("INFO: ip ")] == [
        "INFO: ip -f inet addr add 192.0.2.10/25 brd 192.0.2.127 dev eth0",
        "INFO: ip link set dev eth0 up"]


@pytest.mark.parametrize("given, words", [
    ({"broadcast": "192.0.2.255"}, "brd 192.0.2.255 dev eth0"),
    ({"broadcast": "+"}, "brd + dev eth0"), ({"broadcast": "-"}, "brd - dev eth0"),
    ({"iflabel": "web"}, "brd + dev eth0 label eth0:web"),
    ({"nic": "eth0:web"}, "brd + dev eth0 label eth0:web"),
    ({"nic": "eth0:web", "iflabel": "x"}, "brd + dev eth0 label eth0:web"),
    ({"noprefixroute": "true"}, "brd + dev eth0 noprefixroute"),
    ({"nodad": "true", "preferred_lft": "9"}, "brd + dev eth0"),
    ({"metric": "50"}, "brd + dev eth0 metric 50"),
])
def test_start_with_options(agent, scene, given, words):
    scene.look(brd=False)
    scene.add("ip -f inet addr add 192.0.2.10/25 " + words)
    scene.announce()
    done = agent("start", **dict(ON_ETH0, **dict({"broadcast": "+"}, **given)))
    assert done.rc == 0, done


def test_start_on_the_loopback_announces_nothing(fp, agent, captured):
    fp.query("ip -o -f inet addr show to 192.0.2.3")
    fp.query("ip -o -f inet addr show dev lo")
    fp.run("ip -f inet addr add 192.0.2.3/32 dev lo")
    fp.query("ip -o -f inet addr show to 192.0.2.3", captured("addr-inet-to-3"))
    fp.run("ip link set dev lo up")
    assert agent("start", ip="192.0.2.3", nic="lo", cidr_netmask="32").rc == 0


@pytest.mark.parametrize("rc", [1, 127, 255])
def test_a_failed_announcement_fails_no_start(agent, scene, rc):
    scene.look()
    scene.add()
    scene.announce(rc=rc, out="no such\ndevice")
    done = agent("start", **ON_ETH0)
    assert done.rc == 0
    assert "ERROR: Could not send gratuitous ARP: rc=%d" % rc in done.log
    assert "INFO: no such device" in done.log


def test_start_ipv6(fp, agent, captured, scene, clock):
    scene.look6()
    scene.add6()
    fp.query(DAD6, captured("addr-inet6-tentative"))
    scene.announce6()
    done = agent("start", **dict(ON_ETH0_6, ip="2001:db8:0::000E"))
    assert (done.rc, done.reasons) == (0, []), done


def test_start_ipv6_in_the_foreground_fails_with_its_announcement(agent, scene):
    scene.look6()
    scene.add6()
    scene.announce6(rc=3)
    scene.take_back6()
    done = agent("start", **ON_ETH0_6)
    assert done.rc == 1 and "2001:db8::e" in done.reasons[0]


def test_start_ipv6_addrlabel(fp, agent, scene):
    scene.look6()
    fp.run("ip addrlabel add prefix 2001:db8::e label 99", out="File exists", rc=2)
    scene.add6()
    scene.announce6()
    done = agent("start", lvs_ipv6_addrlabel="true", **ON_ETH0_6)
    assert done.rc == 0
    assert [line for line in done.log if line.startswith("WARNING") and "addrlabel" in line]


@pytest.mark.parametrize("rc, code", [(1, 1), (0, 0), (2, 0)])
def test_collision_check(fp, agent, captured, scene, rc, code):
    scene.look()
    fp.query("arping -V", captured("arping-iputils"))
    fp.query("arping -q -c 2 -w 3 -D -I eth0 192.0.2.10", rc=rc)
    if code == 0:
        scene.add()
        scene.announce()
    else:
        fp.query(SHOW4)         # is it gone, so that the note may go?
    done = agent("start", run_arping="true", **ON_ETH0)
    assert done.rc == code
    assert any("collision: 192.0.2.10" in line for line in done.log) is (code == 1)


# --- stop ------------------------------------------------------------------------------------


def test_stop(fp, agent, captured):
    fp.query(SHOW4, captured("addr-inet-to-10"))
    fp.run(DELETE4)
    fp.query(SHOW4)
    done = agent("stop", **ON_ETH0)
    assert (done.rc, done.out, done.reasons) == (0, "", []), done


def test_stop_of_an_unserved_address(fp, agent):
    fp.query(SHOW4)
    done = agent("stop", **ON_ETH0)
    assert (done.rc, done.reasons) == (0, [])


@pytest.mark.parametrize("ip", ["", None, "x", "192.0.2.300", "192.0.2. 10", "-x", ":::"])
def test_stop_without_an_address(fp, agent, ip):
    given = {} if ip is None else {"ip": ip}
    done = agent("stop", nic="eth0", **given)
    assert (done.rc, done.reasons) == (0, [])


@pytest.mark.parametrize("ip", ["192.0.2.10 ", " 192.0.2.10", "\t192.0.2.10\n"])
def test_white_space_around_a_value_is_no_part_of_it(fp, agent, scene, ip):
    for action in ("monitor", "stop"):
        fp.query(SHOW4, scene.here)
        if action == "stop":
            fp.run(DELETE4)
            fp.query(SHOW4)
        done = agent(action, ip=ip, nic=" eth0", cidr_netmask="25\n")
        assert (done.rc, done.reasons) == (0, [])


def test_stop_flushes_the_cache(fp, agent, captured):
    fp.query(SHOW4, captured("addr-inet-to-10"))
    fp.run(DELETE4)
    fp.run("ip route flush cache")
    fp.query(SHOW4)
    assert agent("stop", flush_routes="true", **ON_ETH0).rc == 0


def test_stop_ipv6(fp, agent, captured):
    fp.query(SHOW6, captured("addr-inet6-settled"))
    fp.run(DELETE6)
    fp.run("ip addrlabel del prefix 2001:db8::e label 7")
    fp.query(SHOW6)
    assert agent("stop", lvs_ipv6_addrlabel="true", lvs_ipv6_addrlabel_value=7, **ON_ETH0_6).rc == 0


def test_an_address_that_stays_keeps_its_label(fp, agent, scene):
    fp.query(SHOW6, scene.here6)
    fp.run(DELETE6, rc=2)
    fp.query(SHOW6, scene.here6)
    fp.query(SHOW6, scene.here6)
    assert agent("stop", lvs_ipv6_addrlabel="true", **ON_ETH0_6).rc == 1


@pytest.mark.parametrize("rc", [0, 2, 127])
def test_stop_fails_only_where_the_address_is_still_there(fp, agent, captured, rc):
    fp.query(SHOW4, captured("addr-inet-to-10"))
    fp.run(DELETE4, rc=rc)
    fp.query(SHOW4, captured("addr-inet-to-10"))
    done = agent("stop", **ON_ETH0)
    assert done.rc == 1 and "192.0.2.10" in done.reasons[0] and "eth0" in done.reasons[0]


def test_stop_of_what_comes_into_sight_by_it(fp, agent, scene):
    """Another form of the address on the same interface, which was not tried yet."""
    alone = scene.here.replace("/25 brd 192.0.2.127", "/32")
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4, alone)
    fp.run("ip -f inet addr delete 192.0.2.10/32 dev eth0")
    fp.query(SHOW4, alone.replace("2: eth0", "3: eth1").replace("eth0", "eth1"))
    assert agent("stop", **ON_ETH0).rc == 0


def test_stop_in_every_form(fp, agent, scene):
    """Any prefix length, and a peer, whatever cidr_netmask is; other interfaces keep theirs."""
    peer = scene.here.replace("192.0.2.10/25 brd 192.0.2.127", "192.0.2.10 peer 192.0.2.254/24")
    other = scene.here.replace("2: eth0", "3: eth1").replace("eth0", "eth1")
    fp.query(SHOW4, other + scene.here.replace("/25", "/32") + peer)
    fp.run("ip -f inet addr delete 192.0.2.10/32 dev eth0")
    fp.run("ip -f inet addr delete 192.0.2.10 peer 192.0.2.254/24 dev eth0")
    fp.query(SHOW4, other)
    assert agent("stop", **ON_ETH0).rc == 0


def test_stop_says_what_it_could_not_remove(fp, agent, scene):
    peer = scene.here.replace("192.0.2.10/25 brd 192.0.2.127", "192.0.2.10 peer 192.0.2.254/24")
    fp.query(SHOW4, scene.here + peer)
    fp.run(DELETE4)
    fp.run("ip -f inet addr delete 192.0.2.10 peer 192.0.2.254/24 dev eth0", rc=2)
    fp.query(SHOW4, peer)
    done = agent("stop", **ON_ETH0)
    assert done.rc == 1
    assert done.reasons == ["Unable to remove 192.0.2.10 peer 192.0.2.254/24 from eth0"]


@pytest.mark.parametrize("proto, words", [
    ("", ""), ("kernel", "proto kernel "), ("no such", ""), ("-x", "")])
@pytest.mark.parametrize("route, nics", [
    ("eth0", ["eth0"]), ("eth1", ["eth1"]), ("eth0 eth1", ["eth0", "eth1"]),
    ("", ["eth0", "eth1"]), ("eth2", [])])
def test_stop_where_the_routes_have_the_address(fp, agent, scene, proto, words, route, nics):
    """From every interface that one of them names; without any, from all but lo."""
    lines = {name: "%d: %s    inet 192.0.2.10/%s scope global %s\\       valid_lft forever\n"
             % (index, name, prefix, name)
             for index, name, prefix in ((1, "lo", 32), (2, "eth0", 24), (3, "eth1", 32))}
    fp.query(SHOW4, "".join(lines.values()))
    fp.query("ip -o -f inet route list match 192.0.2.10 %sscope link" % words,
             "".join("192.0.2.0/24 dev %s proto kernel\n" % name for name in route.split()))
    for name in nics:
        fp.run("ip -f inet addr delete 192.0.2.10/%s dev %s"
               % ({"eth0": 24, "eth1": 32}[name], name))
    if nics:
        fp.query(SHOW4, "".join(line for name, line in lines.items() if name not in nics))
    done = agent("stop", ip="192.0.2.10", proto=proto)
    assert (done.rc, done.reasons) == (0, [])


@pytest.mark.parametrize("nic, prefix, goes", [
    ("kube-ipvs0", 32, False), ("kube-ipvs0", 24, True), ("eth1", 32, True), ("lo", 24, False),
    ("ipsec0", 24, False)])
def test_stop_without_routes_leaves_what_is_an_interfaces_own(fp, agent, flags, nic, prefix, goes):
    flags["eth1"], flags["kube-ipvs0"] = 0x1043, 0x82       # up, without ARP
    line = "7: %s    inet 192.0.2.10/%d scope global %s\\       valid_lft forever\n" % (
        nic, prefix, nic)
    fp.query(SHOW4, line)
    fp.query(ROUTE4)
    if goes:
        fp.run("ip -f inet addr delete 192.0.2.10/%d dev %s" % (prefix, nic))
        fp.query(SHOW4)
    assert agent("stop", ip="192.0.2.10").rc == 0


@pytest.mark.parametrize("tables, asked", [("", False), ("table ip ipaddr2-192.0.2.100\n", False)])
def test_stop_and_start_look_for_what_nft_may_still_share(fp, agent, scene, tables, asked):
    """Without a note, where nft is installed: one question."""
    fp.install("nft")
    for action in ("stop", "start"):
        fp.query("nft list tables", tables)
        fp.query(SHOW4, scene.here)
        if action == "stop":
            fp.run(DELETE4)
            fp.query(SHOW4)
        assert agent(action, **ON_ETH0).rc == 0
    fp.query(SHOW4, scene.here)         # start has noted that the address is a plain one
    fp.run(DELETE4)
    fp.query(SHOW4)
    assert agent("stop", **ON_ETH0).rc == 0


@pytest.mark.parametrize("ip", ["rubbish", "192.0.2.300", "192.0.2", "2001:db8::g"])
def test_a_monitor_of_what_is_no_address(fp, agent, ip):
    """Nothing is asked for where interface and prefix are given."""
    for action in ("monitor", "status", "probe"):
        assert agent(action, **dict(ON_ETH0, ip=ip)).rc == 7


def test_start_takes_a_route_that_another_laid_for_its_own(fp, agent, scene):
    """The kernel would take it along with the address: IPv6, the same prefix, another's."""
    fp.query(SHOW6)
    fp.query(EXACT6, "2001:db8::/64 proto ra metric 100 expires 55sec pref medium\n")
    scene.add6("ip -f inet6 addr add 2001:db8::e/64 dev eth0 noprefixroute preferred_lft forever")
    scene.announce6()
    assert agent("start", **ON_ETH0_6).rc == 0


@pytest.mark.parametrize("routes, address, word", [
    ("proto kernel metric 256 pref medium", "2001:db8::1/64", ""),
    ("proto kernel metric 256 pref medium", "2001:db8::1/64 noprefixroute", "noprefixroute "),
    ("proto kernel metric 256 pref medium", "2001:db8::1/128", "noprefixroute "),
    ("proto kernel metric 256 pref medium", "2001:db8:1::1/64", "noprefixroute "),
    ("proto kernel metric 256 pref medium", "2001:db8::e/64", "noprefixroute "),
    ("proto kernel metric 256 expires 9sec pref medium", "2001:db8::1/64", "noprefixroute "),
    ("proto kernel metric 100 pref medium", "2001:db8::1/64", "noprefixroute "),
    ("proto ra metric 256 pref medium", "2001:db8::1/64", "noprefixroute "),
    ("metric 1024 pref medium", "2001:db8::1/64", "noprefixroute "),
    ("via fe80::1 proto ra metric 100", "2001:db8::1/128", None)])
def test_whose_route_it_is(fp, agent, scene, routes, address, word):
    """That of the kernel for an address is laid anew by the kernel; any other would be lost."""
    address, _, flag = address.partition(" ")
    fp.query(SHOW6)
    fp.query(EXACT6, "2001:db8::/64 %s\n" % routes)
    if routes == "proto kernel metric 256 pref medium":     # no other can be the kernel's
        fp.query(DEV6, "2: eth0    inet6 %s scope global %s\\       valid_lft forever\n"
                 % (address, flag))
    scene.add6("ip -f inet6 addr add 2001:db8::e/64 dev eth0 %spreferred_lft forever"
               % (word or ""))
    scene.announce6()
    assert agent("start", **ON_ETH0_6).rc == 0


@pytest.mark.parametrize("question", ["exact", "dev"])
def test_a_route_that_cannot_be_told(fp, agent, scene, question):
    """`ip` cannot list routes on some hosts: the address is added as ever, with a warning."""
    fp.query(SHOW6)
    if question == "dev":
        fp.query(EXACT6, "2001:db8::/64 proto kernel metric 256\n")
        fp.query(DEV6, err="Cannot open netlink socket", rc=2)
    else:
        fp.query(EXACT6, err="Cannot open netlink socket", rc=2)
    fp.run(ADD6)
    fp.query(SHOW6, scene.here6)
    fp.run(UP)
    scene.announce6()
    done = agent("start", **ON_ETH0_6)
    assert done.rc == 0
    assert any("WARNING" in line and "Cannot open netlink socket" in line for line in done.log)


def test_stop_by_two_at_once(fp, agent, captured):
    fp.query(SHOW4, captured("addr-inet-to-10"))
    fp.run(DELETE4, out="RTNETLINK answers: Cannot assign requested address", rc=2)
    fp.query(SHOW4)
    assert agent("stop", **ON_ETH0).rc == 0
