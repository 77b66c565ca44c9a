# SPDX-License-Identifier: GPL-2.0-only
"""A Corosync and Pacemaker cluster on one machine: two or three nodes and a client.

Every machine of the lab is one process, node.py, in mount, pid, net, ipc and uts namespaces of
its own; two bridges in the namespace of one more machine, "wire", join them:

    svc   192.0.2.0/24, 2001:db8::/64   eth0 of every machine; addresses are served here
    ring  198.51.100.0/24               eth1 of the nodes; Corosync alone

Node i has the host number 10 + i, the client 50. No namespace has a name and no process is ever
looked up by one: a machine lives as long as the pipe on its standard input is open, and takes
all its processes and interfaces with it. That is how a node loses power, how the lab is taken
down, and what happens when the test run itself is killed.

Requires root, util-linux, iproute2, iputils-ping, corosync, pacemaker and pacemaker-cli-utils.
"""
import functools
import json
import os
import subprocess
import xml.etree.ElementTree as ET

from tests.cluster.machine import Machine, OURS
from tests.lab import state

SHELL = "ocf:heartbeat:IPaddr2"
AGENT = os.environ.get("CLUSTER_AGENT", OURS)

COROSYNC_CONF = """\
totem {{
 version: 2
 cluster_name: lab
 transport: knet
 crypto_cipher: none
 crypto_hash: none
 token: 1000
}}
system {{
 sched_rr: no
 move_to_root_cgroup: no
}}
logging {{
 to_stderr: no
 to_syslog: no
 to_logfile: yes
 logfile: /var/log/corosync/corosync.log
}}
quorum {{
 provider: corosync_votequorum
{quorum}}}
nodelist {{
{nodes}}}
"""
TWO_NODES = " two_node: 1\n wait_for_all: 0\n"
# dc-deadtime: the first election waits 20 s otherwise. There is nothing to fence with here.
# load-threshold: the load of the test machine is no reason for the nodes to hold back.
CRM_CONFIG = {"dc-deadtime": "2s", "stonith-enabled": "false", "no-quorum-policy": "ignore",
              "load-threshold": "1000%"}


#: Of clusters, which take their time.
wait_until = functools.partial(state.wait_until, seconds=90)


