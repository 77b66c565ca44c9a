# SPDX-License-Identifier: GPL-2.0-only
"""The environment that the agent was given, and the programs that it can find there."""

import posix

#: What PATH gets appended, as the shell agent's ocf-binaries does.
USUAL_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"

ENV = {}            # names and values as str; filled by load_environment()
CHILD_ENV = {}      # what children get
_found = {}         # find()'s memory


def load_environment(environ):
    """Take the process's environment (bytes or str) and derive the children's from it.

    Children run with LC_ALL=C and with the absolute folders of PATH alone, plus the usual ones.
    """
    ENV.clear()
    for name, value in environ.items():
        ENV[_text(name)] = _text(value)
    folders = (ENV.get("PATH", "") + ":" + USUAL_PATH).split(":")
    ENV["PATH"] = ":".join(folder for folder in folders if folder.startswith("/"))
    _found.clear()
    CHILD_ENV.clear()
    CHILD_ENV.update(ENV)
    for name in ("LANG", "LANGUAGE"):
        CHILD_ENV.pop(name, None)
    CHILD_ENV["LC_ALL"] = "C"


def _text(value):
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def to_bytes(text):
    """The bytes a text stands for, undecodable ones of the environment included."""
    return text.encode("utf-8", "surrogateescape")


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
        return posix.stat(path).st_mode & 0o170000 == 0o100000
    except (OSError, ValueError):
        return False
