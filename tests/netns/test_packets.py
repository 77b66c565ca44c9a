# SPDX-License-Identifier: GPL-2.0-only
"""The built-in sender and vipctl announce, judged by what the neighbour receives and believes.

The sender runs in a process of its own inside the node's namespace; nothing here imports it.
"""

import ipaddress
import pathlib
import signal
import subprocess

import pytest

from tests.lab.state import address, ip, links, neighbours, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = ["/usr/bin/python3", "-IS", "-c"]

VIP = "192.0.2.50"
VIP6 = "2001:db8::50"
OLD_MAC = "02:00:00:00:00:99"
CLUSTER_MAC = "01:00:5e:7f:00:01"


@pytest.fixture(name="vips")
def vips_on_node(pair):
    """The pair, its node holding VIP and VIP6."""
    ip(pair.node, "addr", "add", VIP + "/24", "dev", pair.nic)
    ip(pair.node, "addr", "add", VIP6 + "/64", "dev", pair.nic, "nodad")
    return pair


def call(pair, code, *words):
    """Run Python code on the node, with `packets` and rounds() at hand and `words` as argv; what
    it did.  rounds(nic, ip, count, milliseconds, mode) gives the failures."""
    head = ("import sys, time; sys.path.insert(0, sys.argv.pop(1))\n"
            "from ipaddr2_py.announce import packets\n"
            "def rounds(nic, ip, count, interval, mode='both'):\n"
            "    with packets.Announcer(nic, ip, mode) as announcer:\n"
            "        return [str(failure) for failure in announcer.rounds(count, interval)\n"
            "                if failure]\n")
    return subprocess.run(
        ["ip", "netns", "exec", pair.node, *PYTHON, head + code, str(ROOT), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=30,
        check=False)


def announcing(pair, *words, **options):
    """vipctl announce on the node, as a Popen."""
    return subprocess.Popen(
        ["ip", "netns", "exec", pair.node, str(ROOT / "bin" / "vipctl"), "announce", *words],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "universal_newlines": True,
           **options})


def announce(pair, *words):
    """vipctl announce on the node until it ends: (exit code, stdout, stderr)."""
    process = announcing(pair, *words)
    try:
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in err
    return process.returncode, out, err


def setting(namespace, name, value):
    """Write one file under /proc/sys/net of a namespace."""
    subprocess.run(["ip", "netns", "exec", namespace, "sh", "-c", 'echo "$1" >/proc/sys/net/"$2"',
                    "sh", str(value), name], check=True, timeout=20)


def mac_of(pair, nic=None):
    return links(pair.node)[nic or pair.nic]["address"]


def octets(mac):
    return bytes.fromhex(mac.replace(":", ""))


def arp_frame(operation, mac, target, source=None):
    """What RFC 5227 wants on the wire, from the Ethernet header on."""
    vip = ipaddress.ip_address(VIP).packed
    return (b"\xff" * 6 + octets(source or mac) + b"\x08\x06" + b"\0\x01\x08\0\x06\x04\0"
            + bytes([operation]) + octets(mac) + vip + target + vip)


def request(mac, source=None):
    return arp_frame(1, mac, bytes(6), source)


def reply(mac, source=None):
    return arp_frame(2, mac, octets(mac), source)


def about_vip(recorder):
    """The frames that announce VIP or VIP6, whole."""
    wanted = {ipaddress.ip_address(VIP).packed, ipaddress.ip_address(VIP6).packed}
    found = []
    for frame in recorder.frames():
        is_arp = frame[12:14] == b"\x08\x06" and frame[28:32] in wanted
        is_na = (frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136
                 and frame[62:78] in wanted)
        if is_arp or is_na:
            found.append(frame)
    return found


