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


def table(head, rows) -> str:
    """Rows (lists of texts, or of (kind, text)) in columns as wide as they need to be.

    The last column is what is left: it is not padded.
    """
    plain = [[cell[1] if isinstance(cell, tuple) else cell for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [head] + plain) for column in range(len(head))]
    lines = [paint("head", joined(head, widths))]
    for row, texts in zip(rows, plain):
        cells = []
        for cell, text, size in zip(row, texts, widths):
            kind = cell[0] if isinstance(cell, tuple) else ""
            cells.append(paint(kind, text) + " " * (size - len(text)))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def joined(texts, widths):
    """The texts padded to their widths."""
    return "  ".join(text.ljust(size) for text, size in zip(texts, widths)).rstrip()
