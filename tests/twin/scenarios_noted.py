# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios about a running address whose surroundings change, and about what start remembers."""
from .courses import ALL, LIFE

ANONYMOUS = "CRM_meta_clone=1 CRM_meta_clone_max=2 CRM_meta_globally_unique=false"

ROUTES = [
    ("a host route comes", "plain", "4", "start; ip route add 192.0.2.50/32 dev e0 proto kernel"
     " scope link src 192.0.2.50 metric 101; monitor; start; stop; probe"),
    ("a host route comes", "plain", "6",
     "start; ip -6 route add 2001:db8::50/128 dev e0 metric 101; monitor; start; stop; probe"),
    ("a host route over lo comes", "plain", "4",
     "start; ip route add 192.0.2.50/32 dev lo scope link; monitor; start; stop; probe"),
    ("a longer route over the other interface comes", "plain", "4",
     "start; ip route add 192.0.2.32/27 dev e1 scope link; monitor; probe; start; stop; probe"),
    ("a longer route over the other interface comes", "plain", "6",
     "start; ip -6 route add 2001:db8::/80 dev e1; monitor; probe; start; stop; probe"),
    ("a better route over the other interface comes and goes", "plain", "4",
     "start; ip route add 192.0.2.48/28 dev e1 scope link; status; ip route del 192.0.2.48/28;"
     " monitor; stop"),
    ("an equal route over the other interface comes", "plain", "4",
     "start; ip route add 192.0.2.0/24 dev e1 scope link metric 5; monitor; start; stop"),
    ("a blackhole comes", "plain", "4",
     "start; ip route add blackhole 192.0.2.50/32; monitor; stop"),
    ("all routes go", "plain", "4",
     "start; ip route flush table main; monitor; start; stop; probe; start"),
    ("all routes go", "plain", "6",
     "start; ip -6 route flush table main; monitor; start; stop; probe; start"),
    ("routes cannot be listed any more", "plain", "4",
     "start; reply ip 2 'tool: Buffer too small' '*route list*'; monitor; status; start; stop"),
    ("routes cannot be listed", "present", "4",
     "reply ip 2 'tool: Buffer too small' '*route list*'; monitor; start; stop"),
    ("addresses flushed, the host's own comes back", "plain", "4", "start; ip -4 addr flush dev e0;"
     " monitor; ip addr add 192.0.2.1/24 brd + dev e0; monitor; start; monitor; stop"),
    ("addresses flushed, nic given", "plain", "4 nic=e0",
     "start; ip -4 addr flush dev e0; monitor; probe; stop"),
    ("the interface is down at a start", "plain", "4",
     "start; ip link set e0 down; start; monitor; stop"),
    ("the interface is down for a while", "plain", "6 nic=e0",
     "start; ip link set e0 down; monitor; probe; ip link set e0 up; monitor; start; stop"),
    ("carrier lost, another way has one", "linkdown", "4",
     "ip link set p0 up; start; ip link set p0 down; monitor; start; stop"),
]

SHAPED = [
    (what, shape, family + more, LIFE) for what, shape in (
        ("a real server's own address on lo", "realserver"),
        ("a service proxy's own address", "noarp"),
        ("a route without carrier comes last", "linkdown"),
        ("a port of a bridge comes last", "port"),
        ("a default route in disguise", "halves"),
        ("the address has a peer", "ptp"),
        ("the address has several prefix lengths", "lengths"),
        ("interfaces with odd names", "oddnames"),
    ) for family in "46" for more in ("", {
        "oddnames": " nic=ipsec0 cidr_netmask=", "port": " nic=br0 cidr_netmask=",
        "halves": " nic=e1 cidr_netmask="}.get(shape, " nic=e0 cidr_netmask=")
        + ("24" if family == "4" else "64"))
] + [
    ("a real server's address, asked for on lo", "realserver", "4 nic=lo cidr_netmask=32", LIFE),
    ("a real server's address, length asked", "realserver", "4 cidr_netmask=32", LIFE),
    ("a real server's address, LVS", "realserver", "4 lvs_support=true", LIFE),
    ("a service proxy's address by its interface", "noarp", "4 nic=kube0", "probe; monitor; start"),
    ("a port of a bridge by its name", "port", "4 nic=e0", LIFE),
    ("another interface with an odd name", "oddnames", "4 nic=nexthop cidr_netmask=24", LIFE),
    ("an interface with a backslash in its name", "plain", "4 nic='a\\b' cidr_netmask=24",
     "ip link set dev e1 name 'a\\b'; probe; start; monitor; stop; probe"),
    ("the first half of all addresses", "halves", "ip=10.9.9.9", ALL),
    ("a peer, host length asked", "ptp", "4 nic=e0 cidr_netmask=32", "probe; monitor; stop; probe"),
    ("a peer comes to a running address", "plain", "4",
     "start; ip addr add 192.0.2.50 peer 192.0.2.254/32 dev e0; monitor; stop; probe"),
    ("a peer comes in its place", "plain", "4", "start; ip addr del 192.0.2.50/24 dev e0;"
     " ip addr add 192.0.2.50 peer 192.0.2.254/32 dev e0; monitor; stop; probe"),
    ("another prefix length comes", "plain", "6",
     "start; ip addr del 2001:db8::50/64 dev e0; ip addr add 2001:db8::50/128 dev e0; monitor;"
     " stop; probe"),
]

