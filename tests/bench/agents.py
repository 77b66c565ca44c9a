# SPDX-License-Identifier: GPL-2.0-only
"""Which agents are measured, and what they and this machine are.

The checkout is measured as it gets installed: a copy in a scratch folder, with compiled modules
and rendered metadata.
"""

import os
import pathlib
import platform
import subprocess
import time

from ipaddr2_py import __version__

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
DEBIAN = "/usr/bin/python3"
SHELL = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def said(*argv, default="unknown", **more):
    """The first line that a program prints, stripped; the default where it fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=60, **more)
    except OSError:
        return default
    lines = done.stdout.strip().splitlines()
    return lines[0] if lines and not done.returncode else default


def with_sh(folder, python, version):
    """A virtual environment in `folder` with jinja2 and sh `version` from PyPI; its interpreter."""
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    interpreter = str(folder / "bin" / "python3")
    subprocess.run([interpreter, "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
                    "jinja2", "sh==" + version], check=True)
    return interpreter


def install(folder, interpreter):
    """Install the checkout below `folder`, to be run by an interpreter; the agent's path."""
    folder.mkdir()
    subprocess.run([interpreter, "-m", "ipaddr2_py.provider", "install", "--copy", "--provider",
                    "bench", "--ocf-root", str(folder)], check=True, cwd=CHECKOUT,
                   stdout=subprocess.DEVNULL)
    return str(folder / "resource.d" / "bench" / "IPaddr2")


def interpreter_of(agent):
    """The interpreter in an agent's first line, "" where that is no Python."""
    with open(agent, encoding="utf-8", errors="replace") as file:
        first = file.readline()
    words = first[2:].split() if first.startswith("#!") else []
    return words[0] if words and "python" in words[0] else ""


def versions(agent):
    """What a Python agent runs on: {"python", "sh"}; {} for another agent."""
    interpreter = interpreter_of(agent)
    if not interpreter:
        return {}
    code = ("import sys; sys.path[:0] = [%r, %r]; from ipaddr2_py.changes import sh_import; "
            "sh_import.add_site_packages(); import sh; print(sh.__version__)"
            % (str(CHECKOUT), os.path.dirname(agent) + "/../../lib/bench"))
    return {"python": said(interpreter, "-c", "import platform; print(platform.python_version())"),
            "sh": said(interpreter, "-IS", "-c", code)}


def machine():
    """This machine and what both agents use of it, as a dict of texts and numbers."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    release = {}
    with open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.strip().partition("=")
            release[name] = value.strip('"')
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": os.uname().release,
        "system": release.get("PRETTY_NAME", "unknown"),
        "iproute2": said("ip", "-V").rpartition("iproute2-")[2].partition(",")[0],
        "resource-agents": said("dpkg-query", "-W", "-f", "${Version}", "resource-agents"),
        "ipaddr2-py": __version__,
        "commit": said("git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"),
        "load average before": round(os.getloadavg()[0], 2),
    }


def environment(folder, ip, action, **parameters):
    """The environment of an agent's run; parameters become OCF_RESKEY_<name>.

    One announcement is sent, so that what a start leaves behind ends at once.
    """
    interval = "0" if action in ("probe", "start", "stop") else "10000"
    given = {"ip": ip, "arp_count": "1", "CRM_meta_interval": interval,
             "CRM_meta_timeout": "20000", **parameters}
    basis = {"PATH": PATH, "OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "vip",
             "OCF_RA_VERSION_MAJOR": "1", "HA_RSCTMP": str(folder / "rsctmp"),
             "HA_LOGFILE": str(folder / "log")}
    basis.update(("OCF_RESKEY_" + name, value) for name, value in given.items())
    return basis


def command(agent, action):
    """The argv of a run; a probe is a monitor."""
    return [agent, "monitor" if action == "probe" else action]
