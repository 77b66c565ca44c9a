# SPDX-License-Identifier: GPL-2.0-only
"""Deleting an IPv4 address takes no other along, and leaves the kernel's setting as it was.

A folder stands for /proc/sys/net/ipv4/conf, a stand-in for `ip`; locks, other agents and their
deaths are real ones.
"""

import errno
import fcntl
import os
import pathlib
import posix
import signal
import stat
import subprocess
import sys
import threading
import time
import types

import _socket
import pytest

from ipaddr2_py import changes, children, commands, place
from ipaddr2_py.addresses import Address
from ipaddr2_py.changes import promotion
from tests.unit.conftest import DATA
from tests.unit.scenes import DELETE4, ON_ETH0, ON_ETH0_6, SHOW4, SHOW6

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PRIMARY = Address(2, "eth0", "192.0.2.1", "", 24)       # 192.0.2.2 is the secondary one
SECONDARY = Address(2, "eth0", "192.0.2.2", "", 24)
ALONE = Address(2, "eth0", "192.0.2.10", "", 25)
#: What the file holds where the setting of eth0, number 2, was off.
NOTED = "%10d %-36s\n" % (2, place.boot_id())


# --- what `ip` tells -------------------------------------------------------------------------


@pytest.mark.parametrize("nic, ip, prefix, peer, expected", [
    ("eth0", "192.0.2.1", 24, "", True), ("eth0", "192.0.2.2", 24, "", True),
    ("eth0", "192.0.2.10", 25, "", False), ("eth0", "192.0.2.3", 32, "", False),
    ("eth0", "192.0.2.99", 24, "", True), ("eth0", "192.0.2.1", 25, "", True),
    ("eth0", "198.51.100.9", 24, "", False),
    ("eth1", "10.1.0.1", 32, "10.1.0.2", False), ("eth1", "10.1.0.9", 32, "10.1.0.2", True),
    ("eth1", "10.1.0.5", 24, "10.1.0.6", False), ("eth1", "10.1.0.5", 24, "", True),
    ("eth1", "203.0.113.7", 24, "", True)])
def test_neighbours(captured, nic, ip, prefix, peer, expected):
    """The kernel looks at prefix length and network, which is that of the peer."""
    told = children.Result(0, captured("addr-inet-" + nic))
    assert promotion.has_neighbours(told, Address(2, "eth0", ip, peer, prefix)) is expected


@pytest.mark.parametrize("result", [
    children.Result(1), children.Result(0, "garbage"), children.Result(137, "", "", True),
    children.Result(127), children.Result(1, "2: eth0    inet 192.0.2.1/24 scope global eth0")])
def test_neighbours_that_cannot_be_told(result):
    assert promotion.has_neighbours(result, Address(2, "eth0", "192.0.2.1", "", 24)) is True


# --- the setting -----------------------------------------------------------------------------


class Kernel:
    """A folder that stands for /proc/sys/net/ipv4/conf, and the `ip` of captured eth0."""

    def __init__(self, folder):
        self.setting = str(folder / "conf" / "%s" / "promote_secondaries")
        self.folder = folder
        for nic in ("all", "eth0", "eth1"):
            (folder / "conf" / nic).mkdir(parents=True)
            self[nic] = "0"
        (folder / "bin").mkdir(exist_ok=True)
        program = folder / "bin" / "ip"
        program.write_text('#!/bin/sh\ntest "$*" = "-o -f inet addr show dev eth0" || exit 9\n'
                           "cat %s\n" % (DATA / "ip" / "addr-inet-eth0.txt"))
        program.chmod(0o755)
        self.environment = {"PATH": "%s:/usr/bin:/bin" % (folder / "bin"),
                            "HA_RSCTMP": str(folder / "rsctmp"),
                            "HA_LOGFILE": str(folder / "log")}

    def __getitem__(self, nic):
        return pathlib.Path(self.setting % nic).read_text().strip()

    def __setitem__(self, nic, value):
        pathlib.Path(self.setting % nic).write_text(value + "\n")

    @property
    def file(self):
        """The lock's file of eth0."""
        return pathlib.Path(place.promotion_path("eth0"))

    def left(self):
        """What is in the folder of state."""
        return sorted(os.listdir(self.folder / "rsctmp"))

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""


NUMBERS = {"eth0": 2, "eth1": 3}


