# SPDX-License-Identifier: GPL-2.0-only
"""The virtual IP address as the parameters describe it, and where on this node it belongs.

The steps of the shell agent's ip_init, each of which fills in its part of a Vip or exits.
"""

from . import addresses, commands
from .addresses import address_bytes, address_text, canonical
from .commands import BLANKS, ENV
from .findif import (FindifError, check_params, findif, ifcheck, is_local,
                     maybe_convert_dotted_quad_to_cidr, prefixcheck, route_list_words)
from .ocf import (OCF_ERR_CONFIGURED, OCF_ERR_GENERIC, OCF_NOT_RUNNING, OcfExit, ocf_exit_reason,
                  ocf_is_decimal, ocf_is_probe, ocf_is_true, ocf_log)
from .params import TABLE
from .place import is_of_this_namespace, read_note, remove_note

CHECKED_ACTIONS = ("start", "validate-all")          # actions that check every parameter


class Vip:
    """What ip_init settles: the virtual IP address, its place, and the parameters (a dict).

    family is inet or inet6; ip is spelled as the kernel does; nic "" and prefix -1 where unknown;
    bucket is 0 unless the address is shared (Cluster IP) by `buckets` instances, else from 1 on.
    note is what start noted (None without); noted: whether that settles the place; held: every
    place of the address, None where that was not asked; index: the number of nic, 0 where unknown;
    shared: the backend that shares the address, "" where none was found or chosen yet.
    """

    __slots__ = ("action", "params", "family", "ip", "nic", "prefix", "brd", "src", "label",
                 "mac", "bucket", "buckets", "namespace", "note", "noted", "held", "index",
                 "shared")

    def __init__(self, action, values):
        self.action = action
        self.params = values
        self.family = "inet6" if ":" in values["ip"] else "inet"
        self.ip = canonical(values["ip"], self.family)
        self.nic = self.brd = self.src = self.label = ""
        self.prefix = -1
        self.mac = values["mac"]
        self.bucket = 0
        self.buckets = 1
        self.namespace = ENV.get("IPADDR2_NAMESPACE", "").replace("/", "_")
        self.note = self.held = None
        self.noted = False
        self.index = 0
        self.shared = ""

    def __str__(self):
        return "%s/%d on %s" % (self.ip, self.prefix, self.nic)


def exit_configured(message):
    """Exit 6: the configuration is wrong on every node."""
    ocf_exit_reason(message)
    raise OcfExit(OCF_ERR_CONFIGURED)


def refuse_words(name, value):
    """Exit 6 if value would become several words, or an option, of a command."""
    if value.startswith("-") and not (name == "broadcast" and value == "-"):
        exit_configured("%s [%s] begins with a dash, so that a command would take it for an option"
                   % (name, value))
    if any(character in BLANKS for character in value):
        exit_configured("%s [%s] holds white space; it must be one word" % (name, value))


def bad_word(value):
    """Whether a value cannot be a word of a command."""
    return value.startswith("-") or any(character in BLANKS for character in value)


def nothing_found(action, name, value):
    """Exit as a monitor or status does that cannot find the address: 7 for a probe, else 1."""
    if ocf_is_probe(action):
        raise OcfExit(OCF_NOT_RUNNING)
    ocf_exit_reason("%s [%s] must be one word that does not begin with a dash: nothing can be "
                    "found by it" % (name, value))
    raise OcfExit(OCF_ERR_GENERIC)


def refuse_bad_words(action, values):
    """What becomes of values that would be several words, or options, of a command.

    Start and validate-all exit 6.  Monitor and status find nothing by such an address or place, and
    do without any other such value.
    """
    if action in CHECKED_ACTIONS:
        for name in ("ip", "nic", "cidr_netmask", "iflabel", "proto"):
            refuse_words(name, values[name])
        return
    for name in ("ip", "nic", "cidr_netmask"):
        if bad_word(values[name]):
            nothing_found(action, name, values[name])
    for parameter in TABLE:
        name = parameter.name
        if bad_word(values[name]) and name != "send_arp_opts" and \
                not (name == "broadcast" and values[name] == "-"):
            values[name] = parameter.default or ""


def unique_clone_address(action, values):
    """With unique_clone_address, count the address up by the number of the clone instance."""
    if not ocf_is_true(values["unique_clone_address"]):
        return
    number = ENV.get("OCF_RESKEY_CRM_meta_clone") or "0"
    family = "inet6" if ":" in values["ip"] else "inet"
    packed = address_bytes(values["ip"], family)
    if packed is None:
        return          # refused, or passed over, like any other bad ip
    total = int.from_bytes(packed, "big") + (int(number) if ocf_is_decimal(number) else 0)
    if total >> 8 * len(packed):
        if action != "stop":
            exit_configured("ip [%s] plus clone number %s is beyond the last address"
                       % (values["ip"], number))
        values["ip"] = ""
        return
    values["ip"] = address_text(total.to_bytes(len(packed), "big"), family)


