# SPDX-License-Identifier: GPL-2.0-only
"""Children of this run of the agent: what they did, how long they may take, and its signals.

Whatever lives as long as one run, and no longer, is in RUN.
"""

import _signal
import posix
import sys
import time

#: Output kept of one program, in bytes; what comes after it is read and dropped.
OUTPUT_LIMIT = 4 * 1024 * 1024
LAST_LOOKS = 100    # every 2 ms, whether a program that was killed has ended
LEAST = 0.2         # seconds that a program has which is asked for behind the deadline
UNKNOWN = 255       # the status of a program that somebody else has waited for
RESERVE = 1 << 18   # bytes: malloc(3) gives so many back to the system at once
TRIES = 50          # every 20 ms, to start a program where the host is out of something
PATIENCE = 1.0      # seconds that a run waits for those that read what it says

ENDING = (_signal.SIGTERM, _signal.SIGINT)
#: Python ignores these from its start: a write that cannot be done is an error, and ends nothing.
PYTHONS = (_signal.SIGPIPE, _signal.SIGXFSZ)


class Run:
    """What belongs to this run of the agent; begin() makes it anew, for a test.

    | attribute | what it holds |
    |---|---|
    | deadline | when children must have ended, on the monotonic clock; None without |
    | undo_time | seconds that extend_for_undo() adds to the deadline |
    | step | seconds that each child has at least |
    | children | ids of the children that end with the agent |
    | prefetched | argv (tuple) -> the query that was begun before it is asked for |
    | started | all queries under way |
    | reserve | memory (bytes) set aside for taking back, where memory gets short |
    | locks | descriptors of the locks that this process holds |
    | inherited | descriptors of locks that the programs which change something hold as well |
    | tracers | callables that take a text, while OCF_TRACE_RA is on |
    | loggers | the logger(1) under way, at most one |
    | hanging | names of logging programs that did not end |
    | said | what is said once alone |
    | known | what was asked once, by name |
    | tries | how often a program that cannot be started now may be tried again |
    | patience | seconds that this run may still wait for those that read what it says |
    | sh_fails | whether sh could not start a program |
    | blocked | whether signals_blocked() lasts |
    | pending | the signal that came meanwhile, 0 without |
    """

    def __init__(self):
        self.begin()

    def begin(self) -> None:
        """Everything as at the start of a run."""
        self.deadline: "float | None" = None
        self.undo_time = 0.0
        self.step = LEAST
        self.children = set()
        self.prefetched = {}
        self.started = []
        self.reserve = []
        self.locks = set()
        self.inherited = set()
        self.tracers = []
        self.loggers = []
        self.hanging = set()
        self.said = set()
        self.known = {}
        self.tries = TRIES
        self.patience = PATIENCE
        self.sh_fails = False
        self.blocked = False
        self.pending = 0

    def leave_to_parent(self):
        """In a forked child: neither wait for, nor kill, nor lock what is its parent's."""
        for mine in (self.children, self.prefetched, self.started, self.loggers):
            mine.clear()
        for fd in self.locks:       # they end with the parent, however that ends
            posix.close(fd)
        self.locks.clear()

    def trace(self, text: str) -> None:
        """Hand a text to the tracers."""
        for tracer in self.tracers:
            tracer(text)


RUN = Run()


class Result:
    """What a program did: rc (exit status), out and err (str), timed_out (bool)."""

    __slots__ = ("rc", "out", "err", "timed_out")

    def __init__(self, rc, out="", err="", timed_out=False):
        self.rc = rc
        self.out = out
        self.err = err
        self.timed_out = timed_out


# --- signals ---------------------------------------------------------------------------------


class Terminated(BaseException):
    """The agent was told to end by a signal; number is the signal's."""

    def __init__(self, number):
        self.number = number


class signals_blocked:
    """`with signals_blocked():` a signal that ends the agent waits: no child goes unnoted.

    Blocked is the main thread alone: one of sh's may get the signal, and Python then calls the
    handler in the main thread all the same.  It raises nothing in here, but at the end.
    """

    def __enter__(self):
        RUN.blocked = True
        _signal.pthread_sigmask(_signal.SIG_BLOCK, ENDING)

    def __exit__(self, *_problem):
        RUN.blocked = False
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, ENDING)
        if RUN.pending:
            number, RUN.pending = RUN.pending, 0
            kill_children()
            raise Terminated(number)


def signals_by_default():
    """Have every signal do what it does by default and none blocked, whatever the caller left.

    What a caller ignores or blocks, an ignored SIGCHLD above all, is kept over exec.
    """
    for number in range(1, _signal.NSIG):
        # None: one that the C library keeps for itself.
        if _signal.getsignal(number) not in (_signal.SIG_DFL, None) and number not in PYTHONS:
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def become_child():
    """In a child that was forked with ENDING blocked: what the agent does at a signal is not its.

    What is ignored stays so: a change that is taken back, or a sender in the background, goes on.
    """
    for number in ENDING:
        if callable(_signal.getsignal(number)):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def handle_termination() -> None:
    """Let SIGTERM and SIGINT end the agent by way of Terminated, and its children with it."""
    def terminated(number, _frame):
        if RUN.blocked:
            RUN.pending = number
            return
        kill_children()
        raise Terminated(number)

    def again(_number, _frame):
        terminated(ENDING[0], None)

    def unraisable(told):
        # It came in a callback of Python's own, which swallows it: it is raised again a little
        # later.  What else is swallowed there is nothing that Pacemaker should read.
        if isinstance(told.exc_value, Terminated):
            _signal.setitimer(_signal.ITIMER_REAL, 0.001)

    for number in ENDING:
        _signal.signal(number, terminated)
    _signal.signal(_signal.SIGALRM, again)
    sys.unraisablehook = unraisable


