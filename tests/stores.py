"""A database in a temporary folder for tests of every floor."""

from __future__ import annotations

from pathlib import Path

from suture.clock import SYSTEM, Clock
from suture.settings import Settings, read
from suture.store.database import Database


def settings(folder: Path, **values: object) -> Settings:
    """Settings whose database and key file stay inside `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {"SUTURE_DATABASE": f"sqlite:{folder / 'data' / 'suture.db'}", "SUTURE_KEY_FILE": str(folder / "key")}
    return read(folder, places).with_values(**values)


def database(folder: Path, clock: Clock = SYSTEM) -> Database:
    """A new database, or the one that is in `folder` already."""
    return Database.open(settings(folder), clock)
