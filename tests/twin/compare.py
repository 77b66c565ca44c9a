# SPDX-License-Identifier: GPL-2.0-only
"""What two observations of one step must have in common, and the rule for log lines.

Log lines: the sequence of levels must be the same. A line that is a command, or what a tool said,
must be the same word for word. Any other line is a sentence, and sentences are our own (ours may
be the command itself); what counts is that ours carries every value that the shell agent's carries:
each word with a digit, a colon, a slash or a dot inside (addresses, prefixes, interfaces, labels,
counts, codes).
Process ids in tags and dates are masked. Calls of logger and ha_logger are log lines as well: their
words before the text count as the level.
"""
import re
from collections import namedtuple

STATE = ("addresses", "links", "routes", "labels", "files", "processes")
# One step as both played it: the environment it ran in, the state it began with, the observations.
Case = namedtuple("Case", "scenario index step environment before seen")
Difference = namedtuple("Difference", "case field shell ours")

CHANGING = {"add", "a", "del", "delete", "d", "set", "change", "chg", "replace", "append",
            "prepend", "flush", "restore"}
TAKES_VALUE = {"-f", "-family", "-n", "-netns", "-b", "-batch", "-l", "-loops", "-rc", "-rcvbuf"}
READS = re.compile(r"^(arping -V|nft .*\blist |(iptables\S*|arptables) .*(-C|-S|-L)\b)")
LOGGERS = {"logger", "ha_logger"}
OWN_WORDS = {"meta-data", "usage", "help", "nonsense", "nothing"}  # stdout in our own words

DATE = r"\w{3} [ \d]\d \d\d:\d\d:\d\d"
LINE = re.compile(  # as in HA_LOGFILE, as on stderr, as in HA_DEBUGLOG
    r"^(?:%s +)?(?:(\S+?)(?:\[\d+\])?:(?:    |\t%s +))?([A-Z]+): ?(.*)$" % (DATE, DATE))
COMMAND = re.compile(r"^(ip|arping|ipoibarping|iptables\S*|modprobe|/\S+) ")
TOOL = re.compile(r"^(tool:|RTNETLINK answers|Error:|Cannot find device|Device \"|ip: )")
WORD = re.compile(r"[^\s()\[\],=;'\"]+")
NOT_VALUES = re.compile(r"^(IPv|ICMPv)[46]$|^[A-Za-z_-]+[.:]*$|^\W*$")


def states(case):
    """Differences between two looks at the state."""
    return [Difference(case, field, *(one[field] for one in case.seen))
            for field in STATE if case.seen[0][field] != case.seen[1][field]]


def same_state(seen):
    """Whether both sides are in the same state."""
    return all(seen[0][field] == seen[1][field] for field in STATE)


def actions(case):
    """Differences between what the two agents did."""
    found = []
    for field, view in VIEWS.items():
        values = [view(case, one) for one in case.seen]
        same = alike(*values) if field == "log" else values[0] == values[1]
        if not same:
            found.append(Difference(case, field, *values))
    return found + states(case)


def _out(case, seen):
    return bool(seen["out"]) if case.step in OWN_WORDS else seen["out"]


def _reason(_case, seen):
    return any(line.startswith("ocf-exit-reason:") and len(line) > 20
               for line in seen["err"].splitlines())


def changes(calls):
    """Of the recorded calls those that change something, as texts in order."""
    return [" ".join(words) for words in calls
            if words[0] not in LOGGERS and not READS.match(" ".join(words))
            and (words[0] != "ip" or changes_state(words[1:]))]


def changes_state(words):
    """Whether `ip` with these words changes something."""
    words = list(words)
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in TAKES_VALUE and words:
            words.pop(0)
    return len(words) > 1 and words[1] in CHANGING


def log(case, seen):
    """The log as [(tag and level, text)]: from files, from stderr, from calls of the loggers."""
    entries = []
    lines = seen["log"].splitlines() + [line for line in seen["err"].splitlines()
                                        if re.match(DATE, line)]
    for line in lines:
        match = LINE.match(line)
        entries.append(("%s %s" % match.group(1, 2), match.group(3)) if match else ("", line))
    for words in seen["argv"]:
        if words[0] in LOGGERS:
            entries.append((re.sub(r"\[\d+\]", "", " ".join(words[:-1])), words[-1]))
    entries = [entry for entry in entries if "DEBUG" not in entry[0]]
    # what is killed says so while the agent goes on: no order is promised
    return sorted(entries) if "sender stays" in case.before[0]["processes"] else entries


def notes(case, seen):
    """Which notes came ("+ ...") and went ("- ...") in this step."""
    before = case.before[0 if seen is case.seen[0] else 1]["notes"]
    return ["- " + text for text in before if text not in seen["notes"]] + [
        "+ " + text for text in seen["notes"] if text not in before]


VIEWS = {"rc": lambda case, one: one["rc"], "stdout": _out, "reason": _reason,
         "argv": lambda case, one: changes(one["argv"]), "log": log,
         "notes": notes}


def alike(shell, ours):
    """Whether two logs say the same."""
    return len(shell) == len(ours) and all(
        one[0] == other[0] and same_line(one[1], other[1]) for one, other in zip(shell, ours))


def same_line(shell, ours):
    """Whether one line of the log is as good as the other; the rule above."""
    # run_with_pidfile is a function of the shell agent, no command
    shell, ours = (" ".join(text.replace("run_with_pidfile ", "", 1).split())
                   for text in (shell, ours))
    if shell == ours:
        return True
    if COMMAND.match(shell) or TOOL.match(shell):
        return False
    return bool(ours) and values(shell) <= values(ours)


def values(text):
    """The words of a sentence that are values."""
    words = {word.rstrip(".:!") for word in WORD.findall(text)}
    words |= {word.partition("/")[0] for word in words}  # an address may come with its prefix
    return {word for word in words if not NOT_VALUES.match(word)}


def describe(difference):
    """A difference for people: where, and the two values, as a diff where they are lists."""
    one, case = difference, difference.case
    lines = ["%s [%s | %s | %s]" % case.scenario, "  step %d, %s: %s" % (
        case.index + 1, case.step, one.field)]
    if isinstance(one.shell, list):
        same = [item for item in one.shell if item in one.ours]
        if sorted(map(str, one.shell)) == sorted(map(str, one.ours)) or one.field == "log":
            same = []
        lines += ["    shell  %s" % (item,) for item in one.shell if item not in same]
        lines += ["    ours   %s" % (item,) for item in one.ours if item not in same]
    else:
        lines += ["    shell  %r" % (one.shell,), "    ours   %r" % (one.ours,)]
    if one.field in ("rc", "reason"):
        lines += ["    %s stderr  %s" % (who, seen["err"].strip()[-600:])
                  for who, seen in zip(("shell", "ours "), case.seen) if seen.get("err")]
    return "\n".join(lines)
