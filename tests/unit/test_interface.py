# SPDX-License-Identifier: GPL-2.0-only
"""Addresses and links read from what ip(8) printed, and the words of the commands for them."""

import contextlib

import pytest

from ipaddr2_py import addresses, commands, params
from ipaddr2_py.changes import interface, promotion
from ipaddr2_py.addresses import Address, Unreadable
from ipaddr2_py.ocf import OcfExit
from tests.unit.scenes import ADD4, ON_ETH0, ON_ETH0_6, SHOW4, UP


def values(**given):
    return dict(params.read({}), **given)


# --- links -----------------------------------------------------------------------------------


@pytest.mark.parametrize("link, state", [
    ("eth0", "UP"), ("eth1", "UP"), ("up", "UP"), ("eth0.5", "UP"), ("lo", "UNKNOWN"),
    ("eth2", "DOWN"), ("primary-down", "DOWN"), ("mac2", "LOWERLAYERDOWN")])
def test_link_state(fp, captured, link, state):
    text = captured("link-" + link)
    assert interface.parse_link_state(text) == state
    fp.query("ip -o link show dev any", text)
    assert interface.link_is_down("any") is (state.endswith("DOWN"))


def test_no_state_is_no_failure():
    assert interface.parse_link_state("") == ""
    assert interface.parse_link_state("2: eth0: <UP> state") == ""
    assert interface.parse_link_state("2: eth0: <UP> state UP") == "UP"


def test_a_link_that_is_gone_is_down(fp):
    fp.query("ip -o link show dev eth9", err='Device "eth9" does not exist.', rc=1)
    assert interface.link_is_down("eth9")


@pytest.mark.parametrize("rc, text", [(1, ""), (255, ""), (0, ""), (0, "garbage"), (137, "")])
def test_a_link_that_ip_does_not_tell_of(fp, rc, text):
    fp.query("ip -o link show dev eth9", text, rc=rc)
    with pytest.raises(addresses.Unreadable):
        interface.link_is_down("eth9")


@pytest.mark.parametrize("link, infiniband", [("infiniband", True), ("eth0-long", False)])
def test_infiniband(fp, captured, link, infiniband):
    fp.query("ip link show dev any", captured("link-" + link))
    assert interface.is_infiniband("any") is infiniband


# --- commands --------------------------------------------------------------------------------


@pytest.mark.parametrize("family, brd, label, given, words", [
    ("inet", "", "", {}, "dev eth0"),
    ("inet", "192.0.2.255", "", {}, "brd 192.0.2.255 dev eth0"),
    ("inet", "+", "", {}, "brd + dev eth0"),
    ("inet", "", "eth0:web", {}, "dev eth0 label eth0:web"),
    ("inet", "", "", {"nodad": "true", "preferred_lft": "5"}, "dev eth0"),
    ("inet", "-", "eth0:w", {"noprefixroute": "yes", "metric": "7"},
     "brd - dev eth0 noprefixroute label eth0:w metric 7"),
    ("inet6", "", "", {}, "dev eth0 preferred_lft forever"),
    ("inet6", "", "", {"nodad": "1", "noprefixroute": "ja", "preferred_lft": "0", "metric": "300"},
     "dev eth0 nodad noprefixroute preferred_lft 0 metric 300"),
    ("inet6", "", "", {"nodad": "Yes", "noprefixroute": "y"}, "dev eth0 preferred_lft forever"),
])
def test_words_of_addr_add(fp, family, brd, label, given, words):
    argv = interface.address_add_argv(family, Address(0, "eth0", "IP", "", 24, brd),
                                      values(**given), label)
    assert " ".join(argv) == "ip -f %s addr add IP/24 %s" % (family, words)


def test_the_program_can_be_named(fp):
    commands.ENV["IP2UTIL"] = "ip -s"
    assert interface.address_add_argv("inet", Address(0, "eth0", "IP", "", 8), values()) == [
        "ip", "-s", "-f", "inet", "addr", "add", "IP/8", "dev", "eth0"]


