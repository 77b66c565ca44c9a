# SPDX-License-Identifier: GPL-2.0-only
"""monitor, status and probe stay lean: what they import and start, for each kind of answer.

The agent itself runs, by tests/bench/inside.py, which notes modules and programs; `ip` is a
stand-in that prints what was captured.
"""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
CAPTURED = CHECKOUT / "tests" / "data" / "ip"

#: Beyond what `python3 -IS` has loaded: small modules written in C, and the agent's own but for
#: those in folders.
#: _socket is for IPv6 and for a nic that is given; with fcntl it tells whether a noted interface
#: is up, where nic or cidr_netmask is not given.
ALLOWED = {"_socket", "errno", "gc", "select", "ipaddr2_py"} | {
    "ipaddr2_py." + path.stem for path in (CHECKOUT / "ipaddr2_py").glob("[a-z]*.py")}
PROGRAMS = 3        # the agent itself, and two questions
NIC = "lean0"       # the name of what was captured as eth0, which no host has

#: Family -> address, its prefix, what `ip` says of its routes, and of itself.
VIPS = {"ipv4": ("192.0.2.10", "25", "route-inet-192.0.2.1", "addr-inet-to-10"),
        "ipv6": ("2001:db8::1", "64", "route-inet6-1", "addr-inet6-to-1")}


@pytest.fixture(name="reported", params=VIPS)
def fixture_reported(request, tmp_path):
    """A function reported(action, running, placed, noted) that runs the agent; its exit code and
    report.  noted: whether there is a note of start."""
    address, prefix, routes, held = VIPS[request.param]

    def run(action, running, placed, noted=False):
        for name in (routes, held):
            text = (CAPTURED / (name + ".txt")).read_text()
            (tmp_path / name).write_text(text.replace("eth0", NIC))
        stand_in = tmp_path / "ip"
        stand_in.write_text('#!/bin/sh\ncase "$*" in\n*route*) cat %s ;;\n*addr*) %s ;;\nesac\n' % (
            tmp_path / routes, "cat %s" % (tmp_path / held) if running else ":"))
        stand_in.chmod(0o755)
        place = {"nic": NIC, "cidr_netmask": prefix} if placed else {}
        if noted:
            note = tmp_path / ("IPaddr2-%s%s" % (address, ",nic=" + NIC if placed else ""))
            note.write_text("interface 2 %s\naddress %s/%s\nnic %s\nnetwork_namespace \nshared \n"
                            "boot %s\nnetns %d\nend\n" % (
                                NIC, address, prefix, NIC if placed else "", boot_id(),
                                os.stat("/proc/self/ns/net").st_ino))
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


def boot_id():
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize("placed", [False, True], ids=["found", "placed"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("action", ["monitor", "status", "probe"])
def test_imports_and_starts_no_more_than_it_may(reported, action, running, placed):
    code, report = reported(action, running, placed)
    assert code == (0 if running else 7)
    assert set(report["modules"]) - ALLOWED == set()
    if not placed and "inet6" not in report["programs"][0]:
        assert "_socket" not in report["modules"]
    assert not report["forks"]
    asked = [" ".join(argv[:5]) for argv in report["programs"]]
    assert 1 + len(asked) <= (PROGRAMS - 1 if placed else PROGRAMS), asked


@pytest.mark.parametrize("placed", [False, True], ids=["found", "placed"])
@pytest.mark.parametrize("action", ["monitor", "status", "probe"])
def test_with_a_note_routes_are_not_asked_for(reported, action, placed):
    """Where the address is where start put it, the agent starts one `ip` and no more."""
    code, report = reported(action, True, placed, noted=True)
    assert code == 0
    assert set(report["modules"]) - ALLOWED <= (set() if placed else {"fcntl"})
    if placed and "inet6" not in report["programs"][0]:
        assert "_socket" not in report["modules"]
    assert not report["forks"]
    assert [argv[3:5] for argv in report["programs"]] == [[report["programs"][0][3], "addr"]]


@pytest.mark.parametrize("placed", [False, True], ids=["found", "placed"])
def test_a_noted_address_that_is_gone(reported, placed):
    code, report = reported("monitor", False, placed, noted=True)
    assert code == 7
    assert set(report["modules"]) - ALLOWED == set()
    assert not report["forks"]
    assert 1 + len(report["programs"]) == (PROGRAMS - 1 if placed else PROGRAMS)


def test_sees_what_is_imported_and_started(reported):
    """The report above does name modules and programs, the agent's own at least."""
    _, report = reported("monitor", True, False)
    assert {"ipaddr2_py.agent", "ipaddr2_py.params"} <= set(report["modules"])
    assert len(report["programs"]) == 2
    assert {argv[0] for argv in report["programs"]} == {"ip"}
