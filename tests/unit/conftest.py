# SPDX-License-Identifier: GPL-2.0-only
"""The agent run inside the test, with every program it starts described beforehand.

`fp` is pytest-subprocess (fake_commands.py), whose descriptions the agent's commands have to meet.
"""

import fcntl
import pathlib
import posix
import signal
import sys
import time

import _socket
import pytest
from pytest_subprocess.process_dispatcher import ProcessDispatcher

from ipaddr2_py import agent as agent_module
from ipaddr2_py import addresses, changes, children, commands, params, vip
from ipaddr2_py.announce import packets
from ipaddr2_py.changes import promotion
from tests.clock import Clock
from tests.unit.scenes import Scene
from tests.unit.fake_commands import Programs, FakeCommands

DATA = pathlib.Path(__file__).resolve().parents[1] / "data"
#: Interfaces of the host that the agent sees, and their numbers; uplink is an altname.
NICS = {"lo": 1, "eth0": 2, "eth1": 3, "uplink": 3, "up": 4, "primary": 5, "eth2": 6}
#: Flags (netdevice(7)) of those that are not simply up; filled by the fixture flags.
FLAGS: dict = {}


@pytest.fixture(name="fakes")
def fixture_fakes():
    return FakeCommands()


@pytest.fixture
def real_programs():
    """Lets a test start programs by commands.py itself; the sh that it imports is forgotten."""
    path = list(sys.path)
    yield
    sys.modules.pop("sh", None)
    sys.path[:] = path


