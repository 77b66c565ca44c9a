# SPDX-License-Identifier: GPL-2.0-only
"""Tell the neighbours where the VIP is: choose the sender, build its command, run it.

The senders are those of the shell agent, and the built-in one (packets.py) where they are missing
or where arp_sender=builtin asks for it.  Duplicate address detection is waited for first.
"""

import posix
import time

from . import commands, interface, ocf
from .interface import same_interface
from .ocf import (ENV, OCF_ERR_GENERIC, OCF_SUCCESS, OcfExit, env, have_binary, ocf_exit_reason,
                  ocf_is_decimal, ocf_is_true, ocf_log)

PROGRAMS = ("send_arp", "send_ua", "arping", "ipoibarping")
DAD_LIMIT = 10.0            # seconds, as the shell agent waits
DAD_POLL = 0.03             # seconds between two looks
OUTPUT_LINES = 20           # of a sender's output that are logged


def ha_bin():
    """The folder of send_arp and send_ua: HA_BIN, ocf-directories' choice, or where they are."""
    if ENV.get("HA_BIN"):
        return ENV["HA_BIN"]
    text = ocf.read_file(env("OCF_ROOT", "/usr/lib/ocf") + "/lib/heartbeat/ocf-directories")
    for line in text.splitlines():
        if line.startswith(": ${HA_BIN:=") and line.rstrip().endswith("}"):
            return line.rstrip()[len(": ${HA_BIN:="):-1]
    for folder in ("/usr/libexec/heartbeat", "/usr/lib/heartbeat"):
        if commands.is_file(folder + "/send_arp"):
            return folder
    return "/usr/libexec/heartbeat"


def pid_file(vip):
    """Where the id of a background sender is kept, so that stop finds it."""
    name = "send_arp-" + vip.ip
    if vip.namespace:
        return ocf.rsctmp("%s-%s-%s" % (name, vip.nic, vip.namespace))
    path = ocf.rsctmp(name)
    pid = read_pid(path)
    if is_alive(pid) and is_sender(pid, path, vip.ip) and not is_ours(pid, path, vip):
        return "%s-%s" % (path, vip.nic)    # the same address is announced on another interface
    return path


class Sending:
    """One burst: program name, argv ([] for the built-in sender), count, log level, family."""

    __slots__ = ("vip", "program", "argv", "count", "level", "background")

    def __init__(self, vip, count, level):
        self.vip = vip
        self.count = count
        self.level = level
        background = vip.params["arp_bg"]
        self.background = ocf_is_true(background) if background else vip.family == "inet"
        self.program, self.argv = choose_sender(vip, count)

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
        mac = vip.mac.replace(":", "") if vip.bucket and vip.mac else "auto"
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


def builtin_argv(vip, count):
    """bin/announce with the words that send the same."""
    program = __file__.rpartition("/")[0].rpartition("/")[0] + "/bin/announce"
    mode = {"reply": ["-A"], "request": ["-U"], "both": []}[builtin_mode(vip)]
    return [program, "-c", count, "-i", vip.params["arp_interval"], *mode, vip.nic, vip.ip]


# --- the three occasions ---------------------------------------------------------------------


def on_start(vip):
    """Announce a new address; exits 1 for an IPv6 address that is a duplicate, or whose
    announcement in the foreground failed."""
    if vip.family == "inet6":
        wait_for_dad(vip)
    if skip_cluster_ip(vip):
        return
    sending = Sending(vip, vip.params["arp_count"], "info")
    rc = announce(sending, vip.params["arp_repeat_after"])
    if rc and vip.family == "inet6":
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
        clear_pid_file(sending.vip)
    announcer = None
    if sending.program == "builtin":
        announcer = first_packet(sending)
        if announcer is None:
            return 1
    if sending.background:
        commands.detach(lambda: in_background(sending, announcer, repeat_after))
        return 0
    rc = run_sender(sending, announcer)
    if ocf_is_decimal(repeat_after):
        commands.detach(lambda: repeat(sending, repeat_after))
    return rc


def in_background(sending, announcer, repeat_after):
    """The detached child's work: the burst, and the one that repeats it."""
    count, interval = int(sending.count[:6]), int(sending.vip.params["arp_interval"][:9])
    commands.set_deadline(60 + count * max(1.0, interval / 1000))
    run_sender(sending, announcer)
    if ocf_is_decimal(repeat_after):
        repeat(sending, repeat_after)


def repeat(sending, repeat_after):
    """Announce once more after a while, if the address is still here."""
    with own_pid_file(sending.vip):
        time.sleep(int(repeat_after[:6]))
    vip = sending.vip
    if any(same_interface(nic, vip.nic)
           for nic in interface.find_interface(vip.family, vip.ip, vip.prefix)):
        commands.set_deadline(60 + int(sending.count[:6]))
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
            ocf.remove_file(path)
    return result.rc, result.out + result.err


# --- the built-in sender ---------------------------------------------------------------------


def first_packet(sending):
    """Send the first round at once; the open Announcer, None (logged) where that is impossible."""
    from . import packets

    vip = sending.vip
    try:
        announcer = packets.Announcer(vip.nic, vip.ip, builtin_mode(vip),
                                      mac=vip.mac if vip.bucket and vip.mac else None)
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
                           commands.remaining()))
            if not commands.remaining():
                return 1, "ended at the time limit"
            try:
                announcer.send()
            except packets.PacketError as problem:
                failed = str(problem)
    return (1 if failed else 0), failed


# --- the pid file ----------------------------------------------------------------------------


