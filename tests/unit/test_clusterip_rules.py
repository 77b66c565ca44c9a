# SPDX-License-Identifier: GPL-2.0-only
"""What nft lists of shared addresses: right in each version's words, and wrong after any change."""

import pathlib
import re

import pytest

from ipaddr2_py import clusterip
from ipaddr2_py.clusterip import nft as clusterip_nft, nft_rules as clusterip_rules

DATA = pathlib.Path(__file__).resolve().parents[1] / "data" / "clusterip"
VERSIONS = ("0.9.8", "1.0.6", "1.1.3", "1.1.7")
MODES = ("sourceip", "sourceip-sourceport", "sourceip-sourceport-destport")
VIPS = {"inet": "192.0.2.100", "inet6": "2001:db8::100"}
MAC = "77:d2:6f:e5:f8:7e"


def listing(version, mode, family):
    """What a version lists of an address's tables; buckets 1 and 3 of 3 are held."""
    tables = re.split("(?m)^(?=table )", (DATA / ("nft-" + version)).read_text())[1:]
    assert len(tables) == 9
    ip, arp, ip6 = tables[3 * MODES.index(mode):][:3]
    return ip + arp if family == "inet" else ip6


@pytest.fixture(name="vip_of")
def fixture_vip_of(make_vip):
    """A function that gives the Vip of bucket 1 of 3 of a family."""
    def make(family="inet", **given):
        made = make_vip(ip=VIPS[family], prefix=24 if family == "inet" else 64,
                        clusterip_firewall="nft", **given)
        made.bucket, made.buckets = 1, 3
        return made

    return make


@pytest.fixture(params=VERSIONS, name="version")
def fixture_version(request):
    return request.param


def share(text, vip):
    return clusterip_nft.parse_share(clusterip_rules.parse_rules(text), vip)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", VIPS)
def test_right_in_each_versions_words(vip_of, version, family, mode):
    found = share(listing(version, mode, family), vip_of(family))
    assert (found.complete, found.hash, found.total, sorted(found.buckets)) == (
        True, mode, 3, [1, 3])
    assert {len(places) for places in found.buckets.values()} == {1 if mode == "sourceip" else 2}


#: What may stand there as well without a change of what the rules do: (regular
#: expression of what is listed, instead).
AS_GOOD = {
    "connection tracking joins fragments": ("meta l4proto 6 tproxy to :1", "ct state 0x8"),
    "names": ("meta pkttype set 0", "meta pkttype set host"),
    "names in a set": ("{ 6, 17, 33, 132, 136 }", "{ dccp, tcp, udp, sctp, udplite }"),
    "an order of a set": ("{ 6, 17, 33, 132, 136 }", "{ 136, 132, 6, 17, 33 }"),
    "a decimal seed": ("seed 0x77d26fe5", "seed 2010279909"),
    "zeros": ("seed 0x77d26fe5", "seed 0x0077d26fe5"),
    "capitals": ("ether set 77:d2:6f:e5:f8:7e", "ether set 77:D2:6F:E5:F8:7E"),
    "a flag that stops nothing": (r"(?m)^(table .*)$", r"\1\n\tflags persist"),
    "a remark": (r"(?m)^(table .*)$", r'\1\n\tcomment "of the cluster"'),
    "a chain's remark": (r"(?m)(chain source .*)$", r'\1\n\t\tcomment "of the cluster"'),
    "no word about the policy": (" policy accept;", ""),
    "a word about the hook": ("priority -300; policy", "priority -300; flags offload; policy"),
}


@pytest.mark.parametrize("name", AS_GOOD)
def test_what_is_as_good(vip_of, version, name):
    text, count = re.subn(*AS_GOOD[name], listing(version, MODES[1], "inet"))
    assert count and share(text, vip_of()).complete


@pytest.mark.parametrize("family", VIPS)
def test_buckets_in_any_order(vip_of, version, family):
    """Each went to the head of its chain when it came."""
    chain = r"(chain %s .*\n)(.*bucket 3.*\n)(.*bucket 1.*\n)"
    for name in ("ports", "source"):
        text, count = re.subn(chain % name, r"\1\3\2", listing(version, MODES[1], family))
        assert count and share(text, vip_of(family)).complete


@pytest.mark.parametrize("old, new", [
    (r"@th,64,128 \S+|icmpv6 taddr \S+", "icmpv6 somewhere 2001:db8::100"),
    (r"@th,208,48 set \S+", "icmpv6 mac set 33:33:87:39:90:f1"),
    (r"@th,208,48 set \S+", "@th,208,48 set 0x00003333873990f1")])
