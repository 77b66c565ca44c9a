# SPDX-License-Identifier: GPL-2.0-only
"""Puts the agent into an OCF provider folder, and takes it away again.

    python3 -m ipaddr2_py.provider install [--provider NAME] [--ocf-root DIR] [--link | --copy]
                                           [--ocf-api 1.0|1.1]
    python3 -m ipaddr2_py.provider remove [--provider NAME] [--ocf-root DIR]
    python3 -m ipaddr2_py.provider parameters

A link leads to the agent where it is, in a checkout or in the installed package. A copy depends on
neither: the agent is written to DIR/resource.d/NAME, its package to DIR/lib/NAME, where the agent
looks for it.
"""

import argparse
import compileall
import os
import re
import shutil
import sys
import tempfile

from .. import commands
from . import metadata

AGENT = "IPaddr2"
VIPCTL = "vipctl"
PACKAGE_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHEBANG_LIMIT = 127  # bytes; what Linux before 5.1 reads of the first line

DIVERT = """\
{path} is not ours, so it stays as it is.
To put this agent in the place of another package's, have dpkg move that one out of the way first:
  dpkg-divert --local --rename --divert {aside} --add {path}
and, to go back, after 'remove':
  dpkg-divert --local --rename --remove {path}
Elsewhere than on Debian, or to replace the file for good: --force."""


class ProviderError(Exception):
    """What the user asked for cannot be done; the text says why and what would help."""


def program_file(name: str) -> str:
    """The path of a program of ours: in the installed package, or in bin/ of a checkout."""
    checkout = os.path.join(os.path.dirname(PACKAGE_FOLDER), "bin", name)
    for path in (os.path.join(PACKAGE_FOLDER, name), os.path.join(PACKAGE_FOLDER, "bin", name),
                 checkout):
        if os.path.isfile(path):
            return path
    raise ProviderError(f"there is no {name} in {PACKAGE_FOLDER} and no {checkout}")


def copy_program(source: str, target: str, interpreter: str) -> None:
    """Copy a program of ours, with the shebang `interpreter -IS`, mode 0755."""
    shebang = f"#!{interpreter} -IS\n"
    if re.search(r"\s", interpreter) or len(os.fsencode(shebang)) > SHEBANG_LIMIT:
        raise ProviderError(
            f"the path of the interpreter, {interpreter!r}, cannot stand in the first line of a "
            f"program: it has to be free of white space and to fit into {SHEBANG_LIMIT} bytes. Use "
            "a Python with a shorter path.")
    with open(source, encoding="utf-8") as file:
        text = file.read().split("\n", 1)[1]
    with open(target, "w", encoding="utf-8") as file:
        file.write(shebang + text)
    os.chmod(target, 0o755)


def is_ours(path: str) -> bool:
    """Whether path is an agent of ours: a link to one, dangling or not, or a copy."""
    if os.path.islink(path) and not os.path.exists(path):
        return os.readlink(path).endswith(("/bin/" + AGENT, "/ipaddr2_py/" + AGENT))
    try:
        with open(path, "rb") as file:
            return b"ipaddr2_py" in file.read(65536)
    except OSError:
        return False


def install(paths, link: bool, force: bool = False, api: str = "") -> None:
    """Install the agent at paths (Places), as a link or else as a copy, and try it out.

    An agent that is there already, and works, is replaced by one that was seen to work.
    """
    if not os.path.isdir(paths.root):
        raise ProviderError(
            f"there is no folder {paths.root}; is Pacemaker installed? --ocf-root names another")
    folder, name = os.path.split(paths.agent)
    if os.path.lexists(paths.agent) and not is_ours(paths.agent) and not force:
        aside = os.path.join(folder, f".{name}.diverted")
        raise ProviderError(DIVERT.format(path=paths.agent, aside=aside))
    make_folder(folder, paths.root)
    new = os.path.join(folder, f".{name}.{os.getpid()}")  # agents with a dot are not listed
    try:
        if link:
            os.symlink(program_file(AGENT), new)
            check(new, os.path.dirname(PACKAGE_FOLDER))
            os.replace(new, paths.agent)
        else:
            copy_program(program_file(AGENT), new, sys.executable)
            install_copy(paths, new, api)
    finally:
        if os.path.lexists(new):
            os.unlink(new)
        if not os.path.lexists(paths.agent):
            remove(paths)
    if link:
        remove_package(paths)


