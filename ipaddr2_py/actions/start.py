# SPDX-License-Identifier: GPL-2.0-only
"""What start does on a node that does not serve the address: add, set up, announce, or undo.

Function by function what is in the shell agent's ip_start.
"""

import time

from .. import addresses, changes, children, commands, place
from ..announce import sender
from ..changes import files, interface, run_and_log
from ..findif import find_broadcast, nic_addr_words, parse_routes
from ..ocf import (OCF_ERR_GENERIC, OCF_ERR_INSTALLED, OCF_SUCCESS, OcfExit, ocf_exit_reason,
                   ocf_is_true, ocf_log)
from ..vip import at_noted_place, forget_note, is_down, places_or_exit
from . import stop

KERNEL_METRIC = 256         # of the route that the kernel lays for an IPv6 address


def look_ahead(vip):
    """Begin what start is going to ask for, all at once."""
    if vip.held is None:
        addresses.prefetch_ip(addresses.addr_show_words(vip.family, vip.ip))
    if not (vip.note or vip.bucket) and commands.find(stop.LIST_TABLES[0]):
        commands.prefetch(stop.LIST_TABLES)
    if vip.family == "inet6":
        if asks_for_prefix_route(vip):
            addresses.prefetch_ip(exact_route_words(vip))
            addresses.prefetch_ip(addresses_query(vip))
        return
    if not vip.params["broadcast"]:
        addresses.prefetch_ip(nic_addr_words(vip.nic))
    if not vip.params["arp_sender"] and not vip.nic.startswith("lo"):
        addresses.prefetch_ip(addresses.link_show_words(vip.nic))


def set_broadcast(vip):
    """The broadcast address: as given, else that of the address whose network holds the VIP's."""
    vip.brd = vip.params["broadcast"]
    if vip.family == "inet" and not vip.brd:
        vip.brd = find_broadcast(vip.nic, vip.ip, vip.src, vip.prefix)


def make_plain(vip):
    """Undo what a former start shared of an address that is a plain one now; whether it did.

    All of it goes, the address too: neighbours that know its multicast MAC are told anew.
    """
    shares = stop.shares_left(vip)
    if not shares:
        return False
    from .. import clusterip

    ocf_log("info", "%s is no shared address any more" % vip.ip)
    with clusterip.locked(vip):
        rc = clusterip.stop_plain(vip, shares, stop.stop_address)
    if rc != OCF_SUCCESS:
        raise OcfExit(rc)
    vip.note = vip.held = None
    return True


def keep(vip):
    """What start does about an address that is served already; an OCF exit code.

    It notes the place where nothing does, and makes sure of the link as monitor looks at it.
    """
    leave_other_place(vip)
    if not vip.noted or vip.note.shared != backend_name(vip):
        note_place(vip)
    if vip.noted and not (vip.params["nic"] and vip.params["cidr_netmask"]) and is_down(vip.nic):
        bring_up(vip)
    if ocf_is_true(vip.params["check_link_status"]):
        wait_for_link(vip)
    return OCF_SUCCESS


def bring_up(vip):
    """Set the interface of an address that is there up, and announce; exits 1 where that fails."""
    import_sh()
    sending = sender.prepare(vip)
    told = interface.link_up(vip.nic)
    if told:
        ocf_exit_reason("Failed to set %s up: %s" % (vip.nic, told))
        raise OcfExit(OCF_ERR_GENERIC)
    try:
        sender.on_start(sending, lambda: add_again(vip))
    except BaseException:       # another host has an IPv6 address, which then is gone from here
        take_all_back([lambda: forget_place(vip)])
        raise


def import_sh():
    """Import sh; exit 5 where it is missing."""
    if not changes.import_sh():
        ocf_exit_reason("the Python library sh is missing: install python3-sh, or sh with pip")
        raise OcfExit(OCF_ERR_INSTALLED)


