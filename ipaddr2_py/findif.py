# SPDX-License-Identifier: GPL-2.0-only
"""Which interface and prefix length a VIP belongs to, found in the routing table.

findif() asks `ip route list match` for the routes that hold the address; the parsers are pure
functions over what `ip` prints.  On start and validate-all the parameters are checked first.
"""

from . import commands
from .addresses import (Unreadable, failure, in_network, ip_query, is_missing, link_query,
                        parse_addresses)
from .ahead import address_bytes
from .ocf import OCF_ERR_CONFIGURED, OCF_ERR_GENERIC, ocf_is_decimal, ocf_log

BITS = {"inet": 32, "inet6": 128}
#: Words of `ip route list` that a value follows, as far as they come before those asked for.
ROUTE_KEYWORDS = ("dev", "via", "proto", "scope", "src", "metric", "table", "tos", "nhid", "weight",
                  "from", "encap")


#: What `ip route list` may print before a destination.
ROUTE_TYPES = ("unreachable", "blackhole", "prohibit", "throw", "unicast", "local", "broadcast",
               "anycast", "multicast", "nat", "xresolve", "none")


class FindifError(Exception):
    """No interface or prefix was found, or a parameter is wrong: rc is the OCF code.

    unreadable: not even that is sure, since `ip` failed.
    """

    def __init__(self, rc, reason, unreadable=False):
        Exception.__init__(self, reason)
        self.rc = rc
        self.reason = reason
        self.unreadable = unreadable


class Route:
    """A route that holds the VIP: prefix length, metric, interface, source address, the line."""

    __slots__ = ("prefix", "metric", "nic", "src", "line")

    def __init__(self, prefix, metric, nic, src, line):
        self.prefix = prefix
        self.metric = metric
        self.nic = nic
        self.src = src
        self.line = line


def ipcheck_ipv4(text):
    """Whether text is an IPv4 address that a host can have: no leading zeros, 1.x to 223.x."""
    packed = address_bytes(text, "inet")
    return packed is not None and 1 <= packed[0] <= 223


def ipcheck_ipv6(text):
    """Whether text is an IPv6 address that a host can have: no multicast, not the unspecified."""
    packed = address_bytes(text, "inet6")
    mapped = bytes(10) + b"\xff\xff"        # an IPv4 address in disguise
    return (packed is not None and packed[0] != 0xff and packed != bytes(16)
            and not ("." in text and packed.startswith(mapped)))


def prefixcheck(text, family):
    """The prefix length that text names, None unless it is 1 to 32 (inet) or 1 to 128 (inet6)."""
    if len(text) > 3 or not ocf_is_decimal(text) or not 1 <= int(text) <= BITS[family]:
        return None
    return int(text)


def dotted_quad_to_prefix(text):
    """Prefix length of a netmask such as 255.255.255.0; None for anything else."""
    packed = address_bytes(text, "inet") if text.count(".") == 3 else None
    if packed is None:
        return None
    ones = bin(int.from_bytes(packed, "big"))[2:].zfill(32)
    return None if "01" in ones else ones.count("1")


def maybe_convert_dotted_quad(netmask):
    """cidr_netmask as digits: a netmask in dotted quad notation is converted, with a warning."""
    if "." not in netmask:
        return netmask
    prefix = dotted_quad_to_prefix(netmask)
    if prefix is None:
        if netmask.count(".") == 3 and address_bytes(netmask, "inet") is not None:
            ocf_log("err", "cidr_netmask [%s] is no netmask: its ones are not all on the left"
                    % netmask)
        return netmask
    ocf_log("warn", "cidr_netmask [%s] is a dotted quad; please write it as %d" % (netmask, prefix))
    return str(prefix)


