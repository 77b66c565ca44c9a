# SPDX-License-Identifier: GPL-2.0-only
"""Which sender announces, with which words, and what becomes of its output."""

import posix

import pytest

from ipaddr2_py import announce, commands, ocf
from tests.unit.scenes import DAD6, LINK, ON_ETH0, ON_ETH0_6, SHOW4, SHOW6

IP6 = "2001:db8::e"


# --- words -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sender, options, words", [
    ("send_arp", "", "HA/send_arp -i 200 -r 7 -p PID eth0 192.0.2.10 auto not_used not_used"),
    ("send_arp", " -A  -x\ty ",
     "HA/send_arp -A -x y -i 200 -r 7 -p PID eth0 192.0.2.10 auto not_used not_used"),
    ("iputils_arping", "", "arping -U -c 7 -I eth0 192.0.2.10"),
    ("iputils_arping", "-A -b", "arping -A -b -U -c 7 -I eth0 192.0.2.10"),
    ("libnet_arping", "", "arping -U -c 7 -i eth0 -S 192.0.2.10 192.0.2.10"),
    ("libnet_arping", "-q", "arping -q -U -c 7 -i eth0 -S 192.0.2.10 192.0.2.10"),
    ("ipoibarping", "-A", "ipoibarping -q -c 7 -U -I eth0 192.0.2.10"),
    ("builtin", "-A", ""),
])
def test_words_of_each_sender(fp, make_vip, scene, sender, options, words):
    fp.install("ipoibarping")
    vip = make_vip(arp_sender=sender, send_arp_opts=options)
    program, argv = announce.choose_sender(vip, "7")
    expected = words.replace("HA", str(fp.folder)).replace("PID", str(scene.pid_file()))
    assert (program, " ".join(argv)) == (sender, expected)


@pytest.mark.parametrize("sender", ["", "send_arp", "iputils_arping", "ipoibarping"])
def test_ipv6_is_announced_by_send_ua(fp, make_vip, sender):
    vip = make_vip(ip=IP6, prefix=64, arp_interval="9", send_arp_opts="-A", arp_sender=sender)
    assert announce.choose_sender(vip, "2") == (
        "send_ua", ["%s/send_ua" % fp.folder, "-i", "9", "-c", "2", IP6, "64", "eth0"])


@pytest.mark.parametrize("given, prefix, missing", [
    ({}, 25, "send_arp"), ({"arp_sender": "send_arp"}, 25, "send_arp"),
    ({"arp_sender": "ipoibarping"}, 25, None), ({"ip": IP6}, 64, "send_ua"),
    ({"arp_sender": "builtin"}, 25, None), ({"ip": IP6, "arp_sender": "builtin"}, 64, None)])
def test_the_built_in_sender_where_there_is_none(fp, make_vip, captured, given, prefix, missing):
    if missing:
        (fp.folder / missing).unlink()
    if not given:
        fp.query(LINK, captured("link-eth0-long"))
    assert announce.choose_sender(make_vip(prefix=prefix, **given), "5") == ("builtin", [])


@pytest.mark.parametrize("installed, program", [(True, "ipoibarping"), (False, "send_arp")])
def test_infiniband(fp, make_vip, captured, tmp_path, installed, program):
    if installed:
        fp.install("ipoibarping")
    fp.query(LINK, captured("link-infiniband"))
    assert announce.choose_sender(make_vip(), "5")[0] == program
    assert ("WARNING" in (tmp_path / "log").read_text()) if not installed else True


@pytest.mark.parametrize("env, text, expected", [
    ("/ha", ": ${HA_BIN:=/x}\n", "/ha"),
    ("", "#x\n: ${HA_BIN:=/usr/lib/there}\n", "/usr/lib/there"),
    ("", ": ${HA_BIN:=/a b} \n: ${HA_BIN:=/c}\n", "/a b")])
def test_where_send_arp_is(fp, tmp_path, env, text, expected):
    folder = tmp_path / "lib/heartbeat"
    folder.mkdir(parents=True)
    (folder / "ocf-directories").write_text(text)
    announce.ENV["HA_BIN"] = env
    assert announce.ha_bin() == expected


def test_where_send_arp_is_without_anything(fp):
    del announce.ENV["HA_BIN"]
    assert announce.ha_bin() in ("/usr/libexec/heartbeat", "/usr/lib/heartbeat")


# --- running it ------------------------------------------------------------------------------


@pytest.mark.parametrize("background, detached", [("", True), ("true", True), ("no", False)])
def test_background_of_ipv4(fp, agent, scene, background, detached):
    scene.look()
    scene.add()
    if detached:
        fp.detach()
    fp.query(scene.send_arp())
    assert agent("start", arp_bg=background, **ON_ETH0).rc == 0


