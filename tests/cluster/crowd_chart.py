# SPDX-License-Identifier: GPL-2.0-only
"""The plot of doc/many.md: how many addresses are there, second by second, as SVG."""

COLOURS = {"this agent": "#0969da", "shell agent": "#8c959f"}
STEPS = {"start": "All are started on one node", "standby": "That node goes to standby"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 330, 60, 84, 60
PANEL = (WIDTH - LEFT - 20 - GAP) / 2
FLOOR = HEIGHT - 46


def chart(made):
    """The SVG text for what many.py has measured, summarized."""
    number = made["addresses"]
    longest = max(found[step]["curve"][-1] for found in made["agents"].values() for step in STEPS)
    unit = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if longest / step <= 8)
    end = unit * (int(longest / unit) + 1)
    lines = [f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- SPDX-License-Identifier: GPL-2.0-only -->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"
     font-size="13" fill="#1b1f24" role="img" aria-labelledby="title">
  <title id="title">{number} addresses in a cluster: how many are there, second by second</title>
  <rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
  <text x="20" y="32" font-size="18" font-weight="bold">{number} addresses: how many are there, \
second by second</text>"""]
    for place, (name, colour) in enumerate(COLOURS.items()):
        if name in made["agents"]:
            lines.append(f'  <rect x="{20 + 130 * place}" y="45" width="12" height="12" '
                         f'fill="{colour}"/>\n  <text x="{38 + 130 * place}" y="56">{name}</text>')
    for place, (step, title) in enumerate(STEPS.items()):
        left = LEFT + place * (PANEL + GAP)
        lines += axes(left, title, number, end, unit)
        for name, found in made["agents"].items():
            lines.append(curve(left, found[step], number, end, COLOURS[name]))
    return "\n".join(lines) + "\n</svg>\n"


def axes(left, title, number, end, unit):
    """The frame of one panel."""
    lines = [f'  <text x="{left:.0f}" y="{TOP - 8}" font-weight="bold">{title}</text>',
             f'  <path d="M{left:.0f} {TOP}V{FLOOR}H{left + PANEL:.0f}" fill="none" '
             'stroke="#57606a"/>']
    for second in range(0, end + 1, unit):
        x = left + PANEL * second / end
        lines.append(f'  <text x="{x:.0f}" y="{FLOOR + 18}" text-anchor="middle" font-size="12">'
                     f'{second}</text>')
    lines.append(f'  <text x="{left + PANEL / 2:.0f}" y="{FLOOR + 36}" text-anchor="middle" '
                 'font-size="12" fill="#57606a">seconds</text>')
    for part in range(5):
        y = FLOOR - (FLOOR - TOP) * part / 4
        lines.append(f'  <text x="{left - 8:.0f}" y="{y + 4:.0f}" text-anchor="end" '
                     f'font-size="12">{number * part // 4}</text>')
        lines.append(f'  <path d="M{left:.0f} {y:.1f}H{left + PANEL:.0f}" stroke="#eaeef2"/>')
    return lines


def curve(left, told, number, end, colour):
    """The line of one agent: its curve has the seconds at which equal parts of "there" were."""
    times, height = told["curve"], (FLOOR - TOP) * told["there"] / number
    points = [f"{left + PANEL * when / end:.1f},"
              f"{FLOOR - height * part / (len(times) - 1):.1f}"
              for part, when in enumerate(times)]
    return (f'  <polyline points="{left:.1f},{FLOOR} {" ".join(points)}" fill="none" '
            f'stroke="{colour}" stroke-width="2.5"/>')
