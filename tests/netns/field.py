# SPDX-License-Identifier: GPL-2.0-only
"""The host that the cases from the field begin with, and what they look at.

One namespace: e0, a veth whose far end p0 is on the same host, both up; base4 and base6 give e0
an address.  The fixtures are imported by the test files that use them.
"""

import contextlib
import fcntl
import os
import pathlib
import struct
import subprocess
import threading

import pytest

from tests.lab.agent import IP, PATH, Agent
from tests.lab.frames import Recorder
from tests.lab.namespaces import CHECKOUT, QUICK, in_namespace
from tests.lab.state import addresses, ip, links, processes, wait_until

PROGRAM = os.environ.get("TEST_AGENT") or str(CHECKOUT / "bin" / "IPaddr2")
SHELL_AGENT = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2"
VIP, VIP6 = "192.0.2.50", "2001:db8::50"


class Family:
    """One family's words: vip, two more of its network, own (the host's), length, and so on."""

    def __init__(self, name, vip, second, third, own, length, bits):
        self.name = name
        self.option = "-4" if name == "inet" else "-6"
        self.vip, self.second, self.third, self.own = vip, second, third, own
        self.length, self.bits = length, bits
        self.network = "192.0.2.0/24" if name == "inet" else "2001:db8::/64"
        #: A longer prefix that holds the three.
        self.longer = "192.0.2.48/28" if name == "inet" else "2001:db8::/112"
        self.longer_length = int(self.longer.partition("/")[2])
        #: No case is about duplicate address detection but those that say so.
        self.words = [] if name == "inet" else ["nodad"]
        self.asked = {"ip": vip} if name == "inet" else {"ip": vip, "nodad": "true"}

    def full(self, nic="e0"):
        """The parameters with nic and cidr_netmask given."""
        return dict(self.asked, nic=nic, cidr_netmask=self.length)

    def add(self, node, vip=None, length=None, dev="e0", *words):
        """Add an address by hand."""
        ip(node, "addr", "add", "%s/%d" % (vip or self.vip, length or self.length), "dev", dev,
           *self.words, *words)

    def route(self, node, verb, *words):
        ip(node, self.option, "route", verb, *words)


INET = Family("inet", VIP, "192.0.2.51", "192.0.2.52", "192.0.2.1", 24, 32)
INET6 = Family("inet6", VIP6, "2001:db8::51", "2001:db8::52", "2001:db8::1", 64, 128)


class Wrapped(Agent):
    """An Agent whose program is started by the words `by`, inside the namespace."""

    by = ()

    def command(self, action, inside=None):
        words = super().command(action, inside)
        return [*words[:-2], *self.by, *words[-2:]]


# --- the common start ----------------------------------------------------------------------------


def new_nic(node, nic, peer, far=None, peer_up=True):
    """A veth pair, both ends up; far: the namespace of its other end.  Detection is quick."""
    ip(node, "link", "add", "name", nic, "type", "veth", "peer", "name", peer,
       *(["netns", far] if far else []))
    for name, value in QUICK.items():
        setting(node, name.format(nic=nic), value)
    ip(node, "link", "set", "dev", nic, "up")
    if peer_up:
        ip(far or node, "link", "set", "dev", peer, "up")


def setting(node, name, value=None):
    """Write /proc/sys/net/NAME of a namespace, or read it."""
    path = pathlib.Path("/proc/sys/net", name)
    if value is None:
        return in_namespace(node, path.read_text).strip()
    return in_namespace(node, lambda: path.write_text("%s\n" % value))


@pytest.fixture(name="node")
def node_fixture(netns):
    """The namespace, with e0 and p0 up and no address."""
    name = netns()
    new_nic(name, "e0", "p0")
    return name


@pytest.fixture(name="base4")
def base4_fixture(node):
    """The node with 192.0.2.1/24 on e0."""
    ip(node, "addr", "add", "192.0.2.1/24", "brd", "+", "dev", "e0")
    return node


@pytest.fixture(name="base6")
def base6_fixture(node):
    """The node with 2001:db8::1/64 on e0."""
    ip(node, "addr", "add", "2001:db8::1/64", "dev", "e0", "nodad")
    return node


@pytest.fixture(name="family", params=[INET, INET6], ids=["ipv4", "ipv6"])
def family_fixture(request, base4, base6):
    """Each family in turn, on a node that has both bases."""
    return request.param


@pytest.fixture(name="agent")
def agent_fixture(node, tmp_path):
    """The agent on the node; TEST_AGENT names another one, as in conftest.py."""
    return Wrapped(PROGRAM, node, tmp_path)


@pytest.fixture(name="shell_agent")
def shell_agent_fixture(agent, need):
    """The shell agent on the same node, with the same HA_RSCTMP."""
    need("ocf-tester", "resource-agents")
    folder = agent.folder / "shell"
    folder.mkdir()
    other = Agent(SHELL_AGENT, agent.namespace, folder)
    other.rsctmp = agent.rsctmp
    return other


@pytest.fixture(name="far")
def far_fixture(netns, node):
    """A host of its own at the far end of e0, as f0: it has no address."""
    name = netns()
    ip(node, "link", "delete", "dev", "e0")
    new_nic(node, "e0", "f0", far=name)
    return name


@pytest.fixture(name="wire")
def wire_fixture(node, request):
    """A function: what p0 receives from now on, as a Recorder."""
    def record(dev="p0"):
        kept = Recorder(node, dev)
        request.addfinalizer(kept.close)
        return kept

    return record


