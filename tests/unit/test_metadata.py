# SPDX-License-Identifier: GPL-2.0-only
"""The metadata and the manual page that come out of the table."""

import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from ipaddr2_py import __version__, params
from ipaddr2_py.provider import metadata
from tests.conftest import lacking

SCHEMAS = "/usr/share/resource-agents/"


@pytest.fixture(scope="module")
def root():
    return ElementTree.fromstring(metadata.render())


def test_head(root):
    assert metadata.render().startswith(
        '<?xml version="1.0"?>\n<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">\n<resource-agent ')
    assert root.tag == "resource-agent"
    assert root.attrib == {"name": "IPaddr2", "version": __version__}
    assert root.findtext("version") == "1.0"
    assert root.findtext("shortdesc") == params.SHORTDESC
    assert root.findtext("longdesc").split() == params.LONGDESC.split()


def test_another_name():
    assert ElementTree.fromstring(metadata.render("VIP")).get("name") == "VIP"


def test_each_parameter_is_there_in_order(root):
    assert [p.get("name") for p in root.iter("parameter")] == [p.name for p in params.TABLE]


@pytest.mark.parametrize("parameter", params.TABLE, ids=lambda p: p.name)
def test_parameter(root, parameter):
    element = root.find("parameters/parameter[@name='%s']" % parameter.name)
    assert [child.tag for child in element] == ["longdesc", "shortdesc", "content"]
    assert element.get("unique") == ("1" if parameter.unique else "0")
    assert element.get("required") == ("1" if parameter.required else "0")
    assert element.find("longdesc").get("lang") == "en"
    assert element.find("shortdesc").get("lang") == "en"
    assert element.findtext("longdesc").split() == parameter.longdesc.split()
    assert element.findtext("shortdesc") == parameter.shortdesc
    assert element.find("content").get("type") == parameter.type
    assert element.find("content").get("default") == parameter.default


def test_every_optional_parameter_has_a_default(root):
    for element in root.iter("parameter"):
        assert (element.find("content").get("default") is None) == (element.get("required") == "1")


def test_actions(root):
    assert [dict(action.attrib) for action in root.iter("action")] == [
        {"name": "start", "timeout": "20s"},
        {"name": "stop", "timeout": "20s"},
        {"name": "status", "timeout": "20s", "interval": "10s", "depth": "0"},
        {"name": "monitor", "timeout": "20s", "interval": "10s", "depth": "0"},
        {"name": "monitor", "timeout": "20s", "interval": "30s", "depth": "10"},
        {"name": "meta-data", "timeout": "5s"},
        {"name": "validate-all", "timeout": "20s"},
    ]


def test_lines_fit_a_terminal():
    for line in metadata.render().splitlines():
        assert len(line) < 100
        assert line == line.rstrip()


def test_markup_in_values_is_escaped(monkeypatch):
    odd = params.Parameter("odd", "string", '<&"\'>', "a < b", "a & b\n\n  c > d\n")
    monkeypatch.setattr(params, "TABLE", (odd,))
    element = ElementTree.fromstring(metadata.render()).find("parameters/parameter")
    assert element.find("content").get("default") == '<&"\'>'
    assert element.findtext("shortdesc") == "a < b"
    assert element.findtext("longdesc") == "\na & b\n\n  c > d\n"


@pytest.mark.parametrize("option, schema", [
    ("--dtdvalid", "ra-api-1.dtd"), ("--relaxng", "metadata.rng")])
def test_valid_against_the_schemas_of_resource_agents(need, tmp_path, option, schema):
    need("xmllint", "libxml2-utils")
    if not os.path.exists(SCHEMAS + schema):
        lacking("%s is missing (package resource-agents)" % (SCHEMAS + schema))
    # The DTD lies beside the file, where its DOCTYPE looks for it.
    (tmp_path / "ra-api-1.dtd").symlink_to(SCHEMAS + "ra-api-1.dtd")
    text = metadata.render()
    with open(SCHEMAS + schema, encoding="utf-8") as known:
        if schema == "metadata.rng" and '<attribute name="version"' not in known.read():
            text = re.sub('(<resource-agent [^>]*?) version="[^"]*"', r"\1", text)     # 4.7
    (tmp_path / "IPaddr2.xml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["xmllint", "--nonet", "--noout", option, SCHEMAS + schema, "IPaddr2.xml"],
        cwd=tmp_path, text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr in ("", "IPaddr2.xml validates\n")


def test_manual_page_names_everything():
    page = metadata.render_manpage(date="2025-01-31")
    assert '.TH OCF_IPADDR2PY_IPADDR2 7 "2025-01-31" "ipaddr2_py %s"' % __version__ in page
    assert re.findall(r"^\.B ([a-z_0-9]+)$", page, re.MULTILINE)[:len(params.TABLE)] == [
        p.name for p in params.TABLE]
    for action in metadata.ACTIONS:
        assert "\n.B %s\n" % action.name.replace("-", "\\-") in page


@pytest.mark.parametrize("text, troff", [
    ("-A", "\\-A"), (".x", "\\&.x"), ("a\n'b", "a\n\\&'b"), ("a\\b", "a\\eb")])
def test_troff_escapes(text, troff):
    assert metadata.roff(text) == troff


def test_manual_page_formats_without_a_warning(need, tmp_path):
    need("man", "man-db")
    page = tmp_path / "ocf_ipaddr2py_IPaddr2.7"
    page.write_text(metadata.render_manpage(date="2025-01-31"), encoding="utf-8")
    done = subprocess.run(
        ["man", "--warnings", "-l", str(page)], text=True, capture_output=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "arp_repeat_after" in done.stdout
    assert "HA_RSCTMP" in done.stdout
