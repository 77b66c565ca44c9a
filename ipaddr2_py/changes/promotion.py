# SPDX-License-Identifier: GPL-2.0-only
"""Deleting an IPv4 address without losing others: net.ipv4.conf.NIC.promote_secondaries.

The kernel calls the first address of a network on an interface primary, and the later ones
secondary.  With the primary it deletes the secondary ones as well, whoever's they are, unless that
setting has one of them promoted (Linux, __inet_del_ifa() of net/ipv4/devinet.c).  So it is switched
on for the moment of a deletion, where that matters.

Who deletes shares the lock of a file, one for each interface and network namespace.  Where the
setting was off, the file holds the interface's number, and the last one switches it off again and
removes the file.  Where an agent was killed, the file is left, the setting is on, which does no
harm, and the next action switches it off.
"""

import errno
import fcntl
import posix
import time

from .. import addresses, children, findif
from ..children import RUN
from ..ocf import ocf_log
from ..place import boot_id, promotion_path
from . import files

SETTING = "/proc/sys/net/ipv4/conf/%s/promote_secondaries"
OFF = ("0", "")             # any other value is on, to the kernel
LIMIT = 2.0                 # seconds that the lock is waited for


class secondaries_kept:
    """`with secondaries_kept(address):` the deletion of an Address takes no other along.

    Where that cannot be had, a warning is logged, and the address can be deleted all the same.
    """

    def __init__(self, address):
        self.nic = address.nic
        self.address = address
        self.fd = -1
        self.index = 0          # of the interface, where it is to be put back without a lock

    def __enter__(self):
        if not may_be_off(self.nic):
            return
        # Also where no other address is there now: another resource may be about to add one.
        self.get_lock()
        if setting(self.nic) in OFF and not self.switch_on() and self.is_among_others():
            ocf_log("warn", f"{SETTING % self.nic} cannot be set: other addresses of the network "
                    f"of {self.address.ip} on {self.nic} may be deleted along with it")

    def is_among_others(self) -> bool:
        """Whether the interface has other addresses of that network, or that cannot be told."""
        result = addresses.ip_query(findif.nic_addr_words(self.nic))
        return has_neighbours(result, self.address)

    def get_lock(self) -> None:
        """Share the lock, or say that it is done without."""
        path = files.state_file(promotion_path(self.nic).rpartition("/")[2])
        try:
            self.fd = share_lock(path, min(LIMIT, children.remaining() / 4))
            # The program that deletes may outlive the agent: as long as it has the lock, the
            # setting stays on.
            posix.set_inheritable(self.fd, True)
            RUN.inherited.add(self.fd)
        except OSError as problem:      # TimeoutError among them
            ocf_log("warn", f"no lock on {path} ({problem.strerror or problem}): going on without")

    def switch_on(self) -> bool:
        """Switch the setting on, after that was noted where it is to be put back; whether it is."""
        index = addresses.index_of(self.nic)
        try:
            posix.pwrite(self.fd, b"%10d %-36s\n" % (index, boot_id().encode()), 0)
        except OSError:         # no lock, or a full disk: nobody else will know
            self.index = index
        return change(self.nic, "1")

    def __exit__(self, *_problem):
        if self.index:
            switch_off(self.index)
        if self.fd >= 0:
            RUN.inherited.discard(self.fd)
            posix.close(self.fd)
            put_back(promotion_path(self.nic))      # by a descriptor that no program shares


def share_lock(path: str, seconds=LIMIT) -> int:
    """A descriptor of the file, whose lock is shared with all who delete; raises OSError.

    It is held alone for the moment of putting back only, and waited for so many seconds.
    """
    end = time.monotonic() + seconds
    while True:
        fd = posix.open(path, posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_NONBLOCK,
                        0o600)
        try:
            if posix.fstat(fd).st_mode & 0o170000 != 0o100000:
                raise OSError(errno.EINVAL, "it is no regular file")
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if files.is_current(fd, path):
                return fd
        except BlockingIOError:
            pass
        except OSError:
            posix.close(fd)
            raise
        posix.close(fd)
        if time.monotonic() > end:
            raise TimeoutError("held by another process")
        time.sleep(0.01)


def leave_lock(path: str, fd: int) -> None:
    """Let go of the lock; who was the last one puts the setting back and removes the file."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if files.is_current(fd, path):
            switch_off(noted_index(posix.pread(fd, 64, 0)))
            files.remove_file(path)     # not before: who finds no file takes the setting for real
    except OSError:             # somebody else is at it still, and is the last one
        pass
    posix.close(fd)


def noted_index(data: bytes) -> int:
    """The interface's number in the lock's file; 0 where the setting was on, or in another boot."""
    words = data.split()
    good = words and words[0].isdigit() and len(words[0]) < 10 and \
        words[1:] in ([], [boot_id().encode()])
    return int(words[0]) if good else 0


def switch_off(index: int) -> None:
    """Switch the setting of interface number `index` off, whatever it is called now."""
    nic = addresses.name_of(index) if index else ""
    if nic:
        change(nic, "0")


def put_back(path: str) -> None:
    """Put back what an agent that was killed has left switched on; nothing while one is at work.

    path is that of the lock's file.
    """
    try:
        fd = posix.open(path, posix.O_RDWR | posix.O_NOFOLLOW | posix.O_NONBLOCK)
    except OSError:
        return
    leave_lock(path, fd)


def setting(nic: str) -> str:
    """promote_secondaries of an interface, or of `all`; "" where it cannot be read."""
    return files.read_file(SETTING % nic, 16).strip()


def change(nic: str, value: str) -> bool:
    """Write promote_secondaries of an interface; whether that worked."""
    try:
        fd = posix.open(SETTING % nic, posix.O_WRONLY)
    except OSError:
        return False
    try:
        posix.write(fd, value.encode() + b"\n")
        return True
    except OSError:
        return False
    finally:
        posix.close(fd)


def may_be_off(nic: str) -> bool:
    """Whether the kernel may be about to delete secondary addresses.

    A setting that is on counts only where there is no file: another one may have switched it on for
    the moment.  It is looked at twice, for that one may just have put it back.
    """
    if setting("all") not in OFF:
        return False
    return any(setting(nic) in OFF or posix.access(promotion_path(nic), posix.F_OK)
               for _ in range(2))


def has_neighbours(result, address) -> bool:
    """Whether other addresses of an Address's network are on its interface, by the Result of
    `ip addr show dev NIC`; True also where that cannot be told."""
    ip, prefix, peer = address.ip, address.prefix, address.peer
    try:
        held = addresses.parse_addresses(result.out)
    except addresses.Unreadable:
        return True
    return bool(result.rc) or any(
        one.prefix == prefix and (one.ip, one.peer) != (ip, peer)
        and addresses.in_network(one.peer or one.ip, peer or ip, prefix) for one in held)
