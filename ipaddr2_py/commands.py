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

from .environment import (CHILD_ENV, ENV, child_env_text, find, is_file, is_link,  # noqa: F401
                          load_environment, to_bytes)
from .signals import (Terminated, children, die_of, end_with_agent,  # noqa: F401
                      ignore_termination, undisturbed)

_ahead: dict = {}   # queries begun before they are asked for
#: What a detached child must not wait for, as it is the agent's.
of_the_agent: list = [children, _ahead]
tracers: list = []    # callables that take a text, while OCF_TRACE_RA is on (trace.py)


def quoted(argv):
    """argv as one line that can be pasted into a shell."""
    return " ".join(_quote(word) for word in argv)


def _quote(word):
    plain = "".join(character for character in word if character not in "_-./:=+,@%")
    if word and plain.isascii() and (not plain or plain.isalnum()):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


# --- reading ---------------------------------------------------------------------------------


def query(argv):
    """Run a program that changes nothing; its Result, stdout and stderr apart."""
    return query_end(_ahead.pop(tuple(argv), None) or _Started(argv))


def query_ahead(argv):
    """Begin a query() that is going to come, unless something is changed before it does."""
    if tuple(argv) not in _ahead:
        _ahead[tuple(argv)] = _Started(argv)


def drop_ahead():
    """End the queries that were begun ahead and not asked for."""
    while _ahead:
        from . import waiting

        waiting.drop(_ahead.popitem()[1])


def query_start(argv):
    """Begin what query() does and come back at once; query_end() gives the Result."""
    return _Started(argv)


def query_end(started, seconds=None):
    """The Result of a query_start(), ended after so many seconds from now where they are given."""
    from . import waiting

    result = waiting.finish(started, seconds)
    for trace in tracers:
        trace(_told(started.argv, result))
    return result


class _Started:
    """A program under way: its process id, or the status that says why there is none."""

    def __init__(self, argv):
        self.argv = argv
        self.pid = 0
        self.rc = 127
        path = find(argv[0])
        if not path:
            return
        out, child_out = posix.pipe()
        err, child_err = posix.pipe()
        self.streams = {out: [], err: []}
        self.out, self.err = out, err
        actions = [
            (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
            (posix.POSIX_SPAWN_DUP2, child_out, 1),
            (posix.POSIX_SPAWN_DUP2, child_err, 2),
        ]
        try:
            with undisturbed():
                self.pid = posix.posix_spawn(
                    path, [to_bytes(word) for word in argv], CHILD_ENV, file_actions=actions,
                    setsigmask=(), setsigdef=(_signal.SIGPIPE,))
                children.add(self.pid)
        except (OSError, ValueError):
            self.rc = 126
        finally:
            posix.close(child_out)
            posix.close(child_err)
        if not self.pid:
            posix.close(out)
            posix.close(err)


def _told(argv, result):
    """A command, its status and what it printed, for the trace."""
    text = "+ %s\n" % quoted(argv)
    for line in (result.out + result.err).splitlines():
        text += "| " + line + "\n"
    return text + "= %d\n" % result.rc


# --- changing --------------------------------------------------------------------------------


def get_ready():
    """Import sh, as a change is coming: best done while queries run.  False where it is missing."""
    from . import libraries

    try:
        libraries.import_sh()
    except ImportError:
        return False
    return True


def run(argv):
    """Run a program that changes something, through sh; out holds stdout and stderr together.

    Where sh is missing it is started as a query is: a stop must not fail for that.
    """
    from . import waiting

    drop_ahead()
    path = find(argv[0])
    if not path:
        result = waiting.Result(127)
    elif get_ready():
        result = _run(path, argv)
    else:
        result = waiting.finish(_Started(argv))
        result.out, result.err = result.out + result.err, ""
    for trace in tracers:
        trace(_told(argv, result))
    return result


def _run(path, argv):
    """Run the program `path` by sh, argv its words; a Result with stdout and stderr together."""
    from . import libraries, waiting

    sh = libraries.import_sh()
    words = [to_bytes(word) for word in argv[1:]]
    settings = {}
    if "return_cmd" in sh.Command._call_args:       # sh 2 takes text alone: a byte, a letter
        words = [word.decode("latin-1") for word in words]
        settings.update(_encoding="latin-1", _return_cmd=True)
    out, child_out = posix.pipe()
    null = posix.open("/dev/null", posix.O_RDONLY | posix.O_CLOEXEC)
    group = posix.getpgid(0)
    streams = {out: []}

    def in_child():
        # A group of its own would hide the child from a kill of the agent's group.
        posix.setpgid(0, group)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())

    settings.update(_in=null, _out=child_out, _err=child_out, _tty_out=False, _bg=True,
                    _bg_exc=False, _ok_code=range(256), _env=child_env_text(),
                    _new_session=False, _preexec_fn=in_child)
    child = None
    try:
        try:
            with undisturbed():
                child = sh.Command(path)(words, **settings)
                children.add(child.pid)
        except sh.ForkException:
            return waiting.Result(126)
        except sh.CommandNotFound:      # it went away since find() saw it
            return waiting.Result(127)
        finally:
            posix.close(child_out)
            posix.close(null)
        timed_out = waiting.read_streams(streams)
        rc, timed_out = waiting.reap_by_sh(sh, child, timed_out)
    finally:
        posix.close(out)
        if child is not None and child.pid in children:
            waiting.end(child.pid)
    return waiting.Result(rc, waiting.joined(streams[out]), "", timed_out)


# --- leaving a child behind ------------------------------------------------------------------


def detach(work):
    """Run the callable work() in a child that outlives the agent; the child's process id.

    The child leads a session of its own and holds none of the agent's pipes: stdin and stdout
    are /dev/null, and so is stderr unless it is a terminal or a file.
    """
    pid = posix.fork()
    if pid:
        return pid
    status = 1
    try:
        for container in of_the_agent:
            container.clear()
        posix.setsid()
        for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
            _signal.signal(number, _signal.SIG_DFL)
        null = posix.open("/dev/null", posix.O_RDWR)
        posix.dup2(null, 0)
        posix.dup2(null, 1)
        if posix.fstat(2).st_mode & 0o170000 in (0o010000, 0o140000):   # a pipe, a socket
            posix.dup2(null, 2)
        work()
        status = 0
    except BaseException as problem:    # nothing may run on in the agent's name
        for trace in tracers:
            trace("detached: %r\n" % (problem,))
    finally:
        posix._exit(status)


def replace(argv):
    """Become another program, as the shell's exec does; raises OSError if it cannot be run."""
    posix.execve(find(argv[0]), [to_bytes(word) for word in argv], CHILD_ENV)
