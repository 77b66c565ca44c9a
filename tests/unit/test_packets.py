# SPDX-License-Identifier: GPL-2.0-only
"""The frames of the built-in sender: field by field by the RFCs, and against other senders'."""

import ipaddress
import os
import pathlib
import posix
import socket
import subprocess
import sys

import pytest

from ipaddr2_py import addresses
from ipaddr2_py.announce import packets
from ipaddr2_py.hand import announce as program

ROOT = pathlib.Path(__file__).resolve().parents[2]
CAPTURED = ROOT / "tests" / "data" / "packets"

MAC = bytes.fromhex("02005e100001")
CLUSTER_MAC = bytes.fromhex("01005e7f0001")
VIP = "192.0.2.50"
VIP6 = "2001:db8::50"


def captured(name):
    """The frames of a file in tests/data/packets."""
    return [bytes.fromhex(line) for line in (CAPTURED / name).read_text().split()]


def checksum_holds(frame):
    """RFC 1071 over pseudo header and ICMPv6, the receiver's way: the sum is all ones."""
    data = frame[22:54] + len(frame[54:]).to_bytes(4, "big") + b"\0\0\0\x3a" + frame[54:]
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at:at + 2], "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def without_flow_label(frame):
    return frame[:14] + bytes([frame[14] & 0xF0, 0, 0, 0]) + frame[18:]


@pytest.mark.parametrize(
    "reply, operation, target", [(False, 1, bytes(6)), (True, 2, MAC)], ids=["request", "reply"]
)
def test_garp_fields(reply, operation, target):
    frame = packets.garp_frame(MAC, VIP, reply=reply)
    vip = ipaddress.ip_address(VIP).packed
    assert len(frame) == 42
    assert frame[0:6] == b"\xff" * 6, "Ethernet destination: broadcast"
    assert frame[6:12] == MAC, "Ethernet source"
    assert frame[12:14] == b"\x08\x06", "EtherType: ARP"
    assert frame[14:16] == b"\x00\x01", "hardware type: Ethernet"
    assert frame[16:18] == b"\x08\x00", "protocol type: IPv4"
    assert frame[18] == 6 and frame[19] == 4, "address lengths"
    assert int.from_bytes(frame[20:22], "big") == operation
    assert frame[22:28] == MAC, "sender hardware address"
    assert frame[28:32] == vip, "sender protocol address"
    assert frame[32:38] == target, "target hardware address"
    assert frame[38:42] == vip, "target protocol address"


@pytest.mark.parametrize("router, flags", [(False, 0x20), (True, 0xA0)], ids=["host", "router"])
def test_na_fields(router, flags):
    frame = packets.na_frame(MAC, VIP6, router=router)
    vip = ipaddress.ip_address(VIP6).packed
    assert len(frame) == 14 + 40 + 32
    assert frame[0:6] == b"\x33\x33\x00\x00\x00\x01", "Ethernet destination: all nodes"
    assert frame[6:12] == MAC, "Ethernet source"
    assert frame[12:14] == b"\x86\xdd", "EtherType: IPv6"
    assert frame[14] >> 4 == 6, "version"
    assert int.from_bytes(frame[18:20], "big") == 32, "payload length"
    assert frame[20] == 58, "next header: ICMPv6"
    assert frame[21] == 255, "hop limit"
    assert frame[22:38] == vip, "source address"
    assert frame[38:54] == ipaddress.ip_address("ff02::1").packed, "destination address"
    assert frame[54] == 136 and frame[55] == 0, "type and code"
    assert checksum_holds(frame)
    assert frame[58] == flags, "router, solicited, override"
    assert frame[59:62] == b"\0\0\0", "reserved"
    assert frame[62:78] == vip, "target address"
    assert frame[78] == 2 and frame[79] == 1, "target link-layer address option, 8 octets"
    assert frame[80:86] == MAC


