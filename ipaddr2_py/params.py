# SPDX-License-Identifier: GPL-2.0-only
"""The one table of parameters: code, metadata and manual page read it.

Texts are paragraphs parted by an empty line; a line that starts with two spaces is an example,
kept as it stands. This module is on the monitor's hot path: it imports nothing.
"""

PREFIX = "OCF_RESKEY_"
BLANKS = " \t\n\r\v\f"         # white space, as in commands.py

SHORTDESC = "Virtual IPv4 and IPv6 addresses on Linux"

LONGDESC = """\
Puts a virtual IP address (VIP), IPv4 or IPv6, on a network interface of this node, watches over it
and takes it away again. Only the parameter ip is required: interface, prefix length and broadcast
address are read from the routes and addresses the node has.

Start adds the address with ip(8), sets the interface up and announces to the neighbours that the
address lives here now: by gratuitous ARP for IPv4, by unsolicited neighbour advertisements for
IPv6. Monitor looks for the address on its interface; with OCF_CHECK_LEVEL=10 it also asks the link
whether another host answers for the address, and fails where one does. Stop looks for the address
itself and removes it, even when its route is gone or an optional parameter is wrong; where there is
no such address, stop has nothing to do and succeeds.

As a clone the agent works in one of two ways. With unique_clone_address, each instance gets an
address of its own, counted up from ip. Without it, all instances share the one address (Cluster
IP): every node receives each packet, a hash of the client's address picks one of clone-max
buckets, and only the node that holds the bucket answers. Give such a clone globally-unique=true,
as many instances (clone-max) as the clients are to be split into, and a clone-node-max of at least
2, so that the nodes left can take over the buckets of one that failed. The parameters mac and
clusterip_* belong to it. An anonymous clone (globally-unique=false) on lo has a plain address on
each node.

Start notes where it puts the address, in a small file below /run/resource-agents (HA_RSCTMP). The
note says where to look first; whether the address is there is asked of the kernel each time. So
the address is found again when routes come and go or the interface is renamed. It can be removed
at any time, and is then found by the routes.

Parameters of the yes-or-no kind are true when they read yes, true, 1, YES, TRUE, True, ja, on or
ON. Anything else is false.
"""


class Parameter:
    """One parameter: type is string, integer or boolean; default None means it has none."""

    __slots__ = ("name", "type", "default", "shortdesc", "longdesc", "required", "unique")

    def __init__(self, name, type, default, shortdesc, longdesc, required=False, unique=False):
        self.name = name
        self.type = type
        self.default = default
        self.shortdesc = shortdesc
        self.longdesc = longdesc
        self.required = required
        self.unique = unique


