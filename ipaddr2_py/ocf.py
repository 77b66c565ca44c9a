# SPDX-License-Identifier: GPL-2.0-only
"""What every OCF agent needs: exit codes, logging, reasons, booleans, locks.

Same names and same places for the log lines as in the shell agents' library (ocf-shellfuncs).
"""

import posix
import sys
import time

from . import commands
from .commands import ENV

OCF_SUCCESS = 0
OCF_ERR_GENERIC = 1
OCF_ERR_ARGS = 2
OCF_ERR_UNIMPLEMENTED = 3
OCF_ERR_PERM = 4
OCF_ERR_INSTALLED = 5
OCF_ERR_CONFIGURED = 6
OCF_NOT_RUNNING = 7

NO_FOLDER = "/dev/null/HA_RSCTMP-is-a-symbolic-link"     # nothing can be made there
TRUE_VALUES = ("yes", "true", "1", "YES", "TRUE", "True", "ja", "on", "ON")
LONGEST_LINE = 4000                 # characters of a program's output that are logged
LOGGER_LIMIT = 1.0                  # seconds that a logging program may take
AGENT_PID = posix.getpid()          # a background child logs in the agent's name
_loggers: list = []                 # the logger(1) under way
commands.of_the_agent.append(_loggers)
_told: set = set()                  # what is said once alone
_hanging: set = set()               # logging programs that did not end
LOG_NAMES = {"crit": "CRIT", "err": "ERROR", "warn": "WARNING", "info": "INFO", "debug": "DEBUG"}


class OcfExit(Exception):
    """The shell's `exit RC`: leaves the action with that OCF exit code; main alone catches it."""

    def __init__(self, rc):
        Exception.__init__(self, rc)
        self.rc = rc


def env(name, default=""):
    """Environment variable `name`, or the default where it is unset or empty."""
    return ENV.get(name) or default


def ocf_is_true(value):
    """Whether value is one of the words that OCF agents read as true."""
    return value in TRUE_VALUES


def ocf_is_decimal(value):
    """Whether value is a whole number written in digits that a 64-bit shell can count to."""
    return value.isascii() and value.isdigit() and len(value) < 100 and int(value) < 2 ** 63


def ocf_is_probe(action):
    """Whether this is a monitor that only looks whether the resource runs here."""
    return action == "monitor" and ENV.get("OCF_RESKEY_CRM_meta_interval", "0") == "0"


def have_binary(name):
    """Whether program `name`, options behind it left out, can be executed."""
    if ENV.get("OCF_TESTER_FAIL_HAVE_BINARY") == "1":
        return False
    return bool(commands.find(name.split(" -")[0]))


def check_binary(name):
    """Exit 5 unless program `name` is there."""
    if not have_binary(name):
        ocf_exit_reason("Setup problem: command not found: %s; install it, or add its folder "
                        "to PATH" % name)
        raise OcfExit(OCF_ERR_INSTALLED)


def setup():
    """Settle what the shell's library settles when it is sourced; exit 2 without an instance name.

    HA_LOGD, OCF_RESOURCE_INSTANCE and HA_RSCTMP get their defaults, tracing is switched on.
    """
    if ENV.get("OCF_RA_VERSION_MAJOR") and not ENV.get("OCF_RESOURCE_INSTANCE"):
        ocf_exit_reason("OCF_RESOURCE_INSTANCE is empty; it must hold the name of the resource")
        raise OcfExit(OCF_ERR_ARGS)
    if not ENV.get("OCF_RESOURCE_INSTANCE"):
        ENV["OCF_RESOURCE_INSTANCE"] = "default"
    if ocf_is_true(ENV.get("HA_use_logd", "")) and not ENV.get("HA_LOGD"):
        ENV["HA_LOGD"] = "yes"
    if not ENV.get("HA_RSCTMP"):
        ENV["HA_RSCTMP"] = "/run/resource-agents"
    if commands.is_link(ENV["HA_RSCTMP"].rstrip("/")):
        ENV["HA_RSCTMP"] = NO_FOLDER    # whose link it is, and where it leads, is not known


# --- logging ---------------------------------------------------------------------------------


