# SPDX-License-Identifier: GPL-2.0-only
"""Which sender announces, with which words, and what becomes of its output."""

import posix

import pytest

from ipaddr2_py import children, clusterip, commands
from ipaddr2_py.announce import dad, lookout, packets, sender as announce
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
    ("builtin", "-A", "ANNOUNCE announce -c 7 -i 200 -A eth0 192.0.2.10"),
    ("builtin", "-U", "ANNOUNCE announce -c 7 -i 200 -U eth0 192.0.2.10"),
    ("builtin", "-A -U", "ANNOUNCE announce -c 7 -i 200 eth0 192.0.2.10"),
])
def test_words_of_each_sender(fp, make_vip, scene, sender, options, words):
    fp.install("ipoibarping")
    vip = make_vip(arp_sender=sender, send_arp_opts=options)
    assert announce.choose_sender(vip) == sender
    expected = words.replace("HA", str(fp.folder)).replace("PID", str(scene.pid_file()))
    expected = expected.replace("ANNOUNCE", announce.builtin_path())
    assert " ".join(announce.build_arp_sender_cmd(vip, sender, "7")) == expected


@pytest.mark.parametrize("sender", ["", "send_arp", "iputils_arping", "ipoibarping"])
def test_ipv6_is_announced_by_send_ua(fp, make_vip, sender):
    vip = make_vip(ip=IP6, prefix=64, arp_interval="9", send_arp_opts="-A", arp_sender=sender)
    assert announce.choose_sender(vip) == "send_ua"
    assert announce.build_arp_sender_cmd(vip, "send_ua", "2") == [
        "%s/send_ua" % fp.folder, "-i", "9", "-c", "2", IP6, "64", "eth0"]


@pytest.mark.parametrize("given, prefix, missing", [
    ({}, 25, "send_arp"), ({"arp_sender": "send_arp"}, 25, "send_arp"),
    ({"arp_sender": "ipoibarping"}, 25, None), ({"ip": IP6}, 64, "send_ua"),
    ({"arp_sender": "builtin"}, 25, None), ({"ip": IP6, "arp_sender": "builtin"}, 64, None)])
def test_the_built_in_sender_where_there_is_none(fp, make_vip, captured, given, prefix, missing):
    if missing:
        (fp.folder / missing).unlink()
    if not given:
        fp.query(LINK, captured("link-eth0-long"))
    assert announce.choose_sender(make_vip(prefix=prefix, **given)) == "builtin"


@pytest.mark.parametrize("installed, program", [(True, "ipoibarping"), (False, "send_arp")])
def test_infiniband(fp, make_vip, captured, tmp_path, installed, program):
    if installed:
        fp.install("ipoibarping")
    fp.query(LINK, captured("link-infiniband"))
    assert announce.choose_sender(make_vip()) == program
    assert ("WARNING" in (tmp_path / "log").read_text()) if not installed else True


@pytest.mark.parametrize("env, text, expected", [
    ("/ha", ": ${HA_BIN:=/x}\n", "/ha"),
    ("", "#x\n: ${HA_BIN:=/usr/lib/there}\n", "/usr/lib/there"),
    ("", ": ${HA_BIN:=/a b} \n: ${HA_BIN:=/c}\n", "/a b"),
    ("", "FOLDER:=${HA_BIN:=/x}\n: ${HA_BIN:=/y\n: ${HA_BIN:=/z}\n", "/z")])
def test_where_send_arp_is(fp, tmp_path, env, text, expected):
    folder = tmp_path / "lib/heartbeat"
    folder.mkdir(parents=True)
    (folder / "ocf-directories").write_text(text)
    announce.ENV["HA_BIN"] = env
    assert announce.ha_bin() == expected


@pytest.mark.parametrize("there, folder", [
    ("/usr/libexec/heartbeat", "/usr/libexec/heartbeat"), ("/nowhere", "/usr/libexec/heartbeat"),
    ("/usr/lib/heartbeat", "/usr/lib/heartbeat")])
def test_where_send_arp_is_without_anything(fp, monkeypatch, there, folder):
    del announce.ENV["HA_BIN"]
    monkeypatch.setattr(announce.commands, "is_file", lambda path: path == there + "/send_arp")
    assert announce.ha_bin() == folder


