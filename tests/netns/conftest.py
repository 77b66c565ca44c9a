# SPDX-License-Identifier: GPL-2.0-only
"""Two hosts in namespaces, and the agent run on one of them.

By default the agent is the checkout's; TEST_AGENT=/usr/lib/ocf/resource.d/heartbeat/IPaddr2 runs
the same tests against the shell agent (those of the declared differences fail then).
"""

import fcntl
import os
import pathlib
import secrets
import signal
import struct
import subprocess

import pytest

from tests.netns.agent import Agent
from tests.netns.frames import Recorder, in_namespace
from tests.netns.state import address, batch, ip, processes, wait_until

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

#: Written to /proc/sys/net of each host: duplicate address detection in tens of milliseconds,
#: and an ARP entry that may be replaced as soon as it was learnt.
QUICK = {"ipv6/conf/{nic}/router_solicitation_delay": 0, "ipv6/conf/{nic}/router_solicitations": 0,
         "ipv6/neigh/{nic}/retrans_time_ms": 30, "ipv4/neigh/{nic}/locktime": 0}


@pytest.fixture(name="netns")
def netns_factory(need, request):
    """A function that makes a network namespace, named at random, and gives its name."""
    need("ip", "iproute2")
    return lambda: new_namespace(request)


def new_namespace(request):
    """Make a network namespace, named at random, which ends with the request; its name."""
    name = "ip2t-" + secrets.token_hex(4)
    request.addfinalizer(lambda: remove(name))
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=20)
    ip(name, "link", "set", "dev", "lo", "up")
    return name


def remove(namespace):
    """End what still runs in the namespace and delete it, where it is still there."""
    for pid in processes(namespace):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    subprocess.run(["ip", "netns", "delete", namespace], stderr=subprocess.DEVNULL, timeout=20)


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


@pytest.fixture
def pair(netns, request):
    """Two joined hosts: node 192.0.2.1/24 and 2001:db8::1/64, neighbour .2 and ::2.

    Both interfaces are eth0; `parametrize("pair", ["other"], indirect=True)` names the node's.
    """
    return joined(netns, getattr(request, "param", "eth0"))


def joined(make, nic="eth0"):
    """The Pair of two namespaces that make() makes, with the addresses of `pair`."""
    hosts = Pair(make(), make(), nic)
    hosts.connect(nic, "eth0", ours=("192.0.2.1/24 brd +", "2001:db8::1/64 nodad"),
                  theirs=("192.0.2.2/24 brd +", "2001:db8::2/64 nodad"))
    return hosts


@pytest.fixture
def two_nics(pair):
    """The pair with a second interface, eth1, on both hosts, up and without an address."""
    pair.connect("eth1", "eth1")
    return pair


@pytest.fixture
def tunnel(pair, request):
    """A function that makes tun0 on the node, up and with addresses of its own, and gives its name:
    a tun device (linux/Documentation/networking/tuntap.rst) has no hardware address."""

    def make():
        def attach():
            device = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(device, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))  # TUNSETIFF
            return device

        device = in_namespace(pair.node, attach)
        request.addfinalizer(lambda: os.close(device))
        batch(pair.node, "link set dev tun0 up", "addr add 10.8.0.1/24 dev tun0",
              "addr add 2001:db8:8::1/64 dev tun0")
        return "tun0"

    return make


@pytest.fixture
def agent(pair, tmp_path):
    """The agent on the node: agent(action, **parameters), see agent.py."""
    program = os.environ.get("TEST_AGENT") or str(CHECKOUT / "bin" / "IPaddr2")
    return Agent(program, pair.node, tmp_path)


@pytest.fixture
def recorder(pair, request):
    """What the neighbour's eth0 receives, see frames.py."""
    kept = Recorder(pair.neighbour, "eth0")
    request.addfinalizer(kept.close)
    return kept


@pytest.fixture(params=["192.0.2.50", "2001:db8::50"], ids=["ipv4", "ipv6"])
def vip(request):
    """A virtual address in the pair's network, of each family in turn."""
    return request.param


@pytest.fixture
def served(pair, agent, vip):
    """The virtual address, started."""
    done = agent("start", ip=vip)
    assert done.rc == 0, done
    return vip


@pytest.fixture
def rival(pair):
    """A function that gives the neighbour an address, so that it answers for it."""

    def take(wanted):
        prefix = "64" if ":" in wanted else "24"
        ip(pair.neighbour, "addr", "add", "%s/%s" % (wanted, prefix), "dev", "eth0",
           *(["nodad"] if ":" in wanted else []))
        wait_until(lambda: address(pair.neighbour, wanted), "the rival's address")

    return take
