# SPDX-License-Identifier: GPL-2.0-only
"""The packages as bin/package builds them: what is in them, twice the same, and in a root of
Debian."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import lacking
from tests.lab.namespaces import CHECKOUT

pytestmark = [pytest.mark.slow, pytest.mark.long]
AGENTS = "/usr/lib/ocf/resource.d"
NOT_COMPARED = re.compile(r"\.pyc|rtupdate|/doc/|/licenses/|lintian")
ROOT_PACKAGES = "mount,python3,iproute2,resource-agents,python3-sh,ca-certificates"


def run(*argv, **options):
    """The output of a program that succeeds."""
    done = subprocess.run(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, "%s:\n%s" % (" ".join(map(str, argv)), done.stdout[-3000:])
    return done.stdout


def build(folder, kind):
    """Build in a copy of the checkout in a folder; the packages."""
    shutil.copytree(CHECKOUT, folder, symlinks=True, ignore=shutil.ignore_patterns(
        ".git", ".venv*", "__pycache__", "dist", "build", ".hypothesis", ".pytest_cache"))
    run(folder / "bin/package", kind, timeout=600)
    return sorted((folder / "dist").iterdir())


@pytest.fixture(scope="session", params=["deb", "rpm"])
def kind(request):
    return request.param


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Kind -> packages, built when they are asked for."""
    made = {}

    def get(kind):
        if os.geteuid():
            lacking("building packages needs root, for apt-get")
        if kind not in made:
            made[kind] = build(tmp_path_factory.mktemp(kind) / "one", kind)
        return made[kind]

    return get


def test_the_same_bytes_elsewhere_and_later(built, kind, tmp_path_factory):
    """The rpm's own header has the time of the release as well."""
    again = build(tmp_path_factory.mktemp("again") / "in" / "another-folder", kind)
    assert [one.name for one in again] == [one.name for one in built(kind)]
    assert [one.read_bytes() for one in again] == [one.read_bytes() for one in built(kind)]


def files_of(package):
    """Paths in a package -> mode, without folders, documentation and what compiling brings."""
    if package.suffix == ".deb":
        found = [(line.split()[0], line.split()[5][1:]) for line in
                 run("dpkg-deb", "-c", package).splitlines()]
    else:
        found = [(line.split()[0], line.split()[-1] if "->" not in line else line.split()[-3])
                 for line in run("rpm", "-qplv", package).splitlines() if "/" in line]
    return {path.replace(".gz", ""): mode for mode, path in found
            if not mode.startswith("d") and not NOT_COMPARED.search(path)}


def test_both_kinds_have_the_same_files(built):
    debs = {one.name.split("_")[0]: files_of(one) for one in built("deb")}
    rpms = {re.sub(r"-[\d.]+-\d.*", "", one.name): files_of(one) for one in built("rpm")}
    assert debs["ipaddr2-py"] == rpms["ipaddr2-py"]
    assert list(debs["ipaddr2-py-heartbeat"]) == [AGENTS + "/heartbeat/IPaddr2"]


def test_nothing_that_pip_brings(built):
    control = run("dpkg-deb", "-f", built("deb")[-1], "Depends", "Recommends")
    assert "python3-sh" in control and "pip" not in control


def test_the_checkers_are_content(built):
    for program, words in (("lintian", ["--pedantic", "--fail-on", "error,warning,info,pedantic"]),
                           ("rpmlint", ["-r", CHECKOUT / "packaging/rpm/rpmlintrc"])):
        if not shutil.which(program):
            lacking(program + " is not installed")
        run(program, *words, *built("deb" if program == "lintian" else "rpm"))


def test_the_sdist_tests_itself(built, tmp_path):
    """It is complete: the quick tests that are in it pass, and so does twine's check."""
    sdist, wheel = sorted(built("sdist"), key=lambda path: path.suffix != ".gz")
    assert wheel.suffix == ".whl"
    run("tar", "-xzf", sdist, "-C", tmp_path)
    folder, = tmp_path.iterdir()
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow",
        "tests/unit", cwd=folder, timeout=600)


@pytest.mark.parametrize("macros", [["fedora 41", "rhel 0"], ["suse_version 1600"]])
def test_the_spec_file_of_each_distribution(macros, tmp_path):
    text = (CHECKOUT / "packaging/rpm/ipaddr2-py.spec").read_text()
    spec = tmp_path / "ipaddr2-py.spec"
    spec.write_text(text.replace("@VERSION@", "1.0.0").replace("@CHANGELOG@", ""))
    defined = [word for macro in macros for word in ("--define", macro)]
    out = run("rpmspec", *defined, "-P", spec)
    assert "Requires:       python3dist(sh)" in out
    assert ("iproute2" in out) is ("suse_version" in macros[0])


