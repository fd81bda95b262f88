"""Connections to the one encrypted file: SQLite3 Multiple Ciphers, AEGIS-256, WAL with synchronous=FULL.

https://utelle.github.io/SQLite3MultipleCiphers/ · https://sqlite.org/wal.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import apsw

from suture.errors import Conflict, SutureError, TooCostly, Unavailable, Unstartable
from suture.standards.fhir import json
from suture.store.bodies import Bodies, Damaged, DamagedPage, UnreadablePage
from suture.store.identities import Identities, Key, Named
from suture.store.shared import Shared

APPLICATION_ID = 0x53757475  # "Sutu"
PAGE_BYTES = 4096
STATEMENTS = 500
OPEN_TIMEOUT_MS = 10_000
UNREADABLE = (
    apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_CORRUPTFS,
)  # fmt: skip
VFS: str | None = None  # SQLite's way to the disk; tests put one below that fails

OPERATIONS = 20_000  # of SQLite's machine between two looks at the clock: about a millisecond

K = TypeVar("K")
V = TypeVar("V")
Parameters = Sequence[Any] | dict[str, Any]
Look = Callable[[int, dict[str, Any] | None, int], Any]  # (what is asked, a resource, whether descending)


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
    raw.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)  # a plan stands: without it each new value prepares statements anew


def wait_for_locks(raw: apsw.Connection, seconds: float) -> None:
    """Looks for the lock every millisecond for so long: SQLite's own waiting sleeps past the pauses of a busy writer."""
    began = 0.0

    def again(count: int) -> bool:
        nonlocal began
        if count == 0:
            began = time.monotonic()
        time.sleep(0.001)
        return time.monotonic() - began < seconds

    raw.set_busy_handler(again)


class Busy(Unavailable):
    """Another process holds the write lock; nothing is wrong with the database."""


class Outset(NamedTuple):
    """How a chart stands: its newest code and name, whether anybody has a Consent that restricts, the mark of its own
    search parameters."""

    codes: int
    names: int
    restricted: bool
    parameters: str


