# SPDX-License-Identifier: GPL-2.0-only
"""What stop does: find the address itself, remove it, and look whether it is gone."""

import posix

from .. import addresses, changes, children, commands, place
from ..addresses import address_bytes
from ..changes import interface
from ..commands import ENV
from ..findif import (FindifError, ifcheck, is_local, maybe_convert_dotted_quad_to_cidr, places,
                      prefixcheck)
from ..ocf import OCF_ERR_GENERIC, OCF_SUCCESS, OcfExit, ocf_exit_reason, ocf_is_true, ocf_log
from ..vip import at_noted_place, bad_word, forget_note, places_or_exit

LIST_TABLES = ["nft", "list", "tables"]
NFT_LIMIT = 2.0             # seconds: an address that was never shared must not wait for nft


def stop_plain(vip):
    """Stop an address that is not shared, and what is left of sharing it; an OCF exit code."""
    if address_bytes(vip.ip, vip.family) is None:
        return stop_address(vip)
    addresses.prefetch_ip(addresses.addr_show_words(vip.family, vip.ip))
    shares = shares_left(vip)
    if not (shares or vip.note and vip.note.shared):
        rc = stop_address(vip)
        if rc == OCF_SUCCESS:
            forget_note(vip)
        return rc
    from .. import clusterip

    with clusterip.locked(vip):
        return clusterip.stop_plain(vip, shares, stop_address)


def shares_left(vip):
    """Names of the backends of Cluster IP that still share an address which is a plain one now.

    The note of start tells; without one the backends of a clone are asked, or else nftables.
    """
    if vip.note:
        if not vip.note.shared:
            return []
    elif "OCF_RESKEY_CRM_meta_clone" not in ENV and not has_table(vip):
        return []
    from .. import clusterip

    return clusterip.leftovers(vip)


def has_table(vip):
    """Whether nftables, where it is installed, has a table for the address."""
    return bool(commands.find(LIST_TABLES[0])) and \
        place.table_name(vip.ip) in commands.query(
            LIST_TABLES, min(NFT_LIMIT, children.remaining() / 4)).out.split()


def stop_address(vip):
    """End the announcements and remove the address; an OCF exit code."""
    if address_bytes(vip.ip, vip.family) is None:
        ocf_log("info", "ip [%s] is not an address: nothing to stop" % vip.params["ip"])
        return OCF_SUCCESS
    wanted, ending = [], []
    put_settings_back()
    try:
        wanted = addresses_to_remove(vip)
    finally:
        ending = stop_sender(vip, wanted)
    ocf_log("info", "IP status = %s, IP_CIP=%s"
            % ("ok" if wanted else "no", "yes" if vip.bucket else ""))
    left = remove(vip, wanted)
    if ending:
        from ..announce import pidfile
        pidfile.wait_until_gone(ending)
    if not wanted and vip.family == "inet6" and ocf_is_true(vip.params["lvs_ipv6_addrlabel"]):
        interface.delete_stale_addrlabel(vip.ip, vip.params)
    if left:
        ocf_exit_reason("Unable to remove %s" % ", ".join(
            "%s from %s" % (held, held.nic) for held in left))
        return OCF_ERR_GENERIC
    if wanted and ocf_is_true(vip.params["lvs_support"]) and vip.family == "inet":
        try:
            interface.restore_loopback(vip.ip, vip.params)
        except addresses.Unreadable as problem:     # the VIP is gone, which is what matters
            ocf_log("err", "cannot tell whether lo has %s again: %s" % (vip.ip, problem))
    return OCF_SUCCESS


def remove(vip, wanted, stays=lambda held: False):
    """Delete the VIP, in every form, from the interfaces of these Address addresses; what is left.

    stays: tells of a Address address whether it is to stay there.

    After each round it is looked whether it is gone: a program that failed may have done its work,
    and another one may have added the address anew.
    """
    indexes = {held.index for held in wanted}
    tried: set = set()
    while wanted:
        for held in wanted:
            interface.delete_interface(vip.family, vip.ip, held.prefix, held.nic, vip.params,
                                       held.peer)
            tried.add((held.index, held.nic, str(held)))
        if not changes.import_sh():
            ocf_log("warn", "the Python library sh is missing: %s is removed without it" % vip.ip)
        left = [held for held in places_or_exit(vip)
                if held.index in indexes and not stays(held)]
        wanted = [held for held in left if (held.index, held.nic, str(held)) not in tried]
        if not wanted:
            return left
    return []


def put_settings_back():
    """Put back what agents that were killed have left switched on in this network namespace."""
    folder, _, begin = place.promotion_path("").rpartition("/")
    try:
        left = [name for name in posix.listdir(folder) if name.startswith(begin)]
    except OSError:
        return
    for name in left:
        from ..changes import promotion
        promotion.put_back(folder + "/" + name)


def stop_sender(vip, wanted):
    """Tell the announcements of this address that still run in the background to end.

    Gives those to pidfile.wait_until_gone(): [(process id, pid file)].
    """
    try:
        names = posix.listdir(ENV["HA_RSCTMP"])
    except OSError:
        return []
    if not any(name.startswith("send_arp-" + vip.ip) for name in names):
        return []
    from ..announce import pidfile

    # A sender goes by the name that its interface had when it was started.
    vip.nic = vip.note.name if vip.note else wanted[0].nic if wanted else named(vip.params["nic"])
    ending = pidfile.stop_sender(vip)
    for nic in {held.nic for held in wanted} - {vip.nic}:   # renamed since
        vip.nic = nic
        ending += pidfile.stop_sender(vip)
    return ending


def named(nic):
    """The kernel's name of the interface nic, nic itself where there is none."""
    try:
        return nic and not bad_word(nic) and ifcheck(nic)[1] or nic
    except FindifError:
        return nic


def addresses_to_remove(vip):
    """The Address addresses that stop removes, the same address in every form.

    | noted place | nic | what is removed |
    |---|---|---|
    | the address is there | given | it, there alone |
    | no | given | what is on the interface that nic names |
    | the address is there | not | it, and what is on interfaces that routes name |
    | no | not | what is on interfaces that routes name; without such routes, or where they cannot
    be listed, what is on any but lo, and but for an address alone on an interface without ARP |

    Exits 1 where `ip` does not tell.
    """
    held = places_or_exit(vip)
    noted = at_noted_place(vip, held)
    nic = vip.params["nic"]
    if nic:
        return noted or on_interface(vip, held, nic)
    names = route_names(vip) if held else []
    if not names:
        return noted or [one for one in held if not is_local(one, vip.family)]
    return [one for one in held if one in noted or one.nic in names]


def on_interface(vip, held, nic):
    """Those of the Address addresses that are on the interface that nic names now."""
    if bad_word(nic):
        return []
    try:
        name = ifcheck(nic)[1]
    except FindifError as problem:
        ocf_exit_reason("cannot tell whether %s is here: %s" % (vip.ip, problem.reason))
        raise OcfExit(OCF_ERR_GENERIC) from None
    return [one for one in held if one.nic == name]


def route_names(vip):
    """Names of the interfaces where the routes may have the VIP; none where they do not tell."""
    values = vip.params
    netmask = prefixcheck(maybe_convert_dotted_quad_to_cidr(values["cidr_netmask"]), vip.family)
    proto = "" if bad_word(values["proto"]) else values["proto"]
    try:
        routes = places(vip.family, vip.ip, "", str(netmask) if netmask else "", proto)
    except FindifError as problem:
        ocf_log("warn", "the routes to %s cannot be listed: %s" % (vip.ip, problem.reason))
        return []
    return [route.nic for route in routes]
