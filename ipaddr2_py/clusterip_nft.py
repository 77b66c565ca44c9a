# SPDX-License-Identifier: GPL-2.0-only
"""Cluster IP by nftables: one table for each shared address, and one for its ARP answers.

Every packet for the address is dropped but for those whose hash falls into a bucket that is held.
Each change is one call of nft, which the kernel carries out as a whole or not at all: buckets come
and go without a moment in which the others are not served.  Rules are told by their comments,
which nft prints alike in all its versions; those of the first rule and of the answers' hold the
settings.
"""

from . import commands
from .addresses import Unreadable
from .ahead import address_bytes
from .clusterip_share import (Share, checksum_makeup, fits, is_joined, join, leave, mac_octets,
                              parse_seed, wanted)
from .ocf import OCF_ERR_GENERIC, OcfExit, ocf_exit_reason, ocf_log, ocf_run

BEFORE_ADDRESS = False      # the address goes first, or this node would answer for all others
FAMILY = {"inet": "ip", "inet6": "ip6"}
PORTS = {"sourceip": "", "sourceip-sourceport": " . th sport",
         "sourceip-sourceport-destport": " . th sport . th dport"}
#: What answers a request must not be answered by every node; errors and answers are for whoever
#: asked, and neighbour discovery is for all.
NOT_ASKING = {"ip": "icmp type != { 8, 13, 15, 17 } accept", "ip6": "icmpv6 type != 128 accept"}
#: Either rule, though never reached, has the kernel put fragments together before they are hashed:
#: the later ones have no ports.  The second brings connection tracking along.
DEFRAGMENT = ("meta l4proto tcp tproxy to :1", "ct state new")
_known = {}                 # works()'s memory


def works():
    """Whether the kernel has nftables at all."""
    if "works" not in _known:
        _known["works"] = commands.query(["nft", "list", "tables"]).rc == 0
    return _known["works"]


def table_name(ip):
    """The name of an address's tables."""
    return "ipaddr2-" + ip.replace(":", "_")


def families(vip):
    """The families in which the address has a table."""
    return ("ip", "arp") if vip.family == "inet" else ("ip6",)


def hash_chains(mode):
    """Chain -> what is hashed there, behind the source address."""
    chains = {"source": ""}
    if PORTS[mode]:
        chains["ports"] = PORTS[mode]
    return chains


# --- the rules -------------------------------------------------------------------------------


def skeleton(vip, share, defragment=DEFRAGMENT[0]):
    """All rules but the buckets': tuples (family, chain, rule, comment), chains in order of use."""
    family = FAMILY[vip.family]
    settings = "IPaddr2 %s %s %s %s %d 0x%08x" % (share.nic, share.mac, share.own or "-",
                                                  share.hash, share.total, share.seed)
    rules = [
        (family, "prerouting", 'iifname "%s" %s daddr %s meta pkttype set host goto share'
         % (share.nic, family, vip.ip), settings),
        (family, "share", NOT_ASKING[family], "errors and answers reach all nodes")]
    if PORTS[share.hash]:
        rules += [(family, "share", "meta l4proto { tcp, udp, udplite, sctp, dccp } goto ports",
                   "hashed with their ports"),
                  (family, "ports", "drop", "the other nodes' buckets"),
                  (family, "defragment", defragment, "never reached, joins fragments")]
    rules += [(family, "share", "goto source", "hashed by source address"),
              (family, "source", "drop", "the other nodes' buckets")]
    if family == "ip":
        return rules + [("arp", "output", 'oifname "%s" arp saddr ip %s arp saddr ether set %s'
                         % (share.nic, vip.ip, share.mac), settings)]
    return rules + neighbour_discovery(vip, share, settings)


