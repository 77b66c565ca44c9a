# SPDX-License-Identifier: GPL-2.0-only
"""The OCF resource agent IPaddr2 in Python: virtual IPv4 and IPv6 addresses on Linux."""

__version__ = "0.1.0"
