# SPDX-License-Identifier: GPL-2.0-only
"""What start does on a node that does not serve the address: add, set up, announce, or undo.

Function by function what is in the shell agent's ip_start.
"""

import time

from . import addresses, ahead, announce, commands, interface, waiting
from .findif import broadcast_query, find_broadcast
from .ocf import (OCF_ERR_GENERIC, OCF_ERR_INSTALLED, OCF_SUCCESS, OcfExit, ocf_exit_reason,
                  ocf_is_true, ocf_log, ocf_run)
from .vip import held_or_exit


def look_ahead(vip):
    """Begin what start is going to ask for, all at once."""
    ahead.ip_query_ahead(ahead.held_query(vip.family, vip.ip))
    if vip.family == "inet":
        if not vip.params["broadcast"]:
            ahead.ip_query_ahead(broadcast_query(vip.nic))
        if not vip.params["arp_sender"] and not vip.nic.startswith("lo"):
            ahead.ip_query_ahead(addresses.link_query(vip.nic))


def set_broadcast(vip):
    """The broadcast address: as given, else that of the address whose network holds the VIP."""
    vip.brd = vip.params["broadcast"]
    if vip.family == "inet" and not vip.brd:
        vip.brd = find_broadcast(vip.nic, vip.ip, vip.src)


def serve(vip, status):
    """Serve the address, whose status is no, dadfailed, partial or partial2; an OCF exit code."""
    if not commands.get_ready():
        ocf_exit_reason("the Python library sh is missing: install python3-sh, or sh with pip")
        raise OcfExit(OCF_ERR_INSTALLED)
    set_broadcast(vip)
    sending = None if vip.nic.startswith("lo") else announce.prepare(vip)
    undo = []
    try:
        start_address(vip, status, undo)
        if sending:
            announce.on_start(sending, lambda: add_again(vip))
    except BaseException:
        take_all_back(undo)
        raise
    return OCF_SUCCESS


def add_again(vip):
    """Remove an IPv6 address whose duplicate address detection failed, and add it anew; whether
    that worked."""
    interface.delete_address(vip.family, vip.ip, vip.prefix, vip.nic)
    return not ocf_run(interface.address_add_argv(vip.family, vip.ip, vip.prefix, vip.brd, vip.nic,
                                                  vip.label, vip.params))


def take_all_back(undo):
    """Undo the steps of a start that failed, the last one first, whatever becomes of each."""
    commands.ignore_termination()
    waiting.use_spare_time()
    for step in reversed(undo):
        try:
            step()
        except Exception as problem:    # the other steps are to be undone all the same
            ocf_log("err", "could not be taken back: %r" % problem)


def start_address(vip, status, undo):
    """What start does on a node that does not serve the address yet; notes in undo what it did."""
    if vip.bucket:
        from . import clusterip
        clusterip.take(vip, status, undo)
    if status == "dadfailed":
        interface.delete_address(vip.family, vip.ip, vip.prefix, vip.nic)
    if status in ("no", "dadfailed"):
        if ocf_is_true(vip.params["lvs_support"]) and any(
                held.nic.startswith("lo") and held.prefix == 32 for held in held_or_exit(vip)):
            undo.append(lambda: interface.restore_loopback(vip.ip, vip.params, True))
            interface.remove_conflicting_loopback(vip.ip, vip.params)
        try:
            added = interface.add_interface(vip.family, vip.ip, vip.prefix, vip.brd, vip.nic,
                                            vip.label, vip.params, undo)
        except addresses.Unreadable as problem:
            ocf_log("err", str(problem))
            added = False
        if not added:
            ocf_exit_reason("Failed to add %s" % vip)
            raise OcfExit(OCF_ERR_GENERIC)
        if ocf_is_true(vip.params["check_link_status"]):
            wait_for_link(vip)


def wait_for_link(vip):
    """Give an interface that was just set up 3 s to find its carrier; exit 1 without one."""
    end = time.monotonic() + min(3.0, waiting.remaining() / 2)
    while interface.link_is_down(vip.nic):
        if time.monotonic() > end:
            ocf_exit_reason("check_link_status: the link of %s is down" % vip.nic)
            raise OcfExit(OCF_ERR_GENERIC)
        time.sleep(0.05)
