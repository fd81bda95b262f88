"""The database: one encrypted file, one writer that commits in groups, readers that are never blocked.

https://sqlite.org/wal.html · docs/storage.md
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import apsw

from suture import crypto
from suture.clock import SYSTEM, Clock, new_id
from suture.errors import Unavailable, Unstartable
from suture.settings import Settings
from suture.store import anchor, dictionaries, envelope, fulltext, keys, migrations, reindex
from suture.store.checkpoints import Checkpoints
from suture.store.commit import LOCK_SECONDS, GroupCommit, Stepper, forget
from suture.store.connection import APPLICATION_ID, Connection, Tx, open_raw, translated, wait_for_locks
from suture.store.identities import Identities
from suture.store.shared import Shared
from suture.store.upkeep import Upkeep

T = TypeVar("T")

READ_CACHE = 24 << 20
WRITE_CACHE = 24 << 20
NOTHING_NAMED = Identities(0)
SQLITE_HEADER = b"SQLite format 3\0"


class Database:
    """`write` for the event loop, `write_now` for commands, `read` for short reads, `reader()` for long ones."""

    def __init__(self, settings: Settings, shared: Shared, notices: list[str]) -> None:
        self.path = shared.path
        self.shared = shared
        self.clock = shared.clock
        self.notices = notices  # what the command that opened it says aloud
        self.read = self.reader(READ_CACHE)
        dictionaries.load(self.read)
        self._stepper = Stepper(self.clock, _latest(self.read))
        keeper = anchor.Keeper(anchor.path_of(settings, shared.envelope), shared.envelope, self.read)
        if not keeper.sound:
            notices.append("The audit trail is not the one its anchor has seen. Run: suture verify")
        checkpoints = Checkpoints(lambda: self._open(1 << 20))
        every = float(settings["audit.anchor_every"])
        self.upkeep = Upkeep(shared, checkpoints, keeper, every, self.reader, self.write_now)
        self._group: GroupCommit | None = None
        self._now: Tx | None = None
        self._now_lock = threading.Lock()
        self._serving: IO[str] | None = None

    @classmethod
    def open(cls, settings: Settings, clock: Clock = SYSTEM, *, serving: bool = False) -> Database:
        """Opens the database of the settings, creating key file, envelope and schema at the first start.

        Raises Unstartable for a wrong key, a newer schema, a file that is none of ours, a folder that can't be written;
        with `serving` also when another process already serves it.
        """
        path = path_of(settings.database)
        notices: list[str] = []
        opened = _open_envelope(path, settings, clock, notices)
        shared = Shared(path, opened, clock, base=reindex.base_of(str(settings["http.base_url"])))
        raw = open_raw(path, opened.key, create=True)
        try:
            raw.pragma("application_id", APPLICATION_ID)
            migrations.migrate(raw, clock.micros(), str(path))
        finally:
            raw.close()
        envelope.sync_folder(path.parent)  # a journal that came back after a power cut would undo the creation
        database = cls(settings, shared, notices)
        if serving:
            database._serving = serving_lock(path)
        fulltext.keep(database.write_now, database.read, str(settings["search.text"]), serving)
        again = reindex.keep(database.write_now, database.read, serving)
        if again:
            notices.append(f"The search index was made anew: {again} resources")
        return database

    @property
    def base(self) -> str:
        """For `index.extract`: what absolute references to this server begin with."""
        return self.shared.base

    async def write(self, unit: Callable[[Tx], T]) -> T:
        """Runs `unit` in the next group commit; returns when it is on disk. A unit that raises is undone alone."""
        if self._group is None:
            made = self._group_writer
            self._group = GroupCommit(made(), self._stepper, made, self.upkeep.after_commit)
        return await self._group.write(unit)

    def write_now(self, unit: Callable[[Tx], T]) -> T:
        """The same at once and on its own, for commands and threads; never call it on a serving loop."""
        with self._now_lock:
            tx = self._now = self._now or self._writer()
            wait_for_locks(tx.raw, LOCK_SECONDS)
            try:
                result = self._commit_now(tx, unit)
            except apsw.Error as error:
                raise translated(error, str(self.path)) from error
        calls, tx._committed = tx._committed, []
        for call in calls:
            call()
        self.upkeep.after_commit()
        return result

    def _commit_now(self, tx: Tx, unit: Callable[[Tx], T]) -> T:
        tx.raw.execute("BEGIN IMMEDIATE")
        try:
            tx.begin(self._stepper())
            result = unit(tx)
            if tx.lost:
                raise tx.lost
            tx.raw.execute("COMMIT")
        except BaseException:
            if tx.raw.in_transaction:
                tx.raw.execute("ROLLBACK")
            forget(tx)
            raise
        tx._rolled_back.clear()
        return result

    def reader(self, cache_bytes: int = 8 << 20) -> Connection:
        """Another reading connection, for a thread of its own; close it after use."""
        raw = self._open(cache_bytes)
        raw.pragma("query_only", True)
        return Connection(raw, self.shared)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Several reads that see one state; keep it short and without an await, it holds checkpoints up."""
        self.read.execute("BEGIN")
        try:
            yield self.read
        finally:
            self.read.execute("COMMIT")

    def _open(self, cache_bytes: int) -> apsw.Connection:
        return open_raw(self.path, self.shared.envelope.key, cache_bytes=cache_bytes)

    def _writer(self) -> Tx:
        tx = Tx(self._open(WRITE_CACHE), self.shared)
        self.upkeep.checkpoints.watch(tx.raw)
        return tx

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
            raise Unavailable(self.fenced, where=str(self.path))

    def close(self) -> None:
        """Ends all connections; the last one out moves the WAL into the file."""
        if self._group:
            self._group.close()
        self.upkeep.close()
        if self._now:
            self._now.close()
        self.read.close()
        if self._serving:
            self._serving.close()


