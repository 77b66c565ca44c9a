# SPDX-License-Identifier: GPL-2.0-only
"""Cluster IP: arithmetic of MAC, seed and checksum, what the tools print, commands in order."""

import os
import pathlib
import posix
import random
import re
import subprocess
import sys
import threading
import types

import pytest

from ipaddr2_py import addresses, children, clusterip, ocf, place
from ipaddr2_py.actions import start, stop
from ipaddr2_py.addresses import Address
from ipaddr2_py.announce import packets
from ipaddr2_py.changes import files
from ipaddr2_py.clusterip import (iptables as clusterip_iptables, nft as clusterip_nft,
                                  params as clusterip_params,
                                  nft_rules as clusterip_rules, share as clusterip_share,
                                  target as clusterip_target)
from ipaddr2_py.clusterip.share import Share

DATA = pathlib.Path(__file__).resolve().parents[1] / "data" / "clusterip"
VIP4, VIP6 = "192.0.2.100", "2001:db8::100"
MAC4, MAC6, OWN = "77:d2:6f:e5:f8:7e", "33:33:87:39:90:f1", "02:00:00:00:00:01"
SEED4, SEED6 = 0x77d26fe5, 0x38848739
PORTS = "sourceip-sourceport"


def data(name):
    return (DATA / name).read_text()


def programs(fp, *names):
    fp.install(*names)


@pytest.fixture
def shared(make_vip):
    """A function that gives the Vip of bucket 1 of 3 on eth0, for changes of parameters."""
    def make(ip=VIP4, bucket=1, buckets=3, **given):
        if ":" not in ip:
            given.setdefault("broadcast", "192.0.2.255")
        made = make_vip(ip=ip, prefix=64 if ":" in ip else 24, **given)
        made.bucket, made.buckets = bucket, buckets
        return made

    return make


@pytest.fixture
def joined(monkeypatch):
    """The multicast MACs of the interfaces, as a set of texts that the test can change."""
    there = {MAC4, MAC6}
    monkeypatch.setattr(clusterip_nft, "is_joined", lambda nic, mac: mac in there)
    monkeypatch.setattr(clusterip_iptables, "is_joined", lambda nic, mac: mac in there)
    monkeypatch.setattr(clusterip_share, "is_joined", lambda nic, mac: mac in there)
    return there


@pytest.fixture
def target(tmp_path, monkeypatch):
    """A folder in the place of /proc/net/ipt_CLUSTERIP; a file there is an address's."""
    folder = tmp_path / "ipt_CLUSTERIP"
    folder.mkdir()
    monkeypatch.setattr(clusterip_target, "FOLDER", str(folder))
    monkeypatch.setattr(children.RUN, "known", {})
    return folder


# --- arithmetic ------------------------------------------------------------------------------


@pytest.mark.parametrize("text, mac", [
    ((VIP4, 24, "192.0.2.255"), MAC4),              # as the shell agent has it (first digit odd)
    (("192.0.2.1", 24, "192.0.2.255"), None), (("10.0.0.9", 8, "+"), None), ((VIP4, 24, ""), None)])
def test_derived_mac_is_the_shell_agents(text, mac):
    words = " ".join(str(word) for word in text)
    pipe = "echo %s | md5sum | sed -e 's#\\(............\\).*#\\1#' -e 's#..#&:#g; s#:$##' " \
        "-e 's#^\\(.\\)[02468aAcCeE]#\\11#'" % words
    expected = subprocess.run(["sh", "-c", pipe], stdout=subprocess.PIPE, text=True).stdout.strip()
    found = clusterip_share.derived_mac(clusterip_share.digest_of(*text), "inet")
    assert found == expected and (mac is None or found == mac)
    assert int(found[:2], 16) & 1


def test_derived_mac_of_ipv6():
    digest = clusterip_share.digest_of(VIP6, 64, "")
    assert clusterip_share.derived_mac(digest, "inet6") == MAC6
    assert int(digest[:8], 16) == SEED6


@pytest.mark.parametrize("text, value", [
    ("0", 0), ("4294967295", 2 ** 32 - 1), ("010", 10), ("0x0", 0), ("0xFFFFffff", 2 ** 32 - 1),
    ("0X1a", 26), ("", None), ("4294967296", None), ("0x100000000", None), ("0x", None),
    ("-1", None), ("0x-1", None), ("0x_1", None), ("1_0", None), ("1 ", None), ("ff", None),
    ("9" * 5000, None), ("0x" + "0" * 5000, None), ("٣", None)])
def test_seed(text, value):
    assert clusterip_share.parse_seed(text) == value


@pytest.mark.parametrize("text, good", [
    ("01:00:5e:00:01:02", True), ("01-00-5E-00-01-02", True), ("1:0:5e:0:1:2", False),
    ("01:00:5e:00:01", False), ("01:00:5e:00:01:02:03", False), ("01:00:5e:00:01:zz", False),
    ("01005e000102", False), ("", False), ("01:00:5e:00:01: 2", False),
    ("01:00:5e:00:01:  ", False), ("01:00:5e:00:01:+2", False)])
def test_mac_octets(text, good):
    assert (addresses.mac_bytes(text) is not None) is good


def test_checksum_stays_right():
    """For any two MACs: the change leaves the checksum of the whole advertisement as it was."""
    rng = random.Random(6)
    for _ in range(300):
        own = bytes([rng.randrange(256) & 0xfe] + [rng.randrange(256) for _ in range(5)])
        mac = b"\x33\x33" + bytes(rng.randrange(256) for _ in range(4))
        frame = packets.na_frame(own, VIP6)
        changed = bytearray(frame)
        assert changed[80:86] == own        # bit 208 of ICMPv6, which begins at octet 54
        changed[80:86] = mac
        changed[60:62] = clusterip_share.checksum_makeup(own, mac).to_bytes(2, "big")
        pseudo = frame[22:54] + (32).to_bytes(4, "big") + (58).to_bytes(4, "big")
        assert packets.internet_checksum(pseudo + bytes(changed[54:])) in (0, 0xffff)


@pytest.mark.parametrize("own, mac, makeup", [
    (bytes(6), "3333ffffcccb", 1),          # a sum of 0x10000, that of 0xffff, and one of 0x1fffe
    (bytes(6), "3333ffffcccc", 0xffff), (b"\xff" * 6, "33337fffcccd", 0x7fff)])
def test_checksum_at_the_edges(own, mac, makeup):
    mac = bytes.fromhex(mac)
    words = [int.from_bytes(own[place:place + 2], "big") for place in (0, 2, 4)]
    words += [0xffff - int.from_bytes(mac[place:place + 2], "big") for place in (0, 2, 4)]
    assert clusterip_share.checksum_makeup(own, mac) == makeup
    assert makeup % 0xffff == sum(words) % 0xffff and makeup < 0x10000


def test_joined_macs():
    text = data("dev_mcast")
    assert clusterip_share.parse_joined(text, "eth0") == {MAC4}
    assert clusterip_share.parse_joined(text, "eth1") == set()


@pytest.mark.parametrize("loaded, listed, release, rc", [
    (True, "", "6.3", None), (False, "ECN\nCLUSTERIP\n", "6.3", None),
    (False, "CLUSTERIP2\n", "6.2.9-x", 0), (False, "", "6.2", 1), (False, "", "6.3.0", None)])
