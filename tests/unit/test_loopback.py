# SPDX-License-Identifier: GPL-2.0-only
"""lvs_support: the loopback's address is put aside by start, and restored by stop."""

import pytest

from ipaddr2_py.changes import interface

GIVEN = {"ip": "192.0.2.3", "nic": "eth0", "cidr_netmask": "24", "lvs_support": "true"}
SHOW = "ip -o -f inet addr show to 192.0.2.3"
ADD = "ip -f inet addr add 192.0.2.3/24 brd 192.0.2.255 dev eth0"
DELETE = "ip -f inet addr delete 192.0.2.3/24 dev eth0"
RESTORE = "ip -f inet addr add 192.0.2.3/32 brd 255.255.255.255 dev lo"
NOTE = "192.0.2.3 32 255.255.255.255 lo\n"


@pytest.fixture
def on_lo(captured):
    return captured("addr-inet-to-3").splitlines()[0] + "\n"


@pytest.fixture
def on_eth0(captured):
    return captured("addr-inet-to-3").splitlines()[1].replace("/32 brd", "/24 brd") + "\n"


@pytest.fixture
def note(tmp_path):
    return tmp_path / "rsctmp" / "192.0.2.3"


@pytest.fixture
def begin(fp, captured):
    """Describes the beginning of a start, the loopback's address and what it takes away."""
    def describe(text, conflict=True):
        fp.query(SHOW, text)
        fp.query("ip -o -f inet addr show dev eth0", captured("addr-inet-eth0"))
        fp.query("ip link show dev eth0", captured("link-eth0-long"))
        fp.query(SHOW, text)
        if conflict:
            fp.run("ip -f inet addr delete 192.0.2.3/32 dev lo")
            fp.run("ip route delete 192.0.2.3 dev lo", rc=2)

    return describe


def announced(fp):
    fp.query([fp.folder / "send_arp", "-i", "200", "-r", "5", "-p",
              fp.folder.parent / "rsctmp/send_arp-192.0.2.3", "eth0", "192.0.2.3", "auto",
              "not_used", "not_used"])


def test_start_puts_it_aside(fp, agent, begin, on_lo, on_eth0, note):
    begin(on_lo)
    fp.run(ADD)
    fp.query(SHOW, on_eth0)
    fp.run("ip link set dev eth0 up")
    announced(fp)
    assert agent("start", arp_bg="no", **GIVEN).rc == 0
    assert note.read_text() == NOTE
    assert note.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("rc", [0, 2])
def test_a_start_that_fails_restores_it(fp, agent, begin, on_lo, note, rc):
    """The note stays where that fails, for a later stop."""
    begin(on_lo)
    fp.run(ADD, out="no", rc=2)
    fp.query(SHOW)
    fp.run(RESTORE, rc=rc)
    fp.query(SHOW, "" if rc else on_lo)
    if not rc:
        fp.run("ip link set dev lo up")
    fp.query(SHOW, "" if rc else on_lo)
    assert agent("start", **GIVEN).rc == 1
    assert note.exists() is bool(rc)


@pytest.mark.parametrize("other", ["", "1: lo    inet 192.0.2.3/24 scope global lo",
                                   "2: eth0    inet 192.0.2.3/32 scope global eth0"])
def test_nothing_is_put_aside_where_nothing_is(fp, agent, begin, on_eth0, note, other):
    begin(other and other + "\\       valid_lft forever\n", conflict=False)
    fp.run(ADD)
    fp.query(SHOW, on_eth0)
    fp.run("ip link set dev eth0 up")
    announced(fp)
    assert agent("start", arp_bg="no", **GIVEN).rc == 0
    assert not note.exists()


@pytest.mark.parametrize("given", [{}, {"run_arping": "true"}])
def test_stop_restores_it(fp, agent, on_lo, on_eth0, note, given):
    """Without an arping too: nobody else is on lo."""
    (fp.folder / "arping").unlink()
    note.write_text(NOTE)
    fp.query(SHOW, on_eth0)
    fp.run(DELETE)
    fp.query(SHOW)
    fp.run(RESTORE)
    fp.query(SHOW, on_lo)
    fp.run("ip link set dev lo up")
    done = agent("stop", **dict(GIVEN, **given))
    assert done.rc == 0
    assert not note.exists()


@pytest.mark.parametrize("content", ["", "192.0.2.4 32 255.255.255.255 lo\n",
                                     "192.0.2.3 32 - lo; id", "192.0.2.3 24 255.255.255.255 eth0"])
def test_what_the_agent_has_not_written_is_not_restored(fp, agent, on_eth0, note, content):
    note.write_text(content)
    fp.query(SHOW, on_eth0)
    fp.run(DELETE)
    fp.query(SHOW)
    done = agent("stop", **GIVEN)
    assert (done.rc, done.reasons) == (0, [])
    assert note.exists() is (content == "")
    note.write_text(content)
    interface.restore_loopback("192.0.2.3", {}, note_stays=True)
    assert note.exists()


def test_a_link_is_not_followed(fp, agent, begin, on_lo, on_eth0, note, tmp_path):
    (tmp_path / "precious").write_text("precious")
    note.symlink_to(tmp_path / "precious")
    begin(on_lo)
    fp.run(ADD)
    fp.query(SHOW, on_eth0)
    fp.run("ip link set dev eth0 up")
    announced(fp)
    done = agent("start", arp_bg="no", **GIVEN)
    assert done.rc == 0
    assert (tmp_path / "precious").read_text() == "precious"
    assert any(line.startswith("ERROR: could not note") for line in done.log)
