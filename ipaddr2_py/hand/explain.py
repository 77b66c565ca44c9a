# SPDX-License-Identifier: GPL-2.0-only
"""vipctl explain: where an address belongs and why, what is there, what would be done."""

from .. import commands, params
from .. import vip as vips
from ..announce import sender
from ..commands import ENV
from . import look, rehearse, routes, terminal


def explained(resource) -> dict:
    """All that is known of a resource's address here, see doc/vipctl.schema.json."""
    environment = resource.environment()
    seen = look.at_address(environment)
    weighed = look.apart(environment, "monitor", routes.weighed)
    valid = look.apart(environment, "validate-all", plan)
    found = {"resource": resource.id, "agent": resource.agent, "parameters": resource.params,
             "inside": resource.inside, "address": seen["ip"], "belongs": valid, "seen": seen,
             "routes": weighed if isinstance(weighed, list) else [],
             "start": look.apart(environment, "start", rehearse.rehearsed),
             "stop": look.apart(environment, "stop", rehearse.rehearsed)}
    found["sentences"] = sentences(found) + resource.remarks
    return found


def plan(action) -> dict:
    """The work of look.apart(): where a start would put the address, and how it would tell."""
    vip = vips.ip_init(action, params.read(ENV))
    found = {"rc": 0, "reason": "", "nic": vip.nic, "prefix": vip.prefix, "label": vip.label,
             "broadcast": vips.broadcast(vip), "given": bool(vip.params["broadcast"]),
             "sender": "", "sender_why": "", "announcement": "", "share": None}
    if not vip.nic.startswith("lo"):
        burst = sender.start_burst(vip)
        if vip.bucket:
            burst.mac = vips.sharing().planned(vip, found["broadcast"])[1]
        found["sender"] = burst.program or burst.nothing
        found["sender_why"] = why_sender(vip, burst)
        if not burst.nothing:
            found["announcement"] = commands.quoted(burst.argv())
    if vip.bucket:
        backend, mac = vips.sharing().planned(vip, found["broadcast"])
        module = vips.sharing().backend(backend)
        held = module.look(vip)
        found["share"] = {
            "backend": backend, "mac": mac, "bucket": vip.bucket, "buckets": vip.buckets,
            "held": sorted(held.buckets) if held else [],
            "complete": bool(held and held.complete)}
    return found


def why_sender(vip, burst) -> str:
    """Why a Burst has its sender."""
    if burst.nothing:
        return ""
    if burst.substitute:
        asked = vip.params["arp_sender"] or ("send_ua" if vip.family == "inet6" else "send_arp")
        return f"{asked} is not installed"
    if vip.bucket and vip.family == "inet6":
        return "it alone knows the shared hardware address"
    if vip.params["arp_sender"] and (vip.family == "inet" or burst.program == "builtin"):
        return "arp_sender asks for it"
    if burst.program == "ipoibarping":
        return f"{vip.nic} is InfiniBand"
    return f"it is the default for {'IPv4' if vip.family == 'inet' else 'IPv6'}"


# --- in sentences ----------------------------------------------------------------------------


def sentences(found) -> list:
    """What matters, most important first."""
    seen, belongs, parameters = found["seen"], found["belongs"], found["parameters"]
    said = []
    if belongs["rc"]:
        said.append(f"A start would end with {belongs['rc']}: {belongs['reason']}.")
    else:
        said.append(f"{found['address']} belongs on {belongs['nic']} with prefix length "
                    f"{belongs['prefix']}, {because(found, parameters)}.")
    said += there(seen, belongs["reason"])
    share = belongs.get("share")
    if share:
        held = ", ".join(map(str, share["held"])) or "none"
        said.append(f"It is shared by {share['backend']} with MAC {share['mac']}: this node holds "
                    f"bucket {held} of {share['buckets']}"
                    + ("." if share["complete"] or not share["held"]
                       else ", and its rules are not as they should be."))
    if not belongs["rc"]:
        said.append(broadcast_said(belongs, found["address"]))
        if belongs["announcement"]:
            said.append(f"The neighbours are told by {belongs['sender']}, for "
                        f"{belongs['sender_why']}.")
        elif belongs["sender"]:
            said.append(f"{belongs['sender'][:1].upper()}{belongs['sender'][1:]}.")
    return [one for one in said if one]


