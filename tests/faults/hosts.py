# SPDX-License-Identifier: GPL-2.0-only
"""Hosts for many cases at once: each worker has a pair of namespaces, an agent and its tools."""

import concurrent.futures
import os
import pathlib
import signal
import subprocess
import threading

from tests.lab.agent import IP, Agent
from tests.lab.namespaces import CHECKOUT
from tests.lab.state import decoded, ip, processes, wait_until

PROGRAM = str(CHECKOUT / "bin" / "IPaddr2")
SHELL_AGENT = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2"
HOSTS = 10                              # pairs of namespaces, and cases under way at once
LVS = "192.0.2.60"                      # an address that lo has as well
ALTNAME = "uplink-to-the-world0"        # too long to be a name
#: What is hidden, for the agent would find it where the stand-in is gone.
HIDDEN = tuple(path for path in ("/usr/bin/arping", "/usr/bin/logger") if os.path.exists(path))
#: With $agent: tells the stand-ins its process id, which it keeps.
BECOME = 'echo $$ >"$agent"; for path in %s; do mount --bind /dev/null $path; done; exec "$@"'


class HostAgent(Agent):
    """The agent of a Host; what the stand-ins replace is hidden from it."""

    def environment(self, action, env=None, **parameters):
        return dict(super().environment(action, env, **parameters),
                    agent=str(self.folder / "tools" / "agent"))

    #: Words that start the agent's program, such as those of strace(1).
    by = ()

    def command(self, action, inside=None):
        word = "monitor" if action == "probe" else action
        return [IP, "netns", "exec", inside or self.namespace, "/bin/sh", "-c",
                BECOME % " ".join(HIDDEN), "sh", *self.by, self.program, word]


def batch_json(namespace, options, *lines):
    """What `ip -json` says to each line: one process for all, for this is asked all the time."""
    done = subprocess.run([IP, "-n", namespace, *options, "-json", "-batch", "-"], check=True,
                          input="".join(line + "\n" for line in lines), text=True, timeout=20,
                          stdout=subprocess.PIPE)
    values = decoded(done.stdout)
    assert len(values) == len(lines), (lines, done.stdout)
    return values


def described(entry, *without):
    """A dict of iproute2's as a tuple of texts that can be compared."""
    return tuple("%s=%s" % item for item in sorted(entry.items()) if item[0] not in without)