def learn(pair, vip):
    """Have the neighbour resolve the address by itself, as a client that talks to it does."""
    code = ("import _socket, sys; ip = sys.argv[1]\n"
            "family = _socket.AF_INET6 if ':' in ip else _socket.AF_INET\n"
            "_socket.socket(family, _socket.SOCK_DGRAM, 0).sendto(b'', (ip, 9))")
    subprocess.run(["ip", "netns", "exec", pair.neighbour, *PYTHON, code, vip],
                   check=True, timeout=20)
    wait_until(lambda: believed(pair, vip) == mac_of(pair), "the neighbour's first look-up")


def believed(pair, vip):
    """The hardware address in the neighbour's cache."""
    return neighbours(pair.neighbour).get(vip, {}).get("lladdr")


# --- the frames ------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", ["eth0", "up", "a.b"], indirect=True)
def test_ipv4_frames(vips, recorder):
    done = call(vips, "print(rounds(*sys.argv[1:], 2, 10))", vips.nic, VIP)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    mac = mac_of(vips)
    assert about_vip(recorder) == [request(mac), reply(mac)] * 2


@pytest.mark.parametrize("mode, frame", [("request", request), ("reply", reply)])
def test_one_kind_alone(vips, recorder, mode, frame):
    code = "rounds(sys.argv[1], sys.argv[2], 2, 0, sys.argv[3])"
    assert call(vips, code, vips.nic, VIP, mode).returncode == 0
    assert about_vip(recorder) == [frame(mac_of(vips))] * 2


@pytest.mark.parametrize("forwarding, flags", [(0, 0x20), (1, 0xA0)], ids=["host", "router"])
def test_ipv6_frame_is_the_kernels_own(vips, recorder, forwarding, flags):
    """The kernel announces by itself where it is told to: ours is the same to the last byte."""
    setting(vips.node, "ipv6/conf/%s/forwarding" % vips.nic, forwarding)
    assert call(vips, "rounds(*sys.argv[1:], 1, 0)", vips.nic, VIP6).returncode == 0
    (ours,) = about_vip(recorder)
    assert ours[21] == 255 and ours[58] == flags and ours[80:86] == octets(mac_of(vips))

    setting(vips.node, "ipv6/conf/%s/keep_addr_on_down" % vips.nic, 1)
    setting(vips.node, "ipv6/conf/%s/ndisc_notify" % vips.nic, 1)
    ip(vips.node, "link", "set", "dev", vips.nic, "down")
    ip(vips.node, "link", "set", "dev", vips.nic, "up")
    wait_until(lambda: len(about_vip(recorder)) > 1, "the kernel's advertisement")
    assert about_vip(recorder)[1] == ours


def test_cluster_mac_is_in_the_payload_alone(vips, recorder):
    code = ("for ip in sys.argv[2:]:\n"
            "    packets.Announcer(sys.argv[1], ip, mac='%s').send()" % CLUSTER_MAC)
    assert call(vips, code, vips.nic, VIP, VIP6).returncode == 0
    mac = mac_of(vips)
    *arps, na = about_vip(recorder)
    assert arps == [request(CLUSTER_MAC, mac), reply(CLUSTER_MAC, mac)]
    assert na[6:12] == octets(mac) and na[80:86] == octets(CLUSTER_MAC)


@pytest.mark.parametrize("kind", ["macvlan", "bridge"])
def test_other_kinds_of_interface(pair, recorder, kind):
    if kind == "bridge":
        ip(pair.node, "link", "add", "name", "upper", "type", "bridge", "forward_delay", "0")
        ip(pair.node, "link", "set", "dev", pair.nic, "master", "upper")
    else:
        ip(pair.node, "link", "add", "link", pair.nic, "name", "upper", "type", "macvlan")
    ip(pair.node, "link", "set", "dev", "upper", "up")
    ip(pair.node, "addr", "add", VIP + "/24", "dev", "upper")
    # A bridge port does not forward in the first moments.
    wait_until(lambda: links(pair.node)["upper"]["operstate"] == "UP", "the interface")
    assert announce(pair, "-c", "1", "upper", VIP)[0] == 0
    mac = mac_of(pair, "upper")
    wait_until(lambda: about_vip(recorder) == [request(mac), reply(mac)], "the packets")


