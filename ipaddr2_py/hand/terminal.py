# SPDX-License-Identifier: GPL-2.0-only
"""Words, colours and columns for a terminal: 80 columns suffice, pipes get plain text."""

import os
import shutil
import sys

COLOURS = {"good": "32", "note": "33", "bad": "31", "faint": "2", "head": "1"}


def coloured() -> bool:
    """Whether standard output wants colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and \
        os.environ.get("TERM", "dumb") != "dumb"


def paint(kind: str, text: str) -> str:
    """A text in the colour of its kind, where that is wanted; kind "" is plain."""
    if kind and coloured():
        return f"\033[{COLOURS[kind]}m{text}\033[0m"
    return text


def width() -> int:
    """Columns of the terminal, 80 where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 80


def wrapped(text: str, indent: str = "") -> str:
    """A paragraph, filled to the terminal's width."""
    import textwrap

    return textwrap.fill(text, max(40, min(width(), 100)), initial_indent=indent,
                         subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def table(head, rows, split: int) -> str:
    """Rows (lists of texts, or of (kind, text)) in columns as wide as they need to be.

    Where a line would be longer than the terminal is wide, each row takes two: the columns from
    number `split` on go into the second one.
    """
    plain = [[cell[1] if isinstance(cell, tuple) else cell for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [head] + plain) for column in range(len(head))]
    parts = [slice(0, None)]
    if sum(widths) + 2 * (len(widths) - 1) > width():
        parts = [slice(0, split), slice(split, None)]
    lines = []
    for row in [[("head", text) for text in head]] + rows:
        for number, part in enumerate(parts):
            lines.append("    " * number + line(row[part], widths[part]))
    return "\n".join(lines)


def line(cells, widths) -> str:
    """One line of a table."""
    shown = []
    for cell, size in zip(cells, widths):
        kind, text = cell if isinstance(cell, tuple) else ("", cell)
        shown.append(paint(kind, text) + " " * (size - len(text)))
    return "  ".join(shown).rstrip()
