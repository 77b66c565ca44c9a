# SPDX-License-Identifier: GPL-2.0-only
"""Parameters that are wrong, one at a time: refused before anything is done, and never by stop."""

import pytest

from ipaddr2_py import addresses, commands, ocf, params, place, vip
from ipaddr2_py.changes import promotion
from tests.unit.scenes import DELETE4, DELETE6, ON_ETH0, ON_ETH0_6, ROUTE4, SHOW4, SHOW6

LONG = "9" * 30

#: Parameter and values that are wrong in any family.
ANYWHERE = {
    "nic": ("eth9", "-eth0", "eth0;id", "eth0 eth1", "a\tb", "enp0s31f6 in the back"),
    "cidr_netmask": ("0", "129", "x", "-1", "2 4", "1.2.3", "0x18", "+24", LONG, "24.0", "\u0662"),
    "iflabel": ("averylonglabel", "a b", "-x", "\u00e4\u00f6\u00fc\u00df\u00e9\u00e9"),
    "mac": ("x", "01:00:5e:00:01", "01:00:5e:00:01:02:03", "zz:zz:zz:zz:zz:zz", "1:::::"),
    "arp_interval": ("0", "-1", "x", "", "1.5", "2 00", "2e2", LONG, "\u0662"),
    "arp_count": ("0", "-1", "x", "", "1.5", "5 5", "0x5", LONG),
    "arp_count_refresh": ("x", "-1", "1.5", LONG),
    "arp_repeat_after": ("x", "-1", "1.5", LONG),
    "metric": ("x", "-1", "1.5", "4294967296", LONG),
    "arp_sender": ("arping", "x", "send_arp send_arp", "-x"),
    "preferred_lft": ("",),
    "proto": ("-x", "a b"),
}
#: The same for IPv4 and IPv6.
IPV4 = {
    "ip": ("192.0.2.256", "192.0.2.050", "224.0.0.1", "0.0.0.0", "255.255.255.255", "192.0.2.10/25",
           "-192.0.2.10", "192.0.2", "host", "192.0.2.10 eth0"),
    "cidr_netmask": ("33", "255.0.255.0", "255.255.255.256"),
    "broadcast": ("x", "192.0.2", "192.0.2.256", "192.0.2.127 0", "++", "-x", "0.0.0.0", "::1"),
    "lvs_ipv6_addrlabel": ("true",),
}
IPV6 = {
    "ip": (":::", "::", "ff02::1", "2001:db8::e/64", "2001:db8:: e", "2001:db8::e%eth0", "-::1",
           "::ffff:192.0.2.1", "2001:db8::g", "1:2:3:4:5:6:7:8:9"),
    "lvs_support": ("true", "1", "ja"),
    "preferred_lft": ("1 2", "-1"),
}


#: What is refused before it is looked where the address is.
EARLY = ("ip", "nic", "cidr_netmask", "broadcast", "proto", "lvs_support", "lvs_ipv6_addrlabel")


def cases():
    for name, values in ANYWHERE.items():
        for value in values:
            yield ON_ETH0, name, value
    for good, table in ((ON_ETH0, IPV4), (ON_ETH0_6, IPV6)):
        for name, values in table.items():
            for value in values:
                yield good, name, value