@pytest.fixture(autouse=True)
def no_command_escapes(request, monkeypatch):
    """Whatever a test forgets, the package starts nothing and sends nothing for real."""
    if "real_programs" in request.fixturenames:
        yield
        return
    escaped = []

    def refuse(*words, **_more):
        escaped.append(words)
        raise AssertionError("nobody described this: %r" % (words,))

    for name in ("posix_spawn", "fork", "execve"):
        monkeypatch.setattr(posix, name, refuse)
    monkeypatch.setattr(changes, "_run", refuse)
    yield
    assert not escaped


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """The package's few global values are the same after a test as before."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    children.RUN.begin()
    children.RUN.tries = 5
    children.RUN.patience = 0.2
    before = dict(commands.ENV), dict(commands.CHILD_ENV)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for mapping, values in zip((commands.ENV, commands.CHILD_ENV), before):
        mapping.clear()
        mapping.update(values)
    commands._found.clear()


@pytest.fixture
def fp(fakes, tmp_path, monkeypatch):
    """The programs that the test describes; PATH and HA_BIN hold stand-ins alone."""
    for name in ("query", "prefetch", "query_start", "query_end", "detach", "replace"):
        monkeypatch.setattr(commands, name, getattr(fakes, name))
    for name in ("import_sh", "run"):
        monkeypatch.setattr(changes, name, getattr(fakes, name))
    monkeypatch.setattr(children, "wait_some", fakes.wait_some)
    monkeypatch.setattr(commands, "USUAL_PATH", "")
    # The fakes say subprocess.Popen; looking for it in every module takes longer than the test.
    monkeypatch.setattr(ProcessDispatcher, "_patch_popen_references", lambda _popen: None,
                        raising=False)
    programs = Programs(fakes, tmp_path / "bin")
    programs.install("ip", "arping", "send_arp", "send_ua")
    commands.load_environment(programs_environment(tmp_path))
    with programs:
        yield programs
    programs.check()


def programs_environment(folder):
    (folder / "rsctmp").mkdir(exist_ok=True)
    return {"PATH": str(folder / "bin"), "HA_BIN": str(folder / "bin"), "OCF_ROOT": str(folder),
            "HA_RSCTMP": str(folder / "rsctmp"), "HA_LOGFILE": str(folder / "log"),
            "OCF_RESOURCE_INSTANCE": "vip"}


class Done:
    """One run of the agent: rc, out (str), reasons (list of str), log (lines, headless)."""

    def __init__(self, rc, out, err, log):
        self.rc = rc
        self.out = out
        self.reasons = [line[len("ocf-exit-reason:"):] for line in err.split("\n") if line]
        self.log = [line.partition(":    ")[2] for line in log.splitlines()]

    def __repr__(self):
        return "exit code %d\n%s\n%s" % (self.rc, self.reasons, "\n".join(self.log))


@pytest.fixture
def agent(fp, host, tmp_path, capfd, monkeypatch):
    """A function agent(action, env=None, **parameters) that runs main() here; a Done.

    Parameters become OCF_RESKEY_<name>; the monitor is a recurring one, `probe` is its other kind.
    """
    def run(action, env=None, **parameters):
        interval = "0" if action == "probe" else "10000"
        values = dict(programs_environment(tmp_path), OCF_RESKEY_CRM_meta_interval=interval)
        values.update(("OCF_RESKEY_" + name, str(value)) for name, value in parameters.items())
        values.update(env or {})
        commands.load_environment({
            name.encode(): value.encode("utf-8", "surrogateescape")
            for name, value in values.items() if value is not None})
        argv = ["/ocf/IPaddr2", "monitor" if action == "probe" else action]
        monkeypatch.setattr(sys, "argv", argv)
        logfile = tmp_path / "log"
        logfile.unlink(missing_ok=True)
        capfd.readouterr()
        rc = agent_module.main(argv)
        out, err = capfd.readouterr()
        return Done(rc, out, err,
                    logfile.read_text("utf-8", "surrogateescape") if logfile.exists() else "")

    return run


@pytest.fixture
def host(monkeypatch):
    """Root on a host that has the interfaces of NICS, all up, and no terminal.

    Nothing goes along with a deleted address there (test_promotion.py is for where it does).
    """
    monkeypatch.setattr(posix, "geteuid", lambda: 0)
    monkeypatch.setattr(promotion, "may_be_off", lambda _nic: False)
    monkeypatch.setattr(posix, "isatty", lambda _fd: False)

    def number(name):
        if name not in NICS:
            raise OSError("no interface with this name")
        return NICS[name]

    def name(index):
        for nic, its_number in NICS.items():
            if its_number == index:
                return nic
        raise OSError(6, "No such device or address")

    monkeypatch.setattr(_socket, "if_nametoindex", number)
    monkeypatch.setattr(_socket, "if_indextoname", name)
    monkeypatch.setattr(fcntl, "ioctl", interface_request)
    monkeypatch.setattr(packets, "hardware_address", lambda _nic: bytes.fromhex("020000000101"))
    monkeypatch.setattr(packets, "Announcer", Announcer)
    Announcer.made = []
    Announcer.failing = ()
    return monkeypatch


@pytest.fixture
def flags(host, monkeypatch):
    """The flags (IFF_*) of the interfaces by name, which a test may change; {} where all are up."""
    different: dict = {}
    monkeypatch.setattr(sys.modules[__name__], "FLAGS", different)
    return different


def interface_request(_socket_fd, request, structure):
    """What ioctl(2) does for SIOCGIFFLAGS on the host of NICS: a struct ifreq (netdevice(7)).

    The kernel cuts a name that is too long; of the answer's union only the flags count.
    """
    assert request == addresses.SIOCGIFFLAGS and len(structure) == 40
    name = structure[:15].rstrip(b"\0").decode()
    if name not in NICS and name not in FLAGS:
        raise OSError(19, "No such device")
    value = FLAGS.get(name, 0x49 if name == "lo" else 0x1043)
    return structure[:16] + value.to_bytes(2, sys.byteorder) + b"\xff" * 22


class Announcer(packets.Announcer):
    """Stands in for the socket of the built-in sender; made holds [arguments, rounds sent]."""

    made = []
    failing = ()        # "open", "send"

    def __init__(self, nic, ip, mode="both", mac=None):
        if "open" in self.failing:
            raise packets.PacketError("no such interface")
        self.record = [(nic, ip, mode, mac), 0]
        self.made.append(self.record)

    def send(self):
        if "send" in self.failing:
            raise packets.PacketError("the interface is down")
        self.record[1] += 1

    def close(self):
        self.record.append("closed")


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for name, module in list(sys.modules.items()):
        if name.startswith("ipaddr2_py.") and getattr(module, "time", None) is time:
            monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture(scope="session")
def captured():
    """A function that gives the text of tests/data/ip/NAME.txt."""
    return lambda name: (DATA / "ip" / (name + ".txt")).read_text()


@pytest.fixture
def scene(fp, captured, tmp_path):
    """The usual stretches of commands, to be described."""
    return Scene(fp, captured, tmp_path)


@pytest.fixture
def make_vip(fp, host):
    """A function that gives the Vip of an action, as ip_init settles it, from parameters."""
    def make(action="start", nic="eth0", prefix=25, **given):
        values = dict(params.read({}), **dict({"ip": "192.0.2.10"}, **given))
        made = vip.Vip(action, values)
        made.nic, made.prefix = nic, prefix
        return made

    return make


@pytest.fixture
def built_in(host):
    """The stand-in of packets.Announcer, whose `failing` can be set."""
    return Announcer
