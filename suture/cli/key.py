"""`suture key`: API keys of the gateway; a key is shown once and kept as a hash."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from suture.cli import place
from suture.clock import SYSTEM, instant
from suture.engine import project as project_of
from suture.services.gateway import keyring
from suture.store import gateway_keys

app = place.group("API keys of the gateway.")
COLUMNS = ("name", "routes", "plan", "limits", "scopes", "state", "expires", "used")
Routes = Annotated[list[str], typer.Option("--route", help="a route it opens; may be given several times")]


@app.command(epilog="Example: `suture key add lab --route orders --plan bronze --limit day=5000 --expires 90d`")
def add(
    name: str,
    route: Routes,
    plan: Annotated[str, typer.Option(help="a plan of routes/*.yaml")] = "",
    limit: Annotated[list[str] | None, typer.Option(help="a limit of its own, such as minute=60")] = None,
    scope: Annotated[str, typer.Option(help="SMART scopes, for routes to our own FHIR API")] = "",
    patient: Annotated[str, typer.Option(help="the patient whose compartment patient/ scopes open")] = "",
    expires: Annotated[str, typer.Option(help="its life, such as 90d; default: until it is revoked")] = "",
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Makes a key and prints it, once."""
    found = project_of.read(project)
    wish = keyring.Wish(name, route, plan, " ".join(limit or ()), scope, patient, expires)
    key, unit = keyring.add(wish, found.routes, found.plans, place.who())
    with place.opened(project) as database:
        made = database.write_now(unit)
    _shown(made, key, as_json)


@app.command("list", epilog="Example: `suture key list --json`")
def list_keys(project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Lists all keys; their values are never shown again."""
    with place.opened(project) as database:
        rows = [_row(key) for key in gateway_keys.listing(database.read)]
    place.show(rows, COLUMNS, as_json, "No keys.")


@app.command(epilog="Example: `suture key rotate lab --overlap 24h`")
def rotate(
    name: str,
    overlap: Annotated[str, typer.Option(help="how long the old value works on; 0s: not at all")] = "24h",
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Gives a key a new value and prints it, once."""
    key, unit = keyring.rotate(name, overlap, place.who())
    with place.opened(project) as database:
        made = database.write_now(unit)
    _shown(made, key, as_json)


@app.command(epilog="Example: `suture key revoke lab`")
def revoke(name: str, project: place.Project = Path()) -> None:
    """Ends a key; running servers heed it within the setting session.recheck."""
    with place.opened(project) as database:
        database.write_now(keyring.revoke(name, place.who()))
    typer.echo(f"Key '{name}' is revoked.")


def _shown(made: gateway_keys.Key, key: str, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps({**_row(made), "id": made.id, "key": key}))
        return
    typer.echo(f"Key '{made.name}' ({made.id}) opens: {', '.join(made.attributes['routes'])}")
    if made.old_until:
        typer.echo(f"Its old value works until {instant(made.old_until)}.")
    typer.echo("Its value, shown only now:")
    typer.echo(key)


def _row(key: gateway_keys.Key) -> dict[str, str]:
    given = key.attributes
    return {
        "name": key.name,
        "routes": " ".join(given.get("routes", ())),
        "plan": str(given.get("plan", "")),
        "limits": keyring.limits(key),
        "scopes": " ".join(given.get("scopes", ())),
        "state": keyring.state(key, SYSTEM.micros()),
        "expires": instant(key.expires) if key.expires else "",
        "used": instant(key.used) if key.used else "",
    }
