# SPDX-License-Identifier: GPL-2.0-only
"""Network namespaces: made at random names, entered, joined by a wire, removed with what runs
there.
"""

import contextlib
import ctypes
import os
import pathlib
import secrets
import signal
import subprocess
import threading

from .state import batch, ip, processes

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
CLONE_NEWNET = 0x40000000

#: Written to /proc/sys/net of each host: duplicate address detection in tens of milliseconds,
#: and an ARP entry that may be replaced as soon as it was learnt.
QUICK = {"ipv6/conf/{nic}/router_solicitation_delay": 0, "ipv6/conf/{nic}/router_solicitations": 0,
         "ipv6/neigh/{nic}/retrans_time_ms": 30, "ipv4/neigh/{nic}/locktime": 0}


# --- entering --------------------------------------------------------------------------------


def opened(namespace):
    """A descriptor of a network namespace, given its name."""
    return os.open("/run/netns/" + namespace, os.O_RDONLY | os.O_CLOEXEC)


def enter(handle):
    """From here on this thread, and what it starts, is in the namespace of that descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns: needs root")


@contextlib.contextmanager
def at_home():
    """Whatever namespaces the block enters, this process leaves it where it was before."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        enter(home)
        os.close(home)


def in_namespace(namespace, work):
    """The value of work(), called by a thread of its own that has entered the namespace.

    setns(2) moves one thread; what it opens stays in the namespace when the thread is gone.
    """
    box = []

    def inside():
        handle = opened(namespace)
        try:
            enter(handle)
            box.append(work())
        finally:
            os.close(handle)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert box, "cannot enter namespace %s" % namespace
    return box[0]


# --- making ----------------------------------------------------------------------------------


def make(finally_, prefix="ip2t-"):
    """Make a network namespace with its loopback up; its name.

    finally_(function) is told first how to remove it, such as a request's addfinalizer.
    """
    name = prefix + secrets.token_hex(4)
    finally_(lambda: remove(name))
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=20)
    ip(name, "link", "set", "dev", "lo", "up")
    return name


def remove(namespace):
    """End what still runs in the namespace, this process left aside, and delete it."""
    for pid in processes(namespace):
        if pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", namespace], stderr=subprocess.DEVNULL, timeout=60)


def prepare(namespace, nic, *addresses):
    """Bring an interface up with the QUICK settings and the addresses."""

    def write_settings():
        for name, value in QUICK.items():
            path = pathlib.Path("/proc/sys/net", name.format(nic=nic))
            path.write_text("%d\n" % value)
        return True

    in_namespace(namespace, write_settings)
    batch(namespace, "link set dev %s up" % nic,
          *("addr add %s dev %s" % (words, nic) for words in addresses))


class Pair:
    """Names: the namespaces node and neighbour, and nic, the node's interface."""

    def __init__(self, node, neighbour, nic):
        self.node = node
        self.neighbour = neighbour
        self.nic = nic

    def connect(self, nic, peer, ours=(), theirs=()):
        """Join the two by one more veth pair; both ends are up and have the addresses given."""
        ip(self.node, "link", "add", "name", nic, "type", "veth",
           "peer", "name", peer, "netns", self.neighbour)
        prepare(self.node, nic, *ours)
        prepare(self.neighbour, peer, *theirs)


def joined(make_one, nic="eth0"):
    """A Pair of two namespaces that make_one() makes: node 192.0.2.1/24 and 2001:db8::1/64,
    neighbour .2 and ::2."""
    hosts = Pair(make_one(), make_one(), nic)
    hosts.connect(nic, "eth0", ours=("192.0.2.1/24 brd +", "2001:db8::1/64 nodad"),
                  theirs=("192.0.2.2/24 brd +", "2001:db8::2/64 nodad"))
    return hosts
