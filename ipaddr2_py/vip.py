# SPDX-License-Identifier: GPL-2.0-only
"""The virtual IP address as the parameters describe it, and where on this node it belongs.

ip_init() fills the Vip, step by step as the shell agent's ip_init does, or exits; nothing changes
it afterwards.  ip_served() tells whether the address is there.
"""

import posix

from . import addresses, commands, place
from .addresses import address_bytes, address_text, canonical, find_interface
from .commands import BLANKS, ENV
from .findif import (FindifError, find_broadcast, findif, findif_check_params, ifcheck, is_local,
                     maybe_convert_dotted_quad_to_cidr, prefixcheck, route_list_words)
from .ocf import (OCF_ERR_CONFIGURED, OCF_ERR_GENERIC, OCF_ERR_PERM, OCF_NOT_RUNNING, OcfExit,
                  ocf_exit_reason, ocf_is_decimal, ocf_is_probe, ocf_is_root, ocf_is_true, ocf_log)
from .params import TABLE
from .place import is_of_this_namespace, read_note, remove_note

CHECKED_ACTIONS = ("start", "validate-all")          # actions that check every parameter


class Vip:
    """The virtual IP address, its place on this node, and the parameters.

    | attribute | what it holds |
    |---|---|
    | action, params | the action, and the parameters by name (dict of str) |
    | family, ip | inet or inet6; the address as the kernel spells it |
    | namespace | network_namespace as the names of files have it, "" without |
    | nic, prefix | interface ("" unknown) and prefix length (int, -1 unknown) |
    | src | source address of the route that told them, "" where none did |
    | vrf | number of the VRF's routing table that told them, "" for any other |
    | label | the IPv4 label NIC:IFLABEL, "" without |
    | bucket, buckets | this instance's bucket of a shared address, counted from 1, and how many
    there are; bucket is 0 for a plain address |
    | note | what start noted (place.Note), None without |
    | held | every place of the address (addresses.Address), None where that was not asked |
    | noted | whether note and held settled nic and prefix |
    | mac | the parameter mac, with colons |
    | nodad, sender, background | what nodad, arp_sender and arp_bg come to |
    """

    __slots__ = ("action", "params", "family", "ip", "namespace", "nic", "prefix", "src", "vrf",
                 "label", "bucket", "buckets", "note", "held", "noted", "mac", "nodad", "sender",
                 "background")

    def __init__(self, action: str, values: dict):
        self.action = action
        self.params = values
        self.family = "inet6" if ":" in values["ip"] else "inet"
        self.ip = canonical(values["ip"], self.family)
        self.namespace = ENV.get(NAMESPACE_VARIABLE, "").replace("/", "_")
        self.nic = self.src = self.vrf = self.label = ""
        self.prefix = -1
        self.bucket, self.buckets = 0, 1
        self.note = self.held = None
        self.noted = False
        self.mac = values["mac"].replace("-", ":")
        self.nodad = ocf_is_true(values["nodad"])
        self.sender = values["arp_sender"]
        self.background = ocf_is_true(values["arp_bg"] or ("true" if self.family == "inet" else ""))

    def __str__(self):
        return f"{self.ip}/{self.prefix} on {self.nic}"

    def address(self, brd: str = "") -> addresses.Address:
        """The address as it is to be on its interface."""
        return addresses.Address(0, self.nic, self.ip, "", self.prefix, brd)

    def renamed(self, nic: str) -> "Vip":
        """The same on an interface that is called `nic` by now."""
        other = Vip(self.action, self.params)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.nic = nic
        return other


#: Set for the agent that runs inside of a network namespace (actions/namespace.py): its name.
NAMESPACE_VARIABLE = "IPADDR2_NAMESPACE"


def ip_init(action: str, values: dict) -> Vip:
    """The Vip of an action, from the parameters by name.

    Exits as the shell agent's ip_init does; stop gets by with what it finds.
    """
    if not values["ip"] and action != "stop":
        exit_configured("the parameter ip is empty; it must be the IPv4 or IPv6 address to manage")
    if action in ("start", "stop") and not ocf_is_root():
        ocf_exit_reason(f"{action} needs root: it changes addresses")
        raise OcfExit(OCF_ERR_PERM)
    nic, colon, label = values["nic"].partition(":")
    if colon:
        values["nic"], values["iflabel"] = nic, label
    if action != "stop":
        refuse_bad_words(action, values)
    unique_clone_address(action, values)
    vip = Vip(action, values)
    vip.buckets, vip.bucket = clone_settings(vip)
    if vip.bucket and vip.family == "inet6":
        # Other nodes hold the address: detection would find them, send_ua would tell the
        # interface's own MAC, and the node's other instances would wait for the foreground.
        vip.nodad, vip.sender = True, "builtin"
        vip.background = ocf_is_true(values["arp_bg"] or "true")
    if action == "stop":
        vip.note = read_own_note(vip)
        return vip
    check_family(vip)
    run_findif(vip)
    path = place.promotion_path(vip.nic)
    if vip.nic and posix.access(path, posix.F_OK):
        from .changes import promotion
        promotion.put_back(path)        # an agent was killed in the middle of a deletion
    vip.label = label_of(vip)
    return vip


