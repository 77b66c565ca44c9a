# SPDX-License-Identifier: GPL-2.0-only
"""Where log lines and traces go."""
