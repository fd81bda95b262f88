"""One encrypted SQLite file as the place where everything is kept (https://sqlite.org/wal.html).

How it is opened: key file, envelope and schema are made at the first start; a half-done change of keys is finished.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import apsw

from suture import crypto
from suture.clock import Clock, new_id
from suture.errors import Unstartable
from suture.settings import Settings
from suture.store import envelope, keys, migrations
from suture.store.bodies import DamagedPage
from suture.store.checkpoints import Checkpoints
from suture.store.connection import APPLICATION_ID, Connection, Tx, open_raw
from suture.store.shared import Shared

SQLITE_HEADER = b"SQLite format 3\0"
KIND = "sqlite"


class File:
    """The place of one process in the file: its connections, and the lock of the process that serves."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.checkpoints: Checkpoints | None = Checkpoints(lambda: self._open(1 << 20))
        self._serving: IO[str] | None = None

    @classmethod
    def open(cls, settings: Settings, clock: Clock, notices: list[str], base: str) -> File:
        path = path_of(settings.database)
        opened = _open_envelope(path, settings, clock, notices)
        raw = open_raw(path, opened.key, create=True)
        try:
            raw.pragma("application_id", APPLICATION_ID)
            migrations.migrate(raw, clock.micros(), str(path))
        finally:
            raw.close()
        envelope.sync_folder(path.parent)  # a journal that came back after a power cut would undo the creation
        return cls(Shared(path, opened, clock, str(path), base=base))

    def serve(self) -> None:
        """Raises Unstartable when another process serves."""
        self._serving = serving_lock(self.shared.path)

    def turn(self) -> bool:
        return True  # who serves runs the flows

    def rest(self) -> bool:
        return False  # SQLite's tables are their indexes

    def disturbed(self) -> bool:
        return False

    def rested(self) -> None:
        return

    def unserved(self) -> bool:
        return self._serving is None and not served(self.shared.path)

    def loaded(self, count: int) -> None:
        """SQLite's plans are fixed in the statements."""

    def reader(self, cache_bytes: int) -> Connection:
        raw = self._open(cache_bytes)
        raw.pragma("query_only", True)
        return Connection(raw, self.shared)

    def writer(self, cache_bytes: int) -> Tx:
        tx = Tx(self._open(cache_bytes), self.shared)
        if self.checkpoints:
            self.checkpoints.watch(tx.raw)
        return tx

    def latest(self, connection: Connection) -> int:
        """The newest time that stands in a row, so that time goes on from there even if the clock was set back."""
        try:
            row = connection.one(
                "SELECT max((SELECT coalesce(max(upd), 0) FROM res WHERE rt = n.nid)) FROM (SELECT DISTINCT rt AS nid FROM res) n"
            )
        except DamagedPage:  # of the index that knows at once
            row = connection.one("SELECT max(upd) FROM res NOT INDEXED")
        return (row and row[0]) or 0

    def _open(self, cache_bytes: int) -> apsw.Connection:
        return open_raw(self.shared.path, self.shared.envelope.key, cache_bytes=cache_bytes)

    def close(self) -> None:
        if self._serving:
            self._serving.close()


def path_of(address: str) -> Path:
    """The file of `sqlite:PATH`."""
    kind, _, rest = address.partition(":")
    if kind != "sqlite" or not rest:
        raise Unstartable(
            "this is done with a database in a file; that of a server is backed up, restored and moved by the server's own "
            "programs",
            where="SUTURE_DATABASE",
            mend="Use pg_dump and pg_restore, or pg_basebackup (docs/storage.md).",
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
    key = keys.first(settings, notices)
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


def served(path: Path) -> bool:
    """Whether a process serves a database just now."""
    try:
        with path.with_name(path.name + ".lock").open(encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def serving_lock(path: Path) -> IO[str]:
    """One serving process per database; the lock ends with the process, however it ends."""
    file = path.with_name(path.name + ".lock").open("a+", encoding="ascii")
    try:
        _lock(file)
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


def _lock(file: IO[str]) -> None:
    """Tried twice: who only asks whether somebody serves holds it for a moment."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        time.sleep(0.02)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
