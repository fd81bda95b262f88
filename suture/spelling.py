"""Finds the name that somebody meant: of names about equally alike, the one with the fewest letters to change.

https://en.wikipedia.org/wiki/Levenshtein_distance
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LIKE = 8  # candidates that are compared letter by letter
LONGEST = 200  # characters; what is longer is no mistyped name


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The known name that is most like `name`; empty when none is alike."""
    if len(name) > LONGEST:
        return ""
    close = get_close_matches(name, list(known), LIKE, likeness)
    return min(close, key=lambda one: changes(name, one), default="")


def changes(a: str, b: str) -> int:
    """How many letters must be put in, taken out or exchanged."""
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (letter != other))
    return row[-1]
