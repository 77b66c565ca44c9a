# SPDX-License-Identifier: GPL-2.0-only
"""Cluster IP by the iptables match cluster, and arptables for the answers' MAC (IPv4).

A chain for each shared address, jumped to from clusterip_chain of clusterip_table: packets of the
buckets that are held return to where they came from, all others are dropped.  The match hashes the
source address alone; it brings connection tracking along, and sets the packet type to host.
"""

from . import commands
from .addresses import Unreadable
from .clusterip_params import TABLES
from .clusterip_share import Share, fits, is_joined, join, leave, wanted
from .clusterip_target import after, change
from .ocf import OCF_ERR_GENERIC, OcfExit, env, ocf_exit_reason, ocf_log, ocf_run

BEFORE_ADDRESS = False      # the address goes first, or this node would answer for all others


def iptables(vip):
    """The words that start iptables on the table of the parameters (stop takes any)."""
    table = vip.params["clusterip_table"]
    return env("IPTABLES", "iptables").split() + ["-t", table if table in TABLES else "mangle"]


def chain_name(ip):
    """The name of an address's chain."""
    return "IPaddr2-" + ip


def match_words(share, number):
    """The words of a bucket's rule, as they are added."""
    return ["-m", "cluster", "--cluster-total-nodes", str(share.total), "--cluster-local-node",
            str(number), "--cluster-hash-seed", "0x%08x" % share.seed, "-j", "RETURN"]


def arp_words(share, ip):
    """The words of the rule that puts the multicast MAC into what the node says about the address.

    --h-length: arptables-legacy asks for it.
    """
    return ["-s", ip, "--h-length", "6", "-o", share.nic, "-j", "mangle",
            "--mangle-mac-s", share.mac, "--mangle-target", "CONTINUE"]


# --- what is there ---------------------------------------------------------------------------


class Rules:
    """What iptables and arptables list of an address: chain (whether it exists), jumps, buckets,
    drops, others (the chain's other rules) and arp, all lists of rules as lists of words."""

    __slots__ = ("chain", "jumps", "buckets", "drops", "others", "arp")

    def __init__(self, filter_text, arp_text, ip):
        """From the text of `iptables -t TABLE -S` and of `arptables -L OUTPUT -n -v`."""
        name = chain_name(ip)
        lines = [line.split() for line in filter_text.splitlines()]
        self.chain = ["-N", name] in lines
        self.jumps = [words for words in lines
                      if words[:1] == ["-A"] and after(words, "-j") == name]
        own = [words for words in lines if words[:2] == ["-A", name]]
        self.buckets = [words for words in own if "--cluster-local-nodemask" in words]
        self.drops = [words for words in own if words[2:] == ["-j", "DROP"]]
        self.others = [words for words in own
                       if words not in self.buckets and words not in self.drops]
        self.arp = [words for words in (line.split() for line in arp_text.splitlines())
                    if after(words, "-s") == ip and "--mangle-mac-s" in words]

    def any(self):
        """Whether there is anything at all."""
        return bool(self.chain or self.jumps or self.arp)


def parse_share(rules, ip):
    """The Share that Rules show; buckets' values are lists of their rules."""
    jump = rules.jumps[0] if rules.jumps else []
    first = rules.buckets[0] if rules.buckets else []
    arp = rules.arp[0] if rules.arp else []
    total, seed = after(first, "--cluster-total-nodes"), after(first, "--cluster-hash-seed")
    share = Share(after(jump, "-i") or after(arp, "-o"), after(arp, "--mangle-mac-s"), "",
                  int(total) if total.isdigit() else 0, int(seed, 16) if seed else -1)
    for words in rules.buckets:
        number = int(after(words, "--cluster-local-nodemask"), 16).bit_length()
        share.buckets.setdefault(number, []).append(words)
    alike = {(after(words, "--cluster-total-nodes"), after(words, "--cluster-hash-seed"))
             for words in rules.buckets}
    share.complete = (
        len(rules.jumps) == len(rules.arp) == len(rules.drops) == 1 and len(alike) < 2
        and not rules.others and after(jump, "-d").split("/")[0] == ip
        and after(arp, "-o") == share.nic)
    return share


