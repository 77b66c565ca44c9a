# SPDX-License-Identifier: GPL-2.0-only
"""vipctl in a cluster of two nodes: what it tells of the cluster and of the kernel, side by
side."""
import json

import pytest

from tests.cluster.lab import wait_until
from tests.lab.namespaces import CHECKOUT

VIPCTL = str(CHECKOUT / "bin/vipctl")
IP = "192.0.2.130"


@pytest.fixture(scope="module")
def vip(lab):
    """A resource, started: its id."""
    lab.primitive("vip", ip=IP, cidr_netmask=24, nic="eth0")
    lab.check({"vip": IP})
    yield "vip"
    lab.erase()


def vipctl(node, *words):
    """Exit code, output and errors of vipctl on a node."""
    done = node.run(VIPCTL, *words, check=False)
    return done.returncode, done.stdout, done.stderr


def rows(node):
    """Exit code, and the rows of its status."""
    rc, out, err = vipctl(node, "status", "--json")
    assert not err, err
    return rc, json.loads(out)


def placed(lab, vip):
    """The node that has the resource, and the other one."""
    name = lab.running_on(vip)[0]
    return lab.nodes[name], next(node for node in lab.nodes.values() if node.name != name)


def test_status_agrees(lab, vip):
    here, there = placed(lab, vip)
    for node in (here, there):
        rc, (row,) = rows(node)
        assert rc == 0 and row["problems"] == []
        assert (row["resource"], row["nodes"], row["here"]) == (vip, [here.name], node is here)


def test_explain_reads_the_cib(lab, vip):
    here, there = placed(lab, vip)
    assert "It is there" in vipctl(here, "explain", vip)[1]
    rc, out, _ = vipctl(there, "explain", vip)
    assert rc == 7 and "for nic and cidr_netmask say so" in " ".join(out.split())


def test_start_and_stop_are_the_clusters(lab, vip):
    here, there = placed(lab, vip)
    for node, action in ((here, "stop"), (there, "start")):
        rc, out, err = vipctl(node, action, vip)
        assert rc == 1 and not out
        assert "the cluster manages vip" in err and "crm_resource" in err
    assert lab.holders(IP) == [here.name]
    assert vipctl(here, "monitor", vip)[0] == 0, "to look is free"
    assert vipctl(there, "stop", vip, "--dry-run")[0] == 0


def test_a_copy_by_hand_is_told(lab, vip):
    here, there = placed(lab, vip)
    there.run("ip", "addr", "add", IP + "/24", "dev", "eth0")
    try:
        rc, (row,) = rows(there)
        assert rc == 1
        assert row["problems"] == ["the cluster does not have it here, but it is on eth0/24"]
        assert "!" in vipctl(there, "status")[1]
    finally:
        there.run("ip", "addr", "del", IP + "/24", "dev", "eth0")


def test_an_address_that_was_deleted_is_told(lab, vip):
    here, _ = placed(lab, vip)
    here.run("crm_resource", "--resource", vip, "--meta", "--set-parameter", "maintenance",
             "--parameter-value", "true")
    here.run("ip", "addr", "del", IP + "/24", "dev", "eth0")
    rc, (row,) = rows(here)
    assert rc == 1 and row["problems"][0].startswith("the cluster has it here, but")
    here.run("crm_resource", "--resource", vip, "--meta", "--delete-parameter", "maintenance")
    wait_until(lambda: lab.holders(IP), "the cluster's recovery")
    lab.forgive()
    lab.check({vip: IP})


def test_an_unknown_resource(lab, vip):
    rc, _, err = vipctl(placed(lab, vip)[0], "explain", "vpi")
    assert rc == 2 and "did you mean vip?" in err


def test_a_cluster_that_is_down(lab, vip):
    machine = lab.client
    rc, _, err = vipctl(machine, "status")
    assert rc == 1 and "ip=ADDRESS" in err and err.count("\n") == 1
