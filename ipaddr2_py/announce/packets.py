# SPDX-License-Identifier: GPL-2.0-only
"""Gratuitous ARP and unsolicited neighbour advertisements, built and sent without a helper.

The first packet of a failover leaves from here, so that only small C modules are imported.
Frames are bytes as they go on the wire, from the Ethernet header on, without check sequence.
"""

import _socket
import errno
import fcntl
import posix
import sys
import time
from _struct import pack

from ..addresses import IFF_NOARP, SIOCGIFFLAGS, is_host_address, mac_bytes

BROADCAST = b"\xff" * 6
ALL_NODES = b"\xff\x02" + b"\0" * 13 + b"\x01"  # ff02::1

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
ARP_REQUEST = 1
ARP_REPLY = 2
ICMPV6 = 58
NEIGHBOUR_ADVERTISEMENT = 136
HOP_LIMIT = 255  # less tells the receiver that a router forwarded it: dropped (7.1.2)
NA_ROUTER = 0x80
NA_OVERRIDE = 0x20
TARGET_LINK_LAYER_OPTION = 2

SIOCGIFHWADDR = 0x8927
IFREQ_SIZE = 40
NAME_LIMIT = 15  # IFNAMSIZ less the closing NUL; ioctl would cut a longer name in silence
ARPHRD_ETHER = 1
ARPHRD_INFINIBAND = 32
ARPHRD_LOOPBACK = 772

#: More rounds, or longer pauses, than these are not told apart from them: a million seconds.
MOST_ROUNDS = 1000000000
LONGEST_INTERVAL_MS = 1000000000

ARP_MODES = {"both": (False, True), "request": (False,), "reply": (True,)}


class PacketError(ValueError):
    """What cannot be announced or sent; the text says why, and what would be right."""


class NothingToTell(PacketError):
    """The interface has no hardware address that a neighbour could ask for (tun, NOARP, lo)."""


def parse_address(ip: str) -> tuple:
    """Return (AF_INET or AF_INET6, packed address) of the text `ip`.

    Raises PacketError for text that is no address, and for an address no host can own.
    """
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            packed = _socket.inet_pton(family, ip)
        except (OSError, ValueError):
            continue
        if is_host_address(packed) and not _is_loopback(packed):
            return family, packed
        raise PacketError(
            f"{ip!r} is a multicast, loopback, broadcast or unspecified address: only an address "
            "that one host owns can be announced"
        )
    raise PacketError(
        f"{ip!r} is not an IP address: give one such as 192.0.2.10 or 2001:db8::10, without prefix "
        "length or zone"
    )


def _is_loopback(packed):
    return packed[0] == 127 if len(packed) == 4 else packed == b"\0" * 15 + b"\x01"


def parse_mac(mac: str) -> bytes:
    """The 6 bytes of a hardware address; raises PacketError where text is not one."""
    octets = mac_bytes(mac)
    if octets is None:
        raise PacketError(f"{mac!r} is not an Ethernet address: six octets such as "
                          "02:00:5e:10:00:01 would be right")
    return octets


def _ethernet(destination, source, ethertype):
    return pack("!6s6sH", destination, source, ethertype)


def garp_frame(mac: bytes, ip: str, reply: bool = False, source=None) -> bytes:
    """The gratuitous ARP frame that tells that IPv4 `ip` (text) is at `mac` (6 bytes).

    Sender and target protocol address are both `ip` (RFC 5227, 1.1 and 3; packet of RFC 826).
    A request leaves the target hardware address zero. `source` is the Ethernet source where
    it differs from `mac`. Raises PacketError where `ip` is no IPv4 address.
    """
    family, address = parse_address(ip)
    if family != _socket.AF_INET:
        raise PacketError(f"{ip!r} is not an IPv4 address: only those go into ARP")
    # Linux (arp_is_garp() of net/ipv4/arp.c, since 4.12) takes a reply for gratuitous, and
    # overrides an entry younger than its locktime, only where the target hardware address repeats
    # the sender's (RFC 826 leaves it open).
    target_mac = mac if reply else b"\0" * 6
    operation = ARP_REPLY if reply else ARP_REQUEST
    return arp_frame(source or mac, operation, mac, address, target_mac, address)


