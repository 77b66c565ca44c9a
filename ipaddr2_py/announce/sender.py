# SPDX-License-Identifier: GPL-2.0-only
"""Tell the neighbours where the VIP is: choose the sender, build its command, run it.

The senders are those of the shell agent, and the built-in one (packets.py) where they are missing
or where arp_sender=builtin asks for it.  Duplicate address detection (dad.py) is waited for first.
"""

from .. import addresses, children, commands
from ..changes import files, interface
from ..commands import ENV
from ..logs import log
from ..ocf import (OCF_ERR_GENERIC, OcfExit, env, have_binary, ocf_exit_reason, ocf_is_decimal,
                   ocf_is_true, ocf_log)
from .dad import is_open, wait_for_dad, wait_in_background
from .lookout import LOOK, Lookout, is_here
from .pidfile import (drop_stale, is_alive, keep_pid, own_pid_file, pid_file, read_pid, tell_to_end,
                      wait_until_gone)

LONGEST = 1000000           # seconds that anything may take; poll(2) counts ms in 31 bits
OUTPUT_LINES = 20           # of a sender's output that are logged


def ha_bin():
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


class Sending:
    """One burst: program (name of the sender), argv ([] for the built-in one), count (text of the
    parameter), level (of its log lines), background (whether the agent goes on meanwhile).

    nothing: why there is nothing to announce, "" where there is.  substitute: the built-in sender
    stands in for a program that is missing.  lookout, announcer and rounds are those of the burst
    that is under way, the latter two of the built-in sender alone.
    """

    __slots__ = ("vip", "program", "argv", "count", "level", "background", "nothing", "substitute",
                 "lookout", "announcer", "rounds")

    def __init__(self, vip, count, level):
        self.vip = vip
        self.count = count
        self.level = level
        background = vip.params["arp_bg"]
        self.background = ocf_is_true(background) if background else vip.family == "inet"
        self.nothing = nothing_to_tell(vip.nic)
        self.program, self.argv = ("", []) if self.nothing else choose_sender(vip, count)
        self.substitute = self.program == "builtin" != vip.params["arp_sender"]
        self.lookout = self.announcer = self.rounds = None

    def told(self):
        """The command that does this burst, to be pasted into a shell."""
        return commands.quoted(self.argv or builtin_argv(self.vip, self.count))

    def interval(self):
        """Milliseconds between two rounds."""
        return number(self.vip.params["arp_interval"])

    def longest(self):
        """Seconds that the burst may take in the background."""
        return min(LONGEST, 60 + number(self.count) * max(1.0, self.interval() / 1000))


def number(text):
    """The whole number that a parameter's text spells, a thousand million at most."""
    from . import packets

    return min(int(text), packets.MOST_ROUNDS)


def nothing_to_tell(nic):
    """A sentence where nobody on interface `nic` asks for a hardware address, else ""."""
    from . import packets

    try:
        packets.hardware_address(nic)
    except packets.NothingToTell as reason:
        return "nothing is announced: %s" % reason
    except packets.PacketError:
        pass                    # the sender meets it, and says so
    return ""


def choose_sender(vip, count):
    """Name and argv of the sender; argv is [] for the built-in one."""
    if vip.family == "inet6":
        program = "builtin" if vip.params["arp_sender"] == "builtin" else "send_ua"
    else:
        program = vip.params["arp_sender"] or default_sender(vip)
    argv = build_arp_sender_cmd(vip, program, count)
    if argv and not have_binary(argv[0]):
        ocf_log("info", "%s is not installed: the built-in sender announces %s"
                % (argv[0], vip.ip))
        return "builtin", []
    return program, argv


def default_sender(vip):
    """send_arp, or ipoibarping for an InfiniBand interface where that is installed."""
    if not interface.is_infiniband(vip.nic):
        return "send_arp"
    if have_binary("ipoibarping"):
        return "ipoibarping"
    if vip.action == "start":
        ocf_log("warn", "%s is InfiniBand, but ipoibarping is not installed: send_arp is used "
                "(arp_sender=send_arp says so without this warning)" % vip.nic)
    return "send_arp"


