# SPDX-License-Identifier: GPL-2.0-only
"""The parameter network_namespace: the agent starts itself once more inside of it.

A namespace lives on without its name as long as a process is in it (`ip netns del` takes the name
alone), and so does an address in there.  Start noted the inode of the namespace: by that a stop
finds it again.
"""

import posix
import sys

from .. import addresses, changes, commands, place
from ..addresses import addr_show_words, address_bytes, canonical, ip_command
from ..changes import files
from ..commands import ENV
from ..ocf import (OCF_ERR_GENERIC, OCF_ERR_INSTALLED, OCF_NOT_RUNNING, OCF_SUCCESS, OcfExit,
                   ocf_exit_reason, ocf_is_probe, ocf_log, say)
from ..vip import CHECKED_ACTIONS, bad_word, nothing_found, refuse_words, unique_clone_address

NAMES = "/var/run/netns"


def enter(values, action: str):
    """Run this action once more inside the namespace, as `ip netns exec NAME AGENT ACTION`.

    A namespace that is missing: nothing runs in it, so stop is 0, monitor and status 7; start and
    validate-all are 5.  One that only lost its name is looked for where start noted one.
    """
    name = values["network_namespace"]
    if action in CHECKED_ACTIONS:
        refuse_words("network_namespace", name)
    elif bad_word(name):
        if action != "stop":
            nothing_found(action, "network_namespace", name)
        ocf_log("info", f"network_namespace [{name}] cannot be a name: nothing to stop")
        raise OcfExit(OCF_SUCCESS)
    there = exists(name)
    if action != "validate-all":
        look_for_lost(values, action, place.namespace_inode(NAMES + "/" + name) if there else "")
    if there:
        ENV["IPADDR2_NAMESPACE"] = name
        commands.load_environment(dict(ENV, OCF_RESKEY_network_namespace=""))
        commands.replace(ip_command() + ["netns", "exec", name, own_path(), action])
    message = f"network_namespace [{name}] does not exist; `ip netns add` makes one"
    if action == "stop":
        ocf_log("info", message + ": nothing to stop")
        raise OcfExit(OCF_SUCCESS)
    ocf_exit_reason(message)
    raise OcfExit(OCF_NOT_RUNNING if action in ("monitor", "status") else OCF_ERR_INSTALLED)


def exists(name: str) -> bool:
    """Whether there is a network namespace of that name."""
    try:
        return "/" not in name and \
            posix.stat(NAMES + "/" + name).st_dev != posix.stat(NAMES).st_dev
    except (OSError, ValueError):
        return False


def own_path() -> str:
    """The agent's path, absolute; its name, which is in the log, stays as it was called."""
    path = sys.argv[0]
    return path if path.startswith("/") else posix.getcwd() + "/" + path


# --- a namespace that lost its name ----------------------------------------------------------


def look_for_lost(values, action: str, inode: str) -> None:
    """See to an address that start put into a namespace which has lost its name since.

    inode is that of the namespace which has the name now, "" without one.  Stop removes the address
    there, and so does a start, which is going elsewhere; both exit 1 where they cannot.  Monitor
    and status exit 7 for it, a probe 1.
    """
    ip, note = noted(values, action)
    if not note or not note.netns or note.netns == inode:
        return
    if any(place.namespace_inode(NAMES + "/" + one) == note.netns for one in listed(NAMES)):
        return      # the kernel gives numbers out again: one with a name has not lost it
    fd = open_lost(note.netns)
    if fd < 0:
        if action == "stop" and not inode:
            forget(values, ip)
        return
    # Which holds it, whoever was in there ends meanwhile.
    path, name = f"/proc/{posix.getpid()}/fd/{fd}", values["network_namespace"]
    try:
        if not is_held(path, ip, note):
            if action == "stop" and not inode:
                forget(values, ip)
            return
        finding = f"{ip} is still on {note.name} of the namespace that was called {name}"
    except addresses.Unreadable as problem:
        finding = (f"cannot tell whether {ip} is still in the namespace that was called {name}: "
                   f"{problem}")
    if ocf_is_probe(action):
        ocf_exit_reason(finding)
        raise OcfExit(OCF_ERR_GENERIC)
    if action in ("monitor", "status"):
        ocf_log("warn", finding)
        if action == "status":
            say("stopped")
        raise OcfExit(OCF_NOT_RUNNING)
    ocf_log("info", finding + ": stopping it there")
    stop_inside(path, name)
    if still_held(path, ip, note):
        ocf_exit_reason(finding + ", and could not be removed")
        raise OcfExit(OCF_ERR_GENERIC)
    posix.close(fd)


