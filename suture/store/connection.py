"""Connections to the one encrypted file: SQLite3 Multiple Ciphers, AEGIS-256, WAL with synchronous=FULL.

https://utelle.github.io/SQLite3MultipleCiphers/ · https://sqlite.org/wal.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw

from suture.errors import Conflict, SutureError, Unavailable, Unstartable
from suture.store.bodies import Bodies
from suture.store.shared import Shared

APPLICATION_ID = 0x53757475  # "Sutu"
PAGE_BYTES = 4096
STATEMENTS = 500
OPEN_TIMEOUT_MS = 10_000
VFS: str | None = None  # SQLite's way to the disk; tests put one below that fails

Parameters = Sequence[Any] | dict[str, Any]


def open_raw(path: Path, key: bytes, *, create: bool = False, cache_bytes: int = 16 << 20) -> apsw.Connection:
    """One keyed connection; raises Unstartable when the key or the file is wrong."""
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    try:
        raw = apsw.Connection(str(path), flags=flags, vfs=VFS, statementcachesize=STATEMENTS)
        raw.set_busy_timeout(OPEN_TIMEOUT_MS)
        raw.pragma("cipher", "aegis")
        raw.pragma("key", "raw:" + key.hex())
        if create:
            raw.pragma("page_size", PAGE_BYTES)
        raw.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        _tune(raw, cache_bytes)
    except apsw.NotADBError as error:
        raise Unstartable(
            "the key does not open this file, or it is no Suture database",
            where=str(path),
            mend="Set SUTURE_DATABASE and SUTURE_KEY_FILE to a database and the key that belongs to it.",
        ) from error
    except apsw.Error as error:
        raise Unstartable(
            f"the database cannot be opened ({type(error).__name__})",
            where=str(path),
            mend="Check that the folder exists, can be written and has free space.",
        ) from error
    return raw


def _tune(raw: apsw.Connection, cache_bytes: int) -> None:
    raw.pragma("journal_mode", "wal")
    raw.pragma("synchronous", "full")
    raw.pragma("cache_size", -(cache_bytes >> 10))
    raw.pragma("secure_delete", 0)  # freed pages are encrypted like all others
    raw.pragma("journal_size_limit", 64 << 20)
    raw.wal_autocheckpoint(0)


class Connection:
    """A reading connection with what all connections of a process share; sees only committed rows."""

    def __init__(self, raw: apsw.Connection, shared: Shared) -> None:
        self.raw = raw
        self.shared = shared
        self.execute: Callable[..., apsw.Cursor] = raw.execute
        self.bodies = Bodies(shared, raw)

    def one(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        row: tuple[Any, ...] | None = self.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.execute(sql, parameters).fetchall()
        return rows

    def close(self) -> None:
        self.raw.close()


class Tx(Connection):
    """The writing connection inside a transaction; `now` is the transaction's time in microseconds."""

    def __init__(self, raw: apsw.Connection, shared: Shared) -> None:
        super().__init__(raw, shared)
        self.now = 0
        self.chain: Any = None  # where the audit trail ends, once this transaction has read it
        self._committed: list[Callable[[], object]] = []
        self._rolled_back: list[Callable[[], object]] = []

    def many(self, sql: str, rows: Iterable[Parameters]) -> None:
        self.raw.executemany(sql, rows)

    @property
    def changes(self) -> int:
        """Rows the last statement changed."""
        return self.raw.changes()

    @property
    def last_rowid(self) -> int:
        return self.raw.last_insert_rowid()

    def after_commit(self, call: Callable[[], object]) -> None:
        """Calls `call` once this unit is safely on disk (on the loop, before its writer goes on)."""
        self._committed.append(call)

    def on_rollback(self, call: Callable[[], object]) -> None:
        """Calls `call` when this unit, or its whole group, is undone: caches forget what never was."""
        self._rolled_back.append(call)


def translated(error: apsw.Error, where: str) -> SutureError:
    """What SQLite says, in the words of the error tree."""
    if isinstance(error, apsw.ConstraintError):
        return Conflict("another writer was first, or the same row is there already")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return Unavailable("another process keeps the database busy", where=where, after=2.0)
    if isinstance(error, apsw.FullError):
        return Unavailable(
            "the disk is full", where=where, mend="Free space on it; writing goes on by itself.", after=5
        )
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return Unavailable("a page of the database is damaged", where=where, mend="Run: suture verify", after=30)
    if isinstance(error, apsw.InterruptError):
        return Unavailable("the query was ended because it ran too long", where=where)
    return Unavailable(f"the database could not write ({type(error).__name__})", where=where, after=5)