@pytest.mark.parametrize("good, name, value", list(cases()))
def test_bad_values_are_refused(fp, agent, good, name, value):
    for action in ("start", "validate-all"):
        if action == "start" and name not in EARLY and (name, value) not in (
                ("iflabel", "a b"), ("iflabel", "-x")):
            fp.query(SHOW4 if good is ON_ETH0 else SHOW6)
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
def test_stop_has_nothing_to_do_for_what_cannot_be(fp, agent, scene, good, name, value):
    if name == "nic":
        fp.query(SHOW4, scene.here)
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
    (dict(ON_ETH0, CRM_meta_clone="x"), {}, "clone"),
    (dict(ON_ETH0, CRM_meta_clone_max="2", CRM_meta_clone="-1"), {}, "clone"),
    (dict(ON_ETH0, ip="255.255.255.254", unique_clone_address="true", CRM_meta_clone="2"), {},
     "clone"),
    (dict(ON_ETH0, route_table="all"), {}, "route_table"),
    ({"ip": "fe80::1", "cidr_netmask": "64"}, {}, "nic"),
    ({"ip": "febf::1"}, {}, "nic"),
    ({"ip": "192.0.2.10", "nic": ":web"}, {}, "nic"),
])
def test_values_that_do_not_go_together(fp, agent, captured, given, env, word):
    for action in ("start", "validate-all"):
        if given.get("nic") == ":web":
            fp.query(ROUTE4)
        if action == "start" and (given.get("nic") == ":web" or word == "unique_clone_address"):
            fp.query(SHOW4)
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
    ("run_arping", "y"), ("proto", "kernel"), ("ip", "127.0.0.3"), ("ip", "1.0.0.0"),
    ("ip", "240.0.0.5"), ("ip", "192.0.2.10 "), ("ip", "\t192.0.2.10\n"), ("nic", "eth0 "),
    ("nic", " uplink"), ("cidr_netmask", "24 "), ("cidr_netmask", " 255.255.0.0 "),
    ("arp_interval", " 200"), ("arp_interval", "00200"), ("arp_count", "5 "),
    ("arp_sender", "send_arp "), ("broadcast", "192.0.2.127 "), ("iflabel", " web "),
    ("mac", " 01:00:5e:00:01:02"), ("proto", " kernel\n"), ("metric", "007"), ("metric", " 7 ")])
def test_good_values(agent, name, value):
    assert agent("validate-all", **dict(ON_ETH0, **{name: value})).rc == 0


@pytest.mark.parametrize("value", ["2001:DB8:0:0::000E", "fe80::1", "::1", "fd00::",
                                   "::ffff:c000:201"])
def test_good_ipv6_addresses(agent, value):
    assert agent("validate-all", **dict(ON_ETH0_6, ip=value)).rc == 0


@pytest.mark.parametrize("given", [{"broadcast": "x"}, {"iflabel": "web"}, {"cidr_netmask": "128"},
                                   {"lvs_ipv6_addrlabel_value": "x"}])
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
def test_what_monitor_refuses_as_the_shell_agent_does(fp, agent, given):
    for action in ("monitor", "status", "probe"):
        fp.query(SHOW4)
        assert agent(action, **dict(ON_ETH0, **given)).rc == 6


# --- words that a command would take for more ------------------------------------------------

BAD_WORDS = ("a b", "-x", "a\tb", "a\nb", "a\rb", "a\vb", "a\fb", "-", "--")


@pytest.mark.parametrize("name", ["ip", "nic", "cidr_netmask"])
@pytest.mark.parametrize("value", BAD_WORDS)
@pytest.mark.parametrize("action, rc", [("probe", 7), ("monitor", 1), ("status", 1)])
def test_nothing_is_found_by_words(agent, name, value, action, rc):
    """Not 6, which a probe would ban the resource by: as where no route tells."""
    done = agent(action, **dict(ON_ETH0, **{name: value}))
    assert (done.rc, done.out) == (rc, "")
    assert len(done.reasons) == (rc == 1)
    assert rc == 7 or name in done.reasons[0].split() and value.split()[0] in done.reasons[0]


@pytest.mark.parametrize("action", ["probe", "monitor", "status"])
@pytest.mark.parametrize("good", [ON_ETH0, ON_ETH0_6])
@pytest.mark.parametrize("value", BAD_WORDS)
def test_other_words_do_not_matter_to_a_monitor(fp, agent, scene, good, value, action):
    """All of them at once, so that each is passed over."""
    names = {one.name for one in params.TABLE} - {
        "ip", "nic", "cidr_netmask", "network_namespace"}
    fp.query(*((SHOW4, scene.here) if good is ON_ETH0 else (SHOW6, scene.here6)))
    done = agent(action, **dict({name: value for name in names}, **good))
    assert (done.rc, done.reasons) == (0, [])


