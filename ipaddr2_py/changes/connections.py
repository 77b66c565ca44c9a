# SPDX-License-Identifier: GPL-2.0-only
"""kill_connections: a stop ends the address's established TCP connections on this node.

The kernel does it for `ss -K` (sock_diag(7), CONFIG_INET_DIAG_DESTROY, Linux 4.9).  It resets the
connection for both sides; but once an IPv4 address is gone, the client is not told any more: so
they are ended right before the address goes, and those that came in between right after.
"""

from .. import changes, children, commands
from ..addresses import Unreadable, address_places
from ..ocf import ocf_is_true, ocf_log
from . import files

LIMIT = 2.0                 # seconds for one program: the address has to go whatever becomes of it


def end(vip, going) -> None:
    """End the established TCP connections of the VIP; never fails a stop.

    going: the Address objects that are about to be removed, [] once they are gone.  While the
    address is in another place of this node, or comes back to lo, its connections are left alone.
    """
    if vip.family == "inet" and ocf_is_true(vip.params["lvs_support"]) and \
            files.read_file(files.state_file(vip.ip)):
        return                  # restore_loopback() has it on lo again
    try:
        there = {(one.nic, str(one)) for one in address_places(vip.family, vip.ip)}
    except Unreadable as problem:
        ocf_log("warn", f"kill_connections: cannot tell whether {vip.ip} stays here: {problem}")
        return
    staying = there - {(one.nic, str(one)) for one in going}
    if staying:
        ocf_log("info", f"kill_connections: {vip.ip} is on {min(staying)[0]} as well: its "
                "connections are left alone")
        return
    if not commands.find("ss"):
        ocf_log("warn", "kill_connections: the program ss is missing: no connection is ended")
        return
    seconds = min(LIMIT, children.remaining() / 4)
    argv = ["ss", "-K", *words(vip)]
    ended = changes.run(argv, seconds)
    if ended.rc or ended.timed_out:
        how = f"was ended after {seconds:.1f} s" if ended.timed_out else f"failed with {ended.rc}"
        ocf_log("warn", f"kill_connections: {commands.quoted(argv)} {how}: {ended.out.strip()}")
    elif ended.out.strip():
        ocf_log("info", f"kill_connections: ended of {vip.ip}: {len(ended.out.splitlines())}")
    if not going and not ended.rc:
        left = commands.query(["ss", *words(vip)], seconds).out.splitlines()
        if left:
            ocf_log("warn", f"kill_connections: {len(left)} connections of {vip.ip} are left: the "
                    "kernel needs CONFIG_INET_DIAG_DESTROY to end them")


def words(vip) -> list:
    """The words that have ss(8) choose the VIP's established TCP connections.

    An IPv4 address is found in sockets of IPv6 too, where it is mapped (::ffff:192.0.2.10).
    """
    address = f"[{vip.ip}]" if vip.family == "inet6" else vip.ip
    return ["-H", "-n", "-t", "state", "established", "src", address]