def test_where_the_target_is(fp, target, monkeypatch, tmp_path, loaded, listed, release, rc):
    """Loaded, or as a module of a kernel that has it still."""
    if not loaded:
        monkeypatch.setattr(clusterip_target, "FOLDER", str(tmp_path / "none"))
    monkeypatch.setattr(files, "read_file",
                        lambda path: listed if path == "/proc/net/ip_tables_targets" else "")
    monkeypatch.setattr(posix, "uname", lambda: types.SimpleNamespace(release=release))
    fp.install("modprobe")
    if rc is not None:
        fp.query("modprobe -n -q ipt_CLUSTERIP", rc=rc)
    there = loaded or "CLUSTERIP" in listed.split() or rc == 0
    assert clusterip_target.has_target() is there
    assert clusterip_target.has_target() is there, "asked once"


@pytest.mark.parametrize("release, version", [
    ("6.1.0-41-amd64", (6, 1)), ("6.3", (6, 3)), ("6.18.44-fc-v595", (6, 18)),
    ("5.10-rc1", (5, 10)), ("x", (0,)), ("6²", (6,)), ("²", (0,)), ("6.", (6, 0))])
def test_kernel_version(release, version):
    assert clusterip_target.kernel_version(release) == version


# --- what the tools print --------------------------------------------------------------------


def nft_share(vip, *names):
    rules = clusterip_rules.parse_rules("".join(data(name) for name in names))
    return clusterip_nft.parse_share(rules, vip)


def test_nft_rules(shared):
    share = nft_share(shared(), "nft-ip", "nft-arp")
    assert (share.nic, share.mac, share.own, share.hash, share.total, share.seed) == (
        "eth0", MAC4, "", PORTS, 3, SEED4)
    assert share.buckets == {1: [("ports", 15), ("source", 16)], 3: [("ports", 17), ("source", 18)]}
    assert share.complete


def test_nft_rules_for_the_source_alone(shared):
    share = nft_share(shared(), "nft-ip-sourceip")
    assert (share.hash, sorted(share.buckets), share.complete) == ("sourceip", [2], False)
    text = data("nft-ip-sourceip") + data("nft-arp").replace(PORTS, "sourceip")
    share = clusterip_nft.parse_share(clusterip_rules.parse_rules(text), shared())
    assert share.complete


def test_nft_rules_for_ipv6(shared):
    share = nft_share(shared(VIP6), "nft-ip6")
    assert (share.mac, share.own, share.hash, share.total, share.seed, sorted(share.buckets)) == (
        MAC6, OWN, PORTS + "-destport", 3, SEED6, [2])
    assert share.complete


def test_any_rule_that_is_gone_is_missed(shared):
    for vip, names in ((shared(), ("nft-ip", "nft-arp")), (shared(VIP6), ("nft-ip6",))):
        lines = "".join(data(name) for name in names).splitlines()
        rules = [number for number, line in enumerate(lines) if "comment" in line]
        assert len(rules) > 6
        for number in rules:
            text = "\n".join(lines[:number] + lines[number + 1:])
            share = clusterip_nft.parse_share(clusterip_rules.parse_rules(text), vip)
            assert not share.complete, lines[number]
            twice = "\n".join(lines[:number] + [lines[number]] + lines[number:])
            share = clusterip_nft.parse_share(clusterip_rules.parse_rules(twice), vip)
            assert not share.complete, lines[number]


@pytest.mark.parametrize("comment", [
    "IPaddr2", "IPaddr2 eth0", "IPaddr2 eth0 %s - sourceip x 0x1" % MAC4,
    "IPaddr2 eth0 nomac - sourceip 3 0x1", "IPaddr2 eth0 %s - other 3 0x1" % MAC4,
    "IPaddr2 eth0 %s x sourceip 3 0x1" % MAC4, "IPaddr2 eth0 %s - sourceip 3 seed" % MAC4])
def test_settings_that_nobody_wrote(shared, comment):
    text = 'table ip t {\n\tchain share {\n\t\taccept comment "%s" # handle 3\n\t}\n}' % comment
    share = clusterip_nft.parse_share(clusterip_rules.parse_rules(text), shared())
    assert (share.complete, share.mac) == (False, "")


def test_empty_tables_are_incomplete(shared):
    assert clusterip_rules.parse_rules("table ip t { # handle 3\n}\n") == []
    assert not clusterip_nft.parse_share([], shared()).complete


def test_iptables_rules():
    for kind in ("arptables-nft", "arptables-legacy"):
        rules = clusterip_iptables.Rules(data("iptables-mangle"), data(kind), VIP4)
        share = clusterip_iptables.parse_share(rules, VIP4)
        assert (share.nic, share.mac, share.total, share.seed, sorted(share.buckets)) == (
            "eth0", MAC4, 3, SEED4, [1, 3])
        assert share.complete
    rules = clusterip_iptables.Rules(data("iptables-mangle"), data("arptables-nft"), "192.0.2.10")
    assert not rules.any()


@pytest.mark.parametrize("gone", ["-A PREROUTING", "-j DROP", "mangle-mac"])
def test_iptables_rules_that_are_gone_are_missed(gone):
    texts = ["\n".join(line for line in data(name).splitlines() if gone not in line)
             for name in ("iptables-mangle", "arptables-nft")]
    share = clusterip_iptables.parse_share(clusterip_iptables.Rules(*texts, VIP4), VIP4)
    assert not share.complete and sorted(share.buckets) == [1, 3]


#: Changes of what is listed: (regular expression, what is put there), all places.
SPOILT = {
    "the drop first": (r"((?:-A IPaddr2.* RETURN\n)+)(-A IPaddr2.* DROP\n)", r"\2\1"),
    "two drops": (r"(-A IPaddr2.* DROP\n)", r"\1\1"), "accepted": ("DROP", "ACCEPT"),
    "another verdict": (r"00004 (.*) RETURN", r"00004 \1 ACCEPT"),
    "another seed": (r"00004 (.*) --cluster-hash-seed 0x\S+", r"00004 \1 --cluster-hash-seed 0x1"),
    "more buckets": (r"00004 --cluster-total-nodes 3", "00004 --cluster-total-nodes 4"),
    "others' buckets": ("--cluster-local-nodemask 0x00000004",
                        "! --cluster-local-nodemask 0x00000004"),
    "an extra match": (r"-m cluster (.* 0x00000004)", r"-p tcp -m cluster \1"),
    "a remark": (r"0x00000004 (.*) -j", r'0x00000004 \1 -m comment --comment "of mine" -j'),
    "twice": (r"(-A IPaddr2.*0x00000004.*\n)", r"\1\1"),
    "another address": ("-d 192.0.2.100/32", "-d 192.0.2.101/32"),
    "all other addresses": ("-d 192.0.2.100/32", "! -d 192.0.2.100/32"),
    "a network": ("-d 192.0.2.100/32", "-d 192.0.2.100/24"),
    "another interface": ("-i eth0", "-i eth1"), "no interface": ("-i eth0 ", ""),
    "TCP alone": ("-i eth0", "-i eth0 -p tcp"), "no way back": ("-i eth0 -j", "-i eth0 -g"),
    "another jump": (r"(-A PREROUTING.*\n)", r'\1-A INPUT -m comment --comment "a b" -g '
                     "IPaddr2-192.0.2.100\n"),
    "another's rule": (r"(-A IPaddr2.*DROP)", r'-A IPaddr2-192.0.2.100 -m comment --comment '
                       r'"a \\"b\\"" -j ACCEPT\n\1')}


