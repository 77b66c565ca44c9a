# SPDX-License-Identifier: GPL-2.0-only
"""The shell agent and ours side by side: same scenarios, outcomes compared."""
