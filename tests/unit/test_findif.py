# SPDX-License-Identifier: GPL-2.0-only
"""Where an address belongs, read from what ip(8) printed (tests/data/ip)."""

import itertools
import random

import pytest

from ipaddr2_py import addresses, findif
from ipaddr2_py.findif import Route


def places(routes):
    return [(route.prefix, route.metric, route.nic) for route in routes]


# --- routes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("address, expected", [
    ("192.0.2.1", [(25, 0, "eth0"), (24, 0, "eth0"), (24, 0, "up"), (24, 0, "primary")]),
    ("192.0.2.70", [(25, 0, "eth0"), (24, 0, "eth0"), (24, 0, "up"), (24, 0, "primary"),
                    (32, 0, "eth1")]),
    ("192.0.2.50-24", [(24, 0, "eth0"), (24, 0, "up"), (24, 0, "primary")]),
    ("10.2.3.4", [(8, 0, "eth0"), (16, 0, "via"), (16, 7, "eth0"), (16, 50, "eth1"),
                  (24, 101, "eth1")]),
    ("10.2.4.4-static", [(16, 7, "eth0"), (16, 50, "eth1")]),
    ("10.4.0.4", [(8, 0, "eth0"), (24, 10, "primary"), (24, 20, "metric")]),
    ("10.10.0.4", [(8, 0, "eth0"), (24, 0, "eth2")]),
    ("10.11.0.4", [(8, 0, "eth0"), (24, 0, "up"), (24, 0, "primary")]),
    ("172.16.1.4", [(12, 0, "eth1")]),
    ("203.0.114.1", []),
])
def test_ipv4_routes(captured, address, expected):
    assert places(findif.parse_routes(captured("route-inet-" + address), "inet")) == expected


@pytest.mark.parametrize("address, expected", [
    ("1", [(64, 256, "eth0"), (64, 300, "eth0"), (48, 1024, "eth1")]),
    ("70", [(128, 1024, "eth1"), (64, 256, "eth0"), (64, 300, "eth0"), (48, 1024, "eth1")]),
    ("1-1", [(64, 90, "eth1"), (64, 100, "eth0")]),
    ("via", []),
    ("unreachable", []),
    ("nic-via", [(64, 1024, "via")]),
    ("metric", [(64, 200, "primary"), (64, 300, "metric")]),
    ("link-local", [(64, 256, "eth0"), (64, 256, "eth1")]),
    ("fe80-64", [(64, 256, "eth0"), (64, 256, "eth1")]),
])
def test_ipv6_routes(captured, address, expected):
    assert places(findif.parse_routes(captured("route-inet6-" + address), "inet6")) == expected


@pytest.mark.parametrize("family, ways", [
    ("inet", ("default", "unreachable", "blackhole", "prohibit", "throw")),
    ("inet6", ("default", "unreachable", "blackhole", "prohibit", "throw", "via"))])
def test_what_never_carries_a_vip(captured, family, ways):
    text = captured("route-" + family)
    lines = [line for line in text.splitlines() if line.split()[0] in ways
             or "via" in ways and " via " in line and " dev via " not in line]
    assert len(lines) >= len(ways)
    assert not findif.parse_routes("\n".join(lines), family)


def test_source_addresses(captured):
    routes = findif.parse_routes(captured("route-inet"), "inet")
    assert {(route.nic, route.src) for route in routes if route.src} == {
        ("eth0", "192.0.2.1"), ("eth0", "192.0.2.10"), ("up", "192.0.2.200"),
        ("primary", "192.0.2.201"), ("eth1", "10.1.0.1"), ("eth1", "10.1.0.5"),
        ("eth1", "198.51.100.1"), ("eth1", "203.0.113.1")}


@pytest.mark.parametrize("nic", ["", "eth0", "eth1"])
def test_a_multipath_route_belongs_to_each_of_its_interfaces(captured, nic):
    route = findif.best_route(findif.parse_routes(captured("route-inet-10.6.0.4"), "inet"), nic)
    assert (route.prefix, nic or route.nic) == (24, nic or "eth0")


@pytest.mark.parametrize("text", ["", "\n", "192.0.2.0/24", "192.0.2.0/24 dev", "default dev eth0",
                                  "192.0.2.0/33 dev eth0", "192.0.2.0/x dev eth0",
                                  "blackhole 192.0.2.0/24", "77 192.0.2.0/24 dev eth0"])
def test_lines_that_are_no_routes(text):
    assert findif.parse_routes(text, "inet") == []
    assert findif.parse_local_network(text) is None


@pytest.mark.parametrize("text", [
    "garbage", "RTNETLINK answers:", "\udcff", "192.0.2.0.1 dev eth0"])
def test_lines_that_ip_does_not_print(text):
    with pytest.raises(addresses.Unreadable):
        findif.parse_routes("192.0.2.0/24 dev eth0\n" + text, "inet")