@pytest.mark.slow
def test_count_and_interval(vips, recorder):
    """Three rounds, 500 ms apart, and no wait after the last."""
    code = ("begin = time.monotonic(); rounds(*sys.argv[1:], 3, 500, 'reply')\n"
            "print(time.monotonic() - begin)")
    done = call(vips, code, vips.nic, VIP)
    assert 1.0 <= float(done.stdout) < 1.5
    assert len(about_vip(recorder)) == 3


def fresh(recorder, before):
    """The frames about the VIPs that came after so many."""
    return about_vip(recorder)[before:]


@pytest.mark.parametrize("vip, frames", [
    (VIP, lambda mac: {request(mac), reply(mac)}),
    (VIP6, lambda mac: {(octets(mac), octets(mac))})], ids=["ipv4", "ipv6"])
def test_a_new_hardware_address_is_in_every_later_packet(vips, recorder, vip, frames):
    """A bond that fails over, or a driver that is set up anew: its MAC is another one then."""
    process = announcing(vips, "-c", "1000", "-i", "50", vips.nic, vip)
    new = "02:00:00:00:00:07"
    try:
        wait_until(lambda: about_vip(recorder), "the first round")
        ip(vips.node, "link", "set", "dev", vips.nic, "address", new)
        before = len(about_vip(recorder))
        wait_until(lambda: len(fresh(recorder, before)) > 6, "rounds after the change")
        later = fresh(recorder, before)[2:]     # a round may have been under way
        told = {frame if vip == VIP else (frame[6:12], frame[80:86]) for frame in later}
        assert told == frames(new)
    finally:
        process.kill()
        out, _ = process.communicate()
    assert "%s is at %s\n" % (vip, new) in out


@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_a_cluster_mac_stays_when_the_interfaces_changes(vips, recorder, vip):
    process = announcing(vips, "-c", "1000", "-i", "50", "--mac", CLUSTER_MAC, vips.nic, vip)
    new = "02:00:00:00:00:07"
    try:
        wait_until(lambda: about_vip(recorder), "the first round")
        ip(vips.node, "link", "set", "dev", vips.nic, "address", new)
        wait_until(lambda: about_vip(recorder)[-1][6:12] == octets(new), "the new source")
    finally:
        process.kill()
        process.communicate()
    for frame in about_vip(recorder):
        assert (frame[22:28] if vip == VIP else frame[80:86]) == octets(CLUSTER_MAC)


def test_an_interface_that_is_renamed_is_followed(vips, recorder):
    """The socket is bound to it, not to its name, which another interface may get."""
    process = announcing(vips, "-c", "1000", "-i", "50", vips.nic, VIP)
    try:
        wait_until(lambda: about_vip(recorder), "the first round")
        for words in (["down"], ["name", "old0"], ["up"]):
            ip(vips.node, "link", "set", "dev", "old0" if words == ["up"] else vips.nic, *words)
        ip(vips.node, "link", "add", "name", vips.nic, "type", "bridge")
        ip(vips.node, "link", "set", "dev", vips.nic, "up")
        before = len(about_vip(recorder))
        wait_until(lambda: len(fresh(recorder, before)) > 4, "rounds after the change")
    finally:
        process.kill()
        process.communicate()
    mac = mac_of(vips, "old0")
    assert set(about_vip(recorder)) == {request(mac), reply(mac)}


def test_the_first_round_leaves_at_once(vips, recorder):
    process = announcing(vips, "-c", "2", "-i", "60000", vips.nic, VIP)
    try:
        wait_until(lambda: len(about_vip(recorder)) == 2, "the first round")
    finally:
        process.kill()
        process.communicate()