def check_params(family, ip, nic, netmask, broadcast):
    """Refuse a bad nic, ip, cidr_netmask or broadcast; nic is the parameter as it was given.

    Raises FindifError with exit code 6 and a reason that names parameter, value and remedy.
    """
    if nic and not resolve_nic(nic):
        _refuse("nic", nic, "is not the name of an interface here; `ip link show` lists them: "
                "does not exist")
    if family == "inet6":
        if not ipcheck_ipv6(ip):
            _refuse("ip", ip, "is not an IPv6 address of one host, such as 2001:db8::10")
        packed = address_bytes(ip, "inet6")
        if not nic and packed[0] == 0xfe and packed[1] & 0xc0 == 0x80:
            _refuse("nic", nic, "is empty, but mandatory for the link-local address %s" % ip)
    elif not ipcheck_ipv4(ip):
        _refuse("ip", ip, "is not an IPv4 or IPv6 address of one host, such as 192.0.2.10 or "
                "2001:db8::10")
    if netmask and prefixcheck(netmask, family) is None:
        _refuse("cidr_netmask", netmask, "is not a prefix length from 1 to %d" % BITS[family])
    if family == "inet" and broadcast not in ("", "+", "-") and not _is_broadcast(broadcast):
        _refuse("broadcast", broadcast, "is not an IPv4 address, + or -")


def _is_broadcast(text):
    packed = address_bytes(text, "inet")
    return packed is not None and packed[0] >= 1


def _refuse(name, value, why):
    raise FindifError(OCF_ERR_CONFIGURED, "%s [%s] %s" % (name, value, why))


def resolve_nic(nic):
    """The kernel's own name of interface `nic`, which may be an altname; "" where there is none.

    Names of up to 15 characters are settled by the kernel alone; longer ones are altnames, which
    take a command.  Raises FindifError where that fails.
    """
    import _socket

    try:
        return _socket.if_indextoname(_socket.if_nametoindex(nic))
    except (OSError, ValueError, UnicodeError):
        pass
    if len(nic) < 16 or nic.startswith("-"):
        return ""
    words = link_query(nic)
    result = ip_query(words)
    if result.rc and is_missing(result):
        return ""
    told = result.out.split(": ", 2)            # 7: eth0@if6: <BROADCAST,...
    if result.rc or len(told) < 3 or not told[0].isdigit() or not told[2].startswith("<"):
        raise FindifError(OCF_ERR_GENERIC, failure(words, result), unreadable=True)
    return told[1].split("@")[0]


def parse_routes(text, family):
    """The routes of `ip -o route list` that can carry a VIP, as Route objects.

    Left out: default, unreachable, blackhole, prohibit and throw routes, routes without an
    interface, and for IPv6 those by way of a gateway.  A destination without a mask is one host.
    Raises Unreadable on a line that `ip` does not print.
    """
    routes = []
    for line in text.splitlines():
        words = line.split()
        destination, _, length = words[0].partition("/") if words else ("", "", "")
        if address_bytes(destination, family) is None:
            if words and destination not in ("default", *ROUTE_TYPES) and \
                    not ocf_is_decimal(destination):
                raise Unreadable("ip route list printed: %s" % line[:80])
            continue
        prefix = prefixcheck(length, family) if length else BITS[family]
        common, *hops = " ".join(words[1:]).split("nexthop ")
        for hop in hops or [""]:
            told = keywords((common + hop).split())
            if prefix is None or "dev" not in told or family == "inet6" and "via" in told:
                continue
            metric = told.get("metric", "")
            routes.append(Route(prefix, int(metric) if ocf_is_decimal(metric) else 0,
                                told["dev"], told.get("src", ""), line))
    return routes


def keywords(words):
    """The first value of each of `ip route`'s keywords; a value may look like a keyword."""
    told = {}
    index = 0
    while index < len(words) - 1:
        if words[index] in ROUTE_KEYWORDS:
            told.setdefault(words[index], words[index + 1])
            index += 1
        index += 1
    return told


def best_route(routes, nic=""):
    """The longest prefix; among equals the lowest metric, then the first line in byte order."""
    candidates = [route for route in routes if not nic or route.nic == nic]
    if not candidates:
        return None
    return min(candidates, key=lambda route: (-route.prefix, route.metric,
                                              commands.to_bytes(route.line)))


