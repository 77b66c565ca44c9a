# SPDX-License-Identifier: GPL-2.0-only
"""A sick host: signals that the caller left ignored or blocked, and too little of everything.

The agent is started by way of a program that takes something away from it.
"""

import os
import pathlib
import signal
import sys
import uuid

import pytest

from tests.netns.state import ip, place, processes, wait_until

from .hosts import PROGRAM, HostAgent

VIP, VIP6 = "192.0.2.50", "2001:db8::50"
PIDS = [path for path in map(pathlib.Path, ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"))
        if (path / "cgroup.procs").exists()]


@pytest.fixture
def agent(pair, tmp_path):
    """The agent, which `agent.by` can take something away from."""
    return HostAgent(PROGRAM, pair.node, tmp_path)


def lifecycle(pair, agent, vip=VIP, **asked):
    """start, monitor, stop, monitor are 0, 0, 0 and 7; what they left on the node is right."""
    for action, rc, where in (("start", 0, "eth0"), ("monitor", 0, "eth0"), ("stop", 0, ""),
                              ("monitor", 7, "")):
        done = agent(action, ip=vip, **asked)
        assert done.rc == rc, (action, done)
        assert "Traceback" not in done.log + done.err, done
        assert place(pair.node, vip).partition("/")[0] == where, (action, done)


# --- signals ---------------------------------------------------------------------------------

#: Ignores and blocks signals, then becomes another program: both are kept over exec.
LEAVE = """
import os, signal, sys
ignored, blocked = ([int(word) for word in text.split()] for text in sys.argv[1:3])
for number in ignored:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
os.execv(sys.argv[3], sys.argv[3:])
"""
REAL_TIME = list(range(signal.SIGRTMIN, signal.SIGRTMAX + 1))
ALL = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
LEFT = {
    "CHLD": ([signal.SIGCHLD], []), "INT and TERM": ([signal.SIGINT, signal.SIGTERM], []),
    "ALRM HUP QUIT USR1 XFSZ": ([signal.SIGALRM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
                                 signal.SIGXFSZ], []),
    "real-time": (REAL_TIME, []), "all": (ALL, []), "blocked": ([], ALL), "both": (ALL, ALL),
}


def left(ignored, blocked):
    """Words that start a program with signals ignored and blocked."""
    return (sys.executable, "-IS", "-c", LEAVE, *(
        " ".join(str(int(number)) for number in numbers) for numbers in (ignored, blocked)))


def signals_of(pid, name):
    """The signals in a line of /proc/PID/status, such as SigIgn."""
    for line in pathlib.Path("/proc/%s/status" % pid).read_text().splitlines():
        if line.startswith(name + ":"):
            return {number for number in range(1, 65) if int(line.split()[1], 16) >> number - 1 & 1}
    raise AssertionError(name)


@pytest.mark.parametrize("ignored, blocked", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])
def test_signals_that_the_caller_left(pair, agent, vip, ignored, blocked):
    agent.by = left(ignored, blocked)
    lifecycle(pair, agent, vip)


@pytest.mark.parametrize("ignored, blocked", [(ALL, ALL), ([], [])], ids=["left", "none"])
def test_programs_have_every_signal_by_default(agent, ignored, blocked):
    """Those that read and those that change."""
    tools = agent.stand_in("ip", 'cat /proc/$$/status >"$HA_RSCTMP/$$"\nPATH=${PATH#*:}; '
                                 'exec ip "$@"\n')
    agent.by = left(ignored, blocked)
    env = {"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"}
    for action in ("start", "stop"):
        assert agent(action, ip=VIP, env=env, arp_bg="false").rc == 0
    told = [path.read_text() for path in agent.rsctmp.iterdir() if path.name.isdigit()]
    assert len(told) > 4
    for text in told:
        lines = dict(line.split(":\t", 1) for line in text.splitlines() if line.startswith("Sig"))
        assert int(lines["SigIgn"], 16) == int(lines["SigBlk"], 16) == 0, text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_although_the_caller_ignored_it(pair, agent, number):
    tools = agent.stand_in("send_arp", ': >"$HA_RSCTMP/here"; exec sleep 600\n', "tools")
    agent.by = left(ALL, ALL)
    with open(os.devnull, "wb") as null:
        process = agent.start_process("start", null, null, ip=VIP, arp_bg="false",
                                      env={"HA_BIN": tools})
    wait_until((agent.rsctmp / "here").exists, "the sender")
    process.send_signal(number)
    assert process.wait(20) == -number
    wait_until(lambda: not processes(pair.node), "the sender's end")
    assert place(pair.node, VIP) == ""


@pytest.mark.parametrize("sender", ["builtin", "send_arp"])
def test_the_background_outlives_a_hangup(pair, agent, sender):
    """The sender and the programs that it starts; a stop still ends them."""
    tools = agent.stand_in("send_arp", "exec sleep 600\n", "tools")
    asked = {"ip": VIP, "arp_sender": sender, "arp_count": 600, "arp_interval": 100,
             "env": {"HA_BIN": tools}}
    assert agent("start", **asked).rc == 0
    found = wait_until(lambda: len(processes(pair.node)) > (sender != "builtin")
                       and processes(pair.node), "the sender")
    for pid in found:
        wait_until(lambda pid=pid: signal.SIGHUP in signals_of(pid, "SigIgn"), "SIGHUP ignored")
        os.kill(pid, signal.SIGHUP)
    assert processes(pair.node) == found
    assert signals_of(found[-1], "SigBlk") == set()
    assert agent("stop", **asked).rc == 0
    for pid in found[-1:]:
        wait_until(lambda pid=pid: pid not in processes(pair.node), "the sender's end")
    for pid in processes(pair.node):
        os.kill(pid, signal.SIGKILL)


# --- too little ------------------------------------------------------------------------------

#: Mounts something over a folder, then becomes another program.
OVER = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
DEV = ('d=$(mktemp -d /dev/shm/XXXXXX) && mount -t tmpfs none $d && touch $d/null && '
       'mount --bind /dev/null $d/null && mount --move $d /dev && exec "$@"')
LACKING = {
    "/dev without fd": OVER + (DEV, "sh"),
    "/proc empty": OVER + ('mount -t tmpfs none /proc && exec "$@"', "sh"),
    "huge stacks": ("prlimit", "--stack=1099511627776:1099511627776", "--"),
    "endless stacks": ("prlimit", "--stack=unlimited", "--"),
    "8 MB": ("prlimit", "--data=8388608", "--"),
    "12 MB": ("prlimit", "--data=12582912", "--"),
    "14 descriptors": ("prlimit", "--nofile=14", "--"),
    "15 descriptors": ("prlimit", "--nofile=15", "--"),
    "17 descriptors": ("prlimit", "--nofile=17", "--"),
}


@pytest.mark.parametrize("lacking", LACKING)
@pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])
def test_too_little(pair, agent, vip, lacking):
    agent.by = LACKING[lacking]
    lifecycle(pair, agent, vip)
