"""A database on a PostgreSQL server as the place where everything is kept, for any number of processes at once.

https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import psycopg

from suture.clock import Clock, new_id
from suture.errors import Unstartable
from suture.settings import Settings
from suture.store import envelope, keys, migrations
from suture.store.connection import APPLICATION_ID, Connection, Tx
from suture.store.postgres import resting, schema, session, tables
from suture.store.postgres.connection import ServerConnection, ServerTx
from suture.store.postgres.dialect import Dialect
from suture.store.postgres.many import Many
from suture.store.postgres.presence import STAYS, Presence
from suture.store.shared import Shared

KINDS = ("postgresql", "postgres")
WRITING, CHANGING, SERVING, OPEN = "writing", "changing", "serving", "open"
MANY = 5_000  # rows of a load after which statistics are made
LOADED = ("res", "hist", "dangling", "tok", "name", "posting", "t", "i", "r", "s", "d", "l", "q", "w")
STATISTICS = f"ANALYZE {', '.join(LOADED)}".encode()
BODIES = "bodies"  # what the key of bodies is for


class Server:
    """The place of one process on the server: its sessions, and the lock of the process that runs the flows."""

    checkpoints = None  # the server looks after its own log

    def __init__(
        self,
        address: str,
        shared: Shared,
        dialect: Dialect,
        many: Many,
        lock: Callable[[str], tuple[int, int]],
        presence: Presence,
    ) -> None:
        self._address = address
        self.shared = shared
        self._dialect = dialect
        self._many = many
        self._lock = lock
        self._presence = presence
        self._serves = self._analyzed = False
        self._turn: session.Raw | None = None

    @classmethod
    def open(cls, settings: Settings, clock: Clock, notices: list[str], base: str) -> Server:
        address = settings.database
        known = tables.read(m.sql for m in migrations.known())
        dialect, where = Dialect(known), session.where_of(address)
        raw = session.connect(address)
        try:
            _require_usable(raw, where)
            lock = _locks(raw)
            raw.execute("SELECT pg_advisory_lock($1::int, $2::int)", lock(CHANGING))
            schema.migrate(raw, dialect, clock.micros(), where)
            opened = _envelope(raw, settings, clock, notices, where)
            presence = Presence(address, lock(OPEN))  # waits for a first load that has the database to itself
            resting.end(raw)
        finally:
            raw.close()
        shared = Shared(settings.key_file, opened, clock, where, base=base, sealing=opened.derive(BODIES))
        return cls(address, shared, dialect, Many(known), lock, presence)

    def serve(self) -> None:
        """Any number of processes serve one database."""
        self._serves = True

    def turn(self) -> bool:
        """Takes the lock of the process that runs the flows, or looks whether its session is still there."""
        if self._turn is not None:
            return self._keeps(self._turn)
        raw = session.connect(self._address)
        raw.execute(STAYS, prepare=False)
        row = raw.execute("SELECT pg_try_advisory_lock($1::int, $2::int)", self._lock(SERVING)).fetchone()
        if not row or not row[0]:
            raw.close()
            return False
        self._turn = raw
        return True

    @staticmethod
    def _keeps(raw: session.Raw) -> bool:
        try:
            raw.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def rest(self) -> bool:
        """Whether the indexes of the large tables rest from now on: when nobody serves or has the database open but us."""
        try:
            if self._serves or not self._presence.alone():
                return False
            resting.begin(self._presence.raw)
        except psycopg.Error:  # then it goes on as always
            self._presence.together()
            return False
        return True

    def disturbed(self) -> bool:
        try:
            return self._presence.wanted()
        except psycopg.Error:
            return True

    def rested(self) -> None:
        if session.broken(self._presence.raw):
            self._presence = Presence(self._address, self._lock(OPEN))
        try:
            resting.end(self._presence.raw)
            self._presence.together()
            self._presence.raw.execute(STATISTICS)  # what comes again is looked for
            self._analyzed = True
        except psycopg.Error as error:
            raise session.translated(error, self.shared.where) from error

    def unserved(self) -> bool:
        return False  # any number of processes may: no load keeps them waiting

    def loaded(self, count: int) -> None:
        """The server would look by itself, about a minute later."""
        if count < MANY or self._analyzed:
            return
        raw = session.connect(self._address)
        try:
            raw.execute(STATISTICS)
        except psycopg.Error as error:
            raise session.translated(error, self.shared.where) from error
        finally:
            raw.close()

    def reader(self, cache_bytes: int) -> Connection:
        return ServerConnection(
            lambda: session.connect(self._address, reading=True, plans="force_custom_plan"), self.shared, self._dialect
        )

    def writer(self, cache_bytes: int) -> Tx:
        return ServerTx(
            lambda: session.connect(self._address), self.shared, self._dialect, self._many, self._lock(WRITING)
        )

    def latest(self, connection: Connection) -> int:
        """The time of the last transaction; each one looks again when it has the write lock."""
        row = connection.one("SELECT last_value FROM suture_time")
        return int(row[0]) if row else 0

    def close(self) -> None:
        self._presence.close()
        if self._turn:
            self._turn.close()


def _locks(raw: session.Raw) -> Callable[[str], tuple[int, int]]:
    """The numbers of the locks: those of another schema in the same database are others."""
    (name,) = raw.execute("SELECT current_schema()").fetchone() or ("",)

    def lock(purpose: str) -> tuple[int, int]:
        return APPLICATION_ID, zlib.crc32(f"{name} {purpose}".encode()) & 0x7FFFFFFF

    return lock


def _require_usable(raw: session.Raw, where: str) -> None:
    row = raw.execute("SELECT current_setting('server_encoding'), current_schema()").fetchone() or ("", None)
    if raw.info.server_version < session.OLDEST:
        raise Unstartable(
            f"this PostgreSQL is too old ({raw.info.server_version // 10000})",
            where=where,
            mend="Suture needs 15 or newer.",
        )
    if row[0] != "UTF8":
        raise Unstartable(
            f"the database keeps its texts as {row[0]}",
            where=where,
            mend="Make it with: CREATE DATABASE … ENCODING 'UTF8'.",
        )
    if row[1] is None:
        raise Unstartable(
            "the user may not use a schema", where=where, mend="GRANT USAGE, CREATE ON SCHEMA public TO it."
        )


def _envelope(raw: session.Raw, settings: Settings, clock: Clock, notices: list[str], where: str) -> envelope.Envelope:
    """The database's own key stands wrapped in the database, where every node finds it."""
    row = raw.execute("SELECT text FROM envelope").fetchone()
    if row is not None:
        return envelope.opened(str(row[0]).encode(), keys.read(settings), where)
    key = keys.first(settings, notices)
    made = envelope.fresh(new_id(clock))
    raw.execute("INSERT INTO envelope VALUES (1, $1)", (envelope.sealed(made, key).decode(),))
    return made


def is_address(address: str) -> bool:
    """Whether this names a database on a server."""
    return address.partition(":")[0] in KINDS


def envelope_of(address: str) -> bytes:
    """The envelope as it stands in the database; empty when there is none yet."""
    raw = session.connect(address, reading=True)
    try:
        row = raw.execute("SELECT text FROM envelope").fetchone()
    except psycopg.Error:
        row = None
    finally:
        raw.close()
    return str(row[0]).encode() if row else b""


def keep_envelope(address: str, sealed: bytes) -> None:
    """Replaces the envelope in one step."""
    raw = session.connect(address)
    try:
        raw.execute("UPDATE envelope SET text = $1", (sealed.decode(),))
    except psycopg.Error as error:
        raise session.translated(error, session.where_of(address)) from error
    finally:
        raw.close()
