"""The database: one writer at a time that commits in groups, readers that are never blocked, in a file or on a server.

https://sqlite.org/wal.html · https://www.postgresql.org/docs/current/mvcc.html · docs/storage.md
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from suture.clock import SYSTEM, Clock
from suture.errors import Unavailable, Unstartable
from suture.settings import Settings
from suture.store import anchor, audit_listed, dictionaries, file, fulltext, reindex
from suture.store.checkpoints import Checkpoints
from suture.store.commit import LOCK_SECONDS, GroupCommit, Stepper, forget
from suture.store.connection import Connection, Tx
from suture.store.identities import Identities
from suture.store.postgres import server
from suture.store.shared import Shared
from suture.store.upkeep import Upkeep

T = TypeVar("T")

READ_CACHE = 24 << 20
WRITE_CACHE = 24 << 20
NOTHING_NAMED = Identities(0)


class Place(Protocol):
    """Where the rows are kept: store/file.py, store/postgres/server.py."""

    shared: Shared

    @property
    def checkpoints(self) -> Checkpoints | None: ...

    def serve(self) -> None:
        """This process serves; a file has one such process, and raises Unstartable for another."""
        ...

    def turn(self) -> bool:
        """Whether the flows are this process's to run, now that it was asked."""
        ...

    def rest(self) -> bool:
        """Whether large tables go without their indexes from now on, until `rested`: for a first load that is alone."""
        ...

    def disturbed(self) -> bool:
        """Whether somebody waits for the indexes."""
        ...

    def rested(self) -> None:
        """Builds them again."""
        ...

    def unserved(self) -> bool:
        """Whether this process may keep the write lock for seconds, as nobody serves from here."""
        ...

    def loaded(self, count: int) -> None:
        """So many rows came at once: what plans are made by is looked at anew."""
        ...

    def reader(self, cache_bytes: int) -> Connection: ...

    def writer(self, cache_bytes: int) -> Tx: ...

    def latest(self, connection: Connection) -> int: ...

    def close(self) -> None: ...


PLACES: dict[str, Callable[[Settings, Clock, list[str], str], Place]] = {
    file.KIND: file.File.open,
    **dict.fromkeys(server.KINDS, server.Server.open),
}


