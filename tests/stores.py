"""A database for tests of every floor: a file in a temporary folder, or one on a real PostgreSQL server (tests/postgres.py)."""

from __future__ import annotations

from pathlib import Path

from suture.clock import SYSTEM, Clock
from suture.settings import Settings, read
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
