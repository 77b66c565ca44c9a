# SPDX-License-Identifier: GPL-2.0-only
"""What alters the host: run() starts a program that changes something, through the library sh.

It gives a Result (children.py), as commands.query() does, and never raises.  Where sh cannot do it
on a sick host, the program is started as a query is: a stop must not fail for that.
"""

import _signal
import posix
import time

from .. import children, commands
from ..children import LAST_LOOKS, RUN, UNKNOWN, become_child, signals_blocked
from ..ocf import ocf_log
from . import sh_import

#: Statuses of a child of sh that could not become the program: of sh itself, and by the signal of
#: whoever finds itself there.
NOT_EXECUTED = (255, 128 + _signal.SIGRTMAX)
FEW = 32            # where descriptors are short, all are below
LONGEST_LINE = 4000                 # characters of a program's output that are logged


def ocf_run(argv) -> int:
    """Run a changing command and log what it printed, as an error if it failed; its exit status."""
    return run_and_log(argv)[0]


def run_and_log(argv) -> tuple:
    """What ocf_run() does; exit status and a sentence that tells how it failed ("" if it did not).
    """
    result = run(argv)
    output = " ".join(result.out[:4 * LONGEST_LINE].split())[:LONGEST_LINE]
    if result.timed_out:
        told = f"ended after its time limit: {commands.quoted(argv)}"
    elif result.rc == 127 and not output:
        told = f"command not found: {commands.quoted(argv)}"
    elif result.rc and not output:
        told = f"command failed with {result.rc}: {commands.quoted(argv)}"
    else:
        told = output
    failed = bool(result.rc or result.timed_out)
    if told:
        ocf_log("err" if failed else "info", told)
    return result.rc, told if failed else ""


def import_sh() -> bool:
    """Import sh, as a change is coming: best done while queries run.  False where it is missing.

    Where it is there and cannot be imported, for lack of memory say, run() does without it.
    """
    try:
        if not RUN.reserve:
            RUN.reserve.append(bytes(children.RESERVE))
        sh_import.load()
    except ImportError as problem:
        # One of a C module that cannot be mapped is no sign that sh is missing.
        return str(problem.path).endswith(".so")
    except Exception:
        pass
    return True


def run(argv, seconds=None):
    """Run a program that changes something, through sh; out holds stdout and stderr together.

    It is ended at the deadline, or after so many seconds where they are given.
    Where sh is missing, or cannot do it on a sick host, it is started as a query is: a stop must
    not fail for that.  Never raises.
    """
    commands.discard_prefetched()
    result = None
    try:
        path = commands.find(argv[0])
        if path and not RUN.sh_fails and import_sh():
            result = _run(path, argv, seconds)
        if result is None:
            result = commands.run_directly(argv, seconds)
    except Exception as problem:
        result = children.Result(126, f"{type(problem).__name__}: {problem}")
    if RUN.tracers:
        RUN.trace(commands.transcript(argv, result))
    return result


def _run(path, argv, seconds=None):
    """Run the program `path` by sh, argv its words; a Result with stdout and stderr together.

    None where sh cannot do it; the program was not executed then, and sh is not tried again.
    """
    child, failure, pid, ends, me = None, "", 0, [], posix.getpid()
    before = _descriptors()
    with signals_blocked():
        try:
            ends += posix.pipe()
            ends.append(posix.open("/dev/null", posix.O_RDONLY))
            child = _start_by_sh(path, argv, ends[2], ends[1])
            pid = child.pid
        except BaseException as problem:
            if posix.getpid() != me:            # sh's child, which must not run on
                posix.kill(posix.getpid(), _signal.SIGRTMAX)
            failure, pid = type(problem).__name__, _forked(problem)
        if pid:
            RUN.children.add(pid)
    left_open = _descriptors() - before if failure else set()    # sh does not clean up
    for fd in left_open.union(ends) - set(ends[:1] if pid else ()):
        posix.close(fd)
    RUN.sh_fails = bool(failure)
    if not pid:
        return None
    limit, streams = children.Limit(seconds), {ends[0]: []}
    try:
        children.read_streams(streams, limit)
        rc = children.reap(pid, limit) if failure else reap_by_sh(child, limit)
    finally:
        posix.close(ends[0])
        if pid in RUN.children:
            kill_unreaped(pid)
    if failure == "ForkException" or rc in NOT_EXECUTED[not failure:]:
        return None
    return children.Result(rc, children.joined(streams[ends[0]]), "", limit.timed_out)


def _start_by_sh(path, argv, null, out):
    """sh's running command: a program that reads from and writes to these descriptors."""
    sh = sh_import.load()
    words: list = [commands.to_bytes(word) for word in argv[1:]]
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
                            _env=commands.child_env_text(), _preexec_fn=in_child,
                            _pass_fds=set(RUN.inherited))


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


def reap_by_sh(child, limit) -> int:
    """Status of a child that sh reaps, which is killed when it does not end within the Limit."""
    pause, looks = 0.0001, LAST_LOOKS
    left = limit.left()
    while child.process.is_alive()[0]:
        if not left:
            limit.overrun()
            kill_unreaped(child.pid)
            pause, looks = 0.002, looks - 1
            if not looks:
                return 137
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
        left = limit.left()
    RUN.children.discard(child.pid)
    try:
        child.wait()            # ends sh's threads, which needs one more
    except Exception:
        pass
    code = child.process.exit_code
    if code is None:
        return UNKNOWN
    return 128 - code if code < 0 else code


def kill_unreaped(pid: int) -> None:
    """Kill a child that somebody else reaps."""
    try:
        posix.kill(pid, _signal.SIGKILL)
    except OSError:
        pass
    RUN.children.discard(pid)