@pytest.mark.parametrize("action", ["monitor", "start", "validate-all"])
def test_refuse_bad_words_leaves_good_ones(host, action):
    values = dict(params.read({}), ip="192.0.2.10", nic="eth0", broadcast="-", iflabel="web",
                  send_arp_opts="-A -x", mac="")
    before = dict(values)
    vip.refuse_bad_words(action, values)
    assert values == before


def test_a_bad_word_gives_way_to_the_default(host):
    values = dict(params.read({}), arp_interval="2 00", arp_sender="-x", broadcast="--",
                  preferred_lft="1 2")
    vip.refuse_bad_words("monitor", values)
    assert values == params.read({})


@pytest.mark.parametrize("name", ["ip", "nic", "cidr_netmask", "iflabel", "proto"])
def test_a_start_refuses_them(fp, host, name):
    for value in BAD_WORDS:
        with pytest.raises(ocf.OcfExit) as leaving:
            vip.refuse_bad_words("start", dict(params.read({}), **{name: value}))
        assert leaving.value.rc == 6


# --- numbers with zeros in front -------------------------------------------------------------


@pytest.mark.parametrize("given, words", [
    ({"metric": "007"}, "metric 7"), ({"metric": "0"}, "metric 0"),
    ({"metric": "010"}, "metric 10")])          # an octal number to `ip`, were it passed on
def test_zeros_in_front(fp, agent, scene, given, words):
    scene.look()
    scene.add("ip -f inet addr add 192.0.2.10/25 brd 192.0.2.127 dev eth0 " + words)
    scene.announce()
    assert agent("start", **dict(ON_ETH0, cidr_netmask="025", **given)).rc == 0


@pytest.mark.parametrize("netmask, rc", [("025", 0), ("24", 7), ("024", 7), ("0025", 7)])
def test_zeros_in_front_of_a_prefix_length(fp, agent, scene, netmask, rc):
    fp.query(SHOW4, scene.here)
    assert agent("monitor", **dict(ON_ETH0, cidr_netmask=netmask)).rc == rc


def test_zeros_in_front_for_ipv6(fp, agent, scene):
    scene.look6()
    fp.run("ip addrlabel add prefix 2001:db8::e label 99")
    scene.add6("ip -f inet6 addr add 2001:db8::e/64 dev eth0 preferred_lft 30 metric 8")
    scene.announce6()
    assert agent("start", lvs_ipv6_addrlabel="true", lvs_ipv6_addrlabel_value="099",
                 preferred_lft="0030", metric="08", **dict(ON_ETH0_6, cidr_netmask="064")).rc == 0


@pytest.mark.parametrize("given, env, settings", [
    ({}, {"clone_max": "x"}, (1, 0)), ({}, {"clone": "x", "clone_max": "2"}, (1, 0)),
    ({"lvs_support": "true"}, {"clone_max": "2", "globally_unique": "true"}, (2, 1))])
def test_what_stop_makes_of_clones(fp, make_vip, given, env, settings):
    for name, value in env.items():
        vip.ENV["OCF_RESKEY_CRM_meta_" + name] = value
    assert vip.clone_settings(make_vip("stop", **given)) == settings


@pytest.mark.parametrize("number, total", [("x", "1"), ("0", "x"), ("-1", "2")])
def test_stop_does_without_good_numbers_of_clones(fp, agent, scene, number, total):
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    env = {"OCF_RESKEY_CRM_meta_clone_max": total, "OCF_RESKEY_CRM_meta_clone": number}
    assert agent("stop", env=env, **ON_ETH0).rc == 0


# --- a Vip -----------------------------------------------------------------------------------


