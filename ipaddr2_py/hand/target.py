# SPDX-License-Identifier: GPL-2.0-only
"""What a verb is about: resources of the cluster by their id or address, or name=value words."""

import difflib

from .. import addresses, params
from . import HandError, cib, cluster

#: Names that are no parameters of the agent, but come from the cluster.
META = ("CRM_meta_clone", "CRM_meta_clone_max", "CRM_meta_globally_unique", "CRM_meta_interval",
        "CRM_meta_timeout", "netmask", "trace_ra", "trace_dir")


def read_cib(options) -> cib.Cib:
    """The Cib that the options name, or that of this cluster; raises HandError."""
    node = cluster.node_name()
    if options.cib:
        return cib.of_file(options.cib, node)
    return cib.of_this_cluster(node)


def one_of(words, options) -> cib.Resource:
    """The one Resource that the words name; raises HandError."""
    if not words:
        raise HandError("name a resource, or parameters such as ip=192.0.2.10", 2)
    if any("=" in word for word in words) or is_address(words[0]):
        return by_hand(words)
    if len(words) > 1:
        raise HandError(f"one resource at a time: {' '.join(words)}", 2)
    found = named(read_cib(options), words[0])
    return found[0]


def named(known: cib.Cib, word: str) -> list:
    """The Resources of that id, of a group or clone of that id, or of that address."""
    plain = word.rpartition(":")[0] if word.rpartition(":")[2].isdigit() and \
        not is_address(word) else word
    found = [one for one in known.resources if word in (one.id, *one.inside) or plain == one.id
             or is_address(word) and same(word, one.params.get("ip", ""))]
    if found:
        return found
    names = [one.id for one in known.resources]
    near = difflib.get_close_matches(word, names, 3, 0.5)
    there = f"did you mean {' or '.join(near)}?" if near else \
        f"there are: {', '.join(names)}" if names else "the cluster has none"
    raise HandError(f"there is no IPaddr2 resource {word!r}; {there}", 2)


def by_hand(words) -> cib.Resource:
    """The Resource that name=value words make; the word ip= may be left out."""
    known = [parameter.name for parameter in params.TABLE]
    values: dict = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and is_address(word) and "ip" not in values:
            name, value = "ip", word
        elif not equals:
            raise HandError(f"{word!r} is neither name=value nor an address", 2)
        if name not in known and name not in META:
            near = difflib.get_close_matches(name, known, 3, 0.5)
            raise HandError(f"the agent has no parameter {name!r}"
                            + (f"; did you mean {' or '.join(near)}?" if near else ""), 2)
        values[name] = value
    if not values.get("ip"):
        raise HandError("ip=ADDRESS is missing", 2)
    return cib.Resource("by-hand", "", values, {})


def is_address(word: str) -> bool:
    """Whether a word is an IP address."""
    return bool(addresses.address_bytes(word, "inet6" if ":" in word else "inet"))


def same(first: str, second: str) -> bool:
    """Whether two texts are the same address."""
    family = "inet6" if ":" in first else "inet"
    return addresses.canonical(first, family) == addresses.canonical(second, family)
