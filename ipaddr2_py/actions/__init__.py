# SPDX-License-Identifier: GPL-2.0-only
"""What changes a node: start, stop, and running an action in another network namespace."""

from ..changes import files
from ..vip import sharing


def cluster_lock(vip, shared):
    """A context manager: while it lasts no other instance of a shared address is changed.

    A plain address needs none.
    """
    if not shared:
        return files.no_lock()
    return sharing().locked(vip)
