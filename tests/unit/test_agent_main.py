# SPDX-License-Identifier: GPL-2.0-only
"""What needs no address: usage, metadata, unknown actions; and what befalls any action."""

import importlib.machinery
import importlib.util
import posix
import signal
import sys

import pytest

from ipaddr2_py import agent as agent_module
from ipaddr2_py import children, clusterip, commands
from ipaddr2_py.announce import sender as sender_module
from ipaddr2_py.provider import metadata
from tests.unit.scenes import BRD4, ON_ETH0, SHOW4

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
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert agent_module.main(["IPaddr2"]) == 3
    assert callable(signal.getsignal(signal.SIGTERM))


def test_more_words_are_passed_over(agent, host, fp, capfd):
    host.setattr(sys, "argv", ["", "usage", "start"])
    assert agent_module.main(sys.argv) == 0
    assert capfd.readouterr().out.startswith("usage: IPaddr2 {start")


def test_metadata(agent, host):
    host.setattr(posix, "geteuid", lambda: 65534)
    done = agent("meta-data", env=BARE)
    assert (done.rc, done.reasons) == (0, [])
    assert done.out == metadata.render().rstrip("\n") + "\n"


@pytest.mark.parametrize("version, rc", [("1.1", 0), ("1.0", 3)])
def test_what_was_rendered_with_the_package(agent, host, tmp_path, version, rc):
    """The metadata, of any length and behind a link; they tell whether there is reload-agent."""
    text = "<version>%s</version>%s" % (version, " " * 70000 + "<end/>")
    (tmp_path / "elsewhere").write_text(text + "\n")
    (tmp_path / "IPaddr2.xml").symlink_to(tmp_path / "elsewhere")
    host.setattr(agent_module, "__file__", str(tmp_path / "agent.py"))
    assert agent("meta-data").out == text + "\n"
    assert agent("reload-agent", **ON_ETH0).rc == rc
    assert agent("reload-agent", **dict(ON_ETH0, arp_count="0")).rc == (3 if rc else 6)
    assert agent("promote", **ON_ETH0).rc == 3


@pytest.mark.parametrize("sender", ["send_arp", "iputils_arping", "libnet_arping", "ipoibarping",
                                    "builtin"])
def test_every_sender_is_known(fp, agent, sender):
    assert agent("validate-all", arp_sender=sender, **ON_ETH0).rc == 0


@pytest.mark.parametrize("tools, given, rc, word", [
    ((), {}, 5, "nft"), (("nft",), {"clusterip_hash": "x"}, 6, "clusterip_hash"),
    (("nft",), {}, 0, "")])
def test_what_a_shared_address_needs(fp, agent, tools, given, rc, word):
    env = {"OCF_RESKEY_CRM_meta_" + name: value for name, value in (
        ("clone_max", "2"), ("clone", "0"), ("globally_unique", "true"))}
    fp.install(*tools)
    done = agent("validate-all", env, clusterip_firewall="nft", **dict(ON_ETH0, **given))
    assert done.rc == rc and word in "".join(done.reasons)


@pytest.mark.parametrize("bucket, status, logged", [
    (0, "no", False), (0, "shared", True), (1, "partial", True), (1, "no", True)])
def test_why_a_shared_address_is_not_served(make_vip, monkeypatch, bucket, status, logged):
    seen, vip = [], make_vip()
    vip.bucket = bucket
    monkeypatch.setattr(agent_module, "ip_served", lambda _vip, _held: status)
    monkeypatch.setattr(clusterip, "log_missing", lambda _vip, status: seen.append(status))
    assert agent_module.ip_monitor(vip) == 7
    assert seen == [status] * logged


@pytest.mark.parametrize("count, refreshed", [("0", 0), ("", 0), ("00", 1), ("3", 1)])
def test_a_monitor_that_is_to_announce(make_vip, monkeypatch, count, refreshed):
    seen = []
    monkeypatch.setattr(agent_module, "ip_served", lambda _vip, _held: "ok")
    monkeypatch.setattr(sender_module, "refresh", seen.append)
    assert agent_module.ip_monitor(make_vip(arp_count_refresh=count)) == 0
    assert len(seen) == refreshed


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
    ("1", 1), ("90", 1), ("9223372036854775807", 1e6)])
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
    assert agent_module.action_timeout() == seconds
    assert children.RUN.undo_time == pytest.approx(seconds * 0.2)


@pytest.mark.parametrize("action, step", [("stop", 1.0), ("monitor", 0.2)])
def test_a_stop_that_was_paused_has_time_for_each_child(fp, agent, action, step):
    fp.query(SHOW4)
    agent(action, **ON_ETH0)
    assert children.RUN.step == step


# --- faults ----------------------------------------------------------------------------------


def test_what_cannot_be_told_of_the_host(fp, agent, scene):
    scene.look(brd=False, link=False)
    fp.query(BRD4, err="Cannot open netlink socket", rc=1)
    done = agent("start", **ON_ETH0)
    assert done.rc == 1 and "cannot tell how this host stands" in done.reasons[0]


def test_questions_that_nobody_asked_end_with_the_action(agent, monkeypatch):
    seen = []
    monkeypatch.setattr(commands, "discard_prefetched", lambda: seen.append("ended"))
    assert agent("no-such").rc == 3 and seen == ["ended"]


def cut_short(folder):
    """Load a compiled module that ends in the middle."""
    path = folder / "some.pyc"
    path.write_bytes(importlib.util.MAGIC_NUMBER + bytes(12) + b"\xe3")
    importlib.machinery.SourcelessFileLoader("some", str(path)).get_code("some")


@pytest.mark.parametrize("fault, compiled", [
    (cut_short, True), (lambda _folder: importlib.import_module("no.such.module"), False),
    (lambda _folder: importlib.import_module(5), False), (lambda _folder: int("x"), False)])
def test_a_compiled_module_that_is_not_whole(agent, monkeypatch, tmp_path, fault, compiled):
    """bin/IPaddr2 starts once more, without them; any other fault is exit code 1."""
    monkeypatch.setattr(agent_module, "perform", lambda _action: fault(tmp_path))
    if compiled:
        with pytest.raises(EOFError):
            agent("monitor")
    else:
        assert agent("monitor").rc == 1


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
