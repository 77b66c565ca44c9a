# SPDX-License-Identifier: GPL-2.0-only
"""Where log lines go: the same places, in the same form, as with the shell agents' library.

To stderr on a terminal, else through ha_logger where HA_LOGD=yes, else to syslog (HA_LOGFACILITY),
to HA_LOGFILE and HA_DEBUGLOG, else to stderr.
"""

import posix
import sys
import time

from .. import children, commands
from ..children import RUN
from ..commands import ENV
from ..ocf import AGENT_PID, write_all

LOGGER_LIMIT = 1.0                  # seconds that a logging program may take
LOG_NAMES = {"crit": "CRIT", "err": "ERROR", "warn": "WARNING", "info": "INFO", "debug": "DEBUG"}


def write(level: str, message: str) -> None:
    """Log a message; level is one of LOG_NAMES."""
    line = message.replace("\n", " ")
    text = f"{LOG_NAMES[level]}: {line}"
    RUN.trace(f"# {text}\n")
    if level == "debug":
        ha_debug(text)
    else:
        ha_log(text)


def write_reason(message: str) -> None:
    """Log why the action fails, which was told on stderr."""
    RUN.trace(f"# reason: {message}\n")
    ha_log("ERROR: " + message, ignore_stderr=True)


def _append(path, line):
    try:        # O_NONBLOCK: a FIFO may have no reader
        fd = posix.open(path, posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT
                        | posix.O_NOCTTY | posix.O_NONBLOCK, 0o666)
    except (OSError, ValueError):
        return
    write_all(fd, line)
    posix.close(fd)


def hadate(before: str, after: str) -> str:
    """before, the time of day (HA_DATEFMT), after, joined as the shell joins `echo X`date`Y`:
    blanks inside the date shrink to one, those at its ends part it from what stands there."""
    date = time.strftime(ENV.get("HA_DATEFMT") or "%b %d %T ")
    words = date.split()
    front = " " if before and date[:1].isspace() else ""
    back = " " if words and date[-1:].isspace() else ""
    return before + front + " ".join(words) + back + after + "\n"


def set_logtag() -> str:
    """IPaddr2(<instance>)[<pid>], or HA_LOGTAG where that is set."""
    name = sys.argv[0].rpartition("/")[2] or "IPaddr2"
    instance = ENV.get("OCF_RESOURCE_INSTANCE", "default")
    return ENV.get("HA_LOGTAG") or f"{name}({instance})[{AGENT_PID}]"


def _facility():
    name = ENV.get("HA_LOGFACILITY", "")
    return "" if name == "none" else name


def _to_terminal(text):
    tag = ENV.get("HA_LOGTAG")
    write_all(2, (tag + ": " if tag else "") + text + "\n")


def ha_log(text: str, ignore_stderr: bool = False) -> None:
    """Write a line with its level to all places that are configured.

    ignore_stderr: on stderr it has been said already.
    """
    if posix.isatty(0):
        if not ignore_stderr:
            _to_terminal(text)
        return
    tag = set_logtag()
    if ENV.get("HA_LOGD") == "yes" and _ha_logger(["-t", tag, text]):
        return
    facility, logfile = _facility(), ENV.get("HA_LOGFILE", "")
    if facility:
        _syslog(facility, tag, _syslog_level(text), text)
    if logfile:
        _append(logfile, hadate("", f" {tag}:    {text}"))
    if not facility and not logfile and not ignore_stderr:
        write_all(2, hadate("", text))
    debuglog = ENV.get("HA_DEBUGLOG", "")
    if debuglog and debuglog != logfile:
        _append(debuglog, hadate(tag + ":\t", text))


def ha_debug(text: str) -> None:
    """Write a debug line, where HA_debug asks for it."""
    if ENV.get("HA_debug", "") in ("", "0"):
        return
    if posix.isatty(0):
        _to_terminal(text)
        return
    tag = set_logtag()
    if ENV.get("HA_LOGD") == "yes" and _ha_logger(["-t", tag, "-D", "ha-debug", text]):
        return
    facility = _facility()
    if facility:
        _syslog(facility, tag, "debug", text)
    if ENV.get("HA_DEBUGLOG"):
        _append(ENV["HA_DEBUGLOG"], hadate(tag + ":\t", text))


def _ha_logger(words):
    if "ha_logger" in RUN.hanging:
        return False
    return _logged(commands.query_start(["ha_logger"] + words)) == 0


def _logged(started):
    """Wait for a logging program, but not for long, and for one that hangs once alone; its rc."""
    result = commands.query_end(started, min(LOGGER_LIMIT, max(0.2, children.remaining() / 4)))
    if result.timed_out:
        RUN.hanging.add(started.argv[0])
    return result.rc


def _syslog_level(text):
    if "ERROR" in text:
        return "err"
    if "WARN" in text:
        return "warning"
    return "info" if "INFO" in text else "notice"


def flush() -> None:
    """Wait until logger(1) has handed on the last line."""
    while RUN.loggers:
        _logged(RUN.loggers.pop())


def _syslog(facility, tag, level, text):
    """Hand a line to logger(1), without waiting for it: the next line waits, to keep the order."""
    flush()
    if commands.find("logger") and "logger" not in RUN.hanging:
        RUN.loggers.append(commands.query_start(
            ["logger", "-t", tag, "-p", f"{facility}.{level}", text]))
        return
    _to_dev_log(facility, tag, level, text)


def _to_dev_log(facility, tag, level, text):
    """Hand a line over as syslog(3) does (RFC 3164), but without waiting: nobody may read there."""
    import _socket
    import syslog

    line = "<%s>%s %s: %s" % (
        getattr(syslog, "LOG_" + facility.upper(), syslog.LOG_USER)
        | getattr(syslog, "LOG_" + level.upper()),
        time.strftime("%b %e %T"), tag, text.replace("\0", ""))
    for kind, end in ((_socket.SOCK_DGRAM, ""), (_socket.SOCK_STREAM, "\0")):
        try:
            reader = _socket.socket(_socket.AF_UNIX, kind | _socket.SOCK_NONBLOCK)
        except OSError:
            return
        try:
            reader.connect("/dev/log")
            reader.send((line + end).encode("utf-8", "replace"))
            return
        except OSError:         # it wants the other kind, or is not there, or full
            pass
        finally:
            reader.close()
