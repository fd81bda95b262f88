"""`suture restore`: puts the database of a backup in place; what was there stays beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from suture import settings as settings_of
from suture.clock import instant
from suture.store import backup
from suture.store.file import path_of

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(
    epilog="Example: `SUTURE_KEY_FILE=/safe/clinic.key suture restore /mnt/backups/suture-20261125T080000Z.backup`"
)
def restore(
    file: Annotated[Path, typer.Argument(help="a file that `suture backup` made")],
    force: Annotated[bool, typer.Option("--force", help="also when there is a database; it stays beside")] = False,
    project: Annotated[Path, typer.Option(help="the project folder")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Restores a backup here or on another machine; the server must be stopped, the key file must be there."""
    settings = settings_of.read(project)
    found = backup.restore(settings, file, force=force)
    target = path_of(settings.database)
    if as_json:
        typer.echo(orjson.dumps({"database": str(target), "made": instant(found.made), "audit_rows": found.audit_rows}))
        return
    typer.echo(f"{target} is the backup of {instant(found.made)}. Look at it with: suture verify")
