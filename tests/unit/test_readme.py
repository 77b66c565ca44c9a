# SPDX-License-Identifier: GPL-2.0-only
"""README.md and the pages of doc/ say what is so: parameters, the map of functions, differences,
files, figures."""

import importlib
import json
import pathlib
import re

import pytest

from ipaddr2_py import params
from ipaddr2_py.provider import metadata
from tests.conftest import lacking
from tests.twin import expected, versions

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PAGES = {path.relative_to(CHECKOUT).as_posix(): path.read_text(encoding="utf-8") for path in [
    CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "tests/README.md",
    *sorted((CHECKOUT / "doc").glob("*.md"))]}
TEXT = PAGES["README.md"]
SHELL = {
    "IPaddr2": "/usr/lib/ocf/resource.d/heartbeat/IPaddr2",
    "findif.sh": "/usr/lib/ocf/lib/heartbeat/findif.sh",
    "ocf-shellfuncs": "/usr/lib/ocf/lib/heartbeat/ocf-shellfuncs",
    "ocf-binaries": "/usr/lib/ocf/lib/heartbeat/ocf-binaries",
}
DEFINED = r"^([a-z_0-9]+) *\(\)"
QUOTED = r"`([^`]+)`"


def table(page, heading):
    """The rows of the one table below a heading of a page, each a list of its cells' texts."""
    text = PAGES[page]
    assert text.count(heading + "\n") == 1
    below = text.split(heading + "\n")[1].split("\n## ")[0]
    rows = [line for line in below.splitlines() if line.startswith("|")]
    assert re.fullmatch(r"\|(---\|)+", rows[1])
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in rows[2:]]


DIFFERENCES = table("doc/differences.md", "# Where it differs, on purpose")
MAP = table("doc/source.md", "## Where to find what")


def test_the_page_of_parameters_is_rendered():
    assert PAGES["doc/parameters.md"] == metadata.render_parameters()


def test_the_readme_is_a_page():
    assert len(TEXT.splitlines()) <= 150


def test_all_differences_are_there():
    assert [row[0] for row in DIFFERENCES] == [str(one + 1) for one in range(len(DIFFERENCES))]
    assert all(len(row) == 4 and all(row) for row in DIFFERENCES)
    assert "with %s differences" % in_words(len(DIFFERENCES)) in TEXT.replace("\n", " ")


def in_words(number):
    """A number from 21 to 99 as it is written out."""
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()[number // 10 - 2]
    ones = " one two three four five six seven eight nine".split(" ")[number % 10]
    return tens + ("-" + ones if ones else "")


def test_the_comparison_of_both_agents_knows_the_same_rows():
    """Each row of the table has an entry there, or a word on why it has none; and no other has."""
    numbers = {int(row[0]) for row in DIFFERENCES}
    shown = {entry.row for entry in expected.TABLE.values()}
    assert shown | set(expected.NOT_SHOWN) == numbers
    assert not shown & set(expected.NOT_SHOWN)


def test_the_comparison_with_newer_shell_agents_knows_the_same_rows():
    rows = re.findall(r"^\| ([A-Z]) \| (\S+) \|", PAGES["doc/versions.md"], re.MULTILINE)
    assert [row for row, _ in rows] == sorted(row for row, _ in rows)
    shown = {entry[0] for entry in versions.ROWS.values()} | set("HI")     # test_versions.py
    assert {row for row, _ in rows} == shown


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row[0])
def test_a_difference_has_a_test(row):
    named = re.findall(QUOTED, row[3])
    assert named
    for name in named:
        path, _, function = name.partition("::")
        text = (CHECKOUT / path).read_text(encoding="utf-8")
        assert not function or "\ndef %s(" % function in text, name


@pytest.mark.parametrize("row", MAP, ids=lambda row: row[0])
def test_the_functions_of_the_map_exist(row):
    named = re.findall(QUOTED, row[1])
    assert named
    for name in named:
        module, _, attribute = name.rpartition(".")
        found = getattr(importlib.import_module("ipaddr2_py." + module), attribute)
        assert getattr(found, "__module__", "") in ("ipaddr2_py." + module, ""), name


RENAMED = {"getloopbackinfo": "getnetworkinfo"}     # since 4.16
SINCE_4_8 = {"log_send_ua"}
SINCE_4_17 = {"ocf_version_cmp"}
#: Functions of the shell agent whose work is done without a function, or by one of Python's.
UNNAMED = {"ocf_release_lock_on_exit", "ocf_stop_trace"}


def test_functions_keep_their_names():
    """Each function of the map is found under the name that it has in the shell agent."""
    for row in MAP:
        theirs = set(re.findall(QUOTED, row[0])) - set(SHELL) - UNNAMED
        ours = {name.rpartition(".")[2] for name in re.findall(QUOTED, row[1])}
        assert theirs <= ours, row


def shell_functions(path):
    """Names of the functions that a file of the shell agent defines."""
    try:
        with open(path, encoding="utf-8") as file:
            return set(re.findall(DEFINED, file.read(), re.MULTILINE))
    except OSError:
        lacking("%s is missing (package resource-agents)" % path)


def test_the_map_is_complete():
    """Every function of the agent and of findif.sh, and those of the libraries that they use."""
    mapped = {name for row in MAP for name in re.findall(QUOTED, row[0])}
    own = shell_functions(SHELL["IPaddr2"]) | shell_functions(SHELL["findif.sh"])
    own = {RENAMED.get(name, name) for name in own}
    assert len(own) > 30
    assert own <= mapped
    text = "".join(pathlib.Path(SHELL[name]).read_text(encoding="utf-8")
                   for name in ("IPaddr2", "findif.sh"))
    libraries = shell_functions(SHELL["ocf-shellfuncs"]) | shell_functions(SHELL["ocf-binaries"])
    code = re.sub(r"#.*", "", text)
    used = {name for name in libraries - SINCE_4_17 if re.search(r"\b%s\b" % name, code)}
    assert used <= mapped
    assert mapped <= own | libraries | set(SHELL) | SINCE_4_8


@pytest.mark.parametrize("page", PAGES)
def test_files_and_links_exist(page):
    home = (CHECKOUT / page).parent
    for name in re.findall(r"\]\(([^)#:]+)\)", PAGES[page]):
        assert (home / name).exists(), name
    for name in re.findall(r"`((?:bin|tests|doc|templates|ipaddr2_py)/[a-z_0-9/.]+)(?:::\w+)?`",
                           PAGES[page]):
        assert (CHECKOUT / name).exists(), name


def test_no_page_is_lost():
    """The README leads to every page."""
    linked = set(re.findall(r"\]\(([^)#:]+)\)", TEXT))
    assert {name for name in PAGES if name != "README.md"} <= linked


def test_figures_are_summaries():
    for path in (CHECKOUT / "doc").glob("*.json"):
        assert path.stat().st_size < 24000
        json.loads(path.read_text())


@pytest.mark.parametrize("tool", ["crm", "pcs"])
def test_cluster_examples(tool):
    """One address of each family, as plain commands with parameters that exist."""
    block = re.search(r"<!-- example: %s -->\n```sh\n(.*?)```" % tool, TEXT, re.DOTALL).group(1)
    lines = block.replace("\\\n", " ").splitlines()
    assert len(lines) == 2 and all(line.startswith(tool + " ") for line in lines)
    known = {parameter.name for parameter in params.TABLE} | {"interval", "timeout"}
    assert set(re.findall(r"(\w+)=", block)) <= known
    assert all(" ocf:ipaddr2py:IPaddr2 " in line for line in lines)
