# SPDX-License-Identifier: GPL-2.0-only
"""The routes that may tell where an address belongs, weighed as findif() weighs them."""

from .. import addresses, findif, params
from .. import vip as vips
from ..actions import tables
from ..commands import ENV, split


def weighed(_action) -> list:
    """The work of look.apart(): [{"route", "taken", "why"}], the best first.

    Empty where no route is looked at, as nic and cidr_netmask are both given.
    """
    values = params.read(ENV)
    vips.unique_clone_address("stop", values)
    family = "inet6" if ":" in values["ip"] else "inet"
    ip = addresses.canonical(values["ip"], family)
    netmask = findif.maybe_convert_dotted_quad_to_cidr(values["cidr_netmask"])
    nic = values["nic"].partition(":")[0]
    if nic:
        nic = findif.ifcheck(nic)[1] or nic
    if nic and netmask:
        return []
    match = f"{ip}/{netmask}" if netmask else ip
    table = values["route_table"]
    while True:
        text = findif.read_routes(
            findif.route_list_words(family, match, values["proto"], table), table)
        routes = findif.parse_routes(text, family)
        good = [route for route in routes if findif.may_count(route, family, nic)]
        if good or table or not nic:
            break
        table = tables.of_vrf(nic)
        if not table:
            break
    found = []
    while good:
        best = findif.best_route(good)
        why = "the best of all" if not found else reason(found[0]["object"], best)
        found.append({"route": best.line.strip(), "taken": not found, "why": why, "object": best})
        good.remove(best)
    for route in routes:
        if not findif.may_count(route, family, nic):
            found.append({"route": route.line.strip(), "taken": False, "object": route,
                          "why": why_not(route, family, nic)})
    known = {one["object"].line for one in found}
    for line in text.splitlines():
        if line and line not in known:
            found.append({"route": line.strip(), "taken": False, "object": None,
                          "why": why_not_parsed(line, family)})
    for one in found:
        del one["object"]
    return found


def reason(best, other) -> str:
    """Why another route goes before one, in the order of findif.best_route()."""
    if other.prefix != best.prefix:
        return f"/{other.prefix} is shorter than /{best.prefix}"
    if other.down and not best.down:
        return "its link is down"
    if other.nic != best.nic and findif.port_names({other.nic}):
        return f"{other.nic} is a port of a bridge, bond or team"
    if other.metric != best.metric:
        return f"metric {other.metric} is higher than {best.metric}"
    return "its line comes later in the order of the bytes"


def why_not(route, family, nic) -> str:
    """Why a route does not count at all."""
    if nic and route.nic != nic:
        return f"it is over {route.nic}, and nic asks for {nic}"
    if route.prefix <= findif.DISGUISED[family]:
        return "it is a default route in disguise"
    return f"a host route over {route.nic} says where the address is answered locally"


def why_not_parsed(line, family) -> str:
    """Why a line of `ip route list` is no route to a network here."""
    words = split(line)
    if words[0] == "default":
        return "a default route says nothing of the address's network"
    if words[0] in findif.ROUTE_TYPES:
        return f"{words[0]} routes carry no address"
    if family == "inet6" and "via" in words:
        return "it goes by way of a gateway: that network is elsewhere"
    return "it has no interface"
