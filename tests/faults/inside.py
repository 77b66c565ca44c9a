# SPDX-License-Identifier: GPL-2.0-only
"""The agent's main() inside a process of the test's: quick enough for thousands of runs.

Nothing is started, killed or sent: what the agent asks for is written down, and `ip` answers from
a small model of a host.  The interpreter's audit events tell which files were written.
"""

import errno
import os
import posix
import sys

from ipaddr2_py import agent, changes, children, clusterip, commands  # noqa: F401
from ipaddr2_py import findif, ocf, vip  # noqa: F401
from ipaddr2_py.actions import namespace, start, stop  # noqa: F401
from ipaddr2_py.announce import dad, lookout, packets, pidfile, sender  # noqa: F401
from ipaddr2_py.changes import files, interface, promotion  # noqa: F401
from ipaddr2_py.children import RUN  # noqa: F401
from ipaddr2_py.logs import log  # noqa: F401

from tests.clock import Clock

from .words import text_of

#: Audit events of what changes files; the first argument is a path.
CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.link", "os.symlink", "os.chmod", "os.chown",
           "os.truncate", "os.rmdir", "os.utime", "os.setxattr", "shutil.copyfile")
#: Audit events of what must never happen, whatever the arguments.
NEVER = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty",
         "os.spawn", "os.startfile", "socket.connect", "import_of_a_relative_path")
FIRST = 5_000_000           # process ids, beyond the kernel's
NETWORKS = {"inet": "192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.1 \n",
            "inet6": "2001:db8::/64 dev eth0 proto kernel metric 256 pref medium\n"}
BASE = {"inet": ("192.0.2.1/24", "brd 192.0.2.255 scope global eth0"),
        "inet6": ("2001:db8::1/64", "scope global")}
LINK = ("2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT "
        "group default qlen 1000\\    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n")


class Outcome:
    """One run: rc, err and log (str), calls (lists of words), faults (what must not have been)."""

    def __init__(self):
        self.rc = None
        self.err = self.log = ""
        self.calls = []
        self.faults = []


class Silent(packets.Announcer):
    """Stands for the built-in sender."""

    def __init__(self, nic, ip, mode="both", mac=None):
        pass

    def send(self):
        """Send nothing."""

    close = send


