"""Sort keys: the date of the postings, columns of the resource row, the least or greatest indexed value, or the body's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suture.standards.fhir.index_dates import UNDATED
from suture.standards.fhir.index_time import LATEST
from suture.standards.fhir.search_query import Sort
from suture.standards.fhir.search_tables import searchable
from suture.store.index import SPAN
from suture.store.search_check import register_key
from suture.store.search_sql import Sql, one_of
from suture.store.search_terms import Scope, is_sorting

LEAST_NUMBER, MOST_NUMBER, OPEN = -1.7e308, 1.7e308, -1.6e308
LAST_TEXT = "\U0010ffff"  # behind every folded text
COLUMNS = {"_lastUpdated": "here.upd", "_id": "here.fid", "_date": "here.sd"}
PLACES: dict[str, tuple[str, str, str, tuple[int | float | str, int | float | str]]] = {
    "date": ("D", "lo", "dates", (LATEST + 1, UNDATED)),
    "string": ("S", "val", "strings", (LAST_TEXT, "")),
    "number": ("Q", "lo", "quantities", (MOST_NUMBER, LEAST_NUMBER)),
}  # table, column, list of Rows, and what a resource without a value has: ascending, descending
PLACES["quantity"] = PLACES["number"]


@dataclass(frozen=True, slots=True)
class Key:
    """One sort key as SQL over the res row `here`; a resource without a value comes last both ways."""

    sql: Sql
    descending: bool
    column: bool = False  # a plain column of res
    date: bool = False  # the date that stands in the postings

    @property
    def way(self) -> str:
        return "DESC" if self.descending else "ASC"


def sort_keys(scope: Scope, sorts: Sequence[Sort]) -> tuple[Key, ...]:
    return tuple(_key(scope, s, first=s is sorts[0]) for s in sorts)


def _key(scope: Scope, s: Sort, first: bool) -> Key:
    if s.parameter == "_date" or (len(scope.types) == 1 and is_sorting(scope.types[0], s.parameter)):
        if first or s.descending:  # the plan reads the undated ones behind the others
            return Key(Sql("here.sd"), s.descending, column=True, date=True)
        return Key(Sql(f"CASE WHEN here.sd = {UNDATED} THEN {LATEST + 1} ELSE here.sd END"), s.descending)
    if s.parameter in COLUMNS:
        return Key(Sql(COLUMNS[s.parameter]), s.descending, column=True)
    kind = searchable(scope.types[0])[s.parameter]
    if kind in PLACES:
        return Key(_indexed(scope, s, kind), s.descending)
    number = register_key(scope.connection, s.parameter)
    key = f"ifnull(suture_key(?, here.rid, ?), '{'' if s.descending else LAST_TEXT}')"
    return Key(Sql(key, (number, int(s.descending))), s.descending)


def _indexed(scope: Scope, s: Sort, kind: str) -> Sql:
    """Ascending by the least value, descending by the greatest."""
    table, column, rows, absent = PLACES[kind]
    none = absent[int(s.descending)]
    pids = scope.pids(s.parameter, rows) + (scope.pids(s.parameter, rows, SPAN) if table == "Q" else ())
    if not pids:
        return Sql("?", (none,))
    pid, pick = one_of("pid", pids), "max" if s.descending else "min"
    text = f"(SELECT {pick}({column}) FROM {table} INDEXED BY {table}_rid WHERE rid = here.rid AND {pid.text})"
    if table == "Q":
        text = f"max({text}, {OPEN})"  # the open end of a span has no number that a cursor could keep
    return Sql(f"ifnull({text}, ?)", (*pid.values, none))
