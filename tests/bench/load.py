# SPDX-License-Identifier: GPL-2.0-only
"""Many addresses on one node, each monitored every 10 s as Pacemaker does: the CPU that takes."""

import os
import time

from . import measure
from .agents import command, environment

ADDRESSES = 200
INTERVAL = 10           # seconds between two monitors of one address
CORES = 2
PREFIX = 16             # so that one network holds them all


def load(agents, folder, addresses, seconds):
    """CPU and elapsed time of `seconds` of monitoring for each agent, in turns of INTERVAL.

    agents: who -> path.  Gives who -> {"cpu seconds", "turns", "monitors", "median ms", "late"}:
    CPU of all processes, in all and by turns, the time one monitor takes in the crowd, and turns
    that did not end in time.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:CORES])
    kept = {who: {"turns": [], "walls": [], "late": 0} for who in agents}
    try:
        for number in range(max(1, round(seconds / INTERVAL))):
            for who in sorted(agents, reverse=bool(number % 2)):
                turn(command(agents[who], "monitor"), folder, addresses, kept[who])
    finally:
        os.sched_setaffinity(0, cores)
    return {who: {"cpu seconds": sum(told["turns"]), "turns": told["turns"],
                  "monitors": len(told["walls"]),
                  "median ms": measure.summary(told["walls"])["median"], "late": told["late"]}
            for who, told in kept.items()}


def turn(argv, folder, addresses, kept):
    """Monitor every address once, evenly over INTERVAL seconds; adds to kept."""
    begin = time.monotonic()
    running = {}
    kept["turns"].append(0.0)
    for number, address in enumerate(addresses):
        due = begin + INTERVAL * number / len(addresses)
        while time.monotonic() < due:
            if not reap(running, kept, os.WNOHANG):
                time.sleep(min(0.002, max(0.0, due - time.monotonic())))
        running[measure.spawn(argv, environment(folder, address, "monitor"))] = time.monotonic()
    while running:
        reap(running, kept, 0)
    kept["late"] += time.monotonic() - begin > INTERVAL + 1


def reap(running, kept, how):
    """Wait for one child, as `how` (0 or WNOHANG) says; whether one ended."""
    try:
        pid, status, usage = os.wait4(-1, how)
    except ChildProcessError:
        return False
    if not pid:
        return False
    kept["turns"][-1] += measure.cpu_of(usage) / 1e3
    if pid in running:
        kept["walls"].append((time.monotonic() - running.pop(pid)) * 1e3)
        if status:
            raise measure.Failed("a monitor ended with wait status %d" % status)
    return True