@pytest.mark.parametrize("name", SPOILT)
def test_any_change_of_iptables_is_seen(name):
    text, count = re.subn(*SPOILT[name], data("iptables-mangle"))
    assert count
    rules = clusterip_iptables.Rules(text, data("arptables-nft"), VIP4)
    share = clusterip_iptables.parse_share(rules, VIP4, 3)
    assert not share.complete and 1 in share.buckets
    assert (3 in share.buckets) is (name not in ("others' buckets", "more buckets"))


@pytest.mark.parametrize("old, new", [
    ("0x77d26fe5", "2010279909"), ("0x77d26fe5", "0x077d26fe5"),
    ("-m cluster (.*) -j RETURN", r"\1 -m cluster -j RETURN"),
    ("-d 192.0.2.100/32 -i eth0", "-i eth0 -d 192.0.2.100/32"), ("INPUT ACCEPT", "INPUT DROP"),
    (r"(-P INPUT.*\n)", r'\1-A INPUT -s 192.0.2.100/32 -m comment --comment "x -j" -j ACCEPT\n')])
def test_what_iptables_may_list_as_well(old, new):
    text, count = re.subn(old, new, data("iptables-mangle"))
    rules = clusterip_iptables.Rules(text, data("arptables-nft"), VIP4)
    assert count and clusterip_iptables.parse_share(rules, VIP4, 3).complete


@pytest.mark.parametrize("mask, total, number", [
    ("0x00000001", "3", 1), ("0x80000000", "32", 32), ("0x00000000", "3", 0), ("0x3", "3", 0),
    ("", "3", 0), ("0x", "3", 0), ("of", "3", 0), ("²", "3", 0), ("0x100000000", "3", 0),
    ("0x" + "9" * 5000, "3", 0), ("0x00000008", "3", 0), ("0x00000001", "²", 1),
    ("0x00000001", "9" * 5000, 1), ("0x00000001", "", 1)])
def test_odd_buckets_of_iptables(mask, total, number):
    text = "-N IPaddr2-192.0.2.100\n-A IPaddr2-192.0.2.100 -m cluster --cluster-local-nodemask " \
        "%s --cluster-total-nodes %s --cluster-hash-seed ² -j RETURN\n" % (mask, total)
    share = clusterip_iptables.parse_share(clusterip_iptables.Rules(text, "", VIP4), VIP4, 3)
    assert not share.complete and sorted(share.buckets) == ([number] if number else [])


def test_buckets_of_other_totals_are_not_the_addresss():
    """Stop would take one for a bucket that another instance holds."""
    text = data("iptables-mangle").replace("-A IPaddr2", (
        "-A IPaddr2-192.0.2.100 -m cluster --cluster-local-nodemask 0x80000000 "
        "--cluster-total-nodes 32 --cluster-hash-seed 0x1 -j RETURN\n-A IPaddr2"), 1)
    rules = clusterip_iptables.Rules(text, data("arptables-nft"), VIP4)
    share = clusterip_iptables.parse_share(rules, VIP4, 3)
    assert (share.complete, sorted(share.buckets), share.total) == (False, [1, 3], 3)


@pytest.mark.parametrize("more, complete", [
    ("-j DROP -i * -o * ! -s 192.0.2.100 , pcnt=0 -- bcnt=0", True),
    ("-j mangle -i * -o eth0 -s 192.0.2.100 -d 192.0.2.7 --opcode 1 --mangle-mac-s %s , pcnt=0"
     % MAC4, True),
    ("-j mangle -i * -o * -s 192.0.2.100 --mangle-mac-s %s --mangle-mac-d %s --mangle-target "
     "CONTINUE , pcnt=0 -- bcnt=0" % (MAC4, MAC4), True),
    ("-j mangle -i * -o we ird -s 192.0.2.0/24 --mangle-mac-s %s , pcnt=0" % MAC4, True),
    ("-s", True), ("-o", True), (", ,", True), ("-s 192.0.2.100 --mangle-mac-s", True),
    ("-j mangle -i * -o eth1 -s 192.0.2.100 --h-length 6 --mangle-mac-s %s --mangle-target "
     "CONTINUE , pcnt=0 -- bcnt=0" % MAC4, False)])
def test_rules_of_others_in_arptables(more, complete):
    """The chain OUTPUT is the host's: what is not of our form is no business of ours."""
    for name in ("arptables-nft", "arptables-legacy"):
        first, rest = data(name).split("\n", 1)
        for text in (data(name) + more + "\n", "\n".join((first, more, rest))):
            rules = clusterip_iptables.Rules(data("iptables-mangle"), text, VIP4)
            assert clusterip_iptables.parse_share(rules, VIP4, 3).complete is complete
            assert len(rules.arp) == (1 if complete else 2)


@pytest.mark.parametrize("line, words", [
    ("-A a -j b", ["-A", "a", "-j", "b"]), ("", []), ("  -A  a ", ["-A", "a"]),
    (r'-A a --comment "bucket \"of\" my\\own\'s" -j b',
     ["-A", "a", "--comment", 'bucket "of" my\\own\'s', "-j", "b"]),
    ('--comment "" -j', ["--comment", "", "-j"]), (r'-i e"a\b -j', ["-i", r'e"a\b', "-j"]),
    ('--comment "open', ["--comment"]), ('"', []), ('"\\', []), ("\\", ["\\"])])
def test_words_of_a_rule(line, words):
    assert clusterip_target.rule_words(line) == words


@pytest.mark.parametrize("text, numbers", [
    ("1,2\n", [1, 2]), ("16", [16]), ("\n", []), ("", []), ("1,,x", [1]), ("²,1", [1]),
    ("٣", []), ("-1,+2,3", [3]), ("9" * 5000, [])])
def test_buckets_of_the_target(text, numbers):
    assert list(clusterip_target.parse_buckets(text)) == numbers


def test_rules_of_the_target():
    assert len(clusterip_target.parse_rules(data("target-rules"), VIP4)) == 1
    rules = clusterip_target.parse_rules(data("target-rule-twice"), VIP4)
    assert len(rules) == 2 and rules[0][:2] == ["-A", "INPUT"]
    share = clusterip_target.described(rules[0])
    assert (share.nic, share.mac, share.hash, share.total) == ("eth0", MAC4, PORTS, 2)
    assert clusterip_target.parse_rules(data("target-rules"), "192.0.2.10") == []
    text = data("target-rules").replace("-j CLUSTERIP", '-m comment --comment "a b" -j CLUSTERIP')
    (rule,) = clusterip_target.parse_rules(text.replace("--total-nodes 2", "--total-nodes ²"), VIP4)
    assert "a b" in rule and clusterip_target.described(rule).total == 0


# --- settings --------------------------------------------------------------------------------


