# SPDX-License-Identifier: GPL-2.0-only
"""The first process of a lab machine, started by lab.py through unshare(1).

    node.py NAME FOLDER OCF PROVIDER SECONDS

It finds itself PID 1 of new mount, pid, net, ipc and uts namespaces, hides everything a cluster
writes to behind mounts of its own, prints its pid as the host sees it, and waits. It ends when
its standard input does (whoever holds the other end has ended, or wants the power off) or after
SECONDS; the kernel then kills all that still runs in the pid namespace.

What must outlive a reboot of the machine lies in FOLDER: Pacemaker's and Corosync's state, their
configuration and logs. The agent that was copied below the folder OCF is seen beside the installed
providers, as ocf:PROVIDER:IPaddr2. Nothing outside the namespaces changes.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

RESOURCE_D = pathlib.Path("/usr/lib/ocf/resource.d")
KEPT = ("etc/corosync", "etc/pacemaker", "var/lib/corosync", "var/lib/pacemaker", "var/lib/pcsd",
        "var/log")
OWNED = {  # by hacluster:haclient, as the packages have them
    "/var/lib/pacemaker/blackbox": 0o750, "/var/lib/pacemaker/cib": 0o750,
    "/var/lib/pacemaker/cores": 0o750, "/var/lib/pacemaker/pengine": 0o750,
    "/var/log/pacemaker": 0o770, "/var/log/crmsh": 0o775,
}


def mount(*argv):
    """mount(8); raises CalledProcessError."""
    subprocess.run(["mount", *map(str, argv)], check=True)


def hide_host(folder):
    """Private /proc, /run and /dev/shm (libqb's ring buffers), and KEPT from below folder."""
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", "/proc")
    mount("-t", "sysfs", "sysfs", "/sys")  # /sys/class/net of this net namespace
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/dev/shm")
    for name in ("lock", "home", "netns", "resource-agents"):
        os.makedirs("/run/" + name)
    for name in KEPT:
        kept = folder / name
        kept.mkdir(parents=True, exist_ok=True)
        if os.path.isdir("/" + name):
            mount("--bind", kept, "/" + name)
    if (folder / "etc/hosts").exists():
        mount("--bind", folder / "etc/hosts", "/etc/hosts")
    for name, mode in OWNED.items():
        os.makedirs(name, exist_ok=True)
        os.chmod(name, mode)
        shutil.chown(name, "hacluster", "haclient")
    for name in ("corosync", "pcsd"):
        os.makedirs("/var/log/" + name, exist_ok=True)


def show_agent(ocf, provider):
    """Put a tmpfs over RESOURCE_D that has the installed providers and one more."""
    installed, copy = pathlib.Path("/run/resource.d"), pathlib.Path("/run/ocf")
    installed.mkdir()
    mount("--bind", RESOURCE_D, installed)
    copy.mkdir()
    mount("--bind", ocf, copy)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", RESOURCE_D)
    for folder in installed.iterdir():
        (RESOURCE_D / folder.name).mkdir()
        mount("--bind", folder, RESOURCE_D / folder.name)
    (RESOURCE_D / provider).mkdir()
    (RESOURCE_D / provider / "IPaddr2").symlink_to(copy / "resource.d" / provider / "IPaddr2")


def reap(*_):
    """Take note of the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def main(name, folder, ocf, provider, seconds):
    """Set the machine up, say so, wait for the end."""
    pid_on_host = os.readlink("/proc/self")  # the host's /proc is still mounted here
    hide_host(pathlib.Path(folder))
    show_agent(ocf, provider)
    socket.sethostname(name)
    signal.signal(signal.SIGCHLD, reap)         # orphans end up here; their time is counted
    # PID 1 is immune to signals it has no handler for
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.alarm(int(seconds))
    print(pid_on_host, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
