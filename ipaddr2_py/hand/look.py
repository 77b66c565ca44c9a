# SPDX-License-Identifier: GPL-2.0-only
"""What the agent sees of an address on this node: the agent's own functions, each time in a process
of its own, so that nothing stays behind of one look at the next.
"""

import ctypes
import json
import os
import posix
import select
import sys

from .. import addresses, agent, children, commands, findif, ocf, params, place
from .. import vip as vips
from ..announce import pidfile
from ..changes import interface
from ..children import RUN
from ..commands import ENV
from ..ocf import OcfExit
from . import HandError

CLONE_NEWNET = 0x40000000
NAMES = "/var/run/netns"


def agent_path() -> str:
    """The path of the agent: inside of an installed package, in bin/ of a checkout, or in the
    folder of the provider whose library this package is in."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    home, provider = os.path.split(os.path.dirname(package))
    for path in (package + "/IPaddr2", os.path.dirname(package) + "/bin/IPaddr2",
                 f"{os.path.dirname(home)}/resource.d/{provider}/IPaddr2"):
        if os.path.isfile(path):
            return path
    raise HandError(f"there is no agent IPaddr2 that belongs to {package}")


def base_environment() -> dict:
    """What an action has in its environment whatever the resource, as Pacemaker gives it."""
    kept = ("PATH", "OCF_ROOT", "HA_RSCTMP", "HA_BIN", "IP2UTIL", "HA_LOGFILE", "TERM")
    return {"OCF_ROOT": "/usr/lib/ocf", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            **{name: os.environ[name] for name in kept if name in os.environ}}


def apart(environment: dict, action: str, work, quiet: bool = True):
    """What work(action) returns (anything that JSON holds), run in a process of its own with that
    environment, in the network namespace that it names.

    Where the agent leaves by an exit code, {"rc", "reason"} of that.  quiet: nothing is logged,
    and reasons are not printed.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        try:
            found = inside(environment, action, work, quiet)
        except BaseException as problem:
            found = {"fault": f"{type(problem).__name__}: {problem} ({where(problem)})"}
        try:
            data = json.dumps(found).encode()
            while data:
                data = data[os.write(writer, data):]
        finally:
            os._exit(0)
    os.close(writer)
    data = b""
    with os.fdopen(reader, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    found = json.loads(data) if data else {"fault": "no answer"}
    if isinstance(found, dict) and "fault" in found:
        raise HandError(f"the look at the address failed: {found['fault']}; run the agent's own "
                        "monitor with OCF_TRACE_RA=1")
    return found


def where(problem) -> str:
    """File and line of a fault."""
    step = problem.__traceback__
    while step.tb_next:
        step = step.tb_next
    return f"{os.path.basename(step.tb_frame.f_code.co_filename)}:{step.tb_lineno}"


def inside(environment, action, work, quiet):
    """The child's part of apart()."""
    reasons: list = []
    sys.argv = [agent_path(), action]
    values = {**base_environment(), **environment}
    if quiet:
        values["HA_LOGFILE"] = "/dev/null"
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 2)
    namespace = values.pop("OCF_RESKEY_network_namespace", "")
    if namespace:
        values[vips.NAMESPACE_VARIABLE] = namespace
    RUN.begin()
    commands.load_environment(values)
    RUN.tracers.append(lambda text: reasons.append(text[len("# reason: "):].strip())
                       if text.startswith("# reason: ") else None)
    try:
        if namespace:
            enter(namespace)
        ocf.setup()
        children.set_deadline(agent.action_timeout())
        return work(action)
    except OcfExit as leaving:
        return {"rc": leaving.rc, "reason": reasons[-1] if reasons else ""}
    except addresses.Unreadable as problem:
        return {"rc": 1, "reason": str(problem)}
    finally:
        commands.discard_prefetched()


def enter(namespace: str) -> None:
    """Have this process live in a network namespace; exits as the agent where it is missing."""
    try:
        handle = posix.open(f"{NAMES}/{namespace}", posix.O_RDONLY)
    except OSError:
        ocf.ocf_exit_reason(f"network_namespace [{namespace}] does not exist; `ip netns add` "
                            "makes one")
        raise OcfExit(7) from None
    if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET):
        ocf.ocf_exit_reason(f"network_namespace [{namespace}] cannot be entered without root")
        raise OcfExit(4)
    posix.close(handle)


# --- one address -----------------------------------------------------------------------------