TAKEN_AWAY = ("start; ip link set dev e0 down; ip link set dev e0 name old0;"
              " ip link set dev old0 up")
RENAMED = [
    ("the name goes to another interface", "plain", "4 nic=e0 cidr_netmask=24",
     TAKEN_AWAY + "; ip link set dev e1 name e0; monitor; probe; stop; start; monitor; stop"),
    ("the name goes to another interface, and it is started there", "plain",
     "4 nic=e0 cidr_netmask=24", TAKEN_AWAY + "; ip link set dev e1 name e0; start; monitor; stop"),
    ("the interface is renamed, nic", "plain", "4 nic=e0 cidr_netmask=24",
     TAKEN_AWAY + "; monitor; probe; stop"),
    ("the interface is renamed, no nic", "plain", "4", TAKEN_AWAY + "; monitor; start; stop"),
    ("another prefix length is configured", "plain", "4 nic=e0 cidr_netmask=24",
     "start; set cidr_netmask=25; monitor; start; monitor; stop; probe"),
    ("another prefix length is configured", "plain", "6",
     "start; set cidr_netmask=128; monitor; start; monitor; stop; probe"),
    ("another prefix length is configured, and it is stopped", "plain", "4 nic=e0 cidr_netmask=24",
     "start; set cidr_netmask=25; stop"),
    ("found at the second best route", "nested", "4",
     "ip addr add 192.0.2.50/16 dev e1; probe; start; monitor; stop"),
    ("found at the second best route", "metrics", "4",
     "ip addr add 192.0.2.50/24 dev e1 noprefixroute; probe; start; monitor; stop"),
    ("not found at a length of no route", "plain", "4",
     "ip addr add 192.0.2.50/28 dev e1 noprefixroute; probe; start; monitor; stop"),
    ("what start noted is lost", "plain", "4", "start; ?drop IPaddr2-192.0.2.50; monitor; stop"),
    ("what start noted is lost, the route too", "plain", "4",
     "start; ?drop IPaddr2-192.0.2.50; ip route flush table main; monitor; probe; stop"),
    ("what start noted is spoilt", "plain", "4", "start; put IPaddr2-192.0.2.50 'interface 3 e0';"
     " monitor; start; stop"),
    ("in a namespace that goes while somebody lives there", "namespace", "4 network_namespace=blue",
     "start; dwell blue; ip netns del blue; monitor; probe; start; stop"),
]

DEMOTING = [
    ("three addresses without a base, the first goes", "bare", "4 nic=e0 cidr_netmask=24",
     "start; set ip=192.0.2.51; start; set ip=192.0.2.52; start; set ip=192.0.2.50; stop;"
     " set ip=192.0.2.51; monitor; stop; set ip=192.0.2.52; monitor; stop"),
    ("the virtual address came before the host's own", "bare", "4 nic=e0 cidr_netmask=24",
     "start; ip addr add 192.0.2.1/24 brd + dev e0; stop; probe"),
    ("an address of another length stays anyway", "bare", "4 nic=e0 cidr_netmask=24",
     "start; ip addr add 192.0.2.1/25 dev e0; stop"),
    ("with promotion set already", "bare", "4 nic=e0 cidr_netmask=24",
     "sysctl ipv4/conf/e0/promote_secondaries 1; start; ip addr add 192.0.2.1/24 dev e0; stop"),
    ("with promotion set for all", "bare", "4 nic=e0 cidr_netmask=24",
     "sysctl ipv4/conf/all/promote_secondaries 1; start; ip addr add 192.0.2.1/24 dev e0; stop"),
    ("a failed start takes back the first address", "bare", "4 nic=e0 cidr_netmask=24",
     "reply ip 2 'tool: no' '*link set*'; start; monitor; stop"),
    ("IPv6 has no secondary addresses", "bare", "6 nic=e0 cidr_netmask=64",
     "start; ip addr add 2001:db8::1/64 dev e0; stop; probe"),
]

