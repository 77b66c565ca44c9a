# SPDX-License-Identifier: GPL-2.0-only
"""What people met in the field, with this agent or with others that do the same job.

Each case begins as field.py lays it out; the members of its kind that nobody has met yet stand
beside it.  A course such as "probe 7, start 0" tells actions and their exit codes.
"""

import itertools
import time

import pytest

from tests.lab.agent import IP
from tests.netns.field import (INET, INET6, VIP, VIP6, agent_fixture,  # noqa: F401
                               base4_fixture, base6_fixture, broken_ip, calm, family_fixture,
                               far_fixture, follow, forget, has_ipv6_word, index,
                               keep_on_down, later, network_routes, new_nic, no_routes,
                               noarp_fixture, node_fixture, notes, places, rename, rules,
                               second_nic_fixture, setting, source, tun_fixture, wire_fixture)
from tests.lab.frames import advertisement, arp
from tests.lab.state import (address, addresses, addrlabels, everything, ip, links, processes,
                             routes, wait_until)

COURSE = "probe 7, start 0, monitor 0, stop 0, probe 7"


# --- 1, 2, 21: the address is on lo, or where nobody is answered, as well ---------------------


@pytest.mark.parametrize("more", [{}, {"lvs_ipv6_addrlabel": "true"}, {"cidr_netmask": 64}],
                         ids=str)
def test_1_real_server_of_lvs_ipv6(base6, agent, more):
    """An IPv6 address that lo has as well, as a real server of LVS, is served on e0 and lo keeps
    its own."""
    ip(base6, "addr", "add", VIP6 + "/128", "dev", "lo")
    labels = addrlabels(base6)
    asked = {"ip": VIP6, "nodad": "true", **more}
    follow(agent, "probe 7, start 0", **asked)
    assert places(base6, VIP6) == ["lo/128", "e0/64"]
    follow(agent, "monitor 0, probe 0, stop 0", **asked)
    assert places(base6, VIP6) == ["lo/128"]
    assert addrlabels(base6) == labels


def lo_holds(node):
    """192.0.2.50/32 on lo, and a host route to it."""
    ip(node, "addr", "add", VIP + "/32", "dev", "lo", "label", "lo:0")
    ip(node, "route", "add", VIP, "dev", "lo", "scope", "link")


@pytest.mark.parametrize("more, where", [
    ({}, "e0/24"), ({"lvs_support": "true"}, "e0/24"), ({"cidr_netmask": 32}, "e0/32"),
    ({"cidr_netmask": 32, "lvs_support": "true"}, "e0/32"), ({"nic": "e0"}, "e0/24")], ids=str)
def test_2_real_server_of_lvs_ipv4(base4, agent, more, where):
    """An IPv4 address that lo has as well, with a host route, is served on e0; in the end lo has
    it."""
    lo_holds(base4)
    follow(agent, "probe 7, start 0", ip=VIP, **more)
    assert where in places(base4)
    follow(agent, "monitor 0, stop 0", ip=VIP, **more)
    assert places(base4) == ["lo/32"]


@pytest.mark.parametrize("more", [{}, {"cidr_netmask": 32}], ids=str)
def test_2_nic_lo_means_lo(base4, agent, more):
    """The host route over lo counts where nic names lo."""
    lo_holds(base4)
    asked = {"ip": VIP, "nic": "lo", **more}
    follow(agent, "probe 0, monitor 0, start 0", **asked)
    assert places(base4) == ["lo/32"]
    follow(agent, "stop 0, probe 7", **asked)
    assert places(base4) == []


def test_2_host_route_over_lo_alone_is_no_place(node, agent):
    """A host route over lo is all there is: nothing is found."""
    lo_holds(node)
    follow(agent, "validate-all 1, start 1, probe 7, monitor 1, stop 0", ip=VIP)
    assert places(node) == ["lo/32"]


def test_21_address_of_an_interface_without_arp(family, node, noarp, agent):
    """What kube-proxy keeps on kube-ipvs0 is not the resource's, and stays there."""
    family.add(node, None, family.bits, noarp)
    if family is INET:
        ip(node, "route", "add", VIP, "dev", noarp, "scope", "link")
    alone = "kube-ipvs0/%d" % family.bits
    follow(agent, "probe 7, start 0", **family.asked)
    assert places(node, family.vip) == ["e0/%d" % family.length, alone]
    follow(agent, "monitor 0, start 0, stop 0, probe 7, stop 0", **family.asked)
    assert places(node, family.vip) == [alone]


@pytest.mark.parametrize("nic", ["e0", "kube-ipvs0"])
def test_21_interface_without_arp_by_name(family, node, noarp, agent, nic):
    """Each interface can be named; the address on the other one stays."""
    family.add(node, None, family.bits, noarp)
    before = places(node, family.vip)
    asked = dict(family.full(nic), cidr_netmask=family.bits)
    if nic == noarp:
        follow(agent, "probe 0, start 0, stop 0", **asked)
        assert places(node, family.vip) == []
    else:
        follow(agent, COURSE, **asked)
        assert places(node, family.vip) == before


def test_21_without_a_note(family, node, noarp, agent):
    """The same for an address that was added by hand."""
    family.add(node, None, family.bits, noarp)
    family.add(node)
    follow(agent, "probe 0, monitor 0, stop 0, probe 7", **family.asked)
    assert places(node, family.vip) == ["kube-ipvs0/%d" % family.bits]


# --- 3: white space around a value --------------------------------------------------------------


def test_3_blank_behind_the_address(base4, agent):
    """A blank behind the address is no part of it."""
    asked = {"ip": VIP + " ", "nic": "e0"}
    follow(agent, "probe 7, start 0, monitor 0", **asked)
    assert places(base4) == ["e0/24"]
    follow(agent, "stop 0", **asked)
    assert places(base4) == []


def test_3_blank_behind_the_address_added_by_hand(base4, agent):
    """Nor does it matter to the stop of an address that was added by hand."""
    INET.add(base4)
    follow(agent, "stop 0", ip=VIP + " ", nic="e0")
    assert places(base4) == []


BLANKS = [
    ("ip", "%s "), ("ip", " %s"), ("ip", "\t%s"), ("ip", "%s\n"), ("ip", " \t%s\n\n"),
    ("nic", "e0 "), ("nic", " e0"), ("nic", "\te0\n"), ("nic", "  "), ("cidr_netmask", " 24"),
    ("cidr_netmask", "24\n"), ("cidr_netmask", " "), ("cidr_netmask", "255.255.255.0 "),
    ("broadcast", " + "), ("broadcast", "192.0.2.255 "), ("iflabel", " web "),
    ("arp_count", "2 "), ("arp_interval", "\t20"), ("arp_sender", "builtin "),
    ("preferred_lft", " forever"), ("lvs_support", " false "), ("metric", "77 "),
    ("arp_bg", " true"), ("network_namespace", " ")]


@pytest.mark.parametrize("name, value", BLANKS, ids=["%s=%r" % pair for pair in BLANKS])
def test_3_blanks_around_any_value(base4, agent, name, value):
    """White space around the value of any parameter is no part of it."""
    asked = {"ip": VIP, name: value.replace("%s", VIP)}
    follow(agent, "validate-all 0, start 0", **asked)
    assert places(base4) == ["e0/24"]
    follow(agent, "monitor 0, stop 0", **asked)
    assert places(base4) == []


