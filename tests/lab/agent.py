# SPDX-License-Identifier: GPL-2.0-only
"""Runs an agent as Pacemaker would: in a namespace, with a clean environment and no terminal."""

import os
import shutil
import subprocess
import time

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
REASON = "ocf-exit-reason:"
#: Absolute, for some tests put a stand-in named ip first on PATH.
IP = shutil.which("ip", path=PATH) or "ip"


class Done:
    """One run: rc (-n where signal n ended it), out and err (str), reason (of the last reason line,
    or ""), log (its own lines), seconds (how long it took)."""

    def __init__(self, rc, out, err, log, seconds):
        self.rc = rc
        self.out = out
        self.err = err
        self.log = log
        self.seconds = seconds
        reasons = [line for line in err.splitlines() if line.startswith(REASON)]
        self.reason = reasons[-1][len(REASON):] if reasons else ""

    def __repr__(self):
        return "exit code %d after %.2f s\nstdout: %s\nstderr: %s\nlog:\n%s" % (
            self.rc, self.seconds, self.out, self.err, self.log)


def text(path):
    """What a file holds, "" where there is none; bytes that are no text are shown as such."""
    try:
        return path.read_bytes().decode(errors="backslashreplace")
    except FileNotFoundError:
        return ""


class Agent:
    """agent(action, **parameters) runs the agent in the node's namespace and gives a Done.

    Parameters go into OCF_RESKEY_<name>; None leaves one out.  Action "probe" is a monitor as
    Pacemaker probes.  arp_interval is 10 ms unless given.  Anything else goes into `env`;
    `inside` names another namespace.  rsctmp and logfile are its own.
    """

    def __init__(self, program, namespace, folder):
        self.program = program
        self.namespace = namespace
        self.folder = folder
        self.rsctmp = folder / "rsctmp"
        self.rsctmp.mkdir()
        self.logfile = folder / "agent.log"

    def environment(self, action, env=None, **parameters):
        """The environment of a run (str to str)."""
        interval = "10000" if action in ("monitor", "status") else "0"
        given = {"arp_interval": 10, "CRM_meta_interval": interval, "CRM_meta_timeout": 20000,
                 **parameters}
        basis = {"PATH": PATH, "OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "vip",
                 "HA_RSCTMP": str(self.rsctmp), "HA_LOGFILE": str(self.logfile), **(env or {})}
        basis.update(("OCF_RESKEY_" + name, value) for name, value in given.items())
        return {name: str(value) for name, value in basis.items() if value is not None}

    def command(self, action, inside=None):
        """The argv of a run."""
        word = "monitor" if action == "probe" else action
        return [IP, "netns", "exec", inside or self.namespace, self.program, word]

    def log(self):
        """All that was logged so far."""
        return text(self.logfile)

    def start_process(self, action, stdout, stderr, inside=None, **parameters):
        """The run as a Popen, for tests that look at it while it runs."""
        # In a group of its own, as Pacemaker does: an agent that kills group 0 kills itself alone.
        return subprocess.Popen(self.command(action, inside), stdin=subprocess.DEVNULL,
                                stdout=stdout, stderr=stderr, start_new_session=True,
                                env=self.environment(action, **parameters))

    def __call__(self, action, inside=None, limit=40, **parameters):
        # Into files: a background job that kept a pipe open would be waited for otherwise.
        before = len(self.log())
        begin = time.monotonic()
        paths = self.folder / "out", self.folder / "err"
        with open(paths[0], "wb") as out, open(paths[1], "wb") as err:
            process = self.start_process(action, out, err, inside, **parameters)
            try:
                rc = process.wait(limit)
            finally:
                process.kill()
                process.wait()
        return Done(rc, text(paths[0]), text(paths[1]), self.log()[before:],
                    time.monotonic() - begin)

    def stand_in(self, name, script, folder="bin"):
        """Write an executable shell script under `folder` and give the folder's path."""
        place = self.folder / folder
        place.mkdir(exist_ok=True)
        path = place / name
        path.write_text("#!/bin/sh\n" + script)
        os.chmod(path, 0o755)
        return str(place)
