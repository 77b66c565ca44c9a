# SPDX-License-Identifier: GPL-2.0-only
"""Booleans, decimals, probes, binaries, reasons; where log lines go is in test_log.py."""

import os
import select

import pytest

from ipaddr2_py import changes, commands, ocf


@pytest.mark.parametrize("value, true", [
    ("yes", True), ("true", True), ("1", True), ("YES", True), ("TRUE", True), ("True", True),
    ("ja", True), ("on", True), ("ON", True), ("Yes", False), ("On", False), ("y", False),
    ("t", False), ("JA", False), ("01", False), ("", False), ("no", False), (" yes", False),
    ("yes ", False), ("2", False), ("ok", False)])
def test_true_values(value, true):
    assert ocf.ocf_is_true(value) is true


@pytest.mark.parametrize("value, good", [
    ("0", True), ("007", True), (str(2 ** 63 - 1), True), (str(2 ** 63), False), ("", False),
    ("-1", False), ("+1", False), ("1 ", False), ("1.0", False), ("0x1", False), ("1_0", False),
    ("\u0662", False), ("\u00b2", False), ("9" * 5000, False), ("0" * 20 + "9" * 30, False)])
def test_decimal(value, good):
    assert ocf.ocf_is_decimal(value) is good


@pytest.mark.parametrize("interval, action, probe", [
    ("0", "monitor", True), (None, "monitor", True), ("10000", "monitor", False),
    ("", "monitor", False), ("0", "start", False), ("0", "status", False)])
def test_probe(interval, action, probe):
    commands.load_environment({} if interval is None else
                              {"OCF_RESKEY_CRM_meta_interval": interval})
    assert ocf.ocf_is_probe(action) is probe


def test_exit_is_an_exception():
    with pytest.raises(ocf.OcfExit) as caught:
        raise ocf.OcfExit(7)
    assert caught.value.rc == 7


@pytest.mark.parametrize("prefix, expected", [
    (None, "ocf-exit-reason:one two%s\n"), ("", "ocf-exit-reason:one two%s\n"),
    ("why: ", "why: one two%s\n")])
def test_reason(host, tmp_path, capfd, prefix, expected):
    env = {"HA_LOGFILE": str(tmp_path / "log")}
    commands.load_environment(env if prefix is None else dict(env, OCF_EXIT_REASON_PREFIX=prefix))
    ocf.ocf_exit_reason("one\ntwo%s")
    assert capfd.readouterr() == ("", expected)
    assert (tmp_path / "log").read_text().endswith(":    ERROR: one two%s\n")


def test_a_reason_is_written_once(host, capfd):
    commands.load_environment({})
    ocf.ocf_exit_reason("once")
    assert capfd.readouterr().err == "ocf-exit-reason:once\n"


def test_writing_to_nobody(host, monkeypatch):
    """Whoever started the agent may be gone, and a disk full: the work goes on."""
    read, write = os.pipe()
    os.close(read)
    ocf.write_all(write, "lost")
    os.close(write)
    with open("/dev/full", "wb") as file:
        ocf.write_all(file.fileno(), "lost")
    ocf.write_all(-1, "lost")
    commands.load_environment({"HA_LOGFILE": "/no/such/folder/log", "HA_DEBUGLOG": "/dev/full"})
    ocf.ocf_log("err", "lost")


@pytest.mark.parametrize("given, expected", [
    ({}, ("default", "/run/resource-agents", None)),
    ({"OCF_RESOURCE_INSTANCE": "vip", "HA_RSCTMP": "/x"}, ("vip", "/x", None)),
    ({"OCF_RA_VERSION_MAJOR": "1", "OCF_RESOURCE_INSTANCE": "vip", "HA_RSCTMP": "/x"},
     ("vip", "/x", None)),
    ({"HA_use_logd": "true"}, ("default", "/run/resource-agents", "yes")),
    ({"HA_use_logd": "true", "HA_LOGD": "no"}, ("default", "/run/resource-agents", "no")),
    ({"HA_use_logd": "no", "HA_RSCTMP": ""}, ("default", "/run/resource-agents", None))])
