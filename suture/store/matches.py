"""Pairs of Patients that may be one person, what was decided about them, and how far Patients have been looked at.

https://hl7.org/fhir/R4/patient.html#8.1.4
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suture.store import names
from suture.store.connection import Connection, Tx

OPEN, LINKED, APART, GONE = "open", "linked", "apart", "gone"
STATES = (OPEN, LINKED, APART, GONE)
MOST_COUNTED = 10_000
MOST_OF_ONE = 1000  # pairs of one Patient
DAMAGED = "matches.damaged"  # the name of the fact
MOST_DAMAGED = 1000
_COLUMNS = "n, low, high, state, grade, score, found, due, decided, who, zd, why"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two Patients by their row numbers. `levels`: how each thing that was compared came out; `looks`: what both looked
    like then, as digests."""

    n: int
    low: int
    high: int
    state: str
    grade: str
    score: int
    found: int
    due: int
    decided: int
    who: str
    levels: Mapping[str, str]
    looks: tuple[str, str]

    def other(self, rid: int) -> int:
        """The other one of both."""
        return self.high if rid == self.low else self.low


@dataclass(frozen=True, slots=True)
class Found:
    """A pair as it was compared just now."""

    low: int
    high: int
    grade: str
    score: int
    levels: Mapping[str, str]
    looks: tuple[str, str]


def _of(connection: Connection, row: tuple[Any, ...]) -> Pair:
    why = json.loads(connection.bodies.unpack(row[10], row[11]))
    return Pair(*(*row[:10], why["levels"], (why["looks"][0], why["looks"][1])))


def place(connection: Connection) -> int:
    """Up to which commit versions of Patients were looked at."""
    row = connection.one("SELECT at FROM match_place WHERE id = 1", ())
    return row[0] if row else 0


def looked(tx: Tx, upto: int) -> None:
    """Everything up to this commit has been looked at."""
    tx.execute("UPDATE match_place SET at = ? WHERE id = 1", (upto,))


def written(connection: Connection, type: str, after: int, count: int) -> list[tuple[int, int]]:
    """(commit, row number) of what was written after the commit `after`, in that order, bodies unread.

    The rows of one commit come all or none, so there may be more than `count`.
    """
    rt = names.find(connection, type)
    ends = connection.all("SELECT upd FROM res WHERE rt = ? AND upd > ? ORDER BY upd LIMIT ?", (rt, after, count))
    if not ends:
        return []
    sql = "SELECT upd, rid FROM res WHERE rt = ? AND upd > ? AND upd <= ? ORDER BY upd, rid"
    return [(upd, rid) for upd, rid in connection.all(sql, (rt, after, ends[-1][0]))]


def damaged(connection: Connection) -> frozenset[int]:
    """Row numbers of Patients that were left out because they can't be read, at most MOST_DAMAGED."""
    row = connection.one("SELECT value FROM fact WHERE name = ?", (DAMAGED,))
    return frozenset(json.loads(row[0])) if row else frozenset()


def note_damaged(tx: Tx, found: frozenset[int]) -> None:
    """Those are the ones now."""
    text = json.dumps(sorted(found)[:MOST_DAMAGED])
    tx.execute(
        "INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (DAMAGED, text)
    )


def get(connection: Connection, n: int) -> Pair | None:
    row = connection.one(f"SELECT {_COLUMNS} FROM match_pair WHERE n = ?", (n,))
    return None if row is None else _of(connection, row)


def between(connection: Connection, one: int, other: int) -> Pair | None:
    """The pair of two row numbers."""
    low, high = sorted((one, other))
    row = connection.one(f"SELECT {_COLUMNS} FROM match_pair WHERE low = ? AND high = ?", (low, high))
    return None if row is None else _of(connection, row)


def of(connection: Connection, rid: int) -> list[Pair]:
    """All pairs of one Patient, the likeliest first."""
    sql = f"SELECT {_COLUMNS} FROM match_pair WHERE low = ? OR high = ? ORDER BY score DESC, n DESC LIMIT ?"
    return [_of(connection, row) for row in connection.all(sql, (rid, rid, MOST_OF_ONE))]


def find(
    connection: Connection, state: str, now: int, before: tuple[int, int], count: int, *, later: bool = False
) -> list[Pair]:
    """Pairs of a state that are due, or were put off (`later`), the likeliest first; `before`: score and number that the
    page before ended at."""
    (score, n), way = before, ">" if later else "<="
    rows = connection.all(
        f"SELECT {_COLUMNS} FROM match_pair WHERE state = ? AND due {way} ? AND (score < ? OR (score = ? AND n < ?)) "
        "ORDER BY score DESC, n DESC LIMIT ?",
        (state, now, score, score, n, count),
    )
    return [_of(connection, row) for row in rows]


def count(connection: Connection, state: str) -> int:
    """How many pairs of a state there are, counted to MOST_COUNTED."""
    row = connection.one(
        "SELECT count(*) FROM (SELECT n FROM match_pair WHERE state = ? LIMIT ?) AS counted", (state, MOST_COUNTED)
    )
    return row[0] if row else 0


def keep(tx: Tx, found: Found, state: str = OPEN) -> int:
    """Puts a pair into the queue, or brings it up to date; returns its number. What was decided before is forgotten."""
    why = json.dumps({"levels": dict(found.levels), "looks": list(found.looks)}).encode()
    zd, packed = tx.bodies.pack("content", why)
    there = between(tx, found.low, found.high)
    n = there.n if there else _next(tx)
    tx.execute(
        f"INSERT INTO match_pair ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?) ON CONFLICT (n) DO UPDATE SET "
        "state = excluded.state, grade = excluded.grade, score = excluded.score, decided = 0, who = '', "
        "zd = excluded.zd, why = excluded.why",
        (n, found.low, found.high, state, found.grade, found.score, tx.now, tx.now, zd, packed),
    )
    return n


def _next(tx: Tx) -> int:
    """Rows are never deleted, so a number names one pair for good."""
    row = tx.one("SELECT max(n) FROM match_pair", ())
    return (row[0] or 0) + 1 if row else 1


def decide(tx: Tx, n: int, state: str, who: str) -> None:
    """What became of a pair, and through whom."""
    tx.execute("UPDATE match_pair SET state = ?, decided = ?, who = ? WHERE n = ?", (state, tx.now, who, n))


def put_off(tx: Tx, n: int, due: int, who: str) -> None:
    """It stays open and is shown again then."""
    tx.execute("UPDATE match_pair SET due = ?, decided = ?, who = ? WHERE n = ?", (due, tx.now, who, n))