def clone_settings(vip):
    """Buckets of a shared address from the clone's meta attributes; exits 6 on bad ones."""
    total = ENV.get("OCF_RESKEY_CRM_meta_clone_max") or "1"
    number = ENV.get("OCF_RESKEY_CRM_meta_clone") or "0"
    good = ocf_is_decimal(total) and int(total) > 0 and ocf_is_decimal(number)
    if not good:
        if vip.action == "stop":
            return
        exit_configured("meta attribute clone_max [%s] must be a positive whole number, clone [%s] a "
                   "whole number" % (total, number))
    vip.buckets = int(total)
    if vip.buckets > 1:
        if vip.action != "stop" and ocf_is_true(vip.params["lvs_support"]):
            exit_configured("lvs_support [%s] and load sharing (clone-max %d) exclude each other"
                       % (vip.params["lvs_support"], vip.buckets))
        if not ocf_is_true(vip.params["unique_clone_address"]):
            share(vip, int(number) + 1)


def share(vip, bucket):
    """Settle whether a clone's instance shares the address, by this bucket.

    An anonymous clone on lo has a plain address on each node, as real servers of LVS and anycast
    have it.  Pacemaker numbers anonymous instances too, and gives a number to any node: their
    buckets do not stay where they are.
    """
    unique = ENV.get("OCF_RESKEY_CRM_meta_globally_unique", "")
    if vip.params["nic"] == "lo" and unique and not ocf_is_true(unique):
        return
    vip.bucket = bucket
    if vip.action == "start" and not ocf_is_true(unique):
        ocf_log("warn", "%s is shared by the instances of a clone that is not globally unique: "
                "only globally-unique=true keeps buckets and nodes together" % vip.ip)


def check_family(vip):
    """Exit 6 on parameters that the address's family does not have."""
    values = vip.params
    if vip.family == "inet":
        if ocf_is_true(values["lvs_ipv6_addrlabel"]):
            exit_configured("lvs_ipv6_addrlabel [%s] is for IPv6, but ip is the IPv4 address %s"
                       % (values["lvs_ipv6_addrlabel"], vip.ip))
    else:
        if ocf_is_true(values["lvs_support"]):
            exit_configured("lvs_support [%s] is for IPv4, but ip is the IPv6 address %s; "
                       "lvs_ipv6_addrlabel serves there" % (values["lvs_support"], vip.ip))
        if ocf_is_true(values["lvs_ipv6_addrlabel"]) and \
                not ocf_is_decimal(values["lvs_ipv6_addrlabel_value"]):
            exit_configured("lvs_ipv6_addrlabel_value [%s] must be a whole number, 0 or more"
                       % values["lvs_ipv6_addrlabel_value"])


def read_own_note(vip):
    """The Note of the VIP that start wrote on this node, in this namespace; None without."""
    if not address_bytes(vip.ip, vip.family):
        return None
    note = read_note(vip.ip, vip.params["nic"], vip.namespace)
    return note if note and is_of_this_namespace(note) else None


def forget_note(vip):
    """Remove the note of the VIP, which is gone."""
    remove_note(vip.ip, vip.params["nic"], vip.namespace)


def run_findif(vip):
    """Fill in nic, prefix and src, by the note of start or by findif().

    Exits as the action must where neither tells.
    """
    values = vip.params
    netmask = maybe_convert_dotted_quad_to_cidr(values["cidr_netmask"])
    try:
        if vip.action in CHECKED_ACTIONS:
            check_params(vip.family, values["ip"], values["nic"], netmask, values["broadcast"])
        netmask = str(prefixcheck(netmask, vip.family) or netmask)
        if vip.action != "validate-all" and look_for_note(vip, netmask):
            return
        nic = ifcheck(values["nic"])[1] or values["nic"] if values["nic"] else ""
        route = findif(vip.family, vip.ip, nic, netmask, values["proto"], vip.held or ())
    except FindifError as problem:
        if vip.action not in CHECKED_ACTIONS and not problem.unreadable and was_here(vip):
            ocf_log("info", "%s is not on %s, where start put it, nor elsewhere"
                    % (vip.ip, vip.note.name))
            raise OcfExit(OCF_NOT_RUNNING) from None
        ocf_log("err", problem.reason)
        if ocf_is_probe(vip.action) and not problem.unreadable:
            ocf_log("info", "[findif] failed")
            raise OcfExit(OCF_NOT_RUNNING) from None
        ocf_exit_reason("[findif] failed: %s" % problem.reason)
        raise OcfExit(problem.rc) from None
    vip.nic, vip.prefix, vip.src = route.nic, route.prefix, route.src


