# SPDX-License-Identifier: GPL-2.0-only
"""Duplicate address detection: waited for, tried anew, left to the background."""

import pytest

from ipaddr2_py import children, ocf
from ipaddr2_py.announce import dad, lookout, sender
from ipaddr2_py.addresses import Address
from tests.unit.scenes import ADD6, DAD6, DELETE6, EXACT6, ON_ETH0_6, SHOW6

IP6 = "2001:db8::e"
DELETE_DUPLICATE = "ip -f inet6 addr del dev eth0 2001:db8::e/64"    # the shell agent's words


@pytest.fixture
def flags(captured):
    """What `ip` shows of the address: a function of tentative, failed, settled, gone."""
    return {"settled": captured("addr-inet6-settled"), "gone": captured("addr-inet6-to-1"),
            "tentative": captured("addr-inet6-tentative"),
            "failed": captured("addr-inet6-dadfailed").replace("::dad", "::e"),
            "optimistic": captured("addr-inet6-tentative").replace("tentative",
                                                                   "tentative optimistic")}


@pytest.fixture
def host6(fp, flags, clock, monkeypatch):
    """A host that shows what `shows` holds by and by, its last for good; tries counts the times
    that the address was added anew, which restarts `shows` from `again`."""
    class Host:
        shows = ["settled"]
        again = None
        tries = 0
        refused = ""
        elsewhere = ()      # whether lookout.find() finds it under another name, by and by

        def state(self, vip):
            now = self.shows.pop(0) if len(self.shows) > 1 else self.shows[0]
            clock.now += 0.003
            if now == "unreadable":
                raise dad.addresses.Unreadable("ip ended with 1")
            return {"settled": dad.ENDED, "failed": dad.FAILED, "gone": dad.GONE,
                    "tentative": dad.TENTATIVE}[now]

        def add_again(self):
            self.tries += 1
            if self.again:
                self.shows = list(self.again[min(self.tries, len(self.again)) - 1])
            return self.refused

        def find(self, vip, _index):
            self.elsewhere, (now, *_) = self.elsewhere[1:], self.elsewhere
            if now is None:
                raise dad.addresses.Unreadable("ip ended with 1")
            name = "old%d" % len(self.elsewhere)
            return [Address(2, name, vip.ip, "", vip.prefix, "", [])] if now else []

    host = Host()
    monkeypatch.setattr(dad, "state", host.state)
    monkeypatch.setattr(lookout, "find", host.find)
    return host


@pytest.fixture
def vip6(make_vip):
    return make_vip(ip=IP6, prefix=64)


@pytest.mark.parametrize("text, state", [
    ("settled", dad.ENDED), ("tentative", dad.TENTATIVE), ("failed", dad.FAILED),
    ("gone", dad.GONE), ("optimistic", dad.ENDED)])
def test_states(fp, vip6, flags, text, state):
    fp.query(DAD6, flags[text])
    assert dad.state(vip6) == state


def test_the_state_on_an_interface_that_is_gone(fp, vip6):
    fp.query(DAD6, err='Device "eth0" does not exist.\n', rc=1)
    assert dad.state(vip6) == dad.GONE


@pytest.mark.parametrize("answer", [{"rc": 2}, {"out": "rubbish\n"}, {"rc": 127}])
def test_the_state_where_ip_does_not_say(fp, vip6, answer):
    fp.query(DAD6, **answer)
    with pytest.raises(dad.addresses.Unreadable):
        dad.state(vip6)


# --- waiting for it --------------------------------------------------------------------------


def wait(vip, host):
    return dad.wait_for_dad(vip, host.add_again)


def test_nothing_to_wait_for(vip6, host6, clock):
    begin = clock.now
    assert wait(vip6, host6) is True
    assert clock.now - begin < 0.01 and host6.tries == 0


