# SPDX-License-Identifier: GPL-2.0-only
"""Tell the neighbours where the VIP is: choose the sender, build its command, run it.

The senders are those of the shell agent, and the built-in one (packets.py) where they are missing
or where arp_sender=builtin asks for it.  For IPv6, duplicate address detection (dad.py) is waited
for first.
"""

from .. import addresses, children, commands
from ..changes import files, interface
from ..commands import ENV
from ..logs import log
from ..ocf import (OCF_ERR_GENERIC, OcfExit, env, have_binary, ocf_exit_reason, ocf_is_decimal,
                   ocf_log)
from ..vip import sharing
from . import packets
from .dad import is_open, wait_for_dad, wait_in_background
from .lookout import LOOK, Lookout, find
from .pidfile import (drop_stale, is_alive, keep_pid, own_pid_file, pid_file, read_pid, tell_to_end,
                      wait_until_gone)

LONGEST = 1000000           # seconds that anything may take; poll(2) counts ms in 31 bits
OUTPUT_LINES = 20           # of a sender's output that are logged


class Burst:
    """Some announcements of an address in a row, and who sends them.

    | attribute | what it holds |
    |---|---|
    | vip, index | the Vip, and the number of its interface (0 unknown) |
    | count | how many rounds, as the parameter has it |
    | level | of its log lines |
    | program | name of the sender, "" where there is nothing to announce |
    | nothing | why there is nothing to announce, "" where there is |
    | substitute | whether the built-in sender stands in for a program that is missing |
    | mac | the hardware address that is announced in place of the interface's own, or "" |
    | lookout, announcer, rounds | of the burst under way; the latter two of the built-in sender |
    """

    __slots__ = ("vip", "index", "count", "level", "program", "nothing", "substitute", "mac",
                 "lookout", "announcer", "rounds")

    def __init__(self, vip, count, level, mac=""):
        self.vip = vip
        self.index = addresses.index_of(vip.nic)
        self.count = count
        self.level = level
        self.nothing = nothing_to_tell(vip.nic)
        self.program = "" if self.nothing else choose_sender(vip)
        self.substitute = self.program == "builtin" != vip.sender
        self.mac = mac
        self.lookout = self.announcer = self.rounds = None

    def argv(self) -> list:
        """The words that start the sender."""
        return build_arp_sender_cmd(self.vip, self.program, self.count, self.mac)

    def interval(self) -> int:
        """Milliseconds between two rounds."""
        return number(self.vip.params["arp_interval"])

    def longest(self):
        """Seconds that the burst may take in the background."""
        return min(LONGEST, 60 + number(self.count) * max(1.0, self.interval() / 1000))


def start_burst(vip) -> "Burst":
    """The Burst of a start, settled before anything is changed; its mac is set later."""
    return Burst(vip, vip.params["arp_count"], "info")


def number(text: str) -> int:
    """The whole number that a parameter's text spells, a thousand million at most."""
    return min(int(text), packets.MOST_ROUNDS)


def nothing_to_tell(nic: str) -> str:
    """A sentence where nobody on interface `nic` asks for a hardware address, else ""."""
    try:
        packets.hardware_address(nic)
    except packets.NothingToTell as reason:
        return f"nothing is announced: {reason}"
    except packets.PacketError:
        pass                    # the sender meets it, and says so
    return ""


# --- choosing a sender -----------------------------------------------------------------------


def ha_bin() -> str:
    """The folder of send_arp and send_ua: HA_BIN, ocf-directories' choice, or where they are."""
    if ENV.get("HA_BIN"):
        return ENV["HA_BIN"]
    text = files.read_file(env("OCF_ROOT", "/usr/lib/ocf") + "/lib/heartbeat/ocf-directories")
    for line in text.splitlines():
        if line.startswith(": ${HA_BIN:=") and line.rstrip().endswith("}"):
            return line.rstrip()[len(": ${HA_BIN:="):-1]
    for folder in ("/usr/libexec/heartbeat", "/usr/lib/heartbeat"):
        if commands.is_file(folder + "/send_arp"):
            return folder
    return "/usr/libexec/heartbeat"


