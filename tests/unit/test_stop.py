# SPDX-License-Identifier: GPL-2.0-only
"""The steps of stop by themselves: what it looks for, and what goes along with the address."""

import contextlib
import types

import pytest

from ipaddr2_py import changes, children, commands, place
from ipaddr2_py.actions import stop, tables
from ipaddr2_py.addresses import Address, Unreadable
from ipaddr2_py.announce import pidfile
from ipaddr2_py.changes import interface, promotion
from tests.unit.scenes import DELETE4, ON_ETH0, ROUTE4, SHOW4


def note(shared="", name="eth0"):
    return place.Note(2, name, 25, shared)


def on(*nics):
    return [Address(2, nic, "192.0.2.10", "", 25) for nic in nics]


# --- sharing ---------------------------------------------------------------------------------


class Rules:
    """Stands in for clusterip.Rules."""

    def __init__(self, stay=False, good=True):
        self.stay, self.good, self.done = stay, good, []

    def others_stay(self):
        return self.stay

    def release(self):
        return 5

    def failure(self):
        return 9

    def remove_before_address(self):
        self.done.append("before")

    def remove_after_address(self):
        self.done.append("after")
        return self.good


@pytest.fixture(name="stopped")
def what_a_stop_does(fp, monkeypatch):
    """stopped(vip, rules, shares): (exit code, whether the lock was had, the backends' names)."""
    def run(vip, rules, shares):
        locks, given = [], []
        monkeypatch.setattr(stop, "cluster_lock", lambda _vip, shared: locks.append(shared)
                            or contextlib.nullcontext())
        monkeypatch.setattr(stop, "sharing", lambda: types.SimpleNamespace(
            Rules=lambda _vip, names: given.append(names) or rules))
        monkeypatch.setattr(stop, "shares_left", lambda _vip: ["asked"])
        monkeypatch.setattr(stop, "addresses_to_remove", lambda _vip: [])
        return stop.ip_stop(vip, shares), locks, given

    return run


@pytest.mark.parametrize("bucket, shares, noted, names", [
    (0, [], None, None), (0, [], "", None), (0, None, None, ["asked"]), (0, ["nft"], None, ["nft"]),
    (0, [], "nft", []), (1, None, None, None), (1, None, "nft", None)])
def test_who_waits_for_other_instances(make_vip, stopped, bucket, shares, noted, names):
    vip, rules = make_vip("stop"), Rules()
    vip.bucket, vip.note = bucket, None if noted is None else note(noted)
    shared = bool(bucket) or names is not None
    assert stopped(vip, rules, shares) == (0, [shared], [names] if shared else [])
    assert rules.done == ["before", "after"] * shared


@pytest.mark.parametrize("stay, good, rc, done", [
    (True, True, 5, []), (False, False, 9, ["before", "after"])])
def test_what_the_rules_come_to(make_vip, stopped, stay, good, rc, done):
    vip, rules = make_vip("stop"), Rules(stay, good)
    vip.bucket = 1
    assert stopped(vip, rules, None)[0] == rc
    assert rules.done == done


@pytest.mark.parametrize("noted, clone, table, left", [
    ("", False, True, []), ("nft", False, False, ["some"]), (None, False, False, []),
    (None, False, True, ["some"]), (None, True, False, ["some"]), ("", True, True, [])])
def test_what_may_still_be_shared(fp, make_vip, monkeypatch, noted, clone, table, left):
    if clone:
        commands.ENV["OCF_RESKEY_CRM_meta_clone"] = ""
    monkeypatch.setattr(stop, "has_table", lambda _vip: table)
    monkeypatch.setattr(stop, "sharing", lambda: types.SimpleNamespace(
        leftovers=lambda _vip: ["some"]))
    vip = make_vip("stop")
    vip.note = None if noted is None else note(noted)
    assert stop.shares_left(vip) == left


@pytest.mark.parametrize("text, found", [
    ("table ip ipaddr2-192.0.2.10\n", True), ("table ip ipaddr2-192.0.2.100\n", False)])
@pytest.mark.parametrize("left, seconds", [(4.0, 1.0), (100.0, 2.0)])
def test_nft_is_not_waited_for_long(fp, make_vip, monkeypatch, text, found, left, seconds):
    asked = []
    monkeypatch.setattr(children, "remaining", lambda: left)
    monkeypatch.setattr(commands, "query", lambda *words: asked.append(words)
                        or children.Result(0, text))
    assert not stop.has_table(make_vip("stop")) and not asked
    fp.install("nft")
    commands._found.clear()
    assert stop.has_table(make_vip("stop")) is found
    assert asked == [(["nft", "list", "tables"], seconds)]