def test_derived_settings_stay_as_they_were_found(shared):
    found = Share("eth0", "01:00:5e:00:00:01", PORTS, 3, 5)
    share = clusterip_share.configured_share(shared(), found)
    assert (share.mac, share.seed) == ("01:00:5e:00:00:01", 5)
    vip = shared(mac="01-00-5e-00-00-02", clusterip_hash_seed="7")
    share = clusterip_share.configured_share(vip, found)
    assert (share.mac, share.seed) == ("01:00:5e:00:00:02", 7)
    share = clusterip_share.configured_share(shared())
    assert (share.mac, share.seed) == (MAC4, SEED4)
    share = clusterip_share.configured_share(shared(), Share("eth0", MAC4, PORTS, 3, 0))
    assert share.seed == 0          # found, where -1 is not known
    share = clusterip_share.configured_share(shared(), Share("eth0", MAC4, PORTS, 3, -1))
    assert share.seed == SEED4


@pytest.mark.parametrize("given, fits", [
    ({}, True), ({"mac": MAC4.upper()}, True), ({"mac": "01:00:5e:00:00:02"}, False),
    ({"clusterip_hash": "sourceip"}, False), ({"buckets": 4}, False), ({"nic": "eth1"}, False),
    ({"clusterip_hash_seed": "0x77d26fe5"}, True), ({"clusterip_hash_seed": "1"}, False)])
def test_settings_that_fit(shared, given, fits):
    assert clusterip_share.matches(Share("eth0", MAC4, PORTS, 3, SEED4), shared(**given)) is fits


@pytest.mark.parametrize("given", [
    {}, {"mac": MAC4}, {"clusterip_hash_seed": "1"}, {"clusterip_hash": "sourceip"}])
def test_what_is_not_known_fits(shared, given):
    """The target's file tells the buckets alone, and its rules no seed."""
    assert clusterip_share.matches(Share(), shared(**given))


@pytest.mark.parametrize("given", [
    {}, {"mac": MAC4}, {"mac": MAC4.upper().replace(":", "-")}, {"clusterip_hash": "sourceip"},
    {"clusterip_hash_seed": "0"}, {"clusterip_hash_seed": "0xffffffff"}, {"bucket": 3},
    {"clusterip_firewall": "nft", "buckets": 33}, {"clusterip_firewall": "iptables", "buckets": 32},
    {"buckets": 2 ** 32 - 1}, {"clusterip_chain": "x" * 28},
    {"clusterip_chain": "a-b.c_d"}, {"ip": VIP6, "mac": MAC6},
    {"ip": VIP6, "clusterip_table": "filter"}])
def test_good_settings(shared, given):
    vip = shared(**given)
    clusterip_params.check_params(vip)
    assert clusterip_share.configured_share(vip).mac == \
        given.get("mac", MAC6 if "ip" in given else MAC4).replace("-", ":")


@pytest.mark.parametrize("table", ["mangle", "filter", "security"])
@pytest.mark.parametrize("chain", ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING",
                                   "of_mine", "prerouting"])
@pytest.mark.parametrize("firewall", ["auto", "iptables", "nft", "clusterip"])
def test_tables_and_their_chains(shared, capfd, table, chain, firewall):
    vip = shared(clusterip_table=table, clusterip_chain=chain, clusterip_firewall=firewall)
    if chain in ("OUTPUT", "POSTROUTING"):
        name = "clusterip_chain"
    elif chain == "PREROUTING" and table != "mangle" and firewall in ("auto", "iptables"):
        name = "clusterip_table"
    else:
        clusterip_params.check_params(vip)
        return
    with pytest.raises(ocf.OcfExit) as leaving:
        clusterip_params.check_params(vip)
    reason = capfd.readouterr().err
    assert leaving.value.rc == 6
    assert reason.startswith("ocf-exit-reason:%s [" % name) and "[%s]" % chain in reason


@pytest.mark.parametrize("given, name", [
    ({"clusterip_firewall": "pf"}, "clusterip_firewall"),
    ({"clusterip_hash": ""}, "clusterip_hash"),
    ({"mac": "02:00:5e:00:00:01"}, "mac"), ({"ip": VIP6, "mac": MAC4}, "mac"),
    ({"bucket": 4}, "meta attribute clone"), ({"clusterip_hash_seed": "x"}, "clusterip_hash_seed"),
    ({"clusterip_table": "raw"}, "clusterip_table"), ({"clusterip_chain": "-X"}, "clusterip_chain"),
    ({"clusterip_chain": "x" * 29}, "clusterip_chain"),
    ({"clusterip_chain": "OUTPUT"}, "clusterip_chain"),
    ({"clusterip_chain": "ä"}, "clusterip_chain"),
    ({"ip": VIP6, "clusterip_firewall": "iptables"}, "clusterip_firewall"),
    ({"ip": VIP6, "clusterip_firewall": "clusterip"}, "clusterip_firewall"),
    ({"clusterip_table": "raw", "clusterip_chain": "INPUT"}, "clusterip_table"),
    ({"clusterip_chain": "a b"}, "clusterip_chain"),
    ({"clusterip_firewall": "iptables", "buckets": 33}, "clone_max"),
    ({"buckets": 2 ** 32, "bucket": 1}, "clone_max"), ({"nic": 'a"b'}, "nic")])
def test_refusals(shared, capfd, given, name):
    with pytest.raises(ocf.OcfExit) as leaving:
        clusterip_params.check_params(shared(**given))
    assert leaving.value.rc == 6
    assert capfd.readouterr().err.startswith("ocf-exit-reason:%s [" % name)


@pytest.mark.parametrize("given, tools, target_there, chosen", [
    ({}, ["nft", "iptables", "arptables", "modprobe"], True, ["clusterip", "nft", "iptables"]),
    ({}, ["nft", "iptables", "arptables", "modprobe"], False, ["nft", "iptables"]),
    ({}, ["iptables", "arptables"], True, ["iptables"]), ({}, ["iptables", "modprobe"], False, []),
    ({"ip": VIP6}, ["nft", "iptables", "arptables", "modprobe"], True, ["nft"]),
    ({"ip": VIP6}, ["iptables", "arptables", "modprobe"], True, []),
    ({"clusterip_firewall": "iptables"}, [], False, ["iptables"])])
def test_choice_of_a_backend(fp, shared, monkeypatch, capfd, given, tools, target_there, chosen):
    programs(fp, *tools)
    monkeypatch.setattr(children.RUN, "known", {"target": target_there})
    vip = shared(**given)
    vip.action = "monitor"
    assert clusterip.usable(vip) == chosen
    if tools and chosen:
        clusterip.check_tools(vip)
        return
    with pytest.raises(ocf.OcfExit) as leaving:
        clusterip.check_tools(vip)
    reason = capfd.readouterr().err
    assert leaving.value.rc == 5
    assert "clusterip_firewall" in given or all(
        name + ":" in reason for name in ("clusterip", "nft", "iptables"))


def test_start_takes_no_nft_that_the_kernel_refuses(fp, shared, monkeypatch):
    programs(fp, "nft", "iptables", "arptables")
    monkeypatch.setattr(children.RUN, "known", {"target": False})
    monkeypatch.setattr(children.RUN, "known", {})
    fp.query("nft list tables", rc=1)
    for _ in range(2):      # asked once
        assert clusterip.usable(shared()) == ["iptables"]


