"""Dates, numbers and strings as SQL over their tables; the comparisons are those of standards/fhir/search_compare."""

from __future__ import annotations

from collections.abc import Sequence
from math import asin, cos, degrees, radians, sin

from suture.standards.fhir.index_values import fold
from suture.standards.fhir.search_compare import GLOBE, near, widening
from suture.standards.fhir.search_query import Moment, Nearby, Number, Text
from suture.store.connection import Connection
from suture.store.index import LONG
from suture.store.search_sql import At, Sql, Term, all_of, any_of, either, one_of

ROUNDING = 1e-6  # degrees
MOST_LONG = 2000  # long dates looked at to find how far back a scan must begin


# --- dates


def compared(m: Moment, low: str, high: str) -> Sql:
    """A date [low, high) (two SQL expressions) against a moment."""
    within = Sql(f"{low} >= ? AND {high} <= ?", (m.low, m.high))
    after, before = Sql(f"{high} > ?", (m.high,)), Sql(f"{low} < ?", (m.low,))
    wide = widening(m)
    return {
        "eq": lambda: within,
        "ne": lambda: Sql(f"NOT ({within.text})", within.values),
        "gt": lambda: after,
        "lt": lambda: before,
        "ge": lambda: any_of([after, within]),
        "le": lambda: any_of([before, within]),
        "sa": lambda: Sql(f"{low} >= ?", (m.high,)),
        "eb": lambda: Sql(f"{high} <= ?", (m.low,)),
        "ap": lambda: Sql(f"{low} < ? AND {high} > ?", (m.high + wide, m.low - wide)),
        "co": lambda: Sql(f"{low} <= ? AND {high} >= ?", (m.low, m.high)),
        "po": lambda: Sql(f"{low} < ? AND {high} > ?", (m.high, m.low)),
    }[m.prefix]()


def begins(m: Moment) -> tuple[int | None, int | None]:
    """(earliest end or None, latest beginning or None) of the dates that pass: what bounds a scan."""
    wide = widening(m)
    return {
        "eq": (m.low, m.high),
        "ne": (None, None),
        "gt": (m.high, None),
        "lt": (None, m.low),
        "ge": (m.low, None),
        "le": (None, m.high),
        "sa": (m.high, None),
        "eb": (None, m.low),
        "ap": (m.low - wide, m.high + wide),
        "co": (m.high - 1, m.low + 1),
        "po": (m.low, m.high),
    }[m.prefix]


def date(connection: Connection, pids: Sequence[int], m: Moment, *, sorting: bool) -> Term:
    """One date; `sorting`: its beginning is the sorting date of the row."""
    if not pids:
        return either(())
    pid = one_of("pid", pids)
    end, latest = begins(m)
    low = None if end is None else _earliest(connection, pid, m, end)

    def probe(at: At) -> Sql:
        inner = all_of([Sql(f"rid = {at.rid}"), pid, compared(m, "lo", "lo + len")])
        return Sql(f"EXISTS (SELECT 1 FROM D INDEXED BY D_rid WHERE {inner.text})", inner.values)

    limits = [Sql("lo >= ?", (low,))] if low is not None else []
    limits += [Sql("lo < ?", (latest,))] if latest is not None else []
    scan = all_of([pid, *limits, compared(m, "lo", "lo + len")])
    return Term(
        probe,
        Sql(f"SELECT rid FROM D WHERE {scan.text}", scan.values),
        low=low if sorting else None,
        high=latest if sorting else None,
    )


def _earliest(connection: Connection, pid: Sql, m: Moment, end: int) -> int | None:
    """Where the earliest date begins that may end after `end`: the few long ones are looked up."""
    if m.prefix in ("eq", "sa"):
        return end  # what passes begins no earlier
    found = connection.all(f"SELECT lo FROM L WHERE {pid.text} AND hi > ? LIMIT ?", (*pid.values, end, MOST_LONG))
    if len(found) == MOST_LONG:
        return None
    return min([end - LONG, *(int(lo) for (lo,) in found)])


