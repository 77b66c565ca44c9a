# SPDX-License-Identifier: GPL-2.0-only
"""vipctl announce: the built-in sender for an administrator's hand."""

import _socket
import argparse
import posix
import signal
import sys

from .. import commands
from ..addresses import mac_text
from ..announce import packets

SUCCESS = 0
FAILURE = 1
USAGE = 2
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it

DESCRIPTION = """\
Tell the neighbours on the interface NIC that the address IP is at NIC's hardware address,
so that their caches follow at once after the address has moved.

IPv4: gratuitous ARP, a request and a reply in each round.
IPv6: an unsolicited neighbour advertisement to ff02::1, with the override flag.
"""

EPILOG = """\
IP must be on NIC, and for IPv6 duplicate address detection must be over: announcing an
address of another host takes its traffic away. --force sends all the same.

Exit status: 0 all rounds sent, 1 something could not be sent or was refused, 2 wrong use,
130 interrupted by Ctrl-C. Needs root (CAP_NET_RAW). In a network namespace:
  ip netns exec NAMESPACE vipctl announce eth0 192.0.2.10
"""


class Refused(Exception):
    """The program ends with `code`; the text says why, and what would be right."""

    def __init__(self, text, code=FAILURE):
        Exception.__init__(self, text)
        self.code = code


def whole_number(low: int, high: int, unit: str):
    """An argparse type: decimal digits from low to high, else an error naming `unit`."""

    def parse(text):
        digits = text.lstrip("0") or text[:1]
        number = text.isascii() and text.isdigit() and len(digits) <= len(str(high))
        if not number or not low <= int(digits) <= high:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a number of {unit} from {low} to {high}"
            )
        return int(digits)

    return parse