def test_long_list_of_groups(tmp_path, monkeypatch):
    """More than the kernel gives at a time, as it gives it: a page, by way of a fifo."""
    path = tmp_path / "dev_mcast"
    os.mkfifo(path)
    monkeypatch.setattr(clusterip_share, "MULTICAST_LIST", str(path))
    line = "%-4d %-15s 1     1     0100%08x\n"
    text = "".join(line % (number, "eth%d" % number, number) for number in range(400))

    def write():
        with open(path, "w") as file:
            for first in range(0, len(text), 4096):
                file.write(text[first:first + 4096])
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    assert clusterip_share.is_joined("eth399", "01:00:00:00:01:8f")
    writer.join()


# --- commands in order -----------------------------------------------------------------------


def take(name, vip, undo=None):
    """What a start has a backend do; what it announces then."""
    vip.params["clusterip_firewall"] = name
    brd = "" if vip.family == "inet6" else "192.0.2.255"
    return clusterip.take(vip, [] if undo is None else undo, brd)


def stop_rules(vip, remove_address=lambda: 0):
    """What a stop does about the firewall; the address is removed in between."""
    rules = clusterip.Rules(vip)
    if rules.others_stay():
        return rules.release()
    rules.remove_before_address()
    if remove_address():
        return 1
    return 0 if rules.remove_after_address() else rules.failure()


LIST4 = ["nft -a -n list table ip ipaddr2-192.0.2.100".split(),
         "nft -a -n list table arp ipaddr2-192.0.2.100".split()]


def listed(fp, *texts):
    """nft lists the address's two tables, or says that there are none."""
    for argv, text in zip(LIST4, texts or ("", "")):
        fp.query(argv, out=text, err="" if text else data("nft-absent"), rc=0 if text else 1)


def rule(chain, ports, number):
    return "insert rule ip ipaddr2-192.0.2.100 %s jhash ip saddr%s mod 3 seed 0x77d26fe5 %d " \
        "accept comment \"bucket %d\"" % (chain, ports, number - 1, number)


def test_nft_next_bucket(fp, shared, joined):
    programs(fp, "nft")
    listed(fp, data("nft-ip"), data("nft-arp"))
    fp.run(["nft", rule("ports", " . th sport", 2) + "; " + rule("source", "", 2)])
    undo = []
    vip = shared(bucket=2)
    assert take("nft", vip, undo) == ("nft", MAC4) and len(undo) == 1


def test_nft_bucket_that_is_there(fp, shared, joined):
    programs(fp, "nft")
    listed(fp, data("nft-ip"), data("nft-arp"))
    undo = []
    take("nft", shared(bucket=3), undo)
    assert undo == []


def test_nft_first_bucket_and_its_undoing(fp, shared, joined):
    programs(fp, "nft")
    joined.clear()
    vip = shared()
    listed(fp)
    fp.run("ip maddress add 77:d2:6f:e5:f8:7e dev eth0")
    share = clusterip_share.configured_share(vip)
    script = "; ".join(clusterip_nft.table_script(vip, share, {1}))
    fp.run(["nft", script])
    undo = []
    take("nft", vip, undo)
    joined.add(MAC4)
    fp.run(["nft", "add table ip ipaddr2-192.0.2.100; delete table ip ipaddr2-192.0.2.100; "
            "add table arp ipaddr2-192.0.2.100; delete table arp ipaddr2-192.0.2.100"])
    fp.run("ip maddress delete 77:d2:6f:e5:f8:7e dev eth0")
    for step in undo:
        step()


def test_nft_without_tproxy(fp, shared, joined):
    programs(fp, "nft")
    vip = shared()
    share = clusterip_share.configured_share(vip)
    listed(fp)
    first, second = ("; ".join(clusterip_nft.table_script(vip, share, {1}, defragment))
                     for defragment in clusterip_nft.DEFRAGMENT)
    assert first != second
    fp.run(["nft", first], out="Error: Could not process rule: No such file or directory", rc=1)
    fp.run(["nft", second])
    take("nft", vip)


def test_nft_that_refuses(fp, shared, joined, capfd):
    programs(fp, "nft")
    vip = shared(clusterip_hash="sourceip")
    listed(fp)
    share = clusterip_share.configured_share(vip)
    fp.run(["nft", "; ".join(clusterip_nft.table_script(vip, share, {1}))], rc=1)
    with pytest.raises(ocf.OcfExit) as leaving:
        take("nft", vip)
    assert leaving.value.rc == 1
    assert "bucket 1 of 192.0.2.100" in capfd.readouterr().err


@pytest.mark.parametrize("bucket, status", [(1, "ok"), (2, "partial")])
def test_nft_served(fp, shared, joined, bucket, status):
    programs(fp, "nft")
    listed(fp, data("nft-ip"), data("nft-arp"))
    vip = shared(bucket=bucket, clusterip_firewall="nft")
    assert clusterip.served(vip) == status


def test_nft_served_without_the_mac_joined(fp, shared, joined):
    programs(fp, "nft")
    joined.clear()
    listed(fp, data("nft-ip"), data("nft-arp"))
    assert clusterip.served(shared(clusterip_firewall="nft")) == "partial2"


def test_nft_that_says_nothing_is_not_taken_for_absence(fp, shared, capfd):
    programs(fp, "nft")
    fp.query(LIST4[0], err="Error: interrupted", rc=1)
    fp.query(LIST4[1], err="Error: interrupted", rc=1)
    with pytest.raises(ocf.OcfExit) as leaving:
        clusterip.served(shared(clusterip_firewall="nft"))
    assert leaving.value.rc == 1
    assert "interrupted" in capfd.readouterr().err


def test_nft_stop_of_one_bucket(fp, shared, joined):
    programs(fp, "nft")
    listed(fp, data("nft-ip"), data("nft-arp"))
    fp.run(["nft", "delete rule ip ipaddr2-192.0.2.100 ports handle 15; "
            "delete rule ip ipaddr2-192.0.2.100 source handle 16"])
    vip = shared(clusterip_firewall="nft")
    assert stop_rules(vip) == 0


def test_nft_stop_of_the_last_bucket(fp, shared, joined):
    programs(fp, "nft")
    ip_text = "\n".join(line for line in data("nft-ip").splitlines() if "bucket 3" not in line)
    listed(fp, ip_text, data("nft-arp"))
    order = []

    def remove_address():
        order.append("address")
        fp.run(["nft", "add table ip ipaddr2-192.0.2.100; delete table ip ipaddr2-192.0.2.100; "
                "add table arp ipaddr2-192.0.2.100; delete table arp ipaddr2-192.0.2.100"])
        fp.run("ip maddress delete 77:d2:6f:e5:f8:7e dev eth0")
        return 0

    assert stop_rules(shared(clusterip_firewall="nft"), remove_address) == 0
    assert order == ["address"]


def test_rules_stay_where_the_address_does(fp, shared, joined):
    programs(fp, "nft")
    ip_text = "\n".join(line for line in data("nft-ip").splitlines() if "bucket 3" not in line)
    listed(fp, ip_text, data("nft-arp"))
    assert stop_rules(shared(clusterip_firewall="nft"), lambda: 1) == 1