@pytest.mark.parametrize(
    "ip",
    ["2001:db8::", "fe80::1", "fff::ffff:ffff:ffff", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
)
def test_checksum_of_other_addresses(ip):
    assert checksum_holds(packets.na_frame(MAC, ip))
    assert checksum_holds(packets.na_frame(b"\xff" * 6, ip, router=True))


def test_checksum_example_of_rfc_1071():
    assert packets.internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_checksum_that_carries_once_more():
    assert packets.internet_checksum(b"\xff\xff\x00\x01") == 0xfffe


def test_as_send_arp():
    pair = [packets.garp_frame(MAC, VIP), packets.garp_frame(MAC, VIP, reply=True)]
    assert captured("send_arp.hex") == pair * 2


def test_as_send_arp_with_a_cluster_mac():
    ours = [packets.garp_frame(CLUSTER_MAC, VIP, reply, source=MAC) for reply in (False, True)]
    assert captured("send_arp_mac.hex") == ours


def test_as_arping():
    assert captured("arping_reply.hex") == [packets.garp_frame(MAC, VIP, reply=True)]
    (request,) = captured("arping_request.hex")
    assert request[32:38] == b"\xff" * 6, "where iputils differs from RFC 5227"
    assert request[:32] + bytes(6) + request[38:] == packets.garp_frame(MAC, VIP)


def test_as_send_ua():
    (theirs,) = captured("send_ua.hex")
    assert without_flow_label(theirs) == packets.na_frame(MAC, VIP6)


@pytest.mark.parametrize("name, router", [("kernel.hex", False), ("kernel_router.hex", True)])
def test_as_the_kernel(name, router):
    ours = [packets.garp_frame(MAC, VIP), packets.na_frame(MAC, VIP6, router)]
    assert captured(name) == ours


def test_na_carries_another_mac():
    frame = packets.na_frame(CLUSTER_MAC, VIP6, source=MAC)
    assert frame[6:12] == MAC and frame[80:86] == CLUSTER_MAC
    assert checksum_holds(frame)


def test_spelling_does_not_matter():
    assert packets.na_frame(MAC, "2001:DB8:0:0::0050") == packets.na_frame(MAC, VIP6)


@pytest.mark.parametrize("frame, ip", [(packets.garp_frame, VIP6), (packets.na_frame, VIP)])
def test_the_other_family_is_refused(frame, ip):
    with pytest.raises(packets.PacketError, match=ip):
        frame(MAC, ip)


@pytest.mark.parametrize(
    "ip",
    ["", "192.0.2", "192.0.2.050", "192.0.2.256", "192.0.2.5/24", "fe80::1%eth0", ":::", "host"]
    + ["1.2.3.4\0", "\u0661.2.3.4"]
    + ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"]
    + ["0.255.255.255", "127.255.255.255", "239.255.255.255"],
)
def test_what_is_no_address_of_a_host(ip):
    with pytest.raises(packets.PacketError) as refusal:
        packets.parse_address(ip)
    assert repr(ip) in str(refusal.value)


@pytest.mark.parametrize("ip", ["127.0.0.1", "ff02::1"])
def test_an_address_that_no_host_owns_is_told_apart(ip):
    with pytest.raises(packets.PacketError, match="only an address that one host owns"):
        packets.parse_address(ip)


@pytest.mark.parametrize("ip", ["1.0.0.0", "223.255.255.255", "240.0.0.1", "255.0.0.1",
                                "255.255.255.254", "126.0.0.1", "128.0.0.1", "fe80::1", "::2"])
def test_addresses_of_hosts(ip):
    assert packets.parse_address(ip)[1] == ipaddress.ip_address(ip).packed


@pytest.mark.parametrize("text", ["02:00:5e:10:00:01", "02-00-5E-10-00-01"])
def test_parse_mac(text):
    assert packets.parse_mac(text) == MAC
    assert addresses.mac_text(MAC) == "02:00:5e:10:00:01"


@pytest.mark.parametrize("text", ["", "02:00:5e:10:00", "02:00:5e:10:00:01:02", "02005e100001",
                                  "zz" * 6,
                                  "2:00:5e:10:00:01", "02:00:5e:10:00:0\u0661"])
def test_what_is_no_mac(text):
    with pytest.raises(packets.PacketError, match="Ethernet address"):
        packets.parse_mac(text)


@pytest.mark.parametrize("nic", ["", "a" * 16, "a\0b", "\udcff"])
def test_what_is_no_interface_name(nic):
    with pytest.raises(packets.PacketError, match="interface name"):
        packets.hardware_address(nic)


def test_a_missing_interface():
    with pytest.raises(packets.PacketError, match="no interface 'nosuchnic0'"):
        packets.hardware_address("nosuchnic0")


def kernel(monkeypatch, kind, address, flags=0x1043, sent=None):
    """Answers for interface ib0 in place of the kernel (netdevice(7), struct ifreq; packet(7))."""
    long = "ib0".ljust(packets.NAME_LIMIT, "x")
    flags = flags.to_bytes(2, sys.byteorder).ljust(24, b"\0")
    hardware = kind.to_bytes(2, sys.byteorder) + address.ljust(14, b"\0")[:14] + b"\xff" * 8

    def answer(_descriptor, request, name):
        assert name.rstrip(b"\0") in (b"ib0", b"i", long.encode()) and len(name) == 40
        return b"ib0".ljust(16, b"\0") + {0x8913: flags, 0x8927: hardware}[request]

    monkeypatch.setattr(packets.fcntl, "ioctl", answer)


@pytest.mark.parametrize(
    "kind, text",
    [(32, "InfiniBand"), (778, r"no Ethernet address \(hardware type 778")],
)
def test_hardware_other_than_ethernet(monkeypatch, kind, text):
    """No namespace has InfiniBand: it is told of as before, and never taken for a tunnel."""
    kernel(monkeypatch, kind, b"\x80" * 20)
    for ask in (lambda: packets.hardware_address("ib0"), lambda: packets.Announcer("ib0", VIP)):
        with pytest.raises(packets.PacketError, match="'ib0' .*" + text) as refusal:
            ask()
        assert not isinstance(refusal.value, packets.NothingToTell)


@pytest.mark.parametrize(
    "kind, address, flags, text",
    [(772, b"", 0x49, "loopback"), (65534, b"", 0x10D1, "no hardware address"),
     (1, MAC, 0x10C3, "no hardware address"), (32, b"\x80" * 20, 0x10C3, "no hardware address"),
     (1, b"", 0x1043, "no hardware address"), (776, b"\xc0\0\2\1", 0xC1, "no hardware address")],
    ids=["lo", "tun", "NOARP", "InfiniBand-NOARP", "zero", "sit"],
)
def test_nobody_asks_for_a_hardware_address(monkeypatch, kind, address, flags, text):
    kernel(monkeypatch, kind, address, flags)
    with pytest.raises(packets.NothingToTell, match="'ib0' .*" + text):
        packets.hardware_address("ib0")


def test_an_ethernet_interface(monkeypatch):
    kernel(monkeypatch, 1, MAC)
    for name in ("ib0", "i", "ib0".ljust(15, "x")):
        assert packets.hardware_address(name) == MAC


class Wire:
    """Stands in for the packet socket: its interface has the address `mac` (packet(7))."""

    def __init__(self):
        self.mac, self.kind, self.sent = MAC, 1, []
        self.failing, self.closed = None, 0

    def bind(self, place):
        assert place == ("ib0", 0)
        if self.failing == "bind":
            raise OSError(1, "Operation not permitted")

    def getsockname(self):
        return ("renamed", 0, 0, self.kind, self.mac)

    def send(self, frame, flags):
        assert flags == socket.MSG_DONTWAIT
        if self.failing == "send":
            raise OSError(100, "Network is down")
        self.sent.append(frame)

    def close(self):
        self.closed += 1

    def fileno(self):
        return -1


@pytest.fixture(name="wire")
def fixture_wire(monkeypatch):
    kernel(monkeypatch, 1, MAC)
    made = Wire()
    wanted = ((socket.AF_INET, socket.SOCK_DGRAM, 0),           # to ask for the address, and
              (socket.AF_PACKET, socket.SOCK_RAW, 0))           # one that receives nothing
    monkeypatch.setattr(packets._socket, "socket",
                        lambda *words: made if words in wanted else None)
    monkeypatch.setattr(packets, "is_router", lambda nic: nic == "ib0")
    return made


@pytest.mark.parametrize("ip", [VIP, VIP6])
@pytest.mark.parametrize("mac", [None, CLUSTER_MAC])
def test_each_round_reads_the_hardware_address(wire, ip, mac):
    announcer = packets.Announcer("ib0", ip, mac=mac and addresses.mac_text(mac))
    announcer.send()
    before, wire.sent = wire.sent, []
    wire.mac = bytes.fromhex("020000000007")
    announcer.send()
    old, new = MAC if mac is None else mac, wire.mac if mac is None else mac
    assert announcer.mac == new
    if ip == VIP:
        assert before == [packets.garp_frame(old, VIP, reply, MAC) for reply in (False, True)]
        assert wire.sent == [packets.garp_frame(new, VIP, reply, wire.mac)
                             for reply in (False, True)]
    else:
        assert before == [packets.na_frame(old, VIP6, True, MAC)]
        assert wire.sent == [packets.na_frame(new, VIP6, True, wire.mac)]


@pytest.mark.parametrize("mode, replies", [("request", [False]), ("reply", [True]),
                                           ("both", [False, True])])
def test_the_modes_of_arp(wire, mode, replies):
    packets.Announcer("ib0", VIP, mode).send()
    assert wire.sent == [packets.garp_frame(MAC, VIP, reply) for reply in replies]


def test_who_is_no_router_does_not_say_so(wire, monkeypatch):
    monkeypatch.setattr(packets, "is_router", lambda _nic: False)
    packets.Announcer("ib0", VIP6).send()
    assert wire.sent == [packets.na_frame(MAC, VIP6, False)]


def test_frames_are_built_once_for_an_address(wire):
    announcer = packets.Announcer("ib0", VIP)
    frames = announcer.frames
    announcer.send()
    assert announcer.frames is frames


@pytest.mark.parametrize("kind, address", [(0, b""), (65534, b""), (1, b""), (1, MAC[:5]),
                                           (65534, bytes.fromhex("020000000007"))])
def test_an_interface_that_has_gone_is_met_by_the_sending(wire, kind, address):
    announcer = packets.Announcer("ib0", VIP)
    wire.kind, wire.mac = kind, address
    announcer.send()
    assert [frame[6:12] for frame in wire.sent] == [MAC, MAC]


def test_a_socket_that_is_refused(wire):
    wire.failing = "bind"
    with pytest.raises(packets.PacketError, match="CAP_NET_RAW"):
        packets.Announcer("ib0", VIP)
    assert wire.closed == 2         # the one that asked for the hardware address as well


@pytest.mark.parametrize("ip, mode", [(VIP, "neither"), (VIP6, "reply"), (VIP6, "request")])
def test_a_mode_that_cannot_be(wire, ip, mode):
    with pytest.raises(packets.PacketError, match=mode):
        packets.Announcer("ib0", ip, mode)


def test_a_link_that_comes_back_is_served(wire, monkeypatch):
    """Each round that fails is told of; none is waited for after the last."""
    slept = []
    monkeypatch.setattr(packets.time, "sleep", slept.append)
    with packets.Announcer("ib0", VIP6) as announcer:
        found = []
        for problem in announcer.rounds(3, 5000):
            found.append(problem)
            wire.failing = None if problem or len(found) > 1 else "send"
        assert wire.closed == 1
    assert [str(problem) for problem in found] == [
        "None", "the interface 'ib0' is down: set it up first", "None"]
    assert len(wire.sent) == 2 == len(slept) and wire.closed == 2
    assert list(announcer.rounds(1, 0)) == [None] and len(slept) == 2


@pytest.mark.parametrize("text, router", [
    ("1\n", True), ("2\n", True), ("0\n", False), ("", False), (None, False)])
def test_who_is_a_router(monkeypatch, tmp_path, text, router):
    """As the kernel's setting of the interface has it; not without IPv6."""
    real, path = posix.open, tmp_path / "forwarding"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(packets.posix, "open", lambda name, flags: real(
        str(path) if name == "/proc/sys/net/ipv6/conf/ib0/forwarding" else "/no/such", flags))
    before = os.listdir("/proc/self/fd")
    assert packets.is_router("ib0") is router
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_setting_that_cannot_be_read(monkeypatch, tmp_path):
    monkeypatch.setattr(packets.posix, "open", lambda _name, flags: os.open(tmp_path, flags))
    assert packets.is_router("ib0") is False


@pytest.mark.parametrize("over, sent", [([], 4), ([False, True], 2), ([True], 1)])
def test_rounds_wait_as_they_are_told_to(wire, over, sent):
    waited = []

    def pause(seconds):
        waited.append(seconds)
        return over[len(waited) - 1] if over else None

    announcer = packets.Announcer("ib0", VIP6)
    assert list(announcer.rounds(4, 5000, pause)) == [None] * sent
    assert len(wire.sent) == sent and len(waited) == (len(over) or 3)
    assert all(4.5 < seconds <= 5 for seconds in waited)


def test_import_is_cheap():
    """Small C modules, and what a monitor has loaded."""
    lean = "posix sys time errno fcntl _socket _struct ipaddr2_py ipaddr2_py.announce".split() + [
        "ipaddr2_py." + name for name in ("announce.packets", "addresses", "commands", "children")]
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1])\n"
        "import ipaddr2_py.announce.packets; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code, str(ROOT)],
        stdout=subprocess.PIPE,
        universal_newlines=True,
        check=True,
    )
    assert set(done.stdout.split()) <= set(lean)