def test_the_end_is_seen_soon(vip6, host6, clock):
    host6.shows = ["tentative"] * 30 + ["settled"]
    begin = clock.now
    assert wait(vip6, host6) is True
    assert clock.now - begin < 1.1


@pytest.mark.parametrize("timeout, limit", [(20, 10), (12, 6), (3, 1.5), (1, 0.5), (600, 10)])
def test_what_does_not_end_is_left_open(vip6, host6, clock, timeout, limit):
    """After 10 s, or half of the action's time, of which 70 % is for work."""
    host6.shows = ["tentative"]
    children.set_deadline(0.7 * timeout)
    begin = clock.now
    assert wait(vip6, host6) is False
    assert limit <= clock.now - begin < limit + 0.1


def test_an_address_that_is_gone_again(vip6, host6, capfd):
    host6.shows = ["tentative", "gone"]
    with pytest.raises(ocf.OcfExit) as left:
        wait(vip6, host6)
    assert left.value.rc == 1
    assert "2001:db8::e/64 on eth0 has gone again" in capfd.readouterr().err


@pytest.mark.parametrize("rc, warned", [(0, False), (2, True)])
def test_taking_a_duplicate_away(fp, vip6, tmp_path, rc, warned):
    fp.run(DELETE_DUPLICATE, rc=rc)
    with pytest.raises(ocf.OcfExit) as left:
        dad.take_duplicate_away(vip6)
    assert left.value.rc == 1
    assert ("Could not delete" in (tmp_path / "log").read_text()) is warned


def test_an_ip_that_does_not_tell_of_duplicates(vip6, host6, clock, capfd):
    host6.shows = ["unreadable"]
    begin = clock.now
    with pytest.raises(ocf.OcfExit) as left:
        wait(vip6, host6)
    assert left.value.rc == 1 and 10 < clock.now - begin < 10.2
    assert "another host has 2001:db8::e: ip ended with 1" in capfd.readouterr().err


def test_an_ip_that_fails_once(vip6, host6):
    host6.shows = ["unreadable", "tentative", "settled"]
    assert wait(vip6, host6) is True


@pytest.mark.parametrize("failures", [1, 2, 5])
def test_another_host_that_gives_it_up(vip6, host6, clock, failures):
    host6.shows = ["tentative", "failed"]
    host6.again = [["tentative", "failed"]] * (failures - 1) + [["tentative", "settled"]]
    begin = clock.now
    assert wait(vip6, host6) is True
    assert host6.tries == failures
    assert clock.now - begin == pytest.approx(failures, abs=0.5)


@pytest.mark.parametrize("timeout, least, most", [(20, 9, 14), (12, 5, 8.4), (3, 0.5, 2.1),
                                                  (600, 9, 14)])
@pytest.mark.parametrize("lasts", [1, 20])
def test_another_host_that_keeps_it(fp, vip6, host6, clock, timeout, least, most, lasts):
    """lasts: looks until it fails, 33 ms each."""
    fp.run(DELETE_DUPLICATE)
    host6.shows = ["tentative"] * lasts + ["failed"]
    host6.again = [host6.shows[:]]
    children.set_deadline(0.7 * timeout)
    begin = clock.now
    with pytest.raises(ocf.OcfExit) as left:
        wait(vip6, host6)
    assert left.value.rc == 1 and least <= clock.now - begin < most
    assert host6.tries >= (1 if timeout > 3 else 0)


def test_a_last_try_is_waited_for(fp, vip6, host6, clock):
    """What was a duplicate before is not left to the background while it can be told."""
    fp.run(DELETE_DUPLICATE)
    host6.shows = ["tentative"] * 260 + ["failed"]          # 8.6 s
    host6.again = [["tentative"] * 60 + ["failed"]]         # 2 s more
    begin = clock.now
    with pytest.raises(ocf.OcfExit):
        wait(vip6, host6)
    assert host6.tries == 1 and 11 < clock.now - begin < 13