@pytest.mark.parametrize("name, value, check", [
    ("iflabel", " web ", lambda found: found["label"] == "e0:web"),
    ("nic", " e0:web ", lambda found: found["label"] == "e0:web"),
    ("broadcast", " - ", lambda found: found["broadcast"] == "192.0.2.0"),
    ("metric", " 77\n", lambda found: found["metric"] == 77)],
    ids=lambda value: value.strip() if isinstance(value, str) else "")
def test_3_the_value_counts_without_blanks(base4, agent, name, value, check):
    """What is inside the white space is what counts."""
    follow(agent, "start 0", ip=VIP, **{name: value})
    assert check(address(base4, VIP)), addresses(base4)


def test_3_blanks_ipv6(base6, agent):
    """The same for IPv6, and for a boolean."""
    asked = {"ip": "\n%s " % VIP6, "nodad": " true ", "cidr_netmask": "64\t"}
    follow(agent, "probe 7, start 0", **asked)
    assert places(base6, VIP6) == ["e0/64"] and address(base6, VIP6).get("nodad")
    follow(agent, "monitor 0, stop 0, monitor 7", **asked)


def test_3_blanks_around_a_namespace(base4, netns, agent):
    """The same for network_namespace: the agent runs elsewhere."""
    asked = {"ip": VIP, "network_namespace": " %s " % base4, "inside": netns()}
    follow(agent, "probe 7, start 0", **asked)
    assert places(base4) == ["e0/24"]
    follow(agent, "monitor 0, stop 0, monitor 7", **asked)


# --- 4: cidr_netmask alone ----------------------------------------------------------------------


@pytest.mark.parametrize("mask", [128, 116, 65, 64])
def test_4_ipv6_mask_alone(base6, agent, mask):
    """The route gives the interface, cidr_netmask the prefix, for IPv6 too."""
    asked = {"ip": VIP6, "cidr_netmask": mask, "nodad": "true"}
    follow(agent, "validate-all 0, probe 7, start 0", **asked)
    assert places(base6, VIP6) == ["e0/%d" % mask]
    follow(agent, "monitor 0, stop 0, monitor 7", **asked)


@pytest.mark.parametrize("mask", [48, 63, 1])
def test_4_ipv6_mask_wider_than_any_route(base6, agent, mask):
    """No route holds so wide a network: nothing is found."""
    follow(agent, "validate-all 1, start 1, probe 7, monitor 1, stop 0",
           ip=VIP6, cidr_netmask=mask, nodad="true")
    assert places(base6, VIP6) == []


@pytest.mark.parametrize("mask", [32, 28, 25, "255.255.255.240"])
def test_4_ipv4_mask_alone(base4, agent, mask):
    """The same as ever for IPv4."""
    follow(agent, "probe 7, start 0", ip=VIP, cidr_netmask=mask)
    assert places(base4) == ["e0/%s" % (28 if "." in str(mask) else mask)]
    follow(agent, "monitor 0, stop 0, monitor 7", ip=VIP, cidr_netmask=mask)


# --- 5: routes cannot be listed -----------------------------------------------------------------


LISTLESS = [{"cidr_netmask": "bits"}, {}, {"nic": "e0"}, {"nic": "e0", "cidr_netmask": "bits"}]


def filled(family, more):
    """The family's parameters and these; "bits" is a host's prefix length."""
    return {**family.asked, **{name: family.bits if value == "bits" else value
                               for name, value in more.items()}}


@pytest.mark.parametrize("more", LISTLESS, ids=str)
def test_5_routes_cannot_be_listed_any_more(family, node, agent, more):
    """A started address is watched and stopped though every list of routes fails."""
    asked = filled(family, more)
    follow(agent, "start 0", **asked)
    follow(agent, "monitor 0, probe 0, start 0, stop 0", env=no_routes(agent), **asked)
    assert places(node, family.vip) == []


@pytest.mark.parametrize("more", LISTLESS, ids=str)
def test_5_no_routes_and_no_note(family, node, agent, more):
    """Without a note too, stop removes the address from where it is."""
    asked = filled(family, more)
    follow(agent, "start 0", **asked)
    calm(node)
    forget(agent)
    follow(agent, "stop 0", env=no_routes(agent), **asked)
    assert places(node, family.vip) == []


def test_5_no_routes_and_the_address_cannot_be_removed(base4, agent):
    """Stop says 1 where the address stays."""
    follow(agent, "start 0", ip=VIP, cidr_netmask=32)
    no_routes(agent)
    env = broken_ip(agent, "*' route list '*|*' delete '*|*' del '*",
                    'echo "Error: Buffer too small for object." >&2; exit 2')
    follow(agent, "stop 1", env=env, ip=VIP, cidr_netmask=32)


# --- 6: no carrier ------------------------------------------------------------------------------


@pytest.fixture
def cut_off(netns, agent):
    """A function that gives the agent's node a new e0, whose far end was never up."""
    def lay(quick=True):
        node = agent.namespace
        ip(node, "link", "delete", "dev", "e0")
        new_nic(node, "e0", "p0", peer_up=False)
        if not quick:
            setting(node, "ipv6/neigh/e0/retrans_time_ms", 1000)
        ip(node, "addr", "add", "2001:db8::1/64", "dev", "e0", "nodad")
        ip(node, "addr", "add", "192.0.2.1/24", "dev", "e0")
        return node

    return lay


UNPLUGGED = {"ip": VIP6, "nic": "e0", "cidr_netmask": 64}


@pytest.mark.slow
def test_6_started_without_carrier(cut_off, agent, wire):
    """Start does not wait for detection where there is no carrier; the address is announced as soon
    as there is one."""
    node = cut_off(quick=False)
    done = follow(agent, "start 0", CRM_meta_timeout=12000, **UNPLUGGED)
    assert "WARNING" in done.log and done.seconds < 9, done
    assert places(node, VIP6) == ["e0/64"]
    ip(node, "link", "set", "dev", "p0", "up")
    heard = wire()
    wait_until(lambda: "tentative" not in address(node, VIP6), "the end of detection")
    follow(agent, "monitor 0", **UNPLUGGED)
    wait_until(lambda: heard.advertisements(VIP6), "announcements")
    follow(agent, "stop 0", **UNPLUGGED)
    assert places(node, VIP6) == []
    calm(node)


@pytest.mark.slow
def test_6_a_tentative_address_is_served(cut_off, agent):
    """While detection waits for the carrier, monitor says 0, start changes nothing, and stop ends
    the background."""
    node = cut_off()
    done = follow(agent, "start 0", CRM_meta_timeout=4000, **UNPLUGGED)
    assert done.seconds < 3.5 and processes(node), done
    follow(agent, "monitor 0, probe 0, start 0", CRM_meta_timeout=4000, **UNPLUGGED)
    follow(agent, "stop 0, monitor 7", **UNPLUGGED)
    calm(node)


@pytest.mark.slow
def test_6_the_background_ends_with_the_address(cut_off, agent):
    """What waits for detection ends when the address is taken away by hand."""
    node = cut_off()
    follow(agent, "start 0", CRM_meta_timeout=4000, **UNPLUGGED)
    assert processes(node)
    ip(node, "addr", "delete", VIP6 + "/64", "dev", "e0")
    calm(node)


