# SPDX-License-Identifier: GPL-2.0-only
"""Which interface and prefix a routing table gives, by the specification's rule, from a state.

Independent of the package: it reads the texts of state.py. It says where our agent must look, and
whether the shell agent's rule (of 4.12) may end elsewhere.
"""
import ipaddress
from collections import namedtuple

from . import notes

Route = namedtuple("Route", "kind network nic on_link via metric protocol host down port noarp")
DISGUISED = {4: 1, 6: 3}  # the longest prefix that is a default route in disguise


def read(state):
    """The main table of this namespace as Routes."""
    routes = []
    links = {text.split()[0]: text.split()[1:] for text in state["links"] if ": " not in text}
    for text in state["routes"]:
        if ": " in text or " table " in text:
            continue  # another namespace's, another table's
        kind, target, *words = text.split()
        pairs = dict(zip(words[::2], words[1::2]))
        if target == "default":
            continue
        network, nic = ipaddress.ip_network(target, strict=False), pairs.get("dev", "")
        routes.append(Route(kind, network, nic,
                            network.version == 6 or pairs.get("scope") == "link",
                            "gateway" in pairs or "via" in pairs,
                            int(pairs.get("metric", 0)), pairs.get("protocol", "boot"),
                            "/" not in target, bool({"linkdown", "dead"} & set(
                                pairs.get("flags", "").split(","))),
                            "port" in links.get(nic, ()), "noarp" in links.get(nic, ())))
    return routes


def matching(state, ip, mask="", nic="", proto=""):
    """Routes that `ip route list match` finds for IP[/MASK] on nic, those of other hosts aside."""
    try:
        wanted = ipaddress.ip_network("%s/%s" % (ip, mask) if mask else ip, strict=False)
    except ValueError:
        return []
    return [route for route in read(state)
            if route.network.version == wanted.version and wanted.subnet_of(route.network)
            and route.kind == "unicast" and route.on_link
            and nic in ("", route.nic) and proto in ("", route.protocol)]


def counts(route, nic):
    """Whether a route may say where the address belongs."""
    if route.via and route.network.version == 6:
        return False
    if nic:
        return True
    return route.network.prefixlen > DISGUISED[route.network.version] and not keeps_its_own(route)


def keeps_its_own(route):
    """Whether it is a host route that says where an address is answered locally."""
    return route.host and (route.nic == "lo" or route.noarp)


def order(route):
    """The rule among the routes that count, but for the byte order of the lines."""
    return (-route.network.prefixlen, route.down, route.port, route.metric)


def candidates(state, ip, mask, nic, proto=""):
    """The routes that count for IP[/MASK] on nic, best first by the rule."""
    return sorted((route for route in matching(state, ip, mask, nic, proto) if counts(route, nic)),
                  key=order)


def choice(state, ip, mask="", nic="", proto=""):
    """The set of (nic, prefix) that the rule allows: empty where nothing is found.

    Where the address is there already, at the place that one of the routes tells, that is it.
    """
    if nic and mask:
        return {(nic, mask)}
    found = candidates(state, ip, mask, nic, proto)
    there = notes.places(state, ip)
    for route in found:
        if _place(route, mask) in there:
            return {_place(route, mask)}
    return {_place(route, mask) for route in found if order(route) == order(found[0])}


def _place(route, mask):
    return route.nic, mask or str(route.network.prefixlen)


def disputed(state, ip, mask="", nic="", proto=""):
    """Rows of the table of differences by which the shell agent may choose something else."""
    if nic and mask:
        return set()
    found = candidates(state, ip, mask, nic, proto)
    rows = set()
    if proto and found != candidates(state, ip, mask, nic):
        rows.add(PROTO)
    if any(not counts(route, nic) and not keeps_its_own(route)
           and not route.via for route in matching(state, ip, mask, nic, proto)):
        rows.add(DISGUISE)
    if any(route.via for route in read(state) if ipaddress.ip_address(ip) in route.network) \
            and ":" in ip:
        rows.add(GATEWAY)
    if any(route.host for route in found):
        rows.add(HOST)
    if len({(route.nic, route.network.prefixlen) for route in found
            if route.network.prefixlen == found[0].network.prefixlen}) > 1:
        rows.add(TIES)
    if len(choice(state, ip, mask, nic, proto)) == 1 and found and choice(
            state, ip, mask, nic, proto) != {_place(found[0], mask)}:
        rows.add(THERE)
    return rows


# Numbers of the rows: the address is there already; equal prefixes; host routes; gateways of IPv6;
# default routes in disguise; the parameter proto.
THERE, TIES, HOST, GATEWAY, DISGUISE, PROTO = 21, 36, 37, 38, 39, 40