def test_target_first_bucket(fp, shared, target):
    """The shell agent's words in its order."""
    programs(fp, "iptables", "iptables-legacy", "modprobe")
    fp.run("modprobe ip_conntrack")
    fp.run("iptables-legacy -I INPUT -d 192.0.2.100 -i eth0 -j CLUSTERIP --new --clustermac "
           "77:d2:6f:e5:f8:7e --total-nodes 3 --local-node 2 --hashmode sourceip-sourceport")
    vip = shared(bucket=2)
    assert take("clusterip", vip) == ("clusterip", MAC4)


def test_target_waits_for_the_lock_of_iptables(fp, shared, target, clock):
    programs(fp, "iptables", "modprobe")
    fp.run("modprobe ip_conntrack")
    argv = "iptables -I INPUT -d 192.0.2.100 -i eth0 -j CLUSTERIP --new --clustermac " \
        "77:d2:6f:e5:f8:7e --total-nodes 3 --local-node 1 --hashmode sourceip-sourceport"
    fp.run(argv, rc=4, out="Another app is currently holding the xtables lock.")
    fp.run(argv)
    take("clusterip", shared())


def test_target_next_bucket(fp, shared, target):
    programs(fp, "iptables-legacy", "modprobe")
    (target / VIP4).write_text("1\n")
    fp.query("iptables-legacy -S INPUT", out=data("target-rules"))
    take("clusterip", shared(bucket=2, buckets=2))
    assert (target / VIP4).read_text() == "+2\n"


def test_target_rule_is_not_added_twice(fp, shared, target):
    programs(fp, "iptables-legacy", "modprobe")
    (target / VIP4).write_text("1\n")
    fp.query("iptables-legacy -S INPUT", out=data("target-rules"))
    take("clusterip", shared(buckets=2))


def test_target_last_bucket_takes_every_copy_along(fp, shared, target):
    programs(fp, "iptables-legacy", "modprobe")
    (target / VIP4).write_text("1\n")
    fp.query("iptables-legacy -S INPUT", out=data("target-rule-twice"))
    for line in data("target-rule-twice").splitlines()[1:]:
        fp.run("iptables-legacy -D " + line[len("-A "):])
    vip = shared(buckets=2)
    # The stand-in for the kernel's file stays, which is taken for a rule that stayed.
    assert clusterip_target.remove(vip, clusterip_target.look(vip)) is False
    assert (target / VIP4).read_text() == "-1\n"


def test_target_that_is_refused(fp, shared, target, capfd):
    """Also where no other bucket was to be kept."""
    programs(fp, "iptables-legacy", "modprobe")
    fp.run("modprobe ip_conntrack")
    fp.run("iptables-legacy -I INPUT -d 192.0.2.100 -i eth0 -j CLUSTERIP --new --clustermac "
           "77:d2:6f:e5:f8:7e --total-nodes 17 --local-node 1 --hashmode sourceip-sourceport", rc=1)
    with pytest.raises(ocf.OcfExit) as leaving:
        take("clusterip", shared(buckets=17))
    assert leaving.value.rc == 1
    assert "bucket 1 of 192.0.2.100" in capfd.readouterr().err


@pytest.mark.parametrize("text, written", [("1,7\n", "+1\n"), ("7,3\n", "7,3\n"), ("2", "+2\n")])
def test_target_rule_made_anew_keeps_the_others_buckets(fp, shared, target, text, written):
    """Those that there are; the file, which is none of the kernel's, holds the last one written."""
    programs(fp, "iptables-legacy", "modprobe")
    (target / VIP4).write_text(text)
    for _ in range(2):
        fp.query("iptables-legacy -S INPUT", out=data("target-rules"))
    fp.run("iptables-legacy -D " + data("target-rules").splitlines()[1][len("-A "):])
    fp.run("modprobe ip_conntrack")
    fp.run("iptables-legacy -I INPUT -d 192.0.2.100 -i eth0 -j CLUSTERIP --new --clustermac "
           "77:d2:6f:e5:f8:7e --total-nodes 3 --local-node 3 --hashmode sourceip-sourceport")
    take("clusterip", shared(bucket=3))
    assert (target / VIP4).read_text().startswith(written)


def test_target_served_with_a_mac_that_is_given(fp, shared, target):
    (target / VIP4).write_text("1\n")
    vip = shared(clusterip_firewall="clusterip", mac=MAC4)
    assert clusterip.served(vip) == "ok"


@pytest.mark.parametrize("text, bucket, status", [
    ("1,2\n", 1, "ok"), ("1,2\n", 3, "partial"), ("\n", 1, "partial"), ("12\n", 1, "partial"),
    (None, 1, "partial2")])
def test_target_served(fp, shared, target, text, bucket, status):
    if text is not None:
        (target / VIP4).write_text(text)
    assert clusterip.served(shared(bucket=bucket, clusterip_firewall="clusterip")) == status


def test_iptables_first_bucket(fp, shared, joined):
    programs(fp, "iptables", "arptables")
    for _ in range(2):
        fp.query("arptables -L OUTPUT -n -v", out="Chain OUTPUT (policy ACCEPT)\n")
        fp.query("iptables -t mangle -S", out="-P PREROUTING ACCEPT\n")
    for words in ("-N IPaddr2-192.0.2.100", "-A IPaddr2-192.0.2.100 -j DROP",
                  "-I IPaddr2-192.0.2.100 1 -m cluster --cluster-total-nodes 3 "
                  "--cluster-local-node 1 --cluster-hash-seed 0x77d26fe5 -j RETURN",
                  "-I PREROUTING -d 192.0.2.100 -i eth0 -j IPaddr2-192.0.2.100"):
        fp.run("iptables -t mangle " + words)
    fp.run("arptables -A OUTPUT -s 192.0.2.100 --h-length 6 -o eth0 -j mangle "
           "--mangle-mac-s 77:d2:6f:e5:f8:7e --mangle-target CONTINUE")
    take("iptables", shared())


def listed_by_iptables(fp, text, times=1, table="mangle"):
    """iptables lists this, arptables what goes with it."""
    for _ in range(times):
        fp.query("arptables -L OUTPUT -n -v", out=data("arptables-nft"))
        fp.query("iptables -t %s -S" % table, out=text)


def test_iptables_bucket_that_is_there(fp, shared, joined):
    programs(fp, "iptables", "arptables")
    listed_by_iptables(fp, data("iptables-mangle"))
    undo = []
    take("iptables", shared(bucket=3, clusterip_hash="sourceip"), undo)
    assert undo == []


def test_iptables_next_bucket(fp, shared, joined):
    programs(fp, "iptables", "arptables")
    listed_by_iptables(fp, data("iptables-mangle"))
    fp.run("iptables -t mangle -I IPaddr2-192.0.2.100 1 -m cluster --cluster-total-nodes 3 "
           "--cluster-local-node 2 --cluster-hash-seed 0x77d26fe5 -j RETURN")
    take("iptables", shared(bucket=2))


