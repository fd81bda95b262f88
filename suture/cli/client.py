"""`suture client`: programs that call the FHIR API with a bearer key, and apps and programs that come by OAuth."""

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
from suture.access.oauth import registrar, registration
from suture.cli import place
from suture.clock import instant
from suture.component import seconds
from suture.crypto import new_token
from suture.errors import Invalid, NotFound
from suture.standards.fhir import json
from suture.store import accounts, apps, resources
from suture.store.apps import APPROVED, ENDED, PENDING, REFUSED
from suture.store.connection import Tx
from suture.store.database import Database

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")
Project = Annotated[Path, typer.Option(help="the project folder", exists=True, file_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
METHODS = {"public": "none", "symmetric": "client_secret_basic", "asymmetric": "private_key_jwt"}
COLUMNS = ("name", "kind", "scopes", "patient", "state", "expires", "id")


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
    """Lists all clients; keys and secrets are never shown again."""
    with place.opened(project) as database:
        rows = [_row(client) for client in accounts.clients(database.read)]
        rows += [_registered(client) for client in apps.find(database.read)]
    place.show(rows, COLUMNS, as_json, "No clients.")


@app.command(epilog="Example: `suture client revoke lab`")
def revoke(
    name: str,
    reason: Annotated[str, typer.Option(help="why, for the audit trail")] = "",
    project: Project = Path(),
) -> None:
    """Ends a client with all it holds; running servers heed it within the setting session.recheck."""
    with place.opened(project) as database:
        found = _find(database, name)
        if found is None:
            typer.echo(f"Client '{people.revoke_client(database, name).name}' is revoked.")
            return
        status = REFUSED if found.status == PENDING else ENDED
        database.write_now(lambda tx: registrar.decide(tx, found.id, status, place.who(), note=reason))
    typer.echo(f"Client '{found.name}' is {status}.")


@app.command(
    epilog="Example: `suture client register 'Growth chart' --redirect https://app.example/back "
    "--scope 'launch/patient openid fhirUser patient/*.rs' --approve`"
)
def register(
    name: Annotated[str, typer.Argument(help="the app's name, as people read it when they allow it")],
    scope: Annotated[list[str], typer.Option(help="the most it may be granted; may be given several times")],
    kind: Annotated[str, typer.Option(help="public, symmetric (a secret) or asymmetric (its own keys)")] = "public",
    redirect: Annotated[list[str] | None, typer.Option(help="where people are sent back; several times")] = None,
    launch: Annotated[str, typer.Option(help="where it is opened from the EHR")] = "",
    backend: Annotated[bool, typer.Option("--backend", help="comes in its own name, without a person")] = False,
    jwks: Annotated[Path | None, typer.Option(help="file with its public keys", exists=True, dir_okay=False)] = None,
    jwks_url: Annotated[str, typer.Option(help="where it publishes its keys (better than --jwks)")] = "",
    contact: Annotated[list[str] | None, typer.Option(help="whom to ask; several times")] = None,
    approve: Annotated[bool, typer.Option("--approve", help="let it in at once")] = False,
    project: Project = Path(),
    as_json: AsJson = False,
) -> None:
    """Registers an app or program that comes by OAuth; it waits until it is approved."""
    said = _metadata(name, scope, "asymmetric" if backend else kind, redirect or [], launch, backend)
    said |= {"jwks": json.read(jwks.read_bytes())} if jwks else {}
    said |= {"jwks_uri": jwks_url} if jwks_url else {}
    said |= {"contacts": contact} if contact else {}
    read = registration.read(said, origin="command", loopback_allowed=True)
    secret = new_token() if read.kind == apps.SYMMETRIC else ""

    def unit(tx: Tx) -> apps.OAuthClient:
        made = registrar.keep(tx, read, place.who(), secret)
        return registrar.decide(tx, made.id, APPROVED, place.who()) if approve else made

    with place.opened(project) as database:
        made = database.write_now(unit)
    _tell(made, secret, as_json)


@app.command(epilog="Example: `suture client approve 01909a3b-… --scope 'patient/Observation.rs'`")
def approve(
    id: Annotated[str, typer.Argument(help="client id, or name when only one has it")],
    scope: Annotated[list[str] | None, typer.Option(help="only these of the scopes it asked for")] = None,
    project: Project = Path(),
    as_json: AsJson = False,
) -> None:
    """Lets a registered app in."""
    wanted = " ".join(scope).split() if scope else None
    with place.opened(project) as database:
        found = _require(database, id)
        made = database.write_now(lambda tx: registrar.decide(tx, found.id, APPROVED, place.who(), scopes=wanted))
    _tell(made, "", as_json)


@app.command(epilog="Example: `suture client show 'Growth chart' --json`")
def show(id: str, project: Project = Path(), as_json: AsJson = False) -> None:
    """Shows one registered app; never a secret."""
    with place.opened(project) as database:
        found = _require(database, id)
    told = registration.shown(found)
    if as_json:
        typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        return
    rows = [[name, value if isinstance(value, str) else orjson.dumps(value).decode()] for name, value in told.items()]
    place.table([row for row in rows if row[1]])


@app.command("rotate-secret", epilog="Example: `suture client rotate-secret 'Growth chart' --keep 7d`")
def rotate_secret(
    id: str,
    keep: Annotated[str, typer.Option(help="how long the old secret goes on to work, such as 1d")] = "",
    project: Project = Path(),
    as_json: AsJson = False,
) -> None:
    """Gives an app a new secret and prints it, once."""
    with place.opened(project) as database:
        found = _require(database, id)
        secret = database.write_now(lambda tx: registrar.rotate(tx, found.id, place.who(), _seconds(keep, "--keep")))
    _tell(found, secret, as_json)


def _metadata(
    name: str, scope: list[str], kind: str, redirect: list[str], launch: str, backend: bool
) -> dict[str, object]:
    """The options in the words of RFC 7591."""
    if kind not in METHODS:
        raise Invalid("no such kind", where="--kind", mend=f"One of: {', '.join(METHODS)}.")
    code = {"redirect_uris": redirect, "initiate_login_uri": launch, "grant_types": ["authorization_code"]}
    return {
        "client_name": name,
        "scope": " ".join(scope),
        "token_endpoint_auth_method": METHODS[kind],
        **({"grant_types": ["client_credentials"]} if backend else code),
    }


def _tell(client: apps.OAuthClient, secret: str, as_json: bool) -> None:
    if as_json:
        said = registration.shown(client) | ({"client_secret": secret} if secret else {})
        typer.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
        return
    typer.echo(f"Client '{place.printable(client.name)}' is {client.status}. Its client id:")
    typer.echo(client.id)
    if client.status == PENDING:
        typer.echo(f"Let it in: suture client approve {client.id}")
    if secret:
        typer.echo("Its secret, shown only now:")
        typer.echo(secret)


def _find(database: Database, name: str) -> apps.OAuthClient | None:
    """The registered client of an id, or of a name that one live client has; raises Invalid when several have it."""
    found = apps.get(database.read, name)
    if found is not None:
        return found
    named = [one for one in apps.find(database.read) if one.name == name and one.status in (PENDING, APPROVED)]
    if len(named) > 1:
        raise Invalid("several clients have this name", where="clients", mend="Give the id: suture client list")
    return named[0] if named else None


def _require(database: Database, name: str) -> apps.OAuthClient:
    found = _find(database, name)
    if found is None:
        raise Invalid("no registered client of that id or name", where="clients", mend="suture client list")
    return found


def _require_patient(database: Database, id: str) -> None:
    """Raises NotFound for a patient that is not here: the key would open nothing, or the record of who comes next."""
    row = resources.read(database.read, "Patient", id) if id else None
    if id and (row is None or row.deleted):
        raise NotFound(
            "no such Patient here", where="--patient", mend="Store it first, and give its id without a type."
        )


def _end(expires: str) -> int:
    return time.time_ns() // 1000 + int(_seconds(expires, "--expires") * 1_000_000) if expires else 0


def _seconds(text: str, where: str) -> float:
    try:
        return seconds(text) if text else 0.0
    except ValueError as error:
        raise Invalid(str(error), where=where) from None


def _registered(client: apps.OAuthClient) -> dict[str, str]:
    return {
        "id": client.id,
        "name": client.name,
        "kind": client.kind,
        "scopes": " ".join(client.scopes),
        "patient": "",
        "state": client.status,
        "expires": "",
    }


def _row(client: accounts.Client) -> dict[str, str]:
    expires = int(client.attributes.get("expires") or 0)
    return {
        "id": client.id,
        "name": client.name,
        "kind": "bearer-key",
        "scopes": " ".join(client.scopes),
        "patient": str(client.attributes.get("patient", "")),
        "state": "active" if client.active else "revoked",
        "expires": instant(expires) if expires else "",
    }
