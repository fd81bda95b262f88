"""`suture key`: API keys of the gateway; a key is shown once and kept as a hash."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from suture.access import smart
from suture.cli import place
from suture.clock import SYSTEM, instant
from suture.component import seconds
from suture.engine import project as project_of
from suture.errors import Invalid
from suture.services.gateway import bounds, callers
from suture.store import audit, gateway_keys
from suture.store.connection import Tx

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
    _known(route, found.routes, "route")
    _known([plan] if plan else [], found.plans, "plan")
    scopes = smart.parse(scope)
    if any(one.context == "patient" for one in scopes) and not patient:
        raise Invalid("a patient/ scope needs a patient", where="--scope", mend="Add --patient ID.")
    attributes = {
        "routes": sorted(set(route)),
        "plan": plan,
        "limits": bounds.words(" ".join(limit or ()), "--limit").numbers,
        "scopes": [str(one) for one in scopes],
        "patient": patient,
    }
    key, life = callers.new_key(), _life(expires, "--expires")

    def unit(tx: Tx) -> gateway_keys.Key:
        made = gateway_keys.add(tx, name, key, attributes, tx.now + life if life else 0)
        audit.append(tx, audit.AuditRow(place.who(), "key-add", "Key", made.id, detail=" ".join(sorted(set(route)))))
        return made

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
    key, still = callers.new_key(), _life(overlap, "--overlap")

    def unit(tx: Tx) -> gateway_keys.Key:
        made = gateway_keys.rotate(tx, name, key, still)
        audit.append(tx, audit.AuditRow(place.who(), "key-rotate", "Key", made.id))
        return made

    with place.opened(project) as database:
        made = database.write_now(unit)
    _shown(made, key, as_json)


@app.command(epilog="Example: `suture key revoke lab`")
def revoke(name: str, project: place.Project = Path()) -> None:
    """Ends a key; running servers heed it within the setting session.recheck."""

    def unit(tx: Tx) -> None:
        ended = gateway_keys.revoke(tx, name)
        audit.append(tx, audit.AuditRow(place.who(), "key-revoke", "Key", ended.id))

    with place.opened(project) as database:
        database.write_now(unit)
    typer.echo(f"Key '{name}' is revoked.")


def _known(names: list[str], there: object, what: str) -> None:
    listed = list(there) if isinstance(there, dict) else []
    for name in names:
        if name not in listed:
            mend = f"There are: {', '.join(listed)}." if listed else f"Write routes/{name}.yaml first."
            raise Invalid(f"no {what} named '{name}'", where=f"--{what}", mend=mend)


def _life(text: str, where: str) -> int:
    """Microseconds of a duration; 0 for none."""
    try:
        return int(seconds(text) * 1_000_000) if text else 0
    except ValueError as error:
        raise Invalid(str(error), where=where) from None


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
    over = key.expires and key.expires <= SYSTEM.micros()
    return {
        "name": key.name,
        "routes": " ".join(given.get("routes", ())),
        "plan": str(given.get("plan", "")),
        "limits": " ".join(f"{name}={count}" for name, count in given.get("limits", ())),
        "scopes": " ".join(given.get("scopes", ())),
        "state": "revoked" if not key.active else "expired" if over else "active",
        "expires": instant(key.expires) if key.expires else "",
        "used": instant(key.used) if key.used else "",
    }
