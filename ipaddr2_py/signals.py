# SPDX-License-Identifier: GPL-2.0-only
"""The signals that end the agent: its children end with it, and nothing is left half done."""

import _signal
import posix

ENDING = (_signal.SIGTERM, _signal.SIGINT)
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


def end_with_agent():
    """Let SIGTERM and SIGINT end the agent by way of Terminated, and its children with it."""
    def terminated(number, _frame):
        for pid in tuple(children):
            try:
                posix.kill(pid, _signal.SIGKILL)
            except OSError:
                pass
        raise Terminated(number)

    for number in ENDING:
        _signal.signal(number, terminated)


def ignore_termination():
    """From here on SIGTERM and SIGINT do nothing: what was begun is taken back undisturbed."""
    for number in ENDING:
        _signal.signal(number, _signal.SIG_IGN)


def die_of(number):
    """End this process by the signal that told it to, as its caller expects."""
    _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, ENDING)    # it may have come as undisturbed began
    posix.kill(posix.getpid(), number)
