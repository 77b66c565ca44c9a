# SPDX-License-Identifier: GPL-2.0-only
"""Installed with metadata of OCF 1.1: some parameters change without a restart."""
import pathlib

import pytest

from tests.cluster.lab import wait_until
from tests.cluster.machine import ROOT
from tests.cluster.watch import Watch, held

AGENT = "ocf:reloads:IPaddr2"
IP = "192.0.2.145"
LIB = "/usr/lib/ocf/lib"
INSTALL = (f"mkdir /run/lib && cp -a {LIB}/. /run/lib && mount --bind /run/lib {LIB} && "
           f"cd {ROOT} && /usr/bin/python3 -B -m ipaddr2_py.provider install --copy "
           "--provider reloads --ocf-api 1.1")


@pytest.fixture
def installed(empty):
    """The agent copied into a second provider folder of each node, seen by that node alone."""
    for node in empty.nodes.values():
        node.run("sh", "-c", INSTALL)
    yield empty
    assert not pathlib.Path(LIB, "reloads").exists()


def executed(lab, action):
    """How often the nodes have run an action of resource vip, from Pacemaker's logs."""
    logs = [(lab.folder / name / "var/log/pacemaker/pacemaker.log").read_text(encoding="utf-8")
            for name in lab.nodes]
    return sum(log.count(f"Result of {action} operation for vip on") for log in logs)


def test_reload_agent(installed):
    """arp_count: reload-agent, and the address stays. cidr_netmask: stop and start."""
    lab = installed
    lab.primitive("vip", agent=AGENT, ip=IP, cidr_netmask=24, nic="eth0", arp_count=5)
    lab.check({"vip": IP})
    where = lab.running_on("vip")
    with Watch(lab.folder) as watch:
        watch.start("changes", lab.nodes[where[0]], "ip", "-ts", "-o", "monitor", "address")
        lab.run("crm_resource", "-r", "vip", "-p", "arp_count", "-v", "3")
        wait_until(lambda: executed(lab, "reload-agent") == 1, "a reload")
        lab.check({"vip": IP})
        assert executed(lab, "start") == 1 and executed(lab, "stop") == 0
        assert not held(watch.lines("changes"), IP)
        lab.run("crm_resource", "-r", "vip", "-p", "cidr_netmask", "-v", "28")
        lab.check({"vip": IP})
        assert executed(lab, "start") == 2 and executed(lab, "stop") == 1
        wait_until(lambda: [change for _, change in held(
            watch.lines("changes"), IP)] == [-1, 1], "both changes")
    assert executed(lab, "reload-agent") == 1
