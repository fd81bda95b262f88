"""Brings terms together: the rarest one lists rows, the others probe them."""

from __future__ import annotations

from collections.abc import Sequence

from suture.store.connection import Connection
from suture.store.search_sql import NEVER, At, Sql, Term, all_of

STEPS = (250, 5_000, 100_000)  # how far lists are counted to find the rarest


def rarest(connection: Connection, terms: Sequence[Term]) -> tuple[Term | None, int]:
    """The term with the shortest list, and its length as far as it was counted; dated lists win a tie."""
    listed = sorted((t for t in terms if t.scan is not None), key=lambda t: not t.lists)
    if len(listed) < 2:
        return (listed[0] if listed else None), STEPS[-1]
    for most in STEPS:
        sizes = [_size(connection, t.scan, most) for t in listed if t.scan is not None]
        if min(sizes) < most:
            break
    place = sizes.index(min(sizes))
    return listed[place], sizes[place]


def _size(connection: Connection, scan: Sql, most: int) -> int:
    row = connection.one(f"SELECT count(*) FROM (SELECT 1 FROM ({scan.text}) LIMIT ?)", (*scan.values, most))
    return int(row[0]) if row else 0


def both(connection: Connection, terms: Sequence[Term]) -> Term:
    """All of the terms hold."""
    if len(terms) == 1:
        return terms[0]
    if NEVER in terms:
        return NEVER
    driver, _ = rarest(connection, terms)
    others = [t for t in terms if t is not driver]
    lows, highs = [t.low for t in terms if t.low is not None], [t.high for t in terms if t.high is not None]
    return Term(
        probe=lambda at: all_of(t.probe(at) for t in terms),
        scan=None if driver is None or driver.scan is None else probed(driver.scan, others),
        row=any(t.row for t in terms),
        low=max(lows, default=None),
        high=min(highs, default=None),
    )


def probed(scan: Sql, others: Sequence[Term]) -> Sql:
    """The rows of a scan for which the other terms hold."""
    tests = all_of(t.probe(At("some.rid", "some.sd", "some")) for t in others)
    text = f"SELECT some.rid FROM ({scan.text}) list CROSS JOIN res some ON some.rid = list.rid WHERE {tests.text}"
    return Sql(text, (*scan.values, *tests.values))
