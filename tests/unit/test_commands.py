# SPDX-License-Identifier: GPL-2.0-only
"""One contract for query(), run() and their fakes: the same real programs, the same results."""

import os
import pathlib
import posix
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback

import pytest

from ipaddr2_py import changes, children, commands
from ipaddr2_py.changes import sh_import
from tests.unit.fake_commands import Programs, FakeCommands

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_programs")]
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"


def load_sh(folder):
    """The library sh of a folder, imported as the agent does."""
    others = {name: module for name, module in sys.modules.items() if name == "sh"}
    path = list(sys.path)
    sys.modules.pop("sh", None)
    sys.path.insert(0, folder)
    try:
        return sh_import.load()
    finally:
        sys.path[:] = path
        sys.modules.pop("sh", None)
        sys.modules.update(others)


def installed_sh():
    """Each kind of sh that is installed (1 and 2 differ): {"sh 1": module}."""
    found = {}
    for folder in sys.path + ["/usr/lib/python3/dist-packages"]:
        if any(os.path.isfile(folder + name) for name in ("/sh.py", "/sh/__init__.py")):
            module = load_sh(folder)
            kind = "sh 2" if "return_cmd" in module.Command._call_args else "sh 1"
            found.setdefault(kind, module)
    return found


SH = installed_sh()
DOORS = ["query", "query fake", "run fake"] + ["run " + kind for kind in SH]


class Door:
    """One way to start a program: door(argv) gives a Result; merged as run() has it."""

    def __init__(self, name):
        self.merged = name.startswith("run")
        fake = FakeCommands() if name.endswith("fake") else None
        self.open = (fake or changes).run if self.merged else (fake or commands).query

    def __call__(self, *argv):
        return self.open(list(argv))

    def script(self, text, *words):
        return self("sh", "-c", text, "sh", *words)


@pytest.fixture(params=DOORS)
def door(request, monkeypatch):
    commands.load_environment({"PATH": PATH})
    if request.param[4:] in SH:
        monkeypatch.setitem(sys.modules, "sh", SH[request.param[4:]])
    return Door(request.param)


def test_sh_is_here_to_be_tested():
    assert SH


# --- the contract ----------------------------------------------------------------------------


@pytest.mark.parametrize("rc", [0, 1, 2, 7, 125, 126, 127, 128, 129, 255])
def test_exit_status_is_data(door, rc):
    result = door.script("exit $1", str(rc))
    assert (result.rc, result.out, result.err, result.timed_out) == (rc, "", "", False)


@pytest.mark.parametrize("name", ["INT", "ABRT", "KILL", "PIPE", "TERM", "USR1"])
def test_a_signal_is_128_and_its_number(door, name):
    number = getattr(signal, "SIG" + name)
    assert door.script("kill -%s $$; echo survived" % name).rc == 128 + number