def number_of(nic):
    if nic not in NUMBERS:
        raise OSError("no interface with this name")
    return NUMBERS[nic]


def name_of(number):
    names = [nic for nic, its_number in NUMBERS.items() if its_number == number]
    if not names:
        raise OSError(errno.ENXIO, "No such device or address")
    return names[0]


@pytest.fixture(name="kernel")
def fixture_kernel(tmp_path, monkeypatch, real_programs):
    kernel = Kernel(tmp_path)
    monkeypatch.setattr(promotion, "SETTING", kernel.setting)
    monkeypatch.setattr(changes, "import_sh", lambda: True)
    monkeypatch.setattr(_socket, "if_nametoindex", number_of)
    monkeypatch.setattr(_socket, "if_indextoname", name_of)
    commands.load_environment(kernel.environment)
    (tmp_path / "rsctmp").mkdir()
    return kernel


@pytest.mark.parametrize("everywhere, here, file, off", [
    ("1", "0", False, False), ("1", "1", True, False), ("2", "0", True, False),
    ("-1", "0", False, False), ("0", "1", False, False), ("0", "2", False, False),
    ("0", "-1", False, False), ("0", "0", False, True), ("0", "1", True, True),
    ("0", "2", True, True), ("0", "0", True, True)])
def test_may_be_off(kernel, everywhere, here, file, off):
    """To the kernel anything but 0 is on; what another agent has switched on says nothing."""
    kernel["all"], kernel["eth0"] = everywhere, here
    if file:
        kernel.file.write_text("")
    assert promotion.may_be_off("eth0") is off


@pytest.mark.parametrize("settings, files, off", [
    ("11", "--", False), ("10", "-", True), ("11", "-f", True), ("1", "f", True), ("0", "", True)])
def test_it_is_looked_at_twice(kernel, monkeypatch, settings, files, off):
    """What was on at the first look may have been another agent's, who has just put it back."""
    settings, files = list(settings), list(files)
    monkeypatch.setattr(promotion, "setting",
                        lambda nic: "0" if nic == "all" else settings.pop(0))
    monkeypatch.setattr(posix, "access", lambda _path, _mode: files.pop(0) == "f")
    assert promotion.may_be_off("eth0") is off
    assert not settings and not files


def test_an_agent_that_puts_it_back_between_two_looks(kernel, monkeypatch):
    """The same with an agent that is there: it leaves once its setting has been read."""
    other = promotion.secondaries_kept(PRIMARY)
    other.__enter__()
    real = promotion.setting

    def read(nic):
        value = real(nic)
        if nic == "eth0" and other:
            monkeypatch.setattr(promotion, "setting", real)
            other.__exit__()
        return value

    monkeypatch.setattr(promotion, "setting", read)
    with promotion.secondaries_kept(SECONDARY):
        assert kernel["eth0"] == "1"
    assert kernel["eth0"] == "0" and kernel.left() == []


def test_a_setting_that_is_not_there(kernel):
    assert promotion.setting("eth9") == ""
    assert promotion.may_be_off("eth9")
    assert not promotion.change("eth9", "1")


def test_files_of_interfaces_and_namespaces(kernel, monkeypatch):
    nics = ("eth0", "eth1", "eth0.5", "a%2Fb", "a b", "a\u2003b", "\udcff", "A", "a", "-", "x" * 15)
    paths = [place.promotion_path(nic) for nic in nics]
    names = [os.path.basename(path) for path in paths]
    assert len(set(names)) == len(names)
    assert all(path.startswith(str(kernel.folder / "rsctmp/IPaddr2-promote-")) for path in paths)
    assert all(name.isascii() and name.isprintable() and "/" not in name for name in names)
    assert all(path.startswith(place.promotion_path("")) for path in paths)
    for inode in ("8", "88"):
        monkeypatch.setattr(place, "namespace_inode", lambda inode=inode: inode)
        assert place.promotion_path("eth0").endswith("/IPaddr2-promote-%s-eth0" % inode)


# --- one deletion ----------------------------------------------------------------------------


@pytest.mark.parametrize("address", [PRIMARY, SECONDARY])
def test_it_is_on_for_the_moment(kernel, address):
    """Which of them is the primary one may change until the deletion."""
    with promotion.secondaries_kept(address):
        assert kernel["eth0"] == "1" and kernel["all"] == kernel["eth1"] == "0"
        assert kernel.left() == [kernel.file.name]
        assert kernel.file.read_text() == NOTED
        assert stat.S_IMODE(kernel.file.stat().st_mode) == 0o600
    assert kernel["eth0"] == "0"
    assert kernel.left() == [] and kernel.log() == ""


