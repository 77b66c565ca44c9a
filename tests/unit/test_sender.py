# SPDX-License-Identifier: GPL-2.0-only
"""A burst of announcements, step by step: who sends it, when, for how long, and who ends before."""

import pytest

from ipaddr2_py import children, commands
from ipaddr2_py.announce import packets, sender
from ipaddr2_py.logs import log
from tests.unit.scenes import LINK

IP6 = {"ip": "2001:db8::e", "prefix": 64}


@pytest.fixture(name="burst")
def fixture_burst(make_vip):
    """A function that gives the Burst of a Vip."""
    return lambda **given: sender.start_burst(make_vip(**dict({"arp_sender": "send_arp"}, **given)))


@pytest.fixture(name="left")
def what_is_left_to_a_child(monkeypatch):
    """The works that were left to children."""
    works = []
    monkeypatch.setattr(sender, "leave", works.append)
    return works


@pytest.fixture(name="ended")
def who_is_ended(monkeypatch):
    """The senders that were told to end and waited for: (path, ip, nic)."""
    told = []
    monkeypatch.setattr(sender, "tell_to_end", lambda *words: [words])
    monkeypatch.setattr(sender, "wait_until_gone", told.extend)
    return told


# --- who sends -------------------------------------------------------------------------------


@pytest.mark.parametrize("program, path", [
    ("send_arp", "HA/send_arp"), ("send_ua", "HA/send_ua"), ("iputils_arping", "arping"),
    ("libnet_arping", "arping"), ("ipoibarping", "ipoibarping"), ("builtin", "")])
def test_programs(fp, program, path):
    assert sender.sender_path(program) == path.replace("HA", str(fp.folder))


@pytest.mark.parametrize("action, warned", [("start", True), ("monitor", False)])
def test_a_warning_once_for_infiniband(fp, make_vip, captured, tmp_path, action, warned):
    fp.query(LINK, captured("link-infiniband"))
    assert sender.default_sender(make_vip(action)) == "send_arp"
    assert (tmp_path / "log").exists() is warned


@pytest.mark.parametrize("installed", [True, False])
def test_where_vipctl_is(tmp_path, monkeypatch, installed):
    package = tmp_path / "ipaddr2_py"
    if installed:
        (package / "bin").mkdir(parents=True)
        (package / "bin/vipctl").write_text("")
    monkeypatch.setattr(sender, "__file__", str(package / "announce/sender.py"))
    assert sender.builtin_path() == str(package if installed else tmp_path) + "/bin/vipctl"


def test_where_the_root_is_not_told(fp, monkeypatch):
    for name in ("HA_BIN", "OCF_ROOT"):
        commands.ENV.pop(name, None)
    monkeypatch.setattr(sender.files, "read_file", lambda path: {
        "/usr/lib/ocf/lib/heartbeat/ocf-directories": "x\n: ${HA_BIN:=/there}\n"}[path])
    assert sender.ha_bin() == "/there"


@pytest.mark.parametrize("bucket, given, name, skipped", [
    (0, {}, "ipoibarping", False), (1, {}, "ipoibarping", True), (1, {}, "iputils_arping", True),
    (1, {}, "", False), (1, {}, "send_arp", False), (1, {}, "builtin", False),
    (1, IP6, "iputils_arping", False)])
def test_no_wrong_address_of_a_shared_one_is_told(make_vip, monkeypatch, bucket, given, name,
                                                  skipped):
    sent = []
    monkeypatch.setattr(sender, "send", lambda burst, _after: sent.append(burst.count))
    monkeypatch.setattr(sender, "choose_sender", lambda _vip: "builtin")
    monkeypatch.setattr(sender, "is_open", lambda _vip: False)
    monkeypatch.setattr(sender, "sharing", lambda: sender)
    monkeypatch.setattr(sender, "in_use", lambda _vip: ("nft", ""), raising=False)
    vip = make_vip(arp_sender=name, arp_count_refresh="3", **given)
    vip.bucket = bucket
    assert sender.skip_cluster_ip(vip) is skipped
    sender.run_arp_sender(sender.start_burst(vip))
    sender.refresh(vip)
    assert sent == [] if skipped else sent == ["5", "3"]


