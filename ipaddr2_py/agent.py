# SPDX-License-Identifier: GPL-2.0-only
"""The OCF resource agent IPaddr2: adds, watches and removes a cluster's virtual IP address.

Function by function as the shell agent of ClusterLabs' resource-agents; README.md has the map.
"""

import posix
import sys

from . import commands, interface, ocf, params
from .findif import (FindifError, check_params, find_broadcast, findif, maybe_convert_dotted_quad,
                     prefixcheck, resolve_nic)
from .interface import address_bytes, canonical, ip_command, same_interface
from .ocf import (ENV, OCF_ERR_CONFIGURED, OCF_ERR_GENERIC, OCF_ERR_INSTALLED, OCF_ERR_PERM,
                  OCF_ERR_UNIMPLEMENTED, OCF_NOT_RUNNING, OCF_SUCCESS, OcfExit, check_binary,
                  ocf_exit_reason, ocf_is_decimal, ocf_is_probe, ocf_is_true, ocf_log)

ACTIONS = ("start", "stop", "status", "monitor", "validate-all")
STRICT = ("start", "validate-all")          # actions that check every parameter
SENDERS = ("send_arp", "iputils_arping", "libnet_arping", "ipoibarping", "builtin")
#: Parts of an action's timeout: its work ends by the first, taking back by the second.
WORK, ALL = 0.7, 0.9


class Vip:
    """What ip_init settles: the virtual IP address, its place, and the parameters (a dict).

    family is inet or inet6; ip is spelled as the kernel does; nic "" and prefix -1 where unknown;
    bucket is 0 unless the address is shared (Cluster IP) by `buckets` instances.
    """

    __slots__ = ("action", "params", "family", "ip", "nic", "prefix", "brd", "src", "label",
                 "mac", "bucket", "buckets", "namespace")

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
        self.namespace = ENV.get("IPADDR2_NAMESPACE", "")

    def __str__(self):
        return "%s/%d on %s" % (self.ip, self.prefix, self.nic)


def configured(message):
    """Exit 6: the configuration is wrong on every node."""
    ocf_exit_reason(message)
    raise OcfExit(OCF_ERR_CONFIGURED)


def ip_usage():
    """Print how the agent is called."""
    name = sys.argv[0] or "IPaddr2"
    ocf.say("usage: %s {start|stop|status|monitor|validate-all|meta-data}\n\n"
            "Parameters come from the environment, as OCF_RESKEY_<name>; for example:\n"
            "  OCF_ROOT=/usr/lib/ocf OCF_RESKEY_ip=192.0.2.10 %s monitor" % (name, name))


def meta_data():
    """Print the metadata: rendered when the package was built, or on the spot in a checkout."""
    cached = __file__.rpartition("/")[0] + "/IPaddr2.xml"
    text = ocf.read_file(cached, 1 << 20)
    if not text:
        try:
            from . import metadata
            text = metadata.render()
        except ImportError:
            commands.add_site_packages()
            from . import metadata
            text = metadata.render()
    ocf.say(text.rstrip("\n"))


# --- parameters ------------------------------------------------------------------------------


def refuse_words(name, value):
    """Exit 6 if value would become several words, or an option, of a command."""
    if value.startswith("-") and not (name == "broadcast" and value == "-"):
        configured("%s [%s] begins with a dash, so that a command would take it for an option"
                   % (name, value))
    if any(character.isspace() for character in value):
        configured("%s [%s] holds white space; it must be one word" % (name, value))


def ip_init(action, values):
    """Settle address, family, interface, prefix and bucket; the Vip that the actions take.

    Exits as the shell agent's ip_init does; stop gets by with what it finds.
    """
    if not values["ip"] and action != "stop":
        configured("the parameter ip is empty; it must be the IPv4 or IPv6 address to manage")
    if action in ("start", "stop") and posix.geteuid() != 0:
        ocf_exit_reason("%s needs root: it changes addresses" % action)
        raise OcfExit(OCF_ERR_PERM)
    if not values["cidr_netmask"]:
        values["cidr_netmask"] = ENV.get("OCF_RESKEY_netmask", "")
    nic, colon, label = values["nic"].partition(":")
    if colon:
        values["nic"], values["iflabel"] = nic, label
    unique_clone_address(action, values)
    vip = Vip(action, values)
    clone_settings(vip)
    if action == "stop":
        return vip
    for name in ("ip", "nic", "cidr_netmask", "iflabel", "proto"):
        refuse_words(name, values[name])
    check_family(vip)
    find_place(vip)
    set_label(vip)
    return vip


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
            configured("ip [%s] plus clone number %s is beyond the last address"
                       % (values["ip"], number))
        values["ip"] = ""
        return
    values["ip"] = canonical_of(total.to_bytes(len(packed), "big"), family)


