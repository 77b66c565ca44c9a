# SPDX-License-Identifier: GPL-2.0-only
"""The note of start: where it put the address, and how the address is shared.

A note is a small text file in HA_RSCTMP, one for each key: the address as the kernel spells it, nic
as it was given (without a label), network_namespace.  It says where to look first, never that the
address is there: that is asked of the kernel each time.  A note that is missing, damaged, of
another boot, network namespace or owner is as good as none, and one that cannot be written fails
nothing.
"""

import posix

from . import commands
from .commands import ENV
from .ocf import ocf_log

BOOT_ID = "/proc/sys/kernel/random/boot_id"
NAMESPACE = "/proc/self/ns/net"
LONGEST_NAME = 200          # bytes of a file's name, which the kernel limits to 255
PRIME = 2 ** 61 - 1         # tells names apart that are too long
LIMIT = 8192                # bytes of a note that are read; it has some 300


class Note:
    """What start noted.

    index (int) and name of the interface, prefix (int, the length), shared (the backend of Cluster
    IP, "" for a plain address) and mac (the shared address's), boot (the kernel's boot id) and
    netns (inode of the network namespace, digits), each "" where /proc could not be read.
    """

    __slots__ = ("index", "name", "prefix", "shared", "mac", "boot", "netns")

    def __init__(self, index, name, prefix, shared="", mac="", boot="", netns=""):
        self.index = index
        self.name = name
        self.prefix = prefix
        self.shared = shared
        self.mac = mac
        self.boot = boot
        self.netns = netns


def note_path(ip: str, nic: str, namespace: str) -> str:
    """Path of the note of a key, "" without an address."""
    if not ip:
        return ""
    name = "IPaddr2-" + plain(ip)
    if nic:
        name += ",nic=" + plain(nic)
    if namespace:
        name += ",netns=" + plain(namespace)
    if len(name) > LONGEST_NAME:        # an altname of up to 127 characters; the note has it all
        rest = int.from_bytes(name.encode(), "big") % PRIME
        name = f"{name[:LONGEST_NAME - 17]}~{rest:016x}"
    return ENV["HA_RSCTMP"] + "/" + name


def plain(text: str) -> str:
    """A text as a part of a file's name: what is not plain becomes %XX, so no two are alike."""
    if text.replace(".", "").replace(":", "").isalnum() and text.isascii():
        return text
    return "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() or byte in b"._:@+-"
        else f"%{byte:02X}" for byte in commands.to_bytes(text))


def table_name(ip: str) -> str:
    """The name of the nftables tables that share an address."""
    return "ipaddr2-" + ip.replace(":", "_")


def promotion_path(nic: str) -> str:
    """Path of the lock under which promote_secondaries of an interface is switched on for a moment
    (promotion.py); where nobody holds it, an agent was killed."""
    return f"{ENV['HA_RSCTMP']}/IPaddr2-promote-{namespace_inode()}-{plain(nic)}"


def boot_id() -> str:
    """The kernel's id of this boot, "" where it cannot be read."""
    try:
        fd = posix.open(BOOT_ID, posix.O_RDONLY)
    except OSError:
        return ""
    try:
        return posix.read(fd, 64).decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        posix.close(fd)


def namespace_inode(path=NAMESPACE) -> str:
    """The inode of a network namespace (digits), by default this process's; "" where unknown."""
    try:
        return str(posix.stat(path).st_ino)
    except (OSError, ValueError):
        return ""


def read_note(ip: str, nic: str, namespace: str):
    """The Note of a key, written in this boot; None where there is none that can be used."""
    text = _read(note_path(ip, nic, namespace))
    note = parse_note(text, ip, nic, namespace) if text else None
    if note and note.boot:
        boot = boot_id()
        if boot and boot != note.boot:
            return None
    return note


def is_of_this_namespace(note) -> bool:
    """Whether a Note was written in the network namespace that this process is in."""
    here = namespace_inode() if note.netns else ""
    return not here or here == note.netns


def _read(path):
    """The text of a note's file: a regular one of this user, links not followed; else ""."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK)
    except (OSError, ValueError):
        return ""
    try:
        told = posix.fstat(fd)
        if told.st_mode & 0o170000 != 0o100000 or told.st_uid != posix.geteuid():
            return ""
        return posix.read(fd, LIMIT).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        posix.close(fd)


def parse_note(text: str, ip: str, nic: str, namespace: str):
    """The Note in a file's text, None where it is not whole or is one of another key."""
    lines = text.split("\n")
    if lines[-2:] != ["end", ""]:
        return None             # cut short
    told = {}
    for line in lines[:-2]:
        name, _, value = line.partition(" ")
        told[name] = value
    try:
        index, name = told["interface"].split(" ")
        address, prefix = told["address"].split("/")
        shared, mac = told["shared"].split(" ") if told["shared"] else ("", "")
        key = told["nic"], told["network_namespace"]
        boot, netns = told["boot"], told["netns"]
    except (KeyError, ValueError):
        return None
    good = address == ip and key == (nic, namespace) and all(
        word.isascii() and word.isdigit() and len(word) < 11 for word in (index, prefix))
    if not good or not int(index):
        return None
    return Note(int(index), name, int(prefix), shared, mac, boot, netns)


def write_note(vip, index: int, shared: str = "", mac: str = "") -> bool:
    """Note that the VIP is about to be on vip.nic, whose number is index; whether that worked.

    shared is the backend that shares the address, with the MAC mac, "" for a plain one.
    """
    from .changes import files

    sharing = f"{shared} {mac}" if shared else ""
    text = (f"interface {index} {vip.nic}\n"
            f"address {vip.ip}/{vip.prefix}\n"
            f"nic {vip.params['nic']}\n"
            f"network_namespace {vip.namespace}\n"
            f"shared {sharing}\n"
            f"boot {boot_id()}\n"
            f"netns {namespace_inode()}\n"
            "end\n")
    path = note_path(vip.ip, vip.params["nic"], vip.namespace)
    try:
        files.replace_file(files.state_file(path.rpartition("/")[2]), text)
    except OSError as problem:
        ocf_log("warn", f"where {vip} is put cannot be noted in {path}: {problem.strerror}")
        return False
    return True


def remove_note(ip: str, nic: str, namespace: str) -> None:
    """Remove the note of a key, and one half written, whatever is in its place but a folder."""
    path = note_path(ip, nic, namespace)
    for name in (path, path + "~"):
        try:
            posix.unlink(name)
        except (OSError, ValueError):
            pass