def test_a_link_that_fails_during_the_last_try(vip6, host6, clock):
    host6.shows = ["failed"]
    host6.again = [["tentative"]]
    begin = clock.now
    assert wait(vip6, host6) is False
    assert clock.now - begin < 14


def test_an_address_that_cannot_be_added_anew(vip6, host6, clock, capfd):
    """That is no collision, and there is nothing to take away."""
    host6.shows, host6.refused = ["failed"], "RTNETLINK answers: Permission denied"
    begin = clock.now
    with pytest.raises(ocf.OcfExit) as left:
        wait(vip6, host6)
    assert left.value.rc == 1 and clock.now - begin < 1.1 and host6.tries == 1
    assert capfd.readouterr().err == ("ocf-exit-reason:Failed to add 2001:db8::e/64 on eth0 again: "
                                      "RTNETLINK answers: Permission denied\n")


def test_a_start_that_tries_anew(fp, agent, scene, flags, clock):
    scene.look6()
    scene.add6()
    fp.query(DAD6, flags["tentative"])
    fp.query(DAD6, flags["failed"])
    fp.run(DELETE6)
    fp.query(EXACT6)            # whose route it is may have changed
    fp.run(ADD6)
    fp.query(DAD6, flags["settled"])
    fp.query(scene.send_ua())
    done = agent("start", **ON_ETH0_6)
    assert done.rc == 0 and not done.reasons
    assert any("collision" in line and line.startswith("WARNING") for line in done.log)


def test_a_start_where_a_duplicate_was_found_before(fp, agent, scene, flags, clock):
    fp.query(SHOW6, flags["failed"])
    fp.run(DELETE6)
    fp.query(EXACT6)
    scene.add6()
    scene.announce6()
    assert agent("start", **ON_ETH0_6).rc == 0


def test_a_start_that_cannot_add_it_anew(fp, agent, scene, flags, clock):
    """The reason is the kernel's own sentence, and no note is left."""
    scene.look6()
    scene.add6()
    fp.query(DAD6, flags["failed"])
    fp.run(DELETE6)
    fp.query(EXACT6)
    fp.run(ADD6, "RTNETLINK answers: Permission denied\n", rc=2)
    fp.query(SHOW6)             # nothing to take back
    fp.query(SHOW6)
    done = agent("start", **ON_ETH0_6)
    assert done.rc == 1 and len(done.reasons) == 1
    assert done.reasons[0] == "Failed to add 2001:db8::e/64 on eth0 again: " \
        "RTNETLINK answers: Permission denied"
    assert not scene.note("2001:db8::e").exists()


def test_an_address_that_another_host_keeps(fp, agent, scene, flags, clock):
    scene.look6()
    scene.add6()
    fp.query(DAD6, flags["failed"])
    fp.run(DELETE_DUPLICATE)
    fp.query(SHOW6)             # nothing to take back
    fp.query(SHOW6)             # nor to note
    done = agent("start", env={"OCF_RESKEY_CRM_meta_timeout": "1000"}, **ON_ETH0_6)
    assert done.rc == 1 and "another host has 2001:db8::e" in done.reasons[0]


# --- in the background -----------------------------------------------------------------------


@pytest.mark.parametrize("shows, well, line", [
    (["tentative"] * 5 + ["settled"], True, ""),
    (["tentative", "unreadable", "settled"], True, ""),
    (["tentative", "failed"], False, "ERROR: IPv6 address collision"),
    (["unreadable", "gone"], False, "INFO: 2001:db8::e/64 on eth0 has gone")])
def test_it_looks_once_a_second(vip6, host6, clock, tmp_path, monkeypatch, shows, well, line):
    host6.shows, host6.elsewhere, begin = shows[:], [False], clock.now
    children.set_deadline(0)             # the action's
    left, state = [], dad.state
    monkeypatch.setattr(dad, "state", lambda vip: left.append(children.remaining()) or state(vip))
    assert (dad.wait_in_background(vip6, 2) is not None) is well
    assert left == [dad.LOOK_LIMIT] * len(shows)
    assert clock.now - begin == pytest.approx(len(shows), abs=0.1)
    assert line in (tmp_path / "log").read_text() if line else not (tmp_path / "log").exists()


