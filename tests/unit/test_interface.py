# SPDX-License-Identifier: GPL-2.0-only
"""Addresses and links read from what ip(8) printed, and the words of the commands for them."""

import ipaddress
import random

import pytest

from ipaddr2_py import commands, interface, params
from ipaddr2_py.interface import Unreadable


def values(**given):
    return dict(params.read({}), **given)


def held(text):
    return [(one.nic, one.ip, one.prefix, one.brd) for one in interface.parse_addresses(text)]


# --- addresses -------------------------------------------------------------------------------


def test_ipv4_addresses(captured):
    assert held(captured("addr-inet")) == [
        ("lo", "127.0.0.1", 8, ""),
        ("lo", "192.0.2.3", 32, ""),
        ("eth0", "192.0.2.1", 24, "192.0.2.255"),
        ("eth0", "192.0.2.3", 32, "192.0.2.255"),
        ("eth0", "192.0.2.10", 25, "192.0.2.127"),
        ("eth0", "192.0.2.2", 24, "192.0.2.255"),       # secondary, with a label
        ("eth1", "198.51.100.1", 24, "198.51.100.255"),     # with a metric
        ("eth1", "203.0.113.1", 24, ""),
        ("up", "192.0.2.200", 24, "192.0.2.255"),
        ("primary", "192.0.2.201", 24, "192.0.2.0"),
        ("eth0.5", "10.9.0.1", 16, "10.9.255.255")]     # with a lifetime


def test_ipv6_addresses(captured):
    assert [(one.nic, one.ip, one.prefix, one.flags)
            for one in interface.parse_addresses(captured("addr-inet6"))] == [
        ("lo", "::1", 128, []),
        ("eth0", "2001:db8::e", 64, ["tentative"]),
        ("eth0", "2001:db8::dad", 64, ["dadfailed", "tentative"]),
        ("eth0", "2001:db8::13", 64, ["nodad", "dynamic"]),
        ("eth0", "2001:db8::12", 64, ["nodad"]),        # with a metric
        ("eth0", "2001:db8::11", 128, ["nodad", "noprefixroute"]),
        ("eth0", "2001:db8::10", 64, ["nodad", "deprecated"]),
        ("eth0", "2001:db8::1", 64, ["nodad"]),
        ("eth0", "fe80::1:1", 64, ["nodad"]),
        ("eth1", "fe80::1:1", 64, ["nodad"]),
        ("up", "2001:db8:2::1", 64, ["nodad"])]


def test_ipv4_flags_and_label(captured):
    flags = {one.ip: one.flags for one in interface.parse_addresses(captured("addr-inet"))}
    assert flags["192.0.2.2"] == ["secondary", "eth0:web"]
    assert flags["10.9.0.1"] == ["dynamic", "noprefixroute", "eth0.5"]


@pytest.mark.parametrize("address, ip, prefix, nics", [
    ("inet", "192.0.2.1", 24, ["eth0"]),
    ("inet", "192.0.2.1", 2, []),               # prefixes are compared as numbers
    ("inet", "192.0.2.1", 25, []),
    ("inet", "192.0.2.3", 32, ["lo", "eth0"]),
    ("inet", "192.0.2.200", 24, ["up"]),
    ("inet", "192.0.2.201", 24, ["primary"]),
    ("inet", "192.0.2.20", 24, []),             # and addresses in full
    ("inet", "92.0.2.1", 24, []),
    ("inet", "192.0.2.255", 24, []),            # a broadcast address is none that is held
    ("inet", "10.1.0.1", 32, []),               # nor is one with a peer what start adds
    ("inet", "10.1.0.6", 24, []),
    ("inet6", "2001:db8::1", 64, ["eth0"]),
    ("inet6", "2001:db8::1", 6, []),
    ("inet6", "2001:db8::15", 128, []),
    ("inet6", "fe80::1:1", 64, ["eth0", "eth1"]),
    ("inet6", "2001:db8::dad", 64, ["eth0"]),
])
def test_who_serves(captured, address, ip, prefix, nics):
    assert interface.parse_served(captured("addr-" + address), ip, prefix) == nics


@pytest.mark.parametrize("nic, counts", [
    ("ipsec0", False), ("ipsec12", False), ("ipsec", True), ("ipsecx", True), ("ipsec0a", True),
    ("xipsec0", True), ("ipsec0.5", True)])
def test_freeswans_interfaces_do_not_count(captured, nic, counts):
    text = captured("addr-inet-to-1").replace("eth0", nic)
    assert interface.parse_served(text, "192.0.2.1", 24) == ([nic] if counts else [])


@pytest.mark.parametrize("text", [
    "Error: any valid prefix is expected rather than x", "Device \"eth9\" does not exist.",
    "eth0    inet 192.0.2.1/24", "2:", "x: eth0 inet 192.0.2.1/24", "Cannot open netlink socket"])
def test_what_ip_does_not_print_is_not_taken_for_nothing(text):
    with pytest.raises(Unreadable):
        interface.parse_addresses(text)


def test_no_output_is_no_address(captured):
    assert captured("addr-inet-to-none") == ""
    assert interface.parse_addresses("") == []


def test_without_an_address_on_the_line(captured):
    assert interface.parse_addresses(captured("link-eth0")) == []


@pytest.mark.parametrize("printed, nic, same", [
    ("eth0", "eth0", True), ("eth0@if2", "eth0", True), ("eth0.5@eth0", "eth0.5", True),
    ("eth0.5@eth0", "eth0", False), ("eth0", "eth", False), ("eth", "eth0", False),
    ("a@b", "a@b", True), ("eth0", "", False)])