# --- words -----------------------------------------------------------------------------------


def exit_configured(message: str):
    """Exit 6: the configuration is wrong on every node."""
    ocf_exit_reason(message)
    raise OcfExit(OCF_ERR_CONFIGURED)


def refuse_words(name: str, value: str) -> None:
    """Exit 6 if value would become several words, or an option, of a command."""
    if value.startswith("-") and not (name == "broadcast" and value == "-"):
        exit_configured(f"{name} [{value}] begins with a dash, so that a command would take it for "
                        "an option")
    if any(character in BLANKS for character in value):
        exit_configured(f"{name} [{value}] holds white space; it must be one word")


def bad_word(value: str) -> bool:
    """Whether a value cannot be a word of a command."""
    return value.startswith("-") or any(character in BLANKS for character in value)


def nothing_found(action: str, name: str, value: str):
    """Exit as a monitor or status does that cannot find the address: 7 for a probe, else 1."""
    if ocf_is_probe(action):
        raise OcfExit(OCF_NOT_RUNNING)
    ocf_exit_reason(f"{name} [{value}] must be one word that does not begin with a dash: nothing "
                    "can be found by it")
    raise OcfExit(OCF_ERR_GENERIC)


def refuse_bad_words(action: str, values) -> None:
    """What becomes of values that would be several words, or options, of a command.

    Start and validate-all exit 6.  Monitor and status find nothing by such an address or place, and
    do without any other such value.
    """
    if action in CHECKED_ACTIONS:
        for name in ("ip", "nic", "cidr_netmask", "iflabel", "proto", "route_table"):
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


def unique_clone_address(action: str, values) -> None:
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
            exit_configured(f"ip [{values['ip']}] plus clone number {number} is beyond the last "
                            "address")
        values["ip"] = ""
        return
    values["ip"] = address_text(total.to_bytes(len(packed), "big"), family)


def clone_settings(vip) -> tuple:
    """(buckets, bucket) of a shared address from the clone's meta attributes; exits 6 on bad ones.

    A plain address has bucket 0.
    """
    total = ENV.get("OCF_RESKEY_CRM_meta_clone_max") or "1"
    number = ENV.get("OCF_RESKEY_CRM_meta_clone") or "0"
    if not (ocf_is_decimal(total) and int(total) > 0 and ocf_is_decimal(number)):
        if vip.action == "stop":
            return 1, 0
        exit_configured(f"meta attribute clone_max [{total}] must be a positive whole number, "
                        f"clone [{number}] a whole number")
    buckets = int(total)
    if buckets == 1:
        return 1, 0
    lvs_support = vip.params["lvs_support"]
    if vip.action != "stop" and ocf_is_true(lvs_support):
        exit_configured(f"lvs_support [{lvs_support}] and load sharing (clone-max {buckets}) "
                        "exclude each other")
    shared = not ocf_is_true(vip.params["unique_clone_address"]) and is_shared(vip)
    return buckets, int(number) + 1 if shared else 0


def is_shared(vip) -> bool:
    """Whether a clone's instances share the address by buckets.

    An anonymous clone on lo has a plain address on each node, as real servers of LVS and anycast
    have it.  Pacemaker numbers anonymous instances too, and gives a number to any node: their
    buckets do not stay where they are.
    """
    unique = ENV.get("OCF_RESKEY_CRM_meta_globally_unique", "")
    if vip.params["nic"] == "lo" and unique and not ocf_is_true(unique):
        return False
    if vip.action == "start" and not ocf_is_true(unique):
        ocf_log("warn", f"{vip.ip} is shared by the instances of a clone that is not globally "
                "unique: only globally-unique=true keeps buckets and nodes together")
    return True


def check_family(vip) -> None:
    """Exit 6 on parameters that the address's family does not have."""
    values = vip.params
    if vip.family == "inet":
        if ocf_is_true(values["lvs_ipv6_addrlabel"]):
            exit_configured(f"lvs_ipv6_addrlabel [{values['lvs_ipv6_addrlabel']}] is for IPv6, but "
                            f"ip is the IPv4 address {vip.ip}")
    else:
        if ocf_is_true(values["lvs_support"]):
            exit_configured(f"lvs_support [{values['lvs_support']}] is for IPv4, but ip is the "
                            f"IPv6 address {vip.ip}; lvs_ipv6_addrlabel serves there")
        if ocf_is_true(values["lvs_ipv6_addrlabel"]) and \
                not ocf_is_decimal(values["lvs_ipv6_addrlabel_value"]):
            exit_configured(f"lvs_ipv6_addrlabel_value [{values['lvs_ipv6_addrlabel_value']}] must "
                            "be a whole number, 0 or more")