@pytest.mark.parametrize("shows, elsewhere, well, looks", [
    (["gone"] * 3 + ["settled"], [True] * 3, True, 4),
    (["gone"] * 3, [True, None, False], False, 3),      # None: `ip` does not say
    (["gone", "failed"], [True], False, 2)])
def test_an_address_that_seems_gone_may_be_under_another_name(vip6, host6, clock, shows, elsewhere,
                                                              well, looks):
    """It is gone where no interface of that number holds it."""
    host6.shows, host6.elsewhere, begin = shows[:], elsewhere[:], clock.now
    assert (dad.wait_in_background(vip6, 2) is not None) is well
    assert clock.now - begin == pytest.approx(looks, abs=0.1)
    assert not host6.elsewhere


@pytest.mark.parametrize("name, prefix", [("old0", 63), ("eth0", 64), ("eth0", 63)])
def test_what_is_no_renamed_interface(fp, vip6, host6, clock, monkeypatch, name, prefix):
    """Another length is another address, and the name that was looked at is none."""
    host6.shows = ["gone", "settled"]
    monkeypatch.setattr(lookout, "find", lambda _vip, _index: [Address(2, name, IP6, "", prefix)])
    assert dad.wait_in_background(vip6, 2) is None


def test_where_the_number_is_known_the_name_does_not_matter(fp, vip6, scene, flags, clock):
    """By the programs: eth0 is called old0 now."""
    fp.query(DAD6, err='Device "eth0" does not exist.\n', rc=1)
    fp.query(SHOW6, flags["tentative"].replace("eth0", "old0"))
    fp.query(DAD6.replace("eth0", "old0"), flags["settled"].replace("eth0", "old0"))
    settled = dad.wait_in_background(vip6, 2)
    assert settled.nic == "old0"        # where it is announced


@pytest.mark.parametrize("given", [{}, {"arp_bg": "true"}, {"arp_bg": "false"},
                                   {"arp_repeat_after": "1"}])
def test_what_is_left_to_the_background_is_announced_there(fp, agent, scene, flags, clock, given,
                                                           monkeypatch):
    monkeypatch.setattr(dad, "LIMIT", 0.0)
    scene.look6()
    scene.add6()
    fp.query(DAD6, flags["tentative"])
    fp.query(DAD6, flags["tentative"])
    fp.detach()
    fp.query(DAD6, flags["tentative"])
    fp.query(DAD6, flags["settled"])
    fp.query(scene.send_ua())
    if "arp_repeat_after" in given:
        fp.detach()
        fp.query(SHOW6, scene.here6)
        fp.query(SHOW6, scene.here6)
        fp.query(scene.send_ua())
    done = agent("start", **given, **ON_ETH0_6)
    assert done.rc == 0 and not done.reasons
    assert sum(line.startswith("WARNING") and "carrier" in line for line in done.log) == 1
    assert not scene.pid_file(IP6).exists()


def test_stop_finds_who_waits(fp, vip6, host6, scene, monkeypatch):
    """By the pid file, which it holds for as long as it waits; of one before it nothing stays."""
    burst = sender.Burst(vip6, "5", "info")
    seen = []

    def look(_vip, _index):
        seen.append(sender.pid_file(vip6))
        seen.append(scene.pid_file(IP6).read_text().splitlines()[1:])
        return None

    monkeypatch.setattr(sender, "wait_in_background", look)
    scene.pid_file(IP6).write_text("4194304\nstale\n" * 5)
    sender.announce_once_settled(burst)
    assert seen == [str(scene.pid_file(IP6)), ["eth0"]]
    assert not scene.pid_file(IP6).exists()
