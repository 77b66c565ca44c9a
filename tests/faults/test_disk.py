# SPDX-License-Identifier: GPL-2.0-only
"""HA_RSCTMP on a file system that is full, or read-only: see test_files.py for what has to hold."""

import pathlib
import subprocess

import pytest

from tests.lab.state import everything, ip, place, processes, wait_until

from tests.lab.agent import Agent

from .hosts import PROGRAM
from .test_files import BUILTIN, LO, VIP, VIP6, lifecycle


class Mounted(Agent):
    """An agent for which HA_RSCTMP is a file system of 16 KiB, in a mount namespace of its own."""

    def __init__(self, namespace, folder, nsenter, holder):
        super().__init__(PROGRAM, namespace, folder)
        self.enter = [nsenter, "--mount", "--target", str(holder.pid)]
        self.inside = pathlib.Path("/proc/%d/root%s" % (holder.pid, self.rsctmp))

    def command(self, action, inside=None):
        return self.enter + super().command(action, inside)

    def fill(self):
        """Leave no byte."""
        with open(self.inside / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(512))
            except OSError:
                pass

    def remount(self, how):
        """Change the file system's options."""
        subprocess.run(self.enter + ["mount", "-o", "remount," + how, str(self.rsctmp)],
                       check=True, timeout=20)


@pytest.fixture
def mounted(pair, tmp_path, need, request):
    """The agent whose HA_RSCTMP is a small file system."""
    unshare, nsenter = need("unshare", "util-linux"), need("nsenter", "util-linux")
    ready = tmp_path / "ready"
    holder = subprocess.Popen(
        [unshare, "--mount", "--propagation", "private", "sh", "-c",
         'while [ ! -d "$1" ]; do sleep 0.01; done; mount -t tmpfs -o size=16k,mode=1755 none "$1" '
         '&& : >"$2"; exec sleep 600', "sh", str(tmp_path / "rsctmp"), str(ready)])
    request.addfinalizer(lambda: holder.wait(5))
    request.addfinalizer(holder.kill)
    agent = Mounted(pair.node, tmp_path, nsenter, holder)
    wait_until(ready.exists, "the small file system")
    return agent


@pytest.mark.parametrize("state", ["full", "ro"])
@pytest.mark.parametrize("asked", [
    {"ip": VIP}, {"ip": VIP, "env": BUILTIN}, {"ip": VIP, "arp_bg": "false"},
    {"ip": VIP, "arp_sender": "iputils_arping", "arp_count": 1}, {"ip": VIP6},
    {"ip": VIP6, "arp_bg": "true", "env": BUILTIN}],
    ids=["send_arp", "built-in", "foreground", "arping", "send_ua", "built-in6"])
def test_no_room_for_files(pair, mounted, state, asked):
    if state == "full":
        mounted.fill()
    else:
        mounted.remount("ro")
    lifecycle(pair, mounted, **asked)
    left = {entry.name for entry in mounted.inside.iterdir()}
    assert left <= {"filler"}, left


@pytest.mark.parametrize("state", ["full", "ro"])
def test_no_room_for_the_note_on_lo(pair, mounted, state):
    """lo's address is put aside, or stays; that it cannot be restored is said, and stop is 0."""
    ip(pair.node, *LO)
    if state == "full":
        mounted.fill()
    else:
        mounted.remount("ro")
    started = mounted("start", ip=VIP, lvs_support="true")
    if started.rc == 0:
        assert "ERROR: " in started.log and VIP in started.log, started
    else:
        assert (started.rc, started.reason != "") == (1, True), started
        assert place(pair.node, VIP) == "lo/32", "not as it was before a start that failed"
    stopped = mounted("stop", ip=VIP, lvs_support="true")
    assert stopped.rc == 0, stopped
    assert place(pair.node, VIP) in ("", "lo/32")
    assert "Traceback" not in started.log + stopped.log
    assert {entry.name for entry in mounted.inside.iterdir()} <= {"filler"}


def test_the_disk_fills_up_while_it_is_served(pair, mounted):
    """What was written before is found: lo's address is restored, the sender ended."""
    ip(pair.node, *LO)
    before = everything(pair.node)
    asked = {"ip": VIP, "lvs_support": "true", "arp_count": 600, "arp_interval": 100}
    assert mounted("start", **asked).rc == 0
    wait_until((mounted.inside / ("send_arp-" + VIP)).exists, "the pid file")
    mounted.fill()
    assert mounted("stop", **asked).rc == 0
    wait_until(lambda: not processes(pair.node), "the sender's end")
    assert everything(pair.node) == before
    assert [entry.name for entry in mounted.inside.iterdir()] == ["filler"]
