"""`suture user`: people who sign in: added, invited, given roles, let in again after a lost phone or password."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from suture import settings as settings_of
from suture.access import people, second_factor, staff
from suture.access.invitations import Invitations
from suture.access.roles import ADMINISTRATOR, ROLES
from suture.access.sessions import Sessions
from suture.cli import place
from suture.clock import SYSTEM
from suture.errors import Invalid
from suture.server.web import url_of
from suture.store import accounts, factors
from suture.store.connection import Tx
from suture.store.database import Database

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")
Project = place.Project
AsJson = place.AsJson
_ROLES = ", ".join(ROLES)
Roles = Annotated[list[str], typer.Option("--role", help=f"{_ROLES}; may be given several times")]
COLUMNS = ("login", "name", "roles", "second factor", "active")


@app.command(epilog="Example: `suture user add ada --role clinician`")
def add(
    login: str,
    role: Roles = (ADMINISTRATOR,),  # type: ignore[assignment]
    name: Annotated[str, typer.Option(help="the name to show; default: the login name")] = "",
    project: Project = Path(),
    as_json: AsJson = False,
) -> None:
    """Adds a person; the password is asked for, or read from standard input."""
    database = Database.open(settings_of.read(project))
    made = people.add_user(database, login, name, _password(), role)
    database.close()
    _said(as_json, f"User '{login}' is added ({', '.join(role)}).", id=made.id, login=login, roles=list(role))


@app.command(epilog="Example: `suture user invite ada --role operator`")
def invite(
    login: str,
    role: Roles,
    name: Annotated[str, typer.Option(help="the name to show; default: the login name")] = "",
    project: Project = Path(),
    as_json: AsJson = False,
) -> None:
    """Makes a link with which a person chooses a password and comes in, once."""
    settings = settings_of.read(project)
    database = Database.open(settings)
    invitations = Invitations(database, SYSTEM, settings, Sessions(database, SYSTEM, settings))
    made = database.write_now(lambda tx: invitations.staff(tx, login, name, role, place.who()))
    database.close()
    base = str(settings["http.base_url"] or url_of(settings)).rstrip("/")
    link = f"{base}/invitation/{made.token}"
    _said(as_json, f"Send this link to '{login}'; it works once, and is shown only now:\n{link}", link=link)


@app.command(epilog="Example: `suture user roles ada --role operator --role builder`")
def roles(login: str, role: Roles, project: Project = Path(), as_json: AsJson = False) -> None:
    """Gives a person other roles; the person's sessions end."""
    _change(project, login, lambda tx, user: staff.change_roles(tx, user, role, place.who()))
    _said(as_json, f"User '{login}' now is: {', '.join(role)}.", login=login, roles=list(role))


@app.command(epilog="Example: `suture user deactivate ada`")
def deactivate(login: str, project: Project = Path(), as_json: AsJson = False) -> None:
    """Lets a person in no longer; all sessions end."""
    _change(project, login, lambda tx, user: staff.set_active(tx, user, False, place.who()))
    _said(as_json, f"User '{login}' can't sign in any more.", login=login, active=False)


@app.command(epilog="Example: `suture user activate ada`")
def activate(login: str, project: Project = Path(), as_json: AsJson = False) -> None:
    """Lets a person in again."""
    _change(project, login, lambda tx, user: staff.set_active(tx, user, True, place.who()))
    _said(as_json, f"User '{login}' can sign in again.", login=login, active=True)


@app.command("reset-password", epilog="Example: `suture user reset-password ada`")
def reset_password(login: str, project: Project = Path(), as_json: AsJson = False) -> None:
    """Sets a new password; all sessions of the person end."""
    database = Database.open(place.kept(project))
    people.reset_password(database, login, _password())
    database.close()
    _said(as_json, f"User '{login}' has a new password; all sessions have ended.", login=login)


@app.command("reset-second-factor", epilog="Example: `suture user reset-second-factor ada`")
def reset_second_factor(login: str, project: Project = Path(), as_json: AsJson = False) -> None:
    """Takes a lost phone or passkey away; the next sign-in sets up a new one."""
    _change(project, login, lambda tx, user: second_factor.reset(tx, user, place.who()))
    _said(as_json, f"User '{login}' has no second factor any more; all sessions have ended.", login=login)


@app.command("list", epilog="Example: `suture user list --json`")
def list_users(project: Project = Path(), as_json: AsJson = False) -> None:
    """Lists the people who can sign in."""
    with place.opened(project) as database:
        rows = [
            {
                "login": u.login,
                "name": u.name,
                "roles": u.roles if as_json else ", ".join(u.roles),
                "second factor": ", ".join(sorted({one.kind for one in factors.of_user(database.read, u.id)})),
                "active": u.active,
            }
            for u in accounts.users(database.read)
        ]
    place.show(rows, COLUMNS, as_json, "No users. suture user add NAME adds one.")


def _change(project: Path, login: str, change: Callable[[Tx, accounts.User], object]) -> None:
    """One change with its audit row, seen from the person as it is inside the unit."""
    with place.opened(project) as database:
        database.write_now(lambda tx: change(tx, staff.by_login(tx, login)))


def _said(as_json: bool, text: str, **values: Any) -> None:
    typer.echo(orjson.dumps(values) if as_json else text)


def _password() -> str:
    """Asked for twice at a terminal; else the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    found = sys.stdin.readline().rstrip("\r\n")
    if not found:
        raise Invalid("no password on standard input", where="password", mend="Give it in the first line.")
    return found
