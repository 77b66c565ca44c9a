# SPDX-License-Identifier: GPL-2.0-only
"""Differences to shell agents of other releases than 4.12, by the letters of doc/versions.md.

Where the oracle is a newer one, or an older one, these entries join expected.TABLE, and the
parameters whose defaults have changed are given as 4.12 has them.
"""
import ipaddress
import os
import pathlib
import re

from . import compare, routes

#: The shell agent to compare with.
SHELL = os.environ.get("TWIN_SHELL", "/usr/lib/ocf/resource.d/heartbeat/IPaddr2")
METRIC = re.compile(r" metric \d+\b")
#: A word of the shell agent or its findif.sh that came with a version; OLD is one before 4.8.
SIGNS = {"4.16": "getloopbackinfo", "4.18": "OCF_RESKEY_check_link_status"}
OLD, NOT_IN_OLD = "4.7", "log_send_ua"
#: Parameters whose defaults have changed, with what 4.12 and this agent go by.
DEFAULTS = {"lvs_ipv6_addrlabel": ("4.16", "false"), "check_link_status": ("4.18", "false")}


def passed():
    """Return those of SIGNS that the shell agent has, the versions that it has passed; OLD of one
    that has not even NOT_IN_OLD."""
    agent = pathlib.Path(SHELL)
    paths = (agent, agent.parents[2] / "lib/heartbeat/findif.sh")
    text = "".join(path.read_text("utf-8") for path in paths if path.exists())
    return {version for version, sign in SIGNS.items() if sign in text} | (
        set() if NOT_IN_OLD in text else {OLD})


NEWER = passed()


def environment():
    """Return the parameters that make a newer shell agent's defaults those of 4.12."""
    return {"OCF_RESKEY_" + name: value for name, (version, value) in DEFAULTS.items()
            if version in NEWER}


def without_metric(_step, items):
    """Return a list without the metric that an address of IPv6 gives to its route."""
    # each() of expected.py, which imports this module
    return [(item[0], METRIC.sub("", item[1])) if isinstance(item, tuple) else METRIC.sub("", item)
            for item in items]


def by_another_metric(step):
    """Tell whether routes differ by their metric alone."""
    return step.six and step.action == "start" and \
        without_metric(step, step.shell["routes"]) == without_metric(step, step.ours["routes"])


def refused(step):
    """Tell whether what cannot be found ended the start, and nothing was changed."""
    return step.action == "start" and step.shell["rc"] == 5 and step.ours["rc"] in (1, 6) \
        and step.ours["addresses"] == step.before["addresses"]


def labelled(step):
    """Tell whether a label was asked for that the address has not."""
    label = step.get("iflabel") or step.get("nic").partition(":")[2]
    return bool(label) and step.shell["rc"] == 1 and step.ours["rc"] == 0 \
        and step.action in ("start", "monitor", "status")


def looked_at_again(step):
    """Tell whether the shell agent had added the address, and was not content with it."""
    return step.action == "start" and step.shell["rc"] == 1 and step.ours["rc"] == 0 \
        and step.has(step.ours) and "Failed to add" in step.shell["err"]


def half_there(step):
    """Tell whether an address is there, without all that belongs to it."""
    return step.action in ("monitor", "status") and step.shell["rc"] == 1 \
        and step.ours["rc"] == 7 and step.has(step.before)


def other_route(step):
    """Tell whether there was a choice of routes, and ours went where its own rule says."""
    try:
        ipaddress.ip_address(step.given)
    except ValueError:
        return False
    if step.nic and step.mask:
        return False
    where = routes.choice(step.before, step.ip, step.mask, step.nic, step.get("proto"))
    now = step.places(step.ours)
    if step.action == "start":
        return step.ours["rc"] != 0 or bool(where & now)
    if step.action in ("monitor", "status"):
        return step.ours["rc"] == (0 if where & now else 7 if where or step.probe else 1)
    return step.stopped


def of_ipv4(step):
    """Tell whether the address labels of IPv6 were asked for with an IPv4 address."""
    return step.truth("lvs_ipv6_addrlabel") and not step.six and step.ours["rc"] in (6, 0)


def of_ipv6_start(step):
    """Tell whether an IPv6 address was started, and with the same outcome."""
    return step.six and step.action == "start" and step.shell["rc"] == step.ours["rc"]


def nodad(step):
    """Tell whether duplicate address detection was to be left out."""
    return step.six and step.truth("nodad")


def elsewhere_than_asked(step):
    """Tell whether arp_bg asked for what 4.7 does not do: the background for IPv6, or, set to
    nothing, the background for IPv4; or a failed announcement failed a start of IPv6."""
    return step.action == "start" and (
        step.truth("arp_bg") or step.shell["rc"] == 0 and step.ours["rc"] == 1 if step.six
        else step.get("arp_bg", None) == "")


EVERYTHING = ("rc", "stdout", "reason", "argv", "log") + compare.STATE
#: key -> (row of doc/versions.md, a version of SIGNS, and fields, when, why, rewrite of Entry).
ROWS = {
    "not found is 5": ("A", "4.18", ("rc", "reason", "log"), refused,
                       "a start that finds no interface; ours says 6 or 1, as 4.12", None),
    "metric on the address": ("B", "4.16", ("argv", "log", "addresses"),
                              lambda step: step.six, "of the route that told the interface",
                              without_metric),
    "metric of the network's route": ("B", "4.16", ("routes",), by_another_metric,
                                      "which the kernel makes by the address", None),
    "missing label": ("C", "4.16", EVERYTHING, labelled,
                      "1 on start and monitor; ours does not look, as 4.12", None),
    "looked at after the start": ("D", "4.16", EVERYTHING, looked_at_again,
                                  "1 where it does not find the address as it asks for it", None),
    "half there": ("E", "4.16", ("rc", "log"), half_there, "1, and not 7", None),
    "address labels of IPv4": ("F", "4.16", EVERYTHING, of_ipv4, "are passed over, and not 6",
                               None),
    "another choice of routes": ("G", "4.16", EVERYTHING, other_route,
                                 "the least metric first; host routes count", None),
    "output of send_ua": ("J", OLD, ("log", "stdout"), of_ipv6_start, "is not logged by 4.7",
                          None),
    "nodad": ("K", OLD, EVERYTHING, nodad, "not known to 4.7", None),
    "arp_bg": ("L", OLD, EVERYTHING, elsewhere_than_asked,
               "empty is false, and IPv6 is always announced in the foreground", None),
}
