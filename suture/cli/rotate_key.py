"""`suture rotate-key`: a new key file, or a new key of the pages themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from suture import settings as settings_of
from suture.cli.store import existing
from suture.store import audit, keys, rotate
from suture.store.audit import AuditRow
from suture.store.file import path_of

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(epilog="Example: `suture rotate-key`, or with the server stopped `suture rotate-key --data`")
def rotate_key(
    data: Annotated[bool, typer.Option("--data", help="also a new key for the pages: copies all, then swaps")] = False,
    next_command: Annotated[str, typer.Option(help="wrap with the key this command prints; then set key_command")] = "",
    project: Annotated[Path, typer.Option(help="the project folder")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Makes a new key file and wraps the database's key with it; the server may go on. Old backups need the old key file."""
    settings = settings_of.read(project)
    if data:
        path_of(settings.database)  # what is sealed on a server can't be sealed anew while it stays
    database = existing(settings)
    database.write_now(lambda tx: audit.append(tx, AuditRow("system", "rotate-key")))
    database.close()
    if next_command:
        rotate.rewrap_by(settings, next_command)
        typer.echo("The database opens with the new key from its next start on: set key_command to that command now.")
        return
    kept = [] if data and keys.command_of(settings) else [str(rotate.rewrap(settings))]
    if data:
        kept.append(str(rotate.renew(settings)))
    if as_json:
        typer.echo(orjson.dumps({"key_file": str(settings.key_file), "kept": kept}))
        return
    if not keys.command_of(settings):
        typer.echo(f"{settings.key_file} is new: copy it to where you keep your keys.")
        typer.echo(f"Backups made until now open only with {kept[0]}.")
    if data:
        typer.echo(f"The database as it was stands beside as {kept[-1]}: delete it when you are sure.")
