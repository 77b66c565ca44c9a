# SPDX-License-Identifier: GPL-2.0-only
"""The steps of start by themselves: what it asks ahead, waits for, adds and takes back."""

import pytest

from ipaddr2_py import changes, children, commands, ocf, place
from ipaddr2_py.actions import start, stop
from ipaddr2_py.changes import files, interface
from tests.unit.scenes import (BRD4, DELETE4, DEV6, EXACT6, LINK, ON_ETH0, ROUTE4, SHOW4,
                               SHOW6, UP)
from tests.unit.test_place import KEY, write

NFT = "nft list tables"
IP6 = {"ip": "2001:db8::e", "prefix": 64}


@pytest.fixture(name="ahead")
def what_is_asked_ahead(fp, monkeypatch):
    """The commands that are begun ahead, as texts."""
    found = []
    monkeypatch.setattr(commands, "prefetch", lambda argv: found.append(" ".join(argv)))
    return found


@pytest.mark.parametrize("given, attributes, asked", [
    ({}, {}, [SHOW4, NFT, BRD4, LINK]), ({}, {"held": []}, [NFT, BRD4, LINK]),
    ({}, {"held": [], "bucket": 1}, [SHOW4, BRD4, LINK]), ({}, {"noted": True}, []),
    ({}, {"noted": True, "bucket": 1}, [SHOW4, BRD4, LINK]),
    ({}, {"note": "one"}, [SHOW4, BRD4, LINK]),
    ({"broadcast": "+"}, {}, [SHOW4, NFT, LINK]),
    ({"nic": "lo"}, {}, [SHOW4, NFT, BRD4[:-4] + "lo"]),
    ({"arp_sender": "builtin"}, {}, [SHOW4, NFT, BRD4]), (IP6, {}, [SHOW6, NFT, EXACT6, DEV6]),
    (dict(IP6, noprefixroute="yes"), {}, [SHOW6, NFT])])
def test_what_start_asks_ahead(fp, make_vip, ahead, given, attributes, asked):
    """What it needs in any case, all at once, and nothing else; for nft where it is installed."""
    for tools, wanted in (("ip", [one for one in asked if one != NFT]), ("nft", asked)):
        fp.install(tools)
        commands._found.clear()
        vip = make_vip(**given)
        for name, value in attributes.items():
            setattr(vip, name, value)
        ahead.clear()
        start.look_ahead(vip)
        assert ahead == wanted


def test_start_asks_ahead(agent, ahead, scene):
    scene.look()
    scene.add()
    scene.announce()
    assert agent("start", **ON_ETH0).rc == 0
    assert ahead == [SHOW4, BRD4, LINK]


@pytest.mark.parametrize("down", [False, True])
def test_without_sh_nothing_is_changed(fp, agent, scene, flags, monkeypatch, down):
    monkeypatch.setattr(changes, "import_sh", lambda: False)
    if down:                    # the address is there, and the interface would be set up
        write(scene, "")
        flags["eth0"] = 0x1002
    fp.query(SHOW4, scene.here if down else "")
    done = agent("start", **(dict(ip="192.0.2.10") if down else ON_ETH0))
    assert done.rc == 5 and "python3-sh" in done.reasons[0]


@pytest.mark.parametrize("rc", [0, 1])
def test_what_was_shared_goes_before_a_plain_address_is_added(agent, scene, monkeypatch, rc):
    stopped = []
    monkeypatch.setattr(stop, "shares_left", lambda _vip: ["nft"])
    monkeypatch.setattr(stop, "ip_stop", lambda _vip, shares: stopped.append(shares) or rc)
    scene.look(scene.here, brd=not rc, link=not rc)
    if not rc:
        scene.add()
        scene.announce()
    assert agent("start", **ON_ETH0).rc == rc
    assert stopped == [["nft"]]


def test_an_address_that_is_served_leaves_its_old_place(fp, agent, scene):
    write(scene, "eth0", index=7, name="old0")
    old = scene.here.replace("2: eth0", "7: old0").replace("eth0", "old0")
    fp.query(SHOW4, old + scene.here)
    fp.run(DELETE4.replace("eth0", "old0"))
    fp.query(SHOW4, scene.here)
    assert agent("start", **ON_ETH0).rc == 0
    assert place.read_note(*KEY).index == 2