class Host:
    """Names: node (its namespace), outside (another), agent, tools; `before`: how it all began."""

    def __init__(self, pair, folder):
        from .tools import Tools

        self.pair = pair
        self.node = pair.node
        self.outside = pair.neighbour
        self.folder = folder
        self.agent = HostAgent(PROGRAM, pair.node, folder)
        self.tools = Tools(folder / "tools")
        self.serves = None      # the scenario whose start came last
        ip(pair.node, "link", "property", "add", "dev", "eth0", "altname", ALTNAME)
        self.give_back()
        self.before = self.state()

    def run(self, action, asked, env=None, healthy=False, **more):
        """One action; a Done.  It must not have left a traceback anywhere.

        healthy: with the system's own programs in place of the tools.
        """
        tools = {} if healthy else self.tools.environment()
        done = self.agent(action, **{**asked, **more}, env={**tools, **(env or {})})
        assert "Traceback" not in done.err + done.log, "a traceback: %r" % done
        assert "unexpected error" not in done.err, "an unexpected error: %r" % done
        return done

    def state(self):
        """All that an agent can change: the node's links, addresses, labels and routes."""
        links, labels, routes = batch_json(
            self.node, [], "addr show", "addrlabel list", "route show table main")
        routes6, = batch_json(self.node, ["-6"], "route show table main")
        found = [(link["ifname"], "UP" in link["flags"]) for link in links if link]
        found += [(link["ifname"],) + described(entry, "tentative", "link_netnsid")
                  for link in links if link for entry in link["addr_info"]
                  if not entry["local"].startswith("fe80:")]
        found += [("route",) + described(entry) for entry in routes + routes6
                  if not entry["dst"].startswith(("fe80:", "ff00:"))]
        return found + [("label",) + described(entry) for entry in labels]

    def places(self, wanted):
        """Where `wanted` is on the node: the set of texts such as "eth0/24"."""
        links, = batch_json(self.node, [], "addr show")
        return {"%s/%d" % (link["ifname"], entry["prefixlen"]) for link in links if link
                for entry in link["addr_info"] if entry["local"] == wanted}

    def files(self):
        """Names of the files in HA_RSCTMP."""
        return sorted(os.listdir(self.agent.rsctmp))

    def differs(self, before):
        """What is new since `before`, and what is missing; "" where it is the same."""
        now = self.state()
        return "" if now == before else "new: %s; missing: %s" % (
            [entry for entry in now if entry not in before],
            [entry for entry in before if entry not in now])

    def reset(self):
        """Take away every address and label that was not there at first."""
        for entry in self.state():
            if entry in self.before:
                continue
            words = dict(pair.split("=", 1) for pair in entry[1:] if "=" in str(pair))
            if entry[0] == "label":
                ip(self.node, "addrlabel", "del", "prefix", "%(address)s/%(prefixlen)s" % words,
                   "label", words["label"])
            elif entry[0] != "route":
                ip(self.node, "addr", "del", "%(local)s/%(prefixlen)s" % words, "dev", entry[0])

    def give_back(self):
        """Have LVS on lo, as at the beginning."""
        ip(self.node, "addr", "replace", LVS + "/32", "brd", "255.255.255.255", "dev", "lo")

    def end_processes(self):
        """End what still runs in the namespaces; ids of what ran."""
        found = processes(self.node) + processes(self.outside)
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return found

    def calm(self, what="the agent's children"):
        """Wait until no process is left in the namespaces."""
        def left():
            return processes(self.node) + processes(self.outside)

        try:
            wait_until(lambda: not left(), what)
        except AssertionError as problem:
            raise AssertionError("%s; left: %s" % (
                problem, [process_seen(pid) for pid in left()])) from problem


def process_seen(pid):
    """What a process is: its state, its words, where it waits in the kernel."""
    place = pathlib.Path("/proc/%d" % pid)
    try:
        return "%s [%s] %s" % ((place / "cmdline").read_bytes().replace(b"\0", b" ").decode(),
                               (place / "wchan").read_text(), (place / "stat").read_text())
    except OSError as problem:
        return "%d: %s" % (pid, problem)


class Hosts:
    """A store of Hosts: at_once() runs cases on all of them."""

    def __init__(self, make):
        self._make = make
        self._hosts = [make() for _ in range(HOSTS)]

    def one(self):
        """A host, for what has no company."""
        return self._hosts[0]

    def at_once(self, cases, work, finish=None):
        """work(host, case) for every case, many at once, then finish(host) where a case was met;
        fails with all that went wrong, else gives the number of cases.

        A host that a failed case has left in disorder is replaced.  A case that has `served` goes
        to a host that serves an address, or does not, as far as there is one.
        """
        waiting = list(cases)
        number, wrong, lock = len(waiting), [], threading.Lock()

        def pick(host):
            with lock:
                fitting = [case for case in waiting[:200]
                           if getattr(case, "served", None) in (None, bool(host.serves))]
                case = (fitting or waiting or [None])[0]
                if case is not None:
                    waiting.remove(case)
                return case

        def attempt(index, what, function, *words):
            try:
                function(self._hosts[index], *words)
            except Exception as problem:    # that case's own; the others go on
                wrong.append("%.400s: %.2000s: %s" % (what, problem, type(problem).__name__))
                self._hosts[index].end_processes()
                self._hosts[index] = self._make()

        def work_off(index):
            case = pick(self._hosts[index])
            while case is not None:
                attempt(index, case, work, case)
                case = pick(self._hosts[index])
            if finish:
                attempt(index, "at the end", finish)

        with concurrent.futures.ThreadPoolExecutor(HOSTS) as pool:
            list(pool.map(work_off, range(min(HOSTS, number))))
        assert not wrong, "%d of %d cases:\n\n%s" % (len(wrong), number, "\n\n".join(wrong))
        return number


def folder_of(base, number):
    """A new folder for host `number`."""
    folder = pathlib.Path(base) / ("host%d" % number)
    folder.mkdir()
    return folder
