# SPDX-License-Identifier: GPL-2.0-only
"""Addresses on interfaces: find, add and delete them; the loopback's; IPv6 address labels.

One small function for each ip(8) command, and pure functions over what it prints.
"""

import _socket

from . import commands, ocf
from .ahead import held_query, ip_command
from .ocf import (OCF_ERR_INSTALLED, OcfExit, check_binary, ocf_exit_reason, ocf_is_true,
                  ocf_log, ocf_run)
TRIES = 20                  # of a query that changes on the host interrupt
FAMILIES = {"inet": _socket.AF_INET, "inet6": _socket.AF_INET6}


class Unreadable(Exception):
    """What `ip` said cannot be relied on: it failed, or printed something else."""


class Held:
    """An address on an interface, as `ip -o addr show` prints it.

    nic, ip, prefix (int), brd ("" without one), flags (words behind the scope), label (IPv4).
    """

    __slots__ = ("nic", "ip", "prefix", "brd", "flags")

    def __init__(self, nic, ip, prefix, brd, flags):
        self.nic = nic
        self.ip = ip
        self.prefix = prefix
        self.brd = brd
        self.flags = flags


def address_bytes(text, family):
    """The 4 or 16 bytes of an address, None where text is not one of that family."""
    try:
        return _socket.inet_pton(FAMILIES[family], text)
    except (OSError, ValueError, UnicodeError):
        return None


def address_text(packed, family):
    """The text of 4 or 16 address bytes, as `ip` prints it (RFC 5952 for IPv6)."""
    return _socket.inet_ntop(FAMILIES[family], packed)


def canonical(text, family):
    """The address as `ip` prints it; text as it is where it is not one."""
    packed = address_bytes(text, family)
    return text if packed is None else address_text(packed, family)


def in_network(ip, base, prefix):
    """Whether IPv4 address `ip` lies in the network of base/prefix."""
    first, second = address_bytes(ip, "inet"), address_bytes(base, "inet")
    if first is None or second is None:
        return False
    shift = 32 - prefix
    return int.from_bytes(first, "big") >> shift == int.from_bytes(second, "big") >> shift


def ip_query(words):
    """Run `ip WORDS`, which change nothing; a Result.

    Asked anew where addresses or routes changed meanwhile, so that some may be left out.
    """
    result = commands.query(ip_command() + words)
    for _ in range(TRIES):
        if not was_interrupted(result):
            break
        result = commands.query(ip_command() + words)
    return result


def was_interrupted(result):
    """Whether `ip` says that its list may lack something: the kernel's changed while it read."""
    return "Dump was interrupted" in result.err


def ip_query_ahead(words):
    """Begin `ip WORDS`, which is soon to be asked for."""
    commands.query_ahead(ip_command() + words)


def failure(words, result):
    """A sentence that tells how `ip WORDS` failed."""
    return "%s ended with %d%s: %s" % (
        commands.quoted(ip_command() + words), result.rc,
        " at its time limit" if result.timed_out else "",
        " ".join((result.err or result.out).split())[:200] or "no output")


def parse_addresses(text):
    """The Held addresses in the output of `ip -o -f inet|inet6 addr show`.

    An address with a peer is left out: it is not what the agent adds, and the peer's is not here.
    Raises Unreadable on a line that `ip` does not print.
    """
    addresses = []
    for line in text.splitlines():
        words = line.split("\\")[0].split()
        if len(words) < 2 or not words[0].endswith(":") or not words[0][:-1].isdigit():
            raise Unreadable("ip addr show printed: %s" % line[:80])
        if len(words) < 4 or words[2] not in FAMILIES:
            continue
        ip, _, prefix = words[3].partition("/")
        if not prefix.isdigit():
            continue
        scope = words.index("scope", 4) if "scope" in words[4:] else len(words)
        brd = words[words.index("brd", 4) + 1] if "brd" in words[4:scope] else ""
        flags = words[scope + 2:]
        addresses.append(Held(words[1], ip, int(prefix), brd, flags))
    return addresses


def parse_served(text, ip, prefix):
    """Names of the interfaces that hold ip/prefix; FreeS/WAN's ipsecN left out."""
    return [held.nic for held in parse_addresses(text)
            if held.ip == ip and held.prefix == prefix and not _is_ipsec(held.nic)]


def _is_ipsec(nic):
    return nic.startswith("ipsec") and nic[5:].isdigit()


def same_interface(printed, nic):
    """Whether `printed`, perhaps with @ and a link behind it, names the interface nic."""
    return printed == nic or printed.split("@")[0] == nic


def link_query(nic):
    """The words that ask `ip` for the hardware of interface `nic`."""
    return ["link", "show", "dev", nic]


