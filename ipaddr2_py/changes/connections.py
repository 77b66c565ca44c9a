# SPDX-License-Identifier: GPL-2.0-only
"""kill_connections: a stop ends the address's established TCP connections on this node.

The kernel does it for `ss -K` (sock_diag(7), CONFIG_INET_DIAG_DESTROY, Linux 4.9).  It resets the
connection for both sides, once the address is gone from its interface: before, a client on the same
link is back on this node within the millisecond.
"""

import posix

from .. import changes, children, commands
from ..addresses import Unreadable, address_places, ip_command
from ..children import RUN
from ..ocf import ocf_is_true, ocf_log
from . import files

LIMIT = 2.0                 # seconds for one program: a stop is not to wait for it


def end(vip) -> None:
    """End the established TCP connections of the VIP, which is gone; never fails a stop."""
    try:
        end_all(vip)
    except Exception as problem:        # such as a host without memory or descriptors
        ocf_log("warn", f"kill_connections: {problem!r}")


def end_all(vip) -> None:
    """The work of end().

    While the address is in another place of this node, or has come back to lo, they are left alone.
    """
    if vip.family == "inet" and ocf_is_true(vip.params["lvs_support"]) and \
            files.read_file(files.state_file(vip.ip)):
        return                  # restore_loopback() has it on lo again
    try:
        staying = address_places(vip.family, vip.ip)
    except Unreadable as problem:
        ocf_log("warn", f"kill_connections: cannot tell whether {vip.ip} is here: {problem}")
        return
    if staying:
        ocf_log("info", f"kill_connections: {vip.ip} is on {staying[0].nic} as well: its "
                "connections are left alone")
        return
    if not commands.find("ss"):
        ocf_log("warn", "kill_connections: the program ss is missing: no connection is ended")
        return
    if vip.family == "inet":
        with lent_to_lo(vip.ip):
            done = kill(vip)
    else:
        done = kill(vip)
    left = commands.query(["ss", *words(vip)], limit()).out.splitlines() if done else ()
    if left:
        ocf_log("warn", f"kill_connections: {len(left)} connections of {vip.ip} are left: the "
                "kernel needs CONFIG_INET_DIAG_DESTROY to end them")


def kill(vip) -> bool:
    """Run `ss -K`; whether it worked."""
    argv = ["ss", "-K", *words(vip)]
    ended = run(argv)
    if not ended.rc and ended.out.strip():
        ocf_log("info", f"kill_connections: ended of {vip.ip}: {len(ended.out.splitlines())}")
    return not ended.rc


def words(vip) -> list:
    """The words that have ss(8) choose the VIP's established TCP connections.

    An IPv4 address is found in sockets of IPv6 too, where it is mapped (::ffff:192.0.2.10).
    """
    address = f"[{vip.ip}]" if vip.family == "inet6" else vip.ip
    return ["-H", "-n", "-t", "state", "established", "src", address]


class lent_to_lo:
    """`with lent_to_lo(ip):` the kernel may send from IPv4 address `ip`, and does not answer to it.

    It sends no reset from an address that the host has not (Linux, ip_route_output_key_hash_rcu()
    of net/ipv4/route.c).  So lo has it for the moment, with scope host, for no routing daemon to
    tell of it, and without the local route by which packets to it would come in.  One `ip` does
    both: were the agent killed after it, the address on lo would do no harm.
    """

    def __init__(self, ip):
        self.ip = ip

    def __enter__(self):
        try:
            batch(f"addr add {self.ip}/32 dev lo scope host",
                  f"route delete local {self.ip} dev lo table local")
        except BaseException as problem:
            self.__exit__(type(problem))
            raise

    def __exit__(self, kind, *_problem):
        if kind:                # told to end, or out of memory
            children.ignore_termination()
            children.extend_for_undo()
        run([*ip_command(), "-f", "inet", "addr", "delete", f"{self.ip}/32", "dev", "lo"])


def batch(*lines) -> None:
    """Have one `ip` run these lines, each the words of a command, one right after the other."""
    ocf_log("info", shell_line(lines))
    fd = posix.memfd_create("ip-batch", 0)
    try:
        posix.write(fd, "".join(line + "\n" for line in lines).encode())
        RUN.inherited.add(fd)
        run([*ip_command(), "-batch", f"/proc/self/fd/{fd}"])
    finally:
        RUN.inherited.discard(fd)
        posix.close(fd)


def shell_line(lines) -> str:
    """What does in a shell as batch() does."""
    return commands.quoted(["printf", "%s\\n", *lines]) + " | " + \
        commands.quoted([*ip_command(), "-batch", "-"])


def limit() -> float:
    """Seconds that a program is given."""
    return min(LIMIT, children.remaining() / 4)


def run(argv):
    """Run a program that changes something; a warning tells how it failed.  Its Result."""
    seconds = limit()
    result = changes.run(argv, seconds)
    if result.timed_out or result.rc:
        how = f"was ended after {seconds:.1f} s" if result.timed_out else f"failed with {result.rc}"
        ocf_log("warn", f"kill_connections: {commands.quoted(argv)} {how}: {result.out.strip()}")
    return result