def look_for_note(vip, netmask):
    """Read the note and ask the kernel where the address is; whether that settles the place.

    Without a note the routes will be asked for, which begins here.
    """
    if not address_bytes(vip.ip, vip.family):
        return False
    nic = vip.params["nic"]
    vip.note = read_own_note(vip)
    addresses.prefetch_ip(addresses.addr_show_words(vip.family, vip.ip))
    if not (vip.note or nic and netmask) and (not netmask or prefixcheck(netmask, vip.family)):
        match = vip.ip + ("/" + netmask if netmask else "")
        addresses.prefetch_ip(route_list_words(vip.family, match, vip.params["proto"]))
    vip.held = places_or_exit(vip)
    return noted_place(vip, nic, netmask)


def noted_place(vip, nic, netmask):
    """Whether the note settles the place: the address is there, and the note agrees with nic and
    netmask as they are now.

    An address that is at the noted place, whose interface nic does not name any more, is not served
    (vip.nic is "" then), nor is one on an interface that is down, unless both nic and netmask say
    so.
    """
    note = vip.note
    here = at_noted_place(vip, vip.held)
    if not here:
        return False
    name = here[0].nic
    if nic and nic != name and ifcheck(nic)[0] != note.index:
        return vip.action != "start" and misplaced(vip, name)
    if netmask and netmask != str(note.prefix) or \
            not any(one.prefix == note.prefix and not one.peer for one in here):
        return False
    vip.noted = True
    vip.nic, vip.prefix = name, note.prefix
    if vip.action != "start" and not (nic and netmask) and is_down(name):
        ocf_log("info", "%s is down: %s is not served" % (name, vip))
        vip.nic = ""
    return True


def at_noted_place(vip, held):
    """Those of the Address addresses that are where the note tells.

    A number that went to another interface since, on which the address is its own, tells nothing.
    """
    note = vip.note
    return [one for one in held if note and one.index == note.index
            and (one.nic == note.name or not is_local(one, vip.family))]


def was_here(vip):
    """Whether start noted a place, and the address is nowhere on this host now: that is enough to
    know that it does not run.  Not where nic names no interface, which is a fault of its own."""
    nic = vip.params["nic"]
    return bool(vip.note) and not vip.held and (not nic or bool(ifcheck(nic)[0]))


def is_down(nic):
    """Whether interface `nic` is switched off, as far as that can be told."""
    flags = addresses.interface_flags(nic)
    return flags is not None and not flags & addresses.IFF_UP


def misplaced(vip, name):
    """Tell a monitor that the address is where it does not belong any more; exits 1 for a probe,
    so that the cluster stops it before it starts it elsewhere."""
    told = "%s is on %s, where start put it, but nic [%s] is another interface now" % (
        vip.ip, name, vip.params["nic"])
    if ocf_is_probe(vip.action):
        ocf_exit_reason(told)
        raise OcfExit(OCF_ERR_GENERIC)
    ocf_log("warn", told)
    vip.nic = ""
    return True


def set_label(vip):
    """The label <nic>:<iflabel>; exit 6 where the kernel has no room for it."""
    if not vip.params["iflabel"]:
        return
    label = "%s:%s" % (vip.nic, vip.params["iflabel"])
    if len(commands.to_bytes(label)) > 15 and not vip.noted:    # it may have been renamed since
        exit_configured("iflabel [%s] makes the label [%s], longer than the kernel's 15 characters"
                   % (vip.params["iflabel"], label))
    if vip.family == "inet":
        vip.label = label
    elif vip.action in CHECKED_ACTIONS:
        ocf_log("warn", "iflabel [%s] is left out: IPv6 addresses have no label"
                % vip.params["iflabel"])


def check_start_parameters(vip):
    """What start and validate-all check beyond the other actions; exit 6."""
    values = vip.params
    if vip.family == "inet6":
        refuse_words("preferred_lft", values["preferred_lft"])
    refuse_words("broadcast", values["broadcast"])
    if not ocf_is_decimal(values["arp_count_refresh"]):
        exit_configured("arp_count_refresh [%s] must be a whole number, 0 or more"
                   % values["arp_count_refresh"])
    for name in ("metric", "arp_repeat_after"):
        if values[name] and not (ocf_is_decimal(values[name]) and int(values[name]) < 2 ** 32):
            exit_configured("%s [%s] must be a whole number from 0 to 4294967295, or empty"
                       % (name, values[name]))
    octets = values["mac"].replace("-", ":").split(":")
    if values["mac"] and not (len(octets) == 6 and all(is_octet(octet) for octet in octets)):
        exit_configured("mac [%s] is not a hardware address such as 01:00:5e:00:01:02" % values["mac"])


def is_octet(text):
    """Whether text is two hexadecimal digits."""
    return len(text) == 2 and all(digit in "0123456789abcdefABCDEF" for digit in text)


def places_or_exit(vip):
    """address_places() of the VIP; exit 1 with a reason where `ip` cannot be relied on."""
    try:
        return addresses.address_places(vip.family, vip.ip)
    except addresses.Unreadable as problem:
        ocf_exit_reason("cannot tell whether %s is here: %s" % (vip.ip, problem))
        raise OcfExit(OCF_ERR_GENERIC) from None
