# SPDX-License-Identifier: GPL-2.0-only
"""Where an address belongs, read from what ip(8) printed (tests/data/ip)."""

import itertools
import random

import _socket
import pytest

from ipaddr2_py import addresses, findif
from ipaddr2_py.actions import tables
from ipaddr2_py.findif import Route

LINKS = "ip -o -d link show"


def routes_of(text, family, nic=""):
    """The routes in a text that may count, for the interface nic where given."""
    return [route for route in findif.parse_routes(text, family)
            if findif.may_count(route, family, nic)]


def places(routes):
    return [(route.prefix, route.metric, route.nic) for route in routes]


@pytest.fixture
def kernel(host, captured):
    """The kernel's numbers of the interfaces that were captured; those that are ports are port1,
    port2 and b\\."""
    numbers = {}
    for line in captured("link-ports").splitlines():
        number, name = line.split(": ")[:2]
        numbers[name.split("@")[0]] = int(number)

    def number(name):
        if name not in numbers:
            raise OSError("no interface with this name")
        return numbers[name]

    host.setattr(_socket, "if_nametoindex", number)


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
    ("10.6.0.4", [(8, 0, "eth0"), (24, 0, "eth0"), (24, 0, "eth1")]),       # two next hops
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


def test_interfaces_whose_names_look_like_words(captured):
    routes = findif.parse_routes(captured("route-inet-names"), "inet")
    assert [(route.prefix, route.metric, route.nic, route.src, route.down)
            for route in routes if route.line.startswith("10.20.")] == [
        (16, 0, "nexthop", "", False), (16, 0, "via", "", False), (16, 0, "linkdown", "", False),
        (24, 1, "nexthop", "192.0.2.1", False), (24, 2, "linkdown", "192.0.2.1", False),
        (24, 4, "bridge_slave", "192.0.2.1", False), (24, 5, "a\\b", "192.0.2.1", False),
        (24, 6, "b\\", "192.0.2.1", False)]


def test_links_that_are_down(captured):
    """Each next hop has marks of its own; an interface may be called like one."""
    routes = findif.parse_routes(captured("route-inet-names"), "inet")
    assert [(route.nic, route.down) for route in routes if route.line.startswith("10.22.")] == [
        ("nexthop", False), ("dead", True), ("eth2", True)]
    assert [route.nic for route in routes if route.down] == ["eth2", "dead", "eth2"]


def test_who_laid_a_route(captured):
    routes = findif.parse_routes(captured("route-inet6"), "inet6")
    assert {(route.nic, route.metric, route.proto, route.expires) for route in routes
            if route.proto not in ("", "kernel")} == {
        ("eth0", 100, "ra", "1799sec"), ("eth1", 90, "static", "")}
    assert {(route.nic, route.prefix, route.proto) for route in routes
            if route.line.startswith("2001:db8::/")} == {
        ("eth0", 64, "kernel"), ("eth1", 48, "")}


@pytest.mark.parametrize("text, nic, expected", [
    ("2001:db8::/64 proto ra metric 100 expires 55sec pref medium", "eth0",
     ("eth0", 64, 100, "ra", "55sec")),
    ("2001:db8::/64 proto kernel metric 256 pref medium", "a b", ("a b", 64, 256, "kernel", "")),
    ("2001:db8::/64 dev eth1 metric 5", "eth0", ("eth1", 64, 5, "", ""))])
def test_the_interface_that_was_asked_for_is_not_repeated(text, nic, expected):
    """As `ip route list exact ... dev NIC` prints it."""
    assert not findif.parse_routes(text, "inet6") or "dev" in text
    route, = findif.parse_routes(text, "inet6", nic)
    assert (route.nic, route.prefix, route.metric, route.proto, route.expires) == expected


