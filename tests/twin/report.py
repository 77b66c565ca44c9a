# SPDX-License-Identifier: GPL-2.0-only
"""Count what was played, say what differs, hold the table of expected differences to account."""
from collections import Counter

from . import compare, expected


class Report:
    """Sums over many outcomes; text() is for people."""

    def __init__(self):
        self.scenarios = self.actions = self.skipped = 0
        self.matched = Counter()
        self.unexpected = []

    def add(self, outcome):
        """Take one play.Outcome in."""
        self.scenarios += 1
        self.actions += outcome.actions
        self.skipped += outcome.skipped
        self.matched.update(key for key, _ in outcome.expected)
        self.unexpected += outcome.unexpected

    def never_matched(self):
        """Keys of the table that nothing met; those that only need() a program aside."""
        return [key for key in expected.TABLE if not self.matched[key]]

    def text(self):
        """The sums, and how often each row of the table was met."""
        lines = ["%d scenarios, %d actions compared, %d played but not compared (the states had "
                 "parted before)" % (self.scenarios, self.actions, self.skipped)]
        rows = Counter()
        for key, count in self.matched.items():
            rows[expected.ALL[key].row] += count
        for row in sorted(rows, key=lambda row: (str(row).isalpha(), row)):
            lines.append("  row %-14s %5d differences" % (row, rows[row]))
            lines += ["    %5d  %s: %s" % (self.matched[key], key, entry.why)
                      for key, entry in expected.ALL.items()
                      if entry.row == row and self.matched[key]]
        return "\n".join(lines)

    def complaint(self, most=40):
        """What was not expected, as text; "" when all was."""
        shown = [compare.describe(difference) for difference in self.unexpected[:most]]
        if len(self.unexpected) > most:
            shown.append("... and %d more" % (len(self.unexpected) - most))
        return "\n\n".join(shown)
