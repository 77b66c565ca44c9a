# SPDX-License-Identifier: GPL-2.0-only
"""Load sharing: three nodes hold one address, each client is answered by exactly one of them."""

import contextlib
import json
import subprocess
from collections import Counter

import pytest

from tests.netns import sharing
from tests.lab.frames import Recorder
from tests.lab.state import addresses, ip, place, processes, wait_until

MODES = ("sourceip", "sourceip-sourceport", "sourceip-sourceport-destport")
NAMES = ["node1", "node2", "node3"]
MACS = {4: "77:d2:6f:e5:f8:7e", 6: "33:33:87:39:90:f1"}     # as md5sum gives them
TABLES = {4: ["ip", "arp"], 6: ["ip6"]}
TABLE = {4: "ipaddr2-192.0.2.100", 6: "ipaddr2-2001_db8__100"}


@pytest.fixture
def shared(request, netns, tmp_path, need):
    """A function shared(version, **parameters) that lays out nodes and client."""
    need("nft", "nftables")
    return lambda version, **common: sharing.make(request, netns, tmp_path, version, **common)


@pytest.fixture
def lone(shared):
    """The same with one node alone, and nobody who asks."""
    return lambda version, **common: shared(version, lone=True, **common)


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def version(request):
    return request.param


def shares(answers, names=NAMES):
    """Every source has exactly one answer; the share of each name, in percent."""
    counts = Counter(tuple(said) for said in answers.values())
    assert set(counts) <= {(name,) for name in names}, counts
    return [100 * counts[(name,)] / len(answers) for name in names]


# --- who answers -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_each_client_is_answered_by_one_node(shared, version, mode):
    lab = shared(version, clusterip_hash=mode)
    lab.start()
    for kind in ("tcp", "udp", "icmp"):
        names = NAMES if kind != "icmp" else [sharing.FIRST_TTL + number for number in (1, 2, 3)]
        found = shares(lab.ask(kind), names)
        assert all(abs(share - 100 / 3) < 5 for share in found), (kind, found)
    assert lab.table() == MACS[version]
    shares(lab.ask("fragments", 200))
    one_address = {said[0] for said in lab.ask("ports", 60).values()}
    assert len(one_address) == (1 if mode == "sourceip" else 3)
    same = lab.ask("udp", 60) == lab.ask("udp", 60, port=8)
    assert same == (mode != "sourceip-sourceport-destport")
    for node in lab.nodes:
        node.stop(node.number)
        assert (node.rules(), node.joined()) == ("", [])


@pytest.mark.slow
def test_iptables_backend(shared, need):
    need("iptables", "iptables")
    need("arptables", "arptables")
    lab = shared(4, clusterip_firewall="iptables")
    done = lab.nodes[0]("start", 1)
    assert done.rc == 0 and done.log.count("hashes the source address alone") == 1, done
    for node in lab.nodes[1:]:
        node.start(node.number)
    for kind in ("tcp", "udp"):
        assert all(abs(share - 100 / 3) < 5 for share in shares(lab.ask(kind))), kind
    shares(lab.ask("fragments", 100))
    assert len({said[0] for said in lab.ask("ports", 60).values()}) == 1
    assert lab.table() == MACS[4]
    done = lab.nodes[0]("start", 2)
    assert done.rc == 0 and "alone" not in done.log
    for node, bucket in ((lab.nodes[0], 1), (lab.nodes[0], 2), (lab.nodes[1], 2)):
        node.stop(bucket)
    assert place(lab.nodes[0].namespace, lab.vip) == ""
    assert "IPaddr2" not in lab.nodes[0].run("iptables", "-t", "mangle", "-S")
    assert "mangle-mac" not in lab.nodes[0].run("arptables", "-L", "OUTPUT", "-n", "-v")
    assert lab.nodes[0].joined() == []


