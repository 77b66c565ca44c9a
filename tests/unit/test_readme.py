# SPDX-License-Identifier: GPL-2.0-only
"""README.md says what is so: its parameters, its map of functions, its differences, its files."""

import importlib
import pathlib
import re
import subprocess
import sys

import pytest

from ipaddr2_py import params
from tests.conftest import lacking
from tests.twin import expected

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (CHECKOUT / "README.md").read_text(encoding="utf-8")
SHELL = {
    "IPaddr2": "/usr/lib/ocf/resource.d/heartbeat/IPaddr2",
    "findif.sh": "/usr/lib/ocf/lib/heartbeat/findif.sh",
    "ocf-shellfuncs": "/usr/lib/ocf/lib/heartbeat/ocf-shellfuncs",
    "ocf-binaries": "/usr/lib/ocf/lib/heartbeat/ocf-binaries",
}
DEFINED = r"^([a-z_0-9]+) *\(\)"
QUOTED = r"`([^`]+)`"


def section(heading):
    """The text below a heading, up to the next one of its level."""
    assert TEXT.count("\n## %s\n" % heading) == 1
    return TEXT.split("\n## %s\n" % heading)[1].split("\n## ")[0]


def table(heading):
    """The rows of the one table below a heading, each a list of its cells' texts."""
    rows = [line for line in section(heading).splitlines() if line.startswith("|")]
    assert re.fullmatch(r"\|(---\|)+", rows[1])
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in rows[2:]]


def test_parameters_are_those_of_the_table():
    names = [row[0].strip("`") for row in table("Parameters")]
    assert names == [parameter.name for parameter in params.TABLE]


def test_parameters_are_what_the_command_beside_them_prints():
    command = re.search(r"<!-- made by: python3 -c '([^']*)' -->", TEXT).group(1)
    printed = subprocess.run([sys.executable, "-c", command], cwd=CHECKOUT, check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    assert printed in TEXT


def test_all_differences_are_there():
    rows = table("Where it differs, on purpose")
    assert [row[0] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
    assert all(len(row) == 4 and all(row) for row in rows)
    assert "with %s differences" % in_words(len(rows)) in TEXT.replace("\n", " ")


def in_words(number):
    """A number from 21 to 99 as it is written out."""
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()[number // 10 - 2]
    ones = " one two three four five six seven eight nine".split(" ")[number % 10]
    return tens + ("-" + ones if ones else "")


def test_the_comparison_of_both_agents_knows_the_same_rows():
    """Each row of the table has an entry there, or a word on why it has none; and no other has."""
    numbers = {int(row[0]) for row in table("Where it differs, on purpose")}
    shown = {entry.row for entry in expected.TABLE.values()}
    assert shown | set(expected.NOT_SHOWN) == numbers
    assert not shown & set(expected.NOT_SHOWN)


@pytest.mark.parametrize("row", table("Where it differs, on purpose"), ids=lambda row: row[0])
def test_a_difference_has_a_test(row):
    named = re.findall(QUOTED, row[3])
    assert named
    for name in named:
        path, _, function = name.partition("::")
        text = (CHECKOUT / path).read_text(encoding="utf-8")
        assert not function or "\ndef %s(" % function in text, name


@pytest.mark.parametrize("row", table("Where to find what"), ids=lambda row: row[0])
def test_the_functions_of_the_map_exist(row):
    named = re.findall(QUOTED, row[1])
    assert named
    for name in named:
        module, attribute = name.split(".")
        found = getattr(importlib.import_module("ipaddr2_py." + module), attribute)
        assert getattr(found, "__module__", "") in ("ipaddr2_py." + module, ""), name


def shell_functions(path):
    """Names of the functions that a file of the shell agent defines."""
    try:
        with open(path, encoding="utf-8") as file:
            return set(re.findall(DEFINED, file.read(), re.MULTILINE))
    except OSError:
        lacking("%s is missing (package resource-agents)" % path)


def test_the_map_is_complete():
    """Every function of the agent and of findif.sh, and those of the libraries that they use."""
    mapped = {name for row in table("Where to find what") for name in re.findall(QUOTED, row[0])}
    own = shell_functions(SHELL["IPaddr2"]) | shell_functions(SHELL["findif.sh"])
    assert len(own) > 30
    assert own <= mapped
    text = "".join(pathlib.Path(SHELL[name]).read_text(encoding="utf-8")
                   for name in ("IPaddr2", "findif.sh"))
    libraries = shell_functions(SHELL["ocf-shellfuncs"]) | shell_functions(SHELL["ocf-binaries"])
    code = re.sub(r"#.*", "", text)
    used = {name for name in libraries if re.search(r"\b%s\b" % name, code)}
    assert used <= mapped
    assert mapped <= own | libraries | set(SHELL)


def test_files_and_links_exist():
    linked = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    named = re.findall(r"`((?:bin|tests|doc|templates)/[a-z_0-9/.]+|[a-z_]+\.py)(?:::\w+)?`", TEXT)
    assert "doc/start.svg" in linked
    for name in linked + named:
        assert (CHECKOUT / name).exists() or (CHECKOUT / "ipaddr2_py" / name).exists(), name


@pytest.mark.parametrize("tool", ["crm", "pcs"])
def test_cluster_examples(tool):
    """One address of each family, as plain commands with parameters that exist."""
    block = re.search(r"<!-- example: %s -->\n```sh\n(.*?)```" % tool, TEXT, re.DOTALL).group(1)
    lines = block.replace("\\\n", " ").splitlines()
    assert len(lines) == 2 and all(line.startswith(tool + " ") for line in lines)
    known = {parameter.name for parameter in params.TABLE} | {"interval", "timeout"}
    assert set(re.findall(r"(\w+)=", block)) <= known
    assert all(" ocf:ipaddr2py:IPaddr2 " in line for line in lines)
