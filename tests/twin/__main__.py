# SPDX-License-Identifier: GPL-2.0-only
"""Play one scenario and show it: python3 -m tests.twin SHAPE PARAMETERS STEPS (from the checkout).

For example: python3 -m tests.twin plain 'ip=192.0.2.50 iflabel=web' 'start; monitor; stop'
"""
import sys

from . import compare, play


def main(shape, parameters, steps):
    """Print both observations of every step, what differs first; 1 when something does."""
    scenario = play.Scenario("by hand", shape, parameters, steps)
    outcome = play.play(scenario)
    for row, difference in outcome.expected:
        print("expected (%s): %s\n" % (row, compare.describe(difference)))
    for difference in outcome.unexpected:
        print("NOT EXPECTED: %s\n" % compare.describe(difference))
    with play.Pair(shape, parameters) as pair:
        before = pair.first_look()
        for step in play.split(steps):
            seen = pair.step(step)
            for who, old, new in zip(("shell", "ours"), before, seen):
                print("--- %s: %s" % (step, who))
                show(old, new)
            before = seen
    return 1 if outcome.unexpected else 0


def show(before, seen):
    """Print one observation, of the state only what changed."""
    if "argv" in seen:
        print("  rc %d in %.3f s; stdout %r" % (seen["rc"], seen["seconds"], seen["out"]))
        for field in ("err", "log"):
            for line in seen[field].splitlines():
                print("  %-9s %s" % (field, line))
        for words in seen["argv"]:
            print("  %-9s %s" % ("called", " ".join(words)))
    for field in compare.STATE:
        for sign, one, other in (("-", before, seen), ("+", seen, before)):
            for line in one[field]:
                if line not in other[field]:
                    print("  %-9s %s %s" % (field, sign, line))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
