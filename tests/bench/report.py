# SPDX-License-Identifier: GPL-2.0-only
"""The measured values as one document, held against the targets, and as a table.

The document is plain data, for JSON: about (machine and versions), rows, growth, load, targets.
A row has time and cpu (who -> summary in ms), programs and memory (who -> number, MiB).  Among who
is `ratio`, the summary of ours / other: each ratio of two runs that came one after the other.
"""

from . import rounds
from .measure import median_error, summary

OURS, OTHER, RATIO = "ours", "other", "ratio"
MANY, MOST = 5000, 20000
WATCHED = [row for row, _, _ in rounds.STOPPED + rounds.RUNNING]


def ratio_limits(sh):
    """(row, time or cpu) -> what ours / other may be at most, with a version of sh."""
    limits = {(row, "time"): 0.5 for row in WATCHED}
    limits.update({(row, "cpu"): 0.4 for row in WATCHED})
    limits.update({(row + rounds.suffix_of(MANY), "time"): 0.25 for row in WATCHED})
    limits.update({(row, "time"): 1.0 for row in ("start", "stop", "validate-all")})
    limits["meta-data", "time"] = 3.0
    limits.update({(row, "time"): 0.95 if sh.startswith("1.") else 1.0
                   for row, _, _ in rounds.ANNOUNCED})
    return limits


#: Row, kind -> what ours may be at most, whatever the other agent needs.
LIMITS = {**{(row, "programs"): 3 for row in WATCHED}, **{(row, "memory"): 12 for row in WATCHED}}
LOAD_LIMIT, GROWTH_LIMIT = 0.4, 1.0
GROWTH_SLACK = 0.1      # at most: two medians of the same slope are never quite the same


def document(bench, about, load=None):
    """Everything measured, see above; `load` as load.load() gives it."""
    rows = {}
    for kind, values in (("time", bench.wall), ("cpu", bench.cpu)):
        for (row, who), found in values.items():
            rows.setdefault(row, {}).setdefault(kind, {})[who] = summary(found)
            if who == OTHER:
                rows[row][kind][RATIO] = summary(ratios(values[row, OURS], found))
    for kind, values in (("programs", bench.programs), ("memory", bench.memory)):
        for (row, who), found in values.items():
            rows.setdefault(row, {}).setdefault(kind, {})[who] = max(found)
    made = {"about": about, "rows": rows, "growth": growth(bench.wall), "load": load or {}}
    made["targets"] = targets(made)
    return made


def ratios(values, others):
    """What each value is beside the other of the same round."""
    return [value / other for value, other in zip(values, others)]


def growth(wall):
    """How time grows with the addresses of a host: row -> ms per 1,000 addresses, beside `ip`.

    {"ours", "other", "ip", "ratio" (ours / ip), "error" (twice the ratio's standard error)}; each
    the median of what the rounds gave.
    """
    found = {}
    for row in WATCHED:
        many = row + rounds.suffix_of(MOST)
        if (many, rounds.IP) not in wall:
            continue
        slopes = {who: [(high - low) / MOST * 1000
                        for low, high in zip(wall[row, who], wall[many, who])]
                  for who in (OURS, OTHER, rounds.IP)}
        found[row] = {who: summary(values)["median"] for who, values in slopes.items()}
        ratio = summary(ratios(slopes[OURS], slopes[rounds.IP]))
        found[row].update(ratio=ratio["median"], error=round(2 * median_error(ratio), 3))
    return found


