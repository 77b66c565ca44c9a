# SPDX-License-Identifier: GPL-2.0-only
"""vipctl watch: what the kernel tells of an address, and monitor's verdict whenever it changes."""

import time

from .. import addresses, children, commands
from . import HandError, look, terminal

QUIET = 0.2         # seconds without news after which monitor is asked again
OBJECTS = ("address", "link", "neigh", "route")


def watched(resource, say=print) -> None:
    """Show what happens, line by line, until the process is interrupted; say(text) prints."""
    environment = resource.environment()
    seen = look.at_address(environment)
    say(stamped(verdict(seen)))
    namespace = resource.params.get("network_namespace", "")
    prefix = ["ip", "netns", "exec", namespace] if namespace else []
    started = commands.query_start([*prefix, "ip", "-o", "monitor", *OBJECTS])
    if not started.pid:
        raise HandError("ip is not installed")
    last, news = (seen["status"], seen["rc"]), False
    try:
        for line in look.lines_of(started.streams, QUIET):
            if line:
                if concerns(line, seen):
                    say(stamped("  " + terminal.paint("faint", shortened(line))))
                    news = True
                continue
            if news:
                seen, news = look.at_address(environment), False
                if (seen["status"], seen["rc"]) != last:
                    last = seen["status"], seen["rc"]
                    say(stamped(verdict(seen)))
    finally:
        children.kill_started(started)


def concerns(line, seen) -> bool:
    """Whether a line of `ip monitor` is about the address, its interface or its network."""
    words = commands.split(line.replace("\\", " "))
    nic = seen["nic"] or ""
    plain = [word.split("@")[0].rstrip(":") for word in words]
    if nic and nic in plain:
        return True
    family = "inet6" if ":" in seen["ip"] else "inet"
    return any(word.partition("/")[0] == seen["ip"] or "/" in word and addresses.in_network(
        seen["ip"], word.partition("/")[0], int(word.partition("/")[2]), family)
        for word in plain if word.partition("/")[2].isdigit() or word == seen["ip"])


def shortened(line) -> str:
    """A line without what nobody reads."""
    return " ".join(line.replace("\\", " ").split())


def verdict(seen) -> str:
    """What monitor would say."""
    if seen["rc"] == 0:
        return terminal.paint("good", f"monitor: 0, {seen['ip']}/{seen['prefix']} is on "
                              f"{seen['nic']}")
    return terminal.paint("bad", f"monitor: {seen['rc']}, {seen['reason'] or seen['status']}")


def stamped(text) -> str:
    """A line with the time of day in front."""
    now = time.time()
    return time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d} {text}"
