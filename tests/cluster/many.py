# SPDX-License-Identifier: GPL-2.0-only
"""Hundreds of addresses on one node of a cluster: the shell agent and ours, one after the other.

    python3 -m tests.cluster.many [--addresses N] [--seconds N] [--agent ours|shell|both]
                                  [--set OPTION=VALUE ...] [--write doc/many]

Run as root from the top of the checkout.  For each agent a cluster of two nodes is made, all
addresses are configured at once and start on one node; then they are monitored every 10 s; then
that node goes to standby, and the other one takes all of them.  What is printed:

start, standby  seconds until the last address was there, as the kernels noted it, and until the
                cluster was at rest; or how many were there after --patience seconds
gap             of a standby: how long an address was on neither node
CPU             seconds of user and system time: of the agents with all that they start, and
                of Corosync and Pacemaker; while monitors run, per minute
programs        processes that were started per minute of monitors
ARP packets     that the client's interface got in the busiest tenth of a second, and in all

--set sets an option of the cluster, such as load-threshold=100%, or a default of all actions, such
as op_defaults/record-pending=false.  --write keeps the figures of a page, those of an
agent that is not measured as they are there, and makes its plot.
"""
import argparse
import collections
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

from tests.cluster import crowd_chart
from tests.cluster.compare import AGENTS, TICKS, progress
from tests.cluster.lab import Lab, wait_until
from tests.cluster.watch import Watch

PATIENCE = 600              # seconds for all addresses to start, or to move, unless given
#: What Pacemaker logs at its limits: load-threshold, cluster-ipc-limit, PCMK_ipc_buffer.
LIMITS = ("High CPU load", "Moderate CPU load", "Noticeable CPU load", "High CIB load",
          "Evicting client", "IPC limit")
NAMES = {"ours": "this agent", "shell": "shell agent"}


def address(number):
    """The address of resource number `number`."""
    return f"10.9.{number // 250}.{number % 250 + 1}"


def resources(agent, number):
    """The XML of that many primitives, each monitored every 10 s."""
    found = ET.Element("resources")
    standard, provider, kind = agent.split(":")
    for i in range(number):
        name = f"vip{i}"
        primitive = ET.SubElement(found, "primitive", {
            "id": name, "class": standard, "provider": provider, "type": kind})
        params = ET.SubElement(primitive, "instance_attributes", id=name + "-params")
        for key, value in (("ip", address(i)), ("cidr_netmask", "16"), ("nic", "eth0")):
            ET.SubElement(params, "nvpair", id=f"{name}-{key}", name=key, value=value)
        ET.SubElement(ET.SubElement(primitive, "operations"), "op", id=name + "-monitor",
                      name="monitor", interval="10s", timeout="20s")
    return ET.tostring(found, encoding="unicode")


class Crowd:
    """A cluster whose addresses come and go together."""

    def __init__(self, lab, watch, number, patience):
        self.lab, self.watch, self.number, self.patience = lab, watch, number, patience
        for name, node in lab.nodes.items():
            node.run("ip", "address", "add", f"10.9.255.{lab.numbers[name]}/16", "dev", "eth0")
            watch.start(name + ".addresses", node, "ip", "-ts", "-o", "monitor", "address")
        watch.start("arp", lab.client, "sh", "-c",
                    "exec tcpdump -i eth0 -n -tt -l -q arp 2>/dev/null")

    def events(self, name):
        """Address -> [(seconds of the day, +1 or -1)] on a node, in order."""
        found = {}
        for words in self.watch.lines(name + ".addresses"):
            text = next((word for word in words if word.startswith("10.9.")), "")
            if text:
                sign = -1 if "Deleted" in words else 1
                found.setdefault(text.partition("/")[0], []).append((seconds(words[0]), sign))
        return found

    def held(self, name):
        """How many of the addresses the node has."""
        last = [events[-1][1] for ip, events in self.events(name).items()
                if not ip.startswith("10.9.255.")]
        return last.count(1)

    def arrive(self, name, command):
        """Run the command, a callable, and wait until the node has all addresses.

        Gives {"arrived", "at rest"} in seconds since then, None where patience was over first;
        "there": how many there are; "cpu" as cpu() has it; "curve": the seconds at which each
        address arrived.
        """
        before, begin = cpu(self.lab), time.time() % 86400
        start = time.monotonic()
        command()
        rest = None
        try:
            wait_until(lambda: self.held(name) == self.number, name, seconds=self.patience)
            if at_rest(self.lab):
                rest = time.monotonic() - start
        except AssertionError:      # it is not done: that is what is told
            pass
        spent = difference(cpu(self.lab), before)
        curve = sorted(events[-1][0] - begin for ip, events in self.events(name).items()
                       if not ip.startswith("10.9.255.") and events[-1][0] >= begin)
        done = len(curve) == self.number
        return {"arrived": curve[-1] if done else None, "at rest": rest, "there": len(curve),
                "cpu": spent, "curve": curve}

    def packets(self):
        """{"busiest", "in all"}: ARP packets in a tenth of a second, and altogether, so far."""
        tenths = collections.Counter(words[0].partition(".")[0] + words[0].partition(".")[2][:1]
                                     for words in self.watch.lines("arp") if "ARP," in words)
        return {"busiest": max(tenths.values(), default=0), "in all": sum(tenths.values())}

    def gaps(self, old, new):
        """For each address, seconds between its end on one node and its arrival on the other."""
        ended, begun = self.events(old), self.events(new)
        return [begun[ip][-1][0] - events[-1][0] for ip, events in ended.items()
                if ip in begun and events[-1][1] < 0]

    def steady(self, length):
        """CPU as cpu() has it and processes started, per minute, over that many seconds."""
        before, pids, start = cpu(self.lab), last_pids(self.lab), time.monotonic()
        time.sleep(length)
        factor = 60 / (time.monotonic() - start)
        told = {name: value * factor for name, value in difference(cpu(self.lab), before).items()}
        return {"cpu": told, "programs": (last_pids(self.lab) - pids) * factor}