TABLE = (
    Parameter("ip", "string", None, "Virtual IPv4 or IPv6 address", """\
The address to manage, without a prefix length (see cidr_netmask): IPv4 as four decimal numbers
without leading zeros, IPv6 in any spelling, which need not be the shortest one. It must be an
address that a host can hold: multicast addresses are refused. An IPv6 link-local address
(fe80::/10) needs nic as well. Examples: 192.0.2.10, 2001:db8::10.
""", required=True, unique=True),
    Parameter("nic", "string", "", "Network interface", """\
The interface that carries the address, such as eth0, bond0 or eth0.100; an alternative name
(altname) works too. Left empty, it is the interface of the most specific directly connected route
that covers the address. Among equals one with its link up goes first, then one that is no port of
a bridge, bond or team, then the lowest metric. Leave it empty when the interface has another name
on each node.

The address of a subnet that the node has no route to needs both nic and cidr_netmask. The old
form INTERFACE:LABEL is understood, but iflabel is the better place for a label.
"""),
    Parameter("cidr_netmask", "string", "", "Prefix length", """\
The length of the network's prefix in bits: 1 to 32 for IPv4, 1 to 128 for IPv6. Left empty, it is
that of the route which settles the interface (see nic). A dotted quad such as 255.255.255.0 is
converted, and a warning asks for 24 in its place. Without nic it has to be no shorter than that of
the route which settles the interface. The parameter's former name, netmask, is read where this one
is empty. 32 and 128 make a host address, which brings no route to a subnet along.
"""),
    Parameter("broadcast", "string", "", "Broadcast address (IPv4)", """\
The broadcast address that goes with ip; or a plus sign to have it computed by setting all host
bits, or a minus sign by clearing them. Left empty, it is that of an address on the same interface
whose network holds that of ip; where there is none, the address gets no broadcast address. IPv6
has no broadcast: leave it empty there.
"""),
    Parameter("iflabel", "string", "", "Label of the address (IPv4)", """\
A name for the address, shown by ip(8) and ifconfig(8) as INTERFACE:LABEL. Interface, colon and
label together have room for 15 characters: eth0 leaves 10 to the label. A label given in nic wins
over this one. The kernel has no labels for IPv6: there a warning is logged and none is set.
Example: web makes eth0:web.
"""),
    Parameter("lvs_support", "boolean", "false", "Leave room for LVS direct routing (IPv4)", """\
For a Linux Virtual Server director that is also a real server, which holds the address with prefix
length 32 on the loopback interface while it is not the director. When true, start puts the
loopback address aside before it adds the VIP, and stop restores it once the VIP is gone.

Refused for IPv6, which has lvs_ipv6_addrlabel, and for a clone with clone-max above 1.
"""),
    Parameter("lvs_ipv6_addrlabel", "boolean", "false", "Do not send from the VIP (IPv6)", """\
When true, start gives the address an entry in the kernel's address label table (RFC 6724) and stop
removes it, so that the kernel prefers another address as the source of what this node sends by
itself. A Linux Virtual Server director needs it for its health checks: real servers hold the same
VIP on their loopback interface, and would answer a check that comes from the VIP to themselves.
Refused for IPv4. See lvs_ipv6_addrlabel_value for the label, preferred_lft for another way.
"""),
    Parameter("lvs_ipv6_addrlabel_value", "integer", "99", "Number of that label (IPv6)", """\
The label that lvs_ipv6_addrlabel enters, a whole number from 0 up. It has to be one that no other
prefix has, or the kernel sees no difference: "ip addrlabel list" shows those in use. The default
is free on an ordinary system. Without lvs_ipv6_addrlabel it means nothing.
"""),
    Parameter("mac", "string", "", "Multicast MAC for Cluster IP", """\
The hardware address under which all nodes receive the packets of a shared address (Cluster IP), as
six hexadecimal numbers parted by colons. It must be a multicast one: the second digit is odd. IPv6
wants one that begins with 33:33. Left empty, it is derived from the address, its prefix length and
its broadcast address, so that all nodes come to the same. It has no use without Cluster IP: a
plain VIP is announced with the MAC of its interface. Example: 01:00:5e:00:02:0a.
"""),
    Parameter("clusterip_hash", "string", "sourceip-sourceport", "What Cluster IP hashes", """\
Which parts of a packet decide the bucket, and so the node, that answers it: sourceip,
sourceip-sourceport or sourceip-sourceport-destport. With sourceip a client stays with one node for
all its connections; with the others its connections are spread. ICMP and other packets without
ports go by the source address. The iptables backend (see clusterip_firewall) knows the source
address only, and says so in the log when asked for more. It must be the same on all nodes.
"""),
    Parameter("unique_clone_address", "boolean", "false", "One address per clone instance", """\
When true, the number of the clone instance is added to ip, and each instance manages the address
that results: instances 0, 1 and 2 of 192.0.2.10 have 192.0.2.10, 192.0.2.11 and 192.0.2.12. The
addition works on the address as a number, IPv6 included; a result beyond the last address of the
family is refused. Needs a clone with globally-unique=true. When false, the instances of a clone
share one address (Cluster IP).
"""),
    Parameter("arp_interval", "integer", "200", "Milliseconds between announcements", """\
The pause between two announcements, in milliseconds, at least 1. It counts for send_arp, for
send_ua (IPv6) and for the built-in sender; the arping programs keep their own pace of one packet
a second.
"""),
    Parameter("arp_count", "integer", "5", "Number of announcements at start", """\
How many times start announces the address, at least 1: gratuitous ARP for IPv4, unsolicited
neighbour advertisements for IPv6. A few more cost nothing and help where packets get lost; see
arp_repeat_after for networks that take seconds to settle.
"""),
    Parameter("arp_count_refresh", "integer", "0", "Number of announcements at each monitor", """\
How many times a monitor that finds the address announces it again. 0, the default, announces at
start alone. Use 1 or more where a switch or neighbour may hold on to a stale entry, for instance
after a split brain; the monitor's interval then is that of the refresh. It works for IPv4 by ARP
and for IPv6 by neighbour advertisements.
"""),
    Parameter("arp_bg", "string", "", "Announce in the background", """\
When true, start announces from a process of its own and does not wait for it; when false, it waits
until all announcements are sent. Empty means true for IPv4 and false for IPv6. A failed
announcement is logged. It fails no start, with one exception: IPv6 in the foreground.
"""),
    Parameter("arp_sender", "string", "", "Program that announces", """\
Which program sends gratuitous ARP for IPv4. One of: send_arp (of the package resource-agents),
iputils_arping (arping of iputils), libnet_arping (arping by Thomas Habets, Debian's package
arping), ipoibarping (for InfiniBand), builtin (the agent's own sender, which needs no program).

Left empty, it is send_arp; on InfiniBand ipoibarping where installed. Where send_arp, ipoibarping
or, for IPv6, send_ua is not installed, the built-in sender does its work. With builtin it does so
for both families in any case. It cannot send on InfiniBand. An arping that is asked for and not
installed makes start fail. Cluster IP over IPv6 is always announced by the built-in sender, which
alone knows its hardware address; over IPv4 by send_arp or the built-in sender, by no other.
"""),
    Parameter("send_arp_opts", "string", "", "More options for the sender", """\
Options passed to send_arp or arping before the agent's own, split at white space; ipoibarping and
IPv6 get none. Which there are, the manual page of the program tells. Example: -A with
iputils_arping sends ARP replies in place of requests, which some switches and routers insist on.
The built-in sender, which sends both, reads -A (replies only) and -U (requests only) here.
"""),
    Parameter("flush_routes", "boolean", "false", "Flush the route cache on stop", """\
When true, stop runs "ip route flush cache" after it has removed the address. Programs on this very
host that talked to the VIP did so over the loopback; this makes their connections look for the
VIP's new home at once rather than go on with a cached route.
"""),
    Parameter("run_arping", "string", "false", "Look for a duplicate first (IPv4)", """\
When true, start first asks the network with arping whether another host holds the address, and
fails (exit code 1) when one answers. This takes up to three seconds of each start, the failover
included. It needs the arping of iputils or of BusyBox (exit code 5 without one). IPv6 has its own
check, see nodad.
"""),
    Parameter("nodad", "string", "false", "Skip duplicate address detection (IPv6)", """\
When true, the address can be used at once, and nobody finds out whether another host has it. When
false, the kernel looks for a duplicate, which takes up to two seconds; start waits for the
outcome, 10 seconds or half of its time limit at most. Where there is a duplicate it tries anew
meanwhile, and then removes the address and fails (exit code 1); monitor fails likewise on an
address that was found to be one later. Where the outcome is not known by then, as on a link
without carrier, start succeeds with a warning, and the address is announced later. Cluster IP over
IPv6 always goes without.
"""),
    Parameter("noprefixroute", "string", "false", "Add no route along with the address", """\
When true, the kernel does not create the route to the address's network that otherwise comes and
goes with an address. Use it where that route exists already, or belongs to another interface. For
IPv6, start does so by itself where another program has laid that route on the same interface.
"""),
    Parameter("preferred_lft", "string", "forever", "Preferred lifetime (IPv6)", """\
How long the kernel may pick the address as the source of new connections, in seconds, or forever
(RFC 4862, section 5.5.4). With 0 the address serves clients as ever, and other addresses of the
node are preferred as source from the beginning. It may not be empty, and counts for IPv6 alone.
"""),
    Parameter("network_namespace", "string", "", "Network namespace", """\
Name of the network namespace (see "ip netns list") that holds the interface and gets the address;
all that this agent does happens inside it. The namespace has to exist before start, and is never
created or removed here. Where it is missing, start fails (exit code 5), monitor reports the
address as not running, and stop succeeds; where it only lost its name, stop finds it and removes
the address in there. Left empty, it is the namespace the cluster runs in.
"""),
    Parameter("proto", "string", "", "Origin of the route to look at", """\
Narrows the search for nic and cidr_netmask to routes of one origin, as "ip route" shows it after
proto: kernel, static, ra and others. Use it where an entry of a routing daemon or of a network
manager is found in place of the interface's own route. Example: kernel. Left empty, all count.
"""),
    Parameter("check_link_status", "string", "false", "Monitor the link too", """\
When true, monitor reports an address as not running (exit code 7) while its interface has no link:
state DOWN or LOWERLAYERDOWN, for instance after a cable was pulled, so that the cluster recovers
it elsewhere. Start waits up to three seconds for the link and fails (exit code 1) without one.
When false, the address counts, whatever the state of the link.
"""),
    Parameter("metric", "integer", "", "Metric of the address's route", """\
The metric of the network route that the kernel creates along with the address, a whole number;
routes with a lower one go first. Use it where two interfaces are in the same network. Left empty,
the kernel's default applies. It has no effect together with noprefixroute.
"""),
    Parameter("clusterip_firewall", "string", "auto", "Backend of Cluster IP", """\
What makes a node take its share of the packets and drop the others. One of: clusterip (the
iptables target CLUSTERIP, IPv4, in kernels before Linux 6.3), nft (nftables, IPv4 and IPv6, all of
clusterip_hash), iptables (its match cluster along with arptables; IPv4, by source address only),
auto (the first of these three that the node can do; exit code 5 where it can do none). clusterip
has room for 16 buckets, iptables for 32.

Each hashes in its own way, so all nodes that share an address have to use the same. Where kernels
differ between nodes, name one here rather than leave the choice to each.
"""),
    Parameter("clusterip_hash_seed", "string", "", "Seed of Cluster IP's hash", """\
A number that changes how clients are dealt out to the buckets, decimal or hexadecimal with 0x in
front, of 32 bits at most. It must be the same on all nodes. Left empty, it is derived from the
address as mac is, so that it differs from address to address. The clusterip backend does not
use it. Example: 0x5eed.
"""),
    Parameter("clusterip_table", "string", "mangle", "Table of Cluster IP's rules", """\
The iptables table that gets the rules of a shared address: mangle, filter or security. Only the
iptables backend reads it (see clusterip_firewall), and the default fits nearly always. Change it
together with clusterip_chain.
"""),
    Parameter("clusterip_chain", "string", "PREROUTING", "Chain of Cluster IP's rules", """\
The chain in clusterip_table that gets the rules of a shared address. Only the iptables backend
reads it. It has to exist and to see incoming packets before they are delivered, which OUTPUT and
POSTROUTING do not: with the table filter that would be INPUT, or a chain of your own that INPUT
jumps to. Its name has 28 characters at most.
"""),
    Parameter("arp_repeat_after", "integer", "", "Seconds until a second round", """\
When set, start announces a second time, arp_count times as before, this many seconds after the
first round, from the background. Use it where switches or routers are still converging when the
address moves and miss the first round. A stop in the meantime calls it off. Empty, the default:
no second round. Example: 5.
"""),
    Parameter("kill_connections", "boolean", "false", "End the VIP's connections on stop", """\
When true, a stop that has taken the address away ends its established TCP connections on this node,
by ss(8) with -K: clients are told at once, and connect to the node that has the address by then;
and a service here does not wait for clients that went elsewhere. The connections of other addresses
are left alone, and so are those of a shared address while this node has another bucket of it. Where
the kernel cannot do it (CONFIG_INET_DIAG_DESTROY), a warning is logged, and stop is none the worse.
"""),
    Parameter("route_table", "string", "", "Routing table to look in", """\
The routing table in which nic and cidr_netmask are looked up, where they are not given: its number,
or its name in /etc/iproute2/rt_tables. Use it where the address's network is not in the main table
(policy routing). It is read, and nothing is written there: the kernel lays the address's own route
in the main table, or in that of the interface's VRF. Left empty, it is the main table and, with nic
given, the table of the VRF that nic is a port of. Example: 100.
"""),
)


