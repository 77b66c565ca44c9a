# SPDX-License-Identifier: GPL-2.0-only
"""What needs no address: usage, metadata, unknown actions; and what befalls any action."""

import posix
import sys

import pytest

from ipaddr2_py import agent as agent_module
from ipaddr2_py import children, commands
from ipaddr2_py.provider import metadata
from tests.unit.scenes import ON_ETH0, SHOW4

ACTIONS = ("start", "stop", "status", "monitor", "validate-all")
BARE = {name: None for name in ("PATH", "HA_BIN", "OCF_ROOT", "HA_RSCTMP", "HA_LOGFILE",
                                "OCF_RESOURCE_INSTANCE", "OCF_RESKEY_CRM_meta_interval")}


@pytest.mark.parametrize("action", ["usage", "help"])
@pytest.mark.parametrize("env", [
    {}, BARE, {"OCF_RA_VERSION_MAJOR": "1", "OCF_RESOURCE_INSTANCE": ""}])
def test_usage(agent, host, action, env):
    host.setattr(posix, "geteuid", lambda: 65534)
    done = agent(action, env=env)
    assert (done.rc, done.reasons) == (0, [])
    assert "{start|stop|status|monitor|validate-all|meta-data}" in done.out.splitlines()[0]
    assert "/ocf/IPaddr2" in done.out


@pytest.mark.parametrize("action", ["", "promote", "Start", "start ", "reload", "notify", "--help"])
def test_unknown_actions(agent, action):
    done = agent(action)
    assert done.rc == 3
    assert done.out.startswith("usage: ")
    assert len(done.reasons) == 1 and "[%s]" % action in done.reasons[0]


def test_no_action(agent, host):
    commands.load_environment({})
    assert agent_module.main(["IPaddr2"]) == 3


def test_more_words_are_passed_over(agent, host, fp, capfd):
    host.setattr(sys, "argv", ["IPaddr2", "usage", "start"])
    assert agent_module.main(sys.argv) == 0


def test_metadata(agent, host):
    host.setattr(posix, "geteuid", lambda: 65534)
    done = agent("meta-data", env=BARE)
    assert (done.rc, done.reasons) == (0, [])
    assert done.out == metadata.render().rstrip("\n") + "\n"


@pytest.mark.parametrize("action, rc", [
    ("start", 4), ("stop", 4), ("monitor", 7), ("status", 7), ("probe", 7), ("validate-all", 0)])
def test_who_must_be_root(fp, agent, host, action, rc):
    host.setattr(posix, "geteuid", lambda: 65534)
    if rc == 7:
        fp.query(SHOW4)
    done = agent(action, **ON_ETH0)
    assert done.rc == rc
    assert len(done.reasons) == (rc == 4)


@pytest.mark.parametrize("action", ACTIONS)
def test_no_ip_program(fp, agent, action):
    (fp.folder / "ip").unlink()
    done = agent(action, **ON_ETH0)
    assert done.rc == 5 and "ip" in done.reasons[0]


@pytest.mark.parametrize("action", ACTIONS)
def test_another_ip_program(fp, agent, action):
    fp.install("ip2")
    done = agent(action, env={"IP2UTIL": "no-such-ip"}, **ON_ETH0)
    assert done.rc == 5 and "no-such-ip" in done.reasons[0]
    if action in ("monitor", "status", "stop"):
        fp.query("ip2 -o -f inet addr show to 192.0.2.10")
        assert agent(action, env={"IP2UTIL": "ip2"}, **ON_ETH0).rc == (0 if action == "stop" else 7)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_instance_without_a_name(agent, action):
    env = {"OCF_RA_VERSION_MAJOR": "1", "OCF_RESOURCE_INSTANCE": ""}
    done = agent(action, env=env, **ON_ETH0)
    assert done.rc == 2 and "OCF_RESOURCE_INSTANCE" in done.reasons[0]


@pytest.mark.parametrize("action", ["start", "status", "monitor", "validate-all"])
@pytest.mark.parametrize("ip", ["", None])
def test_ip_is_required(agent, action, ip):
    done = agent(action, **({} if ip is None else {"ip": ip}))
    assert done.rc == 6 and "ip" in done.reasons[0].split()


def test_validate_all_of_what_is_good(fp, agent):
    assert agent("validate-all", **ON_ETH0).rc == 0


# --- time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout, seconds", [
    (None, 20), ("", 20), ("0", 20), ("x", 20), ("-1", 20), ("20000", 20), ("60000", 60),
    ("90", 1), ("9223372036854775807", 1e6)])
def test_the_childrens_time_is_below_the_actions(fp, agent, fakes, monkeypatch, timeout, seconds):
    left = []

    def query(argv):
        left.append(children.remaining())
        return fakes.query(argv)

    monkeypatch.setattr(commands, "query", query)
    fp.query(SHOW4)
    env = {} if timeout is None else {"OCF_RESKEY_CRM_meta_timeout": timeout}
    assert agent("monitor", env=env, **ON_ETH0).rc == 7
    assert seconds * 0.5 < left[0] < seconds * 0.9


@pytest.mark.parametrize("action", ["monitor", "status", "probe", "stop"])
def test_an_ip_that_hangs(fp, agent, action):
    fp.query(SHOW4, hangs=True)
    done = agent(action, **ON_ETH0)
    assert done.rc == 1 and "time limit" in done.reasons[0]


def test_an_addition_that_hangs_is_taken_back(fp, agent, scene):
    scene.look()
    fp.run("ip -f inet addr add 192.0.2.10/25 brd 192.0.2.127 dev eth0", hangs=True)
    fp.query(SHOW4, scene.here)
    scene.take_back()
    done = agent("start", **ON_ETH0)
    assert done.rc == 1 and "192.0.2.10" in done.reasons[0]
    assert any("time limit: ip -f inet addr add" in line for line in done.log)


# --- links of check_link_status --------------------------------------------------------------


def test_start_waits_for_the_link(fp, agent, captured, scene, clock):
    scene.look()
    scene.add()
    fp.query("ip -o link show dev eth0", captured("link-eth2"))
    fp.query("ip -o link show dev eth0", captured("link-eth0"))
    scene.announce()
    assert agent("start", check_link_status="true", **ON_ETH0).rc == 0


def test_start_fails_without_a_link(fp, agent, captured, scene, clock):
    scene.look()
    scene.add()
    for _ in range(62):         # three seconds of 50 ms each
        fp.query("ip -o link show dev eth0", captured("link-eth2"))
    scene.take_back()
    done = agent("start", check_link_status="true", **ON_ETH0)
    assert done.rc == 1 and "eth0" in done.reasons[0]
