# SPDX-License-Identifier: GPL-2.0-only
"""Addresses and links read from what ip(8) printed, and the words of the commands for them."""

import pytest

from ipaddr2_py import addresses, commands, interface, params
from ipaddr2_py.addresses import Unreadable


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
        addresses.held_addresses("inet", "192.0.2.1")


@pytest.mark.parametrize("family, address, ip, places", [
    ("inet", "3", "192.0.2.3", [("lo", 32), ("eth0", 32)]),
    ("inet", "peer", "10.1.0.1", []), ("inet", "none", "192.0.2.99", []),
    ("inet6", "1", "2001:db8::1", [("eth0", 64)])])
def test_held_addresses(fp, captured, family, address, ip, places):
    fp.query("ip -o -f %s addr show to %s" % (family, ip),
             captured("addr-%s-to-%s" % (family, address)))
    assert [(one.nic, one.prefix) for one in addresses.held_addresses(family, ip)] == places


@pytest.mark.parametrize("rc, collides", [(0, False), (1, True), (2, False), (127, False)])
def test_only_code_1_is_a_collision(fp, captured, rc, collides):
    fp.query("arping -V", captured("arping-iputils"))
    fp.query("arping -q -c 2 -w 3 -D -I eth0 192.0.2.9", rc=rc)
    assert interface.collision("eth0", "192.0.2.9") is collides


@pytest.mark.parametrize("program, foreign", [
    ("iputils", False), ("habets", True), ("busybox", True)])
def test_arping_by_another_author(captured, program, foreign):
    assert interface.is_foreign_arping(captured("arping-" + program)) is foreign
