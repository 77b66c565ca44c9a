# SPDX-License-Identifier: GPL-2.0-only
"""The backends of Cluster IP step by step: which is chosen, what it is told, lists and derives."""

import os

import pytest

from ipaddr2_py import clusterip, commands, ocf
from ipaddr2_py.clusterip import (iptables as clusterip_iptables, nft as clusterip_nft,
                                  nft_rules as clusterip_rules, share as clusterip_share,
                                  target as clusterip_target)
from ipaddr2_py.clusterip.share import Share
from tests.unit.test_clusterip import MAC4, MAC6, OWN, VIP4, VIP6, data, joined, shared, target
from tests.unit.test_clusterip_left import GONE, SILENT, Backend

assert joined and shared and target     # fixtures


# --- choosing, and what is said --------------------------------------------------------------


def test_programs_by_the_environment(fp, shared):
    fp.install("nft")
    commands.ENV.update(MODPROBE="/x/modprobe", IPTABLES="/x/iptables -w")
    assert clusterip.programs("clusterip")[1] == "/x/modprobe"
    assert clusterip.programs("iptables") == ["/x/iptables -w", "arptables"]
    assert clusterip.programs("nft") == ["nft"]
    assert clusterip_iptables.iptables(shared()) == ["/x/iptables", "-w", "-t", "mangle"]


def test_nothing_hinders(fp, shared):
    fp.install("nft")
    made = shared()
    made.action = "stop"
    assert clusterip.hindrance(made, "nft") == ""


class Refusing(Backend):
    """A backend that can be looked at, or not, and takes no bucket."""

    REFUSED = "it refused"

    def look_closely(self, vip):
        return self.look(vip)

    def wanted_share(self, _vip, _found, _brd):
        return Share("eth0", MAC4)

    def set_up(self, *_words):
        return False


@pytest.mark.parametrize("found, told", [
    (GONE, "it refused; the log has the message"), (SILENT, "nft ended with 1")])
def test_a_bucket_that_cannot_be_taken(shared, monkeypatch, capfd, found, told):
    monkeypatch.setattr(clusterip, "backend", lambda _name: Refusing(found))
    with pytest.raises(ocf.OcfExit) as leaving:
        clusterip.take(shared(clusterip_firewall="nft"), [], "")
    assert leaving.value.rc == 1
    assert capfd.readouterr().err.endswith(f"bucket 1 of {VIP4} cannot be taken: {told}\n")


def test_each_backend_says_who_refused():
    assert clusterip_iptables.REFUSED == "iptables, arptables or ip refused"
    assert clusterip_nft.REFUSED == "nft or ip refused"


def test_no_stray_mac_where_others_stay(shared, monkeypatch):
    share = Share("", "")
    share.buckets = {1: 1, 2: 2}
    monkeypatch.setattr(clusterip, "found_shares", lambda _vip, _names: [(None, share)])
    monkeypatch.setattr(clusterip, "to_be_searched", lambda _vip: [])
    monkeypatch.setattr(clusterip, "stray_mac", lambda _vip: pytest.fail("looked for"))
    assert clusterip.Rules(shared()).stray == ()


def test_what_could_not_be_removed(shared, monkeypatch, capfd):
    class Keeping(Backend):
        def release(self, _vip, _share):
            return False

    monkeypatch.setattr(clusterip, "to_be_searched", lambda _vip: [])
    monkeypatch.setattr(clusterip, "stray_mac", lambda _vip: ())
    rules = clusterip.Rules(shared())
    rules.found = [(Keeping(), Share())]
    assert rules.release() == 1 and rules.failure() == 1
    assert capfd.readouterr().err.splitlines() == [
        f"ocf-exit-reason:Unable to remove {what} of Cluster IP {VIP4} from the firewall"
        for what in ("bucket 1", "the rules")]


# --- what iptables lists ---------------------------------------------------------------------