def test_send_arp_in_both_places(fp, monkeypatch):
    del announce.ENV["HA_BIN"]
    monkeypatch.setattr(announce.commands, "is_file", lambda path: path.startswith("/usr/lib"))
    assert announce.ha_bin() == "/usr/libexec/heartbeat"


def test_something_to_tell(host):
    assert announce.nothing_to_tell("eth0") == ""


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
def test_unknown_senders(fp, agent, sender):
    for action in ("start", "validate-all", "monitor", "status"):
        if action != "validate-all":
            fp.query(SHOW4)
        done = agent(action, arp_sender=sender, **ON_ETH0)
        if " " in sender and action in ("monitor", "status"):
            assert done.rc == 7         # several words do not matter to them
            continue
        assert done.rc == 6 and "arp_sender [%s]" % sender in done.reasons[0]


@pytest.mark.parametrize("sender", ["iputils_arping", "libnet_arping"])
def test_a_sender_that_is_missing(fp, agent, sender):
    (fp.folder / "arping").unlink()
    for action in ("start", "validate-all"):
        if action == "start":
            fp.query(SHOW4)
        done = agent(action, arp_sender=sender, **ON_ETH0)
        assert done.rc == 5 and "arping" in done.reasons[0]


def test_the_pid_file_while_a_sender_runs(fp, make_vip, scene, monkeypatch):
    fp.query("arping -U -c 5 -I eth0 192.0.2.10")
    burst = announce.Burst(make_vip(arp_sender="iputils_arping"), "5", "info")
    real, seen = commands.query_end, []
    monkeypatch.setattr(commands, "query_end",
                        lambda started: seen.append(scene.pid_file().read_text()) or real(started))
    assert announce.log_arp_sender(burst) == 0
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
    assert bool(done.log) is (count == "x")         # debug lines want HA_debug


def test_no_refresh_of_what_is_not_here(fp, agent):
    fp.query(SHOW4)
    assert agent("monitor", arp_count_refresh="2", **ON_ETH0).rc == 7


@pytest.mark.parametrize("rc", [0, 1])
def test_refresh_fails_no_monitor(fp, agent, scene, rc):
    fp.query(SHOW6, scene.here6)
    fp.query(DAD6, scene.here6)
    fp.query(scene.send_ua(count="3"), rc=rc)
    assert agent("monitor", arp_count_refresh="3", **ON_ETH0_6).rc == 0


@pytest.mark.parametrize("name", ["addr-inet6-tentative", "addr-inet6-dadfailed"])
def test_no_refresh_of_what_may_be_another_hosts(fp, agent, captured, scene, name):
    fp.query(SHOW6, scene.here6)
    fp.query(DAD6, captured(name).replace("::dad", "::e"))
    done = agent("monitor", arp_count_refresh="3", **ON_ETH0_6)
    assert done.rc == 0 and done.log == [
        "INFO: duplicate address detection of 2001:db8::e has not ended: not announced again"]


def test_a_refresh_where_detection_cannot_be_told(fp, agent, scene):
    fp.query(SHOW6, scene.here6)
    fp.query(DAD6, rc=1)
    fp.query(scene.send_ua(count="3"))
    assert agent("monitor", arp_count_refresh="3", **ON_ETH0_6).rc == 0


@pytest.fixture
def looks(fp, scene):
    """A function that describes that many looks for the address, which find it, and one that
    sees it gone."""
    def describe(number, gone=False):
        for _ in range(number):
            fp.query(SHOW4, scene.here)
        if gone:
            fp.query(SHOW4)

    return describe


@pytest.mark.parametrize("after", ["90", "0000000090"])
def test_a_second_round(fp, agent, scene, clock, looks, monkeypatch, after):
    """Each has all the time that it may take."""
    spare, real = [], announce.log_sender
    monkeypatch.setattr(announce, "log_sender", lambda burst: spare.append(
        children.remaining() - burst.longest()) or real(burst))
    scene.look()
    scene.add()
    scene.announce()
    looks(91)           # each second, and before it is sent
    fp.query(scene.send_arp())
    begin = clock.now
    assert agent("start", arp_repeat_after=after, **ON_ETH0).rc == 0
    assert clock.now - begin == pytest.approx(90)
    assert not scene.pid_file().exists() and spare == [0, 0]