def path_of(address: str) -> Path:
    """The file of `sqlite:PATH`."""
    kind, _, rest = address.partition(":")
    if kind != "sqlite" or not rest:
        raise Unstartable(
            "this version keeps its rows in SQLite only", where="SUTURE_DATABASE", mend="Write sqlite:PATH."
        )
    return Path(rest).absolute()


def _open_envelope(path: Path, settings: Settings, clock: Clock, notices: list[str]) -> envelope.Envelope:
    beside = envelope.path_of(path)
    if beside.exists():
        return _finish_exchange(path, settings) or envelope.read(path, keys.read(settings))
    if path.exists() and path.stat().st_size:
        raise _not_ours(path, beside)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(path.parent):
            if beside.exists():  # another process was first
                return envelope.read(path, keys.read(settings))
            return _create(path, settings, clock, notices)
    except OSError as error:
        raise Unstartable(
            f"the folder cannot be written ({error.strerror})",
            where=str(error.filename or path.parent),
            mend="Give this user the right to write there, or name another place in SUTURE_DATABASE or SUTURE_KEY_FILE.",
        ) from error


def _create(path: Path, settings: Settings, clock: Clock, notices: list[str]) -> envelope.Envelope:
    key_file = settings.key_file
    if keys.command_of(settings) or key_file.exists():
        key = keys.read(settings)
    else:
        key = crypto.create_key_file(key_file)
        notices.append(
            f"Created the key file {key_file} (mode 600). Without it nobody can read the database, a backup "
            "included: keep a copy of it in a safe place, apart from the backups."
        )
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))  # the WAL takes its mode over
    return envelope.create(path, key, new_id(clock))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two first starts at once must not make two keys."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _finish_exchange(path: Path, settings: Settings) -> envelope.Envelope | None:
    """When `suture rotate-key` was cut off: the envelope may be wrapped by the next key already."""
    key_file = settings.key_file
    following = crypto.unfinished(key_file)
    if keys.command_of(settings) or not following.exists():
        return None
    try:
        opened = envelope.read(path, crypto.read_key_file(following))
    except Unstartable:
        return None  # not yet: the present key is still the right one
    crypto.exchange_key_file(key_file)
    return opened


def _not_ours(path: Path, beside: Path) -> Unstartable:
    with path.open("rb") as file:
        plain = file.read(16) == SQLITE_HEADER
    text = "this is an SQLite database, but not one of Suture" if plain else f"its envelope {beside.name} is missing"
    return Unstartable(text, where=str(path), mend="Name another file in SUTURE_DATABASE, or restore a backup.")


def serving_process(path: Path) -> int:
    """The process that last served a database, as its lock says; 0 when none ever did. It may have ended."""
    try:
        written = path.with_name(path.name + ".lock").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(written) if written.isdigit() else 0


def serving_lock(path: Path) -> IO[str]:
    """One serving process per database; the lock ends with the process, however it ends."""
    file = path.with_name(path.name + ".lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise Unstartable(
            f"another suture serves this database (process {holder})",
            where=str(path),
            mend="Stop it first, or give this one a database of its own.",
        ) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _latest(connection: Connection) -> int:
    """The newest time that stands in a row, so that time goes on from there even if the clock was set back."""
    row = connection.one(
        "SELECT max((SELECT coalesce(max(upd), 0) FROM res WHERE rt = n.nid)) FROM (SELECT DISTINCT rt AS nid FROM res) n"
    )
    return (row and row[0]) or 0
