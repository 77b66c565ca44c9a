# SPDX-License-Identifier: GPL-2.0-only
"""Two hosts in namespaces, and the agent run on one of them.

By default the agent is the checkout's; TEST_AGENT=/usr/lib/ocf/resource.d/heartbeat/IPaddr2 runs
the same tests against the shell agent (those of the declared differences fail then).
"""

import fcntl
import os
import struct

import pytest

from tests.lab import namespaces
from tests.lab.agent import Agent
from tests.lab.frames import Recorder
from tests.lab.namespaces import CHECKOUT, in_namespace
from tests.lab.state import address, batch, ip, wait_until


@pytest.fixture(name="netns")
def netns_factory(need, request):
    """A function that makes a network namespace, named at random, and gives its name."""
    need("ip", "iproute2")
    return lambda: namespaces.make(request.addfinalizer)


@pytest.fixture
def pair(netns, request):
    """Two joined hosts: node 192.0.2.1/24 and 2001:db8::1/64, neighbour .2 and ::2.

    Both interfaces are eth0; `parametrize("pair", ["other"], indirect=True)` names the node's.
    """
    return namespaces.joined(netns, getattr(request, "param", "eth0"))


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
    """The agent on the node: agent(action, **parameters), see tests/lab/agent.py."""
    program = os.environ.get("TEST_AGENT") or str(CHECKOUT / "bin" / "IPaddr2")
    return Agent(program, pair.node, tmp_path)


@pytest.fixture
def recorder(pair, request):
    """What the neighbour's eth0 receives, see tests/lab/frames.py."""
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