def read_own_note(vip):
    """The Note of the VIP that start wrote on this node, in this namespace; None without."""
    if not address_bytes(vip.ip, vip.family):
        return None
    note = read_note(vip.ip, vip.params["nic"], vip.namespace)
    return note if note and is_of_this_namespace(note) else None


def forget_note(vip) -> None:
    """Remove the note of the VIP, which is gone."""
    remove_note(vip.ip, vip.params["nic"], vip.namespace)


def run_findif(vip) -> None:
    """Settle where the address belongs: by the note of start, or by findif().

    Exits as the action must where neither tells.
    """
    values = vip.params
    netmask = maybe_convert_dotted_quad_to_cidr(values["cidr_netmask"])
    try:
        if vip.action in CHECKED_ACTIONS:
            findif_check_params(vip.family, values["ip"], values["nic"], netmask,
                                values["broadcast"])
            if values["route_table"]:
                from .actions import tables
                tables.check(values["route_table"])
        netmask = str(prefixcheck(netmask, vip.family) or netmask)
        found = None
        if vip.action != "validate-all" and address_bytes(vip.ip, vip.family):
            vip.note = read_own_note(vip)
            vip.held = ask_where(vip, netmask)
            found = noted_place(vip, netmask)
        if not found:
            nic = ifcheck(values["nic"])[1] or values["nic"] if values["nic"] else ""
            found = findif(vip.family, vip.ip, nic, netmask, values["proto"], vip.held or (),
                           values["route_table"])
    except FindifError as problem:
        if vip.action not in CHECKED_ACTIONS and not problem.unreadable and was_here(vip):
            ocf_log("info", f"{vip.ip} is not on {vip.note.name}, where start put it, nor "
                    "elsewhere")
            raise OcfExit(OCF_NOT_RUNNING) from None
        ocf_log("err", problem.reason)
        if ocf_is_probe(vip.action) and not problem.unreadable:
            ocf_log("info", "[findif] failed")
            raise OcfExit(OCF_NOT_RUNNING) from None
        ocf_exit_reason(f"[findif] failed: {problem.reason}")
        raise OcfExit(problem.rc) from None
    vip.nic, vip.prefix, vip.src, vip.vrf = found.nic, found.prefix, found.src, found.vrf
    vip.noted = isinstance(found, NotedPlace) and found.settled


class NotedPlace:
    """Where the note of start says that the address belongs: nic ("" where it is not served there)
    and prefix; settled: whether note and kernel agree on it."""

    __slots__ = ("nic", "prefix", "settled")
    src = vrf = ""

    def __init__(self, nic, prefix, settled=True):
        self.nic = nic
        self.prefix = prefix
        self.settled = settled


def ask_where(vip, netmask: str) -> list:
    """Every place of the address on this host: Address objects, asked of the kernel.

    Where no note and no parameter settles the place, the question for the routes begins here.
    """
    nic = vip.params["nic"]
    addresses.prefetch_ip(addresses.addr_show_words(vip.family, vip.ip))
    if not (vip.note or nic and netmask) and (not netmask or prefixcheck(netmask, vip.family)):
        match = f"{vip.ip}/{netmask}" if netmask else vip.ip
        addresses.prefetch_ip(route_list_words(vip.family, match, vip.params["proto"],
                                               vip.params["route_table"]))
    return places_or_exit(vip)


def noted_place(vip, netmask: str):
    """The NotedPlace, where the address is there and the note agrees with nic and netmask as they
    are now; else None.

    An address that is at the noted place, whose interface nic does not name any more, is not
    served, nor is one on an interface that is down, unless both nic and netmask say so.
    """
    note, nic = vip.note, vip.params["nic"]
    here = at_noted_place(vip, vip.held)
    if not here:
        return None
    name = here[0].nic
    if nic and nic != name and ifcheck(nic)[0] != note.index:
        return None if vip.action == "start" else misplaced(vip, name)
    if netmask and netmask != str(note.prefix) or \
            not any(one.prefix == note.prefix and not one.peer for one in here):
        return None
    if vip.action != "start" and not (nic and netmask) and is_down(name):
        ocf_log("info", f"{name} is down: {vip.ip}/{note.prefix} on {name} is not served")
        return NotedPlace("", note.prefix)
    return NotedPlace(name, note.prefix)


