"""Brings a database's schema up to this version: sql/NNN-name.sql in order, each in one transaction, or all in one for a new database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import apsw

from suture.errors import Unstartable


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str


@cache
def known() -> tuple[Migration, ...]:
    """The packaged migrations in order."""
    folder = files("suture.store") / "sql"
    found = [f for f in folder.iterdir() if f.name.endswith(".sql")]
    return tuple(
        Migration(int(f.name[:3]), f.name[4:-4], f.read_text(encoding="utf-8"))
        for f in sorted(found, key=lambda f: f.name)
    )


def applied(raw: apsw.Connection) -> set[int]:
    """The numbers that stand in the database; empty for a new one."""
    if not raw.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migration'").fetchone():
        return set()
    return {number for (number,) in raw.execute("SELECT number FROM migration")}


def require_known(raw: apsw.Connection, where: str) -> None:
    """Refuses a database that a newer Suture has written."""
    newest = known()[-1].number
    found = max(applied(raw), default=0)
    if found > newest:
        raise too_new(found, newest, where)


def too_new(found: int, newest: int, where: str) -> Unstartable:
    return Unstartable(
        f"the database has schema {found}, this Suture knows up to {newest}",
        where=where,
        mend="Start the newer Suture again, or restore a backup that was made before the upgrade.",
    )


def migrate(raw: apsw.Connection, now: int, where: str, upto: int = 10**6) -> list[Migration]:
    """Applies what is missing; several processes at once are fine. Returns what was applied.

    A new database takes all of them at once: one commit instead of one for each, and no start leaves half a schema.
    """
    require_known(raw, where)
    there = applied(raw)
    missing = [m for m in known() if m.number <= upto and m.number not in there]
    steps = [missing] if missing and not there else [[m] for m in missing]
    return [m for step in steps for m in _apply(raw, step, now, where)]


def _apply(raw: apsw.Connection, step: list[Migration], now: int, where: str) -> list[Migration]:
    at = step[0]
    raw.execute("BEGIN IMMEDIATE")
    try:
        there = applied(raw)
        missing = [m for m in step if m.number not in there]  # another process may have been first
        for at in missing:
            raw.execute(at.sql)
            raw.execute("INSERT INTO migration VALUES (?, ?, ?)", (at.number, at.name, now))
        raw.execute("COMMIT")
    except apsw.Error as error:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise Unstartable(
            f"migration {at.number:03d}-{at.name} failed: {error}",
            where=where,
            mend="Nothing was changed. Restore a backup, or report this.",
        ) from error
    return missing