def at_address(environment: dict) -> dict:
    """What there is of an address here.

    | key | what it holds |
    |---|---|
    | ip, prefix, nic | as monitor sees them; "" and None where it finds none |
    | rc, reason | what monitor would end with, and why |
    | status | ok, no, partial ... (ip_served) |
    | places | every place of it: nic, prefix, peer, broadcast, label, flags |
    | link | state of the interface |
    | sender | whether it is being announced |
    | bucket, buckets, mac, backend | of a shared address |
    | note | what start noted, None without |
    """
    found = apart(environment, "monitor", seen)
    found.setdefault("status", "no" if found.get("rc") == 7 else "unknown")
    for key in ("places", "ip", "prefix", "nic", "link", "sender", "note", "bucket", "buckets",
                "mac", "backend"):
        found.setdefault(key, [] if key == "places" else None)
    if not found["places"]:
        found["places"] = apart(environment, "monitor", lambda _action: places_of(asked_ip()))
        if isinstance(found["places"], dict):
            found["places"] = []
    found["ip"] = found["ip"] or environment.get("OCF_RESKEY_ip", "")
    return found


def asked_ip():
    """The address of the environment as the kernel spells it."""
    values = params.read(ENV)
    vips.unique_clone_address("stop", values)
    return addresses.canonical(values["ip"], "inet6" if ":" in values["ip"] else "inet")


def seen(action):
    """The work of at_address()."""
    vip = vips.ip_init(action, params.read(ENV))
    status = vips.ip_served(vip, vip.held)
    found = {"ip": vip.ip, "prefix": vip.prefix, "nic": vip.nic, "status": status,
             "places": places_of(vip.ip), "note": told_note(vip.note),
             "sender": is_announced(vip)}
    if vip.nic:
        link = addresses.ip_query(["-o", "link", "show", "dev", vip.nic])
        found["link"] = interface.parse_link_state(link.out)
    if vip.bucket:
        found.update(bucket=vip.bucket, buckets=vip.buckets)
        found["backend"], found["mac"] = vips.sharing().in_use(vip)
    found["rc"] = 0 if status == "ok" else 1 if status == "dadfailed" else 7
    found["reason"] = {"ok": "", "no": f"{vip} is not there",
                       "dadfailed": f"another host has {vip.ip}"}.get(status, status)
    if status == "ok" and agent.link_failed(vip):
        found.update(rc=7, reason=f"the link of {vip.nic} is down")
    return found


def told_note(note):
    """A Note as a dict, None without."""
    return note and {name: getattr(note, name) for name in note.__slots__}


def places_of(ip: str) -> list:
    """Every place of an address here, as dicts: nic, prefix, peer, broadcast, label, flags."""
    family = "inet6" if ":" in ip else "inet"
    if not addresses.address_bytes(ip, family):
        return []
    result = addresses.ip_query(addresses.addr_show_words(family, ip))
    labels = {}
    for line in result.out.splitlines():
        words = commands.split(line.split("\\")[0])
        if family == "inet" and len(words) > 4:
            labels[words[1], words[3]] = words[-1]
    return [{"nic": one.nic, "prefix": one.prefix, "peer": one.peer, "broadcast": one.brd,
             "label": labels.get((one.nic, f"{one.ip}/{one.prefix}"), ""),
             "flags": list(one.flags)}
            for one in addresses.parse_held(family, ip, result)]


def is_announced(vip):
    """Whether a sender of the address runs in the background."""
    try:
        names = posix.listdir(ENV["HA_RSCTMP"])
    except OSError:
        return False
    for name in names:
        if name.startswith("send_arp-" + vip.ip):
            path = f"{ENV['HA_RSCTMP']}/{name}"
            pid = pidfile.read_pid(path)
            if pidfile.is_alive(pid) and pidfile.is_sender(pid, path, vip.ip):
                return True
    return False


def lines_of(streams, seconds):
    """Whole lines that arrive on descriptors, until they end or so many seconds have passed; ""
    each time that nothing arrives for a while."""
    poll, left = select.poll(), {fd: b"" for fd in streams}
    for fd in streams:
        poll.register(fd, select.POLLIN)
    while left:
        ready = poll.poll(seconds * 1000)
        if not ready:
            yield ""
        for fd, _event in ready:
            data = os.read(fd, 65536)
            if not data:
                poll.unregister(fd)
                del left[fd]
                continue
            *lines, left[fd] = (left[fd] + data).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")


__all__ = ["HandError", "apart", "at_address", "findif", "lines_of", "place", "places_of"]