def seconds(stamp):
    """Seconds of the day of `ip -ts`: [2026-11-27T07:15:00.123456], UTC as the lab's clock is."""
    hours, minutes, rest = stamp.strip("[]").partition("T")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def cpu(lab):
    """{"agents", "cluster"}: seconds of user and system time so far, of all nodes together.

    The agents are pacemaker-execd's children, and what they left to the background, which the
    machine's first process reaps.
    """
    agents = cluster = 0
    for node in lab.nodes.values():
        text = node.run("sh", "-c", "cat /proc/[0-9]*/stat", check=False).stdout
        for line in text.splitlines():
            head, _, rest = line.rpartition(") ")
            pid, _, name = head.partition(" (")
            own, reaped = [sum(map(int, rest.split()[i:i + 2])) for i in (11, 13)]
            if pid == "1" or name == "pacemaker-execd":
                agents += reaped
            if name.startswith(("pacemaker", "corosync")):
                cluster += own
    return {"agents": agents / TICKS, "cluster": cluster / TICKS}


def difference(later, earlier):
    """What was spent in between."""
    return {name: later[name] - earlier[name] for name in later}


def last_pids(lab):
    """The sum of the process numbers that the nodes gave last."""
    return sum(int(node.run("cat", "/proc/loadavg").stdout.split()[-1])
               for node in lab.nodes.values())


def at_rest(lab):
    """Whether no action is pending, or none is after a while."""
    try:
        lab.settle()
    except AssertionError:
        return False
    return True


def calm():
    """Wait until the load of the machine is low: Pacemaker goes by it."""
    wait_until(lambda: os.getloadavg()[0] < 0.8, "a load below 0.8", seconds=900)


def measure(agent, number, length, options, folder, patience=PATIENCE):
    """All figures of one agent, in a cluster of its own."""
    lab = Lab(pathlib.Path(folder), 2)
    try:
        lab.up()
        for name, value in {"load-threshold": "80%", **options}.items():
            kind, _, name = name.rpartition("/")
            lab.run("crm_attribute", "-q", "-t", kind or "crm_config", "-n", name, "-v", value)
        lab.run("crm_attribute", "-q", "-N", "n2", "-n", "standby", "-v", "on")
        lab.settle()
        with Watch(lab.folder) as watch:
            crowd = Crowd(lab, watch, number, patience)
            xml = resources(AGENTS[agent], number)
            found = {"start": crowd.arrive("n1", lambda: lab.run(
                "cibadmin", "--replace", "--scope", "resources", "--xml-pipe", input=xml))}
            progress(agent, "started", told(found["start"]))
            lab.run("crm_attribute", "-q", "-N", "n2", "-n", "standby", "-D")
            at_rest(lab)
            there = crowd.held("n1")
            found["monitors"] = crowd.steady(length)
            progress(agent, "monitors", found["monitors"])
            found["standby"] = crowd.arrive("n2", lambda: lab.run(
                "crm_attribute", "-q", "-N", "n1", "-n", "standby", "-v", "on"))
            progress(agent, "moved", told(found["standby"]))
            found["failed actions"] = len(lab.failures())
            gaps = crowd.gaps("n1", "n2")
            assert crowd.held("n1") + crowd.held("n2") <= number and len(gaps) <= there
            found["standby"]["gap"] = {"median": statistics.median(gaps), "longest": max(gaps),
                                       "shortest": min(gaps)}
            found["cib"] = len(lab.run("cibadmin", "-Q").stdout)
            found["packets"] = crowd.packets()
            found["logged"] = {text: sum(logged.count(text) for logged in (
                (lab.folder / name / "var/log/pacemaker/pacemaker.log").read_text(errors="replace")
                for name in lab.nodes)) for text in LIMITS}
    finally:
        lab.down()
    return found