def test_any_of_them_is_something():
    chain = clusterip_iptables.chain_name(VIP4)
    for text, arp, found in (("", "", False), (f"-N {chain}", "", True),
                             (f"-A INPUT -j {chain}", "", True),
                             ("", f"-s {VIP4} -o eth0 -j mangle --mangle-mac-s {MAC4} "
                              "--mangle-target CONTINUE", True)):
        assert clusterip_iptables.Rules(text, arp, VIP4).any() is found, (text, arp)


def test_the_rule_of_a_bucket():
    words = ["-A", "x", "-m", "cluster", "--cluster-total-nodes", "3", "--cluster-local-nodemask",
             "0x00000001", "--cluster-hash-seed", "0x00000007", "-j", "RETURN"]
    share = Share("eth0", MAC4, "", 3, 7)
    assert clusterip_iptables.is_bucket(words, share)
    for at, word in ((3, "comment"), (4, "--other"), (5, "4"), (9, "0x8"), (11, "ACCEPT")):
        assert not clusterip_iptables.is_bucket(words[:at] + [word] + words[at + 1:], share), word
    assert not clusterip_iptables.is_bucket(words + ["-p", "tcp"], share)
    assert clusterip_iptables.hashed(words) == (3, 7)
    assert clusterip_iptables.hashed([]) == (0, -1)


def test_the_interface_by_a_jump_or_by_an_answer():
    chain = clusterip_iptables.chain_name(VIP4)
    jump = f"-A INPUT -d {VIP4}/32 -i eth1 -j {chain}"
    arp = f"-s {VIP4} -o eth0 -j mangle --mangle-mac-s {MAC4} --mangle-target CONTINUE"
    for text, answer, nic in ((jump, arp, "eth1"), (jump, "", "eth1"), ("", arp, "eth0"),
                              ("", "", "")):
        rules = clusterip_iptables.Rules(text, answer, VIP4)
        assert clusterip_iptables.parse_share(rules, VIP4).nic == nic


@pytest.mark.parametrize("asked, warned", [
    ("sourceip", False), ("sourceip-sourceport", True)])
def test_what_iptables_hashes(shared, monkeypatch, tmp_path, asked, warned):
    monkeypatch.setattr(clusterip_iptables, "change_group", lambda _found, _share: True)
    monkeypatch.setattr(clusterip_iptables, "make_chain", lambda _vip, _share: True)
    assert clusterip_iptables.set_up(shared(clusterip_hash=asked), Share(), None)
    assert (tmp_path / "log").exists() is warned


def test_which_rules_go_before_the_address():
    assert [module.BEFORE_ADDRESS for module in (
        clusterip_target, clusterip_iptables, clusterip_nft)] == [True, False, False]


# --- what nft is told, and lists -------------------------------------------------------------


def test_the_script_for_ipv4(shared):
    """Word for word; one bucket of those that were held, and its own."""
    made = shared(clusterip_hash="sourceip")
    share = Share("eth0", MAC4, "sourceip", 3, 7)
    settings = f'comment "IPaddr2 eth0 {MAC4} - sourceip 3 0x00000007"'
    table = f"ipaddr2-{VIP4}"
    bucket = f"insert rule ip {table} source jhash ip saddr mod 3 seed 0x00000007"
    assert clusterip_nft.table_script(made, share, {3, 1}) == [
        *[f"{verb} table {family} {table}" for family in ("ip", "arp")
          for verb in ("add", "delete", "add")],
        f"add chain ip {table} prerouting {{ type filter hook prerouting priority -300; }}",
        f"add chain ip {table} share",
        f"add chain ip {table} source",
        f"add chain arp {table} output {{ type filter hook output priority 0; }}",
        f'add rule ip {table} prerouting iifname "eth0" ip daddr {VIP4} meta pkttype set host '
        f"goto share {settings}",
        f"add rule ip {table} share icmp type != {{ 8, 13, 15, 17 }} accept "
        'comment "errors and answers reach all nodes"',
        f'add rule ip {table} share goto source comment "hashed by source address"',
        f'add rule ip {table} source drop comment "the other nodes\' buckets"',
        f'add rule arp {table} output oifname "eth0" arp saddr ip {VIP4} arp saddr ether set '
        f"{MAC4} {settings}",
        f'{bucket} 0 accept comment "bucket 1"', f'{bucket} 2 accept comment "bucket 3"']


