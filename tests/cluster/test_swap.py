# SPDX-License-Identifier: GPL-2.0-only
"""The Debian packages come, are upgraded and go under a cluster that serves addresses."""
import os
import shutil
import subprocess

import pytest

from tests.cluster.lab import SHELL, wait_until
from tests.cluster.machine import ROOT
from tests.cluster.watch import Watch, held, longest_hole
from tests.conftest import lacking

pytestmark = [pytest.mark.slow, pytest.mark.long]
ADDRESSES = {"vip": "192.0.2.150", "vip6": "2001:db8::150"}
AGENT = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2"
#: What a package writes to; each node gets a layer of its own, gone with the node.
FOLDERS = ("/usr", "/etc", "/var/lib/dpkg", "/var/lib/ocf")
LAYER = ("mkdir -p /run/layers/$0 && mkdir /run/layers/$0/up /run/layers/$0/work && "
         "mount -t overlay overlay -o lowerdir=$1,upperdir=/run/layers/$0/up,"
         "workdir=/run/layers/$0/work $1")


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """(ipaddr2-py, ipaddr2-py-heartbeat) as bin/package builds them."""
    if not shutil.which("dpkg-buildpackage") and "CI" not in os.environ:
        lacking("dpkg-buildpackage is not installed (package dpkg-dev)")
    folder = tmp_path_factory.mktemp("built") / "checkout"
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(
        ".git", ".venv*", ".roots", "__pycache__", "dist", "build", ".hypothesis"))
    subprocess.run([folder / "bin/package", "deb"], check=True, stdout=subprocess.DEVNULL,
                   stdin=subprocess.DEVNULL, timeout=900)
    return sorted((folder / "dist").glob("*.deb"), key=lambda path: len(path.name))


@pytest.fixture(scope="module")
def nodes(lab):
    """The cluster's nodes, whose packages can be changed."""
    for node in lab.nodes.values():
        for number, folder in enumerate(FOLDERS):
            if os.path.isdir(folder):
                node.run("sh", "-ec", LAYER, number, folder)
    return list(lab.nodes.values())


def test_installed_upgraded_and_removed_under_running_addresses(empty, nodes, packages):
    lab = empty
    for name, address in ADDRESSES.items():
        lab.primitive(name, agent=SHELL, ip=address, nic="eth0",
                      cidr_netmask=64 if ":" in address else 24)
    lab.check(ADDRESSES)
    steps = [("dpkg", "-i", *packages), ("dpkg", "-i", *packages),
             ("dpkg", "-r", "ipaddr2-py-heartbeat"), ("dpkg", "-i", *packages),
             ("dpkg", "-P", "ipaddr2-py-heartbeat", "ipaddr2-py")]
    with Watch(lab.folder) as watch:
        for name, address in ADDRESSES.items():
            watch.start("ping-" + name, lab.client, "ping", "-n", "-D", "-i", "0.01", address)
        for node in nodes:
            watch.start("changes-" + node.name, node, "ip", "-ts", "-o", "monitor", "address")
        for step in steps:
            for node in nodes:
                node.run(*step)
                assert ("python" in first_line(node)) is (step[1] == "-i"), step
            seen = executions(lab)
            lab.run("crm_resource", "--refresh")        # probes and monitors begin anew
            wait_until(lambda: executions(lab) >= seen + 4, "probes on both nodes")
            lab.check(ADDRESSES)
        for name, address in ADDRESSES.items():
            assert longest_hole(watch.lines("ping-" + name)) < 0.5
            for node in nodes:
                assert held(watch.lines("changes-" + node.name), address) == []
    assert nodes[0].run("sh", "-c", "dpkg-divert --list | grep IPaddr2", check=False).stdout == ""


def test_moved_by_ours_and_given_back(empty, nodes, packages):
    """What the shell agent started ours stops, and the other way round."""
    lab = empty
    lab.primitive("vip", agent=SHELL, ip=ADDRESSES["vip"])
    for step in (("dpkg", "-i", *packages), ("dpkg", "-P", "ipaddr2-py-heartbeat", "ipaddr2-py")):
        for node in nodes:
            node.run(*step)
        where = lab.running_on("vip")
        lab.run("crm_resource", "--move", "-r", "vip", "-N",
                next(name for name in lab.nodes if name not in where))
        wait_until(lambda: lab.running_on("vip") not in ([], where), "the move")
        lab.check({"vip": ADDRESSES["vip"]})
        lab.run("crm_resource", "--clear", "-r", "vip")


def first_line(node):
    """The first line of the agent that Pacemaker runs as ocf:heartbeat:IPaddr2 there."""
    return node.run("head", "-n1", AGENT).stdout


def executions(lab):
    """How many probes and first monitors have been run, from Pacemaker's logs."""
    logs = [(lab.folder / name / "var/log/pacemaker/pacemaker.log").read_text("utf-8")
            for name in lab.nodes]
    return sum(log.count(f"Result of {action} operation for ")
               for log in logs for action in ("probe", "monitor"))
