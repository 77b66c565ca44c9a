# SPDX-License-Identifier: GPL-2.0-only
"""What `ip` tells of addresses: where one is held, and which network another lies in."""

from . import commands
from .ahead import address_bytes, held_query, ip_command

TRIES = 20                  # of a query that changes on the host interrupt


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


def failure(words, result):
    """A sentence that tells how `ip WORDS` failed."""
    return "%s ended with %d%s: %s" % (
        commands.quoted(ip_command() + words), result.rc,
        " at its time limit" if result.timed_out else "",
        " ".join((result.err or result.out).split())[:200] or "no output")


def link_query(nic):
    """The words that ask `ip` for the hardware of interface `nic`."""
    return ["link", "show", "dev", nic]


def is_missing(result):
    """Whether `ip link show dev NAME` failed because no interface has that name."""
    return "does not exist" in result.err or "Cannot find device" in result.err


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
        if len(words) < 4 or words[2] not in ("inet", "inet6"):
            continue
        ip, _, prefix = words[3].partition("/")
        if not prefix.isdigit():
            continue
        scope = words.index("scope", 4) if "scope" in words[4:] else len(words)
        brd = words[words.index("brd", 4) + 1] if "brd" in words[4:scope] else ""
        flags = words[scope + 2:]
        addresses.append(Held(words[1], ip, int(prefix), brd, flags))
    return addresses


def _is_ipsec(nic):
    return nic.startswith("ipsec") and nic[5:].isdigit()


def same_interface(printed, nic):
    """Whether `printed`, perhaps with @ and a link behind it, names the interface nic."""
    return printed == nic or printed.split("@")[0] == nic


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
