# SPDX-License-Identifier: GPL-2.0-only
"""Files: notes and pid files in HA_RSCTMP, locks, and what the kernel tells below /proc."""

import fcntl
import posix
import time

from . import commands, waiting
from .environment import ENV
from .ocf import NO_FOLDER, ocf_log

_told: set = set()                  # what is said once alone


def rsctmp(name):
    """Path of file `name` in HA_RSCTMP; the folder is made where it is missing."""
    folder = ENV["HA_RSCTMP"]
    if folder == NO_FOLDER and NO_FOLDER not in _told:
        _told.add(NO_FOLDER)
        ocf_log("err", "HA_RSCTMP is a symbolic link, which is not followed: no pid file, note or "
                "lock can be kept; name the folder itself")
    try:
        posix.mkdir(folder, 0o1755)
    except OSError:
        pass
    return folder + "/" + name


def write_file(path, text):
    """Write a private file (0600, links not followed, a FIFO not waited for) as a whole or not at
    all; raises OSError."""
    fd = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW
                    | posix.O_NONBLOCK | posix.O_CLOEXEC, 0o600)
    try:
        data = commands.to_bytes(text)
        while data:
            data = data[posix.write(fd, data):]
    except OSError:
        remove_file(path)
        raise
    finally:
        posix.close(fd)


def read_file(path, limit=65536):
    """The beginning of a regular file (links not followed); "" where there is none."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC
                        | posix.O_NONBLOCK)
    except (OSError, ValueError):
        return ""
    try:
        return posix.read(fd, limit).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        posix.close(fd)


def remove_file(path):
    """Remove a file; True unless it is still there."""
    try:
        posix.unlink(path)
    except FileNotFoundError:
        return True
    except OSError as problem:
        ocf_log("warn", "could not remove %s: %s" % (path, problem.strerror))
        return False
    return True


class lock:
    """`with lock(path):` one process at a time; released by the kernel on any death.

    Waits within the action's time limit; raises TimeoutError when the lock is not had by then,
    OSError when the file cannot be made.
    """

    def __init__(self, path):
        self.path = path
        self.fd = -1

    def __enter__(self):
        self.fd = posix.open(self.path, posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW
                             | posix.O_CLOEXEC, 0o600)
        told = False
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except BlockingIOError:
                if not told:
                    ocf_log("info", "waiting for the lock %s" % self.path)
                    told = True
                if not waiting.remaining():
                    posix.close(self.fd)
                    raise TimeoutError("%s is held by another process" % self.path) from None
                time.sleep(0.02)

    def __exit__(self, *_problem):
        # A sender that was left in the background shares the descriptor, and with it the lock.
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        posix.close(self.fd)


class no_lock:
    """What an address that is not shared is locked with."""

    def __enter__(self):
        return self

    def __exit__(self, *_problem):
        return None
