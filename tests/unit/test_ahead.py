# SPDX-License-Identifier: GPL-2.0-only
"""Addresses as values; what is asked ahead is what an action asks first."""

import ipaddress
import random
import socket

import pytest

from ipaddr2_py import addresses, commands
from tests.unit.conftest import programs_environment

AGENT = "/ocf/IPaddr2"


def test_addresses_are_spelled_as_the_standard_library_does():
    dice = random.Random(5952)
    for _ in range(300):
        groups = [dice.choice((0, 0, 1, 0xdb8, 0xffff)) for _ in range(8)]
        address = ipaddress.IPv6Address(b"".join(group.to_bytes(2, "big") for group in groups))
        if groups[:5] == [0] * 5 and groups[5] in (0, 0xffff):
            continue        # printed with an IPv4 address in it
        for spelling in (str(address), address.exploded, str(address).upper(),
                         ":".join("%X" % group for group in groups)):
            assert addresses.canonical(spelling, "inet6") == str(address)


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
        assert addresses.address_bytes(text, "inet") == expected, text
        if expected:
            found += 1
            assert addresses.address_text(expected, "inet") == text
    assert found > 30


@pytest.mark.parametrize("text, family", [
    ("192.0.2.050", "inet"), ("", "inet"), ("::1", "inet"), ("192.0.2.1", "inet6"),
    (":::", "inet6"), ("x\0", "inet"), ("\udcff", "inet6")])
def test_what_is_no_address_stays_as_it_is(text, family):
    assert addresses.address_bytes(text, family) is None
    assert addresses.canonical(text, family) == text


# --- an action's first question --------------------------------------------------------------


@pytest.fixture(name="asked")
def what_is_asked(monkeypatch, tmp_path):
    """asked(action, **parameters): what begin() begins, a list of argvs."""
    def run(*words, **parameters):
        found = []
        monkeypatch.setattr(commands, "prefetch", found.append)
        environ = dict(programs_environment(tmp_path))
        environ.update(("OCF_RESKEY_" + name, value) for name, value in parameters.items())
        commands.load_environment(environ)
        addresses.prefetch_places([AGENT, *words])
        return found

    return run


@pytest.mark.parametrize("action", ["monitor", "status", "stop"])
@pytest.mark.parametrize("ip, family", [
    ("192.0.2.10", "inet"), ("10.0.0.255", "inet"), ("2001:DB8:0::10", "inet6"), ("::1", "inet6"),
    ("::ffff:192.0.2.10", "inet6")])
def test_an_action_asks_for_its_address(asked, action, ip, family):
    words = addresses.addr_show_words(family, addresses.canonical(ip, family))
    assert asked(action, ip=ip) == [["ip", *words]]


@pytest.mark.parametrize("ip", [
    "", "192.0.2", "192.0.2.10.1", "192.0.2.010", "192.0.2.256", "192.0.2.-1", "192.0.2. 1", "x",
    "192.0.2.\u0661", "2001:db8::g", ":::", "-c", "1:2"])
def test_what_is_no_address_is_not_asked_for(asked, ip):
    assert asked("monitor", ip=ip) == []


@pytest.mark.parametrize("words", [
    (), ("start",), ("validate-all",), ("meta-data",), ("monitor", "more"), ("stop", "more"),
    ("",)])
def test_other_actions_ask_nothing_ahead(asked, words):
    assert asked(*words, ip="192.0.2.10") == []


@pytest.mark.parametrize("more", [{"network_namespace": "blue"}, {"unique_clone_address": "true"}])
def test_not_where_it_may_be_another_question(asked, more):
    assert asked("monitor", ip="192.0.2.10", **more) == []
    assert asked("stop", ip="192.0.2.10", **more) == []


def test_a_stop_of_a_clone_asks_under_its_lock(asked):
    assert asked("stop", ip="192.0.2.10", CRM_meta_clone_max="2") == []
    assert len(asked("monitor", ip="192.0.2.10", CRM_meta_clone_max="2")) == 1


def test_a_host_out_of_descriptors_is_the_agents_to_tell_of(asked, monkeypatch):
    def none_left(_argv):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(commands, "prefetch", none_left)
    addresses.prefetch_ip(["addr"])


@pytest.mark.parametrize("value, words", [
    (None, ["ip"]), ("", ["ip"]), (" ", ["ip"]), (" \t\n ", ["ip"]), ("ip2", ["ip2"]),
    (" /sbin/ip  -s ", ["/sbin/ip", "-s"])])
def test_ip_util(value, words):
    commands.load_environment({} if value is None else {"IP2UTIL": value})
    assert addresses.ip_command() == words