# --- what goes along -------------------------------------------------------------------------


@pytest.mark.parametrize("was_here", [False, True])
@pytest.mark.parametrize("ip", ["192.0.2.10", "2001:db8::e"])
@pytest.mark.parametrize("asked", ["yes", "no"])
def test_what_start_changed_elsewhere(make_vip, monkeypatch, was_here, ip, asked):
    """The label of an address that was there went with it."""
    done = []
    for name in ("delete_stale_addrlabel", "restore_loopback"):
        monkeypatch.setattr(interface, name, lambda _ip, _params, name=name: done.append(name))
    vip = make_vip("stop", ip=ip, lvs_ipv6_addrlabel=asked, lvs_support=asked)
    stop.restore_what_start_changed(vip, was_here)
    expected = {("192.0.2.10", True): ["restore_loopback"],
                ("2001:db8::e", False): ["delete_stale_addrlabel"]}
    assert done == (expected.get((ip, was_here), []) if asked == "yes" else [])


def test_a_loopback_that_cannot_be_told_fails_no_stop(make_vip, monkeypatch, tmp_path):
    def fails(_ip, _params):
        raise Unreadable("no answer")

    monkeypatch.setattr(interface, "restore_loopback", fails)
    stop.restore_what_start_changed(make_vip("stop", lvs_support="true"), True)
    assert "ERROR: cannot tell whether lo has 192.0.2.10 again" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("action, asked, ended", [
    ("stop", "true", 1), ("start", "true", 0), ("stop", "no", 0)])
def test_whose_connections_end(make_vip, monkeypatch, action, asked, ended):
    from ipaddr2_py.changes import connections

    seen = []
    monkeypatch.setattr(connections, "end", seen.append)
    stop.end_connections(make_vip(action, kill_connections=asked))
    assert len(seen) == ended