@pytest.mark.slow
def test_6_a_duplicate_found_late_is_left_alone(netns, node, agent):
    """The carrier shows that another host has the address: it is logged, and monitor tells it."""
    far = netns()
    ip(node, "link", "delete", "dev", "e0")
    new_nic(node, "e0", "f0", far, peer_up=False)
    setting(node, "ipv6/conf/e0/dad_transmits", 20)     # f0 hears the last of them at least
    follow(agent, "start 0", CRM_meta_timeout=4000, **UNPLUGGED)
    before = len(agent.log())
    ip(far, "addr", "add", VIP6 + "/64", "dev", "f0", "nodad")
    ip(far, "link", "set", "dev", "f0", "up")
    wait_until(lambda: "dadfailed" in address(node, VIP6), "the duplicate")
    wait_until(lambda: "ERROR" in agent.log()[before:], "the logged error")
    calm(node)
    assert places(node, VIP6) == ["e0/64"]
    follow(agent, "monitor 1, stop 0", **UNPLUGGED)
    assert places(node, VIP6) == []


@pytest.mark.parametrize("more", [{}, {"arp_bg": "false"}, {"arp_sender": "builtin"}], ids=str)
def test_6_ipv4_waits_for_no_carrier(cut_off, agent, more):
    """An IPv4 address is started without carrier as ever."""
    node = cut_off()
    done = follow(agent, "start 0", ip=VIP, nic="e0", cidr_netmask=24, arp_count=2, **more)
    assert done.seconds < 3, done
    follow(agent, "monitor 0, stop 0", ip=VIP, nic="e0", cidr_netmask=24)
    assert places(node) == []


# --- 7: no hardware address ---------------------------------------------------------------------


TUNS = {INET: ("198.51.100.1/24", "198.51.100.50"), INET6: ("2001:db8:8::1/64", "2001:db8:8::50")}


@pytest.mark.parametrize("more", [
    {"arp_sender": "builtin"}, {"arp_sender": "builtin", "check_link_status": "true"},
    {"arp_sender": "builtin", "arp_bg": "false"}, {}, {"arp_bg": "true", "arp_count_refresh": 2},
    {"env": {"HA_BIN": "/nonexistent"}}], ids=str)
def test_7_tun(family, node, tun, agent, more):
    """An interface without a hardware address has nothing to announce."""
    own, vip = TUNS[family]
    ip(node, "addr", "add", own, "dev", "tun0", *family.words)
    before = everything(node)
    asked = {**family.asked, **more, "ip": vip}
    follow(agent, "start 0", **asked)
    assert places(node, vip) == ["tun0/%d" % family.length]
    follow(agent, "monitor 0, start 0, stop 0", **asked)
    calm(node)
    assert everything(node) == before
    assert "Traceback" not in agent.log()


def test_7_noarp(family, node, noarp, agent):
    """Nor has one that is marked NOARP."""
    for more in ({"arp_sender": "builtin"}, {}):
        asked = {**family.full("kube-ipvs0"), **more}
        follow(agent, COURSE, **asked)
        calm(node)


def test_7_arp_switched_off_on_ethernet(family, node, agent):
    """Nor has Ethernet with ARP switched off, once nic names it."""
    ip(node, "link", "set", "dev", "e0", "arp", "off")
    follow(agent, COURSE, **family.full(), arp_sender="builtin")


# --- 8, 9, 10: several routes -------------------------------------------------------------------


def host_route(family, node, *words):
    """What NetworkManager adds for an address it finds."""
    family.route(node, "add", "%s/%d" % (family.vip, family.bits), "dev", "e0", "proto", "kernel",
                 *words, "metric", "101")


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "forgotten"])
def test_8_a_host_route_comes(family, node, agent, noted):
    """A host route that appears for a started address changes nothing."""
    follow(agent, "start 0", **family.asked)
    host_route(family, node, *(["scope", "link", "src", VIP] if family is INET else []))
    if not noted:
        calm(node)
        forget(agent)
    follow(agent, "monitor 0, start 0, probe 0", **family.asked)
    assert places(node, family.vip) == ["e0/%d" % family.length]
    follow(agent, "stop 0", **family.asked)
    assert places(node, family.vip) == []


@pytest.mark.parametrize("words", [("dev", "e1"), ("dev", "e1", "metric", "5"),
                                   ("dev", "e0", "metric", "7")], ids=" ".join)
def test_8_a_longer_route_comes(family, node, second_nic, agent, words):
    """Nor does a route with a longer prefix, over whichever interface."""
    follow(agent, "start 0", **family.asked)
    family.route(node, "add", family.longer, *words)
    follow(agent, "monitor 0, start 0, probe 0", **family.asked)
    assert places(node, family.vip) == ["e0/%d" % family.length]
    follow(agent, "stop 0", **family.asked)
    assert places(node, family.vip) == []


def second_network(family, node, metric="101"):
    """e1 in e0's network, with a worse metric."""
    own = "192.0.2.2/24" if family is INET else "2001:db8::2/64"
    ip(node, "addr", "add", own, "dev", "e1", "noprefixroute", *family.words)
    family.route(node, "add", family.network, "dev", "e1", "metric", metric)


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "forgotten"])
def test_9_a_route_without_carrier(family, node, second_nic, agent, noted):
    """The route whose link is down is passed by, and comes back when the address is elsewhere."""
    second_network(family, node, "101" if family is INET else "300")
    ip(node, "link", "set", "dev", "p0", "down")
    wait_until(lambda: "linkdown" in str(routes(node, family.name)), "the link to be down")
    follow(agent, "start 0", **family.asked)
    where = "e1/%d" % family.length
    assert places(node, family.vip) == [where]
    ip(node, "link", "set", "dev", "p0", "up")
    wait_until(lambda: "linkdown" not in str(routes(node, family.name)), "the link to be up")
    if not noted:
        calm(node)
        forget(agent)
    follow(agent, "monitor 0, start 0", **family.asked)
    assert places(node, family.vip) == [where]
    follow(agent, "stop 0, probe 7", **family.asked)


def bridged(family, node):
    """e0 a port of br0, its address there; a stale route over e0 with the better metric."""
    ip(node, "link", "add", "name", "br0", "type", "bridge")
    ip(node, "link", "set", "dev", "br0", "up")
    ip(node, "link", "set", "dev", "e0", "master", "br0")
    own = "%s/%d" % (family.own, family.length)
    ip(node, "addr", "delete", own, "dev", "e0")
    ip(node, "addr", "add", own, "dev", "br0", "noprefixroute", *family.words)
    family.route(node, "add", family.network, "dev", "e0", "metric", "100")
    family.route(node, "add", family.network, "dev", "br0", "metric", "425")
    wait_until(lambda: links(node)["br0"]["operstate"] == "UP", "the bridge")


def test_10_a_stale_route_over_a_port(family, node, agent):
    """A port of a bridge is passed by, whatever its metric."""
    bridged(family, node)
    follow(agent, "probe 7, start 0", **family.asked)
    assert places(node, family.vip) == ["br0/%d" % family.length]
    follow(agent, "monitor 0, stop 0, monitor 7", **family.asked)


# --- 11: anonymous clones -----------------------------------------------------------------------


def clone(unique, number=1):
    return {"CRM_meta_clone": number, "CRM_meta_clone_max": 2, "CRM_meta_globally_unique": unique}