@pytest.mark.slow
def test_a_bucket_moves_and_the_others_do_not_notice(shared, version):
    lab = shared(version)
    lab.start()
    first, second, _ = lab.nodes
    kept = lab.traffic("keep", lab.vip, 7, 300)
    before = json.loads(kept.stdout.readline())
    assert set(before.values()) == set(NAMES)
    first.stop(1)
    second.start(1)
    kept.stdin.write("again\n")
    kept.stdin.flush()
    after = json.loads(kept.stdout.readline())
    surviving = {source: name for source, name in before.items() if name != "node1"}
    assert {source: after[source] for source in surviving} == surviving
    one, two, three = shares(lab.ask("tcp", 600, port=8))
    assert one == 0 and abs(two - 200 / 3) < 8 and abs(three - 100 / 3) < 8
    assert [second("monitor", 1).rc, second("monitor", 2).rc, first("monitor", 1).rc] == [0, 0, 7]


@pytest.mark.slow
def test_no_packet_is_lost_while_another_bucket_comes_and_goes(shared, version):
    lab = shared(version)
    lab.start()
    owners = {source: said[0] for source, said in lab.ask("udp", 50).items()}
    lab.nodes[0].stop(1)
    flow = lab.traffic("flow", lab.vip, 7, 2)
    for _ in range(3):
        lab.nodes[1].start(1)
        lab.nodes[1].stop(1)
    counts = json.loads(flow.communicate(timeout=20)[0])
    assert {source: counts[source] for source, owner in owners.items() if owner != "node1"} == \
        {source: [sent, sent] for source, (sent, _) in counts.items() if owners[source] != "node1"}
    gone = [answered for source, (_, answered) in counts.items() if owners[source] == "node1"]
    assert any(gone)        # it was there for a while


# --- what the neighbours are told ------------------------------------------------------------


def test_announcements_tell_the_clusters_mac(shared, request, version):
    lab = shared(version)
    recorder = Recorder(lab.client, "eth0")
    request.addfinalizer(recorder.close)
    for sender in ("", "builtin"):
        lab.nodes[0].start(1, arp_sender=sender)
        wait_until(lambda: not [pid for pid in processes(lab.nodes[0].namespace)
                                if "send" in command(pid) or "IPaddr2" in command(pid)],
                   "the announcements' end")
        lab.nodes[0].stop(1)
    told = recorder.arps(lab.vip) if version == 4 else recorder.advertisements(lab.vip)
    assert told and {packet["mac"] for packet in told} == {MACS[version]}


def command(pid):
    with contextlib.suppress(OSError), open("/proc/%d/cmdline" % pid) as file:
        return file.read()
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("clusterip_firewall", ["nft", "iptables"])
def test_arp_tells_the_clusters_mac(shared, request, need, clusterip_firewall):
    need("arptables", "arptables")
    lab = shared(4, mac="01-00-5e-00-02-64", clusterip_firewall=clusterip_firewall)
    recorder = Recorder(lab.client, "eth0")
    request.addfinalizer(recorder.close)
    lab.start()
    lab.ask("udp", 5)
    lab.nodes[0].run("ping", "-c", "1", "-W", "1", "-I", lab.vip, "192.0.2.9", check=False)
    told = recorder.arps(lab.vip)
    assert {(packet["op"], packet["mac"]) for packet in told} == {
        (1, "01:00:5e:00:02:64"), (2, "01:00:5e:00:02:64")}
    assert lab.table() == "01:00:5e:00:02:64"


def test_neighbour_discovery_tells_the_clusters_mac(shared, request):
    lab = shared(6)
    recorder = Recorder(lab.client, "eth0")
    request.addfinalizer(recorder.close)
    lab.start()
    lab.ask("udp", 5)
    state = ip(lab.client, "-6", "neigh", "show", lab.vip, "dev", "eth0")
    assert MACS[6] in state and "REACHABLE" in state     # the checksum was right
    assert {packet["mac"] for packet in recorder.advertisements(lab.vip)} == {MACS[6]}
    node = lab.nodes[0]
    ip(node.namespace, "-6", "neigh", "flush", "dev", "eth0")
    node.run("ping", "-6", "-c", "1", "-W", "1", "-I", lab.vip, "2001:db8::9")
    asked = [frame for frame in recorder.frames()
             if frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 135
             and frame[22:38] == bytes.fromhex("20010db8000000000000000000000100")]
    assert asked and all(frame[78:86] == bytes.fromhex("01013333873990f1") for frame in asked)
    assert lab.table() == MACS[6]


