# SPDX-License-Identifier: GPL-2.0-only
"""The machine's run, which may begin long before somebody asks for it.

It takes the processor for minutes, and the tests of clusters hardly any: they wait for Pacemaker.
"""

import concurrent.futures
import json
import pathlib
import re
import subprocess

from tests.vm import lab

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SHELL = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2"
_pool = concurrent.futures.ThreadPoolExecutor(1)
_runs: list = []


def begin(seconds):
    """Have both agents go through the cases, within so many seconds; to be had by result()."""
    if not _runs:
        _runs.append(_pool.submit(_run, seconds))


def result(seconds):
    """Agent ("shell", "ours") -> case -> what was seen after each step.

    Raises lab.NoMachine, TimeoutError, or AssertionError with what the machine said.
    """
    begin(seconds)
    return _runs[0].result()


def end():
    """Nobody is going to ask."""
    lab.power_off()
    _pool.shutdown()


def _run(seconds):
    folders = [CHECKOUT / name for name in ("bin", "ipaddr2_py", "templates", "tests/vm",
                                            "tests/lab")]
    command = ["/usr/bin/python3", "-I", str(CHECKOUT / "tests/vm/guest.py"), "shell=" + SHELL,
               "ours=%s" % (CHECKOUT / "bin/IPaddr2")]
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", str(CHECKOUT / "ipaddr2_py")],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)    # slow in there
    status, out = lab.run(command, folders, seconds)
    found = {name: json.loads(text)
             for name, text in re.findall(r"^seen (\w+) (.*)$", out, re.MULTILINE)}
    assert status == 0 and set(found) == {"shell", "ours"}, out[-3000:]
    return found