def told(step):
    """What arrive() gave, in few words."""
    return {name: value for name, value in step.items() if name != "curve"}


def table(made):
    """Markdown: a row for each figure, a column for each agent."""
    agents = list(made["agents"])
    lines = ["| | " + " | ".join(agents) + " |", "|---" * (len(agents) + 1) + "|"]

    def row(what, value, digits=1):
        values = [value(made["agents"][name]) for name in agents]
        cells = [one if isinstance(one, str) else f"{one:,.{digits}f}" for one in values]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")

    def until(step, name):
        """The seconds of a step, or how many were there in the end."""
        return lambda told: told[step][name] or f"{told[step]['there']} of them after " \
            f"{told[step]['curve'][-1]:.0f} s"

    for step, name in (("start", "start of all"), ("standby", "standby")):
        row(f"{name}: the last address is there (s)", until(step, "arrived"))
        row(f"{name}: the cluster is at rest (s)", until(step, "at rest"))
        row(f"{name}: CPU of the agents (s)", lambda told, step=step: told[step]["cpu"]["agents"])
        row(f"{name}: CPU of Corosync and Pacemaker (s)",
            lambda told, step=step: told[step]["cpu"]["cluster"])
    row("standby: an address is on neither node, median (s)",
        lambda told: told["standby"]["gap"]["median"], 2)
    row("standby: the same, longest (s)", lambda told: told["standby"]["gap"]["longest"], 2)
    row("monitors: CPU of the agents (s per minute)",
        lambda told: told["monitors"]["cpu"]["agents"])
    row("monitors: CPU of Corosync and Pacemaker (s per minute)",
        lambda told: told["monitors"]["cpu"]["cluster"])
    row("failed actions", lambda told: told["failed actions"], 0)
    row("ARP packets in the busiest tenth of a second",
        lambda told: told["packets"]["busiest"], 0)
    row("ARP packets in all", lambda told: told["packets"]["in all"], 0)
    for text in LIMITS:
        if any(told["logged"][text] for told in made["agents"].values()):
            row(f"Pacemaker's log: {text}", lambda told, text=text: told["logged"][text], 0)
    row("monitors: programs started (per minute)", lambda told: told["monitors"]["programs"], 0)
    return "\n".join(lines)


def summary(found):
    """The figures of an agent as they are kept: rounded, and of the curves fifty points."""
    def kept(value, name=""):
        if isinstance(value, dict):
            return {key: kept(one, key) for key, one in value.items()}
        if isinstance(value, list):
            step = max(1, len(value) // 50)
            return [round(one, 2) for one in value[::step]] + [round(value[-1], 2)]
        return round(value, 3) if isinstance(value, float) else value
    return kept(found)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.cluster.many",
                                     description=__doc__.splitlines()[0])
    parser.add_argument("--addresses", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=120, help="that monitors are watched (120)")
    parser.add_argument("--agent", choices=["ours", "shell", "both"], default="both")
    parser.add_argument("--patience", type=int, default=PATIENCE, metavar="SECONDS",
                        help="for all to start, or to move (%(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE",
                        help="an option of the cluster, such as load-threshold=100%%")
    parser.add_argument("--write", metavar="PATH", help="PATH.json and PATH.svg")
    options = parser.parse_args()
    wanted = list(NAMES) if options.agent == "both" else [options.agent]
    made = {"addresses": options.addresses, "options": options.set, "agents": {}}
    for name in wanted:
        calm()
        folder = tempfile.mkdtemp(prefix="cluster-many-")
        made["agents"][NAMES[name]] = measure(
            NAMES[name], options.addresses, options.seconds,
            dict(word.split("=", 1) for word in options.set), folder, options.patience)
        shutil.rmtree(folder)       # after a failure it stays, for its logs
        if options.write:
            write(pathlib.Path(options.write), made)
    print(table(made))


def write(path, made):
    """Write PATH.json, in which an agent that was not measured stays, and PATH.svg."""
    kept = json.loads(path.with_suffix(".json").read_text("utf-8"))["agents"] \
        if path.with_suffix(".json").exists() else {}
    kept.update((name, summary(found)) for name, found in made["agents"].items())
    made = dict(made, agents={name: kept[name] for name in NAMES.values() if name in kept})
    path.with_suffix(".json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".svg").write_text(crowd_chart.chart(made), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