def test_it_is_noted_before_it_is_switched_on(kernel, monkeypatch):
    """Whoever finds it on, and the agent dead, is to know that it was off."""
    noted, real = [], promotion.change

    def change(nic, value):
        noted.append((value, kernel.file.read_text()))
        return real(nic, value)

    monkeypatch.setattr(promotion, "change", change)
    with promotion.secondaries_kept(PRIMARY):
        pass
    assert noted == [("1", NOTED), ("0", NOTED)]


def test_the_file_outlasts_the_setting(kernel, monkeypatch):
    """Who finds no file takes the setting for the admin's."""
    seen, real = [], posix.unlink

    def unlink(path):
        seen.append(kernel["eth0"])
        real(path)

    monkeypatch.setattr(posix, "unlink", unlink)
    with promotion.secondaries_kept(PRIMARY):
        pass
    assert seen == ["0"]


def test_nothing_is_left_open(kernel):
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with promotion.secondaries_kept(PRIMARY):
            assert kernel["eth0"] == "1"
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_the_program_that_deletes_holds_the_lock_as_well(kernel):
    """It may outlive the agent; as long as it is there, nobody switches the setting off."""
    with promotion.secondaries_kept(PRIMARY):
        deleting = subprocess.Popen(["sleep", "60"], pass_fds=children.RUN.inherited)
    try:
        assert not children.RUN.inherited
        promotion.put_back(str(kernel.file))
        assert kernel["eth0"] == "1" and kernel.left() == [kernel.file.name]
    finally:
        deleting.kill()
        deleting.wait()
    promotion.put_back(str(kernel.file))
    assert kernel["eth0"] == "0" and kernel.left() == []


def test_also_where_the_deletion_fails(kernel):
    with pytest.raises(KeyError):
        with promotion.secondaries_kept(PRIMARY):
            raise KeyError
    assert kernel["eth0"] == "0" and kernel.left() == []


def test_it_is_on_for_one_without_neighbours_too(kernel):
    """Another resource may be about to add one, and `ip` need not be asked."""
    (kernel.folder / "bin" / "ip").write_text("#!/bin/sh\ntouch %s/asked\n" % kernel.folder)
    with promotion.secondaries_kept(ALONE):
        assert kernel["eth0"] == "1" and kernel.left() == [kernel.file.name]
    assert kernel["eth0"] == "0" and kernel.left() == [] and kernel.log() == ""
    assert not (kernel.folder / "asked").exists()


@pytest.mark.parametrize("nic", ["all", "eth0"])
@pytest.mark.parametrize("value", ["1", "2", "-1", "2147483647"])
def test_nothing_is_done_where_it_is_on(kernel, nic, value):
    """Not even `ip` is asked, and what an admin wrote stays."""
    kernel[nic] = value
    (kernel.folder / "bin" / "ip").write_text("#!/bin/sh\ntouch %s/asked\n" % kernel.folder)
    with promotion.secondaries_kept(PRIMARY):
        assert kernel.left() == []
        assert kernel["eth0"] == (value if nic == "eth0" else "0")
    assert kernel[nic] == value and kernel.log() == ""
    assert not (kernel.folder / "asked").exists()


def test_an_ip_that_fails_counts_for_the_worst(kernel):
    (kernel.folder / "bin" / "ip").write_text("#!/bin/sh\nexit 1\n")
    with promotion.secondaries_kept(ALONE):
        assert kernel["eth0"] == "1"
    assert kernel["eth0"] == "0"


def test_no_warning_where_there_is_nothing_to_lose(kernel):
    os.unlink(kernel.setting % "eth0")
    (kernel.folder / "bin" / "ip").write_text("#!/bin/sh\n")
    with promotion.secondaries_kept(ALONE):
        pass
    assert kernel.log() == ""


def test_the_setting_of_this_host():
    assert promotion.setting("lo") in ("0", "1")


