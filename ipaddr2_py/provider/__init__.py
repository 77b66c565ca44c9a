# SPDX-License-Identifier: GPL-2.0-only
"""The agent as an OCF provider: its metadata and manual page, and putting it into its folder."""
