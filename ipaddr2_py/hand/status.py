# SPDX-License-Identifier: GPL-2.0-only
"""vipctl status: a row for each address, and whether cluster and kernel agree."""

from . import cluster, look, target, terminal

FLAGS = ("tentative", "dadfailed", "secondary", "deprecated")


def rows(words, options) -> list:
    """A dict for each address, see doc/vipctl.schema.json."""
    if any("=" in word for word in words) or words and not options.cib and \
            all(map(target.is_address, words)) and not cluster.node_name():
        resources = [target.by_hand(words)] if any("=" in word for word in words) else \
            [target.by_hand([word]) for word in words]
        live = False
    else:
        known = target.read_cib(options)
        live = known.live
        resources = known.resources if not words else [
            one for word in words for one in target.named(known, word)]
    nodes, me = (cluster.where(), cluster.node_name()) if live else ({}, "")
    found = []
    for resource in dict.fromkeys(resources):
        for instance in range(resource.instances()):
            found.append(row(resource, instance, nodes, me, live))
    return found


def row(resource, instance, nodes, me, live) -> dict:
    """What there is of one instance of a resource."""
    seen = look.at_address(resource.environment(instance))
    name = resource.id
    if resource.instances() > 1:
        name = f"{resource.id}:{instance}"
    where = nodes.get(name, nodes.get(resource.id, [])) if live else []
    here = seen["status"] == "ok"
    place = next((one for one in seen["places"]
                  if (one["nic"], one["prefix"]) == (seen["nic"], seen["prefix"])), None) or \
        (seen["places"][0] if seen["places"] else None)
    flags = [flag for flag in FLAGS if place and flag in place["flags"]]
    problems = disagreements(seen, here, me in where, live, flags)
    return {"resource": name, "agent": resource.agent, "address": seen["ip"],
            "prefix": place["prefix"] if place else seen["prefix"],
            "interface": place["nic"] if place else seen["nic"] or None,
            "nodes": where, "here": here, "status": seen["status"], "link": seen["link"],
            "flags": flags, "label": place["label"] if place else "",
            "bucket": seen["bucket"], "buckets": seen["buckets"],
            "announcing": bool(seen["sender"]), "problems": problems,
            "remarks": resource.remarks}


def disagreements(seen, here, mine, live, flags) -> list:
    """Sentences on what does not fit together."""
    found = []
    if live and mine and not here:
        found.append("the cluster has it here, but " + (seen["reason"] or "it is not served"))
    if live and not mine and (here or seen["places"]):
        on = ", ".join(f"{one['nic']}/{one['prefix']}" for one in seen["places"])
        found.append(f"the cluster does not have it here, but it is on {on}")
    if "dadfailed" in flags:
        found.append("another host has it (dadfailed)")
    if seen["status"] not in ("ok", "no", "unknown", "dadfailed") and not found:
        found.append(seen["reason"])
    return found


def text(found) -> str:
    """The rows as a table; what is wrong stands below it."""
    if not found:
        return "no IPaddr2 resources"
    lines = []
    for one in found:
        prefix = f"/{one['prefix']}" if one["prefix"] not in (None, -1) else ""
        more = list(one["flags"])
        if one["label"] and one["label"] != one["interface"]:
            more.append(one["label"])
        if one["bucket"]:
            more.append(f"bucket {one['bucket']} of {one['buckets']}")
        if one["announcing"]:
            more.append("announcing")
        here = ("good", "here") if one["here"] else \
            ("bad", "!" + one["status"]) if one["problems"] else ("faint", "-")
        lines.append([("bad", "!") if one["problems"] else " ", one["resource"],
                      f"{one['address']}{prefix}", one["interface"] or "-",
                      ",".join(one["nodes"]) or "-", here, one["link"] or "-", " ".join(more)])
    head = ["", "RESOURCE", "ADDRESS", "NIC", "NODE", "HERE", "LINK", ""]
    shown = [terminal.table(head, lines, 3)]
    for one in found:
        for problem in one["problems"]:
            shown.append(terminal.paint("bad", terminal.wrapped(f"! {one['resource']}: {problem}")))
        for remark in one["remarks"]:
            shown.append(terminal.paint("note", terminal.wrapped(f"  {one['resource']}: {remark}")))
    return "\n".join(shown)


def status(found) -> int:
    """The exit status: 1 where something disagrees."""
    return 1 if any(one["problems"] for one in found) else 0