def test_the_script_for_ipv6(shared):
    share = Share("eth0", MAC6, "sourceip-sourceport", 2, 7, "02:00:00:00:00:01")
    script = clusterip_nft.table_script(shared(VIP6), share, {2})
    table = "ipaddr2-" + VIP6.replace(":", "_")
    assert script[:3] == [f"add table ip6 {table}", f"delete table ip6 {table}",
                          f"add table ip6 {table}"]
    assert [line.split("{")[0].rstrip() for line in script if line.startswith("add chain")] == [
        f"add chain ip6 {table} {chain}" for chain in (
            "prerouting", "share", "ports", "defragment", "source", "output")]
    assert sum("tproxy" in line for line in script) == 1
    assert [line.split(" accept ")[0] for line in script if line.startswith("insert")] == [
        f"insert rule ip6 {table} {chain} jhash ip6 saddr{ports} mod 2 seed 0x00000007 1"
        for chain, ports in (("ports", " . th sport"), ("source", ""))]


@pytest.mark.parametrize("rc, works", [(0, True), (1, False)])
def test_whether_the_kernel_has_nftables(fp, rc, works):
    fp.install("nft")
    fp.query("nft list tables", rc=rc)
    assert clusterip_nft.works() is works
    assert clusterip_nft.works() is works       # asked once


@pytest.mark.parametrize("total, good", [("1", 0), ("2", 2), ("3", 3), ("x", 0)])
def test_how_many_buckets_there_may_be(total, good):
    share = clusterip_nft.parse_settings(f"IPaddr2 eth0 {MAC4} - sourceip {total} 0x1")
    assert share.total == good


def test_ipv4_names_no_mac_of_its_own(shared):
    text = (data("nft-ip") + data("nft-arp")).replace(f"{MAC4} - ", f"{MAC4} {MAC6} ")
    share = clusterip_nft.parse_share(clusterip_rules.parse_rules(text), shared())
    assert share.own == MAC6 and not share.complete


@pytest.mark.parametrize("own, complete", [(OWN, True), (MAC6, False)])
def test_the_interfaces_mac_in_the_rules_for_ipv6(fp, shared, joined, monkeypatch, own, complete):
    """Another card needs rules of its own."""
    fp.install("nft")
    joined.add(MAC6)
    monkeypatch.setattr(clusterip_nft, "own_mac", lambda _nic: own)
    made = shared(VIP6)
    fp.query(["nft", "-a", "-n", "list", "table", "ip6", "ipaddr2-" + VIP6.replace(":", "_")],
             out=data("nft-ip6"))
    assert clusterip_nft.look(made).complete is complete
    assert clusterip_nft.wanted_share(made, None, "").own == own
    assert clusterip_nft.wanted_share(shared(), None, "192.0.2.255").own == ""


def test_buckets_that_were_held_stay_so(shared, monkeypatch):
    made, found, share = shared(bucket=1), Share(), Share("eth0", MAC4, "sourceip", 3, 7)
    found.buckets, ran = {3: [], 4: []}, []
    monkeypatch.setattr(clusterip_nft, "ocf_run", lambda argv: ran.append(argv[1]) or 0)
    assert clusterip_nft.make_tables(made, share, found)
    assert ran == ["; ".join(clusterip_nft.table_script(made, share, {1, 3}))]


@pytest.mark.parametrize("left, rc, good", [
    (True, 0, True), (False, 0, False), (True, 1, False), (False, 1, False)])
def test_whether_the_tables_are_gone(shared, monkeypatch, left, rc, good):
    monkeypatch.setattr(clusterip_nft, "ocf_run", lambda _argv: rc)
    monkeypatch.setattr(clusterip_nft, "leave_group", lambda _nic, _mac: left)
    assert clusterip_nft.remove(shared(), Share("eth0", MAC4)) is good