@pytest.mark.parametrize("words, expected", [
    ("", [({}, [])]),
    ("dev eth0", [({"dev": "eth0"}, [])]),
    ("dev via via 192.0.2.254 onlink", [({"dev": "via", "via": "192.0.2.254"}, ["onlink"])]),
    ("dev dev dev eth1", [({"dev": "dev"}, [])]),                   # the first one counts
    ("scope link nexthop dev nexthop weight 1 nexthop dev e1 dead",
     [({"scope": "link"}, []), ({"dev": "nexthop", "weight": "1"}, []), ({"dev": "e1"}, ["dead"])]),
    ("dev linkdown metric 3 linkdown", [({"dev": "linkdown", "metric": "3"}, ["linkdown"])]),
    ("mtu 1400 dev", [({}, ["mtu", "1400", "dev"])]),               # cut off
])
def test_route_parts(words, expected):
    assert findif.route_parts(words.split()) == expected


@pytest.mark.parametrize("text", ["", "\n", "192.0.2.0/24", "192.0.2.0/24 dev", "default dev eth0",
                                  "192.0.2.0/33 dev eth0", "192.0.2.0/x dev eth0",
                                  "blackhole 192.0.2.0/24", "77 192.0.2.0/24 dev eth0"])
def test_lines_that_are_no_routes(text):
    assert findif.parse_routes(text, "inet") == []
    assert findif.getnetworkinfo(text) is None


@pytest.mark.parametrize("text", [
    "garbage", "RTNETLINK answers:", "\udcff", "192.0.2.0.1 dev eth0"])
def test_lines_that_ip_does_not_print(text):
    with pytest.raises(addresses.Unreadable):
        findif.parse_routes("192.0.2.0/24 dev eth0\n" + text, "inet")


def test_network_of_the_loopback(captured):
    route = findif.getnetworkinfo(captured("route-inet-local"))
    assert (route.prefix, route.nic, route.src) == (8, "lo", "127.0.0.1")
    route = findif.getnetworkinfo("local 127.0.0.1 dev lo\nlocal 127.5.0.0/16 dev lo\n")
    assert (route.prefix, route.nic, route.src) == (16, "lo", "")


# --- the best one ----------------------------------------------------------------------------


#: Where several interfaces have a route of the longest prefix.
TIES = ("inet-192.0.2.50-24", "inet-10.2.4.4", "inet-10.2.4.4-static", "inet-10.4.0.4",
        "inet-10.6.0.4", "inet-10.11.0.4", "inet6-1-1", "inet6-link-local", "inet6-metric")


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
    ("inet-10.6.0.4", "", (24, "eth0")),            # a multipath route is each interface's
    ("inet-10.6.0.4", "eth1", (24, "eth1")),
    ("inet-10.10.0.4", "", (24, "eth2")),           # no carrier, but the only one
    ("inet6-1", "", (64, "eth0")),
    ("inet6-1", "eth1", (48, "eth1")),
    ("inet6-70", "", (128, "eth1")),
    ("inet6-1-1", "", (64, "eth1")),
    ("inet6-link-local", "", (64, "eth0")),
    ("inet6-link-local", "eth1", (64, "eth1")),
    ("inet6-metric", "", (64, "primary")),
    ("inet6-nic-via", "", (64, "via")),
    ("inet6-unreachable", "", None),
])
def test_best_route(fp, kernel, captured, address, nic, expected):
    family = address.partition("-")[0]
    if nic == "" and address in TIES:
        fp.query(LINKS, captured("link-ports"))
    route = findif.best_route(routes_of(captured("route-" + address), family, nic))
    assert (route and (route.prefix, route.nic)) == expected