def ocf_log(level, message):
    """Log a message; level is crit, err, warn, info or debug.

    Lines go where the shell agent's go: to stderr on a terminal, else through ha_logger where
    HA_LOGD=yes, else to syslog (HA_LOGFACILITY), to HA_LOGFILE and HA_DEBUGLOG, else to stderr.
    """
    text = "%s: %s" % (LOG_NAMES[level], message.replace("\n", " "))
    for trace in commands.tracers:
        trace("# %s\n" % text)
    if level == "debug":
        _ha_debug(text)
    else:
        _ha_log(text)


def ocf_exit_reason(message):
    """Say on stderr, in one line, why the action fails; logged as an error as well."""
    message = " ".join(message.split("\n"))
    write_all(2, (ENV.get("OCF_EXIT_REASON_PREFIX") or "ocf-exit-reason:") + message + "\n")
    for trace in commands.tracers:
        trace("# reason: %s\n" % message)
    _ha_log("ERROR: " + message, ignore_stderr=True)


def write_all(fd, text):
    """Write a whole text; a reader that is gone, or a full disk, does not matter here."""
    data = commands.to_bytes(text)
    try:
        while data:
            data = data[posix.write(fd, data):]
    except OSError:
        pass


def say(text):
    """Print a line for whoever called the agent."""
    write_all(1, text + "\n")


def _append(path, line):
    try:
        fd = posix.open(path, posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC
                        | posix.O_NOCTTY, 0o666)
    except (OSError, ValueError):
        return
    write_all(fd, line)
    posix.close(fd)


def dated(before, after):
    """before, the time of day (HA_DATEFMT), after, joined as the shell joins `echo X`date`Y`:
    blanks inside the date shrink to one, those at its ends part it from what stands there."""
    date = time.strftime(ENV.get("HA_DATEFMT") or "%b %d %T ")
    words = date.split()
    front = " " if before and date[:1].isspace() else ""
    back = " " if words and date[-1:].isspace() else ""
    return before + front + " ".join(words) + back + after + "\n"


def log_tag():
    """IPaddr2(<instance>)[<pid>], or HA_LOGTAG where that is set."""
    name = sys.argv[0].rpartition("/")[2] or "IPaddr2"
    return ENV.get("HA_LOGTAG") or "%s(%s)[%d]" % (
        name, ENV.get("OCF_RESOURCE_INSTANCE", "default"), AGENT_PID)


def _facility():
    name = ENV.get("HA_LOGFACILITY", "")
    return "" if name == "none" else name


def _to_terminal(text):
    tag = ENV.get("HA_LOGTAG")
    write_all(2, (tag + ": " if tag else "") + text + "\n")


def _ha_log(text, ignore_stderr=False):
    if posix.isatty(0):
        if not ignore_stderr:
            _to_terminal(text)
        return
    tag = log_tag()
    if ENV.get("HA_LOGD") == "yes" and _ha_logger(["-t", tag, text]):
        return
    facility, logfile = _facility(), ENV.get("HA_LOGFILE", "")
    if facility:
        _syslog(facility, tag, _syslog_level(text), text)
    if logfile:
        _append(logfile, dated("", " %s:    %s" % (tag, text)))
    if not facility and not logfile and not ignore_stderr:
        write_all(2, dated("", text))
    debuglog = ENV.get("HA_DEBUGLOG", "")
    if debuglog and debuglog != logfile:
        _append(debuglog, dated(tag + ":\t", text))


def _ha_debug(text):
    if ENV.get("HA_debug", "") in ("", "0"):
        return
    if posix.isatty(0):
        _to_terminal(text)
        return
    tag = log_tag()
    if ENV.get("HA_LOGD") == "yes" and _ha_logger(["-t", tag, "-D", "ha-debug", text]):
        return
    facility = _facility()
    if facility:
        _syslog(facility, tag, "debug", text)
    if ENV.get("HA_DEBUGLOG"):
        _append(ENV["HA_DEBUGLOG"], dated(tag + ":\t", text))


def _ha_logger(words):
    if "ha_logger" in _hanging:
        return False
    return _logged(commands.query_start(["ha_logger"] + words)) == 0


def _logged(started):
    """Wait for a logging program, but not for long, and for one that hangs once alone; its rc."""
    result = commands.query_end(started, min(LOGGER_LIMIT, max(0.2, commands.remaining() / 4)))
    if result.timed_out:
        _hanging.add(started.argv[0])
    return result.rc


