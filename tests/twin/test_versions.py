# SPDX-License-Identifier: GPL-2.0-only
"""Rows H and I of doc/versions.md: defaults that a newer shell agent has changed."""
import re

import pytest

from . import play, versions

pytestmark = pytest.mark.handwritten


def since(version):
    """A mark for what only a shell agent from that version on does."""
    return pytest.mark.skipif(version not in versions.NEWER, reason="older shell agent")


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=since(version)) for name, (version, _) in versions.DEFAULTS.items()])
def test_the_metadata_tell_the_defaults(name, twins):
    with play.Pair("plain", agents=twins) as pair:
        shell, ours = (re.search(rf'name="{name}".*?default="(\w*)"', seen["out"], re.DOTALL)
                       for seen in pair.step("meta-data"))
    assert (shell.group(1), ours.group(1)) == ("true", versions.DEFAULTS[name][1])


@since("4.16")
def test_h_each_ipv6_address_gets_a_label(twins):
    with play.Pair("plain", "6 nic=e0 lvs_ipv6_addrlabel", twins) as pair:
        shell, ours = pair.step("start", same=False)
    assert (shell["rc"], ours["rc"]) == (0, 0)
    assert [seen["labels"].count("2001:db8::50/128 label 99") for seen in (shell, ours)] == [1, 0]


@since("4.18")
@pytest.mark.parametrize("given, expected", [("", (5, 0)), ("=true", (5, 7))])
def test_i_an_interface_without_a_link(twins, given, expected):
    with play.Pair("plain", "4 nic=e0 cidr_netmask=24 check_link_status" + given, twins) as pair:
        assert [seen["rc"] for seen in pair.step("start", same=False)] == [0, 0]
        pair.step("ip link set p0 down")
        assert tuple(seen["rc"] for seen in pair.step("monitor", same=False)) == expected
