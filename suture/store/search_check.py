"""Functions for SQL that look into a stored body, for what the index can't tell: to the letter, or as a sort key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from suture.standards.fhir.index import Rows, extract, values
from suture.standards.fhir.search_match import Subject, holds
from suture.standards.fhir.search_query import Judged, Match, Missing
from suture.store.connection import Connection
from suture.store.index import bounded

KEPT = 20_000  # conditions and sort keys that are remembered for each connection; more than one search can have

Asked = Match | Missing | Judged | str


@dataclass(slots=True)
class _Known:
    """What the functions of one connection are asked about, by number."""

    things: dict[int, Asked] = field(default_factory=dict)
    last: int = 0

    def add(self, thing: Asked) -> int:
        self.last += 1
        self.things[self.last] = thing
        self.things.pop(self.last - KEPT, None)
        return self.last


_known: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()


def register(connection: Connection, condition: Match | Missing | Judged) -> int:
    """The number by which `suture_holds(number, rid)` knows the condition."""
    return _of(connection).add(condition)


def register_key(connection: Connection, parameter: str) -> int:
    """The number by which `suture_key(number, rid, descending)` knows the search parameter."""
    return _of(connection).add(parameter)


def _of(connection: Connection) -> _Known:
    known = _known.get(connection)
    if known is None:
        known = _known[connection] = _Known()
        _install(connection, known)
    return known


def _install(connection: Connection, known: _Known) -> None:
    base = connection.shared.base

    def suture_holds(number: int, found: dict[str, Any] | None, _: int = 0) -> bool:
        condition = known.things[number]
        if found is None or isinstance(condition, str):
            return False
        return (
            condition.decides(found) if isinstance(condition, Judged) else holds(condition, Subject(found, base=base))
        )

    def suture_key(number: int, found: dict[str, Any] | None, descending: int = 0) -> str | None:
        parameter = known.things[number]
        return None if found is None else _key(extract(found, base), str(parameter), bool(descending))

    connection.look_into_bodies(suture_holds, suture_key)


def _key(rows: Rows, parameter: str, greatest: bool) -> str | None:
    """Tokens sort by code, identifiers by value, references by type and id."""
    keys = [text for name, row in values(rows, parameter) if (text := _text(name, row))]
    return (max if greatest else min)(keys, default=None)


def _text(name: str, row: tuple[Any, ...]) -> str:
    if name == "references":
        return f"{row[1]}/{row[2]}"
    return bounded(str(row[-1])) if name in ("identifiers", "words", "typed") else str(row[-1])
