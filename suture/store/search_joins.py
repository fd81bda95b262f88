"""Brings terms together: the rarest one lists rows, the others probe them."""

from __future__ import annotations

from collections.abc import Sequence

from suture.store.connection import Connection
from suture.store.search_sql import NEVER, At, Sql, Term, all_of

STEPS = (250, 5_000)  # how far lists are counted, before they are counted as far as it matters
FAR = 100_000
ENOUGH = 100  # a list so short leads at once


def rarest(connection: Connection, terms: Sequence[Term], most: int = FAR) -> tuple[Term | None, int]:
    """The term with the shortest list, and its length; when all are longer than `most`, one of them and `most`."""
    listed = sorted((t for t in terms if t.scan is not None), key=lambda t: not t.lists)  # dated lists win a tie
    if not listed:
        return None, 0
    for step in (*(s for s in STEPS if s < most), most):
        best, size = _shortest(connection, listed, step)
        if size < step:
            break
    return best, size


def _shortest(connection: Connection, listed: Sequence[Term], most: int) -> tuple[Term, int]:
    best, size = listed[0], most
    for term in listed:
        if size <= ENOUGH or term.scan is None:
            break
        found = length(connection, term.scan, size)
        if found < size:
            best, size = term, found
    return best, size


def length(connection: Connection, scan: Sql, most: int) -> int:
    sql = f"SELECT count(*) FROM (SELECT 1 FROM ({scan.text}) LIMIT ?)"
    ((found,),) = connection.all(sql, (*scan.values, most))  # read to its end: a scan that looks into bodies stays open
    return int(found)


def both(connection: Connection, terms: Sequence[Term]) -> Term:
    """All of the terms hold."""
    if len(terms) == 1:
        return terms[0]
    if NEVER in terms:
        return NEVER
    driver = rarest(connection, terms)[0]
    others = [t for t in terms if t is not driver]
    lows, highs = [t.low for t in terms if t.low is not None], [t.high for t in terms if t.high is not None]
    return Term(
        probe=lambda at: all_of(t.probe(at) for t in terms),
        scan=None if driver is None or driver.scan is None else probed(driver.scan, others),
        row=any(t.row for t in terms),
        dear=any(t.dear for t in terms),
        low=max(lows, default=None),
        high=min(highs, default=None),
    )


def probed(scan: Sql, others: Sequence[Term]) -> Sql:
    """The rows of a scan for which the other terms hold."""
    tests = all_of(t.probe(At("some.rid", "some.sd", "some")) for t in others)
    text = f"SELECT some.rid FROM ({scan.text}) list CROSS JOIN res some ON some.rid = list.rid WHERE {tests.text}"
    return Sql(text, (*scan.values, *tests.values))