def arp_frame(source, operation, mac, sender, target_mac, target) -> bytes:
    """A broadcast ARP frame (RFC 826) from the Ethernet address `source`; addresses are bytes."""
    head = pack("!HHBBH", ARPHRD_ETHER, ETHERTYPE_IPV4, len(mac), len(sender), operation)
    addresses = pack("!6s4s6s4s", mac, sender, target_mac, target)
    return _ethernet(BROADCAST, source, ETHERTYPE_ARP) + head + addresses


def na_frame(mac: bytes, ip: str, router: bool = False, source=None) -> bytes:
    """The unsolicited neighbour advertisement that IPv6 `ip` (text) is at `mac`.

    RFC 4861, 4.4 and 7.2.6: from `ip` to ff02::1, hop limit 255, override flag, target
    link-layer address option. `router` sets the router flag: a router that advertises itself
    without it is dropped from its neighbours' default routes (7.2.5). `source` is the Ethernet
    source where it differs from `mac`. Raises PacketError where `ip` is no IPv6 address.
    """
    family, address = parse_address(ip)
    if family != _socket.AF_INET6:
        raise PacketError(
            f"{ip!r} is not an IPv6 address: only those are in neighbour advertisements"
        )
    flags = NA_OVERRIDE | (NA_ROUTER if router else 0)
    # Flags and reserved bits, target, then the option: its length counts units of 8 octets.
    body = pack("!B3x16sBB6s", flags, address, TARGET_LINK_LAYER_OPTION, 1, mac)
    return neighbour_frame(source or mac, NEIGHBOUR_ADVERTISEMENT, address, ALL_NODES, body)


def neighbour_frame(mac, kind, source, group, body) -> bytes:
    """A frame of neighbour discovery (RFC 4861) to a multicast `group`: an ICMPv6 message of that
    kind, `body` behind its checksum, from `source` by way of `mac`; addresses are bytes."""
    length = 4 + len(body)
    pseudo_header = pack("!16s16sII", source, group, length, ICMPV6)
    checksum = internet_checksum(pseudo_header + pack("!BBH", kind, 0, 0) + body)
    # Version 6, traffic class and flow label 0.
    head = pack("!IHBB16s16s", 6 << 28, length, ICMPV6, HOP_LIMIT, source, group)
    # RFC 2464, 7: the group's MAC is its last four octets behind 33:33.
    return (_ethernet(b"\x33\x33" + group[-4:], mac, ETHERTYPE_IPV6) + head
            + pack("!BBH", kind, 0, checksum) + body)


def internet_checksum(data: bytes) -> int:
    """The 16 bit ones' complement checksum of RFC 1071 over an even number of bytes."""
    total = sum(data[0::2]) * 256 + sum(data[1::2])
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def hardware_address(nic: str) -> bytes:
    """The 6 bytes of the Ethernet address of the interface `nic` (packet(7), netdevice(7)).

    Asked of the kernel by ioctl, as /sys may still show another network namespace. Raises
    NothingToTell where nobody asks for a hardware address, else PacketError: the interface is
    missing, or has an address of another kind (InfiniBand).
    """
    try:
        name = nic.encode()
    except UnicodeError:
        name = b""  # an undecodable byte of the command line
    if not 1 <= len(name) <= NAME_LIMIT or b"\0" in name:
        raise PacketError(
            f"{nic!r} is no interface name: 1 to {NAME_LIMIT} bytes would be right"
        )
    try:
        asking = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM, 0)
        try:
            request = name.ljust(IFREQ_SIZE, b"\0")
            flags = fcntl.ioctl(asking.fileno(), SIOCGIFFLAGS, request)[16:18]
            answer = fcntl.ioctl(asking.fileno(), SIOCGIFHWADDR, request)
        finally:
            asking.close()
    except OSError as error:
        raise refusal(nic, error) from None
    kind = int.from_bytes(answer[16:18], sys.byteorder)
    address = answer[18:32]
    if kind == ARPHRD_LOOPBACK:
        raise NothingToTell(
            f"the interface {nic!r} is the loopback interface: it has no neighbours to tell"
        )
    if int.from_bytes(flags, sys.byteorder) & IFF_NOARP or not any(address):
        raise NothingToTell(
            f"the interface {nic!r} has no hardware address that neighbours ask for (a tunnel, or "
            "NOARP)"
        )
    if kind == ARPHRD_ETHER:
        return address[:6]
    if kind == ARPHRD_INFINIBAND:
        why = "is InfiniBand: its 20-byte hardware address does not fit an Ethernet frame"
    else:
        why = f"has no Ethernet address (hardware type {kind})"
    raise PacketError(f"the interface {nic!r} {why}")