@pytest.mark.parametrize("unique, number", [("false", 0), ("false", 1), ("FALSE", 1), ("0", 1)])
def test_11_anonymous_clone_on_lo(family, node, agent, unique, number):
    """An anonymous clone on lo is a plain address on each node: LVS real servers, anycast."""
    asked = {**family.full("lo"), "cidr_netmask": family.bits, **clone(unique, number)}
    follow(agent, "validate-all 0, probe 7, start 0", **asked)
    assert places(node, family.vip) == ["lo/%d" % family.bits]
    assert rules(node) == ""
    follow(agent, "monitor 0, start 0, stop 0, monitor 7", **asked)
    assert places(node, family.vip) == [] and rules(node) == ""


def test_11_anonymous_clone_elsewhere(family, node, agent):
    """On another interface it shares the load as before, with a warning."""
    done = follow(agent, "start 0", **family.full(), **clone("false"))
    assert "ipaddr2" in rules(node).lower()
    assert [line for line in done.log.splitlines()
            if "WARNING" in line and "globally-unique" in line], done
    follow(agent, "monitor 0, stop 0", **family.full(), **clone("false"))
    assert rules(node) == "" and places(node, family.vip) == []


@pytest.mark.parametrize("unique", ["true", None])
def test_11_other_clones_are_shared_as_before(base4, agent, unique):
    """A globally unique clone gives no such warning, one of which nothing is told does."""
    done = follow(agent, "start 0", **INET.full(), **clone(unique))
    assert rules(base4)
    assert ("globally-unique" in done.log) is (unique is None), done


# --- 12: the name means another interface -------------------------------------------------------


def swapped(family, node):
    """e0 becomes old0, and a bridge takes its name and the host's address."""
    keep_on_down(node)
    rename(node, "e0", "old0")
    ip(node, "link", "add", "name", "e0", "type", "bridge")
    ip(node, "link", "set", "dev", "e0", "up")
    own = "%s/%d" % (family.own, family.length)
    ip(node, "addr", "delete", own, "dev", "old0")
    ip(node, "addr", "add", own, "dev", "e0", *family.words)


def test_12_the_name_goes_to_another_interface(family, node, agent):
    """The address is on the interface that had the name: monitor says 7, stop finds it."""
    follow(agent, "start 0", **family.full())
    swapped(family, node)
    follow(agent, "monitor 7, status 7, stop 0", **family.full())
    assert places(node, family.vip) == []
    follow(agent, "start 0, monitor 0", **family.full())
    assert places(node, family.vip) == ["e0/%d" % family.length]


@pytest.mark.parametrize("mask", [True, False], ids=["mask", "no mask"])
def test_12_only_renamed(family, node, agent, mask):
    """The name is gone: recurring monitor 7, probe 1 with a reason, stop 0 and gone."""
    asked = family.full() if mask else dict(family.asked, nic="e0")
    follow(agent, "start 0", **asked)
    keep_on_down(node)
    rename(node, "e0", "old0")
    follow(agent, "monitor 7, status 7", **asked)
    done = follow(agent, "probe 1", **asked)
    assert "old0" in done.reason or "e0" in done.reason, done
    follow(agent, "stop 0, monitor %d" % (7 if mask else 1), **asked)
    assert places(node, family.vip) == []


def test_12_two_names_swapped(family, node, second_nic, agent):
    """e0 and e1 change names."""
    follow(agent, "start 0", **family.full())
    keep_on_down(node, "e0", "e1")
    for old, new in (("e0", "x"), ("e1", "e0"), ("x", "e1")):
        rename(node, old, new)
    done = follow(agent, "monitor 7, probe 1", **family.full())
    assert done.reason
    follow(agent, "stop 0", **family.full())
    assert places(node, family.vip) == []


def test_12_start_follows_the_name(family, node, agent):
    """A start without a stop before it moves the address: it is never on both."""
    follow(agent, "start 0", **family.full())
    swapped(family, node)
    follow(agent, "start 0", **family.full())
    assert places(node, family.vip) == ["e0/%d" % family.length]
    follow(agent, "monitor 0, stop 0", **family.full())
    assert places(node, family.vip) == []


def test_12_an_altname_is_taken_away(family, node, agent):
    """The altname that nic is, is taken away: as if it had been renamed."""
    for name in ("up", "uplink-to-the-world0"):
        ip(node, "link", "property", "add", "dev", "e0", "altname", name)
        asked = family.full(name)
        follow(agent, "probe 7, start 0, monitor 0", **asked)
        assert places(node, family.vip) == ["e0/%d" % family.length]
        ip(node, "link", "property", "del", "dev", "e0", "altname", name)
        follow(agent, "monitor 7, stop 0", **asked)
        assert places(node, family.vip) == []


def test_12_an_altname_moves(family, node, second_nic, agent):
    """The altname means another interface now: the next start is there."""
    ip(node, "link", "property", "add", "dev", "e0", "altname", "uplink")
    follow(agent, "start 0", **family.full("uplink"))
    ip(node, "link", "property", "del", "dev", "e0", "altname", "uplink")
    ip(node, "link", "property", "add", "dev", "e1", "altname", "uplink")
    follow(agent, "monitor 7, stop 0", **family.full("uplink"))
    assert places(node, family.vip) == []
    follow(agent, "start 0", **family.full("uplink"))
    assert places(node, family.vip) == ["e1/%d" % family.length]


# --- 14: a peer ---------------------------------------------------------------------------------


PEERS = {INET: ("192.0.2.254", "192.0.2.253"), INET6: ("2001:db8::fe", "2001:db8::fd")}
NAMED = [{}, {"nic": "e0"}, {"nic": "e0", "cidr_netmask": "bits"}, {"cidr_netmask": "bits"}]


def add_peer(family, node, number=0, length=None, dev="e0"):
    ip(node, "addr", "add", family.vip, "peer", "%s/%d" % (
        PEERS[family][number], length or family.bits), "dev", dev, *family.words)


@pytest.mark.parametrize("more", NAMED, ids=str)
def test_14_an_address_with_a_peer(family, node, agent, more):
    """Stop removes the address from its interface though it has a peer."""
    add_peer(family, node)
    follow(agent, "stop 0", **filled(family, more))
    assert places(node, family.vip) == []


@pytest.mark.parametrize("more", NAMED[:3], ids=str)
def test_14_in_several_forms(family, node, agent, more):
    """After stop the interface has the address in no form; the host's own stays."""
    add_peer(family, node, 0)
    if family is INET:      # the kernel has an IPv6 address once on an interface
        add_peer(family, node, 1)
        ip(node, "addr", "add", VIP, "peer", "198.51.100.9/24", "dev", "e0")
        family.add(node)
        family.add(node, None, 32)
        assert len(places(node)) == 5
    follow(agent, "stop 0", **filled(family, more))
    assert places(node, family.vip) == []
    assert places(node, family.own) == ["e0/%d" % family.length]


@pytest.mark.parametrize("more", NAMED[:3], ids=str)
def test_14_a_peer_comes_to_a_started_address(base4, agent, more):
    """The same where the address was started and somebody added another form of it."""
    asked = filled(INET, more)
    follow(agent, "start 0", **asked)
    add_peer(INET, base4)
    INET.add(base4, None, 28)
    follow(agent, "stop 0, probe 7", **asked)
    assert places(base4) == []


def test_14_a_peer_elsewhere_is_none_of_ours(family, node, second_nic, agent):
    """An address with a peer on another interface stays."""
    add_peer(family, node, dev="e1")
    follow(agent, "start 0, stop 0", **family.full())
    assert [place.split("/")[0] for place in places(node, family.vip)] == ["e1"]


