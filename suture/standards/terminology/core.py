"""The code systems, value sets and concept maps of FHIR R4 itself, read when they are asked for (https://hl7.org/fhir/R4/terminologies.html)."""

from __future__ import annotations

from functools import cache
from typing import Any

from suture.standards.fhir.definitions import Rows
from suture.standards.terminology.code_system import CodeSystem, Details

VERSION = "4.0.1"


@cache
def _rows(file: str) -> Rows:
    return Rows(file)


_systems: dict[str, CodeSystem] = {}


def code_system(url: str) -> CodeSystem | None:
    """The code system; None when its content is not part of R4."""
    known = _systems.get(url)
    if known is not None:
        return known
    rows = _rows("codesystems.jsonl").get(url)
    if rows is None:
        return None
    said = _rows("details.jsonl").get(url)
    head, more = (said[1], said[2]) if said is not None else ({}, {})
    details = {code: Details(*parts) for code, parts in more.items()}
    parents = {row[0]: tuple(row[2:]) for row in rows[1:] if len(row) > 2}
    made = CodeSystem({"url": url, **head}, {row[0]: row[1] for row in rows[1:]}, parents, details)
    return _systems.setdefault(url, made)


def value_set(url: str) -> dict[str, Any] | None:
    """The value set with its compose."""
    found = _rows("composes.jsonl").get(url)
    return None if found is None else found[1]


def concept_map(url: str) -> dict[str, Any] | None:
    found = _rows("conceptmaps.jsonl").get(url)
    return None if found is None else found[1]


@cache
def concept_maps() -> tuple[dict[str, Any], ...]:
    """All of them."""
    rows = _rows("conceptmaps.jsonl")
    return tuple(found[1] for url in rows.lines if (found := rows.get(url)))
