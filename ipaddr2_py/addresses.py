# SPDX-License-Identifier: GPL-2.0-only
"""Addresses as values, and what `ip` tells of them: where one is held, and on which interface.

Three rules are here and nowhere else: what an IP address is (address_bytes), which of them a host
may have (is_host_address), and what a hardware address is (mac_bytes).
"""

import sys

from . import commands
from .commands import BLANKS, ENV, split

IFF_UP = 0x1
IFF_NOARP = 0x80
SIOCGIFFLAGS = 0x8913
TRIES = 20                  # of a query that changes on the host interrupt
HEX_DIGITS = "0123456789abcdefABCDEF"
#: Parameters that may have an action look elsewhere, or for another address.
IN_THE_WAY = ("network_namespace", "unique_clone_address")


class Unreadable(Exception):
    """What `ip` said cannot be relied on: it failed, or printed something else."""


class Address:
    """An address on an interface, as `ip -o addr show` prints it or as it shall be added.

    index and nic of the interface, ip, peer ("" without one), prefix (int; the peer's where there
    is one), brd ("" without one), flags (words behind the scope, such as tentative; an IPv4
    address's label is none of them).
    """

    __slots__ = ("index", "nic", "ip", "peer", "prefix", "brd", "flags")

    def __init__(self, index: int, nic: str, ip: str, peer: str, prefix: int, brd: str = "",
                 flags=()):
        self.index = index
        self.nic = nic
        self.ip = ip
        self.peer = peer
        self.prefix = prefix
        self.brd = brd
        self.flags = flags

    def __str__(self):
        peer = f" peer {self.peer}" if self.peer else ""
        return f"{self.ip}{peer}/{self.prefix}"

    def on(self, nic: str) -> "Address":
        """The same address on an interface of another name."""
        return Address(self.index, nic, self.ip, self.peer, self.prefix, self.brd, self.flags)


# --- values ----------------------------------------------------------------------------------


def sockets():
    """The module _socket: half a millisecond that an IPv4 monitor with nic and cidr_netmask spares.

    To be called outside of `try`: that it cannot be loaded, for want of descriptors or memory, is
    no answer to what is asked of it.
    """
    import _socket

    return _socket


def ipv4_bytes(text: str):
    """The 4 bytes of an IPv4 address as the kernel spells it, None where text is not one.

    Four numbers from 0 to 255 without more zeros in front, as inet_pton(3) takes them.
    """
    words = text.split(".")
    if len(words) != 4:
        return None
    for word in words:
        if not (word.isascii() and word.isdigit() and len(word) < 4 and int(word) < 256
                and (word[0] != "0" or word == "0")):
            return None
    return bytes(map(int, words))


def address_bytes(text: str, family: str):
    """The 4 or 16 bytes of an address, None where text is not one of that family."""
    if family == "inet":
        return ipv4_bytes(text)
    socket = sockets()
    try:
        return socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError, UnicodeError):
        return None


def address_text(packed: bytes, family: str) -> str:
    """The text of 4 or 16 address bytes, as `ip` prints it (RFC 5952 for IPv6)."""
    if family == "inet":
        return ".".join(map(str, packed))
    return sockets().inet_ntop(sockets().AF_INET6, packed)


def canonical(text: str, family: str) -> str:
    """The address as `ip` prints it; text as it is where it is not one."""
    packed = address_bytes(text, family)
    return text if packed is None else address_text(packed, family)


def in_network(ip: str, base: str, prefix: int, family: str = "inet") -> bool:
    """Whether address `ip` lies in the network of base/prefix."""
    first, second = address_bytes(ip, family), address_bytes(base, family)
    if first is None or second is None:
        return False
    shift = 8 * len(first) - prefix
    return int.from_bytes(first, "big") >> shift == int.from_bytes(second, "big") >> shift


def is_host_address(packed: bytes) -> bool:
    """Whether one host may have the address of these 4 or 16 bytes.

    None may have 0.0.0.0/8, 255.255.255.255, multicast (224.0.0.0/4, ff00::/8) or the unspecified
    address.  Linux has taken the former class E, 240.0.0.0/4, since 2.6.25.
    """
    if len(packed) == 4:
        return packed[0] != 0 and packed[0] & 0xf0 != 0xe0 and packed != b"\xff" * 4
    return packed[0] != 0xff and packed != bytes(16)


def mac_bytes(text: str):
    """The 6 bytes of a hardware address such as 01:00:5e:00:01:02, or with dashes; else None."""
    words = text.replace("-", ":").split(":")
    if [len(word) for word in words] != [2] * 6 or \
            not all(digit in HEX_DIGITS for digit in "".join(words)):
        return None
    return bytes.fromhex("".join(words))


def mac_text(packed: bytes) -> str:
    """The 6 bytes of a hardware address as 02:00:5e:10:00:01."""
    return ":".join(f"{octet:02x}" for octet in packed)


# --- asking `ip` -----------------------------------------------------------------------------


def ip_command() -> list:
    """The words that start ip(8): IP2UTIL where set; blanks alone are no program."""
    return ENV.get("IP2UTIL", "").split() or ["ip"]