def choose_sender(vip) -> str:
    """Name of the sender: one of arp_sender's values, or send_ua."""
    if vip.family == "inet6":
        program = "builtin" if vip.sender == "builtin" else "send_ua"
    else:
        program = vip.sender or default_sender(vip)
    path = sender_path(program)
    if path and not have_binary(path):
        ocf_log("info", f"{path} is not installed: the built-in sender announces {vip.ip}")
        return "builtin"
    return program


def default_sender(vip) -> str:
    """send_arp, or ipoibarping for an InfiniBand interface where that is installed."""
    if not interface.is_infiniband(vip.nic):
        return "send_arp"
    if have_binary("ipoibarping"):
        return "ipoibarping"
    if vip.action == "start":
        ocf_log("warn", f"{vip.nic} is InfiniBand, but ipoibarping is not installed: send_arp is "
                "used (arp_sender=send_arp says so without this warning)")
    return "send_arp"


def sender_path(program: str) -> str:
    """The program of a sender: an absolute path, or a name to be found on PATH; "" for the built-in
    one."""
    if program in ("send_arp", "send_ua"):
        return f"{ha_bin()}/{program}"
    return {"iputils_arping": "arping", "libnet_arping": "arping"}.get(
        program, "" if program == "builtin" else program)


def build_arp_sender_cmd(vip, program: str, count: str, mac: str = "") -> list:
    """The words that start a sender; count is the text of the parameter.

    For the built-in one they are those of vipctl announce, which sends the same.
    """
    values, path = vip.params, sender_path(program)
    options = values["send_arp_opts"].split()
    if program == "send_arp":
        return [path, *options, "-i", values["arp_interval"], "-r", count, "-p", pid_file(vip),
                vip.nic, vip.ip, mac.replace(":", "") or "auto", "not_used", "not_used"]
    if program == "send_ua":
        return [path, "-i", values["arp_interval"], "-c", count, vip.ip, str(vip.prefix), vip.nic]
    if program == "iputils_arping":
        return [path, *options, "-U", "-c", count, "-I", vip.nic, vip.ip]
    if program == "libnet_arping":
        return [path, *options, "-U", "-c", count, "-i", vip.nic, "-S", vip.ip, vip.ip]
    if program == "ipoibarping":
        return [path, "-q", "-c", count, "-U", "-I", vip.nic, vip.ip]
    mode = {"reply": ["-A"], "request": ["-U"], "both": []}[builtin_mode(vip)]
    return [builtin_path(), "announce", "-c", str(number(count)),
            "-i", str(number(values["arp_interval"])),
            *mode, *(["--mac", mac] if mac else []), vip.nic, vip.ip]


def builtin_path() -> str:
    """The path of vipctl: inside of an installed package, or beside it in a checkout."""
    package = __file__.rsplit("/", 2)[0]
    program = package + "/bin/vipctl"
    return program if commands.is_file(program) else package.rpartition("/")[0] + "/bin/vipctl"


def builtin_mode(vip) -> str:
    """What the built-in sender sends: send_arp_opts may hold -A (replies) or -U (requests)."""
    options = vip.params["send_arp_opts"].split()
    if vip.family == "inet" and "-A" in options and "-U" not in options:
        return "reply"
    if vip.family == "inet" and "-U" in options and "-A" not in options:
        return "request"
    return "both"


# --- the occasions ---------------------------------------------------------------------------


def run_arp_sender(burst) -> None:
    """Announce a new IPv4 address; that this fails does not matter to a start."""
    if not skip_cluster_ip(burst.vip):
        send(burst, burst.vip.params["arp_repeat_after"])