def test_what_a_table_lists():
    assert clusterip_rules.parse_rules(
        "table ip t { # handle 7\n\tflags dormant\n\tset s { # handle 8\n\t}\n"
        "\tchain c { # handle 1\n\t\ttype filter hook output priority 0; policy accept;\n"
        '\t\ttype x\n\t\tdrop comment "no" # handle 5\n\t\tdrop # handle x\n\t}\n'
        "\tcounter d # handle 9\n\tflags x\n}\n") == [
            ("ip", "", "flags dormant", "", 0), ("ip", "", "set s {", "", 8),
            ("ip", "c", "chain", "", 0),
            ("ip", "c", "type filter hook output priority 0; policy accept;", "", 0),
            ("ip", "c", "drop", "no", 5), ("ip", "c", "drop", "", 0),
            ("ip", "", "counter d", "", 9)]


@pytest.mark.parametrize("comment, number", [
    ("bucket 3", 3), ("bucket 12", 12), ("bucket 03", 0), ("bucket 0", 0), ("bucket ", 0),
    ("bucket x", 0), ("basket 3", 0), ("3", 0)])
def test_the_bucket_of_a_comment(comment, number):
    assert clusterip_rules.bucket_number(comment) == number


def test_the_order_of_buckets_does_not_matter():
    buckets = [("ip", "c", "accept", f"bucket {number}", 0) for number in (1, 2)]
    chain, last = ("ip", "c", "chain", "", 0), ("ip", "c", "drop", "rest", 0)
    assert clusterip_rules.as_written([chain, *buckets, last], [chain, *buckets[::-1], last])
    assert not clusterip_rules.as_written([chain, last, *buckets], [chain, last, *buckets[::-1]])


def test_sets_in_any_order():
    assert clusterip_rules.values("z { 8, 13 } b a") == clusterip_rules.values("z { 13, 8 } b a")
    assert clusterip_rules.values("z { 8, 13 } b a") == ["z", 13, 8, "b", "a"]


@pytest.mark.parametrize("word, value", [
    ("7", 7), ("9" * 39, int("9" * 39)), ("9" * 40, "9" * 40), ("0x", "0x"), ("0x1", 1),
    ("0x" + "f" * 37, 16 ** 37 - 1), ("0x" + "f" * 38, "0x" + "f" * 38), ("0xg", "0xg"),
    ("::1", 1), ("02:00:00:00:00:01", 0x020000000001), ("a:b", "a:b")])
def test_words_that_are_numbers(word, value):
    assert clusterip_rules.value(word) == value


# --- what is derived -------------------------------------------------------------------------


@pytest.mark.parametrize("asked, found, fits", [
    ("5", 5, True), ("5", 0, False), ("0", 0, True), ("5", -1, True), ("", 7, True)])
def test_seeds_that_fit(shared, asked, found, fits):
    share = Share("eth0", seed=found)
    assert clusterip_share.matches(share, shared(clusterip_hash_seed=asked)) is fits


@pytest.mark.parametrize("nic, given, brd, text", [
    ("eth0", "", None, "192.0.2.255"), ("", "", None, ""), ("", "192.0.2.7", None, "192.0.2.7"),
    ("eth0", "", "192.0.2.9", "192.0.2.9")])
def test_the_broadcast_address_that_counts(shared, monkeypatch, nic, given, brd, text):
    monkeypatch.setattr(clusterip_share, "broadcast", lambda _vip: "192.0.2.255")
    made = shared(broadcast=given)
    made.nic = nic
    assert clusterip_share.address_md5(made, brd) == clusterip_share.digest_of(VIP4, 24, text)


def test_any_bytes_have_a_digest():
    assert len(clusterip_share.digest_of("\udcff", 24, "")) == 32


def test_the_longest_seed():
    assert clusterip_share.parse_seed("0x" + "0" * 16 + "1") == 1
    assert clusterip_share.parse_seed("0x" + "0" * 17 + "1") is None