def at_noted_place(vip, held) -> list:
    """Those of the Address objects that are where the note tells.

    A number that went to another interface since, on which the address is its own, tells nothing.
    """
    note = vip.note
    return [one for one in held if note and one.index == note.index
            and (one.nic == note.name or not is_local(one, vip.family))]


def was_here(vip) -> bool:
    """Whether start noted a place, and the address is nowhere on this host now: that is enough to
    know that it does not run.  Not where nic names no interface, which is a fault of its own."""
    nic = vip.params["nic"]
    return bool(vip.note) and not vip.held and (not nic or bool(ifcheck(nic)[0]))


def is_down(nic: str) -> bool:
    """Whether interface `nic` is switched off, as far as that can be told."""
    flags = addresses.interface_flags(nic)
    return flags is not None and not flags & addresses.IFF_UP


def misplaced(vip, name: str) -> "NotedPlace":
    """The NotedPlace for a monitor whose address is where it does not belong any more; exits 1 for
    a probe, so that the cluster stops it before it starts it elsewhere."""
    sentence = (f"{vip.ip} is on {name}, where start put it, but nic [{vip.params['nic']}] is "
                "another interface now")
    if ocf_is_probe(vip.action):
        ocf_exit_reason(sentence)
        raise OcfExit(OCF_ERR_GENERIC)
    ocf_log("warn", sentence)
    return NotedPlace("", -1, settled=False)


def label_of(vip) -> str:
    """The label <nic>:<iflabel>, "" without; exits 6 where the kernel has no room for it.

    IFNAMSIZ of linux/if.h leaves room for 15 bytes.
    """
    iflabel = vip.params["iflabel"]
    if not iflabel:
        return ""
    label = f"{vip.nic}:{iflabel}"
    if len(commands.to_bytes(label)) > 15 and not vip.noted:    # it may have been renamed since
        exit_configured(f"iflabel [{iflabel}] makes the label [{label}], longer than the kernel's "
                        "15 characters")
    if vip.family == "inet":
        return label
    if vip.action in CHECKED_ACTIONS:
        ocf_log("warn", f"iflabel [{iflabel}] is left out: IPv6 addresses have no label")
    return ""


def check_start_parameters(vip) -> None:
    """What start and validate-all check beyond the other actions; exit 6."""
    values = vip.params
    if vip.family == "inet6":
        refuse_words("preferred_lft", values["preferred_lft"])
    refuse_words("broadcast", values["broadcast"])
    if not ocf_is_decimal(values["arp_count_refresh"]):
        exit_configured(f"arp_count_refresh [{values['arp_count_refresh']}] must be a whole "
                        "number, 0 or more")
    for name in ("metric", "arp_repeat_after"):
        if values[name] and not (ocf_is_decimal(values[name]) and int(values[name]) < 2 ** 32):
            exit_configured(f"{name} [{values[name]}] must be a whole number from 0 to 4294967295, "
                            "or empty")
    if values["mac"] and addresses.mac_bytes(values["mac"]) is None:
        exit_configured(f"mac [{values['mac']}] is not a hardware address such as "
                        "01:00:5e:00:01:02")


def places_or_exit(vip) -> list:
    """address_places() of the VIP; exit 1 with a reason where `ip` cannot be relied on."""
    try:
        return addresses.address_places(vip.family, vip.ip)
    except addresses.Unreadable as problem:
        ocf_exit_reason(f"cannot tell whether {vip.ip} is here: {problem}")
        raise OcfExit(OCF_ERR_GENERIC) from None


def broadcast(vip: Vip) -> str:
    """The broadcast address as it was given, else that of the interface's address whose network
    holds the VIP's, "" without; IPv6 has none.  Raises Unreadable."""
    given = vip.params["broadcast"]
    if given or vip.family == "inet6":
        return given
    return find_broadcast(vip.nic, vip.ip, vip.src, vip.prefix)


# --- is it served? ---------------------------------------------------------------------------


def ip_served(vip: Vip, held=None) -> str:
    """Whether this node serves the address: ok, no or dadfailed; for Cluster IP also partial
    (the bucket is missing) and partial2 (the rule is missing); for a plain address also shared
    (there are rules left that leave clients to other nodes).

    held: every place of the address, asked of the kernel where it is None.  Exits 1 where `ip` does
    not say.
    """
    if not vip.nic or address_bytes(vip.ip, vip.family) is None:
        return "no"
    found = find_interface(places_or_exit(vip) if held is None else held, vip.prefix, vip.nic)
    if not found:
        return "no"
    if vip.bucket:
        return sharing().served(vip)
    if vip.note and vip.note.shared and sharing().leftovers(vip):
        return "shared"
    return "dadfailed" if "dadfailed" in found[0].flags else "ok"


def sharing():
    """The package clusterip, which a plain address does without."""
    from . import clusterip

    return clusterip
