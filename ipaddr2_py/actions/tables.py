# SPDX-License-Identifier: GPL-2.0-only
"""Routing tables other than main: which words name one, and the table of an interface's VRF."""

from .. import addresses, findif
from ..ocf import OCF_ERR_CONFIGURED, ocf_is_decimal

#: What `ip route list table` takes for no table, or for all of them (iproute2 6.1, ip/iproute.c,
#: iproute_list_flush_or_save(); unspec is the name of table 0).
NO_TABLE = ("all", "cache", "help", "unspec")


def check(table: str) -> None:
    """Refuse a route_table that is not one table; raises FindifError with exit code 6.

    Whether a name is known here, `ip` tells later.
    """
    if table in NO_TABLE or ocf_is_decimal(table) and not 0 < int(table) < 2 ** 32:
        raise findif.FindifError(
            OCF_ERR_CONFIGURED, f"route_table [{table}] is not one routing table: it must be a "
            "number from 1 to 4294967295, or a name in /etc/iproute2/rt_tables")


def of_vrf(nic: str) -> str:
    """Number of the routing table of the VRF that interface `nic` is, or is a port of; else "".

    Raises Unreadable where `ip` fails.
    """
    if not addresses.index_of(nic):
        return ""
    words = ["-o", "-d", "link", "show", "dev", nic]
    result = addresses.ip_query(words)
    if result.rc and not addresses.is_missing(result):
        raise addresses.Unreadable(addresses.failure(words, result))
    return parse_vrf(result.out)


def parse_vrf(text: str) -> str:
    """of_vrf() over the text of `ip -o -d link show dev NIC`."""
    for part in text.split("\\ ")[1:]:
        words = part.split()
        if words[:1] in (["vrf"], ["vrf_slave"]) and words[1:2] == ["table"]:
            return words[2]
    return ""
