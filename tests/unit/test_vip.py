# SPDX-License-Identifier: GPL-2.0-only
"""Parameters that are wrong, one at a time: refused before anything is done, and never by stop."""

import pytest

from tests.unit.scenes import DELETE4, DELETE6, ON_ETH0, ON_ETH0_6, SHOW4, SHOW6

LONG = "9" * 30

#: Parameter and values that are wrong in any family.
ANYWHERE = {
    "nic": ("eth9", "eth0 ", "-eth0", "eth0;id", "eth0 eth1", "a\tb", "enp0s31f6 in the back"),
    "cidr_netmask": ("0", "129", "x", "-1", "24 ", "1.2.3", "0x18", "+24", LONG, "24.0", "\u0662"),
    "iflabel": ("averylonglabel", "a b", "-x", "\u00e4\u00f6\u00fc\u00df\u00e9\u00e9"),
    "mac": ("x", "01:00:5e:00:01", "01:00:5e:00:01:02:03", "zz:zz:zz:zz:zz:zz", "1:::::"),
    "arp_interval": ("0", "-1", "x", "", "1.5", " 200", "2e2", LONG, "\u0662"),
    "arp_count": ("0", "-1", "x", "", "1.5", "5 ", "0x5", LONG),
    "arp_count_refresh": ("x", "-1", "1.5", LONG),
    "arp_repeat_after": ("x", "-1", "1.5", LONG),
    "metric": ("x", "-1", "1.5", "4294967296", LONG),
    "arp_sender": ("arping", "x", "send_arp ", "-x"),
    "preferred_lft": ("",),
    "proto": ("-x", "a b"),
}
#: The same for IPv4 and IPv6.
IPV4 = {
    "ip": ("192.0.2.256", "192.0.2.050", "224.0.0.1", "0.0.0.0", "255.255.255.255", "192.0.2.10/25",
           "192.0.2.10 ", "-192.0.2.10", "192.0.2", "host", "192.0.2.10 eth0"),
    "cidr_netmask": ("33", "255.0.255.0", "255.255.255.256"),
    "broadcast": ("x", "192.0.2", "192.0.2.256", "192.0.2.127 ", "++", "-x", "0.0.0.0", "::1"),
    "lvs_ipv6_addrlabel": ("true",),
}
IPV6 = {
    "ip": (":::", "::", "ff02::1", "2001:db8::e/64", "2001:db8::e ", "2001:db8::e%eth0", "-::1",
           "::ffff:192.0.2.1", "2001:db8::g", "1:2:3:4:5:6:7:8:9"),
    "lvs_support": ("true", "1", "ja"),
    "preferred_lft": ("1 2", "-1"),
}


def cases():
    for name, values in ANYWHERE.items():
        for value in values:
            yield ON_ETH0, name, value
    for good, table in ((ON_ETH0, IPV4), (ON_ETH0_6, IPV6)):
        for name, values in table.items():
            for value in values:
                yield good, name, value


@pytest.mark.parametrize("good, name, value", list(cases()))
def test_bad_values_are_refused(agent, good, name, value):
    for action in ("start", "validate-all"):
        done = agent(action, **dict(good, **{name: value}))
        assert done.rc == 6, (action, done)
        assert len(done.reasons) == 1
        assert name in done.reasons[0].split()
        assert "[%s]" % value in done.reasons[0] or not value and "empty" in done.reasons[0]


@pytest.mark.parametrize("good, name, value", [
    case for case in cases() if case[1] not in ("ip", "nic", "cidr_netmask")])
def test_no_optional_value_stops_a_stop(fp, agent, scene, good, name, value):
    show, here, delete = (SHOW4, scene.here, DELETE4) if good is ON_ETH0 else \
        (SHOW6, scene.here6, DELETE6)
    fp.query(show, here)
    fp.run(delete)
    fp.query(show)
    done = agent("stop", **dict(good, **{name: value}))
    assert (done.rc, done.reasons) == (0, []), done


@pytest.mark.parametrize("good, name, value", [
    case for case in cases() if case[1] in ("ip", "nic")])
def test_stop_has_nothing_to_do_for_what_cannot_be(fp, agent, good, name, value):
    if len(value) > 15 and name == "nic":
        fp.query(["ip", "link", "show", "dev", value], err="does not exist", rc=1)
    if value in ("224.0.0.1", "0.0.0.0", "255.255.255.255"):        # spelled like one
        fp.query("ip -o -f inet addr show to " + value)
    if value in ("::", "ff02::1", "::ffff:192.0.2.1"):
        fp.query("ip -o -f inet6 addr show to " + value)
    done = agent("stop", **dict(good, **{name: value}))
    assert (done.rc, done.reasons) == (0, []), done


@pytest.mark.parametrize("value", ANYWHERE["cidr_netmask"] + IPV4["cidr_netmask"])
def test_stop_takes_a_prefix_length_that_cannot_be_for_none(fp, agent, scene, value):
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    done = agent("stop", **dict(ON_ETH0, cidr_netmask=value))
    assert (done.rc, done.reasons) == (0, []), done


# --- several parameters ----------------------------------------------------------------------


