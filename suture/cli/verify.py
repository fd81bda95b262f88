"""`suture verify`: is the database whole, and is the audit trail what was written?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from suture import settings as settings_of
from suture.cli.store import existing
from suture.store import audit
from suture.store.audit import AuditRow
from suture.store.verify import verify as look

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(epilog="Example: `suture verify --json`")
def verify(
    accept: Annotated[
        bool, typer.Option("--accept", help="after you have looked into it: the audit trail counts as it is now")
    ] = False,
    copy: Annotated[Path | None, typer.Option(help="a copy of the trail kept elsewhere, to compare it with")] = None,
    project: Annotated[Path, typer.Option(help="the project folder")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Checks every page's seal, every body, every index row, and the audit trail against its anchor. Exit code 1: not good."""
    database = existing(settings_of.read(project))
    console = Console(stderr=True)
    try:
        with console.status("pages") as status:
            findings = list(look(database, lambda what, done: status.update(f"{what} {done or ''}"), copy))
        if accept:
            database.write_now(lambda tx: audit.append(tx, AuditRow("system", "accept-audit-trail")))
            database.upkeep.keeper.accept(database.read)
    finally:
        database.close()
    if as_json:
        typer.echo(orjson.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            typer.echo(f"{'good' if finding.good else 'BAD '}  {finding.what:<7} {finding.text}")
    if not all(finding.good for finding in findings):
        raise SystemExit(1)
