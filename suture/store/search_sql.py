"""Pieces of SQL with their values, and what a condition is in SQL: a probe of one row, a scan of all rows, dated lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Sql(NamedTuple):
    """A piece of SQL and the values of its question marks, in order."""

    text: str
    values: tuple[Any, ...] = ()


TRUE, FALSE = Sql("TRUE"), Sql("FALSE")


def joined(parts: Iterable[Sql], word: str, empty: Sql) -> Sql:
    """The pieces in brackets with a word between them."""
    found = [p for p in parts if p != (TRUE if word == "AND" else FALSE)]
    if not found:
        return empty
    text = f" {word} ".join(f"({p.text})" for p in found) if len(found) > 1 else found[0].text
    return Sql(text, tuple(v for p in found for v in p.values))


def all_of(parts: Iterable[Sql]) -> Sql:
    return joined(parts, "AND", TRUE)


def any_of(parts: Iterable[Sql]) -> Sql:
    return joined(parts, "OR", FALSE)


def one_of(column: str, values: Sequence[Any]) -> Sql:
    """`column IN (…)`."""
    if len(values) == 1:
        return Sql(f"{column} = ?", (values[0],))
    return Sql(f"{column} IN ({','.join('?' * len(values))})", tuple(values))


class At(NamedTuple):
    """How the row that is looked at is called in SQL: its row number, its sorting date, the alias of its res row."""

    rid: str
    sd: str
    row: str
    few: bool = False  # only a few rows are looked at


Probe = Callable[[At], Sql]


@dataclass(frozen=True, slots=True)
class Term:
    """A condition in SQL.

    `probe` says whether it holds for a row. `scan` selects `rid` of all rows for which it holds (maybe more than once).
    `lists` are conditions on table `listed` (T or R) of which each gives rows in order of their date: the scan in pieces.
    `row`: the probe looks at columns of res. `dear`: it costs a walk through the type, unless only a few rows are looked at. `low`, `high`: the sorting date of every row that passes lies between.
    """

    probe: Probe
    scan: Sql | None = None
    listed: str = ""
    lists: tuple[Sql, ...] = ()
    row: bool = False
    dear: bool = False
    low: int | None = None
    high: int | None = None


NEVER = Term(lambda at: FALSE, scan=Sql("SELECT 0 AS rid WHERE FALSE"))
ALWAYS = Term(lambda at: TRUE)


def either(terms: Sequence[Term]) -> Term:
    """One of the terms holds."""
    terms = [t for t in terms if t is not NEVER]
    if len(terms) < 2:
        return terms[0] if terms else NEVER
    scans = [t.scan for t in terms]
    scan = None if None in scans else _union([s for s in scans if s is not None])
    tables = {t.listed for t in terms}
    lists = tuple(piece for t in terms for piece in t.lists) if len(tables) == 1 and "" not in tables else ()
    lows, highs = [t.low for t in terms], [t.high for t in terms]
    return Term(
        probe=lambda at: any_of(t.probe(at) for t in terms),
        scan=scan,
        listed=tables.pop() if lists else "",
        lists=lists,
        row=any(t.row for t in terms),
        dear=any(t.dear for t in terms),
        low=None if None in lows else min(v for v in lows if v is not None),
        high=None if None in highs else max(v for v in highs if v is not None),
    )


def _union(scans: Sequence[Sql]) -> Sql:
    text = " UNION ALL ".join(f"SELECT rid FROM ({s.text})" for s in scans)
    return Sql(text, tuple(v for s in scans for v in s.values))


def inverse(term: Term) -> Term:
    """The term does not hold; nothing can be listed by that."""

    def probe(at: At) -> Sql:
        inner = term.probe(at)
        return Sql(f"NOT ({inner.text})", inner.values)

    return Term(probe, row=term.row, dear=term.dear)