def test_how_long_the_lock_is_waited_for(kernel, monkeypatch):
    """Two seconds at most, or a quarter of what is left to the action."""
    waited = []

    def refuse(_path, seconds):
        waited.append(round(seconds, 1))
        raise OSError(errno.EINVAL, "no")

    monkeypatch.setattr(promotion, "share_lock", refuse)
    for left in (4, 8, 100):
        children.set_deadline(left)
        with promotion.secondaries_kept(PRIMARY):
            pass
    assert waited == [1.0, 2.0, 2.0]


def test_the_lock_is_inherited(kernel):
    with promotion.secondaries_kept(PRIMARY) as _:
        assert [os.get_inheritable(fd) for fd in children.RUN.inherited] == [True]


def test_what_can_be_a_lock(kernel):
    kernel.file.write_text("")
    kernel.file.chmod(0o777)
    os.close(promotion.share_lock(str(kernel.file)))
    kernel.file.unlink()
    os.mkfifo(kernel.file)
    with pytest.raises(OSError, match="no regular file"):
        promotion.share_lock(str(kernel.file))


@pytest.mark.parametrize("text, index", [
    ("", 0), ("x", 0), ("7", 7), ("7 BOOT", 7), ("7 other", 0), ("7 BOOT x", 0), ("-7", 0),
    ("999999999", 999999999), ("1000000000", 0)])
def test_numbers_in_the_locks_file(text, index):
    noted = text.replace("BOOT", place.boot_id()).encode()
    assert promotion.noted_index(noted) == index


@pytest.mark.parametrize("problem", ["missing", "read-only", "write"])
def test_a_setting_that_cannot_be_made(kernel, monkeypatch, problem):
    """The address can be deleted all the same; a warning tells of what may go along."""
    path, before = kernel.setting % "eth0", len(os.listdir("/proc/self/fd"))
    opens, writes = posix.open, posix.write

    def read_only(name, flags, *more, **words):
        if name == path and flags & posix.O_WRONLY:
            raise OSError(errno.EROFS, "Read-only file system")
        return opens(name, flags, *more, **words)

    def refuse(fd, data):
        if os.readlink("/proc/self/fd/%d" % fd) == path:
            raise OSError(errno.EPERM, "Operation not permitted")
        return writes(fd, data)

    if problem == "missing":
        os.unlink(path)
    elif problem == "read-only":
        monkeypatch.setattr(posix, "open", read_only)
    else:
        monkeypatch.setattr(posix, "write", refuse)
    with promotion.secondaries_kept(PRIMARY):
        assert problem == "missing" or kernel["eth0"] == "0"
    assert kernel.log().count("WARNING: ") == 1
    assert ("WARNING: %s cannot be set: other addresses of the network of 192.0.2.1 on eth0 may "
            "be deleted along with it\n" % path) in kernel.log()
    assert kernel.left() == [] and len(os.listdir("/proc/self/fd")) == before


def test_a_full_disk(kernel, monkeypatch):
    """Nobody else can know that it was off: who switched it on puts it back."""
    def full(_fd, _data, _offset):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(posix, "pwrite", full)
    with promotion.secondaries_kept(PRIMARY):
        assert kernel["eth0"] == "1"
    assert kernel.left() == []
    assert kernel["eth0"] == "0"


# --- a lock that cannot be had ---------------------------------------------------------------


def make_link(path):
    (path.parent.parent / "precious").write_text("3\n")
    path.symlink_to(path.parent.parent / "precious")


def make_no_folder(path):
    path.parent.rmdir()
    path.parent.write_text("a file")


@pytest.mark.parametrize("make", [make_link, lambda path: path.symlink_to("nowhere"),
                                  lambda path: path.symlink_to(path.name), pathlib.Path.mkdir,
                                  make_no_folder], ids=["link", "dangling", "loop", "folder",
                                                        "none"])
def test_a_lock_that_cannot_be_had(kernel, make):
    """No other address is lost for want of it, and nothing behind a link is touched."""
    make(kernel.file)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        kernel["eth0"] = kernel["eth1"] = "0"
        with promotion.secondaries_kept(PRIMARY):
            assert kernel["eth0"] == "1"
        promotion.put_back(str(kernel.file))
    assert "WARNING: no lock on %s (" % kernel.file in kernel.log()
    assert "going on without" in kernel.log()
    assert kernel["eth1"] == "0"
    precious = kernel.folder / "precious"
    assert not precious.exists() or precious.read_text() == "3\n"
    assert not (kernel.folder / "rsctmp" / "nowhere").exists()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_fifo_in_its_place(kernel):
    """It is not waited for, by those who delete nor by those who put back."""
    os.mkfifo(kernel.file)
    before = len(os.listdir("/proc/self/fd"))
    with promotion.secondaries_kept(PRIMARY):
        assert kernel["eth0"] == "1"
    promotion.put_back(str(kernel.file))
    assert len(os.listdir("/proc/self/fd")) == before