# --- bin/announce ----------------------------------------------------------------------------


def test_the_command_line_has_the_agents_defaults():
    options = program.arguments(["eth0", VIP])
    assert (options.count, options.interval, options.mode) == (5, 200, "both")
    assert not options.force and not options.quiet
    options = program.arguments(["-c", "0" * 5000 + "7", "-i", "0000000000000", "eth0", VIP])
    assert (options.count, options.interval) == (7, 0)
    assert program.arguments(["-A", "eth0", VIP]).mode == "reply"
    assert program.arguments(["-U", "eth0", VIP]).mode == "request"


@pytest.mark.parametrize(
    "argv, text",
    [
        ([], "NIC, IP"),
        (["eth0"], "IP"),
        (["eth0", VIP, "more"], "more"),
        (["-c", "0", "eth0", VIP], "'0' is not a number of rounds from 1 to 1000000000"),
        (["-c", "0000", "eth0", VIP], "'0000'"),
        (["-c", "", "eth0", VIP], "''"),
        (["-c", "1000000001", "eth0", VIP], "1000000001"),
        (["-c", "+5", "eth0", VIP], "'+5'"),
        (["-c", "1_0", "eth0", VIP], "'1_0'"),
        (["-c", "9" * 9999, "eth0", VIP], "rounds"),
        (["-i", "-1", "eth0", VIP], "-i"),
        (["-i", "0.5", "eth0", VIP], "'0.5' is not a number of milliseconds from 0 to 1000000000"),
        (["-A", "-U", "eth0", VIP], "-A"),
        (["--forc", "eth0", VIP], "--forc"),
        (["eth0", "192.0.2.50/24"], "'192.0.2.50/24'"),
        (["-A", "eth0", VIP6], "-A and -U"),
        (["-U", "eth0", VIP6], "-A and -U"),
        (["--mac", "01:00:5e", "eth0", VIP], "01:00:5e"),
        (["--mac", "", "eth0", VIP], "''"),
    ],
)
def test_wrong_use_is_2(capsys, argv, text):
    try:
        code = program.main(argv)
    except SystemExit as ending:
        code = ending.code
    assert code == 2
    said = capsys.readouterr()
    assert text in said.err and not said.out


