# SPDX-License-Identifier: GPL-2.0-only
"""Tell the neighbours where the VIP is: choose the sender, build its command, run it.

The senders are those of the shell agent, and the built-in one (packets.py) where they are missing
or where arp_sender=builtin asks for it.  Duplicate address detection is waited for first.
"""

import time

from . import addresses, ahead, commands, files, interface, log, waiting
from .ocf import (ENV, OCF_ERR_GENERIC, OcfExit, env, have_binary, ocf_exit_reason, ocf_is_decimal,
                  ocf_is_true, ocf_log, ocf_run)
from .pidfile import (drop_stale, is_alive, keep_pid, own_pid_file, pid_file, read_pid,
                      tell_to_end, wait_until_gone)

DAD_LIMIT = 10.0            # seconds, as the shell agent waits
DAD_POLL = 0.03             # seconds between two looks
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
    """One burst: program name, argv ([] for the built-in sender), count, log level, family.

    substitute: the built-in sender stands in for a program that is missing.
    """

    __slots__ = ("vip", "program", "argv", "count", "level", "background", "substitute")

    def __init__(self, vip, count, level):
        self.vip = vip
        self.count = count
        self.level = level
        background = vip.params["arp_bg"]
        self.background = ocf_is_true(background) if background else vip.family == "inet"
        self.program, self.argv = choose_sender(vip, count)
        self.substitute = self.program == "builtin" != vip.params["arp_sender"]

    def told(self):
        """The command that does this burst, to be pasted into a shell."""
        return commands.quoted(self.argv or builtin_argv(self.vip, self.count))


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
    package = __file__.rpartition("/")[0]
    program = package + "/announce"             # installed; else a checkout
    if not commands.is_file(program):
        program = package.rpartition("/")[0] + "/bin/announce"
    mode = {"reply": ["-A"], "request": ["-U"], "both": []}[builtin_mode(vip)]
    if announced_mac(vip):
        mode += ["--mac", vip.mac]
    return [program, "-c", count, "-i", vip.params["arp_interval"], *mode, vip.nic, vip.ip]


# --- the three occasions ---------------------------------------------------------------------


def prepare(vip):
    """Settle, before anything is changed, how a new address is going to be announced."""
    return Sending(vip, vip.params["arp_count"], "info")


def on_start(sending):
    """Announce a new address; exits 1 for an IPv6 address that is a duplicate, or whose
    announcement in the foreground failed."""
    vip = sending.vip
    if vip.family == "inet6":
        wait_for_dad(vip)
    if skip_cluster_ip(vip):
        return
    rc = announce(sending, vip.params["arp_repeat_after"])
    if rc and vip.family == "inet6" and not sending.substitute:
        ocf_exit_reason("the neighbours could not be told of %s: %s ended with %d"
                        % (vip.ip, sending.told(), rc))
        raise OcfExit(OCF_ERR_GENERIC)


def on_refresh(vip):
    """Announce again during a monitor, arp_count_refresh times; never fails it."""
    count = vip.params["arp_count_refresh"]
    if not ocf_is_decimal(count):
        ocf_log("warn", "arp_count_refresh [%s] is not a whole number: not announced" % count)
        return
    if int(count) == 0 or skip_cluster_ip(vip):
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
    ocf_log(sending.level, sending.told())
    if sending.program != "builtin" and sending.program != "send_ua":
        drop_stale(pid_file(sending.vip), sending.vip)
    announcer = None
    if sending.program == "builtin":
        wait_until_gone(tell_to_end(pid_file(sending.vip), sending.vip))    # as send_arp does
        announcer = first_packet(sending)
        if announcer is None:
            return 1
    log.flush()             # what the child logs comes behind it
    if sending.background:
        commands.detach(lambda: in_background(sending, announcer, repeat_after))
        return 0
    rc = run_sender(sending, announcer)
    if ocf_is_decimal(repeat_after):
        commands.detach(lambda: repeat(sending, repeat_after))
    return rc


def longest(sending):
    """Seconds that a burst in the background may take."""
    count, interval = int(sending.count[:6]), int(sending.vip.params["arp_interval"][:9])
    return 60 + count * max(1.0, interval / 1000)


def in_background(sending, announcer, repeat_after):
    """The detached child's work: the burst, and the one that repeats it."""
    waiting.set_deadline(longest(sending))
    run_sender(sending, announcer)
    if ocf_is_decimal(repeat_after):
        repeat(sending, repeat_after)


