# SPDX-License-Identifier: GPL-2.0-only
"""Cluster IP: several nodes hold one address, each answers the clients in its buckets.

The three verbs (take, served, stop) over three backends: the iptables target CLUSTERIP, nftables,
and the iptables match cluster.  What is there is looked at before anything is added, and removed
whatever its settings are.  Changes are made while a lock is held.
"""

from .. import addresses
from ..addresses import Unreadable, address_bytes
from ..changes import files
from ..commands import ENV
from ..ocf import (OCF_ERR_GENERIC, OCF_ERR_INSTALLED, OCF_SUCCESS, OcfExit, check_binary, env,
                   have_binary, ocf_exit_reason, ocf_is_probe, ocf_log)
from ..vip import CHECKED_ACTIONS, forget_note
from .params import FIREWALLS
from .share import Share, configured_share, derived_mac, digest_of, leave_group, matches

MISSING = {"no": "the address is missing", "partial": "bucket %d is not held here",
           "partial2": "the firewall rule is missing, or not as it should be",
           "shared": "is a plain address now, but the firewall still shares it"}


def backend(name):
    """The module that is behind a value of clusterip_firewall."""
    if name == "clusterip":
        from . import target
        return target
    if name == "nft":
        from . import nft
        return nft
    from . import iptables
    return iptables


# --- choosing a backend ----------------------------------------------------------------------


def programs(name):
    """The programs that a backend needs."""
    if name == "clusterip":
        return [backend(name).iptables()[0], env("MODPROBE", "modprobe")]
    return ["nft"] if name == "nft" else [env("IPTABLES", "iptables"), "arptables"]


def hindrance(vip, name):
    """Why auto cannot use a backend for this address, "" where it can."""
    if vip.family == "inet6" and name != "nft":
        return "it is for IPv4"
    for program in programs(name):
        if not have_binary(program):
            return "%s is not installed" % program
    if name == "clusterip" and not backend(name).has_target():
        return "this kernel has no target CLUSTERIP"
    if name == "nft" and vip.action in CHECKED_ACTIONS and not backend(name).works():
        return "this kernel refuses `nft list tables`"
    return ""


def usable(vip):
    """Names of the backends that may serve the address, the one to be used first."""
    asked = vip.params["clusterip_firewall"]
    return [asked] if asked in FIREWALLS else \
        [name for name in FIREWALLS if not hindrance(vip, name)]


def check_tools(vip):
    """Exit 5 where the backend's programs, or for auto those of all backends, are missing."""
    asked = vip.params["clusterip_firewall"]
    if asked in FIREWALLS:
        for program in programs(asked):
            check_binary(program)
    elif not usable(vip):
        ocf_exit_reason("no firewall for Cluster IP here: %s" % "; ".join(
            "%s: %s" % (name, hindrance(vip, name)) for name in FIREWALLS))
        raise OcfExit(OCF_ERR_INSTALLED)


# --- the lock --------------------------------------------------------------------------------


class locked:
    """`with locked(vip):` no other instance of the address is changed meanwhile.

    A start needs the lock (exit 1 without); a stop goes on where the file cannot be made.
    """

    def __init__(self, vip):
        self.vip = vip
        self.lock = None

    def __enter__(self):
        if address_bytes(self.vip.ip, self.vip.family) is None:
            return self             # stop of something that names no file
        path = files.state_file("IPaddr2-CIP-" + self.vip.ip)
        try:
            self.lock = files.ocf_take_lock(path).__enter__()
        except OSError as problem:      # TimeoutError among them
            if self.vip.action != "stop" or isinstance(problem, TimeoutError):
                ocf_exit_reason("no lock on %s: %s; another instance of %s may be at work"
                                % (path, problem.strerror or problem, self.vip.ip))
                raise OcfExit(OCF_ERR_GENERIC) from None
            ocf_log("warn", "no lock on %s (%s): stopping without" % (path, problem.strerror))
        return self

    def __exit__(self, *_problem):
        if self.lock is not None:
            self.lock.__exit__()


# --- the verbs -------------------------------------------------------------------------------


def found_shares(vip, names):
    """What the named backends hold of the address: a list of (backend, Share).

    Exits 1 where one of them cannot say: silence would be taken for "not here".
    """
    found = []
    for name in names:
        module = backend(name)
        try:
            share = module.look(vip)
        except Unreadable as problem:
            if vip.params["clusterip_firewall"] not in FIREWALLS and "supported" in str(problem):
                continue        # what this kernel cannot do it does not hold either
            ocf_exit_reason("cannot tell what %s holds of %s: %s" % (name, vip.ip, problem))
            raise OcfExit(OCF_ERR_GENERIC) from None
        if share:
            found.append((module, share))
    return found


def served(vip):
    """Whether the firewall has the bucket: ok, partial (not held) or partial2 (rules missing)."""
    for name in usable(vip):
        for _, share in found_shares(vip, [name]):
            if not share.complete or not matches(share, vip):
                return "partial2"
            vip.mac, vip.shared = share.mac or vip.mac, name
            if not vip.mac and vip.params["arp_count_refresh"] not in ("", "0"):
                vip.mac = configured_share(vip).mac       # to be announced
            return "ok" if vip.bucket in share.buckets else "partial"
    return "partial2"