def neighbour_discovery(vip, share, settings):
    """The rules that put the multicast MAC into the address's neighbour discovery.

    RFC 4861, 4.3 and 4.4, bits from the ICMPv6 header on: reserved 48, target 64, the type of the
    first option 192, its MAC 208.  nft cannot mend the checksum here, so reserved bits, which
    receivers have to ignore, make up for the change.
    """
    own, mac = mac_octets(share.own), mac_octets(share.mac)
    change = "@th,208,48 0x%s @th,208,48 set 0x%s @th,48,16 set 0x%04x" % (
        own.hex(), mac.hex(), checksum_makeup(own, mac))
    start = 'oifname "%s" icmpv6 type ' % share.nic
    target = address_bytes(vip.ip, "inet6").hex()
    return [("ip6", "output", "%s136 @th,64,128 0x%s @th,192,16 0x0201 %s" % (
                start, target, change), settings),
            ("ip6", "output", "%s135 ip6 saddr %s @th,192,16 0x0101 %s" % (
                start, vip.ip, change), "the same for solicitations")]


def bucket_rules(vip, share, number):
    """nft commands that add a bucket's accept rules before the final drop."""
    family = FAMILY[vip.family]
    return ['insert rule %s %s %s jhash %s saddr%s mod %d seed 0x%08x %d accept comment "bucket %d"'
            % (family, table_name(vip.ip), chain, family, ports, share.total, share.seed,
               number - 1, number)
            for chain, ports in sorted(hash_chains(share.hash).items())]


def table_script(vip, share, numbers, defragment=DEFRAGMENT[0]):
    """nft commands that make the tables anew, whatever was there, with these buckets held."""
    name = table_name(vip.ip)
    script = [verb % (family, name) for family in families(vip)
              for verb in ("add table %s %s", "delete table %s %s", "add table %s %s")]
    rules = skeleton(vip, share, defragment)
    hooks = {"prerouting": "{ type filter hook prerouting priority -300; }",
             "output": "{ type filter hook output priority 0; }"}
    for family, chain in dict.fromkeys((rule[0], rule[1]) for rule in rules):
        script.append(("add chain %s %s %s %s" % (
            family, name, chain, hooks.get(chain, ""))).rstrip())
    for family, chain, rule, comment in rules:
        script.append('add rule %s %s %s %s comment "%s"' % (family, name, chain, rule, comment))
    for number in sorted(numbers):
        script += bucket_rules(vip, share, number)
    return script


# --- what is there ---------------------------------------------------------------------------


def parse_rules(text):
    """The rules in what `nft -a list table` prints: tuples (family, chain, comment, handle)."""
    rules, family, chain = [], "", ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            family = words[1]
        elif words[:1] == ["chain"]:
            chain = words[1]
        elif len(words) > 3 and words[-2] == "handle" and words[-1].isdigit():
            comment = line.rpartition(' comment "')[2].partition('"')[0] \
                if ' comment "' in line else ""
            rules.append((family, chain, comment, int(words[-1])))
    return rules


def parse_settings(comment):
    """The Share that such a comment describes, an empty one where it is of no use."""
    words = comment.split()[1:]
    if len(words) != 6 or words[3] not in PORTS or not words[4].isdigit():
        return Share()
    nic, mac, own, mode, total, seed = words
    if mac_octets(mac) is None or parse_seed(seed) is None or \
            own != "-" and mac_octets(own) is None:
        return Share()
    return Share(nic, mac, mode, int(total), parse_seed(seed), "" if own == "-" else own)


def parse_share(rules, vip):
    """The Share that parse_rules() shows.

    A bucket's value is its list of (chain, handle).  Rules without the settings, with a bucket in
    one chain alone, or with one twice, make an incomplete Share, and so does an empty table.
    """
    settings = {comment for _, _, comment, _ in rules if comment.startswith("IPaddr2 ")}
    share = parse_settings(settings.pop()) if len(settings) == 1 else Share()
    share.complete = bool(share.mac) and bool(share.own) == (vip.family == "inet6")
    for _, chain, comment, handle in rules:
        if comment.startswith("bucket "):
            share.buckets.setdefault(int(comment.split()[1]), []).append((chain, handle))
    if share.complete:
        chains = sorted(hash_chains(share.hash))
        expected = [(family, chain, comment) for family, chain, _, comment in skeleton(vip, share)]
        there = [rule[:3] for rule in rules if not rule[2].startswith("bucket ")]
        share.complete = sorted(expected) == sorted(there) and all(
            sorted(chain for chain, _ in places) == chains for places in share.buckets.values())
    return share


