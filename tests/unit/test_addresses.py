# SPDX-License-Identifier: GPL-2.0-only
"""Addresses as values, as ip(8) prints them, and as a monitor asks for them."""

import ipaddress
import random
import socket

import pytest

from ipaddr2_py import addresses, ahead, commands, waiting
from ipaddr2_py.addresses import Unreadable
from tests.unit.conftest import programs_environment

AGENT = "/ocf/IPaddr2"


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
            assert ahead.canonical(spelling, "inet6") == str(address)


def test_ipv4_is_read_as_inet_pton_does():
    dice = random.Random(4)
    parts = list("0123456789") + ["10", "99", "255", "256", "1000", "00", "01", "", "\u0661", " 1",
                                  "1 ", "-1", "0x1", "1\0", "1.1"]
    found = 0
    for _ in range(20000):
        text = ".".join(dice.choices(parts, k=dice.choice((3, 4, 4, 4, 5))))
        try:
            expected = socket.inet_pton(socket.AF_INET, text)
        except (OSError, ValueError):
            expected = None
        assert ahead.address_bytes(text, "inet") == expected, text
        if expected:
            found += 1
            assert ahead.address_text(expected, "inet") == text
    assert found > 30


@pytest.mark.parametrize("text, family", [
    ("192.0.2.050", "inet"), ("", "inet"), ("::1", "inet"), ("192.0.2.1", "inet6"),
    (":::", "inet6"), ("x\0", "inet"), ("\udcff", "inet6")])
def test_what_is_no_address_stays_as_it_is(text, family):
    assert ahead.address_bytes(text, family) is None
    assert ahead.canonical(text, family) == text


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


# --- ahead -----------------------------------------------------------------------------------


@pytest.fixture(name="asked")
def what_is_asked(monkeypatch, tmp_path):
    """asked(action, **parameters): what begin() begins, a list of argvs."""
    def run(*words, **parameters):
        found = []
        monkeypatch.setattr(commands, "query_ahead", found.append)
        environ = dict(programs_environment(tmp_path))
        environ.update(("OCF_RESKEY_" + name, value) for name, value in parameters.items())
        commands.load_environment(environ)
        ahead.begin([AGENT, *words])
        return found

    return run


@pytest.mark.parametrize("action", ["monitor", "status"])
@pytest.mark.parametrize("ip, family", [
    ("192.0.2.10", "inet"), ("10.0.0.255", "inet"), ("2001:DB8:0::10", "inet6"), ("::1", "inet6"),
    ("::ffff:192.0.2.10", "inet6")])
def test_a_monitor_asks_for_its_address(asked, action, ip, family):
    words = ahead.held_query(family, ahead.canonical(ip, family))
    assert asked(action, ip=ip) == [["ip", *words]]


@pytest.mark.parametrize("ip", [
    "", "192.0.2", "192.0.2.10.1", "192.0.2.010", "192.0.2.256", "192.0.2.-1", "192.0.2. 1", "x",
    "192.0.2.\u0661", "2001:db8::g", ":::", "-c", "1:2"])
def test_what_is_no_address_is_not_asked_for(asked, ip):
    assert asked("monitor", ip=ip) == []


@pytest.mark.parametrize("words", [
    (), ("start",), ("stop",), ("validate-all",), ("meta-data",), ("monitor", "more"), ("",)])
def test_other_actions_ask_nothing_ahead(asked, words):
    assert asked(*words, ip="192.0.2.10") == []


@pytest.mark.parametrize("more", [{"network_namespace": "blue"}, {"unique_clone_address": "true"}])
def test_not_where_it_may_be_another_question(asked, more):
    assert asked("monitor", ip="192.0.2.10", **more) == []


def test_a_host_out_of_descriptors_is_the_agents_to_tell_of(asked, monkeypatch):
    def none_left(_argv):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(commands, "query_ahead", none_left)
    ahead.ip_query_ahead(["addr"])
