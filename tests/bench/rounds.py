# SPDX-License-Identifier: GPL-2.0-only
"""The runs that are measured, in rounds: the agents do each action in turn, one after the other.

A round gives one value to each (row, who): row as the report shows it, who a key of the agents.
Values with the same index come from the same round, where they were measured within moments, so
that their ratio does not tell of a machine that grew slower meanwhile.
"""

import collections

from tests.lab.state import ip

from . import announcements, measure
from .agents import PATH, command, environment

VIP = "192.0.2.50"
#: Row, action, exit code; "?" is served or not.
WATCH = ("monitor", "status", "probe")
STOPPED = [("%s, not running" % action, action, 7) for action in WATCH]
RUNNING = [("%s, running" % action, action, 0) for action in WATCH]
CHECK, META = ("validate-all", "validate-all", 0), ("meta-data", "meta-data", 0)
START, STOP = ("start", "start", 0), ("stop", "stop", 0)
ACTIONS = [CHECK, *STOPPED, START, *RUNNING, STOP, META]
ASK = ["/usr/sbin/ip", "-o", "-f", "inet", "addr", "show", "to", VIP]
IP = "ip"                   # who, of ASK
ANNOUNCED = [("start to first announcement, IPv4", VIP, {}),
             ("start to first announcement, IPv6", "2001:db8::50", {"nodad": "true"})]


class Bench:
    """What a measurement needs and gathers.

    agents: who -> path; folder: for state and logs; wall, cpu, programs, memory: (row, who) ->
    list of values (ms, ms, count, MiB).
    """

    def __init__(self, agents, folder):
        self.agents = agents
        self.folder = folder
        self.wall = collections.defaultdict(list)
        self.cpu = collections.defaultdict(list)
        self.programs = collections.defaultdict(list)
        self.memory = collections.defaultdict(list)

    def turns(self, number):
        """The agents (who, path), the other one first in every second round."""
        turns = list(self.agents.items())
        return turns[::-1] if number % 2 else turns

    def note(self, key, cost):
        """Keep what a run cost."""
        self.wall[key].append(cost.wall)
        self.cpu[key].append(cost.cpu)

    def clock(self, key, *words):
        """Run a program and keep what it cost."""
        self.note(key, measure.run(*words))

    def act(self, who, told, keep=None, suffix=""):
        """Let an agent do the action of one row; keep(key, argv, env, expected) measures it."""
        row, action, expected = told
        (keep or self.clock)((row + suffix, who), command(self.agents[who], action),
                             environment(self.folder, VIP, action), expected)

    def in_turn(self, rows, number, suffix=""):
        """Let each agent do the actions of the rows, which belong together."""
        for who, _ in self.turns(number):
            for told in rows:
                self.act(who, told, suffix=suffix)


def ask():
    """The Cost of `ip` alone saying where the address is."""
    return measure.run(ASK, {"PATH": PATH, "LC_ALL": "C"})


def actions(bench, host, number):
    """One round of every action on a host with one address."""
    watched(bench, host, number)
    for rows in ([CHECK], [START, STOP], [META]):
        bench.in_turn(rows, number)


def watched(bench, host, number, count=0):
    """One round of monitor, status and probe on a host with `count` more addresses."""
    host.enter()
    ask()                   # the first one after another host's turn takes longer
    suffix = suffix_of(count)
    for rows in (STOPPED, RUNNING):
        for told in rows:
            bench.in_turn([told], number, suffix)
            bench.note((told[0] + suffix, IP), ask())
        if rows is STOPPED:
            ip(host.name, "addr", "add", VIP + "/24", "brd", "+", "dev", "eth0")
    ip(host.name, "addr", "del", VIP + "/24", "dev", "eth0")


def suffix_of(count):
    """What the row of a crowded host ends with."""
    return ", {:,} addresses".format(count) if count else ""


def count(bench, host):
    """Count the programs and the memory of every action; what varies is kept, as with the clock."""
    host.enter()
    for keep, kind in ((measure.programs, bench.programs), (measure.memory, bench.memory)):
        for who in bench.agents:
            for row in ACTIONS:
                bench.act(who, row, keep=lambda key, *words, keep=keep, kind=kind:
                          kind[key].append(keep(*words)))


def announced(bench, host, neighbour, number):
    """One round of starts, each until the neighbour received the first announcement."""
    host.enter()
    for row, address, parameters in ANNOUNCED:
        for who, agent in bench.turns(number):
            env = environment(bench.folder, address, "start", **parameters)
            bench.wall[row, who].append(
                announcements.time_to_first(neighbour, command(agent, "start"), env, address))
            measure.run(command(agent, "stop"), environment(bench.folder, address, "stop"))