CLONES = [
    ("anonymous clone on lo", "plain", "4 nic=lo cidr_netmask=32 " + ANONYMOUS, LIFE),
    ("anonymous clone on lo", "plain", "6 nic=lo cidr_netmask=128 " + ANONYMOUS, LIFE),
    ("anonymous clone on lo, the first", "plain", "4 nic=lo cidr_netmask=32 CRM_meta_clone=0"
     " CRM_meta_clone_max=2 CRM_meta_globally_unique=false", LIFE),
    ("anonymous clone elsewhere", "plain", "4 clusterip_firewall=clusterip " + ANONYMOUS,
     "start; monitor; stop"),
    ("a clone that is not said to be unique", "plain", "4 clusterip_firewall=clusterip"
     " CRM_meta_clone=0 CRM_meta_clone_max=2", "start; monitor; stop"),
    ("anonymous clone with one instance", "plain", "4 CRM_meta_clone=0 CRM_meta_clone_max=1"
     " CRM_meta_globally_unique=false", LIFE),
]

BLANKS = [
    ("white space around %s" % word.partition("=")[0], "plain", "%s %s='%s'" % (
        family, word.partition("=")[0], blanks % word.partition("=")[2]), LIFE)
    for family, words in (
        ("4", ("ip=192.0.2.50", "nic=e0", "cidr_netmask=24", "broadcast=192.0.2.255", "iflabel=web",
               "arp_count=2", "arp_interval=10", "arp_count_refresh=1", "arp_bg=no",
               "arp_sender=iputils_arping", "run_arping=true", "noprefixroute=true",
               "flush_routes=true", "lvs_support=true", "send_arp_opts=-A")),
        ("6", ("ip=2001:db8::50", "nic=e0", "cidr_netmask=64", "nodad=true", "preferred_lft=300",
               "lvs_ipv6_addrlabel=true")))
    for word, blanks in zip(words, (" %s", "%s ", "\t%s\n") * 6)
] + [
    ("white space around network_namespace", "namespace", "4 network_namespace=' blue '", LIFE),
    ("nothing but white space", "plain", "4 nic=' ' cidr_netmask=' ' iflabel=' '", LIFE),
    ("nothing but white space as ip", "plain", "ip=' '", ALL),
]

VALUES = [
    ("no carrier from the beginning", "unplugged", "6 CRM_meta_timeout=6000", "start; monitor"),
    ("no carrier from the beginning", "unplugged", "6 nodad=true", LIFE),
    ("no carrier from the beginning", "unplugged", "4", LIFE),
    ("leading zeros of a count", "plain", "4 arp_count=0000003 arp_interval=0010", LIFE),
    ("leading zeros of a count", "plain", "6 arp_count=03 arp_interval=010", LIFE),
    ("leading zeros of the refresh", "plain", "4 arp_count_refresh=002", LIFE),
    ("leading zeros of the address label", "plain",
     "6 lvs_ipv6_addrlabel=true lvs_ipv6_addrlabel_value=012", LIFE),
    ("leading zeros of the prefix", "plain", "6 nic=e0 cidr_netmask=064", LIFE),
    ("the former class E", "plain", "ip=240.0.0.5 nic=e0 cidr_netmask=24", LIFE),
    ("the former class E by a route", "plain", "ip=240.0.0.5",
     "ip route add 240.0.0.0/24 dev e0 scope link; validate-all; probe; start; monitor; stop"),
    ("the broadcast address of all", "plain", "ip=255.255.255.255 nic=e0 cidr_netmask=24", ALL),
    ("site-local without nic", "plain", "ip=fec0::50", ALL),
    ("IPv6 is off", "plain", "6 nic=e0 cidr_netmask=64",
     "sysctl ipv6/conf/e0/disable_ipv6 1; probe; start; monitor; stop"),
    ("the kernel refuses the address", "plain", "4",
     "reply ip 2 'RTNETLINK answers: No buffer space' '*addr add*'; start; monitor; stop"),
    ("an interface without ARP", "plain", "4 nic=e1 cidr_netmask=24",
     "ip link set dev e1 arp off; start; monitor; stop"),
    ("address label, the address is gone", "plain", "6 lvs_ipv6_addrlabel=true",
     "start; ip addr del 2001:db8::50/64 dev e0; stop"),
    ("pid file that lies", "plain", "4", "put send_arp-192.0.2.50 4194000; start; stop"),
]

NOTED = ROUTES + SHAPED + RENAMED + DEMOTING + CLONES + BLANKS + VALUES
