# SPDX-License-Identifier: GPL-2.0-only
"""A world of its own for one agent: network, mount and process namespaces in a forked child.

Everything a scenario touches lives in namespaces that end with the child: interfaces, routes,
/run (a fresh tmpfs with the stand-ins, HA_RSCTMP and the log under /run/twin, the same paths for
both agents) and every process that an agent left running. Nothing has to be cleaned up, and
nothing of the host is changed. The driver speaks to the child through a pipe: ask(), then answer().
"""
import ctypes
import os
import pickle
import signal
import struct
import traceback

from . import world

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
ANSWER_TIMEOUT = 90  # seconds; an action itself is given world.ACTION_TIMEOUT

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *args):
    """Call a libc function that returns -1 on failure; OSError then."""
    if getattr(_libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (name, os.strerror(number)))


def mount(source, target, kind=None, flags=0):
    """mount(2) with text arguments."""
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    _call("mount", *texts, ctypes.c_ulong(flags), None)


class SandboxDied(Exception):
    """The child ended or stayed silent; what it said is the text."""


class Sandbox:
    """One agent's world. `agent` is the path of the agent's executable."""

    def __init__(self, agent):
        self.agent = agent
        ask_read, self._ask = os.pipe()
        self._answer, answer_write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _outer(ask_read, answer_write)
        os.close(ask_read)
        os.close(answer_write)

    def ask(self, verb, *words):
        """Start a step; the answer is fetched by answer()."""
        _write(self._ask, (verb, self.agent, words))

    def answer(self):
        """The outcome of the step asked for, as the function of world.VERBS returned it."""
        signal.signal(signal.SIGALRM, _too_late)
        signal.alarm(ANSWER_TIMEOUT)
        try:
            kind, value = _read(self._answer)
        finally:
            signal.alarm(0)
        if kind == "error":
            raise SandboxDied(value)
        return value

    def close(self):
        """End the child, and with it everything in its namespaces."""
        if self._pid:
            os.close(self._ask)
            os.close(self._answer)
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _too_late(_signal, _frame):
    raise SandboxDied("no answer within %d s" % ANSWER_TIMEOUT)


def _outer(ask, answer):
    """In the first child: new namespaces, then fork, for the next child is process 1 there."""
    try:
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
        _close_all_but({0, 1, 2, ask, answer})
        _call("unshare", CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
            _inner(ask, answer)
        os.close(answer)
        os.waitpid(pid, 0)
    except BaseException:  # the child must not return into the driver's code
        _write(answer, ("error", traceback.format_exc()))
    finally:
        os._exit(0)


def _inner(ask, answer):
    """Process 1 of the sandbox: build the world, then do what is asked until the pipe ends."""
    try:
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        mount("proc", "/proc", "proc")
        mount("sysfs", "/sys", "sysfs")
        mount("tmpfs", "/run", "tmpfs")
        world.build()
        while True:
            verb, agent, words = _read(ask)
            _write(answer, ("value", world.VERBS[verb](agent, *words)))
    except EOFError:
        pass
    except BaseException:  # as above; the driver raises it again
        _write(answer, ("error", traceback.format_exc()))
    finally:
        os._exit(0)


def _close_all_but(kept):
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                pass  # the descriptor of the listing itself


def _write(descriptor, value):
    data = pickle.dumps(value)
    data = struct.pack("!I", len(data)) + data
    while data:
        data = data[os.write(descriptor, data):]


def _read(descriptor):
    (length,) = struct.unpack("!I", _exactly(descriptor, 4))
    return pickle.loads(_exactly(descriptor, length))


def _exactly(descriptor, length):
    data = b""
    while len(data) < length:
        more = os.read(descriptor, length - len(data))
        if not more:
            raise EOFError("the other side has gone")
        data += more
    return data