@pytest.fixture(name="second_nic")
def second_nic_fixture(node):
    """e1, up, without an address; its other end is p1."""
    new_nic(node, "e1", "p1")
    return "e1"


@pytest.fixture(name="noarp")
def noarp_fixture(node):
    """kube-ipvs0: an interface that is up and asks and answers nobody."""
    ip(node, "link", "add", "name", "kube-ipvs0", "type", "ifb")
    ip(node, "link", "set", "dev", "kube-ipvs0", "arp", "off", "up")
    return "kube-ipvs0"


@pytest.fixture(name="tun")
def tun_fixture(node, request):
    """tun0, up, held open by this process."""
    def attach():
        handle = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(handle, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))    # IFF_TUN
        return handle

    handle = in_namespace(node, attach)
    request.addfinalizer(lambda: os.close(handle))
    ip(node, "link", "set", "dev", "tun0", "up")
    return "tun0"


# --- what happened -------------------------------------------------------------------------------


def follow(agent, course, **asked):
    """Run actions one by one, as "probe 7, start 0" tells; the last Done."""
    for step in course.split(", "):
        action, rc = step.split()
        done = agent(action, **asked)
        assert done.rc == int(rc), "%s is not %s: %r" % (action, rc, done)
        assert "Traceback" not in done.log + done.err, done
    return done


def places(node, wanted=VIP):
    """Where an address is, in every form: ["e0/24", "e0/32 peer 192.0.2.254"], in the kernel's
    order of interfaces."""
    return ["%s/%d%s" % (entry["dev"], entry["prefixlen"],
                         " peer " + entry["address"] if "address" in entry else "")
            for entry in addresses(node) if entry["local"] == wanted]


def network_routes(node, family):
    """The routes to the family's network, as `ip` prints them, without a lifetime's seconds."""
    text = ip(node, family.option, "route", "show", "to", "exact", family.network)
    return [line.split(" expires ")[0].strip() for line in text.splitlines()]


def index(node, nic):
    return links(node)[nic]["ifindex"]


def notes(agent, vip=VIP):
    """The notes of start on an address, as sorted paths."""
    return sorted(path for path in agent.rsctmp.glob("IPaddr2-%s*" % vip)
                  if not path.name[len("IPaddr2-" + vip):][:1].isalnum())


def the_note(agent, vip=VIP):
    """The one note on an address."""
    found = notes(agent, vip)
    assert len(found) == 1, "notes on %s: %s; all files: %s" % (
        vip, found, sorted(os.listdir(agent.rsctmp)))
    return found[0]


def forget(agent):
    """Empty HA_RSCTMP, as a boot does."""
    for path in agent.rsctmp.iterdir():
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def calm(node):
    """Wait until nothing runs in the namespace any more."""
    wait_until(lambda: not processes(node), "the end of all processes")


def broken_ip(agent, pattern, what, name="ip"):
    """Have every `ip` whose words match a pattern of the shell do `what`; an environment."""
    tools = agent.stand_in(name, 'case " $* " in %s) %s ;; esac\nexec %s "$@"\n'
                           % (pattern, what, IP), "broken")
    return {"PATH": tools + ":" + PATH}


def no_routes(agent):
    """An environment in which no list of routes can be had, as with very large multipath ones."""
    return broken_ip(agent, "*' route list '*",
                     'echo "Error: Buffer too small for object." >&2; exit 2')


def watched_ip(agent):
    """An environment in which each call of `ip` is written down, and a function that tells them."""
    path = agent.folder / "calls"
    path.write_text("")
    tools = agent.stand_in("ip", 'echo "$*" >>%s\nexec %s "$@"\n' % (path, IP), "watched")
    return {"PATH": tools + ":" + PATH}, lambda: path.read_text().splitlines()


def rules(node):
    """All of nftables' rules."""
    done = subprocess.run([IP, "netns", "exec", node, "nft", "list", "ruleset"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    assert done.returncode == 0, done.stdout
    return done.stdout


def joined(node, nic="e0"):
    """MACs that somebody had an interface join."""
    return [line.split()[1] for line in ip(node, "maddress", "show", "dev", nic).splitlines()
            if "static" in line]


def rename(node, old, new):
    """Rename an interface, which an older kernel allows only while it is down."""
    ip(node, "link", "set", "dev", old, "down")
    ip(node, "link", "set", "dev", old, "name", new)
    ip(node, "link", "set", "dev", new, "up")


def keep_on_down(node, *nics):
    """Have IPv6 addresses stay on an interface that is set down, as IPv4's do."""
    for nic in nics or ("e0",):
        setting(node, "ipv6/conf/%s/keep_addr_on_down" % nic, 1)


def source(frame):
    """A frame's Ethernet source, as text."""
    return ":".join("%02x" % octet for octet in frame[6:12])


@contextlib.contextmanager
def later(seconds, work):
    """Call work() `seconds` from now, in a thread that is waited for at the end."""
    thread = threading.Timer(seconds, work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def boot_id():
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def netns_inode(node):
    return os.stat("/run/netns/" + node).st_ino


def has_ipv6_word(reason):
    """Whether a reason tells that IPv6 is switched off."""
    text = reason.lower()
    return "ipv6" in text and ("off" in text or "disable" in text)