@pytest.mark.parametrize("background, detached", [("", False), ("true", True), ("x", False)])
def test_background_of_ipv6(fp, agent, scene, background, detached):
    scene.look6()
    scene.add6()
    fp.query(DAD6, scene.here6)
    if detached:
        fp.detach()
    fp.query(scene.send_ua(), rc=2 if detached else 0)
    assert agent("start", arp_bg=background, **ON_ETH0_6).rc == 0


@pytest.mark.parametrize("sender, rc, told", [
    ("iputils_arping", 2, True), ("libnet_arping", 1, False), ("iputils_arping", 0, False)])
def test_exit_code_of_a_sender(fp, agent, scene, sender, rc, told):
    scene.look(link=False)
    scene.add()
    fp.detach()
    words = {"iputils_arping": "-I eth0 192.0.2.10",
             "libnet_arping": "-i eth0 -S 192.0.2.10 192.0.2.10"}
    fp.query("arping -U -c 5 " + words[sender], out="said\n", err="more\n", rc=rc)
    done = agent("start", arp_sender=sender, **ON_ETH0)
    assert done.rc == 0
    assert ("ERROR: Could not send gratuitous ARP: rc=%d" % rc in done.log) is told
    assert done.log[-1] == "INFO: said more"
    assert not scene.pid_file().exists()


@pytest.mark.parametrize("sender", ["sendarp", "SEND_ARP", "arping", "send_arp -x", "/bin/true"])
def test_unknown_senders(agent, sender):
    for action in ("start", "validate-all", "monitor", "status"):
        done = agent(action, arp_sender=sender, **ON_ETH0)
        assert done.rc == 6 and "arp_sender [%s]" % sender in done.reasons[0]


@pytest.mark.parametrize("sender", ["iputils_arping", "libnet_arping"])
def test_a_sender_that_is_missing(fp, agent, sender):
    (fp.folder / "arping").unlink()
    for action in ("start", "validate-all"):
        done = agent(action, arp_sender=sender, **ON_ETH0)
        assert done.rc == 5 and "arping" in done.reasons[0]


def test_the_pid_file_while_a_sender_runs(fp, make_vip, scene, monkeypatch):
    fp.query("arping -U -c 5 -I eth0 192.0.2.10")
    sending = announce.Sending(make_vip(arp_sender="iputils_arping"), "5", "info")
    real, seen = commands.query_end, []
    monkeypatch.setattr(commands, "query_end",
                        lambda started: seen.append(scene.pid_file().read_text()) or real(started))
    announce.run_program(sending)
    assert seen == ["%d\n" % (2 ** 22)]
    assert not scene.pid_file().exists()


# --- again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count, sent", [("2", True), ("0", False), ("", False), ("00", False),
                                         ("x", False), ("-1", False)])
def test_refresh(fp, agent, captured, scene, count, sent):
    fp.query(SHOW4, scene.here)
    if sent:
        fp.query(LINK, captured("link-eth0-long"))
        fp.detach()
        fp.query(scene.send_arp(count="2"), out="sent\n")
    done = agent("monitor", arp_count_refresh=count, **ON_ETH0)
    assert (done.rc, done.reasons) == (0, [])
    assert bool(done.log) is (count in ("x", "-1"))     # debug lines want HA_debug


def test_no_refresh_of_what_is_not_here(fp, agent):
    fp.query(SHOW4)
    assert agent("monitor", arp_count_refresh="2", **ON_ETH0).rc == 7


@pytest.mark.parametrize("rc", [0, 1])
def test_refresh_fails_no_monitor(fp, agent, scene, rc):
    fp.query(SHOW6, scene.here6)
    fp.query(scene.send_ua(count="3"), rc=rc)
    assert agent("monitor", arp_count_refresh="3", **ON_ETH0_6).rc == 0


@pytest.mark.parametrize("still_here", [True, False])
def test_a_second_round(fp, agent, scene, clock, still_here):
    scene.look()
    scene.add()
    scene.announce()
    fp.query(SHOW4, scene.here if still_here else "")
    if still_here:
        fp.query(scene.send_arp())
    begin = clock.now
    assert agent("start", arp_repeat_after="90", **ON_ETH0).rc == 0
    assert clock.now - begin >= 90
    assert not scene.pid_file().exists()


# --- the built-in sender ---------------------------------------------------------------------


@pytest.mark.parametrize("given, count, options, mode", [
    ({}, "5", "", "both"), ({}, "1", "-A", "reply"), ({}, "2", "-U", "request"),
    ({}, "3", "-A -U", "both"), ({"ip": IP6}, "4", "-A", "both")])
def test_rounds_of_the_built_in_sender(make_vip, built_in, clock, scene, given, count, options,
                                       mode):
    vip = make_vip(arp_sender="builtin", send_arp_opts=options, arp_interval="100", arp_bg="no",
                   arp_count=count, **given)
    sending = announce.prepare(vip)
    begin = clock.now
    assert announce.announce(sending, "") == 0
    assert built_in.made == [[("eth0", vip.ip, mode, None), int(count), "closed"]]
    assert clock.now - begin == pytest.approx((int(count) - 1) * 0.1)
    assert not scene.pid_file(vip.ip).exists()


