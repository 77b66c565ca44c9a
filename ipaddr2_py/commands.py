# SPDX-License-Identifier: GPL-2.0-only
"""The door to other programs: query() reads, detach() leaves a child behind; the environment.

query() starts a program directly, for it is the monitor's hot path; what changes the host goes
through changes.run().  Both give a Result (children.py) and never raise for what the program did: a
non-zero status is data, 127 a missing program, 126 one that cannot be executed, 128+n a signal (137
also for one that was ended at the time limit).  Only posix and small C modules are imported here,
since the agent is started with `python3 -IS`.
"""

import _signal
import posix
import time

from . import children
from .children import ENDING, PYTHONS, RUN, become_child, kill_children, signals_blocked

#: What PATH gets appended, as the shell agent's ocf-binaries does.
USUAL_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"
BLANKS = " \t\n\r\v\f"     # white space, to the kernel and to `ip`
SHORT = (11, 12, 23)    # EAGAIN, ENOMEM, ENFILE: the host is out of something, maybe for a moment
EMFILE = 24         # the agent itself is out of descriptors

ENV = {}            # names and values as str; filled by load_environment()
CHILD_ENV = {}      # what children get, as bytes
_found = {}         # find()'s memory


# --- the environment -------------------------------------------------------------------------


def load_environment(environ) -> None:
    """Take the process's environment (bytes or str) and derive the children's from it.

    Children run with LC_ALL=C and with the absolute folders of PATH alone, plus the usual ones.
    """
    ENV.clear()
    CHILD_ENV.clear()
    for name, value in environ.items():
        if isinstance(name, bytes):
            CHILD_ENV[name] = value
            ENV[name.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        else:
            CHILD_ENV[to_bytes(name)] = to_bytes(value)
            ENV[name] = value
    folders = (ENV.get("PATH", "") + ":" + USUAL_PATH).split(":")
    ENV["PATH"] = ":".join(folder for folder in folders if folder.startswith("/"))
    _found.clear()
    CHILD_ENV.pop(b"LANG", None)
    CHILD_ENV.pop(b"LANGUAGE", None)
    CHILD_ENV.update({b"LC_ALL": b"C", b"PATH": to_bytes(ENV["PATH"])})


def child_env_text() -> dict:
    """CHILD_ENV as str, for a library that takes no bytes."""
    return {name.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
            for name, value in CHILD_ENV.items()}


def to_bytes(text: str) -> bytes:
    """The bytes a text stands for, undecodable ones of the environment included."""
    return text.encode("utf-8", "surrogateescape")


def split(text: str) -> list:
    """The words of a text, parted by ASCII's white space: the name of an interface may hold any
    other, which str.split() would part as well (Linux, dev_valid_name())."""
    if text.isascii() and text.isprintable():       # blanks are all the white space: the same
        return text.split()
    return [word.decode("utf-8", "surrogateescape") for word in to_bytes(text).split()]


def find(name: str) -> str:
    """The absolute path of program `name`, or "" where there is none that can be executed."""
    if name not in _found:
        _found[name] = _search(name)
    return _found[name]


def _search(name):
    if "/" in name:
        candidates = [name] if name.startswith("/") else []
    else:
        candidates = [folder + "/" + name for folder in ENV.get("PATH", "").split(":")]
    for path in candidates:
        if name and is_file(path) and posix.access(path, posix.X_OK):
            return path
    return ""


def is_link(path: str) -> bool:
    """Whether path is a symbolic link."""
    try:
        return posix.lstat(path).st_mode & 0o170000 == 0o120000
    except (OSError, ValueError):
        return False


def is_file(path: str) -> bool:
    """Whether path is a regular file, links followed."""
    try:
        return is_regular(posix.stat(path))
    except (OSError, ValueError):
        return False


def is_regular(told) -> bool:
    """Whether a stat result is that of a regular file."""
    return told.st_mode & 0o170000 == 0o100000


def quoted(argv) -> str:
    """argv as one line that can be pasted into a shell."""
    return " ".join(_quote(word) for word in argv)


def _quote(word):
    plain = "".join(character for character in word if character not in "_-./:=+,@%")
    if word and plain.isascii() and (not plain or plain.isalnum()):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


# --- reading ---------------------------------------------------------------------------------


def query(argv, seconds=None):
    """Run a program that changes nothing; its Result, stdout and stderr apart.

    It is ended at the deadline, or after so many seconds from now where they are given.
    """
    return query_end(RUN.prefetched.pop(tuple(argv), None) or _start(argv), seconds)


def prefetch(argv) -> None:
    """Begin a query() that is going to come, unless something is changed before it does."""
    if tuple(argv) not in RUN.prefetched:
        started = _Started(argv)
        if started.pid:         # else it is tried again when it is asked for
            RUN.prefetched[tuple(argv)] = started
            RUN.started.append(started)


def discard_prefetched() -> None:
    """End the queries that were begun ahead and not asked for."""
    while RUN.prefetched:
        started = RUN.prefetched.popitem()[1]
        RUN.started.remove(started)
        if not started.result:
            children.kill_started(started)


def query_start(argv) -> "_Started":
    """Begin what query() does and come back at once; query_end() gives the Result."""
    return _start(argv)


def query_end(started, seconds=None):
    """The Result of a query_start(), ended after so many seconds from now where they are given."""
    result = _end(started, seconds)
    if RUN.tracers:
        RUN.trace(transcript(started.argv, result))
    return result


def _end(started, seconds=None):
    if started in RUN.started:
        RUN.started.remove(started)
    return started.result or children.finish(started, seconds)


def _start(argv, together=False):
    """The _Started; where the host is out of something, others are waited for first."""
    started = _Started(argv, together)
    if started.problem:
        RUN.reserve.clear()
        for other in RUN.started:
            other.result = other.result or children.finish(other)
        started = _Started(argv, together)
    while started.problem and started.problem.errno in SHORT and RUN.tries:
        RUN.tries -= 1
        time.sleep(0.02)
        started = _Started(argv, together)
    if started.pid:
        RUN.started.append(started)
    return started


class _Started:
    """A program under way: its process id, or the status that says why there is none.

    out and err are what it writes to, one and the same where they are to be together.
    """

    def __init__(self, argv, together=False):
        self.argv = argv
        self.pid = 0
        self.rc = 127
        self.result = None      # where it was waited for before it was asked for
        self.problem = None     # the OSError that tells what the host is out of
        path = find(argv[0])
        if not path:
            return
        ends: tuple = ()
        try:
            ends = posix.pipe()
            ends += ends if together else posix.pipe()
            with signals_blocked():
                self.pid = _spawn(path, argv, ends[1], ends[3])
                RUN.children.add(self.pid)
        except (OSError, ValueError, MemoryError) as problem:
            self.rc = 126
            if isinstance(problem, MemoryError):
                self.problem = OSError(SHORT[1], "out of memory")
            elif isinstance(problem, OSError) and problem.errno in SHORT + (EMFILE,):
                self.problem = problem
            elif not is_file(path):             # it went away since find() saw it
                self.rc = 127
        for fd in set(ends[1::2] if self.pid else ends):
            posix.close(fd)
        if self.pid:
            self.out, self.err = ends[::2]
            self.streams = {self.out: [], self.err: []}


def _spawn(path, argv, out, err):
    """Start a program that writes to these descriptors; its process id."""
    return posix.posix_spawn(
        path, [to_bytes(word) for word in argv], CHILD_ENV, setsigmask=(), setsigdef=PYTHONS,
        file_actions=[(posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
                      (posix.POSIX_SPAWN_DUP2, out, 1), (posix.POSIX_SPAWN_DUP2, err, 2)])


def transcript(argv, result):
    """A command, its status and what it printed, for the trace."""
    text = f"+ {quoted(argv)}\n"
    for line in (result.out + result.err).splitlines():
        text += "| " + line + "\n"
    return text + f"= {result.rc}\n"


def run_directly(argv, seconds=None):
    """Run a program that changes something, as a query is run; a Result with stdout and stderr
    together.  For changes.run() where sh cannot do it."""
    result = _end(_start(argv, together=True), seconds)
    return children.Result(result.rc, result.out + result.err, "", result.timed_out)


# --- leaving a child behind ------------------------------------------------------------------


def detach(work):
    """Run the callable work() in a child that outlives the agent; the child's process id.

    The child leads a session of its own and holds none of the agent's pipes: stdin and stdout
    are /dev/null, and so is stderr unless it is a terminal or a file.
    """
    pid = None
    _signal.pthread_sigmask(_signal.SIG_BLOCK, ENDING)
    try:
        pid = posix.fork()
    finally:
        if pid != 0:
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, ENDING)
    if pid:
        return pid
    status = 1
    try:
        RUN.leave_to_parent()
        posix.setsid()
        for number in ENDING:
            _signal.signal(number, _signal.SIG_DFL)
        _signal.signal(_signal.SIGHUP, _signal.SIG_IGN)     # for the programs that it starts too
        become_child()
        null = posix.open("/dev/null", posix.O_RDWR)
        posix.dup2(null, 0)
        posix.dup2(null, 1)
        if posix.fstat(2).st_mode & 0o170000 in (0o010000, 0o140000):   # a pipe, a socket
            posix.dup2(null, 2)
        work()
        status = 0
    except BaseException as problem:    # nothing may run on in the agent's name
        kill_children()                 # only now: a last logger may be under way else
        RUN.trace(f"detached: {problem!r}\n")
    finally:
        posix._exit(status)


def replace(argv):
    """Become another program, as the shell's exec does; raises OSError if it cannot be run."""
    for number in PYTHONS:
        _signal.signal(number, _signal.SIG_DFL)
    try:
        posix.execve(find(argv[0]), [to_bytes(word) for word in argv], CHILD_ENV)
    finally:
        for number in PYTHONS:
            _signal.signal(number, _signal.SIG_IGN)
