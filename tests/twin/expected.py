# SPDX-License-Identifier: GPL-2.0-only
"""The differences that are meant, in one table.

Each entry names its row of doc/differences.md. An entry says in which steps it holds
(`when`, given a Step) and which fields of such a step may differ then. A rewriting entry turns the
shell agent's list into what ours is to be; these are applied first. What no entry expects fails the
run, and so does an entry that never matched, a row without an entry, and an entry without a row.
"""
import ipaddress
import re
from collections import namedtuple

from . import compare, routes, versions
from .step import Step

EVERYTHING = ("rc", "stdout", "reason", "argv", "log") + compare.STATE
TOLD = ("rc", "stdout", "reason", "log")
DONE = ("argv", "log", "addresses", "routes", "labels", "files", "links")
WORDS_OF_IP = ("up", "primary")
ALTNAMES = ("the-other-name",)
NO_NAMESPACE = {"start": 5, "validate-all": 5, "stop": 0}
SENDER_OF_OURS = re.compile(r"remove (send_arp|send_ua|ipoibarping)\b")

# row: of doc/differences.md; when: Step -> whether it holds; rewrite: (Step, list) -> list
Entry = namedtuple("Entry", "row fields when why rewrite")


def spelled_otherwise(step):
    return step.six and bool(step.ip) and step.clone == 0 and step.ip != step.given


def not_an_address(step):
    """No address of a host, though the shell agent's patterns or ip take it for one."""
    try:
        address = ipaddress.ip_address(step.given)
    except ValueError:
        return bool(step.given)
    return address.is_multicast or address.is_reserved and address.version == 4


def text_matches(step):
    """Whether an address passes for ours as text, though its prefix or address is another."""
    pattern = "%s %s/%s" % (" inet6?", step.given, step.mask)
    return bool(step.mask) and any(re.search(pattern, text) for text in step.before["addresses"]) \
        and not step.has(step.before, step.mask)


def no_broadcast(state):
    return [re.sub(r" broadcast \S+", "", text) for text in state["addresses"]]


def disputed(row):
    """A predicate: the rule of that row may decide otherwise here than the shell agent does, and
    ours went where the rule says."""
    def holds(step):
        if not_an_address(step) or not step.ip:
            return False
        place = (step.before, step.ip, step.mask, step.nic, step.get("proto"))
        if row not in routes.disputed(*place):
            return False
        where, now = routes.choice(*place), step.places(step.ours)
        if step.action == "start":
            return step.ours["rc"] != 0 or bool(where & now)
        if step.action in ("monitor", "status"):
            return step.ours["rc"] == (0 if where & now else 7 if where or step.probe else 1)
        return True
    return holds


def each(items, pattern, replacement):
    """The pattern replaced in every text of a list, or in the texts of log entries."""
    return [(item[0], re.sub(pattern, replacement, item[1])) if isinstance(item, tuple)
            else re.sub(pattern, replacement, item) for item in items]


def good_note(step):
    """Whether a step of ours left the right note: a start its own, a stop none."""
    changed = compare.notes(step.case, step.ours)
    own = [text for text in changed if re.match(r". IPaddr2-%s[:,]" % re.escape(step.ip), text)]
    note = step.own_note
    if own != changed or step.action not in ("start", "stop"):
        return False
    if step.action == "start" and step.ours["rc"] == 0:
        return bool(note) and step.place(note, step.ours) in step.places(step.ours)
    return not note or not step.stopped


def served_as_noted(step):
    """The address was where start had put it: monitor and start of ours are content with that."""
    return step.stands and step.action in ("start", "monitor", "status") and (
        not step.off or step.action == "start") and step.ours["rc"] == 0 and \
        step.places(step.ours) == step.places(step.before) and (
            step.shell["rc"] != 0 or step.places(step.shell) != step.places(step.before))


def missed_as_noted(step):
    """The address was not as start had noted it, which is enough to say that it does not run."""
    if not step.note or step.action not in ("monitor", "status"):
        return False
    if step.stands:
        return step.off and step.ours["rc"] == 7
    if not step.has(step.before):
        return step.ours["rc"] == 7
    place = step.place(step.note, step.before)
    return place in step.places(step.before) and bool(step.nic) and step.nic != place[0] and \
        step.ours["rc"] == (1 if step.probe else 7)


def moved_as_noted(step):
    """A start that is to put the address elsewhere than before removed it there first."""
    if step.action != "start" or not step.note or step.stands or step.ours["rc"]:
        return False
    old = step.place(step.note, step.before)[0]
    gone = step.places(step.before) - step.places(step.ours)
    return bool(gone) and all(nic == old for nic, _ in gone)


