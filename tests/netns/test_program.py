# SPDX-License-Identifier: GPL-2.0-only
"""The program itself: actions, links to it, users without rights, and ocf-tester."""

import os
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from tests.lab.agent import PATH
from tests.lab.state import everything, place

VIP = "192.0.2.50"
NAMES = """ip nic cidr_netmask broadcast iflabel lvs_support lvs_ipv6_addrlabel
lvs_ipv6_addrlabel_value mac clusterip_hash unique_clone_address arp_interval arp_count
arp_count_refresh arp_bg arp_sender send_arp_opts flush_routes run_arping nodad noprefixroute
preferred_lft network_namespace proto check_link_status metric clusterip_firewall
clusterip_hash_seed clusterip_table clusterip_chain""".split()


def as_nobody(agent, *words, env=None):
    """Run the agent as user nobody, by default with an empty environment."""
    return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           agent.program, *words], env=env or {}, cwd="/", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)


def test_meta_data_for_nobody(agent, need):
    need("setpriv", "util-linux")
    done = as_nobody(agent, "meta-data")
    assert (done.returncode, done.stderr) == (0, "")
    root = ElementTree.fromstring(done.stdout)
    assert root.get("name") == "IPaddr2"
    assert set(NAMES) <= {entry.get("name") for entry in root.iter("parameter")}
    assert {"start", "stop", "status", "monitor", "validate-all", "meta-data"} <= {
        entry.get("name") for entry in root.iter("action")}


@pytest.mark.parametrize("action", ["usage", "help"])
def test_usage_for_nobody(agent, need, action):
    need("setpriv", "util-linux")
    done = as_nobody(agent, action)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage" in done.stdout and "validate-all" in done.stdout


@pytest.mark.parametrize("action", ["start", "stop"])
def test_changes_need_root(agent, need, action):
    need("setpriv", "util-linux")
    env = agent.environment(action, ip="127.0.0.99", env={"HA_LOGFILE": None, "HA_RSCTMP": "/tmp"})
    done = as_nobody(agent, action, env=env)
    assert done.returncode == 4, done
    assert "ocf-exit-reason:" in done.stderr and "root" in done.stderr


@pytest.mark.parametrize("words", [["dance"], [], [""], ["--help"], ["START"]])
def test_unknown_action(pair, agent, words):
    before = everything(pair.node)
    command = agent.command("x")[:-1] + words
    for env in (agent.environment("x", ip=VIP), {"PATH": PATH}):
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=30)
        assert done.returncode == 3, done
        assert "usage" in done.stdout
    assert everything(pair.node) == before


def test_further_words_are_ignored(pair, agent):
    subprocess.run(agent.command("start") + ["stop", "--nonsense"], timeout=30, check=True,
                   env=agent.environment("start", ip=VIP))
    assert place(pair.node, VIP) == "eth0/24"


@pytest.mark.parametrize("relative", [False, True])
def test_symbolic_link(pair, agent, relative):
    link = agent.folder / "VirtualIP"
    link.symlink_to(os.path.relpath(agent.program, str(agent.folder)) if relative
                    else agent.program)
    again = agent.folder / "IPaddr2"
    again.symlink_to("VirtualIP")
    agent.program = str(again)
    done = agent("start", ip=VIP)
    assert done.rc == 0, done
    assert place(pair.node, VIP) == "eth0/24"
    assert "IPaddr2(vip)[" in done.log


def test_works_from_any_folder_and_without_path(pair, agent):
    done = agent("start", ip=VIP, env={"PATH": "/nonexistent:/usr/sbin:/usr/bin"})
    assert done.rc == 0, done
    done = subprocess.run(agent.command("start"), cwd="/", timeout=30,
                          env=agent.environment("start", ip="192.0.2.51"))
    assert done.returncode == 0
    assert place(pair.node, "192.0.2.51") == "eth0/24"


def test_no_program_of_the_working_folder_is_run(pair, agent):
    folder = agent.stand_in("ip", "touch %s/taken\n" % agent.folder)
    agent.stand_in("posix.py", "raise SystemExit(99)\n")
    for path in ("", ".", "::", PATH + ":"):
        done = subprocess.run(agent.command("start"), cwd=folder, timeout=30,
                              env=dict(agent.environment("start", ip=VIP), PATH=path,
                                       PYTHONPATH=folder))
        assert done.returncode == 0, path
    assert not (agent.folder / "taken").exists()


def test_odd_environment_is_no_matter(pair, agent):
    odd = {"PYTHONPATH": "/nonexistent", "PYTHONHOME": "/nonexistent", "LC_ALL": "tlh_TLH",
           "IFS": "0", "OCF_RESKEY_": "x", "PYTHONSTARTUP": "/nonexistent"}
    done = agent("start", ip=VIP, env=odd)
    assert done.rc == 0, done
    raw = {key.encode(): value.encode() for key, value in
           agent.environment("monitor", ip=VIP).items()}
    raw[b"OCF_RESKEY_iflabel_note"] = b"\xff\xfe"
    assert subprocess.run(agent.command("monitor"), env=raw, timeout=30).returncode == 0


def test_full_stdout_and_closed_descriptors(agent):
    command = " ".join(agent.command("start"))
    done = subprocess.run(["sh", "-c", "exec %s >&- 2>&- <&-" % command], timeout=30,
                          env=agent.environment("start", ip=VIP))
    assert done.returncode == 0
    assert "Traceback" not in agent.log()


@pytest.mark.slow
@pytest.mark.parametrize("asked", [
    ["-o", "ip=192.0.2.50"],
    ["-o", "ip=2001:db8::50", "-o", "nodad=true"],
    ["-o", "ip=192.0.2.50", "-o", "nic=eth0", "-o", "cidr_netmask=28", "-o", "iflabel=web"]])
def test_ocf_tester(pair, agent, need, asked):
    need("xmllint", "libxml2-utils")
    tester = need("ocf-tester", "resource-agents")
    env = {"PATH": PATH, "HA_RSCTMP": str(agent.rsctmp), "HA_LOGFILE": str(agent.logfile)}
    done = subprocess.run(["ip", "netns", "exec", pair.node, tester, "-v", "-n", "vip", *asked,
                           agent.program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=env, timeout=90)
    assert done.returncode == 0, done.stdout
    assert "passed all tests" in done.stdout
