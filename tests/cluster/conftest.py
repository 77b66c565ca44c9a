# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures: a cluster per test module (NODES = 2 or 3 of it, 2 by default)."""
import pytest

from tests.cluster.lab import Lab

NEEDED = {"unshare": "util-linux", "ip": "iproute2", "ping": "iputils-ping",
          "corosync": "corosync", "pacemakerd": "pacemaker", "cibadmin": "pacemaker-cli-utils",
          "crm": "crmsh", "pcs": "pcs", "ocf-tester": "resource-agents",
          "xmllint": "libxml2-utils"}


@pytest.fixture(scope="module")
def lab(request, need, tmp_path_factory):
    """A running cluster; its logs stay in pytest's temporary folder."""
    for program, package in NEEDED.items():
        need(program, package)
    cluster = Lab(tmp_path_factory.mktemp("lab"), getattr(request.module, "NODES", 2))
    request.addfinalizer(cluster.down)
    cluster.up()
    return cluster


@pytest.fixture
def empty(lab):
    """The cluster without resources; they are taken away again after the test."""
    yield lab
    lab.erase()