def canonical_of(packed, family):
    """The text of a packed address."""
    import _socket
    return _socket.inet_ntop(interface.FAMILIES[family], packed)


def clone_settings(vip):
    """Buckets of a shared address from the clone's meta attributes; exits 6 on bad ones."""
    total = ENV.get("OCF_RESKEY_CRM_meta_clone_max") or "1"
    number = ENV.get("OCF_RESKEY_CRM_meta_clone") or "0"
    good = ocf_is_decimal(total) and int(total) > 0 and ocf_is_decimal(number)
    if not good:
        if vip.action == "stop":
            return
        configured("meta attribute clone_max [%s] must be a positive whole number, clone [%s] a "
                   "whole number" % (total, number))
    vip.buckets = int(total)
    if vip.buckets > 1:
        if vip.action != "stop" and ocf_is_true(vip.params["lvs_support"]):
            configured("lvs_support [%s] and load sharing (clone-max %d) exclude each other"
                       % (vip.params["lvs_support"], vip.buckets))
        if not ocf_is_true(vip.params["unique_clone_address"]):
            vip.bucket = int(number) + 1


def check_family(vip):
    """Exit 6 on parameters that the address's family does not have."""
    values = vip.params
    if vip.family == "inet":
        if ocf_is_true(values["lvs_ipv6_addrlabel"]):
            configured("lvs_ipv6_addrlabel [%s] is for IPv6, but ip is the IPv4 address %s"
                       % (values["lvs_ipv6_addrlabel"], vip.ip))
    else:
        if ocf_is_true(values["lvs_support"]):
            configured("lvs_support [%s] is for IPv4, but ip is the IPv6 address %s; "
                       "lvs_ipv6_addrlabel serves there" % (values["lvs_support"], vip.ip))
        if ocf_is_true(values["lvs_ipv6_addrlabel"]) and \
                not ocf_is_decimal(values["lvs_ipv6_addrlabel_value"]):
            configured("lvs_ipv6_addrlabel_value [%s] must be a whole number, 0 or more"
                       % values["lvs_ipv6_addrlabel_value"])


def find_place(vip):
    """Fill in nic, prefix and src by findif(); exits as the action must where that fails."""
    values = vip.params
    netmask = maybe_convert_dotted_quad(values["cidr_netmask"])
    try:
        if vip.action in STRICT:
            check_params(vip.family, values["ip"], values["nic"], netmask, values["broadcast"])
        nic = resolve_nic(values["nic"]) or values["nic"] if values["nic"] else ""
        route = findif(vip.family, vip.ip, nic, netmask, values["proto"])
    except FindifError as problem:
        if ocf_is_probe(vip.action):
            ocf_log("info", "[findif] failed: %s" % problem.reason)
            raise OcfExit(OCF_NOT_RUNNING) from None
        ocf_exit_reason("[findif] failed: %s" % problem.reason)
        raise OcfExit(problem.rc) from None
    vip.nic, vip.prefix, vip.src = route.nic, route.prefix, route.src


def set_label(vip):
    """The label <nic>:<iflabel>; exit 6 where the kernel has no room for it."""
    if not vip.params["iflabel"]:
        return
    label = "%s:%s" % (vip.nic, vip.params["iflabel"])
    if len(commands.to_bytes(label)) > 15:
        configured("iflabel [%s] makes the label [%s], longer than the kernel's 15 characters"
                   % (vip.params["iflabel"], label))
    if vip.family == "inet":
        vip.label = label
    elif vip.action in STRICT:
        ocf_log("warn", "iflabel [%s] is left out: IPv6 addresses have no label"
                % vip.params["iflabel"])


def set_broadcast(vip):
    """The broadcast address: as given, else that of the address whose network holds the VIP."""
    vip.brd = vip.params["broadcast"]
    if vip.family == "inet" and not vip.brd:
        vip.brd = find_broadcast(vip.nic, vip.ip, vip.src)
    elif vip.family == "inet6":
        vip.brd = ""


