# SPDX-License-Identifier: GPL-2.0-only
"""Hostile values in every parameter: a code of the OCF, no traceback, no file elsewhere, and no
command that the specification does not know.

Ten thousand examples by hypothesis call main() in processes of their own (inside.py); a few
hundred more run the real program, as Pacemaker would, with stand-ins that write down their words.
"""

import os
import pickle
import re
import traceback

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.lab.agent import PATH

from .hosts import HOSTS
from .words import explained, text_of

LOG_LINE = re.compile(r"\w{3} [ \d]\d [\d:]{8}  IPaddr2\(vip\)\[\d+\]:    [A-Z]+: ")
EXAMPLES, PROCESSES = 10_000, 2
REAL_BATCHES = 30           # of as many examples as there are hosts
VIP, VIP6 = "192.0.2.50", "2001:db8::50"
ACTIONS = ("start", "stop", "monitor", "validate-all", "status")
SHARED = {"CRM_meta_clone": "1", "CRM_meta_clone_max": "3", "CRM_meta_globally_unique": "true",
          "arp_bg": "false"}
#: Parameters that a run starts from, so that hostile values meet an agent that gets somewhere.
BASES = [
    {"ip": VIP}, {"ip": VIP6}, {"ip": VIP, "nic": "eth0", "cidr_netmask": "24"},
    {"ip": VIP6, "nic": "eth0", "cidr_netmask": "64", "lvs_ipv6_addrlabel": "true"},
    {"ip": VIP, "broadcast": "+", "iflabel": "web", "metric": "7", "noprefixroute": "true"},
    {"ip": VIP6, "preferred_lft": "0", "nodad": "true", "arp_bg": "true"},
    {"ip": VIP, "lvs_support": "true", "flush_routes": "true", "run_arping": "true"},
    {"ip": VIP, "arp_sender": "iputils_arping", "send_arp_opts": "-A -q"},
    {"ip": VIP, "arp_sender": "libnet_arping", "arp_bg": "false"},
    {"ip": VIP, "arp_sender": "builtin", "arp_bg": "false", "check_link_status": "true"},
    {"ip": VIP, "arp_count_refresh": "1", "arp_bg": "false"},
    {"ip": VIP6, "arp_count_refresh": "2", "arp_repeat_after": "1"},
    {"ip": VIP, "unique_clone_address": "true", "CRM_meta_globally_unique": "true",
     "CRM_meta_clone": "3", "CRM_meta_clone_max": "9"},
    {"ip": VIP, "network_namespace": "nowhere"},
]
SHARED_BASES = [
    {"ip": VIP, "clusterip_firewall": "nft", **SHARED}, {"ip": VIP6, **SHARED},
    {"ip": VIP, "clusterip_firewall": "iptables", "clusterip_hash": "sourceip", **SHARED},
    {"ip": VIP, "clusterip_firewall": "clusterip", **SHARED},
]
NAMES = """ip nic cidr_netmask netmask broadcast iflabel lvs_support lvs_ipv6_addrlabel
lvs_ipv6_addrlabel_value mac clusterip_hash unique_clone_address arp_interval arp_count
arp_count_refresh arp_bg arp_sender send_arp_opts flush_routes run_arping nodad noprefixroute
preferred_lft network_namespace proto check_link_status metric clusterip_firewall
clusterip_hash_seed clusterip_table clusterip_chain arp_repeat_after kill_connections route_table
CRM_meta_clone CRM_meta_globally_unique CRM_meta_interval CRM_meta_timeout""".split()
#: Those that name something: half of all hostile values go here.
NAMING = ["ip", "nic", "iflabel", "network_namespace", "broadcast", "cidr_netmask", "proto",
          "route_table", "preferred_lft", "mac"]