def test_no_second_round_of_what_has_gone(fp, agent, scene, clock, looks):
    scene.look()
    scene.add()
    scene.announce()
    looks(4, gone=True)
    begin = clock.now
    assert agent("start", arp_repeat_after="90", **ON_ETH0).rc == 0
    assert clock.now - begin == pytest.approx(5)
    assert not scene.pid_file().exists()


def test_no_second_round_of_what_goes_in_the_last_moment(fp, agent, scene, clock, looks):
    scene.look()
    scene.add()
    scene.announce()
    looks(2, gone=True)         # two while it waits, one before it sends
    assert agent("start", arp_repeat_after="2", **ON_ETH0).rc == 0
    assert not scene.pid_file().exists()


def test_no_second_round_where_it_cannot_be_told_in_the_end(fp, agent, scene, clock):
    scene.look()
    scene.add()
    scene.announce()
    for _ in range(3):
        fp.query(SHOW4, rc=1)
    done = agent("start", arp_repeat_after="2", **ON_ETH0)
    assert done.rc == 0 and "ERROR: 192.0.2.10 is not announced again: " in done.log[-1]


# --- whether the address is still here -------------------------------------------------------


@pytest.mark.parametrize("text, rc, gone", [
    ("addr-inet-to-10", 0, False), ("addr-inet-to-none", 0, True), ("addr-inet-to-1", 0, True),
    ("addr-inet-to-none", 1, False), ("link-eth0-long", 0, False)])
def test_a_look(fp, make_vip, captured, clock, text, rc, gone):
    """Where `ip` does not say, the address is taken to be here."""
    fp.query(SHOW4, captured(text), rc=rc)
    watch = lookout.Lookout(make_vip(), 2)
    assert not watch.is_over(), "it was here a moment ago"
    clock.now += 1
    assert watch.is_over() is gone and watch.gone is gone
    assert watch.is_over() is gone, "it is not asked for again at once"


def test_on_another_interface_it_is_not_here(fp, make_vip, captured):
    fp.query(SHOW4, captured("addr-inet-to-10"))
    assert not lookout.find(make_vip(nic="eth1"), 3)


@pytest.mark.parametrize("index, name, here", [
    (2, "eth0", True), (2, "old0", True), (7, "eth0", False), (0, "eth0", True),
    (0, "old0", False)])
def test_the_number_of_the_interface_counts_where_it_is_known(fp, make_vip, captured, index, name,
                                                              here):
    """It may be renamed meanwhile, and another one get its name."""
    fp.query(SHOW4, captured("addr-inet-to-10").replace("eth0", name))
    assert bool(lookout.find(make_vip(), index)) is here


@pytest.mark.parametrize("seconds, limit, over, took", [
    (0, 20, False, 0), (0.5, 20, False, 0.5), (2.5, 20, False, 2.5), (2.5, 1.5, True, 1.5)])
def test_a_pause(make_vip, clock, looks, seconds, limit, over, took):
    looks(int(took))
    children.set_deadline(limit)
    watch, begin = lookout.Lookout(make_vip(), 2), clock.now
    assert watch.pause(seconds) is over and not watch.gone
    assert clock.now - begin == pytest.approx(took)


def test_a_program_is_ended_when_the_address_has_gone(fp, make_vip, looks, clock, monkeypatch,
                                                      tmp_path):
    fp.query("arping -U -c 5 -I eth0 192.0.2.10", hangs=True)
    looks(2, gone=True)

    def wait_some(_started, seconds):
        clock.now += seconds

    monkeypatch.setattr(children, "wait_some", wait_some)
    ended, real = [], commands.query_end

    def query_end(started, seconds=None):
        ended.append(seconds)
        return real(started, seconds)

    monkeypatch.setattr(commands, "query_end", query_end)
    burst = announce.Burst(make_vip(arp_sender="iputils_arping"), "5", "info")
    children.set_deadline(60)
    assert announce.log_arp_sender(burst) == 1
    assert ended[-1] == 0
    log = (tmp_path / "log").read_text()
    assert "INFO: 192.0.2.10/25 on eth0 has gone" in log and "ERROR" not in log


# --- the built-in sender ---------------------------------------------------------------------


@pytest.mark.parametrize("given, count, options, mode", [
    ({}, "5", "", "both"), ({}, "1", "-A", "reply"), ({}, "2", "-U", "request"),
    ({}, "3", "-A -U", "both"), ({"ip": IP6}, "4", "-A", "both")])
