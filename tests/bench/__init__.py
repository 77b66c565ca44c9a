# SPDX-License-Identifier: GPL-2.0-only
"""What the agent costs, beside another agent: python3 -m tests.bench, see __main__.py."""
