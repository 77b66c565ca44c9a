# SPDX-License-Identifier: GPL-2.0-only
"""Does another host answer for the address?  A monitor with OCF_CHECK_LEVEL=10 asks the link.

IPv4 is asked for by an ARP probe (RFC 5227, 2.1.1), whose sender address is 0.0.0.0, IPv6 by a
neighbour solicitation (RFC 4861, 4.3) from the interface's link-local address.  No neighbour learns
another place of the address by either.  It would by a solicitation from the unspecified address, as
detection sends it: whoever has the address answers that to all nodes, to be believed (7.2.4).
"""

import _socket
import time
from _struct import pack

from .. import addresses
from ..addresses import Unreadable, address_bytes, mac_text
from ..ocf import ocf_exit_reason, ocf_log
from . import packets
from .packets import PacketError

WAIT = 0.2                  # seconds that an answer is waited for
IFF_RUNNING = 0x40          # netdevice(7): there is a link
NEIGHBOUR_SOLICITATION = 135
SOURCE_LINK_LAYER_OPTION = 1
SOLICITED_NODE = b"\xff\x02" + bytes(9) + b"\x01\xff"       # RFC 4291, 2.7.1
LONGEST = 128               # bytes of a frame that are looked at
SO_ATTACH_FILTER = 26       # socket(7)
#: What takes neighbour advertisements alone, in classic BPF: each a struct sock_filter of
#: linux/filter.h (code, steps to skip if true, if false, value).
ADVERTISEMENTS = (
    (0x30, 0, 0, 20), (0x15, 0, 3, packets.ICMPV6),                     # next header
    (0x30, 0, 0, 54), (0x15, 0, 1, packets.NEIGHBOUR_ADVERTISEMENT),    # ICMPv6's type
    (0x06, 0, 0, LONGEST), (0x06, 0, 0, 0))


def is_told(vip) -> bool:
    """Whether another host answers for the served address; the reason is told then.

    Where nobody can be asked, none does: a shared address is answered for by its other nodes.
    """
    try:
        mac = None if vip.bucket or not has_link(vip.nic) else ask(vip)
    except packets.NothingToTell:
        return False
    except (PacketError, Unreadable) as problem:
        ocf_log("warn", f"nobody was asked whether another host has {vip.ip} too: {problem}")
        return False
    if mac:
        ocf_exit_reason(f"IPv{'6' if vip.family == 'inet6' else '4'} address collision: another "
                        f"host answers for {vip.ip} on {vip.nic}, from {mac_text(mac)}")
    return mac is not None


def has_link(nic: str) -> bool:
    """Whether interface `nic` is up and has a link, as far as that can be told."""
    flags = addresses.interface_flags(nic)
    return flags is not None and flags & IFF_RUNNING != 0


def ask(vip):
    """Ask the link for the address; the hardware address (6 bytes) of another host that answers
    within WAIT seconds, None where none does.  Raises PacketError, Unreadable."""
    own = packets.hardware_address(vip.nic)
    address = address_bytes(vip.ip, vip.family)
    if vip.family == "inet6":
        question = solicitation(own, address_bytes(link_local(vip), "inet6"), address)
    else:
        question = probe(own, address)
    try:
        asking = opened(vip)
        try:
            asking.send(question, _socket.MSG_DONTWAIT)
            return foreign(asking, own, address, time.monotonic() + WAIT)
        finally:
            asking.close()
    except OSError as error:
        raise packets.refusal(vip.nic, error) from None


# --- the question ----------------------------------------------------------------------------


def probe(mac: bytes, address: bytes) -> bytes:
    """The ARP probe for an IPv4 address (4 bytes): a request whose sender has none."""
    return packets.arp_frame(mac, packets.ARP_REQUEST, mac, bytes(4), bytes(6), address)


def solicitation(mac: bytes, source: bytes, address: bytes) -> bytes:
    """The neighbour solicitation for an IPv6 address (16 bytes), from `source`."""
    body = pack("!4x16sBB6s", address, SOURCE_LINK_LAYER_OPTION, 1, mac)
    return packets.neighbour_frame(mac, NEIGHBOUR_SOLICITATION, source,
                                   SOLICITED_NODE + address[-3:], body)