def test_best_route_by_its_definition(fp, kernel, captured):
    """Longest prefix, a link that is up, no port, lowest metric, first line in byte order, whatever
    the order of the lines."""
    routes = [Route(prefix, metric, nic, "", "%s %d %s" % (line, prefix, nic), "", "", down)
              for prefix, metric, nic, down, line in itertools.product(
                  (8, 24), (0, 9, 10), ("eth0", "port1", "b\\", "gone"), (False, True),
                  ("a", "\u00e9", "\udcff"))]
    expected = sorted(routes, key=lambda route: (
        -route.prefix, route.down, route.nic in ("port1", "b\\"), route.metric,
        route.line.encode("utf-8", "surrogateescape")))
    shuffled = routes[:]
    random.Random(2).shuffle(shuffled)
    asked, got = 0, []
    while shuffled:
        first = [route for route in shuffled if (-route.prefix, route.down) == min(
            (-other.prefix, other.down) for other in shuffled)]
        if len({route.nic for route in first}) > 1:     # not asked else
            fp.query(LINKS, captured("link-ports"))
            asked += 1
        got.append(findif.best_route(shuffled))
        shuffled.remove(got[-1])
    assert [vars_of(route) for route in got] == [vars_of(route) for route in expected]
    assert 10 < asked < len(routes)


def vars_of(route):
    return [getattr(route, name) for name in Route.__slots__]


@pytest.mark.parametrize("rc, hangs", [(1, False), (255, False), (0, True)])
def test_ports_that_ip_does_not_tell_of(fp, kernel, captured, rc, hangs):
    fp.query(LINKS, rc=rc, hangs=hangs)
    with pytest.raises(findif.FindifError) as problem:
        findif.best_route(routes_of(captured("route-inet-10.11.0.4"), "inet"))
    assert problem.value.unreadable and problem.value.rc == 1


def test_ports(captured):
    """Bridge ports; none of them by an altname, an alias or a name of its own."""
    assert findif.parse_ports(captured("link-ports")) == {12, 13, 19}


def test_ports_of_a_bond_and_a_team_but_not_of_a_vrf(captured):
    assert findif.parse_ports(captured("link-ports-typed")) == {31, 32}


@pytest.mark.parametrize("text", ["", "\n", "garbage", "x: eth0: <UP>\\    bridge_slave state",
                                  "2: eth0: <UP> bridge_slave", "2: eth0: <UP>\\ \\ "])
def test_no_ports(text):
    assert findif.parse_ports(text) == set()


# --- other tables ----------------------------------------------------------------------------


@pytest.mark.parametrize("name, table", [
    ("link-vrf-port", "10"), ("link-vrf", "10"), ("link-eth0-long", ""), ("link-ports", "")])
def test_the_table_of_a_vrf(captured, name, table):
    assert tables.parse_vrf(captured(name)) == table


@pytest.mark.parametrize("text", ["", "\n", "garbage", "2: eth0: <UP> vrf table 10",
                                  "2: eth0: <UP>\\    vrf \\", "2: eth0: <UP>\\    vrf_slave 10"])
def test_no_vrf(text):
    assert tables.parse_vrf(text) == ""


VRF = "ip -o -d link show dev eth0"
MATCH = "ip -o -f inet route list match 192.0.2.50 "


def test_a_port_of_a_vrf(fp, kernel, captured):
    fp.query(MATCH + "scope link", captured("route-inet-192.0.2.1").replace("eth0", "eth1"))
    fp.query(VRF, captured("link-vrf-port"))
    fp.query(MATCH + "table 10 scope link", captured("route-inet-192.0.2.50-24"))
    found = findif.findif("inet", "192.0.2.50", "eth0", "")
    assert (found.nic, found.prefix, found.src, found.vrf) == ("eth0", 24, "192.0.2.1", "10")


@pytest.mark.parametrize("answer, reason", [
    ({}, "no route on eth0 holds"), ({"rc": 1, "err": "Cannot find device"}, "no route on"),
    ({"rc": 1, "err": "busy"}, "busy")])
def test_no_port_of_a_vrf(fp, kernel, answer, reason):
    fp.query(MATCH + "scope link")
    fp.query(VRF, **answer)
    with pytest.raises(findif.FindifError) as problem:
        findif.findif("inet", "192.0.2.50", "eth0", "")
    assert reason in problem.value.reason and problem.value.rc == 1
    assert problem.value.unreadable is (reason == "busy")


