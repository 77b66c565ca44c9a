# SPDX-License-Identifier: GPL-2.0-only
"""What `ip` tells of addresses: where one is held, and which network another lies in."""

import sys

from . import commands
from .ahead import address_bytes, held_query, ip_command
from .environment import split

IFF_UP = 0x1
IFF_NOARP = 0x80
SIOCGIFFLAGS = 0x8913
TRIES = 20                  # of a query that changes on the host interrupt


class Unreadable(Exception):
    """What `ip` said cannot be relied on: it failed, or printed something else."""


class Held:
    """An address on an interface, as `ip -o addr show` prints it.

    index and nic of the interface, ip, peer ("" without one), prefix (int; the peer's where there
    is one), brd ("" without one), flags (words behind the scope, such as tentative; an IPv4
    address's label is none of them).
    """

    __slots__ = ("index", "nic", "ip", "peer", "prefix", "brd", "flags")

    def __init__(self, index, nic, ip, peer, prefix, brd, flags):
        self.index = index
        self.nic = nic
        self.ip = ip
        self.peer = peer
        self.prefix = prefix
        self.brd = brd
        self.flags = flags

    def __str__(self):
        return "%s%s/%d" % (self.ip, " peer " + self.peer if self.peer else "", self.prefix)


def in_network(ip, base, prefix, family="inet"):
    """Whether address `ip` lies in the network of base/prefix."""
    first, second = address_bytes(ip, family), address_bytes(base, family)
    if first is None or second is None:
        return False
    shift = 8 * len(first) - prefix
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

    Raises Unreadable on a line that `ip` does not print.
    """
    addresses = []
    for line in text.split("\n"):
        # A name may hold a backslash, which parts the lines of an entry as well.
        head, _, tail = line.rpartition("\\ ")
        words = split(head if tail.lstrip().startswith("valid_lft") else line)
        if not words and not line:
            continue
        if len(words) < 2 or not words[0].endswith(":") or not words[0][:-1].isdigit():
            raise Unreadable("ip addr show printed: %s" % line[:80])
        if len(words) < 4 or words[2] not in ("inet", "inet6"):
            continue
        ip, _, prefix = words[3].partition("/")
        peer, known = "", 4
        if words[4:5] == ["peer"] and len(words) > 5:
            peer, _, prefix = words[5].partition("/")
            known = 6
        if not prefix.isdigit():
            continue
        scope = words.index("scope", known) if "scope" in words[known:] else len(words)
        brd = words[words.index("brd", known) + 1] if "brd" in words[known:scope] else ""
        flags = words[scope + 2:-1] if words[2] == "inet" else words[scope + 2:]
        addresses.append(Held(int(words[0][:-1]), words[1], ip, peer, int(prefix), brd, flags))
    return addresses


def is_ipsec(nic):
    """Whether a name is one of FreeS/WAN's virtual interfaces, which the shell agent skips."""
    return nic.startswith("ipsec") and nic[5:].isdigit()


def interface_flags(nic):
    """The flags of interface `nic` (IFF_*, netdevice(7)), None where they cannot be had.

    Asked of the kernel by ioctl, which starts no program.
    """
    import _socket
    import fcntl

    name = commands.to_bytes(nic)
    if not 0 < len(name) < 16:
        return None
    try:
        asking = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM, 0)
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(asking.fileno(), SIOCGIFFLAGS, name.ljust(40, b"\0"))
    except OSError:
        return None
    finally:
        asking.close()
    return int.from_bytes(answer[16:18], sys.byteorder)


def held_addresses(family, ip):
    """Every place where address `ip` (canonical) is held on this host, as Held objects.

    Raises Unreadable where `ip` fails: silence would be taken for "not here".
    """
    return read_held(family, ip, ip_query(held_query(family, ip)))


def read_held(family, ip, result, words=()):
    """The Held addresses in the Result of a held_query(), or of `ip WORDS` like that."""
    held = [] if result.rc else [held for held in parse_addresses(result.out) if held.ip == ip]
    if result.rc or not held and was_interrupted(result):
        raise Unreadable(failure(list(words) or held_query(family, ip), result))
    return held