def held_alone(path):
    """A descriptor that holds the lock alone, as for the moment of putting back."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def test_waiting_for_the_lock_has_an_end(kernel, monkeypatch):
    monkeypatch.setattr(promotion, "LIMIT", 0.05)
    fd = held_alone(kernel.file)
    before = len(os.listdir("/proc/self/fd"))
    begin = time.monotonic()
    with promotion.secondaries_kept(PRIMARY):
        assert kernel["eth0"] == "1"
    assert 0.05 <= time.monotonic() - begin < 2
    assert "WARNING: no lock on %s (held by another process): going on without" % kernel.file \
        in kernel.log()
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(fd)


def test_who_puts_back_is_waited_for(kernel, monkeypatch):
    """Its last deed is to remove the file, so another one is made."""
    fd, slept = held_alone(kernel.file), []

    def sleep(_seconds):
        slept.append(kernel.file.stat().st_ino)
        if len(slept) == 3:
            os.unlink(kernel.file)
            os.close(fd)

    monkeypatch.setattr(promotion, "time", types.SimpleNamespace(
        sleep=sleep, monotonic=time.monotonic))
    kept = promotion.secondaries_kept(PRIMARY)
    with kept:
        assert len(slept) == 3 and kernel["eth0"] == "1"
        assert os.fstat(kept.fd).st_ino == kernel.file.stat().st_ino
    assert kernel["eth0"] == "0" and kernel.left() == [] and kernel.log() == ""


def test_a_file_that_went_while_its_lock_was_taken(kernel, monkeypatch):
    real, old = fcntl.flock, kernel.folder / "old"

    def flock(fd, operation):
        if not old.exists():
            os.rename(kernel.file, old)
        return real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    kept = promotion.secondaries_kept(PRIMARY)
    with kept:
        assert os.fstat(kept.fd).st_ino == kernel.file.stat().st_ino != old.stat().st_ino
        assert old.read_text() == "" and kernel.file.read_text() == NOTED
    assert kernel["eth0"] == "0" and kernel.left() == []


def test_a_file_that_another_one_made_is_left_alone(kernel):
    """Somebody has emptied the folder meanwhile: who is in there now has it to put back."""
    first, second = (promotion.secondaries_kept(PRIMARY) for _ in range(2))
    with second:
        with first:
            os.rename(kernel.file, kernel.folder / "old")
            kernel.file.write_text("2\n")
            third = os.open(kernel.file, os.O_RDONLY)
            fcntl.flock(third, fcntl.LOCK_SH)
        assert kernel["eth0"] == "1" and kernel.left() == [kernel.file.name]
    assert kernel["eth0"] == "1"
    os.close(third)
    promotion.put_back(str(kernel.file))
    assert kernel["eth0"] == "0" and kernel.left() == []


# --- several deletions -----------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_last_one_out_puts_it_back(kernel, order):
    """Whoever that is: it is on for all of them, also for those who found it on."""
    inside = [promotion.secondaries_kept(address)
              for address in (PRIMARY, SECONDARY, PRIMARY)[:len(order)]]
    for one in inside:
        one.__enter__()
        assert kernel["eth0"] == "1" and kernel.file.read_text() == NOTED
    for number in order:
        assert kernel["eth0"] == "1" and kernel.left() == [kernel.file.name]
        inside[number].__exit__(None, None, None)
    assert kernel["eth0"] == "0" and kernel.left() == [] and kernel.log() == ""


def test_one_goes_in_while_another_goes_out(kernel):
    first, second, third = (promotion.secondaries_kept(PRIMARY) for _ in range(3))
    first.__enter__()
    second.__enter__()
    first.__exit__()
    third.__enter__()
    second.__exit__()
    assert kernel["eth0"] == "1"
    third.__exit__()
    assert kernel["eth0"] == "0" and kernel.left() == []


def test_many_threads_at_once(kernel, monkeypatch):
    """It is on whenever one of them is inside, and off in the end."""
    monkeypatch.setattr(commands, "query_start", lambda _argv: None)
    monkeypatch.setattr(commands, "query_end", lambda _started: children.Result(1))
    monkeypatch.setattr(promotion, "may_be_off", lambda _nic: True)
    wrong, began = [], threading.Barrier(6)

    def delete():
        try:
            began.wait(10)
            for _ in range(40):
                with promotion.secondaries_kept(PRIMARY):
                    for _ in range(3):
                        if kernel["eth0"] != "1":
                            wrong.append("it was off")
                        time.sleep(0.0002)
        except Exception as problem:
            wrong.append(repr(problem))

    threads = [threading.Thread(target=delete) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert kernel["eth0"] == "0" and kernel.left() == [] and kernel.log() == ""


AGENT = """\
import sys
import _socket
from ipaddr2_py import changes, commands
from ipaddr2_py.addresses import Address
from ipaddr2_py.changes import promotion
promotion.SETTING = sys.argv[1]
changes.import_sh = lambda: True
_socket.if_nametoindex = {"eth0": 2, "eth1": 3}.__getitem__
_socket.if_indextoname = {2: "eth0", 3: "eth1"}.__getitem__
commands.load_environment(dict(word.split("=", 1) for word in sys.argv[3:]))
if sys.argv[2] != "eth0":               # stop there, for good
    real = getattr(promotion, sys.argv[2])
    def stop(*words):
        print("inside", flush=True)
        sys.stdin.readline()
        return real(*words)
    setattr(promotion, sys.argv[2], stop)
