# SPDX-License-Identifier: GPL-2.0-only
"""What the agent was given: its environment, the programs found there, descriptors to write to."""

import posix
import time

#: What PATH gets appended, as the shell agent's ocf-binaries does.
USUAL_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"

AGENT_PID = posix.getpid()      # a background child logs in the agent's name
ENV = {}            # names and values as str; filled by load_environment()
CHILD_ENV = {}      # what children get, as bytes
_found = {}         # find()'s memory
BLANKS = " \t\n\r\v\f"     # white space, to the kernel and to `ip`
PIPE_BUF = 4096     # bytes that a pipe takes at once, where poll(2) says that it takes any
_patience = 1.0     # seconds that this run may still wait for those that read what it says


def load_environment(environ):
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


def child_env_text():
    """CHILD_ENV as str, for a library that takes no bytes."""
    return {name.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
            for name, value in CHILD_ENV.items()}


def to_bytes(text):
    """The bytes a text stands for, undecodable ones of the environment included."""
    return text.encode("utf-8", "surrogateescape")


def split(text):
    """The words of a text, parted by ASCII's white space: the name of an interface may hold any
    other, which str.split() would part as well (Linux, dev_valid_name())."""
    return [word.decode("utf-8", "surrogateescape") for word in to_bytes(text).split()]


def find(name):
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


def is_link(path):
    """Whether path is a symbolic link."""
    try:
        return posix.lstat(path).st_mode & 0o170000 == 0o120000
    except (OSError, ValueError):
        return False


def is_file(path):
    """Whether path is a regular file, links followed."""
    try:
        return is_regular(posix.stat(path))
    except (OSError, ValueError):
        return False


def is_regular(told):
    """Whether a stat result is that of a regular file."""
    return told.st_mode & 0o170000 == 0o100000


def write_all(fd, text):
    """Write a whole text; a reader that is gone, or a full disk, does not matter here.

    Only stdout is waited for as long as it takes.  Where another one is a pipe that nobody reads,
    this run waits a second for it in all; from then on what does not fit is dropped.
    """
    data = to_bytes(text)
    try:
        while data:
            room = len(data) if fd == 1 or is_regular(posix.fstat(fd)) else _room(fd)
            if not room:
                return
            data = data[posix.write(fd, data[:room]):]
    except OSError:
        pass


def _room(fd):
    """Bytes that a pipe takes without waiting, maybe after a while; 0 where nobody reads."""
    global _patience
    try:
        import select

        poll = select.poll()
    except Exception:           # out of descriptors, or memory, which a line may tell
        return PIPE_BUF
    poll.register(fd, select.POLLOUT)
    if not poll.poll(0):
        begin = time.monotonic()
        ready = poll.poll(_patience * 1000)
        _patience = max(0.0, _patience - (time.monotonic() - begin))
        if not ready:
            return 0
    return PIPE_BUF