NASTY = [
    " ", "\t", "\n", "\r", "\v", "\f", "\x1c", "\x85", "\u00a0", "\u2028", "-", "--", "-4", "-6",
    "-batch", "--help", "-n", "-c", "*", "?", "[a-z]*", "~", "'", '"', "`", "\\", "$", ";", "|",
    "&", ">", "<", "(", "!", "#", "{a,b}", "$(touch /tmp/hostile)", "`id`", "%s%n%d", "\x1b[2J",
    "\x7f", "\x01", "\udcff", "\udcfe\udc80", "é", "𝟙", "٣", "/", "..", "../",
    "../../../etc/passwd", "/etc/passwd", "/proc/self/environ", ".", "%", "@", ":", "::", "=", ",",
    "+", "0", "00", "1e9", "0x10", "1_0", "²", "-1", "9" * 19, "9" * 40, "18446744073709551616",
    "NaN", "dev", "up", "lo",
    "eth0", "eth1", "eth0:x", "eth0@if2", "all", "default", "primary", "peer", "local", "label",
    VIP, VIP + "/32", VIP6, "2001:DB8:0::50", "::ffff:192.0.2.50", "fe80::1%eth0", "fe80::1",
    "127.0.0.5", "224.0.0.1", "255.255.255.255", "0.0.0.0", "192.0.2.050", "true", "yes", "forever",
    "ocf-exit-reason:no", "Traceback (most recent call last):",
]
LENGTHS = (16, 256, 4096, 5000, 65536)


def inserted(value, odd, place):
    """`odd` put into `value`, somewhere."""
    place = place % (len(value) + 1)
    return value[:place] + odd + value[place:]


nasty = st.sampled_from(NASTY)
raw = st.binary(max_size=40).map(lambda data: text_of(data.replace(b"\0", b"")))
hostile = st.one_of(
    nasty,
    st.builds("".join, st.lists(nasty, max_size=5)),
    st.builds(inserted, st.sampled_from([VIP, VIP6, "eth0", "24", "web", "5", "vip-ns"]), nasty,
              st.integers(0, 20)),
    raw,
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=40),
    st.integers(-2 ** 70, 2 ** 70).map(str),
    st.sampled_from([0, 1, 2 ** 31, 2 ** 32, 2 ** 63, 10 ** 12]).map(str),
    st.builds(lambda piece, length: (piece * length)[:length], nasty | st.sampled_from("0a1"),
              st.sampled_from(LENGTHS)),
    st.builds(str, st.ip_addresses()),
)
name = st.sampled_from(NAMES) | st.sampled_from(NAMING)


@st.composite
def runs(draw, shared=False):
    """(action, parameters): a base with some values replaced by hostile ones; shared: some bases
    share the address (Cluster IP), which takes too long to try with real firewalls."""
    parameters = dict(draw(st.sampled_from(BASES + (SHARED_BASES if shared else []))))
    parameters.update(draw(st.dictionaries(name, hostile, min_size=1, max_size=2)))
    parameters.setdefault("CRM_meta_interval", "10000")
    return draw(st.sampled_from(ACTIONS)), parameters


def environment(parameters, rsctmp, logfile, **more):
    """What Pacemaker would put into the environment; texts."""
    return {"PATH": PATH, "OCF_ROOT": "/usr/lib/ocf", "HA_BIN": "/usr/libexec/heartbeat",
            "OCF_RESOURCE_INSTANCE": "vip", "HA_RSCTMP": str(rsctmp), "HA_LOGFILE": str(logfile),
            **{"OCF_RESKEY_" + key: value for key, value in parameters.items()}, **more}


def complaints(action, rc, err, log):
    """What is wrong with an outcome, as texts."""
    wrong = []
    if rc not in range(8):
        wrong.append("the exit code is %r" % rc)
    if "unexpected error" in err or "the agent cannot run" in err:
        wrong.append("a traceback")
    wrong += ["a line of the log that the agent did not begin: %r" % line
              for line in log.split("\n")[:-1] if not LOG_LINE.match(line)][:3]
    lines = err.split("\n")[:-1]
    strange = [line for line in lines if not line.startswith("ocf-exit-reason:")]
    if strange:
        wrong.append("on stderr: %r" % strange)
    if action == "stop" and rc:
        wrong.append("stop did not succeed")        # no value can stop a stop
    quiet = (0, 7) if action in ("monitor", "status") else (0,)
    if rc not in quiet and not lines:
        wrong.append("no reason for %r" % rc)
    return wrong


