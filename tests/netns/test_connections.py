# SPDX-License-Identifier: GPL-2.0-only
"""kill_connections: the clients of an address that a stop takes away are told at once."""

import socket
import subprocess
import threading

import pytest

from tests.lab.namespaces import in_namespace
from tests.lab.state import everything, ip, place, routes

OTHER = {"192.0.2.50": "192.0.2.1", "2001:db8::50": "2001:db8::1"}
PORT = 7000
GIVEN = {"nodad": "true", "nic": "eth0"}


def server(namespace):
    """A listening socket for both families, as most services have it."""
    return in_namespace(namespace, lambda: socket.create_server(
        ("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True))


class Connections:
    """Connections from the neighbour to addresses of the node; both ends stay open."""

    def __init__(self, pair, request):
        self.pair = pair
        self.kept = []
        request.addfinalizer(lambda: [one.close() for one in self.kept])
        self.listening = server(pair.node)
        self.kept.append(self.listening)

    def to(self, address):
        """(the client's socket, the service's)."""
        client = in_namespace(self.pair.neighbour,
                              lambda: socket.create_connection((address, PORT), 5))
        service = self.listening.accept()[0]
        self.kept += [client, service]
        return client, service


@pytest.fixture
def connections(pair, request):
    return Connections(pair, request)


def answers(pair, address):
    """Whether the neighbour's ping is answered."""
    return not subprocess.run(["ip", "netns", "exec", pair.neighbour, "ping", "-q", "-c", "1", "-W",
                               "1", address], stdout=subprocess.DEVNULL).returncode


def ended(connected, seconds=5):
    """Whether somebody has ended the connection, at that end, within so many seconds."""
    connected.settimeout(seconds)
    try:
        return connected.recv(1) == b""
    except (ConnectionResetError, ConnectionAbortedError):
        return True
    except socket.timeout:
        return False


def test_both_ends_are_told_and_other_addresses_left_alone(pair, agent, connections, vip):
    assert agent("start", ip=vip, **GIVEN).rc == 0
    connected = connections.to(vip)
    other = connections.to(OTHER[vip])
    done = agent("stop", ip=vip, kill_connections="true", **GIVEN)
    assert done.rc == 0 and place(pair.node, vip) == "", done
    assert all(ended(one) for one in connected), done
    assert not any(ended(one, 0.05) for one in other)
    assert " are left: " not in done.log
    client, service = connections.to(OTHER[vip])        # the service still listens
    service.sendall(b"x")
    assert client.recv(1) == b"x"


def test_a_client_that_is_back_at_once_is_not_let_in(pair, agent, connections, vip):
    """It connects while the address is going, and gets the next one who has it."""
    assert agent("start", ip=vip, **GIVEN).rc == 0
    connections.to(vip)
    back = []

    def reconnect(client):
        assert ended(client, 20)
        again = in_namespace(pair.neighbour, lambda: socket.socket(
            socket.AF_INET6 if ":" in vip else socket.AF_INET))
        connections.kept.append(again)
        again.settimeout(20)
        again.connect((vip, PORT))
        back.append(again)

    waiting = threading.Thread(target=reconnect, args=connections.kept[-2:-1])
    waiting.start()
    done = agent("stop", ip=vip, kill_connections="true", **GIVEN)
    assert done.rc == 0 and place(pair.node, vip) == "", done
    connections.listening.settimeout(0.3)
    with pytest.raises(socket.timeout):
        connections.listening.accept()
    assert not back
    assert agent("start", ip=vip, **GIVEN).rc == 0          # here, in place of another node
    waiting.join(20)
    assert back
    service = connections.listening.accept()[0]
    connections.kept.append(service)
    service.sendall(b"x")
    assert back[0].recv(1) == b"x"


def test_lo_is_as_before(pair, agent, connections):
    """An IPv4 address is lent to lo for the moment, and not left there."""
    before = everything(pair.node), routes(pair.node, table="local")
    assert agent("start", ip="192.0.2.50", **GIVEN).rc == 0
    connections.to("192.0.2.50")
    done = agent("stop", ip="192.0.2.50", kill_connections="true", **GIVEN)
    assert done.rc == 0 and "192.0.2.50/32 dev lo" in done.log, done
    assert (everything(pair.node), routes(pair.node, table="local")) == before


def test_what_a_killed_stop_leaves_on_lo_does_no_harm(pair, agent):
    ip(pair.node, "addr", "add", "192.0.2.50/32", "dev", "lo", "scope", "host")
    ip(pair.node, "route", "delete", "local", "192.0.2.50", "dev", "lo", "table", "local")
    assert not answers(pair, "192.0.2.50")
    for asked in ({}, {"nic": "eth0"}):
        assert agent("probe", ip="192.0.2.50", **asked).rc == 7
        assert agent("start", ip="192.0.2.50", **asked).rc == 0
        assert answers(pair, "192.0.2.50")
        assert agent("monitor", ip="192.0.2.50", **asked).rc == 0
        assert agent("stop", ip="192.0.2.50", **asked).rc == 0
        assert not answers(pair, "192.0.2.50")


def test_off_by_default(agent, connections, vip):
    assert agent("start", ip=vip, **GIVEN).rc == 0
    connected = connections.to(vip)
    assert agent("stop", ip=vip, **GIVEN).rc == 0
    assert not any(ended(one, 0.05) for one in connected)


def test_left_alone_while_the_address_is_elsewhere(pair, agent, connections, vip):
    assert agent("start", ip=vip, **GIVEN).rc == 0
    ip(pair.node, "addr", "add", vip + ("/128" if ":" in vip else "/32"), "dev", "lo")
    connected = connections.to(vip)
    done = agent("stop", ip=vip, kill_connections="true", **GIVEN)
    assert done.rc == 0 and place(pair.node, vip).startswith("lo/"), done
    assert not any(ended(one, 0.05) for one in connected)


def test_left_alone_where_lo_has_it_again(pair, agent, connections):
    """A director of LVS that is a real server too goes on with what it serves."""
    ip(pair.node, "addr", "add", "192.0.2.50/32", "dev", "lo")
    assert agent("start", ip="192.0.2.50", lvs_support="true", **GIVEN).rc == 0
    assert place(pair.node, "192.0.2.50") == "eth0/24"
    connected = connections.to("192.0.2.50")
    done = agent("stop", ip="192.0.2.50", lvs_support="true", kill_connections="true", **GIVEN)
    assert done.rc == 0 and place(pair.node, "192.0.2.50") == "lo/32", done
    assert not any(ended(one, 0.05) for one in connected)


def test_left_alone_while_another_bucket_is_here(need, agent, connections, vip):
    need("nft", "nftables")
    asked = dict(GIVEN, ip=vip, CRM_meta_clone_max=2, CRM_meta_globally_unique="true",
                 kill_connections="true", clusterip_firewall="nft")
    for number in (0, 1):
        done = agent("start", CRM_meta_clone=number, **asked)
        assert done.rc == 0, done
    connected = connections.to(vip)
    assert agent("stop", CRM_meta_clone=0, **asked).rc == 0
    assert not any(ended(one, 0.05) for one in connected)
    assert agent("stop", CRM_meta_clone=1, **asked).rc == 0
    assert ended(connected[1])


def test_a_start_ends_none(need, agent, connections, vip):
    """Where a shared address is a plain one now, start removes it and adds it anew."""
    need("nft", "nftables")
    asked = dict(GIVEN, ip=vip, kill_connections="true")
    for number in (0, 1):
        assert agent("start", CRM_meta_clone=number, CRM_meta_clone_max=2, clusterip_firewall="nft",
                     CRM_meta_globally_unique="true", **asked).rc == 0
    connected = connections.to(vip)
    done = agent("start", **asked)
    assert done.rc == 0 and "is no shared address any more" in done.log, done
    assert not any(ended(one, 0.05) for one in connected)


@pytest.mark.parametrize("script, told", [
    ("exec sleep 600", "was ended after"), ("exit 1", "failed with 1"), ("exit 0", ""),
    ('case "$*" in *-K*) exit 0; esac; exec ss "$@"', "1 connections of 192.0.2.50 are left")])
def test_a_stop_does_not_mind_what_becomes_of_ss(pair, agent, connections, script, told):
    """A kernel that cannot do it has ss say nothing, and the connections are there still."""
    assert agent("start", ip="192.0.2.50", **GIVEN).rc == 0
    connections.to("192.0.2.50")
    folder = agent.stand_in("ss", "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n" + script + "\n")
    done = agent("stop", ip="192.0.2.50", kill_connections="true", CRM_meta_timeout=8000,
                 env={"PATH": folder + ":/usr/sbin:/usr/bin:/sbin:/bin"}, **GIVEN)
    assert done.rc == 0 and place(pair.node, "192.0.2.50") == "", done
    assert told in done.log
