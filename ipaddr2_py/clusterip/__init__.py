# SPDX-License-Identifier: GPL-2.0-only
"""Cluster IP: several nodes hold one address, each answers the clients in its buckets.

Three verbs (served, take, and Rules for stop) over three backends: the iptables target CLUSTERIP,
nftables, and the iptables match cluster.  What is there is looked at before anything is added, and
removed whatever its settings are.  Changes are made while a lock is held.

A backend is a module with these names; share is what its look() found, or shall be there:

| name | what it is |
|---|---|
| BEFORE_ADDRESS | whether stop removes its rules before the address |
| REFUSED | who has refused where it could not take a bucket, for the reason |
| look(vip) | the Share that it holds of the address, None without; raises Unreadable |
| look_closely(vip) | the same with the settings of its rules, for a start |
| wanted_share(vip, found, brd) | the Share that the parameters ask for |
| set_up(vip, share, found) | make or mend everything, with this bucket and those found |
| add_bucket(vip, share), release(vip, share) | add, remove the VIP's bucket alone |
| remove(vip, share) | remove everything |

The latter four give whether that worked.
"""

from .. import addresses
from ..addresses import Unreadable, address_bytes
from ..changes import files
from ..commands import ENV
from ..ocf import (OCF_ERR_GENERIC, OCF_ERR_INSTALLED, OCF_SUCCESS, OcfExit, check_binary, env,
                   have_binary, ocf_exit_reason, ocf_is_probe, ocf_log)
from ..vip import CHECKED_ACTIONS
from .params import FIREWALLS
from .share import Share, configured_share, derived_mac, digest_of, leave_group, matches

MISSING = {"no": "the address is missing", "partial": "bucket {bucket} is not held here",
           "partial2": "the firewall rule is missing, or not as it should be",
           "shared": "is a plain address now, but the firewall still shares it"}


def backend(name: str):
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


def programs(name: str) -> list:
    """The programs that a backend needs."""
    if name == "clusterip":
        return [backend(name).iptables()[0], env("MODPROBE", "modprobe")]
    return ["nft"] if name == "nft" else [env("IPTABLES", "iptables"), "arptables"]


def hindrance(vip, name: str) -> str:
    """Why auto cannot use a backend for this address, "" where it can."""
    if vip.family == "inet6" and name != "nft":
        return "it is for IPv4"
    for program in programs(name):
        if not have_binary(program):
            return f"{program} is not installed"
    if name == "clusterip" and not backend(name).has_target():
        return "this kernel has no target CLUSTERIP"
    if name == "nft" and vip.action in CHECKED_ACTIONS and not backend(name).works():
        return "this kernel refuses `nft list tables`"
    return ""


def usable(vip) -> list:
    """Names of the backends that may serve the address, the one to be used first."""
    asked = vip.params["clusterip_firewall"]
    return [asked] if asked in FIREWALLS else \
        [name for name in FIREWALLS if not hindrance(vip, name)]


def check_tools(vip) -> None:
    """Exit 5 where the backend's programs, or for auto those of all backends, are missing."""
    asked = vip.params["clusterip_firewall"]
    if asked in FIREWALLS:
        for program in programs(asked):
            check_binary(program)
    elif not usable(vip):
        ocf_exit_reason("no firewall for Cluster IP here: " + "; ".join(
            f"{name}: {hindrance(vip, name)}" for name in FIREWALLS))
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
            return                  # stop of something that names no file
        path = files.state_file("IPaddr2-CIP-" + self.vip.ip)
        try:
            self.lock = files.ocf_take_lock(path).__enter__()
        except OSError as problem:      # TimeoutError among them
            if self.vip.action != "stop" or isinstance(problem, TimeoutError):
                ocf_exit_reason(f"no lock on {path}: {problem.strerror or problem}; another "
                                f"instance of {self.vip.ip} may be at work")
                raise OcfExit(OCF_ERR_GENERIC) from None
            ocf_log("warn", f"no lock on {path} ({problem.strerror}): stopping without")

    def __exit__(self, *_problem):
        if self.lock is not None:
            self.lock.__exit__()


# --- the verbs -------------------------------------------------------------------------------


def found_shares(vip, names) -> list:
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
            ocf_exit_reason(f"cannot tell what {name} holds of {vip.ip}: {problem}")
            raise OcfExit(OCF_ERR_GENERIC) from None
        if share:
            found.append((module, share))
    return found


def served(vip) -> str:
    """Whether the firewall has the bucket: ok, partial (not held) or partial2 (rules missing)."""
    for _name, share in usable_shares(vip):
        if not share.complete or not matches(share, vip):
            return "partial2"
        return "ok" if vip.bucket in share.buckets else "partial"
    return "partial2"


def usable_shares(vip):
    """What each backend that may serve the address holds of it: (name, Share), one by one."""
    for name in usable(vip):
        for _module, share in found_shares(vip, [name]):
            yield name, share


def in_use(vip) -> tuple:
    """(name of the backend, MAC) that the address is shared by; ("", "") where it is not.

    The target CLUSTERIP does not tell the MAC to whoever asks it for buckets: it is derived then.
    """
    for name, share in usable_shares(vip):
        return name, share.mac or configured_share(vip).mac
    return "", ""


def planned(vip, brd: str) -> tuple:
    """(name of the backend, MAC) that a start is going to share the address by."""
    return usable(vip)[0], configured_share(vip, brd=brd).mac


