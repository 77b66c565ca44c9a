# SPDX-License-Identifier: GPL-2.0-only
"""A throw-away machine under qemu whose kernel still has the iptables target CLUSTERIP.

Debian 12's kernel (Linux 6.1) is fetched with `apt-get download`, and booted with an initramfs that
holds this machine's own programs, Python and shell agent. Nothing is installed, no network, no KVM
needed; one command runs in it as root. What was fetched and built stays in IPADDR2_VM_CACHE
(default: ipaddr2-vm in XDG_CACHE_HOME, or in /var/tmp).
"""

import fcntl
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

from tests.vm.archive import Archive

PYTHON = os.path.basename(os.path.realpath("/usr/bin/python3"))     # python3.11
#: Packages whose programs and libraries make the guest, and those that may be missing.
NEEDED = """base-files bash coreutils dash debianutils gawk grep hostname iproute2 iptables
    iputils-arping libc-bin lib{0}-minimal lib{0}-stdlib mount procps python3-minimal python3-sh
    {0}-minimal resource-agents sed util-linux""".format(PYTHON)
WELCOME = "mawk nftables arptables"
FETCHED = "kmod"                # the guest's modprobe, where this machine has none installed
#: Alternatives, which belong to no package, and the few files that programs look up.
LOOSE = ["/usr/bin/awk", "/usr/bin/which", "/usr/bin/arping", "/usr/sbin/iptables",
         "/usr/sbin/ip6tables", "/usr/sbin/arptables", "/etc/passwd", "/etc/group",
         "/etc/protocols", "/etc/nsswitch.conf"]
MODULES = ("kernel/net/netfilter/", "kernel/net/ipv4/netfilter/", "kernel/net/ipv6/netfilter/",
           "kernel/drivers/net/veth.ko", "kernel/drivers/net/dummy.ko", "kernel/drivers/net/vrf.ko")
LEFT_OUT = re.compile(r"/python3[.0-9]*/(test|idlelib|lib2to3|ensurepip|pydoc_data|config-)|"
                      r"/systemd/|/share/|/dist-packages/sh.*/tests")
INIT = """#!/bin/sh
# ttyS0 is the kernel's console, ttyS1 the command's output, ttyS2 its exit status.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
ln -s /proc/self/fd /dev/fd
ip link set lo up
stty -F /dev/ttyS1 raw -echo
cd /
setsid -w sh /command </dev/null >/dev/ttyS1 2>&1
status=$?
stty -F /dev/ttyS1 raw
echo "status $status" >/dev/ttyS2
stty -F /dev/ttyS2 raw
echo b >/proc/sysrq-trigger
"""


_machines: list = []    # that run: each a Popen of qemu


def seconds():
    """What a machine is given: within CI's 10 minutes, unless a busy host grants it more."""
    return int(os.environ.get("IPADDR2_VM_LIMIT", "540"))


class NoMachine(Exception):
    """The machine cannot be had here; the text says why."""