def test_a_vip_that_is_not_settled(host):
    vip.ENV[vip.NAMESPACE_VARIABLE] = "/run/netns/blue"
    made = vip.Vip("start", dict(params.read({}), ip="192.0.2.10"))
    assert (made.prefix, made.bucket, made.buckets, made.noted) == (-1, 0, 1, False)
    assert made.namespace == "_run_netns_blue"


@pytest.mark.parametrize("given, env, settled", [
    ({}, {"clone_max": "2"}, (True, "builtin", True)),
    ({"arp_bg": "no"}, {"clone_max": "2"}, (True, "builtin", False)),
    ({"arp_bg": "no", "ip": "192.0.2.10"}, {"clone_max": "2"}, (False, "send_arp", False)),
    ({}, {}, (False, "send_arp", False))])
def test_how_a_shared_ipv6_address_is_told(fp, host, given, env, settled):
    for name, value in env.items():
        vip.ENV["OCF_RESKEY_CRM_meta_" + name] = value
    made = vip.ip_init("validate-all", dict(params.read({}), **dict(
        ON_ETH0_6, arp_sender="send_arp", **{"cidr_netmask": "24", **given})))
    assert (made.nodad, made.sender, made.background) == settled


@pytest.mark.parametrize("nic", ["eth0", "eth1"])
def test_a_setting_that_a_killed_agent_left(fp, host, monkeypatch, nic):
    """That of this interface, where there is one."""
    seen, path = [], place.promotion_path("eth0")
    open(path, "w", encoding="ascii").close()
    monkeypatch.setattr(promotion, "put_back", seen.append)
    vip.ip_init("validate-all", dict(params.read({}), **dict(ON_ETH0, nic=nic)))
    assert seen == [path] * (nic == "eth0")


@pytest.mark.parametrize("given, noted, asked", [
    ({}, False, [SHOW4, ROUTE4]), ({"nic": "eth0"}, False, [SHOW4, ROUTE4]),
    ({"cidr_netmask": "24"}, False, [SHOW4, ROUTE4.replace(".10", ".10/24")]),
    ({"nic": "eth0", "cidr_netmask": "24"}, False, [SHOW4]), ({}, True, [SHOW4]),
    ({"cidr_netmask": "24"}, True, [SHOW4]), ({"cidr_netmask": "x"}, False, [SHOW4])])
def test_where_is_asked_ahead(make_vip, monkeypatch, given, noted, asked):
    """The routes where they will settle the place."""
    found, made = [], make_vip(nic="", prefix=-1)
    made.note = noted
    made.params.update(given)
    monkeypatch.setattr(commands, "prefetch", lambda argv: found.append(" ".join(argv)))
    monkeypatch.setattr(vip, "places_or_exit", lambda _vip: [])
    vip.ask_where(made, given.get("cidr_netmask", ""))
    assert found == asked


@pytest.mark.parametrize("name, number, nic, prefix, noted", [
    ("old0", 2, "eth0", 32, True), ("old0", 3, "eth0", 32, False),
    ("old0", 2, "kube-ipvs0", 32, False), ("old0", 2, "kube-ipvs0", 24, True),
    ("kube-ipvs0", 2, "kube-ipvs0", 32, True)])
def test_a_number_that_went_to_another_interface(make_vip, flags, name, number, nic, prefix, noted):
    """On which the address may be for other reasons."""
    flags["kube-ipvs0"] = 0x82
    made = make_vip()
    made.note = place.Note(2, name, prefix, "", "", "", "")
    held = [addresses.Address(number, nic, "192.0.2.10", "", prefix)]
    assert vip.at_noted_place(made, held) == held * noted


# --- clones ----------------------------------------------------------------------------------


