# SPDX-License-Identifier: GPL-2.0-only
"""Deleting an IPv4 address takes no other along, and leaves the kernel's setting as it was.

A folder stands for /proc/sys/net/ipv4/conf, a stand-in for `ip`; the child that keeps the setting
is a real one.
"""

import os
import pathlib
import posix
import signal
import subprocess
import sys
import time

import pytest

from ipaddr2_py import commands, files, promotion, waiting
from tests.unit.conftest import DATA

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PRIMARY = ("eth0", "192.0.2.1", 24, "")         # 192.0.2.2 is the secondary one
ALONE = ("eth0", "192.0.2.10", 25, "")
SECONDARY = ("eth0", "192.0.2.2", 24, "")


# --- what `ip` tells -------------------------------------------------------------------------


@pytest.mark.parametrize("nic, ip, prefix, peer, expected", [
    ("eth0", "192.0.2.1", 24, "", (True, 1)), ("eth0", "192.0.2.2", 24, "", (False, 1)),
    ("eth0", "192.0.2.10", 25, "", (True, 0)), ("eth0", "192.0.2.3", 32, "", (True, 0)),
    ("eth0", "192.0.2.99", 24, "", (True, 2)), ("eth0", "192.0.2.1", 25, "", (True, 1)),
    ("eth0", "198.51.100.9", 24, "", (True, 0)),
    ("eth1", "10.1.0.1", 32, "10.1.0.2", (True, 0)),
    ("eth1", "10.1.0.9", 32, "10.1.0.2", (True, 1)),
    ("eth1", "10.1.0.5", 24, "10.1.0.6", (True, 0)), ("eth1", "10.1.0.5", 24, "", (True, 1)),
    ("eth1", "203.0.113.7", 24, "", (True, 1))])
def test_neighbours(captured, nic, ip, prefix, peer, expected):
    """The kernel looks at prefix length and network, which is that of the peer."""
    told = waiting.Result(0, captured("addr-inet-" + nic))
    assert promotion.neighbours(told, ip, prefix, peer) == expected


@pytest.mark.parametrize("result", [
    waiting.Result(1), waiting.Result(0, "garbage"), waiting.Result(137, "", "", True),
    waiting.Result(0, "2: eth0    inet 192.0.2.1/24 scope global eth0", "", True)])
def test_neighbours_that_cannot_be_told(result):
    assert promotion.neighbours(result, "192.0.2.1", 24, "") == (True, 1)


# --- the setting -----------------------------------------------------------------------------


class Kernel:
    """A folder that stands for /proc/sys/net/ipv4/conf, and the `ip` of captured eth0."""

    def __init__(self, folder):
        self.setting = str(folder / "conf" / "%s" / "promote_secondaries")
        self.folder = folder
        for nic in ("all", "eth0"):
            (folder / "conf" / nic).mkdir(parents=True)
            self[nic] = "0"
        self.texts = DATA / "ip" / "addr-inet-eth0.txt"
        (folder / "bin").mkdir(exist_ok=True)
        program = folder / "bin" / "ip"
        program.write_text('#!/bin/sh\ntest "$*" = "-o -f inet addr show dev eth0" || exit 9\n'
                           "cat %s\n" % self.texts)
        program.chmod(0o755)
        self.environment = {"PATH": "%s:/usr/bin:/bin" % (folder / "bin"),
                            "HA_RSCTMP": str(folder / "rsctmp"),
                            "HA_LOGFILE": str(folder / "log")}

    def __getitem__(self, nic):
        return pathlib.Path(self.setting % nic).read_text().strip()

    def __setitem__(self, nic, value):
        pathlib.Path(self.setting % nic).write_text(value + "\n")

    def becomes(self, value):
        """Whether eth0's setting is `value` before long."""
        end = time.monotonic() + 5
        while self["eth0"] != value and time.monotonic() < end:
            time.sleep(0.002)
        return self["eth0"] == value

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""


@pytest.fixture(name="kernel")
def fixture_kernel(tmp_path, monkeypatch, real_programs):
    kernel = Kernel(tmp_path)
    monkeypatch.setattr(promotion, "SETTING", kernel.setting)
    monkeypatch.setattr(commands, "get_ready", lambda: True)
    commands.load_environment(kernel.environment)
    (tmp_path / "rsctmp").mkdir()
    return kernel


