#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Clients and servers of a shared address: who answers what?

    traffic.py answer NAME IP            TCP and UDP servers on PORTS say their name, until killed
    traffic.py ask KIND IP PORT COUNT    COUNT sources, addresses and ports, ask once each
    traffic.py keep IP PORT COUNT        TCP connections stay open, each line of stdin has all asked
    traffic.py flow IP PORT SECONDS      one datagram a millisecond, from 50 sources in turn

KIND is tcp, udp, icmp, fragments, or ports (udp, from many ports of one address). Sources are of
the client's own range, see SOURCES. Printed as JSON: ask {source: [answers]}, names of servers or
time to live (icmp), [] where nobody answered; keep {source: name or ""}; flow {source: [sent,
answered]}.
"""

import ipaddress
import json
import os
import resource
import select
import selectors
import socket
import struct
import sys
import time

SOURCES = {4: "198.18.0.0", 6: "2001:db8:1::"}      # the client's route calls all of it local
PORTS = (7, 8)
IP_FREEBIND, IPV6_FREEBIND, SO_RCVBUFFORCE = 15, 78, 33
QUIET = 0.25         # seconds without another answer that end a round
LONG = 4000         # bytes of a datagram that takes three frames


def family(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def source(ip, number):
    """Source number `number` for talking to ip: (address, port)."""
    base = ipaddress.ip_address(SOURCES[6 if ":" in ip else 4])
    return str(base + 257 + number * 7), 20000 + number * 13 % 40000


def bound(kind, address, port, protocol=0):
    """A socket on an address that need not be there yet."""
    made = socket.socket(family(address), kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23)     # a burst is no test of this
    if ":" in address:
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    else:
        made.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    made.bind((address, port))
    made.setblocking(False)
    return made


# --- servers ---------------------------------------------------------------------------------


def answer(name, address):
    chooser = selectors.DefaultSelector()
    for port in PORTS:
        listener = bound(socket.SOCK_STREAM, address, port)
        listener.listen(4096)
        chooser.register(listener, selectors.EVENT_READ, "listener")
        chooser.register(bound(socket.SOCK_DGRAM, address, port), selectors.EVENT_READ, "udp")
    print("ready", flush=True)
    while True:
        for key, _ in chooser.select():
            try:
                serve(chooser, key, name.encode())
            except OSError:
                pass


def serve(chooser, key, name):
    if key.data == "udp":
        data, asker = key.fileobj.recvfrom(65536)
        key.fileobj.sendto(b"%s %d" % (name, len(data)), asker)
    elif key.data == "listener":
        connection, _ = key.fileobj.accept()
        connection.setblocking(False)
        chooser.register(connection, selectors.EVENT_READ, "connection")
        connection.send(name)
    elif key.fileobj.recv(100):
        key.fileobj.send(name)
    else:
        chooser.unregister(key.fileobj)
        key.fileobj.close()


# --- clients ---------------------------------------------------------------------------------


def collect(poll, take, enough):
    """Call take(fd) for whatever can be read, until QUIET has passed with nothing new."""
    end = time.monotonic() + 5
    seen = 0
    while time.monotonic() < end:
        ready = poll.poll(QUIET * 1000 if seen >= enough else 1500)
        if not ready:
            return
        for fd, _ in ready:
            seen += take(fd)


def ask_tcp(ip, port, count):
    answers, sockets, poll = {}, {}, select.poll()
    for number in range(count):
        address, own = source(ip, number)
        answers[address] = []
        asker = bound(socket.SOCK_STREAM, address, own)
        asker.connect_ex((ip, port))
        sockets[asker.fileno()] = asker, address
        poll.register(asker, select.POLLIN)

    def take(fd):
        asker, address = sockets[fd]
        try:
            said = asker.recv(100)
        except OSError as problem:
            said = b"error " + (problem.strerror or "?").encode()
        if said:
            answers[address].append(said.decode())
        if not said or said.startswith(b"error"):
            poll.unregister(fd)
        return 1

    collect(poll, take, count)
    return answers, sockets


def ask_udp(ip, port, count, length, one_address=False):
    answers, sockets, poll = {}, {}, select.poll()
    for number in range(count):
        address, own = source(ip, 0 if one_address else number)
        asker = bound(socket.SOCK_DGRAM, address, own + number if one_address else own)
        address = str(own + number) if one_address else address
        answers[address] = []
        sockets[asker.fileno()] = asker, address
        poll.register(asker, select.POLLIN)
        asker.sendto(b"x" * length, (ip, port))

    def take(fd):
        asker, address = sockets[fd]
        said, length_seen = asker.recv(100).decode().split()
        assert int(length_seen) == length
        answers[address].append(said)
        return 1

    collect(poll, take, count)
    return answers


def ask_icmp(ip, _port, count):
    """Echo requests; the answers' time to live tells the node."""
    six = ":" in ip
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    listener = socket.socket(family(ip), socket.SOCK_RAW, protocol)
    listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23)
    if six:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    answers = {source(ip, number)[0]: [] for number in range(count)}

    def take(_fd):
        data, notes, _, _ = listener.recvmsg(2000, 200)
        if six:
            kinds = {kind: value for _, kind, value in notes}
            kind, ttl = data[0], struct.unpack("i", kinds[socket.IPV6_HOPLIMIT])[0]
            to = socket.inet_ntop(socket.AF_INET6, kinds[socket.IPV6_PKTINFO][:16])
        else:
            kind, ttl, to = data[20], data[8], socket.inet_ntoa(data[16:20])
        if kind != (129 if six else 0) or to not in answers:
            return 0
        answers[to].append(ttl)
        return 1

    poll = select.poll()
    poll.register(listener, select.POLLIN)
    for number, address in enumerate(answers):
        with bound(socket.SOCK_RAW, address, 0, protocol) as asker:
            asker.sendto(echo_request(number, six), (ip, 0))
        while poll.poll(0):
            take(listener.fileno())
    collect(poll, take, 0)
    return answers


