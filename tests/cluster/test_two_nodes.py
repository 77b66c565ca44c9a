# SPDX-License-Identifier: GPL-2.0-only
"""An IPv4 and an IPv6 address on two nodes, set up as the README says, moved and mistreated."""
import pytest

from tests.cluster import readme
from tests.cluster.lab import AGENT, OURS, wait_until

TOOLS = {
    "crm": {"move": "crm resource move {resource} {node} force",
            "stay": "crm resource clear {resource}",
            "standby": "crm node standby {node}", "online": "crm node online {node}"},
    "pcs": {"move": "pcs resource move {resource} {node}", "stay": "true",
            "standby": "pcs node standby {node}", "online": "pcs node unstandby {node}"},
}


#: For what no word of the tool takes part in: once is enough.
WITH_ONE_TOOL = pytest.mark.parametrize("made", ["crm"], indirect=True)


class Examples:
    """The resources an example of the README makes, and the words of its tool."""

    def __init__(self, lab, tool):
        self.lab, self.tool = lab, tool
        commands = readme.example(tool)
        self.addresses = readme.addresses(commands)
        lab.run("sh", "-e", "-c", commands.replace(OURS, AGENT))

    def say(self, what, **names):
        """Run one of the tool's commands."""
        self.lab.run("sh", "-c", TOOLS[self.tool][what].format(**names))


def other(lab, name):
    """The node that is not called name."""
    return next(node for node in lab.nodes if node != name)


def placed(lab, examples):
    """{resource: names of the nodes it runs on}."""
    return {resource: lab.running_on(resource) for resource in examples.addresses}


@pytest.fixture(scope="module", params=sorted(TOOLS))
def made(request, lab):
    """The README's examples, at work."""
    examples = Examples(lab, request.param)
    lab.check(examples.addresses)
    yield examples
    lab.erase()


@pytest.fixture
def examples(lab, made):
    """The README's examples; whatever a test did to them has to be over afterwards."""
    yield made
    lab.check(made.addresses)


def test_created_started_and_monitored(lab, examples):
    """Both families are there, and Pacemaker has seen a monitor of each succeed."""
    assert {":" in ip for ip in examples.addresses.values()} == {True, False}
    for resource in examples.addresses:
        def monitored(name=resource):
            found = lab.run("cibadmin", "-Q", "--xpath", f"//lrm_resource[@id='{name}']/"
                            "lrm_rsc_op[@operation='monitor'][@interval!='0'][@rc-code='0']",
                            check=False)
            return found.returncode == 0
        wait_until(monitored, f"a monitor of {resource}")


def test_moved(lab, examples):
    """Each to the other node."""
    for resource in examples.addresses:
        target = other(lab, lab.running_on(resource)[0])
        examples.say("move", resource=resource, node=target)
        lab.check(examples.addresses)
        assert lab.running_on(resource) == [target]
        examples.say("stay", resource=resource)


def test_standby(lab, examples):
    """Each node in turn: everything on the other one."""
    for name in lab.nodes:
        examples.say("standby", node=name)
        lab.check(examples.addresses)
        assert placed(lab, examples) == {r: [other(lab, name)] for r in examples.addresses}
        examples.say("online", node=name)


@WITH_ONE_TOOL
def test_node_killed(lab, examples):
    """Power loss: the survivor takes over, and keeps what it has when the other is back."""
    name = lab.running_on(next(iter(examples.addresses)))[0]
    lab.kill(lab.nodes[name])
    survivor = {r: [other(lab, name)] for r in examples.addresses}
    wait_until(lambda: placed(lab, examples) == survivor, "takeover")
    lab.check(examples.addresses)
    lab.revive(lab.nodes[name])
    lab.check(examples.addresses)
    assert placed(lab, examples) == survivor


@WITH_ONE_TOOL
def test_address_removed_behind_its_back(lab, examples):
    """The monitor notices and the address is put back: one failed monitor each, no more."""
    failed = []
    for resource, ip in examples.addresses.items():
        name = lab.running_on(resource)[0]
        node = lab.nodes[name]
        for mask in (24, 64):
            node.run("ip", "address", "delete", f"{ip}/{mask}", "dev", "eth0", check=False)
        assert not lab.holders(ip)
        wait_until(lambda ip=ip: lab.holders(ip), f"{ip} back")
        failed.append((name, f"{resource}_monitor_10000", "not running"))
        wait_until(lambda: lab.failures() == sorted(failed), "a failed monitor")
    lab.check(examples.addresses, failed)
    lab.forgive()


@WITH_ONE_TOOL
def test_restarted_under_maintenance(lab, examples):
    """Corosync and Pacemaker end and come back; the addresses are found, and never left."""
    before = placed(lab, examples)
    watches = []
    for node in lab.nodes.values():
        path = node.folder / f"{node}-addresses"
        with open(path, "wb") as out:
            watches.append((path, node.spawn("ip", "-o", "monitor", "address", stdout=out)))
    lab.run("crm_attribute", "-q", "-n", "maintenance-mode", "-v", "true")
    for node in lab.nodes.values():
        lab.stop_cluster(node)
    for node in lab.nodes.values():
        lab.start_cluster(node)
    lab.wait_online()
    lab.check(examples.addresses)
    lab.run("crm_attribute", "-q", "-n", "maintenance-mode", "-D")
    lab.check(examples.addresses)
    assert placed(lab, examples) == before
    for path, watch in watches:
        watch.kill()
        watch.wait()
        seen = path.read_text(encoding="ascii")
        assert not any(f" {ip}/" in seen for ip in examples.addresses.values()), seen