# --- in a root -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory, built):
    """A root of Debian 12 with the packages in /packages: a function that runs a script in it."""
    if not shutil.which("mmdebstrap"):
        lacking("mmdebstrap is not installed")
    folder = tmp_path_factory.mktemp("root") / "root"
    run("mmdebstrap", "--variant=apt", "--include=" + ROOT_PACKAGES, "bookworm", folder,
        timeout=600)
    (folder / "packages").mkdir()
    for package in built("deb"):
        shutil.copy(package, folder / "packages")

    def inside(script):
        return run("unshare", "--mount", "--pid", "--fork", "chroot", folder, "sh", "-ec",
                   "mount -t proc proc /proc\nexport DEBIAN_FRONTEND=noninteractive\n" + script,
                   timeout=300)

    inside.folder = folder
    return inside


AGENT = AGENTS + "/heartbeat/IPaddr2"
IS_OURS = f"readlink {AGENT} | grep -q ipaddr2py\n{AGENT} meta-data | grep -q 'name=.IPaddr2'\n"
IS_THE_SHELLS = "test ! -L %s\nhead -1 %s | grep -q /bin/sh\n" % (AGENT, AGENT)


def test_installed_by_apt_and_compiled(root):
    root("apt-get -qq -y install /packages/ipaddr2-py_*.deb\n"
         "ls %s/ipaddr2py/IPaddr2\n"
         "test -n \"$(find /usr/lib/ocf/lib/ipaddr2py -name 'agent.*.pyc')\"\n"
         "vipctl check | grep 'compiled modules: those'\n"
         "vipctl --version\nman -w vipctl 2>/dev/null || test -e /usr/share/man/man8/vipctl.8.gz\n"
         % AGENTS + IS_THE_SHELLS)


def test_the_place_is_taken_kept_and_given_back(root):
    """Also where resource-agents is upgraded, and where the package is upgraded or purged."""
    root("apt-get -qq -y install /packages/ipaddr2-py*.deb\n" + IS_OURS)
    root("apt-get -qq -y install --reinstall resource-agents\n" + IS_OURS)
    root("dpkg -i /packages/ipaddr2-py*.deb\n" + IS_OURS)
    root("apt-get -qq -y remove ipaddr2-py-heartbeat\n" + IS_THE_SHELLS)
    root("apt-get -qq -y install /packages/ipaddr2-py*.deb\n" + IS_OURS)
    root("apt-get -qq -y purge ipaddr2-py-heartbeat ipaddr2-py\n" + IS_THE_SHELLS
         + "test ! -e /usr/lib/ocf/lib/ipaddr2py\ntest ! -e %s/ipaddr2py\n" % AGENTS
         + "dpkg-divert --list | grep IPaddr2 && exit 1\ntrue\n")


def test_an_installation_that_fails_gives_the_place_back(root):
    """dpkg calls postrm abort-install; the diversion goes with it."""
    root("apt-get -qq -y install /packages/ipaddr2-py_*.deb\n"
         "mkdir -p %s/heartbeat/.IPaddr2.resource-agents/x\n"
         "if dpkg -i /packages/ipaddr2-py-heartbeat_*.deb; then exit 1; fi\n"
         "rm -r %s/heartbeat/.IPaddr2.resource-agents\n"
         "dpkg --purge --force-all ipaddr2-py-heartbeat || true\n" % (AGENTS, AGENTS)
         + IS_THE_SHELLS)


def test_the_scriptlets_of_the_rpms(root, built):
    """By Debian's rpm, which has no resource-agents of its own: the place is taken and given
    back."""
    folder = root.folder
    root("apt-get -qq -y purge ipaddr2-py-heartbeat ipaddr2-py || true\n")

    def rpm(*words):
        run("rpm", "--root", folder, "--nodeps", *words)

    first, second = sorted(built("rpm"), key=lambda one: len(one.name))
    rpm("-i", first)
    rpm("-i", second)
    root(IS_OURS)
    rpm("-U", "--force", second)
    root(IS_OURS)
    rpm("-e", "ipaddr2-py-heartbeat")
    root(IS_THE_SHELLS)
    rpm("-e", "ipaddr2-py")
    assert not pathlib.Path(str(folder) + "/usr/lib/ocf/lib/ipaddr2py/ipaddr2_py/agent.py").exists()