with promotion.secondaries_kept(Address(2, "eth0", "192.0.2.1", "", 24)):
    print("inside", flush=True)
    sys.stdin.readline()
print("outside", flush=True)
"""


class Agent:
    """Another agent, which is inside of secondaries_kept(), or in a function of promotion.py."""

    def __init__(self, kernel, where):
        self.process = subprocess.Popen(
            [sys.executable, "-c", AGENT, kernel.setting, where,
             *("%s=%s" % pair for pair in kernel.environment.items())],
            cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def is_inside(self):
        return self.process.stdout.readline() == "inside\n"

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def goes_out(self):
        self.go_on()
        return self.process.stdout.readline() == "outside\n"

    def die(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(10)


@pytest.fixture(name="another")
def fixture_another(kernel):
    """A function that starts another agent."""
    started = []

    def start(where="eth0"):
        started.append(Agent(kernel, where))
        return started[-1]

    yield start
    for agent in started:
        agent.process.kill()
        agent.process.communicate()


def test_many_agents_at_once(kernel, another):
    agents = [another() for _ in range(5)]
    assert all(agent.is_inside() for agent in agents)
    for agent in agents[2:] + agents[:2]:
        assert kernel["eth0"] == "1" and kernel.left() == [kernel.file.name]
        assert agent.goes_out()
    assert kernel["eth0"] == "0" and kernel.left() == [] and kernel.log() == ""


def test_many_agents_that_go_out_at_once(kernel, another):
    for _ in range(3):
        agents = [another() for _ in range(4)]
        assert all(agent.is_inside() for agent in agents)
        for agent in agents:
            agent.go_on()
        assert [agent.process.stdout.readline() for agent in agents] == ["outside\n"] * 4
        assert kernel["eth0"] == "0" and kernel.left() == [] and kernel.log() == ""


# --- agents that are killed ------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
@pytest.mark.parametrize("mend", ["put_back", "deletion", "deletion of one alone"])
def test_an_agent_that_is_killed_in_the_middle(kernel, another, number, mend):
    """The setting stays on, and so does the file, by which the next action puts it back."""
    agent = another()
    assert agent.is_inside()
    agent.die(number)
    assert kernel["eth0"] == "1" and kernel.file.read_text() == NOTED
    if mend == "put_back":
        promotion.put_back(str(kernel.file))
    elif mend == "deletion":
        with promotion.secondaries_kept(SECONDARY):
            assert kernel["eth0"] == "1" and kernel.left() == [kernel.file.name]
    else:
        with promotion.secondaries_kept(ALONE):
            pass
    assert kernel["eth0"] == "0" and kernel.left() == []


@pytest.mark.parametrize("where, text, value", [
    ("change", NOTED, "0"),         # it is noted, and about to be switched on
    ("leave_lock", NOTED, "1")])
def test_an_agent_that_is_killed_at_another_moment(kernel, another, where, text, value):
    agent = another(where)
    assert agent.is_inside()
    if where == "leave_lock":
        agent.go_on()
        assert agent.is_inside()
    agent.die()
    assert (kernel.file.read_text(), kernel["eth0"]) == (text, value)
    promotion.put_back(str(kernel.file))
    assert kernel["eth0"] == "0" and kernel.left() == []


def test_an_agent_that_is_killed_as_it_switches_off(kernel, another):
    """Whoever comes next finds the file, and the setting off: that is no harm done."""
    agent = another("switch_off")
    assert agent.is_inside()
    agent.go_on()
    assert agent.is_inside()
    agent.die()
    with promotion.secondaries_kept(PRIMARY):
        assert kernel["eth0"] == "1"
    assert kernel["eth0"] == "0" and kernel.left() == []


@pytest.mark.parametrize("dying", [0, 1])
def test_one_of_two_is_killed(kernel, another, dying):
    """The other one puts it back, whichever of them switched it on."""
    agents = [another()]
    assert agents[0].is_inside()
    agents.append(another())
    assert agents[1].is_inside()
    agents[dying].die()
    promotion.put_back(str(kernel.file))        # not while one is at work
    assert kernel["eth0"] == "1" and kernel.left() == [kernel.file.name]
    assert agents[1 - dying].goes_out()
    assert kernel["eth0"] == "0" and kernel.left() == [] and kernel.log() == ""


def test_nothing_is_put_back_while_one_is_at_work(kernel):
    with promotion.secondaries_kept(PRIMARY):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            promotion.put_back(str(kernel.file))
            assert kernel["eth0"] == "1" and kernel.file.read_text() == NOTED
        assert len(os.listdir("/proc/self/fd")) == before
    assert kernel["eth0"] == "0" and kernel.left() == []


def test_several_that_put_back_at_once(kernel):
    """The one that waits behind another, on a file that is gone by then, changes nothing."""
    kernel["eth0"] = "1"
    kernel.file.write_text("2\n")
    late = os.open(kernel.file, os.O_RDWR)
    promotion.put_back(str(kernel.file))
    assert kernel["eth0"] == "0" and kernel.left() == []
    kernel["eth0"] = "1"                # an admin's
    promotion.leave_lock(str(kernel.file), late)
    promotion.put_back(str(kernel.file))
    assert kernel["eth0"] == "1" and kernel.left() == []
    with pytest.raises(OSError):
        os.fstat(late)


# --- files that are left ---------------------------------------------------------------------


@pytest.mark.parametrize("text, eth0, eth1", [
    ("2\n", "0", "1"), ("2", "0", "1"), (" 2 \n", "0", "1"), ("3\n", "1", "0"),
    ("02\n", "0", "1"), ("2\0", "1", "1"), ("", "1", "1"), ("\n", "1", "1"), ("-2\n", "1", "1"),
    (NOTED, "0", "1"), (NOTED[:-9] + "\n", "1", "1"), ("2 3\n", "1", "1"),
    ("2\n3\n", "1", "1"), ("x\n", "1", "1"), ("0\n", "1", "1"),
    ("7\n", "1", "1"), ("\u0662\n", "1", "1"), ("2\n" + " " * 100 + "x", "0", "1")])
def test_what_is_left_of_a_killed_agent(kernel, text, eth0, eth1):
    """Interface number 7 has gone; what holds no number says that nothing was switched on."""
    kernel["eth0"] = kernel["eth1"] = "1"
    kernel.file.write_text(text)
    promotion.put_back(str(kernel.file))
    assert (kernel["eth0"], kernel["eth1"]) == (eth0, eth1)
    assert kernel.left() == []


def test_no_file_is_made(kernel):
    """Not for a moment, as others would take it for that of an agent at work."""
    before = os.stat(kernel.folder / "rsctmp").st_mtime_ns
    promotion.put_back(str(kernel.file))
    assert os.stat(kernel.folder / "rsctmp").st_mtime_ns == before


@pytest.mark.parametrize("value", ["1", "2", "-1"])
def test_what_is_on_already_is_not_written(kernel, value):
    """An empty file, of an agent that was killed early, does not make an admin's setting ours."""
    kernel["eth0"] = value
    kernel.file.write_text("")
    with promotion.secondaries_kept(PRIMARY):
        assert kernel["eth0"] == value and kernel.file.read_text() == ""
    assert kernel["eth0"] == value and kernel.left() == []