def test_the_socket_is_handed_no_packets(vips):
    """It would fill up with everybody's traffic on a busy interface."""
    code = """
with packets.Announcer(sys.argv[1], sys.argv[2]) as announcer:
    other = packets._socket.socket(packets._socket.AF_INET, packets._socket.SOCK_DGRAM, 0)
    other.sendto(b"", ("192.0.2.77", 9))  # looked up by ARP, which a listener would be handed
    with open("/proc/net/packet") as table:
        print(len(table.readlines()[1:]), end=" ")
    try:
        announcer._socket.recv(1, packets._socket.MSG_DONTWAIT)
    except BlockingIOError:
        print("nothing")
announcer.close()
"""
    assert call(vips, code, vips.nic, VIP).stdout == "1 nothing\n"


# --- the neighbour follows -------------------------------------------------------------------


@pytest.mark.parametrize("vip, options", [(VIP, []), (VIP, ["-A"]), (VIP, ["-U"]), (VIP6, [])])
def test_a_neighbour_that_knew_the_old_host_follows(vips, vip, options):
    learn(vips, vip)
    ip(vips.node, "link", "set", "dev", vips.nic, "address", "02:00:00:00:00:07")
    assert believed(vips, vip) != "02:00:00:00:00:07"
    assert announce(vips, "-c", "1", *options, vips.nic, vip)[0] == 0
    wait_until(lambda: believed(vips, vip) == "02:00:00:00:00:07", "the neighbour's new look", 3)


@pytest.mark.parametrize("vip", [VIP, VIP6])
@pytest.mark.parametrize("state", ["stale", "reachable"])
def test_a_wrong_entry_is_replaced(vips, vip, state):
    ip(vips.neighbour, "neigh", "replace", vip, "lladdr", OLD_MAC, "dev", "eth0", "nud", state)
    assert believed(vips, vip) == OLD_MAC
    assert announce(vips, "-c", "1", vips.nic, vip)[0] == 0
    wait_until(lambda: believed(vips, vip) == mac_of(vips), "the neighbour's new look", 3)


@pytest.mark.parametrize("option", ["-A", "-U"])
def test_an_entry_just_learnt_is_replaced_too(vips, option):
    """Linux keeps a young entry against ARP (locktime, 1 s), but not against gratuitous ARP."""
    setting(vips.neighbour, "ipv4/neigh/eth0/locktime", 100000)
    ip(vips.neighbour, "neigh", "replace", VIP, "lladdr", OLD_MAC, "dev", "eth0", "nud", "stale")
    assert announce(vips, "-c", "1", option, vips.nic, VIP)[0] == 0
    wait_until(lambda: believed(vips, VIP) == mac_of(vips), "the neighbour's new look", 3)


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nic, text",
    [("lo", "loopback"), ("nosuch0", "no interface 'nosuch0' in this network namespace")])
@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_interfaces_that_cannot_announce(pair, nic, text, vip):
    code = ("try:\n    packets.Announcer(*sys.argv[1:])\n"
            "except packets.PacketError as error:\n    print(error)")
    done = call(pair, code, nic, vip)
    assert text in done.stdout and not done.stderr
    for force in ([], ["--force"]):
        rc, out, err = announce(pair, *force, nic, vip)
        assert (rc, out) == (1, "") and text in err


@pytest.mark.parametrize("vip", [VIP, VIP6])
@pytest.mark.parametrize("kind", ["noarp", "tun"])
def test_interfaces_without_a_hardware_address(pair, tunnel, kind, vip):
    if kind == "noarp":
        ip(pair.node, "link", "set", "dev", pair.nic, "arp", "off")
    nic = tunnel() if kind == "tun" else pair.nic
    rc, out, err = announce(pair, "--force", nic, vip)
    assert (rc, out) == (1, "") and "has no hardware address that neighbours ask for" in err


