# SPDX-License-Identifier: GPL-2.0-only
"""What both agents are taken through on the real target, and where they are meant to differ.

A step is "INSTANCE ACTION [PARAMETER=VALUE]..." (a name in capitals is an environment variable),
"both ACTION" (instances 0 and 1 at once), "$ COMMAND" in the node's namespace, "write TEXT" into
the kernel's list of buckets, or "traffic" (which of 48 ports of a client are answered).
A tuple (STEP, ROW) differs from the shell agent as that row of doc/differences.md says.
"""

PLAIN = " CRM_meta_clone_max=1 cidr_netmask="       # with nic, whose prefix length is looked up
CASES = {
    "two instances": [
        "0 probe", "0 validate-all", "0 start", "0 monitor", "1 status", "0 start", "1 start",
        "1 monitor", "0 stop", "0 monitor", "1 monitor", "0 stop", "1 stop", "1 status", "1 stop"],
    "the other order": ["1 start", "0 start", "1 stop", "0 monitor", "0 stop"],
    "rules flushed": ["0 start", "$ iptables-legacy -F", "0 monitor", "0 start", "0 monitor",
                      "$ iptables-legacy -F", "0 stop"],
    "address lost": ["0 start", "$ ip addr del 192.0.2.100/24 dev eth0", "0 monitor",
                     ("0 start", 19), ("0 stop", 19)],
    "bucket lost, started": ["0 start", "write -1", "0 monitor", "0 start", "0 monitor", "0 stop"],
    "bucket lost, stopped": ["0 start", "write -1", ("0 stop", 19)],
    "other mac at stop": ["0 start mac=01:00:5e:00:01:64", ("0 stop", 19), ("0 start", 19)],
    "three": [
        "2 start CRM_meta_clone_max=3 iflabel=vip", "1 start CRM_meta_clone_max=3 iflabel=vip",
        "2 stop CRM_meta_clone_max=3 iflabel=vip", "1 stop CRM_meta_clone_max=3 iflabel=vip"],
    "beyond clone_max": [("2 start", 20), ("2 stop", 20)],
    "refused": [
        "0 start clusterip_hash=bogus", "0 monitor clusterip_hash=bogus",
        "0 start mac=02:00:5e:00:01:64", "0 start mac=nonsense", "0 start lvs_support=true",
        "0 start CRM_meta_clone_max=0", "0 start CRM_meta_clone_max=17",
        "0 start MODPROBE=/nonexistent clusterip_firewall=clusterip",
        "0 start IPTABLES_LEGACY=/nonexistent", "0 stop IPTABLES_LEGACY=/nonexistent"],
    "no cluster ip": ["1 start unique_clone_address=true CRM_meta_globally_unique=true",
                      "1 stop unique_clone_address=true CRM_meta_globally_unique=true",
                      "0 start CRM_meta_clone_max=1", "0 stop CRM_meta_clone_max=1"],
    "at once": ["both start", "0 monitor", "1 monitor", "both stop"],
    "sourceip, found by route": [
        "0 start clusterip_hash=sourceip nic= cidr_netmask=", "traffic",
        "0 stop clusterip_hash=sourceip nic= cidr_netmask="],
    "sourceip-sourceport": ["0 start", "traffic", "1 start", "traffic", "0 stop", "traffic",
                            "1 stop"],
    "sourceip-sourceport-destport": [
        "1 start clusterip_hash=sourceip-sourceport-destport", "traffic",
        "1 stop clusterip_hash=sourceip-sourceport-destport"],
    "vrf": [
        "$ ip link add red type vrf table 10", "$ ip link set dev red up",
        "$ ip link set dev eth0 master red", "$ ip addr add 2001:db8::1/64 dev eth0 nodad",
        ("0 start" + PLAIN, 47), ("0 monitor" + PLAIN, 47),
        ("$ sh -c 'rm -f /run/*/IPaddr2-*'", 47),               # no note: by the routes again
        ("0 monitor" + PLAIN, 47), "0 stop" + PLAIN, "0 probe" + PLAIN,
        ("0 start ip=2001:db8::100 nodad=true" + PLAIN, 47),
        ("$ ip -o -6 addr show to 2001:db8::100", 47),
        "0 stop ip=2001:db8::100 nodad=true" + PLAIN, "$ ip -o -6 addr show to 2001:db8::100",
        "0 start route_table=11 ip=198.51.100.9" + PLAIN, "0 stop" + PLAIN],
}


def split(step):
    """(text, row): row is None where the agents have to agree."""
    return step if isinstance(step, tuple) else (step, None)
