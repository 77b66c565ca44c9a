# SPDX-License-Identifier: GPL-2.0-only
"""The tools an administrator meets the agent through: Pacemaker's, crm, pcs, ocf-tester."""
import subprocess

import pytest

from tests.cluster.lab import AGENT

STANDARD, PROVIDER, TYPE = AGENT.split(":")
IP = "192.0.2.190"
FILE = f"/usr/lib/ocf/resource.d/{PROVIDER}/{TYPE}"
SCHEMA = "/usr/share/resource-agents/metadata.rng"
PARAMETERS = ("cidr_netmask", "arp_count_refresh", "network_namespace", "unique_clone_address")


def validate(lab, *params):
    """crm_resource --validate with name=value words."""
    return lab.run("crm_resource", "--validate", "--class", STANDARD, "--provider", PROVIDER,
                   "--agent", TYPE, *params, check=False)


def test_listed(lab):
    """Pacemaker finds provider and agent."""
    assert PROVIDER in lab.run("crm_resource", "--list-ocf-providers").stdout.split()
    assert TYPE in lab.run("crm_resource", "--list-agents", f"ocf:{PROVIDER}").stdout.split()


def test_show_metadata(lab):
    """Well-formed and valid, as Pacemaker passes it on."""
    metadata = lab.run("crm_resource", "--show-metadata", AGENT).stdout
    assert metadata.startswith("<?xml")
    lab.run("xmllint", "--noout", "--relaxng", SCHEMA, "-", input=metadata)


@pytest.mark.parametrize("command", ["crm ra info", "pcs resource describe"])
def test_described(lab, command):
    """Parameters and what they mean, actions and their timeouts."""
    text = lab.run(*command.split(), AGENT).stdout
    for name in PARAMETERS:
        assert name in text
    for word in ("start", "stop", "monitor", "timeout", "interval"):
        assert word in text.lower()


def test_validate(lab):
    """Right is 0; wrong is 6 with a reason that names the value."""
    assert validate(lab, f"ip={IP}", "cidr_netmask=24", "nic=eth0").returncode == 0
    for name, value in (("ip", "192.0.2.256"), ("cidr_netmask", "33"), ("nic", "eth77"),
                        ("broadcast", "all"), ("arp_count", "many"), ("arp_sender", "pigeon")):
        params = {"ip": IP, "cidr_netmask": "24", "nic": "eth0", name: value}
        done = validate(lab, *(f"{key}={word}" for key, word in params.items()))
        assert done.returncode == 6, f"{name}={value}: {done.stdout}{done.stderr}"
        if PROVIDER != "heartbeat":
            assert f"[{value}]" in done.stdout.partition("ocf-exit-reason:")[2]


def test_forced_actions(empty):
    """On one node, past the cluster: check, start, check, stop, check, and each of them twice."""
    empty.run("crm", "configure", "primitive", "x", AGENT, "params", f"ip={IP}",
              "cidr_netmask=24", "op", "monitor", "interval=10s", "timeout=20s",
              "meta", "target-role=Stopped")
    empty.settle()
    node = empty.nodes["n2"]

    def force(action):
        return node.run("crm_resource", "-r", "x", "--force-" + action, check=False).returncode

    assert force("check") == 7
    assert [force("start"), force("start")] == [0, 0]
    assert force("check") == 0 and empty.holders(IP) == ["n2"]
    assert [force("stop"), force("stop")] == [0, 0]
    assert force("check") == 7 and not empty.holders(IP)
    assert node.run("crm_resource", "-r", "x", "--validate").returncode == 0


def test_wrong_parameter_refused(lab):
    """pcs and crm know the parameters from the metadata, and that ip is required."""
    done = lab.run("pcs", "resource", "create", "x", AGENT, f"ip={IP}", "nicc=eth0", check=False)
    assert done.returncode and "invalid resource option 'nicc'" in done.stderr
    done = lab.run("pcs", "resource", "create", "x", AGENT, "nic=eth0", check=False)
    assert done.returncode and "'ip' is missing" in done.stderr
    done = lab.run("crm", "configure", "primitive", "x", AGENT, "params", f"ip={IP}",
                   "nicc=eth0", check=False)
    assert done.returncode and 'parameter "nicc" is not known' in done.stderr
    done = lab.run("pcs", "resource", "create", "x", AGENT, "ip=192.0.2.256",
                   "--agent-validation", check=False)
    assert done.returncode and "192.0.2.256" in done.stderr + done.stdout
    assert not lab.status().findall("resources/*")


@pytest.mark.parametrize("ip, mask", [(IP, 24), ("2001:db8::190", 64)])
def test_ocf_tester(lab, ip, mask):
    """All of its tests, on the machine without a cluster."""
    words = [word for param in (f"ip={ip}", f"cidr_netmask={mask}", "nic=eth0")
             for word in ("-o", param)]
    done = lab.client.run("ocf-tester", "-n", "vip", *words, FILE, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed all tests" in done.stdout and "* rc=" not in done.stdout
    assert ip not in lab.client.addresses()