@pytest.mark.parametrize("everywhere, here, locked, off", [
    ("1", "0", False, False), ("1", "1", True, False), ("0", "1", False, False),
    ("0", "0", False, True), ("0", "1", True, True), ("0", "0", True, True)])
def test_may_be_off(kernel, everywhere, here, locked, off):
    """A setting that another agent has switched on for the moment says nothing."""
    kernel["all"], kernel["eth0"] = everywhere, here
    if locked:
        lock = kernel.folder / "rsctmp" / promotion.lock_name("eth0")
        lock.write_text("")
    assert promotion.may_be_off("eth0") is off


def test_a_setting_that_is_not_there(kernel):
    assert promotion.setting("eth9") == ""
    assert promotion.may_be_off("eth9")
    assert not promotion.change("eth9", "1")


def test_locks_of_interfaces_and_namespaces(monkeypatch):
    names = [promotion.lock_name(nic) for nic in ("eth0", "eth1", "a/b", "a%2Fb", "..", "a b")]
    assert len(set(names)) == len(names)
    assert all("/" not in name and name.startswith("IPaddr2-promote-") for name in names)
    monkeypatch.setattr(promotion.place, "namespace_inode", lambda: "8")
    assert promotion.lock_name("eth0") not in names


# --- the child -------------------------------------------------------------------------------


def test_it_is_on_for_the_moment(kernel):
    with promotion.secondaries_kept(*PRIMARY):
        assert kernel["eth0"] == "1" and kernel["all"] == "0"
        assert os.listdir(kernel.folder / "rsctmp") == [promotion.lock_name("eth0")]
    assert kernel["eth0"] == "0"
    assert os.listdir(kernel.folder / "rsctmp") == []
    assert kernel.log() == ""


def test_nothing_is_left_open(kernel):
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(2):
        kept = promotion.secondaries_kept(*PRIMARY)
        with kept:
            assert os.path.exists("/proc/%d" % kept.keeper)
        assert not os.path.exists("/proc/%d" % kept.keeper)     # not even as a zombie
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_also_where_the_deletion_fails(kernel):
    with pytest.raises(KeyError):
        with promotion.secondaries_kept(*PRIMARY):
            raise KeyError
    assert kernel["eth0"] == "0" and os.listdir(kernel.folder / "rsctmp") == []


@pytest.mark.parametrize("address", [SECONDARY, ALONE])
def test_a_primary_address_alone_matters(kernel, monkeypatch, address):
    """One that is alone may get a neighbour meanwhile; a secondary one takes none along."""
    with promotion.secondaries_kept(*address):
        assert kernel["eth0"] == ("0" if address is SECONDARY else "1")
    assert kernel["eth0"] == "0"


@pytest.mark.parametrize("nic", ["all", "eth0"])
def test_nothing_is_done_where_it_is_on(kernel, monkeypatch, nic):
    kernel[nic] = "1"
    (kernel.folder / "bin" / "ip").unlink()
    with promotion.secondaries_kept(*PRIMARY):
        assert os.listdir(kernel.folder / "rsctmp") == []
        assert kernel["eth0"] == ("1" if nic == "eth0" else "0")
    assert kernel[nic] == "1" and kernel.log() == ""


def test_a_setting_that_cannot_be_made(kernel):
    """The address can be deleted all the same; a warning tells of what may go along."""
    os.chmod(kernel.folder / "conf", 0o755)
    (kernel.folder / "conf" / "eth0" / "promote_secondaries").unlink()
    with promotion.secondaries_kept(*PRIMARY):
        pass
    assert "WARNING: %s cannot be set: other addresses of the network of 192.0.2.1 on eth0 may " \
        % (kernel.setting % "eth0") in kernel.log()
    with promotion.secondaries_kept(*ALONE):        # nothing is lost
        pass
    assert kernel.log().count("cannot be set") == 1


