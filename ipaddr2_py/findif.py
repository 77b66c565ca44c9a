# SPDX-License-Identifier: GPL-2.0-only
"""Which interface and prefix length a VIP belongs to, found in the routing table.

findif() asks `ip route list match` for the routes that hold the address; the parsers are pure
functions over what `ip` prints.  On start and validate-all the parameters are checked first.
"""

from . import commands
from .addresses import (IFF_NOARP, Unreadable, address_bytes, failure, in_network, index_of,
                        interface_flags, ip_query, is_host_address, is_ipsec, is_missing,
                        link_show_words, name_of, parse_addresses)
from .commands import split
from .ocf import (OCF_ERR_CONFIGURED, OCF_ERR_GENERIC, OCF_ERR_INSTALLED, ocf_is_decimal,
                  ocf_log)

BITS = {"inet": 32, "inet6": 128}
#: The longest prefix that is a default route in disguise, as VPN programs lay it.
DISGUISED = {"inet": 1, "inet6": 3}
#: How `ip -d link show` calls an interface that carries another one's frames.
PORT_KINDS = ("bridge_slave", "bond_slave", "team_slave")
#: Words of `ip route list` that one value follows. Others that iproute2 6.1 knows (mtu, rtt ...;
#: ip/iproute.c, print_route()) come behind dev, src and metric, and need not be known.
ROUTE_KEYWORDS = ("dev", "via", "proto", "scope", "src", "metric", "table", "tos", "nhid", "weight",
                  "from", "encap", "expires")

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
    """A route that holds the VIP: prefix length, metric, interface, source address, the line.

    proto and expires as printed ("" without); down: whether it is marked linkdown or dead; vrf:
    the VRF's table that it was found in, "" for any other.
    """

    __slots__ = ("prefix", "metric", "nic", "src", "line", "proto", "expires", "down", "vrf")

    def __init__(self, prefix, metric, nic, src="", line="", proto="", expires="", down=False,
                 vrf=""):
        self.prefix = prefix
        self.metric = metric
        self.nic = nic
        self.src = src
        self.line = line
        self.proto = proto
        self.expires = expires
        self.down = down
        self.vrf = vrf


def ipcheck_ipv4(text: str) -> bool:
    """Whether text is an IPv4 address that a host can have."""
    packed = address_bytes(text, "inet")
    return packed is not None and is_host_address(packed)


def ipcheck_ipv6(text: str) -> bool:
    """Whether text is an IPv6 address that a host can have, and no IPv4 address in disguise."""
    packed = address_bytes(text, "inet6")
    mapped = bytes(10) + b"\xff\xff"
    return packed is not None and is_host_address(packed) and \
        not ("." in text and packed.startswith(mapped))


def prefixcheck(text: str, family: str):
    """The prefix length that text names, None unless it is 1 to 32 (inet) or 1 to 128 (inet6)."""
    if len(text) > 3 or not ocf_is_decimal(text) or not 1 <= int(text) <= BITS[family]:
        return None
    return int(text)


def dotted_quad_to_prefix(text: str):
    """Prefix length of a netmask such as 255.255.255.0; None for anything else."""
    packed = address_bytes(text, "inet") if text.count(".") == 3 else None
    if packed is None:
        return None
    ones = bin(int.from_bytes(packed, "big"))[2:].zfill(32)
    return None if "01" in ones else ones.count("1")


def maybe_convert_dotted_quad_to_cidr(netmask: str) -> str:
    """cidr_netmask as digits: a netmask in dotted quad notation is converted, with a warning."""
    if "." not in netmask:
        return netmask
    prefix = dotted_quad_to_prefix(netmask)
    if prefix is None:
        if netmask.count(".") == 3 and address_bytes(netmask, "inet") is not None:
            ocf_log("err", f"cidr_netmask [{netmask}] is no netmask: its ones are not all on the "
                    "left")
        return netmask
    ocf_log("warn", f"cidr_netmask [{netmask}] is a dotted quad; please write it as {prefix}")
    return str(prefix)