def forget(values, ip: str) -> None:
    """Remove the note of an address that went with its namespace."""
    place.remove_note(ip, values["nic"].partition(":")[0], values["network_namespace"])


def noted(values, action: str) -> tuple:
    """The address as the kernel spells it, and the Note of its key (None without)."""
    values = dict(values)
    try:
        unique_clone_address("stop" if action == "stop" else "monitor", values)
    except OcfExit:
        return "", None
    family = "inet6" if ":" in values["ip"] else "inet"
    if not address_bytes(values["ip"], family):
        return "", None
    ip = canonical(values["ip"], family)
    nic = values["nic"].partition(":")[0]
    return ip, place.read_note(ip, nic, values["network_namespace"])


def open_lost(inode: str) -> int:
    """A descriptor of the network namespace of that inode, -1 where nobody is in it and it is
    mounted nowhere."""
    processes = [name for name in listed("/proc") if name.isdigit()]
    for process in processes:
        for task in listed(f"/proc/{process}/task"):
            fd = open_if(f"/proc/{process}/task/{task}/ns/net", inode)
            if fd >= 0:
                return fd
    for process in processes:
        for mount in mounts(f"/proc/{process}/mountinfo", inode):
            fd = open_if(f"/proc/{process}/root{mount}", inode)
            if fd >= 0:
                return fd
    return -1


def open_if(path: str, inode: str) -> int:
    """A descriptor of a file that has that inode, else -1."""
    if place.namespace_inode(path) != inode:
        return -1
    try:
        return posix.open(path, posix.O_RDONLY)
    except OSError:
        return -1


def listed(folder: str) -> list:
    """The names in a folder, [] where it cannot be read."""
    try:
        return posix.listdir(folder)
    except OSError:
        return []


def mounts(path: str, inode: str) -> list:
    """Where a network namespace is mounted, by a file /proc/PID/mountinfo (proc(5))."""
    found = []
    for line in files.read_file(path, 1 << 20).split("\n"):
        words = line.split(" ")
        if len(words) > 4 and words[3] == f"net:[{inode}]":
            found.append(unescaped(words[4]))
    return found


def unescaped(text: str) -> str:
    r"""A path of mountinfo, where a blank is \040 and the like."""
    first, *others = text.split("\\")
    return first + "".join(chr(int(part[:3], 8)) + part[3:] for part in others)


def inside(path: str, argv) -> list:
    """The words that run a command in the namespace that a path leads to."""
    return ["nsenter", "--net=" + path, *argv]


def is_held(path: str, ip: str, note) -> bool:
    """Whether the address is in that namespace, on the interface of the noted number and name.

    Raises Unreadable where that cannot be told.
    """
    family = "inet6" if ":" in ip else "inet"
    words = addr_show_words(family, ip)
    result = commands.query(inside(path, ip_command() + words))
    held = addresses.parse_held(family, ip, result, words)
    return any((one.index, one.nic) == (note.index, note.name) for one in held)


def still_held(path: str, ip: str, note) -> bool:
    """Whether is_held(), or that cannot be told."""
    try:
        return is_held(path, ip, note)
    except addresses.Unreadable:
        return True


def stop_inside(path: str, name: str) -> None:
    """Run the agent's stop in that namespace; what it said is logged."""
    was = dict(ENV)
    commands.load_environment(dict(ENV, OCF_RESKEY_network_namespace="", IPADDR2_NAMESPACE=name))
    result = changes.run(inside(path, [own_path(), "stop"]))
    commands.load_environment(was)
    if result.rc:
        ocf_log("err", f"stop in that namespace ended with {result.rc}: "
                f"{' '.join(result.out.split())[:500]}")