def test_names_with_a_link_behind(printed, nic, same):
    assert interface.same_interface(printed, nic) is same


# --- the text of addresses -------------------------------------------------------------------


def test_addresses_are_spelled_as_the_standard_library_does():
    dice = random.Random(5952)
    for _ in range(300):
        groups = [dice.choice((0, 0, 1, 0xdb8, 0xffff)) for _ in range(8)]
        address = ipaddress.IPv6Address(b"".join(group.to_bytes(2, "big") for group in groups))
        if groups[:5] == [0] * 5 and groups[5] in (0, 0xffff):
            continue        # printed with an IPv4 address in it
        for spelling in (str(address), address.exploded, str(address).upper(),
                         ":".join("%X" % group for group in groups)):
            assert interface.canonical(spelling, "inet6") == str(address)


@pytest.mark.parametrize("text, family", [
    ("192.0.2.050", "inet"), ("", "inet"), ("::1", "inet"), ("192.0.2.1", "inet6"),
    (":::", "inet6"), ("x\0", "inet"), ("\udcff", "inet6")])
def test_what_is_no_address_stays_as_it_is(text, family):
    assert interface.address_bytes(text, family) is None
    assert interface.canonical(text, family) == text


def test_in_network_by_the_standard_library():
    dice = random.Random(24)
    for _ in range(300):
        prefix = dice.randrange(33)
        base = ipaddress.IPv4Address(dice.getrandbits(32))
        ip = ipaddress.IPv4Address(int(base) ^ dice.getrandbits(dice.randrange(33)))
        network = ipaddress.IPv4Network((base, prefix), strict=False)
        assert interface.in_network(str(ip), str(base), prefix) == (ip in network)
    assert not interface.in_network("x", "192.0.2.1", 24)
    assert not interface.in_network("192.0.2.1", "::1", 24)


INTERRUPTED = "Dump was interrupted and may be inconsistent.\n"


def test_an_interrupted_list_is_asked_for_again(fp, captured):
    show = "ip -o -f inet addr show to 192.0.2.10"
    fp.query(show, err=INTERRUPTED)
    fp.query(show, err=INTERRUPTED)
    fp.query(show, captured("addr-inet-to-10"))
    assert len(interface.held_addresses("inet", "192.0.2.10")) == 1


def test_a_list_that_is_always_interrupted_does_not_say_that_it_is_not_there(fp):
    for _ in range(interface.TRIES + 1):
        fp.query("ip -o -f inet addr show to 192.0.2.10", err=INTERRUPTED)
    with pytest.raises(Unreadable):
        interface.held_addresses("inet", "192.0.2.10")


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


def test_a_link_that_is_gone_is_down(fp):
    fp.query("ip -o link show dev eth9", err='Device "eth9" does not exist.', rc=1)
    assert interface.link_is_down("eth9")


@pytest.mark.parametrize("rc, text", [(1, ""), (255, ""), (0, ""), (0, "garbage"), (137, "")])
def test_a_link_that_ip_does_not_tell_of(fp, rc, text):
    fp.query("ip -o link show dev eth9", text, rc=rc)
    with pytest.raises(interface.Unreadable):
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
    argv = interface.address_add_argv(family, "IP", 24, brd, "eth0", label, values(**given))
    assert " ".join(argv) == "ip -f %s addr add IP/24 %s" % (family, words)


def test_the_program_can_be_named(fp):
    commands.ENV["IP2UTIL"] = "ip -s"
    assert interface.address_add_argv("inet", "IP", 8, "", "eth0", "", values()) == [
        "ip", "-s", "-f", "inet", "addr", "add", "IP/8", "dev", "eth0"]


@pytest.mark.parametrize("result, words", [
    (dict(rc=1, err="Cannot open netlink socket"), "ended with 1: Cannot open netlink socket"),
    (dict(rc=255), "ended with 255: no output"), (dict(hangs=True), "at its time limit")])
def test_a_failing_ip_is_not_taken_for_nothing(fp, result, words):
    fp.query("ip -o -f inet addr show to 192.0.2.1", **result)
    with pytest.raises(Unreadable, match=words):
        interface.held_addresses("inet", "192.0.2.1")


@pytest.mark.parametrize("family, address, ip, places", [
    ("inet", "3", "192.0.2.3", [("lo", 32), ("eth0", 32)]),
    ("inet", "peer", "10.1.0.1", []), ("inet", "none", "192.0.2.99", []),
    ("inet6", "1", "2001:db8::1", [("eth0", 64)])])
def test_held_addresses(fp, captured, family, address, ip, places):
    fp.query("ip -o -f %s addr show to %s" % (family, ip),
             captured("addr-%s-to-%s" % (family, address)))
    assert [(one.nic, one.prefix) for one in interface.held_addresses(family, ip)] == places


@pytest.mark.parametrize("rc, collides", [(0, False), (1, True), (2, False), (127, False)])
def test_only_code_1_is_a_collision(fp, captured, rc, collides):
    fp.query("arping -V", captured("arping-iputils"))
    fp.query("arping -q -c 2 -w 3 -D -I eth0 192.0.2.9", rc=rc)
    assert interface.collision("eth0", "192.0.2.9") is collides


@pytest.mark.parametrize("program, foreign", [
    ("iputils", False), ("habets", True), ("busybox", True)])
def test_arping_by_another_author(captured, program, foreign):
    assert interface.is_foreign_arping(captured("arping-" + program)) is foreign