def prefetch_ip(words) -> None:
    """Begin `ip WORDS`, which is soon to be asked for; where that fails, it is seen then."""
    try:
        commands.prefetch(ip_command() + words)
    except OSError:
        pass


def addr_show_words(family: str, ip: str) -> list:
    """The words that ask `ip` where address `ip` is held."""
    return ["-o", "-f", family, "addr", "show", "to", ip]


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


def was_interrupted(result) -> bool:
    """Whether `ip` says that its list may lack something: the kernel's changed while it read
    (NLM_F_DUMP_INTR; iproute2 since 4.10, lib/libnetlink.c)."""
    return "Dump was interrupted" in result.err


def failure(words, result) -> str:
    """A sentence that tells how `ip WORDS` failed."""
    limit = " at its time limit" if result.timed_out else ""
    output = " ".join((result.err or result.out).split())[:200] or "no output"
    return f"{commands.quoted(ip_command() + words)} ended with {result.rc}{limit}: {output}"


def link_show_words(nic: str) -> list:
    """The words that ask `ip` for the hardware of interface `nic`."""
    return ["link", "show", "dev", nic]


def is_missing(result) -> bool:
    """Whether `ip link show dev NAME` failed because no interface has that name."""
    return "does not exist" in result.err or "Cannot find device" in result.err


def parse_addresses(text: str) -> list:
    """The Address objects in the output of `ip -o -f inet|inet6 addr show`.

    Raises Unreadable on a line that `ip` does not print.
    """
    addresses = []
    for line in text.split("\n"):
        # With -o iproute2 (ip/ipaddress.c) has a backslash where a line of an entry would end; a
        # name may hold one as well (Linux, dev_valid_name()).
        head, _, tail = line.rpartition("\\ ")
        words = split(head if tail.lstrip().startswith("valid_lft") else line)
        if not words and not line:
            continue
        if len(words) < 2 or not words[0].endswith(":") or not words[0][:-1].isdigit():
            raise Unreadable(f"ip addr show printed: {line[:80]}")
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
        addresses.append(Address(int(words[0][:-1]), words[1], ip, peer, int(prefix), brd, flags))
    return addresses


def is_ipsec(nic: str) -> bool:
    """Whether a name is one of FreeS/WAN's virtual interfaces, which the shell agent skips."""
    return nic.startswith("ipsec") and nic[5:].isdigit()


def index_of(nic: str) -> int:
    """The number of interface `nic`, which its name may not outlive; 0 where there is none."""
    socket = sockets()
    try:
        return socket.if_nametoindex(nic)
    except (OSError, ValueError, UnicodeError):
        return 0


def name_of(index: int) -> str:
    """The name of interface number `index`, "" where it has gone."""
    socket = sockets()
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


def interface_flags(nic: str):
    """The flags of interface `nic` (IFF_*, netdevice(7)), None where they cannot be had.

    Asked of the kernel by ioctl, which starts no program.
    """
    import fcntl

    socket, name = sockets(), commands.to_bytes(nic)
    if not 0 < len(name) < 16:
        return None
    try:
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(asking.fileno(), SIOCGIFFLAGS, name.ljust(40, b"\0"))
    except OSError:
        return None
    finally:
        asking.close()
    return int.from_bytes(answer[16:18], sys.byteorder)


def address_places(family: str, ip: str) -> list:
    """Every place where address `ip` (canonical) is held on this host, as Address objects.

    Raises Unreadable where `ip` fails: silence would be taken for "not here".
    """
    return parse_held(family, ip, ip_query(addr_show_words(family, ip)))


def parse_held(family: str, ip: str, result, words=()) -> list:
    """The Address objects in the Result of addr_show_words(), or of `ip WORDS` like that."""
    held = [] if result.rc else [held for held in parse_addresses(result.out) if held.ip == ip]
    if result.rc or not held and was_interrupted(result):
        raise Unreadable(failure(list(words) or addr_show_words(family, ip), result))
    return held


def find_interface(held, prefix: int, nic: str) -> list:
    """Those of the Address objects that are on interface `nic` with this prefix length and
    without a peer."""
    return [one for one in held if one.prefix == prefix and one.nic == nic and not one.peer]


def prefetch_places(argv) -> None:
    """Begin what an action asks first, where the address is held; nothing where it may be another
    question, or where the answer must be newer: a shared address is looked at under its lock.

    argv is the agent's own.  What is begun and not asked for is dropped in the end.
    """
    if argv[1:] not in (["stop"], ["monitor"], ["status"]):
        return
    for name in IN_THE_WAY:
        if ENV.get("OCF_RESKEY_" + name):
            return
    if argv[1] == "stop" and ENV.get("OCF_RESKEY_CRM_meta_clone_max"):
        return
    text = ENV.get("OCF_RESKEY_ip", "").strip(BLANKS)
    family = "inet6" if ":" in text else "inet"
    if not address_bytes(text, family):
        return                  # the agent will say so
    prefetch_ip(addr_show_words(family, canonical(text, family)))