def take(vip, undo, brd: str) -> tuple:
    """Hold the VIP's bucket: complete what is there, add what is not; exits 1 if that failed.

    Callables that take back what was added are appended to undo.  Gives the backend's name and the
    MAC that the address has now.
    """
    name = usable(vip)[0]
    module = backend(name)
    try:
        found = module.look_closely(vip)
        share = module.wanted_share(vip, found, brd)
        complete = bool(found and found.complete and matches(found, vip))
        done = complete and vip.bucket in found.buckets
        if found is None:
            undo.append(lambda: module.remove(vip, share))
        elif vip.bucket not in found.buckets:
            undo.append(lambda: module.release(vip, module.look(vip)))
        if not done:
            done = module.add_bucket(vip, share) if complete else module.set_up(vip, share, found)
        problem = f"{module.REFUSED}; the log has the message"
    except Unreadable as unreadable:
        done, problem = False, str(unreadable)
    if not done:
        ocf_exit_reason(f"Cluster IP: bucket {vip.bucket} of {vip.ip} cannot be taken: {problem}")
        raise OcfExit(OCF_ERR_GENERIC)
    ocf_log("info", f"Cluster IP: bucket {vip.bucket} of {vip.buckets} of {vip.ip} is held on "
            f"{vip.nic}, MAC {share.mac}")
    return name, share.mac


class Rules:
    """What the backends hold of an address that is to be stopped.

    Rules of the target CLUSTERIP go before the address, as with the shell agent; those of the
    others behind it, or the node would answer for all others meanwhile.  Where the address cannot
    be removed they stay.  shares: for a plain address the names of the backends that still share
    it.  Exits 1 where a backend cannot say.
    """

    def __init__(self, vip, shares=()):
        self.vip = vip
        self.good = True
        self.stray = ()         # (nic, mac) that no rule tells
        #: [(backend, Share)], the Share None for a plain address.
        self.found: list = found_shares(vip, to_be_searched(vip)) if vip.bucket else \
            [(backend(name), None) for name in shares]
        if vip.bucket and not self.others_stay() and not (
                self.found and all(share.mac and share.nic for _, share in self.found)):
            self.stray = stray_mac(vip)

    def others_stay(self) -> bool:
        """Whether this node holds buckets of other instances, which are to stay."""
        return any(share and set(share.buckets) - {self.vip.bucket} for _, share in self.found)

    def release(self) -> int:
        """Let go of this instance's bucket alone; an OCF exit code."""
        self.good = all([module.release(self.vip, share) for module, share in self.found])
        ocf_log("info", f"Cluster IP: {self.vip.ip} keeps the buckets that other instances hold")
        return OCF_SUCCESS if self.good else self.failure(f"bucket {self.vip.bucket}")

    def remove_before_address(self) -> None:
        """Remove what goes before the address."""
        for module, share in self.found:
            if self.vip.bucket and module.BEFORE_ADDRESS:
                self.remove(module, share)

    def remove_after_address(self) -> bool:
        """Remove all that is left; whether that worked, from the beginning on."""
        for module, share in self.found:
            if not self.vip.bucket:
                self.remove_leftovers(module)
            elif not module.BEFORE_ADDRESS:
                self.remove(module, share)
        if self.stray:
            self.good = leave_group(*self.stray) and self.good
        self.good = leave_noted(self.vip) and self.good
        return self.good

    def remove(self, module, share) -> None:
        """Remove all that a backend holds."""
        self.good = module.remove(self.vip, share) and self.good

    def remove_leftovers(self, module) -> None:
        """Remove what a backend still shares of an address that is a plain one now."""
        try:
            share = module.look(self.vip)
        except Unreadable:
            share = None
        try:
            self.remove(module, share or Share())
        except Unreadable as problem:
            ocf_log("err", str(problem))
            self.good = False

    def failure(self, what: str = "the rules") -> int:
        """Say that `what` could not be removed; an OCF exit code."""
        ocf_exit_reason(f"Unable to remove {what} of Cluster IP {self.vip.ip} from the firewall")
        return OCF_ERR_GENERIC


def leftovers(vip) -> list:
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


def may_hold(vip, name: str) -> bool:
    """Whether a backend holds something of the address, or is noted to and cannot say."""
    try:
        return backend(name).look(vip) is not None
    except Unreadable as problem:
        if vip.note:
            ocf_log("warn", f"cannot tell what {name} holds of {vip.ip}: {problem}")
        return bool(vip.note)


def leave_noted(vip) -> bool:
    """Undo join_group() on the noted interface, whatever it is called now; whether that worked."""
    nic = addresses.name_of(vip.note.index) if vip.note else ""
    return not nic or leave_group(nic, vip.note.mac)


def to_be_searched(vip) -> list:
    """Names of the backends that stop looks into: the one asked for, or all that could be there."""
    asked = vip.params["clusterip_firewall"]
    return [name for name in ((asked,) if asked in FIREWALLS else FIREWALLS)
            if name == "clusterip" or all(have_binary(program) for program in programs(name))]


def stray_mac(vip):
    """(nic, mac) of the address as it is held, for want of a rule that tells; else ()."""
    try:
        for held in addresses.address_places(vip.family, vip.ip):
            brd = vip.params["broadcast"] or held.brd
            digest = digest_of(vip.ip, held.prefix, brd if vip.family == "inet" else "")
            return held.nic, vip.mac or derived_mac(digest, vip.family)
    except Unreadable:
        pass            # stop looks for the address as well, and says so
    return ()


def log_missing(vip, status):
    """Log why the address is not served in full: no, partial or partial2."""
    text = MISSING[status].format(bucket=vip.bucket)
    ocf_log("info" if ocf_is_probe(vip.action) else "warn", f"Cluster IP {vip.ip}: {text}")
