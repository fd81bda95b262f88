"""What commands share: where the project is, JSON instead of tables, who is at the keyboard."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from suture import settings as settings_of
from suture.clock import SYSTEM
from suture.component import moment
from suture.store import audit
from suture.store.database import Database

Project = Annotated[Path, typer.Option(help="the project folder")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Reveal = Annotated[bool, typer.Option("--reveal", help="show values unmasked; leaves a row in the audit trail")]


def group(help: str) -> typer.Typer:
    """A command with sub-commands."""
    return typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown", help=help)


def single() -> typer.Typer:
    """A command without sub-commands."""
    return typer.Typer(add_completion=False, rich_markup_mode="markdown")


@contextmanager
def opened(project: Path) -> Iterator[Database]:
    """The project's database, beside a running server or without one."""
    database = Database.open(settings_of.read(project))
    try:
        yield database
    finally:
        database.close()


def who() -> str:
    """The person at this machine's keyboard, for the audit trail."""
    return f"user:{getpass.getuser()}@console"


def revealed(database: Database, type: str, id: str) -> None:
    """Leaves the audit row before anything is shown."""
    row = audit.AuditRow(who(), "reveal", type, id, detail="command line")
    database.write_now(lambda tx: audit.append(tx, row))


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool, nothing: str) -> None:
    """A table, or JSON."""
    if as_json:
        typer.echo(orjson.dumps(list(rows), option=orjson.OPT_INDENT_2))
        return
    if not rows:
        typer.echo(nothing)
        return
    table = Table(*columns, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    Console(highlight=False).print(table)


def micros(text: str) -> int:
    """A time on the command line."""
    return moment(text, SYSTEM.micros())
