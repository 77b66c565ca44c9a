# SPDX-License-Identifier: GPL-2.0-only
"""A second monitor with OCF_CHECK_LEVEL=10: a host outside of the cluster takes the address too."""
import pytest

from tests.cluster.lab import AGENT, OURS, wait_until

pytestmark = pytest.mark.skipif(AGENT != OURS, reason="the shell agent does not look for it")
MONITORS = ("op monitor interval=30s timeout=20s "
            "op monitor interval=2s timeout=20s on-fail={} OCF_CHECK_LEVEL=10")
CREATE = {"crm": ["crm", "configure", "primitive", "vip", AGENT, "params"],
          "pcs": ["pcs", "resource", "create", "vip", AGENT]}


@pytest.mark.parametrize("tool, on_fail, ip, mask, more", [
    ("crm", "ignore", "192.0.2.120", 24, []), ("pcs", "block", "2001:db8::120", 64, ["nodad"])])
def test_told_and_left_alone(empty, tool, on_fail, ip, mask, more):
    empty.run(*CREATE[tool], f"ip={ip}", f"cidr_netmask={mask}", "nic=eth0",
              *MONITORS.format(on_fail).split())
    empty.check({"vip": ip})
    where = empty.running_on("vip")[0]
    empty.client.run("ip", "addr", "add", f"{ip}/{mask}", "dev", "eth0", *more)
    try:
        wait_until(empty.failures, "a failed monitor")
        assert empty.failures() == [(where, "vip_monitor_2000", "error")]
        reason = empty.status().find("failures/failure").get("exitreason")
        mac = empty.client.run("cat", "/sys/class/net/eth0/address").stdout.strip()
        assert all(word in reason for word in (ip, "eth0", mac)), reason
        empty.settle()
        assert empty.holders(ip) == empty.running_on("vip") == [where]
    finally:
        empty.client.run("ip", "addr", "del", f"{ip}/{mask}", "dev", "eth0")
        empty.forgive()
    empty.check({"vip": ip})
