# SPDX-License-Identifier: GPL-2.0-only
"""What is asked before the agent is loaded is what a monitor asks, and nothing else."""

import pytest

from ipaddr2_py import ahead, commands, interface
from tests.unit.conftest import programs_environment

AGENT = "/ocf/IPaddr2"


@pytest.fixture(name="asked")
def what_is_asked(monkeypatch, tmp_path):
    """asked(action, **parameters): what begin() begins, a list of argvs."""
    def run(*words, **parameters):
        found = []
        monkeypatch.setattr(commands, "query_ahead", found.append)
        environ = dict(programs_environment(tmp_path))
        environ.update(("OCF_RESKEY_" + name, value) for name, value in parameters.items())
        ahead.begin([AGENT, *words], {name.encode(): value.encode()
                                      for name, value in environ.items()})
        return found

    return run


@pytest.mark.parametrize("action", ["monitor", "status"])
@pytest.mark.parametrize("ip, family", [
    ("192.0.2.10", "inet"), ("10.0.0.255", "inet"), ("2001:DB8:0::10", "inet6"), ("::1", "inet6"),
    ("::ffff:192.0.2.10", "inet6")])
def test_a_monitor_asks_for_its_address(asked, action, ip, family):
    words = interface.held_query(family, interface.canonical(ip, family))
    assert asked(action, ip=ip) == [["ip", *words]]


@pytest.mark.parametrize("ip", [
    "", "192.0.2", "192.0.2.10.1", "192.0.2.010", "192.0.2.256", "192.0.2.-1", "192.0.2. 1", "x",
    "192.0.2.\u0661", "2001:db8::g", ":::", "-c", "1:2"])
def test_what_is_no_address_is_not_asked_for(asked, ip):
    assert asked("monitor", ip=ip) == []


@pytest.mark.parametrize("words", [
    (), ("start",), ("stop",), ("validate-all",), ("meta-data",), ("monitor", "more"), ("",)])
def test_other_actions_ask_nothing_ahead(asked, words):
    assert asked(*words, ip="192.0.2.10") == []


@pytest.mark.parametrize("more", [{"network_namespace": "blue"}, {"unique_clone_address": "true"}])
def test_not_where_it_may_be_another_question(asked, more):
    assert asked("monitor", ip="192.0.2.10", **more) == []


def test_a_host_out_of_descriptors_is_the_agents_to_tell_of(asked, monkeypatch):
    def none_left(_argv):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(commands, "query_ahead", none_left)
    ahead.ask(["addr"])