def test_any_bytes_are_listed(tmp_path, monkeypatch):
    path = tmp_path / "dev_mcast"
    path.write_bytes(b"2 \xff 1 1 010203\n")
    monkeypatch.setattr(clusterip_share, "MULTICAST_LIST", str(path))
    before = len(os.listdir("/proc/self/fd"))
    assert clusterip_share.is_joined("\udcff", "01:02:03")
    assert len(os.listdir("/proc/self/fd")) == before


# --- the target ------------------------------------------------------------------------------


def test_the_targets_programs_by_the_environment(fp):
    commands.ENV.update(IPTABLES_LEGACY="/x/legacy -w", IPTABLES="/x/iptables -w",
                        MODPROBE="/x/m p")
    assert clusterip_target.iptables() == ["/x/iptables", "-w"]
    assert clusterip_target.modprobe() == ["/x/m", "p"]
    fp.install("mine")
    commands.ENV["IPTABLES_LEGACY"] = "mine"
    assert clusterip_target.iptables() == ["mine"]


def test_rules_of_an_address():
    mine = f"-A INPUT -d {VIP4}/32 -j CLUSTERIP --new"
    others = [f"-A FORWARD -d {VIP4}/32 -j CLUSTERIP", f"-A INPUT -d {VIP4}/32 -j ACCEPT",
              "-A INPUT -d 192.0.2.1/32 -j CLUSTERIP", f"-P INPUT -d {VIP4} CLUSTERIP"]
    assert clusterip_target.parse_rules("\n".join([*others, mine]), VIP4) == [mine.split()]
    assert clusterip_target.REFUSED.startswith("iptables or the kernel refused (")


def test_the_lock_of_iptables_is_polled(monkeypatch, clock):
    monkeypatch.setattr(clusterip_target, "ocf_run", lambda _argv: codes.pop(0))
    codes, begin = [4, 4, 1], clock.now
    assert clusterip_target.change([]) == 1
    assert clock.now - begin == pytest.approx(0.1)


@pytest.mark.parametrize("rules, mac", [([], ""), (["-i eth0 --clustermac 01:00:5E:00:00:01"],
                                                   "01:00:5e:00:00:01")])
def test_what_a_rule_of_the_target_tells(shared, target, monkeypatch, rules, mac):
    (target / VIP4).write_text("2\n")
    monkeypatch.setattr(clusterip_target, "list_rules", lambda _vip: [one.split() for one in rules])
    share = clusterip_target.look_closely(shared())
    assert (share.mac, share.buckets) == (mac, {2: "2"})


@pytest.mark.parametrize("total, mac", [(3, "01:00:00:00:00:01"), (4, MAC4)])
def test_a_rule_that_is_made_anew_has_a_mac_of_its_own(shared, total, mac):
    found = Share("eth0", "01:00:00:00:00:01", "", total)
    assert clusterip_target.wanted_share(shared(), found, "192.0.2.255").mac == mac
    assert clusterip_target.wanted_share(shared(), None, "192.0.2.255").mac == MAC4


def test_buckets_that_the_rule_keeps(shared, monkeypatch):
    found, wrote = Share("eth0", MAC4), []
    found.buckets = {1: "1", 3: "3", 4: "4"}
    monkeypatch.setattr(clusterip_target, "list_rules", lambda _vip: [])
    monkeypatch.setattr(clusterip_target, "add_rule", lambda _vip, _share: True)
    monkeypatch.setattr(clusterip_target, "write_bucket",
                        lambda _vip, sign, number: wrote.append((sign, number)) or True)
    assert clusterip_target.set_up(shared(bucket=1), found, found)
    assert wrote == [("+", 3)]


def test_the_kernels_file_is_closed(shared, target):
    (target / VIP4).write_text("")
    before = len(os.listdir("/proc/self/fd"))
    assert clusterip_target.write_bucket(shared(), "+", 2)
    assert len(os.listdir("/proc/self/fd")) == before