class Database:
    """`write` for the event loop, `write_now` for commands, `read` for short reads, `reader()` for long ones."""

    def __init__(self, settings: Settings, place: Place, notices: list[str]) -> None:
        self.place = place
        self.shared = shared = place.shared
        self.path = shared.path
        self.where = shared.where
        self.clock = shared.clock
        self.notices = notices  # what the command that opened it says aloud
        self.read = self.reader(READ_CACHE)
        dictionaries.load(self.read)
        self._stepper = Stepper(self.clock, place.latest(self.read))
        keeper = anchor.Keeper(anchor.path_of(settings, shared.envelope), shared.envelope, self.read)
        if not keeper.sound:
            notices.append("The audit trail is not the one its anchor has seen. Run: suture verify")
        every = float(settings["audit.anchor_every"])
        self.upkeep = Upkeep(shared, place.checkpoints, keeper, every, self.reader, self.write_now)
        self._group: GroupCommit | None = None
        self._now: Tx | None = None
        self._now_lock = threading.Lock()

    @classmethod
    def open(cls, settings: Settings, clock: Clock = SYSTEM, *, serving: bool = False) -> Database:
        """Opens the database of the settings, creating key file, envelope and schema at the first start.

        Raises Unstartable for a wrong key, a newer schema, a database that is none of ours, a place that can't be
        written; with `serving` also when another process already serves it.
        """
        notices: list[str] = []
        place = _place(settings.database)(settings, clock, notices, reindex.base_of(str(settings["http.base_url"])))
        database = cls(settings, place, notices)
        if serving:
            place.serve()
        fulltext.keep(database.write_now, database.read, str(settings["search.text"]), serving)
        again = reindex.keep(database.write_now, database.read, serving)
        audit_listed.catch_up(database.write_now, database.read)
        if again:
            notices.append(f"The search index was made anew: {again} resources")
        return database

    @property
    def base(self) -> str:
        """For `index.extract`: what absolute references to this server begin with."""
        return self.shared.base

    async def write(self, unit: Callable[[Tx], T], turn: Callable[[], None] | None = None) -> T:
        """Runs `unit` in the next group commit; returns when it is on disk. A unit that raises is undone alone.

        `turn`: see GroupCommit.write.
        """
        return await self.submit(unit, turn)

    def submit(self, unit: Callable[[Tx], T], turn: Callable[[], None] | None = None) -> asyncio.Future[T]:
        """`write` for who waits in another way; raises Unavailable while nothing is written."""
        if self._group is None:
            made = self._group_writer
            self._group = GroupCommit(made(), self._stepper, made, self.upkeep.after_commit, self._now_lock)
        return self._group.submit(unit, turn)

    def write_now(self, unit: Callable[[Tx], T]) -> T:
        """The same at once and on its own, for commands and threads; never call it on a serving loop."""
        with self._now_lock:
            tx = self._now = self._now or self._writer()
            try:
                tx = self._taken(tx)
                result = self._commit_now(tx, unit)
            except BaseException as error:
                heard = tx.heard(error)
                if heard is error:
                    raise
                raise heard from error
        calls, tx._committed = tx._committed, []
        for call in calls:
            call()
        self.upkeep.after_commit()
        return result

    def _taken(self, tx: Tx) -> Tx:
        """The writer with the write lock; one whose session ended meanwhile is opened anew."""
        try:
            tx.take(LOCK_SECONDS)
        except Exception:
            if not tx.gone:
                raise
            tx.close()
            tx = self._now = self._writer()
            tx.take(LOCK_SECONDS)
        return tx

    def _commit_now(self, tx: Tx, unit: Callable[[Tx], T]) -> T:
        try:
            tx.begin(self._stepper(tx.latest))
            result = unit(tx)
            if tx.lost:
                raise tx.lost
            tx.commit()
        except BaseException:
            forget(tx)  # before anybody else may write
            if tx.open:
                tx.roll_back()
            raise
        tx._rolled_back.clear()
        return result

    @contextmanager
    def wide(self, cache_bytes: int) -> Iterator[None]:
        """`write_now` inside keeps so many bytes of pages in memory: for loads that come back to the same pages often."""
        with self._now_lock:
            self._now = self._now or self._writer()
            self._now.widen(cache_bytes)
        try:
            yield
        finally:
            with self._now_lock:
                self._now.widen(WRITE_CACHE)

    def reader(self, cache_bytes: int = 8 << 20) -> Connection:
        """Another reading connection, for a thread of its own; close it after use."""
        return self.place.reader(cache_bytes)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Several reads that see one state; keep it short and without an await, it holds checkpoints up."""
        with self.read.snapshot():
            yield self.read

    def _writer(self) -> Tx:
        return self.place.writer(WRITE_CACHE)

    def _group_writer(self) -> Tx:
        """The writer of the loop also remembers what identifiers named."""
        tx = self._writer()
        tx.identities = Identities()
        return tx

    @property
    def identities(self) -> Identities:
        """What identifiers named of late, for the event loop; a transaction asks its own again."""
        return self._group.identities if self._group else NOTHING_NAMED

    @property
    def fenced(self) -> str:
        """Why nothing can be written just now; empty when all is well."""
        return self._group.fenced if self._group else ""

    @property
    def backlog(self) -> int:
        """Units that wait for a group."""
        return self._group.backlog if self._group else 0

    def require_writable(self) -> None:
        """Raises Unavailable while the database is fenced."""
        if self.fenced:
            raise Unavailable(self.fenced, where=self.where)

    def close(self) -> None:
        """Ends all connections; the last one out moves the WAL into the file."""
        if self._group:
            self._group.close()
        self.upkeep.close()
        if self._now:
            self._now.close()
        self.read.close()
        self.place.close()


def _place(address: str) -> Callable[[Settings, Clock, list[str], str], Place]:
    kind, _, rest = address.partition(":")
    if kind not in PLACES or not rest:
        raise Unstartable(
            "rows are kept in SQLite or PostgreSQL",
            where="SUTURE_DATABASE",
            mend="Write sqlite:PATH, or postgresql://USER@HOST/DATABASE.",
        )
    return PLACES[kind]
