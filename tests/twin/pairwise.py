# SPDX-License-Identifier: GPL-2.0-only
"""Pairwise combination: few rows in which any two values of any two factors meet at least once."""
from itertools import combinations


def pairwise(factors):
    """factors: {name: [value, ...]}, values hashable. Returns dicts name -> value; deterministic.

    Greedy: each row starts from the first pair not yet met; every other factor then takes the value
    that meets most such pairs with what the row has, the one used least often among equals.
    """
    names = list(factors)
    missing = {((a, x), (b, y)): None for a, b in combinations(names, 2)
               for x in factors[a] for y in factors[b]}
    used = {(name, value): 0 for name in names for value in factors[name]}
    rows = []
    while missing:
        row = dict(next(iter(missing)))
        for name in names:
            if name not in row:
                row[name] = max(factors[name], key=lambda value: (
                    sum(_pair(names, name, value, other, row[other]) in missing for other in row),
                    -used[name, value]))
        for one, other in combinations(names, 2):
            missing.pop(((one, row[one]), (other, row[other])), None)
        for item in row.items():
            used[item] += 1
        rows.append({name: row[name] for name in names})
    return rows


def _pair(names, one, x, other, y):
    """The pair in the order of the factors."""
    pair = ((one, x), (other, y))
    return pair if names.index(one) < names.index(other) else pair[::-1]
