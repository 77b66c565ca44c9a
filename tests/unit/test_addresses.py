# SPDX-License-Identifier: GPL-2.0-only
"""Addresses as ip(8) prints them."""

import ipaddress
import os
import random

import _socket
import pytest

from ipaddr2_py import addresses, children
from ipaddr2_py.addresses import Unreadable


def held(text):
    return [(one.nic, one.ip, one.prefix, one.brd) for one in addresses.parse_addresses(text)]


def serving(text, ip, prefix):
    """Interfaces that hold ip/prefix without a peer according to what `ip` printed."""
    family = "inet6" if ":" in ip else "inet"
    return [one.nic for one in addresses.parse_held(family, ip, children.Result(0, text))
            if one.prefix == prefix and not one.peer]


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
        ("eth1", "10.1.0.1", 32, ""),                   # the prefix is that of its peer
        ("eth1", "10.1.0.5", 24, "10.1.0.255"),
        ("up", "192.0.2.200", 24, "192.0.2.255"),
        ("primary", "192.0.2.201", 24, "192.0.2.0"),
        ("eth0.5", "10.9.0.1", 16, "10.9.255.255")]     # with a lifetime


def test_ipv6_addresses(captured):
    assert [(one.nic, one.ip, one.prefix, one.flags)
            for one in addresses.parse_addresses(captured("addr-inet6"))] == [
        ("lo", "::1", 128, []),
        ("eth0", "2001:db8::e", 64, ["tentative"]),
        ("eth0", "2001:db8::dad", 64, ["dadfailed", "tentative"]),
        ("eth0", "2001:db8::14", 128, ["nodad"]),       # with a peer
        ("eth0", "2001:db8::13", 64, ["nodad", "dynamic"]),
        ("eth0", "2001:db8::12", 64, ["nodad"]),        # with a metric
        ("eth0", "2001:db8::11", 128, ["nodad", "noprefixroute"]),
        ("eth0", "2001:db8::10", 64, ["nodad", "deprecated"]),
        ("eth0", "2001:db8::1", 64, ["nodad"]),
        ("eth0", "fe80::1:1", 64, ["nodad"]),
        ("eth1", "fe80::1:1", 64, ["nodad"]),
        ("up", "2001:db8:2::1", 64, ["nodad"])]


def test_flags_without_the_label(captured):
    """An interface may be called dadfailed, and the label of an IPv4 address by that name."""
    flags = {one.ip: one.flags for one in addresses.parse_addresses(captured("addr-inet"))}
    assert flags["192.0.2.2"] == ["secondary"]
    assert flags["10.9.0.1"] == ["dynamic", "noprefixroute"]
    text = captured("addr-inet-to-10").replace("eth0", "dadfailed")
    assert addresses.parse_addresses(text)[0].flags == []


def test_numbers_and_peers(captured):
    places = [(one.index, one.ip, one.peer, str(one))
              for one in addresses.parse_addresses(captured("addr-inet-eth1"))]
    assert places == [
        (3, "198.51.100.1", "", "198.51.100.1/24"), (3, "203.0.113.1", "", "203.0.113.1/24"),
        (3, "10.1.0.1", "10.1.0.2", "10.1.0.1 peer 10.1.0.2/32"),
        (3, "10.1.0.5", "10.1.0.6", "10.1.0.5 peer 10.1.0.6/24")]


def test_any_name_that_the_kernel_takes(captured):
    names = [one.nic for one in addresses.parse_addresses(captured("addr-inet-names"))
             if one.ip.startswith("10.21.")]
    assert names == ["nexthop", "linkdown", "dead", "bridge_slave", "a\\b", "b\\"]
    for name in ("e0@x", "scope", "brd", "peer", "inet", "ipsec0", "valid_lft", "2:"):
        text = captured("addr-inet-to-10").replace("eth0", name)
        assert held(text) == [(name, "192.0.2.10", 25, "192.0.2.127")]


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


@pytest.mark.parametrize("nic, is_one", [
    ("ipsec0", True), ("ipsec12", True), ("ipsec", False), ("ipsecx", False), ("ipsec0a", False),
    ("xipsec0", False), ("ipsec0.5", False), ("ens160", False), ("enp5s0", False)])
def test_freeswans_interfaces(captured, nic, is_one):
    """They hold an address all the same: who asks for one by its name gets it."""
    assert addresses.is_ipsec(nic) is is_one
    text = captured("addr-inet-to-1").replace("eth0", nic)
    assert serving(text, "192.0.2.1", 24) == [nic]


