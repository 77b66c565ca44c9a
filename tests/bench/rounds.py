# SPDX-License-Identifier: GPL-2.0-only
"""The runs that are measured, in rounds: each agent in turn goes through all actions once.

Values are kept by (row, who): row as the report shows it, who is a key of the agents.
"""

import collections

from tests.netns.state import ip

from . import announcements, measure
from .agents import PATH, command, environment

VIP = "192.0.2.50"
#: Row, action, exit code; "?" is served or not.
WATCH = ("monitor", "status", "probe")
STOPPED = [("%s, not running" % action, action, 7) for action in WATCH]
RUNNING = [("%s, running" % action, action, 0) for action in WATCH]
ACTIONS = [("validate-all", "validate-all", 0), *STOPPED, ("start", "start", 0), *RUNNING,
           ("stop", "stop", 0), ("meta-data", "meta-data", 0)]
ASK = ["/usr/sbin/ip", "-o", "-f", "inet", "addr", "show", "to", VIP]
ASK_ROW = "ip addr show to ADDRESS"
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

    def clock(self, key, argv, env, expected=0):
        """Run and keep what it cost."""
        cost = measure.run(argv, env, expected)
        self.wall[key].append(cost.wall)
        self.cpu[key].append(cost.cpu)

    def act(self, who, rows, keep=None, suffix=""):
        """Let an agent do the actions of the rows; keep(key, argv, env, expected) measures one."""
        for row, action, expected in rows:
            (keep or self.clock)((row + suffix, who), command(self.agents[who], action),
                                 environment(self.folder, VIP, action), expected)


def actions(bench, host, number):
    """One round of every action on a host with one address."""
    host.enter()
    for who, _ in bench.turns(number):
        bench.act(who, ACTIONS)
    bench.clock((ASK_ROW, "ip"), ASK, {"PATH": PATH, "LC_ALL": "C"})


def crowded(bench, host, count, number):
    """One round of monitor, status and probe on a host with `count` more addresses."""
    suffix = suffix_of(count)
    host.enter()
    for who, _ in bench.turns(number):
        bench.act(who, STOPPED, suffix=suffix)
    ip(host.name, "addr", "add", VIP + "/24", "brd", "+", "dev", "eth0")
    for who, _ in bench.turns(number):
        bench.act(who, RUNNING, suffix=suffix)
    bench.clock((ASK_ROW + suffix, "ip"), ASK, {"PATH": PATH, "LC_ALL": "C"})
    ip(host.name, "addr", "del", VIP + "/24", "dev", "eth0")


def suffix_of(count):
    """What the row of a crowded host ends with."""
    return ", {:,} addresses".format(count)


def count(bench, host):
    """Count the programs and the memory of every action; what varies is kept, as with the clock."""
    host.enter()
    for keep, kind in ((measure.programs, bench.programs), (measure.memory, bench.memory)):
        for who in bench.agents:
            bench.act(who, ACTIONS, keep=lambda key, *words, keep=keep, kind=kind:
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
