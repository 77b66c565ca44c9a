# SPDX-License-Identifier: GPL-2.0-only
"""monitor, status and probe stay lean: what they import and start, for each kind of answer.

The agent itself runs, by tests/bench/inside.py, which notes modules and programs; `ip` is a
stand-in that prints what was captured.
"""

import ast
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
CAPTURED = CHECKOUT / "tests" / "data" / "ip"

#: Beyond what `python3 -IS` has loaded: small modules written in C, and the agent's own.
#: _socket is for IPv6 and for a nic that is given.
ALLOWED = {"_socket", "errno", "gc", "select", "ipaddr2_py"} | {
    "ipaddr2_py." + name for name in ("addresses", "agent", "ahead", "commands", "environment",
                                      "findif", "ocf", "params", "signals", "vip", "waiting")}
PROGRAMS = 3        # the agent itself, and two questions

#: Family -> address, its interface and prefix, what `ip` says of its routes, and of itself.
VIPS = {"ipv4": ("192.0.2.10", "25", "route-inet-192.0.2.1", "addr-inet-to-10"),
        "ipv6": ("2001:db8::1", "64", "route-inet6-1", "addr-inet6-to-1")}


@pytest.fixture(name="noted", params=VIPS)
def fixture_noted(request, tmp_path):
    """A function noted(action, running, placed) that runs the agent; its exit code and report."""
    address, prefix, routes, held = VIPS[request.param]

    def run(action, running, placed):
        stand_in = tmp_path / "ip"
        stand_in.write_text('#!/bin/sh\ncase "$*" in\n*route*) cat %s ;;\n*addr*) %s ;;\nesac\n' % (
            CAPTURED / (routes + ".txt"),
            "cat %s" % (CAPTURED / (held + ".txt")) if running else ":"))
        stand_in.chmod(0o755)
        place = {"nic": "eth0", "cidr_netmask": prefix} if placed else {}
        parameters = {"ip": address, "CRM_meta_interval": "0" if action == "probe" else "10000",
                      **place}
        environ = {"PATH": "%s:/usr/bin:/bin" % tmp_path, "HA_LOGFILE": str(tmp_path / "log"),
                   "HA_RSCTMP": str(tmp_path)}
        environ.update(("OCF_RESKEY_" + name, value) for name, value in parameters.items())
        report = tmp_path / "report"
        done = subprocess.run(
            [sys.executable, "-IS", str(CHECKOUT / "tests" / "bench" / "inside.py"), str(report),
             str(CHECKOUT / "bin" / "IPaddr2"), "monitor" if action == "probe" else action],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environ, timeout=30)
        return done.returncode, ast.literal_eval(report.read_text())

    return run


@pytest.mark.parametrize("placed", [False, True], ids=["found", "placed"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("action", ["monitor", "status", "probe"])
def test_imports_and_starts_no_more_than_it_may(noted, action, running, placed):
    code, report = noted(action, running, placed)
    assert code == (0 if running else 7)
    assert set(report["modules"]) - ALLOWED == set()
    if not placed and "inet6" not in report["programs"][0]:
        assert "_socket" not in report["modules"]
    assert not report["forks"]
    asked = [" ".join(argv[:5]) for argv in report["programs"]]
    assert 1 + len(asked) <= (PROGRAMS - 1 if placed else PROGRAMS), asked


def test_sees_what_is_imported_and_started(noted):
    """The report above does name modules and programs, the agent's own at least."""
    _, report = noted("monitor", True, False)
    assert {"ipaddr2_py.agent", "ipaddr2_py.params"} <= set(report["modules"])
    assert len(report["programs"]) == 2
    assert {argv[0] for argv in report["programs"]} == {"ip"}