@pytest.mark.parametrize("result, words", [
    (dict(rc=1, err="Cannot open netlink socket"), "ended with 1: Cannot open netlink socket"),
    (dict(rc=255), "ended with 255: no output"), (dict(hangs=True), "at its time limit")])
def test_a_failing_ip_is_not_taken_for_nothing(fp, result, words):
    fp.query("ip -o -f inet addr show to 192.0.2.1", **result)
    with pytest.raises(Unreadable, match=words):
        addresses.address_places("inet", "192.0.2.1")


@pytest.mark.parametrize("family, address, ip, places", [
    ("inet", "3", "192.0.2.3", [("lo", 32), ("eth0", 32)]),
    ("inet", "peer", "10.1.0.1", [("eth1", 32)]), ("inet", "none", "192.0.2.99", []),
    ("inet6", "1", "2001:db8::1", [("eth0", 64)])])
def test_held_addresses(fp, captured, family, address, ip, places):
    fp.query("ip -o -f %s addr show to %s" % (family, ip),
             captured("addr-%s-to-%s" % (family, address)))
    held = addresses.address_places(family, ip)
    assert [(one.nic, one.prefix) for one in held] == places
    # What start adds has no peer.
    for nic in ("lo", "eth0", "eth1"):
        assert bool(addresses.find_interface(held, 32, nic)) is (
            (nic, 32) in places and address != "peer")


@pytest.mark.parametrize("family, kept", [("inet", ["192.0.2.9"]), ("inet6", [])])
def test_other_ipv4_addresses_stay(fp, monkeypatch, family, kept):
    seen = []
    monkeypatch.setattr(promotion, "secondaries_kept",
                        lambda address: seen.append(address.ip) or contextlib.nullcontext())
    fp.run("ip -f %s addr delete 192.0.2.9/24 dev eth0" % family)
    interface.delete_address(family, Address(2, "eth0", "192.0.2.9", "", 24))
    assert seen == kept


def test_words_of_addr_delete(fp, host):
    """The kernel knows an IPv4 address with a peer by both, an IPv6 one by its own alone."""
    fp.run("ip -f inet addr delete 192.0.2.9/24 dev eth0")
    fp.run("ip -f inet addr delete 192.0.2.9 peer 192.0.2.254/32 dev eth0", rc=2)
    fp.run("ip -f inet6 addr delete 2001:db8::9/64 dev eth0")
    fp.run("ip -f inet6 addr delete 2001:db8::9/128 dev eth0")
    for family, ip, peer, prefix, rc in (
            ("inet", "192.0.2.9", "", 24, 0), ("inet", "192.0.2.9", "192.0.2.254", 32, 2),
            ("inet6", "2001:db8::9", "", 64, 0), ("inet6", "2001:db8::9", "2001:db8::8", 128, 0)):
        assert interface.delete_address(family, Address(2, "eth0", ip, peer, prefix)) == rc


@pytest.mark.parametrize("rc, out, seen, up, told", [
    (0, "", True, 0, ""),
    (0, "", True, 2, "RTNETLINK answers: no"),
    (0, "", False, 0, "%s succeeded, but the address is not there"),
    (2, "RTNETLINK answers: Permission denied", False, None,
     "RTNETLINK answers: Permission denied"),
    (2, "RTNETLINK answers: File exists", True, None, ""),      # somebody else was faster
    (1, "RTNETLINK answers: File exists", True, None, ""),
    (125, "", False, None, "command failed with 125: %s"),
    (126, "", True, None, "command failed with 126: %s"),
    (255, "", False, None, "command failed with 255: %s"),
    (127, "", False, None, "command not found: %s")])
