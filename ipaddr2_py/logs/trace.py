# SPDX-License-Identifier: GPL-2.0-only
"""Tracing, as OCF_TRACE_RA asks for it: every command with its status and output, in a file."""

import posix
import time

from .. import commands
from ..children import RUN
from ..commands import ENV
from ..ocf import env, ocf_log, write_all
from .log import set_logtag


def ocf_start_trace(action: str) -> None:
    """From here on note every command, log line and reason.

    OCF_TRACE_FILE names it: an open descriptor (3 to 9) or an absolute path; without it the file
    is <trace_dir>/IPaddr2/<instance>.<action>.<time>, trace_dir below HA_VARLIB by default.
    """
    target = ENV.get("OCF_TRACE_FILE", "")
    if len(target) == 1 and target in "3456789":
        fd = int(target)
    else:
        fd = _trace_file(target, action)
    if fd < 0:
        return

    def write_trace(text):
        write_all(fd, text)

    RUN.tracers.append(write_trace)
    write_trace("# %s %s of %s\n" % (time.strftime("%F %T"), action, set_logtag()))
    for name in sorted(ENV):
        if name.startswith(("OCF_", "HA_")) or name == "PATH":
            write_trace(f"{name}={commands.quoted([ENV[name]])}\n")


def _trace_file(target, action):
    """Descriptor of the trace file, or -1 where none can be written."""
    if not target.startswith("/"):
        if target:
            ocf_log("warn", f"OCF_TRACE_FILE [{target}] must be a descriptor from 3 to 9 or an "
                    "absolute path")
        if posix.isatty(0):
            return 2
        folder = env("OCF_RESKEY_trace_dir", env("HA_VARLIB", "/var/lib/heartbeat") + "/trace_ra")
        target = "%s/IPaddr2/%s.%s.%s" % (folder, ENV["OCF_RESOURCE_INSTANCE"].replace("/", "_"),
                                          action, time.strftime("%F.%T"))
    parts = target.split("/")
    for depth in range(2, len(parts)):
        try:
            posix.mkdir("/".join(parts[:depth]), 0o755)
        except OSError:
            pass
    try:
        # O_NONBLOCK: a FIFO may have no reader.
        return posix.open(target, posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND
                          | posix.O_NOFOLLOW | posix.O_NONBLOCK, 0o600)
    except OSError as problem:
        ocf_log("warn", f"no trace in {target}: {problem.strerror}")
        return -1