def repeat(sending, repeat_after):
    """Announce once more after a while, if the address is still here."""
    vip = sending.vip
    with own_pid_file(vip):
        time.sleep(int(repeat_after[:6]))
    waiting.set_deadline(longest(sending))
    try:
        nics = interface.find_interface(vip.family, vip.ip, vip.prefix)
    except addresses.Unreadable as problem:
        ocf_log("err", "%s is not announced again: %s" % (vip.ip, problem))
        return
    if vip.nic in nics:
        announcer = first_packet(sending) if sending.program == "builtin" else None
        run_sender(sending, announcer)


def run_sender(sending, announcer):
    """Run the burst to its end and log what it said; its exit status."""
    if sending.program == "builtin":
        rc, output = run_builtin(sending, announcer)
    else:
        rc, output = run_program(sending)
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
        result = commands.query_end(started)
    finally:
        if sending.program != "send_arp" or not is_alive(read_pid(path)):
            files.remove_file(path)
    return result.rc, result.out + result.err


# --- the built-in sender ---------------------------------------------------------------------


def first_packet(sending):
    """Send the first round at once; the open Announcer, None (logged) where that is impossible."""
    from . import packets

    vip = sending.vip
    try:
        announcer = packets.Announcer(vip.nic, vip.ip, builtin_mode(vip), announced_mac(vip))
    except packets.PacketError as problem:
        ocf_log("err", "Could not announce %s: %s" % (vip.ip, problem))
        return None
    try:
        announcer.send()
    except packets.PacketError as problem:
        ocf_log("err", "Could not announce %s: %s" % (vip.ip, problem))
    return announcer


def run_builtin(sending, announcer):
    """The rounds behind the first; exit status and text."""
    from . import packets

    failed = ""
    if announcer is None:
        return 1, ""
    with own_pid_file(sending.vip), announcer:
        for _ in range(int(sending.count[:6]) - 1):
            time.sleep(min(int(sending.vip.params["arp_interval"][:9]) / 1000,
                           waiting.remaining()))
            if not waiting.remaining():
                return 1, "ended at the time limit"
            try:
                announcer.send()
            except packets.PacketError as problem:
                failed = str(problem)
    return (1 if failed else 0), failed


# --- duplicate address detection -------------------------------------------------------------


def wait_for_dad(vip):
    """Wait until the kernel knows that no other host has the IPv6 address, 10 s at most.

    dadfailed takes the address away again and exits 1; so does an address that is gone, and
    silence of `ip`.
    """
    end = time.monotonic() + min(DAD_LIMIT, waiting.remaining() * 0.9)
    while True:
        try:
            flags, problem = dad_flags(vip), ""
        except addresses.Unreadable as failed:
            flags, problem = ["tentative"], str(failed)
        if "dadfailed" in flags:
            take_duplicate_away(vip)
        if "tentative" not in flags or "optimistic" in flags:
            return
        if time.monotonic() > end:
            break
        time.sleep(DAD_POLL)
    if problem:
        ocf_exit_reason("cannot tell whether another host has %s: %s" % (vip.ip, problem))
        raise OcfExit(OCF_ERR_GENERIC)
    ocf_log("warn", "IPv6 address %s: duplicate address detection has not ended, it is still "
            "tentative" % vip.ip)


def take_duplicate_away(vip):
    """Delete an IPv6 address that another host has, and exit 1."""
    ocf_log("err", "IPv6 address collision %s [DAD]" % vip.ip)
    if ocf_run(ahead.ip_command() + ["-f", "inet6", "addr", "del", "dev", vip.nic,
                                     "%s/%d" % (vip.ip, vip.prefix)]):
        ocf_log("err", "Could not delete IPv6 address %s" % vip.ip)
    ocf_exit_reason("IPv6 address collision: another host has %s (dadfailed)" % vip.ip)
    raise OcfExit(OCF_ERR_GENERIC)


def dad_flags(vip):
    """The flags of the VIP on its interface; exits 1 where it is gone, raises Unreadable."""
    words = ["-o", "-f", "inet6", "addr", "show", "dev", vip.nic,
             "to", "%s/%d" % (vip.ip, vip.prefix)]
    result = addresses.ip_query(words)
    held = [held for held in addresses.read_held("inet6", vip.ip, result, words)
            if held.prefix == vip.prefix]
    if not held:
        ocf_exit_reason("%s has gone again while duplicate address detection was waited for" % vip)
        raise OcfExit(OCF_ERR_GENERIC)
    return held[0].flags
