# SPDX-License-Identifier: GPL-2.0-only
"""ip_start: add the address where it is not served, set its interface up, announce it.

The steps are the shell agent's, in its order.  Whatever start adds is listed in `undo`, as
callables that take it back, for the case that a later step fails.
"""

import time

from .. import addresses, changes, children, commands, place
from ..announce import sender
from ..changes import files, interface, run_and_log
from ..findif import nic_addr_words, parse_routes
from ..ocf import (OCF_ERR_GENERIC, OCF_ERR_INSTALLED, OCF_SUCCESS, OcfExit, ocf_exit_reason,
                   ocf_is_true, ocf_log)
from ..vip import (at_noted_place, broadcast, forget_note, ip_served, is_down, places_or_exit,
                   sharing)
from . import cluster_lock, stop

KERNEL_METRIC = 256         # IP6_RT_PRIO_ADDRCONF of Linux: of the route to an address's network


def ip_start(vip) -> int:
    """Serve the address; an OCF exit code.  What was added is taken back if that fails."""
    with cluster_lock(vip, vip.bucket):
        look_ahead(vip)
        # Another instance of a shared address may have been at work before the lock was had.
        status = ip_served(vip, None if vip.bucket else vip.held)
        shares = [] if vip.bucket else stop.shares_left(vip)
        if status == "ok" and not shares:
            return keep(vip)
        if shares:
            make_plain(vip, shares)
            status = "no"
        import_sh()
        if not shares:
            leave_other_place(vip)
        brd = broadcast(vip)
        burst = None if vip.nic.startswith("lo") else sender.start_burst(vip)
        undo: list = []
        try:
            planned = sharing().planned(vip, brd) if vip.bucket else ("", "")
            note_place(vip, planned, undo)
            if vip.bucket:
                taken = sharing().take(vip, undo, brd)
                if taken != planned:        # what was there goes on with its own MAC
                    note_place(vip, taken)
                if burst:
                    burst.mac = taken[1]
            if status == "dadfailed":
                interface.delete_address(vip.family, vip.address())
            if status in ("no", "dadfailed"):
                if ocf_is_true(vip.params["lvs_support"]) and on_loopback(vip):
                    undo.append(lambda: interface.restore_loopback(vip.ip, vip.params, True))
                    interface.remove_conflicting_loopback(vip.ip, vip.params)
                add_address(vip, brd, undo)
                if ocf_is_true(vip.params["check_link_status"]):
                    wait_for_link(vip)
            if burst:
                announce(vip, brd, burst)
        except BaseException:
            take_all_back(undo)
            raise
        return OCF_SUCCESS


# --- before anything is changed --------------------------------------------------------------


def look_ahead(vip) -> None:
    """Begin what start is going to ask for, all at once."""
    if vip.noted and not vip.bucket:
        return
    if vip.held is None or vip.bucket:
        addresses.prefetch_ip(addresses.addr_show_words(vip.family, vip.ip))
    if not (vip.note or vip.bucket) and commands.find(stop.LIST_TABLES[0]):
        commands.prefetch(stop.LIST_TABLES)
    if vip.family == "inet6":
        if asks_for_prefix_route(vip):
            addresses.prefetch_ip(exact_route_words(vip))
            addresses.prefetch_ip(nic_addr_words(vip.nic, "inet6"))
        return
    if not vip.params["broadcast"]:
        addresses.prefetch_ip(nic_addr_words(vip.nic))
    if not vip.params["arp_sender"] and not vip.nic.startswith("lo"):
        addresses.prefetch_ip(addresses.link_show_words(vip.nic))


def make_plain(vip, shares):
    """Undo what a former start shared of an address that is a plain one now; exits where that
    fails.

    All of it goes, the address too: neighbours that know its multicast MAC are told anew.
    """
    ocf_log("info", f"{vip.ip} is no shared address any more")
    rc = stop.ip_stop(vip, shares)
    if rc != OCF_SUCCESS:
        raise OcfExit(rc)


def import_sh() -> None:
    """Import sh; exits 5 where it is missing."""
    if not changes.import_sh():
        ocf_exit_reason("the Python library sh is missing: install python3-sh, or sh with pip")
        raise OcfExit(OCF_ERR_INSTALLED)


