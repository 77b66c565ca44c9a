# SPDX-License-Identifier: GPL-2.0-only
"""The chart of the README: a pair of bars for each action, as SVG written by hand."""

from xml.sax.saxutils import escape

from . import report, rounds

#: Row of the report -> what the chart calls it.
BARS = {
    "monitor, running": "monitor, running",
    "monitor, not running": "monitor, not running",
    "monitor, running" + rounds.suffix_of(report.MANY): "monitor among 5,000 addresses",
    "start": "start",
    rounds.ANNOUNCED[0][0]: "start to first ARP announcement",
    rounds.ANNOUNCED[1][0]: "start to first IPv6 announcement",
    "stop": "stop",
    "validate-all": "validate-all",
    "meta-data": "meta-data",
}
WIDTH, LEFT, RIGHT, TOP = 860, 240, 130, 96
GROUP, BAR = 46, 15
COLOURS = {report.OURS: "#0969da", report.OTHER: "#afb8c1"}


def chart(made):
    """The SVG text for a document of report.document()."""
    rows = [(label, made["rows"][row]["time"]) for row, label in BARS.items()
            if {report.OURS, report.OTHER} <= set(made["rows"].get(row, {}).get("time", {}))]
    longest = max(told[who]["median"] for _, told in rows for who in COLOURS)
    notes = notes_of(made)
    height = TOP + GROUP * len(rows) + 18 * len(notes) + 16
    lines = [head(made, height)]
    for number, (label, told) in enumerate(rows):
        lines += group(TOP + GROUP * number, label, told, longest)
    for number, note in enumerate(notes):
        lines.append('  <text x="20" y="%d" font-size="12" fill="#57606a">%s</text>'
                     % (TOP + GROUP * len(rows) + 18 * number + 14, escape(note)))
    return "\n".join(lines) + "\n</svg>\n"


def head(made, height):
    """Everything up to the first bar: title, description, key."""
    title = "Time of each action: the agent in Python and the shell agent"
    if "other" in made["about"] and not made["about"]["other"].startswith("shell"):
        title = "Time of each action: two agents"
    return """<?xml version="1.0" encoding="UTF-8"?>
<!-- SPDX-License-Identifier: GPL-2.0-only -->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %(width)d %(height)d" font-family="sans-serif"
     font-size="13" fill="#1b1f24" role="img" aria-labelledby="title desc">
  <title id="title">%(title)s</title>
  <desc id="desc">Medians in milliseconds, as python3 -m tests.bench measured them; shorter is
    better.</desc>
  <rect width="%(width)d" height="%(height)d" fill="#ffffff"/>
  <text x="20" y="32" font-size="18" font-weight="bold">%(title)s</text>
  <text x="20" y="54" fill="#57606a">median of %(runs)d runs each, in turn, in milliseconds; \
shorter is better</text>
  <rect x="20" y="67" width="12" height="12" fill="%(ours)s"/>
  <text x="38" y="78">this agent</text>
  <rect x="130" y="67" width="12" height="12" fill="%(other)s"/>
  <text x="148" y="78">%(name)s</text>
  <text x="%(end)d" y="78" text-anchor="end" font-weight="bold">this / other</text>\
""" % {"width": WIDTH, "height": height, "title": escape(title), "runs": made["about"]["runs"],
       "ours": COLOURS[report.OURS], "other": COLOURS[report.OTHER],
       "name": escape(made["about"]["other"]), "end": WIDTH - 20}


def group(top, label, told, longest):
    """The two bars of one action, their values and the ratio."""
    lines = ['  <text x="%d" y="%d" text-anchor="end">%s</text>'
             % (LEFT - 12, top + BAR + 9, escape(label))]
    for number, who in enumerate((report.OURS, report.OTHER)):
        median = told[who]["median"]
        width = (WIDTH - LEFT - RIGHT - 60) * median / longest
        y = top + 4 + number * (BAR + 1)
        lines.append('  <rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>'
                     % (LEFT, y, width, BAR, COLOURS[who]))
        lines.append('  <text x="%.1f" y="%d" font-size="12">%.1f</text>'
                     % (LEFT + width + 6, y + 12, median))
    lines.append('  <text x="%d" y="%d" text-anchor="end" font-weight="bold">%d %%</text>'
                 % (WIDTH - 20, top + BAR + 9, round(100 * told[report.RATIO]["median"])))
    return lines


def notes_of(made):
    """Lines below the bars: the load where it was measured, machine and versions."""
    about, notes = made["about"], []
    if made["load"]:
        ours, other = (made["load"][who]["cpu seconds"] for who in (report.OURS, report.OTHER))
        notes.append("200 addresses, each monitored every 10 s: %.0f %% of the other agent's CPU "
                     "time." % (100 * ours / other))
    notes.append("%(cpu)s, %(cores)s cores, Linux %(kernel)s, %(system)s, iproute2 %(iproute2)s"
                 % about)
    notes.append("Python %(python)s, sh %(sh)s, resource-agents %(resource-agents)s; %(date)s"
                 % about)
    return notes