def test_why_an_addition_failed(fp, host, scene, tmp_path, rc, out, seen, up, told):
    fp.run(ADD4, out=out, rc=rc)
    fp.query(SHOW4, scene.here if seen else "")
    if up is not None:
        fp.run(UP, out="RTNETLINK answers: no" if up else "", rc=up)
    undo = []
    address = Address(0, "eth0", "192.0.2.10", "", 25, "192.0.2.127")
    found = interface.add_interface("inet", address, values(), undo=undo)
    assert found == (told % ADD4 if "%" in told else told)
    # One that refused added nothing; one that was cut off may have.
    assert len(undo) == (rc == 0 or rc > 125)
    assert not found or found in (tmp_path / "log").read_text()


@pytest.mark.parametrize("rc, ours", [(0, True), (1, False), (125, False), (126, True)])
def test_whose_label_it_is(fp, host, scene, rc, ours):
    fp.run("ip addrlabel add prefix 2001:db8::e label 99", rc=rc)
    scene.add6()
    if ours:
        fp.run("ip addrlabel del prefix 2001:db8::e label 99")
    undo = []
    address = Address(0, "eth0", "2001:db8::e", "", 64)
    assert not interface.add_interface("inet6", address, values(lvs_ipv6_addrlabel="true"),
                                       undo=undo)
    del undo[-1]                # that of the address
    for step in undo:
        step()


@pytest.mark.parametrize("ip, value, gone", [
    ("2001:db8::e", "7", True), ("2001:db8::e", "07", True), ("2001:db8::e", "9", False),
    ("2001:db8::f", "9", False), ("2001:db8::", "7", False), ("2001:10::", "7", False)])
def test_a_label_that_an_interrupted_start_left(fp, agent, captured, ip, value, gone):
    """For any interface, as the agent adds it, with its number, and for the address alone."""
    fp.query("ip -o -f inet6 addr show to " + ip)
    fp.query("ip addrlabel list", captured("addrlabel"))
    if gone:
        fp.run("ip addrlabel del prefix %s label 7" % ip)
    assert agent("stop", ip=ip, nic="eth0", cidr_netmask="64", lvs_ipv6_addrlabel="true",
                 lvs_ipv6_addrlabel_value=value).rc == 0


@pytest.mark.parametrize("rc, collides", [(0, False), (1, True), (2, False), (127, False)])
def test_only_code_1_is_a_collision(fp, captured, rc, collides):
    fp.query("arping -V", captured("arping-iputils"))
    fp.query("arping -q -c 2 -w 3 -D -I eth0 192.0.2.9", rc=rc)
    assert interface.collision("eth0", "192.0.2.9") is collides


@pytest.mark.parametrize("program, foreign", [
    ("iputils", False), ("habets", True), ("busybox", False)])
def test_arping_by_another_author(fp, captured, capfd, program, foreign):
    assert interface.is_foreign_arping(captured("arping-" + program)) is foreign
    if foreign:
        fp.query("arping -V", captured("arping-" + program))
        with pytest.raises(OcfExit) as leaving:
            interface.collision("eth0", "192.0.2.9")
        assert leaving.value.rc == 5
        assert "run_arping needs the arping of iputils or BusyBox, but " in capfd.readouterr().err


@pytest.mark.parametrize("text, foreign", [
    ("by Thomas Habets", True), ("BusyBox v1", False), ("ARPing 2", True), ("arping", False),
    ("ARPing from iputils", False), ("", False)])
def test_any_of_these_words_tells(text, foreign):
    assert interface.is_foreign_arping(text) is foreign


def test_no_arping(fp, agent, scene):
    (fp.folder / "arping").unlink()
    scene.look()
    fp.query(SHOW4)
    done = agent("start", run_arping="true", **ON_ETH0)
    assert done.rc == 5 and "arping" in done.reasons[0]


def test_ipv6_addresses_are_not_asked_for_by_arping(agent, scene):
    scene.look6()
    scene.add6()
    scene.announce6()
    assert agent("start", run_arping="true", **ON_ETH0_6).rc == 0
