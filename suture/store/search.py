"""Runs searches over the index tables: pages behind a cursor, totals, included resources, all within a budget.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from suture.standards.fhir.search_query import Cursor, SearchQuery
from suture.store import search_lookup, search_plan
from suture.store.connection import Connection
from suture.store.index import bounded
from suture.store.resources import Row, read_rids
from suture.store.search_includes import included as _included

PAGE = 50
COUNTED: dict[str, int | None] = {"accurate": None, "estimate": 10_000}  # how far `_total` counts
BUDGET = 10.0  # seconds
Read = Callable[[Connection, Sequence[int]], list[Row]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of matches, where the next one goes on (None: nowhere), and how many there are in all if that was asked."""

    rows: list[Row]
    next: Cursor | None
    total: int | None = None


def find(connection: Connection, query: SearchQuery, *, budget: float = BUDGET, read: Read = read_rids) -> Page:
    """The page of `query.count` matches behind `query.cursor`, newest first unless it is sorted otherwise.

    Includes are fetched by `included`, for the rows that the caller may see. `read`: how the matches are read.
    """
    count = PAGE if query.count is None else query.count
    with connection.budget(budget):
        if count == 0 or query.summary == "count":
            return Page([], None, _counted(connection, query, None))
        plan = search_plan.plan(connection, query)
        found = search_plan.found(plan, query.cursor, count + 1)
        try:
            rows = read(connection, [row[0] for row in found[:count]])
        finally:
            connection.carried = None
        total = _counted(connection, query, COUNTED[query.total]) if query.total in COUNTED else None
    following = search_plan.cursor_at(found[count - 1]) if len(found) > count else None
    return Page(rows, following, total)


def by_identifier(connection: Connection, type: str, system: str, value: str) -> list[int]:
    """Row numbers of the resources with this identifier, at most two: the one search that every mapped message makes."""
    pids = search_lookup.parameters(connection, (type,), "identifier", "identifiers")
    tids = search_lookup.systems(connection, (system,))
    rows = [
        rid
        for pid in pids
        for tid in tids
        for (rid,) in connection.execute(
            "SELECT rid FROM I WHERE pid = ? AND val = ? AND tid = ? LIMIT 2", (pid, bounded(value), tid)
        )
    ]
    return list(dict.fromkeys(rows))[:2]


def count(connection: Connection, query: SearchQuery, *, most: int | None = None, budget: float = BUDGET) -> int:
    """How many matches there are, or `most` when there are more."""
    with connection.budget(budget):
        return _counted(connection, query, most)


def included(
    connection: Connection,
    query: SearchQuery,
    rows: Sequence[Row],
    allows: Callable[[Row], bool] = lambda row: True,
    *,
    most: int = 1000,
    budget: float = BUDGET,
    read: Read = read_rids,
) -> list[Row]:
    """What `_include` and `_revinclude` add to these matches. Rows that `allows` refuses are left out and lead no further.

    More than `most` raises TooCostly.
    """
    if not query.includes or not rows:
        return []
    with connection.budget(budget):
        return _included(connection, query, rows, allows, most, read)


def _counted(connection: Connection, query: SearchQuery, most: int | None) -> int:
    return search_plan.counted(search_plan.plan(connection, query, whole=True), most)
