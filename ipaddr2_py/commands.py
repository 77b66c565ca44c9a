# SPDX-License-Identifier: GPL-2.0-only
"""The only door to other programs: query() reads, run() changes, detach() leaves a child behind.

query() starts a program directly, for it is the monitor's hot path; run() goes through the sh
library, imported on first use.  Both give a Result (waiting.py) and never raise for
what the program did: a non-zero status is data, 127 a missing program, 126 one that cannot be
executed, 128+n a signal (137 also for one that was ended at the time limit).  Only posix and small
C modules are imported here, since the agent is started with `python3 -IS`.
"""

import _signal
import posix
import time

from .environment import (CHILD_ENV, ENV, child_env_text, find, is_file, is_link,  # noqa: F401
                          load_environment, to_bytes)
from .signals import (ENDING, PYTHONS, Terminated, become_child, children, die_of,  # noqa: F401
                      end_with_agent, ignore_termination, kill_children, undisturbed)

SHORT = (11, 12, 23)    # EAGAIN, ENOMEM, ENFILE: the host is out of something, maybe for a moment
EMFILE = 24         # the agent itself is out of descriptors
#: Statuses of a child of sh that could not become the program: of sh itself, and by the signal of
#: whoever finds itself there.
NOT_EXECUTED = (255, 128 + _signal.SIGRTMAX)
FEW = 32            # where descriptors are short, all are below
_ahead: dict = {}   # queries begun before they are asked for
_begun: list = []   # all that are under way
#: What a detached child must not wait for, as it is the agent's.
of_the_agent: list = [children, _ahead, _begun]
locks: set = set()    # descriptors of the locks that the agent holds (files.py)
passed: set = set()   # descriptors that the programs which change something hold as well
tracers: list = []    # callables that take a text, while OCF_TRACE_RA is on (trace.py)
_sh_fails = False     # sh could not start a program in this run
_tries = 50           # of this run, every 20 ms, to start one where the host is out of something


def quoted(argv):
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
    return query_end(_ahead.pop(tuple(argv), None) or _start(argv), seconds)


def query_ahead(argv):
    """Begin a query() that is going to come, unless something is changed before it does."""
    if tuple(argv) not in _ahead:
        started = _Started(argv)
        if started.pid:         # else it is tried again when it is asked for
            _ahead[tuple(argv)] = started
            _begun.append(started)


def drop_ahead():
    """End the queries that were begun ahead and not asked for."""
    while _ahead:
        from . import waiting

        started = _ahead.popitem()[1]
        _begun.remove(started)
        if not started.result:
            waiting.drop(started)


def query_start(argv):
    """Begin what query() does and come back at once; query_end() gives the Result."""
    return _start(argv)


def query_end(started, seconds=None):
    """The Result of a query_start(), ended after so many seconds from now where they are given."""
    result = _end(started, seconds)
    for trace in tracers:
        trace(_told(started.argv, result))
    return result


def _end(started, seconds=None):
    from . import waiting

    if started in _begun:
        _begun.remove(started)
    return started.result or waiting.finish(started, seconds)


def _start(argv, together=False):
    """The _Started; where the host is out of something, others are waited for first."""
    global _tries
    started = _Started(argv, together)
    if started.problem:
        from . import waiting

        waiting.reserve.clear()
        for other in _begun:
            other.result = other.result or waiting.finish(other)
        started = _Started(argv, together)
    while started.problem and started.problem.errno in SHORT and _tries:
        _tries -= 1
        time.sleep(0.02)
        started = _Started(argv, together)
    if started.pid:
        _begun.append(started)
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
        ends = ()
        try:
            ends = posix.pipe()
            ends += ends if together else posix.pipe()
            with undisturbed():
                self.pid = _spawn(path, argv, ends[1], ends[3])
                children.add(self.pid)
        except (OSError, ValueError, MemoryError) as problem:
            self.rc = 126
            if isinstance(problem, MemoryError):
                problem = OSError(SHORT[1], "out of memory")
            if getattr(problem, "errno", 0) in SHORT + (EMFILE,):
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


def _told(argv, result):
    """A command, its status and what it printed, for the trace."""
    text = "+ %s\n" % quoted(argv)
    for line in (result.out + result.err).splitlines():
        text += "| " + line + "\n"
    return text + "= %d\n" % result.rc


# --- changing --------------------------------------------------------------------------------