@pytest.mark.parametrize("given, env, shared, warned", [
    ({}, {}, 0, False),
    ({}, {"CRM_meta_clone_max": "1", "CRM_meta_clone": "3"}, 0, False),
    ({}, {"CRM_meta_clone_max": "2", "CRM_meta_clone": "1"}, 2, True),
    ({}, {"CRM_meta_clone_max": "2"}, 1, True),
    ({}, {"CRM_meta_clone_max": "2", "CRM_meta_globally_unique": "true"}, 1, False),
    ({}, {"CRM_meta_clone_max": "2", "CRM_meta_globally_unique": "false"}, 1, True),
    ({"nic": "lo"}, {"CRM_meta_clone_max": "2", "CRM_meta_globally_unique": "false"}, 0, False),
    ({"nic": "lo"}, {"CRM_meta_clone_max": "2", "CRM_meta_globally_unique": "true"}, 1, False),
    ({"nic": "lo"}, {"CRM_meta_clone_max": "2", "CRM_meta_globally_unique": ""}, 1, True),
    ({"nic": "lo"}, {"CRM_meta_clone_max": "2"}, 1, True),
    ({"nic": "lo1"}, {"CRM_meta_clone_max": "2", "CRM_meta_globally_unique": "false"}, 1, True),
    ({"unique_clone_address": "true"}, {"CRM_meta_clone_max": "2"}, 0, False)])
def test_who_shares(fp, make_vip, tmp_path, given, env, shared, warned):
    for name, value in env.items():
        vip.ENV["OCF_RESKEY_" + name] = value
    made = make_vip(**given)
    made.params["nic"] = given.get("nic", "eth0")
    buckets = int(env.get("CRM_meta_clone_max", 1))
    assert vip.clone_settings(made) == (buckets, shared)
    log = tmp_path / "log"
    assert (log.exists() and "globally-unique=true" in log.read_text()) is warned


@pytest.mark.parametrize("number, ip", [(None, "192.0.2.250"), ("x", "192.0.2.250"),
                                        ("5", "192.0.2.255"), ("6", "192.0.3.0")])
def test_an_address_that_is_counted_up(fp, number, ip):
    vip.ENV["OCF_RESKEY_CRM_meta_clone"] = number or ""
    values = dict(params.read({}), ip="192.0.2.250", unique_clone_address="true")
    vip.unique_clone_address("stop", values)
    assert values["ip"] == ip


def test_an_address_where_it_does_not_belong(fp, make_vip, tmp_path):
    made = make_vip("status")
    made.params["nic"] = "uplink"
    there = vip.misplaced(made, "eth0")
    assert (there.nic, there.prefix, there.settled) == ("", -1, False)
    assert "nic [uplink] is another interface now" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("iflabel, ip, label", [
    ("", "192.0.2.10", ""), ("x", "2001:db8::e", ""), ("x" * 10, "192.0.2.10", "eth0:" + "x" * 10),
    ("x" * 11, "192.0.2.10", None)])
def test_labels(fp, make_vip, iflabel, ip, label):
    made = make_vip(ip=ip, iflabel=iflabel)
    if label is None:
        with pytest.raises(ocf.OcfExit) as leaving:
            vip.label_of(made)
        assert leaving.value.rc == 6
    else:
        assert vip.label_of(made) == label


def test_a_broadcast_address_is_one_word(fp, make_vip):
    with pytest.raises(ocf.OcfExit) as leaving:
        vip.check_start_parameters(make_vip(broadcast="192.0.2.255 x"))
    assert leaving.value.rc == 6


@pytest.mark.parametrize("ip, nic", [("192.0.2.10", ""), ("x", "eth0")])
def test_what_cannot_be_served(fp, make_vip, ip, nic):
    made = make_vip("monitor", ip=ip)
    made.nic = nic
    assert vip.ip_served(made) == "no"


def test_places_that_cannot_be_told(fp, make_vip, monkeypatch, capfd):
    def fails(_family, _ip):
        raise addresses.Unreadable("no luck")

    monkeypatch.setattr(addresses, "address_places", fails)
    with pytest.raises(ocf.OcfExit) as leaving:
        vip.places_or_exit(make_vip())
    assert leaving.value.rc == 1
    assert "cannot tell whether 192.0.2.10 is here: no luck" in capfd.readouterr().err
