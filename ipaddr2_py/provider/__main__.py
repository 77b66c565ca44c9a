# SPDX-License-Identifier: GPL-2.0-only
"""python3 -m ipaddr2_py.provider install | remove: see install.py."""

import sys

from .install import main

sys.exit(main())
