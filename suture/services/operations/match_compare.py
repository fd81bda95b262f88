"""How alike two texts or dates of a person are, in a few named levels (https://hl7.org/fhir/R4/patient-operation-match.html)."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 40  # characters that are compared
_LEVELS = ("exact", "near", "sound", "part", "apart")  # the best first
_SOUNDS = {c: d for d, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), 1) for c in letters}
_DAY = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII).fullmatch


def names(ours: Iterable[str], theirs: Iterable[str]) -> str:
    """The best level of any pair: exact, near (a slip of the pen), sound, part (initial, one of two names) or apart."""
    there = list(theirs)
    levels = {_name(a, b) for a in ours for b in there}
    return next((level for level in _LEVELS if level in levels), "")


def _name(a: str, b: str) -> str:
    if a == b:
        return "exact"
    a, b = a[:LONGEST], b[:LONGEST]
    if _slips(a, b) <= (2 if min(len(a), len(b)) >= 8 else 1) and min(len(a), len(b)) >= 4:
        return "near"
    if soundex(a) == soundex(b) and min(len(a), len(b)) >= 3:
        return "sound"
    short, long = sorted((a, b), key=len)
    if (long.startswith(short) and (len(short) in (1, 2) or len(short) >= 3)) or short in long.split():
        return "part"
    return "apart"


def _slips(a: str, b: str) -> int:
    """Insertions, deletions, changes and swaps of neighbours (optimal string alignment); 3 for more than two."""
    if abs(len(a) - len(b)) > 2:
        return 3
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if older and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, older[j - 2] + 1)
            row.append(best)
        if min(row) > 2 and min(before) > 1:  # it only grows from here
            return 3
    return row[-1]


def soundex(text: str) -> str:
    """The American Soundex of a folded name; '' when there is no Latin letter."""
    letters = [c for c in text if "a" <= c <= "z"]
    if not letters:
        return text
    code, last = letters[0], _SOUNDS.get(letters[0], 0)
    for c in letters[1:]:
        sound = _SOUNDS.get(c, 0)
        if sound and sound != last:
            code += str(sound)
        last = last if c in "hw" else sound
    return (code + "000")[:4]


def days(a: str, b: str) -> str:
    """exact, near (one digit, or day and month swapped), month, year (all that one of them says) or apart."""
    ours, theirs = _DAY(a), _DAY(b)
    if ours is None or theirs is None:
        return ""
    if len(a) == len(b) == 10:
        if a == b:
            return "exact"
        swapped = ours[1] == theirs[1] and (ours[2], ours[3]) == (theirs[3], theirs[2])
        return "near" if swapped or sum(x != y for x, y in zip(a, b, strict=True)) == 1 else "apart"
    length = min(len(a), len(b))
    return ("month" if length == 7 else "year") if a[:length] == b[:length] else "apart"
