# SPDX-License-Identifier: GPL-2.0-only
"""Courses of actions that many scenarios share."""
LIFE = "validate-all; probe; start; monitor; start; stop; monitor; stop"
ALL = "validate-all; probe; monitor; status; start; stop"
