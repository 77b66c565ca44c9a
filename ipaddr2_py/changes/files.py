# SPDX-License-Identifier: GPL-2.0-only
"""Files: notes and pid files in HA_RSCTMP, locks, and what the kernel tells below /proc."""

import fcntl
import posix
import time

from .. import children, commands
from ..children import RUN
from ..commands import ENV
from ..ocf import NO_FOLDER, ocf_log


def state_file(name: str) -> str:
    """Path of file `name` in HA_RSCTMP; the folder is made where it is missing."""
    folder = ENV["HA_RSCTMP"]
    if folder == NO_FOLDER and NO_FOLDER not in RUN.said:
        RUN.said.add(NO_FOLDER)
        ocf_log("err", "HA_RSCTMP is a symbolic link, which is not followed: no pid file, note or "
                "lock can be kept; name the folder itself")
    try:
        posix.mkdir(folder, 0o1755)
    except OSError:
        pass
    return folder + "/" + name


def write_file(path: str, text: str) -> None:
    """Write a private file (0600 whatever the umask, links not followed, a FIFO not waited for) as
    a whole or not at all; raises OSError."""
    fd = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW
                    | posix.O_NONBLOCK, 0o600)
    try:
        posix.fchmod(fd, 0o600)
        data = commands.to_bytes(text)
        while data:
            data = data[posix.write(fd, data):]
    except BaseException:       # told to end, for instance
        remove_file(path)
        raise
    finally:
        posix.close(fd)


def replace_file(path: str, text: str) -> None:
    """Write a private file as write_file() does, but beside the old one, which it then replaces.

    Whoever reads meanwhile sees the old text or the new one.  Where the agent is killed, a file
    with a ~ behind its name is left.  Raises OSError.
    """
    new = path + "~"
    remove_file(new)
    write_file(new, text)
    try:
        posix.rename(new, path)
    except BaseException:
        remove_file(new)
        raise


def read_file(path: str, limit: int = 65536, links: bool = False) -> str:
    """The beginning of a regular file; "" where there is none.

    Links are followed on request alone: in HA_RSCTMP they may lead anywhere.
    """
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK
                        | (0 if links else posix.O_NOFOLLOW))
    except (OSError, ValueError):
        return ""
    try:
        data = chunk = posix.read(fd, limit)
        while chunk and len(data) < limit:      # a file below /proc comes page by page
            chunk = posix.read(fd, limit - len(data))
            data += chunk
        return data.decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        posix.close(fd)


def remove_file(path: str) -> bool:
    """Remove a file; True unless it is still there."""
    try:
        posix.unlink(path)
    except FileNotFoundError:
        return True
    except OSError as problem:
        ocf_log("warn", f"could not remove {path}: {problem.strerror}")
        return False
    return True


class ocf_take_lock:
    """`with lock(path):` one process at a time; released by the kernel on any death.

    Waits for so many seconds, by default within the action's time limit; raises TimeoutError when
    the lock is not had by then, OSError when the file cannot be made.  The file is removed while it
    is locked: who waited for it notices, and makes a new one.
    """

    def __init__(self, path, seconds=None):
        self.path = path
        self.seconds = seconds
        self.fd = -1

    def __enter__(self):
        end = None if self.seconds is None else time.monotonic() + self.seconds
        told = False
        while not self._take():
            if not told:
                ocf_log("info", f"waiting for the lock {self.path}")
                told = True
            if (end - time.monotonic() if end else children.remaining()) <= 0:
                raise TimeoutError(f"{self.path} is held by another process")
            time.sleep(0.02)
        return self

    def _take(self):
        """Lock the file that the path names now; whether that worked."""
        self.fd = posix.open(self.path, posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_current(self.fd, self.path):
                RUN.locks.add(self.fd)
                return True
        except BlockingIOError:
            pass
        posix.close(self.fd)
        return False

    def __exit__(self, *_problem):
        remove_file(self.path)
        RUN.locks.discard(self.fd)
        posix.close(self.fd)


def is_current(fd: int, path: str) -> bool:
    """Whether an open file is still the one that its path names."""
    held = posix.fstat(fd)
    try:
        named = posix.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)


class no_lock:
    """What an address that is not shared is locked with."""

    def __enter__(self):
        return None

    def __exit__(self, *_problem):
        return None