def arguments(argv):
    """The parsed command line; wrong use ends with exit code 2, --help with 0."""
    parser = argparse.ArgumentParser(
        prog="vipctl announce",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    rounds = whole_number(1, packets.MOST_ROUNDS, "rounds")
    milliseconds = whole_number(0, packets.LONGEST_INTERVAL_MS, "milliseconds")
    add = parser.add_argument
    add("-c", dest="count", metavar="COUNT", type=rounds, default=5, help="rounds to send (5)")
    add("-i", dest="interval", metavar="MS", type=milliseconds, default=200,
        help="milliseconds between two rounds (200)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("-A", dest="mode", action="store_const", const="reply", default="both",
                      help="ARP replies only (IPv4 only: an error with IPv6)")
    kind.add_argument("-U", dest="mode", action="store_const", const="request",
                      help="ARP requests only (IPv4 only: an error with IPv6)")
    add("--mac", metavar="MAC",
        help="hardware address to announce instead of NIC's own: a Cluster IP's, such as "
        "01:00:5e:7f:00:01 (the frames still come from NIC's own)")
    add("-q", dest="quiet", action="store_true", help="print errors alone")
    add("--force", action="store_true", help="do not look whether NIC holds IP and may use it")
    add("nic", metavar="NIC", help="interface to send from, such as eth0")
    add("ip", metavar="IP", help="address to announce, without prefix length")
    return parser.parse_args(argv)


def link_name(line: str, nic: str) -> str:
    """The name of the interface in a line of `ip -o link show`, asked for as `nic`.

    Differs from `nic` where that is an alternative name, which may be too long for a socket.
    """
    # 7: eth0@if6: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu ...
    name = line.split()[1]
    if name.startswith((nic + ":", nic + "@")):
        return nic
    return name.rstrip(":").split("@")[0]


def link_flags(line):
    """The flags in a line of `ip -o link show`, such as ["BROADCAST", "UP"]."""
    return line.split("<", 1)[-1].split(">", 1)[0].split(",")


def address_flags(line):
    """The words that follow the address in a line of `ip -o addr show`."""
    # 7: eth0    inet6 2001:db8::10/64 scope global tentative \\       valid_lft ...
    return line.split()[4:]


def look_up(nic):
    """The kernel's name of the interface `nic`; warn where nobody can hear it."""
    nic = nic.split(":")[0]  # eth0:label; the kernel allows no colon in a name
    result = commands.query(["ip", "-o", "link", "show", "dev", nic])
    if result.rc != 0 or not result.out.strip():
        return nic  # packets.hardware_address says what is wrong with it
    name = link_name(result.out, nic)
    if "NO-CARRIER" in link_flags(result.out):
        complain(f"warning: {name} has no carrier: nobody hears what it sends")
    return name


def check_held(nic, ip, family):
    """Raise Refused unless `nic` holds `ip` and may use it. `family` is inet or inet6."""
    result = commands.query(["ip", "-o", "-f", family, "addr", "show", "dev", nic, "to", ip])
    if result.rc != 0:
        raise Refused(
            f"cannot tell whether {ip} is on {nic} (exit code {result.rc} of `ip addr show`: "
            f"{result.err.strip() or 'no message'}): --force sends without looking"
        )
    if not result.out.strip():
        raise Refused(
            f"{ip} is not on {nic}: add it first, name the interface that holds it (`ip addr show "
            f"to {ip}`), or send all the same with --force"
        )
    if family == "inet":
        return
    flags = address_flags(result.out)
    if "dadfailed" in flags:
        raise Refused(
            f"{ip} on {nic} failed duplicate address detection: another host has it; --force sends "
            "all the same"
        )
    if "tentative" in flags:
        raise Refused(
            f"{ip} on {nic} is still tentative: wait some seconds for duplicate address detection, "
            "or send all the same with --force"
        )


def describe(announcer, mode, family):
    """What one round of `announcer` says, for the line printed about it."""
    kinds = {"both": "ARP request and reply", "request": "ARP request", "reply": "ARP reply"}
    kind = kinds[mode] if family == "inet" else "neighbour advertisement"
    mac = mac_text(announcer.mac)
    return f"{kind} from {announcer.nic}: {announcer.ip} is at {mac}"


def send(options, family):
    """Send the rounds, one line printed about each; return the exit code."""
    lost = 0
    with packets.Announcer(options.nic, options.ip, options.mode, options.mac) as announcer:
        rounds = announcer.rounds(options.count, options.interval)
        for number, failure in enumerate(rounds, 1):
            if failure:
                lost += 1
                complain(f"round {number} of {options.count} not sent: {failure}")
            elif not options.quiet:
                what = describe(announcer, options.mode, family)
                print(f"round {number} of {options.count}: {what}", flush=True)
    return FAILURE if lost else SUCCESS


def complain(text) -> None:
    """Print one line to stderr, or nowhere when that is closed or full."""
    try:
        print(f"vipctl announce: {text}", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = None


def work(options):
    """Check what was asked for, then send; return the exit code. Raises Refused, PacketError."""
    try:
        family, _ = packets.parse_address(options.ip)
    except packets.PacketError as error:
        raise Refused(str(error), USAGE) from None
    family = "inet" if family == _socket.AF_INET else "inet6"
    if family == "inet6" and options.mode != "both":
        raise Refused(
            f"-A and -U choose a kind of ARP packet, and {options.ip} is IPv6: leave them out",
            USAGE,
        )
    if options.mac is not None:
        try:
            packets.parse_mac(options.mac)
        except packets.PacketError as error:
            raise Refused(str(error), USAGE) from None
    options.nic = look_up(options.nic)
    packets.hardware_address(options.nic)
    if not options.force:
        check_held(options.nic, options.ip, family)
    return send(options, family)


def main(argv) -> int:
    """Run the program with the arguments `argv`; return its exit code. Never a traceback."""
    try:
        # A reader that went away (vipctl announce | head -1) ends the program as any other.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        options = arguments(argv)
        commands.load_environment(posix.environ)
        return work(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Refused as error:
        complain(error)
        return error.code
    except packets.PacketError as error:
        complain(error)
        return FAILURE
    except OSError as error:
        sys.stdout = None  # else Python tries again at exit, and tells of it with a traceback
        complain(f"cannot write to standard output: {error.strerror or error}")
        return FAILURE
    except Exception as error:  # pylint: disable=broad-except
        complain(f"unexpected {type(error).__name__}: {error}")
        return FAILURE
