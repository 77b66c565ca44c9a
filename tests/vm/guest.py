#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Inside the machine: takes the agents through the cases, and prints what was seen.

    guest.py NAME=PROGRAM...    one line of JSON for each agent: {"agent", "case": [seen, ...]}

Each agent and case has namespaces of its own: a node with eth0 (192.0.2.1/24), a client at .9.
"""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.lab import namespaces   # noqa: E402
from tests.vm.cases import CASES, split     # noqa: E402

VIP = "192.0.2.100"
NET = pathlib.Path("/proc/self/net")
READS = re.compile("^[01] (monitor|status|probe)")      # after which there is nothing new to see
TRAFFIC = ["/usr/bin/python3", "-IS", str(HERE.parent / "lab" / "traffic.py")]


def sh(words, **more):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, **more)


class Place:
    """A node, which this process enters, and its client; `close` removes both."""

    def __init__(self, name):
        self.node, self.client = name + "-node", name + "-client"
        self.rsctmp = "/run/" + name
        os.makedirs(self.rsctmp)
        lines = "link set dev lo up\n" \
            "link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 netns %s\n" \
            "link set dev eth0 up\naddr add 192.0.2.1/24 brd + dev eth0\n" \
            "route add 198.18.0.0/15 via 192.0.2.9\n" % self.client
        for namespace in (self.client, self.node):
            sh(["ip", "netns", "add", namespace])
        self.batch(self.node, lines)
        self.batch(self.client, "link set dev lo up\nlink set dev eth0 up\n"
                   "addr add 192.0.2.9/24 dev eth0\nroute add local 198.18.0.0/15 dev lo\n")
        namespaces.enter(namespaces.opened(self.node))
        self.server = None

    def batch(self, namespace, lines):
        done = subprocess.run(["ip", "-n", namespace, "-batch", "-"], input=lines, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout

    def close(self):
        if self.server:
            self.server.kill()
            self.server.wait()
        for namespace in (self.node, self.client):
            sh(["ip", "netns", "delete", namespace])

    def serve(self):
        if not self.server:
            self.server = subprocess.Popen(
                [*TRAFFIC, "answer", "me", VIP], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                text=True)
            self.server.stdout.readline()


def look(place):
    """The state that counts, as the kernel tells it."""
    buckets, groups = NET / "ipt_CLUSTERIP" / VIP, NET / "dev_mcast"
    address = sh(["ip", "-o", "-4", "addr", "show", "dev", "eth0"]).stdout
    return {"rules": sh(["iptables-legacy", "-S", "INPUT"]).stdout.splitlines(),
            "buckets": buckets.read_text().strip() if buckets.exists() else None,
            "addresses": [line.split("valid_lft")[0].split()[3:] for line in address.splitlines()],
            "groups": sorted(line.split()[4] for line in groups.read_text().splitlines()
                             if line.split()[1] == "eth0"),
            "locks": [name for name in os.listdir(place.rsctmp) if "CIP" in name]}


def environment(place, instance, settings):
    """The agent's environment for one instance."""
    found = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OCF_ROOT": "/usr/lib/ocf",
             "OCF_RESOURCE_INSTANCE": "vip:%s" % instance, "HA_RSCTMP": place.rsctmp,
             "HA_LOGFILE": place.rsctmp + ".log", "LC_ALL": "C"}
    given = {"ip": VIP, "nic": "eth0", "cidr_netmask": "24", "arp_count": "1",
             "CRM_meta_clone": instance, "CRM_meta_clone_max": "2", "CRM_meta_interval": "10000",
             "CRM_meta_timeout": "60000", **settings}
    for name, value in given.items():
        found[name if name.isupper() else "OCF_RESKEY_" + name] = value
    return found


def start_agent(program, place, instance, action, settings):
    settings = dict(settings, **({"CRM_meta_interval": "0"} if action == "probe" else {}))
    return subprocess.Popen(
        [program, "monitor" if action == "probe" else action],
        stdin=subprocess.DEVNULL, stdout=open(place.rsctmp + ".out", "w"),
        stderr=open(place.rsctmp + ".err", "w"), env=environment(place, instance, settings))


def do(program, place, step):
    """One step; {"rc", "reason", "out"} or what it was about."""
    first, rest = step.split(" ", 1) if " " in step else (step, "")
    if first == "$":
        done = sh(shlex.split(rest))
        return {"rc": [done.returncode], "out": done.stdout}
    if first == "write":
        (NET / "ipt_CLUSTERIP" / VIP).write_text(rest + "\n")
        return {"rc": [0]}
    if first == "traffic":
        place.serve()
        told = sh(["ip", "netns", "exec", place.client, *TRAFFIC, "ask", "ports", VIP, "7",
                   "48"]).stdout
        return {"answered": sorted(port for port, said in json.loads(told).items() if said)}
    action, *words = shlex.split(rest)
    settings = dict(word.split("=", 1) for word in words)
    runs = [start_agent(program, place, instance, action, settings)
            for instance in ("01" if first == "both" else first)]
    codes = [run.wait(120) for run in runs]
    err = pathlib.Path(place.rsctmp + ".err").read_text()
    return {"rc": codes, "reason": "ocf-exit-reason:" in err,
            "out": pathlib.Path(place.rsctmp + ".out").read_text(), "err": err}


def play(name, program):
    """All cases with one agent."""
    seen = {}
    for number, (case, steps) in enumerate(CASES.items()):
        place = Place("%s%d" % (name, number))
        try:
            seen[case] = []
            for step in [split(step)[0] for step in steps]:
                begin = time.monotonic()
                done = do(program, place, step)
                seen[case].append(dict(done, state=None if READS.search(step) else look(place)))
                print("%s, %s: %s took %.1f s" % (name, case, step, time.monotonic() - begin),
                      flush=True)
        finally:
            place.close()
    return seen


def main(words):
    children = []
    for word in words:
        name, program = word.split("=")
        path = "/tmp/seen-" + name
        pid = os.fork()
        if not pid:
            try:
                pathlib.Path(path).write_text(json.dumps(play(name, program)))
                os._exit(0)
            except BaseException as problem:
                sys.excepthook(type(problem), problem, problem.__traceback__)
                sys.stderr.flush()
                os._exit(1)
        children.append((pid, name, path))
    failed = [os.waitpid(pid, 0)[1] for pid, _, _ in children]
    for _, name, path in children:
        if os.path.exists(path):
            print("seen %s %s" % (name, pathlib.Path(path).read_text()), flush=True)
    return 1 if any(failed) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
