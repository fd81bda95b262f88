"""Sort keys: the date of the postings, columns of the resource row, the least or greatest indexed value, or the body's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suture.standards.fhir import index
from suture.standards.fhir.index_dates import UNDATED
from suture.standards.fhir.index_time import LATEST
from suture.standards.fhir.search_query import Sort
from suture.standards.fhir.search_tables import searchable
from suture.store import postings
from suture.store.search_check import register_key
from suture.store.search_sql import Sql
from suture.store.search_terms import Scope, is_sorting, places_of

LEAST_NUMBER, MOST_NUMBER, OPEN = -1.7e308, 1.7e308, -1.6e308
LAST_TEXT = "\U0010ffff"  # behind every folded text
_CODES = (
    "SELECT T.rid AS rid, tok.code AS k FROM posting CROSS JOIN tok ON tok.tid = posting.tid"
    " CROSS JOIN T ON T.lid = posting.lid WHERE tok.code <> ''"
)
_VALUES = "SELECT rid, val AS k FROM I WHERE val <> ''"
PARTS = {"tokens": ("T", _CODES), "urls": ("T", _CODES), "words": ("I", _VALUES), "identifiers": ("I", _VALUES)}
COLUMNS = {"_lastUpdated": "here.upd", "_id": "here.fid", "_date": "here.sd"}
PLACES: dict[str, tuple[str, str, tuple[int | float | str, int | float | str]]] = {
    "date": ("lo", "dates", (LATEST + 1, UNDATED)),
    "string": ("val", "strings", (LAST_TEXT, "")),
    "number": ("lo", "quantities", (MOST_NUMBER, LEAST_NUMBER)),
}  # column, list of Rows, and what a resource without a value has: ascending, descending
PLACES["quantity"] = PLACES["number"]


@dataclass(frozen=True, slots=True)
class Key:
    """One sort key as SQL over the res row `here`; a resource without a value comes last both ways."""

    sql: Sql
    descending: bool
    column: bool = False  # a plain column of res
    date: bool = False  # the date that stands in the postings
    list: Sql | None = None  # (rid, k) of all resources that have a value, in place of `sql`
    none: int | float | str = ""  # with a list: the key of those that have none
    wide: Key | None = None  # the same for many rows: gathered once, rather than looked up row by row

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
    return Key(Sql(key, (number, int(s.descending))), s.descending, wide=_gathered(scope, s))


def _gathered(scope: Scope, s: Sort) -> Key | None:
    """Codes, identifiers and URLs of all resources at once; None for what has references among its values."""
    code = s.parameter
    lists = {name for type in scope.types for number in index.atoms(type, code) for name in index.lists(type)[number]}
    if not lists <= {"tokens", "urls", "words", "identifiers", "typed"}:
        return None
    parts = [_part(scope, scope.pids(s.parameter, name), *PARTS[name]) for name in sorted(lists & PARTS.keys())]
    found = [part for part in parts if part.text]
    none = "" if s.descending else LAST_TEXT
    if not found:
        return Key(Sql("?", (none,)), s.descending)
    whole = Sql(" UNION ALL ".join(p.text for p in found), tuple(v for p in found for v in p.values))
    return Key(Sql("NULL"), s.descending, list=whole, none=none)


def _part(scope: Scope, pids: Sequence[int], table: str, select: str) -> Sql:
    if not pids:
        return Sql("")
    of = postings.of(scope.connection, table, pids)
    if table == "I":
        return Sql(f"{select} AND {of.text}", of.values)
    return Sql(
        f"{select} AND posting.{of.text} AND T.{of.text}", of.values * 2
    )  # of each a planner knows how long it is


def _indexed(scope: Scope, s: Sort, kind: str) -> Sql:
    """Ascending by the least value, descending by the greatest."""
    column, rows, absent = PLACES[kind]
    none = absent[int(s.descending)]
    parts = [_of_row(scope, table, column, pids) for table, pids in places_of(scope, s.parameter, rows)]
    if not parts:
        return Sql("?", (none,))
    values = tuple(v for p in parts for v in p.values)
    text = f"(SELECT {'max' if s.descending else 'min'}(k) FROM ({' UNION ALL '.join(p.text for p in parts)}))"
    if rows == "quantities":
        text = f"max({text}, {OPEN})"  # the open end of a span has no number that a cursor could keep
    return Sql(f"ifnull({text}, ?)", (*values, none))


def _of_row(scope: Scope, table: str, column: str, pids: Sequence[int]) -> Sql:
    mine = postings.of(scope.connection, table, pids, one=True)
    text = f"SELECT {column} AS k FROM {table} INDEXED BY {table}_rid WHERE rid = here.rid AND {mine.text}"
    return Sql(text, mine.values)
