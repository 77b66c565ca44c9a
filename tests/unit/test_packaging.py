# SPDX-License-Identifier: GPL-2.0-only
"""pip puts everything in place, and `provider` makes an agent of it that works anywhere."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import pytest

from ipaddr2_py import __version__
from ipaddr2_py.provider import install as provider_module, metadata
from tests.conftest import lacking

#: In one worker: what they install, each of them would.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("packaging")]

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ("bin", "ipaddr2_py", "templates", "setup.cfg", "setup.py", "pyproject.toml",
           "MANIFEST.in", "LICENSE", "README.md")
EMPTY = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def run(*argv, rc=0, **options):
    """Run a program; stdout and stderr of it. Fails the test on another exit code than rc."""
    options.setdefault("env", EMPTY)
    done = subprocess.run(
        [str(word) for word in argv], cwd="/", text=True, capture_output=True, timeout=300,
        **options)
    assert done.returncode == rc, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def place():
    """A folder that user nobody can enter, which pytest's own cannot be."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ipaddr2-packaging-"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def sources(place):
    """A copy of the checkout, for a build leaves files behind."""
    for module, package in (("setuptools", "python3-setuptools"), ("wheel", "python3-wheel"),
                            ("venv", "python3-venv"), ("ensurepip", "python3-venv")):
        if not importlib.util.find_spec(module):
            lacking("Python's %s is missing (package %s)" % (module, package))
    folder = place / "sources"
    folder.mkdir()
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, folder / name,
                            ignore=shutil.ignore_patterns("__pycache__"))
        elif (CHECKOUT / name).exists():
            shutil.copy2(CHECKOUT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def venv(place, sources):
    """A virtual environment that sees the system's packages, after `pip install .`"""
    folder = place / "venv"
    run(sys.executable, "-m", "venv", "--system-site-packages", folder)
    run(folder / "bin/pip", "install", "--no-build-isolation", "--no-index", sources)
    return folder


@pytest.fixture(scope="module")
def lone_venv(place, sources):
    """A virtual environment that sees nothing else, with the package's wheel and sh in it."""
    folder = place / "lone"
    run(sys.executable, "-m", "venv", folder)
    run(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-index", "--no-deps",
        "--wheel-dir", place, sources)
    (wheel,) = place.glob("*.whl")
    run(folder / "bin/pip", "install", "--no-index", "--no-deps", wheel)
    origin = pathlib.Path(importlib.util.find_spec("sh").origin)
    shutil.copy(origin, site_packages(folder) / "sh.py")
    return folder


@pytest.fixture
def ocf_root(place):
    folder = pathlib.Path(tempfile.mkdtemp(dir=place))
    folder.chmod(0o755)
    return folder


def site_packages(venv):
    (folder,) = venv.glob("lib/python3*/site-packages")
    return folder


def provider(venv, *words, **options):
    return run(venv / "bin/python", "-I", "-m", "ipaddr2_py.provider", *words, **options)


def is_metadata(text):
    return ElementTree.fromstring(text).get("version") == __version__


def test_pip_puts_everything_in_place(venv):
    package = site_packages(venv) / "ipaddr2_py"
    assert (package / "templates/IPaddr2.xml.j2").is_file()
    assert (package / "templates/IPaddr2.7.j2").is_file()
    assert (package / "IPaddr2.xml").read_text(encoding="utf-8") == metadata.render()
    assert (venv / "share/man/man7/ocf_ipaddr2py_IPaddr2.7").read_text().startswith(".\\\"")
    for program in (package / "IPaddr2", package / "bin/vipctl", venv / "sbin/vipctl"):
        assert os.access(program, os.X_OK)
        assert program.read_text().splitlines()[0].endswith(" -IS")


def test_installed_programs_run(venv):
    assert is_metadata(run(site_packages(venv) / "ipaddr2_py/IPaddr2", "meta-data").stdout)
    for vipctl in (venv / "sbin/vipctl", site_packages(venv) / "ipaddr2_py/bin/vipctl"):
        assert "--force" in run(vipctl, "announce", "--help").stdout


def test_installed_package_finds_its_templates(venv):
    done = run(venv / "bin/python", "-I", "-c",
               "from ipaddr2_py.provider import metadata; print(metadata.templates_folder())")
    assert done.stdout.strip() == str(site_packages(venv) / "ipaddr2_py/templates")


@pytest.mark.parametrize("how", ["--link", "--copy"])
def test_installed_agent_in_a_provider_folder(venv, ocf_root, how):
    provider(venv, "install", how, "--ocf-root", ocf_root)
    agent = ocf_root / "resource.d/ipaddr2py/IPaddr2"
    assert agent.is_symlink() == (how == "--link")
    assert is_metadata(run(agent, "meta-data").stdout)
    assert is_metadata(run(agent, "meta-data", env={}).stdout)
    provider(venv, "remove", "--ocf-root", ocf_root)
    assert not [path for path in ocf_root.rglob("*") if path.is_file() or path.is_symlink()]


@pytest.mark.parametrize("how", ["--link", "--copy"])
def test_metadata_imports_no_jinja2(venv, ocf_root, how):
    provider(venv, "install", how, "--ocf-root", ocf_root)
    agent = ocf_root / "resource.d/ipaddr2py/IPaddr2"
    imports = run(sys.executable, "-IS", "-X", "importtime", agent, "meta-data").stderr
    assert "ipaddr2_py" in imports
    assert "jinja2" not in imports


@pytest.mark.parametrize("how", ["--link", "--copy"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_metadata_as_nobody(venv, ocf_root, how):
    provider(venv, "install", how, "--ocf-root", ocf_root, umask=0o077)
    agent = ocf_root / "resource.d/ipaddr2py/IPaddr2"
    for action in ("meta-data", "usage"):
        done = run(agent, action, env={}, user="nobody", group="nogroup", extra_groups=[])
        assert done.stderr == ""
    assert is_metadata(run(agent, "meta-data", env={}, user="nobody").stdout)


@pytest.mark.parametrize("how", ["--link", "--copy"])
def test_an_environment_of_its_own_is_enough(lone_venv, ocf_root, how):
    provider(lone_venv, "install", how, "--ocf-root", ocf_root)
    agent = ocf_root / "resource.d/ipaddr2py/IPaddr2"
    assert is_metadata(run(agent, "meta-data", env={}).stdout)
    assert "--force" in run(lone_venv / "sbin/vipctl", "announce", "--help").stdout


def test_a_missing_sh_is_told(lone_venv, ocf_root):
    module = site_packages(lone_venv) / "sh.py"
    text = module.read_text()
    module.write_text("raise ImportError('as if it were not there')\n")
    try:
        done = provider(lone_venv, "install", "--ocf-root", ocf_root, rc=1)
    finally:
        module.write_text(text)
    assert "has no library sh" in done.stderr
    assert not list(ocf_root.rglob("*IPaddr2*"))


@pytest.mark.parametrize("how", ["--link", "--copy"])
def test_checkout_in_a_provider_folder(sources, ocf_root, how):
    env = {**EMPTY, "PYTHONPATH": str(sources), "OCF_ROOT": str(ocf_root)}
    command = (sys.executable, "-m", "ipaddr2_py.provider")
    run(*command, "install", how, "--provider", "mine", env=env)
    agent = ocf_root / "resource.d/mine/IPaddr2"
    assert is_metadata(run(agent, "meta-data", env={}).stdout)
    if how == "--copy":
        assert agent.read_text().startswith("#!%s -IS\n" % sys.executable)
        assert (ocf_root / "lib/mine/ipaddr2_py/IPaddr2.xml").is_file()
        vipctl = ocf_root / "lib/mine/ipaddr2_py/bin/vipctl"
        assert "--force" in run(vipctl, "announce", "--help").stdout
    run(*command, "remove", "--provider", "mine", env=env)
    assert not agent.exists()


def test_a_link_takes_the_place_of_a_copy_and_back(venv, ocf_root):
    agent = ocf_root / "resource.d/ipaddr2py/IPaddr2"
    for how in ("--copy", "--copy", "--link", "--link", "--copy"):
        provider(venv, "install", how, "--ocf-root", ocf_root)
        assert (ocf_root / "lib/ipaddr2py/ipaddr2_py").exists() == (how == "--copy")
        assert agent.is_symlink() == (how == "--link")
        assert [path.name for path in agent.parent.iterdir()] == ["IPaddr2"]


def snapshot(root):
    """Path -> mode, link or content of all that is below root, folders too."""
    return {str(path.relative_to(root)): (
        os.lstat(path).st_mode, os.readlink(path) if path.is_symlink() else
        path.read_bytes() if path.is_file() else b"") for path in sorted(root.rglob("*"))}


@pytest.fixture
def in_place(tmp_path, monkeypatch):
    """A function in_place(before) with an installation of that kind ("" for none): its Places.

    What is tried out is noted and taken for good, as long as nothing else is set.
    """
    root = tmp_path / "ocf"
    root.mkdir()
    paths = provider_module.Places(str(root), "mine")
    monkeypatch.setattr(provider_module, "check", lambda agent, library: None)

    def make(before):
        if before:
            provider_module.install(paths, before == "link")
        if before == "copy":
            (root / "lib/mine/ipaddr2_py/only_the_old_one_has_it.py").write_text("")
        return paths

    return make


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("before", ["link", "copy", ""])
def test_a_copy_that_does_not_work_changes_nothing(in_place, monkeypatch, before, failing):
    """The new package is tried out first; and what fails in its place is taken back."""
    paths = in_place(before)
    root = pathlib.Path(paths.root)
    was = snapshot(root)
    seen = []

    def check(agent, library):
        seen.append(agent)
        assert (pathlib.Path(library) / "ipaddr2_py/agent.py").is_file()
        run(agent, "usage")         # finds that package, or fails
        if len(seen) == 1:          # nothing was touched so far
            assert was.items() <= snapshot(root).items()
        if len(seen) == failing:
            raise provider_module.ProviderError("as if it did not work")

    monkeypatch.setattr(provider_module, "check", check)
    with pytest.raises(provider_module.ProviderError, match="as if"):
        provider_module.install(paths, False)
    after = snapshot(root)
    if before:
        after.pop("lib")        # every root has one by now, a link's an empty one
        was.pop("lib", None)
        assert after == was
        assert is_metadata(run(paths.agent, "meta-data").stdout)
    else:
        assert not [name for name in after if "mine" in name]


@pytest.mark.parametrize("before", ["link", "copy"])
def test_a_copy_that_cannot_be_put_in_place_changes_nothing(in_place, monkeypatch, before):
    paths = in_place(before)
    was = snapshot(pathlib.Path(paths.root) / "resource.d")
    package = snapshot(pathlib.Path(paths.library))

    def replace(_old, _new):
        raise PermissionError(1, "Operation not permitted")     # chattr +i

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(PermissionError):
            provider_module.install(paths, False)
    assert snapshot(pathlib.Path(paths.root) / "resource.d") == was
    assert snapshot(pathlib.Path(paths.library)) == package
    provider_module.install(paths, False)
    assert not (pathlib.Path(paths.package) / "only_the_old_one_has_it.py").exists()
    assert is_metadata(run(paths.agent, "meta-data").stdout)


@pytest.mark.parametrize("folder, called", [
    ("bin", "./IPaddr2"), ("bin", "IPaddr2"), (".", "bin/IPaddr2"), ("bin", "../bin/IPaddr2"),
    ("links", "link"), ("links", "relative"), ("links", "chain"), ("links", "beside/IPaddr2"),
    (".", "{}/links/chain")])
def test_however_it_is_called(sources, folder, called):
    """By a relative path, and by links of each kind, the agent finds the package it belongs to."""
    place = sources / "links"
    place.mkdir(exist_ok=True)
    for name, target in (("link", sources / "bin/IPaddr2"), ("relative", "../bin/IPaddr2"),
                         ("chain", "relative"), ("beside", "../bin")):
        if not (place / name).is_symlink():
            (place / name).symlink_to(target)
    done = subprocess.run([sys.executable, "-IS", called.format(sources), "usage"], env={},
                          cwd=sources / folder, text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "validate-all" in done.stdout


def test_without_its_package_it_says_so(sources, tmp_path):
    shutil.copy(sources / "bin/IPaddr2", tmp_path / "IPaddr2")
    done = run(tmp_path / "IPaddr2", "meta-data", rc=5)
    assert done.stdout == ""
    assert done.stderr.startswith("ocf-exit-reason:the agent cannot run: ModuleNotFoundError(")
    assert done.stderr.endswith("belongs in '%s/../lib/%s'\n" % (tmp_path.parent, tmp_path.name))


def test_a_copys_modules_are_compiled_and_found_directly(need, venv, ocf_root):
    """What its speed rests on; nothing is left for the first monitor to compile or search."""
    need("strace", "strace")
    provider(venv, "install", "--copy", "--ocf-root", ocf_root)
    agent = ocf_root / "resource.d/ipaddr2py/IPaddr2"
    done = run("strace", "-f", "-e", "trace=open,openat", agent, "usage")
    opened = [line.split('"')[1] for line in done.stderr.splitlines() if "/ipaddr2_py/" in line]
    assert opened and not [path for path in opened if not path.endswith(".pyc")]
    assert len(set(opened)) == len(opened)


def test_a_foreign_agent_is_left_alone(venv, ocf_root):
    agent = ocf_root / "resource.d/heartbeat/IPaddr2"
    agent.parent.mkdir(parents=True)
    agent.write_text("#!/bin/sh\n")
    where = ("--provider", "heartbeat", "--ocf-root", ocf_root)
    done = provider(venv, "install", *where, rc=1)
    assert "dpkg-divert --local --rename" in done.stderr
    provider(venv, "remove", *where, rc=1)
    assert agent.read_text() == "#!/bin/sh\n"
    provider(venv, "install", "--force", *where)
    assert agent.is_symlink()
    assert is_metadata(run(agent, "meta-data").stdout)


@pytest.mark.parametrize("words, reason", [
    (("--provider", "../up"), "is no name for a provider"),
    (("--provider", ".hidden"), "is no name for a provider"),
    (("--provider", ""), "is no name for a provider"),
    (("--ocf-root", "/nonexistent"), "there is no folder /nonexistent"),
])
def test_wrong_words(venv, words, reason):
    done = provider(venv, "install", *words, rc=1)
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_removing_nothing_is_fine(venv, ocf_root):
    provider(venv, "remove", "--ocf-root", ocf_root)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_without_the_right_to_write(venv, ocf_root):
    done = provider(venv, "install", "--ocf-root", ocf_root, rc=1, user="nobody")
    assert "needs root" in done.stderr