def updated(m: Moment) -> Term:
    """`_lastUpdated`: instants are shown, and so compared, in milliseconds."""
    up, down = -(-m.low // 1000) * 1000, m.high // 1000 * 1000
    within = f"{{row}}.upd >= {up} AND {{row}}.upd < {down}"
    wide, up_end = widening(m), -(-m.high // 1000) * 1000 - 1000
    text = {
        "eq": within,
        "ne": f"NOT ({within})",
        "gt": f"{{row}}.upd >= {down}",
        "lt": f"{{row}}.upd < {up}",
        "ge": f"{{row}}.upd >= {min(up, down)}",
        "le": f"{{row}}.upd < {max(up, down)}",
        "sa": f"{{row}}.upd >= {-(-m.high // 1000) * 1000}",
        "eb": f"{{row}}.upd < {m.low // 1000 * 1000}",
        "ap": f"{{row}}.upd > {m.low - wide} AND {{row}}.upd < {m.high + wide}",
        "co": f"{{row}}.upd >= {up_end} AND {{row}}.upd < {m.low // 1000 * 1000 + 1000}",
        "po": f"{{row}}.upd >= {m.low // 1000 * 1000} AND {{row}}.upd < {-(-m.high // 1000) * 1000}",
    }[m.prefix]
    return Term(lambda at: Sql(text.format(row=at.row)), row=True)


# --- numbers and quantities


def _point(n: Number) -> Sql:
    least, most = near(n)
    return {
        "eq": Sql("lo >= ? AND lo < ?", (n.low, n.high)),
        "ne": Sql("(lo < ? OR lo >= ?)", (n.low, n.high)),
        "gt": Sql("lo > ?", (n.value,)),
        "lt": Sql("lo < ?", (n.value,)),
        "ge": Sql("lo >= ?", (n.value,)),
        "le": Sql("lo <= ?", (n.value,)),
        "sa": Sql("lo > ?", (n.value,)),
        "eb": Sql("lo < ?", (n.value,)),
        "ap": Sql("lo >= ? AND lo <= ?", (least, most)),
    }[n.prefix]


def _span(n: Number) -> Sql:
    least, most = near(n)
    return {
        "eq": Sql("lo >= ? AND hi < ?", (n.low, n.high)),
        "ne": Sql("(lo < ? OR hi >= ?)", (n.low, n.high)),
        "gt": Sql("hi > ?", (n.value,)),
        "lt": Sql("lo < ?", (n.value,)),
        "ge": Sql("hi >= ?", (n.value,)),
        "le": Sql("lo <= ?", (n.value,)),
        "sa": Sql("lo > ?", (n.value,)),
        "eb": Sql("hi < ?", (n.value,)),
        "ap": Sql("lo <= ? AND hi >= ?", (most, least)),
    }[n.prefix]


def number(points: Sequence[int], spans: Sequence[int], n: Number) -> Term:
    """One number in one of these lists."""
    kinds = [("Q", points, _point(n)), ("W", spans, _span(n))]
    return either([_number(table, lids, condition) for table, lids, condition in kinds if lids])


def _number(table: str, lids: Sequence[int], condition: Sql) -> Term:
    where = all_of([one_of("lid", lids), condition])

    def probe(at: At) -> Sql:
        inner = all_of([Sql(f"rid = {at.rid}"), where])
        return Sql(f"EXISTS (SELECT 1 FROM {table} INDEXED BY {table}_rid WHERE {inner.text})", inner.values)

    return Term(probe, Sql(f"SELECT rid FROM {table} WHERE {where.text}", where.values))


def box(points: Sequence[int], spans: Sequence[int], n: Nearby) -> list[Term]:
    """Places in a box around one: of W's columns lo is the latitude and hi the longitude; where they are equal, Q's lo is both."""
    high = degrees(n.metres / GLOBE) + ROUNDING
    pole = abs(n.latitude) + high >= 90
    wide = 180.0 if pole else degrees(asin(min(1.0, sin(radians(high)) / cos(radians(n.latitude))))) + ROUNDING
    latitude = Sql("lo >= ? AND lo <= ?", (n.latitude - high, n.latitude + high))
    ways = [n.longitude + turn for turn in (-360, 0, 360)] if wide < 180 else [n.longitude]
    longitude = any_of(Sql("hi >= ? AND hi <= ?", (way - wide, way + wide)) for way in ways)
    if wide >= 180:
        longitude = Sql("1 = 1")
    kinds = [("Q", points, latitude), ("W", spans, all_of([latitude, longitude]))]
    return [_number(table, lids, condition) for table, lids, condition in kinds if lids]


# --- strings


def text(pids: Sequence[int], value: Text, modifier: str) -> Term:
    """A beginning; with `contains` any part; with `exact` (checked elsewhere to the letter) the whole folded text.

    The others are operators of `_filter`, compared by code points.
    """
    if not pids:
        return either(())
    folded = fold(value.text)
    matching = {
        "": Sql("val >= ? AND val < ?", (folded, folded + "\U0010ffff")),
        "exact": Sql("val = ?", (folded,)),
        "contains": Sql("instr(val, ?) > 0", (folded,)),
        "eq": Sql("val = ?", (folded,)),
        "ne": Sql("val <> ?", (folded,)),
        "ew": Sql(f"length(val) >= {len(folded)} AND substr(val, length(val) - {len(folded) - 1}) = ?", (folded,)),
        "gt": Sql("val > ?", (folded,)),
        "lt": Sql("val < ?", (folded,)),
        "ge": Sql("val >= ?", (folded,)),
        "le": Sql("val <= ?", (folded,)),
    }[modifier]
    where = all_of([one_of("pid", pids), matching])

    def probe(at: At) -> Sql:
        inner = all_of([Sql(f"rid = {at.rid}"), where])
        return Sql(f"EXISTS (SELECT 1 FROM S INDEXED BY S_rid WHERE {inner.text})", inner.values)

    return Term(probe, Sql(f"SELECT rid FROM S WHERE {where.text}", where.values))
