# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel says: interfaces, addresses, routes and neighbours of a namespace.

Read with `ip -json` and handed over as iproute2 names it (see ip-address(8), ip-route(8)).  This
is the judge of every test here, so it never imports the package under test.
"""

import ipaddress
import json
import subprocess
import time

PATIENCE = 20       # seconds: machines are busy at times; what a stop has to end lasts longer


def ip(namespace, *words, check=True):
    """Run `ip -n NAMESPACE WORDS`; give its stdout.  Raises AssertionError with what ip said."""
    done = subprocess.run(["ip", "-n", namespace, *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    assert not check or done.returncode == 0, "ip %s: %s" % (" ".join(words), done.stdout)
    return done.stdout


def batch(namespace, *lines):
    """Run several `ip` commands, one a line, by one process: quicker than ip() one by one."""
    done = subprocess.run(["ip", "-n", namespace, "-batch", "-"], input="\n".join(lines) + "\n",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    assert done.returncode == 0, "%s: %s" % (lines, done.stdout)


def decoded(text):
    """The values of `ip -json -batch`, which prints them one behind the other."""
    decoder, text, values = json.JSONDecoder(), text.strip(), []
    while text:
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:].strip()
    return values


def _json(namespace, *words):
    text = ip(namespace, "-json", *words)
    return [entry for entry in json.loads(text or "[]") if entry]


def links(namespace):
    """Interface name -> {"operstate", "flags", "address", "ifindex", ...}."""
    return {link["ifname"]: link for link in _json(namespace, "link", "show")}


def addresses(namespace, dev=None):
    """The addresses as dicts {"dev", "family", "local", "prefixlen", "label", "broadcast", ...}.

    Those the kernel makes by itself (IPv6 link-local) are left out.
    """
    return [dict(address, dev=link["ifname"])
            for link in _json(namespace, "addr", "show") if dev in (None, link["ifname"])
            for address in link.get("addr_info", [])
            if address.get("local") and not _made_by_kernel(address)]


def _made_by_kernel(address):
    return address["local"].startswith("fe80::") and "ff:fe" in address["local"]


def address(namespace, wanted):
    """The one address with value `wanted`, as addresses() gives it, or None.  Two are an error."""
    value = ipaddress.ip_address(wanted)
    found = [entry for entry in addresses(namespace)
             if ipaddress.ip_address(entry["local"]) == value]
    assert len(found) < 2, found
    return found[0] if found else None


def place(namespace, wanted):
    """Where `wanted` is: "eth0/24", or "" when it is nowhere."""
    found = address(namespace, wanted)
    return "%s/%d" % (found["dev"], found["prefixlen"]) if found else ""


def routes(namespace, family="inet", table="main"):
    """The routes as dicts {"dst", "dev", "metric", "type", "protocol", ...}; no multicast ones."""
    option = "-4" if family == "inet" else "-6"
    return [route for route in _json(namespace, option, "route", "show", "table", table)
            if route["dst"] != "ff00::/8"]


def neighbours(namespace):
    """IP address -> {"dev", "lladdr", "state": [...]}."""
    return {entry["dst"]: entry for entry in _json(namespace, "neigh", "show")}


def addrlabels(namespace):
    """"ADDRESS/PREFIX" -> label (an integer), of RFC 6724's table."""
    return {"%s/%d" % (entry["address"], entry["prefixlen"]): entry["label"]
            for entry in _json(namespace, "addrlabel", "list")}


def everything(namespace):
    """All that an agent could have changed, to be compared before and after."""
    settled = [{key: value for key, value in entry.items() if key != "tentative"}
               for entry in addresses(namespace)]
    up = {name: "UP" in link["flags"] for name, link in links(namespace).items()}
    found = [route for family in ("inet", "inet6") for route in routes(namespace, family)
             if not route["dst"].startswith("fe80:")]
    return {"addresses": settled, "routes": found, "labels": addrlabels(namespace), "up": up}


def processes(namespace):
    """Ids of the processes that live in the namespace."""
    done = subprocess.run(["ip", "netns", "pids", namespace], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
    return [int(word) for word in done.stdout.split()]


def wait_until(condition, what, seconds=PATIENCE):
    """Poll `condition` until it is true and give its value; fail after `seconds`, with `what`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "%s: not within %s s" % (what, seconds)
        time.sleep(0.02)