def test_names_that_a_later_nft_may_have(vip_of, version, old, new):
    text, count = re.subn(old, new, listing(version, MODES[0], "inet6"))
    assert count and share(text, vip_of("inet6")).complete


#: Changes that keep every comment: (regular expression, what is put there), all places.
CHANGED = {
    "dormant": (r"^(table ip6? .*)$", r"\1\n\tflags dormant"),
    "dormant and more": (r"^(table ip6? .*)$", r"\1\n\tflags owner,dormant"),
    "accepts all": (r"jhash .*( accept comment \"bucket 1\")", r"\1"),
    "accepts nothing": (r"accept (comment \"bucket 1\")", r"drop \1"),
    "returns": (r"accept (comment \"bucket 1\")", r"return \1"),
    "no verdict": (r"accept (comment \"bucket 1\")", r"\1"),
    "an extra match": (r"accept (comment \"bucket 1\")", r"tcp dport 80 accept \1"),
    "a limit": (r"accept (comment \"bucket 1\")", r"limit rate 1/second accept \1"),
    "another bucket": (r"0 accept (comment \"bucket 1\")", r"1 accept \1"),
    "not the bucket": (r"0 accept (comment \"bucket 1\")", r"!= 0 accept \1"),
    "more buckets": (r"mod 3 (.* comment \"bucket 3\")", r"mod 4 \1"),
    "another seed": (r"seed 0x\S+ (.* comment \"bucket 3\")", r"seed 0x1 \1"),
    "no seed": (r"seed 0x\S+ (.* comment \"bucket 3\")", r"\1"),
    "another hash": (r"jhash (ip6? )saddr mod", r"jhash \1daddr mod"),
    "another interface": (r"iifname \"eth0\"", "iifname \"eth1\""),
    "more interfaces": (r"iifname \"eth0\"", "iifname \"eth*\""),
    "no interface": (r"iifname \"eth0\" ", ""),
    "another address": (r"daddr \S+ meta", "daddr 203.0.113.1 meta"),
    "another packet type": ("pkttype set 0", "pkttype set 3"),
    "no packet type": ("meta pkttype set 0 ", ""),
    "goes elsewhere": ("goto share", "goto source"),
    "jumps": ("goto share", "jump share"),
    "all get in": (r"drop (comment \"the other nodes' buckets\")", r"accept \1"),
    "no requests": (r"type != (.*) accept", r"type \1 accept"),
    "drops errors": (r"(type != .*) accept", r"\1 drop"),
    "a policy": ("policy accept", "policy drop"),
    "a priority": ("priority (-300|0);", "priority 300;"),
    "a hook": ("hook prerouting", "hook input"),
    "another kind of chain": ("type filter hook prerouting", "type nat hook prerouting"),
    "no hook": ("type filter hook prerouting .*\n", "\n"),
    "no ARP answers": (r"arp saddr ether set \S+ ", ""),
    "another MAC": (r"ether set \S+", "ether set 77:d2:6f:e5:f8:7f"),
    "another answering interface": (r"oifname \S+", 'oifname "eth1"'),
    "dropped answers": (r"(oifname .*) comment", r"\1 drop comment"),
    "the drop first": (r"((?:^.* comment \"bucket .*\n)+)(.*drop comment.*\n)", r"\2\1"),
    "the errors' rule last": (r"(.*errors and answers.*\n)((?:.*goto.*\n)+)", r"\2\1"),
}
IPV4_ALONE = {"no ARP answers", "another MAC", "another address"}


@pytest.mark.parametrize("name, family", [(name, family) for name in CHANGED for family in VIPS
                                          if family == "inet" or name not in IPV4_ALONE])
def test_any_change_is_seen(vip_of, version, name, family):
    text, count = re.subn("(?m)" + CHANGED[name][0], CHANGED[name][1],
                          listing(version, MODES[1], family))
    assert count
    found = share(text, vip_of(family))
    assert not found.complete
    assert sorted(found.buckets) == [1, 3]      # what is mended keeps them


@pytest.mark.parametrize("old, new", [
    (r"icmpv6 type 136", "icmpv6 type 135"), (r"daddr \S+ meta", "daddr 2001:db8::101 meta"),
    (r"@th,64,128 \S+|taddr \S+", "@th,64,128 0x20010db8000000000000000000000101"),
    (r"saddr 2001:db8::100 @", "saddr 2001:db8::101 @"),
    (r"@th,192,64 \S+", "@th,192,64 0x201020000000002"),
    (r"@th,208,48 set \S+", "@th,208,48 set 0x3333873990f2"),
    (r"@th,208,48 set \S+ ", ""), (r"@th,48,16 set \S+", "@th,48,16 set 0x1"),
    (r"(@th,48,16 set \S+)", r"\1 drop"), (r"(@th,48,16 set \S+)", r"\1 accept"),
    (r"@th.*( comment)", r"accept\1"), (r"(oifname \S+)", r"ct state 0x2 \1")])
