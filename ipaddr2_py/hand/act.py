# SPDX-License-Identifier: GPL-2.0-only
"""The agent's actions by hand: in earnest, traced, or as a dry run."""

import os
import sys
import time

from .. import agent, children, commands, ocf
from ..children import RUN
from ..vip import NAMESPACE_VARIABLE
from . import HandError, cib, cluster, look, rehearse, terminal


def refuse_managed(action, resource, live) -> None:
    """Raise HandError where the cluster manages the resource: it is to be asked."""
    if not live:
        return
    others = [one for one in cluster.where().get(resource.id, [])]
    name = resource.inside[0] if resource.inside else resource.id
    ask = f"crm_resource --resource {name} --move" if action == "stop" else \
        f"crm_resource --resource {name} --cleanup"
    raise HandError(
        f"the cluster manages {resource.id}"
        + (f" and has it on {', '.join(others)}" if others else "")
        + f": ask it, with `{ask}`, or put it into maintenance first, with `crm_resource "
        f"--resource {name} --meta --set-parameter maintenance --parameter-value true`; "
        "--force does it all the same")


def dry_run(action, resource) -> int:
    """Print the commands of an action that changes nothing; the exit code that it would have."""
    found = look.apart(resource.environment(), action, rehearse.rehearsed)
    for line in found.get("commands", []):
        print(inside_namespace(line, resource))
    if found.get("reason"):
        print(f"# {found['reason']}")
    print(f"# {action} would end with {found['rc']}")
    return found["rc"]


def inside_namespace(line, resource) -> str:
    """A command as it is to be pasted outside of the resource's network namespace."""
    namespace = resource.params.get("network_namespace", "")
    if not namespace or line.startswith("#"):
        return line
    return f"ip netns exec {commands.quoted([namespace])} {line}"


def perform(action, resource: cib.Resource, trace: bool) -> int:
    """Run the agent's action in this process; its exit code."""
    values = {**look.base_environment(), **resource.environment()}
    if action != "monitor":
        values["OCF_RESKEY_CRM_meta_interval"] = "0"
    sys.argv = [look.agent_path(), action]
    namespace = values.pop("OCF_RESKEY_network_namespace", "")
    if namespace:
        values[NAMESPACE_VARIABLE] = namespace
    children.signals_by_default()
    commands.load_environment(values)
    if namespace:
        try:
            look.enter(namespace)
        except ocf.OcfExit as leaving:
            return 0 if action == "stop" and leaving.rc == 7 else \
                5 if action in ("start", "validate-all") and leaving.rc == 7 else leaving.rc
    begin = time.monotonic()

    def show(text):
        for line in text.splitlines():
            kind = "head" if line.startswith("+ ") else "faint"
            print(f"{time.monotonic() - begin:7.3f}  {terminal.paint(kind, line)}", flush=True)

    if trace:
        RUN.tracers.append(show)
        commands.ENV.setdefault("HA_LOGFILE", os.devnull)
    rc = agent.main(sys.argv)
    if trace:
        print(f"{time.monotonic() - begin:7.3f}  {action} ended with {rc}")
    return rc
