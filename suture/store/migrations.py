"""Brings a database's schema up to this version: sql/NNN-name.sql in order, each in one transaction."""

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
    """Applies what is missing; several processes at once are fine. Returns what was applied."""
    require_known(raw, where)
    return [m for m in known() if m.number <= upto and _apply(raw, m, now, where)]


def _apply(raw: apsw.Connection, migration: Migration, now: int, where: str) -> bool:
    if migration.number in applied(raw):
        return False
    raw.execute("BEGIN IMMEDIATE")
    try:
        if migration.number in applied(raw):  # another process was first
            raw.execute("ROLLBACK")
            return False
        raw.execute(migration.sql)
        raw.execute("INSERT INTO migration VALUES (?, ?, ?)", (migration.number, migration.name, now))
        raw.execute("COMMIT")
    except apsw.Error as error:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise Unstartable(
            f"migration {migration.number:03d}-{migration.name} failed: {error}",
            where=where,
            mend="Nothing was changed. Restore a backup, or report this.",
        ) from error
    return True
