# SPDX-License-Identifier: GPL-2.0-only
"""The table of parameters against the specification's, and how it is read."""

import re

import pytest

from ipaddr2_py import agent, commands, params
from ipaddr2_py.clusterip import params as clusterip_params
from ipaddr2_py.provider import metadata

# name, type, default: the manual page's parameters in its order, then the newer ones.
SPECIFIED = (
    ("ip", "string", None),
    ("nic", "string", ""),
    ("cidr_netmask", "string", ""),
    ("broadcast", "string", ""),
    ("iflabel", "string", ""),
    ("lvs_support", "boolean", "false"),
    ("lvs_ipv6_addrlabel", "boolean", "false"),
    ("lvs_ipv6_addrlabel_value", "integer", "99"),
    ("mac", "string", ""),
    ("clusterip_hash", "string", "sourceip-sourceport"),
    ("unique_clone_address", "boolean", "false"),
    ("arp_interval", "integer", "200"),
    ("arp_count", "integer", "5"),
    ("arp_count_refresh", "integer", "0"),
    ("arp_bg", "string", ""),
    ("arp_sender", "string", ""),
    ("send_arp_opts", "string", ""),
    ("flush_routes", "boolean", "false"),
    ("run_arping", "string", "false"),
    ("nodad", "string", "false"),
    ("noprefixroute", "string", "false"),
    ("preferred_lft", "string", "forever"),
    ("network_namespace", "string", ""),
    ("proto", "string", ""),
    ("check_link_status", "string", "false"),
    ("metric", "integer", ""),
    ("clusterip_firewall", "string", "auto"),
    ("clusterip_hash_seed", "string", ""),
    ("clusterip_table", "string", "mangle"),
    ("clusterip_chain", "string", "PREROUTING"),
    ("arp_repeat_after", "integer", ""),
    ("kill_connections", "boolean", "false"),
    ("route_table", "string", ""),
)


def test_the_table_is_the_specified_one():
    assert tuple((p.name, p.type, p.default) for p in params.TABLE) == SPECIFIED


def test_only_ip_is_required_and_unique():
    assert [p.name for p in params.TABLE if p.required] == ["ip"]
    assert [p.name for p in params.TABLE if p.unique] == ["ip"]


def test_defaults_apply_to_what_is_unset():
    values = params.read({})
    assert list(values) == [name for name, _, _ in SPECIFIED]
    assert values == {name: default or "" for name, _, default in SPECIFIED}


@pytest.mark.parametrize("name", [name for name, _, _ in SPECIFIED])
def test_set_but_empty_stays_empty(name):
    assert params.read({"OCF_RESKEY_" + name: ""})[name] == ""


@pytest.mark.parametrize("name", [name for name, _, _ in SPECIFIED])
@pytest.mark.parametrize("value", [" a b\n", "a b", "\t\n a b", "\v\f\ra b\v\f\r"])
def test_white_space_around_a_value_is_no_part_of_it(name, value):
    values = params.read({"OCF_RESKEY_" + name: value})
    assert values[name] == "a b"
    assert {n: v for n, v in values.items() if n != name} == {
        n: d or "" for n, _, d in SPECIFIED if n != name}


@pytest.mark.parametrize("blank", "\u00a0\u2003\u3000\u0085\u2028\x1c\x1f")
def test_other_white_space_is_part_of_a_value(blank):
    """The kernel takes all but one of these in the name of an interface (dev_valid_name())."""
    values = params.read({"OCF_RESKEY_nic": blank + "a" + blank,
                          "OCF_RESKEY_netmask": blank + "24"})
    assert values["nic"] == blank + "a" + blank
    assert values["cidr_netmask"] == blank + "24"


def test_the_same_white_space_everywhere():
    assert params.BLANKS == commands.BLANKS


@pytest.mark.parametrize("environ, prefix", [
    ({"netmask": "24"}, "24"),
    ({"netmask": "24", "cidr_netmask": ""}, "24"),
    ({"netmask": "24", "cidr_netmask": "25"}, "25"),
    ({"netmask": ""}, ""),
    ({"netmask": " 24\n"}, "24"),
    ({"netmask": "24", "cidr_netmask": " "}, "24"),
])
def test_the_former_name_netmask(environ, prefix):
    values = params.read({"OCF_RESKEY_" + name: value for name, value in environ.items()})
    assert values["cidr_netmask"] == prefix
    assert "netmask" not in values


def test_other_variables_are_left_alone():
    assert params.read({"OCF_RESKEY_CRM_meta_clone": "1", "ip": "192.0.2.1"}) == params.read({})


def test_the_actions():
    assert [(a.name, a.timeout, a.interval, a.depth) for a in metadata.ACTIONS] == [
        ("start", 20, None, None),
        ("stop", 20, None, None),
        ("status", 20, 10, 0),
        ("monitor", 20, 10, 0),
        ("monitor", 20, 30, 10),
        ("meta-data", 5, None, None),
        ("validate-all", 20, None, None),
    ]


@pytest.mark.parametrize("parameter", params.TABLE, ids=lambda p: p.name)
def test_descriptions_are_sentences(parameter):
    assert parameter.longdesc.endswith(".\n")
    assert len(parameter.longdesc) > 120
    assert not re.search(r"[ \t]\n|\n\n\n", parameter.longdesc)
    assert 10 < len(parameter.shortdesc) < 50
    assert not parameter.shortdesc.endswith(".")


@pytest.mark.parametrize("parameter", params.TABLE, ids=lambda p: p.name)
def test_parameters_that_a_description_names_exist(parameter):
    names = {name for name, _, _ in SPECIFIED}
    known = names | {"send_arp", "send_ua", "iputils_arping", "libnet_arping", "rt_tables"}
    for word in re.findall(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b", parameter.longdesc):
        assert word in known


def test_nothing_is_imported():
    with open(params.__file__, encoding="utf-8") as file:
        assert not re.search(r"^\s*(import|from)\b", file.read(), re.MULTILINE)


def test_the_head_says_what_it_is():
    assert "Virtual" in params.SHORTDESC and "virtual IP address" in params.LONGDESC


def test_what_is_offered_is_what_is_taken():
    boolean = ("true", "false")
    assert params.CHOICES == {
        "arp_sender": agent.SENDERS, "clusterip_hash": tuple(clusterip_params.HASHES),
        "clusterip_firewall": ("auto", *clusterip_params.FIREWALLS),
        "clusterip_table": tuple(clusterip_params.TABLES), "preferred_lft": ("forever", "0"),
        **{name: boolean for name, kind, default in SPECIFIED
           if kind == "boolean" or default == "false"}, "arp_bg": boolean}


def test_what_can_be_reloaded_exists():
    names = {one.name for one in params.TABLE + params.TRACING}
    assert set(params.RELOADABLE) <= names and len(params.RELOADABLE) == 13
    assert [(one.name, one.type, one.default) for one in params.TRACING] == [
        ("trace_ra", "boolean", "false"), ("trace_dir", "string", "")]
    assert all(one.shortdesc and one.longdesc for one in params.TRACING)
