"""What the shipped maps read and write, told from their rows."""

from __future__ import annotations

from collections.abc import Iterator

from suture.mapping import locations
from suture.mapping.generate_expressions import places
from suture.mapping.library import Library
from suture.mapping.model import MISSING, Entry, Map, Part, Row

LIBRARY = Library()
Read = tuple[str, str, str]  # target type, place (PID-3, CX.4), first element written


def reads() -> set[Read]:
    """Every place that a row reads, with the element it writes."""
    found: set[Read] = set()
    for name in LIBRARY.names():
        made = LIBRARY.require(name)
        found |= set(_rows(made.rows, made.target, ""))
        for entry in _entries(made.part):
            found |= set(_entry(made, entry))
    return found


def writes(source: str) -> set[tuple[str, str]]:
    """(target type, first element) of all maps of a segment or datatype."""
    maps = [LIBRARY.require(name) for name in LIBRARY.names()]
    return {(m.target, step(row)) for m in maps if m.source == f"hl7v2.{source}" for row in m.rows}


def step(row: Row) -> str:
    return row.to[0].name


def _rows(rows: list[Row], target: str, above: str) -> Iterator[Read]:
    for row in rows:
        element = above or step(row)
        if element == "$this" and row.using:
            names = [f"hl7v2/{name}" for name in row.using.maps.values()]
            inner = {step(one) for name in names for one in LIBRARY.require(name).rows}
            yield from ((target, place(text), one) for _, e in row.expressions() for text in places(e) for one in inner)
        for _, expression in row.expressions():
            for text in places(expression):
                yield target, place(text), element
        yield from _rows(row.rows, target, element)


def _entries(part: Part | None) -> Iterator[Entry]:
    if part is not None:
        yield from part.entries
        for inner in part.parts:
            yield from _entries(inner)


def _entry(made: Map, entry: Entry) -> Iterator[Read]:
    yield from _rows(entry.rows, entry.resource, "")
    for row in entry.rows:
        if row.reference and row.set is MISSING:
            yield entry.resource, f"entry {row.reference}", step(row)


def place(text: str) -> str:
    """PID-3[2].4.1 -> PID-3, CX.4.1 -> CX.4."""
    location = locations.read(text)
    assert location is not None
    if location.of_segment:
        return f"{location.root}-{location.field}"
    return f"{location.root}.{location.component}"
