# SPDX-License-Identifier: GPL-2.0-only
"""Where the agent differs from the shell agent on purpose, by the number in doc/differences.md.

What the shell agent does instead is shown by the tests in twin/; here are our commands.
"""

import pytest

from tests.unit.scenes import (ADD4, DAD6, DELETE4, DELETE6, ON_ETH0, ON_ETH0_6, ROUTE4, SHOW4,
                               SHOW6, UP)


def test_01_stop_without_a_route(fp, agent, scene):
    fp.query(SHOW4, scene.here)
    fp.query(ROUTE4)
    fp.run(DELETE4)
    fp.query(SHOW4)
    done = agent("stop", ip="192.0.2.10")
    assert (done.rc, done.reasons) == (0, [])


def test_01_stop_where_the_address_is_on_several_interfaces(fp, agent, captured):
    show = "ip -o -f inet addr show to 192.0.2.3"
    fp.query(show, captured("addr-inet-to-3"))      # lo has it too, for reasons of its own
    fp.query("ip -o -f inet route list match 192.0.2.3 scope link")
    fp.run("ip -f inet addr delete 192.0.2.3/32 dev eth0")
    fp.query(show, captured("addr-inet-to-3").splitlines()[0] + "\n")
    assert agent("stop", ip="192.0.2.3").rc == 0


def test_01_stop_where_the_routes_are_not_told(fp, agent):
    """The address on lo is not known to be the one to remove, and answers to nobody else."""
    fp.query("ip -o -f inet addr show to 127.0.0.50",
             "1: lo    inet 127.0.0.50/8 scope host secondary lo\\       valid_lft forever\n")
    fp.query("ip -o -f inet route list match 127.0.0.50 scope link", rc=2)
    done = agent("stop", ip="127.0.0.50")
    assert (done.rc, done.reasons) == (0, [])
    assert any(line.startswith("WARNING: the routes to 127.0.0.50 ") for line in done.log)


@pytest.mark.parametrize("given", [
    {"arp_count": "0"}, {"iflabel": "much_too_long_a_label"}, {"preferred_lft": ""},
    {"arp_sender": "telepathy"}])
def test_02_stop_with_a_bad_optional_value(fp, agent, scene, given):
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    assert agent("stop", **dict(ON_ETH0, **given)).rc == 0


@pytest.mark.parametrize("action, rc", [("start", 5), ("validate-all", 5), ("monitor", 7),
                                        ("probe", 7), ("stop", 0)])
def test_03_a_missing_namespace(agent, action, rc):
    done = agent(action, network_namespace="no-such-namespace-%d" % rc, **ON_ETH0)
    assert (done.rc, bool(done.reasons)) == (rc, rc != 0)


def test_04_a_stale_pid_file(fp, agent, scene, tmp_path):
    process = fp.real(["/bin/sleep", "60"])
    try:
        scene.pid_file().write_text("%d\n" % process.pid)
        fp.query(SHOW4)
        assert agent("stop", **ON_ETH0).rc == 0
        assert process.poll() is None
        assert not scene.pid_file().exists()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("given", [{"cidr_netmask": "2"}, {"ip": "192.0.2.1"}])
def test_05_values_are_compared_in_full(fp, agent, scene, given):
    values = dict(ON_ETH0, **given)
    fp.query("ip -o -f inet addr show to " + values["ip"], scene.here)
    assert agent("monitor", **values).rc == 7


def test_06_broadcast_of_the_address_that_holds_the_vip(fp, agent, captured):
    show = "ip -o -f inet addr show to 10.2.4.4"
    fp.query("ip -o -f inet route list match 10.2.4.4 proto static scope link",
             captured("route-inet-10.2.4.4-static"))        # its seventh word is the metric, 7
    fp.query(show)
    fp.query("ip -o -d link show", captured("link-ports"))
    fp.query("ip -o -f inet addr show dev eth0", captured("addr-inet-eth0"))
    fp.query("ip link show dev eth0", captured("link-eth0-long"))
    fp.run("ip -f inet addr add 10.2.4.4/16 dev eth0", rc=1)
    fp.query(show)
    fp.query(show)
    assert agent("start", ip="10.2.4.4", proto="static").rc == 1


