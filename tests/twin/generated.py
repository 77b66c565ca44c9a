# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios by the thousand: every parameter times the values that matter, combined pairwise with
every network shape and every course of events, and each wrong value alone. Deterministic.

A value None leaves the parameter unset. {nic}, {other}, {ip} and {prefix} are the interface that
the shape means, the other one, the address, and the prefix of its network.
"""
from . import pairwise, shapes

MAIN = {"macvlan": "mv0", "bridge": "br0", "keywords": "up"}
OTHER = {"keywords": "primary"}
ADDRESS = {4: ("192.0.2.50", "24"), 6: ("2001:db8::50", "64")}

COURSES = (
    "validate-all; probe; start; monitor; stop; monitor",
    "status; start; start; status; stop; stop",
    "start; ?ip addr del {ip}/{prefix} dev {nic}; monitor; start; monitor; stop",
    "start; ?ip addr flush dev {nic}; monitor; probe; stop; start",
    "start; ?ip link set dev {nic} down; monitor; stop; probe",
    "start; ?ip link set dev {nic} down; start; monitor; ?ip link set dev {nic} up; monitor; stop",
    "start; ?ip link del dev {nic}; monitor; probe; stop; start",
    "start; ?ip -{family} route flush table main dev {nic}; monitor; validate-all; start; stop",
    "?ip addr add {ip}/{prefix} dev {other}; probe; start; monitor; stop; monitor",
    "?ip addr add {ip}/{prefix} dev {nic}; probe; start; monitor; stop; monitor",
    "?ip addr add {ip}/{host} dev lo; start; monitor; stop; ?ip addr del {ip}/{host} dev lo; stop",
    "reply send_arp 1 'tool: no'; reply send_ua 0 'tool: yes'; reply arping 1; start; monitor;"
    " stop",
    "stay send_arp; stay send_ua; start; monitor; stop; monitor",
    "?ip link set dev p0 down; validate-all; start; monitor; ?ip link set dev p0 up; monitor; stop",
    "start; ?ip -{family} route add blackhole {ip}/{host}; monitor; probe; stop",
    "stop; start; set cidr_netmask={host}; monitor; stop; set cidr_netmask={prefix}; monitor; stop",
    "reply ip 2 'tool: no' '*link set*'; start; monitor; stop; start",
    "victim send_arp-{ip}; start; monitor; stop; monitor",
)

# what both families take
COMMON = {
    "course": COURSES,
    "nic": (None, "{nic}", "", "{other}", "{nic}:old"),
    "iflabel": (None, "web", "", "123456789012"),
    "arp_interval": (None, "1", "1000"),
    "arp_count": (None, "1", "10"),
    "arp_count_refresh": (None, "0", "3"),
    "arp_bg": (None, "", "true", "false"),
    "arp_sender": (None, "", "send_arp", "iputils_arping", "libnet_arping", "ipoibarping"),
    "send_arp_opts": (None, "", "-A", "-q -A"),
    "flush_routes": (None, "true", "", "no"),
    "run_arping": (None, "true", "nonsense"),
    "nodad": (None, "true", "", "Yes"),
    "noprefixroute": (None, "true", "", "ON"),
    "preferred_lft": (None, "forever", "0", "300"),
    "lvs_ipv6_addrlabel_value": (None, "0", "12"),
    "clusterip_hash": (None, "", "nonsense"),
    "mac": (None, "", "01:00:5e:00:01:02"),
    "unique_clone_address": (None, "false"),
    "CRM_meta_clone_max": (None, "1"),
    "CRM_meta_timeout": (None, "20000"),
    "network_namespace": (None, ""),
    "proto": (None, ""),
    "metric": (None, ""),
    "check_link_status": (None, "false", ""),
}
FAMILIES = {
    4: dict(COMMON, cidr_netmask=(None, "24", "", "32", "16", "255.255.255.0", "25"),
            broadcast=(None, "", "+", "-", "192.0.2.127"),
            lvs_support=(None, "true", "", "false"), lvs_ipv6_addrlabel=(None, "", "false")),
    6: dict(COMMON, cidr_netmask=(None, "64", "", "128", "48"), broadcast=(None, ""),
            lvs_support=(None, "", "false"), lvs_ipv6_addrlabel=(None, "true", "", "no")),
}
# "": set but empty; the last: beyond its limit, or what a hasty admin writes
WRONG = {
    4: {"ip": ("", "192.0.2.300", "192.0.2.050", "192.0.2", "host.example", "224.0.0.1"),
        "cidr_netmask": ("33", "0", "x", "255.0.255.0", "/24"), "broadcast": ("x", "192.0.2.400"),
        "lvs_ipv6_addrlabel": ("true",), "arp_interval": ("", "0", "-1", "x")},
    6: {"ip": ("2001:db8::g", ":::", "2001:db8:::1", "fe80::50", "1:2:3:4:5:6:7:8:9"),
        "cidr_netmask": ("129", "0", "x", "255.255.0.0"), "lvs_support": ("true",),
        "lvs_ipv6_addrlabel_value": ("x", "", "-1")},
}
WRONG_COMMON = {
    "nic": ("e9", "a-name-beyond-the-limit", "e0 e1", "-e0"), "iflabel": ("1234567890123", "a b"),
    "arp_count": ("", "0", "-1", "x"), "arp_sender": ("pigeon",), "preferred_lft": ("",),
    "unique_clone_address": ("true",), "CRM_meta_clone_max": ("0", "x"),
    "network_namespace": ("green",), "mac": ("nonsense",), "arp_count_refresh": ("x", ""),
}
WRONG_COURSE = "validate-all; probe; monitor; status; start; monitor; stop; probe"
WRONG_SHAPES = ("plain", "present", "bare")


def combined(family):
    """Pairwise over everything that is right, or at least allowed."""
    # without carrier detection takes seconds: scenarios by hand show that
    factors = dict(FAMILIES[family], shape=tuple(
        name for name in shapes.SHAPES if name != "unplugged"))
    for number, row in enumerate(pairwise.pairwise(factors)):
        shape, course = row.pop("shape"), row.pop("course")
        if shape == "namespace":
            row["network_namespace"] = "blue"
        if course.startswith("stay"):  # in the foreground a sender that stays is one that hangs
            row["CRM_meta_timeout"] = "3000"
        yield _scenario("combined %d-%d" % (family, number), family, shape, row, course)


def wrong(family):
    """Each wrong value alone, on interfaces with and without the address."""
    for name, values in list(WRONG[family].items()) + list(WRONG_COMMON.items()):
        for value in values:
            for shape in WRONG_SHAPES:
                row = {name: value}
                if name == "lvs_ipv6_addrlabel_value":
                    row["lvs_ipv6_addrlabel"] = "true"
                if shape == "bare" and name not in ("nic", "cidr_netmask"):
                    row = dict({"nic": "{nic}", "cidr_netmask": "{prefix}"}, **row)
                yield _scenario("wrong %s [%s]" % (name, value), family, shape, row, WRONG_COURSE)


def _scenario(name, family, shape, row, course):
    ip, prefix = ADDRESS[family]
    words = {"nic": MAIN.get(shape, "e0"), "other": OTHER.get(shape, "e1"), "ip": ip,
             "prefix": prefix, "host": "32" if family == 4 else "128", "family": family}
    row = dict({"ip": ip}, **row)
    parameters = " ".join("%s='%s'" % (key, value.format(**words)) if value == "" or " " in value
                          else "%s=%s" % (key, value.format(**words))
                          for key, value in row.items() if value is not None)
    return (name, shape, parameters, course.format(**words))


SCENARIOS = [scenario for family in FAMILIES for make in (combined, wrong)
             for scenario in make(family)]
