#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Captures what one version of nft prints of shared addresses, in a namespace of its own:
# capture-nft.sh CHECKOUT VERSION NFT..., from this folder, NFT being the words that start it, such as
# "chroot /srv/bullseye /usr/sbin/nft". README.md says what is in the file.
set -eu
root=$1 version=$2 ns=ip2c-$$ tmp=$(mktemp -d)
shift 2
trap 'ip netns delete $ns; rm -rf "$tmp"' EXIT
ip netns add $ns
ip -n $ns link add eth0 address 02:00:00:00:00:01 type veth peer name eth1
ip -n $ns link set dev eth0 up
ip -n $ns link set dev eth1 up
ip -n $ns addr add 192.0.2.1/24 brd + dev eth0
ip -n $ns addr add 2001:db8::1/64 dev eth0 nodad
mkdir "$tmp/bin"
printf '#!/bin/sh\nexec %s "$@"\n' "$*" >"$tmp/bin/nft"
chmod +x "$tmp/bin/nft"
PATH=$tmp/bin:$PATH
nft --version | grep -q "v$version "
for hash in sourceip sourceip-sourceport sourceip-sourceport-destport; do
    for ip in 192.0.2.100 2001:db8::100; do
        for clone in 0 2; do
            ip netns exec $ns env -i PATH="$PATH" OCF_ROOT=/usr/lib/ocf HA_RSCTMP="$tmp" \
                OCF_RESOURCE_INSTANCE=vip HA_LOGFILE="$tmp/log" OCF_RESKEY_CRM_meta_clone=$clone \
                OCF_RESKEY_CRM_meta_clone_max=3 OCF_RESKEY_clusterip_firewall=nft \
                OCF_RESKEY_arp_sender=builtin OCF_RESKEY_arp_count=1 OCF_RESKEY_ip=$ip \
                OCF_RESKEY_clusterip_hash=$hash "$root/bin/IPaddr2" start
        done
    done
    for family in ip arp ip6; do
        table=ipaddr2-192.0.2.100
        [ $family != ip6 ] || table=ipaddr2-2001_db8__100
        ip netns exec $ns nft -a -n list table $family $table
        ip netns exec $ns nft delete table $family $table
    done
done >nft-"$version"