@pytest.mark.parametrize("spelling", ["2001:DB8::E", "2001:db8:0:0:0:0:0:e", "2001:0db8::000e"])
def test_07_any_spelling_without_a_command(fp, agent, scene, spelling):
    fp.query(SHOW6, scene.here6)
    assert agent("monitor", **dict(ON_ETH0_6, ip=spelling)).rc == 0


@pytest.mark.parametrize("ip, number, counted", [
    ("192.0.2.254", "2", "192.0.3.0"), ("192.0.2.10", "", "192.0.2.10"),
    ("192.0.2.10", "5", "192.0.2.15"), ("2001:db8::fffe", "2", "2001:db8::1:0")])
def test_08_addresses_are_counted_up(fp, agent, ip, number, counted):
    family = "inet6" if ":" in ip else "inet"
    for action, rc in (("monitor", 7), ("stop", 0)):
        fp.query("ip -o -f %s addr show to %s" % (family, counted))
        done = agent(action, ip=ip, nic="eth0", cidr_netmask="24", unique_clone_address="true",
                     CRM_meta_globally_unique="true", CRM_meta_clone=number, CRM_meta_clone_max="9")
        assert done.rc == rc, done


@pytest.mark.parametrize("ip, number", [("255.255.255.250", "9"), ("223.255.255.255", "1"),
                                        ("ffff:" * 7 + "ffff", "1")])
def test_08_beyond_the_last_address(fp, agent, ip, number):
    given = dict(nic="eth0", cidr_netmask="24", unique_clone_address="true", CRM_meta_clone=number,
                 CRM_meta_globally_unique="true", CRM_meta_clone_max="9")
    done = agent("start", ip=ip, **given)
    assert done.rc == 6
    if ip.startswith("223"):
        fp.query("ip -o -f inet addr show to 224.0.0.0")
    assert agent("stop", ip=ip, **given).rc == 0


def test_09_ipv6_is_refreshed_by_neighbour_advertisements(fp, agent, scene):
    fp.query(SHOW6, scene.here6)
    fp.query(DAD6, scene.here6)
    fp.query(scene.send_ua(count="2"))
    assert agent("monitor", arp_count_refresh="2", **ON_ETH0_6).rc == 0


@pytest.mark.parametrize("name", ["uplink", "enp0s31f6-at-the-back"])
def test_10_an_altname_means_its_interface(fp, agent, captured, name):
    show = "ip -o -f inet addr show to 203.0.113.1"
    lines = captured("addr-inet-eth1").splitlines()
    here = "\n".join(line for line in lines if "203.0.113.1" in line)
    for action in ("monitor", "stop"):
        if len(name) > 15:
            fp.query("ip link show dev " + name, captured("link-altname"))
        fp.query(show, here + "\n")
        if action == "stop":
            fp.run("ip -f inet addr delete 203.0.113.1/24 dev eth1")
            fp.query(show)
        assert agent(action, ip="203.0.113.1", nic=name, cidr_netmask="24").rc == 0


@pytest.mark.parametrize("nic", ["up", "primary"])
def test_11_names_that_are_words_of_ip(fp, agent, captured, nic):
    ip = {"up": "192.0.2.200", "primary": "192.0.2.201"}[nic]
    line = next(line for line in captured("addr-inet").splitlines() if ip in line)
    fp.query("ip -o -f inet addr show to " + ip)
    fp.query("ip link show dev " + nic, captured("link-up"))
    fp.run("ip -f inet addr add %s/24 brd + dev %s" % (ip, nic))
    fp.query("ip -o -f inet addr show to " + ip, line)
    fp.run("ip link set dev %s up" % nic)
    fp.query([fp.folder / "send_arp", "-i", "200", "-r", "5", "-p",
              fp.folder.parent / "rsctmp" / ("send_arp-" + ip), nic, ip, "auto", "not_used",
              "not_used"])
    assert agent("start", ip=ip, nic=nic, cidr_netmask="24", broadcast="+", arp_bg="no").rc == 0


