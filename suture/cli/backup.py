"""`suture backup`: one encrypted file with everything, while the server goes on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from suture import settings as settings_of
from suture.cli.store import existing
from suture.clock import instant
from suture.store import audit, backup
from suture.store.audit import AuditRow
from suture.store.file import path_of

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(epilog="Example: `suture backup /mnt/backups/` (a folder: named by time, the newest `backup.keep` stay)")
def make(
    file: Annotated[Path, typer.Argument(help="the file to write, or a folder that is there")],
    project: Annotated[Path, typer.Option(help="the project folder")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Writes a consistent, encrypted copy of the database; it opens with the key file, on any machine."""
    settings = settings_of.read(project)
    path_of(settings.database)  # that of a server has its own ways
    database = existing(settings)
    try:
        if file.is_dir():
            file, made = backup.make_in(database, file, settings["backup.keep"])
        else:
            made = backup.make(database, file)
        database.write_now(lambda tx: audit.append(tx, AuditRow("system", "backup")))
    finally:
        database.close()
    if as_json:
        typer.echo(orjson.dumps({"file": str(file), **{k: v for k, v in asdict(made).items() if k != "envelope"}}))
        return
    typer.echo(f"{file}: {made.bytes >> 20} MiB, {made.audit_rows} audit rows, {instant(made.made)}.")
    typer.echo(f"It opens only with the key file {settings.key_file}: keep a copy of that apart from the backups.")
