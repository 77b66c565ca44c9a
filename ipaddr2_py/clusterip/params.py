# SPDX-License-Identifier: GPL-2.0-only
"""The checks of Cluster IP's parameters; a wrong one ends the action with 6 and a reason."""

from ..addresses import mac_bytes
from ..ocf import OCF_ERR_CONFIGURED, OcfExit, ocf_exit_reason
from .share import parse_seed

HASHES = ("sourceip", "sourceip-sourceport", "sourceip-sourceport-destport")
FIREWALLS = ("clusterip", "nft", "iptables")        # in auto's order
#: iptables tables whose chains see every packet, and see it after connection tracking did.
TABLES = ("mangle", "filter", "security")
CHAIN_LENGTH = 28           # iptables: XT_EXTENSION_MAXNAMELEN less one
MATCH_LIMIT = 32            # buckets of the match cluster: XT_CLUSTER_NODES_MAX
HASH_LIMIT = 2 ** 32        # a hash has 32 bits


def refuse(name: str, value, why: str):
    """Exit 6 with a reason that names parameter, value and remedy."""
    ocf_exit_reason(f"{name} [{value}] {why}")
    raise OcfExit(OCF_ERR_CONFIGURED)


def check_params(vip) -> None:
    """Exit 6 where a parameter of Cluster IP is wrong."""
    values = vip.params
    firewall = values["clusterip_firewall"]
    if firewall not in FIREWALLS + ("auto",):
        refuse("clusterip_firewall", firewall, f"is not one of auto, {', '.join(FIREWALLS)}")
    if values["clusterip_hash"] not in HASHES:
        refuse("clusterip_hash", values["clusterip_hash"], "is not one of " + ", ".join(HASHES))
    if vip.bucket > vip.buckets:
        refuse("meta attribute clone", vip.bucket - 1, f"must be below clone_max [{vip.buckets}]")
    seed = values["clusterip_hash_seed"]
    if seed and parse_seed(seed) is None:
        refuse("clusterip_hash_seed", seed, "must be a number from 0 to 4294967295, or one in "
               "hexadecimal behind 0x, or empty")
    if vip.family == "inet6" and firewall in ("clusterip", "iptables"):
        refuse("clusterip_firewall", firewall, f"is for IPv4, but ip is the IPv6 address {vip.ip}; "
               "nft serves both")
    if '"' in vip.nic or "*" in vip.nic:
        refuse("nic", vip.nic, "has a character that no rule of a firewall can hold")
    check_iptables(vip)
    check_mac(vip)


def check_mac(vip) -> None:
    """Exit 6 unless mac is a multicast one, for IPv6 one of its own, or empty."""
    mac = vip.params["mac"]
    if not mac:
        return
    octets = mac_bytes(mac)
    if octets is None or not octets[0] & 1:
        refuse("mac", mac, "is not a multicast hardware address: six octets, the first one odd, "
               "such as 01:00:5e:00:01:02")
    if vip.family == "inet6" and octets[:2] != b"\x33\x33":
        refuse("mac", mac, "does not begin with 33:33, as multicast over IPv6 does (RFC 2464)")


def check_iptables(vip) -> None:
    """Exit 6 where a parameter of the iptables backend is wrong, or beyond what it can do."""
    firewall, table = vip.params["clusterip_firewall"], vip.params["clusterip_table"]
    chain = vip.params["clusterip_chain"]
    if table not in TABLES:
        refuse("clusterip_table", table, f"is not one of {', '.join(TABLES)}: the match cluster "
               "has to see every packet, after connection tracking")
    plain = chain.replace("_", "").replace("-", "").replace(".", "")
    if not (plain.isascii() and plain.isalnum() and chain[0] != "-"
            and len(chain) <= CHAIN_LENGTH):
        refuse("clusterip_chain", chain, f"is not the name of a chain: 1 to {CHAIN_LENGTH} "
               "letters, digits and ._- with no dash in front")
    if chain in ("OUTPUT", "POSTROUTING"):
        refuse("clusterip_chain", chain, "does not see packets that come in")
    # POSTROUTING, the other one that filter and security lack, is refused already.
    if chain == "PREROUTING" and table != "mangle" and vip.family == "inet" and \
            firewall in ("iptables", "auto"):
        refuse("clusterip_table", table, "has no chain PREROUTING, which clusterip_chain "
               f"[{chain}] names; set that to INPUT, or the table to mangle")
    if firewall == "iptables" and vip.buckets > MATCH_LIMIT:
        refuse("clone_max", vip.buckets, f"is more than the {MATCH_LIMIT} buckets of the iptables "
               "backend; nft can do more")
    if vip.buckets >= HASH_LIMIT:
        refuse("clone_max", vip.buckets, "is more than a 32-bit hash can part")