@pytest.mark.slow
def test_multicast_mac_is_joined(shared, request, version):
    """A macvlan, like a network card, drops the frames of groups that nobody joined.

    It filters by a hash of 8 bits, another one in each namespace (mc_hash() of Linux' macvlan.c),
    which lets the group through now and then: then other namespaces do.
    """
    to_all = bytes.fromhex(MACS[version].replace(":", ""))
    for _ in range(4):
        lab = shared(version)
        node = lab.nodes[0]
        sharing.replace_by_macvlan(lab, node, version)
        recorder = Recorder(node.namespace, "eth1")
        request.addfinalizer(recorder.close)
        ip(lab.client, "neigh", "add", lab.vip, "lladdr", MACS[version], "dev", "eth0")
        lab.ask("udp", 5)
        if not any(frame.startswith(to_all) for frame in recorder.frames()):
            break
    else:
        pytest.fail("frames of a group that nobody joined get through")
    for bucket in (1, 2, 3):
        node.start(bucket, nic="eth1")
    assert shares(lab.ask("udp", 20)) == [100, 0, 0]
    assert any(frame.startswith(to_all) for frame in recorder.frames())
    ip(node.namespace, "maddress", "delete", MACS[version], "dev", "eth1")
    assert node("monitor", 1, nic="eth1").rc == 7


# --- states ----------------------------------------------------------------------------------


def clean(node, vip):
    """Nothing of the address is left on the node: address, rules, MAC, files."""
    return (place(node.namespace, vip), node.rules(), node.joined(),
            [path.name for path in node.agent.rsctmp.iterdir()]) == ("", "", [], [])


def spoil_table(node, version):
    node.run("nft", "delete table %s %s" % (TABLES[version][0], TABLE[version]))


def spoil_everything(node, _version):
    node.run("nft", "flush ruleset")


def spoil_answers(node, version):
    chain = "arp %s output" if version == 4 else "ip6 %s output"
    node.run("nft", "flush chain " + chain % TABLE[version])


def spoil_hook(node, version):
    node.run("nft", "flush chain %s %s prerouting" % (TABLES[version][0], TABLE[version]))


def spoil_mac(node, version):
    ip(node.namespace, "maddress", "delete", MACS[version], "dev", "eth0")


def spoil_bucket(node, version, chains=("ports", "source")):
    listed = node.run("nft", "-a", "list", "table", TABLES[version][0], TABLE[version])
    chain = ""
    for line in listed.splitlines():
        words = line.split()
        if words[:1] == ["chain"]:
            chain = words[1]
        if "bucket 1" in line and chain in chains:
            node.run("nft", "delete rule %s %s %s handle %s" % (
                TABLES[version][0], TABLE[version], chain, words[-1]))


def spoil_half_a_bucket(node, version):
    spoil_bucket(node, version, ("ports",))


def spoil_address(node, version):
    ip(node.namespace, "addr", "delete", place_of(version), "dev", "eth0")


def place_of(version):
    return sharing.ADDRESSES[version] + ("/24" if version == 4 else "/64")


SPOILERS = {"table": (spoil_table, "rule"), "everything": (spoil_everything, "rule"),
            "answers": (spoil_answers, "rule"), "hook": (spoil_hook, "rule"),
            "mac": (spoil_mac, "rule"), "bucket": (spoil_bucket, "bucket 1"),
            "half_a_bucket": (spoil_half_a_bucket, "rule"),
            "address": (spoil_address, "address")}


@pytest.fixture
def pair_of_buckets(lone, version):
    """Node 1 with buckets 1 and 2, and its rules as they should be."""
    lab = lone(version)
    node = lab.nodes[0]
    node.start(1)
    node.start(2)
    return lab, node, node.rules()