def test_what_is_not_there_is_127(door, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("no-such-program", str(plain), str(tmp_path / "dangling"), str(tmp_path),
                 "./plain", "plain", "", ".", "..", "bin/true", "x" * 5000, "a\0b"):
        result = door(name)
        assert (result.rc, result.out, result.err) == (127, "", ""), name


@pytest.mark.parametrize("content", ["not a program\n", "#!/no/such/interpreter\n", ""])
def test_what_cannot_be_executed_is_126(door, tmp_path, content):
    path = tmp_path / "broken"
    path.write_text(content)
    path.chmod(0o755)
    result = door(str(path), "x")
    assert (result.rc, result.out, result.timed_out) == (126, "", False)


def test_output_is_apart_or_in_one(door):
    result = door.script("echo one; echo two >&2; echo three")
    expected = ("one\ntwo\nthree\n", "") if door.merged else ("one\nthree\n", "two\n")
    assert (result.out, result.err) == expected


@pytest.mark.parametrize("words", [
    ["a b", "  ", "", "x", ""],
    ["$HOME", "`id`", "$(id)", "a;b", "a&b", "a|b", ">x", "*", "~", "\\n", "'", '"', "#",
     "a\nb\tc"],
    ["-x", "--x=y", "--", "_out=/x", "_in=x", "fg=True", "x=y"],
    ["\u00e9", "\u65e5\u672c", "\U0001f980", "\udcff\udc80", "\u00e9\udcc3", "\r"],
], ids=["blanks", "shell", "options", "bytes"])
def test_words_arrive_as_they_are(door, words):
    result = door("printf", "[%s]\\n", *words)
    assert result.out == "".join("[%s]\n" % word for word in words)


def test_big_output_on_both_sides(door):
    result = door.script("yes out | head -c 600000; yes err | head -c 600000 >&2; exit 3")
    assert (result.rc, len(result.out + result.err)) == (3, 1200000)


@pytest.mark.parametrize("start", [commands.query, changes.run], ids=["query", "run"])
def test_output_beyond_the_limit_is_dropped_and_nobody_waits(start, monkeypatch):
    commands.load_environment({"PATH": PATH})
    monkeypatch.setattr(children, "OUTPUT_LIMIT", 1000)
    result = start(["sh", "-c", "yes | head -c 3000000; exit 5"])
    assert result.rc == 5 and 1000 <= len(result.out) < 200000


def test_the_time_limit(door):
    for limit in (0.1, 0.2, 0.5, 2, 8):     # until it had the time to print something
        children.set_deadline(limit)
        begin = time.monotonic()
        result = door.script("echo $$; exec sleep 60")
        assert limit < time.monotonic() - begin < limit + 2
        assert (result.rc, result.timed_out) == (137, True)
        if result.out:
            break
    assert not os.path.exists("/proc/%d" % int(result.out))
    assert children.remaining() == 0
    result = door("sleep", "60")
    assert (result.rc, result.timed_out) == (137, True)


def test_the_time_limit_of_a_program_that_closed_its_output(door):
    children.set_deadline(0.15)
    result = door.script("exec sleep 60 >/dev/null 2>&1")
    assert (result.rc, result.timed_out) == (137, True)


def test_what_children_get(door, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    commands.load_environment({
        b"PATH": b".::bin:/usr/bin:/bin", b"LC_ALL": b"de_DE", b"LANG": b"de_DE",
        b"LANGUAGE": b"de",
        b"ODD": b"\xff\xe9", b"EMPTY": b"", b"TEXT": "\u00e9".encode()})
    result = door("env")
    assert sorted(result.out.splitlines()) == sorted([
        "PATH=/usr/bin:/bin:/sbin:/bin:/usr/sbin:/usr/bin", "LC_ALL=C", "ODD=\udcff\udce9",
        "EMPTY=",
        "TEXT=\u00e9"])


def is_inheritable(fd):
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False


def test_what_children_stand_in(door):
    assert door("readlink", "/proc/self/fd/0").out == "/dev/null\n"
    inherited = [fd for fd in os.listdir("/proc/self/fd") if is_inheritable(int(fd))]
    held = set(door("ls", "/proc/self/fd").out.split())
    assert held - set(inherited) - {"0", "1", "2", "3"} == set()    # 3 is what ls reads
    assert door("cut", "-d ", "-f5,6", "/proc/self/stat").out.split() == [
        str(os.getpgid(0)), str(os.getsid(0))]


def test_no_child_is_left(door):
    pid = int(door.script("echo $$").out)
    assert not os.path.exists("/proc/%d" % pid)
    assert not children.RUN.children


# --- the rest of the doors -------------------------------------------------------------------


@pytest.mark.parametrize("side", [commands, FakeCommands()], ids=["real", "fake"])
def test_query_in_two_steps(side):
    commands.load_environment({"PATH": PATH})
    begin = time.monotonic()
    started = [side.query_start(["sh", "-c", "sleep 0.1; echo %d; exit %d" % (n, n)])
               for n in range(3)]
    assert all(one.pid for one in started)
    results = [side.query_end(one) for one in started]
    assert [(one.rc, one.out) for one in results] == [(0, "0\n"), (1, "1\n"), (2, "2\n")]
    assert time.monotonic() - begin < 1
    missing = side.query_start(["no-such-program"])
    assert (missing.pid, side.query_end(missing).rc) == (0, 127)


@pytest.fixture
def counted(tmp_path):
    """Words that note a line in a file, and a function that tells how many there are."""
    commands.load_environment({"PATH": PATH})
    path = tmp_path / "calls"
    return (["sh", "-c", "echo x >>%s; grep -c . %s; exit 3" % (path, path)],
            lambda: len(path.read_text().splitlines()) if path.exists() else 0)


def test_a_query_begun_ahead_runs_once(counted):
    argv, calls = counted
    commands.prefetch(argv)
    result = commands.query(list(argv))
    assert (result.rc, result.out, calls()) == (3, "1\n", 1)
    assert commands.query(argv).out == "2\n"


def test_a_query_begun_before_a_change_is_asked_again_after_it(counted):
    argv, calls = counted
    commands.prefetch(argv)
    changes.run(["true"])
    before = calls()        # it may have come to an end by then
    assert commands.query(argv).out == "%d\n" % (before + 1)


def test_what_nobody_asks_for_is_ended():
    commands.load_environment({"PATH": PATH})
    kept = pathlib.Path("/proc/self/task/%d/children" % os.getpid())
    before = len(os.listdir("/proc/self/fd")), kept.read_text()
    commands.prefetch(["sleep", "60"])
    commands.prefetch(["sleep", "61"])
    commands.prefetch(["no-such-program"])
    begin = time.monotonic()
    commands.discard_prefetched()
    assert time.monotonic() - begin < 2
    assert (len(os.listdir("/proc/self/fd")), kept.read_text()) == before


@pytest.mark.parametrize("words", [
    ["ip", "-o", "addr", "192.0.2.1/24", "2001:db8::1", "a=b", "+", "-", "%", "@", "x,y"],
    ["", " ", "'", "''", '"', "a'b", "$x", "`x`", "a\\b", "*", "~", "#", "!", "a\nb", "\u00e9",
     "\u0662",      "{a,b}", "a;b", "&", "<", "[x]", "^", "="]])
def test_what_is_quoted_can_be_pasted(words):
    line = commands.quoted(words)
    assert shlex.split(line) == words
    done = subprocess.run(["sh", "-c", "printf '%s\\0' " + line], check=True,
                          stdout=subprocess.PIPE)
    assert done.stdout.decode().split("\0")[:-1] == words


def test_plain_words_are_not_quoted():
    words = ["ip", "-f", "inet6", "addr", "add", "2001:db8::1/64", "dev", "eth0.5@x", "+", "a=b"]
    assert commands.quoted(words) == " ".join(words)


# --- a sick host -----------------------------------------------------------------------------


def fail_after(function, calls, problem):
    """The function, which fails from the call on that comes after so many."""
    made = []

    def failing(*words, **more):
        made.append(words)
        if len(made) > calls:
            raise problem
        return function(*words, **more)

    return failing


def no_listing(*_words):
    raise FileNotFoundError(2, "No such file or directory")


#: What fails for sh -> a function that has it fail, by way of a monkeypatch.
AILMENTS = {
    "first thread": lambda patch: patch.setattr(threading.Thread, "start", fail_after(
        threading.Thread.start, 0, RuntimeError("can't start new thread"))),
    "second thread": lambda patch: patch.setattr(threading.Thread, "start", fail_after(
        threading.Thread.start, 1, RuntimeError("can't start new thread"))),
    "third thread": lambda patch: patch.setattr(threading.Thread, "start", fail_after(
        threading.Thread.start, 2, RuntimeError("can't start new thread"))),
    "fork": lambda patch: patch.setattr(os, "fork", fail_after(
        os.fork, 0, BlockingIOError(11, "Resource temporarily unavailable"))),
    "first pipe": lambda patch: patch.setattr(os, "pipe", fail_after(
        os.pipe, 0, OSError(24, "Too many open files"))),
    "second pipe": lambda patch: patch.setattr(os, "pipe", fail_after(
        os.pipe, 1, OSError(24, "Too many open files"))),
    "third copy": lambda patch: patch.setattr(os, "dup", fail_after(
        os.dup, 2, OSError(24, "Too many open files"))),
    "a buffer": lambda patch: patch.setattr(os, "read", fail_after(
        os.read, 0, MemoryError())),
    "another buffer": lambda patch: patch.setattr(os, "read", fail_after(
        os.read, 1, MemoryError())),
    "/dev/fd": lambda patch: patch.setattr(os, "listdir", no_listing),
    "/dev/fd and its message": lambda patch: (
        patch.setattr(os, "listdir", no_listing),
        patch.setattr(traceback, "format_exc", fail_after(traceback.format_exc, 0, OSError(24)))),
    "import": lambda patch: patch.setattr(sh_import, "load", fail_after(
        None, 0, OSError(24, "Too many open files"))),
    "import of a C module": lambda patch: patch.setattr(sh_import, "load", fail_after(
        None, 0, ImportError("failed to map segment", path="/usr/lib/x/termios.so"))),
    "import, as it is missing": lambda patch: patch.setattr(sh_import, "load", fail_after(
        None, 0, ModuleNotFoundError("No module named 'sh'", name="sh"))),
}


@pytest.mark.parametrize("ailment", AILMENTS)
@pytest.mark.parametrize("kind", SH)
def test_run_where_sh_cannot_do_it(monkeypatch, counted, kind, ailment):
    """The program runs once, whole, and nothing is left of it or of sh's attempt."""
    argv, calls = counted
    monkeypatch.setitem(sys.modules, "sh", SH[kind])
    monkeypatch.setattr(changes, "FEW", 256)   # a test has more descriptors open than an agent
    kept = pathlib.Path("/proc/self/task/%d/children" % os.getpid())
    before = sorted(os.listdir("/proc/self/fd")), kept.read_text()
    with monkeypatch.context() as patch:
        AILMENTS[ailment](patch)
        children.set_deadline(10)
        begin = time.monotonic()
        result = changes.run(argv)
        assert time.monotonic() - begin < 5
    assert (result.rc, result.out, result.err, calls()) == (3, "1\n", "", 1)
    assert sorted(os.listdir("/proc/self/fd")) == before[0]
    assert kept.read_text() == before[1]
    assert not children.RUN.children and not children.RUN.started
    result = changes.run(["sh", "-c", "echo two; echo three >&2; exit 4"])     # it goes on
    assert (result.rc, result.out) == (4, "two\nthree\n")


def test_what_is_missing_and_what_is_sick(monkeypatch):
    for ailment, ready in (("import", True), ("import of a C module", True),
                           ("import, as it is missing", False)):
        with monkeypatch.context() as patch:
            AILMENTS[ailment](patch)
            assert changes.import_sh() is ready, ailment


@pytest.mark.parametrize("problem", [
    OSError(24, "Too many open files"), OSError(23, "Too many open files in system"),
    BlockingIOError(11, "Resource temporarily unavailable"), MemoryError(),
    OSError(12, "Cannot allocate memory")])
@pytest.mark.parametrize("what", ["pipe", "posix_spawn"])
def test_a_program_that_cannot_be_started(monkeypatch, problem, what):
    """It is data, with what the host is out of; run() does not raise either."""
    commands.load_environment({"PATH": PATH})
    before = sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(children.RUN, "sh_fails", True)
    with monkeypatch.context() as patch:
        patch.setattr(posix, what, fail_after(None, 0, problem))
        told = str(problem) or "[Errno 12] out of memory"
        for result in (commands.query(["true"]), changes.run(["true"])):
            assert (result.rc, result.out + result.err) == (126, told)
        commands.prefetch(["true"])
    assert not children.RUN.prefetched and sorted(os.listdir("/proc/self/fd")) == before
    assert commands.query(["true"]).rc == 0


def test_memory_is_set_aside_for_taking_back(monkeypatch):
    """From a change on, until a program cannot be started or what failed is taken back."""
    commands.load_environment({"PATH": PATH})
    for release in (children.extend_for_undo, lambda: commands.query(["true"])):
        changes.import_sh()
        changes.import_sh()
        assert [len(block) for block in children.RUN.reserve] == [children.RESERVE]
        with monkeypatch.context() as patch:
            patch.setattr(posix, "posix_spawn", fail_after(None, 0, OSError(12, "no memory")))
            release()
        assert not children.RUN.reserve


def test_room_that_comes(monkeypatch):
    """What is short for a moment is waited for, descriptors of one's own are not."""
    commands.load_environment({"PATH": PATH})
    spawn, calls = posix.posix_spawn, []

    def later(*words, **more):
        calls.append(words)
        if len(calls) < 4:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return spawn(*words, **more)

    monkeypatch.setattr(posix, "posix_spawn", later)
    assert commands.query(["true"]).rc == 0 and len(calls) == 4


def test_others_are_waited_for_where_there_is_no_room(monkeypatch):
    """The results of those that were under way are there when they are asked for."""
    commands.load_environment({"PATH": PATH})
    commands.prefetch(["echo", "ahead"])
    started = commands.query_start(["sh", "-c", "echo under way; echo err >&2; exit 5"])
    spawn = posix.posix_spawn

    def with_room(*words, **more):
        if children.RUN.children:
            raise OSError(24, "Too many open files")
        return spawn(*words, **more)

    monkeypatch.setattr(posix, "posix_spawn", with_room)
    assert commands.query(["echo", "now"]).out == "now\n"
    result = commands.query_end(started)
    assert (result.rc, result.out, result.err) == (5, "under way\n", "err\n")
    assert commands.query(["echo", "ahead"]).out == "ahead\n"
    commands.prefetch(["echo", "dropped"])
    commands.query_start(["true"])
    commands.discard_prefetched()
    assert not children.RUN.prefetched


# --- the limit -------------------------------------------------------------------------------


def test_what_has_arrived_counts_before_the_limit(monkeypatch):
    """The agent was paused, the program was not: it has long ended, and said all."""
    commands.load_environment({"PATH": PATH})
    children.set_deadline(5)
    started = commands.query_start(["sh", "-c", "echo out; exit 3"])
    wait_until_ended(started.pid)
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + 100)
    result = commands.query_end(started)
    assert (result.rc, result.out, result.timed_out) == (3, "out\n", False)


def wait_until_ended(pid):
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize("start", [commands.query, changes.run], ids=["query", "run"])
def test_one_that_hangs_costs_the_others_their_step(start):
    """A node whose programs all hang gets through a stop, if only with 1, before its timeout."""
    commands.load_environment({"PATH": PATH})
    children.set_deadline(-5, step=0.5)
    assert start(["sh", "-c", "exit 3"]).rc == 3
    assert children.Limit().left() > 0.4
    begin = time.monotonic()
    assert start(["sleep", "60"]).timed_out
    assert time.monotonic() - begin > 0.4
    assert 0.1 < children.Limit().left() <= children.LEAST
    begin = time.monotonic()
    assert start(["sleep", "60"]).timed_out
    assert time.monotonic() - begin < 0.4
    assert 29 < children.Limit(30).left() <= 30, "a limit that is given stays"


@pytest.mark.parametrize("start", [commands.query, changes.run], ids=["query", "run"])
def test_output_without_end_is_no_reason_to_wait(start):
    commands.load_environment({"PATH": PATH})
    children.set_deadline(0.1)
    begin = time.monotonic()
    result = start(["yes"])
    assert (result.rc, result.timed_out) == (137, True)
    assert time.monotonic() - begin < 3


# --- what fp promises ------------------------------------------------------------------------


@pytest.mark.parametrize("described, started, good", [
    ("ab", "ab", True), ("aab", "aab", True), ("", "", True), ("ab", "ba", True),
    ("ab", "a", False), ("a", "ab", False), ("", "a", False), ("a", "aa", False)])
def test_programs_come_as_described(tmp_path, described, started, good):
    fakes = FakeCommands()
    programs = Programs(fakes, tmp_path)
    commands.load_environment({"PATH": str(tmp_path)})
    programs.install("a", "b")
    with programs:
        for name in described:
            programs.query([name], out=name)
        for name in started:
            try:
                assert fakes.query([name]).out == name
            except programs.exceptions.ProcessNotRegisteredError:
                pass        # the agent's main() would catch it as well
    if good:
        programs.check()
    else:
        with pytest.raises(pytest.fail.Exception):
            programs.check()


def test_a_read_is_not_taken_for_a_change(fp, fakes):
    fp.query("ip link")
    fakes.run(["ip", "link"])
    with pytest.raises(pytest.fail.Exception):
        fp.check()
    fakes.calls[0] = ("query", ["ip", "link"])


def test_a_program_that_hangs(fp):
    fp.run("ip link", hangs=True)
    result = changes.run(["ip", "link"])
    assert (result.rc, result.timed_out) == (137, True)


# --- waiting for some time -------------------------------------------------------------------


def begun(script):
    commands.load_environment({"PATH": PATH})
    return commands.query_start(["sh", "-c", script])


def test_a_program_is_waited_for_bit_by_bit():
    started, ends = begun("echo one; sleep 0.5; echo two; exit 3"), []
    while not ends or not ends[-1]:
        ends.append(children.wait_some(started, 0.1))
    assert len(ends) > 3
    result = commands.query_end(started)
    assert (result.rc, result.out, result.timed_out) == (3, "one\ntwo\n", False)


def test_waiting_for_some_time_ends_with_the_program():
    begin = time.monotonic()
    started = begun("exit 4")
    assert children.wait_some(started, 60) and children.wait_some(started, 60)
    assert time.monotonic() - begin < 10
    assert commands.query_end(started).rc == 4


def test_waiting_for_some_time_kills_nothing_at_the_time_limit():
    children.set_deadline(0.1)
    started = begun("sleep 0.4; echo said")
    begin = time.monotonic()
    assert not children.wait_some(started, 60)
    assert time.monotonic() - begin < 0.4 and children.remaining() < 0.1
    children.set_deadline(20)
    assert children.wait_some(started, 60)
    assert commands.query_end(started).out == "said\n"


@pytest.mark.parametrize("script", ["exec >&- 2>&-; sleep 0.4", "exec >&-; sleep 0.4; echo >&2"])
def test_a_program_that_closes_its_output_and_runs_on(script):
    started = begun(script)
    assert not children.wait_some(started, 0.1) and not children.wait_some(started, 0.1)
    assert children.wait_some(started, 60)
    assert commands.query_end(started).rc == 0


def test_a_program_that_was_not_started_has_ended():
    assert children.wait_some(commands.query_start(["no-such-program"]), 60)


def test_a_program_can_be_given_up():
    started = begun("echo said; exec sleep 60")
    assert not children.wait_some(started, 0.3)
    begin = time.monotonic()
    result = commands.query_end(started, 0.0)
    assert (result.rc, result.timed_out) == (137, True)
    assert time.monotonic() - begin < 5
