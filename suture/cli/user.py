"""`suture user`: people who sign in to the console."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from suture import settings as settings_of
from suture.access import people
from suture.access.roles import ADMINISTRATOR, ROLES
from suture.cli import place
from suture.errors import Invalid
from suture.store import accounts
from suture.store.database import Database

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")
Project = Annotated[Path, typer.Option(help="the project folder", exists=True, file_okay=False)]
_ROLES = ", ".join(ROLES)


@app.command(epilog="Example: `suture user add ada --role clinician`")
def add(
    login: str,
    role: Annotated[list[str], typer.Option(help=f"{_ROLES}; may be given several times")] = (ADMINISTRATOR,),  # type: ignore[assignment]
    name: Annotated[str, typer.Option(help="the name to show; default: the login name")] = "",
    project: Project = Path(),
) -> None:
    """Adds a person; the password is asked for, or read from standard input."""
    database = Database.open(settings_of.read(project))
    people.add_user(database, login, name, _password(), role)
    database.close()
    typer.echo(f"User '{login}' is added ({', '.join(role)}).")


@app.command("reset-password", epilog="Example: `suture user reset-password ada`")
def reset_password(login: str, project: Project = Path()) -> None:
    """Sets a new password; all sessions of the person end."""
    database = Database.open(settings_of.read(project))
    people.reset_password(database, login, _password())
    database.close()
    typer.echo(f"User '{login}' has a new password; all sessions have ended.")


@app.command("list", epilog="Example: `suture user list --json`")
def list_users(
    project: Project = Path(), as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False
) -> None:
    """Lists the people who can sign in."""
    database = Database.open(place.kept(project))
    found = accounts.users(database.read)
    database.close()
    rows = [
        {"login": u.login, "name": u.name, "roles": u.roles if as_json else ", ".join(u.roles), "active": u.active}
        for u in found
    ]
    place.show(rows, ("login", "name", "roles", "active"), as_json, "No users. suture user add NAME adds one.")


def _password() -> str:
    """Asked for twice at a terminal; else the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    found = sys.stdin.readline().rstrip("\r\n")
    if not found:
        raise Invalid("no password on standard input", where="password", mend="Give it in the first line.")
    return found
