# SPDX-License-Identifier: GPL-2.0-only
"""A monitor with OCF_CHECK_LEVEL=10 asks the link whether another host answers for the address.

Hosts, each in a namespace of its own, hang on a bridge: the node with the address, a rival that may
have it too, and a third that talks to both.  Judged by exit codes, frames and neighbours' tables.
"""

import socket
import subprocess
import threading

import pytest

from tests.lab.agent import Agent
from tests.lab.frames import Recorder
from tests.lab.namespaces import CHECKOUT, in_namespace, prepare
from tests.lab.state import addresses, batch, ip, links, neighbours, wait_until
from tests.netns import sharing

DEEP = {"OCF_CHECK_LEVEL": "10"}
PREFIX = {4: "/24", 6: "/64"}
ADDRESSES = {4: "192.0.2.50", 6: "2001:db8::50"}


class Lan:
    """switch (bridge br0 in it), node, rival, third: namespaces, the latter with an eth0 of
    192.0.2.1, .2, .3 and 2001:db8::1, ::2, ::3; agent on the node."""

    def __init__(self, make, folder):
        self.make = make
        self.switch = make()
        batch(self.switch, "link add br0 type bridge", "link set br0 up")
        self.ports = 0
        self.node, self.rival, self.third = (self.host(number) for number in (1, 2, 3))
        self.agent = Agent(str(CHECKOUT / "bin" / "IPaddr2"), self.node, folder)

    def plug(self, namespace, nic="eth0", *own):
        """Give a namespace one more port of the bridge."""
        self.ports += 1
        port = "port%d" % self.ports
        ip(self.switch, "link", "add", port, "type", "veth", "peer", "name", nic,
           "netns", namespace)
        batch(self.switch, "link set %s master br0 up" % port)
        prepare(namespace, nic, *own)
        wait_until(lambda: settled(namespace, nic), "the link-local address of " + nic)
        return port

    def host(self, number):
        namespace = self.make()
        self.plug(namespace, "eth0", "192.0.2.%d/24 brd +" % number,
                  "2001:db8::%d/64 nodad" % number)
        return namespace

    def take(self, namespace, vip, nic="eth0"):
        """Give a host the address, and nobody is told."""
        ip(namespace, "addr", "add", vip + PREFIX[6 if ":" in vip else 4], "dev", nic,
           *(["nodad"] if ":" in vip else []))

    def start(self, vip, **more):
        mask = PREFIX[6 if ":" in vip else 4][1:]
        more.setdefault("nic", "eth0")
        done = self.agent("start", ip=vip, cidr_netmask=mask, arp_bg="false", **more)
        assert done.rc == 0, done

    def monitor(self, vip, action="monitor", level="10", **more):
        more.setdefault("nic", "eth0")
        return self.agent(action, ip=vip, env={"OCF_CHECK_LEVEL": level} if level else None, **more)

    def ping(self, namespace, vip):
        """Have a host ask for the address and keep what it learns."""
        subprocess.run(["ip", "netns", "exec", namespace, "ping", "-c1", "-W2", vip], check=True,
                       stdout=subprocess.DEVNULL, timeout=20)


def settled(namespace, nic):
    """Whether the interface has its link-local address, and detection of it is over."""
    shown = ip(namespace, "-o", "-6", "addr", "show", "dev", nic, "scope", "link")
    return "fe80" in shown and "tentative" not in shown


def mac(namespace, nic="eth0"):
    return links(namespace)[nic]["address"]


def table(namespace):
    """What a host knows of its neighbours: address -> hardware address."""
    return {host: entry.get("lladdr") for host, entry in neighbours(namespace).items()}


@pytest.fixture
def lan(netns, tmp_path):
    return Lan(netns, tmp_path)


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def vip(request):
    return ADDRESSES[request.param]


@pytest.fixture
def recorder(lan, request):
    """What the third host receives."""
    kept = Recorder(lan.third, "eth0")
    request.addfinalizer(kept.close)
    return kept


@pytest.mark.parametrize("action", ["monitor", "status"])
def test_nobody_else_has_it(lan, vip, action):
    lan.start(vip)
    done = lan.monitor(vip, action)
    assert (done.rc, done.reason) == (0, ""), done
    assert "WARNING" not in done.log, done


@pytest.mark.parametrize("action, out", [("monitor", ""), ("status", "running\n")])
def test_another_host_has_it(lan, vip, action, out):
    lan.start(vip)
    lan.take(lan.rival, vip)
    done = lan.monitor(vip, action)
    assert (done.rc, done.out) == (1, out), done
    for word in (vip, "eth0", mac(lan.rival)):
        assert word in done.reason, done
    ip(lan.rival, "addr", "flush", "dev", "eth0", "to", vip)
    assert lan.monitor(vip, action).rc == 0


