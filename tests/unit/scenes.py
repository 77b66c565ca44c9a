# SPDX-License-Identifier: GPL-2.0-only
"""Stretches of commands that many tests have in common, described to fp.

The VIP is 192.0.2.10/25 or 2001:db8::e/64, on eth0.
"""

ON_ETH0 = {"ip": "192.0.2.10", "nic": "eth0", "cidr_netmask": "25"}
ROUTE4 = "ip -o -f inet route list match 192.0.2.10 scope link"
SHOW4 = "ip -o -f inet addr show to 192.0.2.10"
BRD4 = "ip -o -f inet addr show dev eth0"
LINK = "ip link show dev eth0"
ADD4 = "ip -f inet addr add 192.0.2.10/25 brd 192.0.2.127 dev eth0"
UP = "ip link set dev eth0 up"
DELETE4 = "ip -f inet addr delete 192.0.2.10/25 dev eth0"

ON_ETH0_6 = {"ip": "2001:db8::e", "nic": "eth0", "cidr_netmask": "64"}
SHOW6 = "ip -o -f inet6 addr show to 2001:db8::e"
EXACT6 = "ip -o -f inet6 route list exact 2001:db8::e/64 dev eth0"
DEV6 = "ip -o -f inet6 addr show dev eth0"
ADD6 = "ip -f inet6 addr add 2001:db8::e/64 dev eth0 preferred_lft forever"
DAD6 = "ip -o -f inet6 addr show dev eth0 to 2001:db8::e/64"
DELETE6 = "ip -f inet6 addr delete 2001:db8::e/64 dev eth0"


class Scene:
    """Each method describes what comes next: look, add, announce for IPv4, the same with 6."""

    def __init__(self, fp, captured, folder):
        self.fp = fp
        self.captured = captured
        self.folder = folder
        self.here = captured("addr-inet-to-10")
        self.here6 = captured("addr-inet6-settled")

    def look(self, text="", brd=True, link=True):
        """Start asks for all it needs; brd and link: unless a parameter says it."""
        self.fp.query(SHOW4, text)
        if brd:
            self.fp.query(BRD4, self.captured("addr-inet-eth0"))
        if link:
            self.fp.query(LINK, self.captured("link-eth0-long"))

    def add(self, argv=ADD4):
        self.fp.run(argv)
        self.fp.query(SHOW4, self.here)
        self.fp.run(UP)

    def announce(self, rc=0, out=""):
        self.fp.detach()
        self.fp.query(self.send_arp(), out=out, rc=rc)

    def take_back(self):
        """The address goes, and the note of it once it is seen to have gone."""
        self.fp.query(SHOW4, self.here)
        self.fp.run(DELETE4)
        self.fp.query(SHOW4)

    def look6(self, text=""):
        """Start asks for all it needs; nothing else has a route to just that network."""
        self.fp.query(SHOW6, text)
        self.fp.query(EXACT6)

    def add6(self, argv=ADD6):
        self.fp.run(argv)
        self.fp.query(SHOW6, self.here6)
        self.fp.run(UP)

    def announce6(self, rc=0):
        self.fp.query(DAD6, self.here6)
        self.fp.query(self.send_ua(), rc=rc)

    def take_back6(self):
        self.fp.query(SHOW6, self.here6)
        self.fp.run(DELETE6)
        self.fp.query(SHOW6)

    def note(self, ip="192.0.2.10", nic="eth0"):
        """Where the note of start is (place.py)."""
        return self.folder / "rsctmp" / ("IPaddr2-%s%s" % (ip, nic and ",nic=" + nic))

    def pid_file(self, ip="192.0.2.10"):
        return self.folder / "rsctmp" / ("send_arp-" + ip)

    def send_arp(self, count="5", interval="200", options=(), nic="eth0"):
        return [self.folder / "bin/send_arp", *options, "-i", interval, "-r", count,
                "-p", self.pid_file(), nic, "192.0.2.10", "auto", "not_used", "not_used"]

    def send_ua(self, count="5", interval="200"):
        return [self.folder / "bin/send_ua", "-i", interval, "-c", count,
                "2001:db8::e", "64", "eth0"]
