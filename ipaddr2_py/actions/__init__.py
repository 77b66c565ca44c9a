# SPDX-License-Identifier: GPL-2.0-only
"""What changes a node: start, stop, and running an action in another network namespace."""
