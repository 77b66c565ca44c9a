# SPDX-License-Identifier: GPL-2.0-only
"""The signals that end the agent: its children end with it, and nothing is left half done."""

import _signal
import posix
import sys

ENDING = (_signal.SIGTERM, _signal.SIGINT)
#: Python ignores these from its start: a write that cannot be done is an error, and ends nothing.
PYTHONS = (_signal.SIGPIPE, _signal.SIGXFSZ)
children = set()    # ids of the children that end with the agent


class Terminated(BaseException):
    """The agent was told to end by a signal; number is the signal's."""

    def __init__(self, number):
        BaseException.__init__(self, number)
        self.number = number


class undisturbed:
    """`with undisturbed():` a signal that ends the agent waits: no child goes unnoted."""

    def __enter__(self):
        _signal.pthread_sigmask(_signal.SIG_BLOCK, ENDING)

    def __exit__(self, *_problem):
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, ENDING)


def by_default():
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


def end_with_agent():
    """Let SIGTERM and SIGINT end the agent by way of Terminated, and its children with it."""
    def terminated(number, _frame):
        kill_children()
        raise Terminated(number)

    def again(_number, _frame):
        raise Terminated(ENDING[0])

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
    for pid in tuple(children):
        try:
            posix.kill(pid, _signal.SIGKILL)
        except OSError:
            pass


def ignore_termination():
    """From here on SIGTERM and SIGINT do nothing: what was begun is taken back undisturbed."""
    for number in ENDING:
        _signal.signal(number, _signal.SIG_IGN)
    _signal.signal(_signal.SIGALRM, lambda _number, _frame: None)


def die_of(number):
    """End this process by the signal that told it to, as its caller expects."""
    _signal.setitimer(_signal.ITIMER_REAL, 0)
    _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, ENDING)    # it may have come as undisturbed began
    posix.kill(posix.getpid(), number)