@pytest.mark.parametrize("nic, table", [("", ""), ("gone", ""), ("eth0", "7")])
def test_who_is_not_asked_for_a_vrf(fp, kernel, nic, table):
    fp.query(MATCH + (f"table {table} " if table else "") + "scope link")
    with pytest.raises(findif.FindifError):
        findif.findif("inet", "192.0.2.50", nic, "", table=table)


@pytest.mark.parametrize("err, rc, unreadable", [
    ("Error: ipv4: FIB table does not exist.\nDump terminated\n", 1, False),
    ('Error: argument "7" is wrong: table id value is invalid\n', 5, False), ("busy", 1, True)])
def test_a_table_that_is_not_there(fp, err, rc, unreadable):
    fp.query(MATCH + "table 7 proto 3 scope link", err=err, rc=2)
    with pytest.raises(findif.FindifError) as problem:
        findif.findif("inet", "192.0.2.50", "", "", "3", table="7")
    assert (problem.value.rc, problem.value.unreadable) == (rc, unreadable)
    assert " 7" in problem.value.reason or "[7]" in problem.value.reason


@pytest.mark.parametrize("table", ["all", "cache", "help", "unspec", "0", "00", "4294967296"])
def test_what_is_no_table(table):
    with pytest.raises(findif.FindifError) as problem:
        tables.check(table)
    assert problem.value.rc == 6 and f"[{table}]" in problem.value.reason


@pytest.mark.parametrize("table", ["1", "4294967295", "main", "local", "blue"])
def test_what_may_be_a_table(table):
    tables.check(table)


# --- which routes may count ------------------------------------------------------------------


@pytest.mark.parametrize("family, prefix, nic, asked, counts", [
    ("inet", 24, "eth0", "", True), ("inet", 24, "eth0", "eth0", True),
    ("inet", 24, "eth0", "eth1", False), ("inet", 24, "eth0", "eth", False),
    ("inet", 32, "eth0", "", True), ("inet6", 128, "eth0", "", True),
    ("inet", 32, "lo", "", False), ("inet", 32, "lo", "lo", True), ("inet", 31, "lo", "", True),
    ("inet6", 128, "lo", "", False), ("inet6", 128, "lo", "lo", True),
    ("inet6", 127, "lo", "", True),
    ("inet", 32, "eth1", "", False), ("inet", 32, "eth1", "eth1", True),    # without ARP
    ("inet", 31, "eth1", "", True), ("inet6", 128, "eth1", "", False),
    ("inet6", 64, "eth1", "", True),
    ("inet", 32, "gone", "", True),
    ("inet", 1, "eth0", "", False), ("inet", 1, "eth0", "eth0", True),
    ("inet", 2, "eth0", "", True),
    ("inet6", 1, "eth0", "", False), ("inet6", 2, "eth0", "", False),
    ("inet6", 3, "eth0", "", False), ("inet6", 3, "eth0", "eth0", True),
    ("inet6", 4, "eth0", "", True)])
def test_which_routes_may_count(flags, family, prefix, nic, asked, counts):
    flags["eth1"] = 0x1043 | addresses.IFF_NOARP
    assert findif.may_count(Route(prefix, 0, nic), family, asked) is counts


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
    ("ens160", "192.0.2.50", "", ""),
])
def test_broadcast(captured, nic, ip, src, expected):
    text = "" if nic == "ens160" else captured("addr-inet-" + nic)
    assert findif.parse_broadcast(text, ip, src) == expected


@pytest.mark.parametrize("prefix, expected", [
    (16, ""), (23, ""), (24, "192.0.2.255"), (25, "192.0.2.127"), (32, "192.0.2.127")])
def test_broadcast_of_a_longer_network_is_another(captured, prefix, expected):
    """Where the VIP's own prefix is the shorter one, that network's end is not its own."""
    assert findif.parse_broadcast(captured("addr-inet-eth0"), "192.0.2.50", "", prefix) == expected