def test_the_interface_of_another_namespace_is_missing(pair):
    """Looked for where the sender runs, not where it was started."""
    ip(pair.neighbour, "link", "add", "name", "far0", "type", "bridge")
    rc, _, err = announce(pair, "--force", "far0", VIP)
    assert rc == 1 and "no interface 'far0'" in err


def test_a_link_that_is_down(vips, recorder):
    ip(vips.node, "link", "set", "dev", vips.nic, "down")
    rc, out, err = announce(vips, "-c", "2", "-i", "0", vips.nic, VIP)
    assert (rc, out) == (1, "")
    assert "round 1 of 2 not sent: the interface 'eth0' is down" in err and "round 2" in err
    done = call(vips, "print(len(rounds(*sys.argv[1:], 2, 0)))", vips.nic, VIP)
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert not about_vip(recorder)


def test_rounds_after_a_flap_still_leave(vips, recorder):
    process = announcing(vips, "-c", "1000", "-i", "20", vips.nic, VIP)
    try:
        wait_until(lambda: about_vip(recorder), "the first round")
        ip(vips.node, "link", "set", "dev", vips.nic, "down")
        assert "not sent" in process.stderr.readline()
        before = len(about_vip(recorder))
        ip(vips.node, "link", "set", "dev", vips.nic, "up")
        wait_until(lambda: len(about_vip(recorder)) > before, "a round after the flap")
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_an_interface_that_goes_away(vips, recorder):
    process = announcing(vips, "-c", "20", "-i", "20", vips.nic, VIP)
    try:
        wait_until(lambda: about_vip(recorder), "the first round")
        ip(vips.node, "link", "delete", "dev", vips.nic)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1
    assert "no interface 'eth0'" in err and "Traceback" not in err


def test_without_the_right_to_send(vips):
    process = subprocess.run(
        ["ip", "netns", "exec", vips.node, "setpriv", "--bounding-set=-net_raw",
         "--inh-caps=-net_raw", str(ROOT / "bin" / "vipctl"), "announce", vips.nic, VIP],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=30,
        check=False)
    assert (process.returncode, process.stdout) == (1, "")
    assert "root or CAP_NET_RAW is needed" in process.stderr


# --- vipctl announce ----------------------------------------------------------------------------


def test_one_line_a_round(vips, recorder):
    rc, out, err = announce(vips, "-c", "2", "-i", "0", vips.nic, VIP)
    says = "of 2: ARP request and reply from eth0: %s is at %s" % (VIP, mac_of(vips))
    assert (rc, err) == (0, "")
    assert out.splitlines() == ["round 1 " + says, "round 2 " + says]
    assert announce(vips, "-q", "-c", "1", vips.nic, VIP6) == (0, "", "")
    assert len(about_vip(recorder)) == 5


def test_the_mac_of_a_cluster_ip(vips, recorder):
    rc, out, err = announce(vips, "-c", "1", "-A", "--mac", CLUSTER_MAC, vips.nic, VIP)
    assert (rc, err) == (0, "") and CLUSTER_MAC in out
    assert about_vip(recorder) == [reply(CLUSTER_MAC, mac_of(vips))]


@pytest.mark.parametrize("absent", ["192.0.2.5", "192.0.2.51", "2001:db8::5", "2001:db8::51"])
def test_an_address_not_held_is_refused(vips, recorder, absent):
    before = len(recorder.frames())
    rc, out, err = announce(vips, "-c", "1", vips.nic, absent)
    assert (rc, out) == (1, "")
    assert "%s is not on eth0" % absent in err and "--force" in err
    assert not recorder.arps(absent) and not recorder.advertisements(absent)
    assert announce(vips, "--force", "-q", "-c", "1", vips.nic, absent) == (0, "", "")
    assert recorder.arps(absent) or recorder.advertisements(absent)
    assert len(recorder.frames()) > before