@pytest.mark.parametrize("name", SPOILERS)
def test_half_made_states(pair_of_buckets, version, name):
    lab, node, right = pair_of_buckets
    spoil, told = SPOILERS[name]
    spoil(node, version)
    done = node("monitor", 1)
    assert done.rc == 7 and told in done.log, done
    for bucket in (1, 2):
        node.start(bucket)
    assert sorted(node.rules().splitlines()) == sorted(right.splitlines())
    assert place(node.namespace, lab.vip) and node.joined() == [MACS[version]]
    spoil(node, version)
    for bucket in (1, 2):
        node.stop(bucket)
    assert clean(node, lab.vip)


#: Changes that leave every comment as it is: what nft is told, or (chain, comment, the rule
#: instead).  FAMILY, TABLE and IP are the address's.
CHANGES = {
    "dormant": "add table FAMILY TABLE { flags dormant; }",
    "dormant answers": "add table arp TABLE { flags dormant; }",
    "a policy": "add chain FAMILY TABLE prerouting { policy drop; }",
    "accepts all": ("ports", "bucket 1", "accept"),
    "another seed": ("source", "bucket 1", "jhash FAMILY saddr mod 3 seed 0x1 0 accept"),
    "lets all in": ("source", "the other nodes' buckets", "accept"),
    "lets all by": ("share", "hashed by source address", "accept"),
    "an extra match": ("prerouting", "IPaddr2", 'iifname "eth0" FAMILY daddr IP meta pkttype set '
                       "host tcp dport 80 goto share"),
    "no answers": ("output", "IPaddr2", "drop"),
}


def change(node, version, name):
    """Carry out one of CHANGES."""
    def told(text):
        return text.replace("FAMILY", TABLES[version][0]).replace("TABLE", TABLE[version]).replace(
            "IP", node.common["ip"])

    if isinstance(CHANGES[name], str):
        node.run("nft", told(CHANGES[name]))
        return
    chain, comment, rule = CHANGES[name]
    for family in TABLES[version]:
        inside = ""
        for line in node.run("nft", "-a", "list", "table", family, TABLE[version]).splitlines():
            inside = line.split()[1] if line.strip().startswith("chain") else inside
            if inside == chain and comment in line:
                kept, _, handle = line.partition(' comment "')[2].rpartition(" # handle ")
                node.run("nft", 'replace rule %s %s %s handle %s %s comment "%s' % (
                    family, TABLE[version], chain, handle, told(rule), kept))
                return
    raise AssertionError("no rule with %s in %s" % (comment, chain))


@pytest.mark.parametrize("version, name", [
    (version, name) for version in (4, 6) for name in CHANGES
    if version == 4 or name != "dormant answers"])
def test_changed_rules(pair_of_buckets, version, name):
    """None of them is taken for healthy, start mends each, and stop removes it."""
    lab, node, right = pair_of_buckets
    change(node, version, name)
    done = node("monitor", 1)
    assert done.rc == 7 and "rule" in done.log, done
    node.start(1)
    assert [node("monitor", bucket).rc for bucket in (1, 2)] == [0, 0]
    assert sorted(node.rules().splitlines()) == sorted(right.splitlines())
    change(node, version, name)
    for bucket in (1, 2):
        node.stop(bucket)
    assert clean(node, lab.vip)


@pytest.mark.parametrize("comment", [
    "bucket of mine", "bucket ", "bucket 0", "bucket 4", "bucket ²", "bucket 99999999999",
    "IPaddr2 x", None])
def test_a_rule_of_somebody_else(pair_of_buckets, version, comment):
    lab, node, right = pair_of_buckets
    family, told = TABLES[version][0], ' comment "%s"' % comment if comment is not None else ""
    tables = ["%s %s %s" % (family, TABLE[version], chain) for chain in ("share", "ports")]
    for table in tables + ["arp %s output" % TABLE[4]] * (version == 4):
        node.run("nft", "insert rule %s counter%s" % (table, told))
        done = node("monitor", 1)
        assert done.rc == 7 and "unexpected" not in done.log + done.err, done
        node.start(1)
        assert [node("monitor", bucket).rc for bucket in (1, 2)] == [0, 0]
        assert sorted(node.rules().splitlines()) == sorted(right.splitlines())
    node.run("nft", "add rule %s counter%s" % (tables[0], told))
    node.run("nft", "insert rule %s counter%s" % (tables[1], told))
    for bucket in (1, 2):
        node.stop(bucket)
    assert clean(node, lab.vip)


