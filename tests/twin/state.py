# SPDX-License-Identifier: GPL-2.0-only
"""The network's state as sorted lists of texts, read with `ip -json`, in words that compare."""
import os
import subprocess

from tests.lab.state import decoded

FOREVER = 4294967295
FLAGS = {"NO-CARRIER": "no-carrier", "NOARP": "noarp"}
IGNORED = {"family", "local", "prefixlen", "valid_life_time", "preferred_life_time"}


def network(ip):
    """State of this network namespace and of every named one: addresses, links, routes, labels."""
    seen = {"addresses": [], "links": [], "routes": [], "labels": []}
    for namespace in [""] + sorted(os.listdir("/run/netns")):
        _one(ip, namespace, seen)
    return {field: sorted(texts) for field, texts in seen.items()}


def _one(ip, namespace, seen):
    where = namespace + ": " if namespace else ""
    start = [ip] + (["-n", namespace] if namespace else [])
    links, routes, labels = _batch(start, "addr show\nroute show table all\naddrlabel list\n")
    for link in links:
        name = where + link["ifname"]
        words = [name, "up" if "UP" in link["flags"] else "down"]
        words += [word for flag, word in FLAGS.items() if flag in link["flags"]]
        words += ["port"] if "master" in link else []
        seen["links"].append("%s index %d" % (" ".join(words), link["ifindex"]))
        seen["addresses"] += [name + " " + _address(entry) for entry in link["addr_info"]]
    seen["routes"] += [where + _route(entry) for entry in routes]
    seen["labels"] += [where + "%(address)s/%(prefixlen)s label %(label)s" % entry
                       for entry in labels]


def _batch(start, lines):
    """Run `ip -json -batch`; one decoded value per line of input."""
    result = subprocess.run(start + ["-json", "-batch", "-"], input=lines, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    values = decoded(result.stdout)
    if len(values) != lines.count("\n"):
        raise RuntimeError("ip -json said: %s%s" % (result.stdout, result.stderr))
    return values


def _address(entry):
    words = ["%(family)s %(local)s/%(prefixlen)d" % entry]
    words += ["%s %s" % (key, value) for key, value in sorted(entry.items())
              if key not in IGNORED and value is not True]
    words += sorted(key for key, value in entry.items() if value is True)
    return " ".join(words + [
        "valid " + _lifetime(entry["valid_life_time"]),
        "preferred " + _lifetime(entry["preferred_life_time"])])


def _lifetime(seconds):
    """Lifetimes count down, so that only forever, over and in between can be compared."""
    return {FOREVER: "forever", 0: "over"}.get(seconds, "set")


def _route(entry):
    entry = dict(entry)
    if "expires" in entry:
        entry["expires"] = "set"
    first = "%s %s" % (entry.pop("type", "unicast"), entry.pop("dst"))
    entry["flags"] = ",".join(entry["flags"]) or None
    return " ".join([first] + ["%s %s" % (key, value) for key, value in sorted(entry.items())
                               if value is not None])
