# SPDX-License-Identifier: GPL-2.0-only
"""Deleting an IPv4 address without losing others: net.ipv4.conf.NIC.promote_secondaries.

The kernel calls the first address of a network on an interface primary, and the later ones
secondary.  With the primary it deletes the secondary ones as well, whoever's they are, unless that
setting has one of them promoted (Linux, __inet_del_ifa() of net/ipv4/devinet.c).  So it is switched
on for the moment of a deletion, where that matters, by a child that outlives the agent: however the
agent ends, the child sees its end of a pipe close, and puts back what was there.  One agent at a
time does so on an interface.
"""

import posix
import time

from . import addresses, ahead, commands, files, findif, place
from .ocf import ocf_log

SETTING = "/proc/sys/net/ipv4/conf/%s/promote_secondaries"
LOCK_LIMIT = 2.0            # seconds that the lock of the interface is waited for
PATIENCE = 1.0              # seconds that the agent and its child wait for each other


class secondaries_kept:
    """`with secondaries_kept(nic, ip, prefix, peer):` the address's deletion takes no other along.

    Where that cannot be had, a warning is logged, and the address can be deleted all the same.
    """

    def __init__(self, nic, ip, prefix, peer):
        self.nic = nic
        self.address = (ip, prefix, peer)
        self.lock = None
        self.keeper = 0         # id of the child
        self.life = -1          # while this is open, the child keeps the setting as it is

    def __enter__(self):
        if not may_be_off(self.nic):
            return
        try:
            self.get_ready()
        except BaseException:       # told to end, for instance
            self.__exit__()
            raise

    def get_ready(self):
        """Take the lock, and see to the setting where it matters."""
        self.take_lock()
        words = findif.broadcast_query(self.nic)
        started = commands.query_start(ahead.ip_command() + words)
        commands.get_ready()    # sh, which the deletion needs, while `ip` is at work
        primary, others = neighbours(commands.query_end(started), *self.address)
        if primary and setting(self.nic) != "1" and not self.start_keeper() and others:
            ocf_log("warn", "%s cannot be set: other addresses of the network of %s on %s may be "
                    "deleted along with it" % (SETTING % self.nic, self.address[0], self.nic))

    def take_lock(self):
        """Lock the interface, or say that it is done without."""
        lock = files.lock(files.rsctmp(lock_name(self.nic)), LOCK_LIMIT)
        try:
            self.lock = lock.__enter__()
        except OSError as problem:      # TimeoutError among them
            ocf_log("warn", "no lock on %s (%s): going on without"
                    % (lock.path, problem.strerror or problem))

    def start_keeper(self):
        """Start the child that sets the setting; whether it is set."""
        import select

        ends = []

        def work():
            posix.close(self.life)
            keep(self.nic, ends[1], ends[2])

        try:
            ends += posix.pipe()
            living, self.life = posix.pipe()
            ends.append(living)
            self.keeper = commands.detach(work)
            poll = select.poll()
            poll.register(ends[0], select.POLLIN)
            return bool(poll.poll(PATIENCE * 1000)) and posix.read(ends[0], 1) == b"1"
        except OSError:             # out of descriptors, or of processes
            return False
        finally:
            for fd in ends:
                posix.close(fd)

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
        if self.lock:
            self.lock.__exit__()


def keep(nic, telling, living):
    """The child's work: set the setting, tell so, and put it back once `living` is closed.

    It shares the agent's lock, which so lasts until the setting is as it was.
    """
    good = change(nic, "1")
    posix.write(telling, b"1" if good else b"0")
    posix.read(living, 1)
    if good:
        change(nic, "0")


def lock_name(nic):
    """The file name of the lock of an interface in this network namespace."""
    return "IPaddr2-promote-%s-%s" % (place.namespace_inode(), place.plain(nic))


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

    A setting that is on counts only where there is no lock: its holder may have switched it on for
    the moment.
    """
    if setting("all") == "1":
        return False
    path = "%s/%s" % (commands.ENV["HA_RSCTMP"], lock_name(nic))
    return not (setting(nic) == "1" and not posix.access(path, posix.F_OK)
                and setting(nic) == "1")


def neighbours(result, ip, prefix, peer):
    """Whether an address is the primary one of its network, and how many others are in it, by the
    Result of `ip addr show dev NIC`.  (True, 1) where that cannot be told."""
    try:
        held = addresses.parse_addresses(result.out)
    except addresses.Unreadable:
        return True, 1
    if result.rc or result.timed_out:
        return True, 1
    primary, others = True, 0
    for one in held:
        if (one.ip, one.prefix, one.peer) == (ip, prefix, peer):
            primary = "secondary" not in one.flags
        elif one.prefix == prefix and addresses.in_network(one.peer or one.ip, peer or ip, prefix):
            others += 1
    return primary, others