def test_any_change_of_neighbour_discovery_is_seen(vip_of, version, old, new):
    text, count = re.subn(old, new, listing(version, MODES[1], "inet6"))
    assert count and not share(text, vip_of("inet6")).complete


# --- what somebody else put there ------------------------------------------------------------

FOREIGN = ["counter packets 0 bytes 0", "accept", 'log prefix "a comment \\"bucket 1\\""',
           "ip saddr vmap { 1.2.3.4 : accept, 5.6.7.8 : drop }", "tcp dport { 22, 80-90 } accept",
           "} }", "{", "@nh,0,8 4", "jhash ip saddr mod 3 seed 0x1 0 accept", "0x" + "9" * 5000]
COMMENTS = ["", "bucket of mine", "bucket ", "bucket", "bucket 0", "bucket 01", "bucket -1",
            "bucket ²", "bucket ٣", "bucket 4", "bucket 99999999999", "bucket " + "9" * 5000,
            "bucket 1 ", "bucket 0x1", "Bucket 1", "IPaddr2 ", "IPaddr2 a b c d e f",
            'a "quoted" one', 'x" comment "bucket 2', "# handle 5", "{", "}", "chain x {", "é"]
CHAINS = ["prerouting", "share", "ports", "source", "defragment", "output"]


def with_rule(text, chain, rule, comment, last):
    """The listing with one more rule, the first or the last one of a chain."""
    line = "\t\t%s%s # handle 99\n" % (rule, ' comment "%s"' % comment if comment else "")
    head, begin, rest = text.partition("\tchain %s {" % chain)
    assert begin
    inside, end, rest = rest.partition("\t}\n")
    lines = inside.splitlines(True)
    place = len(lines) if last else 2 if " hook " in inside else 1
    return head + begin + "".join(lines[:place] + [line] + lines[place:]) + end + rest


@pytest.mark.parametrize("comment", COMMENTS)
@pytest.mark.parametrize("family", VIPS)
def test_rules_of_others(vip_of, family, comment):
    for version in VERSIONS[:2]:
        text = listing(version, MODES[1], family)
        for rule in FOREIGN:
            for chain in CHAINS:
                for last in (True, False):
                    found = share(with_rule(text, chain, rule, comment, last), vip_of(family))
                    assert (found.complete, sorted(found.buckets), found.nic) == (
                        False, [1, 3], "eth0"), (rule, chain, last)


@pytest.mark.parametrize("more", [
    "\tset s { # handle 7\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { 1.2.3.4,\n"
    "\t\t\t     10.0.0.0/8 }\n\t}\n",
    "\tmap m { # handle 8\n\t\ttype ipv4_addr : verdict\n\t}\n",
    "\tcounter k { # handle 9\n\t\tpackets 0 bytes 0\n\t}\n",
    "\tchain of_mine { # handle 9\n\t}\n", "\tchain { # handle 9\n\t}\n",
    "\tchain of_mine { # handle 9\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n",
    '\tchain of_mine {\n\t\tjhash ip saddr mod 3 seed 0x1 1 accept comment "bucket 2" # handle 3\n'
    "\t}\n"])
@pytest.mark.parametrize("family", VIPS)
def test_other_things_in_the_table(vip_of, family, more):
    text = listing("1.0.6", MODES[1], family)
    place = text.index("\tchain prerouting")
    for changed in (text[:place] + more + text[place:], text[:-2] + more + "}\n"):
        found = share(changed, vip_of(family))
        assert (found.complete, sorted(found.buckets)) == (False, [1, 3])


def test_a_bucket_of_the_answers_table_is_none(vip_of):
    text = with_rule(listing("1.0.6", MODES[0], "inet"), "output", "drop", "bucket 2", True)
    assert sorted(share(text, vip_of()).buckets) == [1, 3]
    text = text[:-2] + '\tchain source { # handle 8\n\t\tdrop comment "bucket 2" # handle 9\n\t}\n}'
    assert sorted(share(text, vip_of()).buckets) == [1, 3]


