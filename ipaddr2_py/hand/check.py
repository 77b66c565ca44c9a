# SPDX-License-Identifier: GPL-2.0-only
"""vipctl check: is this node fit to serve addresses?  What is wrong comes with what to do."""

import os
import platform
import re
import sys

from .. import __version__, commands
from ..announce import sender
from ..changes import files, interface, sh_import
from . import HandError, look, target, terminal

FINE, KNOW, WRONG = "fine", "worth knowing", "wrong"
OCF = "/usr/lib/ocf"


class Report:
    """The lines of a check: dicts {"topic", "verdict", "text", "remedy"}."""

    def __init__(self):
        self.lines: list = []

    def add(self, topic, verdict, text, remedy=""):
        """One more line."""
        self.lines.append({"topic": topic, "verdict": verdict, "text": text, "remedy": remedy})


def checked(options) -> list:
    """All lines."""
    report = Report()
    for check in (check_agent, check_providers, check_ip, check_libraries, check_senders,
                  check_sharing, check_folder, check_kernel):
        check(report)
    check_duplicates(report, options)
    return report.lines


def printed(*argv) -> list:
    """The lines that a program prints, none where it cannot be run."""
    result = commands.query(list(argv), 5.0)
    return [] if result.rc == 127 else (result.out + result.err).strip().splitlines()


def said(*argv) -> str:
    """The first line of what a program prints, "" where it cannot be run."""
    return "".join(printed(*argv)[:1]).strip()


# --- programs and libraries ------------------------------------------------------------------


def check_agent(report):
    """The agent's file, and whether its modules are compiled."""
    path = look.agent_path()
    report.add("agent", FINE, f"IPaddr2 {__version__} is {path}")
    status = os.stat(path)
    if not status.st_mode & 0o111:
        report.add("agent", WRONG, f"{path} cannot be executed", f"chmod 755 {path}")
    if status.st_uid or status.st_mode & 0o022:
        report.add("agent", WRONG, f"{path} can be changed by others than root",
                   f"chown root: {path}; chmod go-w {path}")
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    compiled = os.path.join(package, "__pycache__", f"agent.{sys.implementation.cache_tag}.pyc")
    if os.path.exists(compiled):
        report.add("compiled modules", FINE, f"those of Python {platform.python_version()} are "
                   "there")
    else:
        report.add("compiled modules", KNOW, "there are none for Python "
                   f"{platform.python_version()}: a monitor takes twice as long",
                   f"python3 -m compileall -q {package}")


def check_providers(report):
    """The provider folders, and what IPaddr2 is in each."""
    root = os.environ.get("OCF_ROOT", OCF) + "/resource.d"
    found = []
    for provider in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        path = os.path.join(root, provider, "IPaddr2")
        if os.path.lexists(path):
            found.append(f"ocf:{provider}:IPaddr2 ({version_of(path)})")
            if not os.path.exists(path):
                report.add("providers", WRONG, f"{path} is a link that leads nowhere",
                           "python3 -m ipaddr2_py.provider install")
    if found:
        report.add("providers", FINE, ", ".join(found))
    else:
        report.add("providers", WRONG, f"there is no IPaddr2 in {root}",
                   "python3 -m ipaddr2_py.provider install")


