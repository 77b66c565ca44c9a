# SPDX-License-Identifier: GPL-2.0-only
"""Cluster IP: what is left of it where an address is a plain one now, and what stop removes."""

import pytest

from ipaddr2_py import addresses, agent, clusterip, commands, ocf, place, vip as vip_module
from ipaddr2_py.addresses import Address, Unreadable
from ipaddr2_py.announce import packets
from ipaddr2_py.clusterip import (iptables as clusterip_iptables, nft as clusterip_nft,
                                  share as clusterip_share, target as clusterip_target)
from ipaddr2_py.clusterip.share import Share
from tests.unit.test_clusterip import (LIST4, MAC4, MAC6, VIP4, VIP6, data, joined, shared,
                                       target)

assert joined and shared and target     # fixtures
NOTE = ("eth0", 24)


class Backend:
    """Stands in for a backend's module; look() gives or raises `found`, remove() `failing`."""

    def __init__(self, found=None, failing=None):
        self.found = found
        self.failing = failing
        self.removed = []

    def look(self, _vip):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def remove(self, _vip, share):
        self.removed.append((share.nic, share.mac))
        if self.failing:
            raise self.failing
        return True


@pytest.fixture
def plain(shared):
    """A function that gives the Vip of a plain address, noted as shared by a backend, or not."""
    def make(action="stop", backend=None, **given):
        made = shared(bucket=0, **given)
        made.action = action
        made.note = None if backend is None else place.Note(2, "eth0", 24, backend, MAC4)
        return made

    return make


@pytest.mark.parametrize("bucket, backend, left, flags, told", [
    (1, None, [], "", "partial"), (0, None, ["nft"], "", "ok"), (0, "", ["nft"], "", "ok"),
    (0, "nft", ["nft"], "", "shared"), (0, "nft", [], "", "ok"),
    (0, None, [], "dadfailed", "dadfailed")])
def test_served(plain, monkeypatch, bucket, backend, left, flags, told):
    monkeypatch.setattr(clusterip, "served", lambda _vip: "partial")
    monkeypatch.setattr(clusterip, "leftovers", lambda _vip: left)
    made = plain("monitor", backend)
    made.bucket = bucket
    held = [Address(2, "eth0", VIP4, "", 24, "", flags.split())]
    assert agent.ip_served(made, held) == vip_module.ip_served(made, held) == told


GONE, SILENT = None, Unreadable("nft ended with 1")


@pytest.mark.parametrize("action, noted, clone, found, left", [
    ("stop", None, False, Share(), ["nft"]), ("stop", None, False, GONE, []),
    ("stop", None, False, SILENT, []), ("stop", None, True, Share(), ["clusterip", "nft"]),
    ("stop", "nft", False, Share(), ["nft"]), ("stop", "nft", False, GONE, []),
    ("stop", "nft", False, SILENT, ["nft"]), ("stop", "iptables", True, Share(), ["iptables"]),
    ("stop", "bogus", True, Share(), []), ("stop", "", True, Share(), []),
    ("start", "nft", False, Share(), ["nft"]), ("start", "nft", False, GONE, []),
    ("start", "nft", False, SILENT, None), ("start", None, False, SILENT, [])])
def test_what_may_still_share(fp, plain, monkeypatch, capfd, tmp_path, action, noted, clone, found,
                              left):
    """Where a noted backend cannot be looked at, a stop looks again, and nothing else goes on."""
    fp.install("nft", "iptables")       # and no arptables
    if clone:
        commands.ENV["OCF_RESKEY_CRM_meta_clone"] = "0"
    monkeypatch.setattr(clusterip, "backend", lambda _name: Backend(found))
    monkeypatch.setattr(clusterip, "programs", lambda name: {
        "clusterip": ["no-such"], "nft": ["nft"], "iptables": ["iptables", "arptables"]}[name])
    made = plain(action, noted)
    log = tmp_path / "log"
    if left is None:
        with pytest.raises(ocf.OcfExit) as leaving:
            clusterip.leftovers(made)
        assert leaving.value.rc == 1 and "nft ended with 1" in capfd.readouterr().err
    else:
        assert clusterip.leftovers(made) == left
        warned = log.exists() and "cannot tell what nft holds of" in log.read_text()
        assert warned is bool(found is SILENT and noted)


@pytest.mark.parametrize("asked, tools, searched", [
    ("nft", ["nft"], ["nft"]), ("nft", [], []), ("clusterip", [], ["clusterip"]),
    ("auto", ["nft", "iptables", "arptables"], ["clusterip", "nft", "iptables"]),
    ("auto", ["iptables"], ["clusterip"]), ("bogus", [], ["clusterip"])])
def test_where_stop_looks(fp, shared, asked, tools, searched):
    fp.install(*tools)
    assert clusterip.to_be_searched(shared(clusterip_firewall=asked)) == searched


@pytest.mark.parametrize("firewall, problem, refused", [
    ("auto", "Operation not supported", False), ("nft", "Operation not supported", True),
    ("auto", "interrupted", True)])
