# SPDX-License-Identifier: GPL-2.0-only
"""Network shapes: the interfaces, addresses and routes that a scenario starts from.

Each is a few lines for `ip -batch`. In all of them the virtual address is 192.0.2.50 or
2001:db8::50 unless a scenario says otherwise, its interface e0; e1 is the other one. p0 and p1
are their far ends. `lines(name)` puts a shape together.
"""

WIRES = """
link set lo up
link add e0 address 02:00:00:00:00:10 type veth peer name p0 address 02:00:00:00:00:20
link add e1 address 02:00:00:00:00:11 type veth peer name p1 address 02:00:00:00:00:21
link set p0 up
link set p1 up
"""
UP = """
link set e0 up
link set e1 up
"""
ADDRESSES = """
addr add 192.0.2.1/24 brd + dev e0
addr add 2001:db8::1/64 dev e0
addr add fe80::1/64 dev e0
addr add 198.51.100.1/24 brd + dev e1
addr add 2001:db8:1::1/64 dev e1
"""
DEFAULT = """
route add default via 192.0.2.254
-6 route add default via 2001:db8::fe
"""

# name: (parts that come first, the shape's own lines)
SHAPES = {
    # one subnet on e0, another on e1
    "plain": (WIRES + UP + ADDRESSES, ""),
    "default": (WIRES + UP + ADDRESSES, DEFAULT),
    # interfaces up, but no address at all
    "bare": (WIRES + UP, ""),
    # one base address without a broadcast address, as `ip addr add` without brd makes it
    "nobrd": (WIRES + UP, "addr add 192.0.2.1/24 dev e0\naddr add 2001:db8::1/64 dev e0"),
    # the subnet twice on e0, in two sizes, and on e1 as well
    "several": (WIRES + UP, """
addr add 192.0.2.1/24 brd + dev e0
addr add 192.0.2.2/24 brd + dev e0
addr add 192.0.2.3/25 brd + dev e0
addr add 192.0.2.4/24 brd + dev e1
addr add 2001:db8::1/64 dev e0
addr add 2001:db8::2/64 dev e0
addr add 2001:db8::3/80 dev e0
addr add 2001:db8::4/64 dev e1
"""),
    # the route of the subnet over both interfaces, told apart by metric alone
    "metrics": (WIRES + UP, """
addr add 192.0.2.1/24 brd + dev e0 noprefixroute
addr add 192.0.2.4/24 brd + dev e1 noprefixroute
addr add 2001:db8::1/64 dev e0 noprefixroute
addr add 2001:db8::4/64 dev e1 noprefixroute
route add 192.0.2.0/24 dev e0 proto static scope link src 192.0.2.1 metric 100
route add 192.0.2.0/24 dev e1 proto static scope link src 192.0.2.4 metric 200
-6 route add 2001:db8::/64 dev e0 proto static metric 100
-6 route add 2001:db8::/64 dev e1 proto static metric 200
"""),
    # a short prefix without a metric against a long one with a metric
    "nested": (WIRES + UP, """
addr add 192.0.0.1/16 brd + dev e1
addr add 192.0.2.1/24 brd + dev e0 noprefixroute
addr add 2001:db8::1/48 dev e1
addr add 2001:db8::4/64 dev e0 noprefixroute
route add 192.0.2.0/24 dev e0 proto static scope link src 192.0.2.1 metric 101
-6 route add 2001:db8::/64 dev e0 proto static metric 2048
"""),
    # point to point: the other end's address, and a whole peer subnet
    "peer": (WIRES + UP, """
addr add 203.0.113.1 peer 192.0.2.50/32 dev e1
addr add 203.0.113.2 peer 192.0.2.0/24 dev e0
addr add 2001:db8:2::1 peer 2001:db8::/64 dev e0
"""),
    # host routes to the virtual address, over the other interface
    "hostroute": (WIRES + UP + ADDRESSES, """
route add 192.0.2.50/32 dev e1 scope link
-6 route add 2001:db8::50/128 dev e1
"""),
    # the route to the subnet only in a table of a policy rule
    "policy": (WIRES + UP, """
addr add 192.0.2.1/24 brd + dev e0 noprefixroute
addr add 2001:db8::1/64 dev e0 noprefixroute
rule add from 192.0.2.0/24 table 100
-6 rule add from 2001:db8::/64 table 100
route add 192.0.2.0/24 dev e0 scope link table 100
-6 route add 2001:db8::/64 dev e0 table 100
"""),
    # longer, but dead, routes around the virtual address
    "blackhole": (WIRES + UP + ADDRESSES, """
route add blackhole 192.0.2.48/28
-6 route add blackhole 2001:db8::/96
"""),
    "unreachable": (WIRES + UP + ADDRESSES, """
route add unreachable 192.0.2.48/28
route add prohibit 192.0.2.48/29
route add throw 192.0.2.50/31
-6 route add unreachable 2001:db8::/80
-6 route add prohibit 2001:db8::/96
"""),
    # as a router's advertisements leave it: /64 with expiry, a wider route, default via link-local
    "ra": (WIRES + UP, """
addr add 192.0.2.1/24 brd + dev e0 noprefixroute
route add 192.0.2.0/24 dev e0 proto kernel scope link src 192.0.2.1 metric 100
addr add fe80::1/64 dev e0
addr add 2001:db8::ff/64 dev e0 noprefixroute valid_lft 7200 preferred_lft 3600
-6 route add 2001:db8::/64 dev e0 proto ra metric 100 expires 3000
-6 route add 2001:db8::/48 dev e0 proto ra metric 1024 expires 3000
-6 route add default via fe80::2 dev e0 proto ra metric 1024 expires 1800
"""),
    # the only IPv6 route to the address goes through a gateway
    "via": (WIRES + UP, """
addr add 198.51.100.1/24 brd + dev e0
addr add 2001:db8:1::1/64 dev e0
route add 192.0.2.0/24 via 198.51.100.9
-6 route add 2001:db8::/64 via 2001:db8:1::9
"""),
    "down": (WIRES + ADDRESSES, "link set e1 up"),
    "nocarrier": (WIRES + UP + ADDRESSES, "link set p0 down"),
    # the same addresses, on a macvlan and on a bridge above e0 (both keep the name e0 away)
    "macvlan": (WIRES, """
link set e0 up
link set e1 up
link add mv0 link e0 address 02:00:00:00:00:30 type macvlan mode bridge
link set mv0 up
addr add 192.0.2.1/24 brd + dev mv0
addr add 2001:db8::1/64 dev mv0
"""),
    "bridge": (WIRES, """
link add br0 address 02:00:00:00:00:40 type bridge
link set e0 master br0
link set br0 up
link set e0 up
addr add 192.0.2.1/24 brd + dev br0
addr add 2001:db8::1/64 dev br0
"""),
    # the virtual address before we come: on the other interface, on lo, with another prefix, right
    "elsewhere": (WIRES + UP + ADDRESSES, """
addr add 192.0.2.50/24 brd + dev e1 noprefixroute
addr add 2001:db8::50/64 dev e1 noprefixroute
"""),
    "onlo": (WIRES + UP + ADDRESSES, """
addr add 192.0.2.50/32 dev lo
addr add 2001:db8::50/128 dev lo
"""),
    "onlo24": (WIRES + UP + ADDRESSES, "addr add 192.0.2.50/24 brd + dev lo noprefixroute"),
    "prefix": (WIRES + UP + ADDRESSES, """
addr add 192.0.2.50/32 dev e0
addr add 2001:db8::50/128 dev e0
"""),
    "present": (WIRES + UP + ADDRESSES, """
addr add 192.0.2.50/24 brd + dev e0
addr add 2001:db8::50/64 dev e0
"""),
    # a real server of LVS: the address alone on lo, which a host route tells too
    "realserver": (WIRES + UP + ADDRESSES, """
addr add 192.0.2.50/32 dev lo label lo:0
route add 192.0.2.50/32 dev lo scope link
addr add 2001:db8::50/128 dev lo
"""),
    # a service proxy's addresses: alone on an interface without ARP
    "noarp": (WIRES + UP + ADDRESSES, """
link add kube0 type veth peer name kube1
link set kube0 arp off
link set kube0 up
link set kube1 up
addr add 192.0.2.50/32 dev kube0
route add 192.0.2.50/32 dev kube0 scope link
addr add 2001:db8::50/128 dev kube0
"""),
    # the subnet's first route is over an interface without carrier, the other one has a metric
    "linkdown": (WIRES + UP + ADDRESSES, """
addr add 192.0.2.2/24 brd + dev e1 noprefixroute
route add 192.0.2.0/24 dev e1 scope link metric 101
-6 route add 2001:db8::/64 dev e1 metric 300
link set p0 down
"""),
    # the subnet's route over a bridge, and a stale one over its port, which goes before it
    "port": (WIRES + UP, """
link add br0 address 02:00:00:00:00:40 type bridge
link set e0 master br0
link set br0 up
addr add 192.0.2.1/24 brd + dev br0 noprefixroute
addr add 2001:db8::1/64 dev br0 noprefixroute
route add 192.0.2.0/24 dev br0 scope link metric 425
route add 192.0.2.0/24 dev e0 scope link metric 100
-6 route add 2001:db8::/64 dev br0 metric 425
-6 route add 2001:db8::/64 dev e0 metric 100
"""),
    # a default route in disguise, as VPN programs lay it
    "halves": (WIRES + UP, """
addr add 10.8.0.6 peer 10.8.0.5/32 dev e1
route add 0.0.0.0/1 dev e1 scope link
route add 128.0.0.0/1 dev e1 scope link
-6 route add 2000::/3 dev e1
"""),
    # the virtual address before we come, with a peer, and with several prefix lengths
    "ptp": (WIRES + UP + ADDRESSES, "addr add 192.0.2.50 peer 192.0.2.254/32 dev e0"),
    "lengths": (WIRES + UP + ADDRESSES, """
addr add 192.0.2.50/24 brd + dev e0
addr add 192.0.2.50/25 dev e0 noprefixroute
addr add 192.0.2.50/32 dev e0
addr add 2001:db8::50/64 dev e0
"""),
    # interfaces with names that the shell agent, or ip, takes for something else
    "oddnames": (WIRES, """
link set dev e0 name ipsec0
link set dev e1 name nexthop
link set dev ipsec0 up
link set dev nexthop up
addr add 192.0.2.1/24 brd + dev ipsec0
addr add 2001:db8::1/64 dev ipsec0
addr add 198.51.100.1/24 brd + dev nexthop
addr add 2001:db8:1::1/64 dev nexthop
"""),
    # the virtual address is there on both interfaces
    "twice": (WIRES + UP + ADDRESSES, """
addr add 192.0.2.50/24 brd + dev e1 noprefixroute
addr add 192.0.2.50/24 brd + dev e0
addr add 2001:db8::50/64 dev e1 noprefixroute
addr add 2001:db8::50/64 dev e0
"""),
    # neighbours of the virtual address that a sloppy comparison would take for it
    "lookalike": (WIRES + UP + ADDRESSES, """
addr add 192.0.2.5/24 dev e0
addr add 192.0.2.150/24 dev e0
addr add 192.0.20.50/24 dev e0
addr add 2001:db8::5/64 dev e0
addr add 2001:db8::150/64 dev e0
"""),
    "altname": (WIRES + UP + ADDRESSES, "link property add dev e0 altname the-other-name"),
    # interfaces named like words of ip
    "keywords": (WIRES, """
link set dev e0 name up
link set dev e1 name primary
link set dev up up
link set dev primary up
addr add 192.0.2.1/24 brd + dev up
addr add 2001:db8::1/64 dev up
addr add 198.51.100.1/24 brd + dev primary
addr add 2001:db8:1::1/64 dev primary
"""),
    # e0 and its network in a namespace of its own
    "namespace": (WIRES, """
netns add blue
netns exec blue sh -c "echo 0 >/proc/sys/net/ipv6/conf/default/dad_transmits"
netns exec blue sh -c "echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode"
link set e0 netns blue
netns exec blue ip link set lo up
netns exec blue ip link set e0 up
netns exec blue ip addr add 192.0.2.1/24 brd + dev e0
netns exec blue ip addr add 2001:db8::1/64 dev e0
"""),
    # without carrier from the beginning, so that duplicate address detection does not end
    "unplugged": ("", """
link set lo up
link add e0 address 02:00:00:00:00:10 type veth peer name p0 address 02:00:00:00:00:20
link add e1 address 02:00:00:00:00:11 type veth peer name p1 address 02:00:00:00:00:21
link set e0 up
addr add 192.0.2.1/24 brd + dev e0
addr add 2001:db8::1/64 dev e0 nodad
"""),
    # somebody else has both virtual addresses, and the kernel looks for duplicates
    "taken": (WIRES + UP + ADDRESSES, """
netns add other
netns exec other sh -c "echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode"
link set p0 netns other
netns exec other ip link set p0 up
netns exec other ip addr add 192.0.2.50/24 dev p0
netns exec other ip addr add 2001:db8::50/64 dev p0 nodad
"""),
}

SYSCTLS = {
    name: {"ipv6/conf/e0/accept_dad": "1", "ipv6/conf/e0/dad_transmits": "1"}
    for name in ("taken", "unplugged")}


def lines(name):
    """The shape as (lines for `ip -batch`, lines for `ip -6 -batch`, sysctls to set at the end)."""
    first, own = SHAPES[name]
    every = [line for line in (first + own).splitlines() if line]
    return ([line for line in every if not line.startswith("-6 ")],
            [line[3:] for line in every if line.startswith("-6 ")], SYSCTLS.get(name, {}))
