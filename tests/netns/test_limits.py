# SPDX-License-Identifier: GPL-2.0-only
"""No tool can hang the agent: each child has a limit below the action's own and ends with it."""

import pathlib
import subprocess

import pytest

from tests.lab.state import place, processes, wait_until

VIP = "192.0.2.50"
PATH = ":/usr/sbin:/usr/bin:/sbin:/bin"
#: A tool that never ends, not even for a kind word.
HANG = 'trap "" TERM HUP; exec sleep 600\n'


def hanging(agent, name, words="*"):
    """PATH with a stand-in that hangs when its arguments match the shell pattern `words`."""
    script = 'case "$*" in %s) %s ;; esac\nPATH=${PATH#*:}; exec %s "$@"\n' % (words, HANG, name)
    return agent.stand_in(name, script) + PATH


@pytest.mark.slow
@pytest.mark.parametrize("action, words", [
    ("start", '*"route list"*'), ("start", '*"addr add"*'), ("start", '*"link set"*'),
    ("monitor", "*"), ("stop", '*"addr delete"*'), ("status", "*"), ("validate-all", "*")])
def test_hanging_ip(pair, agent, action, words):
    if action == "stop":
        agent("start", ip=VIP, arp_bg="false")
    done = agent(action, ip=VIP, nic="eth0", CRM_meta_timeout=1500,
                 env={"PATH": hanging(agent, "ip", words)})
    assert done.rc == 1, done
    assert done.reason or action == "status", done
    assert done.seconds < 1.5, done
    assert "Traceback" not in done.log, done
    wait_until(lambda: not processes(pair.node), "the tool's end")


@pytest.mark.slow
def test_hanging_add_is_taken_back(pair, agent):
    """What was added although the tool hung afterwards is not left behind."""
    tools = agent.stand_in("ip", 'PATH=${PATH#*:}; ip "$@"; rc=$?\n'
                                 'case "$*" in *"addr add"*) %s ;; esac; exit $rc\n' % HANG)
    done = agent("start", ip=VIP, CRM_meta_timeout=2000, env={"PATH": tools + PATH})
    assert done.rc == 1 and done.seconds < 2, done
    assert place(pair.node, VIP) == ""


@pytest.mark.slow
@pytest.mark.parametrize("vip, tool", [(VIP, "send_arp"), ("2001:db8::50", "send_ua")])
def test_hanging_sender(pair, agent, vip, tool):
    tools = agent.stand_in(tool, HANG, "tools")
    done = agent("start", ip=vip, arp_bg="false", CRM_meta_timeout=2000, env={"HA_BIN": tools})
    assert done.seconds < 2, done
    assert done.rc == (1 if ":" in vip else 0), done
    wait_until(lambda: not processes(pair.node), "the tool's end")
    assert bool(place(pair.node, vip)) is (done.rc == 0)


@pytest.mark.slow
def test_a_forgotten_grandchild_holds_nothing_up(agent):
    """A tool that leaves a job behind, which keeps the pipe open, does not hang the agent."""
    tools = agent.stand_in("send_arp", "sleep 600 &\nexit 0\n", "tools")
    done = agent("start", ip=VIP, arp_bg="false", CRM_meta_timeout=2000, env={"HA_BIN": tools})
    assert done.rc == 0 and done.seconds < 2, done


def test_children_end_with_the_agent(pair, agent):
    tools = agent.stand_in("send_arp", 'touch "$HA_RSCTMP/here"\n' + HANG, "tools")
    process = agent.start_process("start", subprocess.DEVNULL, subprocess.DEVNULL, ip=VIP,
                                  arp_bg="false", env={"HA_BIN": tools})
    wait_until((agent.rsctmp / "here").exists, "the sender")
    process.terminate()
    assert process.wait(20) != 0
    wait_until(lambda: not processes(pair.node), "the sender's end")
    assert "Traceback" not in agent.log()


def test_agent_without_its_tools(pair, agent):
    env = {"PATH": "/nonexistent", "IP2UTIL": "/nonexistent/ip"}
    assert pathlib.Path(agent.program).exists()
    for action, codes in (("start", (5,)), ("validate-all", (5,))):
        done = agent(action, ip=VIP, env=env)
        assert done.rc in codes and done.reason, done