def test_a_crowd_on_the_interface_costs_no_search_each(captured, monkeypatch):
    """Of many addresses of one network the first that counts is looked into, and then no more."""
    looked = []
    monkeypatch.setattr(findif, "in_network", lambda *words: looked.append(words) or True)
    line = captured("addr-inet-eth0").splitlines()[0]
    assert " 192.0.2.1/24 " in line
    crowd = [line.replace(" 192.0.2.1/24 ", f" 192.0.2.{i}/24 ") for i in range(2, 200)]
    text = "\n".join([*crowd, line]) + "\n"
    assert findif.parse_broadcast(text, "192.0.2.250", "", 24) == "192.0.2.255"
    assert [words[1] for words in looked] == ["192.0.2.2"]
    assert findif.parse_broadcast(text, "192.0.2.250", "192.0.2.1", 24) == "192.0.2.255"
    assert looked[-1][1] == "192.0.2.1"          # the route's source, which goes first, is one more


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
    ("a.b.c.d", "a.b.c.d", None), ("255.0.255.0", "255.0.255.0", "ERROR")])
def test_conversion_is_told(fp, host, tmp_path, netmask, converted, level):
    assert findif.maybe_convert_dotted_quad_to_cidr(netmask) == converted
    log = tmp_path / "log"
    assert ((level + ": " in log.read_text()) and netmask in log.read_text()
            if level else not log.exists())


@pytest.mark.parametrize("text, good", [
    ("192.0.2.10", True), ("1.0.0.0", True), ("223.255.255.255", True), ("127.0.0.3", True),
    ("240.0.0.5", True), ("255.255.255.254", True), ("239.255.255.255", False),
    ("0.0.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False), ("192.0.2.256", False),
    ("192.0.2.050", False), ("192.0.2.00", False), ("192.0.2", False), ("192.0.2.10.1", False),
    ("192.0.2.10/24", False), (" 192.0.2.10", False), ("192.0.2.10 ", False), ("", False),
    ("192.0.2.10\n", False), ("0x1.2.3.4", False), ("192.0.2.-1", False), ("192.0.2.1a", False),
    ("192,0,2,1", False), ("host", False), ("::1", False), ("192.0.2.\u0661", False),
    ("192.0.2.1\0", False), ("\udcff", False), ("1" * 5000, False)])
def test_ipcheck_ipv4(text, good):
    assert findif.ipcheck_ipv4(text) is good


@pytest.mark.parametrize("text, good", [
    ("2001:db8::10", True), ("2001:DB8:0:0::0010", True), ("::1", True), ("::1.2.3.4", True),
    ("fe80::1", True),
    ("2001:db8:1:2:3:4:5:6", True), ("fd00::", True), ("::ffff:c000:201", True),
    ("::", False), (":::", False), ("0:0:0:0:0:0:0:0", False), ("ff02::1", False),
    ("::ffff:192.0.2.1", False), ("2001:db8::10/64", False), ("2001:db8::10%eth0", False),
    ("2001:db8::1::2", False), ("2001:db8:1:2:3:4:5:6:7", False), ("1:2:3", False),
    ("2001:db8::12345", False), ("2001:db8::g", False), ("[2001:db8::1]", False), (":", False),
    (" 2001:db8::1", False), ("2001:db8::1\n", False), ("", False), ("192.0.2.1", False)])
def test_ipcheck_ipv6(text, good):
    assert findif.ipcheck_ipv6(text) is good


@pytest.mark.parametrize("ip, mandatory", [
    ("fe80::1", True), ("febf:ffff::1", True), ("fec0::50", False), ("feff::1", False),
    ("fe7f::1", False), ("fd80::1", False), ("2001:fe80::1", False)])
def test_nic_is_mandatory_for_link_local_addresses(host, ip, mandatory):
    findif.findif_check_params("inet6", ip, "eth0", "", "")
    if not mandatory:
        findif.findif_check_params("inet6", ip, "", "", "")
        return
    with pytest.raises(findif.FindifError) as problem:
        findif.findif_check_params("inet6", ip, "", "", "")
    assert problem.value.rc == 6 and problem.value.reason.startswith("nic [] is empty")


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
    ("inet6", "2001:db8::1", "", "128", "", "match 2001:db8::1/128", "inet6-1", ("eth0", 128, "")),
    ("inet6", "2001:db8::1", "", "116", "", "match 2001:db8::1/116", "inet6-1", ("eth0", 116, "")),
    ("inet6", "2001:db8::1", "", "48", "", "match 2001:db8::1/48", "inet6-1-48", ("eth1", 48, "")),
    ("inet6", "2001:db8::70", "", "", "", "match 2001:db8::70", "inet6-70", ("eth1", 128, "")),
    ("inet6", "fe80::9", "eth1", "", "", "match fe80::9", "inet6-link-local", ("eth1", 64, "")),
])
def test_findif(fp, kernel, captured, family, ip, nic, netmask, proto, argv, captured_as,
                expected):
    if captured_as in TIES and not nic:
        fp.query(LINKS, captured("link-ports"))
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
    ("inet6", "2001:db8::1", "", "47", "match 2001:db8::1/47", "inet6-1-47"),
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


