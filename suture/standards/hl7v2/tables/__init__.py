"""Names, types and structures of HL7 v2.3 to v2.8.2 as one superset, made by scripts/build_hl7v2.py (HL7 v2.8.2 chapter 2A and appendix A)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent


class FieldDef(NamedTuple):
    """One field of a segment; `table` is an HL7 table number such as `0001`, or empty."""

    number: int
    name: str
    type: str
    repeats: bool
    table: str


class ComponentDef(NamedTuple):
    """One component of a data type."""

    number: int
    name: str
    type: str
    table: str


@cache
def fields(segment: str) -> list[FieldDef]:
    """The fields of a segment; none for a segment that HL7 does not define (a Z segment)."""
    rows = _file("segments").get(segment, ["", []])[1]
    return [FieldDef(number, *row) for number, row in enumerate(rows, 1)]


@cache
def components(type: str) -> list[ComponentDef]:
    """The components of a data type; none for a primitive or unknown one."""
    rows = _file("types").get(type, ["", []])[1]
    return [ComponentDef(number, *row) for number, row in enumerate(rows, 1)]


def segments() -> list[str]:
    """The segments HL7 defines."""
    return list(_file("segments"))


def types() -> list[str]:
    """The data types with components."""
    return list(_file("types"))


def segment_name(segment: str) -> str:
    """`Patient Identification` for PID; empty when unknown."""
    return str(_file("segments").get(segment, [""])[0])


def type_name(type: str) -> str:
    """`Extended Person Name` for XPN; empty when unknown."""
    return str(_file("types").get(type, [""])[0])


def event_name(type: str) -> str:
    """What `ADT^A01` tells; empty when unknown."""
    return str(_file("events").get(type, ["", ""])[1])


def structure_of(type: str) -> str:
    """The structure of a message type by HL7 table 0354: ADT_A01 for `ADT^A04`; empty when unknown."""
    return str(_file("events").get(type, [""])[0])


def structure(name: str) -> list[list[Any]] | None:
    """Rows [segment, count] and [group, count, rows]; count is `?`, `1`, `*` or `+`."""
    found: list[list[Any]] | None = _file("structures").get(name)
    return found


@cache
def _file(name: str) -> dict[str, list[Any]]:
    content: dict[str, list[Any]] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content
