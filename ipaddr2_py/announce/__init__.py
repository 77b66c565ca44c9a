# SPDX-License-Identifier: GPL-2.0-only
"""Telling the neighbours where an address is, after duplicate address detection."""