@pytest.mark.parametrize("held, expected", [
    ([], ("primary", 24)),                              # the order among routes
    ([("up", 24, "")], ("up", 24)),                     # where the address is is its place
    ([("up", 25, "")], ("primary", 24)),
    ([("up", 24, "192.0.2.9")], ("primary", 24)),
    ([("eth9", 24, "")], ("primary", 24)),
    ([("eth0", 8, ""), ("eth9", 24, "")], ("eth0", 8)),
    ([("eth0", 8, ""), ("up", 24, "")], ("up", 24)),
    ([("up", 24, ""), ("primary", 24, "")], ("primary", 24))])
def test_where_the_address_is_already(fp, kernel, captured, held, expected):
    fp.query("ip -o -f inet route list match 10.11.0.4 scope link",
             captured("route-inet-10.11.0.4"))
    # There is nothing to choose where it is on one interface alone.
    if len({(nic, prefix) for nic, prefix, peer in held if (nic, prefix, peer) in (
            ("up", 24, ""), ("primary", 24, ""), ("eth0", 8, ""))}) != 1 and \
            ("eth0", 8, "") not in held:
        fp.query(LINKS, captured("link-ports"))
    found = [addresses.Address(0, nic, "10.11.0.4", peer, prefix, "", [])
             for nic, prefix, peer in held]
    route = findif.findif("inet", "10.11.0.4", "", "", "", found)
    assert (route.nic, route.prefix) == expected


def test_where_the_address_is_by_the_prefix_asked_for(fp, kernel, captured):
    held = [addresses.Address(4, "up", "10.11.0.4", "", 28, "", [])]
    fp.query("ip -o -f inet route list match 10.11.0.4/28 scope link",
             captured("route-inet-10.11.0.4"))
    route = findif.findif("inet", "10.11.0.4", "", "28", "", held)
    assert (route.nic, route.prefix) == ("up", 28)


@pytest.mark.parametrize("given, found", [
    ("eth0", (2, "eth0")), ("up", (4, "up")), ("primary", (5, "primary")), ("uplink", (3, "eth1")),
    ("eth9", (0, "")), ("", (0, "")), ("-a", (0, "")), ("eth0 ", (0, "")), ("eth\0", (0, "")),
    ("\udcff", (0, ""))])
def test_names_that_the_kernel_settles(fp, host, given, found):
    assert findif.ifcheck(given) == found


@pytest.mark.parametrize("text, found", [
    ("link-altname", (3, "eth1")),
    ("link-eth0.5", (10, "eth0.5"))])       # it has gone since: by what `ip` printed