def test_rounds_of_the_built_in_sender(make_vip, built_in, clock, scene, given, count, options,
                                       mode):
    vip = make_vip(arp_sender="builtin", send_arp_opts=options, arp_interval="100", arp_bg="no",
                   arp_count=count, **given)
    burst = announce.start_burst(vip)
    begin = clock.now
    assert announce.send(burst, "") == 0 and not burst.lookout.gone
    assert built_in.made == [[("eth0", vip.ip, mode, None), int(count), "closed"]]
    assert clock.now - begin == pytest.approx((int(count) - 1) * 0.1)
    assert not scene.pid_file(vip.ip).exists()


def test_a_round_of_the_built_in_sender_goes_out_before_the_agent_goes_on(make_vip, built_in, clock,
                                                                          monkeypatch):
    left = []
    monkeypatch.setattr(commands, "detach", left.append)
    burst = announce.start_burst(make_vip(arp_sender="builtin", arp_count="3"))
    assert announce.send(burst, "") == 0
    assert built_in.made[0][1:] == [1] and len(left) == 1
    left[0]()
    assert built_in.made[0][1:] == [3, "closed"]


@pytest.mark.parametrize("interval, rounds, ends", [("200", 25, 5), ("60000", 1, 5)])
def test_the_built_in_sender_ends_with_the_address(make_vip, built_in, clock, looks, tmp_path,
                                                   interval, rounds, ends):
    looks(4, gone=True)
    vip = make_vip(arp_sender="builtin", arp_bg="no", arp_count="1000", arp_interval=interval)
    children.set_deadline(1000)
    begin = clock.now
    assert announce.send(announce.start_burst(vip), "") == 1
    assert clock.now - begin == pytest.approx(ends)
    assert built_in.made[0][1:] == [rounds, "closed"]
    log = (tmp_path / "log").read_text()
    assert "INFO: 192.0.2.10/25 on eth0 has gone: its announcement ends" in log
    assert "ERROR" not in log


def test_the_built_in_sender_ends_at_the_time_limit(make_vip, built_in, clock, looks, tmp_path):
    looks(2)
    vip = make_vip(arp_sender="builtin", arp_bg="no", arp_count="1000", arp_interval="1000")
    children.set_deadline(2.5)
    assert announce.send(announce.start_burst(vip), "") == 1
    assert built_in.made[0][1:] == [3, "closed"]
    assert "INFO: ended at the time limit" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("count, interval, seconds", [
    ("5", "200", 65), ("0000005", "200", 65), ("5", "0000000060000", 360),
    ("10000000", "1", 1000000), ("1", "430000000", 430060), ("5", "430000000", 1000000),
    (str(2 ** 63 - 1), str(2 ** 63 - 1), 1000000)])
def test_how_long_a_burst_may_take(make_vip, count, interval, seconds):
    vip = make_vip(arp_interval=interval, arp_sender="send_arp")
    burst = announce.Burst(vip, count, "info")
    assert burst.longest() == seconds
    assert count in burst.argv() and interval in burst.argv(), "as the user gave them"


@pytest.mark.parametrize("text, value", [("7", 7), ("0000007", 7), ("0", 0), ("10000000", 10000000),
                                         ("1000000001", 1000000000), ("9" * 19, 1000000000)])
def test_a_number(text, value):
    assert announce.number(text) == value


# --- nobody to tell --------------------------------------------------------------------------


@pytest.fixture
def nobody(host):
    """An interface without a hardware address."""
    def refuse(nic):
        raise packets.NothingToTell("the interface %r has none" % nic)

    host.setattr(packets, "hardware_address", refuse)


@pytest.mark.parametrize("sender", ["", "send_arp", "builtin", "iputils_arping"])
def test_nothing_to_announce(fp, agent, scene, nobody, sender):
    scene.look(link=False)
    scene.add()
    done = agent("start", arp_sender=sender, arp_repeat_after="5", **ON_ETH0)
    assert (done.rc, done.log[-1]) == (
        0, "INFO: nothing is announced: the interface 'eth0' has none")
    assert not any(line.startswith(("ERROR", "WARNING")) for line in done.log)


@pytest.mark.parametrize("sender", ["", "builtin"])
def test_nothing_to_announce_of_ipv6(fp, agent, scene, nobody, sender):
    """A send_ua that fails would fail the start."""
    scene.look6()
    scene.add6()
    fp.query(DAD6, scene.here6)
    done = agent("start", arp_sender=sender, **ON_ETH0_6)
    assert done.rc == 0 and "nothing is announced" in done.log[-1]


