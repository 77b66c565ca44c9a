# SPDX-License-Identifier: GPL-2.0-only
"""The OCF resource agent IPaddr2: adds, watches and removes a cluster's virtual IP address.

Function by function as the shell agent of ClusterLabs' resource-agents; doc/source.md has the map.
"""

import sys

from . import addresses, children, commands, ocf, params
from .addresses import ip_command
from .commands import ENV
from .ocf import (OCF_ERR_GENERIC, OCF_ERR_UNIMPLEMENTED, OCF_NOT_RUNNING, OCF_SUCCESS, OcfExit,
                  check_binary, ocf_exit_reason, ocf_is_decimal, ocf_is_probe, ocf_is_true,
                  ocf_log)
from .vip import (CHECKED_ACTIONS, check_start_parameters, exit_configured, ip_init,
                  ip_served, sharing)

ACTIONS = ("start", "stop", "status", "monitor", "validate-all")
SENDERS = ("send_arp", "iputils_arping", "libnet_arping", "ipoibarping", "builtin")
#: Parts of an action's timeout: for its work, and for taking back what failed.
WORK, SPARE = 0.7, 0.2
LONGEST = 1e6               # seconds; poll(2) counts milliseconds in 31 bits
ASK_THE_LINK = 10           # the OCF_CHECK_LEVEL from which on a monitor looks for a duplicate


def ip_usage() -> None:
    """Print how the agent is called."""
    name = sys.argv[0] or "IPaddr2"
    ocf.say(f"usage: {name} {{start|stop|status|monitor|validate-all|meta-data}}\n\n"
            "Parameters come from the environment, as OCF_RESKEY_<name>; for example:\n"
            f"  OCF_ROOT=/usr/lib/ocf OCF_RESKEY_ip=192.0.2.10 {name} monitor")


def cached_metadata() -> str:
    """The metadata that were rendered when the package was built; "" in a checkout."""
    from .changes import files

    return files.read_file(__file__.rpartition("/")[0] + "/IPaddr2.xml", 1 << 20, links=True)


def meta_data() -> None:
    """Print the metadata: rendered when the package was built, or on the spot in a checkout."""
    text = cached_metadata()
    if not text:
        from .provider import metadata
        text = metadata.render()
    ocf.say(text.rstrip("\n"))


# --- parameters ------------------------------------------------------------------------------


def set_send_arp_program(vip) -> None:
    """Exit 6 on a sender that is not known, 5 on an arping that is missing."""
    sender = vip.params["arp_sender"]
    if not sender:
        return
    if sender not in SENDERS:
        exit_configured(f"arp_sender [{sender}] is not one of {', '.join(SENDERS)}")
    if sender in ("iputils_arping", "libnet_arping"):
        check_binary("arping")


def ip_validate(action: str):
    """Check tools and parameters, in the shell agent's order; the Vip."""
    check_binary(ip_command()[0])
    values = params.read(ENV)
    if values["network_namespace"]:
        from .actions import namespace
        namespace.enter(values, action)
    vip = ip_init(action, values)
    if action == "stop":
        return vip
    set_send_arp_program(vip)
    if vip.bucket:
        sharing().check_tools(vip)
    if ocf_is_true(values["unique_clone_address"]) and \
            not ocf_is_true(ENV.get("OCF_RESKEY_CRM_meta_globally_unique", "")):
        exit_configured(f"unique_clone_address [{values['unique_clone_address']}] needs a clone "
                        "with globally-unique=true")
    for name in ("arp_interval", "arp_count"):
        if not ocf_is_decimal(values[name]) or int(values[name]) == 0:
            exit_configured(f"{name} [{values[name]}] must be a whole number above 0")
    if not values["preferred_lft"]:
        exit_configured("preferred_lft is empty; it must be forever or a number of seconds")
    if vip.bucket:
        sharing().params.check_params(vip)
    if action in CHECKED_ACTIONS:
        check_start_parameters(vip)
    return vip


# --- actions ---------------------------------------------------------------------------------


def ip_status(vip) -> int:
    """Print running or stopped; 0 or 7, or 1 for a served address that has_duplicate()."""
    if ip_served(vip, vip.held) == "ok" and not link_failed(vip):
        ocf.say("running")
        return OCF_ERR_GENERIC if has_duplicate(vip) else OCF_SUCCESS
    ocf.say("stopped")
    return OCF_NOT_RUNNING


def link_failed(vip) -> bool:
    """Whether check_link_status is asked for and the interface's link is down."""
    if not ocf_is_true(vip.params["check_link_status"]):
        return False
    from .changes import interface

    return interface.link_is_down(vip.nic)