class Lab:
    """The cluster. up() starts it, down() removes it; nodes is a dict by name."""

    def __init__(self, folder, count):
        self.folder = folder
        self.wire = Machine("wire", folder)
        self.client = Machine("client", folder)
        self.nodes = {f"n{i}": Machine(f"n{i}", folder) for i in range(1, count + 1)}
        self.numbers = {name: 10 + int(name[1:]) for name in self.nodes}
        self.numbers["client"] = 50
        self.daemons = []

    # -- machines and wires -------------------------------------------------------------------
    def up(self):
        """Boot everything and wait for the cluster to form."""
        self.wire.boot()
        for bridge in ("svc", "ring"):
            self.wire.run("ip", "link", "add", bridge, "type", "bridge",
                          "forward_delay", "0", "mcast_snooping", "0")
            self.wire.run("ip", "link", "set", bridge, "up")
        self.boot(self.client)
        for node in self.nodes.values():
            self.configure(node)
            self.boot(node)
            self.start_cluster(node)
        self.wait_online()

    def down(self):
        """Remove everything, whatever state it is in."""
        machines = [*self.nodes.values(), self.client, self.wire]
        for machine in machines:
            machine.cut()
        for machine in machines:
            machine.gone()
        for daemon in self.daemons:
            daemon.wait(timeout=60)

    def boot(self, machine):
        """Boot machine and plug it in."""
        machine.boot()
        number = self.numbers[machine.name]
        self.plug(machine, "eth0", "svc", f"192.0.2.{number}/24")
        machine.run("ip", "address", "add", f"2001:db8::{number}/64", "dev", "eth0", "nodad")
        if machine is not self.client:
            self.plug(machine, "eth1", "ring", f"198.51.100.{number}/24")

    def plug(self, machine, nic, bridge, address):
        """A cable from nic of machine to the bridge; its far end is named <machine>-<bridge>."""
        port = f"{machine.name}-{bridge}"
        # only the net namespace: the pid is the one the host knows
        subprocess.run(["nsenter", "-t", self.wire.pid, "-n", "ip", "link", "add", port, "type",
                        "veth", "peer", "name", nic, "netns", machine.pid], check=True)
        self.wire.run("ip", "link", "set", port, "master", bridge, "up")
        machine.run("ip", "address", "add", address, "dev", nic)
        machine.run("ip", "link", "set", nic, "up")

    def cable(self, node, state, bridge="svc"):
        """Take the far end of the node's cable "down" or "up": the node sees its carrier go."""
        self.wire.run("ip", "link", "set", f"{node}-{bridge}", state)

    def kill(self, node):
        """Power loss: its processes and its cables go at once."""
        node.cut()
        for bridge in ("svc", "ring"):
            self.wire.run("ip", "link", "delete", f"{node}-{bridge}", check=False)
        node.gone()

    def revive(self, node):
        """Boot a killed node again and wait until it has joined."""
        self.boot(node)
        self.start_cluster(node)
        self.wait_online()

    # -- the cluster's daemons ----------------------------------------------------------------
    def configure(self, node):
        """Write /etc/hosts, corosync.conf and a CIB that holds CRM_CONFIG alone."""
        nodes = "".join(f" node {{\n  name: {name}\n  nodeid: {name[1:]}\n"
                        f"  ring0_addr: 198.51.100.{self.numbers[name]}\n }}\n"
                        for name in self.nodes)
        quorum = TWO_NODES if len(self.nodes) == 2 else ""
        conf = node.folder / node.name / "etc/corosync/corosync.conf"
        conf.parent.mkdir(parents=True)
        hosts = "".join(f"198.51.100.{self.numbers[name]} {name}\n" for name in self.nodes)
        (node.folder / node.name / "etc/hosts").write_text(hosts, encoding="ascii")  # crm asks it
        conf.write_text(COROSYNC_CONF.format(quorum=quorum, nodes=nodes), encoding="ascii")
        # the skeleton must be the installed Pacemaker's: it refuses a newer feature set
        cib = ET.fromstring(subprocess.run(["cibadmin", "--empty"], check=True, text=True,
                                           stdout=subprocess.PIPE).stdout)
        options = ET.SubElement(cib.find("configuration/crm_config"), "cluster_property_set",
                                id="cib-bootstrap-options")
        for name, value in CRM_CONFIG.items():
            ET.SubElement(options, "nvpair", id="option-" + name, name=name, value=value)
        defaults = ET.SubElement(cib.find("configuration"), "rsc_defaults")
        defaults = ET.SubElement(defaults, "meta_attributes", id="rsc-options")
        ET.SubElement(defaults, "nvpair", id="rsc-stickiness", name="resource-stickiness",
                      value="100")
        file = node.folder / node.name / "var/lib/pacemaker/cib/cib.xml"
        file.parent.mkdir(parents=True)
        ET.ElementTree(cib).write(file)
        subprocess.run(["chown", "-R", "hacluster:haclient", file.parent], check=True)

    def start_cluster(self, node):
        """Start Corosync and Pacemaker on a node that runs neither."""
        with node.log("corosync.out") as out:
            self.daemons.append(node.spawn("corosync", "-f", stdout=out, stderr=out))
        wait_until(lambda: node.run(
            "corosync-cfgtool", "-s", check=False).returncode == 0, f"corosync on {node}")
        with node.log("pacemakerd.out") as out:
            self.daemons.append(node.spawn("pacemakerd", stdout=out, stderr=out))

    def stop_cluster(self, node):
        """End Pacemaker and then Corosync, in order, as a service manager does."""
        for program in ("pacemakerd", "corosync"):
            node.run("sh", "-c", f"kill $(pidof {program})")
            wait_until(lambda name=program: node.run(
                "pidof", name, check=False).returncode, f"end of {program} on {node}")

    # -- what the cluster says ----------------------------------------------------------------
    def any(self):
        """A node that is alive."""
        return next(node for node in self.nodes.values() if node.alive())

    def run(self, *argv, **options):
        """Run a command of the cluster on any node."""
        return self.any().run(*argv, **options)

    def status(self):
        """crm_mon's XML; an empty element while there is no cluster to ask."""
        done = self.run("crm_mon", "-1", "--output-as=xml", check=False)
        return ET.fromstring(done.stdout) if done.returncode == 0 else ET.Element("none")

    def online(self):
        """Names of the nodes that are members and no longer joining."""
        return {node.get("name") for node in self.status().findall("nodes/node")
                if node.get("online") == "true" and node.get("pending") == "false"}

    def wait_online(self):
        """Wait until all nodes that are alive are members, and the cluster is at rest."""
        alive = {name for name, node in self.nodes.items() if node.alive()}
        wait_until(lambda: self.online() == alive, f"{alive} online")
        self.settle()

    def settle(self):
        """Wait until no action is pending."""
        wait_until(lambda: self.run("crm_resource", "--wait", "--timeout", "100s",
                                    check=False).returncode == 0, "cluster at rest")

    def running_on(self, resource):
        """Names of the nodes on which Pacemaker believes resource to be started."""
        found = self.status().findall(f".//resource[@id='{resource}']/node")
        return [node.get("name") for node in found]

    def failures(self):
        """Failed actions as a sorted list of (node, operation key, exit status)."""
        return sorted((f.get("node"), f.get("op_key"), f.get("exitstatus"))
                      for f in self.status().findall("failures/failure"))

    def holders(self, ip):
        """Names of the nodes whose kernel has the address."""
        return [name for name, node in self.nodes.items()
                if node.alive() and ip in node.addresses()]

    def pings(self, ip):
        """True when the client gets an answer from ip."""
        return self.client.run("ping", "-n", "-c1", "-W1", ip, check=False).returncode == 0

    # -- for the tests ------------------------------------------------------------------------
    def mac(self, name):
        """The MAC of eth0 of a node."""
        links = json.loads(self.nodes[name].run("ip", "-json", "link", "show", "eth0").stdout)
        return links[0]["address"]

    def check(self, addresses, failed=()):
        """At rest, each address is served by the one node Pacemaker says, the client reaches it,
        and the failed actions are those given. addresses: dict of resource name to address."""
        self.settle()
        for resource, ip in addresses.items():
            started = self.running_on(resource)
            assert len(started) == 1, f"{resource} runs on {started}"
            assert self.holders(ip) == started, f"{resource} should be on {started}"
        for ip in addresses.values():
            wait_until(lambda address=ip: self.pings(address), f"an answer from {ip}")
        assert self.failures() == sorted(failed)

    def primitive(self, name, meta="", agent=AGENT, **params):
        """Create a resource monitored every 2 s, and wait for it. meta: words for crm."""
        words = [f"{key}={value}" for key, value in params.items()]
        self.run("crm", "configure", "primitive", name, agent, "params", *words,
                 "op", "monitor", "interval=2s", "timeout=30s",
                 *(["meta", *meta.split()] if meta else []))
        self.settle()

    def forgive(self):
        """Forget failed actions once they have been looked at."""
        self.run("crm_resource", "--cleanup")
        self.settle()

    def erase(self):
        """Back to a cluster of all nodes without resources; no address may be left anywhere."""
        for node in self.nodes.values():
            if node.alive():
                self.cable(node, "up")
                node.run("ip", "link", "set", "eth0", "up")
            else:
                self.boot(node)
                self.start_cluster(node)
        wait_until(lambda: self.online() == set(self.nodes), "all nodes online")
        for name in self.nodes:
            self.run("crm_attribute", "-q", "-N", name, "-n", "standby", "-D", check=False)
        self.run("crm_attribute", "-q", "-n", "maintenance-mode", "-D", check=False)
        self.run("crm_attribute", "-q", "-n", "no-quorum-policy", "-v", "ignore")
        self.run("crm_attribute", "-q", "-n", "stop-all-resources", "-v", "true")
        self.settle()
        for scope in ("constraints", "resources"):
            self.run("cibadmin", "--replace", "--scope", scope, "--xml-text", f"<{scope}/>")
        self.run("crm_attribute", "-q", "-n", "stop-all-resources", "-D")
        self.run("crm_resource", "--refresh", check=False)  # failures of what is no more
        left = {name: sorted(ip for ip in node.addresses() if not self.permanent(name, ip))
                for name, node in self.nodes.items()}
        assert not any(left.values()), f"addresses left behind: {left}"

    def permanent(self, name, ip):
        """True for an address that a machine of the lab has of its own."""
        own = (f"192.0.2.{self.numbers[name]}", f"2001:db8::{self.numbers[name]}")
        return ip in own or ip.startswith(("127.", "198.51.100.", "fe80:")) or ip == "::1"