def test_14_the_peer_is_the_address_of_somebody_else(family, node, agent):
    """An address whose peer is the VIP is another address."""
    ip(node, "addr", "add", family.second, "peer", "%s/%d" % (family.vip, family.bits),
       "dev", "e0", *family.words)
    follow(agent, "probe 7, stop 0", **dict(family.full(), cidr_netmask=family.bits))
    assert places(node, family.second)


# --- 15: half of all addresses ------------------------------------------------------------------


@pytest.fixture
def vpn(node, tun):
    """What OpenVPN's redirect-gateway lays."""
    ip(node, "addr", "add", "10.8.0.6", "peer", "10.8.0.5/32", "dev", tun)
    for half in ("0.0.0.0/1", "128.0.0.0/1"):
        ip(node, "route", "add", half, "dev", tun)
    return node


HALVES = "validate-all 1, start 1, probe 7, monitor 1, stop 0"


@pytest.mark.parametrize("more", [{}, {"cidr_netmask": 24}, {"cidr_netmask": 32}], ids=str)
@pytest.mark.parametrize("vip", ["203.0.113.50", "100.64.0.50"])
def test_15_half_of_all_addresses(vpn, agent, vip, more):
    """A route for half of all addresses is a default route in disguise."""
    before = everything(vpn)
    follow(agent, HALVES, ip=vip, **more)
    assert everything(vpn) == before


@pytest.mark.parametrize("network", ["::/1", "2000::/3", "::/2"])
def test_15_ipv6(node, tun, agent, network):
    """The same for IPv6, of which a third of a third is in use."""
    ip(node, "-6", "route", "add", network, "dev", tun)
    before = everything(node)
    follow(agent, HALVES, ip="2001:db8::50", nodad="true")
    assert everything(node) == before


@pytest.mark.parametrize("vip, network", [("203.0.113.50", "192.0.0.0/2"),
                                          ("2001:db8::50", "2000::/4")])
def test_15_a_smaller_part_counts(node, tun, agent, vip, network):
    """A quarter of IPv4, or a sixteenth of IPv6, is a route like others."""
    ip(node, "-6" if ":" in vip else "-4", "route", "add", network, "dev", tun)
    follow(agent, "validate-all 0, start 0", ip=vip, nodad="true")
    assert places(node, vip) == ["tun0/" + network.partition("/")[2]]
    follow(agent, "monitor 0, stop 0", ip=vip)


def test_15_nic_makes_it_count(vpn, agent):
    """nic names the interface: then its route counts, however wide."""
    follow(agent, "start 0", ip="203.0.113.50", nic="tun0")
    assert places(vpn, "203.0.113.50") == ["tun0/1"]
    follow(agent, "monitor 0, stop 0", ip="203.0.113.50", nic="tun0")


def test_15_a_better_route_wins(vpn, agent):
    """Beside such a route, the network's own is found as ever."""
    ip(vpn, "addr", "add", "192.0.2.1/24", "dev", "e0")
    follow(agent, "start 0", ip=VIP)
    assert places(vpn) == ["e0/24"]


# --- 17: other addresses of the network ---------------------------------------------------------


PROMOTE = "ipv4/conf/%s/promote_secondaries"


@pytest.fixture
def demoting(node):
    """The node, whose kernel takes secondary addresses along with the primary one."""
    for nic in ("all", "default", "e0"):
        setting(node, PROMOTE % nic, 0)
    return node


def held(node, dev="e0"):
    """All IPv4 addresses of an interface, as "ADDRESS/LENGTH"."""
    return {"%s/%d" % (entry["local"], entry["prefixlen"])
            for entry in addresses(node, dev) if entry["family"] == "inet"}


def settings(node):
    return [setting(node, PROMOTE % nic) for nic in ("all", "e0")]


THREE = ("192.0.2.50", "192.0.2.51", "192.0.2.52")


@pytest.mark.parametrize("first", THREE)
def test_17_three_addresses_of_one_network(demoting, agent, first):
    """The stop of any leaves the others, and the setting."""
    for vip in THREE:
        follow(agent, "start 0", ip=vip, nic="e0", cidr_netmask=24)
    follow(agent, "stop 0", ip=first, nic="e0", cidr_netmask=24)
    assert held(demoting) == {vip + "/24" for vip in THREE if vip != first}
    assert settings(demoting) == ["0", "0"]


@pytest.mark.parametrize("order", ["VIP first", "VIP last"])
@pytest.mark.parametrize("more", [{}, {"nic": "e0"}, {"nic": "e0", "cidr_netmask": "24"}], ids=str)
def test_17_the_hosts_own_address(demoting, agent, order, more):
    """The host's own address stays, be it the primary one or not."""
    both = [VIP + "/24", "192.0.2.1/24"]
    for entry in both if order == "VIP first" else reversed(both):
        ip(demoting, "addr", "add", entry, "dev", "e0")
    follow(agent, "stop 0", ip=VIP, **more)
    assert held(demoting) == {"192.0.2.1/24"}
    assert settings(demoting) == ["0", "0"]


@pytest.mark.parametrize("others", [
    ["192.0.2.51/25", "192.0.2.52/24"], ["192.0.2.51/32"], ["198.51.100.1/24"],
    ["192.0.2.51 peer 192.0.2.99/32", "192.0.2.52/24"],
    ["192.0.2.51 peer 192.0.2.99/24", "192.0.2.53/24"]], ids=str)
def test_17_other_forms_beside_it(demoting, agent, others):
    """Other prefix lengths, networks and peers are left as they were."""
    ip(demoting, "addr", "add", VIP + "/24", "dev", "e0")
    alone = held(demoting)
    for entry in others:
        ip(demoting, "addr", "add", *entry.split(), "dev", "e0")
    wanted = held(demoting) - alone
    follow(agent, "stop 0", ip=VIP, nic="e0", cidr_netmask=24)
    assert held(demoting) == wanted
    assert settings(demoting) == ["0", "0"]


def test_17_the_vip_in_several_forms(demoting, agent):
    """The VIP is primary of two networks: the secondaries of both stay."""
    for entry in (VIP + "/24", "192.0.2.51/24", VIP + "/28", "192.0.2.52/28"):
        ip(demoting, "addr", "add", entry, "dev", "e0")
    follow(agent, "stop 0", ip=VIP, nic="e0")
    assert held(demoting) == {"192.0.2.51/24", "192.0.2.52/28"}
    assert settings(demoting) == ["0", "0"]


def test_17_another_length_is_started(demoting, agent):
    """A start that moves the address to another length takes nobody along either."""
    follow(agent, "start 0", ip=VIP, nic="e0", cidr_netmask=24)
    ip(demoting, "addr", "add", "192.0.2.51/24", "dev", "e0")
    follow(agent, "start 0", ip=VIP, nic="e0", cidr_netmask=28)
    assert held(demoting) == {"192.0.2.51/24", VIP + "/28"}
    assert settings(demoting) == ["0", "0"]


@pytest.mark.parametrize("failing", ["link", "carrier"])
def test_17_a_failed_start(demoting, agent, failing):
    """A start that is taken back takes nobody along: here others came in the meantime."""
    tools = agent.stand_in("ip", 'case " $* " in *" addr add "*) %s "$@" || exit; '
                           '%s addr add 192.0.2.51/24 dev e0; exit 0;; *" link set "*" up "*) '
                           'exit 2;; esac\nexec %s "$@"\n' % (IP, IP, IP), "broken")
    env = {"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"}
    more = {}
    if failing == "carrier":
        ip(demoting, "link", "set", "dev", "p0", "down")
        more = {"check_link_status": "true"}
    done = agent("start", ip=VIP, nic="e0", cidr_netmask=24, env=env, **more)
    assert done.rc == 1, done
    assert held(demoting) == {"192.0.2.51/24"}
    assert settings(demoting) == ["0", "0"]