def test_settings_of_killed_agents_are_put_back(fp, agent, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(promotion, "put_back", seen.append)
    paths = [place.promotion_path(nic) for nic in ("eth0", "eth1")]
    for path in (*paths, str(tmp_path / "rsctmp/IPaddr2-promote-1-eth0")):
        open(path, "w", encoding="ascii").close()
    fp.query(SHOW4)
    assert agent("stop", **ON_ETH0).rc == 0
    assert sorted(seen) == paths


def test_stop_without_sh(fp, agent, scene, monkeypatch):
    monkeypatch.setattr(changes, "import_sh", lambda: False)
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    done = agent("stop", **ON_ETH0)
    assert done.rc == 0 and any("library sh is missing" in line for line in done.log)


# --- senders ---------------------------------------------------------------------------------


@pytest.mark.parametrize("files, name, held, nic, asked", [
    (["send_arp-192.0.2.10"], None, ["eth0"], "", ["eth0"]),
    (["send_arp-192.0.2.10-eth0"], "old0", ["eth0"], "", ["old0", "eth0"]),
    (["send_arp-192.0.2.10"], None, ["eth1", "eth0"], "", ["eth1", "eth0"]),
    (["send_arp-192.0.2.10"], None, [], "uplink", ["eth1"]),
    (["send_arp-192.0.2.1", "x"], None, ["eth0"], "", []), ([], None, ["eth0"], "", [])])
def test_which_senders_end(make_vip, monkeypatch, tmp_path, files, name, held, nic, asked):
    for one in files:
        (tmp_path / "rsctmp" / one).write_text("")
    monkeypatch.setattr(pidfile, "stop_sender", lambda *words: [words])
    vip = make_vip("stop")
    vip.params["nic"], vip.namespace = nic, "blue"
    vip.note = note(name=name) if name else None
    assert stop.stop_sender(vip, on(*held)) == [("192.0.2.10", one, "blue") for one in asked]


@pytest.mark.parametrize("ending", [[], [(4711, "path")]])
def test_they_are_waited_for_behind_the_address(fp, agent, scene, monkeypatch, ending):
    seen = []
    monkeypatch.setattr(stop, "stop_sender", lambda _vip, _held: ending)
    monkeypatch.setattr(pidfile, "wait_until_gone", seen.append)
    fp.query(SHOW4)
    assert agent("stop", **ON_ETH0).rc == 0
    assert seen == [ending] * bool(ending)


# --- where it looks --------------------------------------------------------------------------


@pytest.mark.parametrize("nic, name", [("eth0", "eth0"), ("uplink", "eth1"), ("eth9", "eth9"),
                                       ("", ""), ("a b", "a b"), ("-x", "-x")])
def test_the_kernels_name(make_vip, nic, name):
    assert stop.named(nic) == name


@pytest.mark.parametrize("there", [False, True])
def test_an_altname_that_ip_does_not_tell(fp, agent, scene, tmp_path, there):
    """Longer than a name; a sender is looked for by it."""
    long, silent = "enp0s31f6-at-the-back", {"err": "Cannot open netlink socket", "rc": 1}
    if there:
        (tmp_path / "rsctmp/send_arp-192.0.2.10").write_text("")
    fp.query(SHOW4, scene.here)
    for _ in range(1 + there):
        fp.query("ip link show dev " + long, **silent)
    done = agent("stop", ip="192.0.2.10", nic=long)
    assert done.rc == 1 and "Cannot open netlink socket" in done.reasons[0]


@pytest.mark.parametrize("given, words", [
    ({"cidr_netmask": "24"}, "match 192.0.2.10/24 scope link"),
    ({"cidr_netmask": "x"}, "match 192.0.2.10 scope link"),
    ({"proto": "static"}, "match 192.0.2.10 proto static scope link"),
    ({"route_table": "a b", "proto": "-x"}, "match 192.0.2.10 scope link")])
def test_the_routes_that_stop_asks_for(fp, agent, given, words):
    fp.query(SHOW4, "1: lo    inet 192.0.2.10/32 scope global lo\\       valid_lft forever\n")
    fp.query(ROUTE4.partition("match")[0] + words)
    assert agent("stop", ip="192.0.2.10", **given).rc == 0


def test_what_stop_asks_ahead(fp, agent, monkeypatch):
    found = []
    monkeypatch.setattr(commands, "prefetch", lambda argv: found.append(" ".join(argv)))
    fp.query(SHOW4)
    assert agent("stop", **ON_ETH0).rc == 0 and found == [SHOW4]


def test_nothing_to_remove(make_vip):
    assert not stop.remove(make_vip("stop"), [])


# --- interfaces by name ----------------------------------------------------------------------


@pytest.mark.parametrize("nic", ["", "a b", "-rf"])
def test_what_cannot_be_a_name_is_not_looked_up(monkeypatch, nic):
    monkeypatch.setattr(stop, "ifcheck", lambda name: pytest.fail(f"looked up: {name}"))
    assert stop.named(nic) == nic
    assert not nic or stop.on_interface(None, on("eth0"), nic) == []


def test_the_kernels_name_of_an_interface(fp, monkeypatch):
    monkeypatch.setattr(stop, "ifcheck", lambda name: (3, {"uplink": "eth1"}.get(name, "")))
    assert stop.named("uplink") == "eth1"
    assert stop.named("gone") == "gone"


def test_an_interface_that_cannot_be_told(fp, make_vip, monkeypatch):
    def fails(_name):
        raise stop.FindifError(1, "no luck")

    monkeypatch.setattr(stop, "ifcheck", fails)
    assert stop.named("eth0") == "eth0"
    with pytest.raises(stop.OcfExit):
        stop.on_interface(make_vip(), on("eth0"), "eth0")


def test_routes_that_cannot_be_listed_name_no_interface(fp, make_vip, monkeypatch):
    def fails(*_words):
        raise stop.FindifError(1, "no luck")

    monkeypatch.setattr(stop, "places", fails)
    assert stop.route_names(make_vip()) == []


@pytest.mark.parametrize("folder", ["none", "rsctmp"])
def test_no_sender_that_could_be_told(fp, make_vip, tmp_path, folder):
    commands.ENV["HA_RSCTMP"] = str(tmp_path / folder)
    assert stop.stop_sender(make_vip(), on("eth0")) == []


def test_nothing_to_remove_leaves_nothing(fp, make_vip):
    assert stop.remove(make_vip(), []) == []


# --- the table of a VRF ----------------------------------------------------------------------


def test_an_interface_that_is_missing_is_of_no_vrf(fp):
    assert tables.of_vrf("nowhere") == ""


@pytest.mark.parametrize("text, table", [
    ("", ""), ("2: eth0: <UP> mtu 1500\\    link/ether 02:00:00:00:00:01", ""),
    ("\\    vrf table 10 addrgenmode eui64", "10"), ("\\    vrf_slave table 7", "7"),
    ("vrf table 10", ""), ("\\    vrf_slave vlan 7", "")])
def test_the_table_of_a_vrf(text, table):
    assert tables.parse_vrf(text) == table