def set_send_arp_program(vip):
    """Exit 6 on a sender that is not known, 5 on an arping that is missing."""
    sender = vip.params["arp_sender"]
    if not sender:
        return
    if sender not in SENDERS:
        configured("arp_sender [%s] is not one of %s" % (sender, ", ".join(SENDERS)))
    if sender in ("iputils_arping", "libnet_arping"):
        check_binary("arping")


def enter_namespace(vip_namespace, action):
    """Run this action once more inside the namespace, as `ip netns exec NAME AGENT ACTION`.

    A namespace that is missing: nothing runs in it, so stop is 0, monitor and status 7; start and
    validate-all are 5.
    """
    if action != "stop":
        refuse_words("network_namespace", vip_namespace)
    path = "/var/run/netns/" + vip_namespace
    try:
        there = "/" not in vip_namespace and \
            posix.stat(path).st_dev != posix.stat("/var/run/netns").st_dev
    except (OSError, ValueError):
        there = False
    if there:
        ENV["IPADDR2_NAMESPACE"] = vip_namespace
        commands.load_environment(dict(ENV, OCF_RESKEY_network_namespace=""))
        agent = posix.getcwd() + "/" + sys.argv[0] if "/" in sys.argv[0] and \
            not sys.argv[0].startswith("/") else sys.argv[0]
        commands.replace(ip_command() + ["netns", "exec", vip_namespace, agent, action])
    message = "network_namespace [%s] does not exist; `ip netns add` makes one" % vip_namespace
    if action == "stop":
        ocf_log("info", message + ": nothing to stop")
        raise OcfExit(OCF_SUCCESS)
    ocf_exit_reason(message)
    raise OcfExit(OCF_NOT_RUNNING if action in ("monitor", "status") else OCF_ERR_INSTALLED)


def ip_validate(action):
    """Check tools and parameters, in the shell agent's order; the Vip."""
    check_binary(ip_command()[0])
    values = params.read(ENV)
    if values["network_namespace"]:
        enter_namespace(values["network_namespace"], action)
    vip = ip_init(action, values)
    if action == "stop":
        return vip
    set_send_arp_program(vip)
    if vip.bucket:
        from . import clusterip
        clusterip.check_tools(vip)
    if ocf_is_true(values["unique_clone_address"]) and \
            not ocf_is_true(ENV.get("OCF_RESKEY_CRM_meta_globally_unique", "")):
        configured("unique_clone_address [%s] needs a clone with globally-unique=true"
                   % values["unique_clone_address"])
    for name in ("arp_interval", "arp_count"):
        if not ocf_is_decimal(values[name]) or int(values[name]) == 0:
            configured("%s [%s] must be a whole number above 0" % (name, values[name]))
    if not values["preferred_lft"]:
        configured("preferred_lft is empty; it must be forever or a number of seconds")
    if vip.bucket:
        clusterip.check_params(vip)
    if action in STRICT:
        check_rest(vip)
    return vip


def check_rest(vip):
    """What start and validate-all check beyond the other actions; exit 6."""
    values = vip.params
    if vip.family == "inet6":
        refuse_words("preferred_lft", values["preferred_lft"])
    else:
        refuse_words("broadcast", values["broadcast"])
    if not ocf_is_decimal(values["arp_count_refresh"]):
        configured("arp_count_refresh [%s] must be a whole number, 0 or more"
                   % values["arp_count_refresh"])
    for name in ("metric", "arp_repeat_after"):
        if values[name] and not ocf_is_decimal(values[name]):
            configured("%s [%s] must be a whole number, 0 or more, or empty"
                       % (name, values[name]))
    if values["mac"] and len(values["mac"].replace("-", ":").split(":")) != 6:
        configured("mac [%s] is not a hardware address such as 01:00:5e:00:01:02" % values["mac"])


# --- actions ---------------------------------------------------------------------------------


def ip_served(vip):
    """Whether this node serves the address: ok, no or dadfailed; for Cluster IP also partial
    (the bucket is missing) and partial2 (the rule is missing).

    Exits 1 where `ip` does not say.
    """
    if not vip.nic or address_bytes(vip.ip, vip.family) is None:
        return "no"
    for held in held_or_exit(vip):
        if held.prefix == vip.prefix and same_interface(held.nic, vip.nic):
            if vip.bucket:
                from . import clusterip
                return clusterip.served(vip)
            return "dadfailed" if "dadfailed" in held.flags else "ok"
    return "no"


