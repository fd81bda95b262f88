"""Chooses how a query is run: which list leads, how rows are sorted, and what one statement then is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Any

from suture.standards.fhir.index_dates import UNDATED
from suture.standards.fhir.search_query import ALL_TYPES, Branch, Cursor, SearchQuery, Sort
from suture.store import names
from suture.store.connection import Connection
from suture.store.ids import id_of, key_of
from suture.store.resources import KEPT
from suture.store.search_conditions import terms
from suture.store.search_joins import both, length, rarest
from suture.store.search_sort import COLUMNS, Key, sort_keys
from suture.store.search_sql import NEVER, TRUE, At, Sql, Term, all_of, any_of, one_of
from suture.store.search_terms import Scope

INDEXED = ("here.sd", "here.upd")  # columns by which the rows of a type are in order
MOST_MERGED = 40  # dated lists that are merged; more are gathered and sorted
NEAR = 4  # how many times longer a dated list may be and still lead, and of how many pieces
LOOKED_UP = 300  # rows whose sort keys are read in their bodies
FEW = 500  # rows whose bodies may be looked into
SHORT, LONG = 5_000, 30_000  # a longer list is not gathered and sorted if there is a list, or a type, in order

Found = tuple[Any, ...]  # row number, then the sort keys


@dataclass(frozen=True, slots=True)
class Plan:
    """What is needed to run a query: the leading term (None: the type itself), all others, the sort keys."""

    scope: Scope
    driver: Term | None
    others: tuple[Term, ...]
    keys: tuple[Key, ...]
    empty: bool = False
    few: bool = False  # the leading list is short
    low: int | None = None  # bounds of the sorting date besides those of the terms
    high: int | None = None
    brings: tuple[str, ...] = ()  # columns of res that come ahead of the row number and the sort keys

    @property
    def by_date(self) -> bool:
        return len(self.keys) == 1 and self.keys[0].date


def plan(connection: Connection, query: SearchQuery, *, whole: bool = False) -> Plan:
    """How the query is run; `whole`: all its rows are wanted, in any order."""
    scope = Scope(connection, _types(query))
    found = terms(scope, query.conditions)
    if query.rules is not None:
        found.append(_ruled(scope, query.rules))
    keys = sort_keys(scope, query.sort or _default_sort(query.type))
    empty = NEVER in found or not scope.rts()
    driver, short = (None, None) if empty else _leading(connection, found, keys, whole)
    keys = _widened(connection, driver, keys)
    others = tuple(_gathered_once(t) if t is short else t for t in found if t is not driver)
    return Plan(scope, driver, others, keys, empty, _few(connection, driver, found))


def _widened(connection: Connection, driver: Term | None, keys: tuple[Key, ...]) -> tuple[Key, ...]:
    """Of few rows sort keys are looked up one by one, of many they are gathered once."""
    if not any(k.wide for k in keys) or any(k.sql.text == COLUMNS["_id"] for k in keys):
        return keys  # ids are bytes or text, of which no database takes the greatest
    if driver is not None and driver.scan is not None and length(connection, driver.scan, LOOKED_UP) < LOOKED_UP:
        return keys
    return tuple(k.wide or k for k in keys)


def _types(query: SearchQuery) -> tuple[str, ...]:
    if query.type:
        return (query.type,)
    ruled = ALL_TYPES if query.rules is None else tuple(branch.type for branch in query.rules)
    return tuple(t for t in ruled if t in query.types) if query.types else ruled


def _few(connection: Connection, driver: Term | None, found: Sequence[Term]) -> bool:
    """Is the leading list so short that each row may cost something? Asked only if some term wants to know."""
    if driver is None or driver.scan is None or not any(t.dear for t in found):
        return False
    return length(connection, driver.scan, FEW) < FEW


Leading = tuple[Term | None, Term | None]  # the term that leads, a short one that is gathered once beside it


def _leading(connection: Connection, found: Sequence[Term], keys: Sequence[Key], whole: bool) -> Leading:
    """The shortest list; but if rows can be read in the order of the result, no long list is gathered and sorted."""
    if whole or not all(k.column for k in keys):
        return rarest(connection, found)[0], None
    dated = [t for t in found if t.lists and len(t.lists) <= MOST_MERGED] if len(keys) == 1 and keys[0].date else []
    if len(dated) == len([t for t in found if t.scan is not None]) == 1:
        return dated[0], None
    most = SHORT if dated else LONG
    driver, size = rarest(connection, found, most)
    if driver is not None and (_bounds(driver) or size >= most):
        return rarest(connection, dated, most)[0], None  # none: the rows of the type themselves
    return (driver, None) if driver is None or driver.lists or not dated else _beside(connection, driver, size, dated)


def _beside(connection: Connection, short: Term, size: int, dated: Sequence[Term]) -> Leading:
    """Leads a dated list that is not much longer, then rows come in order and need no look at res."""
    most = NEAR * size + FEW
    near, length_ = rarest(connection, [t for t in dated if len(t.lists) <= NEAR], most)
    return (near, short) if near is not None and length_ < most else (short, None)


def _gathered_once(term: Term) -> Term:
    """Its rows are gathered once a statement, a row is then looked up among them."""
    scan = term.scan
    assert scan is not None
    return Term(lambda at: Sql(f"+{at.rid} IN ({scan.text})", scan.values), low=term.low, high=term.high)


def _bounds(term: Term) -> bool:
    """Is it about the sorting date? Then a walk by date is bounded by it, and no other list of dates is needed."""
    return term.low is not None or term.high is not None


def _default_sort(type: str) -> tuple[Sort, ...]:
    return (Sort("_date" if type else "_lastUpdated", descending=True),)


def _ruled(scope: Scope, rules: Sequence[Branch]) -> Term:
    """For each type its own conditions."""
    parts: list[tuple[int, Term]] = []
    for branch in rules:
        rt = names.find(scope.connection, branch.type)
        if rt and branch.type in scope.types:
            inner = terms(scope.inner(branch.type), branch.conditions)
            parts.append((rt, both(scope.connection, inner) if inner else Term(lambda at: TRUE)))

    def probe(at: At) -> Sql:
        return any_of(all_of([Sql(f"{at.row}.rt = ?", (rt,)), t.probe(at)]) for rt, t in parts)

    return Term(probe, row=True) if parts else NEVER


# --- running


def found(p: Plan, cursor: Cursor | None, count: int) -> list[Found]:
    """The next `count` rows, with their sort keys; by rising date those without a date come behind the others."""
    if p.empty:
        return []
    if not p.keys[0].date or p.keys[0].descending:
        return _found(p, cursor, count)
    behind = cursor is not None and cursor.keys[0] == UNDATED
    dated = [] if behind else _found(replace(p, low=UNDATED + 1), cursor, count)
    if len(dated) == count:
        return dated
    return dated + _found(replace(p, high=UNDATED + 1), cursor if behind else None, count - len(dated))


def _found(p: Plan, cursor: Cursor | None, count: int) -> list[Found]:
    if p.driver is None:
        return _of_types(p, cursor, count)
    if p.by_date and p.driver.lists and len(p.driver.lists) <= MOST_MERGED:
        return _merged(p, cursor, count)
    return p.scope.connection.all(*_gathered(p, cursor, count))


def _merged(p: Plan, cursor: Cursor | None, count: int) -> list[Found]:
    """Each dated list is read as far as needed, in order."""
    assert p.driver is not None
    return _first(p, [p.scope.connection.all(*_dated(p, piece, cursor, count)) for piece in p.driver.lists], count)


def _first(p: Plan, pages: Sequence[list[Found]], count: int) -> list[Found]:
    """The first rows of several pages that are sorted by one key."""
    if len(pages) == 1:
        return pages[0]
    descending = p.keys[0].descending
    rows = sorted((row for page in pages for row in page), key=lambda r: (r[1], r[0]), reverse=descending)
    return [row for row, _ in islice(groupby(rows), count)]


def _dated(p: Plan, piece: Sql, cursor: Cursor | None, count: int) -> Sql:
    assert p.driver is not None
    row = any(t.row for t in p.others)
    at = At("lead.rid", "lead.sd", "here", p.few)
    tests = all_of(
        [
            piece,
            _between(p, "lead.sd"),
            _after(p.keys, ["lead.sd"], "lead.rid", cursor),
            *(t.probe(at) for t in p.others),
        ]
    )
    join = " CROSS JOIN res here ON here.rid = lead.rid" if row else ""
    way = p.keys[0].way
    text = f"SELECT lead.rid, lead.sd FROM {p.driver.listed} lead{join} WHERE {tests.text} ORDER BY lead.sd {way}, lead.rid {way} LIMIT ?"
    return Sql(text, (*tests.values, count))


def _between(p: Plan, sd: str) -> Sql:
    """What the terms say about the sorting date bounds the list."""
    every = [*p.others, *([p.driver] if p.driver else [])]
    lows = [low for low in (p.low, *(t.low for t in every)) if low is not None]
    highs = [high for high in (p.high, *(t.high for t in every)) if high is not None]
    parts = [Sql(f"{sd} >= ?", (max(lows),))] if lows else []
    return all_of(parts + ([Sql(f"{sd} < ?", (min(highs),))] if highs else []))


def _gathered(p: Plan, cursor: Cursor | None, count: int) -> Sql:
    """All rows of the leading list, probed and sorted."""
    assert p.driver is not None
    assert p.driver.scan is not None
    source = Sql(
        f"(SELECT DISTINCT rid FROM ({p.driver.scan.text})) lead CROSS JOIN res here ON here.rid = lead.rid",
        p.driver.scan.values,
    )
    return _sorted(p, source, [_between(p, "here.sd")], cursor, count)


def _of_types(p: Plan, cursor: Cursor | None, count: int) -> list[Found]:
    """Of several types each is read by itself, for the index that has the order is by type."""
    rts = p.scope.rts()
    apart = len(p.keys) == 1 and p.keys[0].sql.text in INDEXED
    parts = [(rt,) for rt in rts] if apart else [rts]
    if p.scope.connection.far and len(parts) == 1 and all(k.column for k in p.keys):
        return _brought(replace(p, brings=KEPT), parts[0], cursor, count)
    return _first(p, [p.scope.connection.all(*_of_type(p, part, cursor, count)) for part in parts], count)


def _brought(p: Plan, rts: Sequence[int], cursor: Cursor | None, count: int) -> list[Found]:
    """What is read from res itself brings along what the rows hold: one message to a server instead of two."""
    connection, wide = p.scope.connection, len(p.brings)
    rows = connection.all(*_of_type(p, rts, cursor, count))
    connection.carried = {row[0]: row[:wide] for row in rows}
    return [row[wide:] for row in rows]


def _of_type(p: Plan, rts: Sequence[int], cursor: Cursor | None, count: int) -> Sql:
    """All rows of the type; SQLite reads an index in the order of the sort key if there is one."""
    alive = all_of([Sql("here.op <> 3"), one_of("here.rt", rts)])
    return _sorted(p, Sql("res here"), [alive, _between(p, "here.sd")], cursor, count)


def _sorted(p: Plan, source: Sql, tests: list[Sql], cursor: Cursor | None, count: int) -> Sql:
    at = At("here.rid", "here.sd", "here", p.few)
    every = all_of([*tests, *(t.probe(at) for t in p.others)])
    if all(k.column for k in p.keys):
        return _by_columns(p, source, every, cursor, count)
    columns = [f"here.k{n}" for n in range(len(p.keys))]
    selected = ", ".join(f"{k.sql.text} AS k{n}" for n, k in enumerate(p.keys))
    keyed = tuple(v for k in p.keys for v in k.sql.values)
    inner = Sql(
        f"SELECT here.rid AS rid, {selected} FROM {source.text} WHERE {every.text}",
        (*keyed, *source.values, *every.values),
    )
    if any(k.list for k in p.keys):
        inner = _with_lists(p.keys, inner)
    after = _after(p.keys, columns, "here.rid", cursor)
    text = f"SELECT * FROM ({inner.text}) here WHERE {after.text} ORDER BY {_order(p.keys, columns)} LIMIT ?"
    return Sql(text, (*inner.values, *after.values, count))


def _with_lists(keys: Sequence[Key], rows: Sql) -> Sql:
    """Lists of keys are laid beside the rows and grouped with them; no row is looked up in a list."""
    numbered = [f"k{n}" for n in range(len(keys))]
    parts = [Sql(f"SELECT rid, {', '.join(numbered)}, 1 AS mark FROM ({rows.text}) wanted", rows.values)]
    for number, key in enumerate(keys):
        if key.list is not None:
            columns = ", ".join("k" if n == number else "NULL" for n in range(len(keys)))
            parts.append(Sql(f"SELECT rid, {columns}, 0 FROM ({key.list.text}) list{number}", key.list.values))
    picked = [f"{'max' if k.descending or not k.list else 'min'}(k{n})" for n, k in enumerate(keys)]
    shown = ", ".join(
        f"ifnull({pick}, ?) AS k{n}" if k.list else f"{pick} AS k{n}"
        for n, (pick, k) in enumerate(zip(picked, keys, strict=True))
    )
    nones = tuple(k.none for k in keys if k.list)
    text = f"SELECT rid, {shown} FROM ({' UNION ALL '.join(part.text for part in parts)}) laid GROUP BY rid HAVING max(mark) = 1"
    return Sql(text, (*nones, *(v for part in parts for v in part.values)))


def _by_columns(p: Plan, source: Sql, every: Sql, cursor: Cursor | None, count: int) -> Sql:
    """Sort keys that are columns of res: an index may give the order."""
    columns = [k.sql.text for k in p.keys]
    tests = all_of([every, _after(p.keys, columns, "here.rid", cursor)])
    order = _order(p.keys, columns)
    selected = ", ".join([*(f"here.{column}" for column in p.brings), "here.rid", *columns])
    text = f"SELECT {selected} FROM {source.text} WHERE {tests.text} ORDER BY {order} LIMIT ?"
    return Sql(text, (*source.values, *tests.values, count))


def _order(keys: Sequence[Key], columns: Sequence[str]) -> str:
    """By the keys, then by row number in the direction of the first key."""
    return ", ".join([*(f"{c} {k.way}" for c, k in zip(columns, keys, strict=True)), f"here.rid {keys[0].way}"])


def _after(keys: Sequence[Key], columns: Sequence[str], rid: str, cursor: Cursor | None) -> Sql:
    """Behind the cursor: later by the first key, or equal there and later by the next …"""
    if cursor is None:
        return TRUE
    ways = [*(k.descending for k in keys), keys[0].descending]
    values = [key_of(str(v)) if k.sql.text == "here.fid" else v for k, v in zip(keys, cursor.keys, strict=True)]
    steps = list(zip([*columns, rid], [*values, cursor.row], ways, strict=True))
    if len({down for _, _, down in steps}) == 1:  # one comparison of rows, which an index can answer
        names_, marks = ", ".join(c for c, _, _ in steps), ", ".join("?" for _ in steps)
        return Sql(f"({names_}) {'<' if ways[0] else '>'} ({marks})", tuple(v for _, v, _ in steps))
    return _nested(steps)


def _nested(steps: Sequence[tuple[str, Any, bool]]) -> Sql:
    (column, value, down), *rest = steps
    beyond = Sql(f"{column} {'<' if down else '>'} ?", (value,))
    return any_of([beyond, all_of([Sql(f"{column} = ?", (value,)), _nested(rest)])]) if rest else beyond


def cursor_at(row: Found) -> Cursor:
    """The place behind a row."""
    return Cursor(tuple(id_of(v) if isinstance(v, bytes) else v for v in row[1:]), row[0])


# --- counting


def counted(p: Plan, most: int | None) -> int:
    """How many rows there are, or `most` when there are more."""
    if p.empty:
        return 0
    limit = Sql("") if most is None else Sql(" LIMIT ?", (most,))
    rows = _ids(p)
    sql = f"SELECT count(*) FROM ({rows.text}{limit.text})"
    ((found,),) = p.scope.connection.all(sql, (*rows.values, *limit.values))  # read to its end, or it stays open
    return int(found)


def _ids(p: Plan) -> Sql:
    at = At("here.rid", "here.sd", "here", p.few)
    tests = [t.probe(at) for t in p.others]
    if p.driver is None:
        every = all_of([Sql("here.op <> 3"), one_of("here.rt", p.scope.rts()), _between(p, "here.sd"), *tests])
        return Sql(f"SELECT here.rid FROM res here WHERE {every.text}", every.values)
    assert p.driver.scan is not None
    every, scan = all_of(tests), p.driver.scan
    if not tests:
        return Sql(f"SELECT DISTINCT rid FROM ({scan.text})", scan.values)
    source = f"(SELECT DISTINCT rid FROM ({scan.text})) lead CROSS JOIN res here ON here.rid = lead.rid"
    return Sql(f"SELECT here.rid FROM {source} WHERE {every.text}", (*scan.values, *every.values))