def serve(vip, status):
    """Serve the address, whose status is no, dadfailed, partial or partial2; an OCF exit code."""
    import_sh()
    leave_other_place(vip)
    set_broadcast(vip)
    sending = None if vip.nic.startswith("lo") else sender.prepare(vip)
    undo = []
    try:
        start_address(vip, status, undo)
        if sending:
            sender.on_start(sending, lambda: add_again(vip))
    except BaseException:
        take_all_back(undo)
        raise
    return OCF_SUCCESS


# --- the note --------------------------------------------------------------------------------


def leave_other_place(vip):
    """Remove the address from where the note tells that a former start put it, if that is another
    place than the one it is to have; exits 1 where it cannot be removed."""
    note, index = vip.note, addresses.index_of(vip.nic)
    if note and note.shared and (not vip.bucket or note.index != index):
        from .. import clusterip
        clusterip.leave_noted(vip)
    if not note or vip.noted:
        return
    if (note.index, note.prefix) == (index, vip.prefix):
        return
    held = places_or_exit(vip) if vip.held is None else vip.held
    old = [one for one in at_noted_place(vip, held) if not is_wanted(one, vip)]
    if not old:
        return
    ocf_log("info", "%s leaves %s, where it was put before" % (vip.ip, old[0].nic))
    left = stop.remove(vip, old, lambda one: is_wanted(one, vip))
    if left:
        ocf_exit_reason("Unable to remove %s from %s, where it was put before"
                        % (left[0], left[0].nic))
        raise OcfExit(OCF_ERR_GENERIC)


def is_wanted(held, vip):
    """Whether a Address address is the VIP as it is to be."""
    return (held.nic, held.prefix, held.peer) == (vip.nic, vip.prefix, "")


def backend_name(vip):
    """The backend of Cluster IP that shares the address, or is going to; "" for a plain one."""
    if not vip.bucket or vip.shared:
        return vip.shared
    from .. import clusterip

    return clusterip.usable(vip)[0]


def note_place(vip):
    """Note where the address is put, and how it is shared; failing does not matter."""
    vip.index = addresses.index_of(vip.nic)
    if not vip.index:
        ocf_exit_reason("there is no interface %s any more" % vip.nic)
        raise OcfExit(OCF_ERR_GENERIC)
    place.write_note(vip, vip.index, backend_name(vip), vip.mac if vip.bucket else "")


def forget_place(vip):
    """Remove the note, once the address is gone."""
    if not any(one.index == vip.index for one in addresses.address_places(vip.family, vip.ip)):
        forget_note(vip)


# --- the address -----------------------------------------------------------------------------


def take_all_back(undo):
    """Undo the steps of a start that failed, the last one first, whatever becomes of each."""
    children.ignore_termination()
    children.extend_for_undo()
    for step in reversed(undo):
        try:
            step()
        except Exception as problem:    # the other steps are to be undone all the same
            ocf_log("err", "could not be taken back: %r" % problem)


def start_address(vip, status, undo):
    """What start does on a node that does not serve the address yet; notes in undo what it did."""
    note_place(vip)
    undo.append(lambda: forget_place(vip))          # last of all, as what follows is undone before
    if vip.bucket:
        from .. import clusterip
        noted = backend_name(vip), vip.mac
        clusterip.take(vip, status, undo)
        if noted != (vip.shared, vip.mac):          # what was there goes on with its own MAC
            note_place(vip)
    if status == "dadfailed":
        interface.delete_address(vip.family, vip.ip, vip.prefix, vip.nic)
    if status in ("no", "dadfailed"):
        if ocf_is_true(vip.params["lvs_support"]) and any(
                held.nic.startswith("lo") and held.prefix == 32 for held in places_or_exit(vip)):
            undo.append(lambda: interface.restore_loopback(vip.ip, vip.params, True))
            interface.remove_conflicting_loopback(vip.ip, vip.params)
        add_address(vip, undo)
        if ocf_is_true(vip.params["check_link_status"]):
            wait_for_link(vip)