@pytest.mark.parametrize("text", [
    "", "table ip t {\n}\n", "table", "table ip", "chain", "chain {", "}", "\t}\n}\n}",
    " # handle ", "x # handle y", "x # handle ²", "x # handle " + "9" * 5000,
    'x comment " # handle 3',
    "\x00\udcff # handle 1", "table ip t { # handle 1\n\tchain share { # handle 2\n\t}\n}\n"])
def test_odd_listings(vip_of, text):
    found = share(text, vip_of())
    assert (found.complete, found.buckets, found.mac) == (False, {}, "")


@pytest.mark.parametrize("comment, good", [
    ("IPaddr2 eth0 %s - sourceip 3 0x00000001" % MAC, True),
    ("IPaddr2 a\u2003b %s - sourceip 3 0x00000001" % MAC, True),
    ("IPaddr2 eth0 %s - sourceip ² 0x1" % MAC, False),
    ("IPaddr2 eth0 %s - sourceip ٣ 0x1" % MAC, False),
    ("IPaddr2 eth0 %s - sourceip 0 0x1" % MAC, False),
    ("IPaddr2 eth0 %s - sourceip 1 0x1" % MAC, False),
    ("IPaddr2 eth0 %s - sourceip %s 0x1" % (MAC, "9" * 5000), False),
    ("IPaddr2 eth0 %s - sourceip 3 0x100000000" % MAC, False),
    ("IPaddr2 eth0 %s - sourceip 3 ²" % MAC, False),
    ("IPaddr2  eth0 %s - sourceip 3 0x1" % MAC, False),
    ("IPaddr2 eth0 %s - sourceip 3 0x1 more" % MAC, False),
    ("of mine: eth0 %s - sourceip 3 0x1" % MAC, False),
    ("IPaddr2 eth0 ²² - sourceip 3 0x1", False), ("IPaddr2", False), ("", False)])
def test_settings_in_a_comment(comment, good):
    assert bool(clusterip_nft.parse_settings(comment).mac) is good


@pytest.mark.parametrize("word, value", [
    ("17", 17), ("0x11", 17), ("0x0000", 0), ("0X11", "0X11"), ("0x", "0x"), ("²", "²"),
    ("-300", "-300"), ("0x1_0", "0x1_0"), ("host", 0), ('"host"', '"host"'), ("9" * 40, "9" * 40),
    ("00:00:00:00:01:00", 256), ("::1:0", 65536), ("a:b", "a:b"), ("\udcff:", "\udcff:"),
    ("00-00-00-00-01-00", "00-00-00-00-01-00"),
    ("340282366920938463463374607431768211455", 2 ** 128 - 1), ("192.0.2.1", "192.0.2.1")])
def test_values(word, value):
    assert clusterip_rules.value(word) == value


@pytest.mark.parametrize("count, mac", [(1, MAC), (0, "")])
def test_settings_that_cannot_be_read(vip_of, count, mac):
    """Those of the answers will do; without any, the buckets are told all the same."""
    text = listing("1.0.6", MODES[1], "inet").replace("IPaddr2 eth0", "IPaddr2 of eth0", 1)
    text = text if count else text.replace("IPaddr2 eth0", "IPaddr2 of eth0")
    found = share(text, vip_of())
    assert (found.complete, sorted(found.buckets), found.mac) == (False, [1, 3], mac)


# --- stop ------------------------------------------------------------------------------------


@pytest.mark.parametrize("comment", ["bucket of mine", "bucket ", "bucket 0", "bucket 4",
                                     "bucket 99999999999", "bucket ²", "IPaddr2 x"])
def test_stop_of_the_last_bucket_takes_what_others_put_there_along(fp, vip_of, monkeypatch,
                                                                   comment):
    fp.install("nft")
    monkeypatch.setattr(clusterip_nft, "is_joined", lambda nic, mac: True)
    text = "".join(line for line in listing("1.0.6", MODES[1], "inet").splitlines(True)
                   if "bucket 3" not in line)
    text = with_rule(text, "ports", "counter packets 0 bytes 0", comment, False)
    place = text.index("table arp")
    for family, part in (("ip", text[:place]), ("arp", text[place:])):
        fp.query(["nft", "-a", "-n", "list", "table", family, "ipaddr2-192.0.2.100"], out=part)
    fp.run(["nft", "add table ip ipaddr2-192.0.2.100; delete table ip ipaddr2-192.0.2.100; "
            "add table arp ipaddr2-192.0.2.100; delete table arp ipaddr2-192.0.2.100"])
    rules = clusterip.Rules(vip_of())
    assert not rules.others_stay()
    rules.remove_before_address()
    assert rules.remove_after_address()
