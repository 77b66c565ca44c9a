# SPDX-License-Identifier: GPL-2.0-only
"""What programs did that commands.py started, waited for until the action's deadline."""

import _signal
import posix
import time

from .signals import children

#: Output kept of one program, in bytes; what comes after it is read and dropped.
OUTPUT_LIMIT = 4 * 1024 * 1024
LAST_LOOKS = 100    # every 2 ms, whether a program that was killed has ended

_deadline = None    # on the monotonic clock
_spare = 0.0        # seconds behind it, for taking back what failed


class Result:
    """What a program did: rc (exit status), out and err (str), timed_out (bool)."""

    __slots__ = ("rc", "out", "err", "timed_out")

    def __init__(self, rc, out="", err="", timed_out=False):
        self.rc = rc
        self.out = out
        self.err = err
        self.timed_out = timed_out


def set_deadline(seconds, spare=0.0, step=0.0):
    """From now on every child must end within `seconds`; `spare` more are there in need."""
    global _deadline, _spare
    _deadline = time.monotonic() + seconds
    _spare = spare


def use_spare_time():
    """Let children have the spare time as well: what failed is taken back."""
    global _deadline, _spare
    if _deadline is not None:
        _deadline = max(_deadline, time.monotonic()) + _spare
    _spare = 0.0


def remaining():
    """Seconds that a child may still take, never negative; 20 where no deadline was set."""
    if _deadline is None:
        return 20.0
    return max(0.0, _deadline - time.monotonic())


def finish(started, seconds=None):
    """Wait for what commands.query_start() began; its Result.

    It is ended at the deadline, or after so many seconds from now where they are given.
    """
    global _deadline
    if seconds is None:
        return _finish(started)
    kept, _deadline = _deadline, time.monotonic() + seconds
    try:
        return _finish(started)
    finally:
        _deadline = kept


def _finish(started):
    if not started.pid:
        return Result(started.rc)
    try:
        timed_out = read_streams(started.streams)
        rc, timed_out = _reap(started.pid, timed_out)
    except BaseException:
        _kill(started.pid)
        raise
    finally:
        for fd in started.streams:
            posix.close(fd)
    return Result(rc, joined(started.streams[started.out]), joined(started.streams[started.err]),
                  timed_out)


def wait_some(started, seconds):
    """Whether what commands.query_start() began ends within so many seconds, or before the
    deadline; it is left alone where it does not, and finish() still gives its Result."""
    global _deadline
    kept, _deadline = _deadline, time.monotonic() + min(seconds, remaining())
    try:
        if not started.pid:
            return True
        if read_streams(started.streams):
            return False
        pause = 0.0005
        while not posix.waitid(posix.P_PID, started.pid,
                               posix.WEXITED | posix.WNOHANG | posix.WNOWAIT):
            if not remaining():         # it has closed its output, and runs on
                return False
            time.sleep(min(pause, remaining()))
            pause = min(pause * 2, 0.05)
        return True
    except ChildProcessError:           # somebody else has reaped it
        return True
    finally:
        _deadline = kept


def drop(started):
    """End what commands.query_start() began; its output does not matter."""
    if started.pid:
        _kill(started.pid)
        for fd in started.streams:
            try:
                posix.close(fd)
            except OSError:
                pass


def read_streams(streams):
    """Read every stream to its end; True when the time limit came first."""
    import select       # while the program that was started is at work

    poll = select.poll()
    size = 0
    for fd in streams:
        poll.register(fd, select.POLLIN)
    waiting = len(streams)
    while waiting:
        left = remaining()
        ready = poll.poll(left * 1000) if left else []
        if not ready:
            return True
        for fd, _event in ready:
            chunk = posix.read(fd, 65536)
            if not chunk:
                poll.unregister(fd)
                waiting -= 1
            elif size < OUTPUT_LIMIT:
                streams[fd].append(chunk)
                size += len(chunk)
    return False


def _reap(pid, timed_out):
    """Status of child `pid`, killed when it does not end in time, and whether it was."""
    pause = 0.0001
    while not timed_out:
        done, status = posix.waitpid(pid, posix.WNOHANG)
        if done:
            children.discard(pid)
            return _status(status), False
        timed_out = not remaining()
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    _kill(pid)
    return 137, True


def _status(status):
    if posix.WIFSIGNALED(status):
        return 128 + posix.WTERMSIG(status)
    return posix.WEXITSTATUS(status)


def _kill(pid):
    try:
        posix.kill(pid, _signal.SIGKILL)
        for _ in range(LAST_LOOKS):         # one that sleeps in the kernel does not end: leave it
            if posix.waitpid(pid, posix.WNOHANG)[0]:
                break
            time.sleep(0.002)
    except OSError:
        pass
    children.discard(pid)


def reap_by_sh(sh, child, timed_out):
    """Status of a child that sh reaps, killed when it does not end in time, and whether it was."""
    pause, looks = 0.0001, LAST_LOOKS
    while child.process.is_alive()[0]:
        timed_out = timed_out or not remaining()
        if timed_out:
            end(child.pid)
            pause, looks = 0.002, looks - 1
            if not looks:
                return 137, True
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    children.discard(child.pid)
    try:
        child.wait()
    except sh.ErrorReturnCode:
        pass
    code = child.process.exit_code
    return (128 - code if code < 0 else code), timed_out


def end(pid):
    """Kill a child that somebody else reaps."""
    try:
        posix.kill(pid, _signal.SIGKILL)
    except OSError:
        pass
    children.discard(pid)


def joined(chunks):
    """The text of what was read, whatever bytes it holds."""
    return b"".join(chunks).decode("utf-8", "surrogateescape")