def get_ready():
    """Import sh, as a change is coming: best done while queries run.  False where it is missing.

    Where it is there and cannot be imported, for lack of memory say, run() does without it.
    """
    try:
        from . import libraries, waiting

        if not waiting.reserve:
            waiting.reserve.append(bytes(waiting.RESERVE))
        libraries.import_sh()
    except ImportError as problem:
        # One of a C module that cannot be mapped is no sign that sh is missing.
        return str(problem.path).endswith(".so")
    except Exception:
        pass
    return True


def run(argv):
    """Run a program that changes something, through sh; out holds stdout and stderr together.

    Where sh is missing, or cannot do it on a sick host, it is started as a query is: a stop must
    not fail for that.  Never raises.
    """
    from . import waiting

    drop_ahead()
    result = None
    try:
        path = find(argv[0])
        if path and not _sh_fails and get_ready():
            result = _run(path, argv)
        if result is None:
            result = _end(_start(argv, together=True))
            result.out, result.err = result.out + result.err, ""
    except Exception as problem:
        result = waiting.Result(126, "%s: %s" % (type(problem).__name__, problem))
    for trace in tracers:
        trace(_told(argv, result))
    return result


def _run(path, argv):
    """Run the program `path` by sh, argv its words; a Result with stdout and stderr together.

    None where sh cannot do it; the program was not executed then, and sh is not tried again.
    """
    global _sh_fails
    from . import waiting

    child, failure, pid, ends, me = None, "", 0, [], posix.getpid()
    before = _descriptors()
    with undisturbed():
        try:
            ends += posix.pipe()
            ends.append(posix.open("/dev/null", posix.O_RDONLY | posix.O_CLOEXEC))
            child = _start_by_sh(path, argv, ends[2], ends[1])
            pid = child.pid
        except BaseException as problem:
            if posix.getpid() != me:            # sh's child, which must not run on
                posix.kill(posix.getpid(), _signal.SIGRTMAX)
            failure, pid = type(problem).__name__, _forked(problem)
        if pid:
            children.add(pid)
    left_open = _descriptors() - before if failure else set()    # sh does not clean up
    for fd in left_open.union(ends) - set(ends[:1] if pid else ()):
        posix.close(fd)
    _sh_fails = bool(failure)
    if not pid:
        return None
    limit, streams = waiting.Limit(), {ends[0]: []}
    try:
        waiting.read_streams(streams, limit)
        rc = waiting.reap(pid, limit) if failure else waiting.reap_by_sh(child, limit)
    finally:
        posix.close(ends[0])
        if pid in children:
            waiting.end(pid)
    if failure == "ForkException" or rc in NOT_EXECUTED[not failure:]:
        return None
    return waiting.Result(rc, waiting.joined(streams[ends[0]]), "", limit.timed_out)


def _start_by_sh(path, argv, null, out):
    """sh's running command: a program that reads from and writes to these descriptors."""
    from . import libraries

    sh = libraries.import_sh()
    words = [to_bytes(word) for word in argv[1:]]
    settings = {}
    if "return_cmd" in sh.Command._call_args:       # sh 2 takes text alone: a byte, a letter
        words = [word.decode("latin-1") for word in words]
        settings.update(_encoding="latin-1", _return_cmd=True)
    group = posix.getpgid(0)
    hangup = _signal.getsignal(_signal.SIGHUP)

    def in_child():
        # A group of its own would hide the child from a kill of the agent's group.
        posix.setpgid(0, group)
        _signal.signal(_signal.SIGHUP, hangup)          # which sh has ignored
        _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
        become_child()

    return sh.Command(path)(words, **settings, _in=null, _out=out, _err=out, _tty_out=False,
                            _bg=True, _bg_exc=False, _ok_code=range(256), _new_session=False,
                            _env=child_env_text(), _preexec_fn=in_child, _pass_fds=set(passed))


def _forked(problem):
    """Id of the child that sh had forked when it failed, 0 where there is none."""
    step = problem.__traceback__
    while step:
        process = step.tb_frame.f_locals.get("self")
        if type(process).__name__ == "OProc":
            return getattr(process, "pid", 0) or 0
        step = step.tb_next
    return 0


def _descriptors():
    """The descriptors below FEW that are open."""
    found = set()
    for fd in range(FEW):
        try:
            posix.get_inheritable(fd)
            found.add(fd)
        except OSError:
            pass
    return found


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
        for container in of_the_agent:
            container.clear()
        for fd in locks:        # they end with the agent, however that ends
            posix.close(fd)
        locks.clear()
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
        for trace in tracers:
            trace("detached: %r\n" % (problem,))
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
