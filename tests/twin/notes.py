# SPDX-License-Identifier: GPL-2.0-only
"""What our agent noted at start, read from a state, and where that is by now."""
import re
from collections import namedtuple

# index of the interface, prefix length, both digits; text: the whole note
Note = namedtuple("Note", "index prefix text")
NOTE = re.compile(r": interface (\d+) \S+; address (\S+)/(\d+); nic (\S*); "
                  r"network_namespace (\S*); ")


def find(state, ip, nic, namespace=""):
    """The Note of a resource, None where there is none. nic: as it is given, without a label."""
    for text in state["notes"]:
        match = NOTE.search(text)
        if match and match.group(2, 4, 5) == (ip, nic, namespace):
            return Note(match.group(1), match.group(3), text)
    return None


def interface(state, index, namespace=""):
    """Name of the interface with that index now, "" where there is none."""
    for text in state["links"]:
        inside, _, link = text.rpartition(": ")
        if inside == namespace and link.endswith(" index " + index):
            return link.split()[0]
    return ""


def is_down(state, nic, namespace=""):
    """Whether that interface is switched off."""
    start = (namespace + ": " if namespace else "") + nic + " down"
    return any(text.startswith(start) for text in state["links"])


def places(state, ip, namespace=""):
    """{(interface, prefix)} of an address in a state, but for those with a peer."""
    found = set()
    for text in state["addresses"]:
        inside, _, address = text.rpartition(": ")
        nic, _, local, *more = address.split()
        if inside == namespace and local.partition("/")[0] == ip and "address" not in more:
            found.add((nic, local.partition("/")[2]))
    return found
