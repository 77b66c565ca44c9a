# SPDX-License-Identifier: GPL-2.0-only
"""Deleting an IPv4 address without losing others: net.ipv4.conf.NIC.promote_secondaries.

The kernel calls the first address of a network on an interface primary, and the later ones
secondary.  With the primary it deletes the secondary ones as well, whoever's they are, unless that
setting has one of them promoted (Linux, __inet_del_ifa() of net/ipv4/devinet.c).  So it is switched
on for the moment of a deletion, where that matters, by a child that outlives the agent: however the
agent ends, the child sees its end of a pipe close, and puts back what was there.
"""

import posix
import time

from . import addresses, commands, files, findif, place, waiting
from .ocf import ocf_log

SETTING = "/proc/sys/net/ipv4/conf/%s/promote_secondaries"
LOCK_LIMIT = 2.0            # seconds that the lock of the interface is waited for
PATIENCE = LOCK_LIMIT + 1.0     # seconds that the agent waits for its child


class secondaries_kept:
    """`with secondaries_kept(nic, ip, prefix, peer):` the address's deletion takes no other along.

    Where that cannot be had, a warning is logged, and the address can be deleted all the same.
    """

    def __init__(self, nic, ip, prefix, peer):
        self.nic = nic
        self.address = (ip, prefix, peer)
        self.keeper = 0         # id of the child
        self.life = -1          # while this is open, the child keeps the setting as it is

    def __enter__(self):
        if may_be_off(self.nic) and has_secondaries(self.nic, *self.address):
            begin = time.monotonic()
            if not self.start_keeper():
                ocf_log("warn", "%s cannot be set: addresses of the network of %s on %s may be "
                        "deleted along with it" % (SETTING % self.nic, self.address[0], self.nic))
            elif time.monotonic() > begin + LOCK_LIMIT:
                ocf_log("warn", "%s is not had within %g s: going on without"
                        % (lock_path(self.nic), LOCK_LIMIT))

    def __exit__(self, *_problem):
        if self.life >= 0:
            posix.close(self.life)
        end = time.monotonic() + PATIENCE
        while self.keeper and time.monotonic() < end:
            try:
                if posix.waitpid(self.keeper, posix.WNOHANG)[0]:
                    break
            except OSError:
                break
            time.sleep(0.001)

    def start_keeper(self):
        """Start the child that sets the setting; whether it is set."""
        import select

        try:
            told, telling = posix.pipe()
            living, self.life = posix.pipe()
        except OSError:
            return False

        def work():
            posix.close(self.life)
            keep(self.nic, telling, living)

        try:
            self.keeper = commands.detach(work)
        except OSError:
            return False
        finally:
            posix.close(telling)
            posix.close(living)
        poll = select.poll()
        poll.register(told, select.POLLIN)
        answer = posix.read(told, 1) if poll.poll(PATIENCE * 1000) else b""
        posix.close(told)
        return answer == b"1"


def keep(nic, telling, living):
    """The child's work: set the setting, tell so, and put it back once `living` is closed."""
    waiting.set_deadline(PATIENCE)
    lock = files.lock(lock_path(nic), LOCK_LIMIT)
    try:
        lock.__enter__()
    except OSError:             # TimeoutError among them
        lock = None
    try:
        was = setting(nic)
        good = was == "1" or was == "0" and change(nic, "1")
        posix.write(telling, b"1" if good else b"0")
        posix.read(living, 1)
        if good and was == "0":
            change(nic, "0")
    finally:
        if lock:
            lock.__exit__()


def lock_path(nic):
    """Path of the lock of an interface in this network namespace."""
    return files.rsctmp("IPaddr2-promote-%s-%s" % (place.namespace_inode(), place.plain(nic)))


def setting(nic):
    """promote_secondaries of an interface ("0", "1"), or of `all`; "" where it cannot be read."""
    return files.read_file(SETTING % nic, 16).strip()


def change(nic, value):
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


def may_be_off(nic):
    """Whether the kernel may be about to delete secondary addresses.

    A setting that is on counts only where nobody holds the lock, who may have switched it on for
    the moment.
    """
    if setting("all") == "1":
        return False
    return not (setting(nic) == "1" and not posix.access(lock_path(nic), posix.F_OK)
                and setting(nic) == "1")


def has_secondaries(nic, ip, prefix, peer):
    """Whether other addresses of the address's network are on the interface, and it is the primary
    one, or that cannot be told."""
    result = addresses.ip_query(findif.broadcast_query(nic))
    try:
        held = addresses.parse_addresses(result.out)
    except addresses.Unreadable:
        return True
    if result.rc:
        return True
    network = peer or ip
    others = 0
    for one in held:
        if (one.ip, one.prefix, one.peer) == (ip, prefix, peer):
            if "secondary" in one.flags:
                return False
        elif one.prefix == prefix and addresses.in_network(one.peer or one.ip, network, prefix):
            others += 1
    return others > 0