def held_or_exit(vip):
    """held_addresses() of the VIP; exit 1 with a reason where `ip` cannot be relied on."""
    try:
        return interface.held_addresses(vip.family, vip.ip)
    except interface.Unreadable as problem:
        ocf_exit_reason("cannot tell whether %s is here: %s" % (vip.ip, problem))
        raise OcfExit(OCF_ERR_GENERIC) from None


def ip_start(vip):
    """Add the address, set the interface up, announce; what was added is taken back on failure."""
    if not vip.bucket:
        return start_locked(vip)
    from . import clusterip
    with clusterip.locked(vip):
        return start_locked(vip)


def start_locked(vip):
    """ip_start() while nobody else works on the same Cluster IP."""
    status = ip_served(vip)
    if status == "ok":
        return OCF_SUCCESS
    set_broadcast(vip)
    undo = []
    try:
        start_address(vip, status, undo)
    except BaseException:
        commands.set_deadline(commands.remaining() + (ALL - WORK) * action_timeout())
        for step in reversed(undo):
            step()
        raise
    return OCF_SUCCESS


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
            undo.append(lambda: interface.restore_loopback(vip.ip, vip.params))
            interface.remove_conflicting_loopback(vip.ip, vip.params)
        try:
            added = interface.add_interface(vip.family, vip.ip, vip.prefix, vip.brd, vip.nic,
                                            vip.label, vip.params, undo)
        except interface.Unreadable as problem:
            ocf_log("err", str(problem))
            added = False
        if not added:
            ocf_exit_reason("Failed to add %s" % vip)
            raise OcfExit(OCF_ERR_GENERIC)
        if ocf_is_true(vip.params["check_link_status"]):
            wait_for_link(vip)
    if not vip.nic.startswith("lo"):
        from . import announce
        announce.on_start(vip)


def wait_for_link(vip):
    """Give an interface that was just set up 3 s to find its carrier; exit 1 without one."""
    import time

    end = time.monotonic() + min(3.0, commands.remaining() / 2)
    while interface.link_is_down(vip.nic):
        if time.monotonic() > end:
            ocf_exit_reason("check_link_status: the link of %s is down" % vip.nic)
            raise OcfExit(OCF_ERR_GENERIC)
        time.sleep(0.05)


def ip_stop(vip):
    """Remove the address wherever it is this resource's; exit 1 if it could not be removed."""
    if vip.bucket:
        from . import clusterip
        with clusterip.locked(vip):
            return clusterip.stop(vip, stop_address)
    return stop_address(vip)


def stop_address(vip):
    """End the announcements and remove the address; an OCF exit code."""
    if address_bytes(vip.ip, vip.family) is None:
        ocf_log("info", "ip [%s] is not an address: nothing to stop" % vip.params["ip"])
        return OCF_SUCCESS
    places = []
    try:
        places = own_places(vip)
        if places and not vip.nic:
            vip.nic = places[0].nic
    finally:
        stop_sender(vip)
    ocf_log("info", "IP status = %s, IP_CIP=%s" % ("ok" if places else "no",
                                                  "yes" if vip.bucket else ""))
    for held in places:
        nic = held.nic
        rc = interface.delete_interface(vip.family, vip.ip, held.prefix, nic, vip.params)
        still = [other for other in held_or_exit(vip)
                 if other.nic == nic and other.prefix == held.prefix]
        if still:
            ocf_exit_reason("Unable to remove %s/%d from %s%s" % (
                vip.ip, held.prefix, nic, "" if rc else "; ip said that it did"))
            return OCF_ERR_GENERIC
    if places and ocf_is_true(vip.params["lvs_support"]) and vip.family == "inet":
        interface.restore_loopback(vip.ip, vip.params)
    return OCF_SUCCESS


def stop_sender(vip):
    """End the announcements of this address that still run in the background."""
    try:
        names = posix.listdir(ENV["HA_RSCTMP"])
    except OSError:
        return
    if any(name.startswith("send_arp-" + vip.ip) for name in names):
        from . import announce
        announce.stop_sender(vip)


