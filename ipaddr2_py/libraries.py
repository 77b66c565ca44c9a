# SPDX-License-Identifier: GPL-2.0-only
"""The libraries the agent needs at times, sh and jinja2: `python3 -IS` finds neither by itself."""

import posix
import sys


def add_site_packages():
    """Make sh and jinja2 importable: `python3 -IS` leaves every site-packages folder out.

    Order: the folder that this package is installed in, a virtual environment's, the system's.
    The user's own folder is never used.
    """
    import site

    folders = []
    home = __file__.rpartition("/")[0].rpartition("/")[0]
    if home.endswith("-packages"):
        folders.append(home)
    environment = sys.executable.rpartition("/")[0].rpartition("/")[0]
    if posix.access(environment + "/pyvenv.cfg", posix.R_OK):
        folders += site.getsitepackages([environment])
    folders += site.getsitepackages([sys.prefix])
    for folder in folders:
        if folder not in sys.path:
            sys.path.append(folder)


def import_sh():
    """The module sh, wherever it is installed."""
    try:
        import sh
    except ImportError:
        add_site_packages()
        import sh
    return sh