@pytest.mark.parametrize("what", [
    "add set TABLE s { type ipv4_addr; flags interval; elements = { 1.2.3.4, 10.0.0.0/8 }; }",
    "add map TABLE m { type ipv4_addr : verdict; }", "add counter TABLE k", "add chain TABLE mine",
    "add chain TABLE mine { type filter hook input priority 0; policy drop; }",
    "add chain TABLE mine; add rule TABLE mine accept comment \"bucket 3\"", "flush table TABLE"])
def test_things_of_somebody_else(pair_of_buckets, version, what):
    lab, node, _ = pair_of_buckets
    script = what.replace("TABLE", "%s %s" % (TABLES[version][0], TABLE[version]))
    node.run("nft", script)
    assert node("monitor", 1).rc == 7
    for bucket in (1, 2):
        node.start(bucket)
        assert node("monitor", bucket).rc == 0
    node.run("nft", script)
    for bucket in (1, 2):
        node.stop(bucket)
    assert clean(node, lab.vip)


def test_starts_and_stops_twice_and_in_any_order(pair_of_buckets):
    lab, node, right = pair_of_buckets
    assert [node("status", bucket).out for bucket in (1, 2, 3)] == [
        "running\n", "running\n", "stopped\n"]
    node.start(1)
    assert node.rules() == right
    node.stop(1)
    node.stop(1)
    assert node("monitor", 2).rc == 0 and node("monitor", 1).rc == 7
    node.stop(3)
    assert node("monitor", 2).rc == 0
    node.stop(2)
    assert clean(node, lab.vip)
    node.stop(2)


def test_stop_after_the_interface_is_gone(pair_of_buckets):
    lab, node, _ = pair_of_buckets
    ip(node.namespace, "link", "delete", "dev", "eth0")
    assert node("monitor", 1, nic="eth0", cidr_netmask="64" if ":" in lab.vip else "24").rc == 7
    for bucket in (1, 2):
        node.stop(bucket)
    assert node.rules() == ""


def test_stop_with_other_settings_than_start(pair_of_buckets):
    lab, node, _ = pair_of_buckets
    other = {"mac": "33:33:00:00:00:77", "clusterip_hash": "nonsense", "clusterip_hash_seed": "x",
             "CRM_meta_clone_max": 2, "clusterip_chain": "a b"}
    node.stop(2, **other)
    node.stop(1, **other)
    assert clean(node, lab.vip)


def test_start_with_other_settings_keeps_the_buckets(pair_of_buckets, version):
    lab, node, _ = pair_of_buckets
    mac = "33:33:00:00:00:77"
    other = {"mac": mac, "clusterip_hash": "sourceip", "clusterip_hash_seed": "0x2a",
             "CRM_meta_clone_max": 4}
    assert node("monitor", 1, **other).rc == 7
    node.start(4, **other)
    assert [node("monitor", bucket, **other).rc for bucket in (1, 2, 3, 4)] == [0, 0, 7, 0]
    assert "mod 4 seed 0x0000002a" in node.rules() or "mod 4 seed 0x2a" in node.rules()
    assert node.joined() == [mac]


def test_rules_of_the_host_are_left_alone(pair_of_buckets):
    lab, node, _ = pair_of_buckets
    own = "add table ip mine; add chain ip mine input { type filter hook input priority 0; }; " \
          "add rule ip mine input ip saddr 203.0.113.5 drop"
    for bucket in (1, 2):
        node.stop(bucket)
    node.run("nft", own)
    before = node.rules()
    node.start(1)
    assert before.strip() in node.rules()
    node.stop(1)
    assert node.rules() == before


