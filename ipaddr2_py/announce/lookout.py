# SPDX-License-Identifier: GPL-2.0-only
"""Whether an address that is being announced is still here: else another host has it by now."""

import time

from .. import addresses, children, commands

LOOK = 1.0                  # seconds between two looks
LOOK_LIMIT = 1.0            # seconds that a look may take


def find(vip, index: int) -> list:
    """The address on interface number `index` (0: on the one of that name), whatever that is called
    now: Address objects, [] without; raises Unreadable."""
    words = addresses.addr_show_words(vip.family, vip.ip)
    looking = commands.query_start(addresses.ip_command() + words)
    held = addresses.parse_held(vip.family, vip.ip, commands.query_end(looking, LOOK_LIMIT))
    return [one for one in held if (one.index == index if index else one.nic == vip.nic)]


class Lookout:
    """Looks once a second, while a burst lasts, whether the address is still here.

    gone: it was seen not to be.  Where `ip` does not say, it is taken to be here.
    """

    __slots__ = ("vip", "index", "gone", "due")

    def __init__(self, vip, index):
        self.vip = vip
        self.index = index
        self.gone = False
        self.due = time.monotonic() + LOOK

    def is_over(self) -> bool:
        """Whether the burst is to end: the address is gone, or the time limit has come."""
        now = time.monotonic()
        if now >= self.due:
            self.due = now + LOOK
            try:
                self.gone = not find(self.vip, self.index)
            except addresses.Unreadable:
                pass
        return self.gone or not children.remaining()

    def pause(self, seconds) -> bool:
        """Let that many seconds pass; True, at once, where the burst is to end."""
        end = time.monotonic() + seconds
        while not self.is_over():
            now = time.monotonic()
            if now >= end:
                return False
            time.sleep(min(end - now, max(0.0, self.due - now), children.remaining()))
        return True