def test_a_child_that_cannot_be_had(kernel, monkeypatch):
    def fork():
        raise OSError(11, "Resource temporarily unavailable")

    before = sorted(os.listdir("/proc/self/fd"))
    started = commands.query_start(["ip", "-o", "-f", "inet", "addr", "show", "dev", "eth0"])
    assert commands.query_end(started).out
    monkeypatch.setattr(posix, "fork", fork)
    with promotion.secondaries_kept(*PRIMARY):
        assert kernel["eth0"] == "0"
    assert "cannot be set" in kernel.log()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_an_ip_that_fails_counts_for_the_worst(kernel):
    (kernel.folder / "bin" / "ip").write_text("#!/bin/sh\nexit 1\n")
    with promotion.secondaries_kept(*SECONDARY):
        assert kernel["eth0"] == "1"
    assert kernel["eth0"] == "0"


# --- several agents --------------------------------------------------------------------------


def test_one_agent_at_a_time(kernel, monkeypatch):
    monkeypatch.setattr(promotion, "LOCK_LIMIT", 0.05)
    with promotion.secondaries_kept(*PRIMARY):
        with promotion.secondaries_kept(*PRIMARY):
            assert kernel["eth0"] == "1"
        assert kernel["eth0"] == "1"        # the second one did not have it to put back
    assert kernel["eth0"] == "0"
    assert "WARNING: no lock on %s" % (kernel.folder / "rsctmp") in kernel.log()
    assert "going on without" in kernel.log()


@pytest.mark.parametrize("problem", ["link", "missing"])
def test_a_lock_that_cannot_be_had(kernel, problem):
    folder = kernel.folder / "rsctmp"
    if problem == "link":
        (folder / promotion.lock_name("eth0")).symlink_to(kernel.folder / "precious")
    else:
        folder.rmdir()
        folder.write_text("a file")
    with promotion.secondaries_kept(*PRIMARY):
        assert kernel["eth0"] == "1"
    assert kernel["eth0"] == "0"
    assert "going on without" in kernel.log()
    assert not (kernel.folder / "precious").exists()


def children(pid):
    """The ids of a process's children, by the fourth word of /proc/PID/stat (proc(5))."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text().rpartition(") ")[2].split()
        except OSError:             # it has ended
            continue
        if after_name[1] == str(pid):
            found.append(int(path.parent.name))
    return found


AGENT = """\
import sys
from ipaddr2_py import commands, promotion
promotion.SETTING = sys.argv[1]
commands.get_ready = lambda: True
commands.load_environment(dict(word.split("=", 1) for word in sys.argv[2:]))
with promotion.secondaries_kept("eth0", "192.0.2.1", 24, ""):
    print("inside", flush=True)
    sys.stdin.readline()
print("outside", flush=True)
"""


@pytest.fixture(name="another")
def fixture_another(kernel):
    """A function that starts another agent, which is inside once it says so."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", AGENT, kernel.setting,
             *("%s=%s" % pair for pair in kernel.environment.items())],
            cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_an_agent_that_is_killed_in_the_middle(kernel, another, number):
    """Its child puts the setting back, and the lock goes with it."""
    process = another()
    assert process.stdout.readline() == "inside\n"
    assert kernel["eth0"] == "1"
    process.send_signal(number)
    process.wait(5)
    assert kernel.becomes("0")
    lock = str(kernel.folder / "rsctmp" / promotion.lock_name("eth0"))
    with files.lock(lock, 5.0):
        pass
    with promotion.secondaries_kept(*PRIMARY):
        assert kernel["eth0"] == "1"
    assert kernel["eth0"] == "0"


def test_the_group_of_the_agent_is_killed(kernel, another):
    """As Pacemaker does at the time limit: the child leads a session of its own."""
    process = another()
    assert process.stdout.readline() == "inside\n"
    keeper, = children(process.pid)
    assert os.getsid(keeper) == keeper
    process.kill()
    process.wait(5)
    assert kernel.becomes("0")


def test_the_setting_outlasts_an_agent_that_waits(kernel, another):
    """The second agent goes in after the first one has put it back, however long that takes."""
    first, second = another(), None
    assert first.stdout.readline() == "inside\n"
    second = another()
    first.stdin.write("\n")
    first.stdin.flush()
    assert first.stdout.readline() == "outside\n"
    assert second.stdout.readline() == "inside\n"
    assert kernel["eth0"] == "1"
    second.stdin.write("\n")
    second.stdin.flush()
    assert second.stdout.readline() == "outside\n"
    assert kernel["eth0"] == "0"
    assert os.listdir(kernel.folder / "rsctmp") == []