def findif_check_params(family: str, ip: str, nic: str, netmask: str, broadcast: str) -> None:
    """Refuse a bad nic, ip, cidr_netmask or broadcast; nic is the parameter as it was given.

    Raises FindifError with exit code 6 and a reason that names parameter, value and remedy.
    """
    if nic and not ifcheck(nic)[0]:
        _refuse("nic", nic, "is not the name of an interface here; `ip link show` lists them: "
                "does not exist")
    if family == "inet6":
        if not ipcheck_ipv6(ip):
            _refuse("ip", ip, "is not an IPv6 address of one host, such as 2001:db8::10")
        packed = address_bytes(ip, "inet6")
        if not nic and packed[0] == 0xfe and packed[1] & 0xc0 == 0x80:
            _refuse("nic", nic, f"is empty, but mandatory for the link-local address {ip}")
    elif not ipcheck_ipv4(ip):
        _refuse("ip", ip, "is not an IPv4 or IPv6 address of one host, such as 192.0.2.10 or "
                "2001:db8::10")
    if netmask and prefixcheck(netmask, family) is None:
        _refuse("cidr_netmask", netmask, f"is not a prefix length from 1 to {BITS[family]}")
    if family == "inet" and broadcast not in ("", "+", "-") and not _is_broadcast(broadcast):
        _refuse("broadcast", broadcast, "is not an IPv4 address, + or -")


def _is_broadcast(text):
    packed = address_bytes(text, "inet")
    return packed is not None and packed[0] >= 1


def _refuse(name, value, why):
    raise FindifError(OCF_ERR_CONFIGURED, f"{name} [{value}] {why}")


def ifcheck(nic: str) -> tuple:
    """Number and name, by the kernel, of interface `nic`, which may be an altname; else (0, "").

    Names of up to 15 characters are settled by the kernel alone; longer ones are altnames, which
    take a command.  Raises FindifError where that fails.
    """
    index = index_of(nic)
    name = name_of(index) if index else ""
    if name:
        return index, name
    if len(nic) < 16 or nic.startswith("-"):
        return 0, ""
    words = link_show_words(nic)
    result = ip_query(words)
    if result.rc and is_missing(result):
        return 0, ""
    printed = result.out.split(": ", 2)         # 7: eth0@if6: <BROADCAST,...
    if result.rc or len(printed) < 3 or not printed[0].isdigit() or printed[2][:1] != "<":
        raise FindifError(OCF_ERR_GENERIC, failure(words, result), unreadable=True)
    index = int(printed[0])
    return index, name_of(index) or printed[1].split("@")[0]


def parse_routes(text: str, family: str, nic: str = "") -> list:
    """The routes of `ip -o route list` that can carry a VIP, as Route objects.

    nic: the interface that they were asked for by `dev`, which `ip` then does not repeat.

    Left out: default, unreachable, blackhole, prohibit and throw routes, routes without an
    interface, and for IPv6 those by way of a gateway.  A destination without a mask is one host.
    Raises Unreadable on a line that `ip` does not print.
    """
    routes = []
    for line in text.split("\n"):
        words = split(line)
        destination, _, length = words[0].partition("/") if words else ("", "", "")
        if address_bytes(destination, family) is None:
            # The kernel's route types that `ip` has no name for are printed as numbers.
            if words and destination not in ("default", *ROUTE_TYPES) and \
                    not ocf_is_decimal(destination):
                raise Unreadable(f"ip route list printed: {line[:80]}")
            continue
        prefix = prefixcheck(length, family) if length else BITS[family]
        common, *hops = route_parts(words[1:])
        for values, flags in hops or [common]:
            values = dict(common[0], **values)
            if nic:
                values.setdefault("dev", nic)
            if prefix is None or "dev" not in values or family == "inet6" and "via" in values:
                continue
            metric = values.get("metric", "")
            routes.append(Route(
                prefix, int(metric) if ocf_is_decimal(metric) else 0, values["dev"],
                values.get("src", ""), line, values.get("proto", ""), values.get("expires", ""),
                "linkdown" in flags or "dead" in flags))
    return routes


def route_parts(words) -> list:
    """What `ip route` printed behind a destination: [(values, flags)], one more for each next hop.

    values has the first value of each keyword, which may look like a keyword itself; flags is all
    that is neither keyword nor value.
    """
    parts: list = [({}, [])]
    index = 0
    while index < len(words):
        values, flags = parts[-1]
        if words[index] == "nexthop":
            parts.append(({}, []))
        elif words[index] in ROUTE_KEYWORDS and index + 1 < len(words):
            values.setdefault(words[index], words[index + 1])
            index += 1
        else:
            flags.append(words[index])
        index += 1
    return parts