def has_duplicate(vip) -> bool:
    """Whether another host answers for a served address, where OCF_CHECK_LEVEL has that asked."""
    level = ENV.get("OCF_CHECK_LEVEL", "")
    if not ocf_is_decimal(level) or int(level) < ASK_THE_LINK or ocf_is_probe(vip.action):
        return False
    from .announce import duplicate

    return duplicate.is_told(vip)


def ip_monitor(vip) -> int:
    """0 served, 7 not served, 1 for an address that another host has too."""
    status = ip_served(vip, vip.held)
    if status == "dadfailed":
        ocf_exit_reason(f"IPv6 address collision: another host has {vip.ip} (dadfailed)")
        return OCF_ERR_GENERIC
    if status != "ok":
        if vip.bucket or status == "shared":
            sharing().log_missing(vip, status)
        return OCF_NOT_RUNNING
    if link_failed(vip):
        ocf_log("warn", f"the link of {vip.nic} is down: {vip.ip} is not served")
        return OCF_NOT_RUNNING
    if has_duplicate(vip):
        return OCF_ERR_GENERIC
    if vip.params["arp_count_refresh"] not in ("0", ""):
        from .announce import sender
        sender.refresh(vip)
    return OCF_SUCCESS


# --- main ------------------------------------------------------------------------------------


def action_timeout() -> float:
    """Seconds that Pacemaker gives the action (CRM_meta_timeout, ms), 20 where it does not say."""
    timeout = ENV.get("OCF_RESKEY_CRM_meta_timeout", "")
    if ocf_is_decimal(timeout) and int(timeout) > 0:
        return min(max(1.0, int(timeout) / 1000), LONGEST)
    return 20.0


def perform(action: str) -> int:
    """Do one action; its OCF exit code."""
    if action == "meta-data":
        meta_data()
        return OCF_SUCCESS
    if action in ("usage", "help"):
        ip_usage()
        return OCF_SUCCESS
    ocf.setup()
    if action == "reload-agent" and "<version>1.1</version>" in cached_metadata():
        action = "validate-all"     # parameters are read anew by every action
    if action not in ACTIONS:
        ip_usage()
        ocf_exit_reason(f"unknown action [{action}]; usage lists the known ones")
        return OCF_ERR_UNIMPLEMENTED
    children.set_deadline(WORK * action_timeout(), SPARE * action_timeout(),
                          step=1.0 if action == "stop" else 0.0)
    if ocf_is_true(ENV.get("OCF_TRACE_RA") or ENV.get("OCF_RESKEY_trace_ra", "")):
        from .logs import trace
        trace.ocf_start_trace(action)
    vip = ip_validate(action)
    if action == "start":
        from .actions import start
        return start.ip_start(vip)
    if action == "stop":
        from .actions import stop
        return stop.ip_stop(vip)
    if action == "status":
        return ip_status(vip)
    if action == "monitor":
        return ip_monitor(vip)
    return OCF_SUCCESS


def main(argv) -> int:
    """Run the agent with argv = [program, action]; the exit code.

    The environment has been loaded (load_environment).  Raises what a compiled module does that is
    not whole, as a power cut leaves it: the program then starts once more without them.
    """
    try:
        children.handle_termination()
        return outcome(argv[1] if len(argv) > 1 else "")
    except children.Terminated as signal:
        children.die_of(signal.number)
        return OCF_ERR_GENERIC
    except BaseException as problem:
        if is_of_a_compiled_module(problem):
            raise
        return unexpected(problem)


def is_of_a_compiled_module(problem) -> bool:
    """Whether Python met a fault as it read a compiled module (importlib, PEP 3147)."""
    step = problem.__traceback__
    while step and step.tb_next:
        step = step.tb_next
    return isinstance(problem, (EOFError, ValueError, TypeError, ImportError)) and \
        not isinstance(problem, ModuleNotFoundError) and \
        "importlib" in step.tb_frame.f_code.co_filename


def outcome(action: str) -> int:
    """The exit code of perform(), which may leave by OcfExit."""
    try:
        rc = perform(action)
    except OcfExit as leaving:
        rc = leaving.rc
    except addresses.Unreadable as problem:
        ocf_exit_reason(f"cannot tell how this host stands: {problem}")
        rc = OCF_ERR_GENERIC
    try:
        commands.discard_prefetched()
    except OSError:             # the action is over: this must not spoil its exit code
        pass
    return rc


def unexpected(problem):
    """Log a fault of the agent in full, line by line; exit code 1."""
    try:
        import traceback

        for line in "".join(traceback.format_exception(
                type(problem), problem, problem.__traceback__)).splitlines():
            ocf_log("err", line)
    except BaseException as second:     # whatever is broken, Pacemaker gets a reason and a code
        ocf_log("err", f"the fault could not be logged in full: {second!r}")
    ocf_exit_reason(f"unexpected error: {type(problem).__name__}: {problem}")
    return OCF_ERR_GENERIC