def run_send_ua(burst, add_again) -> None:
    """Announce a new IPv6 address once no other host is known to have it (see dad.py).

    add_again() removes the address and adds it anew, and tells why that failed.  Exits 1 where the
    address is a duplicate, or where its announcement in the foreground failed.
    """
    vip = burst.vip
    if not wait_for_dad(vip, add_again):
        leave_to_background(burst)
        return
    rc = send(burst, vip.params["arp_repeat_after"])
    if rc and not burst.substitute:
        ocf_exit_reason(f"the neighbours could not be told of {vip.ip}: "
                        f"{commands.quoted(burst.argv())} ended with {rc}")
        raise OcfExit(OCF_ERR_GENERIC)


def refresh(vip) -> None:
    """Announce again during a monitor, arp_count_refresh times; never fails it."""
    count = vip.params["arp_count_refresh"]
    if not ocf_is_decimal(count):
        ocf_log("warn", f"arp_count_refresh [{count}] is not a whole number: not announced")
        return
    if int(count) == 0 or skip_cluster_ip(vip):
        return
    if vip.family == "inet6" and is_open(vip):
        ocf_log("info", f"duplicate address detection of {vip.ip} has not ended: not announced "
                "again")
        return
    mac = sharing().in_use(vip)[1] if vip.bucket else ""
    send(Burst(vip, count, "debug", mac), "")


def skip_cluster_ip(vip) -> bool:
    """Whether nothing is announced, as the sender would tell a wrong hardware address."""
    if not vip.bucket or vip.family == "inet6" or vip.sender in ("", "send_arp", "builtin"):
        return False
    ocf_log("info", f"Cluster IP: no gratuitous ARP is sent by {vip.sender}")
    return True


def leave_to_background(burst) -> None:
    """Go on without the end of duplicate address detection, which a child waits for."""
    vip = burst.vip
    ocf_log("warn", f"IPv6 address {vip.ip}: duplicate address detection has not ended, it is "
            f"still tentative; perhaps {vip.nic} has no carrier. "
            + (burst.nothing or "It is announced once detection has ended"))
    if burst.nothing:
        return
    wait_until_gone(tell_to_end(pid_file(vip), vip.ip, vip.nic))
    leave(lambda: announce_once_settled(burst))


def announce_once_settled(burst) -> None:
    """The detached child's work: wait for the end of detection, then announce."""
    with own_pid_file(burst.vip):
        settled = wait_in_background(burst.vip, burst.index)
    if settled:
        burst.vip = settled
        children.set_deadline(burst.longest())
        send(burst, settled.params["arp_repeat_after"], background=False)


# --- one burst -------------------------------------------------------------------------------


def send(burst, repeat_after: str, background=None) -> int:
    """Send a burst in the foreground, for its exit status, or in the background, for 0.

    The parameter arp_bg decides which, unless it is given.
    """
    vip = burst.vip
    if burst.nothing:
        ocf_log(burst.level, burst.nothing)
        return 0
    ocf_log(burst.level, commands.quoted(burst.argv()))
    if burst.program not in ("builtin", "send_ua"):
        drop_stale(pid_file(vip), vip.ip)
    if burst.program == "builtin":
        wait_until_gone(tell_to_end(pid_file(vip), vip.ip, vip.nic))    # as send_arp does
        if not first_round(burst):
            return 1
    if vip.background if background is None else background:
        leave(lambda: in_background(burst, repeat_after))
        return 0
    rc = log_sender(burst)
    if ocf_is_decimal(repeat_after):
        leave(lambda: repeat(burst, repeat_after))
    return rc


def leave(work) -> None:
    """Leave work() to a child that outlives the agent; what it starts ends with it."""
    def in_child():
        children.handle_termination()       # a stop that ends the child must leave no `ip` behind
        work()

    log.flush()             # what the child logs comes behind it
    try:
        commands.detach(in_child)
    except OSError as problem:          # too many processes: the address serves all the same
        ocf_log("err", f"no process for the announcements: {problem.strerror}")


