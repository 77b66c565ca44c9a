# SPDX-License-Identifier: GPL-2.0-only
"""ip_stop: find the address itself, remove it, and look whether it is gone.

The steps are the shell agent's, in its order; what is left of sharing goes along.
"""

import posix

from .. import addresses, changes, children, commands, place
from ..addresses import address_bytes
from ..announce import pidfile
from ..changes import interface, promotion
from ..commands import ENV
from ..findif import (FindifError, ifcheck, is_local, maybe_convert_dotted_quad_to_cidr, places,
                      prefixcheck)
from ..ocf import OCF_ERR_GENERIC, OCF_SUCCESS, OcfExit, ocf_exit_reason, ocf_is_true, ocf_log
from ..vip import at_noted_place, bad_word, forget_note, places_or_exit, sharing
from . import cluster_lock

LIST_TABLES = ["nft", "list", "tables"]
NFT_LIMIT = 2.0             # seconds: an address that was never shared must not wait for nft


def ip_stop(vip, shares=None) -> int:
    """Remove the address wherever it is this resource's; an OCF exit code, 1 where it stays.

    shares: names of the backends of Cluster IP that still share a plain address, looked up where
    they are not given.
    """
    if address_bytes(vip.ip, vip.family) is None:
        ocf_log("info", f"ip [{vip.params['ip']}] is not an address: nothing to stop")
        return OCF_SUCCESS
    if not vip.bucket:
        addresses.prefetch_ip(addresses.addr_show_words(vip.family, vip.ip))
        shares = shares_left(vip) if shares is None else shares
    shared = bool(vip.bucket or shares or vip.note and vip.note.shared)
    with cluster_lock(vip, shared):
        rules = sharing().Rules(vip, shares) if shared else None
        if rules and rules.others_stay():
            return rules.release()
        if rules:
            rules.remove_before_address()
        put_settings_back()
        held = []
        try:
            held = addresses_to_remove(vip)
        finally:                        # whatever `ip` says, nobody must be told any longer
            ending = stop_sender(vip, held)
        ocf_log("info", f"IP status = {'ok' if held else 'no'}, "
                f"IP_CIP={'yes' if vip.bucket else ''}")
        left = remove(vip, held)
        wait_for_senders(ending)
        if left:
            ocf_exit_reason("Unable to remove " + ", ".join(
                f"{one} from {one.nic}" for one in left))
            return OCF_ERR_GENERIC
        restore_what_start_changed(vip, bool(held))
        if held:
            end_connections(vip)
        if rules and not rules.remove_after_address():
            return rules.failure()
        forget_note(vip)                # last, so that a stop that is repeated looks here again
    return OCF_SUCCESS


def end_connections(vip) -> None:
    """End the TCP connections of the address, which is gone, where kill_connections asks for it.

    A start that makes a shared address a plain one removes it for a moment alone.
    """
    if vip.action == "stop" and ocf_is_true(vip.params["kill_connections"]):
        from ..changes import connections
        connections.end(vip)


def restore_what_start_changed(vip, was_here: bool) -> None:
    """Take back, now that the address is gone, what start did for it on lo and in the address
    labels."""
    if not was_here and vip.family == "inet6" and ocf_is_true(vip.params["lvs_ipv6_addrlabel"]):
        interface.delete_stale_addrlabel(vip.ip, vip.params)
    if was_here and vip.family == "inet" and ocf_is_true(vip.params["lvs_support"]):
        try:
            interface.restore_loopback(vip.ip, vip.params)
        except addresses.Unreadable as problem:     # the VIP is gone, which is what matters
            ocf_log("err", f"cannot tell whether lo has {vip.ip} again: {problem}")


# --- what is left of sharing -----------------------------------------------------------------


def shares_left(vip) -> list:
    """Names of the backends of Cluster IP that still share an address which is a plain one now.

    The note of start tells; without one the backends of a clone are asked, or else nftables.
    """
    if vip.note:
        if not vip.note.shared:
            return []
    elif "OCF_RESKEY_CRM_meta_clone" not in ENV and not has_table(vip):
        return []
    return sharing().leftovers(vip)


