# SPDX-License-Identifier: GPL-2.0-only
"""OCF 1.1 metadata, where the installation asks for them, and the action reload-agent."""

import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from ipaddr2_py import params
from ipaddr2_py.provider import metadata
from tests.conftest import lacking

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA_11 = "/usr/share/pcs/data/ocf-1.1.rng"


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    """A function that installs a copy with the metadata of an API; the agent's path."""
    def install(api):
        root = tmp_path_factory.mktemp("ocf")
        subprocess.run([sys.executable, "-m", "ipaddr2_py.provider", "install", "--copy",
                        "--ocf-root", str(root), "--ocf-api", api], cwd=CHECKOUT, check=True,
                       stdout=subprocess.DEVNULL)
        return root / "resource.d" / "ipaddr2py" / "IPaddr2"

    return install


def run(agent, action, **parameters):
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    env.update(("OCF_RESKEY_" + name, value) for name, value in parameters.items())
    return subprocess.run([str(agent), action], env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


def test_only_what_acts_anew_is_reloadable():
    root = ET.fromstring(metadata.render(api="1.1"))
    told = {one.get("name") for one in root.iter("parameter") if one.get("reloadable") == "1"}
    assert told == set(params.RELOADABLE)
    assert not told & {"ip", "nic", "cidr_netmask", "broadcast", "iflabel", "metric", "mac"}
    assert "reload-agent" in [one.get("name") for one in root.iter("action")]
    assert root.findtext("version") == "1.1"


def test_the_default_knows_nothing_of_it():
    text = metadata.render()
    assert "reload" not in text and "trace_ra" not in text and "<version>1.0</version>" in text


def test_another_api_is_refused():
    with pytest.raises(ValueError, match="2.0"):
        metadata.render(api="2.0")


def test_schema(need, tmp_path):
    xmllint = need("xmllint", "libxml2-utils")
    if not os.path.exists(SCHEMA_11):
        lacking("no %s (package pcs)" % SCHEMA_11)
    path = tmp_path / "IPaddr2.xml"
    path.write_text(metadata.render(api="1.1"), encoding="utf-8")
    done = subprocess.run([xmllint, "--noout", "--relaxng", SCHEMA_11, str(path)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_reload_agent(need, provider):
    need("ip", "iproute2")
    agent = provider("1.1")
    assert "<version>1.1</version>" in run(agent, "meta-data").stdout
    assert run(agent, "reload-agent", ip="127.0.0.9").returncode == 0
    assert run(agent, "reload-agent", ip="127.0.0.9", arp_count="0").returncode == 6


@pytest.mark.slow
def test_no_reload_agent_in_api_1_0(need, provider):
    need("ip", "iproute2")
    assert run(provider("1.0"), "reload-agent", ip="127.0.0.9").returncode == 3
    assert run(CHECKOUT / "bin" / "IPaddr2", "reload-agent", ip="127.0.0.9").returncode == 3