def test_network_of_the_loopback(captured):
    route = findif.parse_local_network(captured("route-inet-local"))
    assert (route.prefix, route.nic, route.src) == (8, "lo", "127.0.0.1")


# --- the best one ----------------------------------------------------------------------------


@pytest.mark.parametrize("address, nic, expected", [
    ("inet-192.0.2.1", "", (25, "eth0")),
    ("inet-192.0.2.1", "up", (24, "up")),
    ("inet-192.0.2.1", "eth1", None),
    ("inet-192.0.2.70", "", (32, "eth1")),
    ("inet-192.0.2.50-24", "", (24, "eth0")),
    ("inet-10.2.3.4", "", (24, "eth1")),            # a longer prefix goes before a lower metric
    ("inet-10.2.3.4", "eth0", (16, "eth0")),
    ("inet-10.2.4.4", "", (16, "via")),
    ("inet-10.2.4.4-static", "", (16, "eth0")),
    ("inet-10.2.4.4-static", "eth1", (16, "eth1")),
    ("inet-10.4.0.4", "", (24, "primary")),
    ("inet-10.4.0.4", "metric", (24, "metric")),
    ("inet-10.11.0.4", "", (24, "primary")),        # first in byte order
    ("inet6-1", "", (64, "eth0")),
    ("inet6-1", "eth1", (48, "eth1")),
    ("inet6-70", "", (128, "eth1")),
    ("inet6-1-1", "", (64, "eth1")),
    ("inet6-link-local", "eth1", (64, "eth1")),
    ("inet6-metric", "", (64, "primary")),
    ("inet6-nic-via", "", (64, "via")),
    ("inet6-unreachable", "", None),
])
def test_best_route(captured, address, nic, expected):
    family = address.partition("-")[0]
    route = findif.best_route(findif.parse_routes(captured("route-" + address), family), nic)
    assert (route and (route.prefix, route.nic)) == expected


def test_best_route_by_its_definition():
    """Longest prefix, lowest metric, first line in byte order, whatever the order of the lines."""
    routes = [Route(prefix, metric, nic, "", "%s %d %d" % (nic, prefix, metric))
              for prefix, metric, nic in itertools.product((8, 24, 32), (0, 9, 10, 100),
                                                           ("a", "b", "\u00e9", "\udcff"))]
    expected = sorted(routes, key=lambda route: (
        -route.prefix, route.metric, route.line.encode("utf-8", "surrogateescape")))
    shuffled = routes[:]
    random.Random(2).shuffle(shuffled)
    got = []
    while shuffled:
        got.append(findif.best_route(shuffled))
        shuffled.remove(got[-1])
    assert [route.line for route in got] == [route.line for route in expected]


# --- broadcast -------------------------------------------------------------------------------


@pytest.mark.parametrize("nic, ip, src, expected", [
    ("eth0", "192.0.2.200", "", "192.0.2.255"),
    ("eth0", "192.0.2.50", "", "192.0.2.127"),          # of two networks the smaller one's
    ("eth0", "192.0.2.50", "192.0.2.1", "192.0.2.255"),     # unless the route names a source
    ("eth0", "192.0.2.50", "192.0.2.99", "192.0.2.127"),
    ("eth0", "198.51.100.9", "", ""),
    ("eth0", "198.51.100.9", "192.0.2.1", ""),
    ("eth1", "203.0.113.9", "", ""),                    # an address without one
    ("eth1", "10.1.0.9", "", ""),                       # addresses with peers
    ("eth1", "198.51.100.9", "", "198.51.100.255"),     # an address with a metric
    ("eth1", "10.2.3.4", "", ""),
])
def test_broadcast(captured, nic, ip, src, expected):
    assert findif.parse_broadcast(captured("addr-inet-" + nic), ip, src) == expected


# --- texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("family, bits", [("inet", 32), ("inet6", 128)])
def test_prefixcheck(family, bits):
    for length in range(-2, 300):
        expected = length if 1 <= length <= bits else None
        assert findif.prefixcheck(str(length), family) == expected
    for text in ("", " ", "24 ", " 24", "+24", "-1", "2_4", "024x", "0x18", "1e1", "24.0", "\u0662",
                 "\u00b2", "0024", "99999999999999999999", "24\n"):
        assert findif.prefixcheck(text, family) is None, text
    assert findif.prefixcheck("024", family) == 24


def test_dotted_quads():
    for length in range(33):
        mask = (0xffffffff << (32 - length)) & 0xffffffff
        text = ".".join(str(mask >> shift & 255) for shift in (24, 16, 8, 0))
        assert findif.dotted_quad_to_prefix(text) == length
    for text in ("", "24", "255.255.255", "255.255.0.255", "255.255.255.256", "0.0.0.255",
                 "1.2.3.4", "255.255.255.0.0", ".255.255.255", "255.255.255.", "255..255.0",
                 "255.255.255.x", " 255.255.255.0", "255.255.255.0\n", "-255.255.255.0", "ffff::"):
        assert findif.dotted_quad_to_prefix(text) is None, text


