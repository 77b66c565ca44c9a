# SPDX-License-Identifier: GPL-2.0-only
"""Addresses as values, and a monitor's first question about one, begun ahead.

Where a host has thousands of addresses, `ip` needs a while for its answer; meanwhile Python loads
the rest of the agent.  So this module is small and imports little.
"""

from . import commands
from .environment import BLANKS, ENV

#: Parameters that may have a monitor look elsewhere, or for another address.
IN_THE_WAY = ("network_namespace", "unique_clone_address")


def ipv4_bytes(text):
    """The 4 bytes of an IPv4 address as the kernel spells it, None where text is not one.

    Four numbers from 0 to 255 without more zeros in front, as inet_pton(3) takes them.
    """
    words = text.split(".")
    if len(words) != 4:
        return None
    for word in words:
        if not (word.isascii() and word.isdigit() and len(word) < 4 and int(word) < 256
                and (word[0] != "0" or word == "0")):
            return None
    return bytes(map(int, words))


def address_bytes(text, family):
    """The 4 or 16 bytes of an address, None where text is not one of that family."""
    if family == "inet":
        return ipv4_bytes(text)
    import _socket          # not for IPv4, whose monitor is faster without

    try:
        return _socket.inet_pton(_socket.AF_INET6, text)
    except (OSError, ValueError, UnicodeError):
        return None


def address_text(packed, family):
    """The text of 4 or 16 address bytes, as `ip` prints it (RFC 5952 for IPv6)."""
    if family == "inet":
        return "%d.%d.%d.%d" % tuple(packed)
    import _socket

    return _socket.inet_ntop(_socket.AF_INET6, packed)


def canonical(text, family):
    """The address as `ip` prints it; text as it is where it is not one."""
    packed = address_bytes(text, family)
    return text if packed is None else address_text(packed, family)


def ip_command():
    """The words that start ip(8): IP2UTIL where set; blanks alone are no program."""
    return (ENV.get("IP2UTIL") or "ip").split() or ["ip"]


def ip_query_ahead(words):
    """Begin `ip WORDS`, which is soon to be asked for; where that fails, it is seen then."""
    try:
        commands.query_ahead(ip_command() + words)
    except OSError:
        pass


def held_query(family, ip):
    """The words that ask `ip` where address `ip` is held."""
    return ["-o", "-f", family, "addr", "show", "to", ip]


def begin(argv):
    """Begin the first question of a monitor or status; nothing where it may be another one.

    argv is the agent's own.  What is begun and not asked for is dropped in the end.
    """
    if argv[1:] not in (["monitor"], ["status"]):
        return
    for name in IN_THE_WAY:
        if ENV.get("OCF_RESKEY_" + name):
            return
    text = ENV.get("OCF_RESKEY_ip", "").strip(BLANKS)
    family = "inet6" if ":" in text else "inet"
    if not address_bytes(text, family):
        return                  # the agent will say so
    ip_query_ahead(held_query(family, canonical(text, family)))
