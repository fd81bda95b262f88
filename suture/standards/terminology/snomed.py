"""Reads a snapshot of SNOMED CT in Release Format 2: active concepts, their terms and is-a hierarchy.

https://docs.snomed.org/snomed-ct-specifications/snomed-ct-release-file-specification
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from suture.standards.terminology.lines import Concept, Files, Lines

SYSTEM = "http://snomed.info/sct"
_IS_A, _FULL, _PREFERRED = "116680003", "900000000000003001", "900000000000548007"
_US = "900000000000509007"  # the language reference set that decides first
_ID = re.compile(r"\d{6,18}")
_COLUMNS = {"concepts": 5, "descriptions": 9, "relationships": 10, "language": 7}


def snomed(files: Files) -> Iterator[Concept]:
    """The preferred term is the display; all other active terms are designations, the full name by its use."""
    codes = {cells[0]: None for _, cells in _active(files["concepts"], "concepts")}
    preferred, first = _preferred(files["language"]) if "language" in files else (set(), set())
    parents = _parents(files["relationships"], codes)
    terms: dict[str, list[tuple[int, str, str]]] = {}
    for _, cells in _active(files["descriptions"], "descriptions"):
        if cells[4] in codes:
            rank = 3 if cells[6] == _FULL else 0 if cells[0] in first else 1 if cells[0] in preferred else 2
            terms.setdefault(cells[4], []).append((rank, cells[7], cells[5]))
    for code in codes:
        told = sorted(terms.pop(code, []))
        display = told[0][1] if told else ""
        yield Concept(code, display, parents.pop(code, []), [], [_designation(*one) for one in told[1:]])


def _designation(rank: int, term: str, language: str) -> dict[str, Any]:
    use = {"use": {"system": SYSTEM, "code": _FULL}} if rank == 3 else {}
    return {"language": language, **use, "value": term}


def _preferred(lines: Lines) -> tuple[set[str], set[str]]:
    """Descriptions that a language reference set prefers; those of the first one apart."""
    preferred, first = set[str](), set[str]()
    for _, cells in _active(lines, "language"):
        if cells[6] == _PREFERRED:
            (first if cells[4] == _US else preferred).add(cells[5])
    return preferred, first


def _parents(lines: Lines, codes: dict[str, None]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for _, cells in _active(lines, "relationships"):
        child, parent = cells[4], cells[5]
        if cells[7] == _IS_A and child in codes and parent in codes:
            above = found.setdefault(child, [])
            if parent not in above:
                above.append(parent)
    return found


def _active(lines: Lines, kind: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are active, without the heading."""
    for number, line in lines:
        cells = line.rstrip("\r\n").split("\t")
        if number == 1 and cells[0] == "id":
            continue
        if len(cells) != _COLUMNS[kind]:
            mend = "Is this the right file?"
            raise lines.wrong(number, f"{len(cells)} columns, not {_COLUMNS[kind]}", mend)
        if kind == "concepts" and not _ID.fullmatch(cells[0]):
            raise lines.wrong(number, "this is no concept id", "Mend the line.")
        if cells[2] == "1":
            yield number, cells
