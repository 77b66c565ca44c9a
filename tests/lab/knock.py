# SPDX-License-Identifier: GPL-2.0-only
"""Traffic for the lab: run in a machine, writes a line per event, ends when it is killed.

    knock.py serve NAME            answers every TCP connection to PORT with NAME
    knock.py knock IP SECONDS [N]  opens a connection every SECONDS: "<time> <name or ->"
    knock.py ask NIC IP SECONDS    asks on the wire who has IP: "<time> <MAC>" per answer

Times are those of time.time(), in seconds, comparable between machines of one lab. ask sends ARP
probes (RFC 5227: sender address 0.0.0.0) and neighbour solicitations (RFC 4861) from its own
link-local address: neither changes anybody's table, nor looks like duplicate address detection.
"""
import contextlib
import ipaddress
import itertools
import socket
import struct
import sys
import threading
import time

PORT = 8000
ETH_P_ARP = 0x0806


def say(*words):
    """One line of output, with the time in front."""
    print(f"{time.time():.4f}", *words, flush=True)


def serve(name):
    """Answer with our name, both families."""
    listener = socket.create_server(("::", PORT), family=socket.AF_INET6, backlog=1000,
                                    dualstack_ipv6=True)
    while True:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(name.encode())


def knock(ip, seconds, number=0):
    """Connect N times, or for ever; a connection that takes longer than 0.05 s has failed."""
    for _ in range(int(number)) if number else itertools.repeat(None):
        name = "-"
        with contextlib.suppress(OSError), socket.create_connection((ip, PORT), 0.05) as to:
            name = to.recv(64).decode() or "-"
        say(name)
        time.sleep(float(seconds))


def ask(nic, ip, seconds):
    """Ask until killed; the answers are read by a thread of their own."""
    send, receive = (who_has if "." in ip else solicit)(nic, ip)
    threading.Thread(target=answers, args=(receive,), daemon=True).start()
    while True:
        send()
        time.sleep(float(seconds))


def answers(receive):
    """Say each MAC that receive() returns; it returns "" for what is not an answer."""
    while True:
        mac = receive()
        if mac:
            say(mac.hex(":"))


def who_has(nic, ip):
    """send and receive for an IPv4 address."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
    wire.bind((nic, ETH_P_ARP))
    own, target = wire.getsockname()[4], socket.inet_aton(ip)
    probe = (b"\xff" * 6 + own + struct.pack("!HHHBBH", ETH_P_ARP, 1, 0x0800, 6, 4, 1)
             + own + bytes(4) + bytes(6) + target)

    def receive():
        frame = wire.recv(2048)
        return frame[22:28] if frame[28:32] == target else b""
    return lambda: wire.send(probe), receive


def solicit(nic, ip):
    """send and receive for an IPv6 address; the kernel fills in source and checksum."""
    wire = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((nic, 0))
        own = link.getsockname()[4]
    index = socket.if_nametoindex(nic)
    target = ipaddress.IPv6Address(ip).packed
    group = str(ipaddress.IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + target[-3:]))
    message = struct.pack("!BBHI", 135, 0, 0, 0) + target + b"\x01\x01" + own

    def receive():
        packet = wire.recv(2048)
        answer = packet[:1] == b"\x88" and packet[8:24] == target and packet[24:25] == b"\x02"
        return packet[26:32] if answer else b""
    return lambda: wire.sendto(message, (group, 0, 0, index)), receive


if __name__ == "__main__":
    {"serve": serve, "knock": knock, "ask": ask}[sys.argv[1]](*sys.argv[2:])