def version_of(path):
    """Which agent a file is, in a few words."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(65536)
    except OSError:
        return "cannot be read"
    if "ipaddr2_py" in text:
        return "this one"
    version = said("dpkg-query", "-W", "-f", "${Version}", "resource-agents") or \
        said("rpm", "-q", "--qf", "%{VERSION}", "resource-agents")
    return f"the shell agent {version}".strip() if re.match(r"\d", version) else "the shell agent"


def check_ip(report):
    """ip(8)."""
    version = said("ip", "-V")
    if version:
        report.add("ip", FINE, version)
    else:
        report.add("ip", WRONG, "ip is not installed", "install iproute2")


def check_libraries(report):
    """The libraries sh and jinja2, as the agent finds them."""
    sh_import.add_site_packages()
    for name, verdict, why in (("sh", WRONG, "a start ends with 5"),
                               ("jinja2", KNOW, "metadata cannot be rendered in a checkout")):
        try:
            module = sh_import.load() if name == "sh" else __import__(name)
        except ImportError:
            report.add(name, verdict, f"the Python library {name} is missing: {why}",
                       f"install python3-{name}")
            continue
        version = getattr(module, "__version__", "unknown")
        report.add(name, FINE, f"{version}, {os.path.dirname(module.__file__ or '')}")


def check_senders(report):
    """Who announces."""
    folder = sender.ha_bin()
    for program, family in (("send_arp", "IPv4"), ("send_ua", "IPv6")):
        path = f"{folder}/{program}"
        if os.access(path, os.X_OK):
            report.add(program, FINE, f"{path} announces {family}")
        else:
            report.add(program, KNOW, f"{path} is not installed: the built-in sender announces "
                       f"{family}")
    arping = printed("arping", "-V")
    if not arping:
        report.add("arping", KNOW, "not installed: arp_sender=iputils_arping and run_arping do not "
                   "work", "install iputils-arping")
    elif interface.is_foreign_arping("\n".join(arping)):
        report.add("arping", KNOW, f"{arping[0]}: not that of iputils or BusyBox, which run_arping "
                   "needs")
    else:       # BusyBox's does not know -V, and tells its name in a later line
        report.add("arping", FINE, next((line for line in arping if "BusyBox" in line), arping[0]))


def check_sharing(report):
    """What Cluster IP can use."""
    from ..clusterip import target as clusterip

    usable = []
    if commands.find(clusterip.iptables()[0]) and clusterip.has_target():
        usable.append("clusterip (the target CLUSTERIP)")
    if commands.find("nft") and commands.query(["nft", "list", "tables"], 5.0).rc == 0:
        usable.append("nft")
    if commands.find("iptables") and commands.find("arptables"):
        usable.append("iptables with arptables")
    if usable:
        report.add("shared addresses", FINE, f"by {', '.join(usable)}; auto takes the first")
    else:
        report.add("shared addresses", KNOW, "none of nft, iptables with arptables and the target "
                   "CLUSTERIP can be used", "install nftables, for clones that share an address")


# --- the host --------------------------------------------------------------------------------


def check_folder(report):
    """HA_RSCTMP."""
    path = os.environ.get("HA_RSCTMP", "/run/resource-agents")
    if os.path.islink(path):
        report.add("HA_RSCTMP", WRONG, f"{path} is a symbolic link, which is not followed: no note "
                   "or pid file can be kept", "name the folder itself")
    elif not os.path.isdir(path):
        report.add("HA_RSCTMP", FINE, f"{path} is made by the first start")
    else:
        status = os.stat(path)
        if status.st_uid or status.st_mode & 0o022 and not status.st_mode & 0o1000:
            report.add("HA_RSCTMP", WRONG, f"others than root can change files in {path}",
                       f"chown root: {path}; chmod 1755 {path}")
        else:
            report.add("HA_RSCTMP", FINE, path)


def setting(name) -> str:
    """A setting of the kernel, below /proc/sys/net; "" where there is none."""
    return files.read_file("/proc/sys/net/" + name, 64).strip()


def check_kernel(report):
    """Settings that matter."""
    report.add("kernel", FINE, f"Linux {platform.release()}")
    if setting("ipv4/conf/all/promote_secondaries") == "1":
        report.add("promote_secondaries", FINE, "on: no address is lost with another one")
    else:
        report.add("promote_secondaries", KNOW, "off: the agent switches it on for the moment of a "
                   "deletion; other programs that delete addresses lose secondary ones",
                   "sysctl net.ipv4.conf.all.promote_secondaries=1")
    if setting("ipv4/conf/all/ignore_routes_with_linkdown") == "1":
        report.add("ignore_routes_with_linkdown", FINE, "on")
    off = [nic for nic in interfaces() if setting(f"ipv6/conf/{nic}/disable_ipv6") == "1"]
    if off:
        report.add("IPv6", KNOW, f"switched off on {', '.join(off)}: no IPv6 address can be added "
                   "there", f"sysctl net.ipv6.conf.{off[0]}.disable_ipv6=0")
    elif os.path.isdir("/proc/sys/net/ipv6"):
        report.add("IPv6", FINE, "on everywhere")
    else:
        report.add("IPv6", KNOW, "this kernel runs without it")
    none = [nic for nic in interfaces() if nic != "lo"
            and (setting(f"ipv6/conf/{nic}/accept_dad") == "0"
                 or setting(f"ipv6/conf/{nic}/dad_transmits") == "0")]
    if none:
        report.add("duplicate address detection", KNOW, f"switched off on {', '.join(none)}: IPv6 "
                   "duplicates are not noticed there")


def interfaces() -> list:
    """Names of the interfaces."""
    try:
        return sorted(os.listdir("/proc/sys/net/ipv6/conf"))[:0] + sorted(
            name for name in os.listdir("/sys/class/net"))
    except OSError:
        return []


def check_duplicates(report, options):
    """Addresses that two resources of the cluster have."""
    try:
        known = target.read_cib(options)
    except HandError as problem:
        report.add("cluster", KNOW, f"not looked at: {problem}")
        return
    by_address: dict = {}
    for one in known.resources:
        by_address.setdefault(one.params.get("ip", ""), []).append(one.id)
    double = [f"{ip} is that of {' and '.join(ids)}" for ip, ids in by_address.items()
              if len(ids) > 1]
    if double:
        report.add("cluster", WRONG, "; ".join(double), "give each address to one resource")
    else:
        report.add("cluster", FINE, f"{len(known.resources)} IPaddr2 resources, no address twice")


def text(lines) -> str:
    """The lines for a terminal."""
    kinds = {FINE: "good", KNOW: "note", WRONG: "bad"}
    shown = []
    for line in lines:
        head = terminal.paint(kinds[line["verdict"]], f"{line['verdict']:<14}")
        shown.append(head + f"{line['topic']}: {line['text']}")
        if line["remedy"]:
            shown.append(" " * 14 + f"-> {line['remedy']}")
    return "\n".join(shown)


def status(lines) -> int:
    """The exit status: 1 where something is wrong."""
    return 1 if any(line["verdict"] == WRONG for line in lines) else 0
