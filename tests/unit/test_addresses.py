# SPDX-License-Identifier: GPL-2.0-only
"""Addresses as ip(8) prints them."""

import ipaddress
import random

import pytest

from ipaddr2_py import addresses, waiting
from ipaddr2_py.addresses import Unreadable


def held(text):
    return [(one.nic, one.ip, one.prefix, one.brd) for one in addresses.parse_addresses(text)]


def serving(text, ip, prefix):
    """Interfaces that hold ip/prefix according to what `ip` printed."""
    family = "inet6" if ":" in ip else "inet"
    return [one.nic for one in addresses.read_held(family, ip, waiting.Result(0, text))
            if one.prefix == prefix]


# --- answers ---------------------------------------------------------------------------------


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
            for one in addresses.parse_addresses(captured("addr-inet6"))] == [
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
    flags = {one.ip: one.flags for one in addresses.parse_addresses(captured("addr-inet"))}
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
    assert serving(captured("addr-" + address), ip, prefix) == nics


@pytest.mark.parametrize("nic, counts", [
    ("ipsec0", False), ("ipsec12", False), ("ipsec", True), ("ipsecx", True), ("ipsec0a", True),
    ("xipsec0", True), ("ipsec0.5", True)])
def test_freeswans_interfaces_do_not_count(captured, nic, counts):
    text = captured("addr-inet-to-1").replace("eth0", nic)
    assert serving(text, "192.0.2.1", 24) == ([nic] if counts else [])


@pytest.mark.parametrize("text", [
    "Error: any valid prefix is expected rather than x", "Device \"eth9\" does not exist.",
    "eth0    inet 192.0.2.1/24", "2:", "x: eth0 inet 192.0.2.1/24", "Cannot open netlink socket"])
def test_what_ip_does_not_print_is_not_taken_for_nothing(text):
    with pytest.raises(Unreadable):
        addresses.parse_addresses(text)


def test_no_output_is_no_address(captured):
    assert captured("addr-inet-to-none") == ""
    assert addresses.parse_addresses("") == []


def test_without_an_address_on_the_line(captured):
    assert addresses.parse_addresses(captured("link-eth0")) == []


@pytest.mark.parametrize("printed, nic, same", [
    ("eth0", "eth0", True), ("eth0@if2", "eth0", True), ("eth0.5@eth0", "eth0.5", True),
    ("eth0.5@eth0", "eth0", False), ("eth0", "eth", False), ("eth", "eth0", False),
    ("a@b", "a@b", True), ("eth0", "", False)])
def test_names_with_a_link_behind(printed, nic, same):
    assert addresses.same_interface(printed, nic) is same


def test_in_network_by_the_standard_library():
    dice = random.Random(24)
    for _ in range(300):
        prefix = dice.randrange(33)
        base = ipaddress.IPv4Address(dice.getrandbits(32))
        ip = ipaddress.IPv4Address(int(base) ^ dice.getrandbits(dice.randrange(33)))
        network = ipaddress.IPv4Network((base, prefix), strict=False)
        assert addresses.in_network(str(ip), str(base), prefix) == (ip in network)
    assert not addresses.in_network("x", "192.0.2.1", 24)
    assert not addresses.in_network("192.0.2.1", "::1", 24)


INTERRUPTED = "Dump was interrupted and may be inconsistent.\n"


def test_an_interrupted_list_is_asked_for_again(fp, captured):
    show = "ip -o -f inet addr show to 192.0.2.10"
    fp.query(show, err=INTERRUPTED)
    fp.query(show, err=INTERRUPTED)
    fp.query(show, captured("addr-inet-to-10"))
    assert len(addresses.held_addresses("inet", "192.0.2.10")) == 1


def test_a_list_that_is_always_interrupted_does_not_say_that_it_is_not_there(fp):
    for _ in range(addresses.TRIES + 1):
        fp.query("ip -o -f inet addr show to 192.0.2.10", err=INTERRUPTED)
    with pytest.raises(Unreadable):
        addresses.held_addresses("inet", "192.0.2.10")