def look(vip):
    """The Share of the address that nftables holds, None without; raises Unreadable."""
    name = table_name(vip.ip)
    started = [commands.query_start(["nft", "-a", "-n", "list", "table", family, name])
               for family in families(vip)]
    text, tables = "", 0
    for result in [commands.query_end(one) for one in started]:
        if result.rc == 0:
            text += result.out
            tables += 1
        elif "No such file or directory" not in result.err:
            raise Unreadable("nft ended with %d: %s" % (
                result.rc, " ".join(result.err.split())[:200] or "no output"))
    if not tables:
        return None
    share = parse_share(parse_rules(text), vip)
    if share.complete:
        share.complete = is_joined(share.nic, share.mac) and \
            (vip.family == "inet" or share.own == own_mac(share.nic))
    return share


def own_mac(nic):
    """The interface's own MAC; zeros where it has none."""
    from . import packets
    try:
        return packets.mac_text(packets.hardware_address(nic))
    except packets.PacketError:
        return packets.mac_text(bytes(6))


# --- changes ---------------------------------------------------------------------------------


def take(vip, undo):
    """Hold the VIP's bucket, with whatever else that needs; exits 1 where nft refuses."""
    found = look(vip)
    share = wanted(vip, found)
    share.own = own_mac(vip.nic) if vip.family == "inet6" else ""
    vip.mac = share.mac
    if found is None:
        undo.append(lambda: remove(vip, share))
    elif vip.bucket not in found.buckets:
        undo.append(lambda: release(vip, look(vip)))
    same = found and found.complete and fits(found, vip)
    if found and found.mac and not (same or found.mac == share.mac and found.nic == share.nic):
        leave(found.nic, found.mac)
    if not is_joined(share.nic, share.mac) and not join(share.nic, share.mac):
        failed(vip, "ip maddress refused to join %s on %s" % (share.mac, share.nic))
    if same and vip.bucket not in found.buckets:
        done = ocf_run(["nft", "; ".join(bucket_rules(vip, share, vip.bucket))]) == 0
    else:
        done = same or make_tables(vip, share, found)
    if not done:
        failed(vip, "nft refused the rules")


def failed(vip, what):
    """Exit 1 as Cluster IP cannot be set up."""
    ocf_exit_reason("Cluster IP: bucket %d of %s cannot be taken: %s; the log has its message"
                    % (vip.bucket, vip.ip, what))
    raise OcfExit(OCF_ERR_GENERIC)


def make_tables(vip, share, found):
    """Make or mend the tables; buckets that were held stay so.  Whether nft took them."""
    numbers = {number for number in found.buckets if number <= share.total} if found else set()
    numbers.add(vip.bucket)
    if not PORTS[share.hash]:
        return ocf_run(["nft", "; ".join(table_script(vip, share, numbers))]) == 0
    first = commands.run(["nft", "; ".join(table_script(vip, share, numbers))])
    if first.rc == 0:
        return True
    ocf_log("info", "nft: %s; trying connection tracking to join fragments"
            % " ".join(first.out.split())[:300])
    return ocf_run(["nft", "; ".join(table_script(vip, share, numbers, DEFRAGMENT[1]))]) == 0


def release(vip, found):
    """Let go of the VIP's bucket alone; whether that worked."""
    if not found or vip.bucket not in found.buckets:
        return True
    return ocf_run(["nft", "; ".join(
        "delete rule %s %s %s handle %d" % (FAMILY[vip.family], table_name(vip.ip), chain, handle)
        for chain, handle in found.buckets[vip.bucket])]) == 0


def remove(vip, found):
    """Remove the tables and the multicast MAC; whether that worked."""
    name = table_name(vip.ip)
    rc = ocf_run(["nft", "; ".join(
        "add table %s %s; delete table %s %s" % (family, name, family, name)
        for family in families(vip))])
    return leave(found.nic, found.mac) and rc == 0