def read(vip):
    """The Rules of the address; raises Unreadable."""
    name = commands.query_start(["arptables", "-L", "OUTPUT", "-n", "-v"])
    listed = commands.query(iptables(vip) + ["-S"])
    arp = commands.query_end(name)
    for program, result in (("iptables", listed), ("arptables", arp)):
        if result.rc:
            raise Unreadable("%s ended with %d: %s" % (
                program, result.rc, " ".join(result.err.split())[:200] or "no output"))
    return Rules(listed.out, arp.out, vip.ip)


def look(vip):
    """The Share that iptables and arptables hold, None without one; raises Unreadable."""
    if vip.family != "inet":
        return None
    rules = read(vip)
    if not rules.any():
        return None
    share = parse_share(rules, vip.ip)
    share.complete = share.complete and is_joined(share.nic, share.mac)
    return share


# --- changes ---------------------------------------------------------------------------------


def take(vip, undo):
    """Hold the VIP's bucket, with whatever else that needs; exits 1 where a program refuses."""
    found = look(vip)
    share = wanted(vip, found)
    vip.mac = share.mac
    same = found and found.complete and fits(found, vip)
    if same and vip.bucket in found.buckets:
        return
    if not same and vip.params["clusterip_hash"] != "sourceip":
        ocf_log("warn", "clusterip_hash [%s]: the iptables backend hashes the source address alone"
                % vip.params["clusterip_hash"])
    if found is None:
        undo.append(lambda: remove(vip, share))
    elif vip.bucket not in found.buckets:
        undo.append(lambda: release(vip, look(vip)))
    if found and found.mac and (found.mac != share.mac or found.nic != share.nic):
        leave(found.nic, found.mac)
    good = (is_joined(share.nic, share.mac) or join(share.nic, share.mac)) and (
        add_bucket(vip, share, vip.bucket) if same else make_chain(vip, share))
    if not good:
        ocf_exit_reason("Cluster IP: bucket %d of %s cannot be taken: iptables, arptables or ip "
                        "refused; the log has the message" % (vip.bucket, vip.ip))
        raise OcfExit(OCF_ERR_GENERIC)


def add_bucket(vip, share, number):
    """Add a bucket's rule before the final drop; whether that worked."""
    return change(iptables(vip) + ["-I", chain_name(vip.ip), "1"] + match_words(share, number)) == 0


def make_chain(vip, share):
    """Make or mend all that belongs to the address; buckets that were held stay so.

    The jump comes last, when the chain is whole; a chain in use drops everything meanwhile.
    """
    program, name, old = iptables(vip), chain_name(vip.ip), read(vip)
    numbers = {number for number in parse_share(old, vip.ip).buckets if number <= share.total}
    if old.chain:
        steps = [["-I", name, "1", "-j", "DROP"]]
    else:
        steps = [["-N", name], ["-A", name, "-j", "DROP"]]
    steps += [["-D"] + words[1:] for words in old.buckets + old.others]
    steps += [["-D"] + words[1:] for words in old.drops]
    for number in sorted(numbers | {vip.bucket}):
        steps.append(["-I", name, "1"] + match_words(share, number))
    steps += [["-D"] + words[1:] for words in old.jumps]
    steps.append(["-I", vip.params["clusterip_chain"], "-d", vip.ip, "-i", share.nic, "-j", name])
    arp = ["arptables", "-A", "OUTPUT"] + arp_words(share, vip.ip)
    return all(change(program + step) == 0 for step in steps) and \
        delete_arp(old.arp) and ocf_run(arp) == 0


def delete_arp(listed):
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
    return delete_arp(old.arp) and leave(found.nic, found.mac) and good