def targets(made):
    """List of {"row", "kind", "value", "limit", "met"}, as far as they were measured."""
    rows, found = made["rows"], []

    def hold(row, kind, value, limit, slack=0.0):
        found.append({"row": row, "kind": kind, "value": round(value, 3), "limit": limit,
                      "met": value - slack <= limit})

    for (row, kind), limit in ratio_limits(made["about"].get("sh", "1.")).items():
        if row in rows and RATIO in rows[row][kind]:
            hold(row, kind, rows[row][kind][RATIO]["median"], limit)
    for (row, kind), limit in LIMITS.items():
        if kind in rows.get(row, {}):
            hold(row, kind, rows[row][kind][OURS], limit)
    for row, told in made["growth"].items():
        hold(row, "growth", told["ratio"], GROWTH_LIMIT, min(told["error"], GROWTH_SLACK))
    if made["load"]:
        turns = [made["load"][who]["turns"] for who in (OURS, OTHER)]
        hold("load", "cpu", summary(ratios(*turns))["median"], LOAD_LIMIT)
    return found


# --- text ------------------------------------------------------------------------------------


def table(made):
    """The document as text: ratios are ours / other; a limit that is missed is marked."""
    met = {(told["row"], told["kind"]): told for told in made["targets"]}
    lines = ["%-44s%s%s%s" % ("", "time, ms".center(35), "CPU, ms".center(35),
                              "programs      MiB"),
             "%-44s%s%s%14s" % ("", "ours   other  ratio  limit".rjust(33).ljust(35) * 2,
                                "ours other", "ours other")]
    for row, told in made["rows"].items():
        if OURS not in told.get("time", {}):
            continue
        lines.append("%-44s%s%s %s" % (row, _pair(row, "time", told, met),
                                       _pair(row, "cpu", told, met), _counts(row, told, met)))
    lines.append("")
    for row, told in made["growth"].items():
        lines.append("%-44s%6.2f ms per 1,000 addresses, other %.2f, ip alone %.2f: %.2f of it "
                     "(+-%.2f), limit %.2f%s"
                     % (row, told["ours"], told["other"], told["ip"], told["ratio"], told["error"],
                        GROWTH_LIMIT, _mark(met.get((row, "growth")))))
    for who, told in made["load"].items():
        lines.append("%-44s%6.1f s of CPU for %d monitors, %.1f ms each in the median, late: %d"
                     % ("200 addresses every 10 s, " + who, told["cpu seconds"], told["monitors"],
                        told["median ms"], told["late"]))
    if made["load"]:
        told = met["load", "cpu"]
        lines.append("%-44s%6.2f, limit %.2f%s"
                     % ("its CPU, ours / other", told["value"], told["limit"], _mark(told)))
    missed = [told for told in made["targets"] if not told["met"]]
    lines.append("\n%d of %d targets met%s" % (
        len(made["targets"]) - len(missed), len(made["targets"]),
        "; missed: " + "; ".join("%(row)s, %(kind)s: %(value).2f > %(limit).2f" % told
                                 for told in missed) if missed else ""))
    return "\n".join(lines)


def _pair(row, kind, told, met):
    if OTHER not in told.get(kind, {}):
        return " " * 35
    target = met.get((row, kind))
    limit = "%5.2f%s" % (target["limit"], "!" if not target["met"] else " ") if target else ""
    return "%8.1f%8.1f%7.2f %-11s" % (told[kind][OURS]["median"], told[kind][OTHER]["median"],
                                      told[kind][RATIO]["median"], limit)


def _counts(row, told, met):
    if "programs" not in told:
        return ""
    marks = [_mark(met.get((row, kind))) for kind in ("programs", "memory")]
    return "%3d%s%6d  %6.1f%s%6.1f" % (
        told["programs"][OURS], marks[0] or " ", told["programs"][OTHER],
        told["memory"][OURS], marks[1] or " ", told["memory"][OTHER])


def _mark(target):
    return "" if target is None or target["met"] else "!"


def about_text(about):
    """Machine and versions in two lines."""
    return ("%(cpu)s, %(cores)s cores, Linux %(kernel)s, %(system)s, iproute2 %(iproute2)s; "
            "load average before: %(load average before).1f\n"
            "ours: ipaddr2-py %(ipaddr2-py)s (%(commit)s), Python %(python)s, sh %(sh)s; "
            "other: %(other)s; %(date)s, %(runs)d runs each, in turn" % about)
