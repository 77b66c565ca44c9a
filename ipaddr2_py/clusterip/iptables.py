# SPDX-License-Identifier: GPL-2.0-only
"""Cluster IP by the iptables match cluster, and arptables for the answers' MAC (IPv4).

A chain for each shared address, jumped to from clusterip_chain of clusterip_table: packets of the
buckets that are held return to where they came from, all others are dropped.  The match hashes the
source address alone; it brings connection tracking along, and sets the packet type to host.
"""

from .. import commands
from ..addresses import Unreadable
from ..changes import ocf_run
from ..ocf import env, ocf_is_decimal, ocf_log
from .params import MATCH_LIMIT, TABLES
from .share import Share, change_group, configured_share, is_joined, leave_group, parse_seed
from .target import after, change, rule_words

BEFORE_ADDRESS = False      # the address goes first, or this node would answer for all others
REFUSED = "iptables, arptables or ip refused"


def iptables(vip) -> list:
    """The words that start iptables on the table of the parameters (stop takes any)."""
    table = vip.params["clusterip_table"]
    return env("IPTABLES", "iptables").split() + ["-t", table if table in TABLES else "mangle"]


def chain_name(ip: str) -> str:
    """The name of an address's chain."""
    return "IPaddr2-" + ip


def match_words(share, number: int) -> list:
    """The words of a bucket's rule, as they are added."""
    return ["-m", "cluster", "--cluster-total-nodes", str(share.total), "--cluster-local-node",
            str(number), "--cluster-hash-seed", f"0x{share.seed:08x}", "-j", "RETURN"]


def arp_words(share, ip: str) -> list:
    """The words of the rule that puts the multicast MAC into what the node says about the address.

    --h-length: arptables-legacy asks for it.
    """
    return ["-s", ip, "--h-length", "6", "-o", share.nic, "-j", "mangle",
            "--mangle-mac-s", share.mac, "--mangle-target", "CONTINUE"]


# --- what is there ---------------------------------------------------------------------------


class Rules:
    """What iptables and arptables list of an address: chain (whether it exists), jumps to it, own
    (the chain's rules), buckets (those of them that name one) and arp: rules as lists of words."""

    __slots__ = ("chain", "jumps", "own", "buckets", "arp")

    def __init__(self, filter_text, arp_text, ip):
        """From the text of `iptables -t TABLE -S` and of `arptables -L OUTPUT -n -v`."""
        name = chain_name(ip)
        lines = [rule_words(line) for line in filter_text.splitlines()]
        self.chain = ["-N", name] in lines
        self.jumps = [words for words in lines
                      if words[:1] == ["-A"] and name in (after(words, "-j"), after(words, "-g"))]
        self.own = [words for words in lines if words[:2] == ["-A", name]]
        self.buckets = [words for words in self.own if bucket_number(words)]
        self.arp = [words for words in (line.split() for line in arp_text.splitlines())
                    if is_answer(words, ip)]

    def any(self) -> bool:
        """Whether there is anything at all."""
        return bool(self.chain or self.jumps or self.arp)


def is_answer(words, ip: str) -> bool:
    """Whether a listed rule of arptables is one of arp_words(), for any interface and MAC.

    The chain is the host's: a rule of another form is nobody's but the host's.
    """
    given = words[:words.index(",")] if "," in words else words      # counters follow
    due = arp_words(Share(after(words, "-o"), after(words, "--mangle-mac-s")), ip)
    # arptables-nft does not print --h-length; either prints that any interface will do for -i.
    return sorted(word for word in given if word not in ("-i", "*")) in (
        sorted(due), sorted(due[:2] + due[4:]))


def bucket_number(words) -> int:
    """The bucket, from 1, that a listed rule's mask names; 0 where it is not exactly one."""
    mask = parse_seed(after(words, "--cluster-local-nodemask")) or 0    # 32 bits, as a seed has
    return mask.bit_length() if mask & (mask - 1) == 0 and "!" not in words else 0


def hashed(words) -> tuple:
    """(number of buckets, seed) that a bucket's rule names; 0 and -1 where it does not."""
    total = after(words, "--cluster-total-nodes")
    seed = parse_seed(after(words, "--cluster-hash-seed"))
    return int(total) if ocf_is_decimal(total) else 0, -1 if seed is None else seed


def is_bucket(words, share) -> bool:
    """Whether a listed rule is that of match_words(): one bucket returns, and nothing else."""
    return sorted(words[2::2]) == ["--cluster-hash-seed", "--cluster-local-nodemask",
                                   "--cluster-total-nodes", "-j", "-m"] and \
        after(words, "-m") == "cluster" and after(words, "-j") == "RETURN" and \
        hashed(words) == (share.total, share.seed)