@pytest.mark.parametrize("text", [
    "Error: any valid prefix is expected rather than x", "Device \"eth9\" does not exist.",
    "eth0    inet 192.0.2.1/24", "2:", "22 eth0 inet 192.0.2.1/24",
    "x: eth0 inet 192.0.2.1/24", "Cannot open netlink socket", " ", "\\ valid_lft forever"])
def test_what_ip_does_not_print_is_not_taken_for_nothing(text):
    with pytest.raises(Unreadable):
        addresses.parse_addresses(text)


def test_no_output_is_no_address(captured):
    assert captured("addr-inet-to-none") == ""
    assert addresses.parse_addresses("") == []


@pytest.mark.parametrize("line", ["2: eth0    inet", "2: eth0    inet6 \\", "2: eth0    inet x",
                                  "2: eth0    inet 192.0.2.1", "2: eth0    inet 192.0.2.1/x",
                                  "2: eth0", "2: eth0    inet 192.0.2.1 peer"])
def test_without_an_address_on_the_line(captured, line):
    assert addresses.parse_addresses(captured("link-eth0")) == []
    assert addresses.parse_addresses(line) == []


@pytest.mark.parametrize("rest, peer, prefix", [
    ("192.0.2.1/24", "", 24), ("192.0.2.1 peer 192.0.2.9/32", "192.0.2.9", 32)])
def test_the_shortest_lines(rest, peer, prefix):
    one, = addresses.parse_addresses(f"2: eth0    inet {rest}")
    assert (one.ip, one.peer, one.prefix) == ("192.0.2.1", peer, prefix)


def test_what_a_failure_says(fp):
    said = addresses.failure(["link"], children.Result(2, "", "x" * 201))
    assert said == "ip link ended with 2: " + "x" * 200
    assert addresses.failure(["link"], children.Result(2)) == "ip link ended with 2: no output"


@pytest.mark.parametrize("text, packed", [("1" * 5000 + ".1.1.1", None), ("1.1.1.256", None),
                                          ("1.1.1.255", b"\1\1\1\xff"), ("0.1.01.1", None)])
def test_numbers_of_an_address(text, packed):
    """Python refuses to read a number of so many digits."""
    assert addresses.ipv4_bytes(text) == packed


@pytest.mark.parametrize("value", [0, 0x8, 0x1043, 0x80c0, 0xffff])
def test_interface_flags(flags, value):
    flags["eth0"] = value
    assert addresses.interface_flags("eth0") == value
    assert addresses.interface_flags("eth1") == 0x1043


@pytest.mark.parametrize("name", ["eth9", "", "a" * 16, "\u00e9" * 8, "a\0b"])
def test_flags_of_what_is_not_there(flags, name):
    flags.update({"a" * 15: 1, "a": 1})
    assert addresses.interface_flags(name) is None
    assert addresses.interface_flags("a" * 15) == 1
    assert addresses.interface_flags("a") == 1


def test_the_socket_is_closed(host):
    before = os.listdir("/proc/self/fd")
    assert addresses.interface_flags("eth0") and addresses.interface_flags("eth9") is None
    assert os.listdir("/proc/self/fd") == before


def test_names_and_numbers_of_what_is_not_there():
    assert addresses.index_of("nowhere/") == 0
    assert addresses.name_of(2 ** 30) == ""


def test_flags_where_no_socket_can_be_had(host):
    def none_left(*_words):
        raise OSError(24, "Too many open files")

    host.setattr(_socket, "socket", none_left)
    assert addresses.interface_flags("eth0") is None


def test_flags_of_this_hosts_loopback():
    """By the kernel itself, whose struct ifreq this is."""
    assert addresses.interface_flags("lo") & 0x8        # IFF_LOOPBACK


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
    assert len(addresses.address_places("inet", "192.0.2.10")) == 1


def test_a_list_that_is_always_interrupted_does_not_say_that_it_is_not_there(fp):
    for _ in range(addresses.TRIES + 1):
        fp.query("ip -o -f inet addr show to 192.0.2.10", err=INTERRUPTED)
    with pytest.raises(Unreadable):
        addresses.address_places("inet", "192.0.2.10")


@pytest.mark.parametrize("blank", "\u2003\u3000\u2028\u0085\x1c\x1d\x1e\x1f")
@pytest.mark.parametrize("name", ["%s", "a%sb", "%sinet%s", "a%s5: b%s"])
def test_names_with_white_space_that_the_kernel_takes(captured, blank, name):
    """Only str.split() and str.splitlines() would part them."""
    name = name.replace("%s", blank).replace(" ", blank)
    text = captured("addr-inet-to-10").replace("eth0", name)
    assert held(text) == [(name, "192.0.2.10", 25, "192.0.2.127")]
    assert addresses.parse_addresses(text)[0].flags == []
