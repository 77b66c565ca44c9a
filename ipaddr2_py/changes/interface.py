# SPDX-License-Identifier: GPL-2.0-only
"""Addresses on interfaces: find, add and delete them; the loopback's; IPv6 address labels.

One small function for each ip(8) command, and pure functions over what it prints.
"""

from .. import changes, commands
from ..addresses import (Address, Unreadable, addr_show_words, address_places, failure,
                         find_interface, index_of, ip_command, ip_query, is_missing,
                         link_show_words, name_of, parse_held, was_interrupted)
from ..commands import split
from ..ocf import (OCF_ERR_INSTALLED, OcfExit, check_binary, ocf_exit_reason, ocf_is_decimal,
                   ocf_is_true, ocf_log)
from . import files, ocf_run, promotion, run_and_log


def link_is_down(nic: str) -> bool:
    """Whether the state of interface `nic` is DOWN or LOWERLAYERDOWN (or it is gone).

    Raises Unreadable where `ip` does not say.
    """
    words = ["-o", "link", "show", "dev", nic]
    result = ip_query(words)
    if result.rc and is_missing(result):
        return True
    if result.rc or "<" not in result.out:
        raise Unreadable(failure(words, result))
    return parse_link_state(result.out) in ("DOWN", "LOWERLAYERDOWN")


def parse_link_state(text: str) -> str:
    """The operational state that `ip -o link show` prints behind the word state, "" without."""
    words = split(text)
    return words[words.index("state") + 1] if "state" in words[:-1] else ""


def is_infiniband(nic: str) -> bool:
    """Whether the hardware of interface `nic` is InfiniBand."""
    return "link/infiniband" in ip_query(link_show_words(nic)).out


# --- changes ---------------------------------------------------------------------------------


def address_add_argv(family: str, address, params, label: str = "") -> list:
    """The words of `ip addr add` for an Address, options as the parameters ask for them."""
    options = []
    if family == "inet6" and ocf_is_true(params["nodad"]):
        options += ["nodad"]
    if ocf_is_true(params["noprefixroute"]):
        options += ["noprefixroute"]
    if label:
        options += ["label", label]
    if family == "inet6":
        options += ["preferred_lft", decimal(params["preferred_lft"])]
    if params["metric"]:
        options += ["metric", decimal(params["metric"])]
    brd_words = ["brd", address.brd] if address.brd else []
    return ip_command() + ["-f", family, "addr", "add", str(address), *brd_words,
                           "dev", address.nic, *options]


def decimal(text: str) -> str:
    """A number without zeros in front, which would make it an octal one to `ip`; or the text."""
    return str(int(text)) if ocf_is_decimal(text) else text


def add_interface(family: str, address, params, label: str = "", undo=None) -> str:
    """Add an Address and set its interface up; "" or, if that failed, why, which is logged too.

    What was added is noted in the list undo, as callables that take it back.
    """
    undo = [] if undo is None else undo
    ip, nic = address.ip, address.nic
    if family == "inet" and ocf_is_true(params["run_arping"]) and collision(nic, ip):
        failure = f"IPv4 address collision: {ip} is in use by another host [DAD]"
        ocf_log("err", failure)
        return failure
    if family == "inet6" and ocf_is_true(params["lvs_ipv6_addrlabel"]):
        undo.append(lambda: delete_ipv6_addrlabel(ip, params))
        if 0 < add_ipv6_addrlabel(ip, params) < 126:
            undo.pop()                      # somebody else's
    argv = address_add_argv(family, address, params, label)
    ocf_log("info", commands.quoted(argv))
    index = index_of(nic)
    undo.append(lambda: take_back(family, address, index))
    rc, failure = run_and_log(argv)
    if 0 < rc < 126:
        # It refused: what is there is somebody else's. One that was cut off may have added it.
        undo.pop()
    looking = commands.query_start(ip_command() + addr_show_words(family, ip))
    up = failure if rc else link_up(nic)
    seen = commands.query_end(looking)
    held = address_places(family, ip) if was_interrupted(seen) else parse_held(family, ip, seen)
    if not find_interface(held, address.prefix, nic):
        if rc == 0:
            failure = f"{commands.quoted(argv)} succeeded, but the address is not there"
            ocf_log("err", failure)
        return failure
    if 0 < rc < 126:
        return ""                           # somebody else added it at the same time
    return up


def take_back(family: str, address, index: int) -> None:
    """Delete an Address that this start added to interface number `index`, whatever that is called
    now, unless it is seen not to be there."""
    nic = name_of(index)
    if nic and may_be_there(family, address.on(nic)):
        ocf_log("info", f"taking back {address} from {nic}")
        delete_address(family, address.on(nic))


def collision(nic: str, ip: str) -> bool:
    """Whether another host answers for IPv4 address `ip`, as iputils' or BusyBox's arping sees it.

    Exits 5 where arping is missing, or is another program of that name.
    """
    check_binary("arping")
    told = commands.query(["arping", "-V"])
    if is_foreign_arping(told.out + told.err):
        ocf_exit_reason("run_arping needs the arping of iputils or BusyBox, but "
                        f"{commands.find('arping')} says: "
                        f"{' '.join((told.out + told.err).split())[:80]}")
        raise OcfExit(OCF_ERR_INSTALLED)
    # Duplicate address detection: 1 alone means that somebody answered.
    return commands.query(["arping", "-q", "-c", "2", "-w", "3", "-D", "-I", nic, ip]).rc == 1


