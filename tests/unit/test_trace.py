# SPDX-License-Identifier: GPL-2.0-only
"""What OCF_TRACE_RA writes, and where."""

import os
import posix
import re

import pytest

from ipaddr2_py import commands
from ipaddr2_py.logs import trace
from tests.unit.scenes import DELETE4, ON_ETH0, SHOW4


@pytest.mark.parametrize("env", [{"OCF_TRACE_RA": "1"}, {"OCF_RESKEY_trace_ra": "true"}])
def test_every_command_is_noted(fp, agent, tmp_path, env):
    env = dict(env, OCF_TRACE_FILE=str(tmp_path / "deep/er/trace"), LANG="C")
    assert agent("start", env=env, ip="192.0.2.256").rc == 6
    text = (tmp_path / "deep/er/trace").read_text()
    assert "start of IPaddr2(vip)[" in text.splitlines()[0]
    assert "OCF_RESKEY_ip=192.0.2.256\n" in text
    assert f"HA_LOGFILE={tmp_path}/log\n" in text and "\nPATH=" in text
    assert "\nLANG=" not in text
    assert "# reason: [findif] failed: ip [192.0.2.256]" in text
    assert (tmp_path / "deep/er/trace").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("value", ["", "0", "no", "y", "Yes"])
def test_not_asked_for(fp, agent, tmp_path, value):
    fp.query(SHOW4)
    env = {"OCF_TRACE_RA": value, "OCF_TRACE_FILE": str(tmp_path / "trace")}
    agent("monitor", env=env, **ON_ETH0)
    assert not (tmp_path / "trace").exists()


@pytest.fixture
def ninth(tmp_path):
    """Descriptor 9 open on a file; what it was before, it is again afterwards."""
    try:
        kept = os.dup(9)
    except OSError:
        kept = -1
    fd = os.open(tmp_path / "trace", os.O_WRONLY | os.O_CREAT)
    os.dup2(fd, 9)
    yield tmp_path / "trace"
    if fd != 9:
        os.close(fd)
    if kept >= 0:
        os.dup2(kept, 9)
        os.close(kept)
    else:
        os.close(9)


def test_a_descriptor(fp, agent, ninth):
    fp.query(SHOW4)
    agent("monitor", env={"OCF_TRACE_RA": "1", "OCF_TRACE_FILE": "9"}, **ON_ETH0)
    assert "monitor of IPaddr2(vip)[" in ninth.read_text()


def test_a_folder(fp, agent, tmp_path):
    fp.query(SHOW4)
    env = {"OCF_TRACE_RA": "1", "OCF_RESKEY_trace_dir": str(tmp_path / "traces"),
           "OCF_RESOURCE_INSTANCE": "web/1"}
    assert agent("stop", env=env, **ON_ETH0).rc == 0
    name, = os.listdir(tmp_path / "traces/IPaddr2")
    assert name.startswith("web_1.stop.")


def test_the_usual_folder(fp, host, monkeypatch):
    made, opened = [], []
    host.setattr(posix, "isatty", lambda _fd: False)
    monkeypatch.setattr(posix, "mkdir", lambda *words: made.append(words))
    monkeypatch.setattr(posix, "open", lambda path, _flags, mode: opened.append((path, mode)) or 99)
    for name in ("HA_VARLIB", "OCF_RESKEY_trace_dir"):
        commands.ENV.pop(name, None)
    assert trace._trace_file("", "stop") == 99
    assert made == [(folder, 0o755) for folder in (
        "/var", "/var/lib", "/var/lib/heartbeat", "/var/lib/heartbeat/trace_ra",
        "/var/lib/heartbeat/trace_ra/IPaddr2")]
    (path, mode), = opened
    assert mode == 0o600 and re.fullmatch(
        r"/var/lib/heartbeat/trace_ra/IPaddr2/vip\.stop\.\d{4}-\d\d-\d\d\.\d\d:\d\d:\d\d", path)


@pytest.mark.parametrize("target", ["relative", "12", "x"])
def test_what_is_no_target(fp, agent, tmp_path, target):
    fp.query(SHOW4)
    env = {"OCF_TRACE_RA": "1", "OCF_TRACE_FILE": target, "HA_VARLIB": str(tmp_path / "var")}
    done = agent("monitor", env=env, **ON_ETH0)
    assert done.rc == 7
    assert any(line.startswith("WARNING: OCF_TRACE_FILE [%s]" % target) for line in done.log)
    assert os.listdir(tmp_path / "var/trace_ra/IPaddr2")


def test_at_a_terminal_it_goes_there(fp, agent, host):
    host.setattr(posix, "isatty", lambda fd: fd == 0)
    done = agent("stop", env={"OCF_TRACE_RA": "1"}, ip="x")
    assert any("stop of IPaddr2(vip)[" in line for line in done.reasons)


def test_a_trace_that_cannot_be_written_stops_nothing(fp, agent, scene, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    fp.query(SHOW4, scene.here)
    fp.run(DELETE4)
    fp.query(SHOW4)
    env = {"OCF_TRACE_RA": "1", "OCF_TRACE_FILE": str(tmp_path / "link")}
    done = agent("stop", env=env, **ON_ETH0)
    assert done.rc == 0
    assert any(line.startswith("WARNING: no trace in") for line in done.log)
    assert not (tmp_path / "precious").exists()