@pytest.mark.parametrize("given, noted, goes_up", [
    ({}, True, True), ({"nic": "eth0"}, True, True), ({"cidr_netmask": "25"}, True, True),
    ({"nic": "eth0", "cidr_netmask": "25"}, True, False), ({}, False, False)])
def test_an_interface_that_is_down_is_set_up_by_its_note(fp, agent, scene, flags, given, noted,
                                                         goes_up):
    """Where a monitor looks at that."""
    flags["eth0"] = 0x1002
    if noted:
        write(scene, given.get("nic", ""))
    else:
        fp.query(ROUTE4, scene.captured("route-inet-192.0.2.1"))
    fp.query(SHOW4, scene.here)
    if goes_up:
        fp.query(LINK, scene.captured("link-eth0-long"))
        fp.run(UP)
        fp.query(scene.send_arp())
    assert agent("start", ip="192.0.2.10", arp_bg="no", **given).rc == 0


@pytest.mark.parametrize("served", [False, True])
def test_a_link_that_stays_down(agent, scene, clock, monkeypatch, served):
    """Half of what is left of the time limit is waited for it, at most."""
    monkeypatch.setattr(interface, "link_is_down", lambda _nic: True)
    scene.look(scene.here if served else "", brd=not served, link=not served)
    if not served:
        scene.add()
        scene.take_back()
    begin = clock.now
    done = agent("start", {"OCF_RESKEY_CRM_meta_timeout": "4000"}, check_link_status="yes",
                 **ON_ETH0)
    assert done.rc == 1 and "the link of eth0 is down" in done.reasons[0]
    assert 1.4 <= clock.now - begin < 1.51


def test_no_interface_by_the_time_of_the_note(make_vip, capfd, tmp_path):
    with pytest.raises(ocf.OcfExit) as leaving:
        start.note_place(make_vip(nic="eth9"), ("", ""))
    assert leaving.value.rc == 1 and "no interface eth9" in capfd.readouterr().err


def test_all_is_taken_back_whatever_becomes_of_a_step(fp, monkeypatch, tmp_path):
    seen = []
    for name in ("ignore_termination", "extend_for_undo"):
        monkeypatch.setattr(children, name, lambda name=name: seen.append(name))

    def fails():
        raise OSError("no space")

    start.take_all_back([lambda: seen.append("first"), fails, lambda: seen.append("last")])
    assert seen == ["ignore_termination", "extend_for_undo", "last", "first"]
    assert "could not be taken back: OSError('no space')" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("nodad, words", [(True, ["nodad", "noprefixroute"]),
                                          (False, ["noprefixroute"])])
def test_nodad_is_what_it_comes_to(make_vip, nodad, words):
    """A shared address is added with it whatever the parameter says."""
    vip = make_vip(noprefixroute="1", nodad="no" if nodad else "yes", **IP6)
    vip.nodad = nodad
    options = start.add_options(vip)
    assert interface.address_add_argv("inet6", vip.address(), options)[8:-2] == words


@pytest.mark.parametrize("ip, text, off", [
    ("2001:db8::e", "1\n", True), ("2001:db8::e", "0\n", False), ("2001:db8::e", "", False),
    ("192.0.2.10", "1\n", False)])
def test_ipv6_is_off(make_vip, monkeypatch, ip, text, off):
    path = "/proc/sys/net/ipv6/conf/eth0/disable_ipv6"
    monkeypatch.setattr(files, "read_file", lambda name, _limit: {path: text}[name])
    assert start.ipv6_is_off(make_vip(ip=ip)) == (
        "; IPv6 is switched off on eth0 (%s is 1)" % path if off else "")


@pytest.mark.parametrize("vrf, words", [
    ("", EXACT6), ("10", EXACT6.replace("dev", "table 10 dev"))])
def test_the_route_of_a_vrf(make_vip, vrf, words):
    vip = make_vip(**IP6)
    vip.vrf = vrf
    assert ["ip", *start.exact_route_words(vip)] == words.split()