def held_addresses(family, ip):
    """Every place where address `ip` (canonical) is held on this host, as Held objects.

    Raises Unreadable where `ip` fails: silence would be taken for "not here".
    """
    return read_held(family, ip, ip_query(held_query(family, ip)))


def read_held(family, ip, result, words=()):
    """The Held addresses in the Result of a held_query(), or of `ip WORDS` like that."""
    held = [] if result.rc else [held for held in parse_addresses(result.out)
                                 if held.ip == ip and not _is_ipsec(held.nic)]
    if result.rc or not held and was_interrupted(result):
        raise Unreadable(failure(list(words) or held_query(family, ip), result))
    return held


def find_interface(family, ip, prefix):
    """Names of the interfaces that hold ip/prefix; raises Unreadable."""
    return [held.nic for held in held_addresses(family, ip) if held.prefix == prefix]


def link_is_down(nic):
    """Whether the state of interface `nic` is DOWN or LOWERLAYERDOWN (or it is gone).

    Raises Unreadable where `ip` does not say.
    """
    words = ["-o", "link", "show", "dev", nic]
    result = ip_query(words)
    if result.rc and is_missing(result):
        return True
    if result.rc or "<" not in result.out:
        raise Unreadable(failure(words, result))
    return parse_link_state(result.out) in ("DOWN", "LOWERLAYERDOWN")


def is_missing(result):
    """Whether `ip link show dev NAME` failed because no interface has that name."""
    return "does not exist" in result.err or "Cannot find device" in result.err


def parse_link_state(text):
    """The operational state that `ip -o link show` prints behind the word state, "" without."""
    words = text.split()
    return words[words.index("state") + 1] if "state" in words[:-1] else ""


def is_infiniband(nic):
    """Whether the hardware of interface `nic` is InfiniBand."""
    return "link/infiniband" in ip_query(link_query(nic)).out


# --- changes ---------------------------------------------------------------------------------


def address_add_argv(family, ip, prefix, brd, nic, label, params):
    """The words of `ip addr add`, options as the parameters ask for them."""
    options = []
    if family == "inet6" and ocf_is_true(params["nodad"]):
        options += ["nodad"]
    if ocf_is_true(params["noprefixroute"]):
        options += ["noprefixroute"]
    if label:
        options += ["label", label]
    if family == "inet6":
        options += ["preferred_lft", params["preferred_lft"]]
    if params["metric"]:
        options += ["metric", params["metric"]]
    brd_words = ["brd", brd] if brd else []
    return ip_command() + ["-f", family, "addr", "add", "%s/%d" % (ip, prefix), *brd_words,
                           "dev", nic, *options]


def add_interface(family, ip, prefix, brd, nic, label, params, undo=None):
    """Add the address and set the interface up; False, with the reason logged, if that failed.

    What was added is noted in the list undo, as callables that take it back.
    """
    undo = [] if undo is None else undo
    if family == "inet" and ocf_is_true(params["run_arping"]) and collision(nic, ip):
        ocf_log("err", "IPv4 address collision: %s is in use by another host [DAD]" % ip)
        return False
    if family == "inet6" and ocf_is_true(params["lvs_ipv6_addrlabel"]):
        undo.append(lambda: delete_ipv6_addrlabel(ip, params))
        if 0 < add_ipv6_addrlabel(ip, params) < 126:
            undo.pop()                      # somebody else's
    argv = address_add_argv(family, ip, prefix, brd, nic, label, params)
    ocf_log("info", commands.quoted(argv))
    undo.append(lambda: take_back(family, ip, prefix, nic))
    rc = ocf_run(argv)
    if 0 < rc < 126:
        # It refused: what is there is somebody else's. One that was cut off may have added it.
        undo.pop()
    looking = commands.query_start(ip_command() + held_query(family, ip))
    up = link_up(nic) if rc == 0 else rc
    seen = commands.query_end(looking)
    held = held_addresses(family, ip) if was_interrupted(seen) else read_held(family, ip, seen)
    if not any(one.nic == nic and one.prefix == prefix for one in held):
        if rc == 0:
            ocf_log("err", "%s succeeded, but the address is not there" % commands.quoted(argv))
        return False
    return up == 0 or 0 < rc < 126          # somebody else added it at the same time


def take_back(family, ip, prefix, nic):
    """Delete an address that this start added, unless it is seen not to be there."""
    if is_there(family, ip, prefix, nic):
        ocf_log("info", "taking back %s/%d from %s" % (ip, prefix, nic))
        delete_address(family, ip, prefix, nic)


