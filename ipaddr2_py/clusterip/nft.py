# SPDX-License-Identifier: GPL-2.0-only
"""Cluster IP by nftables: one table for each shared address, and one for its ARP answers.

Every packet for the address is dropped but for those whose hash falls into a bucket that is held.
Each change is one call of nft, which the kernel carries out as a whole or not at all: buckets come
and go without a moment in which the others are not served.  Comments name the buckets, and
those of the first rule and of the answers' hold the settings; whether the tables are what these
settings make is for nft_rules.py to tell.
"""

from .. import changes, commands
from ..addresses import Unreadable, address_bytes, mac_bytes, mac_text
from ..changes import ocf_run
from ..children import RUN
from ..ocf import ocf_is_decimal, ocf_log
from ..place import table_name
from .nft_rules import as_written, bucket_number, parse_rules
from .share import (Share, change_group, checksum_makeup, configured_share, is_joined, leave_group,
                    parse_seed)

BEFORE_ADDRESS = False      # the address goes first, or this node would answer for all others
REFUSED = "nft or ip refused"
FAMILY = {"inet": "ip", "inet6": "ip6"}
PORTS = {"sourceip": "", "sourceip-sourceport": " . th sport",
         "sourceip-sourceport-destport": " . th sport . th dport"}
#: What answers a request must not be answered by every node; errors and answers are for whoever
#: asked, and neighbour discovery is for all.
NOT_ASKING = {"ip": "icmp type != { 8, 13, 15, 17 } accept", "ip6": "icmpv6 type != 128 accept"}
#: Either rule, though never reached, has the kernel put fragments together before they are hashed:
#: the later ones have no ports.  The second brings connection tracking along.
DEFRAGMENT = ("meta l4proto tcp tproxy to :1", "ct state new")
HOOKS = {"prerouting": "type filter hook prerouting priority -300;",
         "output": "type filter hook output priority 0;"}


def works() -> bool:
    """Whether the kernel has nftables at all."""
    if "nft" not in RUN.known:
        RUN.known["nft"] = commands.query(["nft", "list", "tables"]).rc == 0
    return RUN.known["nft"]


def families(vip) -> tuple:
    """The families in which the address has a table."""
    return ("ip", "arp") if vip.family == "inet" else ("ip6",)


def hash_chains(mode: str) -> dict:
    """Chain -> what is hashed there, behind the source address."""
    chains = {"source": ""}
    if PORTS[mode]:
        chains["ports"] = PORTS[mode]
    return chains


# --- the rules -------------------------------------------------------------------------------


def skeleton(vip, share, defragment: str) -> list:
    """All rules but the buckets': tuples (family, chain, rule, comment), chains in order of use."""
    family = FAMILY[vip.family]
    settings = (f"IPaddr2 {share.nic} {share.mac} {share.own or '-'} {share.hash} {share.total} "
                f"0x{share.seed:08x}")
    rules = [
        (family, "prerouting", f'iifname "{share.nic}" {family} daddr {vip.ip} meta pkttype set '
         'host goto share', settings),
        (family, "share", NOT_ASKING[family], "errors and answers reach all nodes")]
    if PORTS[share.hash]:
        rules += [(family, "share", "meta l4proto { tcp, udp, udplite, sctp, dccp } goto ports",
                   "hashed with their ports"),
                  (family, "ports", "drop", "the other nodes' buckets"),
                  (family, "defragment", defragment, "never reached, joins fragments")]
    rules += [(family, "share", "goto source", "hashed by source address"),
              (family, "source", "drop", "the other nodes' buckets")]
    if family == "ip":
        return rules + [("arp", "output", f'oifname "{share.nic}" arp saddr ip {vip.ip} arp saddr '
                         f'ether set {share.mac}', settings)]
    return rules + neighbour_discovery(vip, share, settings)


def neighbour_discovery(vip, share, settings: str) -> list:
    """The rules that put the multicast MAC into the address's neighbour discovery.

    RFC 4861, 4.3 and 4.4, bits from the ICMPv6 header on: reserved 48, target 64, the type of the
    first option 192, its MAC 208.  nft cannot mend the checksum here, so reserved bits, which
    receivers have to ignore, make up for the change.
    """
    own, mac = mac_bytes(share.own), mac_bytes(share.mac)
    makeup = checksum_makeup(own, mac)
    change = f"{own.hex()} @th,208,48 set 0x{mac.hex()} @th,48,16 set 0x{makeup:04x}"
    start = f'oifname "{share.nic}" icmpv6 type '
    target = address_bytes(vip.ip, "inet6").hex()
    return [("ip6", "output", f"{start}136 @th,64,128 0x{target} @th,192,64 "
             f"0x0201{change}", settings),
            ("ip6", "output", f"{start}135 ip6 saddr {vip.ip} @th,192,64 "
             f"0x0101{change}", "the same for solicitations")]


def bucket_rules(vip, share, number: int) -> list:
    """A bucket's accept rules, as skeleton() has the others; they belong before the final drop."""
    family = FAMILY[vip.family]
    return [(family, chain, f"jhash {family} saddr{ports} mod {share.total} seed "
             f"0x{share.seed:08x} {number - 1} accept", f"bucket {number}")
            for chain, ports in sorted(hash_chains(share.hash).items())]


def commands_for(vip, verb: str, rules) -> list:
    """nft commands that add or insert rules."""
    return [f'{verb} rule {family} {table_name(vip.ip)} {chain} {rule} comment "{comment}"'
            for family, chain, rule, comment in rules]


