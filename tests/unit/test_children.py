# SPDX-License-Identifier: GPL-2.0-only
"""Children by stand-ins: limits, what is read and waited for, signals; test_commands.py has real
programs."""

import os
import posix
import select
import signal
import sys
import types

import pytest

from ipaddr2_py import children
from ipaddr2_py.children import RUN

PID = 77
ENDING = {signal.SIGTERM, signal.SIGINT}


@pytest.fixture(name="child")
def fixture_child(clock, monkeypatch):
    """A function child(looks, status, gone): process PID ends at that look with a wait status, or
    is another's; killed and slept hold what was done meanwhile."""
    RUN.children.add(PID)

    def make(looks=0, status=0, gone=False, killable=True):
        made = types.SimpleNamespace(looks=looks, killed=[], slept=[])

        def look(*_words):
            if gone:
                raise ChildProcessError(10, "No child processes")
            made.looks -= 1
            return made.looks < 0

        def kill(pid, number):
            made.killed.append((pid, number))
            if not killable:
                raise ProcessLookupError(3, "No such process")

        def sleep(seconds):
            made.slept.append(seconds)
            clock.now += seconds

        def waitpid(pid, options):
            assert (pid, options) == (PID, os.WNOHANG)
            return (pid, status) if look() else (0, 0)

        def waitid(*words):
            assert words == (os.P_PID, PID, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return look() or None

        monkeypatch.setattr(posix, "waitpid", waitpid)
        monkeypatch.setattr(posix, "waitid", waitid)
        monkeypatch.setattr(posix, "kill", kill)
        clock.sleep = sleep
        return made

    return make


@pytest.fixture(name="pipe")
def fixture_pipe():
    """A function pipe(data, ended): the descriptor of a pipe that holds data."""
    made = []

    def make(data=b"", ended=True):
        read, write = os.pipe()
        os.write(write, data)
        made.extend([read] if ended else [read, write])
        if ended:
            os.close(write)
        return read

    yield make
    for fd in made:
        if is_open(fd):
            os.close(fd)


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def begun(out, err=None, pid=PID):
    """What commands.query_start() gives."""
    err = out if err is None else err
    return types.SimpleNamespace(pid=pid, out=out, err=err, streams={out: [], err: []})


# --- time limits -----------------------------------------------------------------------------


def test_remaining_time(clock):
    assert children.remaining() == 20
    children.set_deadline(5)
    assert children.remaining() == 5
    children.set_deadline(-5)
    assert children.remaining() == 0


def test_more_time_for_taking_back(clock):
    """Once, from the deadline or from now on; without a deadline there is nothing to put off."""
    children.extend_for_undo()
    assert children.remaining() == 20
    for seconds, left in ((5, 8), (-5, 3)):
        children.set_deadline(seconds, undo=3)
        RUN.reserve.append(b"x")
        children.extend_for_undo()
        children.extend_for_undo()
        assert children.remaining() == left and not RUN.reserve


@pytest.mark.parametrize("pause, granted", [(0.3, 0.3), (60, 1.0)])
def test_a_pause_is_given_back(clock, pause, granted):
    """The program was paused as well: it gets the time again, a second at most."""
    limit = children.Limit(0.25)
    assert limit.left() == 0.25
    clock.now += 0.25 + pause
    assert limit.left() == pytest.approx(granted)
    clock.now += 60
    assert limit.left() == 0 == limit.left()


@pytest.mark.parametrize("step, least", [(0.0, children.LEAST), (1.0, 1.0)])
def test_a_step_behind_the_deadline_has_time_of_its_own(clock, step, least):
    children.set_deadline(-5, step=step)
    assert children.remaining() == 0
    assert children.Limit().left() == pytest.approx(least)
    children.set_deadline(30, step=step)
    assert children.Limit().left() == 30 and children.Limit(0.25).left() == 0.25


def test_an_overrun(clock):
    children.set_deadline(-5, step=3.0)
    limit = children.Limit()
    assert not limit.timed_out and limit.left() == 3
    limit.overrun()
    assert limit.timed_out and children.Limit().left() == pytest.approx(children.LEAST)
    children.set_deadline(-5, step=3.0)          # another action
    assert children.Limit().left() == 3


# --- the end of a child ----------------------------------------------------------------------


@pytest.mark.parametrize("looks, status, rc", [
    (0, 0, 0), (0, 3 << 8, 3), (5, 255 << 8, 255), (0, signal.SIGKILL, 137), (1, 15, 143)])
def test_the_status_of_a_child(child, looks, status, rc):
    """Looked for at once, then ever less often."""
    limit, made = children.Limit(5), child(looks, status)
    assert children.reap(PID, limit) == rc
    assert made.slept == [0.0001 * 2 ** look for look in range(looks)]
    assert not (limit.timed_out or made.killed or RUN.children)


def test_a_child_that_another_has_waited_for(child):
    child(gone=True)
    assert children.reap(PID, children.Limit(5)) == 255 and not RUN.children


@pytest.mark.parametrize("looks, more", [(30, 8), (10 ** 6, 100)])
def test_a_child_that_does_not_end(child, clock, looks, more):
    """It is killed at the limit, and given up a fifth of a second later."""
    limit, made, begin = children.Limit(0.25), child(looks), clock.now
    assert children.reap(PID, limit) == 137 and limit.timed_out
    assert made.killed == [(PID, signal.SIGKILL)] and not RUN.children
    assert max(made.slept) == 0.02 and 0 < clock.now - begin - 0.25 - 0.002 * more < 0.04
    assert made.slept.count(0.002) == more


def test_a_child_that_ended_before_it_is_killed(child):
    made = child(killable=False)
    children.kill_and_reap(PID)
    assert made.looks == 0 and made.killed and not RUN.children


# --- what a child says -----------------------------------------------------------------------


def test_what_is_said_is_read_to_the_end(pipe, clock):
    streams = {pipe(b"one\xff"): [], pipe(): []}
    assert children.read_streams(streams, children.Limit(5)) is True
    assert [children.joined(chunks) for chunks in streams.values()] == ["one\udcff", ""]


def test_what_was_said_by_the_limit_counts(pipe, clock):
    streams = {pipe(b"said", ended=False): [], pipe(): []}
    assert children.read_streams(streams, children.Limit(0)) is False
    assert list(streams.values()) == [[b"said"], []]


def test_a_long_output_is_kept(clock):
    """A host with thousands of addresses has more of them than one read gives."""
    fd = os.memfd_create("output")
    os.write(fd, b"x" * 300000)
    os.lseek(fd, 0, os.SEEK_SET)
    streams = {fd: []}
    assert children.read_streams(streams, children.Limit(5))
    assert len(children.joined(streams[fd])) == 300000
    os.close(fd)


def test_how_long_it_is_waited_for_output(pipe, monkeypatch):
    asked, left = [], [2.0, 0.5, 0.0]

    class Poll:
        def register(self, _fd, _events):
            pass

        def poll(self, milliseconds):
            asked.append(milliseconds)
            return []

    monkeypatch.setattr(select, "poll", Poll)
    limit = types.SimpleNamespace(left=lambda: left.pop(0))
    assert children.read_streams({0: []}, limit) is False
    assert asked == [2000, 500, 0]


def test_what_is_too_long_or_too_big(pipe, clock, monkeypatch):
    """It is read all the same, so that nobody waits; and in small pieces where memory is short."""
    sizes, real = [], posix.read

    def read(fd, size):
        sizes.append(size)
        if size > 4096:
            raise MemoryError
        return real(fd, 3)

    monkeypatch.setattr(posix, "read", read)
    monkeypatch.setattr(children, "OUTPUT_LIMIT", 6)
    RUN.reserve.append(b"x")
    streams = {pipe(b"abcdefghi"): []}
    assert children.read_streams(streams, children.Limit(5))
    assert list(streams.values()) == [[b"abc", b"def"]] and not RUN.reserve
    assert sizes == [65536, 4096] * 4


@pytest.mark.parametrize("together", [False, True])
def test_the_result_of_a_child(child, pipe, together):
    child(0, 3 << 8)
    started = begun(pipe(b"out"), None if together else pipe(b"err"))
    result = children.finish(started)
    assert (result.rc, result.out, result.err, result.timed_out) == (
        3, "out", "" if together else "err", False)
    assert not any(map(is_open, started.streams))


def test_the_result_of_one_that_hangs(child, pipe):
    made = child(10 ** 6)
    result = children.finish(begun(pipe(b"out", ended=False)), 0.0)
    assert (result.rc, result.out, result.timed_out) == (137, "out", True) and made.killed


@pytest.mark.parametrize("problem, told", [(None, ""), (OSError(12, "none"), "[Errno 12] none")])
def test_the_result_of_one_that_was_not_started(problem, told):
    result = children.finish(types.SimpleNamespace(pid=0, rc=126, problem=problem))
    assert (result.rc, result.out, result.err, result.timed_out) == (126, "", told, False)


def test_a_signal_while_it_is_read(child, pipe, monkeypatch):
    made, started = child(), begun(pipe(b"out"))

    def read(*_words):
        raise children.Terminated(15)

    monkeypatch.setattr(posix, "read", read)
    with pytest.raises(children.Terminated):
        children.finish(started)
    assert made.killed == [(PID, signal.SIGKILL)] and not any(map(is_open, started.streams))


@pytest.mark.parametrize("looks, gone, ended, sleeps", [
    (0, False, True, 0), (3, False, True, 3), (10 ** 6, False, False, None), (0, True, True, 0)])
def test_waiting_for_some_time(child, pipe, clock, looks, gone, ended, sleeps):
    """It is left alone, whether it ended or runs on without output."""
    made, begin = child(looks, gone=gone), clock.now
    assert children.wait_some(begun(pipe()), 0.25) is ended
    if sleeps is None:
        assert clock.now - begin == pytest.approx(0.25) and max(made.slept) == 0.05
    else:
        assert made.slept == [0.0005 * 2 ** look for look in range(sleeps)]
    assert not made.killed


def test_waiting_for_one_that_may_say_more(child, pipe):
    child()
    children.set_deadline(0)
    assert children.wait_some(begun(pipe(b"out", ended=False)), 60) is False
    assert children.wait_some(types.SimpleNamespace(pid=0), 60) is True


def test_one_whose_output_does_not_matter(child, pipe):
    made, started = child(), begun(pipe(b"out"), pipe())
    os.close(started.err)
    children.kill_started(started)
    children.kill_started(types.SimpleNamespace(pid=0))
    assert made.killed == [(PID, signal.SIGKILL)] and not is_open(started.out)


def test_what_a_forked_child_leaves_to_its_parent(pipe):
    fd = pipe()
    for mine in (RUN.children, RUN.locks):
        mine.add(fd)
    RUN.prefetched["x"] = RUN.started = [1]
    RUN.loggers.append(1)
    RUN.leave_to_parent()
    assert not (is_open(fd) or RUN.children or RUN.locks or RUN.prefetched or RUN.started
                or RUN.loggers)


# --- signals ---------------------------------------------------------------------------------


@pytest.fixture(name="signals")
def fixture_signals(child, monkeypatch):
    """The handlers of signals and what is blocked, of which the test's process gets nothing."""
    made = types.SimpleNamespace(handlers={signal.SIGCHLD: signal.SIG_IGN}, masks=[], timers=[],
                                 killed=child().killed)
    fake = types.SimpleNamespace(**{name: getattr(signal, name) for name in dir(signal)
                                    if name.startswith(("SIG", "ITIMER"))}, NSIG=65)
    fake.signal = made.handlers.__setitem__
    fake.getsignal = lambda number: made.handlers.get(number, None if number == 32 else 0)
    fake.pthread_sigmask = lambda how, numbers: made.masks.append((how, set(numbers)))
    fake.setitimer = lambda which, seconds: made.timers.append((which, seconds))
    monkeypatch.setattr(children, "_signal", fake)
    monkeypatch.setattr(sys, "unraisablehook", None)
    return made


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_the_agent_and_its_children(signals, number):
    children.handle_termination()
    for told, call in ((number, number), (signal.SIGTERM, signal.SIGALRM)):
        with pytest.raises(children.Terminated) as leaving:
            signals.handlers[call](call, None)
        assert leaving.value.number == told
        assert signals.killed.pop() == (PID, signal.SIGKILL) and not signals.killed


def test_a_signal_that_comes_while_a_child_is_started(signals):
    children.handle_termination()
    with pytest.raises(children.Terminated) as leaving:
        with children.signals_blocked():
            assert RUN.blocked and signals.masks == [(signal.SIG_BLOCK, ENDING)]
            signals.handlers[signal.SIGINT](signal.SIGINT, None)
            assert not signals.killed
    assert leaving.value.number == signal.SIGINT and signals.killed and not RUN.pending
    assert not RUN.blocked and signals.masks[1:] == [(signal.SIG_UNBLOCK, ENDING)]
    with children.signals_blocked():
        pass


def test_a_signal_that_python_swallows_comes_again(signals):
    children.handle_termination()
    for value in (ValueError(), children.Terminated(15)):
        assert not signals.timers
        sys.unraisablehook(types.SimpleNamespace(exc_value=value))
    assert signals.timers == [(signal.ITIMER_REAL, 0.001)]


def test_what_is_taken_back_is_not_disturbed(signals):
    children.ignore_termination()
    signals.handlers.pop(signal.SIGALRM)(signal.SIGALRM, None)
    assert signals.handlers == dict.fromkeys((*ENDING, signal.SIGCHLD), signal.SIG_IGN)


def test_dying_of_a_signal(signals):
    children.die_of(signal.SIGTERM)
    assert signals.timers == [(signal.ITIMER_REAL, 0)]
    assert signals.handlers[signal.SIGTERM] == signal.SIG_DFL
    assert signals.masks == [(signal.SIG_UNBLOCK, ENDING)]
    assert signals.killed == [(os.getpid(), signal.SIGTERM)]


def test_whatever_the_caller_left(signals):
    """But for what Python ignores, and what is the C library's own (32)."""
    signals.handlers.update({1: print, 64: signal.SIG_IGN, signal.SIGPIPE: signal.SIG_IGN})
    children.signals_by_default()
    assert signals.handlers == {1: signal.SIG_DFL, 64: signal.SIG_DFL, signal.SIGCHLD: 0,
                                signal.SIGPIPE: signal.SIG_IGN}
    assert signals.masks == [(signal.SIG_SETMASK, set())]


def test_what_a_forked_child_does_not_do(signals):
    """What is the agent's at a signal; what is ignored stays ignored."""
    signals.handlers.update({signal.SIGTERM: print, signal.SIGINT: signal.SIG_IGN})
    children.become_child()
    assert signals.handlers == {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.SIG_IGN,
                                signal.SIGCHLD: signal.SIG_IGN}
    assert signals.masks == [(signal.SIG_SETMASK, set())]