def test_nothing_to_announce_later(fp, agent, captured, scene, nobody, clock, monkeypatch):
    """Nobody waits for the end of detection then."""
    monkeypatch.setattr(dad, "LIMIT", 0.0)
    scene.look6()
    scene.add6()
    for _ in range(2):
        fp.query(DAD6, captured("addr-inet6-tentative"))
    done = agent("start", **ON_ETH0_6)
    assert done.rc == 0 and "nothing is announced" in done.log[-1]
    assert done.log[-1].startswith("WARNING")


def test_nothing_to_announce_again(fp, agent, scene, nobody):
    fp.query(SHOW4, scene.here)
    done = agent("monitor", arp_count_refresh="2", **ON_ETH0)
    assert (done.rc, done.log) == (0, [])


def test_what_else_is_wrong_with_an_interface_is_the_senders_to_say(fp, agent, scene, host):
    def refuse(nic):
        raise packets.PacketError("%s is InfiniBand" % nic)

    host.setattr(packets, "hardware_address", refuse)
    scene.look()
    scene.add()
    scene.announce()
    assert agent("start", **ON_ETH0).rc == 0


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
    burst = announce.start_burst(make_vip(arp_sender="builtin", send_arp_opts="-A"))
    argv = burst.argv()
    assert posix.access(argv[0], posix.X_OK) and argv[0].endswith("/bin/vipctl")
    assert argv[1:] == ["announce", "-c", "5", "-i", "200", "-A", "eth0", "192.0.2.10"]


def test_the_command_that_is_logged_has_numbers(make_vip):
    """As vipctl announce takes them, whatever the parameters hold."""
    vip = make_vip(arp_sender="builtin", arp_interval="9" * 19, arp_count="0000003")
    assert announce.start_burst(vip).argv()[2:6] == ["-c", "3", "-i", "1000000000"]


@pytest.mark.parametrize("sender", ["send_arp", "builtin"])
@pytest.mark.parametrize("mac", ["", "01:00:5e:7f:00:01"])
def test_which_hardware_address_is_announced(make_vip, built_in, clock, sender, mac):
    """That of a shared address, else the interface's own, whatever mac= says: neighbours would send
    to nobody."""
    vip = make_vip(arp_sender=sender, mac="02:00:00:00:00:99", arp_bg="no", arp_count="1")
    burst = announce.start_burst(vip)
    burst.mac = mac
    if sender == "send_arp":
        assert burst.argv()[-3] == (mac.replace(":", "") or "auto")
        return
    announce.send(burst, "")
    assert built_in.made[0][0] == ("eth0", "192.0.2.10", "both", mac or None)
    assert burst.argv()[6:] == (["--mac", mac] if mac else []) + ["eth0", "192.0.2.10"]


@pytest.mark.parametrize("bucket, mac", [(0, ""), (1, "01:00:5e:7f:00:01")])
def test_which_hardware_address_a_refresh_announces(make_vip, monkeypatch, bucket, mac):
    sent = []
    monkeypatch.setattr(announce, "send", lambda burst, _after: sent.append(burst.mac))
    monkeypatch.setattr(clusterip, "in_use", lambda _vip: ("nft", "01:00:5e:7f:00:01"))
    vip = make_vip(arp_sender="builtin", mac="02:00:00:00:00:99", arp_count_refresh="1")
    vip.bucket = bucket
    announce.refresh(vip)
    assert sent == [mac]


def test_a_mode_is_for_ipv4_alone(make_vip):
    for options, mode in (("-U", "request"), ("-A", "reply"), ("-A -U", "both"), ("", "both")):
        assert announce.builtin_mode(make_vip(send_arp_opts=options)) == mode
        assert announce.builtin_mode(make_vip(ip=IP6, prefix=64, send_arp_opts=options)) == "both"


def test_what_a_burst_that_cannot_begin_comes_to(make_vip, monkeypatch):
    burst = announce.start_burst(make_vip(arp_sender="builtin"))
    monkeypatch.setattr(announce, "first_round", lambda _burst: False)
    assert announce.send(burst, "") == 1
    burst.nothing = "nobody asks"
    assert announce.send(burst, "") == 0
