# SPDX-License-Identifier: GPL-2.0-only
"""The lab itself: nothing of it is seen outside, and nothing of it survives whoever started it."""
import os
import pathlib
import subprocess
import sys

from tests.cluster.lab import wait_until
from tests.cluster.machine import ROOT

BOOT = """
import pathlib, sys
from tests.cluster.machine import Machine
machine = Machine("alone", pathlib.Path(sys.argv[1]))
machine.boot()
machine.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
machine.spawn("sleep", "1000")
print(machine.pid, flush=True)
sys.stdin.read()
"""


def host():
    """What must not change: interfaces, mounts (but for other tests' namespaces), providers."""
    links = subprocess.run(["ip", "-o", "link"], check=True, stdout=subprocess.PIPE).stdout
    mounts = pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    providers = sorted(p.name for p in pathlib.Path("/usr/lib/ocf/resource.d").iterdir())
    return links, [mount for mount in mounts if "/netns" not in mount], providers


def namespace(pid):
    """The pid namespace of a process, "" when there is none to be seen."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def members(name):
    """Ids of the processes in a pid namespace."""
    pids = [path.name for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if namespace(pid) == name]


def test_killed_test_run_leaves_nothing(need, tmp_path):
    """SIGKILL for the process that booted a machine: it ends, with all that runs in it."""
    need("unshare", "util-linux")
    before = host()
    runner = subprocess.Popen([sys.executable, "-c", BOOT, tmp_path], cwd=ROOT, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with runner:
        name = namespace(runner.stdout.readline().strip())
        assert name
        wait_until(lambda: len(members(name)) == 2, "sleep in the machine")
        assert host() == before
        runner.kill()
    wait_until(lambda: not members(name), "the end of the machine")
    assert host() == before