def build_arp_sender_cmd(vip, program, count):
    """The sender's argv, [] for the built-in one; count is the text of the parameter."""
    values = vip.params
    options = values["send_arp_opts"].split()
    if program == "send_arp":
        mac = (announced_mac(vip) or "auto").replace(":", "")
        return [ha_bin() + "/send_arp", *options, "-i", values["arp_interval"], "-r", count,
                "-p", pid_file(vip), vip.nic, vip.ip, mac, "not_used", "not_used"]
    if program == "send_ua":
        return [ha_bin() + "/send_ua", "-i", values["arp_interval"], "-c", count, vip.ip,
                str(vip.prefix), vip.nic]
    if program == "iputils_arping":
        return ["arping", *options, "-U", "-c", count, "-I", vip.nic, vip.ip]
    if program == "libnet_arping":
        return ["arping", *options, "-U", "-c", count, "-i", vip.nic, "-S", vip.ip, vip.ip]
    if program == "ipoibarping":
        return ["ipoibarping", "-q", "-c", count, "-U", "-I", vip.nic, vip.ip]
    return []


def builtin_mode(vip):
    """What the built-in sender sends: send_arp_opts may hold -A (replies) or -U (requests)."""
    options = vip.params["send_arp_opts"].split()
    if vip.family == "inet" and "-A" in options and "-U" not in options:
        return "reply"
    if vip.family == "inet" and "-U" in options and "-A" not in options:
        return "request"
    return "both"


def announced_mac(vip):
    """The Cluster IP's hardware address, None where the interface's own is announced."""
    return vip.mac if vip.bucket and vip.mac else None


def builtin_argv(vip, count):
    """bin/announce with the words that send the same."""
    package = __file__.rsplit("/", 2)[0]
    program = package + "/bin/announce"         # installed; else a checkout
    if not commands.is_file(program):
        program = package.rpartition("/")[0] + "/bin/announce"
    mode = {"reply": ["-A"], "request": ["-U"], "both": []}[builtin_mode(vip)]
    if announced_mac(vip):
        mode += ["--mac", vip.mac]
    return [program, "-c", str(number(count)), "-i", str(number(vip.params["arp_interval"])),
            *mode, vip.nic, vip.ip]


# --- the three occasions ---------------------------------------------------------------------


def prepare(vip):
    """Settle, before anything is changed, how a new address is going to be announced."""
    return Sending(vip, vip.params["arp_count"], "info")


def on_start(sending, add_again):
    """Announce a new address, which add_again() removes and adds anew (see dad.py); exits 1 for an
    IPv6 address that is a duplicate, or whose announcement in the foreground failed."""
    vip = sending.vip
    if vip.family == "inet6" and not wait_for_dad(vip, add_again):
        leave_to_background(sending)
        return
    if skip_cluster_ip(vip):
        return
    rc = announce(sending, vip.params["arp_repeat_after"])
    if rc and vip.family == "inet6" and not sending.substitute:
        ocf_exit_reason("the neighbours could not be told of %s: %s ended with %d"
                        % (vip.ip, sending.told(), rc))
        raise OcfExit(OCF_ERR_GENERIC)


def leave_to_background(sending):
    """Go on without the end of duplicate address detection, which a child waits for."""
    vip = sending.vip
    ocf_log("warn", "IPv6 address %s: duplicate address detection has not ended, it is still "
            "tentative; perhaps %s has no carrier. %s" % (
                vip.ip, vip.nic, sending.nothing or "It is announced once detection has ended"))
    if sending.nothing:
        return
    wait_until_gone(tell_to_end(pid_file(vip), vip))
    leave(lambda: announce_once_settled(sending))


def announce_once_settled(sending):
    """The detached child's work: wait for the end of detection, then announce."""
    with own_pid_file(sending.vip):
        if not wait_in_background(sending.vip):
            return
    children.set_deadline(sending.longest())
    sending.background = False
    announce(sending, sending.vip.params["arp_repeat_after"])


def on_refresh(vip):
    """Announce again during a monitor, arp_count_refresh times; never fails it."""
    count = vip.params["arp_count_refresh"]
    if not ocf_is_decimal(count):
        ocf_log("warn", "arp_count_refresh [%s] is not a whole number: not announced" % count)
        return
    if int(count) == 0 or skip_cluster_ip(vip):
        return
    if vip.family == "inet6" and is_open(vip):
        ocf_log("info", "duplicate address detection of %s has not ended: not announced again"
                % vip.ip)
        return
    announce(Sending(vip, count, "debug"), "")


def skip_cluster_ip(vip):
    """Whether nothing is announced, as the sender would tell a wrong hardware address."""
    sender = vip.params["arp_sender"]
    if not vip.bucket or vip.family == "inet6" or sender in ("", "send_arp", "builtin"):
        return False
    ocf_log("info", "Cluster IP: no gratuitous ARP is sent by %s" % sender)
    return True