def test_long_altnames_take_a_command(fp, host, captured, text, found):
    """16 bytes are one more than the kernel's own names have."""
    fp.query("ip link show dev enp0s31f6-behind", captured(text))
    assert findif.ifcheck("enp0s31f6-behind") == found


def test_a_long_name_that_nobody_has(fp, host, captured):
    fp.query("ip link show dev enp0s31f6-at-the-back", rc=1,
             err='Device "enp0s31f6-at-the-back" does not exist.\n')
    assert findif.ifcheck("enp0s31f6-at-the-back") == (0, "")


@pytest.mark.parametrize("rc, text", [
    (1, ""), (255, ""), (0, ""), (0, "garbage\n1: ?\n"), (137, ""), (0, "7: eth0"),
    (0, "x: eth0: <UP>"), (0, "7: eth0: UP"), (1, "7: eth0: <UP>")])
def test_a_long_name_where_ip_fails(fp, host, rc, text):
    fp.query("ip link show dev enp0s31f6-at-the-back", text, rc=rc)
    with pytest.raises(findif.FindifError) as problem:
        findif.ifcheck("enp0s31f6-at-the-back")
    assert problem.value.unreadable and problem.value.rc == 1


def test_a_long_option_is_no_name(fp, host):
    assert findif.ifcheck("-enp0s31f6-at-the-back") == (0, "")


@pytest.mark.parametrize("rc, err, known", [
    (0, "", True), (1, 'Device "eth9" does not exist.', True), (2, "", False), (137, "", False)])
def test_a_broadcast_that_cannot_be_told(fp, rc, err, known):
    fp.query("ip -o -f inet addr show dev eth9", err=err, rc=rc)
    if known:
        assert findif.find_broadcast("eth9", "192.0.2.10") == ""
    else:
        with pytest.raises(addresses.Unreadable):
            findif.find_broadcast("eth9", "192.0.2.10")


@pytest.mark.parametrize("blank", "\u2003\u3000\u2028\u0085\x1c\x1d\x1e\x1f")
@pytest.mark.parametrize("name", ["%s", "a%sb", "%smetric%s5", "a%sdev%sb"])
def test_names_with_white_space_that_the_kernel_takes(captured, blank, name):
    """Only str.split() and str.splitlines() would part them."""
    name = name.replace("%s", blank)
    for route in ("route-inet-192.0.2.1", "route-inet6"):
        family = "inet6" if "inet6" in route else "inet"
        text = captured(route)
        assert [one.nic for one in findif.parse_routes(text.replace("eth0", name), family)] == [
            one.nic.replace("eth0", name) for one in findif.parse_routes(text, family)]
    text = captured("route-inet-local").replace(" lo ", " %s " % name)
    assert findif.getnetworkinfo(text).nic == name


# --- words and ways --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", "unreachable blackhole prohibit throw unicast local broadcast "
                         "anycast multicast nat xresolve none default 13".split())
def test_kinds_of_routes_that_carry_nothing(kind):
    assert findif.parse_routes(f"{kind} 192.0.2.0/24 dev eth0", "inet") == []


@pytest.mark.parametrize("word", "dev via proto scope src metric table tos nhid weight from encap "
                         "expires".split())
def test_a_value_may_look_like_a_flag(word):
    assert findif.route_parts([word, "linkdown"]) == [({word: "linkdown"}, [])]


@pytest.mark.parametrize("flags, down", [("", False), ("linkdown", True), ("dead", True),
                                         ("onlink", False)])
def test_a_route_whose_link_is_down(flags, down):
    route, = findif.parse_routes(f"192.0.2.0/24 dev eth0 {flags}", "inet")
    assert route.down is down
    assert findif.Route(24, 0, "eth0").down is False


def test_what_an_error_says():
    assert str(findif.FindifError(1, "no luck")) == "no luck"


@pytest.mark.parametrize("text, good", [("1.2.3.255", True), ("255.255.255.255", True),
                                        ("0.0.0.1", False), ("x", False)])
