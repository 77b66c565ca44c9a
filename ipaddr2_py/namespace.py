# SPDX-License-Identifier: GPL-2.0-only
"""The parameter network_namespace: the agent starts itself once more inside of it."""

import posix
import sys

from . import commands
from .ahead import ip_command
from .ocf import (ENV, OCF_ERR_INSTALLED, OCF_NOT_RUNNING, OCF_SUCCESS, OcfExit, ocf_exit_reason,
                  ocf_log)
from .vip import refuse_words


def enter(name, action):
    """Run this action once more inside the namespace, as `ip netns exec NAME AGENT ACTION`.

    A namespace that is missing: nothing runs in it, so stop is 0, monitor and status 7; start and
    validate-all are 5.
    """
    if action != "stop":
        refuse_words("network_namespace", name)
    path = "/var/run/netns/" + name
    try:
        there = "/" not in name and \
            posix.stat(path).st_dev != posix.stat("/var/run/netns").st_dev
    except (OSError, ValueError):
        there = False
    if there:
        ENV["IPADDR2_NAMESPACE"] = name
        commands.load_environment(dict(ENV, OCF_RESKEY_network_namespace=""))
        commands.replace(ip_command() + ["netns", "exec", name, own_path(), action])
    message = "network_namespace [%s] does not exist; `ip netns add` makes one" % name
    if action == "stop":
        ocf_log("info", message + ": nothing to stop")
        raise OcfExit(OCF_SUCCESS)
    ocf_exit_reason(message)
    raise OcfExit(OCF_NOT_RUNNING if action in ("monitor", "status") else OCF_ERR_INSTALLED)


def own_path():
    """The agent's path, absolute; its name, which is in the log, stays as it was called."""
    path = sys.argv[0]
    return path if path.startswith("/") else posix.getcwd() + "/" + path