def cache_folder():
    """Where fetched packages and the built archive are kept."""
    given = os.environ.get("IPADDR2_VM_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "/var/tmp"
    folder = pathlib.Path(given or os.path.join(base, "ipaddr2-vm"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def output(*argv, **more):
    """A program's stdout as text; raises NoMachine where it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **more)
    if done.returncode:
        raise NoMachine("%s: %s" % (shlex.join(argv), done.stderr.strip()[-300:]))
    return done.stdout


def fetch(cache, package):
    """Download a package and unpack it; its folder."""
    folder = cache / package
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=cache) as work:
            output("apt-get", "-q", "download", package, cwd=work)
            (deb,) = pathlib.Path(work).glob("*.deb")
            output("dpkg-deb", "-x", str(deb), work + "/tree")
            os.rename(work + "/tree", folder)
    return folder


def kernel(cache):
    """The folder of an unpacked 6.1 kernel package: one that is there, else the newest of apt."""
    there = sorted(path for path in cache.glob("linux-image-6.1.0-*") if path.is_dir())
    if there:
        return there[-1]
    names = kernel_packages()
    if not names and os.geteuid() == 0:
        output("apt-get", "-q", "update")
        names = kernel_packages()
    problem = "apt knows no linux-image-6.1.0-*-cloud-amd64, which Debian 12 has (apt-get update?)"
    for name in sorted(names, key=lambda name: -int(re.split(r"[.-]", name)[5]))[:4]:
        try:
            return fetch(cache, name)
        except NoMachine as failure:
            problem = str(failure)
    raise NoMachine(problem)


def kernel_packages():
    """Names of the packages that hold a 6.1 kernel for virtual machines, as far as apt knows."""
    return [name for name in output("apt-cache", "pkgnames", "linux-image-6.1.0-").split()
            if re.fullmatch(r"linux-image-6\.1\.0-\d+-cloud-amd64(-unsigned)?", name)]


# --- the guest's files -----------------------------------------------------------------------


def package_files():
    """The paths of the guest's programs and libraries on this machine."""
    paths = list(LOOSE)
    for package in (NEEDED + " " + WELCOME).split():
        try:
            listed = output("dpkg", "-L", package)
        except NoMachine:
            if package in NEEDED.split():
                raise NoMachine("package %s is not installed" % package) from None
            continue
        paths += [path for path in listed.splitlines()
                  if re.match(r"(/usr)?/(s?bin|lib|lib64|libexec)/|/etc/", path)
                  and not LEFT_OUT.search(path)]
    return [path for path in paths if os.path.islink(path) or os.path.isfile(path)]


def libraries(paths):
    """The shared libraries that these files need, and the loader."""
    elves = [path for path in paths if os.access(path, os.X_OK) or ".so" in path]
    told = subprocess.run(["ldd", *elves], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True).stdout
    return sorted(set(re.findall(r"(/\S+\.so\S*) \(0x", told)))


def byte_code(paths):
    """The compiled form of Python modules, where it is there: slow to make in the guest."""
    for path in paths:
        folder, _, name = path.rpartition("/")
        compiled = "%s/__pycache__/%s.cpython-3%s.pyc" % (
            folder, name[:-3], PYTHON.partition(".")[2])
        if name.endswith(".py") and os.path.exists(compiled):
            yield compiled


def add_modules(archive, tree, work):
    """The packet filter's modules with what they depend on, and modprobe's index of them."""
    (source,) = (tree / "lib/modules").iterdir()
    depmod = shutil.which("depmod") or str(fetch(cache_folder(), FETCHED) / "sbin/depmod")
    whole = pathlib.Path(work) / "whole/lib/modules" / source.name
    shutil.copytree(source, whole)
    output(depmod, "-b", str(pathlib.Path(work) / "whole"), source.name)
    wanted = set()
    for line in (whole / "modules.dep").read_text().splitlines():
        first, *others = line.replace(":", "").split()
        if first.startswith(MODULES):
            wanted.update([first, *others])
    few = pathlib.Path(work) / "few/lib/modules" / source.name
    for name in sorted(wanted) + ["modules.order", "modules.builtin", "modules.builtin.modinfo"]:
        (few / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole / name, few / name)
    output(depmod, "-b", str(pathlib.Path(work) / "few"), source.name)
    for path in few.rglob("*"):
        if path.is_file():
            archive.add("/usr" + str(path)[len(str(work)) + len("/few"):], path)


def build(target, tree, cache):
    """Write the guest's initramfs."""
    with tempfile.TemporaryDirectory(dir=cache) as work:
        archive = Archive(pathlib.Path(work) / "cpio")
        for link in ("bin", "sbin", "lib", "lib64"):
            archive.link("/" + link, "usr/" + link)
        for folder in ("/dev", "/proc", "/sys", "/tmp", "/root", "/run/resource-agents",
                       "/run/netns", "/var/log"):
            archive.folder(folder)
        paths = package_files()
        for path in [*paths, *libraries(paths), *byte_code(paths)]:
            archive.add_with_links(path)
        kmod = fetch(cache, FETCHED)
        for path in kmod.rglob("*"):
            if "/share/" not in str(path) and (path.is_symlink() or path.is_file()):
                archive.add(str(path)[len(str(kmod)):], path)
        for path in libraries([str(kmod / "bin/kmod")]):
            archive.add_with_links(path)
        add_modules(archive, tree, work)
        archive.write("/init", INIT.encode(), 0o755)
        archive.close()
        os.replace(archive.path, target)


# --- running ---------------------------------------------------------------------------------


def base_image(cache, tree):
    """The initramfs for what is installed here now; built when that changed."""
    state = pathlib.Path("/var/lib/dpkg/status").read_bytes() + str(tree).encode()
    for source in sorted(pathlib.Path(__file__).parent.glob("*.py")):
        if source.name in ("lab.py", "archive.py"):
            state += source.read_bytes()
    image = cache / ("base-%s.cpio" % hashlib.sha256(state).hexdigest()[:12])
    if not image.exists():
        for old in cache.glob("base-*.cpio"):
            old.unlink()
        build(image, tree, cache)
    return image


def run(command, folders, seconds):
    """Run argv `command` in the machine, host `folders` (paths) in it; (exit status, stdout).

    Raises NoMachine where it cannot be built, TimeoutError with what it said after `seconds`.
    """
    qemu = shutil.which("qemu-system-x86_64")
    if not qemu:
        raise NoMachine("qemu-system-x86_64 is not installed (package qemu-system-x86)")
    cache = cache_folder()
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)        # one builder at a time
        tree = kernel(cache)
        image = base_image(cache, tree)
    (bootable,) = (tree / "boot").glob("vmlinuz-*")
    with tempfile.TemporaryDirectory(dir=cache) as work:
        place = pathlib.Path(work)
        extra = Archive(place / "extra")
        for folder in folders:
            for path in sorted(pathlib.Path(folder).rglob("*")):
                if path.is_file():
                    extra.add(str(path), path)
        extra.write("/command", shlex.join(command).encode(), 0o644)
        extra.close()
        with open(place / "initrd", "wb") as initrd:
            for part in (image, extra.path):
                initrd.write(part.read_bytes())
        for name in ("console", "out", "status"):
            (place / name).touch()
        done = machine(
            [qemu, "-accel", "tcg,thread=multi", "-cpu", "qemu64,+rdrand", "-smp", "2",
             "-m", "1024", "-nodefaults", "-no-user-config", "-nic", "none", "-display", "none",
             "-no-reboot", "-kernel", str(bootable), "-initrd", str(place / "initrd"),
             "-append", "console=ttyS0 panic=-1 mitigations=off quiet rdinit=/init",
             *sum((["-serial", "file:%s" % (place / name)]
                   for name in ("console", "out", "status")), [])],
            seconds, place)
        status = re.search(r"status (\d+)", (place / "status").read_text())
        if not status:
            raise NoMachine("the machine ended without a status: %s\n%s" % (
                done[-500:], (place / "console").read_text(errors="replace")[-2000:]))
        return int(status[1]), (place / "out").read_text(errors="replace")


def machine(argv, seconds, place):
    """Run qemu to its end; what it printed."""
    # It is not to outlive this process.
    argv = ["setpriv", "--pdeathsig", "KILL", *argv]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as qemu:
        _machines.append(qemu)
        try:
            return qemu.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            said = (place / "out").read_text(errors="replace")
            raise TimeoutError("not done after %d s; the last words were:\n%s" % (
                seconds, said[-2000:])) from None
        finally:
            qemu.kill()
            _machines.remove(qemu)


def power_off():
    """End every machine that runs."""
    for qemu in list(_machines):
        qemu.kill()
