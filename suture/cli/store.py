"""Opens the database for a command: it must be there, and what there is to say is said."""

from __future__ import annotations

import typer

from suture.errors import Unstartable
from suture.settings import Settings
from suture.store.database import Database
from suture.store.file import path_of


def existing(settings: Settings) -> Database:
    """The database of the settings; a command that looks at one must not make one."""
    path = path_of(settings.database)
    if not path.exists():
        raise Unstartable("there is no database", where=str(path), mend="Name the project folder with --project.")
    database = Database.open(settings)
    for notice in database.notices:
        typer.echo(notice, err=True)
    return database
