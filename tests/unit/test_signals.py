# SPDX-License-Identifier: GPL-2.0-only
"""Signals as they are by default, whatever the caller left, and what children get of them."""

import pathlib
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
ALL = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
PYTHONS = {signal.SIGPIPE, signal.SIGXFSZ}
HEAD = """
import os, signal, sys
from ipaddr2_py import changes, children, commands
commands.load_environment({"PATH": "/usr/bin:/bin"})
STATUS = ["cat", "/proc/self/status"]
"""


def leave(ignored, blocked):
    """What a caller leaves to the program that it becomes."""
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def told(program, ignored=(), blocked=()):
    """Run a Python program behind HEAD; its output, and (ignored, blocked) in each status in it."""
    done = subprocess.run([sys.executable, "-c", HEAD + program], cwd=CHECKOUT, timeout=30,
                          stdout=subprocess.PIPE, preexec_fn=lambda: leave(ignored, blocked))
    assert done.returncode == 0
    text = done.stdout.decode()
    return text, [(numbers(text, "SigIgn", nth), numbers(text, "SigBlk", nth))
                  for nth in range(text.count("SigIgn:"))]


def numbers(text, name, nth):
    """The signals in the nth line with that name, but for the C library's own."""
    mask = int(text.split(name + ":")[nth + 1].split()[0], 16)
    return {number for number in ALL if mask >> number - 1 & 1}


OWN = "print(open('/proc/self/status').read(), flush=True)\n"
CHILDREN = """
print(commands.query(STATUS).out, flush=True)
print(changes.run(STATUS).out, flush=True)
children.RUN.sh_fails = True
print(changes.run(STATUS).out, flush=True)
"""


@pytest.mark.parametrize("ignored, blocked", [
    ([signal.SIGCHLD], []), ([signal.SIGINT, signal.SIGTERM], []), ([], ALL), (ALL, []),
    ([signal.SIGHUP, signal.SIGALRM, signal.SIGRTMIN, signal.SIGRTMAX], [signal.SIGUSR1]),
    ([], [])])
def test_by_default(ignored, blocked):
    """The agent itself keeps what Python ignores; its children have all by default."""
    assert told("children.signals_by_default()\n" + OWN + CHILDREN, ignored, blocked)[1] == [
        (PYTHONS, set())] + [(set(), set())] * 3


def test_what_the_caller_left_is_seen_without_it():
    assert told(OWN, [signal.SIGCHLD], [signal.SIGUSR1])[1] == [
        (PYTHONS | {signal.SIGCHLD}, {signal.SIGUSR1})]


def test_handlers_of_python_are_no_part_of_it():
    """Until main() says otherwise SIGINT ends the agent at once, without an exception."""
    assert told("children.signals_by_default()\n"
                "print(signal.getsignal(signal.SIGINT) == signal.SIG_DFL)")[0] == "True\n"


def test_what_is_taken_back_is_not_disturbed():
    """Programs that take something back ignore what the agent ignores then."""
    ignored = {signal.SIGINT, signal.SIGTERM}
    assert told("children.ignore_termination()\n" + CHILDREN)[1] == [(ignored, set())] * 3


def test_the_background_and_its_programs_outlive_a_hangup():
    program = """
out = os.dup(1)
def work():
    os.dup2(out, 1)
%s
pid = commands.detach(work)
os.waitpid(pid, 0)
""" % "".join("    %s\n" % line for line in (OWN + CHILDREN).splitlines())
    hangup = {signal.SIGHUP}
    assert told(program)[1] == [(PYTHONS | hangup, set())] + [(hangup, set())] * 3


def test_what_the_agent_becomes():
    """As the background becomes a sender, and the agent one in a namespace."""
    assert told("commands.replace(STATUS)")[1] == [(set(), set())]


def test_what_it_cannot_become_changes_nothing():
    assert told("try:\n    commands.replace(['/etc/passwd'])\nexcept OSError:\n    pass\n"
                + OWN)[1] == [(PYTHONS, set())]


@pytest.mark.parametrize("verb", ["commands.query", "changes.run"])
@pytest.mark.parametrize("sh_fails", [False, True])
def test_a_child_that_somebody_else_waited_for(verb, sh_fails):
    """Its status is not known, which is none of success; no exception."""
    text = told("children.RUN.sh_fails = %r\n"
                "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
                "result = %s(['sh', '-c', 'echo out; exit 3'])\n"
                "print((result.rc, result.out, result.timed_out, children.RUN.children))"
                % (sh_fails, verb))[0]
    assert text == "(255, 'out\\n', False, set())\n"


def test_a_signal_between_fork_and_exec_is_not_the_agents():
    """A SIGTERM for the whole group while sh's child gets ready: the child ends, and runs nothing
    that is the agent's."""
    text = told("""
os.setpgid(0, 0)
children.handle_termination()
original = children.become_child
def become_child():
    os.kill(os.getpid(), signal.SIGTERM)
    original()
    os._exit(9)
changes.become_child = become_child
agent = os.getpid()
result = changes.run(["echo", "x"])
print(os.getpid() == agent, result.rc)
""")[0]
    assert text == "True 143\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_another_thread_gets_waits_as_well(number):
    """While the main thread blocks it, as it starts a program: a thread of sh's may have it
    unblocked, and the handler is called in the main thread."""
    text = told("""
children.handle_termination()
steps = []
try:
    with children.signals_blocked():
        signal.getsignal(%d)(%d, None)
        steps.append("inside")
    steps.append("behind")
except children.Terminated as problem:
    steps.append(problem.number)
print(steps, children.RUN.pending)
""" % (number, number))[0]
    assert text == "['inside', %d] 0\n" % number


def test_a_program_whose_start_was_interrupted_ends_with_the_agent():
    """By a real signal, to a thread that does not block it."""
    text = told("""
import threading, time
children.handle_termination()
threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
real = commands._spawn
def spawn(*words):
    pid = real(*words)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)
    return pid
commands._spawn = spawn
begin = time.monotonic()
try:
    commands.query(["sleep", "60"])
except children.Terminated:
    pass
time.sleep(0.1)
left = open("/proc/self/task/%d/children" % os.getpid()).read().split()
states = [open("/proc/%s/stat" % pid).read().split()[2] for pid in left]
print(set(states) - {"Z"}, time.monotonic() - begin < 10, flush=True)
os._exit(0)
""")[0]
    assert text == "set() True\n"
