# SPDX-License-Identifier: GPL-2.0-only
"""The libraries the agent needs at times, sh and jinja2: `python3 -IS` finds neither by itself.

sh draws in a third of the standard library for what the agent never asks of it: asyncio, logging,
inspect, passwords.  Importing all that would take longer than the change itself, so while sh is
imported these modules are stood in for: a Deferred imports the real one when it is first used.
Written against sh 1.14.2, 1.14.3, 2.0.6, 2.2.2 and 2.4.0: which modules they import, and what they
look at in them meanwhile.  changes.run() counts on Command._call_args, process.is_alive() and
process.exit_code of theirs.
"""

import posix
import sys


def add_site_packages() -> None:
    """Make sh and jinja2 importable: `python3 -IS` leaves every site-packages folder out.

    Order: the folder that this package is installed in, a virtual environment's, the system's.
    The user's own folder is never used.
    """
    import site

    folders = []
    home = __file__.rsplit("/", 3)[0]
    if home.endswith("-packages"):
        folders.append(home)
    environment = sys.executable.rpartition("/")[0].rpartition("/")[0]
    if posix.access(environment + "/pyvenv.cfg", posix.R_OK):
        # Debian's getsitepackages() tells its own folders alone.
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        folders.append(f"{environment}/lib/python{version}/site-packages")
    # Since Python 3.14 sys.prefix is a virtual environment's, though -S leaves that out.
    folders += site.getsitepackages([sys.base_prefix])
    for folder in folders:
        if folder not in sys.path:
            sys.path.append(folder)


class Deferred:
    """Stands for a module: what is known of it is answered, all else imports the real one."""

    __name__: str

    def __init__(self, name, **known):
        self.__dict__.update(known, __name__=name, __spec__=None, __path__=[])

    def __getattr__(self, attribute):
        name = self.__name__
        if sys.modules.get(name) is self:
            del sys.modules[name]
        value = getattr(__import__(name, fromlist=["*"]), attribute)
        setattr(self, attribute, value)
        return value


class Silent:
    """The logger that sh is given: its notes on its own work go nowhere."""

    def debug(self, *_words, **_more):
        """Say nothing."""

    info = warning = error = exception = critical = debug


def _later(name, function):
    """A function that imports its module when it is called."""
    def call(*words, **more):
        return getattr(__import__(name, fromlist=["*"]), function)(*words, **more)
    return call


def _no_loop():
    raise RuntimeError("no running event loop")     # as asyncio says it


def _deferred():
    """The modules that sh imports and a plain command does not need, each with what sh looks at
    while it is imported."""
    return [
        Deferred("asyncio", Queue=_later("asyncio", "Queue"), get_running_loop=_no_loop),
        Deferred("ast"),
        Deferred("getpass"),
        Deferred("glob", glob=_later("glob", "glob")),
        Deferred("importlib.metadata", version=lambda _name: "unknown"),
        Deferred("inspect", getfullargspec=_later("inspect", "getfullargspec"),
                 currentframe=lambda: sys._getframe(1)),
        # The agent decodes by itself, and wants arguments passed on as UTF-8.
        Deferred("locale", getpreferredencoding=lambda do_setlocale=True: "UTF-8"),
        Deferred("logging", getLogger=lambda name=None: Silent()),
        Deferred("platform", system=lambda: posix.uname().sysname),
        Deferred("pty"),
        Deferred("textwrap"),
        # For a child that cannot become the program, perhaps as no file can be opened.
        Deferred("traceback", format_exc=lambda: repr(sys.exc_info()[1])),
        Deferred("tty"),
    ]


def load():
    """The module sh, wherever it is installed."""
    if "sh" in sys.modules:
        return sys.modules["sh"]
    add_site_packages()
    modules: dict = sys.modules
    stand_ins = [module for module in _deferred() if module.__name__ not in modules]
    for stand_in in stand_ins:
        modules[stand_in.__name__] = stand_in
    finders = list(sys.meta_path)
    try:
        import sh
    finally:
        # sh would look into every later import, for contexts of its own that nobody makes here.
        sys.meta_path[:] = finders
        for stand_in in stand_ins:
            name = stand_in.__name__
            if modules.get(name) is stand_in:
                del modules[name]
    return sh
