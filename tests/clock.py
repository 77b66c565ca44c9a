# SPDX-License-Identifier: GPL-2.0-only
"""A stand-in of the module time, for tests of what waits."""

import time


class Clock:
    """A time module in which sleep() takes no time, and monotonic() goes on all the same."""

    def __init__(self):
        self.now = 1000.0
        self.strftime = time.strftime

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