def announce(sending, repeat_after):
    """Run a burst in the foreground (its exit status is returned) or in the background (0)."""
    if sending.nothing:
        ocf_log(sending.level, sending.nothing)
        return 0
    ocf_log(sending.level, sending.told())
    if sending.program != "builtin" and sending.program != "send_ua":
        drop_stale(pid_file(sending.vip), sending.vip)
    if sending.program == "builtin":
        wait_until_gone(tell_to_end(pid_file(sending.vip), sending.vip))    # as send_arp does
        if not first_round(sending):
            return 1
    if sending.background:
        leave(lambda: in_background(sending, repeat_after))
        return 0
    rc = run_sender(sending)
    if ocf_is_decimal(repeat_after):
        leave(lambda: repeat(sending, repeat_after))
    return rc


def leave(work):
    """Leave work() to a child that outlives the agent; what it starts ends with it."""
    def in_child():
        children.handle_termination()       # a stop that ends the child must leave no `ip` behind
        work()

    log.flush()             # what the child logs comes behind it
    try:
        commands.detach(in_child)
    except OSError as problem:          # too many processes: the address serves all the same
        ocf_log("err", "no process for the announcements: %s" % problem.strerror)


def in_background(sending, repeat_after):
    """The detached child's work: the burst, and the one that repeats it."""
    children.set_deadline(sending.longest())
    run_sender(sending)
    if ocf_is_decimal(repeat_after):
        repeat(sending, repeat_after)


def repeat(sending, repeat_after):
    """Announce once more after a while, if the address is still here."""
    vip = sending.vip
    seconds = min(number(repeat_after), LONGEST)
    children.set_deadline(seconds + 60)
    with own_pid_file(vip):
        if Lookout(vip).pause(seconds):
            return
    try:
        if not is_here(vip):
            return
    except addresses.Unreadable as problem:
        ocf_log("err", "%s is not announced again: %s" % (vip.ip, problem))
        return
    children.set_deadline(sending.longest())
    if sending.program != "builtin" or first_round(sending):
        run_sender(sending)


def run_sender(sending):
    """Run the burst to its end and log what it said; its exit status."""
    if sending.program == "builtin":
        rc, output = run_builtin(sending)
    else:
        sending.lookout = Lookout(sending.vip)
        rc, output = run_program(sending)
    if sending.lookout.gone:
        ocf_log("info", "%s has gone: its announcement ends" % sending.vip)
        return 1
    if rc and sending.program != "libnet_arping":   # which takes silence for an error
        what = "gratuitous ARP" if sending.vip.family == "inet" else "neighbour advertisements"
        ocf_log("err", "Could not send %s: rc=%d" % (what, rc))
    ocf_log(sending.level, " ".join(output.split("\n")[:OUTPUT_LINES]).strip()[:2000])
    return rc


def run_program(sending):
    """Exit status and output of a sender program; its id is kept for stop meanwhile."""
    path = pid_file(sending.vip)
    started = commands.query_start(sending.argv)
    if sending.program != "send_arp" and started.pid:       # send_arp writes the file itself
        keep_pid(path, started.pid)
    try:
        while not children.wait_some(started, LOOK) and not sending.lookout.is_over():
            pass
        result = commands.query_end(started, 0.0) if sending.lookout.gone \
            else commands.query_end(started)
    finally:
        if not is_alive(read_pid(path)):        # else it is of a sender that was started since
            files.remove_file(path)
    return result.rc, result.out + result.err


# --- the built-in sender ---------------------------------------------------------------------


def first_round(sending):
    """Send the first round at once; False, with the reason logged, where that is impossible."""
    from . import packets

    vip = sending.vip
    sending.lookout = Lookout(vip)
    try:
        sending.announcer = packets.Announcer(vip.nic, vip.ip, builtin_mode(vip),
                                              announced_mac(vip))
    except packets.PacketError as problem:
        ocf_log("err", "Could not announce %s: %s" % (vip.ip, problem))
        return False
    sending.rounds = sending.announcer.rounds(number(sending.count), sending.interval(),
                                              sending.lookout.pause)
    problem = next(sending.rounds)
    if problem:
        ocf_log("err", "Could not announce %s: %s" % (vip.ip, problem))
    return True


def run_builtin(sending):
    """The rounds behind the first; exit status and text."""
    left, failed = number(sending.count) - 1, ""
    with own_pid_file(sending.vip), sending.announcer:
        for problem in sending.rounds:
            left -= 1
            failed = str(problem) if problem else failed
    if left:
        failed = "ended at the time limit"
    return (1 if failed else 0), failed
