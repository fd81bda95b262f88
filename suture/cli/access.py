"""`suture access`: what a person or program may see beside its scopes: clearance, bounds, organization, who it is in the chart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suture.access import standing
from suture.cli import place
from suture.store.database import Database

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")
Project = Annotated[Path, typer.Option(help="the project folder", exists=True, file_okay=False)]
Whom = Annotated[str, typer.Argument(help="user:LOGIN or client:NAME")]
COLUMNS = ("whom", "clearance", "restrict", "organization", "fhir_user")


@app.command("set", epilog="Example: `suture access set user:ada --clearance R,PSY --fhir-user Practitioner/d1`")
def set_(
    whom: Whom,
    clearance: Annotated[str | None, typer.Option(help="security labels that hide nothing from it; * for all")] = None,
    restrict: Annotated[str | None, typer.Option(help="practitioner, encounter: sees that compartment only")] = None,
    organization: Annotated[str | None, typer.Option(help="ids of the Organizations it works for")] = None,
    fhir_user: Annotated[str | None, typer.Option(help="who it is in the chart: Practitioner/ID")] = None,
    project: Project = Path(),
) -> None:
    """Changes what is given; an empty text takes it away. Running servers heed it within session.recheck."""
    given = {"clearance": clearance, "restrict": restrict, "organization": organization, "fhir_user": fhir_user}
    database = Database.open(place.kept(project))
    standing.change(database, whom, {name: value for name, value in given.items() if value is not None})
    database.close()
    typer.echo(f"{whom} is changed.")


@app.command(epilog="Example: `suture access show user:ada --json`")
def show(
    whom: Whom, project: Project = Path(), as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False
) -> None:
    """Shows how a person or program stands."""
    database = Database.open(place.kept(project))
    found = standing.written(database.read, whom)
    database.close()
    place.show([{"whom": whom, **found}], COLUMNS, as_json, "Nobody.")
