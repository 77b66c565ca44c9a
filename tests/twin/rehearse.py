# SPDX-License-Identifier: GPL-2.0-only
"""Inside a sandbox: the commands of a dry run of an action, as JSON, with the environment as it is.

    rehearse.py ACTION
"""
import json
import os
import pathlib
import posix
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from ipaddr2_py import agent, children, commands, ocf    # noqa: E402
from ipaddr2_py.hand import look, rehearse               # noqa: E402


def work(action):
    """What vipctl does in a process of its own, here in this one."""
    children.signals_by_default()
    commands.load_environment(posix.environ)
    sys.argv = [look.agent_path(), action]
    ocf.setup()
    children.set_deadline(agent.action_timeout())
    return rehearse.rehearsed(action)


if __name__ == "__main__":
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 2)
    try:
        found = work(sys.argv[1])
    except ocf.OcfExit as leaving:
        found = {"rc": leaving.rc, "commands": []}
    print(json.dumps(found))