class Connection:
    """A reading connection with what all connections of a process share; sees only committed rows.

    What SQLite says (a damaged page, a full disk, a key taken) comes out in the words of the error tree.
    """

    outset: Outset | None = None  # held for a while (outset.py)
    carried: dict[int, tuple[Any, ...]] | None = None  # rows of res that came with the search that reads them next
    unlooked: set[int] | None = (
        None  # rows whose bodies a query could not look into, while somebody wants to know (sound.py)
    )
    far = False  # whether each question is a message to a server, so that asking for many at once pays

    def __init__(self, raw: apsw.Connection, shared: Shared) -> None:
        self.raw = raw
        self.shared = shared
        self._execute: Callable[..., apsw.Cursor] = raw.execute
        self.bodies = Bodies(shared, self.one)

    def execute(self, sql: str, parameters: Parameters = ()) -> apsw.Cursor:
        """Runs a statement; iterate over the result at once, an unread one keeps its snapshot."""
        try:
            return self._execute(sql, parameters)
        except apsw.Error as error:
            raise self._heard(error) from error

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a long read one after the other; other reads may go on between."""
        yield from self.execute(sql, parameters)

    def one(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        try:
            row: tuple[Any, ...] | None = self._execute(sql, parameters).fetchone()
        except apsw.Error as error:
            raise self._heard(error) from error
        return row

    def all(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        try:
            rows: list[tuple[Any, ...]] = self._execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise self._heard(error) from error
        return rows

    def _heard(self, error: Exception) -> SutureError:
        return translated(error, self.shared.where)

    def heard(self, error: BaseException) -> BaseException:
        """An error of the database in the words of the error tree; any other as it is."""
        return translated(error, self.shared.where) if isinstance(error, apsw.Error) else error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """The reads inside see one state."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.execute("COMMIT")

    def look_into_bodies(self, holds: Look, key: Look) -> None:
        """SQL may ask `suture_holds(number, rid)` and `suture_key(number, rid, descending)` from now on."""

        def body(rid: int) -> dict[str, Any] | None:
            row = self.one("SELECT zd, body FROM res WHERE rid = ? AND op <> 3", (rid,))
            return None if row is None else self.looked_into(rid, *row)

        def suture_holds(*given: Any) -> Any:
            return holds(given[0], body(given[1]), 0)

        def suture_key(*given: Any) -> Any:
            return key(given[0], body(given[1]), given[2])

        self.raw.create_scalar_function("suture_holds", suture_holds, 2)
        self.raw.create_scalar_function("suture_key", suture_key, 3)

    def looked_into(self, rid: int, zd: int, body: bytes) -> dict[str, Any] | None:
        """The resource of a body, for a query that asks about it; None for a damaged one when that is put up with."""
        try:
            return json.read(self.bodies.unpack(zd, body))
        except Damaged:
            if self.unlooked is None:
                raise
            self.unlooked.add(rid)
            return None

    def pages(self) -> tuple[bool, str]:
        """Whether every page is sound, and what to say: SQLite walks them all, and opening one checks its AEGIS tag."""
        try:
            said = [text for (text,) in self.raw.execute("PRAGMA integrity_check(20)")]
            count = self.raw.pragma("page_count")
        except apsw.Error as error:
            return False, f"a page is damaged ({error})"
        if said != ["ok"]:
            lines = [line for text in said for line in text.splitlines() if not line.startswith("***")]
            return False, f"a page is damaged: {'; '.join(lines[:5])}"
        return True, f"{count} pages, each with its seal"

    def looking(self) -> Tx:
        """The same connection as a transaction that can't write: a code that would be new is an error."""
        return Tx(self.raw, self.shared)

    def remember(self, cache: dict[K, V], key: K, value: V, most: int) -> None:
        """Keeps what a row says in a cache of the process; a transaction takes it out again when it is rolled back."""
        if len(cache) >= most:
            cache.clear()
        cache[key] = value

    @contextmanager
    def budget(self, seconds: float) -> Iterator[None]:
        """Ends what runs longer inside the block with TooCostly."""
        end = self.shared.clock.monotonic() + seconds
        self.raw.set_progress_handler(lambda: self.shared.clock.monotonic() > end, OPERATIONS)
        try:
            yield
        finally:
            self.raw.set_progress_handler(None)

    def close(self) -> None:
        self.raw.close()


