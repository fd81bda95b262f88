"""Rows of broken glass: emergencies in which somebody opened a record that was kept from them (45 CFR 164.312(a)(2)(ii))."""

from __future__ import annotations

from typing import Any, NamedTuple

from suture.clock import new_id
from suture.store.connection import Connection, Tx


class Glass(NamedTuple):
    """One emergency; times are microseconds, `closed` and `reviewed` 0 while they are open."""

    id: str
    who: str
    name: str
    patient: str
    reason: str
    opened: int
    expires: int
    closed: int = 0
    reviewer: str = ""
    reviewed: int = 0


_COLUMNS = "id, who, name, patient, reason, opened, expires, closed, reviewer, reviewed"


def _glass(row: tuple[Any, ...]) -> Glass:
    id, who, name, patient, reason, opened, expires, closed, reviewer, reviewed = row
    return Glass(id, who, name, patient, reason, opened, expires, closed or 0, reviewer or "", reviewed or 0)


def add(tx: Tx, who: str, name: str, patient: str, reason: str, life: float) -> Glass:
    """Opens one, from now for so many seconds."""
    made = Glass(new_id(tx.shared.clock), who, name, patient, reason, tx.now, tx.now + int(life * 1_000_000))
    tx.execute(f"INSERT INTO glass ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)", made[:7])
    return made


def patients(connection: Connection, who: str, now: int) -> frozenset[str]:
    """For whom this caller's glass is broken at this moment."""
    rows = connection.all("SELECT patient FROM glass WHERE who = ? AND expires > ? AND closed IS NULL", (who, now))
    return frozenset(patient for (patient,) in rows)


def get(connection: Connection, id: str) -> Glass | None:
    row = connection.one(f"SELECT {_COLUMNS} FROM glass WHERE id = ?", (id,))
    return None if row is None else _glass(row)


def close(tx: Tx, id: str) -> None:
    """Ends it before its time."""
    tx.execute("UPDATE glass SET closed = ? WHERE id = ? AND closed IS NULL", (tx.now, id))


def review(tx: Tx, id: str, reviewer: str) -> None:
    """Notes that somebody looked at it."""
    tx.execute("UPDATE glass SET reviewer = ?, reviewed = ? WHERE id = ? AND reviewed IS NULL", (reviewer, tx.now, id))


def of(connection: Connection, who: str, count: int = 20) -> list[Glass]:
    """One caller's, newest first."""
    sql = f"SELECT {_COLUMNS} FROM glass WHERE who = ? ORDER BY gid DESC LIMIT ?"
    return [_glass(row) for row in connection.all(sql, (who, count))]


def unreviewed(connection: Connection, count: int = 100) -> list[Glass]:
    """What nobody has looked at, oldest first: the alert stays until somebody has."""
    sql = f"SELECT {_COLUMNS} FROM glass WHERE reviewed IS NULL ORDER BY gid LIMIT ?"
    return [_glass(row) for row in connection.all(sql, (count,))]


def alerts(connection: Connection) -> int:
    """How many nobody has looked at."""
    row = connection.one("SELECT count(*) FROM glass WHERE reviewed IS NULL")
    return int(row[0]) if row else 0
