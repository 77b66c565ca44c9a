# SPDX-License-Identifier: GPL-2.0-only
"""The OCF resource agent IPaddr2 in Python: virtual IPv4 and IPv6 addresses on Linux."""

import marshal
import posix
import sys

__version__ = "0.1.0"
LARGEST = 1 << 16           # bytes of a compiled module that Compiled takes


def main(argv, environ):
    """Run the agent as bin/IPaddr2 does, argv = [program, action]; the exit code.

    A monitor's first question is under way before the rest of the agent is loaded.
    """
    sys.meta_path.insert(0, Compiled)
    from . import addresses, environment

    environment.load_environment(environ)
    addresses.ask_ahead(argv)
    from . import agent

    return agent.main(argv)


class Compiled:
    """An importer (see importlib.abc) of this package's modules that are compiled already.

    It takes about half the time that Python's own takes for them, which is all that it is for.
    Whatever is not as usual it leaves to Python's: a module that is not compiled, or changed since,
    or compiled in another way or by another version.
    """

    @classmethod
    def find_spec(cls, name, _path=None, _target=None):
        """The ModuleSpec of a module whose compiled form is up to date, else None."""
        package, _, last = name.rpartition(".")
        if package != __name__ or not __spec__.cached:
            return None
        source = last.join(__file__.rsplit("__init__", 1))
        cached = last.join(__spec__.cached.rsplit("__init__", 1))
        try:
            told = posix.stat(source)
            fd = posix.open(cached, posix.O_RDONLY | posix.O_CLOEXEC)
            data = posix.read(fd, LARGEST)
            posix.close(fd)
        except OSError:
            return None
        if len(data) == LARGEST or data[:16] != header(told):
            return None
        spec = type(__spec__)(name, cls, origin=source,     # type: ignore[arg-type]
                              loader_state=data)
        spec.has_location = True
        spec.cached = cached
        return spec

    @staticmethod
    def create_module(_spec):
        """None: an ordinary module."""

    @staticmethod
    def exec_module(module):
        """Run the module's code in it."""
        data, module.__spec__.loader_state = module.__spec__.loader_state, None
        exec(marshal.loads(memoryview(data)[16:]), module.__dict__)


def header(told):
    """The first 16 bytes of an up-to-date compiled module (PEP 552), told = stat of its source.

    The interpreter's magic number, no flags, time and size of the source; b"" where unknown.
    """
    magic = getattr(sys.modules.get("_frozen_importlib_external"), "MAGIC_NUMBER", b"")
    time, size = int(told.st_mtime) & 0xffffffff, told.st_size & 0xffffffff
    return magic and magic + bytes(4) + (size << 32 | time).to_bytes(8, "little")
