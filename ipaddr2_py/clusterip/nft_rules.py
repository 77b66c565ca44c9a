# SPDX-License-Identifier: GPL-2.0-only
"""What nft lists of a table, and whether it is what was written there, whichever nft lists it.

nftables 0.9.8 to 1.1.7 print the same rule in different ways: numbers decimal or hexadecimal, with
names or without, and bytes at an offset by the field that is there.  So rules are compared word by
word and by value; in those that name bytes by their offset, only what each nft prints counts.
"""

from ..addresses import HEX_DIGITS, address_bytes, mac_bytes
from ..ocf import ocf_is_decimal

#: What `nft -n` prints as numbers, as the rules are written (meta pkttype, l4proto, ct state).
NAMES = {"host": 0, "tcp": 6, "udp": 17, "dccp": 33, "sctp": 132, "udplite": 136, "new": 8}
BUCKET = "bucket "


def parse_rules(text: str) -> list:
    """What `nft -a list table` prints: tuples (family, chain, text, comment, handle) in its order.

    A chain is one with the text "chain", its hook one without handle (0).  What else the table
    has, such as a set or the flag dormant, has no chain ("").
    """
    found, family, chain = [], "", ""
    for line in text.split("\n"):
        body, mark, handle = line.strip("\t ").rpartition(" # handle ")
        body = body if mark else handle
        words = body.split(" ") + [""]
        if words[0] == "table":
            family, chain = words[1], ""
        elif body == "}":
            chain = ""
        elif words[0] == "chain":
            chain = words[1]
            found.append((family, chain, "chain", "", 0))
        elif mark or words[0] == "type" and "hook" in words or \
                words[0] == "flags" and "dormant" in body:
            rule, _, comment = body.partition(' comment "')
            found.append((family, chain, rule, comment[:-1],
                          int(handle) if mark and ocf_is_decimal(handle) else 0))
    return found


def bucket_number(comment: str) -> int:
    """The bucket that a rule's comment names, from 1; 0 for any other comment."""
    digits = comment[len(BUCKET):]
    good = comment.startswith(BUCKET) and ocf_is_decimal(digits) and digits[0] != "0"
    return int(digits) if good else 0


def as_written(listed, written) -> bool:
    """Whether tuples of parse_rules() are what was written, given in the same form.

    Neither the order of chains matters nor that of the buckets at the head of one.
    """
    there, due = by_chain(listed), by_chain(written)
    return there.keys() == due.keys() and all(
        [comment for comment, _ in there[place]] == [comment for comment, _ in due[place]]
        and all(alike(one[1], other[1]) for one, other in zip(there[place], due[place]))
        for place in due)


def by_chain(rules) -> dict:
    """(family, chain) -> its rules as (comment, text), the buckets at its head sorted."""
    found = {}
    for family, chain, text, comment, _ in rules:
        found.setdefault((family, chain), []).append((comment, text))
    for inside in found.values():
        end = 1             # behind the chain itself
        while end < len(inside) and inside[end][0].startswith(BUCKET):
            end += 1
        inside[1:end] = sorted(inside[1:end])
    return found


def alike(listed: str, written: str) -> bool:
    """Whether a listed rule, or a chain's hook, does what was written."""
    there, due = values(listed), values(written)
    if there == due:
        return True
    if due[:1] == ["type"]:     # a hook: its policy, the other one being accept, stands behind
        return in_order(due, there) and "drop" not in there
    if "@" not in written:
        return False
    # nft 1.1 names the address "icmpv6 taddr"; a later one may know names for more.  The beginning
    # and the end, where a verdict would stand, are words in all of them.
    due = [word for word in due if not (isinstance(word, str) and word.startswith("@"))]
    return there[:5] == due[:5] and there[-1:] == due[-1:] and in_order(due, there)


def in_order(due, there) -> bool:
    """Whether all of `due` is in `there`, in its order, whatever else is there."""
    rest = iter(there)
    return all(any(word == other for other in rest) for word in due)


def values(text: str) -> list:
    """The words of a rule: numbers, MACs and IPv6 addresses as int, the rest as str; sets sorted.

    Names in quotes, which may hold any other character, stay as they are.
    """
    found, start = [], 0
    for word in text.split(" "):
        plain = word if word.endswith('"') else word.rstrip(",;")
        if plain == "{":
            start = len(found)
        elif plain == "}":
            found[start:] = sorted(found[start:], key=str)
        elif plain:
            found.append(value(plain))
    return found


def value(word: str):
    """The number that a word is, or the word itself."""
    if word.isascii() and word.isdigit() and len(word) < 40:        # 128 bits have 39 digits
        return int(word)
    if word[:2] == "0x" and 2 < len(word) < 40 and all(one in HEX_DIGITS for one in word[2:]):
        return int(word, 16)
    packed = (mac_bytes(word) or address_bytes(word, "inet6")) if ":" in word else None
    return NAMES.get(word, word) if packed is None else int.from_bytes(packed, "big")
