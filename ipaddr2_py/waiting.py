# SPDX-License-Identifier: GPL-2.0-only
"""What programs did that commands.py started, waited for until the action's deadline."""

import _signal
import posix
import time

from .signals import children

#: Output kept of one program, in bytes; what comes after it is read and dropped.
OUTPUT_LIMIT = 4 * 1024 * 1024
LAST_LOOKS = 100    # every 2 ms, whether a program that was killed has ended
LEAST = 0.2         # seconds that a program has which is asked for behind the deadline
UNKNOWN = 255       # the status of a program that somebody else has waited for

RESERVE = 1 << 18   # bytes: malloc(3) gives so many back to the system at once
reserve: list = []  # memory set aside before a change, for taking back where it gets short

_deadline = None    # on the monotonic clock
_spare = 0.0        # seconds behind it, for taking back what failed
_step = LEAST       # seconds that each program has at least


class Result:
    """What a program did: rc (exit status), out and err (str), timed_out (bool)."""

    __slots__ = ("rc", "out", "err", "timed_out")

    def __init__(self, rc, out="", err="", timed_out=False):
        self.rc = rc
        self.out = out
        self.err = err
        self.timed_out = timed_out


def set_deadline(seconds, spare=0.0, step=0.0):
    """From now on every child must end within `seconds`; `spare` more are there in need.

    One that is asked for behind that, for the agent was paused, still has `step` seconds.
    """
    global _deadline, _spare, _step
    _deadline = time.monotonic() + seconds
    _spare = spare
    _step = max(step, LEAST)


def use_spare_time():
    """Let children have the spare time as well, and the memory: what failed is taken back."""
    global _deadline, _spare
    reserve.clear()
    if _deadline is not None:
        _deadline = max(_deadline, time.monotonic()) + _spare
    _spare = 0.0


def remaining():
    """Seconds that a child may still take, never negative; 20 where no deadline was set."""
    if _deadline is None:
        return 20.0
    return max(0.0, _deadline - time.monotonic())


class Limit:
    """How long one program is waited for: left() tells, timed_out whether it was too long.

    The agent may be paused (SIGSTOP, a virtual machine's stun), its children as well: where the end
    is seen too late, there is that much time again, a second at most, before it counts.
    """

    def __init__(self, seconds=None):
        """Until the deadline, or for so many seconds from now where they are given."""
        self.timed_out = False
        self._late = False
        self._end = time.monotonic() + (max(remaining(), _step) if seconds is None else seconds)

    def left(self):
        """Seconds that are left; 0 at the end, when what has arrived by then counts still."""
        now = time.monotonic()
        if now >= self._end and not self._late:
            self._late = True
            self._end = now + min(1.0, now - self._end)
        return max(0.0, self._end - now)

    def overrun(self):
        """Note that it was too long: one program that hangs costs the others their step."""
        global _step
        self.timed_out, _step = True, LEAST


def finish(started, seconds=None):
    """Wait for what commands.query_start() began; its Result.

    It is ended at the deadline, or after so many seconds from now where they are given.
    """
    if not started.pid:
        return Result(started.rc, "", str(started.problem or ""))
    limit = Limit(seconds)
    try:
        read_streams(started.streams, limit)
        rc = reap(started.pid, limit)
    except BaseException:
        _kill(started.pid)
        raise
    finally:
        for fd in started.streams:
            posix.close(fd)
    out, err = joined(started.streams[started.out]), ""
    if started.err != started.out:
        err = joined(started.streams[started.err])
    return Result(rc, out, err, limit.timed_out)


def wait_some(started, seconds):
    """Whether what commands.query_start() began ends within so many seconds, or before the
    deadline; it is left alone where it does not, and finish() still gives its Result."""
    if not started.pid:
        return True
    limit = Limit(min(seconds, remaining()))
    if not read_streams(started.streams, limit):
        return False
    pause = 0.0005
    try:
        while not posix.waitid(posix.P_PID, started.pid,
                               posix.WEXITED | posix.WNOHANG | posix.WNOWAIT):
            left = limit.left()
            if not left:                # it has closed its output, and runs on
                return False
            time.sleep(min(pause, left))
            pause = min(pause * 2, 0.05)
    except ChildProcessError:           # somebody else has reaped it
        pass
    return True


def drop(started):
    """End what commands.query_start() began; its output does not matter."""
    if started.pid:
        _kill(started.pid)
        for fd in started.streams:
            try:
                posix.close(fd)
            except OSError:
                pass


def read_streams(streams, limit):
    """Read every stream to its end, or to that of the Limit; whether to its own."""
    import select       # while the program that was started is at work

    poll = select.poll()
    size = 0
    for fd in streams:
        poll.register(fd, select.POLLIN)
    waiting = len(streams)
    while waiting:
        left = limit.left()
        for fd, _event in poll.poll(left * 1000):
            try:
                chunk = posix.read(fd, 65536)
            except MemoryError:         # 64 KiB are asked for at once
                reserve.clear()
                chunk = posix.read(fd, 4096)
            if not chunk:
                poll.unregister(fd)
                waiting -= 1
            elif size < OUTPUT_LIMIT:
                streams[fd].append(chunk)
                size += len(chunk)
        if not left:
            break
    return not waiting


def reap(pid, limit):
    """Status of child `pid`, which is killed when it does not end within the Limit."""
    pause = 0.0001
    while True:
        left = limit.left()
        try:
            done, status = posix.waitpid(pid, posix.WNOHANG)
        except ChildProcessError:
            children.discard(pid)
            return UNKNOWN
        if done:
            children.discard(pid)
            return _status(status)
        if not left:
            break
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    limit.overrun()
    _kill(pid)
    return 137


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


def reap_by_sh(child, limit):
    """Status of a child that sh reaps, which is killed when it does not end within the Limit."""
    pause, looks = 0.0001, LAST_LOOKS
    left = limit.left()
    while child.process.is_alive()[0]:
        if not left:
            limit.overrun()
            end(child.pid)
            pause, looks = 0.002, looks - 1
            if not looks:
                return 137
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
        left = limit.left()
    children.discard(child.pid)
    try:
        child.wait()            # ends sh's threads, which needs one more
    except Exception:
        pass
    code = child.process.exit_code
    if code is None:
        return UNKNOWN
    return 128 - code if code < 0 else code


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
