# SPDX-License-Identifier: GPL-2.0-only
"""Which processes are taken for senders of the address and ended: real ones, started here."""

import fcntl
import os
import posix
import signal
import subprocess
import sys
import time

import pytest

from ipaddr2_py import commands
from ipaddr2_py.announce import pidfile, sender

IP = "192.0.2.10"


@pytest.fixture
def start(fp, tmp_path, request):
    """A function that starts a program of a given name and words; it waits until it is ended."""
    def begin(name, *words, ignoring=False):
        program = tmp_path / "programs" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n%secho ready; read never\n" % ("trap '' TERM;" * ignoring))
        program.chmod(0o755)
        process = fp.real([program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        request.addfinalizer(lambda: (process.kill(), process.communicate()))
        process.stdout.readline()
        return process

    return begin


@pytest.fixture
def place(fp, tmp_path):
    """Path of the pid file of 192.0.2.10; its folder is HA_RSCTMP."""
    return tmp_path / "rsctmp" / ("send_arp-" + IP)


def ended(process):
    """Whether a process was ended by a signal (it is reaped here, so give it a moment)."""
    try:
        return process.wait(0.05) < 0
    except subprocess.TimeoutExpired:
        return False


def end(place, vip, process=None):
    """end_sender(), with the zombie of a process of ours taken for gone as init would reap it."""
    pidfile.wait_until_gone(pidfile.tell_to_end(str(place), vip.ip, vip.nic))
    return process is not None and ended(process)


SENDERS = [
    ("send_arp", ["-i", "200", "-r", "5", "-p", "PATH", "eth0", IP, "auto", "not_used",
                  "not_used"]),
    ("send_ua", ["-i", "200", "-c", "5", IP, "64", "eth0"]),
    ("arping", ["-U", "-c", "5", "-I", "eth0", IP]),
    ("arping", ["-U", "-c", "5", "-i", "eth0", "-S", IP, IP]),
    ("ipoibarping", ["-q", "-c", "5", "-U", "-I", "eth0", IP]),
]


@pytest.mark.parametrize("name, words", SENDERS)
@pytest.mark.parametrize("nic", ["eth0", ""])
def test_our_senders_are_ended(make_vip, place, start, tmp_path, name, words, nic):
    process = start(name, *[str(place) if word == "PATH" else word for word in words])
    place.write_text("%d\n" % process.pid)
    assert end(place, make_vip(nic=nic), process)
    assert process.returncode == -signal.SIGTERM
    assert not place.exists()
    assert "INFO: killed previously running" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("name, words", [
    ("sleep", ["60"]), ("sleep", [IP, "eth0"]), ("my-arping", ["-I", "eth0", IP]),
    ("arping", ["-U", "-c", "5", "-I", "eth0", "192.0.2.1"]), ("arping", ["-I", "eth0", IP + "0"]),
    ("send_arp", ["-p", "/elsewhere/send_arp-192.0.2.1", "eth0", "192.0.2.1", "auto"]),
    ("editor", ["-x", "send_arp", IP])])
def test_others_are_left_alone_and_the_stale_file_goes(make_vip, place, start, name, words):
    process = start(name, *words)
    place.write_text("%d\n" % process.pid)
    assert not end(place, make_vip(), process)
    assert not place.exists()


def test_the_sender_on_another_interface_stays(make_vip, place, start):
    process = start("arping", "-U", "-c", "5", "-I", "eth1", IP)
    place.write_text("%d\n" % process.pid)
    assert not end(place, make_vip(nic="eth0"), process)
    assert place.exists()
    assert pidfile.pid_file(make_vip(nic="eth0")) == str(place) + "-eth0"
    assert pidfile.pid_file(make_vip(nic="eth1")) == str(place)
    assert end(place, make_vip(nic="eth1"), process)


def test_a_process_that_is_gone(make_vip, place, start):
    process = start("arping", "-I", "eth0", IP)
    process.kill()
    process.communicate()
    place.write_text("%d\n" % process.pid)
    end(place, make_vip())
    assert not place.exists()


def test_a_zombie_is_gone(start):
    process = start("arping")
    assert pidfile.is_alive(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not pidfile.is_alive(process.pid)


@pytest.mark.parametrize("content", ["", "\n", "x\n", "0\n", "1\n", "-1\n", "-5\n", "4194305\n",
                                     "9" * 70 + "\n", "\udcff\n", "5x\n", "\u0665\n", "+7\n"])
def test_what_is_no_process_id(make_vip, place, content):
    place.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert pidfile.read_pid(str(place)) == 0
    end(place, make_vip())
    assert not place.exists()


def test_the_least_process_id(place):
    place.write_text("2\n")
    assert pidfile.read_pid(str(place)) == 2


def test_what_has_ended_is_no_sender(make_vip, place, start, monkeypatch):
    """Also where vipctl's dry run takes a process for ended."""
    process = start("arping", "-I", "eth1", IP)
    place.write_text("%d\n" % process.pid)
    monkeypatch.setattr(pidfile, "is_alive", lambda _pid: False)
    assert pidfile.pid_file(make_vip()) == str(place)
    assert pidfile.tell_to_end(str(place), IP, "eth1") == []
    assert not place.exists() and not ended(process)


def test_a_link_is_not_followed(make_vip, place, start, tmp_path):
    process = start("arping", "-I", "eth0", IP)
    (tmp_path / "elsewhere").write_text("%d\n" % process.pid)
    place.symlink_to(tmp_path / "elsewhere")
    assert not end(place, make_vip(), process)
    assert (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_passed_over(make_vip, place, make):
    make(place)
    end(place, make_vip())
    assert place.exists()


@pytest.mark.parametrize("lives, kills", [(0.5, False), (1.2, True), (9.9, True)])
def test_one_that_ends_late_is_killed(place, clock, monkeypatch, lives, kills):
    """From a second on, and no longer than another one is it waited for."""
    begin, sent = clock.now, []
    monkeypatch.setattr(pidfile, "is_alive", lambda _pid: clock.now < begin + lives)
    monkeypatch.setattr(pidfile, "kill", lambda *words: sent.append((clock.now - begin, words)))
    place.write_text("4711\n")
    pidfile.wait_until_gone([(4711, str(place))])
    assert {words for _, words in sent} == ({(4711, signal.SIGKILL)} if kills else set())
    assert all(when > 1.0 for when, _ in sent)
    assert clock.now - begin == pytest.approx(min(lives, 2.0), abs=0.01)
    assert not place.exists()


@pytest.mark.parametrize("number, session, sent", [
    (signal.SIGKILL, 4711, "killpg"), (signal.SIGKILL, 1, "kill"), (signal.SIGTERM, 4711, "kill")])
def test_what_a_killed_sender_waits_for_is_killed_too(monkeypatch, number, session, sent):
    seen = []
    monkeypatch.setattr(posix, "getsid", lambda _pid: session)
    for name in ("kill", "killpg"):
        monkeypatch.setattr(posix, name, lambda *words, name=name: seen.append((name, words)))
    pidfile.kill(4711, number)
    assert seen == [(sent, (4711, number))]


@pytest.mark.slow
def test_a_sender_that_will_not_end(make_vip, place, start):
    process = start("arping", "-I", "eth0", IP, ignoring=True)
    place.write_text("%d\n" % process.pid)
    begin = time.monotonic()
    assert end(place, make_vip(), process)
    assert process.returncode == -signal.SIGKILL and time.monotonic() - begin < 4


# --- the built-in sender ---------------------------------------------------------------------


@pytest.fixture
def holder(fp, place, request):
    """A process that holds the lock of the pid file, as the built-in sender on eth0 does."""
    process = fp.real(
        [sys.executable, "-c", "import fcntl, os, sys\nfile = open(sys.argv[1], 'w')\n"
         "fcntl.flock(file, fcntl.LOCK_EX)\nprint(os.getpid(), 'eth0', sep='\\n', file=file, "
         "flush=True)\nprint('ready', flush=True)\nsys.stdin.read()", str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    request.addfinalizer(lambda: (process.kill(), process.communicate()))
    process.stdout.readline()
    return process


def test_who_holds_the_lock_is_ended(make_vip, place, holder):
    assert not end(place, make_vip(nic="eth1"), holder)
    assert end(place, make_vip(nic="eth0"), holder)
    assert not place.exists()


def test_one_file_is_one_senders(make_vip, place, tmp_path):
    with pidfile.own_pid_file(make_vip()) as mine:
        assert mine.path == str(place)
        assert place.read_text() == "%d\neth0\n" % os.getpid()
        assert place.stat().st_mode & 0o777 == 0o600
        assert pidfile.is_locked(str(place))
        assert pidfile.pid_file(make_vip(nic="eth1")) == str(place) + "-eth1"
        assert pidfile.tell_to_end(str(place), IP, "eth0") == [], "it does not end itself"
        fd = mine.fd
    assert not place.exists()
    with pytest.raises(OSError):
        os.fstat(fd)


def test_the_file_of_another_sender_stays(make_vip, place, holder):
    before, descriptors = place.read_text(), os.listdir("/proc/self/fd")
    with pidfile.own_pid_file(make_vip()):
        assert len(os.listdir("/proc/self/fd")) == len(descriptors)
    assert place.read_text() == before


@pytest.mark.parametrize("new", ["4711\n", None])
def test_a_file_that_took_the_place_of_ours_stays(make_vip, place, new):
    """HA_RSCTMP was emptied, and another sender noted itself there since."""
    with pidfile.own_pid_file(make_vip()):
        place.unlink()
        if new:
            place.write_text(new)
    assert (place.read_text() if place.exists() else None) == new


def test_a_program_leaves_the_file_of_its_successor(fp, make_vip, place, start, monkeypatch):
    successor = start("arping", "-U", "-c", "5", "-I", "eth0", IP)
    fp.query("arping -U -c 5 -I eth0 " + IP)
    real = commands.query_end

    def query_end(started):
        place.write_text("%d\n" % successor.pid)
        return real(started)

    monkeypatch.setattr(commands, "query_end", query_end)
    sender.log_arp_sender(sender.Burst(make_vip(arp_sender="iputils_arping"), "5", "info"))
    assert pidfile.read_pid(str(place)) == successor.pid


# --- the file that send_arp is given ---------------------------------------------------------


def send_arp_words(place, ip=IP, nic="eth0"):
    return ["-i", "200", "-r", "5", "-p", str(place), nic, ip, "auto", "not_used", "not_used"]


def test_a_running_sender_keeps_its_file(make_vip, place, start):
    """send_arp ends the one that the file names, as it is to; and stop finds it by the file."""
    process = start("send_arp", *send_arp_words(place))
    place.write_text("%d\n" % process.pid)
    pidfile.drop_stale(str(place), IP)
    assert pidfile.read_pid(str(place)) == process.pid and not ended(process)


@pytest.mark.parametrize("name, words", [("sleep", ["60"]), ("my-send_arp", [IP]), ("", [])])
def test_send_arp_is_given_no_strangers_file(make_vip, place, start, name, words):
    """It would end whatever process has the id."""
    pid = 2 ** 22
    if name:
        process = start(name, *words)
        pid = process.pid
    place.write_text("%d\n" % pid)
    pidfile.drop_stale(str(place), IP)
    assert not place.exists() and not (name and ended(process))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_send_arp_is_given_no_fifo_or_link(make_vip, place, make):
    make(place)
    pidfile.drop_stale(str(place), IP)
    assert not os.path.lexists(place)


@pytest.mark.parametrize("name", ["", "send_arp", "iputils_arping", "libnet_arping",
                                  "ipoibarping"])
def test_each_program_that_has_the_file_is_given_a_good_one(fp, make_vip, captured, place, start,
                                                            name):
    fp.install("ipoibarping")
    stranger = start("sleep", "60")
    place.write_text("%d\n" % stranger.pid)
    if not name:
        fp.query("ip link show dev eth0", captured("link-eth0-long"))
    burst = sender.start_burst(make_vip(arp_sender=name, arp_bg="no"))
    fp.query(burst.argv())
    seen, real = [], commands.query_start

    def query_start(argv):
        seen.append(place.exists())
        return real(argv)

    commands.query_start, kept = query_start, commands.query_start
    try:
        sender.send(burst, "")
    finally:
        commands.query_start = kept
    assert seen == [False]


def test_who_waited_for_a_replaced_send_arp_leaves_the_new_ones_file(fp, make_vip, place, start,
                                                                     monkeypatch):
    """The new send_arp has ended the old one, and written its own id to the file."""
    new = start("send_arp", *send_arp_words(place))
    burst = sender.Burst(make_vip(arp_sender="send_arp"), "5", "info")
    fp.query(burst.argv(), rc=143)
    real = commands.query_end

    def query_end(started):
        place.write_text("%d\n" % new.pid)
        return real(started)

    monkeypatch.setattr(commands, "query_end", query_end)
    sender.log_arp_sender(burst)
    assert pidfile.read_pid(str(place)) == new.pid


def test_the_file_of_a_send_arp_that_was_killed_goes(fp, make_vip, place, start, monkeypatch):
    """It removes its file when it ends by itself alone."""
    gone = start("send_arp", *send_arp_words(place))
    gone.kill()
    gone.communicate()
    burst = sender.Burst(make_vip(arp_sender="send_arp"), "5", "info")
    fp.query(burst.argv(), rc=137)
    place.write_text("%d\n" % gone.pid)
    sender.log_arp_sender(burst)
    assert not place.exists()


def test_a_pid_file_that_cannot_be_written(make_vip, place, tmp_path):
    (tmp_path / "elsewhere").write_text("precious")
    place.symlink_to(tmp_path / "elsewhere")
    with pidfile.own_pid_file(make_vip()):
        assert (tmp_path / "elsewhere").read_text() == "precious"
    pidfile.keep_pid(str(place), 5)
    assert (tmp_path / "elsewhere").read_text() == "precious"
    assert (tmp_path / "log").read_text().count("WARNING: no pid file") == 2


def test_a_lock_of_another_is_not_taken(place):
    assert not pidfile.is_locked(str(place))
    place.write_text("")
    assert not pidfile.is_locked(str(place))
    with open(place, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert pidfile.is_locked(str(place))
        place.with_name("link").symlink_to(place)
        assert not pidfile.is_locked(str(place.with_name("link")))


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace, nic, name", [
    ("", "eth0", "send_arp-192.0.2.10"), ("blue", "eth0", "send_arp-192.0.2.10-eth0-blue")])
def test_names(make_vip, place, namespace, nic, name):
    vip = make_vip(nic=nic)
    vip.namespace = namespace
    assert pidfile.pid_file(vip) == str(place.parent / name)


@pytest.mark.parametrize("namespace, nic, gone", [
    ("", "eth0", ["", "-eth0"]), ("blue", "eth0", ["-eth0-blue"])])
def test_stop_ends_the_senders_of_its_interface_and_namespace(fp, agent, place, start, namespace,
                                                              nic, gone):
    """Not those in a namespace x-blue or on an interface eth0.5, though the names begin or end
    alike."""
    senders = {}
    for tail in ("", "-eth0", "-eth1", "-eth0-blue", "-eth1-blue", "-eth0-red", "-eth0-x-blue",
                 "-eth0.5-blue"):
        own = tail.split("-")[1] if tail else "eth0"
        senders[tail] = start("arping", "-U", "-c", "5", "-I", own, IP)
        (place.parent / (place.name + tail)).write_text("%d\n" % senders[tail].pid)
    fp.query("ip -o -f inet addr show to " + IP)
    assert agent("stop", env={"IPADDR2_NAMESPACE": namespace}, ip=IP, nic=nic).rc == 0
    assert [tail for tail, process in senders.items() if process.poll() is not None] == gone
    assert [tail for tail in senders if not (place.parent / (place.name + tail)).exists()] == gone


@pytest.mark.parametrize("others", [False, True])
def test_stop_in_a_namespace_where_the_interface_is_unknown(fp, make_vip, place, start, others):
    """The address has gone already. Of several senders those of this address in this namespace end,
    whatever the interface; no other, and no other's file goes."""
    names = {"-eth0-blue": "eth0", "-br-0-blue": "br-0"}
    if others:      # the last but one is in namespace x-blue, the last announces another address
        names.update({"-eth0-red": "eth0", "": "eth0", "-eth0": "eth0", "-eth0-x-blue": "eth0",
                      "0-eth0-blue": "eth0"})
    senders = {}
    for tail, nic in names.items():
        ip = IP + "0" if tail.startswith("0") else IP
        words = send_arp_words(str(place) + tail, ip, nic)
        senders[tail] = start("send_arp", *words)
        (place.parent / (place.name + tail)).write_text("%d\n" % senders[tail].pid)
    others = {"note-of-blue", place.name + "1-eth0-blue"}       # the latter is out of date
    for name in others:
        (place.parent / name).write_text("4711\n")
    vip = make_vip(nic="")
    vip.namespace = "blue"
    pidfile.wait_until_gone(pidfile.stop_sender(vip.ip, vip.nic, vip.namespace))
    gone = [tail for tail, process in senders.items() if ended(process)]
    assert gone == ["-eth0-blue", "-br-0-blue"]
    assert sorted(path.name for path in place.parent.iterdir()) == sorted(
        {place.name + tail for tail in names if tail not in gone} | others)


def test_a_folder_that_is_missing(fp, agent, scene, place):
    fp.query("ip -o -f inet addr show to 192.0.2.10")
    place.parent.rmdir()
    done = agent("stop", env={"HA_RSCTMP": "/no/such/folder"}, ip=IP, nic="eth0", cidr_netmask="25")
    assert done.rc == 0


def test_start_leaves_the_sender_before_it_alone(fp, agent, scene, place, start):
    process = start("arping", "-U", "-c", "5", "-I", "eth0", IP)
    place.write_text("%d\n" % process.pid)
    scene.look()
    scene.add()
    scene.announce()
    assert agent("start", ip=IP, nic="eth0", cidr_netmask="25").rc == 0
    assert not ended(process)
    assert sender.ENV is commands.ENV
