"""Sort keys: the date of the postings, columns of the resource row, the least or greatest indexed value, or the body's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suture.standards.fhir.index_dates import UNDATED
from suture.standards.fhir.search_query import Sort
from suture.standards.fhir.search_tables import searchable
from suture.store.index import SPAN
from suture.store.search_check import register_key
from suture.store.search_sql import Sql, one_of
from suture.store.search_terms import Scope, is_sorting

LEAST_NUMBER, OPEN = -1.7e308, -1.6e308
COLUMNS = {"_lastUpdated": "here.upd", "_id": "here.fid", "_date": "here.sd"}
PLACES = {
    "date": ("D", "lo", "dates", UNDATED),
    "string": ("S", "val", "strings", ""),
    "number": ("Q", "lo", "quantities", LEAST_NUMBER),
}
PLACES["quantity"] = PLACES["number"]


@dataclass(frozen=True, slots=True)
class Key:
    """One sort key as SQL over the res row `here`; a resource without a value sorts before all that have one."""

    sql: Sql
    descending: bool
    column: bool = False  # a plain column of res
    date: bool = False  # the date that stands in the postings

    @property
    def way(self) -> str:
        return "DESC" if self.descending else "ASC"


def sort_keys(scope: Scope, sorts: Sequence[Sort]) -> tuple[Key, ...]:
    return tuple(_key(scope, s) for s in sorts)


def _key(scope: Scope, s: Sort) -> Key:
    if s.parameter == "_date" or (len(scope.types) == 1 and is_sorting(scope.types[0], s.parameter)):
        return Key(Sql("here.sd"), s.descending, column=True, date=True)
    if s.parameter in COLUMNS:
        return Key(Sql(COLUMNS[s.parameter]), s.descending, column=True)
    kind = searchable(scope.types[0])[s.parameter]
    if kind in PLACES:
        return Key(_indexed(scope, s, kind), s.descending)
    number = register_key(scope.connection, s.parameter)
    return Key(Sql("suture_key(?, here.rid, ?)", (number, s.descending)), s.descending)


def _indexed(scope: Scope, s: Sort, kind: str) -> Sql:
    """Ascending by the least value, descending by the greatest."""
    table, column, rows, none = PLACES[kind]
    pids = scope.pids(s.parameter, rows) + (scope.pids(s.parameter, rows, SPAN) if table == "Q" else ())
    if not pids:
        return Sql("?", (none,))
    pid, pick = one_of("pid", pids), "max" if s.descending else "min"
    text = f"(SELECT {pick}({column}) FROM {table} INDEXED BY {table}_rid WHERE rid = here.rid AND {pid.text})"
    if table == "Q":
        text = f"max({text}, {OPEN})"  # the open end of a span has no number that a cursor could keep
    return Sql(f"ifnull({text}, ?)", (*pid.values, none))
