# SPDX-License-Identifier: GPL-2.0-only
"""The OCF resource agent IPaddr2 in Python: virtual IPv4 and IPv6 addresses on Linux.

The modules beside this one are what a monitor loads; they import one another at the top.  A folder
is cold: it is imported in functions only, where an action needs it.
"""

__version__ = "1.0.0"


def main(argv, environ):
    """Run the agent, argv = [program, action]; its exit code.

    An action's first question is under way before the rest of the agent is loaded: `ip` answers
    meanwhile, and where a host has thousands of addresses it needs a while.
    """
    from . import addresses, children, commands

    children.signals_by_default()
    commands.load_environment(environ)
    addresses.prefetch_places(argv)
    from . import agent

    return agent.main(argv)