def own(step):
    """The interfaces where the virtual address belongs."""
    return {step.nic} if step.nic else {
        nic for nic, _ in routes.choice(step.before, step.ip, step.mask, "")}


def held(step, state):
    """The virtual address's lines of a state, but for the one that LVS gives back to lo."""
    return {text for text in step.of(state)
            if not (text.startswith("lo ") and step.truth("lvs_support"))}


def without_flags(state):
    """The addresses of a state: interface, family, address and length."""
    return sorted(" ".join(text.split()[:3]) for text in state["addresses"])


def others(step, state):
    """The addresses of a state but for the virtual one, as texts without flags."""
    return {" ".join(text.split()[:3]) for text in state["addresses"]
            if " %s/" % step.ip not in text and " fe80:" not in text}


def as_on_lo(step):
    """An anonymous clone's instance on lo, which ours serves without any rule."""
    return step.shared and step.nic == "lo" and bool(step.get("CRM_meta_globally_unique")) and \
        not step.truth("CRM_meta_globally_unique") and all(
            text.startswith("ip ") for text in compare.changes(step.ours["argv"]))


def answered(step):
    """Whether ours did what the state asks for, and its code says so."""
    served = step.has(step.ours)
    return step.ours["rc"] == {"start": 0 if served else 1, "stop": 1 if served else 0,
                               "validate-all": 0}.get(step.action, 0 if served else 7)


def odd(name):
    """Whether the shell agent takes an interface's name for something else."""
    return bool(re.match(r"ipsec\d+$", name)) or "\\" in name


def in_other_forms(step):
    """What the shell agent's stop left is the address in another form, on the right interface."""
    where = own(step)
    left = step.of(step.shell) - step.of(step.ours)
    return step.stopped and step.shell["rc"] == 0 and bool(left) and all(
        text.split()[0] in where for text in left) and not step.level(
            step.shell, "WARNING", "findif")


def beside_a_route(step):
    """IPv6: an address that was added without the route to its network, which was there."""
    if step.action != "start" or not step.six or step.truth("noprefixroute"):
        return False
    added = [text for text in step.of(step.ours) if " noprefixroute " in text]
    return any(route.kind == "unicast" and route.nic == text.split()[0] and route.network ==
               ipaddress.ip_interface(text.split()[2]).network
               for text in added for route in routes.read(step.before))


