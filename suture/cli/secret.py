"""`suture secret`: the encrypted vault; a value comes from a prompt or a pipe, never from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suture.cli import place
from suture.clock import instant
from suture.connectors.connection import origin
from suture.engine import project as project_of
from suture.engine.engine import hook_origin
from suture.errors import Invalid
from suture.store import audit, vault
from suture.store.connection import Tx

app = place.group("Secrets that connections and webhooks name.")


@app.command("set", epilog="Example: `suture secret set pager-token --connection pager < token.txt`")
def set_secret(
    name: str,
    connection: Annotated[str, typer.Option(help="the connection whose origin it may be sent to")] = "",
    hook: Annotated[str, typer.Option(help="the flow with http.listen whose callers prove themselves with it")] = "",
    url: Annotated[str, typer.Option(help="the address it may be sent to, when no connection file is there yet")] = "",
    project: place.Project = Path(),
) -> None:
    """Keeps a secret, bound to the one place it is for; asks for the value, or reads it from a pipe."""
    bound = _bound(project, connection, hook, url)
    value = place.typed(f"Value of {name}", hidden=True)
    value = value.rstrip("\n") if "-----BEGIN" not in value else value
    if not value:
        raise Invalid("an empty secret", where=name, mend="Type or pipe its value.")

    def unit(tx: Tx) -> None:
        vault.put(tx, name, value, bound)
        audit.append(tx, audit.AuditRow(place.who(), "secret-set", "Secret", name, detail=bound))

    with place.opened(project) as database:
        database.write_now(unit)
    typer.echo(f"Secret '{name}' is kept for {bound}.")


def _bound(project: Path, connection: str, hook: str, url: str) -> str:
    if sum(map(bool, (connection, hook, url))) != 1:
        raise Invalid("say what the secret is for", mend="Write --connection ID, --hook FLOW or --url https://…")
    if hook:
        return hook_origin(hook)
    if url:
        return origin(url)
    found = project_of.read(project).connections.get(connection)
    if found is None:
        raise Invalid(
            f"no connection named '{connection}'", where="connections", mend="Write its file first, or use --url."
        )
    return found.secret_origin


@app.command("list", epilog="Example: `suture secret list`")
def list_secrets(project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Lists the secrets' names and what they are bound to; never a value."""
    with place.opened(project) as database:
        rows = [{"name": s.name, "for": s.origin, "changed": instant(s.changed)} for s in vault.listing(database.read)]
    place.show(rows, ("name", "for", "changed"), as_json, "No secrets.")


@app.command(epilog="Example: `suture secret remove pager-token`")
def remove(name: str, project: place.Project = Path()) -> None:
    """Removes a secret."""

    def unit(tx: Tx) -> None:
        vault.delete(tx, name)
        audit.append(tx, audit.AuditRow(place.who(), "secret-remove", "Secret", name))

    with place.opened(project) as database:
        database.write_now(unit)
    typer.echo(f"Secret '{name}' is removed.")