@pytest.mark.slow
def test_iptables_half_made(lone, need):
    need("arptables", "arptables")
    lab = lone(4, clusterip_firewall="iptables")
    node = lab.nodes[0]

    def state():
        return (node.run("iptables", "-t", "mangle", "-S"),
                node.run("arptables", "-L", "OUTPUT", "-n", "-v"), node.joined())

    empty = state()
    node.start(1)
    node.start(3)
    right = state()
    name = "IPaddr2-192.0.2.100"
    for spoil in (["iptables", "-t", "mangle", "-F", "PREROUTING"],
                  ["iptables", "-t", "mangle", "-F", name],
                  ["iptables", "-t", "mangle", "-A", "PREROUTING", "-j", name],
                  ["arptables", "-F", "OUTPUT"],
                  ["ip", "maddress", "delete", MACS[4], "dev", "eth0"]):
        node.run(*spoil)
        assert node("monitor", 1).rc == 7, spoil
        node.start(1)
        node.start(3)
        assert [sorted(str(part).splitlines()) for part in state()] == \
            [sorted(str(part).splitlines()) for part in right], spoil
    node.run("iptables", "-t", "mangle", "-F", "PREROUTING")
    node.stop(3)
    node.stop(1)
    assert state() == empty and place(node.namespace, lab.vip) == ""


@pytest.mark.parametrize("foreign", [
    ["-A", "CHAIN", "-m", "comment", "--comment", 'bucket "of" m\\ine', "-j", "ACCEPT"],
    ["-I", "CHAIN", "1", "-m", "cluster", "--cluster-total-nodes", "32", "--cluster-local-node",
     "32", "--cluster-hash-seed", "0", "-j", "RETURN"],
    ["-I", "CHAIN", "1", "-m", "cluster", "--cluster-total-nodes", "3", "!",
     "--cluster-local-nodemask", "1", "--cluster-hash-seed", "0x77d26fe5", "-j", "RETURN"],
    ["-I", "CHAIN", "1", "-p", "tcp", "-j", "RETURN"], ["-R", "CHAIN", "1", "-j", "RETURN"],
    ["-I", "CHAIN", "1", "-j", "DROP"],
    ["-I", "INPUT", "!", "-d", "192.0.2.100", "-m", "comment", "--comment", "a jump", "-g",
     "CHAIN"]], ids=" ".join)
def test_iptables_rules_of_somebody_else(lone, need, foreign):
    need("arptables", "arptables")
    lab = lone(4, clusterip_firewall="iptables")
    node = lab.nodes[0]
    words = ["iptables", "-t", "mangle"] + [
        "IPaddr2-192.0.2.100" if word == "CHAIN" else word for word in foreign]
    host = ["arptables", "-A", "OUTPUT", "-s", lab.vip, "-d", "192.0.2.7", "--h-length", "6", "-o",
            "eth0", "-j", "mangle", "--mangle-mac-s", MACS[4]]
    node.run(*host)
    empty = node.run("iptables", "-t", "mangle", "-S")
    answers = node.run("arptables", "-L", "OUTPUT", "-n", "-v")
    node.start(1)
    right = node.run("iptables", "-t", "mangle", "-S")
    assert node("monitor", 1).rc == 0
    node.run(*words)
    assert node("monitor", 1).rc == 7
    node.start(1)
    assert node("monitor", 1).rc == 0
    assert node.run("iptables", "-t", "mangle", "-S") == right
    node.run(*words)
    node.stop(1)
    assert place(node.namespace, lab.vip) == "" and node.joined() == []
    assert node.run("iptables", "-t", "mangle", "-S") == empty
    assert node.run("arptables", "-L", "OUTPUT", "-n", "-v") == answers


@pytest.mark.slow
@pytest.mark.parametrize("table, chain", [("filter", "INPUT"), ("security", "INPUT"),
                                          ("mangle", "INPUT"), ("mangle", "PREROUTING")])
def test_iptables_in_other_tables(shared, need, table, chain):
    need("arptables", "arptables")
    lab = shared(4, clusterip_firewall="iptables", clusterip_table=table, clusterip_chain=chain)
    lab.start()
    assert all(abs(share - 100 / 3) < 5 for share in shares(lab.ask("udp")))
    for node in lab.nodes:
        assert node("monitor", node.number).rc == 0
        assert "-A %s -d" % chain in node.run("iptables", "-t", table, "-S")
        node.stop(node.number)
        assert "IPaddr2" not in node.run("iptables", "-t", table, "-S")
        assert place(node.namespace, lab.vip) == ""