def test_another_host_has_it_in_the_resources_namespace(lan, vip):
    place = {"network_namespace": lan.third}
    lan.start(vip, **place)
    assert lan.monitor(vip, **place).rc == 0
    lan.take(lan.rival, vip)
    done = lan.monitor(vip, **place)
    assert done.rc == 1 and mac(lan.rival) in done.reason, done


def test_found_without_nic_too(lan, vip):
    assert lan.agent("start", ip=vip, arp_bg="false").rc == 0
    lan.take(lan.rival, vip)
    done = lan.monitor(vip, nic="")
    assert done.rc == 1 and mac(lan.rival) in done.reason, done


# --- what is sent, and what is not -----------------------------------------------------------


def packed(vip):
    return socket.inet_pton(socket.AF_INET6 if ":" in vip else socket.AF_INET, vip)


@pytest.mark.parametrize("level, action, number", [
    (None, "monitor", 0), ("0", "monitor", 0), ("", "monitor", 0), ("9", "monitor", 0),
    ("ten", "monitor", 0), ("-10", "monitor", 0), ("10", "probe", 0), ("0", "status", 0),
    ("10", "monitor", 1), ("20", "monitor", 1), ("10", "status", 1)])
def test_one_question_from_level_10_on(lan, recorder, level, action, number):
    """Of each family, and not for a probe; a rival's answer goes to the node alone."""
    for vip in ADDRESSES.values():
        lan.start(vip)
        lan.take(lan.rival, vip)
        before = len(recorder.frames())
        done = lan.monitor(vip, action, level)
        assert done.rc == number, done
        about = [frame for frame in recorder.frames()[before:] if packed(vip) in frame]
        assert len(about) == number, about


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_neighbours_tables_stay_as_they_are(lan, vip, known):
    """The third host, which talks to the node; the rival learns no more than who asks."""
    lan.start(vip)
    if known:
        lan.ping(lan.third, vip)
        assert table(lan.third)[vip] == mac(lan.node)
    lan.take(lan.rival, vip)
    before = table(lan.third), table(lan.rival), table(lan.node)
    assert lan.monitor(vip).rc == 1
    assert lan.monitor(vip).rc == 1
    assert table(lan.third) == before[0]
    assert table(lan.node).get(vip) == before[2].get(vip)
    more = dict(table(lan.rival).items() - before[1].items())
    assert vip not in more
    assert all(host.startswith("fe80:") and known == mac(lan.node) for host, known in more.items())


# --- this host's own -------------------------------------------------------------------------


def test_a_second_port_on_the_same_bridge(lan, vip, request):
    """It answers for every IPv4 address of its host (arp_ignore is 0)."""
    lan.start(vip)
    lan.plug(lan.node, "eth1")
    arrives = Recorder(lan.node, "eth0")
    request.addfinalizer(arrives.close)
    done = lan.monitor(vip)
    assert (done.rc, done.reason) == (0, ""), done
    if "." in vip:
        assert [packet["mac"] for packet in arrives.arps(vip)] == [mac(lan.node, "eth1")]
    lan.take(lan.rival, vip)
    done = lan.monitor(vip)
    assert done.rc == 1 and mac(lan.rival) in done.reason, done


@pytest.mark.parametrize("nic", ["eth0", "mac0"])
def test_a_macvlan(lan, vip, nic):
    batch(lan.node, "link add mac0 link eth0 type macvlan mode bridge")
    prepare(lan.node, "mac0", "192.0.2.11/24 brd +", "2001:db8::11/64 nodad")
    wait_until(lambda: settled(lan.node, "mac0"), "the link-local address")
    lan.start(vip, nic=nic)
    assert lan.monitor(vip, nic=nic).rc == 0
    lan.take(lan.rival, vip)
    done = lan.monitor(vip, nic=nic)
    assert done.rc == 1 and mac(lan.rival) in done.reason and nic in done.reason, done