def test_what_a_kernel_cannot_do_it_does_not_hold(shared, monkeypatch, firewall, problem, refused):
    backends = {"nft": Backend(Unreadable(problem)), "iptables": Backend(Share("eth0"))}
    monkeypatch.setattr(clusterip, "backend", backends.get)
    made = shared(clusterip_firewall=firewall)
    if refused:
        with pytest.raises(ocf.OcfExit):
            clusterip.found_shares(made, backends)
    else:
        assert clusterip.found_shares(made, backends) == [
            (backends["iptables"], backends["iptables"].found)]


@pytest.mark.parametrize("found, failing, removed, good", [
    (Share("eth0", MAC4), None, ("eth0", MAC4), True), (GONE, None, ("", ""), True),
    (SILENT, None, ("", ""), True), (SILENT, SILENT, ("", ""), False)])
def test_leftovers_are_removed_whatever_they_are(plain, monkeypatch, tmp_path, found, failing,
                                                 removed, good):
    module, made = Backend(found, failing), plain()
    monkeypatch.setattr(clusterip, "backend", lambda _name: module)
    rules = clusterip.Rules(made, ["nft"])
    assert not rules.others_stay()
    rules.remove_before_address()
    assert module.removed == []
    assert rules.remove_after_address() is good
    assert module.removed == [removed]
    assert good or "nft ended with 1" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("given, held, mac", [
    ({"broadcast": ""}, Address(2, "eth1", VIP4, "", 24, "192.0.2.255"), MAC4),
    ({}, Address(2, "eth1", VIP4, "", 24, "192.0.2.127"), MAC4),
    ({"mac": MAC6}, Address(2, "eth1", VIP4, "", 24, ""), MAC6),
    ({"ip": VIP6, "broadcast": "x"}, Address(2, "eth1", VIP6, "", 64, ""), MAC6)])
def test_the_mac_of_an_address_without_rules(shared, monkeypatch, given, held, mac):
    """Somebody removed them, and the interface still receives it."""
    monkeypatch.setattr(addresses, "address_places", lambda _family, _ip: [held])
    assert clusterip.stray_mac(shared(**given)) == ("eth1", mac)


def test_no_mac_of_an_address_that_is_gone(shared, monkeypatch):
    def fails(_family, _ip):
        raise SILENT

    monkeypatch.setattr(addresses, "address_places", lambda _family, _ip: [])
    assert clusterip.stray_mac(shared()) == ()
    monkeypatch.setattr(addresses, "address_places", fails)
    assert clusterip.stray_mac(shared()) == ()


@pytest.mark.parametrize("share, stray", [
    (None, True), (Share("eth0", MAC4), False), (Share("", MAC4), True), (Share("eth0", ""), True)])
def test_when_that_is_looked_for(shared, monkeypatch, share, stray):
    monkeypatch.setattr(clusterip, "found_shares",
                        lambda _vip, _names: [(None, share)] if share else [])
    monkeypatch.setattr(clusterip, "to_be_searched", lambda _vip: [])
    monkeypatch.setattr(clusterip, "stray_mac", lambda _vip: NOTE)
    assert bool(clusterip.Rules(shared()).stray) is stray
    left = []
    monkeypatch.setattr(clusterip, "leave_group", lambda *words: left.append(words) or False)
    rules = clusterip.Rules(shared())
    rules.found = []
    assert rules.remove_after_address() is not stray and left == [NOTE] * stray


@pytest.mark.parametrize("action, interval, level", [
    ("monitor", "10", "WARNING"), ("monitor", "0", "INFO"), ("status", "0", "WARNING")])
@pytest.mark.parametrize("status, text", [
    ("no", "the address is missing"), ("partial", "bucket 1 is not held here"),
    ("partial2", "the firewall rule is missing, or not as it should be"),
    ("shared", "is a plain address now, but the firewall still shares it")])
def test_what_is_missing(fp, shared, tmp_path, action, interval, level, status, text):
    commands.ENV["OCF_RESKEY_CRM_meta_interval"] = interval
    made = shared()
    made.action = action
    clusterip.log_missing(made, status)
    assert (tmp_path / "log").read_text().endswith(f"    {level}: Cluster IP {VIP4}: {text}\n")


# --- the target ------------------------------------------------------------------------------


def test_a_bucket_that_cannot_be_written(fp, shared, target, tmp_path):
    made = shared()
    assert not clusterip_target.write_bucket(made, "+", 1)
    (target / VIP4).symlink_to("/dev/full")
    assert not clusterip_target.write_bucket(made, "-", 2)
    log = (tmp_path / "log").read_text()
    assert "ERROR: cannot write " in log and "the kernel refused -2 in " in log


@pytest.mark.parametrize("found, released", [
    (None, True), ({2: "2"}, True), ({1: "1"}, False)])
def test_release_of_a_bucket_of_the_target(shared, monkeypatch, found, released):
    wrote, share = [], None
    if found:
        share = Share()
        share.buckets = found
    monkeypatch.setattr(clusterip_target, "write_bucket", lambda *words: wrote.append(words[1:]))
    assert bool(clusterip_target.release(shared(), share)) is released
    assert wrote == ([] if released else [("-", 1)])


