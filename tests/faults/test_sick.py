# SPDX-License-Identifier: GPL-2.0-only
"""A sick host: signals that the caller left ignored or blocked, and too little of everything.

The agent is started by way of a program that takes something away from it.
"""

import compileall
import contextlib
import marshal
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid

import pytest

from tests.conftest import lacking
from tests.lab.agent import Agent
from tests.lab.namespaces import CHECKOUT
from tests.lab.state import ip, place, processes, wait_until

from .hosts import PROGRAM
from .test_programs import Scenario, become, finish

VIP, VIP6 = "192.0.2.50", "2001:db8::50"
IPV4 = Scenario("ipv4")
PIDS = [path for path in map(pathlib.Path, ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"))
        if (path / "cgroup.procs").exists()]


class SickAgent(Agent):
    """The agent on a sick host: `by` are words that start its program, `around` the whole run."""

    by = around = ()

    def ready(self):
        """Wait until a run can begin."""

    def __call__(self, action, **more):
        self.ready()
        return super().__call__(action, **more)

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
def few_processes(agent, request):
    """A function few_processes(most): from now on the agent and what it starts are so many."""
    if not PIDS:
        lacking("no cgroup whose processes are counted")
    group = PIDS[0] / ("ipaddr2-" + uuid.uuid4().hex[:8])

    def empty():        # also of those that have ended and that nobody has waited for
        return (group / "pids.current").read_text() == "0\n"

    def at_most(most):
        if not group.exists():
            group.mkdir()
            request.addfinalizer(group.rmdir)
            request.addfinalizer(lambda: wait_until(empty, "the end of the processes"))
        (group / "pids.max").write_text(str(most))
        agent.around = ("sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(group))
        agent.ready = lambda: wait_until(empty, "room in the group")

    return at_most


@pytest.mark.parametrize("most", [2, 3, 4])
@pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])
def test_few_processes(pair, agent, few_processes, vip, most):
    """The agent and one that it starts at least; no room for a thread of sh."""
    few_processes(most)
    lifecycle(pair, agent, vip, arp_bg="false", env={"HA_BIN": "/nonexistent"})


def test_few_processes_and_a_logger(pair, agent, few_processes):
    """The logger, which nobody waits for, is let end when another program needs its place."""
    tools = agent.stand_in("logger", 'echo "$4 $5" >>"$HA_RSCTMP/said"\n')
    few_processes(2)
    lifecycle(pair, agent, arp_bg="false", env={
        "HA_BIN": "/nonexistent", "HA_LOGFACILITY": "local3",
        "PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin"})
    assert "addr add" in (agent.rsctmp / "said").read_text()


def test_no_room_for_any_program(pair, agent, few_processes):
    """What cannot be told is 1 with a reason, and goes on when there is room again."""
    assert agent("start", ip=VIP, arp_bg="false").rc == 0
    few_processes(1)
    for action in ("monitor", "stop"):
        done = agent(action, ip=VIP)
        assert (done.rc, "temporarily unavailable" in done.reason) == (1, True), done
    few_processes(2)
    assert agent("stop", ip=VIP).rc == 0
    assert place(pair.node, VIP) == ""


# --- too little, in every measure --------------------------------------------------------------

MEGABYTE = 1 << 20