def take(vip, _status, undo):
    """Hold the VIP's bucket: complete what is there, add what is not; exits 1 if that failed.

    Callables that take back what was added are appended to undo.  The VIP gets its multicast MAC.
    """
    vip.shared = usable(vip)[0]
    try:
        backend(vip.shared).take(vip, undo)
    except Unreadable as problem:
        ocf_exit_reason("Cluster IP: bucket %d of %s cannot be taken: %s"
                        % (vip.bucket, vip.ip, problem))
        raise OcfExit(OCF_ERR_GENERIC) from None
    ocf_log("info", "Cluster IP: bucket %d of %d of %s is held on %s, MAC %s"
            % (vip.bucket, vip.buckets, vip.ip, vip.nic, vip.mac))


def stop(vip, stop_address):
    """Let go of the bucket; with the last one remove rules, MAC and address.  An OCF exit code.

    stop_address(vip) removes the address; where it fails the rules stay, as the node would answer
    for the others without them.
    """
    if address_bytes(vip.ip, vip.family) is None:
        return stop_address(vip)
    found = found_shares(vip, to_be_searched(vip))
    if any(set(share.buckets) - {vip.bucket} for _, share in found):
        done = [module.release(vip, share) for module, share in found]
        ocf_log("info", "Cluster IP: %s keeps the buckets that other instances hold" % vip.ip)
        return finished(vip, all(done), "bucket %d" % vip.bucket)
    stray = () if found and all(share.mac and share.nic for module, share in found) else \
        stray_mac(vip)
    early = [module.remove(vip, share) for module, share in found if module.BEFORE_ADDRESS]
    rc = stop_address(vip)
    if rc != OCF_SUCCESS:
        return rc
    late = [module.remove(vip, share) for module, share in found if not module.BEFORE_ADDRESS]
    if stray:
        late.append(leave_group(*stray))
    late.append(leave_noted(vip))
    if all(early + late):
        forget_note(vip)        # last, so that a stop that is repeated looks where this one did
    return finished(vip, all(early + late), "the rules")


def leftovers(vip):
    """Names of the backends that still share an address which is a plain one now.

    The note of start tells where to look; without one all backends are, for a clone, or else nft.
    Where a noted backend cannot be looked at, it counts for stop, and is exit 1 else.
    """
    if vip.note:
        names = [vip.note.shared] if vip.note.shared in FIREWALLS else []
    else:
        names = to_be_searched(vip) if "OCF_RESKEY_CRM_meta_clone" in ENV else ["nft"]
    if vip.note and vip.action != "stop":
        return [name for name in names if found_shares(vip, [name])]
    return [name for name in names if may_hold(vip, name)]


def may_hold(vip, name):
    """Whether a backend holds something of the address, or is noted to and cannot say."""
    try:
        return backend(name).look(vip) is not None
    except Unreadable as problem:
        if vip.note:
            ocf_log("warn", "cannot tell what %s holds of %s: %s" % (name, vip.ip, problem))
        return bool(vip.note)


def stop_plain(vip, names, stop_address):
    """Remove the address, then what these backends still share of it.  An OCF exit code."""
    rc = stop_address(vip)
    if rc != OCF_SUCCESS:
        return rc
    good = True
    for name in names:
        module = backend(name)
        try:
            share = module.look(vip)
        except Unreadable:
            share = None
        try:
            good = module.remove(vip, share or Share()) and good
        except Unreadable as problem:
            ocf_log("err", str(problem))
            good = False
    good = leave_noted(vip) and good
    if good:
        forget_note(vip)
    return finished(vip, good, "the rules")


def leave_noted(vip):
    """Undo join_group() on the noted interface, whatever it is called now; False where that failed."""
    nic = addresses.name_of(vip.note.index) if vip.note else ""
    return not nic or leave_group(nic, vip.note.mac)


def to_be_searched(vip):
    """Names of the backends that stop looks into: the one asked for, or all that could be there."""
    asked = vip.params["clusterip_firewall"]
    return [name for name in ((asked,) if asked in FIREWALLS else FIREWALLS)
            if name == "clusterip" or all(have_binary(program) for program in programs(name))]


def stray_mac(vip):
    """(nic, mac) of the address as it is held, for want of a rule that tells; else ()."""
    try:
        for held in addresses.address_places(vip.family, vip.ip):
            brd = vip.params["broadcast"] or held.brd
            digest = digest_of(vip.ip, held.prefix,
                                                    brd if vip.family == "inet" else "")
            mac = vip.params["mac"].replace("-", ":")
            return (held.nic,
                    mac or derived_mac(digest, vip.family))
    except Unreadable:
        pass            # stop_address() looks as well, and says so
    return ()


def finished(vip, good, what):
    """The exit code of a stop that removed `what`."""
    if good:
        return OCF_SUCCESS
    ocf_exit_reason("Unable to remove %s of Cluster IP %s from the firewall" % (what, vip.ip))
    return OCF_ERR_GENERIC


def log_missing(vip, status):
    """Log why the address is not served in full: no, partial or partial2."""
    text = MISSING[status]
    ocf_log("info" if ocf_is_probe(vip.action) else "warn", "Cluster IP %s: %s"
            % (vip.ip, text % vip.bucket if "%" in text else text))