@pytest.mark.parametrize("before", ["0", "1"])
def test_17_the_setting_stays_as_it_was(demoting, agent, before):
    """Whatever the setting was, it is so afterwards; `all` is never touched."""
    setting(demoting, PROMOTE % "e0", before)
    for entry in (VIP + "/24", "192.0.2.51/24"):
        ip(demoting, "addr", "add", entry, "dev", "e0")
    follow(agent, "stop 0", ip=VIP, nic="e0", cidr_netmask=24)
    assert held(demoting) == {"192.0.2.51/24"}
    assert settings(demoting) == ["0", before]


@pytest.mark.parametrize("nic", ["a.b", "e0@x", "a\\b"])
def test_17_the_setting_of_an_odd_name(demoting, agent, nic):
    """The setting is found whatever the interface is called."""
    new_nic(demoting, "q0", "p1")
    ip(demoting, "link", "set", "dev", "q0", "down")
    setting(demoting, PROMOTE % "q0", 0)
    ip(demoting, "link", "set", "dev", "q0", "name", nic)
    ip(demoting, "link", "set", "dev", nic, "up")
    for entry in (VIP + "/24", "192.0.2.51/24"):
        ip(demoting, "addr", "add", entry, "dev", nic)
    follow(agent, "stop 0", ip=VIP, nic=nic, cidr_netmask=24)
    assert held(demoting, nic) == {"192.0.2.51/24"}


def test_17_two_stops_at_the_same_time(demoting, agent):
    """Twenty times: the third address stays, and the setting."""
    for turn in range(20):
        for vip in THREE:
            ip(demoting, "addr", "add", vip + "/24", "dev", "e0")
        runs = [agent.start_process("stop", None, None, ip=vip, nic="e0", cidr_netmask=24)
                for vip in THREE[:2]]
        assert [run.wait(30) for run in runs] == [0, 0]
        assert (held(demoting), settings(demoting)) == ({"192.0.2.52/24"}, ["0", "0"]), turn
        ip(demoting, "addr", "flush", "dev", "e0")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["KILL", "TERM"])
def test_17_killed_in_the_middle(demoting, agent, when, name):
    """The agent is killed as it removes the address: in the end the setting is as before, and the
    others are there."""
    for vip in THREE:
        follow(agent, "start 0", ip=vip, nic="e0", cidr_netmask=24)
    calm(demoting)
    work = '%s "$@"; ' % IP if when == "after" else ""
    env = broken_ip(agent, "*' addr del'*", work + "kill -%s $PPID; exit 0" % name)
    asked = {"ip": VIP, "nic": "e0", "cidr_netmask": 24}
    done = agent("stop", env=env, **asked)
    assert name == "TERM" or done.rc == -9, done
    follow(agent, "stop 0, monitor 7", **asked)
    wait_until(lambda: settings(demoting) == ["0", "0"], "the setting")
    assert held(demoting) == {"192.0.2.51/24", "192.0.2.52/24"}


def test_17_the_setting_cannot_be_written(demoting, agent):
    """/proc/sys cannot be written: the address is removed all the same, with a warning."""
    for vip in THREE:
        ip(demoting, "addr", "add", vip + "/24", "dev", "e0")
    agent.by = ["/bin/sh", "-c", "mount --bind -o ro /proc/sys /proc/sys && "
                "mount -o remount,bind,ro /proc/sys && exec \"$@\"", "sh"]
    done = follow(agent, "stop 0", ip=VIP, nic="e0", cidr_netmask=24)
    assert places(demoting) == []
    assert "WARNING" in done.log, done


def test_17_the_lock_cannot_be_had(demoting, agent):
    """HA_RSCTMP is no folder: it is done without the lock."""
    for vip in THREE:
        ip(demoting, "addr", "add", vip + "/24", "dev", "e0")
    agent.rsctmp.rmdir()
    agent.rsctmp.write_text("mine\n")
    follow(agent, "stop 0", ip=VIP, nic="e0", cidr_netmask=24)
    assert held(demoting) == {"192.0.2.51/24", "192.0.2.52/24"}
    assert settings(demoting) == ["0", "0"]


def test_17_in_a_namespace(demoting, netns, agent):
    """The setting is that of the namespace in which the address is."""
    other = netns()
    for vip in THREE:
        follow(agent, "start 0", inside=other, ip=vip, nic="e0", cidr_netmask=24,
               network_namespace=demoting)
    follow(agent, "stop 0", inside=other, ip=VIP, nic="e0", cidr_netmask=24,
           network_namespace=demoting)
    assert held(demoting) == {"192.0.2.51/24", "192.0.2.52/24"}
    assert settings(demoting) == ["0", "0"]


# --- 18: another program's route ----------------------------------------------------------------


FOREIGN = [("proto", "ra", "metric", "100"), ("proto", "static", "metric", "1024"),
           ("proto", "ra", "metric", "256"), ("proto", "kernel", "metric", "100"),
           ("proto", "kernel", "metric", "256", "expires", "600"), ("proto", "ra"),
           ("proto", "kernel", "metric", "256")]


@pytest.mark.parametrize("words", FOREIGN, ids=" ".join)
def test_18_the_networks_route_is_another_programs(node, agent, words):
    """The on-link route that another program made survives start and stop, and stays the only
    one."""
    ip(node, "addr", "add", "2001:db8::1/128", "dev", "e0", "nodad")
    ip(node, "-6", "route", "add", "2001:db8::/64", "dev", "e0", *words)
    before = network_routes(node, INET6)
    assert len(before) == 1
    for action in ("start", "stop", "start", "stop"):
        follow(agent, action + " 0", **INET6.full())
        assert places(node, VIP6) == (["e0/64"] if action == "start" else [])
        assert network_routes(node, INET6) == before, action


def test_18_beside_an_address_without_a_route(node, agent):
    """The host's address is marked noprefixroute: its route is somebody's, even with the kernel's
    proto and metric."""
    ip(node, "addr", "add", "2001:db8::1/64", "dev", "e0", "nodad", "noprefixroute")
    ip(node, "-6", "route", "add", "2001:db8::/64", "dev", "e0", "proto", "kernel", "metric", "256")
    before = network_routes(node, INET6)
    follow(agent, "start 0", **INET6.full())
    assert address(node, VIP6).get("noprefixroute")
    follow(agent, "stop 0", **INET6.full())
    assert network_routes(node, INET6) == before


def test_18_the_kernels_own_route(base6, agent):
    """Where the kernel laid the route for an address, the VIP is added as ever."""
    before = network_routes(base6, INET6)
    follow(agent, "start 0", **INET6.full())
    assert not address(base6, VIP6).get("noprefixroute")
    follow(agent, "stop 0", **INET6.full())
    assert network_routes(base6, INET6) == before


@pytest.mark.parametrize("words", [
    ["2001:db8::/48", "dev", "e0"], ["2001:db8::/64", "via", "fe80::1", "dev", "e0"],
    ["2001:db8::/64", "dev", "e1", "metric", "100"]], ids=" ".join)