def _syslog_level(text):
    if "ERROR" in text:
        return "err"
    if "WARN" in text:
        return "warning"
    return "info" if "INFO" in text else "notice"


def flush_log():
    """Wait until logger(1) has handed on the last line."""
    while _loggers:
        _logged(_loggers.pop())


def _syslog(facility, tag, level, text):
    """Hand a line to logger(1), without waiting for it: the next line waits, to keep the order."""
    flush_log()
    if commands.find("logger") and "logger" not in _hanging:
        _loggers.append(commands.query_start(
            ["logger", "-t", tag, "-p", "%s.%s" % (facility, level), text]))
        return
    import syslog

    syslog.openlog(tag, 0, getattr(syslog, "LOG_" + facility.upper(), syslog.LOG_USER))
    syslog.syslog(getattr(syslog, "LOG_" + level.upper()), text.replace("\0", "").encode(
        "utf-8", "replace").decode("utf-8"))
    syslog.closelog()


def ocf_run(argv):
    """Run a changing command and log what it printed, as an error if it failed; its exit status."""
    result = commands.run(argv)
    output = " ".join(result.out[:4 * LONGEST_LINE].split())[:LONGEST_LINE]
    if result.timed_out:
        ocf_log("err", "ended after its time limit: %s" % commands.quoted(argv))
    elif result.rc == 127 and not output:
        ocf_log("err", "command not found: %s" % commands.quoted(argv))
    elif output:
        ocf_log("err" if result.rc else "info", output)
    elif result.rc:
        ocf_log("err", "command failed with %d: %s" % (result.rc, commands.quoted(argv)))
    return result.rc


# --- files in HA_RSCTMP ----------------------------------------------------------------------


def rsctmp(name):
    """Path of file `name` in HA_RSCTMP; the folder is made where it is missing."""
    folder = ENV["HA_RSCTMP"]
    if folder == NO_FOLDER and NO_FOLDER not in _told:
        _told.add(NO_FOLDER)
        ocf_log("err", "HA_RSCTMP is a symbolic link, which is not followed: no pid file, note or "
                "lock can be kept; name the folder itself")
    try:
        posix.mkdir(folder, 0o1755)
    except OSError:
        pass
    return folder + "/" + name


def write_file(path, text):
    """Write a private file (0600, links not followed, a FIFO not waited for) as a whole or not at
    all; raises OSError."""
    fd = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW
                    | posix.O_NONBLOCK | posix.O_CLOEXEC, 0o600)
    try:
        data = commands.to_bytes(text)
        while data:
            data = data[posix.write(fd, data):]
    except OSError:
        remove_file(path)
        raise
    finally:
        posix.close(fd)


def read_file(path, limit=65536):
    """The beginning of a regular file (links not followed); "" where there is none."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC
                        | posix.O_NONBLOCK)
    except (OSError, ValueError):
        return ""
    try:
        return posix.read(fd, limit).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        posix.close(fd)


def remove_file(path):
    """Remove a file; True unless it is still there."""
    try:
        posix.unlink(path)
    except FileNotFoundError:
        return True
    except OSError as problem:
        ocf_log("warn", "could not remove %s: %s" % (path, problem.strerror))
        return False
    return True


class lock:
    """`with lock(path):` one process at a time; released by the kernel on any death.

    Waits within the action's time limit; raises TimeoutError when the lock is not had by then,
    OSError when the file cannot be made.
    """

    def __init__(self, path):
        self.path = path
        self.fd = -1

    def __enter__(self):
        import fcntl

        self.fd = posix.open(self.path, posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW
                             | posix.O_CLOEXEC, 0o600)
        told = False
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except BlockingIOError:
                if not told:
                    ocf_log("info", "waiting for the lock %s" % self.path)
                    told = True
                if not commands.remaining():
                    posix.close(self.fd)
                    raise TimeoutError("%s is held by another process" % self.path) from None
                time.sleep(0.02)

    def __exit__(self, *_problem):
        import fcntl

        # A sender that was left in the background shares the descriptor, and with it the lock.
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        posix.close(self.fd)