# --- a child of its own ----------------------------------------------------------------------


def test_a_child_ends_when_it_is_told(fp, monkeypatch):
    """What was logged before comes first."""
    order = []
    monkeypatch.setattr(log, "flush", lambda: order.append("flush"))
    monkeypatch.setattr(children, "handle_termination", lambda: order.append("termination"))
    monkeypatch.setattr(commands, "detach", lambda work: order.append("detach") or work())
    sender.leave(lambda: order.append("work"))
    assert order == ["flush", "detach", "termination", "work"]


def test_no_process_for_a_child(fp, host, monkeypatch, tmp_path):
    def none_left(_work):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(commands, "detach", none_left)
    sender.leave(lambda: None)
    assert "ERROR: no process for the announcements: Resource" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("background, given, in_child", [
    ("yes", None, True), ("no", None, False), ("no", True, True), ("yes", False, False)])
@pytest.mark.parametrize("after, repeated", [("", False), ("x", False), ("7", True)])
def test_who_waits(burst, left, monkeypatch, background, given, in_child, after, repeated):
    """A child sends, or the agent, which leaves the repetition to a child."""
    done = []
    monkeypatch.setattr(sender, "log_sender", lambda _burst: done.append(
        ("send", children.remaining())) or 3)
    monkeypatch.setattr(sender, "repeat", lambda _burst, after: done.append(("repeat", after)))
    one = burst(arp_bg=background)
    children.set_deadline(10)
    assert sender.send(one, after, given) == (0 if in_child else 3)
    sent_by_agent = len(done)
    for work in left:
        work()
    assert sent_by_agent == (not in_child) and len(left) == (in_child or repeated)
    assert [what for what, _ in done] == ["send"] + ["repeat"] * repeated
    assert done[0][1] == pytest.approx(65 if in_child else 10, abs=0.5)
    assert not repeated or done[1] == ("repeat", "7")


@pytest.mark.parametrize("name, stale, others", [
    ("builtin", 0, 1), ("send_arp", 1, 0), ("ipoibarping", 1, 0), ("iputils_arping", 1, 0),
    ("send_ua", 0, 0)])
def test_who_goes_first(fp, burst, left, ended, scene, monkeypatch, name, stale, others):
    """The built-in sender ends the one before it, as send_arp does by its pid file."""
    fp.install("ipoibarping")
    dropped = []
    monkeypatch.setattr(sender, "drop_stale", lambda *words: dropped.append(words))
    monkeypatch.setattr(sender, "first_round", lambda _burst: True)
    one = burst(arp_sender=name, arp_bg="yes") if name != "send_ua" else burst(arp_bg="yes", **IP6)
    assert sender.send(one, "") == 0
    assert dropped == [(str(scene.pid_file()), "192.0.2.10")] * stale
    assert ended == [(str(scene.pid_file()), "192.0.2.10", "eth0")] * others


# --- once detection has ended ----------------------------------------------------------------


def test_a_child_waits_for_the_end_of_detection(burst, left, ended, scene, monkeypatch):
    """In the place of another one that does."""
    one = burst(**IP6)
    sender.leave_to_background(one)
    assert ended == [(str(scene.pid_file("2001:db8::e")), "2001:db8::e", "eth0")]
    seen = []
    monkeypatch.setattr(sender, "announce_once_settled", seen.append)
    left[0]()
    assert seen == [one]


