# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of children when the agent is ended, and of those it leaves behind."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
HEAD = """
import os, signal, sys, time
from ipaddr2_py import changes, children, commands
commands.load_environment({"PATH": "/usr/bin:/bin"})
"""


def poll(condition, seconds=10.0):
    """Wait until condition() is true; its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError("not within %s s" % seconds)


def alive(pid):
    try:
        with open("/proc/%s/stat" % pid, encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def noted(path):
    """The process id in a file, once it is there."""
    return int(poll(lambda: path.exists() and path.read_text().strip()))


@pytest.fixture
def python(request):
    """A function that starts Python with HEAD and a text of the test's; ended after the test."""
    def start(text, *words, **options):
        process = subprocess.Popen([sys.executable, "-c", HEAD + text, *map(str, words)],
                                   cwd=CHECKOUT, stdin=subprocess.DEVNULL, **options)
        request.addfinalizer(process.wait)
        request.addfinalizer(process.kill)
        return process

    return start


@pytest.fixture
def ended(request):
    """A function that takes a process id to be ended after the test, and gives it back."""
    def note(pid):
        request.addfinalizer(lambda: os.kill(pid, signal.SIGKILL) if alive(pid) else None)
        return pid

    return note


# --- ended with the agent --------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("verb", ["commands.query", "changes.run"])
def test_a_child_ends_with_the_agent(python, ended, tmp_path, verb, number):
    note = tmp_path / "pid"
    process = python("""
children.handle_termination()
try:
    %s(["sh", "-c", 'sleep 0.1; echo $$ >"$1"; exec sleep 60', "sh", sys.argv[1]])
except children.Terminated as told:
    print(told.number, flush=True)
    children.die_of(told.number)
""" % verb, note, stdout=subprocess.PIPE)
    child = ended(noted(note))
    process.send_signal(number)
    assert process.communicate(timeout=20)[0] == b"%d\n" % number
    assert process.returncode == -number
    poll(lambda: not alive(child))


@pytest.mark.parametrize("verb", ["commands.query", "changes.run"])
def test_a_child_that_was_just_started_ends_with_the_agent(python, ended, tmp_path, verb):
    """The signal comes while the agent does not know its child's number yet."""
    for attempt in range(3):
        note = tmp_path / str(attempt)
        process = python("""
children.handle_termination()
try:
    %s(["sh", "-c", 'echo $$ >"$1"; kill -TERM $PPID; exec sleep 60', "sh", sys.argv[1]])
except children.Terminated as told:
    children.die_of(told.number)
""" % verb, note)
        assert process.wait(timeout=20) == -signal.SIGTERM
        child = ended(noted(note))
        poll(lambda: not alive(child))


def test_what_was_begun_ends_with_the_agent(python, ended, tmp_path):
    note = tmp_path / "pid"
    process = python("""
children.handle_termination()
started = commands.query_start(["sleep", "60"])
open(sys.argv[1], "w").write(str(started.pid))
try:
    time.sleep(60)
except children.Terminated:
    os._exit(0)
""", note)
    child = ended(noted(note))
    process.terminate()
    assert process.wait(timeout=20) == 0
    poll(lambda: not alive(child))


def test_the_agents_group_is_the_childrens(python, ended, tmp_path):
    """Pacemaker ends the agent's process group: no child may be in another."""
    for verb in ("commands.query", "changes.run"):
        note = tmp_path / verb
        process = python("""
%s(["sh", "-c", 'echo $$ >"$1"; exec sleep 60', "sh", sys.argv[1]])
""" % verb, note, start_new_session=True)
        child = ended(noted(note))
        assert os.getpgid(child) == process.pid
        os.killpg(process.pid, signal.SIGKILL)
        poll(lambda: not alive(child))


# --- left behind -----------------------------------------------------------------------------

DETACH = """
def work():
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    time.sleep(60)
"""


def test_a_detached_child_outlives_the_agent_and_holds_no_pipe(python, ended, tmp_path):
    note = tmp_path / "pid"
    process = python(DETACH + """
print(commands.detach(work), flush=True)
print("told", file=sys.stderr)
""", note, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=20)       # the end of both: nobody else has them
    child = ended(noted(note))
    assert (int(out), err, process.returncode) == (child, b"told\n", 0)
    assert alive(child)
    assert os.getsid(child) == child
    assert [os.readlink("/proc/%d/fd/%d" % (child, fd)) for fd in (0, 1, 2)] == ["/dev/null"] * 3


def test_a_detached_child_keeps_a_log_on_stderr(python, ended, tmp_path):
    note, log = tmp_path / "pid", tmp_path / "log"
    with open(log, "wb") as file:
        python(DETACH + "commands.detach(work)\n", note, stderr=file).wait()
    child = ended(noted(note))
    assert os.readlink("/proc/%d/fd/2" % child) == str(log)
    assert os.readlink("/proc/%d/fd/1" % child) == "/dev/null"


def test_a_detached_child_can_be_ended(python, ended, tmp_path):
    note = tmp_path / "pid"
    python(DETACH + "children.handle_termination()\ncommands.detach(work)\n", note).wait()
    child = ended(noted(note))
    os.kill(child, signal.SIGTERM)
    poll(lambda: not alive(child))


def test_a_detached_child_starts_programs_of_its_own(python, ended, tmp_path):
    note = tmp_path / "out"
    python("""
children.set_deadline(0.01)

def work():
    children.set_deadline(10)
    result = changes.run(["sh", "-c", "echo $$; exit 4"])
    with open(sys.argv[1], "w") as file:
        print(result.rc, file=file)

commands.detach(work)
""", note).wait()
    assert noted(note) == 4


@pytest.mark.parametrize("work", ["1 / 0", "sys.exit(0)", "raise KeyboardInterrupt", "pass"])
def test_a_detached_child_does_not_run_on_in_the_agents_name(python, tmp_path, work):
    log = tmp_path / "log"
    with open(log, "ab") as file:
        process = python("""
def work():
    %s

pid = commands.detach(work)
status = os.waitpid(pid, 0)[1]
os.write(2, b"parent %%d\\n" %% os.WEXITSTATUS(status))
""" % work, stderr=file)
        process.wait()
    assert log.read_text() == "parent %d\n" % (0 if work == "pass" else 1)


# --- becoming another ------------------------------------------------------------------------


def test_becoming_another_program(python):
    process = python("""
commands.load_environment({"PATH": "/usr/bin:/bin", "X": "\\udcff", "LANG": "de_DE"})
commands.replace(["sh", "-c", 'printf "%s|%s|%s|%s" "$$" "$X" "$LC_ALL" "$1"', "sh", "\\udcfe"])
""", stdout=subprocess.PIPE)
    assert process.communicate(timeout=20)[0] == b"%d|\xff|C|\xfe" % process.pid


@pytest.mark.parametrize("argv", [["no-such-program"], ["/etc/passwd"]])
def test_what_one_cannot_become(python, argv):
    process = python("""
try:
    commands.replace(%r)
except OSError:
    os._exit(9)
""" % argv)
    assert process.wait() == 9