def test_iptables_chain_with_anothers_rule_is_made_anew(fp, shared, joined):
    """Rule by rule from behind a drop; the buckets that were held come back."""
    programs(fp, "iptables", "arptables")
    name = "IPaddr2-192.0.2.100"
    foreign = '-A %s -m comment --comment "bucket \\"of\\" mine" -j ACCEPT\n' % name
    jump = '-A INPUT -m comment --comment "a jump" -g %s\n' % name
    listed_by_iptables(fp, data("iptables-mangle") + foreign + jump, 2)
    program = ["iptables", "-t", "mangle"]
    fp.run([*program, "-I", name, "1", "-j", "DROP"])
    for _ in range(4):
        fp.run([*program, "-D", name, "2"])
    for number in (1, 3):
        fp.run([*program, "-I", name, "1", "-m", "cluster", "--cluster-total-nodes", "3",
                "--cluster-local-node", str(number), "--cluster-hash-seed", "0x77d26fe5",
                "-j", "RETURN"])
    fp.run([*program, "-D", "PREROUTING", "-d", "192.0.2.100/32", "-i", "eth0", "-j", name])
    fp.run([*program, "-D", "INPUT", "-m", "comment", "--comment", "a jump", "-g", name])
    fp.run([*program, "-I", "PREROUTING", "-d", VIP4, "-i", "eth0", "-j", name])
    words = "OUTPUT -s 192.0.2.100 --h-length 6 -o eth0 -j mangle --mangle-mac-s %s " \
        "--mangle-target CONTINUE" % MAC4
    fp.run("arptables -D " + words)
    fp.run("arptables -A " + words)
    take("iptables", shared())


@pytest.mark.parametrize("given, words", [
    ("mangle", "mangle"), ("filter", "filter"), ("security", "security"), ("bogus", "mangle"),
    ("", "mangle"), ("nat", "mangle")])
def test_table_of_iptables(fp, shared, joined, given, words):
    """A stop takes any, so that a bad one cannot stop it."""
    programs(fp, "iptables", "arptables")
    listed_by_iptables(fp, data("iptables-mangle"), table=words)
    assert clusterip_iptables.look(shared(clusterip_table=given)).complete


# --- the lock --------------------------------------------------------------------------------


def test_lock_file_is_gone_afterwards(fp, shared, tmp_path):
    path = tmp_path / "rsctmp" / ("IPaddr2-CIP-" + VIP4)
    with clusterip.locked(shared()):
        assert path.exists()
    assert not path.exists()


def test_lock_of_a_file_that_was_replaced_is_taken_anew(fp, shared, tmp_path, monkeypatch):
    path = tmp_path / "rsctmp" / ("IPaddr2-CIP-" + VIP4)
    seen = []

    def is_current(fd, _path):
        seen.append(fd)
        return len(seen) == 2

    monkeypatch.setattr(files, "is_current", is_current)
    with clusterip.locked(shared()):
        assert len(seen) == 2
    assert not path.exists()


def test_lock_that_cannot_be_made(fp, shared, tmp_path, capfd):
    (tmp_path / "rsctmp" / ("IPaddr2-CIP-" + VIP4)).symlink_to("/etc/passwd")
    with pytest.raises(ocf.OcfExit):
        with clusterip.locked(shared()):
            pass
    assert "no lock on" in capfd.readouterr().err
    vip = shared()
    vip.action = "stop"
    with clusterip.locked(vip):
        pass


@pytest.mark.parametrize("ip", ["../../etc/x", "nonsense", "1.2.3.4.5"])
def test_what_is_no_address_names_no_file(fp, shared, tmp_path, ip):
    vip = shared(ip=ip)
    vip.action = "stop"
    with clusterip.locked(vip):
        assert list((tmp_path / "rsctmp").iterdir()) == []
        assert stop.ip_stop(vip) == 0


# --- weight ----------------------------------------------------------------------------------


