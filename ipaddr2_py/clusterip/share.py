# SPDX-License-Identifier: GPL-2.0-only
"""One node's part of a shared address (Cluster IP): its settings, hardware address and hash seed.

What the three backends have in common.  On the monitor's path: posix and small C modules only.
"""

import posix

from .. import addresses
from ..addresses import HEX_DIGITS
from ..changes import ocf_run
from ..commands import split
from ..ocf import ocf_is_decimal, ocf_log
from ..vip import broadcast

MULTICAST_LIST = "/proc/net/dev_mcast"
SEED_LIMIT = 2 ** 32


class Share:
    """What a node holds of a shared address, as found there or as it shall be.

    nic, mac, hash ("" unknown), own (the interface's MAC where the rules name it), total (buckets
    in all, 0 unknown), seed (-1 unknown), buckets (number -> what the backend needs to remove it),
    complete (whether all rules but the buckets' are there).
    """

    __slots__ = ("nic", "mac", "own", "hash", "total", "seed", "buckets", "complete")

    def __init__(self, nic="", mac="", mode="", total=0, seed=-1, own=""):
        self.nic = nic
        self.mac = mac
        self.own = own
        self.hash = mode
        self.total = total
        self.seed = seed
        self.buckets = {}
        self.complete = True


def configured_share(vip, found=None, brd=None) -> "Share":
    """The Share that the parameters ask for; MAC and seed that nobody set stay as they were found.

    They are derived from prefix and broadcast address as well, which may have changed since: the
    other nodes go by what they were.  brd is the broadcast address where that is known.
    """
    mac, seed = vip.mac, parse_seed(vip.params["clusterip_hash_seed"])
    if found and not mac:
        mac = found.mac
    if found and seed is None and found.seed >= 0:
        seed = found.seed
    if not mac or seed is None:
        digest = address_md5(vip, brd)
        mac = mac or derived_mac(digest, vip.family)
        seed = int(digest[:8], 16) if seed is None else seed
    return Share(vip.nic, mac, vip.params["clusterip_hash"], vip.buckets, seed)


def matches(found, vip) -> bool:
    """Whether a found Share is of these parameters; what is unknown or derived counts as right."""
    seed = parse_seed(vip.params["clusterip_hash_seed"])
    mac = vip.mac.lower()
    return ((not found.nic or found.nic == vip.nic)
            and (not found.hash or found.hash == vip.params["clusterip_hash"])
            and (not found.total or found.total == vip.buckets)
            and (not mac or not found.mac or found.mac.lower() == mac)
            and (seed is None or found.seed < 0 or found.seed == seed))


def address_md5(vip, brd=None) -> str:
    """The md5 (32 hex digits) of "IP PREFIX BROADCAST", from which MAC and seed are taken.

    The broadcast address is the parameter as it was given, or else the one the address gets; where
    there is none, IPv6 always, the text ends behind the prefix: all as the shell agent has it.
    """
    if brd is None:
        brd = broadcast(vip) if vip.nic else vip.params["broadcast"]
    return digest_of(vip.ip, vip.prefix, brd if vip.family == "inet" else "")


def digest_of(ip: str, prefix: int, brd: str) -> str:
    """The md5 (32 hex digits) of these three."""
    text = " ".join([ip, str(prefix), *brd.split()]) + "\n"
    try:
        from _md5 import md5  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import md5
    return md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def derived_mac(digest: str, family: str) -> str:
    """The multicast MAC of an md5: its first six octets, the first made odd; IPv6: 33:33 leads."""
    digits = digest[:12]
    if family == "inet6":
        digits = "3333" + digits[4:]
    elif digits[1] in "02468ace":
        digits = digits[0] + "1" + digits[2:]
    return ":".join(digits[place:place + 2] for place in range(0, 12, 2))


def parse_seed(text: str):
    """The number below 2**32 that a seed names, decimal or 0x and hexadecimal; else None."""
    if text[:2] in ("0x", "0X"):
        good = len(text) > 2 and all(digit in HEX_DIGITS for digit in text[2:])
        value = int(text[2:], 16) if good and len(text) < 20 else SEED_LIMIT
    else:
        value = int(text) if ocf_is_decimal(text) else SEED_LIMIT
    return value if value < SEED_LIMIT else None


def checksum_makeup(own: bytes, mac: bytes) -> int:
    """The 16 bits that keep an ICMPv6 checksum right when MAC `mac` takes the place of `own`.

    Ones' complement arithmetic over 16-bit words (RFC 1071): the sum of own less that of mac.
    Both are six octets, the place of the MAC and that of the 16 bits even, and these were zero.
    """
    total = 0
    for place in (0, 2, 4):
        total += int.from_bytes(own[place:place + 2], "big")
        total += 0xffff - int.from_bytes(mac[place:place + 2], "big")
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total


# --- receiving the multicast MAC -------------------------------------------------------------


def parse_joined(text: str, nic: str) -> set:
    """MACs (lower case, with colons) that somebody asked `nic` to receive: from dev_mcast's text.

    Its columns: index, name, users, those of them that asked by ioctl (`ip maddress`), address.
    """
    found = set()
    for line in text.split("\n"):
        words = split(line)
        if len(words) == 5 and words[1] == nic and words[3] != "0":
            found.add(":".join(words[4][place:place + 2] for place in range(0, len(words[4]), 2)))
    return found


def multicast_list() -> str:
    """The text of /proc/net/dev_mcast, which the kernel hands out a page at a time."""
    text = b""
    try:
        fd = posix.open(MULTICAST_LIST, posix.O_RDONLY)
    except OSError:
        return ""
    try:
        chunk = posix.read(fd, 65536)
        while chunk:
            text += chunk
            chunk = posix.read(fd, 65536)
    finally:
        posix.close(fd)
    return text.decode("utf-8", "surrogateescape")


def is_joined(nic: str, mac: str) -> bool:
    """Whether interface `nic` was told to receive frames for the multicast MAC."""
    return mac.lower() in parse_joined(multicast_list(), nic)


def join_group(nic: str, mac: str) -> bool:
    """Have the interface receive frames for the multicast MAC; whether that worked.

    A network card drops the frames of groups that nobody joined, and so does a macvlan.
    """
    argv = addresses.ip_command() + ["maddress", "add", mac.lower(), "dev", nic]
    ocf_log("info", " ".join(argv))
    return ocf_run(argv) == 0


def change_group(found, share) -> bool:
    """Have the interface of a Share receive its MAC, and no longer that of another one that was
    found; whether that worked."""
    if found and found.mac and (found.mac.lower(), found.nic) != (share.mac.lower(), share.nic):
        leave_group(found.nic, found.mac)
    return is_joined(share.nic, share.mac) or join_group(share.nic, share.mac)


def leave_group(nic: str, mac: str) -> bool:
    """Undo join_group(), where it was done; whether the interface no longer receives that MAC."""
    if not nic or not mac or not is_joined(nic, mac):
        return True
    return ocf_run(addresses.ip_command() + ["maddress", "delete", mac.lower(), "dev", nic]) == 0
