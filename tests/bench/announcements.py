# SPDX-License-Identifier: GPL-2.0-only
"""From the start of a program to the first announcement that the neighbour receives."""

import os
import socket
import struct
import time

from tests.lab.frames import advertisement, arp
from tests.lab.namespaces import in_namespace

from . import measure

ETH_P_ALL = 3
SO_TIMESTAMPNS = 35     # socket(7): when the kernel received the packet, a struct timespec
PATIENCE = 5            # seconds for the first announcement after the program has ended


def listener(namespace):
    """A raw socket on a namespace's eth0 that has every packet's time of arrival."""
    def make():
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        made.bind(("eth0", ETH_P_ALL))
        return made

    return in_namespace(namespace, make)


def is_announcement(frame, address):
    """Whether an Ethernet frame tells where an address is: ARP, or a neighbour advertisement."""
    if ":" in address:
        told = advertisement(frame)
        return told is not None and told["target"] == address
    told = arp(frame)
    return told is not None and told["sender"] == address


def arrival(receiver, address):
    """Time (ns since the epoch) when the first announcement came in; TimeoutError without one."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        receiver.settimeout(max(0.001, end - time.monotonic()))
        frame, extra, _, source = receiver.recvmsg(2048, 64)
        if source[2] == socket.PACKET_OUTGOING or not is_announcement(frame, address):
            continue
        for level, kind, data in extra:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("ll", data[:16])
                return seconds * 10**9 + nanoseconds
    raise TimeoutError("no announcement of %s" % address)


def time_to_first(neighbour, argv, env, address):
    """Milliseconds from a program's start to its first announcement of an address."""
    with listener(neighbour) as receiver:
        begin = time.time_ns()
        pid = measure.spawn(argv, env)
        first = arrival(receiver, address)
        _, status, _ = os.wait4(pid, 0)
        measure.left_behind()
    if status:
        raise measure.Failed("%s: wait status %d" % (" ".join(argv), status))
    return (first - begin) / 1e6
