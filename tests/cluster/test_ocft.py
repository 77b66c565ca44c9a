# SPDX-License-Identifier: GPL-2.0-only
"""The cases of ocft(8) that the package resource-agents carries for this agent.

They are run where the package has them, on a machine of the lab with two interfaces and no
cluster. Two things are changed in copies, mounted over the originals in that machine: the agent
under test, and how often ocft looks whether the agent has ended (once a second by itself).
"""
import re

import pytest

from tests.cluster.machine import Machine

pytestmark = pytest.mark.slow
CARRIED = "/usr/share/resource-agents/ocft"
CASES = ("IPaddr2", "IPaddr2v4", "IPaddr2v6")
FASTER = 20

#: Where the shell agent's result is not the one the case expects, and ours is.
EXPLAINED = {
    ("IPaddr2v6", 13): "a prefix length other than the route's, and no nic, has to fail; the "
                       "comparison in findif.sh 4.12 cannot come out unequal",
}


@pytest.fixture(scope="module")
def scratch(request, need, tmp_path_factory):
    """A machine with two interfaces and nothing else."""
    for program, package in (("ocft", "resource-agents"), ("unshare", "util-linux"),
                             ("ip", "iproute2"), ("pacemakerd", "pacemaker")):
        need(program, package)
    machine = Machine("scratch", tmp_path_factory.mktemp("ocft"))
    request.addfinalizer(machine.gone)
    request.addfinalizer(machine.cut)
    machine.boot()
    prepare(machine)
    return machine


def prepare(machine):
    """Two interfaces with carrier, and folders for what ocft makes."""
    for nic in ("eth0", "eth1"):
        machine.run("ip", "link", "add", nic, "type", "veth", "peer", "name", nic + "-peer")
        for end in (nic, nic + "-peer"):
            machine.run("ip", "link", "set", end, "up")
    machine.run("mkdir", "/run/ocft")
    # ocft makes its scripts below /var/lib/resource-agents, which need not exist
    machine.run("mount", "-t", "tmpfs", "tmpfs", "/var/lib")
    sed = ["sed", "-E", f"s/sleep 1$/sleep {1 / FASTER}/", CARRIED + "/caselib"]
    put(machine, "/run/caselib", machine.run(*sed).stdout)
    machine.run("mount", "--bind", "/run/caselib", CARRIED + "/caselib")


def put(machine, path, text):
    """Write a file in the machine."""
    machine.run("sh", "-c", 'cat > "$0"', path, input=text)


def results(machine, provider):
    """{(configuration, number): (name of the case, "" or what was wrong)} for one agent."""
    found = {}
    for cases in CASES:
        text = machine.run("cat", f"{CARRIED}/configs/{cases}").stdout
        text = re.sub(r"AgentRoot .*", f"AgentRoot /usr/lib/ocf/resource.d/{provider}", text)
        text = re.sub(r"HangTimeout (\d+)", lambda m: f"HangTimeout {int(m[1]) * FASTER}", text)
        put(machine, f"/run/ocft/{cases}", text)
        machine.run("ocft", "clean", cases)
        machine.run("ocft", "make", "-d", "/run/ocft", cases)
        # the shell agent and ours have the time limit Pacemaker would give them
        output = machine.run("env", "OCF_RESKEY_CRM_meta_timeout=20000", "ocft", "test", cases,
                             check=False).stdout
        lines = re.findall(rf"^{cases}: (.*?) - (.*?)$", output, re.MULTILINE)
        for number, (name, result) in enumerate(lines):
            good = re.sub(r"\x1b\[\d+m", "", result).startswith("OK")
            found[cases, number] = (name, "" if good else result)
    return found


def test_every_case_that_is_carried(scratch):
    """Ours gets every result that is expected; the shell agent all but those explained."""
    ours = results(scratch, "ipaddr2py")
    assert len(ours) > 50
    assert {case: result for case, result in ours.items() if result[1]} == {}
    shell = results(scratch, "heartbeat")
    assert {case for case, result in shell.items() if result[1]} == {*EXPLAINED}
