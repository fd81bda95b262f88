"""What `suture doctor` looks at in the store: key file, envelope, schema, space, WAL, backup, anchor.

Each finding says what is, and when it is not good what to do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw

from suture import crypto
from suture.clock import instant
from suture.errors import SutureError
from suture.settings import Settings
from suture.store import copying, envelope, keys, matches, skipped
from suture.store.backup import last_backup
from suture.store.database import Database
from suture.store.file import path_of
from suture.store.findings import Finding as Finding
from suture.store.postgres import health as on_server
from suture.store.postgres import server

DAY = 86_400_000_000
BACKUP_DAYS = 2
LEAST_SPACE = 1 << 30
LONG_WAL = 256 << 20
LATE_COPY = 300.0  # seconds


def sqlite_version() -> str:
    """Of the library that keeps everything."""
    return apsw.sqlite_lib_version()


def look(settings: Settings) -> Iterator[Finding]:
    """Everything that can be seen of the store, also when it does not open."""
    if server.is_address(settings.database):
        yield from _look_on_server(settings)
        return
    try:
        path = path_of(settings.database)
    except SutureError as error:
        yield Finding("database", "bad", error.text, error.mend)
        return
    yield _key(settings, path)
    yield _space(path)
    if not path.exists():
        yield Finding(
            "database", "warning", f"there is none yet at {path}", "It is made at the first start: suture serve"
        )
        return
    yield _modes(path)
    try:
        database = Database.open(settings)
    except SutureError as error:
        yield Finding("database", "bad", str(error), error.mend)
        return
    try:
        yield from _inside(database)
        yield from _copies(database, settings)
    finally:
        database.close()


def _look_on_server(settings: Settings) -> Iterator[Finding]:
    try:
        if not server.envelope_of(settings.database):
            yield Finding(
                "database", "warning", "there is none yet on the server", "It is made at the first start: suture serve"
            )
            return
        yield _key(settings, settings.key_file.parent / "data" / "none")  # there is no data folder it could lie in
        database = Database.open(settings)
    except SutureError as error:
        yield Finding("database", "bad", str(error), error.mend)
        return
    try:
        row = database.read.one("SELECT max(number) FROM migration")
        yield Finding("database", "good", f"opens, schema {row[0] if row else 0}, {database.where}")
        yield from on_server.look(database.read)
        yield _anchor(database)
        yield from _left_out(database)
        yield from _copies(database, settings)
    finally:
        database.close()


def _left_out(database: Database) -> Iterator[Finding]:
    """Nothing when there is none: most houses never see it."""
    found = len(matches.damaged(database.read))
    if found:
        text = f"{found} Patients can't be read and are left out of the search for doubles"
        yield Finding("damaged bodies", "bad", text, "Run: suture verify, then restore the last good backup.")
    passed = len(skipped.still(database.read))
    if passed:
        text = f"{passed} versions can't be read; subscriptions and flows went past them"
        yield Finding("damaged versions", "bad", text, "Run: suture verify, then restore the last good backup.")


def _key(settings: Settings, path: Path) -> Finding:
    if not keys.command_of(settings):
        return _key_file(settings.key_file, path)
    try:
        keys.read(settings)
    except SutureError as error:
        return Finding("key command", "bad", error.text, error.mend)
    return Finding("key command", "good", "prints a key; it is on no disk of this machine")


def _key_file(file: Path, path: Path) -> Finding:
    if not file.exists() and not path.exists():
        return Finding("key file", "good", f"none yet; it will be made at {file}")
    try:
        crypto.read_key_file(file)
    except SutureError as error:
        return Finding("key file", "bad", error.text, error.mend)
    if file.resolve().is_relative_to(path.parent.resolve()):
        return Finding(
            "key file", "warning", "it is in the data folder: who copies the folder has both",
            "Move it elsewhere and set SUTURE_KEY_FILE.",
        )  # fmt: skip
    return Finding("key file", "good", f"{file}, mode 600, apart from the data")


def _space(path: Path) -> Finding:
    folder = next((f for f in path.parents if f.exists()), Path("/"))
    free, size = shutil.disk_usage(folder).free, path.stat().st_size if path.exists() else 0
    text = f"{shown(free)} free, the database has {shown(size)}"
    if free < max(LEAST_SPACE, size // 5):
        return Finding(
            "disk space", "warning", text, "Free space, or move the database; a full disk stops all writing."
        )
    return Finding("disk space", "good", text)


def shown(size: int) -> str:
    """A size for people, in MiB, or in KiB where that would be few or none."""
    return f"{size >> 20} MiB" if size >= 10 << 20 else f"{-(-size >> 10)} KiB"


def _modes(path: Path) -> Finding:
    files = [f for f in (path, envelope.path_of(path)) if f.exists()]
    open_ones = [f.name for f in files if f.stat().st_mode & 0o077]
    strangers = [f.name for f in files if f.stat().st_uid != os.getuid()]
    if strangers:
        return Finding(
            "owner", "warning", f"{', '.join(strangers)} belong to another user", "Run as the user that serves."
        )
    if open_ones:
        names = " ".join(str(f) for f in files)
        return Finding("file modes", "warning", f"others may read {', '.join(open_ones)}", f"Run: chmod 600 {names}")
    return Finding("file modes", "good", "only this user may read the files")


def _inside(database: Database) -> Iterator[Finding]:
    row = database.read.one("SELECT max(number), count(*) FROM migration")
    yield Finding("database", "good", f"opens, schema {row[0] if row else 0}, {database.path}")
    wal = database.path.with_name(database.path.name + "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size > LONG_WAL:
        yield Finding("WAL", "warning", shown(size), "A very long query or a stuck process keeps it; restart serve.")
    else:
        yield Finding("WAL", "good", shown(size))
    yield _backup(database)
    yield _anchor(database)
    yield from _left_out(database)


def _anchor(database: Database) -> Finding:
    if database.upkeep.keeper.sound:
        return Finding("audit anchor", "good", str(database.upkeep.keeper.file))
    return Finding("audit anchor", "bad", "the trail is not the one the anchor has seen", "Run: suture verify")


def _copies(database: Database, settings: Settings) -> Iterator[Finding]:
    for name in copying.named(settings):
        rows, seconds = copying.lag(database.read, name, database.clock.micros())
        if seconds > LATE_COPY:
            text = f"{rows} rows behind, the oldest for {seconds / 60:.0f} minutes"
            mend = f"See that suture serve runs and that audit.{name} can be reached; nothing is lost meanwhile."
            yield Finding(f"audit copy: {name}", "warning", text, mend)
        else:
            yield Finding(f"audit copy: {name}", "good", f"{rows} rows behind")


def _backup(database: Database) -> Finding:
    made = last_backup(database.read)
    if not made:
        return Finding("backup", "warning", "none was ever made", "Run: suture backup FOLDER, once a day")
    days = (database.clock.micros() - made) / DAY
    if days > BACKUP_DAYS:
        return Finding(
            "backup", "warning", f"the last one is {days:.0f} days old", "Run: suture backup FOLDER, once a day"
        )
    return Finding("backup", "good", f"the last one was made {instant(made)}")
