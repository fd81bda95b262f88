"""Connections to a PostgreSQL server under the contract of store/connection.py: the same SQL, the same errors.

Every statement is a question over the wire, so many rows go in one (arrays), and nothing is asked twice.
https://www.postgresql.org/docs/current/protocol.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar

import psycopg

from suture.errors import SutureError, TooCostly, Unavailable
from suture.store.bodies import Bodies
from suture.store.connection import Busy, Connection, Look, Parameters, Tx
from suture.store.postgres import answers, session
from suture.store.postgres.answers import Looks
from suture.store.postgres.budget import WATCH
from suture.store.postgres.dialect import Dialect
from suture.store.postgres.many import Many
from suture.store.postgres.pending import Pending
from suture.store.postgres.questions import Questions
from suture.store.shared import Shared

T = TypeVar("T")
CANCEL_SECONDS = 5.0
AT_ONCE = 1_000  # rows of a long read
_numbers = count()
WRITES = ("INSERT", "UPDATE", "DELETE")
SPOILED = "a question of another unit of the same transaction failed"
LATE = "the query ran longer than it may"
NARROW = "Narrow it: name a patient, a code or a date; leave out _total, :contains and _sort."


class Found:
    """Rows that are here already, given out one after the other or all that are left."""

    def __init__(self, rows: Sequence[tuple[Any, ...]] = ()) -> None:
        self._rows = iter(rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)


NOTHING = Found()  # of a statement that is still to go


class ServerConnection(Connection):
    """A reading connection. A session that was lost is opened anew, once for each statement."""

    far = True

    def __init__(self, open: Callable[[], session.Raw], shared: Shared, dialect: Dialect) -> None:
        self._open = open
        self.raw: Any = open()
        self.shared = shared
        self._dialect = dialect
        self._questions = Questions(self.raw)
        self._end: float | None = None
        self._looks: Looks | None = None
        self._ready = False  # whether the session has the tables for answers
        self._held = False  # a snapshot, which ends with its session
        self.bodies = Bodies(shared, self.one)

    def _rows(self, sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
        self._in_time()
        assert not isinstance(parameters, dict)
        return self._questions.rows(self._dialect(sql), parameters)

    def _in_time(self) -> None:
        if self._end is not None and self.shared.clock.monotonic() > self._end:
            raise TooCostly(LATE, mend=NARROW)

    def execute(self, sql: str, parameters: Parameters = ()) -> Any:
        """Runs a statement; its rows are here when it returns."""
        try:
            return Found(self._rows(sql, parameters))
        except psycopg.Error as error:
            return Found(self._again(error, lambda: self._rows(sql, parameters)))

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """A cursor on the server that outlives its transaction: the rows come in pieces, and no transaction stays open."""
        inside = session.inside(self.raw)
        name = f"stream_{next(_numbers)}"
        hold = "" if inside else " WITH HOLD"
        self.execute(f"DECLARE {name} NO SCROLL CURSOR{hold} FOR {sql}", parameters)
        try:
            while rows := self.all(f"FETCH {AT_ONCE} FROM {name}"):
                yield from rows
        finally:
            if not session.broken(self.raw) and (not inside or session.inside(self.raw)):
                self.execute(f"CLOSE {name}")

    def one(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        try:
            rows = self._rows(sql, parameters)
        except psycopg.Error as error:
            rows = self._again(error, lambda: self._rows(sql, parameters))
        return rows[0] if rows else None

    def all(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        if self._looks and answers.asks(sql):
            return self._answered(sql, parameters)
        try:
            return self._rows(sql, parameters)
        except psycopg.Error as error:
            return self._again(error, lambda: self._rows(sql, parameters))

    def look_into_bodies(self, holds: Look, key: Look) -> None:
        self._looks = Looks(holds, key)

    def _answered(self, sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
        """A query that asks about bodies, which stay closed to the server."""
        looks = self._looks
        assert looks
        try:
            if not self._ready or isinstance(self, ServerTx):  # a unit that is undone takes them away
                answers.ready(self.raw)
                self._ready = True
            return answers.answered(self.raw, lambda: self._rows(sql, parameters), self._opened_bodies, looks)
        except psycopg.Error as error:
            raise self._heard(error) from error

    def _opened_bodies(self, rids: Sequence[int]) -> dict[int, dict[str, Any]]:
        marks = ",".join(map(str, rids))
        rows = self.raw.execute(
            f"SELECT rid, zd, body FROM res WHERE rid IN ({marks}) AND op <> 3", binary=True, prepare=False
        )
        found = ((rid, self.looked_into(rid, zd, body)) for rid, zd, body in rows)
        return {rid: resource for rid, resource in found if resource is not None}

    def _again(self, error: psycopg.Error, ask: Callable[[], T]) -> T:
        """Outside a transaction a read may be asked again when the session was lost before it."""
        if not session.broken(self.raw) or self._held or not self._renewed():
            raise self._heard(error) from error
        try:
            return ask()
        except psycopg.Error as second:
            raise self._heard(second) from second

    def _renewed(self) -> bool:
        try:
            self.raw = self._open()
        except SutureError:
            return False
        self._questions, self._ready = Questions(self.raw), False
        return True

    def _heard(self, error: Exception) -> SutureError:
        return session.translated(error, self.shared.where)

    def heard(self, error: BaseException) -> BaseException:
        if not isinstance(error, psycopg.Error):
            return error
        try:
            return session.translated(error, self.shared.where)
        except psycopg.Error:
            return error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        if self._looks and not self._ready:
            answers.ready(self.raw)
            self._ready = True
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if session.inside(self.raw):
                self.execute("ROLLBACK")

    @contextmanager
    def budget(self, seconds: float) -> Iterator[None]:
        before, self._end = self._end, self.shared.clock.monotonic() + seconds
        raw = self.raw
        guard = WATCH.guard(seconds, lambda: raw.cancel_safe(timeout=CANCEL_SECONDS))
        try:
            yield
        finally:
            self._end = before
            if guard.done():
                self._settle()

    def _settle(self) -> None:
        """A cancel that came when its query had ended must not hit the next one."""
        if not session.inside(self.raw) and not session.broken(self.raw):
            try:
                self.raw.execute("SELECT 1")
            except psycopg.Error:
                return

    def pages(self) -> tuple[bool, str]:
        """The server reads its own pages; without checksums it can't tell a damaged one from a good one."""
        row = self.one("SELECT current_setting('data_checksums'), pg_database_size(current_database()) / 8192")
        checked, count = row or ("off", 0)
        return (
            True,
            f"{count} pages, {'each with its checksum' if checked == 'on' else 'without checksums (initdb --data-checksums)'}",
        )

    def looking(self) -> Tx:
        return _Looking(self)

    def close(self) -> None:
        self.raw.close()