def echo_request(number, six):
    """RFC 792 and 4443; the kernel fills in ICMPv6's checksum."""
    head = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 77, number)
    if six:
        return head
    total = sum(struct.unpack("!4H", head))
    total = (total & 0xffff) + (total >> 16)
    return head[:2] + struct.pack("!H", 0xffff - total) + head[4:]


def keep(ip, port, count):
    first, sockets = ask_tcp(ip, port, count)
    print(json.dumps({address: "".join(said) for address, said in first.items()}), flush=True)
    for _ in sys.stdin:
        said = {}
        for asker, address in sockets.values():
            try:
                asker.send(b"?")
            except OSError:
                pass
        until = time.monotonic() + 0.7
        for asker, address in sockets.values():
            asker.settimeout(max(0.001, until - time.monotonic()))
            try:
                said[address] = asker.recv(100).decode()
            except OSError:
                said[address] = ""
        print(json.dumps(said), flush=True)


def flow(ip, port, seconds):
    counts, sockets, poll = {}, {}, select.poll()
    for number in range(50):
        address, own = source(ip, number)
        asker = bound(socket.SOCK_DGRAM, address, own)
        asker.connect((ip, port))
        sockets[asker.fileno()] = asker, address
        counts[address] = [0, 0]
        poll.register(asker, select.POLLIN)
    end = time.monotonic() + seconds
    turn = list(sockets.values())
    while time.monotonic() < end + 0.5:
        if time.monotonic() < end:
            asker, address = turn[0]
            turn.append(turn.pop(0))
            counts[address][0] += 1
            asker.send(b"x")
        for fd, _ in poll.poll(1):
            try:
                sockets[fd][0].recv(100)
                counts[sockets[fd][1]][1] += 1
            except OSError:
                pass
    print(json.dumps(counts))


def main(words):
    resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    if words[0] == "answer":
        answer(words[1], words[2])
    elif words[0] == "keep":
        keep(words[1], int(words[2]), int(words[3]))
    elif words[0] == "flow":
        flow(words[1], int(words[2]), float(words[3]))
    else:
        kind, ip, port, count = words[1], words[2], int(words[3]), int(words[4])
        if kind == "tcp":
            answers, _ = ask_tcp(ip, port, count)
        elif kind == "icmp":
            answers = ask_icmp(ip, port, count)
        else:
            answers = ask_udp(ip, port, count, LONG if kind == "fragments" else 10, kind == "ports")
        print(json.dumps(answers))
    sys.stdout.flush()
    os._exit(0)         # thousands of sockets are closed by the kernel, quicker


if __name__ == "__main__":
    main(sys.argv[1:])
