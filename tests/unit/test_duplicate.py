# SPDX-License-Identifier: GPL-2.0-only
"""Does another host answer?  The questions byte for byte, what is an answer, and who is asked."""

import socket

import pytest

from ipaddr2_py.announce import duplicate, packets
from tests.unit.scenes import ON_ETH0, ON_ETH0_6, SHOW4, SHOW6
from tests.unit.test_packets import MAC, VIP, VIP6, captured, checksum_holds

THEIRS = bytes.fromhex("02005e100002")
SECOND = bytes.fromhex("02005e100007")          # another interface of this host
LINK6 = "ip -o -f inet6 addr show dev eth0 scope link"


def packed(ip):
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)


# --- the questions ---------------------------------------------------------------------------


def test_probe():
    """RFC 5227, 2.1.1, on the frame of RFC 826."""
    assert duplicate.probe(MAC, packed(VIP)) == bytes.fromhex(
        "ffffffffffff 02005e100001 0806"            # broadcast
        "0001 0800 06 04 0001"                      # Ethernet, IPv4, lengths, request
        "02005e100001 00000000"                     # sender, whose address is not told
        "000000000000 c0000232")                    # target 192.0.2.50


def test_probe_as_arping():
    (theirs,) = captured("arping_probe.hex")
    assert theirs[32:38] == b"\xff" * 6, "where iputils differs from RFC 5227"
    assert theirs[:32] + bytes(6) + theirs[38:] == duplicate.probe(MAC, packed(VIP))


def test_solicitation():
    """RFC 4861, 4.3, to the solicited-node group of RFC 4291, 2.7.1."""
    frame = duplicate.solicitation(MAC, packed("fe80::1"), packed(VIP6))
    assert frame == bytes.fromhex(
        "3333ff000050 02005e100001 86dd"
        "60000000 0020 3a ff"                       # 32 bytes of ICMPv6, hop limit 255
        "fe800000000000000000000000000001"
        "ff0200000000000000000001ff000050"
        "87 00 ecb2 00000000"                       # type, code, checksum, reserved
        "20010db8000000000000000000000050"          # target
        "01 01 02005e100001")                       # source link-layer address option
    assert checksum_holds(frame)


def test_solicitation_as_the_kernel():
    assert captured("kernel_question.hex") == [
        duplicate.solicitation(MAC, packed("fe80::1"), packed("fe80::50"))]


# --- what counts as an answer ----------------------------------------------------------------


def arp(sender, operation=2):
    return packets.arp_frame(THEIRS, operation, THEIRS, packed(sender), MAC, packed("192.0.2.1"))


def changed(frame, at, *octets):
    return frame[:at] + bytes(octets) + frame[at + len(octets):]


NA = packets.na_frame(THEIRS, VIP6)
OPTION_OF_SECOND = packets.na_frame(SECOND, VIP6, source=THEIRS)
DECISIONS = {
    "ARP reply": (VIP, arp(VIP), THEIRS),
    "ARP request from the address": (VIP, arp(VIP, 1), THEIRS),
    "gratuitous request": (VIP, packets.garp_frame(THEIRS, VIP), THEIRS),
    "gratuitous reply": (VIP, packets.garp_frame(THEIRS, VIP, reply=True), THEIRS),
    "told for another MAC": (VIP, packets.garp_frame(SECOND, VIP, source=THEIRS), SECOND),
    "padded to 60 bytes": (VIP, arp(VIP) + bytes(18), THEIRS),
    "kernel's ARP reply": (VIP, captured("kernel_answer.hex")[0], THEIRS),
    "another's probe": (VIP, duplicate.probe(THEIRS, packed(VIP)), None),
    "of another address": (VIP, arp("192.0.2.51"), None),
    "cut off": (VIP, arp(VIP)[:30], None),
    "other lengths": (VIP, changed(arp(VIP), 18, 8), None),
    "not IPv4": (VIP, changed(arp(VIP), 16, 0x86, 0xdd), None),
    "not ARP": (VIP, changed(arp(VIP), 12, 8, 0), None),
    "nothing": (VIP, b"", None),
    "advertisement": (VIP6, NA, THEIRS),
    "option goes before source": (VIP6, OPTION_OF_SECOND, SECOND),
    "padded behind the option": (VIP6, OPTION_OF_SECOND + bytes(4), SECOND),
    "without an option": (VIP6, NA[:78], THEIRS),
    "another option": (VIP6, changed(NA, 78, 14), THEIRS),
    "option of another length": (VIP6, changed(NA, 79, 2), THEIRS),
    "option cut off": (VIP6, NA[:82], THEIRS),
    "kernel's advertisement": ("fe80::50", captured("kernel_answer.hex")[1], THEIRS),
    "target is another": (VIP6, packets.na_frame(THEIRS, "2001:db8::51"), None),
    "solicitation": (VIP6, duplicate.solicitation(THEIRS, packed("fe80::2"), packed(VIP6)), None),
    "code is not 0": (VIP6, changed(NA, 55, 1), None),
    "a router forwarded it": (VIP6, changed(NA, 21, 254), None),
    "not ICMPv6": (VIP6, changed(NA, 20, 17), None),
    "not IPv6": (VIP6, changed(NA, 12, 8, 0), None),
    "nothing of IPv6": (VIP6, b"", None),
}