# --- in the process ----------------------------------------------------------------------------


def try_inside(folder, number, examples):
    """Let hypothesis try that many examples; the agent's world is this process from now on."""
    from .inside import Inside

    world = Inside(folder)
    tried = []

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, print_blob=False,
              suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink])
    @given(runs(shared=True), st.booleans())
    def examine(run, served):
        action, parameters = run
        tried.append(action)
        family = "inet6" if ":" in parameters["ip"] else "inet"
        there = [(family, VIP6 + "/64" if family == "inet6" else VIP + "/24")] if served else []
        outcome = world.run(action, environment(parameters, world.rsctmp, world.logfile), there)
        wrong = complaints(action, outcome.rc, outcome.err, outcome.log) + outcome.faults
        wrong += ["not explained: %r" % call for call in outcome.calls if not explained(call)]
        assert not wrong, "%s\nexit code %s\n%s" % ("\n".join(wrong)[:1500], outcome.rc,
                                                    (outcome.err + outcome.log)[-3000:])

    examine()
    return len(tried)


def in_a_child(work):
    """Start work() in a forked child; a function that waits for its value."""
    source, target = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = ("value", work())
        except BaseException:       # the child must not return into pytest
            answer = ("error", traceback.format_exc())
        with os.fdopen(target, "wb") as stream:
            pickle.dump(answer, stream)
        os._exit(0)
    os.close(target)

    def value():
        with os.fdopen(source, "rb") as stream:
            data = stream.read()
        _, status = os.waitpid(pid, 0)
        assert data, "the child ended with status %d" % status
        kind, what = pickle.loads(data)
        if kind != "value":         # some lines are as long as what they tell of
            raise AssertionError("\n".join(line[:300] for line in what.splitlines())[-5000:])
        return what
    return value


def test_hostile_values(tmp_path, tally):
    folders = [tmp_path / str(number) for number in range(PROCESSES)]
    for folder in folders:
        folder.mkdir()
    waiting = [in_a_child(lambda folder=folder, number=number: try_inside(
        folder, number, EXAMPLES // PROCESSES)) for number, folder in enumerate(folders)]
    failed = []
    for value in waiting:
        try:
            tally("hostile examples inside a process", value())
        except AssertionError as problem:
            failed.append(str(problem))
    assert not failed, "\n\n".join(failed)


# --- the program itself --------------------------------------------------------------------------


def test_hostile_values_for_the_program(hosts, tally):
    """As above, run by exec on real interfaces."""
    @seed(1)
    @settings(max_examples=REAL_BATCHES, deadline=None, database=None,
              suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(st.lists(runs(), min_size=HOSTS, max_size=HOSTS))
    def examine(batch):
        tally("hostile examples for the program", hosts.at_once(batch, try_outside))

    examine()


def try_outside(host, run):
    """One run of the program; what it started, and what it left in its surroundings."""
    action, parameters = run
    host.tools.restore()
    before = surroundings(host.folder)
    done = host.agent(action, **parameters, env=host.tools.environment())
    wrong = complaints(action, done.rc, done.err, done.log)
    wrong += ["not explained: %r" % call for call in host.tools.calls()
              if not explained([word.replace(host.agent.program, "/ocf/IPaddr2")
                                for word in call])]
    wrong += ["changed: %s" % name for name in surroundings(host.folder) ^ before]
    assert not wrong, "%s: %r" % (wrong, done)
    host.end_processes()
    host.reset()
    for name in host.files():
        (host.agent.rsctmp / name).unlink()


def surroundings(folder):
    """Names and sizes of all files around HA_RSCTMP but those that the test makes."""
    own = ("rsctmp", "tools", "agent.log", "out", "err")
    found = {(entry.name, entry.stat().st_size) for entry in os.scandir(folder)
             if entry.name not in own}
    return found | {(name, 0) for name in os.listdir("/") + os.listdir(os.getcwd())}
