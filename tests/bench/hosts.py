# SPDX-License-Identifier: GPL-2.0-only
"""Hosts in network namespaces: one that the agents work on, its neighbour, and crowded ones.

The measuring process itself enters a host (setns(2)), so that what it starts runs there without
`ip netns exec` in between.
"""

import contextlib
import subprocess

from tests.lab import namespaces
from tests.lab.state import ip

FIRST = "10.64.0.0"         # the addresses of a crowded host come after it
BATCH_LIMIT = 300           # seconds for the addresses of a crowded host


class Host:
    """A namespace with interface eth0, which has 192.0.2.1/24 and 2001:db8::1/64."""

    def __init__(self, name):
        self.name = name
        self.handle = namespaces.opened(name)

    def enter(self):
        """From here on this process, and what it starts, is on this host."""
        namespaces.enter(self.handle)


class Hosts(contextlib.ExitStack):
    """Makes namespaces, named at random, that are gone when the `with` block ends."""

    def namespace(self):
        """A namespace with its loopback up; its name."""
        return namespaces.make(self.callback, "ip2b-")

    def pair(self):
        """A Host, and the name of its neighbour's namespace, where eth0 is the wire's other end."""
        name, neighbour = self.namespace(), self.namespace()
        _connect(name, "eth0", neighbour, "eth0")
        return Host(name), neighbour

    def crowded(self, count, prefix=32, first=FIRST):
        """A Host with `count` more addresses, upwards from `first`, on an interface of its own."""
        name = self.namespace()
        _connect(name, "eth0", name, "far0")
        _batch(name, ["link add name many0 type veth peer name many1", "link set dev many0 up",
                      "link set dev many1 up"])
        _batch(name, ["addr add %s/%d dev many0" % (address, prefix)
                      for address in addresses(count, first)])
        return Host(name)


def addresses(count, first):
    """`count` IPv4 addresses from `first` upwards, as texts."""
    a, b, c, d = (int(part) for part in first.split("."))
    base = a << 24 | b << 16 | c << 8 | d
    return [".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
            for number in range(base + 1, base + 1 + count)]


def _connect(name, nic, other, peer):
    """Join two namespaces by a veth pair; addresses on the first one's end."""
    ip(name, "link", "add", "name", nic, "type", "veth", "peer", "name", peer, "netns", other)
    _batch(other, ["link set dev %s up" % peer])
    _batch(name, ["link set dev %s up" % nic, "addr add 192.0.2.1/24 brd + dev %s" % nic,
                  "addr add 2001:db8::1/64 dev %s nodad" % nic])


def _batch(name, lines):
    done = subprocess.run(["ip", "-n", name, "-batch", "-"], input="\n".join(lines) + "\n",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=BATCH_LIMIT)
    if done.returncode:
        raise OSError("ip -batch: " + done.stdout[:500])
