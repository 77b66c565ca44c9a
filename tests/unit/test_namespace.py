# SPDX-License-Identifier: GPL-2.0-only
"""network_namespace: the agent started once more inside, or told that there is none."""

import posix
import sys

import pytest

from ipaddr2_py import agent as agent_module
from ipaddr2_py import commands
from tests.unit.scenes import ON_ETH0


@pytest.fixture
def blue(host, fp):
    """A namespace named blue, as far as its mount point shows; there is none else."""
    real = posix.stat

    class Mounted:
        st_dev = 4
        st_mode = 0o100444

    class Folder:
        st_dev = 5
        st_mode = 0o040755

    def stat(path, *words, **more):
        if str(path).startswith("/var/run/netns"):
            if path.endswith("/blue"):
                return Mounted
            if path.endswith(("/netns", "/unmounted", "/netns/", "/.", "/..")):
                return Folder
            raise FileNotFoundError(2, "No such file or directory")
        return real(path, *words, **more)

    host.setattr(posix, "stat", stat)


@pytest.mark.parametrize("action, rc", [
    ("start", 5), ("validate-all", 5), ("monitor", 7), ("probe", 7), ("status", 7), ("stop", 0)])
@pytest.mark.parametrize("name", ["red", "unmounted", "../netns/blue", "a/b", ".", ".."])
def test_a_namespace_that_is_missing(agent, blue, action, rc, name):
    done = agent(action, network_namespace=name, **ON_ETH0)
    assert done.rc == rc
    assert done.out == ""
    if action == "stop":
        assert done.reasons == []
    else:
        assert "network_namespace [%s]" % name in done.reasons[0]


@pytest.mark.parametrize("name", ["-blue", "blue red", "bl\tue", " blue", "blue\n"])
def test_a_name_that_cannot_be(agent, blue, name):
    for action in ("start", "validate-all", "monitor"):
        done = agent(action, network_namespace=name, **ON_ETH0)
        assert done.rc == 6 and "network_namespace [" in done.reasons[0]
    assert agent("stop", network_namespace=name, **ON_ETH0).rc == 0


@pytest.mark.parametrize("action", ["start", "stop", "monitor", "status", "validate-all"])
@pytest.mark.parametrize("rc", [0, 7])
def test_the_agent_runs_inside(fp, agent, blue, action, rc):
    fp.replace("ip netns exec blue /ocf/IPaddr2 " + action, rc=rc)
    done = agent(action, network_namespace="blue", unique_clone_address="true", CRM_meta_clone="2",
                 **ON_ETH0)
    assert (done.rc, done.reasons) == (rc, [])
    # It is told where it is, not sent there again; nothing has been counted up yet.
    assert commands.CHILD_ENV[b"OCF_RESKEY_network_namespace"] == b""
    assert commands.CHILD_ENV[b"IPADDR2_NAMESPACE"] == b"blue"
    assert commands.CHILD_ENV[b"OCF_RESKEY_ip"] == b"192.0.2.10"
    assert commands.CHILD_ENV[b"OCF_RESKEY_CRM_meta_clone"] == b"2"


@pytest.mark.parametrize("called, path", [
    ("/usr/lib/ocf/IPaddr2", "/usr/lib/ocf/IPaddr2"), ("bin/IPaddr2", "HERE/bin/IPaddr2"),
    ("./IPaddr2", "HERE/./IPaddr2"), ("IPaddr2", "HERE/IPaddr2")])
def test_it_is_found_again(fp, blue, host, tmp_path, called, path):
    host.chdir(tmp_path)
    fp.replace(["ip", "netns", "exec", "blue", path.replace("HERE", str(tmp_path)), "stop"])
    commands.load_environment(dict(commands.ENV, OCF_RESKEY_network_namespace="blue",
                                   OCF_RESKEY_ip="192.0.2.10"))
    host.setattr(sys, "argv", [called, "stop"])
    assert agent_module.main(sys.argv) == 0


def test_inside_nothing_is_entered(fp, agent, blue):
    fp.query("ip -o -f inet addr show to 192.0.2.10")
    done = agent("monitor", env={"IPADDR2_NAMESPACE": "blue"}, network_namespace="", **ON_ETH0)
    assert done.rc == 7
