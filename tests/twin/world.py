# SPDX-License-Identifier: GPL-2.0-only
"""What happens inside a sandbox: an agent's action, an outside change, a look at the outcome.

Runs as process 1 of the sandbox (sandbox.py), so it also reaps what the agents leave behind.
"""
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time

from tests.lab.programs import STANDIN, calls

from . import state

ROOT = "/run/twin"
BIN, HA_BIN, REAL, REPLIES = (ROOT + "/" + name for name in ("bin", "ha", "real", "replies"))
RSCTMP, LOG, DEBUGLOG, RECORD, STAYING = (
    ROOT + "/" + name for name in ("rsctmp", "log", "debuglog", "calls", "staying"))
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ON_PATH = ("ip", "arping", "ipoibarping", "iptables", "iptables-legacy", "modprobe", "logger",
           "ha_logger", "nft", "arptables")
PASSED_ON = ("ip", "nft")  # written down, then run
IN_HA_BIN = ("send_arp", "send_ua")
ACTION_TIMEOUT = 25  # seconds; with CRM_meta_timeout the agent is killed then, as by Pacemaker
BACKGROUND_TIMEOUT = 5  # seconds, for what an action left running
SYSCTLS = {"ipv6/conf/{}/accept_dad": "0", "ipv6/conf/{}/dad_transmits": "0",
           "ipv6/conf/{}/addr_gen_mode": "1", "ipv6/conf/{}/router_solicitations": "0"}
ENVIRONMENT = {
    "PATH": BIN + ":" + SYSTEM_PATH, "OCF_ROOT": "/usr/lib/ocf", "HA_BIN": HA_BIN,
    "HA_RSCTMP": RSCTMP, "HA_LOGFILE": LOG, "OCF_RESOURCE_INSTANCE": "vip",
}
_spawned = {}  # pid -> name, of the processes that outside changes started


def build():
    """Fill /run: the stand-ins, HA_RSCTMP, and the kernel's settings for a quick network."""
    for folder in (ROOT, BIN, HA_BIN, REAL, REPLIES, RSCTMP, STAYING, "/run/netns"):
        os.mkdir(folder)
    for folder, names in ((BIN, ON_PATH), (HA_BIN, IN_HA_BIN)):
        for name in names:
            os.symlink(STANDIN, folder + "/" + name)
    from .sandbox import MS_BIND, mount
    for name in PASSED_ON:
        if shutil.which(name, path=SYSTEM_PATH):
            open(REAL + "/" + name, "w").close()
            mount(shutil.which(name, path=SYSTEM_PATH), REAL + "/" + name, None, MS_BIND)
    set_sysctls(None, SYSCTLS)


def set_sysctls(_agent, settings):
    """Set {path below /proc/sys/net: value}; {} in a path stands for default and for all."""
    for path, value in settings.items():
        for scope in ("default", "all") if "{}" in path else ("",):
            with open("/proc/sys/net/" + path.format(scope), "w") as file:
                file.write(value)