def install_copy(paths, new: str, api: str) -> None:
    """Put the agent `new` and a copy of this package into their places, seen to work before.

    Where anything fails, the agent and the package that were there stay, together.
    """
    make_folder(paths.library, paths.root)
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=paths.library) as folder:
            package = os.path.join(folder, "ipaddr2_py")
            make_package(package, api, paths.package)
            trial = os.path.join(folder, "trial", AGENT)    # an agent looks one folder up first
            os.mkdir(os.path.dirname(trial))
            shutil.copy(new, trial)
            check(trial, folder)
            old = os.path.join(folder, "old")
            if os.path.lexists(paths.package):
                os.rename(paths.package, old)
            try:
                os.rename(package, paths.package)
                check(new, paths.library)
                os.replace(new, paths.agent)
            except BaseException:
                if os.path.lexists(paths.package):
                    os.rename(paths.package, package)
                if os.path.lexists(old):
                    os.rename(old, paths.package)
                raise
    finally:
        remove_empty(paths.library)


def make_package(new: str, api: str, place: str) -> None:
    """Make a folder `new` of this package, compiled, that is going to be at `place`.

    api is the OCF API of the metadata, "" for that of this package.
    """
    shutil.copytree(PACKAGE_FOLDER, new, ignore=shutil.ignore_patterns("__pycache__", AGENT, "bin"))
    os.mkdir(os.path.join(new, "bin"))
    copy_program(program_file(VIPCTL), os.path.join(new, "bin", VIPCTL), sys.executable)
    templates = os.path.join(new, "templates")
    if not os.path.isdir(templates):
        shutil.copytree(metadata.templates_folder(), templates)
    rendered = os.path.join(new, AGENT + ".xml")
    if api or not os.path.exists(rendered):
        with open(rendered, "w", encoding="utf-8") as file:
            file.write(metadata.render(api=api or "1.0"))
    compileall.compile_dir(new, ddir=place, quiet=1)
    readable(new)


def readable(folder: str) -> None:
    """Let everybody read folder and what is in it, whatever the umask was, and run programs."""
    for path, _, files in os.walk(folder):
        os.chmod(path, 0o755)
        for name in files:
            program = os.path.basename(path) == "bin"
            os.chmod(os.path.join(path, name), 0o755 if program else 0o644)


def make_folder(folder: str, root: str) -> None:
    """Make folder and those above it, down from root, mode 0755 whatever the umask is."""
    if not os.path.isdir(folder):
        if os.path.dirname(folder) != root:
            make_folder(os.path.dirname(folder), root)
        os.mkdir(folder)
        os.chmod(folder, 0o755)


def check(agent, library):
    """Run the agent's meta-data as a cluster manager would, with an empty environment.

    library is the folder of the package that the agent uses. Its start needs sh as well.
    """
    with open(agent, encoding="utf-8") as file:
        first = file.readline().strip()
    interpreter = first[2:].split(" ")[0]
    commands.load_environment({})
    result = commands.query([os.path.abspath(agent), "meta-data"])
    if result.rc != 0 or "<resource-agent" not in result.out:
        raise ProviderError(
            f"{program_file(AGENT)} meta-data does not work (exit code {result.rc}): "
            f"{result.err.strip() or 'no output'}\nIts first line is {first}. With --copy it gets "
            f"{sys.executable}, and the package beside it.")
    program = (f"import sys; sys.path.insert(0, {library!r}); from ipaddr2_py.changes import "
               "sh_import; sh_import.add_site_packages(); import sh")
    if commands.query([interpreter, "-IS", "-c", program]).rc != 0:
        raise ProviderError(
            f"{interpreter}, which is to run the agent, has no library sh, and a start needs it: "
            "install python3-sh (Debian), or sh with its pip")