def collision(nic, ip):
    """Whether another host answers for IPv4 address `ip`, as iputils' arping sees it.

    Exits 5 where arping is missing, or is another program of that name.
    """
    check_binary("arping")
    told = commands.query(["arping", "-V"])
    if is_foreign_arping(told.out + told.err):
        ocf_exit_reason("run_arping needs the arping of iputils, but %s says: %s"
                        % (commands.find("arping"), " ".join((told.out + told.err).split())[:80]))
        raise OcfExit(OCF_ERR_INSTALLED)
    # Duplicate address detection: 1 alone means that somebody answered.
    return commands.query(["arping", "-q", "-c", "2", "-w", "3", "-D", "-I", nic, ip]).rc == 1


def is_foreign_arping(text):
    """Whether `arping -V` shows an arping whose exit codes and options are not those of iputils."""
    return "iputils" not in text and ("Habets" in text or "BusyBox" in text or "ARPing" in text)


def link_up(nic):
    """Set interface `nic` up; an exit status."""
    argv = ip_command() + ["link", "set", "dev", nic, "up"]
    ocf_log("info", commands.quoted(argv))
    return ocf_run(argv)


def delete_address(family, ip, prefix, nic):
    """Delete one address; an exit status."""
    return ocf_run(ip_command() + ["-f", family, "addr", "delete", "%s/%d" % (ip, prefix),
                                   "dev", nic])


def delete_interface(family, ip, prefix, nic, params):
    """Delete the address and what goes with it: route cache, address label; an exit status."""
    rc = delete_address(family, ip, prefix, nic)
    if not rc and ocf_is_true(params["flush_routes"]):
        ocf_run(ip_command() + ["route", "flush", "cache"])
    if family == "inet6" and ocf_is_true(params["lvs_ipv6_addrlabel"]) and not (
            rc and is_there(family, ip, prefix, nic)):
        delete_ipv6_addrlabel(ip, params)
    return rc


def is_there(family, ip, prefix, nic):
    """Whether interface `nic` holds ip/prefix, or that cannot be told."""
    try:
        return nic in find_interface(family, ip, prefix)
    except Unreadable:
        return True


def delete_route(ip, nic):
    """Delete the route to `ip` over interface `nic`, if there is one."""
    argv = ip_command() + ["route", "delete", ip, "dev", nic]
    ocf_log("info", commands.quoted(argv))
    commands.run(argv)


def remove_conflicting_loopback(ip, params):
    """Put the loopback's ip/32 aside, noted in HA_RSCTMP so that stop can restore it."""
    ocf_log("info", "removing the conflicting address %s/32 from lo" % ip)
    try:
        ocf.write_file(ocf.rsctmp(ip), "%s 32 255.255.255.255 lo\n" % ip)
    except OSError as problem:
        ocf_log("err", "could not note the address %s of lo in %s (%s); stop will not restore it"
                % (ip, ocf.rsctmp(ip), problem.strerror))
    delete_interface("inet", ip, 32, "lo", params)
    delete_route(ip, "lo")


def restore_loopback(ip, params, note_stays=False):
    """Add the address again that remove_conflicting_loopback() put aside.

    note_stays: where that fails, a later stop is to try again.
    """
    path = ocf.rsctmp(ip)
    words = ocf.read_file(path).split()
    if not words:
        return
    ocf_log("info", "restoring the loopback address %s" % " ".join(words))
    restored = False
    if words[0] == ip and words[1:] == ["32", "255.255.255.255", "lo"]:
        place = ("inet", ip, 32, "255.255.255.255", "lo", "")
        try:
            restored = add_interface(*place, params)
        except OcfExit:         # no arping to ask with; nobody else is on lo anyway
            restored = add_interface(*place, dict(params, run_arping="false"))
    else:
        ocf_log("err", "%s does not hold what this agent writes; not restored" % path)
    if restored or not note_stays:
        ocf.remove_file(path)


def add_ipv6_addrlabel(ip, params):
    """Give the address a label of its own, so that it is not chosen as a source address."""
    argv = _addrlabel("add", ip, params)
    ocf_log("info", commands.quoted(argv))
    rc = ocf_run(argv)
    if rc:
        ocf_log("warn", "%s failed." % commands.quoted(argv))
    return rc


def delete_ipv6_addrlabel(ip, params):
    """Take the address label away again; failing does not matter."""
    ocf_run(_addrlabel("del", ip, params))


def delete_stale_addrlabel(ip, params):
    """Take away the label of an address that is gone, as an interrupted start can leave it."""
    listed = ip_query(["addrlabel", "list"]).out.split("\n")
    wanted = ["prefix", ip + "/128", "label", params["lvs_ipv6_addrlabel_value"]]
    if any(line.split()[:4] == wanted for line in listed):
        delete_ipv6_addrlabel(ip, params)


def _addrlabel(verb, ip, params):
    return ip_command() + ["addrlabel", verb, "prefix", ip,
                           "label", params["lvs_ipv6_addrlabel_value"]]