def lay_out(_agent, *batches):
    """Make the network: lines for `ip -batch`, then for `ip -6 -batch`; a failing one raises."""
    for option, lines in zip(([], ["-6"]), batches):
        result = subprocess.run([REAL + "/ip", *option, "-batch", "-"], text=True,
                                input="".join(line + "\n" for line in lines),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            raise RuntimeError("the network could not be made: " + result.stdout)
    calm_down()


def calm_down(deadline=2):
    """Wait until the kernel has settled carriers and addresses, which it does in the background."""
    until = time.monotonic() + deadline
    before = None
    while time.monotonic() < until:
        seen = state.network(REAL + "/ip")
        if seen == before and not any(" tentative " in text for text in seen["addresses"]):
            return
        before = seen
        time.sleep(0.005)


def act(agent, action, parameters):
    """Run the agent once; wait for what it left in the background; report all there is to see.

    parameters: the environment on top of ENVIRONMENT. Returns the observation, a dict:
    rc, out, err, seconds, argv (list of word lists), log (text), and what state.look() sees.
    """
    open(RECORD, "w").close()
    open(LOG, "w").close()
    open(DEBUGLOG, "w").close()
    environment = dict(ENVIRONMENT, **parameters)
    for name in [name for name, value in environment.items() if value is None]:
        del environment[name]
    began = time.monotonic()
    with open(ROOT + "/out", "w+b") as out, open(ROOT + "/err", "w+b") as err:
        process = subprocess.Popen(
            [agent] + ([action] if action else []), env=environment, cwd="/",
            stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        code = _wait_for(process, environment.get("OCF_RESKEY_CRM_meta_timeout"))
        seconds = time.monotonic() - began
        left = _settle()
        out.seek(0)
        err.seek(0)
        texts = [stream.read().decode("utf-8", "backslashreplace") for stream in (out, err)]
    seen = look(agent)
    seen["processes"] += left
    return dict(seen, rc=code, out=texts[0], err=texts[1], seconds=seconds,
                argv=calls(RECORD), log=_text(LOG) + _text(DEBUGLOG))


def rehearse(_agent, action, parameters):
    """What vipctl's dry run of an action shows: {"rc", "commands"}; see rehearse.py."""
    environment = dict(ENVIRONMENT, **parameters)
    for name in [name for name, value in environment.items() if value is None]:
        del environment[name]
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", os.path.join(os.path.dirname(__file__), "rehearse.py"), action],
        env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60)
    found = json.loads(done.stdout)
    return {"rc": found["rc"], "commands": found["commands"]}


def look(_agent):
    """The state of network, HA_RSCTMP and processes: dict of field -> sorted list of texts.

    Files that our agent alone has, which begin with IPaddr2-, are the field notes.
    """
    seen = state.network(REAL + "/ip")
    seen["links"] += ["%s promotes secondary addresses" % nic for nic in _promoting()]
    names = os.listdir(RSCTMP)
    seen["files"] = sorted(_file(name) for name in names if not name.startswith("IPaddr2-"))
    seen["notes"] = sorted(_file(name) for name in names if name.startswith("IPaddr2-"))
    seen["processes"] = sorted(
        "%s %s" % (name, "alive" if os.path.exists("/proc/%d" % pid) else "gone")
        for pid, name in _spawned.items()) + ["sender stays"] * len(_staying())
    return seen


def change(_agent, line):
    """An outside change: one of CHANGES, else a command of the real ip. Returns the observation."""
    words = shlex.split(line)
    if words[0] in CHANGES:
        code, text = 0, ""
        try:
            CHANGES[words[0]](*words[1:])
        except FileNotFoundError as error:
            code, text = 1, str(error)
    elif words[0] == "ip":
        result = subprocess.run([REAL + "/ip"] + words[1:], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        code, text = result.returncode, result.stdout
        calm_down()
    else:
        raise ValueError("no such outside change: " + line)
    _reap()
    return dict(look(None), rc=code, out=text)


def _reply(program, code, text="", pattern="*"):
    """From now on `program` prints text and exits so, where its arguments match the pattern."""
    quoted = shlex.quote(text)
    stream = "" if code == "0" else " >&2"
    say = "printf '%%s\\n' %s%s; " % (quoted, stream) if text else ""
    pattern = pattern.replace(" ", "' '")
    with open(REPLIES + "/" + program, "a") as file:
        file.write("case \"$*\" in %s) %sexit %s;; esac\n" % (pattern, say, code))


def _stay(program):
    """From now on `program` writes the pid file after -p, if any, and stays until it is told."""
    with open(REPLIES + "/" + program, "w") as file:
        file.write("trap 'kill $!; exit 143' TERM\nsleep 300 >/dev/null 2>&1 &\n"
                   "last=\nfor word; do\n\t[ \"$last\" = -p ] && echo $$ >\"$word\"\n"
                   "\tlast=$word\ndone\n: >%s/$$\nwait\nexit 0\n" % STAYING)


def _remove(program):
    """Make a program vanish: the stand-in, and the system's own."""
    from .sandbox import MS_BIND, mount
    for path in (BIN + "/" + program, HA_BIN + "/" + program):
        if os.path.lexists(path):
            os.unlink(path)
    installed = shutil.which(program, path=SYSTEM_PATH)
    if installed:
        mount("/dev/null", os.path.realpath(installed), None, MS_BIND)


def _put(name, text):
    """Write a file in HA_RSCTMP."""
    with open(RSCTMP + "/" + name, "w") as file:
        file.write(text + "\n")


def _victim(name):
    """Start a process that has nothing to do with us; HA_RSCTMP/name says it is our sender."""
    process = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
    _spawned[process.pid] = "victim"
    _put(name, str(process.pid))


def _dwell(namespace):
    """Start a process that lives in a network namespace, which so outlives its name."""
    process = subprocess.Popen([REAL + "/ip", "netns", "exec", namespace, "sleep", "600"],
                               stdin=subprocess.DEVNULL)
    _spawned[process.pid] = "dweller"
    while _text("/proc/%d/comm" % process.pid) != "sleep\n":
        time.sleep(0.002)


def _sysctl(path, value):
    with open("/proc/sys/net/" + path, "w") as file:
        file.write(value)


CHANGES = {"reply": _reply, "stay": _stay, "remove": _remove, "put": _put, "victim": _victim,
           "dwell": _dwell, "sysctl": _sysctl, "drop": lambda name: os.unlink(RSCTMP + "/" + name)}
VERBS = {"rehearse": rehearse, "lay_out": lay_out, "act": act, "look": look,
         "change": change, "sysctls": set_sysctls}


def _wait_for(process, milliseconds):
    """Reap whatever ends until the process does; its exit code, 128+n for a signal."""
    def give_up(*_):
        os.kill(process.pid, signal.SIGKILL)
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, int(milliseconds or ACTION_TIMEOUT * 1000) / 1000 + 1)
    pid = status = 0
    while pid != process.pid:
        pid, status = os.waitpid(-1, 0)
    signal.alarm(0)
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    return code if code >= 0 else 128 - code


def _reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _settle():
    """Wait for background work: until only we, staying senders and spawned processes are left.

    What does not end in time is killed; its command lines are returned.
    """
    deadline = time.monotonic() + BACKGROUND_TIMEOUT
    pause = 0.002
    while time.monotonic() < deadline:
        _reap()
        parents = _parents()
        known = {1} | set(_spawned)
        for pid in _staying():
            while pid > 1:  # who waits for a sender that stays, stays as well
                known.add(pid)
                pid = parents.get(pid, 0)
        left = [pid for pid in parents if pid not in known and parents[pid] not in known - {1}]
        if not left:
            return []
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    words = [_text("/proc/%d/cmdline" % pid).replace("\0", " ") for pid in left]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return ["left behind: " + text for text in words]


def _parents():
    """pid -> pid of its parent, of everything alive here."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            text = _text("/proc/%s/stat" % name)
            if text:
                parents[int(name)] = int(text.rpartition(")")[2].split()[1])
    return parents


def _staying():
    return [int(name) for name in os.listdir(STAYING) if os.path.exists("/proc/" + name)]


def _text(path):
    try:
        with open(path, errors="backslashreplace") as file:
            return file.read()
    except OSError:
        return ""


def _promoting():
    """Interfaces of this namespace whose setting promote_secondaries is on, sorted."""
    folder = "/proc/sys/net/ipv4/conf/"
    return sorted(nic for nic in os.listdir(folder)
                  if _text(folder + nic + "/promote_secondaries").strip() == "1")


def _file(name):
    """A file in HA_RSCTMP as one line: name and content, what differs by chance masked."""
    path = RSCTMP + "/" + name
    if os.path.islink(path):
        return "%s -> %s" % (name, os.readlink(path))
    if os.path.isdir(path):
        return "%s/ %s" % (name, " ".join(sorted(os.listdir(path))))
    text = re.sub(r"^\d+(?=\n|$)", "<pid>", _text(path).strip())
    return "%s: %s" % (name, re.sub(r"\b(boot|netns) \S+", r"\1 <id>", text).replace("\n", "; "))