def test_an_interface_that_has_another_name_now(kernel, monkeypatch):
    """The setting goes with the interface, as its number does."""
    with promotion.secondaries_kept(PRIMARY):
        (kernel.folder / "conf" / "eth0").rename(kernel.folder / "conf" / "old0")
        monkeypatch.setitem(NUMBERS, "old0", NUMBERS.pop("eth0"))
        (kernel.folder / "conf" / "eth0").mkdir()
        kernel["eth0"] = "1"                        # another interface
    NUMBERS["eth0"] = NUMBERS["old0"]
    assert kernel["old0"] == "0" and kernel["eth0"] == "1"
    assert kernel.left() == []


@pytest.mark.parametrize("value", ["1", "2"])
def test_what_an_admin_sets_meanwhile_is_put_back_as_well(kernel, value):
    """It was off, that is all that is known."""
    with promotion.secondaries_kept(PRIMARY):
        kernel["eth0"] = value
    assert kernel["eth0"] == "0"


# --- what the actions put back ---------------------------------------------------------------


@pytest.fixture(name="settings")
def fixture_settings(host, tmp_path, monkeypatch):
    """The Kernel of a host whose agents were killed: eth0 and eth1 were switched on."""
    kernel = Kernel(tmp_path / "kernel")
    monkeypatch.setattr(promotion, "SETTING", kernel.setting)
    for nic, number in (("eth0", 2), ("eth1", 3)):
        kernel[nic] = "1"
        pathlib.Path(place.promotion_path(nic)).write_text("%d\n" % number)
    return kernel


