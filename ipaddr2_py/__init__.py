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
    from . import ahead, environment, signals

    signals.by_default()
    environment.load_environment(environ)
    ahead.begin(argv)
    from . import agent

    return agent.main(argv)


class Compiled(type(__spec__.loader)):      # type: ignore[misc]
    """An importer (see importlib.abc) of this package's modules, Python's own but for the search.

    It takes about half the time where a module is compiled already, which is all that it is for.
    Whatever is not as usual it leaves to Python's: a module that is not compiled, or changed since,
    or compiled in another way or by another version.  Where Python's fails on what is compiled,
    which a power cut may have left cut off or full of zeros, the source is read.
    """

    @classmethod
    def find_spec(cls, name, _path=None, _target=None):
        """The ModuleSpec of a module of this package, None for others."""
        package, _, last = name.rpartition(".")
        if package != __name__ or not __spec__.cached:
            return None
        source = last.join(__file__.rsplit("__init__", 1))
        loader = cls(name, source)
        try:
            loader.header = header(posix.stat(source))
        except OSError:
            return None
        spec = type(__spec__)(name, loader, origin=source)
        spec.has_location = True
        spec.cached = loader.cached = last.join(__spec__.cached.rsplit("__init__", 1))
        return spec

    def get_code(self, fullname):
        """The module's code, from its compiled form where that is up to date and whole."""
        try:
            return self.compiled_code() or super().get_code(fullname)
        except Exception:       # anything may come of what is not whole
            return self.source_to_code(self.get_data(self.path), self.path)

    def compiled_code(self):
        """The code in the compiled module, None where that is not up to date."""
        try:
            fd = posix.open(self.cached, posix.O_RDONLY | posix.O_CLOEXEC)
            data = posix.read(fd, LARGEST)
            posix.close(fd)
        except OSError:
            return None
        if len(data) == LARGEST or data[:16] != self.header:
            return None
        code = marshal.loads(memoryview(data)[16:])
        if type(code) is not type(main.__code__):
            raise ValueError("no code")
        return code


def header(told):
    """The first 16 bytes of an up-to-date compiled module (PEP 552), told = stat of its source.

    The interpreter's magic number, no flags, time and size of the source.
    """
    magic = getattr(sys.modules.get("_frozen_importlib_external"), "MAGIC_NUMBER", b"none")
    time, size = int(told.st_mtime) & 0xffffffff, told.st_size & 0xffffffff
    return magic + bytes(4) + (size << 32 | time).to_bytes(8, "little")