def may_count(route, family: str, nic: str) -> bool:
    """Whether a route may say where the VIP belongs; nic is the interface asked for, or "".

    With nic, each route over it does.  Without, a default route in disguise does not, and neither
    does a host route over lo or over an interface without ARP (of a real server of LVS, of a
    service proxy): it says where the address is answered locally, not where it belongs.
    """
    if nic:
        return route.nic == nic
    if route.prefix <= DISGUISED[family]:
        return False
    return route.prefix < BITS[family] or not keeps_its_own(route.nic)


def keeps_its_own(nic: str) -> bool:
    """Whether interface `nic` is lo or has no ARP: addresses alone on it are its own."""
    return nic == "lo" or bool((interface_flags(nic) or 0) & IFF_NOARP)


def is_local(held, family: str) -> bool:
    """Whether an Address is the interface's own, on which other programs count: on lo, or alone on
    an interface without ARP; and on FreeS/WAN's, which repeat those of another interface."""
    return held.nic == "lo" or is_ipsec(held.nic) or \
        held.prefix == BITS[family] and keeps_its_own(held.nic)


def best_route(routes):
    """The route that goes first, None where there is none.

    The longest prefix; among equals one whose link is up, then one whose interface is no port of a
    bridge, bond or team, then the lowest metric, then the first line in byte order.
    """
    if not routes:
        return None
    longest = max(route.prefix for route in routes)
    first = [route for route in routes if route.prefix == longest]
    first = [route for route in first if not route.down] or first
    if len({route.nic for route in first}) > 1:
        ports = port_names({route.nic for route in first})
        first = [route for route in first if route.nic not in ports] or first
    return min(first, key=lambda route: (route.metric, commands.to_bytes(route.line)))


def port_names(nics) -> set:
    """Those of the interfaces `nics` (names) that are ports of a bridge, bond or team.

    Raises FindifError where `ip` fails.
    """
    words = ["-o", "-d", "link", "show"]
    result = ip_query(words)
    if result.rc:
        raise FindifError(OCF_ERR_GENERIC, failure(words, result), unreadable=True)
    numbers = parse_ports(result.out)
    return {nic for nic in nics if index_of(nic) in numbers}


def parse_ports(text: str) -> set:
    """Numbers of the interfaces that `ip -o -d link show` shows as ports."""
    numbers = set()
    for line in text.split("\n"):
        number, _, rest = line.partition(": ")
        kinds = [part.split()[:1] for part in rest.split("\\ ")[1:]]
        if number.isdigit() and any([kind] in kinds for kind in PORT_KINDS):
            numbers.add(int(number))
    return numbers


def getnetworkinfo(text: str):
    """The first network (not a single address) of `ip route list table local scope host`."""
    for line in text.split("\n"):
        words = split(line)
        if len(words) > 3 and words[0] == "local" and "/" in words[1]:
            length = prefixcheck(words[1].partition("/")[2], "inet")
            values = route_parts(words[2:])[0][0]
            if length and "dev" in values:
                return Route(length, 0, values["dev"], values.get("src", ""), line)
    return None


def list_routes(family: str, match: str, proto: str, table: str = "") -> list:
    """The routes that hold `match` (an address, or address/length), as Route objects."""
    text = read_routes(route_list_words(family, match, proto, table), table)
    try:
        return parse_routes(text, family)
    except Unreadable as problem:
        raise FindifError(OCF_ERR_GENERIC, str(problem), unreadable=True) from None


def route_list_words(family: str, match: str, proto: str, table: str = "") -> list:
    """The words that ask `ip` for the routes that hold `match`, in table main unless given."""
    table_words = ["table", table] if table else []
    proto_words = ["proto", proto] if proto else []
    scope = ["scope", "link"] if family == "inet" else []
    return ["-o", "-f", family, "route", "list", "match", match, *table_words, *proto_words,
            *scope]


def read_routes(words, table: str = "") -> str:
    """What `ip WORDS` printed; raises FindifError where it failed.

    table: the one that is asked for, "" for main.  One without routes does not exist to the kernel
    (Linux 4.20, net/ipv4/fib_frontend.c, inet_dump_fib()).
    """
    result = ip_query(words)
    if table and result.rc and "FIB table does not exist" in result.err:
        return ""
    if table and result.rc and f'argument "{table}" is wrong' in result.err:
        raise FindifError(OCF_ERR_INSTALLED, f"route_table [{table}] is no routing table here: "
                          "names are listed in /etc/iproute2/rt_tables")
    if result.rc:
        raise FindifError(OCF_ERR_GENERIC, failure(words, result), unreadable=True)
    return result.out


