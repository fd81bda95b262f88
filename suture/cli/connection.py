"""`suture connection`: the project's connections, whether each may send, and overrides of a missing agreement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suture.access import agreements
from suture.cli import place
from suture.clock import SYSTEM
from suture.component import seconds
from suture.connectors.connection import Connection
from suture.engine import project as project_of
from suture.engine.senders import peer_of
from suture.errors import Invalid

app = place.group("The connections of the project, and whether each may send.")
COLUMNS = ("id", "kind", "address", "partner", "environment", "live", "why", "until")


@app.command("list", epilog="Example: `suture connection list`")
def list_connections(project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Lists connections; `live` says whether anything may be sent there, and `why`."""
    now, today = SYSTEM.micros(), SYSTEM.now().date().isoformat()
    required = bool(place.kept(project)["agreements.required"])
    with place.opened(project) as database:
        found = project_of.read(project).connections.values()
        rows = [_row(one, agreements.judge(database.read, peer_of(one), now, today, required)) for one in found]
    place.show(rows, COLUMNS, as_json, "No connections.")


@app.command(epilog="Example: `suture connection override lab --reason 'paper is signed, on its way' --for 7d`")
def override(
    id: str,
    reason: Annotated[str, typer.Option(help="why; kept in the audit trail")],
    life: Annotated[str, typer.Option("--for", help="for how long")] = "7d",
    project: place.Project = Path(),
) -> None:
    """Lets a connection send without an agreement for a while; who, why and until when is audited."""
    _require(project, id)
    with place.opened(project) as database:
        until = SYSTEM.micros() + int(seconds(life) * 1_000_000)
        database.write_now(agreements.override(id, reason, until, place.who()))
    typer.echo(f"Connection '{id}' may send for {life} without an agreement.")


@app.command("end-override", epilog="Example: `suture connection end-override lab`")
def end_override(id: str, project: place.Project = Path()) -> None:
    """Closes what an override opened."""
    with place.opened(project) as database:
        ended = database.write_now(agreements.end_overrides(id, place.who()))
    typer.echo(f"Overrides of '{id}' ended: {ended}.")


def _require(project: Path, id: str) -> None:
    known = project_of.read(project).connections
    if id not in known:
        raise Invalid(
            f"no connection named '{id}'", where="connections", mend=f"There are: {', '.join(known) or 'none'}."
        )


def _row(one: Connection, standing: agreements.Standing) -> dict[str, str]:
    return {
        "id": one.id, "kind": one.kind, "address": one.address, "partner": one.partner,
        "environment": one.environment, "live": "yes" if standing.live else "no", "why": standing.why,
        "until": standing.last,
    }  # fmt: skip