@pytest.mark.parametrize("kind", ["bridge", "bond", "vlan"])
def test_other_interfaces(lan, vip, kind):
    """A bridge and a bond with eth0 and eth1, both on the same wire, for ports; a VLAN."""
    hosts = [lan.node, lan.rival]
    if kind == "vlan":
        lines = ["link add link eth0 name over0 type vlan id 7"]
    else:
        lan.plug(lan.node, "eth1")
        hosts = hosts[:1]
        words = {"bridge": "bridge stp_state 0", "bond": "bond mode active-backup miimon 50"}[kind]
        lines = ["link add over0 type " + words]
        lines += ["link set eth0 down", "link set eth0 master over0", "link set eth0 up"]
        lines += ["link set eth1 down", "link set eth1 master over0", "link set eth1 up"] \
            if kind == "bond" else []       # two ports of a bridge would make a circle
    for host in hosts:
        try:
            batch(host, *lines)
        except AssertionError:
            pytest.skip("this kernel makes no %s" % kind)
        prepare(host, "over0", "192.0.2.%d/25 brd +" % (11 + hosts.index(host)))
        wait_until(lambda host=host: settled(host, "over0"), "the link-local address")
    wait_until(lambda: "LOWER_UP" in links(lan.node)["over0"]["flags"], "the link")
    lan.start(vip, nic="over0")
    done = lan.monitor(vip, nic="over0")
    assert (done.rc, done.reason) == (0, ""), done
    lan.take(lan.rival, vip, "over0" if kind == "vlan" else "eth0")
    done = lan.monitor(vip, nic="over0")
    assert done.rc == 1 and mac(lan.rival) in done.reason, done


def test_two_hundred_addresses(lan, vip):
    number = 6 if ":" in vip else 4
    base = {4: "192.0.2.%d/24", 6: "2001:db8::1:%x/64 nodad"}[number]
    batch(lan.node, *("addr add %s dev eth0" % (base % at) for at in range(51, 251)))
    lan.start(vip)
    assert len(addresses(lan.node, "eth0")) > 200
    assert lan.monitor(vip).rc == 0
    lan.take(lan.rival, vip)
    done = lan.monitor(vip)
    assert done.rc == 1 and mac(lan.rival) in done.reason, done


# --- what others send meanwhile --------------------------------------------------------------


def octets(text):
    return bytes.fromhex(text.replace(":", ""))


def arp(source, operation, sender, target):
    """RFC 826."""
    return (b"\xff" * 6 + source + bytes.fromhex("0806 0001 0800 0604")
            + operation.to_bytes(2, "big") + source + sender + bytes(6) + target)


def advertisement(source, vip, option=True, hops=255):
    """RFC 4861, 4.4, unsolicited, with the override flag; nobody looks at its checksum here."""
    body = b"\x88\0\0\0\x20\0\0\0" + packed(vip) + (b"\2\1" + source if option else b"")
    return (bytes.fromhex("333300000001") + source + b"\x86\xdd\x60\0\0\0"
            + len(body).to_bytes(2, "big") + bytes((58, hops)) + packed("2001:db8::2")
            + packed("ff02::1") + body)


def tagged(frame):
    """The same in VLAN 7 (IEEE 802.1Q), for which the node has no interface."""
    return frame[:12] + b"\x81\0\0\7" + frame[12:]


V4, V6 = ADDRESSES[4], ADDRESSES[6]
SENT = {
    "gratuitous request": (V4, lambda lan: arp(lan.rivals, 1, packed(V4), packed(V4)), 1),
    "gratuitous reply": (V4, lambda lan: arp(lan.rivals, 2, packed(V4), packed(V4)), 1),
    "a question from the address": (
        V4, lambda lan: arp(lan.rivals, 1, packed(V4), packed("192.0.2.3")), 1),
    "a probe": (V4, lambda lan: arp(lan.rivals, 1, bytes(4), packed(V4)), 0),
    "a question for the address": (
        V4, lambda lan: arp(lan.rivals, 1, packed("192.0.2.2"), packed(V4)), 0),
    "of another address": (
        V4, lambda lan: arp(lan.rivals, 1, packed("192.0.2.51"), packed("192.0.2.51")), 0),
    "our own, reflected": (V4, lambda lan: arp(lan.nodes, 2, packed(V4), packed(V4)), 0),
    "advertisement": (V6, lambda lan: advertisement(lan.rivals, V6), 1),
    "advertisement without the option": (V6, lambda lan: advertisement(lan.rivals, V6, False), 1),
    "advertisement of another address": (
        V6, lambda lan: advertisement(lan.rivals, "2001:db8::51"), 0),
    "advertisement from afar": (V6, lambda lan: advertisement(lan.rivals, V6, hops=64), 0),
    "in a VLAN": (V4, lambda lan: tagged(arp(lan.rivals, 2, packed(V4), packed(V4))), 0),
    "advertisement in a VLAN": (V6, lambda lan: tagged(advertisement(lan.rivals, V6)), 0),
    "our own advertisement, reflected": (V6, lambda lan: advertisement(lan.nodes, V6), 0),
}


