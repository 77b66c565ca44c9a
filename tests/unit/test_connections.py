# SPDX-License-Identifier: GPL-2.0-only
"""kill_connections: what a stop does with the address's TCP connections, command by command."""

import os
import posix

import pytest

from ipaddr2_py import changes, children
from ipaddr2_py.changes import connections, files
from tests.unit.scenes import DELETE4, DELETE6, ON_ETH0, ON_ETH0_6, SHOW4, SHOW6

WORDS = "-H -n -t state established src "
ELSEWHERE = "7: eth7    inet 192.0.2.10/24 scope global eth7\\       valid_lft forever\n"
PEER = "0      0      192.0.2.10:80      192.0.2.77:40000\n"
FD = 91
LEND = f"ip -batch /proc/self/fd/{FD}"
TAKE = "ip -f inet addr delete 192.0.2.10/32 dev lo"


@pytest.fixture
def lent(fp, host):
    """A function that gives the lines that the last `ip -batch` was given."""
    kept, real = os.memfd_create("kept"), changes.run

    def made(_name, flags):
        assert not flags, "the program that is started reads it"
        return os.dup2(kept, FD)

    def run(argv, seconds=None):
        assert bool(seconds) is ("eth0" not in argv)
        assert (FD in children.RUN.inherited) is ("-batch" in argv)
        return real(argv)

    host.setattr(posix, "memfd_create", made)
    host.setattr(changes, "run", run)
    yield lambda: os.pread(kept, 1000, 0).decode().splitlines()
    os.close(kept)


def gone(fp, scene):
    """The address goes, and it is looked whether it is elsewhere."""
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    fp.query(SHOW4)


@pytest.mark.parametrize("left, warned", [("", False), (PEER, True)])
def test_ended_once_the_address_is_gone(fp, agent, scene, lent, left, warned):
    fp.install("ss")
    gone(fp, scene)
    fp.run(LEND)
    fp.run(f"ss -K {WORDS}192.0.2.10", PEER)
    fp.run(TAKE)
    fp.query(f"ss {WORDS}192.0.2.10", left)
    done = agent("stop", kill_connections="true", **ON_ETH0)
    assert done.rc == 0
    assert lent() == ["addr add 192.0.2.10/32 dev lo scope host",
                      "route delete local 192.0.2.10 dev lo table local"]
    told = [line.partition("kill_connections: ")[2] for line in done.log if "kill_con" in line]
    assert told[0] == "ended of 192.0.2.10: 1" and len(told) == 1 + warned
    assert not warned or told[1].startswith("1 connections of 192.0.2.10 are left")
    with pytest.raises(OSError):
        os.fstat(FD)
    assert FD not in children.RUN.inherited


def test_ipv6_is_told_without_the_address(fp, agent, scene):
    fp.install("ss")
    fp.query(SHOW6, scene.here6)
    fp.run(DELETE6)
    fp.query(SHOW6)
    fp.query(SHOW6)
    fp.run(f"ss -K {WORDS}[2001:db8::e]")
    fp.query(f"ss {WORDS}[2001:db8::e]")
    done = agent("stop", kill_connections="true", **ON_ETH0_6)
    assert done.rc == 0 and not any("kill_connections" in line for line in done.log)


def test_left_alone_while_the_address_is_elsewhere(fp, agent, scene):
    fp.query(SHOW4, scene.here + ELSEWHERE)
    fp.run(DELETE4)
    fp.query(SHOW4, ELSEWHERE)
    fp.query(SHOW4, ELSEWHERE)
    done = agent("stop", kill_connections="yes", **ON_ETH0)
    assert done.rc == 0
    assert sum("on eth7 as well" in line for line in done.log) == 1


@pytest.mark.parametrize("hangs", [False, True])
def test_what_fails_is_told(fp, agent, scene, lent, hangs):
    """The address is taken from lo in any case; what is left is not counted."""
    fp.install("ss")
    gone(fp, scene)
    fp.run(LEND, "no", rc=1)
    fp.run(f"ss -K {WORDS}192.0.2.10", PEER, rc=3, hangs=hangs)
    fp.run(TAKE, "no", rc=2)
    done = agent("stop", kill_connections="true", **ON_ETH0)
    assert done.rc == 0 and lent()
    told = [line.partition("kill_connections: ")[2] for line in done.log if "kill_con" in line]
    assert told[0] == LEND + " failed with 1: no" and told[2] == TAKE + " failed with 2: no"
    assert told[1].startswith(f"ss -K {WORDS}192.0.2.10 " + ("was ended" if hangs else "failed"))


@pytest.mark.parametrize("where", ["kill", "batch"])
def test_taken_from_lo_whatever_happens(fp, agent, scene, lent, host, where):
    fp.install("ss")
    gone(fp, scene)
    if where == "kill":
        fp.run(LEND)
    fp.run(TAKE)
    calls = []
    for name in ("ignore_termination", "extend_for_undo"):
        host.setattr(children, name, lambda name=name: calls.append(name))

    def fails(*_words):
        raise MemoryError

    host.setattr("ipaddr2_py.changes.connections." + where, fails)
    done = agent("stop", kill_connections="true", **ON_ETH0)
    assert done.rc == 0 and calls == ["ignore_termination", "extend_for_undo"]
    assert any("kill_connections: MemoryError()" in line for line in done.log)


def test_without_ss(fp, agent, scene):
    gone(fp, scene)
    done = agent("stop", kill_connections="true", **ON_ETH0)
    assert done.rc == 0
    assert any("ss is missing" in line for line in done.log)


@pytest.mark.parametrize("asked", ["", "false", "no"])
def test_off_unless_asked_for(fp, agent, scene, asked):
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    assert agent("stop", kill_connections=asked, **ON_ETH0).rc == 0


def test_nothing_to_do_where_the_address_has_gone(fp, agent):
    fp.query(SHOW4)
    assert agent("stop", kill_connections="true", **ON_ETH0).rc == 0


@pytest.mark.parametrize("family, support, note, asked", [
    ("inet", "true", "x", False), ("inet", "true", "", True), ("inet", "no", "x", True),
    ("inet6", "true", "x", True)])
def test_an_address_that_lo_is_to_have_again(fp, make_vip, family, support, note, asked):
    """Stop could not tell whether it has; the note of it is there still."""
    vip = make_vip("stop", lvs_support=support,
                   ip="2001:db8::e" if family == "inet6" else "192.0.2.10")
    files.write_file(files.state_file(vip.ip), note)
    if asked:
        fp.query(SHOW6 if family == "inet6" else SHOW4)
    connections.end(vip)


@pytest.mark.parametrize("left, seconds", [(4.0, 1.0), (100.0, 2.0)])
def test_a_program_is_given_part_of_the_time(monkeypatch, left, seconds):
    monkeypatch.setattr(children, "remaining", lambda: left)
    assert connections.limit() == seconds


def test_what_cannot_be_told_is_no_failure(fp, agent, scene):
    """Where ip does not answer, the connections are left alone."""
    fp.install("ss")
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    fp.query(SHOW4, rc=1)
    done = agent("stop", kill_connections="true", **ON_ETH0)
    assert done.rc == 0
    assert any("cannot tell whether" in line for line in done.log)


def test_the_command_that_is_logged_can_be_pasted(fp):
    assert connections.shell_line(["addr add x", "route"]) == \
        "printf '%s\\n' 'addr add x' route | ip -batch -"