def test_monitor_path_is_lean():
    """What Cluster IP adds to a monitor: small C modules, and the agent's own."""
    text = "import sys; before = set(sys.modules)\n" \
        "sys.path.insert(0, %r)\n" \
        "from ipaddr2_py import clusterip\n" \
        "for name in clusterip.FIREWALLS: clusterip.backend(name)\n" \
        "from ipaddr2_py.announce import packets\n" \
        "from _md5 import md5\n" \
        "print(*sorted(set(sys.modules) - before))" % str(DATA.parents[2])
    told = subprocess.run([sys.executable, "-IS", "-c", text], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.split()
    assert {name for name in told if not name.startswith("ipaddr2_py")} <= {
        "_socket", "_struct", "_md5", "errno", "fcntl", "select", "gc", "syslog"}


# --- the note --------------------------------------------------------------------------------


class Backend:
    """Stands in for a backend's module: what it is asked to do, and whether it can."""

    BEFORE_ADDRESS = False
    REFUSED = "nobody"

    def __init__(self, vip, share=None, good=True, mac=MAC4):
        self.vip = vip
        self.share = share
        self.good = good
        self.mac = mac
        self.done = []      # (what, whether the note is there)

    def tell(self, what):
        self.done.append((what, bool(place.read_note(self.vip.ip, "", ""))))
        return self.good

    def look(self, _vip):
        return self.share

    def remove(self, _vip, _share):
        return self.tell("remove")

    def release(self, _vip, _share):
        return self.tell("release")

    def look_closely(self, _vip):
        return self.share

    def wanted_share(self, _vip, _found, _brd):
        return Share("eth0", self.mac)

    def set_up(self, _vip, _share, _found):
        self.noted = place.read_note(self.vip.ip, "", "")
        return self.tell("take")


def share_of(*buckets):
    """A Share with these buckets, None without any."""
    share = Share("eth0", MAC4)
    share.buckets = dict.fromkeys(buckets)
    return share if buckets else None


@pytest.fixture
def noted(shared, host, monkeypatch):
    """A function that gives a Vip with its note, shared by nft, and the Backend that serves it."""
    def make(buckets=(1,), good=True, mac=MAC4, index=2, **given):
        made = shared(**given)
        made.noted = True
        place.write_note(made, index, "nft", MAC4)
        made.note = place.read_note(made.ip, "", "")
        module = Backend(made, share_of(*buckets), good, mac)
        monkeypatch.setattr(clusterip, "backend", lambda _name: module)
        monkeypatch.setattr(clusterip, "to_be_searched", lambda _vip: ["nft"])
        monkeypatch.setattr(clusterip, "usable", lambda _vip: ["nft", "iptables"])
        return made, module

    return make


def is_noted(vip):
    return place.read_note(vip.ip, "", "") is not None


@pytest.fixture
def stopped(fp, monkeypatch):
    """A function that stops a Vip whose address is removed, or stays, without a command."""
    def run(vip, stays=False, shares=None):
        seen = []
        monkeypatch.setattr(stop, "addresses_to_remove", lambda vip: [vip.address()])
        monkeypatch.setattr(stop, "remove", lambda vip, held: seen.append(is_noted(vip))
                            or (held if stays else []))
        rc = stop.ip_stop(vip, shares)
        assert all(seen)
        return rc

    return run


@pytest.mark.parametrize("buckets, good, rc, done, left", [
    ((1,), True, 0, [("remove", True)], False), ((1,), False, 1, [("remove", True)], True),
    ((1, 2), True, 0, [("release", True)], True), ((), True, 0, [], False)])
def test_the_last_bucket_takes_the_note_along(noted, stopped, monkeypatch, buckets, good, rc, done,
                                              left):
    """As the very last step: a stop that is repeated finds what this one did."""
    vip, module = noted(buckets, good)
    vip.note = None         # the bucket alone tells
    monkeypatch.setattr(clusterip, "stray_mac", lambda _vip: ())
    assert stopped(vip) == rc
    assert module.done == done
    assert is_noted(vip) is left


def test_a_mac_that_cannot_be_left_keeps_the_note(fp, noted, stopped, joined):
    vip, _ = noted()
    fp.run("ip maddress delete 77:d2:6f:e5:f8:7e dev eth0", rc=1)
    assert stopped(vip) == 1
    assert is_noted(vip)


@pytest.mark.parametrize("names, good, rc, left", [
    (["nft"], True, 0, False), (["nft"], False, 1, True), ([], True, 0, False)])
def test_a_plain_address_that_was_shared(noted, stopped, monkeypatch, names, good, rc, left):
    vip, module = noted((), good)
    vip.bucket = 0
    vip.note = None if names else vip.note
    monkeypatch.setattr(clusterip_share, "is_joined", lambda _nic, _mac: False)
    assert stopped(vip, shares=names) == rc
    assert module.done == [("remove", True)] * len(names)
    assert is_noted(vip) is left


@pytest.mark.parametrize("bucket, before", [(1, False), (0, False), (1, True), (0, True)])
def test_an_address_that_stays_keeps_the_note(noted, stopped, bucket, before):
    """And rules that do not go before it."""
    vip, module = noted()
    vip.bucket, module.BEFORE_ADDRESS = bucket, before
    assert stopped(vip, stays=True, shares=["nft"]) == 1
    assert module.done == [("remove", True)] * (bucket and before) and is_noted(vip)


@pytest.mark.parametrize("rc, left", [(0, False), (1, True)])
def test_a_plain_stop_leaves_the_noted_mac(fp, noted, stopped, joined, rc, left):
    """Though no backend has anything of the address any more."""
    vip, _ = noted((), action="stop")
    vip.bucket = 0
    fp.run("ip maddress delete 77:d2:6f:e5:f8:7e dev eth0", rc=rc)
    assert stopped(vip) == rc
    assert is_noted(vip) is left


@pytest.mark.parametrize("index, nic", [(2, "eth0"), (3, "eth1"), (6, "eth2"), (99, "")])
def test_the_noted_interface_is_left_by_its_number(fp, noted, joined, index, nic):
    vip, _ = noted(index=index)
    if nic:
        fp.run("ip maddress delete 77:d2:6f:e5:f8:7e dev " + nic)
    assert clusterip.leave_noted(vip)


def test_nothing_is_left_without_a_note(shared, host):
    assert clusterip.leave_noted(shared())


@pytest.mark.parametrize("index, bucket, backend, leaves", [
    (2, 1, "nft", False), (3, 1, "nft", True), (2, 0, "nft", True), (3, 0, "nft", True),
    (3, 0, "", False)])
def test_a_start_leaves_the_mac_of_another_place(noted, monkeypatch, index, bucket, backend,
                                                 leaves):
    """Where it shares no more, or elsewhere."""
    vip, _ = noted(index=index)
    vip.noted, vip.bucket, vip.held, left = False, bucket, [] if bucket else None, []
    vip.note.shared = backend
    monkeypatch.setattr(start, "places_or_exit", lambda _vip: [])
    monkeypatch.setattr(clusterip, "leave_noted", left.append)
    start.leave_other_place(vip)
    assert left == [vip] * leaves


@pytest.mark.parametrize("used, noted_anew", [(("nft", MAC4), []), (("iptables", OWN), [OWN])])
def test_a_served_address_is_noted_with_what_shares_it(noted, monkeypatch, used, noted_anew):
    vip, _ = noted()
    macs = []
    monkeypatch.setattr(clusterip, "in_use", lambda _vip: used)
    monkeypatch.setattr(place, "write_note", lambda _vip, _index, _name, mac: macs.append(mac))
    vip.params.update(nic="eth0", cidr_netmask="24")
    assert start.keep(vip) == 0
    assert macs == noted_anew


@pytest.fixture
def started(fp, noted, monkeypatch):
    """A function that starts bucket 1 of an address that is there without it: (vip, module, writes
    of the note, error)."""
    def run(planned, mac, fails=False):
        vip, module = noted((), mac=mac)
        place.remove_note(vip.ip, "", "")
        vip.note, vip.noted, writes, real = None, False, [], place.write_note
        monkeypatch.setattr(place, "write_note",
                            lambda *words: writes.append(words[2:]) or real(*words))
        monkeypatch.setattr(start, "ip_served", lambda _vip, _held: "partial")
        monkeypatch.setattr(start, "look_ahead", lambda _vip: None)
        monkeypatch.setattr(clusterip, "planned", lambda _vip, _brd: ("nft", planned))
        problem = ocf.OcfExit(1) if fails else None
        told = []

        def announce(_vip, _brd, burst):
            told.append(burst.mac)
            if problem:
                raise problem

        monkeypatch.setattr(start, "announce", announce)
        fp.query("ip link show dev eth0", data_link())
        try:
            start.ip_start(vip)
        except ocf.OcfExit as leaving:
            assert leaving is problem
        assert told == [mac], "the MAC that the address has is announced"
        return vip, module, writes

    return run


def data_link():
    return (DATA.parent / "ip/link-eth0-long.txt").read_text()


@pytest.mark.parametrize("planned, mac, writes", [
    (MAC4, MAC4, [("nft", MAC4)]), (OWN, MAC4, [("nft", OWN), ("nft", MAC4)])])
def test_the_bucket_is_noted_before_it_is_taken(started, planned, mac, writes):
    """Once more where what was there goes on with its own MAC."""
    vip, module, written = started(planned, mac)
    assert written == writes
    assert module.done == [("take", True)]
    assert (module.noted.shared, module.noted.mac, module.noted.index) == ("nft", planned, 2)
    assert place.read_note(vip.ip, "", "").mac == mac


@pytest.mark.parametrize("there", [False, True])
def test_the_note_is_taken_back_last(fp, started, monkeypatch, there):
    """Unless the address is there, with the bucket of another instance."""
    monkeypatch.setattr(addresses, "address_places",
                        lambda family, ip: [Address(2, "eth0", ip, "", 24)] if there else [])
    vip, module, _ = started(MAC4, MAC4, fails=True)
    assert module.done == [("take", True), ("remove", True)]
    assert is_noted(vip) is there


def test_what_is_served_goes_on_with_its_backend_and_mac(noted, monkeypatch):
    """Though auto would choose another one by now, and the parameter say another MAC."""
    vip, module = noted()
    monkeypatch.setattr(clusterip, "usable", lambda _vip: ["iptables", "nft"])
    monkeypatch.setattr(clusterip, "backend",
                        lambda name: module if name == "nft" else Backend(vip))
    monkeypatch.setattr(clusterip, "matches", lambda _share, _vip: True)
    vip.mac = OWN
    assert clusterip.served(vip) == "ok"
    assert clusterip.in_use(vip) == ("nft", MAC4)
    module.share = None
    assert clusterip.in_use(vip) == ("", "")
    assert clusterip.planned(vip, "192.0.2.255") == ("iptables", OWN)