TABLE = {
    "the note of start": Entry(
        21, ("notes",), good_note, "start notes where it puts the address; stop removes it", None),
    "namespace without its name": Entry(
        31, EVERYTHING, lambda s: bool(s.namespace) and s.shell["rc"] == 255 and "dwell" in s.done
        and "netns del" in s.done, "still found by what start noted", None),
    "anonymous clone on lo": Entry(
        28, EVERYTHING, as_on_lo, "a plain address on each node, without a rule", None),
    "odd names": Entry(
        33, EVERYTHING, lambda s: any(odd(nic) for nic in [s.nic] + [
            text.split()[0] for text in s.of(s.ours) | s.of(s.before)]) and answered(s),
        "ipsec0 is skipped, a backslash read as an escape", None),
    "served where start put it": Entry(
        21, EVERYTHING, served_as_noted, "whatever has become of the routes", None),
    "not served where start put it": Entry(
        21, TOLD, missed_as_noted, "gone, switched off, or on an interface with another name",
        None),
    "moved by start": Entry(
        21, DONE + ("rc", "reason"), moved_as_noted, "removed where a former start had put it",
        None),
    "found where it is": Entry(
        21, EVERYTHING, disputed(21), "one of the routes tells that place, if not the first", None),
    "stop without a look at the mask": Entry(
        21, ("log",), lambda s: s.stopped and "." in s.get("cidr_netmask"),
        "any form of the address goes: no warning of the dotted quad", lambda s, items: [
            one for one in items if s.get("cidr_netmask") not in one[1]]),
    "other addresses stay": Entry(
        22, ("addresses", "routes"), lambda s: s.action in ("start", "stop") and not s.six
        and others(s, s.shell) < others(s, s.ours) == others(s, s.before),
        "secondary addresses, which the kernel would delete along with the primary", None),
    "other forms of the address": Entry(
        23, DONE, in_other_forms, "with another prefix length, or a peer", None),
    "beside a route to the network": Entry(
        25, ("argv", "log", "addresses", "routes"), beside_a_route,
        "which the kernel would take for its own, and delete with the address", None),
    "detection tried anew": Entry(
        26, ("argv", "log"), lambda s: s.action == "start" and s.six and s.level(
            s.ours, "WARNING", "tried anew"),
        "a second after each failure, until half of the time is over", None),
    "detection left to the background": Entry(
        27, ("rc", "log", "files", "processes"), lambda s: s.action == "start" and s.six
        and s.shell["rc"] == 137 and s.ours["rc"] == 0 and any(
            " tentative " in text for text in s.of(s.ours)),
        "on a link without carrier; the shell agent is killed for it", None),
    "anonymous clone warned about": Entry(
        28, ("log",), lambda s: s.shared and s.action == "start" and not s.truth(
            "CRM_meta_globally_unique") and s.level(s.ours, "WARNING", "globally-unique=true"),
        "buckets and nodes do not stay together", lambda s, items: [
            one for one in compare.log(s.case, s.ours) if "globally-unique" in one[1]] + items),
    "stop looks for the address": Entry(
        1, DONE, lambda s: s.stopped and s.shell["rc"] == 0
        and held(s, s.ours) < held(s, s.shell),
        "findif fails or finds another place, the address stays; ours looks for it", None),
    "stop without findif": Entry(
        1, ("log", "files", "processes"), lambda s: s.stopped and s.shell["rc"] == 0 and s.level(
            s.shell, "WARNING", "findif"),
        "ours needs no route to find what there is to stop, a sender too", None),
    "stop needs only ip": Entry(
        2, DONE + ("rc", "reason"), lambda s: s.stopped and s.shell["rc"] in (5, 6)
        and not own(s) & {nic for nic, _ in s.places(s.ours)},
        "no bad optional value, no missing sender stops a stop", None),
    "no such namespace": Entry(
        3, TOLD, lambda s: s.shell["rc"] == 255 and bool(s.get("network_namespace"))
        and s.ours["rc"] == NO_NAMESPACE.get(s.action, 7),
        "255 for every action; a code of the OCF, and a stop that works", None),
    "only a sender of ours is killed": Entry(
        4, ("processes", "log", "files"), lambda s: s.stopped
        and "victim alive" in s.ours["processes"] and "victim gone" in s.shell["processes"],
        "the process id was somebody else's", None),
    "pid file that lies": Entry(
        4, ("log", "files"), lambda s: s.action in ("start", "monitor") and any(
            text.startswith("send_arp-%s:" % s.ip) for text in s.before["files"]) and (
            s.level(s.ours, "WARNING", "send_arp-%s" % re.escape(s.ip)) or s.six
            or bool(s.get("network_namespace"))),
        "removed where a sender is about to write it; with a namespace not looked at", None),
    "pid file of a namespace": Entry(
        4, ("argv", "log", "files"), lambda s: bool(s.get("network_namespace")),
        "the name carries nic and namespace, for the address may be used in several",
        lambda s, items: each(items, r"(send_arp-%s)(?=[ :])" % re.escape(s.ip),
                              r"\1-e0-" + s.get("network_namespace"))),
    "prefixes by value": Entry(
        5, EVERYTHING, text_matches, "another address or prefix that begins alike", None),
    "prefix with a zero": Entry(
        5, DONE, lambda s: s.mask.startswith("0") and s.action == "start" and s.has(
            s.ours, s.mask.lstrip("0")), "ip reads 024 as octal", None),
    "label with a zero": Entry(
        5, ("argv", "labels", "log"), lambda s: s.truth("lvs_ipv6_addrlabel")
        and bool(re.fullmatch(r"0\d+", s.get("lvs_ipv6_addrlabel_value"))),
        "ip reads 012 as octal", None),
    "broadcast by keyword": Entry(
        6, ("addresses", "argv", "log", "routes"), lambda s: s.action == "start" and not s.get(
            "broadcast") and s.shell["rc"] == 0 and s.shell["addresses"] != s.ours["addresses"]
        and no_broadcast(s.shell) == no_broadcast(s.ours),
        "from the address whose network holds ours, not the seventh word of a route", None),
    "IPv6 by value": Entry(
        7, ("argv", "log"), spelled_otherwise, "settled without a command, so without a route too",
        lambda s, items: each(items, re.escape(s.given), s.ip)),
    "clone numbers": Entry(
        8, EVERYTHING, lambda s: s.truth("unique_clone_address") and (
            s.six or bool(s.get("network_namespace")) or s.given.endswith(".254")),
        "address arithmetic, and once, instead of text", None),
    "IPv6 refreshed by advertisements": Entry(
        9, ("argv", "log"), lambda s: s.action == "monitor" and s.six and [
            words[0] for words in s.ours["argv"] if words[0] != "ip"] == ["send_ua"],
        "send_arp cannot speak for an IPv6 address", None),
    "altname": Entry(10, EVERYTHING, lambda s: s.nic in ALTNAMES,
                     "resolved to the interface once", None),
    "dev before the name": Entry(
        11, ("argv",), lambda s: True, "so that no name is taken for a keyword",
        lambda s, items: each(items, "^ip link set (?!dev )", "ip link set dev ")),
    "interfaces named like keywords": Entry(
        11, EVERYTHING, lambda s: s.case.scenario.shape == "keywords" and s.action == "start"
        and s.shell["rc"] == 1 and s.ours["rc"] == 0, "`ip link set up up` says nothing", None),
    "no label on IPv6": Entry(
        12, ("argv",), lambda s: s.six, "the kernel has none",
        lambda s, items: each(items, r"( addr add .*) label \S+", r"\1")),
    "label on IPv6 warned about": Entry(
        12, EVERYTHING, lambda s: s.six and s.level(s.ours, "WARNING", re.escape(
            s.get("nic").partition(":")[2] or s.get("iflabel") or "nothing")),
        "and neither too long nor wrong", None),
    "a hanging tool": Entry(
        13, EVERYTHING, lambda s: s.shell["rc"] == 137
        and s.ours["rc"] != 137, "killed by Pacemaker; ours ends first and says why", None),
    "the sender of our own": Entry(
        14, EVERYTHING, lambda s: bool(SENDER_OF_OURS.search(s.done)) and (
            s.starts or s.shell["rc"] == 5), "nothing is announced, or 5 where asked for", None),
    "addresses that are none": Entry(
        15, EVERYTHING, lambda s: not_an_address(s) and s.ours["rc"] == (
            6 if s.starts else {"stop": 0, "status": s.ours["rc"]}.get(s.action, s.ours["rc"]))
        and not s.has(s.ours), "patterns let them pass", None),
    "words and options": Entry(
        16, EVERYTHING, lambda s: s.hostile and (s.starts and s.ours["rc"] == 6 or s.stopped),
        "refused; stop skips it", None),
    "white space around a value": Entry(
        16, EVERYTHING, lambda s: s.padded and (answered(s) if s.given else s.ours["rc"] in (0, 6)),
        "is no part of it", None),
    "nothing found by such a word": Entry(
        16, EVERYTHING, lambda s: s.action in ("monitor", "status") and s.lost_for_words
        and s.ours["rc"] == (7 if s.probe else 1), "and no command sees it", None),
    "other words do not matter": Entry(
        16, EVERYTHING, lambda s: s.action in ("monitor", "status") and s.hostile
        and not s.lost_for_words and s.ours["rc"] == (0 if s.has(s.ours) else 7),
        "to a monitor", None),
    "named though unused": Entry(
        43, EVERYTHING, lambda s: s.starts and s.ours["rc"] == 6 and s.level(
            s.ours, "ERROR", r"\b(mac|arp_count_refresh) \["),
        "a wrong value is refused even where the shell agent has no use for it", None),
    "no refresh without a number": Entry(
        43, ("argv", "log"), lambda s: s.action == "monitor" and "arp_count_refresh"
        in s.case.scenario.parameters and not s.get("arp_count_refresh").isdigit(),
        "the shell agent starts a sender with that count", None),
    "label taken along": Entry(
        41, ("argv", "labels", "log"), lambda s: s.stopped and s.six
        and s.truth("lvs_ipv6_addrlabel") and set(s.ours["labels"]) < set(s.shell["labels"]),
        "the address label goes though the address has gone before", None),
    "taken back": Entry(
        18, DONE, lambda s: s.action == "start" and s.ours["rc"] == s.shell["rc"] != 0
        and without_flags(s.ours) == without_flags(s.before)
        and s.ours["labels"] == s.before["labels"]
        and s.ours["files"] in (s.before["files"], s.shell["files"]),
        "a failed start leaves nothing behind", None),
    "Cluster IP says what it does": Entry(
        19, ("log",), lambda s: s.shared and s.ours["rc"] == s.shell["rc"],
        "which bucket, which rule, what is missing; the status looks at the rules", None),
    "clone beyond clone_max": Entry(
        20, EVERYTHING, lambda s: s.clone_beyond and (s.ours["rc"] == 6 or s.stopped),
        "no such bucket, no such clone", None),
    "equal prefixes": Entry(
        36, EVERYTHING, disputed(36), "the last one listed; ours by link state, ports, metric and "
        "order of the bytes", None),
    "host routes": Entry(
        37, EVERYTHING, disputed(37), "skipped; ours takes them as /32, /128", None),
    "gateways of IPv6": Entry(
        38, EVERYTHING, disputed(38), "taken for a route to the address's network", None),
    "default routes in disguise": Entry(
        39, EVERYTHING, disputed(39), "taken for the address's network", None),
    "proto": Entry(40, EVERYTHING, disputed(40), "not known to 4.12", None),
    "dadfailed is no service": Entry(
        14, EVERYTHING, lambda s: any("dadfailed" in text for text in s.before["addresses"])
        and s.action in ("start", "probe", "monitor", "status") and s.ours["rc"] in (1, 7),
        "another host has the address: monitor says so, start tries anew", None),
    "unknown action": Entry(
        42, TOLD, lambda s: s.action in ("nonsense", "nothing") and s.ours["rc"] == 3,
        "3 whatever the parameters, and a reason as for every failing exit", None),
    "nothing to announce": Entry(
        45, ("argv", "log"), lambda s: s.action == "start" and any(
            "noarp" in text.split() for text in s.ours["links"] if text.split()[0] in
            {nic for nic, _ in s.places(s.ours)}), "a tunnel, or NOARP: no neighbour would ask",
        None),
    "without OCF_ROOT": Entry(
        42, TOLD, lambda s: s.action in ("meta-data", "usage", "help")
        and "OCF_ROOT" in s.case.environment and s.ours["rc"] == 0,
        "needs nothing", None),
    "send_ua found again": Entry(
        44, ("files",), lambda s: s.six and s.action in ("start", "monitor")
        and "sender stays" in s.ours["processes"],
        "the pid file names every sender in the background", None),
}