@pytest.mark.parametrize("limit", ["nofile=%d" % number for number in range(4, 14)]
                         + ["data=%d" % (MEGABYTE * half // 2) for half in range(15, 18)]
                         + ["as=%d" % (MEGABYTE * number) for number in range(16, 26, 3)])
def test_the_code_is_honest(pair, agent, limit):
    """Where even the agent cannot work: 1 and nothing changed, never 5 or a wrong word.

    With less memory than here Python 3.11 itself may end, or run round in circles.
    """
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


# --- paused -----------------------------------------------------------------------------------

TIMEOUT = 2.0               # seconds that an action has, of which 0.7 are for its work
SHARES = (0.73, 0.8)        # of it that the agent and its children are paused


class Pause:
    """An action that is paused `after` so many seconds, for a share of its time."""

    def __init__(self, action, after, share):
        self.action = action
        self.after = after
        self.share = share
        self.served = action != "start"

    def __str__(self):
        return "%s paused after %d ms" % (self.action, self.after * 1000)


def paused(host, case):
    """Play one Pause: the action ends as in good health."""
    become(host, IPV4, case.served)
    out, err = (open(host.folder / name, "wb") for name in ("out", "err"))
    before = len(host.agent.log())
    with out, err:
        process = host.agent.start_process(case.action, out, err, **dict(
            IPV4.asked, CRM_meta_timeout=int(TIMEOUT * 1000)))
        begin = time.monotonic()
        wait_until(lambda: time.monotonic() - begin >= case.after or process.poll() is not None,
                   "the moment")
        for number in (signal.SIGSTOP, signal.SIGCONT):
            if process.poll() is None:
                os.killpg(process.pid, number)
                time.sleep(case.share * TIMEOUT if number == signal.SIGSTOP else 0)
        rc = process.wait(20)
    said = (host.folder / "err").read_text() + host.agent.log()[before:]
    host.serves = IPV4 if case.action != "stop" else None
    assert rc == 0, said
    assert "Traceback" not in said, said
    assert host.places(VIP) == (IPV4.where if host.serves else set())


@pytest.mark.parametrize("action", ["start", "monitor", "stop"])
def test_paused(hosts, tally, action):
    cases = [Pause(action, moment / 1000, share) for moment in range(0, 88, 4) for share in SHARES]
    tally("agents paused", hosts.at_once(cases, paused, finish))


# --- compiled modules that are not whole ------------------------------------------------------

WHOLE = 600         # bytes that a power cut has left
DAMAGES = {
    "cut off": lambda data: data[:WHOLE],
    "zeros": lambda data: data[:WHOLE] + bytes(max(0, len(data) - WHOLE)),
    "empty": lambda data: b"",
    "garbage": lambda data: data[:16] + bytes(range(255, 0, -1)) * (len(data) // 255),
    "another object": lambda data: data[:16] + marshal.dumps({"no": "code"}),
    "half of the header": lambda data: data[:8],
}


@pytest.fixture
def copied(pair, tmp_path):
    """The agent in a copy whose modules are compiled, and their compiled files by name."""
    home = tmp_path / "home"
    for name in ("bin", "ipaddr2_py"):
        shutil.copytree(CHECKOUT / name, home / name,
                        ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(str(home / "ipaddr2_py"), quiet=1)
    agent = SickAgent(str(home / "bin" / "IPaddr2"), pair.node, tmp_path)
    agent.by = (sys.executable, "-IS")
    return agent, {str(path.relative_to(home)): path for path in sorted(
        home.rglob("__pycache__/*.pyc"))
        if path.parts[-3] not in ("hand", "provider", "clusterip")}     # these actions load none


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_compiled_module_that_is_not_whole(pair, copied, kind):
    """All of them at once, the first alone, and for what a power cut leaves each in turn."""
    agent, compiled = copied
    damage = DAMAGES[kind]
    whole = {name: path.read_bytes() for name, path in compiled.items()}
    assert len(whole) > 20
    for damaged in [list(whole)] + [[name] for name in whole
                                    if kind in ("cut off", "zeros") or name.startswith(
                                        "ipaddr2_py/__pycache__/__init__")]:
        for name, path in compiled.items():
            path.write_bytes(damage(whole[name]) if name in damaged else whole[name])
        for action in ("start", "monitor", "stop"):
            done = agent(action, ip=VIP, arp_bg="false", env={"HA_BIN": "/nonexistent"})
            assert (done.rc, done.err) == (0, ""), (damaged, action, done)
            assert bool(place(pair.node, VIP)) is (action != "stop"), (damaged, action)


# --- readers that do not read -----------------------------------------------------------------


@pytest.fixture
def full(request):
    """The writing end of a pipe that is full and that nobody reads."""
    ends = os.pipe()
    for end in ends:
        request.addfinalizer(lambda end=end: os.close(end))
    os.set_blocking(ends[1], False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(ends[1], bytes(65536))
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(ends[1], b"x")
    os.set_blocking(ends[1], True)
    return ends[1]


@pytest.fixture
def fifo(tmp_path, request):
    """A function fifo(reader): the path of a FIFO without a reader, or full and not read."""
    def make(reader):
        path = tmp_path / "fifo"
        os.mkfifo(path)
        if reader:
            end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            request.addfinalizer(lambda: os.close(end))
            for piece in (bytes(65536), b"x"):
                with contextlib.suppress(BlockingIOError):
                    while True:
                        os.write(end, piece)
        return str(path)

    return make


def quick(pair, agent, stderr=subprocess.DEVNULL, **asked):
    """start, monitor and stop are 0, the first line is waited for a second at most."""
    for action in ("start", "monitor", "stop"):
        begin = time.monotonic()
        process = subprocess.Popen(
            agent.command(action), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=stderr, start_new_session=True,
            env=agent.environment(action, ip=VIP, arp_bg="false", **asked))
        try:
            assert process.wait(15) == 0, action
        finally:
            process.kill()
            process.wait()
        assert time.monotonic() - begin < 3, action
        assert bool(place(pair.node, VIP)) is (action != "stop"), action


def test_stderr_that_nobody_reads(pair, agent, full):
    quick(pair, agent, stderr=full, env={"HA_LOGFILE": None})


def test_a_reason_that_nobody_reads(agent, full):
    process = subprocess.Popen(agent.command("start"), stderr=full, stdin=subprocess.DEVNULL,
                               env=agent.environment("start", ip="rubbish"))
    assert process.wait(15) == 6


@pytest.mark.parametrize("reader", [False, True], ids=["no reader", "stuck reader"])
@pytest.mark.parametrize("name", ["HA_LOGFILE", "HA_DEBUGLOG", "OCF_TRACE_FILE"])
def test_a_fifo_that_nobody_reads(pair, agent, fifo, name, reader):
    quick(pair, agent, env={name: fifo(reader), "OCF_TRACE_RA": "1", "HA_debug": "1"})


def test_a_trace_that_nobody_reads(pair, agent, full):
    agent.by = ("sh", "-c", 'exec 9>&2 2>/dev/null; exec "$@"', "sh")
    quick(pair, agent, stderr=full, env={"OCF_TRACE_RA": "1", "OCF_TRACE_FILE": "9"})


def test_everything_that_nobody_reads(pair, agent, full, fifo):
    """A second in all, not one for each."""
    quick(pair, agent, stderr=full, env={"HA_LOGFILE": None, "HA_DEBUGLOG": fifo(True),
                                         "OCF_TRACE_RA": "1", "OCF_TRACE_FILE": "/dev/stderr"})


@pytest.mark.parametrize("hidden", [False, True], ids=["logger", "no logger"])
def test_a_system_log_that_nobody_reads(pair, agent, tmp_path, hidden):
    """Neither logger(1) nor the agent itself waits there for long."""
    dev = tmp_path / "dev"
    dev.mkdir()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        log.bind(str(dev / "log"))
        writer = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        writer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                writer.sendto(b"x", str(dev / "log"))
        agent.by = OVER + ('touch "$0/null" && mount --bind /dev/null "$0/null" && '
                           'ln -sfn /proc/self/fd "$0/fd" && mount --bind "$0" /dev && exec "$@"',
                           str(dev))
        if hidden:
            agent.by += ("sh", "-c", "for path in /usr/bin/logger /bin/logger; do [ ! -e $path ] ||"
                         ' mount --bind /dev/null $path; done; exec "$@"', "sh")
        quick(pair, agent, env={"HA_LOGFACILITY": "local3"})