@pytest.mark.parametrize("given, env, word", [
    (dict(ON_ETH0_6, lvs_ipv6_addrlabel="true", lvs_ipv6_addrlabel_value="x"), {},
     "lvs_ipv6_addrlabel_value"),
    (dict(ON_ETH0_6, lvs_ipv6_addrlabel="true", lvs_ipv6_addrlabel_value=""), {},
     "lvs_ipv6_addrlabel_value"),
    (dict(ON_ETH0_6, lvs_ipv6_addrlabel="true", lvs_ipv6_addrlabel_value="-1"), {},
     "lvs_ipv6_addrlabel_value"),
    (dict(ON_ETH0, unique_clone_address="true"), {}, "unique_clone_address"),
    (dict(ON_ETH0, unique_clone_address="true", CRM_meta_globally_unique="no"), {},
     "unique_clone_address"),
    (dict(ON_ETH0, lvs_support="true", CRM_meta_clone_max="2"), {}, "lvs_support"),
    (dict(ON_ETH0, CRM_meta_clone_max="0"), {}, "clone_max"),
    (dict(ON_ETH0, CRM_meta_clone_max="x"), {}, "clone_max"),
    (dict(ON_ETH0, CRM_meta_clone_max="-2"), {}, "clone_max"),
    ({"ip": "fe80::1", "cidr_netmask": "64"}, {}, "nic"),
    ({"ip": "febf::1"}, {}, "nic"),
    ({"ip": "192.0.2.10", "nic": ":web"}, {}, "nic"),
])
def test_values_that_do_not_go_together(fp, agent, captured, given, env, word):
    if given.get("nic") == ":web":
        fp.keep_last_process(True)
    for action in ("start", "validate-all"):
        if given.get("nic") == ":web":
            fp.query("ip -o -f inet route list match 192.0.2.10 scope link")
        done = agent(action, env=env, **given)
        assert done.rc == (1 if given.get("nic") == ":web" else 6)
        assert word in done.reasons[0]


@pytest.mark.parametrize("name, value", [
    ("iflabel", "12345"), ("iflabel", "1234567890"), ("arp_interval", "1"), ("arp_count", "007"),
    ("metric", "0"), ("metric", "4294967295"), ("mac", "01:00:5e:00:01:02"), ("broadcast", "+"),
    ("mac", "01-00-5E-00-01-02"), ("broadcast", "255.255.255.255"), ("cidr_netmask", "255.255.0.0"),
    ("cidr_netmask", "32"), ("cidr_netmask", "1"), ("nic", "uplink"), ("nic", "up"),
    ("nic", "primary"), ("nic", "eth0:web"), ("send_arp_opts", "-A -x"), ("arp_bg", "perhaps"),
    ("preferred_lft", "1 2"), ("lvs_ipv6_addrlabel_value", "x"), ("arp_sender", "builtin"),
    ("run_arping", "y"), ("proto", "kernel"), ("ip", "127.0.0.3"), ("ip", "1.0.0.0")])
def test_good_values(agent, name, value):
    assert agent("validate-all", **dict(ON_ETH0, **{name: value})).rc == 0


@pytest.mark.parametrize("value", ["2001:DB8:0:0::000E", "fe80::1", "::1", "fd00::",
                                   "::ffff:c000:201"])
def test_good_ipv6_addresses(agent, value):
    assert agent("validate-all", **dict(ON_ETH0_6, ip=value)).rc == 0


@pytest.mark.parametrize("given", [{"broadcast": "x"}, {"iflabel": "web"}, {"cidr_netmask": "128"}])
def test_what_ipv6_does_without(agent, given):
    done = agent("validate-all", **dict(ON_ETH0_6, **given))
    assert done.rc == 0
    assert ("iflabel" in given) is any("iflabel [web]" in line for line in done.log)


@pytest.mark.parametrize("alias, netmask, good", [("25", None, True), ("25", "", True),
                                                  ("x", "25", True), ("x", "", False)])
def test_the_old_name_of_cidr_netmask(agent, alias, netmask, good):
    given = {"ip": "192.0.2.10", "nic": "eth0", "netmask": alias}
    if netmask is not None:
        given["cidr_netmask"] = netmask
    assert agent("validate-all", **given).rc == (0 if good else 6)


@pytest.mark.parametrize("action, rc", [("monitor", 0), ("status", 0), ("probe", 0)])
@pytest.mark.parametrize("given", [{"broadcast": "x"}, {"mac": "x"}, {"metric": "x"},
                                   {"arp_count_refresh": ""}])
def test_what_monitor_does_not_look_at(fp, agent, scene, action, rc, given):
    fp.query(SHOW4, scene.here)
    assert agent(action, **dict(ON_ETH0, **given)).rc == rc


@pytest.mark.parametrize("given", [
    {"arp_count": "0"}, {"arp_interval": "x"}, {"preferred_lft": ""}, {"iflabel": "averylonglabel"},
    {"arp_sender": "x"}])
def test_what_monitor_refuses_as_the_shell_agent_does(agent, given):
    for action in ("monitor", "status", "probe"):
        assert agent(action, **dict(ON_ETH0, **given)).rc == 6