@pytest.mark.parametrize("what", SENT)
def test_what_a_host_without_the_address_sends(lan, what):
    vip, frame, rc = SENT[what]
    lan.start(vip)
    lan.rivals, lan.nodes = octets(mac(lan.rival)), octets(mac(lan.node))
    wire = in_namespace(lan.rival, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    wire.bind(("eth0", 0))
    over = threading.Event()

    def send():
        while not over.wait(0.02):
            wire.send(frame(lan))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        done = lan.monitor(vip)
    finally:
        over.set()
        sender.join()
        wire.close()
    assert done.rc == rc, done
    assert (mac(lan.rival) in done.reason) == (rc == 1), done


def test_a_host_that_begins_detection(lan):
    """It asks for our address, and is told; that is no duplicate."""
    lan.start(V6)
    over = threading.Event()

    def begin():
        while not over.wait(0.04):
            ip(lan.rival, "addr", "add", V6 + "/64", "dev", "eth0")
            wait_until(lambda: "dadfailed" in ip(lan.rival, "addr", "show", "to", V6), "detection")
            ip(lan.rival, "addr", "del", V6 + "/64", "dev", "eth0")

    thread = threading.Thread(target=begin)
    thread.start()
    try:
        for _ in range(3):
            done = lan.monitor(V6)
            assert (done.rc, done.reason) == (0, ""), done
    finally:
        over.set()
        thread.join()


# --- nobody to ask ---------------------------------------------------------------------------


def test_no_neighbours(lan, vip):
    """lo, an interface without ARP, and one whose cable is pulled: level 0's verdict."""
    lan.start(vip)
    lan.take(lan.rival, vip)
    assert lan.monitor(vip).rc == 1
    batch(lan.node, "link set eth0 arp off")
    done = lan.monitor(vip)
    assert (done.rc, done.reason) == (0, "") and "WARNING" not in done.log, done
    batch(lan.node, "link set eth0 arp on")
    batch(lan.switch, "link set port1 down")
    done = lan.monitor(vip)
    assert (done.rc, done.reason) == (0, "") and "WARNING" not in done.log, done


@pytest.mark.parametrize("where", ["lo", "tunnel"])
def test_no_link(pair, agent, tunnel, vip, where):
    six = ":" in vip
    wanted = {"lo": vip, "tunnel": "2001:db8:8::50" if six else "10.8.0.50"}[where]
    place = {"ip": wanted, "nic": "lo" if where == "lo" else tunnel(),
             "cidr_netmask": "128" if six else "32"}
    assert agent("start", **place).rc == 0
    done = agent("monitor", env=DEEP, **place)
    assert (done.rc, done.reason) == (0, "") and "WARNING" not in done.log, done
    assert agent("monitor", **place).rc == 0


def test_without_the_right_to_a_packet_socket(lan, vip, need):
    need("setpriv", "util-linux")
    lan.start(vip)
    lan.take(lan.rival, vip)
    lan.agent.program = lan.agent.stand_in(
        "poor", 'exec setpriv --bounding-set -net_raw %s "$@"\n' % lan.agent.program) + "/poor"
    done = lan.monitor(vip)
    assert (done.rc, done.reason) == (0, ""), done
    assert [line for line in done.log.splitlines() if "WARNING" in line and "CAP_NET_RAW" in line]
    assert done.log.count("WARNING") == 1, done


def test_without_a_link_local_address(lan):
    lan.start(V6)
    lan.take(lan.rival, V6)
    ip(lan.node, "-6", "addr", "flush", "dev", "eth0", "scope", "link")
    done = lan.monitor(V6)
    assert (done.rc, done.reason) == (0, ""), done
    assert "link-local" in done.log and done.log.count("WARNING") == 1, done


@pytest.mark.parametrize("version", [4, 6])
def test_a_shared_address_is_not_asked_for(request, netns, tmp_path, need, version):
    """Its other nodes answer for it, by design."""
    need("nft", "nftables")
    lab = sharing.make(request, netns, tmp_path, version, arp_bg="false")
    lab.start()
    kept = Recorder(lab.client, "eth0")
    request.addfinalizer(kept.close)
    before = len(kept.frames())
    for node in lab.nodes:
        done = node("monitor", node.number, env=DEEP)
        assert (done.rc, done.reason) == (0, ""), done
    assert not [frame for frame in kept.frames()[before:]
                if packed(sharing.ADDRESSES[version]) in frame]