@pytest.mark.parametrize("settled", [True, False])
def test_what_it_announces_then(burst, scene, monkeypatch, settled):
    one, sent = burst(arp_repeat_after="9", **IP6), []
    other = one.vip.renamed("eth7")

    def wait(vip, index):
        assert (vip.nic, index) == ("eth0", 2)
        assert scene.pid_file("2001:db8::e").exists(), "for a stop to find it"
        return other if settled else None

    monkeypatch.setattr(sender, "wait_in_background", wait)
    monkeypatch.setattr(sender, "send", lambda burst, after, background: sent.append(
        (burst.vip.nic, after, background, round(children.remaining()))))
    sender.announce_once_settled(one)
    assert sent == [("eth7", "9", False, 65)] * settled
    assert not scene.pid_file("2001:db8::e").exists()


# --- once more -------------------------------------------------------------------------------


@pytest.mark.parametrize("after, seconds", [("7", 7), ("5000000", 1000000)])
@pytest.mark.parametrize("name, first, sent", [
    ("send_arp", None, True), ("builtin", True, True), ("builtin", False, False)])
def test_once_more(burst, clock, monkeypatch, after, seconds, name, first, sent):
    paused, done = [], []

    class Lookout:
        def __init__(self, vip, index):
            assert (vip.nic, index) == ("eth0", 2)

        def pause(self, seconds):
            paused.append((seconds, children.remaining()))

    monkeypatch.setattr(sender, "Lookout", Lookout)
    monkeypatch.setattr(sender, "find", lambda _vip, _index: ["here"])
    monkeypatch.setattr(sender, "first_round", lambda _burst: done.append("first") or first)
    monkeypatch.setattr(sender, "log_sender", lambda _burst: done.append(children.remaining()))
    sender.repeat(burst(arp_sender=name), after)
    assert paused == [(seconds, seconds + 60)]
    assert done == ["first"] * (first is not None) + [65] * sent


# --- what a sender says, and its file --------------------------------------------------------


def test_what_a_sender_says_is_cut(fp, burst, tmp_path):
    one = burst(arp_sender="iputils_arping")
    for lines, said in (("x\n" * 30, " ".join("x" * 20)), ("y" * 3000, "y" * 2000)):
        (tmp_path / "log").unlink(missing_ok=True)
        fp.query(one.argv(), out=lines)
        assert sender.log_sender(one) == 0
        assert (tmp_path / "log").read_text().endswith("    INFO: %s\n" % said)


@pytest.mark.parametrize("given, what", [({}, "gratuitous ARP"), (IP6, "neighbour advertisements")])
def test_what_could_not_be_sent(fp, burst, tmp_path, given, what):
    one = burst(**given)
    fp.query(one.argv(), rc=4)
    assert sender.log_sender(one) == 4
    assert "ERROR: Could not send %s: rc=4\n" % what in (tmp_path / "log").read_text()


@pytest.mark.parametrize("name, pid, kept", [("send_arp", 9, False), ("iputils_arping", 9, True),
                                             ("iputils_arping", 0, False)])
def test_who_writes_the_pid_file(fp, burst, monkeypatch, name, pid, kept):
    """send_arp does so itself, and a program that could not be started has none."""
    seen, one = [], burst(arp_sender=name)
    started = type("Started", (), {"pid": pid})
    monkeypatch.setattr(commands, "query_start", lambda _argv: started)
    monkeypatch.setattr(commands, "query_end", lambda _started: children.Result(0, "a", "b"))
    monkeypatch.setattr(sender, "keep_pid", lambda _path, pid: seen.append(pid))
    assert sender.run_with_pidfile(one) == (0, "ab")
    assert seen == [9] * kept


@pytest.mark.parametrize("problems, rc, text", [
    ([None, None], 0, ""), ([packets.PacketError("down"), None], 1, "down"),
    ([None], 1, "ended at the time limit")])
def test_the_rounds_behind_the_first(burst, monkeypatch, problems, rc, text):
    one = burst(arp_sender="builtin", arp_count="3")
    one.announcer, one.rounds = packets.Announcer("eth0", "192.0.2.10"), iter(problems)
    assert sender.run_builtin(one) == (rc, text)
