#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Captures what nft, iptables, arptables and the kernel print of shared addresses, in a namespace of
# its own: capture.sh CHECKOUT, from this folder. README.md says what each file is.
set -eu
ns=ip2c-$$ tmp=$(mktemp -d)
trap 'ip netns delete $ns; rm -rf "$tmp"' EXIT
ip netns add $ns
ip -n $ns link add eth0 address 02:00:00:00:00:01 type veth peer name eth1
ip -n $ns link set dev eth0 up
ip -n $ns link set dev eth1 up
ip -n $ns addr add 192.0.2.1/24 brd + dev eth0
ip -n $ns addr add 2001:db8::1/64 dev eth0 nodad
in_ns() { ip netns exec $ns "$@"; }
agent() {       # agent ACTION CLONE NAME=VALUE...
    action=$1 clone=$2
    shift 2
    in_ns env -i PATH="$PATH" OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=vip HA_RSCTMP="$tmp" \
        HA_LOGFILE="$tmp/log" OCF_RESKEY_CRM_meta_clone="$clone" OCF_RESKEY_CRM_meta_clone_max=3 \
        OCF_RESKEY_arp_sender=builtin OCF_RESKEY_arp_count=1 "$@" "$root/bin/IPaddr2" "$action"
}
root=$1
four=OCF_RESKEY_ip=192.0.2.100 six=OCF_RESKEY_ip=2001:db8::100
agent start 0 $four && agent start 2 $four
in_ns nft -a -n list table ip ipaddr2-192.0.2.100 >nft-ip
in_ns nft -a -n list table arp ipaddr2-192.0.2.100 >nft-arp
in_ns cat /proc/net/dev_mcast >dev_mcast
in_ns nft -a -n list table ip nothing 2>nft-absent || :
agent stop 0 $four && agent stop 2 $four
agent start 1 $four OCF_RESKEY_clusterip_hash=sourceip
in_ns nft -a -n list table ip ipaddr2-192.0.2.100 >nft-ip-sourceip
agent stop 1 $four
agent start 1 $six OCF_RESKEY_clusterip_hash=sourceip-sourceport-destport
in_ns nft -a -n list table ip6 ipaddr2-2001_db8__100 >nft-ip6
agent stop 1 $six
match=OCF_RESKEY_clusterip_firewall=iptables
agent start 0 $four $match && agent start 2 $four $match
in_ns iptables -t mangle -S >iptables-mangle
in_ns arptables-nft -L OUTPUT -n -v >arptables-nft
in_ns arptables-legacy -A OUTPUT -s 192.0.2.100 --h-length 6 -o eth0 -j mangle \
    --mangle-mac-s 77:d2:6f:e5:f8:7e --mangle-target CONTINUE
in_ns arptables-legacy -L OUTPUT -n -v >arptables-legacy
