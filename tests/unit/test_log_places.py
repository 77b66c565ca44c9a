# SPDX-License-Identifier: GPL-2.0-only
"""Where log lines go, place by place; test_log.py compares with the shell agents' library."""

import posix
import socket
import syslog

import pytest

from ipaddr2_py import children, commands, ocf
from ipaddr2_py.logs import log

TAG = f"IPaddr2(vip)[{ocf.AGENT_PID}]"


@pytest.fixture(name="logged")
def what_is_logged(fp, host, tmp_path, capfd, monkeypatch):
    """logged(level, text, terminal, **environment): {place: text} of where it was written."""
    def run(level, text, terminal=False, **env):
        for name in ("HA_LOGFILE", "HA_DEBUGLOG"):
            commands.ENV.pop(name, None)
        commands.ENV.update({name: value.replace("HERE", str(tmp_path))
                             for name, value in env.items()}, HA_DATEFMT="DATE ")
        monkeypatch.setattr("sys.argv", ["/ocf/IPaddr2"])
        host.setattr(posix, "isatty", lambda fd: terminal and fd == 0)
        ocf.ocf_exit_reason(text) if level == "reason" else ocf.ocf_log(level, text)
        log.flush()
        found = {"stderr": capfd.readouterr().err}
        found.update((name, (tmp_path / name).read_text()) for name in ("log", "debug")
                     if (tmp_path / name).exists())
        return {place: told for place, told in found.items() if told}

    return run


@pytest.mark.parametrize("level, word", [
    ("crit", "CRIT"), ("err", "ERROR"), ("warn", "WARNING"), ("info", "INFO")])
@pytest.mark.parametrize("env, form", [
    ({}, {"stderr": "DATE {0}\n"}), ({"HA_LOGFACILITY": "none"}, {"stderr": "DATE {0}\n"}),
    ({"HA_LOGFILE": "HERE/log"}, {"log": "DATE  {1}:    {0}\n"}),
    ({"HA_DEBUGLOG": "HERE/debug"}, {"stderr": "DATE {0}\n", "debug": "{1}:\tDATE {0}\n"}),
    ({"HA_LOGFILE": "HERE/log", "HA_DEBUGLOG": "HERE/log"}, {"log": "DATE  {1}:    {0}\n"}),
    ({"HA_LOGFILE": "HERE/log", "HA_LOGTAG": "a tag"}, {"log": "DATE  a tag:    {0}\n"})])
def test_a_line(logged, level, word, env, form):
    assert logged(level, "one\ntwo", **env) == {
        place: text.format(word + ": one two", TAG) for place, text in form.items()}


@pytest.mark.parametrize("debug, written", [("", False), ("0", False), ("1", True), ("2", True)])
def test_a_debug_line(logged, debug, written):
    env = {"HA_LOGFILE": "HERE/log", "HA_DEBUGLOG": "HERE/debug", "HA_debug": debug}
    assert logged("debug", "x", **env) == (
        {"debug": TAG + ":\tDATE DEBUG: x\n"} if written else {})


@pytest.mark.parametrize("level, tag, told", [
    ("info", "", "INFO: x\n"), ("info", "a tag", "a tag: INFO: x\n"), ("debug", "", "DEBUG: x\n"),
    ("reason", "", "ocf-exit-reason:x\n")])
def test_at_a_terminal(logged, level, tag, told):
    env = {"HA_LOGFILE": "HERE/log", "HA_LOGFACILITY": "daemon", "HA_LOGTAG": tag, "HA_debug": "1"}
    assert logged(level, "x", True, **env) == {"stderr": told}


@pytest.mark.parametrize("level, text, priority", [
    ("err", "x", "err"), ("crit", "x", "notice"), ("warn", "x", "warning"), ("info", "x", "info"),
    ("info", "an ERROR", "err"), ("debug", "x", "debug"), ("reason", "x", "err")])
@pytest.mark.parametrize("facility, asked", [("local3", True), ("none", False), ("", False)])
def test_syslog_by_logger(fp, logged, level, text, priority, facility, asked):
    fp.install("logger")
    if asked:
        word = log.LOG_NAMES.get(level, "ERROR")
        fp.query(["logger", "-t", TAG, "-p", "local3." + priority, f"{word}: {text}"])
    found = logged(level, text, HA_LOGFACILITY=facility, HA_debug="1")
    assert found == {"stderr": "ocf-exit-reason:x\n"} if level == "reason" else \
        bool(found) is (not asked and level != "debug")


@pytest.mark.parametrize("level, words", [("info", []), ("debug", ["-D", "ha-debug"])])
@pytest.mark.parametrize("logd, rc, elsewhere", [("yes", 0, False), ("yes", 1, True),
                                                 ("no", None, True)])
def test_ha_logger(fp, logged, level, words, logd, rc, elsewhere):
    fp.install("ha_logger")
    if rc is not None:
        fp.query(["ha_logger", "-t", TAG, *words, log.LOG_NAMES[level] + ": x"], rc=rc)
    assert bool(logged(level, "x", HA_LOGD=logd, HA_DEBUGLOG="HERE/debug",
                       HA_debug="1")) is elsewhere


@pytest.mark.parametrize("name, env", [("ha_logger", {"HA_LOGD": "yes"}),
                                       ("logger", {"HA_LOGFACILITY": "daemon"})])