@pytest.mark.parametrize(
    "line, nic, name",
    [
        ("7: eth0@if6: <UP> mtu 1500", "eth0", "eth0"),
        ("7: eth0: <UP> mtu 1500", "eth0", "eth0"),
        ("7: eth0@if6: <UP> mtu 1500", "alternative", "eth0"),
        ("7: a@b@if6: <UP> mtu 1500", "a@b", "a@b"),
    ],
)
def test_link_name(line, nic, name):
    assert program.link_name(line, nic) == name


def run_announce(*argv, **options):
    return subprocess.run(
        [str(ROOT / "bin" / "vipctl"), "announce", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=30,
        **options
    )


def test_help_answers_what_an_admin_asks():
    done = run_announce("--help")
    assert done.returncode == 0 and not done.stderr
    for word in ("-c COUNT", "-i MS", "-A", "-U", "--force", "NIC", "IP", "IPv6", "Exit status"):
        assert word in done.stdout


def test_runs_through_a_link_from_anywhere(tmp_path):
    link = tmp_path / "announce"
    link.symlink_to(ROOT / "bin" / "vipctl")
    done = subprocess.run([str(link), "--help"], cwd="/", stdout=subprocess.PIPE, check=True)
    assert b"usage: vipctl" in done.stdout


def test_a_copy_without_its_package_says_so(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    copy = folder / "announce"
    copy.write_bytes((ROOT / "bin" / "vipctl").read_bytes())
    done = subprocess.run(
        [sys.executable, "-IS", str(copy), "eth0", VIP],
        stderr=subprocess.PIPE,
        universal_newlines=True,
        check=False,
    )
    assert done.returncode == 1
    assert "package ipaddr2_py" in done.stderr and "Traceback" not in done.stderr
