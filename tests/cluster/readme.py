# SPDX-License-Identifier: GPL-2.0-only
"""The README's own examples: what it shows is what the tests run."""
import re

from tests.cluster.machine import ROOT

EXAMPLE = r"<!-- example: {} -->\s*```\w*\n(.*?)```"


def example(name):
    """The text of the fenced block that follows <!-- example: name --> in the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(EXAMPLE.format(re.escape(name)), text, re.DOTALL)
    assert len(found) == 1, f"README.md should have one block marked <!-- example: {name} -->"
    return found[0]


def addresses(commands):
    """{resource: address} of the crm or pcs commands in a block."""
    joined = commands.replace("\\\n", " ")
    pairs = re.findall(r"(?:primitive|resource create)\s+(\S+)\s+ocf:\S+.*?\bip=(\S+)", joined)
    assert pairs, "no resource is created by: " + commands
    return dict(pairs)