@pytest.mark.parametrize("netmask, converted, level", [
    ("", "", None), ("24", "24", None), ("x", "x", None), ("1.2", "1.2", None),
    ("255.255.255.0", "24", "WARNING"), ("128.0.0.0", "1", "WARNING"),
    ("255.0.255.0", "255.0.255.0", "ERROR")])
def test_conversion_is_told(fp, host, tmp_path, netmask, converted, level):
    assert findif.maybe_convert_dotted_quad(netmask) == converted
    log = tmp_path / "log"
    assert ((level + ": " in log.read_text()) and netmask in log.read_text()
            if level else not log.exists())


@pytest.mark.parametrize("text, good", [
    ("192.0.2.10", True), ("1.0.0.0", True), ("223.255.255.255", True), ("127.0.0.3", True),
    ("0.0.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False), ("192.0.2.256", False),
    ("192.0.2.050", False), ("192.0.2.00", False), ("192.0.2", False), ("192.0.2.10.1", False),
    ("192.0.2.10/24", False), (" 192.0.2.10", False), ("192.0.2.10 ", False), ("", False),
    ("192.0.2.10\n", False), ("0x1.2.3.4", False), ("192.0.2.-1", False), ("192.0.2.1a", False),
    ("192,0,2,1", False), ("host", False), ("::1", False), ("192.0.2.\u0661", False),
    ("192.0.2.1\0", False), ("\udcff", False), ("1" * 5000, False)])
def test_ipcheck_ipv4(text, good):
    assert findif.ipcheck_ipv4(text) is good


@pytest.mark.parametrize("text, good", [
    ("2001:db8::10", True), ("2001:DB8:0:0::0010", True), ("::1", True), ("fe80::1", True),
    ("2001:db8:1:2:3:4:5:6", True), ("fd00::", True), ("::ffff:c000:201", True),
    ("::", False), (":::", False), ("0:0:0:0:0:0:0:0", False), ("ff02::1", False),
    ("::ffff:192.0.2.1", False), ("2001:db8::10/64", False), ("2001:db8::10%eth0", False),
    ("2001:db8::1::2", False), ("2001:db8:1:2:3:4:5:6:7", False), ("1:2:3", False),
    ("2001:db8::12345", False), ("2001:db8::g", False), ("[2001:db8::1]", False), (":", False),
    (" 2001:db8::1", False), ("2001:db8::1\n", False), ("", False), ("192.0.2.1", False)])
def test_ipcheck_ipv6(text, good):
    assert findif.ipcheck_ipv6(text) is good


# --- by way of commands ----------------------------------------------------------------------


@pytest.mark.parametrize("family, ip, nic, netmask, proto, argv, captured_as, expected", [
    ("inet", "192.0.2.1", "", "", "", "match 192.0.2.1 scope link", "inet-192.0.2.1",
     ("eth0", 25, "192.0.2.10")),
    ("inet", "192.0.2.1", "up", "", "", "match 192.0.2.1 scope link", "inet-192.0.2.1",
     ("up", 24, "192.0.2.200")),
    ("inet", "192.0.2.50", "", "24", "", "match 192.0.2.50/24 scope link", "inet-192.0.2.50-24",
     ("eth0", 24, "192.0.2.1")),
    ("inet", "192.0.2.70", "", "28", "", "match 192.0.2.70/28 scope link", "inet-192.0.2.70",
     ("eth1", 28, "")),
    ("inet", "10.2.4.4", "", "", "static", "match 10.2.4.4 proto static scope link",
     "inet-10.2.4.4-static", ("eth0", 16, "")),
    ("inet6", "2001:db8::1", "", "", "", "match 2001:db8::1", "inet6-1", ("eth0", 64, "")),
    ("inet6", "2001:db8::1", "", "64", "ra", "match 2001:db8::1/64 proto ra", "inet6-1",
     ("eth0", 64, "")),
    ("inet6", "2001:db8::70", "", "", "", "match 2001:db8::70", "inet6-70", ("eth1", 128, "")),
    ("inet6", "fe80::9", "eth1", "", "", "match fe80::9", "inet6-link-local", ("eth1", 64, "")),
])
def test_findif(fp, captured, family, ip, nic, netmask, proto, argv, captured_as, expected):
    fp.query("ip -o -f %s route list %s" % (family, argv), captured("route-" + captured_as))
    route = findif.findif(family, ip, nic, netmask, proto)
    assert (route.nic, route.prefix, route.src) == expected


@pytest.mark.parametrize("family, netmask, prefix", [
    ("inet", "24", 24), ("inet6", "64", 64), ("inet", "0", -1), ("inet", "x", -1)])
def test_nic_and_netmask_need_no_route(fp, family, netmask, prefix):
    route = findif.findif(family, "anything", "eth9", netmask)
    assert (route.nic, route.prefix) == ("eth9", prefix)


@pytest.mark.parametrize("family, ip, nic, netmask, argv, captured_as", [
    ("inet", "203.0.114.1", "", "", "match 203.0.114.1 scope link", "inet-203.0.114.1"),
    ("inet", "192.0.2.1", "eth1", "", "match 192.0.2.1 scope link", "inet-192.0.2.1"),
    ("inet6", "2001:db8:1:2::9", "", "", "match 2001:db8:1:2::9", "inet6-via"),
    ("inet6", "2001:db8:a::9", "", "", "match 2001:db8:a::9", "inet6-unreachable"),
    ("inet6", "2001:db8::1", "", "63", "match 2001:db8::1/63", "inet6-1"),
])
def test_findif_finds_nothing(fp, captured, family, ip, nic, netmask, argv, captured_as):
    fp.query("ip -o -f %s route list %s" % (family, argv), captured("route-" + captured_as))
    with pytest.raises(findif.FindifError) as caught:
        findif.findif(family, ip, nic, netmask)
    assert caught.value.rc == 1
    assert (netmask or ip) in caught.value.reason and (nic or "nic") in caught.value.reason


def test_findif_on_the_loopback(fp, captured):
    fp.query("ip -o -f inet route list match 127.0.0.3 scope link")
    fp.query("ip -o -f inet route list match 127.0.0.3 table local scope host",
             captured("route-inet-local"))
    route = findif.findif("inet", "127.0.0.3", "", "")
    assert (route.nic, route.prefix) == ("lo", 8)


@pytest.mark.parametrize("rc", [1, 2, 127, 137])
def test_a_route_list_that_fails_finds_nothing(fp, rc):
    fp.query("ip -o -f inet route list match 192.0.2.1 scope link", err="Cannot open", rc=rc)
    with pytest.raises(findif.FindifError):
        findif.findif("inet", "192.0.2.1", "", "")


def test_find_broadcast(fp, captured):
    fp.query("ip -o -f inet addr show dev eth0", captured("addr-inet-eth0"))
    assert findif.find_broadcast("eth0", "192.0.2.50", "192.0.2.1") == "192.0.2.255"


@pytest.mark.parametrize("given, name", [
    ("eth0", "eth0"), ("up", "up"), ("primary", "primary"), ("uplink", "eth1"), ("eth9", ""),
    ("", ""), ("-a", ""), ("eth0 ", ""), ("eth\0", ""), ("\udcff", "")])
def test_names_that_the_kernel_settles(fp, host, given, name):
    assert findif.resolve_nic(given) == name


@pytest.mark.parametrize("text, rc, name", [
    ("link-altname", 0, "eth1"), ("link-eth0.5", 0, "eth0.5")])
def test_long_altnames_take_a_command(fp, host, captured, text, rc, name):
    fp.query("ip link show dev enp0s31f6-at-the-back", captured(text), rc=rc)
    assert findif.resolve_nic("enp0s31f6-at-the-back") == name


def test_a_long_name_that_nobody_has(fp, host, captured):
    fp.query("ip link show dev enp0s31f6-at-the-back", rc=1,
             err='Device "enp0s31f6-at-the-back" does not exist.\n')
    assert findif.resolve_nic("enp0s31f6-at-the-back") == ""


@pytest.mark.parametrize("rc, text", [
    (1, ""), (255, ""), (0, ""), (0, "garbage\n1: ?\n"), (137, "")])
def test_a_long_name_where_ip_fails(fp, host, rc, text):
    fp.query("ip link show dev enp0s31f6-at-the-back", text, rc=rc)
    with pytest.raises(findif.FindifError) as problem:
        findif.resolve_nic("enp0s31f6-at-the-back")
    assert problem.value.unreadable and problem.value.rc == 1


def test_a_long_option_is_no_name(fp, host):
    assert findif.resolve_nic("-enp0s31f6-at-the-back") == ""


@pytest.mark.parametrize("rc, err, known", [
    (0, "", True), (1, 'Device "eth9" does not exist.', True), (2, "", False), (137, "", False)])
def test_a_broadcast_that_cannot_be_told(fp, rc, err, known):
    fp.query("ip -o -f inet addr show dev eth9", err=err, rc=rc)
    if known:
        assert findif.find_broadcast("eth9", "192.0.2.10") == ""
    else:
        with pytest.raises(addresses.Unreadable):
            findif.find_broadcast("eth9", "192.0.2.10")
