# SPDX-License-Identifier: GPL-2.0-only
"""HA_RSCTMP missing, something else than a folder, or prepared by somebody.

What is kept there serves to end announcements and to restore lo's address: an address is started,
found and stopped without it just as well.  Whatever is in the way, nothing outside is touched.
"""

import os
import pathlib
import signal
import stat
import subprocess

import pytest

from tests.lab.state import everything, ip, place, processes, wait_until

from .hosts import PROGRAM

VIP, VIP6 = "192.0.2.50", "2001:db8::50"
LO = ("addr", "add", VIP + "/32", "brd", "255.255.255.255", "dev", "lo")
BUILTIN = {"HA_BIN": "/nonexistent"}
SENDERS = {"send_arp": {}, "built-in": {"env": BUILTIN}, "arping": {"arp_sender": "iputils_arping"}}


def lifecycle(pair, agent, **asked):
    """start, monitor, stop, monitor; what the address did is read from the kernel.  The Dones."""
    before = everything(pair.node)
    dones = [agent("start", **asked)]
    assert dones[0].rc == 0 and place(pair.node, asked["ip"]).startswith("eth0/"), dones
    dones += [agent(action, **asked) for action in ("monitor", "stop", "monitor")]
    assert [done.rc for done in dones] == [0, 0, 0, 7], dones
    for done in dones:
        assert "Traceback" not in done.log + done.err and "unexpected" not in done.log, done
    wait_until(lambda: not processes(pair.node), "the end of all processes")
    assert everything(pair.node) == before
    return dones


# --- HA_RSCTMP is something else ---------------------------------------------------------------


@pytest.fixture(params=SENDERS, ids=list(SENDERS))
def sender(request, need):
    """Parameters that choose each sender in turn."""
    if request.param == "arping":
        need("arping", "iputils-arping")
    return SENDERS[request.param]


def test_missing_rsctmp_is_made(pair, agent, sender):
    agent.rsctmp.rmdir()
    lifecycle(pair, agent, ip=VIP, arp_count=1, **sender)
    assert stat.S_ISDIR(agent.rsctmp.lstat().st_mode)
    assert stat.S_IMODE(agent.rsctmp.stat().st_mode) == 0o1755
    assert list(agent.rsctmp.iterdir()) == []


def test_rsctmp_that_cannot_be_made(pair, agent, sender):
    agent.rsctmp.rmdir()
    agent.rsctmp = agent.rsctmp / "below"
    lifecycle(pair, agent, ip=VIP, arp_count=1, **sender)
    assert not agent.rsctmp.parent.exists()


def test_rsctmp_is_a_file(pair, agent, sender):
    agent.rsctmp.rmdir()
    agent.rsctmp.write_text("mine\n")
    lifecycle(pair, agent, ip=VIP, arp_count=1, **sender)
    assert agent.rsctmp.read_text() == "mine\n"


@pytest.mark.parametrize("target", ["folder", "missing"])
def test_rsctmp_is_a_symbolic_link(pair, agent, sender, target):
    """Not followed: nothing is made, changed or removed where it leads.  (Links among the folders
    above are the administrator's: /var/run is one.)"""
    there = agent.folder / target
    agent.rsctmp.rmdir()
    agent.rsctmp.symlink_to(there)
    if target == "folder":
        there.mkdir()
        (there / ("send_arp-" + VIP)).write_text("1\n")
    lifecycle(pair, agent, ip=VIP, arp_count=1, **sender)
    assert agent.rsctmp.is_symlink()
    if target == "folder":
        assert {entry.name: entry.read_text() for entry in there.iterdir()} == {
            "send_arp-" + VIP: "1\n"}
        assert not followed(there)
    else:
        assert not there.exists()


def followed(folder):
    """Whether something was made in a folder and removed again: its time of change tells."""
    made = next(folder.iterdir()).stat().st_mtime_ns
    return folder.stat().st_mtime_ns - made > 50_000_000


def test_link_above_rsctmp_is_followed(pair, agent):
    (agent.folder / "var").symlink_to(agent.folder)
    agent.rsctmp = agent.folder / "var" / "rsctmp"
    agent("start", ip=VIP, arp_count=200)
    wait_until((agent.folder / "rsctmp" / ("send_arp-" + VIP)).exists, "the pid file")
    assert agent("stop", ip=VIP).rc == 0


# --- somebody was there before -----------------------------------------------------------------

PLANTS = {"link": lambda path, victim: path.symlink_to(victim),
          "dangling": lambda path, victim: path.symlink_to(victim.parent / "made"),
          "folder": lambda path, victim: path.mkdir(),
          "fifo": lambda path, victim: os.mkfifo(path),
          "device": lambda path, victim: path.symlink_to("/dev/zero")}


@pytest.fixture
def victim(agent):
    """A file of somebody's, in another folder."""
    folder = agent.folder / "elsewhere"
    folder.mkdir()
    path = folder / "victim"
    path.write_text("precious\n")
    return path


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("background", ["true", "false"])
def test_planted_pid_file(pair, agent, victim, sender, plant, background):
    PLANTS[plant](agent.rsctmp / ("send_arp-" + VIP), victim)
    for action, there in (("start", "eth0/24"), ("stop", "")):
        done = agent(action, ip=VIP, arp_count=1, arp_bg=background, limit=15, **sender)
        assert done.rc == 0 and "Traceback" not in done.log, done
        assert place(pair.node, VIP) == there
        wait_until(lambda: not processes(pair.node), "the sender's end")
    assert victim.read_text() == "precious\n"
    assert [entry.name for entry in victim.parent.iterdir()] == ["victim"]


