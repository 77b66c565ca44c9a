# SPDX-License-Identifier: GPL-2.0-only
"""Background senders, found again through their pid files in HA_RSCTMP.

A process is ended only when it really is a sender of the address: its command line says so, or
it holds the lock of the pid file (the built-in sender, and a burst that waits for its turn).
"""

import fcntl
import posix
import time
from _signal import SIGKILL, SIGTERM

from .. import commands
from ..changes import files
from ..commands import ENV
from ..ocf import ocf_is_decimal, ocf_log

PROGRAMS = ("send_arp", "send_ua", "arping", "ipoibarping")


def pid_file(vip) -> str:
    """Where the id of a background sender is kept, so that stop finds it."""
    name = "send_arp-" + vip.ip
    if vip.namespace:
        return files.state_file(f"{name}-{vip.nic}-{vip.namespace}")
    path = files.state_file(name)
    pid = read_pid(path)
    if is_alive(pid) and is_sender(pid, path, vip.ip) and not is_on(pid, path, vip.nic):
        return f"{path}-{vip.nic}"    # the same address is announced on another interface
    return path


class own_pid_file:
    """`with own_pid_file(vip):` this process and its interface are in the file, which it locks."""

    def __init__(self, vip):
        self.path = pid_file(vip)
        self.nic = vip.nic
        self.fd = -1

    def __enter__(self):
        try:
            self.fd = posix.open(self.path, posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW, 0o600)
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            posix.ftruncate(self.fd, 0)
            posix.write(self.fd, commands.to_bytes(f"{posix.getpid()}\n{self.nic}\n"))
        except OSError as problem:
            if self.fd >= 0:        # somebody else's, for instance
                posix.close(self.fd)
                self.fd = -1
            ocf_log("warn", f"no pid file {self.path} ({problem.strerror}): stop will not find the "
                    "sender")
        return self

    def __exit__(self, *_problem):
        if self.fd >= 0:
            if is_same(self.fd, self.path):     # else the folder was emptied, and used since
                files.remove_file(self.path)
            posix.close(self.fd)


def is_same(fd: int, path: str) -> bool:
    """Whether the file that `fd` has open is the one that stands at `path`."""
    try:
        mine, there = posix.fstat(fd), posix.lstat(path)
    except OSError:
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def keep_pid(path: str, pid: int) -> None:
    """Note the id of a sender that was just started."""
    try:
        files.write_file(path, f"{pid}\n")
    except OSError as problem:
        ocf_log("warn", f"no pid file {path} ({problem.strerror}): stop will not find the sender")


def read_pid(path: str) -> int:
    """The process id in a pid file, 0 where there is none."""
    words = files.read_file(path, 64).split()
    return int(words[0]) if words and ocf_is_decimal(words[0]) and 1 < int(words[0]) <= 2 ** 22 \
        else 0


def is_alive(pid: int) -> bool:
    """Whether process `pid` exists and has not ended."""
    state = files.read_file(f"/proc/{pid}/stat").rpartition(")")[2].split() if pid else []
    return bool(state) and state[0] not in ("Z", "X")


def is_sender(pid: int, path: str, ip: str) -> bool:
    """Whether process `pid` is a sender of this address: by its command line, or because it
    holds the lock of the pid file, as the built-in sender does."""
    words = command_line(pid)
    names = [word.rpartition("/")[2] for word in words[:3]]
    if any(name in PROGRAMS for name in names):
        return path in words or ip in words
    return bool(words) and is_locked(path)


def is_on(pid: int, path: str, nic: str) -> bool:
    """Whether process `pid`, a sender, announces on this interface (any where it is "")."""
    return not nic or nic in command_line(pid) or nic in files.read_file(path).split()


def command_line(pid: int) -> list:
    """The words that process `pid` was started with, [] where it is gone."""
    return files.read_file(f"/proc/{pid}/cmdline").split("\0")[:-1] if pid else []


def is_locked(path: str) -> bool:
    """Whether somebody holds the lock of a pid file."""
    try:
        fd = posix.open(path, posix.O_RDWR | posix.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        posix.close(fd)


def stop_sender(ip: str, nic: str, namespace: str) -> list:
    """Tell every background sender of an address to end: those in this namespace ("" for that of
    the cluster) and on this interface ("" for any).

    Gives what wait_until_gone() takes: [(process id, pid file)].
    """
    name = f"send_arp-{ip}"
    if namespace and nic:
        wanted = [(f"{name}-{nic}-{namespace}", nic)]
    elif namespace:
        # Both an interface's name and a namespace's may hold a dash: the sender tells which it is.
        tail = f"-{namespace}"
        wanted = [(other, other[len(name) + 1:-len(tail)])
                  for other in posix.listdir(ENV["HA_RSCTMP"])
                  if other.startswith(name + "-") and other.endswith(tail)]
    else:
        wanted = [(name, nic), (f"{name}-{nic}", nic)]
    ending = []
    for other, its_nic in wanted:
        ending += tell_to_end(f"{ENV['HA_RSCTMP']}/{other}", ip, its_nic)
    return ending


def drop_stale(path: str, ip: str) -> None:
    """Remove a pid file that names no running sender of this address, and what is no file.

    send_arp kills whatever process has the id in its -p file, or waits for a FIFO's other end.
    """
    try:
        posix.lstat(path)
    except (OSError, ValueError):
        return
    pid = read_pid(path)
    if not (is_alive(pid) and is_sender(pid, path, ip)):
        warn_and_remove(path, ip)


def tell_to_end(path: str, ip: str, nic: str) -> list:
    """Send SIGTERM to the sender of an address that a pid file names; [(process id, path)].

    That is done where it announces on interface `nic`, "" for any.  A file that names another
    process is removed and the process left alone; one of the same address on another interface
    stays.
    """
    if not commands.is_file(path):
        return []
    pid = read_pid(path)
    if pid != posix.getpid() and is_alive(pid) and is_sender(pid, path, ip):
        if not is_on(pid, path, nic):
            return []
        kill(pid, SIGTERM)
        ocf_log("info", f"killed previously running sender for {ip} (process {pid})")
        return [(pid, path)]
    warn_and_remove(path, ip)
    return []


def warn_and_remove(path: str, ip: str) -> None:
    """Remove a pid file that is out of date."""
    ocf_log("warn", f"{path} names no running sender of {ip}; it is removed")
    files.remove_file(path)


def wait_until_gone(ending) -> None:
    """Wait for processes that were told to end, SIGKILL after a second; remove their files.

    The kernel takes its time, some 50 ms, to close a sender's packet socket.
    """
    begin = time.monotonic()
    for pid, path in ending:
        while is_alive(pid) and time.monotonic() < begin + 2.0:
            if time.monotonic() > begin + 1.0:
                kill(pid, SIGKILL)
            time.sleep(0.003)
        files.remove_file(path)


def kill(pid: int, number: int) -> None:
    """Send a signal; a process that is gone does not matter.

    SIGKILL leaves it no time to end the programs that it waits for: they get it too, where it
    leads a session of its own (commands.detach).
    """
    try:
        if number == SIGKILL and posix.getsid(pid) == pid:
            posix.killpg(pid, number)
        else:
            posix.kill(pid, number)
    except OSError:
        pass
