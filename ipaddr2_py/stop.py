# SPDX-License-Identifier: GPL-2.0-only
"""What stop does: find the address itself, remove it, and look whether it is gone."""

import posix

from . import addresses, commands, interface
from .addresses import same_interface
from .ahead import address_bytes
from .findif import BITS, FindifError, findif, maybe_convert_dotted_quad, prefixcheck, resolve_nic
from .ocf import (ENV, OCF_ERR_GENERIC, OCF_SUCCESS, OcfExit, ocf_exit_reason, ocf_is_true,
                  ocf_log)
from .vip import bad_word, held_or_exit


def stop_address(vip):
    """End the announcements and remove the address; an OCF exit code."""
    if address_bytes(vip.ip, vip.family) is None:
        ocf_log("info", "ip [%s] is not an address: nothing to stop" % vip.params["ip"])
        return OCF_SUCCESS
    places, ending = [], []
    netmask = maybe_convert_dotted_quad(vip.params["cidr_netmask"])
    vip.prefix = prefixcheck(netmask, vip.family) or -1
    try:
        places = own_places(vip)
        if places and not vip.nic:
            vip.nic = places[0].nic
    finally:
        ending = stop_sender(vip)
    ocf_log("info", "IP status = %s, IP_CIP=%s"
            % ("ok" if places else "no", "yes" if vip.bucket else ""))
    left = remove_all(vip, places)
    if ending:
        from . import pidfile
        pidfile.wait_until_gone(ending)
    if not places and vip.family == "inet6" and ocf_is_true(vip.params["lvs_ipv6_addrlabel"]):
        interface.delete_stale_addrlabel(vip.ip, vip.params)
    if left:
        ocf_exit_reason("Unable to remove %s" % ", ".join(
            "%s/%d from %s" % (held.ip, held.prefix, held.nic) for held in left))
        return OCF_ERR_GENERIC
    if places and ocf_is_true(vip.params["lvs_support"]) and vip.family == "inet":
        try:
            interface.restore_loopback(vip.ip, vip.params)
        except addresses.Unreadable as problem:     # the VIP is gone, which is what matters
            ocf_log("err", "cannot tell whether lo has %s again: %s" % (vip.ip, problem))
    return OCF_SUCCESS


def remove_all(vip, places):
    """Delete the VIP from these places, and from those that monitor would find then; what is left.

    After each address it is looked whether it is gone.
    """
    left, tried, queue = [], [], list(places)
    while queue:
        held = queue.pop(0)
        tried.append((held.nic, held.prefix))
        interface.delete_interface(vip.family, vip.ip, held.prefix, held.nic, vip.params)
        still = held_or_exit(vip)
        if any(other.nic == held.nic and other.prefix == held.prefix for other in still):
            left.append(held)
        if still and not queue and not left:
            queue = [other for other in own_places(vip)
                     if (other.nic, other.prefix) not in tried]
    return left


def stop_sender(vip):
    """Tell the announcements of this address that still run in the background to end; those."""
    try:
        names = posix.listdir(ENV["HA_RSCTMP"])
    except OSError:
        return []
    if not any(name.startswith("send_arp-" + vip.ip) for name in names):
        return []
    from . import pidfile
    return pidfile.stop_sender(vip)


def cannot_tell(vip, problem):
    """The OcfExit of a stop that does not know what there is to remove."""
    ocf_exit_reason("cannot tell whether %s is here: %s" % (vip.ip, problem.reason))
    return OcfExit(OCF_ERR_GENERIC)


def own_places(vip):
    """The Held addresses that stop removes; no route is needed to find them.

    Given nic and cidr_netmask narrow the choice.  Without nic every interface is searched, for the
    node must not answer any more; but what LVS may need, the address on lo, or alone (/32, /128) on
    another interface than the one that findif and so monitor points to, stays.
    """
    values = vip.params
    try:
        nic = vip.nic = resolve_nic(values["nic"]) if values["nic"] else ""
    except FindifError as problem:
        raise cannot_tell(vip, problem) from None
    if values["nic"] and not nic:
        return []
    places = [held for held in held_or_exit(vip)
              if (not nic or same_interface(held.nic, nic))
              and vip.prefix in (-1, held.prefix)]
    if places and not commands.get_ready():
        ocf_log("warn", "the Python library sh is missing: %s is removed without it" % vip.ip)
    alone = BITS[vip.family]
    if nic or not any(held.nic == "lo" or held.prefix == alone for held in places):
        return places
    proto = "" if bad_word(values["proto"]) else values["proto"]
    try:
        route = findif(vip.family, vip.ip, "", str(vip.prefix) if vip.prefix > 0 else "", proto)
        place = (route.nic, route.prefix)
    except FindifError as problem:
        if problem.unreadable:
            raise cannot_tell(vip, problem) from None
        place = ("", 0)
    return [held for held in places if (held.nic, held.prefix) == place or held.nic != "lo" and (
        held.prefix != alone or not place[0] or same_interface(held.nic, place[0]))]
