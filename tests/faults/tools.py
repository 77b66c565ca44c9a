# SPDX-License-Identifier: GPL-2.0-only
"""The programs that the agent starts, replaced by stand-ins that do as they are told.

A folder of Tools holds a copy of tests/lab/standin under each name.  Without an order they become
the real program; an Order makes one call of one program fail, hang, lie or kill the agent.
"""

import os
import re
import shutil

from tests.lab.programs import STANDIN, calls

SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
HA_BIN = ("send_arp", "send_ua")
#: These say yes and do nothing: a log of the host's is none of ours, and arping takes seconds.
QUIET = ("arping", "logger", "ha_logger", "ipoibarping")
NAMES = ("ip", "ss") + HA_BIN + QUIET

EXITS = ("exit1", "exit2", "exit255", "signal", "silent", "garbage", "megabyte")
#: From this call on the program is not there, or may not be executed; the call itself is done.
LOSSES = ("missing", "forbidden")


class Order:
    """What goes wrong, at the nth (1...) call whose words match `call`, a pattern of the shell.

    kind: one of EXITS, LOSSES, "hang", "KILL" or "TERM" (which ends the agent); after: the call's
    work is done first; stays: every later call of the same program goes wrong as well.  nth 0: the
    program `call` is lost from the beginning.
    """

    def __init__(self, call, nth, kind, after=False, stays=False):
        self.call = call
        self.program = call.partition(" ")[0]
        self.nth = nth
        self.kind = kind
        self.after = after or kind in LOSSES
        self.stays = stays

    def __str__(self):
        if self.nth == 0:
            return "%s is %s" % (self.program, self.kind)
        return "%s %s `%s` (%d.)%s" % (self.kind, "after" if self.after else "in place of",
                                       self.call, self.nth, ", and stays so" if self.stays else "")

    def script(self):
        """The order as the stand-in's shell reads it."""
        work = "work%s \"$@\"; " % ("_aloud" if self.kind in LOSSES else "") if self.after else ""
        act = "%smisbehave %s" % (work, self.kind)
        lines = ['case $call in %s) count; if [ $nth -eq %d ]; then %s%s; fi ;; esac' % (
            pattern(self.call), self.nth, ': >"$here/broken"; ' if self.stays else "", act)]
        if self.stays:
            lines.insert(0, 'if [ $name = %s ] && [ -f "$here/broken" ]; then %s; fi'
                         % (self.program, act))
        return "\n".join(lines) + "\n"


def pattern(call):
    """`call` as a pattern of the shell's `case`: all but * stands for itself."""
    return re.sub(r"[^A-Za-z0-9*]", r"\\\g<0>", call)


class Tools:
    """The stand-ins of one host in `folder`; environment() makes the agent use them."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "real").mkdir(parents=True)
        for name in NAMES:
            real = shutil.which(name, path=SYSTEM + ":/usr/libexec/heartbeat:/usr/lib/heartbeat")
            target = "/bin/true" if name in QUIET else real
            if target:
                (folder / "real" / name).symlink_to(target)
        self.restore()

    def restore(self):
        """All programs are there and healthy, no call was made."""
        for entry in os.scandir(self.folder):
            if entry.name not in NAMES and not entry.is_dir():
                os.unlink(entry.path)
        for name in NAMES:
            path = self.folder / name
            if not os.access(path, os.X_OK):
                shutil.copy(STANDIN, path)
                os.chmod(path, 0o755)

    def obey(self, order):
        """From now on it goes wrong as the Order says."""
        self.restore()
        if order.nth:
            (self.folder / "order").write_text(order.script())
        elif order.kind == "missing":
            os.unlink(self.folder / order.program)
        else:
            os.chmod(self.folder / order.program, 0o644)

    def calls(self):
        """The calls since restore(): lists of words."""
        return calls(self.folder / "calls")

    def environment(self):
        """What points the agent at the stand-ins."""
        return {"PATH": "%s:%s" % (self.folder, SYSTEM), "HA_BIN": str(self.folder),
                "IP2UTIL": str(self.folder / "ip")}