def has_table(vip) -> bool:
    """Whether nftables, where it is installed, has a table for the address."""
    return bool(commands.find(LIST_TABLES[0])) and \
        place.table_name(vip.ip) in commands.query(
            LIST_TABLES, min(NFT_LIMIT, children.remaining() / 4)).out.split()


# --- the address -----------------------------------------------------------------------------


def remove(vip, wanted, stays=lambda held: False) -> list:
    """Delete the VIP, in every form, from the interfaces of these Address objects; those left.

    stays: tells of an Address whether it is to stay there.

    After each round it is looked whether it is gone: a program that failed may have done its work,
    and another one may have added the address anew.
    """
    indexes = {held.index for held in wanted}
    tried: set = set()
    while wanted:
        for held in wanted:
            interface.delete_interface(vip.family, held, vip.params)
            tried.add((held.index, held.nic, str(held)))
        if not changes.import_sh():
            ocf_log("warn", f"the Python library sh is missing: {vip.ip} is removed without it")
        left = [held for held in places_or_exit(vip)
                if held.index in indexes and not stays(held)]
        wanted = [held for held in left if (held.index, held.nic, str(held)) not in tried]
        if not wanted:
            return left
    return []


def put_settings_back() -> None:
    """Put back what agents that were killed have left switched on in this network namespace."""
    folder, _, begin = place.promotion_path("").rpartition("/")
    try:
        left = [name for name in posix.listdir(folder) if name.startswith(begin)]
    except OSError:
        return
    for name in left:
        promotion.put_back(folder + "/" + name)


def stop_sender(vip, held) -> list:
    """Tell the announcements of this address that still run in the background to end.

    held: the Address objects that are about to be removed.  Gives those that were told, for
    wait_for_senders(): [(process id, pid file)].
    """
    try:
        names = posix.listdir(ENV["HA_RSCTMP"])
    except OSError:
        return []
    if not any(name.startswith("send_arp-" + vip.ip) for name in names):
        return []
    # A sender goes by the name that its interface had when it was started.
    nic = vip.note.name if vip.note else held[0].nic if held else named(vip.params["nic"])
    ending = []
    for name in [nic, *sorted({one.nic for one in held} - {nic})]:
        ending += pidfile.stop_sender(vip.ip, name, vip.namespace)
    return ending


def wait_for_senders(ending) -> None:
    """Wait until those that stop_sender() told have ended."""
    if ending:
        pidfile.wait_until_gone(ending)


def named(nic: str) -> str:
    """The kernel's name of the interface nic, nic itself where there is none."""
    try:
        return nic and not bad_word(nic) and ifcheck(nic)[1] or nic
    except FindifError:
        return nic


def addresses_to_remove(vip) -> list:
    """The Address objects that stop removes: the same address in every form.

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


def on_interface(vip, held, nic: str) -> list:
    """Those of the Address objects that are on the interface that nic names now."""
    if bad_word(nic):
        return []
    try:
        name = ifcheck(nic)[1]
    except FindifError as problem:
        ocf_exit_reason(f"cannot tell whether {vip.ip} is here: {problem.reason}")
        raise OcfExit(OCF_ERR_GENERIC) from None
    return [one for one in held if one.nic == name]


def route_names(vip) -> list:
    """Names of the interfaces where the routes may have the VIP; none where they do not tell."""
    values = vip.params
    netmask = prefixcheck(maybe_convert_dotted_quad_to_cidr(values["cidr_netmask"]), vip.family)
    proto, table = ["" if bad_word(values[name]) else values[name]
                    for name in ("proto", "route_table")]
    try:
        routes = places(vip.family, vip.ip, "", str(netmask) if netmask else "", proto, table)
    except FindifError as problem:
        ocf_log("warn", f"the routes to {vip.ip} cannot be listed: {problem.reason}")
        return []
    return [route.nic for route in routes]
