# SPDX-License-Identifier: GPL-2.0-only
"""The comparison itself: silent where nothing differs, and awake where anything does."""
import os
import re

import pytest

from tests.conftest import lacking

from . import compare, pairwise, play, shapes

SAMPLE = [
    ("IPv4", "plain", "4 iflabel=web", "probe; start; monitor; stop; monitor"),
    ("IPv6", "plain", "6 lvs_ipv6_addrlabel=1", "probe; start; monitor; status; stop; status"),
    ("LVS", "onlo", "4 lvs_support=1 flush_routes=1", "start; monitor; stop"),
    ("senders", "plain", "4 arp_sender=iputils_arping arp_count_refresh=2", "start; monitor; stop"),
    ("a sender that stays", "plain", "4", "stay send_arp; start; stop"),
    ("wrong", "plain", "4 arp_count=0", "validate-all; start; stop"),
]

# (what is wrong with it, pattern in the shell agent, replacement, field that must tell)
MUTATIONS = [
    ("monitor's code", r"exit \$OCF_NOT_RUNNING", "exit 1", "rc"),
    ("status says more", r'echo "stopped"', 'echo "stopped now"', "stdout"),
    ("no reason", r'ocf_exit_reason "Invalid OCF_RESKEY_arp_count[^\n]*', "ocf_log err x",
     "reason"),
    ("no broadcast", r" brd \$broadcast ", " ", "addresses"),
    ("no broadcast", r" brd \$broadcast ", " ", "argv"),
    ("no label", r" label \$label", "", "addresses"),
    ("link up twice", r'ocf_run \$cmd \|\| return \$OCF_ERR_GENERIC\n\n\treturn',
     "ocf_run $cmd; ocf_run $cmd\n\n\treturn", "argv"),
    ("another count", r"-r \$ARP_COUNT", "-r 1", "argv"),
    ("another order of options", r"-U -c \$ARP_COUNT -I", "-c $ARP_COUNT -U -I", "argv"),
    ("a line less in the log", r'ocf_log info "\$msg"\n\tocf_run \$cmd', "ocf_run $cmd", "log"),
    ("another level", r'ocf_log info "\$msg"', 'ocf_log warn "$msg"', "log"),
    ("a line without its values", r'ocf_log info "\$msg"', 'ocf_log info "adding it"', "log"),
    ("another command in the log", r'ocf_log \$LOGLEVEL "\$ARP_SENDER_CMD"',
     'ocf_log $LOGLEVEL "$ARP_SENDER_CMD -q"', "log"),
    ("an address label less", r"add_ipv6_addrlabel \$ipaddr\n", ":\n", "labels"),
    ("lo is not restored", r'restore_loopback "\$OCF_RESKEY_ip"', ":", "addresses"),
    ("a file stays", r'rm -f "\$VLDIR/\$ipaddr"', ":", "files"),
    ("the sender lives on", r'kill `cat "\$SENDARPPIDFILE"`', ":", "processes"),
    ("the route is not as it was", r'ocf_run \$IP2UTIL route flush cache',
     "$IP2UTIL route add 203.0.113.0/24 dev e1", "routes"),
    ("the link is set down", r"link set \$iface up", "link set $iface down", "links"),
]


def _found(agents):
    """Fields that differ in the sample, whatever expected.py says, with their descriptions.

    Neither of the agents here writes notes: that they are missing is no news.
    """
    fields = {}
    for outcome in play.play_all([play.Scenario(*one) for one in SAMPLE], agents):
        for difference in [one for _, one in outcome.expected] + outcome.unexpected:
            fields.setdefault(difference.field, compare.describe(difference))
    fields.pop("notes", None)
    return fields


@pytest.mark.slow
def test_the_shell_agent_does_not_differ_from_itself(twins):
    shell, _ = twins
    assert _found((shell, shell)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("what, pattern, replacement, field", MUTATIONS,
                         ids=["%s (%s)" % (one[0], one[3]) for one in MUTATIONS])
def test_a_change_is_noticed(what, pattern, replacement, field, twins, tmp_path):
    """A copy of the shell agent with one thing changed differs in that field."""
    shell, _ = twins
    with open(shell, encoding="utf-8") as file:
        changed, count = re.subn(pattern, lambda _: replacement, file.read())
    if not count:
        lacking("this release of the shell agent has no such words: " + pattern)
    mutant = tmp_path / os.path.basename(shell)
    mutant.write_text(changed, encoding="utf-8")
    mutant.chmod(0o755)
    assert field in _found((shell, str(mutant)))


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_shapes_can_be_made(shape, twins):
    """Each network comes up, twice the same."""
    with play.Pair(shape, agents=twins) as pair:
        seen = pair.first_look()
        assert compare.same_state(seen)
        assert len(seen[0]["links"]) >= 5


@pytest.mark.parametrize("shell, ours, same", [
    ("ip -f inet addr add 192.0.2.9/24 dev e0", "ip -f inet addr add 192.0.2.9/24 dev e0", True),
    ("ip -f inet addr add 192.0.2.9/24 dev e0", "ip -f inet addr add 192.0.2.9/24 dev e1", False),
    ("run_with_pidfile arping  -U e0", "arping -U e0", True),
    ("gave 192.0.2.9/24 to e0", "e0 now has 192.0.2.9/24, truly", True),
    ("gave 192.0.2.9/24 to e0", "ip addr add 192.0.2.9/24 dev e0", True),
    ("gave 192.0.2.9/24 to e0", "e0 now has 192.0.2.9/25", False),
    ("gave 192.0.2.9 to e0", "e0 now has 192.0.2.9/25", True),
    ("it failed: rc=2", "exit code 2", True),
    ("it failed: rc=2", "exit code 3", False),
    ("RTNETLINK answers: File exists", "RTNETLINK answers: no", False),
    ("IPv4 is fine", "it is", True),
    ("", "", True),
    ("words", "", False),
])
def test_the_rule_for_log_lines(shell, ours, same):
    assert compare.same_line(shell, ours) is same


@pytest.mark.parametrize("words, changes", [
    ("-o -f inet addr show", False), ("-f inet addr add 192.0.2.9/24 dev e0", True),
    ("link show e0", False), ("link set e0 up", True), ("route get 2001:db8::1", False),
    ("route flush cache", True), ("addrlabel del prefix 2001:db8::1 label 99", True),
    ("-n blue addr del 192.0.2.9/24 dev e0", True), ("netns exec blue agent start", False),
    ("route list match 192.0.2.9", False), ("addr", False),
])
def test_what_changes_the_state(words, changes):
    assert compare.changes_state(words.split()) is changes


def test_pairs_meet():
    """Every two values of two factors are together in some row, in far fewer rows than all."""
    factors = {"a": (1, 2, 3), "b": ("x", "y"), "c": (None, ""), "d": tuple(range(5))}
    rows = pairwise.pairwise(factors)
    for one in factors:
        for other in factors:
            if one != other:
                assert {(x, y) for x in factors[one] for y in factors[other]} == {
                    (row[one], row[other]) for row in rows}
    assert len(rows) < 25
    assert rows == pairwise.pairwise(factors)