#: The differences to a newer shell agent, where the oracle is one.
NEWER = {key: Entry(*entry[:1], *entry[2:]) for key, entry in versions.ROWS.items()
         if entry[1] in versions.NEWER}
ALL = {**TABLE, **NEWER}
# Rows of the table that this comparison cannot show, and why.
NOT_SHOWN = {
    17: "stop exits 1 in releases after 4.12 only; here both exit 0, which the scenarios compare",
    24: "4.12 passes over host routes; here both agents do the same, which the scenarios compare",
    29: "both agents are started with every signal at its default here",
    30: "the sentences of a reason are our own; what is compared is that there is one",
    32: "the stand-ins of iptables keep no rules",
    34: "a sender looks once a second whether its address is there, the comparison looks at once",
    35: "somebody reads stderr here",
    47: "kernels without VRF run these; tests/vm shows it",
    46: "nobody sets OCF_CHECK_LEVEL here, and metadata are in our own words",
}


def sort_out(case, differences):
    """([(key, difference)] that are expected, [difference] that are not)."""
    step = Step(case)
    holding = {key: entry for key, entry in ALL.items()
               if differences and case.step != "shape" and "argv" in case.seen[0]
               and entry.when(step) and not unsafe(step)}
    expected, unexpected = [], []
    if case.step == "start" and case.seen[1]["rc"] == 0 and not Step(case).own_note:
        unexpected.append(compare.Difference(case, "notes", "a note, after a start", "none"))
    for difference in differences:
        keys = _keys(step, holding, difference)
        expected += [(key, difference) for key in keys]
        unexpected += [] if keys else [difference]
    return expected, unexpected


def unsafe(step):
    """What no entry may excuse: a stop or start of ours that says 0 and is not done."""
    if step.action == "stop":
        return step.ours["rc"] == 0 and bool(step.ip) and not held(
            step, step.ours) <= held(step, step.shell)
    return step.action == "start" and step.ours["rc"] == 0 and not step.has(step.ours)


def _keys(step, holding, difference):
    """The entries that explain this difference: rewriting ones that sufficed, else one other."""
    used, value = [], difference.shell
    for key, entry in holding.items():
        if entry.rewrite and difference.field in entry.fields:
            before, value = value, entry.rewrite(step, value)
            used += [key] if before != value else []
    same = compare.alike if difference.field == "log" else lambda one, other: one == other
    if used and same(value, difference.ours):
        return used
    for key, entry in holding.items():
        if not entry.rewrite and difference.field in entry.fields:
            return [key] + used
    return []
