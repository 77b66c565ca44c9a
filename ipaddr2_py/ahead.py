# SPDX-License-Identifier: GPL-2.0-only
"""What a monitor asks in any case, begun before the rest of the agent is loaded.

`ip` needs a while where a host has thousands of addresses; meanwhile Python imports the agent.
"""

from . import commands
from .commands import ENV

#: Parameters that may have the monitor look elsewhere, or for something else.
IN_THE_WAY = ("network_namespace", "unique_clone_address")


def ip_command():
    """The words that start ip(8): IP2UTIL where set."""
    return (ENV.get("IP2UTIL") or "ip").split()


def held_query(family, ip):
    """The words that ask `ip` where address `ip` is held."""
    return ["-o", "-f", family, "addr", "show", "to", ip]


def begin(argv, environ):
    """Begin the first question of a monitor or status; nothing where it may not be the first.

    argv and environ are the agent's own.  What is begun and not asked for is dropped in the end.
    """
    if argv[1:] not in (["monitor"], ["status"]):
        return
    commands.load_environment(environ)
    text = ENV.get("OCF_RESKEY_ip", "")
    if any(ENV.get("OCF_RESKEY_" + name) for name in IN_THE_WAY):
        return
    if ":" in text:
        import _socket

        try:
            ip = _socket.inet_ntop(_socket.AF_INET6, _socket.inet_pton(_socket.AF_INET6, text))
        except (OSError, ValueError):
            return              # no address: the agent will say so
        ask(held_query("inet6", ip))
    elif is_plain(text):
        ask(held_query("inet", text))


def ask(words):
    """Begin `ip WORDS`; where that fails the agent will see for itself, and say so."""
    try:
        commands.query_ahead(ip_command() + words)
    except OSError:
        pass


def is_plain(text):
    """Whether text is an IPv4 address as the kernel spells it: four numbers without more zeros."""
    words = text.split(".")
    return len(words) == 4 and all(
        word.isascii() and word.isdigit() and len(word) < 4 and str(int(word)) == word
        and int(word) < 256 for word in words)
