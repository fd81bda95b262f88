"""A database for tests of every floor: a file in a temporary folder, or one on a real PostgreSQL server (tests/postgres.py)."""

from __future__ import annotations

from pathlib import Path

import apsw

from suture.clock import SYSTEM, Clock
from suture.settings import Settings, read
from suture.store.connection import Connection
from suture.store.database import Database
from tests import postgres

SQLITE = "sqlite"
BACKENDS = (SQLITE, "postgres15", "postgres18")
backend = SQLITE  # set by the fixture of this name


def address(folder: Path) -> str:
    """Where the database of a folder is, on the kind of database that this test is run with."""
    kept = folder / "address"  # for other processes of the same test
    if kept.exists():
        return kept.read_text()
    if backend == SQLITE:
        return f"sqlite:{folder / 'data' / 'suture.db'}"
    kept.write_text(postgres.server(backend).fresh())
    return kept.read_text()


def use(name: str) -> None:
    """From now on this kind of database."""
    global backend
    backend = name


def settings(folder: Path, **values: object) -> Settings:
    """Settings whose database and key file stay inside `folder` (or are the folder's own on a server)."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {"SUTURE_DATABASE": address(folder), "SUTURE_KEY_FILE": str(folder / "key")}
    return read(folder, places).with_values(**values)


def database(folder: Path, clock: Clock = SYSTEM) -> Database:
    """A new database, or the one that is in `folder` already."""
    return Database.open(settings(folder), clock)


def idle(connection: Connection) -> bool:
    """Whether no transaction is open, not even one that only reads."""
    if isinstance(connection.raw, apsw.Connection):
        return bool(connection.raw.txn_state() == apsw.SQLITE_TXN_NONE)
    return bool(connection.raw.info.transaction_status == 0)


def tables(connection: Connection) -> list[tuple[str]]:
    """The names of all tables."""
    if isinstance(connection.raw, apsw.Connection):
        sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    else:
        sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
    return [(str(name),) for (name,) in connection.all(sql)]
