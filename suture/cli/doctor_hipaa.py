"""`suture doctor --hipaa`: each safeguard of the Security Rule with its control, the evidence of this installation, and its test."""

from __future__ import annotations

import orjson
import typer

from suture.cli import place
from suture.engine import project as project_of
from suture.engine import safeguards
from suture.engine.safeguards import Safeguard
from suture.settings import Settings
from suture.store.database import Database
from suture.store.health import Finding

COLOURS = {"good": "green", "warning": "yellow", "bad": "red"}


def show(settings: Settings, as_json: bool) -> bool:
    """Prints the table; returns whether nothing is bad. The look itself leaves an audit row."""
    database = Database.open(settings)
    try:
        place.seen(database, "report", "Safeguard")
        found = safeguards.look(settings, database, project_of.read(settings.folder))
    finally:
        database.close()
    if as_json:
        typer.echo(orjson.dumps([_row(*one) for one in found], option=orjson.OPT_INDENT_2))
    else:
        for one in found:
            _print(*one)
    return all(finding.level != "bad" for _, finding in found)


def _row(row: Safeguard, finding: Finding) -> dict[str, str]:
    return {
        "rule": f"45 CFR {row.rule}", "asks": row.asks, "control": row.kept, "level": finding.level,
        "evidence": finding.text, "mend": finding.mend, "test": row.test,
    }  # fmt: skip


def _print(row: Safeguard, finding: Finding) -> None:
    typer.echo(f"{typer.style(f'{finding.level:<7}', fg=COLOURS[finding.level])}  45 CFR {row.rule}  {row.asks}")
    for name, text in (("control", row.kept), ("evidence", finding.text), ("mend", finding.mend), ("test", row.test)):
        if text:
            typer.echo(f"{'':9}{name:<9} {place.printable(text)}")