def add_address(vip, undo=None):
    """Add the address; exits 1, with the kernel's sentence, where that failed."""
    try:
        told = interface.add_interface(vip.family, vip.ip, vip.prefix, vip.brd, vip.nic,
                                       vip.label, add_options(vip), undo)
    except addresses.Unreadable as problem:
        ocf_log("err", str(problem))
        told = str(problem)
    if told:
        ocf_exit_reason("Failed to add %s: %s%s" % (vip, told, ipv6_is_off(vip)))
        raise OcfExit(OCF_ERR_GENERIC)


def add_options(vip):
    """The parameters that `ip addr add` is told."""
    if vip.family == "inet6" and has_prefix_route(vip):
        return dict(vip.params, noprefixroute="true")
    return vip.params


def add_again(vip):
    """Remove an IPv6 address whose duplicate address detection failed, and add it anew; "" or, if
    that failed, why."""
    interface.delete_address(vip.family, vip.ip, vip.prefix, vip.nic)
    return run_and_log(interface.address_add_argv(
        vip.family, vip.ip, vip.prefix, vip.brd, vip.nic, vip.label, add_options(vip)))[1]


def ipv6_is_off(vip):
    """A clause that says so where IPv6 is switched off on the VIP's interface, else ""."""
    name = "/proc/sys/net/ipv6/conf/%s/disable_ipv6" % vip.nic
    if vip.family == "inet6" and files.read_file(name, 16).strip() == "1":
        return "; IPv6 is switched off on %s (%s is 1)" % (vip.nic, name)
    return ""


# --- the route to an IPv6 address's network --------------------------------------------------


def asks_for_prefix_route(vip):
    """Whether the kernel would lay a route to the network of the address."""
    return not ocf_is_true(vip.params["noprefixroute"])


def exact_route_words(vip):
    """The words that ask `ip` for the routes to the VIP's network, over its interface."""
    return ["-o", "-f", "inet6", "route", "list", "exact", "%s/%d" % (vip.ip, vip.prefix),
            "dev", vip.nic]


def addresses_query(vip):
    """The words that ask `ip` for the IPv6 addresses of the VIP's interface."""
    return ["-o", "-f", "inet6", "addr", "show", "dev", vip.nic]


def has_prefix_route(vip):
    """Whether the interface has an on-link route to just the VIP's network that is not the kernel's
    own for an address: the kernel would take it along when it deletes the address.

    Where `ip` cannot list routes, as on hosts with very large ones, it is taken not to have one.
    """
    if not asks_for_prefix_route(vip):
        return False
    try:
        routes = parse_routes(said(exact_route_words(vip)), "inet6", vip.nic)
        if not all(route.proto == "kernel" and route.metric == KERNEL_METRIC and not route.expires
                   for route in routes):
            return True
        held = addresses.parse_addresses(said(addresses_query(vip))) if routes else []
    except addresses.Unreadable as problem:
        ocf_log("warn", "cannot tell whose the route to the network of %s is: %s" % (vip, problem))
        return False
    return bool(routes) and not any(
        one.prefix == vip.prefix and "noprefixroute" not in one.flags and one.ip != vip.ip
        and addresses.in_network(one.ip, vip.ip, vip.prefix, "inet6") for one in held)


def said(words):
    """What `ip WORDS` printed; raises Unreadable where it failed."""
    result = addresses.ip_query(words)
    if result.rc:
        raise addresses.Unreadable(addresses.failure(words, result))
    return result.out


def wait_for_link(vip):
    """Give an interface that was just set up 3 s to find its carrier; exit 1 without one."""
    end = time.monotonic() + min(3.0, children.remaining() / 2)
    while interface.link_is_down(vip.nic):
        if time.monotonic() > end:
            ocf_exit_reason("check_link_status: the link of %s is down" % vip.nic)
            raise OcfExit(OCF_ERR_GENERIC)
        time.sleep(0.05)
