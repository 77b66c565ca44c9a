# SPDX-License-Identifier: GPL-2.0-only
"""One machine of the lab: a set of namespaces that ends with the pipe its first process reads."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(os.path.abspath(__file__)).parents[2]
PROVIDER = "ipaddr2py"
OURS = f"ocf:{PROVIDER}:IPaddr2"
SECONDS = 1800  # a machine that was forgotten ends by itself
LIMIT = 120  # seconds for any one command in a machine
ENVIRONMENT = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TERM=dumb",
               "HOME=/run/home", "OCF_ROOT=/usr/lib/ocf")


def installed(folder):
    """Install the agent below folder, once, as an administrator would: not run from the checkout,
    where its metadata are rendered anew each time, which Pacemaker waits for before each start."""
    ocf = folder / "ocf"
    if not ocf.exists():
        ocf.mkdir()
        subprocess.run(["/usr/bin/python3", "-B", "-m", "ipaddr2_py.provider", "install", "--copy",
                        "--provider", PROVIDER, "--ocf-root", ocf], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    return ocf


class Machine:
    """One set of namespaces with its processes. folder keeps what outlives a reboot."""

    def __init__(self, name, folder):
        self.name, self.folder, self.init, self.pid = name, folder, None, None

    def __repr__(self):
        return self.name

    def boot(self):
        """Start PID 1 and wait until it is ready."""
        (self.folder / self.name).mkdir(parents=True, exist_ok=True)
        ocf = installed(self.folder)
        self.init = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
             sys.executable, "-B", pathlib.Path(__file__).with_name("node.py"), self.name,
             self.folder / self.name, ocf, PROVIDER, str(SECONDS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.init.stdout.readline().strip()
        assert self.pid, f"the first process of {self.name} did not start"
        self.run("ip", "link", "set", "lo", "up")

    def alive(self):
        """True while the machine has its PID 1."""
        return self.init is not None and self.init.poll() is None

    def cut(self):
        """Power off: the kernel kills every process of the machine."""
        if self.init is not None:
            self.init.stdin.close()

    def gone(self):
        """Wait for the end of a machine that was cut."""
        if self.init is not None:
            self.init.wait(timeout=60)
            self.init.stdout.close()

    def argv(self, *argv):
        """The words that run argv in the machine."""
        return ["nsenter", "-t", self.pid, "-m", "-u", "-i", "-n", "-p", "--",
                "env", "-i", *ENVIRONMENT, *map(str, argv)]

    def run(self, *argv, check=True, **options):
        """Run argv to its end and return its CompletedProcess, stdout and stderr as text."""
        done = subprocess.run(self.argv("timeout", "-k", "2", LIMIT, *argv), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        assert not check or done.returncode == 0, (
            f"{self.name}: {' '.join(map(str, argv))}: status {done.returncode}\n"
            f"{done.stdout}{done.stderr}")
        return done

    def spawn(self, *argv, **options):
        """Start argv and return its Popen; it ends with kill(), or with the machine."""
        return subprocess.Popen(self.argv("setpriv", "--pdeathsig", "KILL", "--", *argv),
                                stdin=subprocess.DEVNULL, **options)

    def log(self, name):
        """A file for the output of a daemon."""
        return open(self.folder / self.name / "var/log" / name, "ab")

    def addresses(self):
        """The addresses on the interfaces of the machine, as a set of text."""
        links = json.loads(self.run("ip", "-json", "address", "show").stdout)
        return {a["local"] for link in links for a in link["addr_info"] if "local" in a}