def parse_local_network(text):
    """The first network (not a single address) of `ip route list table local scope host`."""
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3 and words[0] == "local" and "/" in words[1]:
            length, told = prefixcheck(words[1].partition("/")[2], "inet"), keywords(words[2:])
            if length and "dev" in told:
                return Route(length, 0, told["dev"], told.get("src", ""), line)
    return None


def list_routes(family, match, proto):
    """The routes that hold `match` (an address, or address/length), as Route objects."""
    text = read_routes(route_query(family, match, proto))
    try:
        return parse_routes(text, family)
    except Unreadable as problem:
        raise FindifError(OCF_ERR_GENERIC, str(problem), unreadable=True) from None


def route_query(family, match, proto):
    """The words that ask `ip` for the routes that hold `match`."""
    proto_words = ["proto", proto] if proto else []
    scope = ["scope", "link"] if family == "inet" else []
    return ["-o", "-f", family, "route", "list", "match", match, *proto_words, *scope]


def read_routes(words):
    """What `ip WORDS` printed; raises FindifError where it failed."""
    result = ip_query(words)
    if result.rc:
        raise FindifError(OCF_ERR_GENERIC, failure(words, result), unreadable=True)
    return result.out


def findif(family, ip, nic, netmask, proto=""):
    """The Route that says where the VIP belongs: nic and prefix filled in, src where known.

    nic (resolved) and netmask (digits) are "" where not given; with both given no route is
    needed.  Raises FindifError with exit code 1 where the routes do not tell.
    """
    if nic and netmask:
        prefix = prefixcheck(netmask, family)
        return Route(-1 if prefix is None else prefix, 0, nic, "", "")
    if address_bytes(ip, family) is None or netmask and prefixcheck(netmask, family) is None:
        raise FindifError(OCF_ERR_GENERIC, "%s/%s is no address with a prefix length"
                          % (ip, netmask))
    route = best_route(list_routes(family, ip + ("/" + netmask if netmask else ""), proto), nic)
    if route is None and family == "inet" and ip.startswith("127."):
        route = parse_local_network(read_routes(
            ["-o", "-f", "inet", "route", "list", "match", ip, "table", "local",
             "scope", "host"]))
    if route is None:
        raise FindifError(OCF_ERR_GENERIC, "no route%s holds %s: nic and cidr_netmask cannot be "
                          "found; set them, or add a route or an address of that network"
                          % (" on " + nic if nic else "", ip))
    found = Route(route.prefix, route.metric, nic or route.nic, route.src, route.line)
    if netmask:
        if family == "inet6" and not nic and int(netmask) != route.prefix:
            raise FindifError(OCF_ERR_GENERIC, "cidr_netmask [%s] differs from the route's %d; "
                              "set nic as well to use it" % (netmask, route.prefix))
        found.prefix = int(netmask)
    return found


def find_broadcast(nic, ip, src=""):
    """The broadcast address of the address on `nic` whose network holds the VIP, "" without one.

    Several: the route's source address first, then the longest prefix, then the first listed.
    Raises Unreadable where `ip` fails.
    """
    words = broadcast_query(nic)
    result = ip_query(words)
    if result.rc and not is_missing(result):
        raise Unreadable(failure(words, result))
    return parse_broadcast(result.out, ip, src)


def broadcast_query(nic):
    """The words that ask `ip` for the IPv4 addresses of interface `nic`."""
    return ["-o", "-f", "inet", "addr", "show", "dev", nic]


def parse_broadcast(text, ip, src=""):
    """find_broadcast() over the text of `ip -o -f inet addr show dev NIC`."""
    best = None
    for held in parse_addresses(text):
        if held.brd and in_network(ip, held.ip, held.prefix):
            rank = (held.ip == src, held.prefix)
            if best is None or rank > best[0]:
                best = (rank, held.brd)
    return best[1] if best else ""