#: Values of the parameters that have a list of them, for completion.
CHOICES = {
    "arp_sender": ("send_arp", "iputils_arping", "libnet_arping", "ipoibarping", "builtin"),
    "clusterip_hash": ("sourceip", "sourceip-sourceport", "sourceip-sourceport-destport"),
    "clusterip_firewall": ("auto", "clusterip", "nft", "iptables"),
    "clusterip_table": ("mangle", "filter", "security"),
    "preferred_lft": ("forever", "0"),
    **{parameter.name: ("true", "false") for parameter in TABLE
       if parameter.type == "boolean" or parameter.default == "false"},
    "arp_bg": ("true", "false"),
}

#: Parameters whose change needs no restart of the address; told in metadata of OCF 1.1 alone.
RELOADABLE = (
    "arp_interval", "arp_count", "arp_count_refresh", "arp_bg", "arp_sender", "send_arp_opts",
    "arp_repeat_after", "flush_routes", "run_arping", "check_link_status", "kill_connections",
    "trace_ra", "trace_dir",
)

#: What crmsh sets to have the agent traced; told in metadata of OCF 1.1, to be reloadable there.
TRACING = (
    Parameter("trace_ra", "boolean", "false", "Trace the agent", """\
Writes every command the agent runs, with its output and exit status, into a file for each action.
"crm resource trace" sets this parameter."""),
    Parameter("trace_dir", "string", "", "Folder of the traces", """\
Where the traces go, below which there is a folder IPaddr2. Empty means trace_ra in
/var/lib/heartbeat."""),
)


def read(environ) -> dict:
    """Return {name: value} for each parameter of TABLE from environ, a mapping of str to str.

    As ${X=default} in the shell: the default stands in for a variable that is unset, one that is
    set to nothing stays empty. ip, which has no default, is "" when unset. netmask, the former
    name of cidr_netmask, counts where cidr_netmask is empty. White space around a value is no
    part of it.
    """
    values = {}
    for parameter in TABLE:
        value = environ.get(PREFIX + parameter.name)
        if value is None:
            value = parameter.default or ""
        values[parameter.name] = value.strip(BLANKS)
    values["cidr_netmask"] = values["cidr_netmask"] or \
        environ.get(PREFIX + "netmask", "").strip(BLANKS)
    return values