def test_a_logging_program_that_hangs_is_waited_for_once(fp, logged, monkeypatch, name, env):
    fp.install(name)
    priority = ["-p", "daemon.info"] if name == "logger" else []
    fp.query([name, "-t", TAG, *priority, "INFO: one"], hangs=True)
    monkeypatch.setattr(log, "_to_dev_log", lambda *_words: None)
    waits, real = [], commands.query_end
    monkeypatch.setattr(commands, "query_end",
                        lambda started, seconds: waits.append(seconds) or real(started, seconds))
    for left, text in ((2.0, "one"), (2.0, "two")):
        children.set_deadline(left)
        logged("info", text, **env)
    assert waits == [pytest.approx(0.5, abs=0.05)]


@pytest.mark.parametrize("left, seconds", [(100, 1.0), (2, 0.5), (0.1, 0.2)])
def test_how_long_a_logging_program_is_waited_for(fp, monkeypatch, left, seconds):
    waits = []
    monkeypatch.setattr(children, "remaining", lambda: left)
    monkeypatch.setattr(commands, "query_end", lambda _started, limit: waits.append(limit)
                        or children.Result(0))
    log._logged(None)
    assert waits == [seconds]


class Reader:
    """Stands in for a socket of syslog's, of one kind."""

    def __init__(self, made, kind, wanted):
        self.made, self.kind, self.wanted = made, kind, wanted

    def connect(self, path):
        assert path == "/dev/log" and self.kind & socket.SOCK_NONBLOCK
        if not self.kind & ~socket.SOCK_NONBLOCK == self.wanted:
            raise OSError(91, "Protocol wrong type for socket")

    def send(self, data):
        self.made.append(data)

    def close(self):
        self.made.append("closed")


@pytest.mark.parametrize("kind, end, closed", [(socket.SOCK_DGRAM, b"", 0),
                                               (socket.SOCK_STREAM, b"\0", 1)])
@pytest.mark.parametrize("facility, number", [("local3", syslog.LOG_LOCAL3),
                                              ("no-such", syslog.LOG_USER)])
def test_syslog_without_logger(logged, monkeypatch, kind, end, closed, facility, number):
    """RFC 3164, by datagram or stream, whichever is read there."""
    made = []
    monkeypatch.setattr("_socket.socket", lambda family, its: Reader(made, its, kind)
                        if family == socket.AF_UNIX else None)
    monkeypatch.setattr(log.time, "strftime", lambda form: {"%b %e %T": "Nov  7 08:09:10"}[form])
    assert logged("warn", "a\0b\u00e9\udcff", HA_LOGFACILITY=facility) == {}
    line = "<%d>Nov  7 08:09:10 %s: WARNING: ab\u00e9?" % (number | syslog.LOG_WARNING, TAG)
    assert made == ["closed"] * closed + [line.encode() + end, "closed"]


@pytest.mark.parametrize("before, date, after, joined", [
    ("", "DATE ", "x", "DATE x\n"), ("", "DATE", "x", "DATEx\n"), ("", "  A  B ", "x", "A B x\n"),
    ("t:\t", "  A", "x", "t:\t Ax\n"), ("t:\t", " A", "x", "t:\t Ax\n"),
    ("t:\t", "A", "x", "t:\tAx\n"), ("t", " ", "x", "t x\n")])
def test_a_date_as_the_shell_joins_it(fp, before, date, after, joined):
    commands.ENV["HA_DATEFMT"] = date
    assert log.hadate(before, after) == joined


def test_the_default_date_and_tag(fp, monkeypatch):
    monkeypatch.setattr(log.time, "strftime", lambda form: form)
    commands.ENV.pop("OCF_RESOURCE_INSTANCE")
    monkeypatch.setattr("sys.argv", [""])
    assert log.hadate("", "x") == "%b %d %T x\n"
    assert log.set_logtag() == f"IPaddr2(default)[{ocf.AGENT_PID}]"


def test_a_new_log_file(logged, tmp_path):
    """It can be read by all that umask lets; a FIFO without a reader holds nobody up."""
    before = posix.umask(0)
    try:
        logged("info", "x", HA_LOGFILE="HERE/log")
    finally:
        posix.umask(before)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o666
    posix.mkfifo(tmp_path / "fifo")
    logged("info", "x", HA_LOGFILE="HERE/fifo")


def test_what_is_logged_is_traced(logged):
    traced = []
    children.RUN.tracers.append(traced.append)
    logged("warn", "x", HA_LOGFILE="HERE/log")
    logged("reason", "y", HA_LOGFILE="HERE/log")
    assert traced == ["# WARNING: x\n", "# reason: y\n"]


def test_where_a_line_goes_whose_program_hangs(logged):
    children.RUN.hanging.add("ha_logger")
    assert "log" in logged("info", "x", HA_LOGD="yes", HA_LOGFILE="HERE/log")


def test_lines_stay_in_order(fp, monkeypatch):
    """Each waits for the one before it."""
    order = []
    monkeypatch.setattr(log, "flush", lambda: order.append("waited"))
    monkeypatch.setattr(log, "_to_dev_log", lambda *_words: order.append("written"))
    log._syslog("daemon", "tag", "info", "x")
    assert order == ["waited", "written"]