def test_what_may_be_a_broadcast_address(text, good):
    assert findif._is_broadcast(text) is good


def test_the_kind_of_a_port_may_come_first():
    assert findif.parse_ports("7: eth0: <UP>\\ bridge_slave state forwarding\n") == {7}


@pytest.mark.parametrize("rest, prefix", [
    ("127.0.0.0/8 dev lo src 127.0.0.1", 8), ("127.0.0.0/x dev lo", None),
    ("127.0.0.0/8 proto kernel", None), ("127.0.0.0/8 dev", None), ("127.0.0.1 dev lo", None)])
def test_lines_of_the_local_table(rest, prefix):
    route = findif.getnetworkinfo(f"local {rest}\n")
    assert (route and (route.prefix, route.metric)) == (prefix and (prefix, 0))


def test_routes_that_ip_does_not_print(fp):
    fp.query(["ip", *findif.route_list_words("inet", "192.0.2.1", "")], "what is this\n")
    with pytest.raises(findif.FindifError) as problem:
        findif.list_routes("inet", "192.0.2.1", "")
    assert problem.value.unreadable and problem.value.rc == 1


@pytest.mark.parametrize("table, rc, err, code", [
    ("", 2, "Error: ipv4: FIB table does not exist.", 1), ("", 255, 'argument "" is wrong', 1),
    ("7", 0, "Error: ipv4: FIB table does not exist.", 0), ("x", 0, 'argument "x" is wrong', 0),
    ("x", 255, 'argument "x" is wrong', 5), ("7", 2, "No memory", 1)])
def test_what_ip_says_of_a_table(fp, table, rc, err, code):
    fp.query("ip route", "printed", err=err, rc=rc)
    if not code:
        assert findif.read_routes(["route"], table) == "printed"
        return
    with pytest.raises(findif.FindifError) as problem:
        findif.read_routes(["route"], table)
    assert problem.value.rc == code


def test_the_local_table_is_for_want_of_others(fp):
    fp.query(["ip", *findif.route_list_words("inet", "127.0.0.3", "")], "127.0.0.0/24 dev eth0\n")
    assert [route.nic for route in findif.places("inet", "127.0.0.3", "", "")] == ["eth0"]


@pytest.mark.parametrize("ip, netmask", [("x", ""), ("x", "24"), ("192.0.2.1", "x"), ("x", "x")])
def test_no_route_is_asked_for_without_an_address(fp, ip, netmask):
    with pytest.raises(findif.FindifError, match=f"{ip}/{netmask} is no address") as problem:
        findif.findif("inet", ip, "", netmask)
    assert problem.value.rc == 1


@pytest.mark.parametrize("nic, netmask, told", [
    ("", "", "no route holds 192.0.2.1: nic and cidr_netmask cannot be found; set them,"),
    ("", "24", "no route holds 192.0.2.1/24: nic cannot be found; set it,"),
    ("eth0", "", "no route on eth0 holds 192.0.2.1: cidr_netmask cannot be found; set it,")])
def test_what_is_missing(fp, host, monkeypatch, nic, netmask, told):
    monkeypatch.setattr(findif, "places", lambda *_words: [])
    with pytest.raises(findif.FindifError) as problem:
        findif.findif("inet", "192.0.2.1", nic, netmask)
    assert problem.value.reason.startswith(told)


def test_where_no_route_is_needed():
    route = findif.findif("inet", "192.0.2.1", "eth0", "24")
    assert (route.prefix, route.metric, route.nic) == (24, 0, "eth0")


def test_an_address_without_broadcast_says_nothing_of_it():
    text = ("2: eth0    inet 192.0.2.1/24 brd 192.0.2.255 scope global eth0\n"
            "2: eth0    inet 192.0.2.2/25 scope global eth0\n")
    assert findif.parse_broadcast(text, "192.0.2.9") == "192.0.2.255"