def parse_share(rules, ip: str, buckets: int = 0) -> Share:
    """The Share that Rules show; buckets' values are lists of their rules.

    Rules of `buckets` in all are the address's own, where there are any.
    """
    jump = rules.jumps[0] if rules.jumps else []
    arp = rules.arp[0] if rules.arp else []
    own = [words for words in rules.buckets if hashed(words)[0] == buckets] or rules.buckets
    total, seed = hashed(own[0] if own else [])
    share = Share(after(jump, "-i") or after(arp, "-o"), after(arp, "--mangle-mac-s"), "",
                  total, seed)
    for words in own:
        if bucket_number(words) <= (total or MATCH_LIMIT):
            share.buckets.setdefault(bucket_number(words), []).append(words)
    # Each bucket once, then the drop; the words' order may be another version's.
    share.complete = (
        len(rules.jumps) == len(rules.arp) == 1
        and sorted(jump[2:]) == sorted(["-d", ip + "/32", "-i", share.nic, "-j", chain_name(ip)])
        and after(arp, "-o") == share.nic
        and [words[2:] for words in rules.own[-1:]] == [["-j", "DROP"]]
        and len(rules.own) == len(share.buckets) + 1
        and all(is_bucket(words, share) for words in rules.own[:-1]))
    return share


def read(vip) -> "Rules":
    """The Rules of the address; raises Unreadable."""
    name = commands.query_start(["arptables", "-L", "OUTPUT", "-n", "-v"])
    listed = commands.query(iptables(vip) + ["-S"])
    arp = commands.query_end(name)
    for program, result in (("iptables", listed), ("arptables", arp)):
        if result.rc:
            raise Unreadable(f"{program} ended with {result.rc}: "
                             f"{' '.join(result.err.split())[:200] or 'no output'}")
    return Rules(listed.out, arp.out, vip.ip)


def wanted_share(vip, found, brd: str) -> Share:
    """The Share that the parameters ask for."""
    return configured_share(vip, found, brd)


def look(vip):
    """The Share that iptables and arptables hold, None without one; raises Unreadable."""
    if vip.family != "inet":
        return None
    rules = read(vip)
    if not rules.any():
        return None
    share = parse_share(rules, vip.ip, vip.buckets)
    share.complete = share.complete and is_joined(share.nic, share.mac)
    return share


look_closely = look


# --- changes ---------------------------------------------------------------------------------


def add_bucket(vip, share) -> bool:
    """Add the rule of the VIP's bucket, before the final drop; whether that worked."""
    return change(iptables(vip) + ["-I", chain_name(vip.ip), "1"]
                  + match_words(share, vip.bucket)) == 0


def set_up(vip, share, found) -> bool:
    """Make or mend all that belongs to the address, with the VIP's bucket; whether that worked."""
    asked = vip.params["clusterip_hash"]
    if asked != "sourceip":
        ocf_log("warn", f"clusterip_hash [{asked}]: the iptables backend hashes the source address "
                "alone")
    return change_group(found, share) and make_chain(vip, share)


def make_chain(vip, share) -> bool:
    """Make or mend all that belongs to the address; buckets that were held stay so.

    The jump comes last, when the chain is whole; a chain in use drops everything meanwhile.
    """
    program, name, old = iptables(vip), chain_name(vip.ip), read(vip)
    buckets = parse_share(old, vip.ip, share.total).buckets
    numbers = {number for number in buckets if number <= share.total}
    if old.chain:
        # Rules go by their place, as somebody else's may have words that -D does not take.
        steps = [["-I", name, "1", "-j", "DROP"]] + [["-D", name, "2"] for _ in old.own]
    else:
        steps = [["-N", name], ["-A", name, "-j", "DROP"]]
    for number in sorted(numbers | {vip.bucket}):
        steps.append(["-I", name, "1"] + match_words(share, number))
    steps += [["-D"] + words[1:] for words in old.jumps]
    steps.append(["-I", vip.params["clusterip_chain"], "-d", vip.ip, "-i", share.nic, "-j", name])
    arp = ["arptables", "-A", "OUTPUT"] + arp_words(share, vip.ip)
    return all(change(program + step) == 0 for step in steps) and \
        delete_arp(old.arp) and ocf_run(arp) == 0


def delete_arp(listed) -> bool:
    """Delete arptables rules, each as it was listed; whether all went."""
    shares = [(Share(after(words, "-o"), after(words, "--mangle-mac-s")), after(words, "-s"))
              for words in listed]
    return all([ocf_run(["arptables", "-D", "OUTPUT"] + arp_words(share, ip)) == 0
                for share, ip in shares])


def release(vip, found):
    """Let go of the VIP's bucket alone, however often it is there; whether that worked."""
    rules = found.buckets.get(vip.bucket, []) if found else []
    return all([change(iptables(vip) + ["-D"] + words[1:]) == 0 for words in rules])


def remove(vip, found):
    """Remove jumps, chain, ARP rules and the multicast MAC; whether that worked."""
    program, name, old = iptables(vip), chain_name(vip.ip), read(vip)
    steps = [["-D"] + words[1:] for words in old.jumps]
    if old.chain:
        steps += [["-F", name], ["-X", name]]
    good = all([change(program + step) == 0 for step in steps])
    return delete_arp(old.arp) and leave_group(found.nic, found.mac) and good