def table_script(vip, share, numbers, defragment=DEFRAGMENT[0]) -> list:
    """nft commands that make the tables anew, whatever was there, with these buckets held."""
    name = table_name(vip.ip)
    script = [verb % (family, name) for family in families(vip)
              for verb in ("add table %s %s", "delete table %s %s", "add table %s %s")]
    rules = skeleton(vip, share, defragment)
    for family, chain in dict.fromkeys(rule[:2] for rule in rules):
        hook = " { %s }" % HOOKS[chain] if chain in HOOKS else ""
        script.append(f"add chain {family} {name} {chain}{hook}")
    script += commands_for(vip, "add", rules)
    for number in sorted(numbers):
        script += commands_for(vip, "insert", bucket_rules(vip, share, number))
    return script


def listing(vip, share, defragment: str) -> list:
    """What parse_rules() gives of tables that are as they should be, in any order of chains."""
    rules = skeleton(vip, share, defragment)
    found = []
    for family, chain in dict.fromkeys(rule[:2] for rule in rules):
        found.append((family, chain, "chain", "", 0))
        if chain in HOOKS:
            found.append((family, chain, HOOKS[chain], "", 0))
    for number in share.buckets:
        found += [(*rule, 0) for rule in bucket_rules(vip, share, number)]
    return found + [(*rule, 0) for rule in rules]


# --- what is there ---------------------------------------------------------------------------


def parse_settings(comment: str) -> Share:
    """The Share that such a comment describes, an empty one where it is of no use."""
    words = comment.split(" ")
    if len(words) != 7 or words[0] != "IPaddr2":
        return Share()
    nic, mac, own, mode, total, seed = words[1:]
    if mac_bytes(mac) is None or own != "-" and mac_bytes(own) is None or mode not in PORTS or \
            not ocf_is_decimal(total) or int(total) < 2 or parse_seed(seed) is None:
        return Share()
    return Share(nic, mac, mode, int(total), parse_seed(seed), "" if own == "-" else own)


def parse_share(rules, vip) -> Share:
    """The Share that parse_rules() shows.

    A bucket's value is its list of (chain, handle), whatever its rules do.  Where the tables are
    not what the settings in the first good comment make, the Share is incomplete.
    """
    described = [parse_settings(comment) for _, _, _, comment, _ in rules]
    share = next((one for one in described if one.mac), Share())
    family, chains = FAMILY[vip.family], hash_chains(share.hash or "sourceip-sourceport")
    for place, chain, _, comment, handle in rules:
        number = bucket_number(comment)
        if 0 < number <= (share.total or vip.buckets) and place == family and chain in chains:
            share.buckets.setdefault(number, []).append((chain, handle))
    share.complete = bool(share.mac) and bool(share.own) == (vip.family == "inet6") and \
        any(as_written(rules, listing(vip, share, defragment)) for defragment in DEFRAGMENT)
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
            raise Unreadable(f"nft ended with {result.rc}: "
                             f"{' '.join(result.err.split())[:200] or 'no output'}")
    if not tables:
        return None
    share = parse_share(parse_rules(text), vip)
    if share.complete:
        share.complete = is_joined(share.nic, share.mac) and \
            (vip.family == "inet" or share.own == own_mac(share.nic))
    return share


look_closely = look


def own_mac(nic):
    """The interface's own MAC; zeros where it has none."""
    from ..announce import packets
    try:
        return mac_text(packets.hardware_address(nic))
    except packets.PacketError:
        return mac_text(bytes(6))


# --- changes ---------------------------------------------------------------------------------


def wanted_share(vip, found, brd: str) -> Share:
    """The Share that the parameters ask for; for IPv6 with the interface's own MAC."""
    share = configured_share(vip, found, brd)
    share.own = own_mac(vip.nic) if vip.family == "inet6" else ""
    return share


def add_bucket(vip, share) -> bool:
    """Add the rules of the VIP's bucket; whether nft took them."""
    rules = bucket_rules(vip, share, vip.bucket)
    return ocf_run(["nft", "; ".join(commands_for(vip, "insert", rules))]) == 0


def set_up(vip, share, found) -> bool:
    """Make or mend all that belongs to the address, with the VIP's bucket; whether that worked."""
    return change_group(found, share) and make_tables(vip, share, found)


def make_tables(vip, share, found) -> bool:
    """Make or mend the tables; buckets that were held stay so.  Whether nft took them."""
    numbers = {number for number in found.buckets if number <= share.total} if found else set()
    numbers.add(vip.bucket)
    if not PORTS[share.hash]:
        return ocf_run(["nft", "; ".join(table_script(vip, share, numbers))]) == 0
    first = changes.run(["nft", "; ".join(table_script(vip, share, numbers))])
    if first.rc == 0:
        return True
    ocf_log("info", f"nft: {' '.join(first.out.split())[:300]}; trying connection tracking to join "
            "fragments")
    return ocf_run(["nft", "; ".join(table_script(vip, share, numbers, DEFRAGMENT[1]))]) == 0


def release(vip, found) -> bool:
    """Let go of the VIP's bucket alone; whether that worked."""
    if not found or vip.bucket not in found.buckets:
        return True
    return ocf_run(["nft", "; ".join(
        f"delete rule {FAMILY[vip.family]} {table_name(vip.ip)} {chain} handle {handle}"
        for chain, handle in found.buckets[vip.bucket])]) == 0


def remove(vip, found) -> bool:
    """Remove the tables and the multicast MAC; whether that worked."""
    name = table_name(vip.ip)
    rc = ocf_run(["nft", "; ".join(
        f"add table {family} {name}; delete table {family} {name}"
        for family in families(vip))])
    return leave_group(found.nic, found.mac) and rc == 0
