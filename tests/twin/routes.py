# SPDX-License-Identifier: GPL-2.0-only
"""Which interface and prefix a routing table gives, by the specification's rule, from a state.

Independent of the package: it reads the texts of state.py. It says where our agent must look, and
whether the shell agent's rule (of 4.12) may end elsewhere.
"""
import ipaddress
from collections import namedtuple

Route = namedtuple("Route", "kind network nic on_link via metric protocol host")


def read(state):
    """The main table of this namespace as Routes."""
    routes = []
    for text in state["routes"]:
        if ": " in text or " table " in text:
            continue  # another namespace's, another table's
        kind, target, *words = text.split()
        pairs = dict(zip(words[::2], words[1::2]))
        if target == "default":
            continue
        network = ipaddress.ip_network(target, strict=False)
        routes.append(Route(kind, network, pairs.get("dev", ""),
                            network.version == 6 or pairs.get("scope") == "link",
                            "gateway" in pairs or "via" in pairs,
                            int(pairs.get("metric", 0)), pairs.get("protocol", "boot"),
                            "/" not in target))
    return routes


def candidates(state, ip, mask, nic, proto=""):
    """Routes that `ip route list match` finds for IP[/MASK] on nic, best first by the rule."""
    try:
        wanted = ipaddress.ip_network("%s/%s" % (ip, mask) if mask else ip, strict=False)
    except ValueError:
        return []
    matching = [route for route in read(state)
                if route.network.version == wanted.version and wanted.subnet_of(route.network)
                and route.kind == "unicast" and route.on_link and not route.via
                and nic in ("", route.nic)
                and proto in ("", route.protocol)]
    return sorted(matching, key=lambda route: (-route.network.prefixlen, route.metric))


def choice(state, ip, mask="", nic="", proto=""):
    """The set of (nic, prefix) that the rule allows: empty where nothing is found."""
    found = candidates(state, ip, mask, nic, proto)
    if not found:
        return {(nic, mask)} if nic and mask else set()
    best = [route for route in found if (route.network.prefixlen, route.metric)
            == (found[0].network.prefixlen, found[0].metric)]
    pairs = {(nic or route.nic, mask or str(route.network.prefixlen)) for route in best}
    if ":" in ip and mask and not nic and {prefix for _, prefix in pairs} != {
            str(route.network.prefixlen) for route in best}:
        return set()
    return pairs


def disputed(state, ip, mask="", nic="", proto=""):
    """Why the shell agent's rule may choose something else from this table; "" where it may not."""
    if nic and mask:
        return ""
    found = candidates(state, ip, mask, nic)
    if proto and found != candidates(state, ip, mask, nic, proto):
        return "it knows no proto"
    if any(route.host for route in found):
        return "it skips host routes"
    if ":" in ip and mask and not nic and found and not choice(state, ip, mask, nic):
        return "it takes another prefix than the route's"
    if ":" in ip and any(route.via for route in read(state)
                         if ipaddress.ip_address(ip) in route.network):
        return "it takes a gateway for an interface"
    if len({(route.nic, route.network.prefixlen) for route in found
            if route.network.prefixlen == found[0].network.prefixlen}) > 1:
        return "it takes the last of equal prefixes"
    return ""