def test_an_address_on_another_interface_is_refused(two_nics):
    ip(two_nics.node, "addr", "add", VIP + "/24", "dev", "eth1")
    rc, _, err = announce(two_nics, "-c", "1", "eth0", VIP)
    assert rc == 1 and "%s is not on eth0" % VIP in err
    assert announce(two_nics, "-q", "-c", "1", "eth1", VIP) == (0, "", "")


def test_ipv6_in_another_spelling(vips, recorder):
    assert announce(vips, "-c", "1", vips.nic, "2001:0DB8:0::0050")[0] == 0
    assert len(recorder.advertisements(VIP6)) == 1


def test_a_tentative_address_is_refused(pair, recorder):
    """RFC 4862, 5.4: until detection is over it is nobody's, and announced by nobody."""
    setting(pair.node, "ipv6/neigh/%s/retrans_time_ms" % pair.nic, 60000)
    ip(pair.node, "addr", "add", VIP6 + "/64", "dev", pair.nic)
    assert address(pair.node, VIP6)["tentative"]
    rc, out, err = announce(pair, "-c", "1", pair.nic, VIP6)
    assert (rc, out) == (1, "") and "still tentative" in err and "--force" in err
    assert not recorder.advertisements(VIP6)
    assert announce(pair, "--force", "-q", "-c", "1", pair.nic, VIP6) == (0, "", "")
    assert len(recorder.advertisements(VIP6)) == 1


def test_a_duplicate_address_is_refused(pair, rival):
    rival(VIP6)
    ip(pair.node, "addr", "add", VIP6 + "/64", "dev", pair.nic)
    wait_until(lambda: address(pair.node, VIP6).get("dadfailed"), "failed detection")
    rc, out, err = announce(pair, "-c", "1", pair.nic, VIP6)
    assert (rc, out) == (1, "") and "failed duplicate address detection" in err


@pytest.mark.parametrize("pair", ["tentative"], indirect=True)
def test_an_interface_named_like_a_flag(vips, recorder):
    assert announce(vips, "-q", "-c", "1", vips.nic, VIP6) == (0, "", "")
    assert len(about_vip(recorder)) == 1


@pytest.mark.parametrize("name", ["short0", "a-name-of-more-than-fifteen-bytes", "eth0:label"])
def test_an_alternative_name(vips, recorder, name):
    if ":" not in name:
        ip(vips.node, "link", "property", "add", "dev", vips.nic, "altname", name)
    rc, out, _ = announce(vips, "-c", "1", name, VIP)
    assert rc == 0 and "from eth0: " in out
    assert len(about_vip(recorder)) == 2


def test_no_carrier_is_told(vips):
    ip(vips.neighbour, "link", "set", "dev", "eth0", "down")
    wait_until(lambda: links(vips.node)[vips.nic]["operstate"] != "UP", "carrier lost")
    rc, _, err = announce(vips, "-q", "-c", "1", vips.nic, VIP)
    assert rc == 0 and "warning: eth0 has no carrier" in err


def test_interrupt_is_quiet(vips, recorder):
    process = announcing(vips, "-q", "-c", "1000", "-i", "50", vips.nic, VIP)
    try:
        wait_until(lambda: about_vip(recorder), "the first round")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("", "")
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130


def test_output_that_cannot_be_written(vips):
    with open("/dev/full", "w") as full:
        process = announcing(vips, "-c", "1", vips.nic, VIP, stdout=full)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err == "vipctl announce: cannot write to standard output: No space left on device\n"


def test_closed_output_is_not_the_raw_socket(vips, recorder):
    """With descriptor 1 free, the socket may get it: nothing but frames goes there."""
    process = subprocess.run(
        ["ip", "netns", "exec", vips.node, "sh", "-c", 'exec "$@" >&-', "sh",
         str(ROOT / "bin" / "vipctl"), "announce", "-c", "1", vips.nic, VIP],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
    assert (process.returncode, process.stderr) == (0, b"")
    mac = mac_of(vips)
    assert about_vip(recorder) == [request(mac), reply(mac)]