def link_local(vip) -> str:
    """A link-local address of the VIP's interface, other than the VIP.

    Raises PacketError where there is none that can be used, Unreadable where `ip` does not say.
    """
    words = ["-o", "-f", "inet6", "addr", "show", "dev", vip.nic, "scope", "link"]
    result = addresses.ip_query(words)
    if result.rc:
        raise Unreadable(addresses.failure(words, result))
    for held in addresses.parse_addresses(result.out):
        if held.ip != vip.ip and "tentative" not in held.flags and "dadfailed" not in held.flags:
            return held.ip
    raise PacketError(f"{vip.nic!r} has no link-local address to ask from")


# --- the answer ------------------------------------------------------------------------------


def opened(vip):
    """A packet socket on the VIP's interface, for ARP or for neighbour advertisements."""
    # Protocol 0: nothing arrives until it is bound, behind the filter.
    asking = _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW, 0)
    try:
        if vip.family == "inet6":
            only_advertisements(asking)
            asking.bind((vip.nic, packets.ETHERTYPE_IPV6))
        else:
            asking.bind((vip.nic, packets.ETHERTYPE_ARP))
    except OSError:
        asking.close()
        raise
    return asking


def only_advertisements(asking) -> None:
    """Have the kernel hand over neighbour advertisements alone, and the beginnings of them: on a
    busy link the rest of IPv6 would keep this process busy too."""
    from array import array     # loads collections as well: 4 ms that IPv4 does without

    code = array("B", b"".join(pack("=HBBI", *step) for step in ADVERTISEMENTS))
    asking.setsockopt(_socket.SOL_SOCKET, SO_ATTACH_FILTER,
                      pack("@HP", len(ADVERTISEMENTS), code.buffer_info()[0]))


def foreign(asking, own: bytes, address: bytes, end: float):
    """The first hardware address that tells of the address until then and is none of this host's,
    None without one; own is that of the interface."""
    while time.monotonic() < end:
        asking.settimeout(max(0.001, end - time.monotonic()))
        try:
            frame, (_nic, _protocol, kind, *_) = asking.recvfrom(LONGEST)
        except _socket.timeout:
            return None
        # Where a VLAN has no interface here, its frames come as another host's (PACKET_OTHERHOST).
        if kind > _socket.PACKET_MULTICAST:
            continue
        mac = claimant(frame, address)
        if mac not in (None, own) and mac not in own_macs():
            return mac
    return None


def claimant(frame: bytes, address: bytes):
    """The hardware address that has the address by an ARP or neighbour advertisement frame; None
    where it does not tell of that address.

    Any ARP whose sender has the address counts (RFC 5227, 2.4); a probe's sender has none.
    """
    if len(address) == 4:
        says = frame[12:14] == b"\x08\x06" and frame[16:20] == b"\x08\x00\x06\x04" \
            and frame[28:32] == address
        return frame[22:28] if says else None
    # RFC 4861, 7.1.2: a hop limit of 255 is a neighbour's.
    says = frame[12:14] == b"\x86\xdd" and frame[20:22] == bytes((packets.ICMPV6,
                                                                  packets.HOP_LIMIT)) \
        and frame[54:56] == bytes((packets.NEIGHBOUR_ADVERTISEMENT, 0)) \
        and frame[62:78] == address
    if not says:
        return None
    option = frame[78:86]
    return option[2:] if option[:2] == bytes((packets.TARGET_LINK_LAYER_OPTION, 1)) \
        and len(option) == 8 else frame[6:12]


def own_macs() -> set:
    """The hardware addresses of this host's interfaces: a second port of it answers as well, and
    a bridge may send a frame back."""
    found = set()
    for _index, nic in _socket.if_nameindex():
        try:
            found.add(packets.hardware_address(nic))
        except PacketError:
            pass                # lo, a tunnel
    return found