class Tx(Connection):
    """The writing connection inside a transaction; `now` is the transaction's time in microseconds."""

    def __init__(self, raw: apsw.Connection, shared: Shared) -> None:
        super().__init__(raw, shared)
        self._executemany: Callable[..., apsw.Cursor] = raw.executemany
        self._empty()

    def _empty(self) -> None:
        """A connection before its first transaction."""
        self.now = 0
        self.latest = 0  # the newest time another process has written at, as far as the database tells
        self.next_mid = 0  # the next free journal time, once this transaction has read the last
        self.next_rid = 0  # the next free row number of a resource, once this transaction has read it
        self.lost: SutureError | None = None  # why SQLite gave this transaction up
        self.claimed: dict[tuple[int, bytes | str], int] = {}  # numbers of what this transaction writes
        self.parameters: str | None = (
            None  # which search parameters of its own the site has, once this transaction has read it
        )
        self.chain: Any = None  # where the audit trail ends, once this transaction has read it
        self.identities = Identities(0)
        self._committed: list[Callable[[], object]] = []
        self._rolled_back: list[Callable[[], object]] = []

    def begin(self, now: int) -> None:
        self._anew(now, self.raw.pragma("data_version"))
        self._execute, self._executemany = self.raw.execute, self.raw.executemany

    def _anew(self, now: int, foreign: int) -> None:
        """What holds for one transaction only starts anew; `foreign`: how often others have written."""
        self.parameters = self.lost = None
        self.now, self.chain, self.next_mid, self.next_rid, self.claimed = now, None, 0, 0, {}
        self.identities.begin(foreign)

    def widen(self, cache_bytes: int) -> None:
        """How many bytes of pages this connection keeps in memory from now on."""
        self.raw.pragma("cache_size", -(cache_bytes >> 10))

    @property
    def gone(self) -> bool:
        """Whether this connection can be used no more; a file stays where it is."""
        return False

    @property
    def open(self) -> bool:
        """Whether a transaction is under way; SQLite may have given it up."""
        return bool(self.raw.in_transaction)

    def take(self, seconds: float = 0.0) -> None:
        """Begins a transaction with the write lock; raises Busy when another process keeps it for longer than `seconds`."""
        try:
            if seconds:
                wait_for_locks(self.raw, seconds)
            else:
                self.raw.set_busy_timeout(0)
            self.raw.execute("BEGIN IMMEDIATE")
        except apsw.BusyError as error:
            raise translated(error, self.shared.where) from error

    def ahead(self) -> bool:
        """Whether units that only add rows can run now and be sent, with the lock, in one message (`commit_ahead`)."""
        return False

    def commit_ahead(self) -> bool:
        """Whether what was added since `ahead` and `begin` is on disk; else nobody has seen it."""
        return False

    def commit(self) -> None:
        self.raw.execute("COMMIT")

    def roll_back(self) -> None:
        self.raw.execute("ROLLBACK")

    def _heard(self, error: Exception) -> SutureError:
        """When SQLite has given the transaction up, no later statement may commit on its own, whoever caught the error."""
        heard = translated(error, self.shared.where)
        if not self.raw.in_transaction:
            self.lost, self._execute = heard, _refusing(heard)
            self._executemany = self._execute
        return heard

    def remember(self, cache: dict[K, V], key: K, value: V, most: int) -> None:
        super().remember(cache, key, value, most)
        self._rolled_back.append(lambda: cache.pop(key, None))

    def many(self, sql: str, rows: Iterable[Parameters]) -> None:
        try:
            self._executemany(sql, rows)
        except apsw.Error as error:
            raise self._heard(error) from error

    def keep_named(self, key: Key, named: Named) -> None:
        """Remembers which row an identifier names in this transaction, until it is rolled back or the row changes."""
        self.identities.keep(key, named)
        self._rolled_back.append(lambda: self.identities.forget(named.row.rid))

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


def _refusing(heard: SutureError) -> Callable[..., apsw.Cursor]:
    def refuse(*_: Any) -> apsw.Cursor:
        raise Unavailable(heard.text, where=heard.where, mend=heard.mend)

    return refuse


def translated(error: Exception, where: str) -> SutureError:
    """What SQLite says, in the words of the error tree."""
    if isinstance(error, apsw.ConstraintError):
        return Conflict("another writer was first, or the same row is there already")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return Busy("another process keeps the database busy", where=where, after=2.0)
    if isinstance(error, apsw.FullError):
        return Unavailable(
            "the disk is full", where=where, mend="Free space on it; writing goes on by itself.", after=5
        )
    if isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) in UNREADABLE:
        mend = "See how the disk is; then run: suture verify"
        return UnreadablePage("the disk gave no page of the database", where=where, mend=mend, after=5)
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return DamagedPage("a page of the database is damaged", where=where, mend="Run: suture verify", after=30)
    if isinstance(error, apsw.InterruptError):
        return TooCostly(
            "the query ran longer than it may",
            mend="Narrow it: name a patient, a code or a date; leave out _total, :contains and _sort.",
        )
    if isinstance(error, apsw.SQLError | apsw.BindingsError | apsw.MisuseError):
        raise error  # a fault of ours, not of the disk: it must be seen as one
    return Unavailable(f"the database could not write ({type(error).__name__})", where=where, after=5)