def test_nothing_of_the_target_is_left(fp, shared, target):
    assert clusterip_target.remove(shared(), None)


# --- the match cluster -----------------------------------------------------------------------


def test_iptables_remove(fp, shared, joined):
    """Jumps, chain, ARP rules and the multicast MAC, whatever fails on the way."""
    fp.install("iptables", "arptables")
    name = "IPaddr2-192.0.2.100"
    for rc in (0, 1):
        fp.query("arptables -L OUTPUT -n -v", out=data("arptables-nft"))
        fp.query("iptables -t mangle -S", out=data("iptables-mangle"))
        fp.run(f"iptables -t mangle -D PREROUTING -d 192.0.2.100/32 -i eth0 -j {name}", rc=rc)
        fp.run(f"iptables -t mangle -F {name}")
        fp.run(f"iptables -t mangle -X {name}")
        fp.run("arptables -D OUTPUT -s 192.0.2.100 --h-length 6 -o eth0 -j mangle "
               "--mangle-mac-s 77:d2:6f:e5:f8:7e --mangle-target CONTINUE")
        fp.run("ip maddress delete 77:d2:6f:e5:f8:7e dev eth0")
        assert clusterip_iptables.remove(shared(), Share("eth0", MAC4)) is (rc == 0)


def test_iptables_remove_of_nothing(fp, shared, joined):
    fp.install("iptables", "arptables")
    fp.query("arptables -L OUTPUT -n -v")
    fp.query("iptables -t mangle -S", out="-P PREROUTING ACCEPT\n")
    assert clusterip_iptables.remove(shared(), Share())


@pytest.mark.parametrize("bucket, rc, worked", [(3, 0, True), (3, 1, False), (2, None, True)])
def test_iptables_release(fp, shared, joined, bucket, rc, worked):
    fp.install("iptables", "arptables")
    fp.query("arptables -L OUTPUT -n -v", out=data("arptables-nft"))
    fp.query("iptables -t mangle -S", out=data("iptables-mangle"))
    made = shared(bucket=bucket)
    found = clusterip_iptables.look(made)
    for words in found.buckets.get(bucket, []):
        fp.run(["iptables", "-t", "mangle", "-D", *words[1:]], rc=rc)
    assert clusterip_iptables.release(made, found) is worked
    assert clusterip_iptables.release(made, None)


@pytest.mark.parametrize("program", ["iptables", "arptables"])
def test_iptables_that_says_nothing(fp, shared, program):
    fp.install("iptables", "arptables")
    fp.query("arptables -L OUTPUT -n -v", rc=int(program == "arptables"), err="no\nmemory")
    fp.query("iptables -t mangle -S", rc=3 * (program == "iptables"))
    with pytest.raises(Unreadable) as problem:
        clusterip_iptables.look(shared())
    assert str(problem.value) == ("iptables ended with 3: no output" if program == "iptables"
                                  else "arptables ended with 1: no memory")


def test_iptables_is_for_ipv4(shared):
    assert clusterip_iptables.look(shared(ip=VIP6)) is None
    assert clusterip_target.look(shared(ip=VIP6)) is None


# --- nftables --------------------------------------------------------------------------------


def test_nft_release(fp, shared, joined):
    fp.install("nft")
    made = shared(bucket=2)
    assert clusterip_nft.release(made, None) and clusterip_nft.release(made, Share())
    for argv, text in zip(LIST4, ("nft-ip", "nft-arp")):
        fp.query(argv, out=data(text))
    made = shared(bucket=1)
    found = clusterip_nft.look(made)
    fp.run(["nft", "delete rule ip ipaddr2-192.0.2.100 ports handle 15; "
            "delete rule ip ipaddr2-192.0.2.100 source handle 16"], rc=1)
    assert not clusterip_nft.release(made, found)


def test_own_mac(host, monkeypatch):
    assert clusterip_nft.own_mac("eth0") == "02:00:00:00:01:01"

    def none(_nic):
        raise packets.PacketError("a tunnel")

    monkeypatch.setattr(packets, "hardware_address", none)
    assert clusterip_nft.own_mac("tun0") == "00:00:00:00:00:00"


# --- the group -------------------------------------------------------------------------------


@pytest.mark.parametrize("found, there, words", [
    (None, {MAC4}, []), (None, set(), ["add"]), (Share("eth0", MAC4.upper()), {MAC4}, []),
    (Share("eth1", MAC4), {MAC4}, ["delete eth1"]), (Share("eth0", MAC6), {MAC6},
                                                     ["delete eth0", "add"])])
def test_the_group_that_is_received(fp, shared, joined, found, there, words):
    joined.clear()
    joined.update(there)
    for word in words:
        verb, _, nic = word.partition(" ")
        fp.run(f"ip maddress {verb} {found.mac if nic else MAC4} dev {nic or 'eth0'}")
    assert clusterip_share.change_group(found, Share("eth0", MAC4))


def test_a_list_of_groups_that_cannot_be_read(monkeypatch):
    monkeypatch.setattr(clusterip_share, "MULTICAST_LIST", "/no/such/file")
    assert not clusterip_share.is_joined("eth0", MAC4)
