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

from tests.conftest import lacking
from tests.netns.agent import Agent
from tests.netns.state import ip, place, processes, wait_until

from .hosts import PROGRAM

VIP, VIP6 = "192.0.2.50", "2001:db8::50"
PIDS = [path for path in map(pathlib.Path, ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"))
        if (path / "cgroup.procs").exists()]


class SickAgent(Agent):
    """The agent on a sick host: `by` are words that start its program, `around` the whole run."""

    by = around = ()

    def command(self, action, inside=None):
        *words, program, word = super().command(action, inside)
        return [*self.around, *words, *self.by, program, word]


@pytest.fixture
def agent(pair, tmp_path):
    """The SickAgent on the node."""
    return SickAgent(PROGRAM, pair.node, tmp_path)


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


def signals_in(text, name):
    """The signals in a line of /proc/PID/status, such as SigIgn; none of the C library's own."""
    found = [line.split()[1] for line in text.splitlines() if line.startswith(name + ":")]
    return {number for number in ALL if int(found[0], 16) >> number - 1 & 1}


def ignored_by(pid):
    """The signals that a process ignores."""
    return signals_in(pathlib.Path("/proc/%d/status" % pid).read_text(), "SigIgn")


@pytest.mark.parametrize("ignored, blocked", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])
def test_signals_that_the_caller_left(pair, agent, vip, ignored, blocked):
    agent.by = left(ignored, blocked)
    lifecycle(pair, agent, vip)


@pytest.mark.parametrize("ignored, blocked", [(ALL, ALL), ([], [])], ids=["left", "none"])
def test_programs_have_every_signal_by_default(agent, ignored, blocked):
    """Those that read and those that change."""
    tools = agent.stand_in("ip", 'while read -r line; do echo "$line"; done </proc/$$/status '
                                 '>"$HA_RSCTMP/$$"\nPATH=${PATH#*:}; exec ip "$@"\n')
    agent.by = left(ignored, blocked)
    env = {"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"}
    for action in ("start", "stop"):
        assert agent(action, ip=VIP, env=env, arp_bg="false").rc == 0
    told = [path.read_text() for path in agent.rsctmp.iterdir() if path.name.isdigit()]
    assert len(told) > 4
    for text in told:
        assert not signals_in(text, "SigIgn") | signals_in(text, "SigBlk"), text


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
def test_the_background_outlives_a_hangup(pair, agent, sender, request):
    """The sender and the program that it starts; a stop still ends it."""
    tools = agent.stand_in("send_arp", 'echo $$ >"$6"; while :; do sleep 1; done\n', "tools")
    asked = {"ip": VIP, "arp_sender": sender, "arp_count": 600, "arp_interval": 100,
             "env": {"HA_BIN": tools}}

    request.addfinalizer(lambda: [os.kill(pid, signal.SIGKILL) for pid in processes(pair.node)])
    assert agent("start", **asked).rc == 0
    pid_file = agent.rsctmp / ("send_arp-" + VIP)
    wait_until(lambda: pid_file.exists() and pid_file.read_text().strip(), "the pid file")
    pid = int(pid_file.read_text().split()[0])
    pythons = {signal.SIGPIPE, signal.SIGXFSZ} if sender == "builtin" else set()
    assert ignored_by(pid) == {signal.SIGHUP} | pythons
    for other in processes(pair.node):
        os.kill(other, signal.SIGHUP)
    os.kill(pid, 0)
    assert agent("stop", **asked).rc == 0
    wait_until(lambda: pid not in processes(pair.node), "the sender's end")


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
    lifecycle(pair, agent, vip, env={"HA_BIN": "/nonexistent"})     # send_ua reads /proc


@pytest.fixture
def few_processes(request):
    """A function few_processes(most): words that start a program in a group of so many."""
    if not PIDS:
        lacking("no cgroup whose processes are counted")
    group = PIDS[0] / ("ipaddr2-" + uuid.uuid4().hex[:8])

    def remove():
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "the end of the processes")
        group.rmdir()

    def words(most):
        if not group.exists():
            group.mkdir()
            request.addfinalizer(remove)
        (group / "pids.max").write_text(str(most))
        return ("sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(group))

    return words


@pytest.mark.parametrize("most", [2, 3, 4])
@pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])
def test_few_processes(pair, agent, few_processes, vip, most):
    """The agent and one that it starts at least; no room for a thread of sh."""
    agent.around = few_processes(most)
    lifecycle(pair, agent, vip, arp_bg="false", env={"HA_BIN": "/nonexistent"})


def test_few_processes_and_a_logger(pair, agent, few_processes):
    """The logger, which nobody waits for, is let end when another program needs its place."""
    tools = agent.stand_in("logger", 'echo "$4 $5" >>"$HA_RSCTMP/said"\n')
    agent.around = few_processes(2)
    lifecycle(pair, agent, arp_bg="false", env={
        "HA_BIN": "/nonexistent", "HA_LOGFACILITY": "local3",
        "PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"})
    assert "addr add" in (agent.rsctmp / "said").read_text()


def test_no_room_for_any_program(pair, agent, few_processes):
    """What cannot be told is 1 with a reason, and goes on when there is room again."""
    assert agent("start", ip=VIP, arp_bg="false").rc == 0
    agent.around = few_processes(1)
    for action in ("monitor", "stop"):
        done = agent(action, ip=VIP)
        assert (done.rc, "temporarily unavailable" in done.reason) == (1, True), done
    few_processes(2)
    assert agent("stop", ip=VIP).rc == 0
    assert place(pair.node, VIP) == ""


# --- too little, in every measure --------------------------------------------------------------

MEGABYTE = 1 << 20


@pytest.mark.parametrize("limit", ["nofile=%d" % number for number in range(4, 14)]
                         + ["data=%d" % (MEGABYTE * half // 2) for half in range(11, 16)]
                         + ["as=%d" % (MEGABYTE * number) for number in range(16, 26, 3)])
def test_the_code_is_honest(pair, agent, limit):
    """Where even the agent cannot work: 1 and nothing changed, never 5 or a wrong word."""
    sick = ("prlimit", "--" + limit, "--")
    env = {"HA_BIN": "/nonexistent"}
    for action, there in (("start", False), ("monitor", True), ("stop", True), ("stop", False)):
        if there and not place(pair.node, VIP):
            ip(pair.node, "addr", "add", VIP + "/24", "dev", "eth0")
        agent.by = sick
        done = agent(action, ip=VIP, env=env, arp_bg="false")
        assert done.rc in (0, 1, 127), (action, done)       # 127: of the dynamic linker
        if done.rc == 0:
            there = action != "stop"
        else:
            assert done.err, "no reason for %s: %s" % (action, done)
        assert bool(place(pair.node, VIP)) is there, (action, done)
        agent.by = ()
        assert agent("stop" if action != "monitor" else "status", ip=VIP).rc in (0, 7)
