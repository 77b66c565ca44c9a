# SPDX-License-Identifier: GPL-2.0-only
"""More than one address, or more than one holder: clones, groups, a namespace in the node."""
import pytest

from tests.cluster.lab import AGENT, OURS, wait_until
from tests.cluster.watch import Watch, traffic

shares_load = pytest.mark.skipif(AGENT != OURS, reason="no CLUSTERIP target in today's kernels")
POOL = [f"192.0.2.{160 + i}" for i in range(3)]
GROUP = {"a": ("192.0.2.170", 24), "b": ("192.0.2.171", 24), "c": ("2001:db8::170", 64)}


def clone(lab, name, meta, **params):
    """Create primitive and clone in one go: it is never to be seen as a single resource."""
    words = " ".join(f"{key}={value}" for key, value in params.items())
    lab.run("crm", "configure", input=f"""\
primitive {name} {AGENT} params {words} op monitor interval=2s timeout=30s
clone {name}-clone {name} meta {meta}
commit
""")
    lab.settle()


def instances(lab, name):
    """Sorted names of the nodes, one for each running instance of a clone."""
    found = [node.get("name") for node in lab.status().findall(".//clone/resource/node")]
    return sorted(found)


def answers(lab, ip, number=60):
    """Who answers that many new connections to ip: a dict of node name to number; "-": nobody."""
    done = lab.client.run("timeout", "20", *traffic("knock", ip, 0.005, number))
    names = [line.split()[1] for line in done.stdout.splitlines()]
    return {name: names.count(name) for name in set(names)}


@pytest.fixture
def serve(empty):
    """A function that makes a node answer connections, until the end of the test."""
    with Watch(empty.folder) as watch:
        yield lambda name: watch.start(name + ".serve", empty.nodes[name],
                                       *traffic("serve", name))


@shares_load
@pytest.mark.parametrize("ip, mask", [
    ("192.0.2.150", 24), pytest.param("2001:db8::150", 64, marks=pytest.mark.slow)])
def test_globally_unique_clone(empty, serve, ip, mask):
    """Two buckets share the load, both go to the survivor of a power loss, and spread again."""
    for name in empty.nodes:
        serve(name)
    clone(empty, "shared", "globally-unique=true clone-max=2 clone-node-max=2 "
          "resource-stickiness=0", ip=ip, cidr_netmask=mask, nic="eth0")
    assert instances(empty, "shared") == ["n1", "n2"] and not empty.failures()
    assert empty.holders(ip) == ["n1", "n2"]
    wait_until(lambda: {*answers(empty, ip)} == {"n1", "n2"}, "both nodes answer")
    empty.kill(empty.nodes["n1"])
    wait_until(lambda: instances(empty, "shared") == ["n2", "n2"], "both buckets on n2")
    empty.settle()
    wait_until(lambda: {*answers(empty, ip)} == {"n2"}, "n2 answers all")
    empty.revive(empty.nodes["n1"])
    serve("n1")
    wait_until(lambda: instances(empty, "shared") == ["n1", "n2"], "spread again")
    empty.settle()
    wait_until(lambda: {*answers(empty, ip)} == {"n1", "n2"}, "both nodes answer")
    assert not empty.failures()


@pytest.mark.slow
def test_pool_of_addresses(empty):
    """unique_clone_address: three instances, three addresses, each somewhere, whoever dies."""
    clone(empty, "pool", "globally-unique=true clone-max=3 clone-node-max=3",
          ip=POOL[0], cidr_netmask=24, nic="eth0", unique_clone_address="true")

    def check(names):
        empty.settle()
        assert {*instances(empty, "pool")} == names and len(instances(empty, "pool")) == 3
        for ip in POOL:
            assert len(empty.holders(ip)) == 1
            wait_until(lambda ip=ip: empty.pings(ip), f"an answer from {ip}")
        assert not empty.holders("192.0.2.163") and not empty.failures()

    check({"n1", "n2"})
    empty.kill(empty.nodes["n2"])
    wait_until(lambda: empty.online() == {"n1"}, "takeover")
    check({"n1"})
    empty.revive(empty.nodes["n2"])
    check({*instances(empty, "pool")})


@pytest.mark.skipif(AGENT != OURS, reason="the shell agent cannot even be stopped then")
def test_pool_needs_unique_instances(empty):
    """The instances of an anonymous clone have no numbers to go by: refused, with a reason."""
    clone(empty, "pool", "globally-unique=false clone-max=2 clone-node-max=1",
          ip=POOL[0], cidr_netmask=24, nic="eth0", unique_clone_address="true")
    assert not instances(empty, "pool") and not any(empty.holders(ip) for ip in POOL)
    assert empty.failures() == [(n, "pool_monitor_0", "not configured") for n in empty.nodes]
    for failure in empty.status().findall("failures/failure"):
        assert "unique_clone_address" in failure.get("exitreason")


def test_group(empty):
    """Several addresses of both families that stay together."""
    addresses = {name: ip for name, (ip, _) in GROUP.items()}
    for name, (ip, mask) in GROUP.items():
        empty.primitive(name, ip=ip, cidr_netmask=mask, nic="eth0")
    empty.run("crm", "configure", "group", "all", *GROUP)
    empty.check(addresses)
    before = empty.running_on("a")
    empty.run("crm", "node", "standby", before[0])
    empty.check(addresses)
    after = empty.running_on("a")
    assert after != before and all(empty.running_on(name) == after for name in GROUP)


@pytest.mark.slow
def test_namespace_in_the_node(empty):
    """network_namespace: the address is in there, and follows to the same one of the other."""
    ip, nic = "192.0.2.180", "inside"
    for number, node in enumerate(empty.nodes.values(), 1):
        node.run("ip", "netns", "add", "blue")
        node.run("ip", "link", "add", nic, "link", "eth0", "type", "macvlan", "mode", "bridge")
        node.run("ip", "link", "set", nic, "netns", "blue")
        for words in (f"address add 192.0.2.{20 + number}/24 dev {nic}", f"link set {nic} up"):
            node.run("ip", "-n", "blue", *words.split())

    def inside():
        return [name for name, node in empty.nodes.items()
                if f" {ip}/" in node.run("ip", "-n", "blue", "-o", "address").stdout]

    empty.primitive("vip", ip=ip, cidr_netmask=24, nic=nic, network_namespace="blue")
    for _ in range(2):
        where = empty.running_on("vip")
        assert inside() == where and not empty.holders(ip) and not empty.failures()
        wait_until(lambda: empty.pings(ip), "an answer")
        empty.run("crm", "resource", "move", "vip", "force")
        empty.settle()
        assert empty.running_on("vip") not in (where, [])
        empty.run("crm", "resource", "clear", "vip")
        empty.settle()
    empty.run("crm", "resource", "stop", "vip")
    empty.settle()
    assert not inside() and not empty.failures()
    for node in empty.nodes.values():
        node.run("ip", "netns", "delete", "blue")
