# SPDX-License-Identifier: GPL-2.0-only
"""Every sender that can be installed, byte for byte, as the neighbour receives it.

The arping that arp_sender=libnet_arping means is Debian's package arping, which conflicts with
iputils-arping: bin/test unpacks it below .venv/ without installing it.
"""

import ipaddress
import pathlib
import struct

import pytest

from tests.conftest import lacking
from tests.lab.state import ip, links, neighbours, wait_until

VIP = "192.0.2.50"
VIP6 = "2001:db8::50"
STALE = "02:00:00:00:00:99"
UNPACKED = pathlib.Path(__file__).resolve().parents[2] / ".venv/arping/usr/sbin"
BROADCAST = b"\xff" * 6
REQUEST, REPLY = 1, 2

#: arp_sender, send_arp_opts, and for each round (operation, what stands as target hardware
#: address): "own", "any" (all ones) or "none" (zero; RFC 826 gives it no meaning in a request).
SENDERS = [
    ("builtin", "", [(REQUEST, "none"), (REPLY, "own")]),
    ("builtin", "-U", [(REQUEST, "none")]),
    ("builtin", "-A", [(REPLY, "own")]),
    ("send_arp", "", [(REQUEST, "none"), (REPLY, "own")]),
    ("iputils_arping", "", [(REQUEST, "any")]),
    ("iputils_arping", "-A", [(REPLY, "own")]),
    ("libnet_arping", "", [(REQUEST, "any")]),
    ("libnet_arping", "-P", [(REPLY, "any")]),
]


@pytest.fixture(name="path")
def path_of_senders(need):
    """A function that gives the PATH on which `arping` is the one that a sender means."""

    def choose(sender):
        usual = "/usr/sbin:/usr/bin:/sbin:/bin"
        if sender == "libnet_arping":
            if not (UNPACKED / "arping").exists():
                lacking("the arping by Thomas Habets is not at hand (bin/test unpacks it)")
            return "%s:%s" % (UNPACKED, usual)
        if sender == "iputils_arping":
            need("arping", "iputils-arping")
        return usual

    return choose


def mac_of(pair):
    return links(pair.node)[pair.nic]["address"]


def arp_frame(mac, operation, target):
    """RFC 826 in RFC 894's frame: a gratuitous ARP packet, sender and target both the VIP."""
    vip = ipaddress.ip_address(VIP).packed
    target = {"own": mac, "any": BROADCAST, "none": bytes(6)}[target]
    return (BROADCAST + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, operation)
            + mac + vip + target + vip)


def sent_about(recorder, vip):
    """The frames of ARP or ICMPv6 type 136 that name the VIP."""
    wanted = ipaddress.ip_address(vip).packed
    return [frame for frame in recorder.frames()
            if (frame[12:14] == b"\x08\x06" and frame[28:32] == wanted)
            or (frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136
                and frame[62:78] == wanted)]


@pytest.mark.slow
@pytest.mark.parametrize("sender, options, expected", SENDERS,
                         ids=["%s%s" % (sender, options) for sender, options, _ in SENDERS])
def test_gratuitous_arp(pair, agent, recorder, path, sender, options, expected):
    ip(pair.neighbour, "neigh", "replace", VIP, "lladdr", STALE, "dev", "eth0", "nud", "stale")
    done = agent("start", ip=VIP, arp_sender=sender, send_arp_opts=options, arp_count=2,
                 arp_bg="false", env={"PATH": path(sender)})
    assert done.rc == 0, done
    mac = bytes.fromhex(mac_of(pair).replace(":", ""))
    wanted = [arp_frame(mac, *kind) for kind in expected] * 2
    wait_until(lambda: len(sent_about(recorder, VIP)) >= len(wanted), "the frames")
    found = sorted(sent_about(recorder, VIP))
    assert [frame[:42].hex() for frame in found] == [frame.hex() for frame in sorted(wanted)]
    assert all(not any(frame[42:]) for frame in found), "padding is zero"
    wait_until(lambda: neighbours(pair.neighbour)[VIP].get("lladdr") == mac_of(pair),
               "the neighbour's new entry")


@pytest.mark.parametrize("sender", ["", "builtin"])
def test_unsolicited_neighbour_advertisement(pair, agent, recorder, sender):
    done = agent("start", ip=VIP6, nodad="true", arp_sender=sender, arp_count=2)
    assert done.rc == 0, done
    frames = sent_about(recorder, VIP6)
    assert len(frames) == 2
    mac = bytes.fromhex(mac_of(pair).replace(":", ""))
    vip = ipaddress.ip_address(VIP6).packed
    everyone = ipaddress.ip_address("ff02::1").packed
    for frame in frames:
        assert frame[:14] == b"\x33\x33\0\0\0\x01" + mac + b"\x86\xdd"
        assert frame[14] >> 4 == 6, "IPv6"
        assert frame[18:22] == struct.pack("!HBB", 32, 58, 255), "RFC 4861, 7.1.2: hop limit 255"
        assert frame[38:54] == everyone
        assert frame[22:38] == vip, "sent from the address itself"
        message = frame[54:86]
        assert message[:2] == b"\x88\0"
        assert message[4:8].hex() == "20000000", "RFC 4861, 7.2.6: override, not solicited"
        assert message[8:] == vip + b"\x02\x01" + mac
        assert checksum(frame[22:54] + struct.pack("!II", 32, 58) + message) == 0xffff
        assert len(frame) == 86


def checksum(data):
    """One's complement sum of the 16 bit words: ffff where it includes a right checksum."""
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total