def places(family: str, ip: str, nic: str, netmask: str, proto: str = "",
           table: str = "") -> list:
    """The routes that may say where the VIP belongs, as Route objects; see findif().

    Raises FindifError where they cannot be told.
    """
    match = ip + ("/" + netmask if netmask else "")
    routes = [route for route in list_routes(family, match, proto, table)
              if may_count(route, family, nic)]
    if not routes and nic and not table:
        from .actions import tables
        try:
            vrf = tables.of_vrf(nic)
        except Unreadable as problem:
            raise FindifError(OCF_ERR_GENERIC, str(problem), unreadable=True) from None
        routes = [route for route in list_routes(family, match, proto, vrf)
                  if may_count(route, family, nic)] if vrf else []
        for route in routes:
            route.vrf = vrf
    if not routes and family == "inet" and ip.startswith("127."):
        words = ["-o", "-f", "inet", "route", "list", "match", ip, "table", "local",
                 "scope", "host"]
        route = getnetworkinfo(read_routes(words))
        routes = [route] if route else []
    return routes


def findif(family: str, ip: str, nic: str, netmask: str, proto: str = "", held=(),
           table: str = "") -> "Route":
    """The Route that says where the VIP belongs: nic and prefix filled in, src where known.

    nic (resolved) and netmask (digits) are "" where not given; with both given no route is
    needed.  The routes are those of `table`, "" for main and, with nic, that of its VRF.  Where
    one of the places that routes name is among held, the Address objects of the VIP, that is the
    one.  Raises FindifError with exit code 1 where the routes do not tell.
    """
    length = prefixcheck(netmask, family) if netmask else None
    if nic and netmask:
        return Route(-1 if length is None else length, 0, nic)
    if address_bytes(ip, family) is None or netmask and length is None:
        raise FindifError(OCF_ERR_GENERIC, f"{ip}/{netmask} is no address with a prefix length")
    routes = places(family, ip, nic, str(length) if length else "", proto, table)
    there = {(one.nic, one.prefix) for one in held if not one.peer and not is_ipsec(one.nic)}
    route = best_route([route for route in routes
                        if (route.nic, length or route.prefix) in there] or routes)
    if route is None:
        missing = " and ".join(name for name, value in (("nic", nic), ("cidr_netmask", netmask))
                               if not value)
        raise FindifError(OCF_ERR_GENERIC, f"no route{' on ' + nic if nic else ''}"
                          f"{' in table ' + table if table else ''} holds "
                          f"{ip}{'/' + netmask if netmask else ''}: {missing} cannot be found; set "
                          f"{'them' if ' ' in missing else 'it'}, or add a route or an address of "
                          "that network")
    return Route(length or route.prefix, route.metric, nic or route.nic, route.src, route.line,
                 vrf=route.vrf)


def find_broadcast(nic: str, ip: str, src: str = "", prefix: int = 32) -> str:
    """The broadcast address of the address on `nic` whose network holds the VIP's, "" without one.

    Several: the route's source address first, then the longest prefix, then the first listed.
    Raises Unreadable where `ip` fails.
    """
    words = nic_addr_words(nic)
    result = ip_query(words)
    if result.rc and not is_missing(result):
        raise Unreadable(failure(words, result))
    return parse_broadcast(result.out, ip, src, prefix)


def nic_addr_words(nic: str, family: str = "inet") -> list:
    """The words that ask `ip` for the addresses of interface `nic`."""
    return ["-o", "-f", family, "addr", "show", "dev", nic]


def parse_broadcast(text: str, ip: str, src: str = "", prefix: int = 32) -> str:
    """find_broadcast() over the text of `ip -o -f inet addr show dev NIC`."""
    best = None
    for held in parse_addresses(text):
        if not held.brd or held.prefix > prefix or held.peer:
            continue
        rank = (held.ip == src, held.prefix)
        # The network last: an interface may have thousands of addresses, of one network mostly.
        if (best is None or rank > best[0]) and in_network(ip, held.ip, held.prefix):
            best = (rank, held.brd)
    return best[1] if best else ""