def leave_other_place(vip) -> None:
    """Remove the address from where the note tells that a former start put it, if that is another
    place than the one it is to have; exits 1 where it cannot be removed."""
    note, index = vip.note, addresses.index_of(vip.nic)
    if note and note.shared and (not vip.bucket or note.index != index):
        sharing().leave_noted(vip)
    if not note or vip.noted or (note.index, note.prefix) == (index, vip.prefix):
        return
    held = places_or_exit(vip) if vip.held is None or vip.bucket else vip.held
    old = [one for one in at_noted_place(vip, held) if not is_wanted(one, vip)]
    if not old:
        return
    ocf_log("info", f"{vip.ip} leaves {old[0].nic}, where it was put before")
    left = stop.remove(vip, old, lambda one: is_wanted(one, vip))
    if left:
        ocf_exit_reason(f"Unable to remove {left[0]} from {left[0].nic}, where it was put before")
        raise OcfExit(OCF_ERR_GENERIC)


def is_wanted(held, vip) -> bool:
    """Whether an Address is the VIP as it is to be."""
    return (held.nic, held.prefix, held.peer) == (vip.nic, vip.prefix, "")


def on_loopback(vip) -> bool:
    """Whether lo holds the address as real servers of LVS do, with prefix length 32."""
    return any(one.nic.startswith("lo") and one.prefix == 32 for one in places_or_exit(vip))


# --- an address that is served ---------------------------------------------------------------


def keep(vip) -> int:
    """What start does about an address that is served already; an OCF exit code.

    It notes the place where nothing does, and makes sure of the link as monitor looks at it.
    """
    leave_other_place(vip)
    in_use = sharing().in_use(vip) if vip.bucket else ("", "")
    if not vip.noted or vip.note.shared != in_use[0]:
        note_place(vip, in_use)
    if vip.noted and not (vip.params["nic"] and vip.params["cidr_netmask"]) and is_down(vip.nic):
        bring_up(vip, in_use[1])
    if ocf_is_true(vip.params["check_link_status"]):
        wait_for_link(vip)
    return OCF_SUCCESS


def bring_up(vip, mac: str) -> None:
    """Set the interface of an address that is there up, and announce; exits 1 where that fails."""
    import_sh()
    burst = sender.start_burst(vip)
    burst.mac = mac
    failure = interface.link_up(vip.nic)
    if failure:
        ocf_exit_reason(f"Failed to set {vip.nic} up: {failure}")
        raise OcfExit(OCF_ERR_GENERIC)
    try:
        announce(vip, vip.params["broadcast"], burst)
    except BaseException:       # another host has an IPv6 address, which then is gone from here
        index = addresses.index_of(vip.nic)
        take_all_back([lambda: forget_place(vip, index)])
        raise


# --- the note --------------------------------------------------------------------------------


def note_place(vip, share, undo=None) -> None:
    """Note where the address is put, and how it is shared: (backend, MAC), empty for a plain one.

    That the note cannot be written does not matter.  Exits 1 where the interface is gone.
    """
    index = addresses.index_of(vip.nic)
    if not index:
        ocf_exit_reason(f"there is no interface {vip.nic} any more")
        raise OcfExit(OCF_ERR_GENERIC)
    place.write_note(vip, index, *share)
    if undo is not None:
        undo.append(lambda: forget_place(vip, index))   # done last, as all that comes later


def forget_place(vip, index: int) -> None:
    """Remove the note, once the address is gone from interface number index."""
    if not any(one.index == index for one in addresses.address_places(vip.family, vip.ip)):
        forget_note(vip)


def take_all_back(undo) -> None:
    """Undo the steps of a start that failed, the last one first, whatever becomes of each."""
    children.ignore_termination()
    children.extend_for_undo()
    for step in reversed(undo):
        try:
            step()
        except Exception as problem:    # the other steps are to be undone all the same
            ocf_log("err", f"could not be taken back: {problem!r}")


# --- the address -----------------------------------------------------------------------------


