# SPDX-License-Identifier: GPL-2.0-only
"""Three nodes that share an address, a bridge between them and a client, and its traffic."""

import json
import pathlib
import subprocess
import tempfile

from tests.lab.agent import Agent
from tests.lab.state import ip, neighbours
from tests.lab.traffic import PORTS, SOURCES

HERE = pathlib.Path(__file__).resolve().parent
TRAFFIC = ["/usr/bin/python3", "-IS", str(HERE.parent / "lab" / "traffic.py")]
ADDRESSES = {4: "192.0.2.100", 6: "2001:db8::100"}
CLIENTS = {4: "192.0.2.9", 6: "2001:db8::9"}
NETWORKS = {4: SOURCES[4] + "/15", 6: SOURCES[6] + "/48"}       # the sources', behind the client
#: ICMP tells who answered by its time to live.
FIRST_TTL = 100


class Node:
    """One node: number (from 1), namespace, agent, and how the agent is called for an instance."""

    def __init__(self, number, namespace, agent, common):
        self.number = number
        self.namespace = namespace
        self.agent = agent
        self.common = common

    def parameters(self, bucket, **more):
        """The parameters of the instance that holds a bucket."""
        return {"CRM_meta_clone": bucket - 1, **self.common, **more}

    def __call__(self, action, bucket, **more):
        return self.agent(action, **self.parameters(bucket, **more))

    def start(self, bucket, **more):
        done = self("start", bucket, **more)
        assert done.rc == 0, done

    def stop(self, bucket, **more):
        done = self("stop", bucket, **more)
        assert done.rc == 0, done

    def run(self, *words, check=True):
        """A program's stdout on this node; it has to succeed, unless check is false."""
        done = subprocess.run(["ip", "netns", "exec", self.namespace, *words],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=20)
        assert not check or done.returncode == 0, "%s: %s" % (" ".join(words), done.stdout)
        return done.stdout

    def rules(self):
        """All of nftables' rules, iptables' own among them (the legacy one's are apart)."""
        return self.run("nft", "list", "ruleset")

    def joined(self):
        """MACs that somebody had eth0 join."""
        return [line.split()[1] for line in ip(self.namespace, "maddress", "show", "dev",
                                               "eth0").splitlines() if "static" in line]


class Sharing:
    """nodes (three), switch and client (namespaces), vip, and the traffic."""

    def __init__(self, nodes, switch, client, vip, run_later):
        self.switch = switch
        self.nodes = nodes
        self.client = client
        self.vip = vip
        self.run_later = run_later

    def start(self):
        """Bucket 1 on node 1, 2 on 2, 3 on 3."""
        for node in self.nodes:
            node.start(node.number)

    def traffic(self, *words, namespace=None):
        """traffic.py in the client's namespace, as a Popen that the test's end kills."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", namespace or self.client, *TRAFFIC, *map(str, words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.run_later(lambda: (process.kill(), process.communicate()))
        return process

    def ask(self, kind, count=2000, port=PORTS[0]):
        """Source -> answers, see traffic.py."""
        out, _ = self.traffic("ask", kind, self.vip, port, count).communicate(timeout=30)
        return json.loads(out)

    def table(self):
        """What the client holds for the address: its hardware address, "" without."""
        return neighbours(self.client).get(self.vip, {}).get("lladdr", "")


def make(request, netns, tmp_path, version, lone=False, **common):
    """A Sharing of IP version 4 or 6, its servers running; `common` are parameters of all.

    lone: node 1 by itself, without servers.
    """
    switch, client, vip = netns(), netns(), ADDRESSES[version]
    ip(switch, "link", "add", "br0", "type", "bridge")
    ip(switch, "link", "set", "dev", "br0", "up")
    plug(switch, client, 9)
    net = NETWORKS[version]
    ip(client, "-%d" % version, "route", "add", "local", net, "dev", "lo")
    nodes = []
    asked = {"ip": vip, "CRM_meta_clone_max": 3, "CRM_meta_globally_unique": "true", **common}
    for number in (1,) if lone else (1, 2, 3):
        namespace = netns()
        plug(switch, namespace, number)
        ip(namespace, "-%d" % version, "route", "add", net, "via", CLIENTS[version])
        folder = pathlib.Path(tempfile.mkdtemp(prefix="node%d-" % number, dir=tmp_path))
        program = str(HERE.parents[1] / "bin" / "IPaddr2")
        nodes.append(Node(number, namespace, Agent(program, namespace, folder), asked))
    sharing = Sharing(nodes, switch, client, vip, request.addfinalizer)
    for node in () if lone else nodes:
        server = sharing.traffic("answer", "node%d" % node.number, vip,
                                 namespace=node.namespace)
        assert server.stdout.readline() == "ready\n"
    return sharing


def plug(switch, namespace, number):
    """Give a host an eth0 on the bridge, with 192.0.2.NUMBER/24 and 2001:db8::NUMBER/64."""
    port = "port%d" % number
    ip(switch, "link", "add", "name", port, "type", "veth", "peer", "name", "eth0",
       "netns", namespace)
    ip(switch, "link", "set", "dev", port, "master", "br0", "up")
    set_up(namespace, "eth0", number)


def set_up(namespace, nic, number):
    """Addresses and settings of a host's interface."""
    ttl = FIRST_TTL + number
    script = ("echo %d >ipv4/ip_default_ttl; echo %d >ipv6/conf/%s/hop_limit; "
              "echo %d >ipv6/conf/all/hop_limit; echo 20000 >ipv4/icmp_msgs_per_sec; "
              "echo 0 >ipv6/icmp/ratelimit; echo 0 >ipv6/conf/%s/accept_dad"
              % (ttl, ttl, nic, ttl, nic))
    subprocess.run(["ip", "netns", "exec", namespace, "sh", "-c", script], check=True,
                   cwd="/proc/sys/net", stderr=subprocess.DEVNULL, timeout=20)
    ip(namespace, "link", "set", "dev", nic, "up")
    ip(namespace, "addr", "add", "192.0.2.%d/24" % number, "brd", "+", "dev", nic)
    ip(namespace, "addr", "add", "2001:db8::%d/64" % number, "dev", nic, "nodad")


def replace_by_macvlan(sharing, node, version):
    """Take the node's eth0 away and give it a macvlan, eth1, over another port of the bridge."""
    ip(node.namespace, "link", "delete", "dev", "eth0")
    ip(sharing.switch, "link", "add", "name", "more", "type", "veth", "peer", "name", "under")
    ip(sharing.switch, "link", "set", "dev", "more", "master", "br0", "up")
    ip(sharing.switch, "link", "set", "dev", "under", "up")
    ip(sharing.switch, "link", "add", "link", "under", "name", "over", "type", "macvlan")
    ip(sharing.switch, "link", "set", "dev", "over", "name", "eth1", "netns", node.namespace)
    set_up(node.namespace, "eth1", node.number)
    ip(node.namespace, "-%d" % version, "route", "add", NETWORKS[version], "via", CLIENTS[version])
