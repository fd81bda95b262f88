"""Finds the CodeSystems, ValueSets and ConceptMaps that are stored, by their URLs (https://hl7.org/fhir/R4/terminology-module.html)."""

from __future__ import annotations

from collections.abc import Iterable

from suture.store import names, postings
from suture.store import search_lookup as lookup
from suture.store.connection import Connection
from suture.store.resources import DELETE, Row, read_rids
from suture.store.search_sql import one_of

TYPES = ("CodeSystem", "ValueSet", "ConceptMap")
MOST = 200  # versions of one URL that are looked at


def mark(connection: Connection, types: Iterable[str] = TYPES) -> tuple[int, ...]:
    """Another value after every change to a resource of these types."""
    rows = (
        connection.one("SELECT max(upd), count(upd) FROM res WHERE rt = ?", (names.find(connection, type),))
        for type in types
    )
    return tuple(int(number or 0) for row in rows if row for number in row)


def named(connection: Connection, type: str, url: str, code: str = "url") -> list[Row]:
    """The rows of a type that a canonical names; `code`: the search parameter it stands in, `supplements` or `url`."""
    pids = lookup.parameters(connection, (type,), code, "urls")
    tids = lookup.urls(connection, (url,))
    lids = postings.find(connection, pids, tids)
    if not lids:
        return []
    where = one_of("lid", lids)
    rows = connection.all(f"SELECT DISTINCT rid FROM T WHERE {where.text} LIMIT ?", (*where.values, MOST))
    return read_rids(connection, [rid for (rid,) in rows])


def every(connection: Connection, type: str, most: int) -> list[Row]:
    """All rows of a type."""
    sql = f"SELECT rid FROM res WHERE rt = ? AND op <> {DELETE} ORDER BY upd DESC LIMIT ?"
    return read_rids(connection, [rid for (rid,) in connection.all(sql, (names.find(connection, type), most))])
