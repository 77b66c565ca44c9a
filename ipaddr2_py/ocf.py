# SPDX-License-Identifier: GPL-2.0-only
"""What every OCF agent needs: exit codes, booleans, programs, log lines and reasons.

The names are those of the shell agents' library (ocf-shellfuncs). How a line is logged is in
log.py, loaded when there is one.
"""

import posix
import time

from . import commands
from .children import RUN
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
PIPE_BUF = 4096     # bytes that a pipe takes at once, where poll(2) says that it takes any

AGENT_PID = posix.getpid()      # a background child logs in the agent's name


class OcfExit(Exception):
    """The shell's `exit RC`: leaves the action with that OCF exit code; main alone catches it."""

    def __init__(self, rc):
        self.rc = rc


def env(name: str, default: str = "") -> str:
    """Environment variable `name`, or the default where it is unset or empty."""
    return ENV.get(name) or default


def ocf_is_true(value: str) -> bool:
    """Whether value is one of the words that OCF agents read as true."""
    return value in TRUE_VALUES


def ocf_is_root() -> bool:
    """Whether the agent runs as root."""
    return posix.geteuid() == 0


def ocf_is_decimal(value: str) -> bool:
    """Whether value is a whole number written in digits that a 64-bit shell can count to."""
    return value.isascii() and value.isdigit() and len(value) < 100 and int(value) < 2 ** 63


def ocf_is_probe(action: str) -> bool:
    """Whether this is a monitor that only looks whether the resource runs here."""
    return action == "monitor" and ENV.get("OCF_RESKEY_CRM_meta_interval", "0") == "0"


def have_binary(name: str) -> bool:
    """Whether program `name`, options behind it left out, can be executed."""
    if ENV.get("OCF_TESTER_FAIL_HAVE_BINARY") == "1":
        return False
    return bool(commands.find(name.split(" -")[0]))


def check_binary(name: str) -> None:
    """Exit 5 unless program `name` is there."""
    if not have_binary(name):
        ocf_exit_reason(f"Setup problem: command not found: {name}; install it, or add its folder "
                        "to PATH")
        raise OcfExit(OCF_ERR_INSTALLED)


def setup() -> None:
    """Settle what the shell's library settles when it is sourced; exit 2 without an instance name.

    HA_LOGD, OCF_RESOURCE_INSTANCE and HA_RSCTMP get their defaults.
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


# --- telling ---------------------------------------------------------------------------------


def write_all(fd: int, text: str) -> None:
    """Write a whole text; a reader that is gone, or a full disk, does not matter here.

    Only stdout is waited for as long as it takes.  Where another one is a pipe that nobody reads,
    this run waits a second for it in all; from then on what does not fit is dropped.
    """
    data = commands.to_bytes(text)
    try:
        while data:
            room = len(data) if fd == 1 or commands.is_regular(posix.fstat(fd)) else _room(fd)
            if not room:
                return
            data = data[posix.write(fd, data[:room]):]
    except OSError:
        pass


def _room(fd):
    """Bytes that a pipe takes without waiting, maybe after a while; 0 where nobody reads."""
    try:
        import select

        poll = select.poll()
    except Exception:           # out of descriptors, or memory, which a line may tell
        return PIPE_BUF
    poll.register(fd, select.POLLOUT)
    if not poll.poll(0):
        begin = time.monotonic()
        ready = poll.poll(RUN.patience * 1000)
        RUN.patience = max(0.0, RUN.patience - (time.monotonic() - begin))
        if not ready:
            return 0
    return PIPE_BUF


def say(text: str) -> None:
    """Print a line for whoever called the agent."""
    write_all(1, text + "\n")


def ocf_log(level: str, message: str) -> None:
    """Log a message; level is crit, err, warn, info or debug."""
    _log("write", level, message)


def ocf_exit_reason(message: str) -> None:
    """Say on stderr, in one line, why the action fails; logged as an error as well."""
    message = " ".join(message.split("\n"))
    write_all(2, (ENV.get("OCF_EXIT_REASON_PREFIX") or "ocf-exit-reason:") + message + "\n")
    _log("write_reason", message)


def _log(verb, *words):
    try:
        from .logs import log
    except (ImportError, OSError):      # out of descriptors: nothing can be opened to log into
        return
    getattr(log, verb)(*words)
