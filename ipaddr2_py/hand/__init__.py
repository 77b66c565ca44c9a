# SPDX-License-Identifier: GPL-2.0-only
"""vipctl, for an administrator's hand: it shows what the agent would see and do, with the agent's
own functions, and decides nothing by itself."""


class HandError(Exception):
    """What was asked for cannot be done; the text is one sentence, code the exit status."""

    def __init__(self, text: str, code: int = 1):
        Exception.__init__(self, text)
        self.code = code