@pytest.mark.slow
def test_sixteen_instances_at_once(lone, version, tmp_path):
    lab = lone(version, CRM_meta_clone_max=16)
    node = lab.nodes[0]
    for action in ("start", "stop"):
        runs = [node.agent.start_process(action, subprocess.DEVNULL, subprocess.DEVNULL,
                                         **node.parameters(bucket)) for bucket in range(1, 17)]
        assert [run.wait(40) for run in runs] == [0] * 16, node.agent.log()
        if action == "start":
            assert [node("monitor", bucket).rc for bucket in (1, 7, 16)] == [0, 0, 0]
            assert [entry["local"] for entry in addresses(node.namespace)].count(lab.vip) == 1
            assert node.rules().count('comment "bucket ') == 32
    wait_until(lambda: clean(node, lab.vip), "an empty node")


@pytest.mark.slow
def test_lock_of_a_killed_instance(pair_of_buckets):
    _, node, _ = pair_of_buckets
    path = node.agent.rsctmp / ("IPaddr2-CIP-" + node.common["ip"])
    holder = subprocess.Popen(["flock", "-o", str(path), "sleep", "60"])
    try:
        wait_until(path.exists, "the lock")
        waiting = node.agent.start_process("start", subprocess.DEVNULL, subprocess.PIPE,
                                           **node.parameters(3, CRM_meta_timeout=3000))
        assert waiting.wait(10) == 1
        assert b"no lock on" in waiting.stderr.read()
    finally:
        holder.kill()
        holder.wait()
        subprocess.run(["pkill", "-P", str(holder.pid)])
    node.start(3)
    assert not path.exists()


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [
    {"clusterip_hash": "bogus"}, {"clusterip_hash": ""}, {"mac": "02:00:5e:00:01:64"},
    {"mac": "nonsense"}, {"mac": "01:00:5e:00:01"}, {"clusterip_firewall": "ipfw"},
    {"clusterip_hash_seed": "0x"}, {"clusterip_hash_seed": "-1"},
    {"clusterip_hash_seed": "4294967296"}, {"clusterip_table": "nat"},
    {"clusterip_chain": "-F"}, {"clusterip_chain": "a b"}, {"clusterip_chain": "x" * 29},
    {"clusterip_chain": ""}, {"lvs_support": "true"}, {"CRM_meta_clone": 3},
    {"clusterip_table": "filter"},
    {"clusterip_firewall": "iptables", "clusterip_table": "security"},
    {"clusterip_firewall": "iptables", "CRM_meta_clone_max": 33}], ids=str)
def test_refused(lone, bad):
    lab = lone(4)
    name, value = list(bad.items())[-1]
    for action in ("start", "validate-all"):
        done = lab.nodes[0](action, 1, **bad)
        assert done.rc == 6, done
        assert str(value) in done.reason and name.replace("CRM_meta_", "") in done.reason
    assert clean(lab.nodes[0], lab.vip)
    lab.nodes[0].stop(1, **bad)


@pytest.mark.parametrize("bad", [{"mac": "01:00:5e:00:01:64"}, {"clusterip_firewall": "clusterip"},
                                 {"clusterip_firewall": "iptables"}], ids=str)
def test_refused_for_ipv6(lone, need, bad):
    need("modprobe", "kmod")
    lab = lone(6)
    assert lab.nodes[0]("start", 1, **bad).rc == 6
    assert clean(lab.nodes[0], lab.vip)


def test_without_any_tool(lone):
    lab = lone(4)
    done = lab.nodes[0]("validate-all", 1, env={"OCF_TESTER_FAIL_HAVE_BINARY": "1",
                                                "IP2UTIL": "ip"})
    assert done.rc == 5


def test_failed_start_is_taken_back(lone, version):
    lab = lone(version)
    node = lab.nodes[0]
    tools = node.agent.stand_in("ip", 'case "$*" in *"addr add"*) exit 2;; esac\n'
                                'exec /usr/sbin/ip "$@"\n')
    assert node("start", 1, env={"PATH": tools}).rc == 1
    assert clean(node, lab.vip)
