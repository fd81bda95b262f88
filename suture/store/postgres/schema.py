"""Brings a database on a server up to this version: the same numbered files, in PostgreSQL's words, each in one transaction.

A file that can't be said in the words of both has its sibling of the same name in sql/postgres.
"""

from __future__ import annotations

from importlib.resources import files

import psycopg

from suture.errors import Unstartable
from suture.store import migrations
from suture.store.migrations import Migration
from suture.store.postgres import resting, tables
from suture.store.postgres.dialect import Dialect
from suture.store.postgres.session import Raw

FUNCTIONS = "functions.sql"


def own(name: str) -> str:
    """The text of a file of PostgreSQL's own; empty when there is none."""
    file = files("suture.store") / "sql" / "postgres" / name
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def statements(migration: Migration, dialect: Dialect) -> list[str]:
    """What a migration is on PostgreSQL."""
    sibling = own(f"{migration.number:03d}-{migration.name}.sql")
    if sibling:
        return [sibling]
    return [
        text
        for statement in tables.statements(migration.sql)
        for text in tables.translated(statement) or [dialect(statement)]
    ]


def applied(raw: Raw) -> set[int]:
    row = raw.execute("SELECT to_regclass('migration') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return set()
    return {number for (number,) in raw.execute("SELECT number FROM migration")}


def migrate(raw: Raw, dialect: Dialect, now: int, where: str, upto: int = 10**6) -> list[Migration]:
    """Applies what is missing; the caller holds the lock of changes."""
    there = applied(raw)
    newest = migrations.known()[-1].number
    if max(there, default=0) > newest:
        raise migrations.too_new(max(there), newest, where)
    raw.execute(own(FUNCTIONS).encode(), prepare=False)
    missing = [m for m in migrations.known() if m.number <= upto and m.number not in there]
    if missing and there:
        resting.end(raw)  # a load that was killed left word of indexes as they were then
    for migration in missing:
        _apply(raw, migration, dialect, now, where)
    return missing


def _apply(raw: Raw, migration: Migration, dialect: Dialect, now: int, where: str) -> None:
    try:
        with raw.transaction():
            for statement in statements(migration, dialect):
                raw.execute(statement.encode(), prepare=False)
            raw.execute("INSERT INTO migration VALUES ($1, $2, $3)", (migration.number, migration.name, now))
    except psycopg.Error as error:
        raise Unstartable(
            f"migration {migration.number:03d}-{migration.name} failed: {error}",
            where=where,
            mend="Nothing was changed. Restore a backup, or report this.",
        ) from error