class own_pid_file:
    """`with own_pid_file(vip):` this process and its interface are in the file, which it locks."""

    def __init__(self, vip):
        self.path = pid_file(vip)
        self.nic = vip.nic
        self.fd = -1

    def __enter__(self):
        import fcntl

        try:
            self.fd = posix.open(self.path, posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW
                                 | posix.O_CLOEXEC, 0o600)
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            posix.ftruncate(self.fd, 0)
            posix.write(self.fd, commands.to_bytes("%d\n%s\n" % (posix.getpid(), self.nic)))
        except OSError as problem:
            ocf_log("warn", "no pid file %s (%s): stop will not find the sender"
                    % (self.path, problem.strerror))
        return self

    def __exit__(self, *_problem):
        if self.fd >= 0:
            ocf.remove_file(self.path)
            posix.close(self.fd)


def keep_pid(path, pid):
    """Note the id of a sender that was just started."""
    try:
        ocf.write_file(path, "%d\n" % pid)
    except OSError as problem:
        ocf_log("warn", "no pid file %s (%s): stop will not find the sender"
                % (path, problem.strerror))


def read_pid(path):
    """The process id in a pid file, 0 where there is none."""
    words = ocf.read_file(path, 64).split()
    return int(words[0]) if words and ocf_is_decimal(words[0]) and 1 < int(words[0]) <= 2 ** 22 \
        else 0


def is_alive(pid):
    """Whether process `pid` exists and has not ended."""
    state = ocf.read_file("/proc/%d/stat" % pid).rpartition(")")[2].split() if pid else []
    return bool(state) and state[0] not in ("Z", "X")


def is_sender(pid, path, ip):
    """Whether process `pid` is a sender of this address: by its command line, or because it
    holds the lock of the pid file, as the built-in sender does."""
    words = command_line(pid)
    names = [word.rpartition("/")[2] for word in words[:3]]
    if any(name in PROGRAMS for name in names):
        return path in words or ip in words
    return bool(words) and is_locked(path)


def is_ours(pid, path, vip):
    """Whether process `pid` is a sender of this address on this interface (any where unknown)."""
    if not is_sender(pid, path, vip.ip):
        return False
    return not vip.nic or vip.nic in command_line(pid) or vip.nic in ocf.read_file(path).split()


def command_line(pid):
    """The words that process `pid` was started with, [] where it is gone."""
    return ocf.read_file("/proc/%d/cmdline" % pid).split("\0")[:-1] if pid else []


def is_locked(path):
    """Whether somebody holds the lock of a pid file."""
    import fcntl

    try:
        fd = posix.open(path, posix.O_RDWR | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        posix.close(fd)


def clear_pid_file(vip):
    """Before a new sender: end the old one of this address, and drop a stale file.

    send_arp itself would kill whatever process has the id in its -p file.
    """
    end_sender(pid_file(vip), vip)


def stop_sender(vip):
    """End every background sender of this address in this namespace and on this interface."""
    name = "send_arp-" + vip.ip
    if vip.namespace:
        tail = "-" + vip.namespace
        wanted = [other for other in posix.listdir(ENV["HA_RSCTMP"])
                  if other.startswith("%s-%s" % (name, vip.nic)) and other.endswith(tail)]
    else:
        wanted = [name, "%s-%s" % (name, vip.nic)]
    for other in wanted:
        end_sender(ENV["HA_RSCTMP"] + "/" + other, vip)


def end_sender(path, vip):
    """End the sender that a pid file names, if it is ours, and wait until it is gone.

    A file that names another process is removed and the process left alone; one of the same
    address on another interface stays.
    """
    if not commands.is_file(path):
        return
    pid = read_pid(path)
    if is_alive(pid) and is_sender(pid, path, vip.ip):
        if not is_ours(pid, path, vip):
            return
        end_process(pid)
        ocf_log("info", "killed previously running sender for %s (process %d)" % (vip.ip, pid))
    else:
        ocf_log("warn", "%s names no running sender of %s; it is removed" % (path, vip.ip))
    ocf.remove_file(path)


def end_process(pid):
    """SIGTERM, after a second SIGKILL; returns when the process is gone, 2 s at most."""
    begin = time.monotonic()
    for number, limit in ((15, 1.0), (9, 2.0)):
        try:
            posix.kill(pid, number)
        except OSError:
            return
        while is_alive(pid) and time.monotonic() < begin + limit:
            time.sleep(0.005)


# --- duplicate address detection -------------------------------------------------------------


def wait_for_dad(vip):
    """Wait until the kernel knows that no other host has the IPv6 address, 10 s at most.

    dadfailed takes the address away again and exits 1.
    """
    end = time.monotonic() + min(DAD_LIMIT, commands.remaining() * 0.9)
    while True:
        flags = dad_flags(vip)
        if "dadfailed" in flags:
            ocf_log("err", "IPv6 address collision %s [DAD]" % vip.ip)
            if interface.delete_address(vip.family, vip.ip, vip.prefix, vip.nic):
                ocf_log("err", "Could not delete IPv6 address %s" % vip.ip)
            ocf_exit_reason("IPv6 address collision: another host has %s (dadfailed)" % vip.ip)
            raise OcfExit(OCF_ERR_GENERIC)
        if "tentative" not in flags or "optimistic" in flags:
            return OCF_SUCCESS
        if time.monotonic() > end:
            ocf_log("warn", "IPv6 address %s: duplicate address detection has not ended, it is "
                    "still tentative" % vip.ip)
            return OCF_SUCCESS
        time.sleep(DAD_POLL)


def dad_flags(vip):
    """The flags of the VIP on its interface, [] where it is not there."""
    text = interface.ip_query(["-o", "-f", "inet6", "addr", "show", "dev", vip.nic,
                               "to", "%s/%d" % (vip.ip, vip.prefix)]).out
    try:
        held = [held for held in interface.parse_addresses(text)
                if held.ip == vip.ip and held.prefix == vip.prefix]
    except interface.Unreadable:
        return []
    return held[0].flags if held else []