@pytest.fixture(autouse=True)
def no_interface_is_forgotten():
    before = dict(NUMBERS)
    yield
    NUMBERS.clear()
    NUMBERS.update(before)


def files_left(folder):
    return sorted(name for name in os.listdir(folder / "rsctmp") if "promote" in name)


@pytest.mark.parametrize("action", ["monitor", "status", "probe", "start"])
@pytest.mark.parametrize("good", [ON_ETH0, ON_ETH0_6])
def test_the_next_action_puts_back_its_own(fp, agent, scene, settings, tmp_path, action, good):
    fp.query(*((SHOW4, scene.here) if good is ON_ETH0 else (SHOW6, scene.here6)))
    assert agent(action, **good).rc == 0
    assert (settings["eth0"], settings["eth1"]) == ("0", "1")
    assert files_left(tmp_path) == [os.path.basename(place.promotion_path("eth1"))]


def test_stop_puts_back_all_of_this_namespace(fp, agent, scene, settings, tmp_path):
    here = place.namespace_inode()
    others = ["IPaddr2-promote-%s-eth0" % inode for inode in (here + "0", here[1:], "x" + here)]
    for name in others:
        (tmp_path / "rsctmp" / name).write_text("6\n")
    (tmp_path / "kernel/conf/eth2").mkdir()
    settings["eth2"] = "1"
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    assert agent("stop", **ON_ETH0).rc == 0
    assert (settings["eth0"], settings["eth1"], settings["eth2"]) == ("0", "0", "1")
    assert files_left(tmp_path) == sorted(others)


@pytest.mark.parametrize("make", [make_link, os.mkfifo, pathlib.Path.mkdir],
                         ids=["link", "fifo", "folder"])
@pytest.mark.parametrize("action", ["monitor", "stop"])
def test_what_is_no_file_stops_no_action(fp, agent, scene, settings, tmp_path, action, make):
    for nic in ("eth0", "eth1"):
        os.unlink(place.promotion_path(nic))
    path = pathlib.Path(place.promotion_path("eth0"))
    make(path)
    fp.query(SHOW4, scene.here)
    if action == "stop":
        fp.run(DELETE4)
        fp.query(SHOW4)
    assert agent(action, **ON_ETH0).rc == 0
    assert (settings["eth0"], settings["eth1"]) == ("1", "1")


def test_a_folder_that_is_not_there_stops_no_stop(fp, agent, scene, settings):
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    assert agent("stop", env={"HA_RSCTMP": "/dev/null/none"}, **ON_ETH0).rc == 0
