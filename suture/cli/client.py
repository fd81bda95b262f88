"""`suture client`: programs that call the FHIR API with a bearer key."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from suture import settings as settings_of
from suture.access import people, programs
from suture.cli import place
from suture.clock import instant
from suture.component import seconds
from suture.errors import Invalid, NotFound
from suture.store import accounts, resources
from suture.store.database import Database

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")
Project = Annotated[Path, typer.Option(help="the project folder", exists=True, file_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
COLUMNS = ("name", "scopes", "patient", "state", "expires", "id")


@app.command(epilog="Example: `suture client add lab --scope 'system/Observation.cruds system/Patient.rs'`")
def add(
    name: str,
    scope: Annotated[list[str], typer.Option(help="SMART scopes, v1 or v2; may be given several times")],
    patient: Annotated[str, typer.Option(help="the patient whose compartment patient/ scopes open")] = "",
    expires: Annotated[str, typer.Option(help="life of the key, such as 30d; default: until it is revoked")] = "",
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file: it shows this over TLS instead of a key", exists=True, dir_okay=False)
    ] = None,
    project: Project = Path(),
    as_json: AsJson = False,
) -> None:
    """Adds a client and prints its bearer key, once; with --certificate there is none to print."""
    shown = programs.fingerprint(certificate.read_bytes()) if certificate else ""
    with closing(Database.open(settings_of.read(project))) as database:
        _require_patient(database, patient)
        made, key = people.add_client(database, name, " ".join(scope), patient, _end(expires), shown)
    if as_json:
        typer.echo(orjson.dumps({"id": made.id, "name": made.name, "scopes": made.scopes, "key": key}))
        return
    console = Console(highlight=False)
    console.print(f"Client '{made.name}' ({made.id}) may: {' '.join(made.scopes)}", soft_wrap=True, markup=False)
    if shown:
        console.print(f"It shows the certificate with SHA-256 {shown}", soft_wrap=True)
        return
    console.print("Its key, shown only now:", soft_wrap=True)
    typer.echo(key)


@app.command("list", epilog="Example: `suture client list --json`")
def list_clients(project: Project = Path(), as_json: AsJson = False) -> None:
    """Lists all clients; keys are never shown again."""
    database = Database.open(place.kept(project))
    rows = [_row(client) for client in accounts.clients(database.read)]
    database.close()
    place.show(rows, COLUMNS, as_json, "No clients.")


@app.command(epilog="Example: `suture client revoke lab`")
def revoke(name: str, project: Project = Path()) -> None:
    """Ends a client's key; running servers heed it within the setting session.recheck."""
    database = Database.open(place.kept(project))
    ended = people.revoke_client(database, name)
    database.close()
    typer.echo(f"Client '{ended.name}' is revoked.")


def _require_patient(database: Database, id: str) -> None:
    """Raises NotFound for a patient that is not here: the key would open nothing, or the record of who comes next."""
    row = resources.read(database.read, "Patient", id) if id else None
    if id and (row is None or row.deleted):
        raise NotFound(
            "no such Patient here", where="--patient", mend="Store it first, and give its id without a type."
        )


def _end(expires: str) -> int:
    if not expires:
        return 0
    try:
        life = seconds(expires)
    except ValueError as error:
        raise Invalid(str(error), where="--expires") from None
    return time.time_ns() // 1000 + int(life * 1_000_000)


def _row(client: accounts.Client) -> dict[str, str]:
    expires = int(client.attributes.get("expires") or 0)
    return {
        "id": client.id,
        "name": client.name,
        "scopes": " ".join(client.scopes),
        "patient": str(client.attributes.get("patient", "")),
        "state": "active" if client.active else "revoked",
        "expires": instant(expires) if expires else "",
    }
