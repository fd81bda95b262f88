"""What commands share: where the project is, JSON instead of tables, who is at the keyboard."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.cells import cell_len

from suture import settings as settings_of
from suture.clock import SYSTEM
from suture.component import moment
from suture.errors import Invalid
from suture.settings import Settings
from suture.store import audit, whose
from suture.store.database import Database

LONGEST_ID = 200  # of what is asked for, in the audit trail
MARKS = ("suture.toml", "flows", "connections", "maps", "routes")
Project = Annotated[Path, typer.Option(help="the project folder", exists=True, file_okay=False)]
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
    database = Database.open(kept(project))
    try:
        yield database
    finally:
        database.close()


def kept(project: Path) -> Settings:
    """The settings of a project whose database is to be looked into: in a folder that is no project and has no
    database, somebody stands in the wrong place, and an empty new database there would tell nothing."""
    settings = settings_of.read(project)
    kind, _, file = settings.database.partition(":")
    if kind == "sqlite" and not settings["database"] and not Path(file).exists() and not is_project(project):
        raise Invalid(
            "no project and no database here",
            where=str(project.resolve()),
            mend="Go to the project folder, or name it with --project.",
        )
    return settings


def is_project(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in MARKS)


def who() -> str:
    """The person at this machine's keyboard, for the audit trail."""
    return f"user:{getpass.getuser()}@console"


def seen(
    database: Database, what: str, type: str, id: str = "", *, query: str = "", found: bool = True, mid: int = 0
) -> None:
    """Leaves the audit row of a list (`query` names its filters), a read or a reveal, before anything is shown.

    `mid`: the message it is about.
    """
    outcome, patients = 200 if found else 404, whose.of_message(database.read, mid) if mid else ()
    row = audit.AuditRow(
        who(), what, type, id[:LONGEST_ID], query=query, outcome=outcome, detail="command line", patients=patients
    )
    database.write_now(lambda tx: audit.append(tx, row))


def filters(**given: object) -> str:
    """For the audit trail: which filters were set, without their values."""
    return "&".join(name for name, value in given.items() if value)


def typed(what: str, *, hidden: bool = False) -> str:
    """What may not stand on a command line, where other programs and the shell's history see it: from a pipe, or asked for."""
    return str(typer.prompt(what, hide_input=hidden)) if sys.stdin.isatty() else sys.stdin.read()


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool, nothing: str) -> None:
    """A table, or JSON."""
    if as_json:
        typer.echo(orjson.dumps(list(rows), option=orjson.OPT_INDENT_2))
        return
    if not rows:
        typer.echo(nothing)
        return
    table([columns, *([str(row.get(column, "")) for column in columns] for row in rows)])


def table(lines: Sequence[Sequence[str]]) -> None:
    """Prints columns that are as wide as what stands in them: nothing is cut, so that an id can be copied, and
    nothing in it is taken for markup or reaches the terminal as a control character."""
    shown = [[printable(cell) for cell in line] for line in lines]
    widths = [max(cell_len(cell) for cell in column) for column in zip(*shown, strict=True)]
    for line in shown:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def printable(text: str) -> str:
    """On one line, without control characters (they come from senders)."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.splitlines()))


def micros(text: str) -> int:
    """A time on the command line."""
    return moment(text, SYSTEM.micros())