def own_places(vip):
    """The Held addresses that stop removes; no route is needed to find them.

    Given nic and cidr_netmask narrow the choice.  Of several, those are taken that findif points
    to; without nic, the loopback's own is left alone unless findif points there.
    """
    values = vip.params
    netmask = prefixcheck(maybe_convert_dotted_quad(values["cidr_netmask"]), vip.family)
    nic = vip.nic = resolve_nic(values["nic"]) if values["nic"] else ""
    if values["nic"] and not nic:
        return []
    places = [held for held in held_or_exit(vip)
              if (not nic or same_interface(held.nic, nic))
              and (netmask is None or held.prefix == netmask)]
    if not places or (nic and len(places) == 1):
        return places
    try:
        route = findif(vip.family, vip.ip, nic, "" if netmask is None else str(netmask),
                       "" if bad_word(values["proto"]) else values["proto"])
    except FindifError:
        route = None
    if route:
        on_nic = [held for held in places if same_interface(held.nic, route.nic)]
        exact = [held for held in on_nic if held.prefix == route.prefix]
        if exact or on_nic:
            return exact or on_nic
    return [held for held in places if nic or not held.nic.startswith("lo")]


def bad_word(value):
    """Whether a value cannot be a word of a command."""
    return value.startswith("-") or any(character.isspace() for character in value)


def ip_status(vip):
    """Print running or stopped; 0 or 7."""
    if ip_served(vip) == "ok" and not link_failed(vip):
        ocf.say("running")
        return OCF_SUCCESS
    ocf.say("stopped")
    return OCF_NOT_RUNNING


def link_failed(vip):
    """Whether check_link_status is asked for and the interface's link is down."""
    return ocf_is_true(vip.params["check_link_status"]) and interface.link_is_down(vip.nic)


def ip_monitor(vip):
    """0 served, 7 not served, 1 for an IPv6 address that another host has too."""
    status = ip_served(vip)
    if status == "dadfailed":
        ocf_exit_reason("IPv6 address collision: another host has %s (dadfailed)" % vip.ip)
        return OCF_ERR_GENERIC
    if status != "ok":
        if vip.bucket:
            from . import clusterip
            clusterip.log_missing(vip, status)
        return OCF_NOT_RUNNING
    if link_failed(vip):
        ocf_log("warn", "the link of %s is down: %s is not served" % (vip.nic, vip.ip))
        return OCF_NOT_RUNNING
    if vip.params["arp_count_refresh"] not in ("0", ""):
        from . import announce
        announce.on_refresh(vip)
    return OCF_SUCCESS


# --- main ------------------------------------------------------------------------------------


def action_timeout():
    """Seconds that Pacemaker gives the action (CRM_meta_timeout, ms), 20 where it does not say."""
    timeout = ENV.get("OCF_RESKEY_CRM_meta_timeout", "")
    if ocf_is_decimal(timeout) and int(timeout) > 0:
        return int(timeout) / 1000
    return 20.0


def perform(action):
    """Do one action; its OCF exit code."""
    if action == "meta-data":
        meta_data()
        return OCF_SUCCESS
    if action in ("usage", "help"):
        ip_usage()
        return OCF_SUCCESS
    ocf.setup()
    if action not in ACTIONS:
        ip_usage()
        ocf_exit_reason("unknown action [%s]; usage lists the known ones" % action)
        return OCF_ERR_UNIMPLEMENTED
    commands.set_deadline(WORK * action_timeout())
    ocf.start_trace(action)
    vip = ip_validate(action)
    if action == "start":
        return ip_start(vip)
    if action == "stop":
        return ip_stop(vip)
    if action == "status":
        return ip_status(vip)
    if action == "monitor":
        return ip_monitor(vip)
    return OCF_SUCCESS


def main(argv):
    """Run the agent with argv = [program, action]; the exit code.  Never raises."""
    commands.load_environment(posix.environ)
    commands.end_with_agent()
    try:
        return perform(argv[1] if len(argv) > 1 else "")
    except OcfExit as leaving:
        return leaving.rc
    except commands.Terminated as signal:
        commands.die_of(signal.number)
        return OCF_ERR_GENERIC
    except BaseException as problem:
        return unexpected(problem)


def unexpected(problem):
    """Log a fault of the agent in full, line by line; exit code 1."""
    import traceback

    for line in "".join(traceback.format_exception(
            type(problem), problem, problem.__traceback__)).splitlines():
        ocf_log("err", line)
    ocf_exit_reason("unexpected error: %s: %s" % (type(problem).__name__, problem))
    return OCF_ERR_GENERIC