def kill_children():
    """Kill the children that end with the agent."""
    for pid in tuple(RUN.children):
        try:
            posix.kill(pid, _signal.SIGKILL)
        except OSError:
            pass


def ignore_termination() -> None:
    """From here on SIGTERM and SIGINT do nothing: what was begun is taken back signals_blocked."""
    for number in ENDING:
        _signal.signal(number, _signal.SIG_IGN)
    _signal.signal(_signal.SIGALRM, lambda _number, _frame: None)


def die_of(number):
    """End this process by the signal that told it to, as its caller expects."""
    _signal.setitimer(_signal.ITIMER_REAL, 0)
    _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, ENDING)    # it may have come while blocked
    posix.kill(posix.getpid(), number)


# --- time limits -----------------------------------------------------------------------------


def set_deadline(seconds: float, undo: float = 0.0, step: float = 0.0) -> None:
    """From now on every child must end within `seconds`; extend_for_undo() adds `undo` more.

    One that is asked for behind that, for the agent was paused, still has `step` seconds.
    """
    RUN.deadline = time.monotonic() + seconds
    RUN.undo_time = undo
    RUN.step = max(step, LEAST)


def extend_for_undo() -> None:
    """Put the deadline off, and give the reserve of memory back: what failed is taken back."""
    RUN.reserve.clear()
    if RUN.deadline is not None:
        RUN.deadline = max(RUN.deadline, time.monotonic()) + RUN.undo_time
    RUN.undo_time = 0.0


def remaining() -> float:
    """Seconds that a child may still take, never negative; 20 where no deadline was set."""
    if RUN.deadline is None:
        return 20.0
    return max(0.0, RUN.deadline - time.monotonic())


class Limit:
    """How long one program is waited for: left() tells, timed_out whether it was too long.

    The agent may be paused (SIGSTOP, a virtual machine's stun), its children as well: where the end
    is seen too late, there is that much time again, a second at most, before it counts.
    """

    def __init__(self, seconds=None):
        """Until the deadline, or for so many seconds from now where they are given."""
        self.timed_out = False
        self._late = False
        self._end = time.monotonic() + (max(remaining(), RUN.step) if seconds is None else seconds)

    def left(self) -> float:
        """Seconds that are left; 0 at the end, when what has arrived by then counts still."""
        now = time.monotonic()
        if now >= self._end and not self._late:
            self._late = True
            self._end = now + min(1.0, now - self._end)
        return max(0.0, self._end - now)

    def overrun(self) -> None:
        """Note that it was too long: one program that hangs costs the others their step."""
        self.timed_out, RUN.step = True, LEAST


def finish(started, seconds=None) -> "Result":
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
        kill_and_reap(started.pid)
        raise
    finally:
        for fd in started.streams:
            posix.close(fd)
    out, err = joined(started.streams[started.out]), ""
    if started.err != started.out:
        err = joined(started.streams[started.err])
    return Result(rc, out, err, limit.timed_out)


def wait_some(started, seconds) -> bool:
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


def kill_started(started) -> None:
    """End what commands.query_start() began; its output does not matter."""
    if started.pid:
        kill_and_reap(started.pid)
        for fd in started.streams:
            try:
                posix.close(fd)
            except OSError:
                pass


def read_streams(streams, limit) -> bool:
    """Read every stream to its end, or to that of the Limit; whether to its own."""
    import select  # while the program that was started is at work

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
                RUN.reserve.clear()
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


def reap(pid: int, limit) -> int:
    """Status of child `pid`, which is killed when it does not end within the Limit."""
    pause = 0.0001
    while True:
        left = limit.left()
        try:
            done, status = posix.waitpid(pid, posix.WNOHANG)
        except ChildProcessError:
            RUN.children.discard(pid)
            return UNKNOWN
        if done:
            RUN.children.discard(pid)
            return _status(status)
        if not left:
            break
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    limit.overrun()
    kill_and_reap(pid)
    return 137


def _status(status):
    if posix.WIFSIGNALED(status):
        return 128 + posix.WTERMSIG(status)
    return posix.WEXITSTATUS(status)


def kill_and_reap(pid: int) -> None:
    """Kill a child, and wait a fifth of a second at most for its end."""
    try:
        posix.kill(pid, _signal.SIGKILL)
        for _ in range(LAST_LOOKS):         # one that sleeps in the kernel does not end: leave it
            if posix.waitpid(pid, posix.WNOHANG)[0]:
                break
            time.sleep(0.002)
    except OSError:
        pass
    RUN.children.discard(pid)


def joined(chunks) -> str:
    """The text of what was read, whatever bytes it holds."""
    return b"".join(chunks).decode("utf-8", "surrogateescape")
