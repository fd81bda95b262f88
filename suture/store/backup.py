"""Backup and restore: one file with the encrypted pages as they are, its envelope, and a seal over all of it.

While it runs the server goes on: the pages are copied under a read lock that only keeps checkpoints waiting
(https://sqlite.org/wal.html). The file opens on any machine that has the key file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import apsw

from suture.clock import SYSTEM, instant, stamp
from suture.errors import Conflict, Unavailable, Unstartable
from suture.settings import Settings
from suture.store import audit, envelope, keys, migrations
from suture.store.audit import AuditRow
from suture.store.connection import Connection, open_raw, wait_for_locks
from suture.store.database import Database
from suture.store.file import path_of, serving_lock

MAGIC = b"suture-backup/1\n"
CHUNK = 1 << 20
SEAL_BYTES = 32
TRIES = 500
LOCK_SECONDS = 30.0
NAME = "suture-%Y%m%dT%H%M%SZ.backup"
FACT = "last backup"


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup file says of itself."""

    database: str
    made: int  # microseconds
    bytes: int  # of pages
    schema: int
    audit_rows: int
    audit_head: str  # hex
    envelope: str


def make(database: Database, file: Path) -> Backup:
    """Writes a consistent copy to `file` (mode 600); the server may go on writing meanwhile."""
    if file.exists():
        raise Conflict("this file is there already", where=str(file), mend="Name another file, or a folder.")
    beside = file.with_name(file.name + ".part")
    try:
        with _still(database) as reader:
            made = _describe(database, reader)
            _write(database, made, beside)
        beside.replace(file)
        envelope.sync_folder(file.parent)
    except OSError as error:
        raise Unavailable(
            f"the backup cannot be written ({error.strerror})",
            where=str(file),
            mend="Free space, or name another place.",
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    database.write_now(
        lambda tx: tx.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (FACT, str(made.made))).fetchall()
    )
    return made


def make_in(database: Database, folder: Path, keep: int) -> tuple[Path, Backup]:
    """A backup named by its time in `folder`; of older ones of this kind only the newest `keep` stay."""
    file = folder / database.clock.now().strftime(NAME)
    made = make(database, file)
    old = sorted(folder.glob("suture-*T*Z.backup"))[: -keep if keep else None]
    for one in old:
        one.unlink()
    return file, made


@contextmanager
def _still(database: Database) -> Iterator[Connection]:
    """A moment in which the file alone holds everything, kept by a reader until the copy is done."""
    lock, mover, reader = (database.reader(1 << 20) for _ in range(3))
    lock.raw.pragma("query_only", False)
    mover.raw.pragma("query_only", False)
    wait_for_locks(lock.raw, LOCK_SECONDS)
    try:
        for _ in range(TRIES):
            _moved(mover)  # the bulk, before anybody waits
            lock.execute("BEGIN IMMEDIATE")
            try:
                if _moved(mover):
                    reader.execute("BEGIN")
                    reader.one("SELECT count(*) FROM migration")  # takes the read lock
                    break
            finally:
                lock.execute("ROLLBACK")
            time.sleep(0.02)  # a long reader, or another checkpoint; they end
        else:
            raise Unavailable("a long query keeps the backup waiting", where=str(database.path), mend="Try again.")
        yield reader
    finally:
        for connection in (reader, mover, lock):
            connection.close()


def _moved(mover: Connection) -> bool:
    """Moves the WAL into the file as far as readers allow; whether all of it stands there now."""
    try:
        pages, moved = mover.raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.BusyError:  # somebody else is at it
        return False
    return bool(pages == moved)


def _describe(database: Database, reader: Connection) -> Backup:
    head = audit.head(reader)
    schema = max(migrations.applied(reader.raw))
    opened = database.shared.envelope
    text = envelope.path_of(database.path).read_text(encoding="ascii")
    return Backup(
        opened.database, database.clock.micros(), database.path.stat().st_size, schema, head.n, head.hash.hex(), text
    )


