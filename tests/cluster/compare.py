# SPDX-License-Identifier: GPL-2.0-only
"""Measure the shell agent and ours back to back in one lab, and print a Markdown table.

    python3 -m tests.cluster.compare [--runs N] [--addresses N] [--seconds N]

Run as root from the top of the checkout. Both agents take turns: two rounds of half the runs
each. gap: the longest time for which a client that pings every 10 ms has no answer. start, stop,
monitor: what Pacemaker has recorded in its CIB (exec-time). CPU: user and system time of all
processes of both nodes, while that many addresses are monitored every 2 s; with none of them, it
is the cluster's own. On a busy machine gaps are longer, and fewer monitors run in a minute than
should: the load is printed along, and the table means something only where it is low.
"""
import argparse
import collections
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

from tests.cluster.lab import Lab, SHELL, wait_until
from tests.cluster.machine import OURS
from tests.cluster.watch import Watch, longest_hole

AGENTS = {"shell agent": SHELL, "this agent": OURS}
FAMILIES = {"IPv4": ("192.0.2.200", 24), "IPv6": ("2001:db8::200", 64)}
TICKS = 100  # USER_HZ, of /proc/<pid>/stat


def progress(*words):
    """Say on stderr where we are."""
    load = os.getloadavg()[0]
    print(time.strftime("%H:%M:%S"), f"load {load:.1f}", *words, file=sys.stderr, flush=True)


def recorded(lab, resource):
    """{(node, operation): milliseconds} of the last run of each operation of a resource."""
    found = lab.run("cibadmin", "-Q", "--xpath", f"//lrm_resource[@id='{resource}']").stdout
    times = {}
    for record in ET.fromstring(found).iter("lrm_rsc_op"):
        probe = record.get("operation") == "monitor" and record.get("interval") == "0"
        if record.get("rc-code") == "0" and not probe:
            times[record.get("on_node"), record.get("operation")] = int(record.get("exec-time"))
    return times


def measure(lab, ip, change, restore):
    """Move resource vip by a command and return (gap in seconds, start, stop, monitor in ms)."""
    old = lab.running_on("vip")[0]
    new = next(name for name in lab.nodes if name != old)
    with Watch(lab.folder) as watch:
        watch.start("pings", lab.client, "ping", "-D", "-n", "-i", "0.01", ip)
        wait_until(lambda: len(watch.lines("pings")) > 50, "answers")
        lab.run(*[word.format(old=old, new=new) for word in change])
        lab.settle()  # a pending start counts as running for crm_resource -W, but not for --wait
        before = len(watch.lines("pings"))
        wait_until(lambda: len(watch.lines("pings")) > before + 50, "answers")
    gap = longest_hole(watch.lines("pings"))
    times = recorded(lab, "vip")
    lab.run(*[word.format(old=old, new=new) for word in restore])
    lab.settle()
    return gap, times[new, "start"], times[old, "stop"], times[new, "monitor"]


CHANGES = {
    "move": (("crm_resource", "-r", "vip", "--move", "-N", "{new}"),
             ("crm_resource", "-r", "vip", "--clear")),
    "standby": (("crm_attribute", "-q", "-N", "{old}", "-n", "standby", "-v", "on"),
                ("crm_attribute", "-q", "-N", "{old}", "-n", "standby", "-D")),
}


def failovers(lab, runs, samples):
    """Fill samples[(what, agent)] with figures: gaps in s, execution times in ms."""
    for family, (ip, mask) in FAMILIES.items():
        for name, agent in 2 * [*AGENTS.items()]:
            lab.primitive("vip", agent=agent, ip=ip, cidr_netmask=mask, nic="eth0")
            lab.check({"vip": ip})
            for change, commands in CHANGES.items():
                for _ in range((runs + 1) // 2):
                    gap, *times = measure(lab, ip, *commands)
                    progress(name, change, family, f"{gap:.2f} s", times)
                    samples[f"gap of a {change}, {family} (s)", name].append(gap)
                    for action, spent in zip(("start", "stop", "monitor"), times):
                        samples[f"{action}, {family} (ms)", name].append(spent)
            lab.erase()


def cpu(lab):
    """Seconds that all processes of both nodes, and their reaped children, have spent so far."""
    total = 0
    for node in lab.nodes.values():
        for line in node.run("sh", "-c", "cat /proc/[0-9]*/stat", check=False).stdout.splitlines():
            total += sum(map(int, line.rpartition(")")[2].split()[11:15]))
    return total / TICKS


def many(lab, agent, number):
    """Create that many addresses at once, monitored every 2 s."""
    resources = ET.Element("resources")
    for i in range(number):
        name = f"many{i}"
        standard, provider, kind = agent.split(":")
        primitive = ET.SubElement(resources, "primitive", {
            "id": name, "class": standard, "provider": provider, "type": kind})
        params = ET.SubElement(primitive, "instance_attributes", id=name + "-params")
        for key, value in (("ip", f"192.0.2.{200 + i}"), ("cidr_netmask", "24"), ("nic", "eth0")):
            ET.SubElement(params, "nvpair", id=f"{name}-{key}", name=key, value=value)
        ET.SubElement(ET.SubElement(primitive, "operations"), "op", id=name + "-monitor",
                      name="monitor", interval="2s", timeout="60s")
    lab.run("cibadmin", "--replace", "--scope", "resources", "--xml-pipe",
            input=ET.tostring(resources, encoding="unicode"))
    lab.settle()
    assert not lab.failures()


def load(lab, addresses, seconds, samples):
    """Fill samples with the CPU seconds per minute of both nodes."""
    alone = spent(lab, seconds)
    for name, agent in 2 * [*AGENTS.items()]:
        many(lab, agent, addresses)
        busy = spent(lab, seconds)
        progress(name, f"CPU {busy:.1f}, without addresses {alone:.1f}")
        samples["CPU of both nodes, no address (s per minute)", name].append(alone)
        samples[f"CPU of both nodes, {addresses} addresses (s per minute)", name].append(busy)
        assert not lab.failures()
        lab.erase()


def spent(lab, seconds):
    """CPU seconds per minute, measured over that many seconds."""
    before, since = cpu(lab), time.monotonic()
    time.sleep(seconds)
    return (cpu(lab) - before) * 60 / (time.monotonic() - since)


def table(samples):
    """Markdown: a row for each figure, the median for each agent and of how many."""
    lines = ["| median | " + " | ".join(AGENTS) + " | runs |", "|---" * (len(AGENTS) + 2) + "|"]
    for what in sorted({what for what, _ in samples}, key=lambda what: ("CPU" in what,
                       "IPv6" in what, "gap" not in what, "monitor" in what, what)):
        cells = [statistics.median(samples[what, name]) for name in AGENTS]
        digits = 0 if "(ms)" in what else 2 if "gap" in what else 1
        runs = min(len(samples[what, name]) for name in AGENTS)
        lines.append(f"| {what} | " + " | ".join(f"{c:.{digits}f}" for c in cells) + f" | {runs} |")
    return "\n".join(lines)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="moves and standbys of each agent")
    parser.add_argument("--addresses", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60, help="of each measurement of the CPU")
    options = parser.parse_args()
    samples = collections.defaultdict(list)
    folder = tempfile.mkdtemp(prefix="cluster-compare-")
    lab = Lab(pathlib.Path(folder), 2)
    try:
        lab.up()
        failovers(lab, options.runs, samples)
        if options.addresses:
            load(lab, options.addresses, options.seconds, samples)
    finally:
        lab.down()
    shutil.rmtree(folder)  # after a failure it stays, for its logs
    print(table(samples))


if __name__ == "__main__":
    main()