def test_18_other_routes_are_no_matter(node, second_nic, agent, words):
    """A route of another length, by a gateway or over another interface asks for nothing."""
    ip(node, "-6", "route", "add", *words)
    before = [entry for entry in routes(node, "inet6")]
    follow(agent, "start 0", **INET6.full())
    assert not address(node, VIP6).get("noprefixroute")
    follow(agent, "stop 0", **INET6.full())
    assert routes(node, "inet6") == before


# --- 19: another host has it for a while --------------------------------------------------------


DETECTED = {"ip": VIP6, "nic": "e0", "cidr_netmask": 64}


@pytest.fixture
def holder(far, node):
    """The far host, which holds the VIP; the node has its base address."""
    ip(node, "addr", "add", "2001:db8::1/64", "dev", "e0", "nodad")
    ip(far, "addr", "add", VIP6 + "/64", "dev", "f0", "nodad")
    return far


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.4, 1.5, 3])
def test_19_given_up_meanwhile(holder, node, agent, seconds):
    """Another host gives the address up while it is started: it is tried anew."""
    with later(seconds, lambda: ip(holder, "addr", "delete", VIP6 + "/64", "dev", "f0")):
        done = agent("start", **DETECTED)
    assert done.rc == 0 and done.seconds < seconds + 3, done
    assert "tentative" not in address(node, VIP6) and "dadfailed" not in address(node, VIP6)
    follow(agent, "monitor 0, stop 0", **DETECTED)
    assert places(node, VIP6) == []


@pytest.mark.slow
def test_19_kept(holder, node, agent):
    """Another host keeps the address: 1 within 14 s, and nothing is left."""
    before = everything(node)
    done = follow(agent, "start 1", **DETECTED)
    assert done.seconds < 14 and VIP6 in done.reason, done
    assert everything(node) == before and not notes(agent, VIP6)
    calm(node)


@pytest.mark.slow
@pytest.mark.parametrize("milliseconds", [2000, 6000])
def test_19_kept_and_little_time(holder, node, agent, milliseconds):
    """With little time given it is 1 within that time."""
    done = follow(agent, "start 1", CRM_meta_timeout=milliseconds, **DETECTED)
    assert milliseconds / 2000 - 1.1 < done.seconds < milliseconds / 1000, done
    assert places(node, VIP6) == []


# --- 20: another hardware address ---------------------------------------------------------------


MACS = ("02:00:00:00:00:07", "02:00:00:00:00:08")


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"arp_bg": "false"}], ids=str)
def test_20_the_mac_is_changed_while_it_is_announced(family, node, agent, wire, more):
    """Every packet after the change carries the new hardware address, as its source too."""
    heard = wire()
    asked = {**family.full(), "arp_sender": "builtin", "arp_count": 12, "arp_interval": 200,
             "arp_bg": "true", **more}
    packets = heard.arps if family is INET else heard.advertisements
    with later(0.8, lambda: ip(node, "link", "set", "dev", "e0", "address", MACS[0])):
        follow(agent, "start 0", **asked)
    calm(node)
    told = [packet["mac"] for packet in packets(family.vip)]
    assert told.index(MACS[0]) > 1 and len(told) >= 12, told
    assert set(told[told.index(MACS[0]):]) == {MACS[0]} and told.count(MACS[0]) >= 7, told
    sources = [source(frame) for frame in heard.frames() if announces(frame, family)]
    assert sources == told


def announces(frame, family):
    """Whether a frame is an announcement of the family's VIP."""
    packet = arp(frame) if family is INET else advertisement(frame)
    return bool(packet) and packet["sender" if family is INET else "target"] == family.vip


@pytest.mark.slow
def test_20_and_changed_back(base4, agent, wire):
    """The same twice over: no packet has a mixture of the two."""
    heard = wire()
    first = links(base4)["e0"]["address"]
    follow(agent, "start 0", ip=VIP, arp_sender="builtin", arp_count=12, arp_interval=150)
    for mac in (MACS[1], first):
        seen = len(heard.arps(VIP))
        wait_until(lambda: len(heard.arps(VIP)) > seen, "a packet")
        ip(base4, "link", "set", "dev", "e0", "address", mac)
        wait_until(lambda: heard.arps(VIP)[-1]["mac"] == mac, "the new one")
    calm(base4)
    for frame in heard.frames():
        if announces(frame, INET):
            assert arp(frame)["mac"] == source(frame)
    changes = [mac for mac, _ in itertools.groupby(
        packet["mac"] for packet in heard.arps(VIP))]
    assert changes == [first, MACS[1], first]


# --- 23, 24: what happens to the interface ------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"nic": "e0"}, {"cidr_netmask": "length"}], ids=str)
def test_23_interface_set_down(family, node, agent, more):
    """The interface is set down under the address: not running, until it is up again."""
    keep_on_down(node)
    asked = {**family.asked, **more}
    if "cidr_netmask" in more:
        asked["cidr_netmask"] = family.length
    follow(agent, "start 0", **asked)
    ip(node, "link", "set", "dev", "e0", "down")
    assert places(node, family.vip) == ["e0/%d" % family.length]
    follow(agent, "monitor 7, status 7, probe 7", **asked)
    ip(node, "link", "set", "dev", "e0", "up")
    follow(agent, "monitor 0", **asked)
    ip(node, "link", "set", "dev", "e0", "down")
    follow(agent, "stop 0", **asked)
    assert places(node, family.vip) == []


def test_23_interface_set_down_with_all_given(family, node, agent):
    """With nic and cidr_netmask given, an address that is there is running, as ever."""
    keep_on_down(node)
    follow(agent, "start 0", **family.full())
    ip(node, "link", "set", "dev", "e0", "down")
    follow(agent, "monitor 0, probe 0, stop 0", **family.full())
    assert places(node, family.vip) == []


@pytest.mark.parametrize("other", [True, False], ids=["one stays", "all go"])
def test_24_addresses_flushed(family, node, agent, other):
    """All addresses of the interface are flushed: 7, then as before once the host's is back."""
    follow(agent, "start 0", **family.asked)
    ip(node, family.option, "addr", "flush", "dev", "e0", "scope", "global")
    if other:
        ip(node, family.option, "addr", "add", "%s/%d" % (family.second, family.bits), "dev", "e0",
           *family.words)
    follow(agent, "monitor 7", **family.asked)
    family.add(node, family.own)
    follow(agent, "monitor 7, stop 0, start 0", **family.asked)
    assert places(node, family.vip) == ["e0/%d" % family.length]


def test_24_interface_gone(family, node, agent):
    """The interface is gone with all addresses: nothing is running, and nothing to stop."""
    follow(agent, "start 0", **family.asked)
    calm(node)
    ip(node, "link", "delete", "dev", "e0")
    follow(agent, "probe 7, stop 0", **family.asked)
    assert not notes(agent, family.vip)


# --- 27: what the kernel refuses ----------------------------------------------------------------


@pytest.mark.parametrize("nic", ["e0", "all"])
def test_27_ipv6_is_off(node, agent, nic):
    """IPv6 is switched off, on the interface or everywhere: the reason says so."""
    setting(node, "ipv6/conf/%s/disable_ipv6" % nic, 1)
    done = follow(agent, "start 1", **INET6.full())
    assert has_ipv6_word(done.reason) and "e0" in done.reason, done
    assert not notes(agent, VIP6)


@pytest.mark.parametrize("sentence", [
    "RTNETLINK answers: Permission denied", "RTNETLINK answers: Cannot allocate memory",
    "Error: ipv4: Address already assigned elsewhere."])