@pytest.mark.parametrize("failing", ["open", "send"])
@pytest.mark.parametrize("given, code", [(ON_ETH0, 0), (ON_ETH0_6, 1)])
def test_a_built_in_sender_that_fails(fp, agent, scene, clock, built_in, failing, given, code):
    built_in.failing = (failing,)
    if code:
        scene.look6()
        scene.add6()
        fp.query(DAD6, scene.here6)
        scene.take_back6()
    else:
        scene.look(link=False)
        scene.add()
        if failing == "send":
            fp.detach()
    done = agent("start", arp_sender="builtin", **given)
    assert done.rc == code
    assert any(line.startswith("ERROR: Could not announce " + given["ip"]) for line in done.log)


def test_a_substitute_that_fails_fails_no_start(fp, agent, scene, clock, built_in):
    """Without send_ua the shell agent announces nothing, and its start succeeds."""
    built_in.failing = ("open",)
    (fp.folder / "send_ua").unlink()
    scene.look6()
    scene.add6()
    fp.query(DAD6, scene.here6)
    done = agent("start", **ON_ETH0_6)
    assert done.rc == 0 and any(line.startswith("ERROR: Could not announce") for line in done.log)


def test_the_command_that_is_logged_can_be_pasted(make_vip, clock, tmp_path):
    sending = announce.prepare(make_vip(arp_sender="builtin", send_arp_opts="-A"))
    argv = sending.told().split()
    assert posix.access(argv[0], posix.X_OK) and argv[0].endswith("/bin/announce")
    assert argv[1:] == ["-c", "5", "-i", "200", "-A", "eth0", "192.0.2.10"]


def test_the_command_of_a_cluster_ip_names_its_hardware_address(make_vip, clock, tmp_path):
    vip = make_vip(arp_sender="builtin", mac="01:00:5e:7f:00:01")
    vip.bucket = 1
    assert " --mac 01:00:5e:7f:00:01 eth0 192.0.2.10" in announce.prepare(vip).told()


# --- duplicate address detection -------------------------------------------------------------


def test_tentative_for_ten_seconds(fp, make_vip, captured, clock, tmp_path):
    begin = clock.now
    fp.keep_last_process(True)
    vip = make_vip(ip=IP6, prefix=64)
    fp.register(DAD6.split(), stdout=captured("addr-inet6-tentative"))
    announce.wait_for_dad(vip)
    assert 10 < clock.now - begin < 10.2
    assert "WARNING" in (tmp_path / "log").read_text()
    assert fp.twins.calls[0] == ("query", DAD6.split()) and len(set(
        tuple(argv) for _, argv in fp.twins.calls)) == 1
    fp.twins.calls.clear()


def test_an_address_that_another_host_has(fp, agent, captured, scene, clock):
    show = "ip -o -f inet6 addr show to 2001:db8::dad"
    flags = "ip -o -f inet6 addr show dev eth0 to 2001:db8::dad/64"
    failed = captured("addr-inet6-dadfailed")
    fp.query(show)
    fp.run("ip -f inet6 addr add 2001:db8::dad/64 dev eth0 preferred_lft forever")
    fp.query(show, failed.replace("dadfailed ", ""))
    fp.run("ip link set dev eth0 up")
    fp.query(flags, failed.replace("dadfailed ", ""))
    fp.query(flags, failed)
    fp.run("ip -f inet6 addr del dev eth0 2001:db8::dad/64")    # the shell agent's words
    fp.query(show)
    done = agent("start", **dict(ON_ETH0_6, ip="2001:db8::dad"))
    assert done.rc == 1 and "2001:db8::dad" in done.reasons[0]


def test_nothing_to_wait_for(fp, make_vip, captured):
    fp.query(DAD6, captured("addr-inet6-settled"))
    announce.wait_for_dad(make_vip(ip=IP6, prefix=64))


@pytest.mark.parametrize("text", ["addr-inet6-to-1", "addr-inet-to-none"])
def test_an_address_that_is_gone_again(fp, make_vip, captured, text):
    fp.query(DAD6, captured(text))
    with pytest.raises(ocf.OcfExit) as left:
        announce.wait_for_dad(make_vip(ip=IP6, prefix=64))
    assert left.value.rc == 1


def test_an_ip_that_does_not_tell_of_duplicates(fp, make_vip, clock):
    begin = clock.now
    fp.keep_last_process(True)
    fp.register(DAD6.split(), returncode=2)
    with pytest.raises(ocf.OcfExit) as left:
        announce.wait_for_dad(make_vip(ip=IP6, prefix=64))
    assert left.value.rc == 1 and 10 < clock.now - begin < 10.2
    fp.twins.calls.clear()