class ServerTx(ServerConnection, Tx):
    """The writing connection inside a transaction, under the write lock of the database.

    Plain inserts wait (pending.py). A savepoint is only made when something of its unit must go to the server before its end.
    """

    def __init__(
        self, open: Callable[[], session.Raw], shared: Shared, dialect: Dialect, many: Many, lock: tuple[int, int]
    ) -> None:
        ServerConnection.__init__(self, open, shared, dialect)
        self._many = many
        self._pending = Pending(dialect.tables, many)
        self._units: list[_Unit] = []
        self._lock = f"{lock[0]}, {lock[1]}"
        self._ahead = False  # whether rows are gathered without the lock
        self._mine = -1  # the time of the last transaction of this connection
        self._foreign = 0  # how often somebody else had written in between
        self._changes = self._last = 0
        self._counts: dict[str, int] = {}  # the last number of tables that count by themselves
        self._ours: tuple[Any, ...] | None = None  # what the last transaction knew, if nobody has written since
        self._empty()

    def begin(self, now: int) -> None:
        known, self._ours = self._ours, None
        self._anew(now, self._foreign)
        if known is not None:
            self.next_mid, self.next_rid, self.chain, self.parameters, self._counts = known
        else:
            self._counts = {}

    def widen(self, cache_bytes: int) -> None:
        """The server keeps its pages."""

    @property
    def gone(self) -> bool:
        return session.broken(self.raw)

    @property
    def open(self) -> bool:
        return session.inside(self.raw)

    def take(self, seconds: float = 0.0) -> None:
        """The lock ends with the transaction, after what it wrote can be seen: commits come in the order of their times."""
        self._pending.cut({})
        self._units.clear()
        self._ahead = False
        if seconds:
            self._wait(seconds)
        else:
            self._try()
        if self.latest != self._mine:
            self._foreign += 1
            self._ours = None

    def ahead(self) -> bool:
        if self._ours is None or self.gone or self.open or session.spoken(self.raw):
            return False
        self._pending.cut({})
        self._units.clear()
        self.latest, self._ahead = self._mine, True
        return True

    def commit_ahead(self) -> bool:
        self._ahead, parts = False, self._pending.take()
        try:
            if parts and not self._many.insert_if(self._questions, parts, self._lock, self._mine, self.now):
                return False
        except psycopg.Error as error:
            if self.gone:
                raise self._heard(error) from error
            return False  # the statement was undone as a whole
        self._mine = self.now if parts else self._mine
        self._ours = self.next_mid, self.next_rid, self.chain, self.parameters, self._counts
        return True

    def _try(self) -> None:
        sql = f"BEGIN; SELECT CASE WHEN pg_try_advisory_xact_lock({self._lock}) THEN (SELECT last_value FROM suture_time) END"
        (row,) = self._last_of(sql)
        if row is None:
            self.roll_back()
            raise Busy("another process keeps the database busy", where=self.shared.where, after=2.0)
        self.latest = int(row)

    def _wait(self, seconds: float) -> None:
        limit = f"SET LOCAL lock_timeout = {int(seconds * 1000)}"
        try:
            self._last_of(f"BEGIN; {limit}; SELECT pg_advisory_xact_lock({self._lock}); SET LOCAL lock_timeout = 0")
        except psycopg.errors.LockNotAvailable as error:
            self.roll_back()
            raise Busy("another process keeps the database busy", where=self.shared.where, after=2.0) from error
        (row,) = self._last_of("SELECT last_value FROM suture_time")
        self.latest = int(row)

    def _last_of(self, sql: str) -> tuple[Any, ...]:
        """The row of the last statement of several that go in one message."""
        cursor = self.raw.cursor()
        cursor.execute(sql, prepare=False)
        while cursor.nextset():
            pass
        row: tuple[Any, ...] | None = cursor.fetchone() if cursor.description else None
        return row or (None,)

    def commit(self) -> None:
        """What waits goes first. A transaction in which a statement failed can't be kept."""
        if self.raw.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            raise Busy(SPOILED, where=self.shared.where, after=1.0)
        try:
            self._write(self._pending.take())
        except psycopg.Error as error:
            if not self.open:
                raise
            raise self._heard(error) from error  # rows that can't be, not a database that can't write
        self._last_of(f"SELECT setval('suture_time', {self.now}); COMMIT")
        self._mine = self.now
        self._ours = self.next_mid, self.next_rid, self.chain, self.parameters, self._counts

    @contextmanager
    def budget(self, seconds: float) -> Iterator[None]:
        """A question that is cut off spoils what came since the last savepoint, which must be this unit's alone."""
        self._settle_pending(False)
        with super().budget(seconds):
            yield

    def roll_back(self) -> None:
        self._pending.cut({})
        self._units.clear()
        self.raw.execute("ROLLBACK")

    # --- statements

    def _again(self, error: psycopg.Error, ask: Callable[[], T]) -> T:
        """Inside a transaction nothing is asked again; one that is lost takes no further statement."""
        heard = self._heard(error)
        if not self.open:
            self.lost = heard
        raise heard from error

    def _rows(self, sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
        writes = sql[:6] in WRITES
        self._before(sql, parameters, writes=writes)
        assert not isinstance(parameters, dict)
        rows = self._questions.rows(self._dialect(sql), parameters)
        if writes:  # a look between does not count
            self._changes = self._questions.changed
            if sql[:6] == "INSERT" and rows:
                self._last = rows[0][0]
                self._counts.clear()
        return rows

    def _before(self, sql: str, parameters: Parameters, *, writes: bool) -> None:
        """What waits goes to the server if this statement could miss it."""
        if self.lost is not None:
            raise Unavailable(self.lost.text, where=self.lost.where, mend=self.lost.mend)
        missed = self._pending.in_the_way(sql, parameters)
        if self._ahead and (writes or missed):
            raise Unavailable("nothing is written ahead of the lock")
        if writes or missed:
            self._settle_pending(missed)

    def execute(self, sql: str, parameters: Parameters = ()) -> Any:
        if sql in _UNITS:
            return _UNITS[sql](self)
        if sql[:6] == "INSERT" and self.lost is None and self._pending.add(sql, [parameters], self._number):
            self._changes = 1
            return NOTHING
        return super().execute(sql, parameters)

    def many(self, sql: str, rows: Iterable[Parameters]) -> None:
        wanted: list[Any] = rows if isinstance(rows, list) else list(rows)
        if not wanted or (self.lost is None and self._pending.add(sql, wanted, self._number)):
            return
        if self._ahead:
            raise Unavailable("nothing is written ahead of the lock")
        try:
            self._settle_pending(True)
            if self.lost is None and self._pending.add(
                sql, wanted, self._number
            ):  # it stood in the way of itself, in another shape
                return
            if not self._many.delete(self._questions, sql, wanted):
                self.raw.cursor(binary=True).executemany(self._dialect(sql), wanted)
        except psycopg.Error as error:
            self._again(error, lambda: None)

    def _number(self, table: str) -> int:
        """The next number of a table that counts by itself; nobody else gives one while the lock is ours."""
        if table not in self._counts:
            key = self._dialect.tables[table].counted
            row = self.raw.execute(f"SELECT coalesce(max({key}), 0) FROM {table}").fetchone()
            self._counts[table] = int(row[0]) if row else 0
        self._counts[table] += 1
        self._last = self._counts[table]
        return self._last

    @property
    def changes(self) -> int:
        return self._changes

    @property
    def last_rowid(self) -> int:
        return int(self._last)

    # --- units

    def _settle_pending(self, whole: bool) -> None:
        """Something is about to change: what came before a unit goes ahead of its savepoint, and all the rest if it is missed."""
        for unit in self._units:
            if not unit.made:
                self._write(self._pending.take(unit.before))
                self.raw.execute("SAVEPOINT unit")
                unit.made = True
                for later in self._units:
                    later.before = (
                        {t: n - unit.before.get(t, 0) for t, n in later.before.items()} if later is not unit else {}
                    )
        if whole:
            self._write(self._pending.take())

    def _write(self, parts: list[tuple[Any, list[Any]]]) -> None:
        if parts:
            self._many.insert(self.raw, self._questions, parts)

    def _savepoint(self) -> Any:
        self._units.append(_Unit(self._pending.counts(), dict(self._counts)))
        return NOTHING

    def _release(self) -> Any:
        unit = self._units.pop()
        if unit.made:
            self.raw.execute("RELEASE unit")
        return NOTHING

    def _undo(self) -> Any:
        unit = self._units[-1]
        self._pending.cut({} if unit.made else unit.before)
        self._counts = dict(unit.numbers)
        if unit.made:
            self.raw.execute("ROLLBACK TO unit")
        return NOTHING


class _Unit:
    """A savepoint; `before`: how many rows waited when it was asked for, `numbers`: how far tables had counted."""

    __slots__ = ("before", "made", "numbers")

    def __init__(self, before: dict[str, int], numbers: dict[str, int]) -> None:
        self.before = before
        self.numbers = numbers
        self.made = False


_UNITS: dict[str, Callable[[ServerTx], Any]] = {
    "SAVEPOINT unit": ServerTx._savepoint,
    "RELEASE unit": ServerTx._release,
    "ROLLBACK TO unit": ServerTx._undo,
}


class _Looking(ServerTx):
    """A reading connection as a transaction: what it would write is refused."""

    def __init__(self, reader: ServerConnection) -> None:
        ServerTx.__init__(
            self, lambda: reader.raw, reader.shared, reader._dialect, Many(reader._dialect.tables), (0, 0)
        )
        self._questions = reader._questions

    def execute(self, sql: str, parameters: Parameters = ()) -> Any:
        if sql[:6] in WRITES:
            raise Unavailable("nothing is written while one looks")
        return super().execute(sql, parameters)