def _write(database: Database, made: Backup, file: Path) -> None:
    seal = hmac.new(_seal_key(database.shared.envelope), digestmod=hashlib.sha256)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out, database.path.open("rb") as pages:

        def put(chunk: bytes) -> None:
            seal.update(chunk)
            out.write(chunk)

        put(MAGIC + json.dumps(asdict(made)).encode() + b"\n")
        left = made.bytes
        while left and (chunk := pages.read(min(CHUNK, left))):
            put(chunk)
            left -= len(chunk)
        out.write(seal.digest())
        out.flush()
        os.fsync(out.fileno())


def _seal_key(opened: envelope.Envelope) -> bytes:
    return opened.derive("backup")


def _open(file: Path) -> IO[bytes]:
    try:
        return file.open("rb")
    except OSError as error:
        raise Unstartable(f"the backup cannot be read ({error.strerror})", where=str(file)) from error


def _header(source: IO[bytes], file: Path) -> tuple[Backup, bytes]:
    magic, line = source.read(len(MAGIC)), source.readline(1 << 16)
    try:
        if magic != MAGIC:
            raise ValueError(magic)
        return Backup(**json.loads(line)), magic + line
    except (ValueError, TypeError) as error:
        raise Unstartable(
            "this is no Suture backup", where=str(file), mend="Name a file that suture backup made."
        ) from error


def restore(settings: Settings, file: Path, *, force: bool = False) -> Backup:
    """Puts the database of a backup in place of the settings' database; what was there stays beside it.

    Nothing is touched before the whole file has been read and its seal found right.
    """
    target = path_of(settings.database)
    if target.exists() and not force:
        raise Conflict(
            "there is a database already", where=str(target), mend="Say --force; it will stay beside the restored one."
        )
    with _open(file) as source:
        found, head = _header(source, file)
        opened = envelope.opened(found.envelope.encode(), keys.read(settings), str(file))
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with serving_lock(target):
            beside = target.with_name(target.name + ".restoring")
            try:
                _unpack(source, head, found, opened, beside, file)
                _check_schema(beside, opened)
                _exchange(target, beside, found)
            finally:
                beside.unlink(missing_ok=True)
    _say_so(settings, found)
    return found


def _unpack(source: IO[bytes], head: bytes, found: Backup, opened: envelope.Envelope, beside: Path, file: Path) -> None:
    seal = hmac.new(_seal_key(opened), head, hashlib.sha256)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        left = found.bytes
        while left and (chunk := source.read(min(CHUNK, left))):
            seal.update(chunk)
            out.write(chunk)
            left -= len(chunk)
        out.flush()
        os.fsync(out.fileno())
    if left or not hmac.compare_digest(source.read(SEAL_BYTES + 1), seal.digest()):
        raise Unstartable(
            "the backup is damaged or not complete",
            where=str(file),
            mend="Nothing was changed. Take another backup file.",
        )


def _check_schema(beside: Path, opened: envelope.Envelope) -> None:
    raw = open_raw(beside, opened.key)
    try:
        migrations.require_known(raw, str(beside))
    finally:
        raw.close()
    for ending in ("-wal", "-shm"):
        beside.with_name(beside.name + ending).unlink(missing_ok=True)


def _exchange(target: Path, beside: Path, found: Backup) -> None:
    """The old database steps aside; the restored one takes its place."""
    step_aside(target)
    envelope.write(envelope.path_of(target), found.envelope.encode())
    beside.replace(target)
    envelope.sync_folder(target.parent)


def step_aside(target: Path) -> Path:
    """Renames a database with all its files to its own name and the time; it still opens under that name."""
    aside = target.with_name(f"{target.name}.before-{stamp(SYSTEM.micros())}")
    for ending in ("", "-wal", "-shm", ".envelope"):
        old = target.with_name(target.name + ending)
        if old.exists():
            old.replace(aside.with_name(aside.name + ending))
    return aside


def _say_so(settings: Settings, found: Backup) -> None:
    """The restored trail goes on with a row about the restore, and the anchor follows it from there."""
    database = Database.open(settings)
    try:
        detail = f"backup of {instant(found.made)}"
        database.write_now(lambda tx: audit.append(tx, AuditRow("system", "restore", detail=detail)))
        database.upkeep.keeper.accept(database.read)
    finally:
        database.close()


def last_backup(connection: Connection) -> int:
    """When the last backup was made, in microseconds; 0 when none was."""
    row = connection.one("SELECT value FROM fact WHERE name = ?", (FACT,))
    return int(row[0]) if row else 0