def because(found, parameters) -> str:
    """Why it belongs there."""
    nic, netmask = parameters.get("nic"), parameters.get("cidr_netmask")
    if nic and netmask:
        return "for nic and cidr_netmask say so"
    note = found["seen"]["note"]
    if note and found["seen"]["status"] == "ok":
        return "where start put it and noted it"
    taken = [one for one in found["routes"] if one["taken"]]
    given = "nic says the interface, and " if nic else \
        "cidr_netmask says the length, and " if netmask else ""
    return f"for {given}the route \"{taken[0]['route']}\" holds it" if taken else \
        f"{given or 'for '}the local table says so"


def there(seen, known="") -> list:
    """What is there now; known is a reason that has been said already."""
    places = [f"{one['nic']}/{one['prefix']}" + (f" (peer {one['peer']})" if one["peer"] else "")
              + "".join(f" {flag}" for flag in one["flags"] if flag not in ("dynamic",))
              for one in seen["places"]]
    if seen["status"] == "ok" and seen["rc"] == 0:
        return [f"It is there: monitor would end with 0 (it is on {', '.join(places)})."]
    reason = "" if seen["reason"] == known else seen["reason"]
    said = [f"It is on {', '.join(places)}, but monitor would end with {seen['rc']}: "
            f"{reason or seen['status']}." if places else
            f"It is not on this node: monitor would end with {seen['rc']}"
            + (f" ({reason})." if reason else ".")]
    if seen["link"] in ("DOWN", "LOWERLAYERDOWN"):
        said.append(f"The link of {seen['nic']} is down.")
    return said


def broadcast_said(belongs, address) -> str:
    """Where the broadcast address comes from."""
    if ":" in address:
        return ""
    if belongs["given"]:
        return f"Its broadcast address is the parameter's, {belongs['broadcast']}."
    if belongs["broadcast"]:
        return (f"Its broadcast address is {belongs['broadcast']}, that of an address on "
                f"{belongs['nic']} whose network holds it.")
    return f"It gets no broadcast address, for no address on {belongs['nic']} has one for it."


def text(found) -> str:
    """The whole for a terminal: sentences first, details after."""
    parts = [terminal.paint("head", f"{found['resource']}: {found['address']}"), ""]
    parts += [terminal.wrapped(sentence) for sentence in found["sentences"]]
    if found["routes"]:
        parts += ["", terminal.paint("head", "Routes, in the order in which they were weighed")]
        for one in found["routes"]:
            parts.append("  " + terminal.paint("good" if one["taken"] else "", one["route"]))
            parts.append(terminal.paint("faint", f"    {'taken' if one['taken'] else 'passed over'}"
                                        f": {one['why']}"))
    note = found["seen"]["note"]
    parts += ["", terminal.paint("head", "The note of start")]
    parts.append("  none" if not note else
                 f"  interface {note['index']} ({note['name']}), prefix length {note['prefix']}"
                 + (f", shared by {note['shared']} with MAC "
                    f"{note['mac']}" if note["shared"] else ""))
    if found["belongs"].get("announcement"):
        parts += ["", terminal.paint("head", "The announcement"),
                  "  " + found["belongs"]["announcement"]]
    for action in ("start", "stop"):
        parts += ["", terminal.paint("head", f"The next {action} would end with "
                                     f"{found[action]['rc']}")]
        if found[action].get("reason"):
            parts.append(terminal.wrapped(found[action]["reason"], "  "))
        parts += ["  " + line for line in found[action].get("commands", [])] or ["  (no commands)"]
    return "\n".join(parts)