def test_27_the_kernels_sentence(family, node, agent, sentence):
    """The reason carries what the kernel said."""
    env = broken_ip(agent, "*' addr add '*", "echo '%s' >&2; exit 2" % sentence)
    done = follow(agent, "start 1", env=env, **family.full())
    assert sentence.partition(": ")[2] in done.reason, done
    assert not notes(agent, family.vip)


def test_27_a_real_refusal(node, agent):
    """An interface whose packets are too small for IPv6."""
    ip(node, "link", "set", "dev", "e0", "mtu", "1000")
    said = ip(node, "addr", "add", VIP6 + "/64", "dev", "e0", check=False).strip()
    done = follow(agent, "start 1", **INET6.full())
    assert said and said.partition(": ")[2] in done.reason, (said, done)


# --- 40: signals that the caller left -----------------------------------------------------------


SIGNALS = [["--ignore-signal=CHLD"], ["--ignore-signal=INT", "--ignore-signal=TERM"],
           ["--block-signal=CHLD,TERM,INT"], ["--block-signal"], ["--ignore-signal=PIPE,HUP,ALRM"],
           ["--block-signal=ALRM", "--ignore-signal=CHLD"]]


@pytest.mark.parametrize("words", SIGNALS, ids=" ".join)
def test_40_signals_ignored_or_blocked(family, node, agent, words):
    """Signals that the caller ignores or blocks change nothing."""
    agent.by = ["env", *words]
    follow(agent, "start 0, monitor 0, stop 0, monitor 7", **family.asked)
    assert places(node, family.vip) == []
    calm(node)


@pytest.mark.parametrize("words", SIGNALS, ids=" ".join)
def test_40_children_have_the_default(base4, agent, words):
    """Nor do the programs that the agent starts inherit any of it, in any action."""
    agent.by = ["env", *words]
    path = agent.folder / "signals"
    tools = agent.stand_in("ip", "grep -E '^Sig(Blk|Ign)' /proc/self/status >>%s\nexec %s \"$@\"\n"
                           % (path, IP), "noting")
    env = {"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"}
    for action in ("start", "monitor", "stop"):
        path.write_text("")
        follow(agent, action + " 0", ip=VIP, arp_bg="false", arp_count=1, env=env)
        # 32 and 33 are glibc's own, which posix_spawn(3) has ignored in what it starts.
        assert {int(line.split()[1], 16) & ~(3 << 31)
                for line in path.read_text().splitlines()} == {0}, action


@pytest.mark.parametrize("words", SIGNALS[1:4], ids=" ".join)
def test_40_the_sender_is_ended(family, node, agent, words):
    """A sender started by such a caller is ended by stop."""
    agent.by = ["env", *words]
    for more in ({}, {"arp_sender": "builtin"}):
        asked = {**family.full(), "arp_count": 500, "arp_interval": 200, "arp_bg": "true", **more}
        follow(agent, "start 0", **asked)
        wait_until(lambda: processes(node), "the sender")
        agent.by = ()
        follow(agent, "stop 0", **asked)
        calm(node)


# --- 41, 42: names ------------------------------------------------------------------------------


NAMES = ["dadfailed", "tentative", "secondary", "linkdown", "dead", "peer", "scope", "nexthop",
         "valid_lft", "inet", "ipsec0", "a\\b", "e0@x", "fifteen-letters", "brücke", "e0.100",
         "<UP>", "state", "[id]", "a'b", "$x", "*", "via"]


@pytest.mark.parametrize("nic", NAMES)
def test_41_interface_named_like_a_word(base4, agent, nic):
    """Whatever the interface is called, and words that `ip` prints are such names."""
    new_nic(base4, "q0", "p1")
    rename(base4, "q0", nic)
    for family in (INET, INET6):
        follow(agent, "probe 7, start 0", **family.full(nic))
        assert places(base4, family.vip) == ["%s/%d" % (nic, family.length)]
        follow(agent, "monitor 0, stop 0", **family.full(nic))
        assert places(base4, family.vip) == []


@pytest.mark.parametrize("nic", ["dadfailed", "nexthop", "a\\b", "via", "linkdown", "e0@x",
                                 "ipsec0"])
def test_41_found_by_the_route(node, agent, nic):
    """The same where nothing names the interface but its route."""
    rename(node, "e0", nic)
    for family in (INET, INET6):
        family.add(node, family.own, None, nic)
        follow(agent, "validate-all 0, probe 7, start 0", **family.asked)
        assert places(node, family.vip) == ["%s/%d" % (nic, family.length)]
        follow(agent, "monitor 0, stop 0, monitor 7", **family.asked)


@pytest.mark.parametrize("nic", ["-", "-x", "e 0", "e0\tup"])
def test_41_what_no_command_sees(base4, agent, nic):
    """A leading dash or white space inside is refused."""
    follow(agent, "validate-all 6, start 6, probe 7, monitor 1, stop 0", ip=VIP, nic=nic,
           cidr_netmask=24)
    assert places(base4) == []


@pytest.mark.parametrize("other", ["e0@x", "e0@NONE", "e0@if3", "xe0", "e00", "e0."])
def test_42_a_name_that_begins_like_ours(family, node, agent, other):
    """An interface whose name has ours in it holds the address: ours has it not."""
    new_nic(node, "q0", "p1")
    rename(node, "q0", other)
    family.add(node, None, None, other, "noprefixroute")
    follow(agent, "probe 7, start 0", **family.full())
    full = "/%d" % family.length
    assert places(node, family.vip) == ["e0" + full, other + full]
    follow(agent, "monitor 0, stop 0, probe 7", **family.full())
    assert places(node, family.vip) == [other + full]


@pytest.mark.parametrize("name", ["up", "uplink-to-the-world0", "x" * 127])
def test_41_altnames(family, node, agent, name):
    """An altname, short or long, names the interface."""
    ip(node, "link", "property", "add", "dev", "e0", "altname", name)
    follow(agent, "validate-all 0, probe 7, start 0", **family.full(name))
    assert places(node, family.vip) == ["e0/%d" % family.length]
    follow(agent, "monitor 0, start 0, stop 0, monitor 7", **family.full(name))


# --- 43: numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("count, interval, rounds, least", [
    ("0000003", "300", 3, 0.6), ("00000000000000000000001", "300", 1, 0),
    ("2", "0000000300", 2, 0.3), ("0000000003", "00000000200", 3, 0.4)])
def test_43_leading_zeros(family, node, agent, wire, count, interval, rounds, least):
    """Zeros at the beginning of a number do not count."""
    heard = wire()
    begin = time.monotonic()
    follow(agent, "start 0", **family.full(), arp_sender="builtin", arp_bg="false",
           arp_interval=interval, arp_count=count)
    taken = time.monotonic() - begin
    sent = len(heard.arps(VIP)) / 2 if family is INET else len(heard.advertisements(VIP6))
    assert sent == rounds
    assert least <= taken < least + 1


def test_index_is_not_taken_for_a_name(base4, agent):
    """An interface may be called by a number, which is no index."""
    new_nic(base4, "q0", "p1")
    number = str(index(base4, "e0"))
    rename(base4, "q0", number)
    follow(agent, "start 0", **INET.full(number))
    assert places(base4) == [number + "/24"]
    follow(agent, "monitor 0, stop 0, monitor 7", **INET.full(number))