def in_background(burst, repeat_after: str) -> None:
    """The detached child's work: the burst, and the one that repeats it."""
    children.set_deadline(burst.longest())
    log_sender(burst)
    if ocf_is_decimal(repeat_after):
        repeat(burst, repeat_after)


def repeat(burst, repeat_after: str) -> None:
    """Announce once more after a while, if the address is still here."""
    vip = burst.vip
    seconds = min(number(repeat_after), LONGEST)
    children.set_deadline(seconds + 60)
    with own_pid_file(vip):
        if Lookout(vip, burst.index).pause(seconds):
            return
    try:
        if not find(vip, burst.index):
            return
    except addresses.Unreadable as problem:
        ocf_log("err", f"{vip.ip} is not announced again: {problem}")
        return
    children.set_deadline(burst.longest())
    if burst.program != "builtin" or first_round(burst):
        log_sender(burst)


def log_sender(burst) -> int:
    """Run a burst to its end and log what it said; its exit status."""
    return log_arp_sender(burst) if burst.vip.family == "inet" else log_send_ua(burst)


def log_arp_sender(burst) -> int:
    """Send gratuitous ARP; an exit status."""
    return run_and_log(burst, "gratuitous ARP")


def log_send_ua(burst) -> int:
    """Send neighbour advertisements; an exit status."""
    return run_and_log(burst, "neighbour advertisements")


def run_and_log(burst, what: str) -> int:
    """Run the sender and log what it said, and that it could not send `what`; its exit status."""
    if burst.program == "builtin":
        rc, output = run_builtin(burst)
    else:
        rc, output = run_with_pidfile(burst)
    if burst.lookout.gone:
        ocf_log("info", f"{burst.vip} has gone: its announcement ends")
        return 1
    if rc and burst.program != "libnet_arping":     # which takes silence for an error
        ocf_log("err", f"Could not send {what}: rc={rc}")
    ocf_log(burst.level, " ".join(output.split("\n")[:OUTPUT_LINES]).strip()[:2000])
    return rc


def run_with_pidfile(burst) -> tuple:
    """Exit status and output of a sender program; its id is kept for stop meanwhile."""
    burst.lookout = Lookout(burst.vip, burst.index)
    path = pid_file(burst.vip)
    started = commands.query_start(burst.argv())
    if burst.program != "send_arp" and started.pid:         # send_arp writes the file itself
        keep_pid(path, started.pid)
    try:
        while not children.wait_some(started, LOOK) and not burst.lookout.is_over():
            pass
        result = commands.query_end(started, 0.0) if burst.lookout.gone \
            else commands.query_end(started)
    finally:
        if not is_alive(read_pid(path)):        # else it is of a sender that was started since
            files.remove_file(path)
    return result.rc, result.out + result.err


# --- the built-in sender ---------------------------------------------------------------------


def first_round(burst) -> bool:
    """Send the first round at once; False, with the reason logged, where that is impossible."""
    vip = burst.vip
    burst.lookout = Lookout(vip, burst.index)
    try:
        burst.announcer = packets.Announcer(vip.nic, vip.ip, builtin_mode(vip), burst.mac or None)
    except packets.PacketError as problem:
        ocf_log("err", f"Could not announce {vip.ip}: {problem}")
        return False
    burst.rounds = burst.announcer.rounds(number(burst.count), burst.interval(),
                                          burst.lookout.pause)
    failure = next(burst.rounds)
    if failure:
        ocf_log("err", f"Could not announce {vip.ip}: {failure}")
    return True


def run_builtin(burst) -> tuple:
    """The rounds behind the first; exit status and text."""
    left, failed = number(burst.count) - 1, ""
    with own_pid_file(burst.vip), burst.announcer:
        for problem in burst.rounds:
            left -= 1
            failed = str(problem) if problem else failed
    if left:
        failed = "ended at the time limit"
    return (1 if failed else 0), failed