@pytest.mark.parametrize("what", DECISIONS)
def test_claimant(what):
    ip, frame, mac = DECISIONS[what]
    assert duplicate.claimant(frame, packed(ip)) == mac


def test_the_kernel_hands_over_advertisements_alone():
    """On a pair of sockets that are no packet sockets: the filter is the same for any."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        duplicate.only_advertisements(ours)
        for frame in (arp(VIP), DECISIONS["solicitation"][1], changed(NA, 20, 6), NA[:54],
                      NA + bytes(1000)):
            theirs.send(frame)
        ours.setblocking(False)
        assert ours.recv(2000) == (NA + bytes(1000))[:duplicate.LONGEST]
        with pytest.raises(BlockingIOError):
            ours.recv(2000)


# --- the listening ---------------------------------------------------------------------------


class Wire:
    """Stands in for the packet socket: told frames and what kind each is, then silence."""

    def __init__(self, clock, *frames):
        self.clock = clock
        self.frames = list(frames)
        self.sent, self.bound, self.closed, self.failing = [], None, False, {}
        self.filtered = False

    def bind(self, place):
        self.fail("bind")
        self.bound = place

    def setsockopt(self, _level, option, _value):
        assert option == duplicate.SO_ATTACH_FILTER and not self.bound
        self.filtered = True

    def fail(self, what):
        if what in self.failing:
            raise OSError(self.failing[what], "no")

    def send(self, frame, _flags):
        self.fail("send")
        self.sent.append(frame)

    def settimeout(self, seconds):
        self.seconds = seconds

    def recvfrom(self, _length):
        self.fail("recvfrom")
        if not self.frames:
            self.clock.now += self.seconds
            raise socket.timeout
        frame, kind = self.frames.pop(0)
        self.clock.now += 0.01
        return frame, ("eth0", 0x0806, kind, 1, b"")

    def close(self):
        self.closed = True


@pytest.fixture
def wire(host, clock, monkeypatch):
    made = Wire(clock)
    wanted = socket.AF_PACKET, socket.SOCK_RAW, 0       # 0: nothing arrives before it is bound
    monkeypatch.setattr(duplicate._socket, "socket",
                        lambda *words: made if words == wanted else None)
    monkeypatch.setattr(duplicate.addresses, "interface_flags", lambda _nic: 0x1043)
    monkeypatch.setattr(duplicate._socket, "if_nameindex", lambda: [(2, "eth0"), (3, "eth1")])
    monkeypatch.setattr(packets, "hardware_address", {"eth0": MAC, "eth1": SECOND}.get)
    return made


@pytest.mark.parametrize("frames, mac", [
    ([], None),
    ([(arp(VIP), 0)], THEIRS),
    ([(arp(VIP), 1)], THEIRS),
    ([(arp(VIP), 2)], THEIRS),                                  # multicast
    ([(arp(VIP), 3)], None),                                    # of a VLAN that is not ours
    ([(arp(VIP), 4)], None),                                    # outgoing
    ([(packets.garp_frame(MAC, VIP), 1)], None),                # reflected
    ([(packets.garp_frame(SECOND, VIP), 0)], None),             # the second port's answer
    ([(packets.garp_frame(SECOND, VIP), 0), (arp("192.0.2.9"), 0), (arp(VIP), 0)], THEIRS),
])
def test_listening(wire, make_vip, clock, frames, mac):
    wire.frames = list(frames)
    begin = clock.now
    assert duplicate.ask(make_vip("monitor", ip=VIP)) == mac
    assert wire.sent == [duplicate.probe(MAC, packed(VIP))]
    assert wire.bound == ("eth0", 0x0806) and wire.closed and not wire.filtered
    assert clock.now - begin == pytest.approx(0.01 * len(frames) if mac else duplicate.WAIT)


def test_listening_ends_however_much_arrives(wire, make_vip, clock):
    wire.frames = [(arp("192.0.2.9"), 1)] * 1000
    begin = clock.now
    assert duplicate.ask(make_vip("monitor", ip=VIP)) is None
    assert clock.now - begin < duplicate.WAIT + 0.02


def test_an_interface_without_a_hardware_address_is_not_ours(wire, monkeypatch):
    def address(nic):
        if nic == "eth1":
            raise packets.NothingToTell("a tunnel")
        return MAC

    monkeypatch.setattr(packets, "hardware_address", address)
    assert duplicate.own_macs() == {MAC}


# --- where IPv6 asks from --------------------------------------------------------------------


def test_ipv6_asks_from_the_link_local_address(fp, wire, make_vip, captured):
    wire.frames = [(packets.na_frame(THEIRS, "2001:db8::e"), 0)]
    fp.query(LINK6, next(line for line in captured("addr-inet6").splitlines()
                         if "eth0" in line and "fe80::1:1" in line))
    assert duplicate.ask(make_vip("monitor", ip="2001:db8::e", prefix=64)) == THEIRS
    assert wire.sent == [duplicate.solicitation(MAC, packed("fe80::1:1"), packed("2001:db8::e"))]
    assert wire.bound == ("eth0", 0x86dd) and wire.filtered


@pytest.mark.parametrize("ip, flags", [
    ("fe80::1:1", ""), ("2001:db8::e", "tentative"), ("2001:db8::e", "dadfailed tentative"),
    ("2001:db8::e", "dadfailed")])
def test_a_link_local_address_that_cannot_be_used(fp, make_vip, captured, ip, flags):
    """It is the address itself, or is not ours yet."""
    line = next(line for line in captured("addr-inet6").splitlines() if "fe80::1:1" in line)
    fp.query(LINK6, line.replace("nodad", flags))
    with pytest.raises(packets.PacketError, match="no link-local address"):
        duplicate.link_local(make_vip("monitor", ip=ip, prefix=64))


def test_where_ip_does_not_tell(fp, wire, make_vip, tmp_path):
    fp.query(LINK6, err="Cannot open netlink socket", rc=2)
    assert not duplicate.is_told(make_vip("monitor", ip="2001:db8::e", prefix=64))
    assert "Cannot open netlink socket" in (tmp_path / "log").read_text()


# --- whether anybody is asked ----------------------------------------------------------------


def test_the_reason_names_address_interface_and_host(wire, make_vip, capfd):
    wire.frames = [(arp(VIP), 0)]
    assert duplicate.is_told(make_vip("monitor", ip=VIP))
    assert capfd.readouterr().err == (
        "ocf-exit-reason:IPv4 address collision: another host answers for 192.0.2.50 on eth0, "
        "from 02:00:5e:10:00:02\n")


@pytest.mark.parametrize("flags", [None, 0x1002, 0x1003])
def test_without_a_link_nobody_is_asked(wire, make_vip, monkeypatch, tmp_path, flags):
    wire.frames = [(arp(VIP), 0)]
    monkeypatch.setattr(duplicate.addresses, "interface_flags", lambda _nic: flags)
    assert not duplicate.is_told(make_vip("monitor", ip=VIP))
    assert not wire.sent and not (tmp_path / "log").exists()


def test_a_shared_address_is_not_asked_for(wire, make_vip):
    wire.frames = [(arp(VIP), 0)]
    vip = make_vip("monitor", ip=VIP)
    vip.bucket = 1
    assert not duplicate.is_told(vip) and not wire.sent


@pytest.mark.parametrize("problem, lines", [
    (packets.NothingToTell("lo"), 0), (packets.PacketError("InfiniBand"), 1)])
def test_other_interfaces(wire, make_vip, monkeypatch, tmp_path, problem, lines):
    def refuse(_nic):
        raise problem

    monkeypatch.setattr(packets, "hardware_address", refuse)
    assert not duplicate.is_told(make_vip("monitor", ip=VIP))
    log = (tmp_path / "log").read_text() if lines else ""
    assert log.count("WARNING: nobody was asked") == lines == log.count("InfiniBand")
    assert lines or not (tmp_path / "log").exists()


@pytest.mark.parametrize("where, number, word", [
    ("bind", 19, "no interface 'eth0'"), ("send", 105, "cannot send"), ("bind", 1, "CAP_NET_RAW"),
    ("recvfrom", 100, "is down")])
def test_what_the_kernel_refuses_is_told_once(wire, make_vip, tmp_path, where, number, word):
    wire.failing = {where: number}
    assert not duplicate.is_told(make_vip("monitor", ip=VIP))
    log = (tmp_path / "log").read_text()
    assert log.count("WARNING") == log.count("\n") == 1 and word in log
    assert wire.closed


# --- the agent -------------------------------------------------------------------------------

LEVELS = [("10", True), ("11", True), ("20", True), ("010", True), ("9", False), ("0", False),
          ("", False), (None, False), ("ten", False), ("1e1", False), ("-10", False),
          ("10 ", False), ("10.0", False), ("9" * 200, False)]


@pytest.mark.parametrize("level, asked", LEVELS)
@pytest.mark.parametrize("action", ["monitor", "status", "probe"])
def test_levels(fp, agent, captured, monkeypatch, level, asked, action):
    seen = []
    monkeypatch.setattr(duplicate, "is_told", lambda vip: seen.append(str(vip)) or True)
    fp.query(SHOW4, captured("addr-inet-to-10"))
    done = agent(action, env={"OCF_CHECK_LEVEL": level}, **ON_ETH0)
    asked = asked and action != "probe"
    assert seen == ["192.0.2.10/25 on eth0"] * asked
    assert (done.rc, done.out) == (int(asked), "running\n" if action == "status" else "")


@pytest.mark.parametrize("action, given, show, text, rc", [
    ("monitor", ON_ETH0, SHOW4, "addr-inet-to-none", 7),
    ("status", ON_ETH0, SHOW4, "addr-inet-to-none", 7),
    ("monitor", ON_ETH0_6, SHOW6, "addr-inet6-to-1", 7)])
def test_an_address_that_is_not_served_is_not_asked_for(fp, agent, captured, monkeypatch, action,
                                                        given, show, text, rc):
    monkeypatch.setattr(duplicate, "is_told", lambda _vip: pytest.fail("asked"))
    fp.query(show, captured(text))
    assert agent(action, env={"OCF_CHECK_LEVEL": "10"}, **given).rc == rc


@pytest.mark.parametrize("told", [True, False])
def test_a_duplicate_is_not_announced_against(fp, agent, captured, monkeypatch, built_in, told):
    monkeypatch.setattr(duplicate, "is_told", lambda _vip: told)
    fp.query(SHOW4, captured("addr-inet-to-10"))
    done = agent("monitor", env={"OCF_CHECK_LEVEL": "10"}, arp_count_refresh="1", arp_bg="false",
                 arp_sender="builtin", **ON_ETH0)
    assert done.rc == int(told)
    assert len(built_in.made) == int(not told)
