# SPDX-License-Identifier: GPL-2.0-only
"""Runs a program and tells what it cost: time, CPU time, programs started, memory.

CPU time is that of the whole tree: wait4(2) gives a child's own time with that of every descendant
it waited for, and those it left behind (a sender in the background) become children of this
process, a subreaper, which waits for them as well.  Programs and memory come from runs of their
own, for what counts them (strace, a shell in between) would be in the way of the clock.
"""

import ctypes
import os
import signal
import statistics
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36
QUIET = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
         (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
         (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
LIMIT = 60          # seconds that a run may take


class Failed(Exception):
    """A run did not end as it has to, so that its cost means nothing."""


class Cost:
    """One run: wall and cpu, in milliseconds."""

    __slots__ = ("wall", "cpu")

    def __init__(self, wall, cpu):
        self.wall = wall
        self.cpu = cpu


def adopt():
    """Become the parent of descendants whose own parent has ended (prctl(2))."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("prctl: PR_SET_CHILD_SUBREAPER")
    signal.signal(signal.SIGALRM, _too_long)


def _too_long(_signal, _frame):
    raise Failed("a run, with what it left behind, did not end within %d s" % LIMIT)


def spawn(argv, env):
    """Start a program with nothing to read and nobody to read it; its process id."""
    return os.posix_spawn(argv[0], argv, env, file_actions=QUIET,
                          setsigdef=(signal.SIGPIPE, signal.SIGINT))


def cpu_of(usage):
    """CPU time of a rusage, user and system together, in milliseconds."""
    return (usage.ru_utime + usage.ru_stime) * 1e3


def run(argv, env, expected=0):
    """The Cost of a program: wall until it has ended, cpu with all it left behind."""
    signal.alarm(LIMIT)
    begin = time.perf_counter()
    pid = spawn(argv, env)
    _, status, usage = os.wait4(pid, 0)
    wall = (time.perf_counter() - begin) * 1e3
    cpu = cpu_of(usage) + sum(cpu_of(usage) for usage in left_behind())
    signal.alarm(0)
    rc = os.waitstatus_to_exitcode(status)
    if rc != expected:
        raise Failed("%s ended with %d, not %d" % (" ".join(argv), rc, expected))
    return Cost(wall, cpu)


def left_behind():
    """Wait for what a program left behind; the rusage of each."""
    usages = []
    while True:
        try:
            usages.append(os.wait4(-1, 0)[2])
        except ChildProcessError:
            return usages


def programs(argv, env, expected=0):
    """How many programs a run starts, itself included: its execve(2) that succeeded."""
    with tempfile.NamedTemporaryFile("r", prefix="ip2b-") as log:
        run(["/usr/bin/strace", "-f", "-qq", "-e", "trace=execve", "-e", "signal=none",
             "-o", log.name, *argv], env, expected)
        return count_programs(log.read())


def count_programs(text):
    """Programs started according to `strace -f -e trace=execve`."""
    return sum("execve" in line and line.endswith(" = 0") for line in text.splitlines())


def memory(argv, env, expected=0):
    """Peak resident memory of the largest process of a run, in MiB; expected goes unchecked.

    A process starts with the peak of the one that spawned it, so that a small shell stands in
    between; the program is orphaned, and its usage comes here unmixed.
    """
    signal.alarm(LIMIT)
    os.waitpid(spawn(["/bin/sh", "-c", '"$@" &', "sh", *argv], env), 0)
    peak = max(usage.ru_maxrss for usage in left_behind())
    signal.alarm(0)
    return round(peak / 1024, 1)


def summary(values):
    """Median, spread (to a thousandth) and number of measured values."""
    ordered = sorted(values)
    quarters = statistics.quantiles(ordered, n=4) if len(ordered) > 1 else [ordered[0]] * 3
    found = {"median": statistics.median(ordered), "min": ordered[0], "max": ordered[-1],
             "lower_quartile": quarters[0], "upper_quartile": quarters[2]}
    return {**{name: round(value, 3) for name, value in found.items()}, "n": len(ordered)}


def median_error(summed):
    """Standard error of a summary's median, taken from its quartiles as if values were normal."""
    deviation = (summed["upper_quartile"] - summed["lower_quartile"]) / 1.349
    return 1.2533 * deviation / summed["n"] ** 0.5