def refusal(nic, error):
    """The PacketError that explains the OSError `error` met on `nic`."""
    if error.errno in (errno.ENODEV, errno.ENXIO):
        why = f"no interface {nic!r} in this network namespace: see `ip link show`"
    elif error.errno == errno.ENETDOWN:
        why = f"the interface {nic!r} is down: set it up first"
    elif error.errno in (errno.EPERM, errno.EACCES):
        why = f"not allowed to send raw packets on {nic!r}: root or CAP_NET_RAW is needed"
    else:
        why = f"cannot send on {nic!r}: {error.strerror or error}"
    return PacketError(why)


def is_router(nic: str) -> bool:
    """Whether this node forwards IPv6 that comes in on `nic` (false without IPv6)."""
    try:
        handle = posix.open(f"/proc/sys/net/ipv6/conf/{nic}/forwarding", posix.O_RDONLY)
    except OSError:
        return False
    try:
        return posix.read(handle, 16).strip() not in (b"", b"0")
    except OSError:
        return False
    finally:
        posix.close(handle)


class Announcer:
    """Announces `ip` (text) from `nic` through a raw socket of its own; close() or `with`.

    `mode` is "both", "request" or "reply", and is for IPv4; IPv6 knows "both" alone. `mac` is
    the hardware address to announce (bytes or text) where it is not that of `nic`. Raises
    PacketError with the reason where announcing is impossible.
    """

    def __init__(self, nic, ip, mode="both", mac=None):
        self.nic = nic
        self.ip = ip
        self.mode = mode
        self.source = hardware_address(nic)
        self.shared_mac = None if mac is None else parse_mac(mac)
        self.router = ":" in ip and is_router(nic)
        self.frames = self._build()
        try:
            # Protocol 0: the socket sends, and is handed no packets of others.
            self._socket = _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW, 0)
            try:
                self._socket.bind((nic, 0))
            except OSError:
                self._socket.close()
                raise
        except OSError as error:
            raise refusal(nic, error) from None

    @property
    def mac(self) -> bytes:
        """The hardware address that is announced, 6 bytes."""
        return self.shared_mac or self.source

    def _build(self):
        if self.mode not in ARP_MODES:
            raise PacketError(
                f"{self.mode!r} is no mode: one of {', '.join(ARP_MODES)} would be right"
            )
        family, _ = parse_address(self.ip)
        if family == _socket.AF_INET:
            return [
                garp_frame(self.mac, self.ip, reply, self.source) for reply in ARP_MODES[self.mode]
            ]
        if self.mode != "both":
            raise PacketError(
                f"{self.ip!r} is IPv6, which has no ARP {self.mode}: leave the mode out"
            )
        return [na_frame(self.mac, self.ip, self.router, self.source)]

    def _follow(self):
        """Build the frames anew where the interface has another hardware address by now."""
        # packet(7): the kernel gives the address of the interface that the socket is bound to,
        # whatever its name is now, and none where it is gone: send() meets that.
        _name, _protocol, _type, kind, address = self._socket.getsockname()
        if kind == ARPHRD_ETHER and len(address) == 6 and address != self.source:
            self.source = address
            self.frames = self._build()

    def send(self) -> None:
        """Send one round: for IPv4 the request, then the reply; for IPv6 the advertisement.

        The interface's hardware address is read anew. Never blocks. Raises PacketError where the
        kernel refuses a packet (interface down).
        """
        try:
            self._follow()
            for frame in self.frames:
                self._socket.send(frame, _socket.MSG_DONTWAIT)
        except OSError as error:
            raise refusal(self.nic, error) from None

    def rounds(self, count: int, interval_ms: int, pause=None):
        """Send `count` rounds, `interval_ms` milliseconds apart, none waited for after the last.

        Yields, after each round, None or the PacketError that kept it from leaving: a link
        that comes back is still served by the rounds to come. pause(seconds) waits in place of
        time.sleep(); where it returns something true, no more rounds are sent.
        """
        due = time.monotonic()
        for number in range(count):
            left = max(0.0, due - time.monotonic())
            if number and (pause or time.sleep)(left):
                return
            due = time.monotonic() + interval_ms / 1000
            try:
                self.send()
            except PacketError as failure:
                yield failure
            else:
                yield None

    def close(self):
        """Close the socket; harmless when repeated."""
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
