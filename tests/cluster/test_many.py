# SPDX-License-Identifier: GPL-2.0-only
"""The program behind doc/many.md, with a crowd of twenty."""
import json

import pytest

from tests.cluster import crowd_chart, many

pytestmark = pytest.mark.long


def test_twenty_addresses(need, tmp_path):
    for program, package in {"pacemakerd": "pacemaker", "tcpdump": "tcpdump"}.items():
        need(program, package)
    found = many.measure("this agent", 20, 12, {"node-action-limit": "10"}, tmp_path)
    for step in ("start", "standby"):
        told = found[step]
        assert len(told["curve"]) == 20 and 0 < told["arrived"] <= told["at rest"] + 0.1
        assert told["cpu"]["agents"] > 0 and told["cpu"]["cluster"] > 0
    assert 0 < found["standby"]["gap"]["longest"] < 10
    assert 200 < found["monitors"]["programs"] < 700        # two a monitor, 120 in a minute
    assert found["packets"]["in all"] >= 2 * 20 * 5         # five for each, at both nodes
    made = {"addresses": 20, "options": [], "agents": {"this agent": many.summary(found)}}
    assert "20 addresses" in crowd_chart.chart(json.loads(json.dumps(made)))
    assert many.table(made).count("\n") > 10
