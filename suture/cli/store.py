"""Opens the database for a command: it must be there, and what there is to say is said."""

from __future__ import annotations

import typer

from suture.errors import Unstartable
from suture.settings import Settings
from suture.store.database import Database
from suture.store.file import path_of
from suture.store.postgres import server


def existing(settings: Settings) -> Database:
    """The database of the settings; a command that looks at one must not make one."""
    if server.is_address(settings.database):
        there, where = bool(server.envelope_of(settings.database)), "SUTURE_DATABASE"
    else:
        path = path_of(settings.database)
        there, where = path.exists(), str(path)
    if not there:
        raise Unstartable("there is no database", where=where, mend="Name the project folder with --project.")
    database = Database.open(settings)
    for notice in database.notices:
        typer.echo(notice, err=True)
    return database