def test_12_no_label_on_ipv6(fp, agent, scene):
    scene.look6()
    scene.add6()
    scene.announce6()
    done = agent("start", iflabel="web", **ON_ETH0_6)
    assert done.rc == 0
    assert any(line.startswith("WARNING: iflabel [web]") for line in done.log)


def test_13_a_tool_that_hangs(fp, agent, scene):
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4, hangs=True)
    fp.query(SHOW4, scene.here)
    done = agent("stop", **ON_ETH0)
    assert done.rc == 1
    assert "ERROR: ended after its time limit: " + DELETE4 in done.log


@pytest.mark.parametrize("given, missing", [(ON_ETH0, "send_arp"), (ON_ETH0_6, "send_ua")])
def test_14_the_agents_own_sender(fp, agent, scene, clock, built_in, given, missing):
    (fp.folder / missing).unlink()
    if missing == "send_ua":
        scene.look6()
        scene.add6()
        fp.query(DAD6, scene.here6)
    else:
        scene.look()
        scene.add()
        fp.detach()
    assert agent("start", **given).rc == 0
    assert built_in.made == [[("eth0", given["ip"], "both", None), 5, "closed"]]


@pytest.mark.parametrize("ip", ["192.0.2.050", "224.0.0.1", ":::"])
def test_15_no_addresses(agent, ip):
    for action in ("start", "validate-all"):
        assert agent(action, ip=ip, nic="eth0", cidr_netmask="24").rc == 6


@pytest.mark.parametrize("given", [
    {"nic": "eth0 up"}, {"cidr_netmask": "25 brd +"}, {"iflabel": "a dev lo"}, {"proto": "-j"},
    {"broadcast": "+ dev"}, {"ip": "-4"}])
def test_16_values_that_would_become_words(agent, given):
    for action in ("start", "validate-all"):
        assert agent(action, **dict(ON_ETH0, **given)).rc == 6


def test_17_the_address_on_another_interface(fp, agent, scene):
    fp.query(SHOW4, scene.here)
    done = agent("stop", **dict(ON_ETH0, nic="eth1"))
    assert (done.rc, done.reasons) == (0, [])


def test_18_the_interface_cannot_be_set_up(fp, agent, scene):
    scene.look()
    fp.run(ADD4)
    fp.query(SHOW4, scene.here)
    fp.run(UP, out="RTNETLINK answers: Operation not permitted", rc=2)
    scene.take_back()
    done = agent("start", **ON_ETH0)
    assert done.rc == 1
    assert "ERROR: RTNETLINK answers: Operation not permitted" in done.log


def test_18_an_ip_that_fails_after_the_addition(fp, agent, scene):
    """It cannot be seen whether the address is there: all the more it is deleted."""
    scene.look()
    fp.run(ADD4)
    fp.query(SHOW4, err="Cannot open netlink socket", rc=2)
    fp.run("ip link set dev eth0 up")
    fp.query(SHOW4, err="Cannot open netlink socket", rc=2)
    fp.run(DELETE4)
    fp.query(SHOW4, err="Cannot open netlink socket", rc=2)
    assert agent("start", **ON_ETH0).rc == 1
    assert scene.note().exists()        # for a stop, which will find it by that


def test_18_what_another_added_stays(fp, agent, scene):
    scene.look()
    fp.run(ADD4, out="RTNETLINK answers: File exists", rc=2)
    fp.query(SHOW4)
    fp.query(SHOW4)
    done = agent("start", **ON_ETH0)
    assert done.rc == 1 and "RTNETLINK answers: File exists" in done.reasons[0]
    assert not scene.note().exists()


def test_18_the_label_of_a_failed_start(fp, agent, scene):
    scene.look6()
    fp.run("ip addrlabel add prefix 2001:db8::e label 99")
    scene.add6()
    scene.announce6(rc=1)
    fp.query(SHOW6, scene.here6)
    fp.run(DELETE6)
    fp.run("ip addrlabel del prefix 2001:db8::e label 99")
    fp.query(SHOW6)
    assert agent("start", lvs_ipv6_addrlabel="true", **ON_ETH0_6).rc == 1
