# SPDX-License-Identifier: GPL-2.0-only
"""What arrives on a wire: a recorder for a namespace's interface, and two small parsers."""

import errno
import ipaddress
import socket
import struct

from .namespaces import in_namespace

ETH_P_ALL = 3


class Recorder:
    """Keeps the frames that an interface receives, from now on until close()."""

    def __init__(self, namespace, dev):
        self._socket = in_namespace(namespace, lambda: socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
        self._socket.bind((dev, ETH_P_ALL))
        self._socket.setblocking(False)
        self._frames = []

    def frames(self):
        """All frames so far, as bytes."""
        while True:
            try:
                frame, source = self._socket.recvfrom(2048)
            except BlockingIOError:
                return list(self._frames)
            except OSError as problem:      # told once, after the interface was down
                if problem.errno != errno.ENETDOWN:
                    raise
                continue
            if source[2] != socket.PACKET_OUTGOING:
                self._frames.append(frame)

    def arps(self, ip):
        """ARP packets whose sender is `ip`: see arp()."""
        found = [arp(frame) for frame in self.frames()]
        return [packet for packet in found if packet and packet["sender"] == ip]

    def advertisements(self, ip):
        """Neighbour advertisements of `ip`: see advertisement()."""
        found = [advertisement(frame) for frame in self.frames()]
        return [packet for packet in found if packet and packet["target"] == ip]

    def close(self):
        self._socket.close()


def _mac(octets):
    return ":".join("%02x" % octet for octet in octets)


def arp(frame):
    """An Ethernet frame -> {"op": 1|2, "mac", "sender", "target", "to"}, None where it is no ARP.

    RFC 826: op 1 asks, 2 answers; mac is the hardware address the sender claims, `to` the frame's.
    """
    if frame[12:14] != b"\x08\x06" or len(frame) < 42:
        return None
    op, mac, sender, _, target = struct.unpack("!H6s4s6s4s", frame[20:42])
    return {"op": op, "mac": _mac(mac), "sender": socket.inet_ntoa(sender),
            "target": socket.inet_ntoa(target), "to": _mac(frame[:6])}


def advertisement(frame):
    """An Ethernet frame -> {"target", "mac", "override", "to"}, None where it is not one.

    RFC 4861, 4.4: ICMPv6 type 136; mac is the target link-layer address option, "" without it.
    """
    if frame[12:14] != b"\x86\xdd" or frame[20] != 58 or frame[54] != 136:
        return None
    option = frame[78:86]
    return {"target": str(ipaddress.ip_address(frame[62:78])),
            "mac": _mac(option[2:8]) if option[:2] == b"\x02\x01" else "",
            "override": bool(frame[58] & 0x20), "to": _mac(frame[:6])}