def add_address(vip, brd: str, undo) -> None:
    """Add the address; exits 1, with the kernel's sentence, where that failed."""
    try:
        failure = interface.add_interface(vip.family, vip.address(brd), add_options(vip),
                                          vip.label, undo)
    except addresses.Unreadable as problem:
        failure = str(problem)
        ocf_log("err", failure)
    if failure:
        ocf_exit_reason(f"Failed to add {vip}: {failure}{ipv6_is_off(vip)}")
        raise OcfExit(OCF_ERR_GENERIC)


def add_options(vip) -> dict:
    """The parameters that `ip addr add` is told."""
    nodad = "true" if vip.nodad else "false"
    if vip.family == "inet6" and asks_for_prefix_route(vip) and has_prefix_route(vip):
        return dict(vip.params, nodad=nodad, noprefixroute="true")
    return dict(vip.params, nodad=nodad)


def add_again(vip, brd: str) -> str:
    """Remove an IPv6 address whose duplicate address detection failed, and add it anew; "" or, if
    that failed, why."""
    interface.delete_address(vip.family, vip.address())
    return run_and_log(interface.address_add_argv(vip.family, vip.address(brd), add_options(vip),
                                                  vip.label))[1]


def ipv6_is_off(vip) -> str:
    """A clause that says so where IPv6 is switched off on the VIP's interface, else ""."""
    name = f"/proc/sys/net/ipv6/conf/{vip.nic}/disable_ipv6"
    if vip.family == "inet6" and files.read_file(name, 16).strip() == "1":
        return f"; IPv6 is switched off on {vip.nic} ({name} is 1)"
    return ""


def wait_for_link(vip) -> None:
    """Give an interface that was just set up 3 s to find its carrier; exits 1 without one."""
    end = time.monotonic() + min(3.0, children.remaining() / 2)
    while interface.link_is_down(vip.nic):
        if time.monotonic() > end:
            ocf_exit_reason(f"check_link_status: the link of {vip.nic} is down")
            raise OcfExit(OCF_ERR_GENERIC)
        time.sleep(0.05)


def announce(vip, brd: str, burst) -> None:
    """Tell the neighbours of the address; exits 1 for an IPv6 one that another host has."""
    if vip.family == "inet6":
        sender.run_send_ua(burst, lambda: add_again(vip, brd))
    else:
        sender.run_arp_sender(burst)


# --- the route to an IPv6 address's network --------------------------------------------------


def asks_for_prefix_route(vip) -> bool:
    """Whether the kernel would lay a route to the network of the address."""
    return not ocf_is_true(vip.params["noprefixroute"])


def exact_route_words(vip) -> list:
    """The words that ask `ip` for the routes to the VIP's network, over its interface."""
    table_words = ["table", vip.vrf] if vip.vrf else []
    return ["-o", "-f", "inet6", "route", "list", "exact", f"{vip.ip}/{vip.prefix}",
            *table_words, "dev", vip.nic]


def has_prefix_route(vip) -> bool:
    """Whether the interface has an on-link route to just the VIP's network that is not the kernel's
    own for an address: the kernel would take it along when it deletes the address.

    Where `ip` cannot list routes, as on hosts with very large ones, it is taken not to have one.
    """
    try:
        routes = parse_routes(printed(exact_route_words(vip)), "inet6", vip.nic)
        if not all(route.proto == "kernel" and route.metric == KERNEL_METRIC and not route.expires
                   for route in routes):
            return True
        held = addresses.parse_addresses(printed(nic_addr_words(vip.nic, "inet6"))) \
            if routes else []
    except addresses.Unreadable as problem:
        ocf_log("warn", f"cannot tell whose the route to the network of {vip} is: {problem}")
        return False
    return bool(routes) and not any(
        one.prefix == vip.prefix and "noprefixroute" not in one.flags and one.ip != vip.ip
        and addresses.in_network(one.ip, vip.ip, vip.prefix, "inet6") for one in held)


def printed(words) -> str:
    """What `ip WORDS` printed; raises Unreadable where it failed."""
    result = addresses.ip_query(words)
    if result.rc:
        raise addresses.Unreadable(addresses.failure(words, result))
    return result.out