def test_setup(given, expected):
    commands.load_environment(given)
    ocf.setup()
    assert tuple(map(ocf.ENV.get, ("OCF_RESOURCE_INSTANCE", "HA_RSCTMP", "HA_LOGD"))) == expected


def test_binaries(fp):
    assert ocf.have_binary("ip") and ocf.have_binary("ip -s") and ocf.have_binary(
        str(fp.folder / "ip"))
    assert not ocf.have_binary("ipp") and not ocf.have_binary("") and not ocf.have_binary("-s")
    commands.ENV["OCF_TESTER_FAIL_HAVE_BINARY"] = "1"
    assert not ocf.have_binary("ip")
    with pytest.raises(ocf.OcfExit) as caught:
        ocf.check_binary("ip")
    assert caught.value.rc == 5


@pytest.mark.parametrize("result, line", [
    (dict(out=""), ""), (dict(out=" said\n this \n"), "INFO: said this"),
    (dict(out="bad\n", rc=2), "ERROR: bad"), (dict(rc=2), "ERROR: command failed with 2: ip 'a b'"),
    (dict(out="x" * 9999), "INFO: " + "x" * 4000),
    (dict(hangs=True), "ERROR: ended after its time limit: ip 'a b'")])
def test_what_a_command_says_is_logged(fp, host, tmp_path, result, line):
    fp.run(["ip", "a b"], **result)
    assert changes.ocf_run(["ip", "a b"]) == (137 if "hangs" in result else result.get("rc", 0))
    log = tmp_path / "log"
    assert (log.read_text().partition(":    ")[2] if log.exists() else "") == (line and line + "\n")


def test_a_command_that_is_missing(fp, host, tmp_path):
    assert changes.ocf_run(["no-such", "x"]) == 127
    assert "ERROR: command not found: no-such x" in (tmp_path / "log").read_text()


def test_a_message_is_one_line(fp, host, tmp_path):
    ocf.ocf_log("info", "first\nERROR: second")
    assert (tmp_path / "log").read_text().count("\n") == 1


def test_nothing_can_be_made_in_a_folder_that_is_a_link(fp, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "rsctmp")
    commands.ENV["HA_RSCTMP"] = str(tmp_path / "link")
    ocf.setup()
    with pytest.raises(NotADirectoryError):
        os.mkdir(commands.ENV["HA_RSCTMP"])


def test_numbers_with_many_zeros():
    assert ocf.ocf_is_decimal("0" * 98 + "7") and not ocf.ocf_is_decimal("0" * 99 + "7")


def test_who_is_waited_for(monkeypatch):
    """Whoever reads what the action prints, and nobody else for long."""
    wrote = []
    monkeypatch.setattr(ocf, "_room", lambda _fd: 0)
    monkeypatch.setattr(ocf.commands, "is_regular", lambda _told: False)
    monkeypatch.setattr(ocf.posix, "write", lambda fd, data: wrote.append((fd, data)) or len(data))
    for fd in (1, 2):
        ocf.write_all(fd, "text")
    assert wrote == [(1, b"text")]


@pytest.mark.parametrize("ready, room, asked", [
    ([True], ocf.PIPE_BUF, [0]), ([False, True], ocf.PIPE_BUF, [0, 500]),
    ([False, False], 0, [0, 500])])
def test_how_long_a_pipe_is_waited_for(monkeypatch, ready, room, asked):
    waits, ready = [], list(ready)

    class Poll:
        def register(self, _fd, _events):
            pass

        def poll(self, milliseconds):
            waits.append(milliseconds)
            return ready.pop(0)

    monkeypatch.setattr(select, "poll", Poll)
    monkeypatch.setattr(ocf.RUN, "patience", 0.5)
    assert ocf._room(7) == room
    assert waits == asked