class Inside:
    """run() calls the agent's main(); for a process of its own, which this changes for good."""

    def __init__(self, folder):
        self.rsctmp = folder / "rsctmp"
        self.rsctmp.mkdir(exist_ok=True)
        self.logfile = folder / "log"
        self.outcome = None
        self.served = {}
        self.statuses = {}
        self.started = 0
        self.fds = [os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
                    for name in ("out", "err")]
        os.dup2(self.fds[0], 1)
        os.dup2(self.fds[1], 2)
        posix.posix_spawn, posix.waitpid, posix.kill = self._spawn, self._waitpid, self._kill
        posix.isatty = lambda _fd: False
        changes._run, commands.detach, commands.replace = self._run, self._detach, self._replace
        changes.import_sh = lambda: True
        packets.Announcer = Silent
        promotion.may_be_off = lambda _nic: False       # the kernel's settings are this host's
        clock = Clock()
        for name, module in list(sys.modules.items()):
            if name.startswith("ipaddr2_py.") and hasattr(module, "time"):
                module.time = clock
        sys.addaudithook(self._audit)

    def run(self, action, environment, served=()):
        """The Outcome of one action; environment and served, (family, ip/prefix) pairs, as str."""
        self.served = {family: [entry] for family, entry in served}
        self.logfile.write_bytes(b"")
        os.ftruncate(self.fds[1], 0)
        os.lseek(self.fds[1], 0, os.SEEK_SET)
        commands.load_environment({os.fsencode(name): os.fsencode(value)
                                   for name, value in environment.items()})
        sys.argv = ["/ocf/IPaddr2", action]
        outcome = self.outcome = Outcome()
        try:
            outcome.rc = agent.main(list(sys.argv))
        except BaseException as problem:        # main() promises that there is none
            outcome.faults.append("main() raised %r" % problem)
        finally:
            self.outcome = None
        outcome.err = text_of(os.pread(self.fds[1], 1 << 20, 0))
        outcome.log = text_of(self.logfile.read_bytes())
        for name in os.listdir(self.rsctmp):
            os.unlink(self.rsctmp / name)
        return outcome

    # --- what the agent meets ---

    def _audit(self, event, arguments):
        if self.outcome is None:
            return
        if event in NEVER:
            self.outcome.faults.append("%s%r" % (event, arguments))
        elif event == "open":
            path, _mode, flags = arguments
            if isinstance(path, (str, bytes)) and flags & (
                    os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
                self._changed(path, event)
        elif event in CHANGES and not isinstance(arguments[0], int):
            self._changed(arguments[0], event)

    def _changed(self, path, event):
        path = text_of(path) if isinstance(path, bytes) else str(path)
        if path in (str(self.logfile), "/dev/null", str(self.rsctmp)):
            return
        if os.path.dirname(path) != str(self.rsctmp) or os.path.basename(path) in ("", ".", ".."):
            self.outcome.faults.append("%s of %r" % (event, path[:200]))

    def _spawn(self, path, argv, _env, *, file_actions=(), **_settings):
        words = [text_of(word) for word in argv]
        code, text = self._answer(words)
        for what, source, *target in file_actions:
            if what == posix.POSIX_SPAWN_DUP2 and target == [2 if code else 1]:
                os.write(source, text.encode("utf-8", "surrogateescape")[:60000])
        self.started += 1
        pid = FIRST + self.started
        self.statuses[pid] = code << 8
        return pid

    def _waitpid(self, pid, _options):
        if pid not in self.statuses:
            raise ChildProcessError(errno.ECHILD, "no such child")
        return pid, self.statuses.pop(pid)

    def _kill(self, pid, number):
        if pid < FIRST:
            self.outcome.faults.append("signal %d for process %d" % (number, pid))

    def _run(self, _path, argv, _seconds=None):
        code, text = self._answer(argv)
        return children.Result(code, text)

    def _detach(self, work):
        before = {name: getattr(RUN, name) for name in vars(RUN)}
        try:
            work()
        except BaseException as problem:        # as detach() does, but told
            self.outcome.faults.append("the background's %r" % problem)
        for name, value in before.items():
            setattr(RUN, name, value)
        return FIRST

    def _replace(self, argv):
        self.outcome.calls.append(list(argv))
        raise ocf.OcfExit(0)

    def _answer(self, words):
        """Exit status and output of a program, as the model of the host has it."""
        self.outcome.calls.append(list(words))
        if words[0] != "ip":
            return 0, "arping from iputils 20221126\n" if words[-1] == "-V" else ""
        family = words[words.index("-f") + 1] if "-f" in words else "inet"
        if "route" in words:
            return 0, NETWORKS.get(family, "") if "list" in words else ""
        if "addr" in words and "show" in words:
            wanted = words[words.index("to") + 1].partition("/")[0] if "to" in words else ""
            entries = [(entry, "secondary eth0" if family == "inet" else "")
                       for entry in self.served.get(family, [])]
            return 0, "".join(
                "2: eth0    %s %s %s\\       valid_lft forever preferred_lft forever\n"
                % (family, entry, rest) for entry, rest in [BASE.get(family, ("", ""))] + [
                    (entry, "scope global " + rest) for entry, rest in entries]
                if wanted in ("", entry.partition("/")[0]))
        if "addr" in words and "add" in words:
            self.served.setdefault(family, []).append(words[words.index("add") + 1])
        if "addr" in words and "delete" in words:
            self.served[family] = []
        if "link" in words and "show" in words:
            return (0, LINK) if words[-1] == "eth0" else (
                1, 'Device "%s" does not exist.\n' % words[-1][:9999])
        return 0, ""