@pytest.mark.parametrize("plant", PLANTS)
def test_planted_note_on_lo(pair, agent, victim, plant):
    """The note on lo's address is not written through a link, and a false one not believed."""
    ip(pair.node, *LO)
    PLANTS[plant](agent.rsctmp / VIP, victim)
    asked = {"ip": VIP, "lvs_support": "true", "arp_bg": "false", "arp_count": 1}
    done = agent("start", limit=15, **asked)
    assert done.rc in (0, 1) and "Traceback" not in done.log, done
    stopped = agent("stop", limit=15, **asked)
    assert stopped.rc == 0 and "Traceback" not in stopped.log, stopped
    assert place(pair.node, VIP) in ("", "lo/32")
    assert victim.read_text() == "precious\n"
    assert [entry.name for entry in victim.parent.iterdir()] == ["victim"]


def test_false_note_is_not_obeyed(pair, agent):
    """Only what this agent writes is restored: another address is not."""
    agent("start", ip=VIP, lvs_support="true")
    (agent.rsctmp / VIP).write_text("203.0.113.66 32 255.255.255.255 lo\n")
    done = agent("stop", ip=VIP, lvs_support="true")
    assert done.rc == 0, done
    assert place(pair.node, "203.0.113.66") == ""
    assert not (agent.rsctmp / VIP).exists()


# --- stale files -------------------------------------------------------------------------------


def foreigners(agent):
    """name -> process id, of processes that a stale pid file may name."""
    named = agent.stand_in("send_arp", "exec sleep 600\n", "foreign")
    return {
        "sleep": ["sleep", "600"],
        "its argument is the address": ["sh", "-c", "sleep 600; :", VIP],
        "a sender of another address": [named + "/send_arp", "eth0", "192.0.2.51"],
        "the address is part of another": [named + "/send_arp", "eth0", VIP + "1"],
    }


@pytest.mark.parametrize("action", ["stop", "start"])
def test_stale_pid_file_names_a_stranger(agent, request, action):
    """Neither stop ends it, nor a start (send_arp by itself would)."""
    for name, words in foreigners(agent).items():
        foreign = subprocess.Popen(words, start_new_session=True)
        request.addfinalizer(foreign.wait)
        request.addfinalizer(lambda group=foreign.pid: os.killpg(group, signal.SIGKILL))
        path = agent.rsctmp / ("send_arp-" + VIP)
        path.write_text("%d\n" % foreign.pid)
        done = agent(action, ip=VIP, arp_bg="false", arp_count=1)
        assert done.rc == 0, done
        assert foreign.poll() is None, name
        assert not path.exists(), name
        agent("stop", ip=VIP)


@pytest.mark.parametrize("content", ["1\n", "2\n", "0\n", "-1\n", "OWN\n", "4194304\n",
                                     "9" * 100, "", "\n", "\0\0", "\xff", "a" * 65536])
def test_stale_pid_file_of_no_use(pair, agent, content):
    content = content.replace("OWN", str(os.getpid()))
    (agent.rsctmp / ("send_arp-" + VIP)).write_bytes(content.encode("latin-1"))
    lifecycle(pair, agent, ip=VIP, arp_bg="false", arp_count=1)
    assert list(agent.rsctmp.iterdir()) == []


LOCK = """
import sys
sys.path.insert(0, %r)
from ipaddr2_py import children, commands
from ipaddr2_py.changes import files
children.set_deadline(float(sys.argv[2]))
try:
    with files.ocf_take_lock(sys.argv[1]):
        print("locked", flush=True)
        sys.stdin.read()
except OSError as problem:
    print(type(problem).__name__)
""" % str(pathlib.Path(PROGRAM).parents[1])


def take_lock(path, seconds=0.3):
    """A process that takes the lock and keeps it until its stdin ends."""
    return subprocess.Popen(["/usr/bin/python3", "-IS", "-c", LOCK, str(path), str(seconds)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_lock_left_by_a_dead_process(tmp_path):
    path = tmp_path / "lock"
    holder = take_lock(path)
    assert holder.stdout.readline() == "locked\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    waiting = take_lock(path)
    assert waiting.stdout.readline() == "TimeoutError\n"
    waiting.communicate(timeout=20)
    holder.kill()
    holder.communicate(timeout=20)
    assert path.exists()
    again = take_lock(path)
    assert again.stdout.readline() == "locked\n"
    again.communicate(timeout=20)


@pytest.mark.parametrize("plant", PLANTS)
def test_planted_lock(agent, victim, plant):
    path = agent.rsctmp / "lock"
    PLANTS[plant](path, victim)
    process = take_lock(path)
    out, _ = process.communicate(timeout=20)
    assert plant == "fifo" or out == (
        "IsADirectoryError\n" if plant == "folder" else "OSError\n")
    assert victim.read_text() == "precious\n"
    assert [entry.name for entry in victim.parent.iterdir()] == ["victim"]