def remove(paths) -> None:
    """Remove what install() made; nothing else, and no complaint where there is nothing."""
    if os.path.lexists(paths.agent):
        if not is_ours(paths.agent):
            raise ProviderError(f"{paths.agent} is not ours, so it stays as it is")
        os.unlink(paths.agent)
    remove_package(paths)
    remove_empty(os.path.dirname(paths.agent))


def remove_package(paths) -> None:
    """Remove the package that a copied agent brought along, if there is one."""
    if os.path.isfile(os.path.join(paths.package, "params.py")):
        shutil.rmtree(paths.package)
        remove_empty(paths.library)


def remove_empty(folder: str) -> None:
    """Remove folder if it is there and empty."""
    if os.path.isdir(folder) and not os.listdir(folder):
        os.rmdir(folder)


class Places:
    """Paths of one installation: root, agent (the file), library (folder), package (in it)."""

    __slots__ = ("root", "agent", "library", "package")

    def __init__(self, ocf_root, provider):
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", provider):
            raise ProviderError(
                f"{provider!r} is no name for a provider: letters, digits, '_', '-' and '.', not "
                "beginning with '-' or '.'")
        self.root = os.path.abspath(ocf_root)
        self.agent = os.path.join(self.root, "resource.d", provider, AGENT)
        self.library = os.path.join(self.root, "lib", provider)
        self.package = os.path.join(self.library, "ipaddr2_py")


def arguments(argv):
    """The parsed command line."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--provider", default="ipaddr2py", metavar="NAME",
                        help="the agent becomes ocf:NAME:IPaddr2 (default: %(default)s)")
    shared.add_argument("--ocf-root", default=os.environ.get("OCF_ROOT") or "/usr/lib/ocf",
                        metavar="DIR", help="default: $OCF_ROOT, else /usr/lib/ocf")
    parser = argparse.ArgumentParser(
        prog="python3 -m ipaddr2_py.provider",
        description="Put the agent IPaddr2 into an OCF provider folder, or take it away.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    adding = verbs.add_parser("install", parents=[shared], help="make the agent known to clusters")
    how = adding.add_mutually_exclusive_group()
    how.add_argument("--link", action="store_true", default=True,
                     help="a symbolic link to the agent where it is now (the default)")
    how.add_argument("--copy", action="store_false", dest="link",
                     help="a copy of agent and package, run by this Python")
    adding.add_argument("--force", action="store_true",
                        help="overwrite an agent that is not ours")
    adding.add_argument("--ocf-api", choices=("1.0", "1.1"), default="",
                        help="API of the copy's metadata; 1.1 has reload-agent, for Pacemaker 2.1 "
                        "and later (default: as built, 1.0)")
    verbs.add_parser("remove", parents=[shared], help="undo install")
    verbs.add_parser("parameters", help="print the page doc/parameters.md")
    options = parser.parse_args(argv)
    if getattr(options, "ocf_api", "") and options.link:
        parser.error("--ocf-api needs --copy: a link leads to metadata that are there already")
    return options


def main(argv=None):
    """Run the command; return its exit code, 1 with a reason on standard error."""
    options = arguments(argv)
    if options.verb == "parameters":
        print(metadata.render_parameters(), end="")
        return 0
    try:
        paths = Places(options.ocf_root, options.provider)
        if options.verb == "remove":
            remove(paths)
            print(f"removed ocf:{options.provider}:{AGENT}")
        else:
            install(paths, options.link, options.force, options.ocf_api)
            print(f"installed ocf:{options.provider}:{AGENT} as {paths.agent}")
    except ProviderError as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as problem:
        hint = "; this needs root" if isinstance(problem, PermissionError) else ""
        print(f"{problem}{hint}", file=sys.stderr)
        return 1
    return 0
