# SPDX-License-Identifier: GPL-2.0-only
"""Programs that stand in for those that an agent starts: the script standin under their names, in a
folder or one below it; it notes each call in the file calls."""

import pathlib

STANDIN = pathlib.Path(__file__).with_name("standin")


def calls(path):
    """The calls that the stand-ins have noted in a file: [[name, word, ...], ...]."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return []
    fields, found = data.decode("utf-8", "surrogateescape").split("\0")[:-1], []
    while fields:
        count = int(fields[0]) + 2
        found.append(fields[1:count])
        fields = fields[count:]
    return found