def is_foreign_arping(text: str) -> bool:
    """Whether `arping -V` shows an arping whose -D does not look for a duplicate: that of Thomas
    Habets, which ends with 1 where nobody answers.

    BusyBox's (networking/arping.c) is made after that of iputils, exit code and all.
    """
    return "iputils" not in text and ("Habets" in text or "ARPing" in text)


def link_up(nic: str) -> str:
    """Set interface `nic` up; "" or, if that failed, why."""
    argv = ip_command() + ["link", "set", "dev", nic, "up"]
    ocf_log("info", commands.quoted(argv))
    return run_and_log(argv)[1]


def delete_address(family: str, address) -> int:
    """Delete an Address, and no other along with it; an exit status."""
    # The kernel knows an IPv4 address with a peer by both, an IPv6 one by its own alone.
    words = [address.ip, "peer", f"{address.peer}/{address.prefix}"] \
        if address.peer and family == "inet" else [f"{address.ip}/{address.prefix}"]
    argv = ip_command() + ["-f", family, "addr", "delete", *words, "dev", address.nic]
    if family != "inet":
        return ocf_run(argv)
    with promotion.secondaries_kept(address):
        return ocf_run(argv)


def delete_interface(family: str, address, params) -> None:
    """Delete an Address and what goes with it: route cache, address label."""
    rc = delete_address(family, address)
    if not rc and ocf_is_true(params["flush_routes"]):
        ocf_run(ip_command() + ["route", "flush", "cache"])
    if family == "inet6" and ocf_is_true(params["lvs_ipv6_addrlabel"]) and not (
            rc and may_be_there(family, address)):
        delete_ipv6_addrlabel(address.ip, params)


def may_be_there(family: str, address) -> bool:
    """Whether an interface holds an Address without a peer; True also where `ip` does not say."""
    try:
        return bool(find_interface(address_places(family, address.ip), address.prefix,
                                   address.nic))
    except Unreadable:
        return True


def delete_route(ip: str, nic: str) -> None:
    """Delete the route to `ip` over interface `nic`, if there is one."""
    argv = ip_command() + ["route", "delete", ip, "dev", nic]
    ocf_log("info", commands.quoted(argv))
    changes.run(argv)


def loopback_address(ip: str) -> Address:
    """The Address that a real server of LVS has on lo."""
    return Address(0, "lo", ip, "", 32, "255.255.255.255")


def remove_conflicting_loopback(ip: str, params) -> None:
    """Put the loopback's ip/32 aside, noted in HA_RSCTMP so that stop can restore it."""
    ocf_log("info", f"removing the conflicting address {ip}/32 from lo")
    try:
        files.write_file(files.state_file(ip), f"{ip} 32 255.255.255.255 lo\n")
    except OSError as problem:
        ocf_log("err", f"could not note the address {ip} of lo in {files.state_file(ip)} "
                f"({problem.strerror}); stop will not restore it")
    delete_interface("inet", loopback_address(ip), params)
    delete_route(ip, "lo")


def restore_loopback(ip: str, params, note_stays: bool = False) -> None:
    """Add the address again that remove_conflicting_loopback() put aside.

    note_stays: where that fails, a later stop is to try again.
    """
    path = files.state_file(ip)
    words = files.read_file(path).split()
    if not words:
        return
    ocf_log("info", f"restoring the loopback address {' '.join(words)}")
    restored = False
    if words[0] == ip and words[1:] == ["32", "255.255.255.255", "lo"]:
        address = loopback_address(ip)
        try:
            restored = not add_interface("inet", address, params)
        except OcfExit:         # no arping to ask with; nobody else is on lo anyway
            restored = not add_interface("inet", address, dict(params, run_arping="false"))
    else:
        ocf_log("err", f"{path} does not hold what this agent writes; not restored")
    if restored or not note_stays:
        files.remove_file(path)


def add_ipv6_addrlabel(ip: str, params) -> int:
    """Give the address a label of its own, so that it is not chosen as a source address."""
    argv = _addrlabel("add", ip, params)
    ocf_log("info", commands.quoted(argv))
    rc = ocf_run(argv)
    if rc:
        ocf_log("warn", f"{commands.quoted(argv)} failed.")
    return rc


def delete_ipv6_addrlabel(ip: str, params) -> None:
    """Take the address label away again; failing does not matter."""
    ocf_run(_addrlabel("del", ip, params))


def delete_stale_addrlabel(ip, params):
    """Take away the label of an address that is gone, as an interrupted start can leave it."""
    listed = ip_query(["addrlabel", "list"]).out.split("\n")
    wanted = ["prefix", ip + "/128", "label", decimal(params["lvs_ipv6_addrlabel_value"])]
    if any(line.split()[:4] == wanted for line in listed):
        delete_ipv6_addrlabel(ip, params)


def _addrlabel(verb, ip, params):
    return ip_command() + ["addrlabel", verb, "prefix", ip,
                           "label", decimal(params["lvs_ipv6_addrlabel_value"])]
