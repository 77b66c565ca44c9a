# SPDX-License-Identifier: GPL-2.0-only
"""kill_connections: what a stop does with the address's TCP connections, command by command."""

import pytest

from tests.unit.scenes import DELETE4, DELETE6, ON_ETH0, ON_ETH0_6, SHOW4, SHOW6

WORDS = "-H -n -t state established src "
ELSEWHERE = "7: eth7    inet 192.0.2.10/24 scope global eth7\\       valid_lft forever\n"
PEER = "0      0      192.0.2.10:80      192.0.2.77:40000\n"


@pytest.mark.parametrize("given, show, delete, chosen", [
    (ON_ETH0, SHOW4, DELETE4, "192.0.2.10"), (ON_ETH0_6, SHOW6, DELETE6, "[2001:db8::e]")])
@pytest.mark.parametrize("left, warned", [("", False), (PEER, True)])
def test_ended_before_and_after_the_address_goes(fp, agent, scene, given, show, delete, chosen,
                                                 left, warned):
    fp.install("ss")
    here = scene.here6 if ":" in chosen else scene.here
    fp.query(show, here)
    fp.query(show, here)
    fp.run(f"ss -K {WORDS}{chosen}")
    fp.run(delete)
    fp.query(show)
    fp.query(show)
    fp.run(f"ss -K {WORDS}{chosen}")
    fp.query(f"ss {WORDS}{chosen}", left)
    done = agent("stop", kill_connections="true", **given)
    assert done.rc == 0
    assert any("1 connections of " in line for line in done.log) is warned


def test_left_alone_while_the_address_is_elsewhere(fp, agent, scene):
    fp.query(SHOW4, scene.here + ELSEWHERE)
    fp.query(SHOW4, scene.here + ELSEWHERE)
    fp.run(DELETE4)
    fp.query(SHOW4, ELSEWHERE)
    fp.query(SHOW4, ELSEWHERE)
    done = agent("stop", kill_connections="yes", **ON_ETH0)
    assert done.rc == 0
    assert sum("on eth7 as well" in line for line in done.log) == 2


def test_where_ss_fails(fp, agent, scene):
    """It is tried once more when the address has gone, and nothing is counted."""
    fp.install("ss")
    for answer in (scene.here, scene.here):
        fp.query(SHOW4, answer)
    fp.run(f"ss -K {WORDS}192.0.2.10", "no", rc=3)
    fp.run(DELETE4)
    for _ in range(2):
        fp.query(SHOW4)
    fp.run(f"ss -K {WORDS}192.0.2.10", PEER, rc=1)
    done = agent("stop", kill_connections="true", **ON_ETH0)
    assert done.rc == 0
    assert [line.partition("192.0.2.10 ")[2] for line in done.log if "ss -K" in line] == [
        "failed with 3: no", "failed with 1: " + PEER.strip()]


def test_without_ss(fp, agent, scene):
    for here in (scene.here, scene.here):
        fp.query(SHOW4, here)
    fp.run(DELETE4)
    for _ in range(2):
        fp.query(SHOW4)
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


@pytest.mark.parametrize("answers", [("rubbish\n",), ("", "rubbish\n")])
def test_what_cannot_be_told_is_no_failure(fp, agent, scene, answers):
    """Where ip does not answer, the connections are left alone, and the address goes."""
    fp.install("ss")
    fp.query(SHOW4, scene.here)
    fp.query(SHOW4, scene.here, rc=int("rubbish" in answers[0]))
    if not answers[0]:
        fp.run(f"ss -K {WORDS}192.0.2.10")
    fp.run(DELETE4)
    fp.query(SHOW4)
    fp.query(SHOW4, rc=1)
    done = agent("stop", kill_connections="true", **ON_ETH0)
    assert done.rc == 0
    assert any("cannot tell whether" in line for line in done.log)
