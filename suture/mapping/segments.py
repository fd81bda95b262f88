"""Segments as lists of fields with the usual separators, whatever separators the message has (HL7 v2.9 chapter 2, section 2.5.4)."""

from __future__ import annotations

import re
from functools import lru_cache

from suture.standards.hl7v2.escapes import STANDARD, Separators, escape
from suture.standards.hl7v2.message import HEADERS, Segment


def fields(segment: Segment, width: int) -> list[str]:
    """The fields by number, at least `width` and one of them; 0 holds the name."""
    text = segment.text
    if segment.separators[:5] != STANDARD[:5]:
        text = usual(text, segment.separators)
    found = text.split("|")
    if segment.name in HEADERS:
        found.insert(1, "|")
        if len(found) > 2:
            found[2] = "^~\\&"
    missing = width + 1 - len(found)
    if missing > 0:
        found += [""] * missing
    return found


def usual(text: str, separators: Separators) -> str:
    """The text of a segment as it would be written with |^~\\&."""
    table = _table(separators)
    mark = separators.escape
    if not mark or mark not in text:
        return text.translate(table)
    names = {"F": separators.field, "S": separators.component, "R": separators.repetition}
    names |= {"E": separators.escape, "T": separators.subcomponent}
    parts = re.split(f"{re.escape(mark)}([FSRET]){re.escape(mark)}", text)
    made = [part.translate(table) if n % 2 == 0 else escape(names[part]) for n, part in enumerate(parts)]
    return "".join(made)


@lru_cache(64)
def _table(separators: Separators) -> dict[int, str]:
    """Each character as it is written with the usual separators."""
    made = {character: escape(character) for character in STANDARD[:5]}
    made |= {mine: theirs for mine, theirs in zip(separators[:5], STANDARD[:5], strict=True) if mine}
    return {ord(character): text for character, text in made.items()}
