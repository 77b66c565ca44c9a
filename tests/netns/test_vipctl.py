# SPDX-License-Identifier: GPL-2.0-only
"""vipctl on real interfaces: what it shows is so, and a dry run changes nothing."""

import json
import os
import pathlib
import pty
import select
import shutil
import subprocess

import pytest

from tests.conftest import lacking
from tests.lab.agent import IP, PATH
from tests.lab.namespaces import CHECKOUT, in_namespace
from tests.lab.state import address, everything, ip, wait_until

SCHEMA = json.loads((CHECKOUT / "doc/vipctl.schema.json").read_text())
CIB = CHECKOUT / "tests/data/cib"
VIP, VIP6 = "192.0.2.50", "2001:db8::50"


class Vipctl:
    """vipctl(*words) on the node: (exit code, stdout, stderr)."""

    def __init__(self, node, rsctmp):
        self.node = node
        self.env = {"PATH": PATH, "HA_RSCTMP": str(rsctmp), "VIPCTL_TRACEBACK": "1",
                    "OCF_ROOT": "/usr/lib/ocf"}

    def command(self, *words):
        """The argv."""
        return [IP, "netns", "exec", self.node, str(CHECKOUT / "bin/vipctl"), *map(str, words)]

    def __call__(self, *words, **env):
        done = subprocess.run(self.command(*words), env={**self.env, **env}, timeout=60, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        return done.returncode, done.stdout, done.stderr

    def json(self, *words):
        """What it prints with --json, which is as the schema has it."""
        rc, out, err = self(*words, "--json")
        assert not err, err
        found = json.loads(out)
        try:
            import jsonschema
        except ImportError:
            lacking("python3-jsonschema is not installed")
        jsonschema.validate(found, {"$defs": SCHEMA["$defs"], **SCHEMA["$defs"][words[0]]})
        return rc, found


@pytest.fixture
def vipctl(pair, agent):
    return Vipctl(pair.node, agent.rsctmp)


class Events:
    """What netlink tells of a namespace: lines of `ip monitor`."""

    def __init__(self, namespace):
        self.process = subprocess.Popen(
            ["ip", "-n", namespace, "monitor", "link", "address", "route", "rule"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)

    def told(self):
        """All so far."""
        return (self.process.stdout.read() or b"").decode()

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def events(pair, request):
    wait_until(lambda: not ip(pair.node, "-6", "addr", "show", "tentative"), "IPv6 to settle")
    made = Events(pair.node)
    request.addfinalizer(made.close)
    numbers = iter(range(77, 1000))

    def listens():      # once a change of the test's own is told
        ip(pair.node, "link", "set", "dev", "lo", "txqlen", str(next(numbers)))
        return "lo" in made.told()

    wait_until(listens, "ip monitor")
    wait_until(lambda: not made.told(), "the last change")
    return made


# --- dry run ---------------------------------------------------------------------------------

CASES = {
    "ipv4": {"ip": VIP}, "ipv6": {"ip": VIP6}, "label": {"ip": VIP, "iflabel": "web"},
    "nodad": {"ip": VIP6, "nodad": "true", "lvs_ipv6_addrlabel": "true"},
    "arping": {"ip": VIP, "arp_sender": "iputils_arping", "flush_routes": "yes"},
    "builtin": {"ip": VIP, "arp_sender": "builtin", "arp_count": "2"},
    "connections": {"ip": VIP6, "kill_connections": "true"},
    "shared": {"ip": VIP, "CRM_meta_clone": "0", "CRM_meta_clone_max": "2",
               "CRM_meta_globally_unique": "true", "clusterip_firewall": "nft"},
}


def changing(log):
    """The commands that a real action has logged in its trace, without its questions."""
    found = [line[2:] for line in log.splitlines() if line.startswith("+ ")]
    return [line for line in found if not any(word in line for word in (
        " show", " list", "-V", "-S", "-L ", "ss -H "))]


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_a_dry_run_shows_what_the_real_action_does(pair, agent, vipctl, events, tmp_path, given):
    words = ["%s=%s" % one for one in given.items()] + ["arp_interval=10"]
    for action in ("start", "stop"):
        before, files = everything(pair.node), sorted(os.listdir(agent.rsctmp))
        events.told()
        rc, out, err = vipctl(action, "--dry-run", *words)
        assert (rc, err) == (0, "")
        assert everything(pair.node) == before and events.told() == ""
        assert sorted(os.listdir(agent.rsctmp)) == files
        trace = tmp_path / (action + ".trace")
        done = agent(action, **given, arp_bg="false" if action == "start" else None,
                     env={"OCF_TRACE_RA": "1", "OCF_TRACE_FILE": str(trace)})
        assert done.rc == 0
        shown = [line for line in out.splitlines()
                 if not line.startswith(("#", "echo ", "kill ")) and "vipctl announce" not in line]
        assert shown == changing(trace.read_text())


@pytest.mark.parametrize("action", ["start", "stop", "monitor", "validate-all"])
def test_a_dry_run_of_what_fails(pair, vipctl, events, action):
    rc, out, err = vipctl(action, "--dry-run", "ip=10.1.1.1")
    assert rc == {"start": 1, "stop": 0, "monitor": 1, "validate-all": 1}[action]
    assert out.splitlines()[-1] == "# %s would end with %d" % (action, rc)
    assert events.told() == "" and not err


def test_a_dry_run_in_a_namespace_can_be_pasted(pair, netns, vipctl):
    inner = netns()
    ip(inner, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
    for nic in ("eth0", "eth1"):
        ip(inner, "link", "set", "dev", nic, "up")
    ip(inner, "addr", "add", "192.0.2.1/24", "dev", "eth0")
    rc, out, _ = vipctl("start", "--dry-run", "ip=" + VIP, "network_namespace=" + inner,
                        "arp_sender=send_arp")
    assert rc == 0
    assert out.splitlines()[0].startswith("ip netns exec %s ip -f inet addr add" % inner)
    assert not address(inner, VIP)


# --- in earnest ------------------------------------------------------------------------------


def test_the_actions_by_hand(pair, vipctl):
    assert vipctl("start", VIP, "arp_count=1")[0] == 0
    assert address(pair.node, VIP)["prefixlen"] == 24
    assert vipctl("monitor", VIP)[0] == 0
    assert vipctl("validate-all", VIP, "arp_count=x")[0] == 6
    assert vipctl("stop", VIP)[0] == 0
    assert not address(pair.node, VIP) and vipctl("monitor", VIP)[0] == 7


def test_a_trace_shows_commands_output_and_time(pair, vipctl):
    rc, out, _ = vipctl("start", "--trace", VIP)
    assert rc == 0
    lines = out.splitlines()
    assert any("+ ip -f inet addr add 192.0.2.50/24" in line for line in lines)
    assert all(float(line.split()[0]) < 60 for line in lines)
    assert lines[-1].endswith("start ended with 0")


# --- what it shows ---------------------------------------------------------------------------


def test_status(pair, agent, vipctl):
    assert agent("start", ip=VIP, iflabel="web", arp_bg="false").rc == 0
    rc, (row,) = vipctl.json("status", "ip=" + VIP, "iflabel=web")
    assert rc == 0
    assert {name: row[name] for name in ("address", "prefix", "interface", "here", "link",
                                         "label", "problems")} == {
        "address": VIP, "prefix": 24, "interface": "eth0", "here": True, "link": "UP",
        "label": "eth0:web", "problems": []}
    assert "secondary" in row["flags"]
    text = vipctl("status", "ip=" + VIP)[1]
    assert "192.0.2.50/24" in text and "eth0:web" in text
    assert vipctl("status", VIP)[1].split() == vipctl("status", "ip=" + VIP)[1].split()


def test_status_of_a_saved_cib(pair, vipctl):
    rc, rows = vipctl.json("status", "--cib", CIB / "crm.xml")
    assert rc == 0
    assert [row["resource"] for row in rows] == [
        "db-ip", "plain", "bynode", "byday", "web-ip", "shared:0", "shared:1", "shared:2"]
    assert not any(row["here"] for row in rows)


def test_explain_of_an_address_that_does_not_come_up(pair, vipctl):
    rc, found = vipctl.json("explain", "ip=10.1.1.1")
    assert rc == 1 and found["start"]["rc"] == 1
    assert "no route holds 10.1.1.1" in found["sentences"][0]


def test_explain_weighs_the_routes(two_nics, vipctl):
    for words in (("192.0.2.0/24", "eth1", "50"), ("192.0.2.32/27", "eth1", "9")):
        ip(two_nics.node, "route", "add", words[0], "dev", words[1], "metric", words[2])
    ip(two_nics.node, "route", "add", "blackhole", "192.0.2.48/30")
    _, found = vipctl.json("explain", VIP)
    whys = [(one["route"].split()[0], one["taken"], one["why"]) for one in found["routes"]]
    assert whys[0] == ("192.0.2.32/27", True, "the best of all")
    assert whys[1] == ("192.0.2.0/24", False, "/24 is shorter than /27")
    assert whys[2][0] == "192.0.2.0/24"
    assert found["belongs"]["nic"] == "eth1"


def test_explain_says_where_it_is_and_what_a_stop_would_do(pair, agent, vipctl):
    assert agent("start", ip=VIP, arp_bg="false").rc == 0
    rc, found = vipctl.json("explain", VIP)
    assert rc == 0 and found["seen"]["note"]["name"] == "eth0"
    assert found["start"]["commands"] == []
    assert "ip -f inet addr delete 192.0.2.50/24 dev eth0" in found["stop"]["commands"]
    text = vipctl("explain", VIP)[1]
    assert "It is there" in text and "where start put it" in text
    ip(pair.node, "addr", "del", VIP + "/24", "dev", "eth0")
    assert "It is not on this node" in vipctl("explain", VIP)[1]


@pytest.mark.parametrize("given, why", [
    ([], "send_arp, for it is the default for IPv4"),
    (["arp_sender=builtin"], "builtin, for arp_sender asks for it"),
    (["HA_BIN=/nonexistent"], "builtin, for send_arp is not installed")])
def test_explain_says_why_this_sender(pair, vipctl, given, why):
    env = dict(word.split("=") for word in given if word.isupper() or word.startswith("HA_"))
    words = [word for word in given if not word.startswith("HA_")]
    out = vipctl("explain", "ip=" + VIP, *words, **env)[1]
    assert "told by " + why in " ".join(out.split())


def test_explain_a_shared_address(pair, agent, vipctl):
    given = CASES["shared"]
    words = ["%s=%s" % one for one in given.items()]
    assert agent("start", **given).rc == 0
    _, found = vipctl.json("explain", *words)
    assert found["belongs"]["share"]["held"] == [1]
    assert found["belongs"]["share"]["complete"] and found["seen"]["backend"] == "nft"
    subprocess.run(["ip", "netns", "exec", pair.node, "nft", "flush", "ruleset"], check=True)
    _, found = vipctl.json("explain", *words)
    assert found["belongs"]["share"]["held"] == [] and found["seen"]["status"] == "partial2"


def test_check(pair, vipctl):
    rc, found = vipctl.json("check")
    topics = {line["topic"] for line in found}
    assert {"agent", "ip", "sh", "send_arp", "promote_secondaries", "HA_RSCTMP"} <= topics
    assert rc == int(any(line["verdict"] == "wrong" for line in found))
    assert all(line["remedy"] for line in found if line["verdict"] == "wrong")


def test_check_finds_an_address_twice(pair, vipctl, tmp_path):
    path = tmp_path / "cib.xml"
    path.write_text((CIB / "crm.xml").read_text().replace("192.0.2.51", VIP))
    # --cib is for verbs that read resources; check reads the cluster's own.
    found = subprocess.run(
        ["/usr/bin/python3", "-c", "import argparse\nfrom ipaddr2_py.hand import check\n"
         "report = check.Report()\n"
         "check.check_duplicates(report, argparse.Namespace(cib=%r))\n"
         "print(report.lines[0]['verdict'], report.lines[0]['text'])" % str(path)],
        cwd=CHECKOUT, check=True, text=True, stdout=subprocess.PIPE).stdout
    assert found.startswith("wrong") and "db-ip and web-ip" in found


def test_watch(pair, agent, vipctl):
    process = subprocess.Popen(vipctl.command("watch", VIP), env=vipctl.env, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert "monitor: 7" in process.stdout.readline()
        assert agent("start", ip=VIP, arp_bg="false").rc == 0
        assert wait_for(process, "monitor: 0, 192.0.2.50/24 is on eth0")
        ip(pair.node, "addr", "del", VIP + "/24", "dev", "eth0")
        assert wait_for(process, "monitor: 7")
    finally:
        process.kill()
        process.communicate()


def wait_for(process, text):
    """Read lines until one holds the text."""
    for line in process.stdout:
        if text in line:
            return True
    return False


# --- who and where ---------------------------------------------------------------------------


@pytest.fixture
def nobody(vipctl, tmp_path):
    """vipctl as user nobody, from a copy of the checkout that everybody can read."""
    home = pathlib.Path("/tmp") / tmp_path.name
    copy = home / "copy"
    for name in ("bin", "ipaddr2_py", "templates"):
        shutil.copytree(CHECKOUT / name, copy / name)
    home.chmod(0o755)

    def run(*words):
        command = [IP, "netns", "exec", vipctl.node, "setpriv", "--reuid=65534", "--regid=65534",
                   "--clear-groups", str(copy / "bin/vipctl"), *words]
        done = subprocess.run(command, env=vipctl.env, timeout=60, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        return done.returncode, done.stdout, done.stderr

    yield run
    shutil.rmtree(home)


def test_as_nobody(pair, nobody):
    for action in ("start", "stop"):
        rc, _, err = nobody(action, "ip=" + VIP)
        assert rc == 4 and err == "vipctl: %s needs root: it changes addresses\n" % action
    assert nobody("monitor", "ip=" + VIP)[0] == 7
    rc, out, err = nobody("explain", "ip=" + VIP)
    assert rc == 7 and "belongs on eth0" in out and "Traceback" not in err
    assert nobody("check")[2] == ""
    assert not address(pair.node, VIP)


def test_a_terminal_of_80_columns(pair, agent, vipctl):
    assert agent("start", ip=VIP6, nodad="true", arp_bg="false").rc == 0
    out = on_a_terminal(vipctl, ["status", "ip=" + VIP6])
    assert "\033[" in out
    plain = out
    for kind in ("0", "1", "2", "31", "32", "33"):
        plain = plain.replace("\033[%sm" % kind, "")
    assert all(len(line.rstrip("\r")) <= 80 for line in plain.split("\n"))
    assert "\033[" not in on_a_terminal(vipctl, ["status", "ip=" + VIP6], NO_COLOR="1")


def on_a_terminal(vipctl, words, **env):
    """What vipctl prints on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(vipctl.command(*words), stdin=theirs, stdout=theirs, stderr=theirs,
                               env={**vipctl.env, "TERM": "xterm", "COLUMNS": "80", **env})
    os.close(theirs)
    out = b""
    while True:
        if select.select([ours], [], [], 30)[0]:
            try:
                out += os.read(ours, 65536)
            except OSError:             # the other end is closed
                break
    os.close(ours)
    process.wait()
    return out.decode()


@pytest.mark.parametrize("words, code, told", [
    (["explain", "web-ip"], 1, "ip=ADDRESS"), (["explain", "x", "--cib", "/etc/passwd"], 2, "XML"),
    (["explain", "zzz", "--cib", str(CIB / "crm.xml")], 2, "there are: db-ip"),
    (["explain", "web-pi", "--cib", str(CIB / "crm.xml")], 2, "did you mean web-ip"),
    (["start", "nic=eth0"], 2, "ip=ADDRESS is missing"),
    (["explain", "--cib", "/nonexistent", "x"], 2, "cannot read")])
def test_one_sentence(pair, vipctl, words, code, told):
    rc, out, err = vipctl(*words)
    assert (rc, out) == (code, "") and told in err and err.count("\n") == 1


def test_nothing_of_it_is_loaded_by_a_monitor():
    code = "import sys; sys.path.insert(0, %r); from ipaddr2_py import agent; " \
        "print(any('.hand' in name for name in sys.modules))" % str(CHECKOUT)
    done = subprocess.run(["/usr/bin/python3", "-IS", "-c", code], check=True,
                          stdout=subprocess.PIPE)
    assert done.stdout == b"False\n"


def test_the_lab_is_left(pair):
    """setns() of a look is of a process of its own."""
    assert in_namespace(pair.node, lambda: os.path.exists("/proc/self/net/dev"))
