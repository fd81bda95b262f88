"""The people who sign in: added, given roles, sent away; every change leaves an audit row in its own unit (45 CFR 164.308(a)(3))."""

from __future__ import annotations

from collections.abc import Sequence

from suture.access import passwords
from suture.access.roles import ADMINISTRATOR, permissions, require_roles
from suture.errors import Conflict, Invalid, NotFound
from suture.store import accounts, audit, grants
from suture.store.accounts import User
from suture.store.connection import Connection, Tx
from suture.store.database import Database

COMMAND_LINE = "system"
INVITATION = "invitation"  # purpose of their links
_MANAGE = "people.manage"


def add_user(database: Database, login: str, name: str, password: str, roles: Sequence[str]) -> User:
    """A new person with a password, for the command line."""
    passwords.require_login(login)
    passwords.require(password, login)
    require_roles(roles)
    hashed = passwords.hashed(password)
    return database.write_now(lambda tx: create(tx, login, name, hashed, roles))


def create(
    tx: Tx, login: str, name: str, hashed: str, roles: Sequence[str], *, patient: str = "", by: str = COMMAND_LINE
) -> User:
    """A new person, in this unit."""
    user = accounts.create_user(tx, login, name or login, hashed, roles=roles, patient=patient)
    whose = f"Patient/{patient}" if patient else ""
    audit.append(tx, audit.AuditRow(by, "create-user", id=user.id, patient=whose, detail=" ".join(roles)))
    return user


def reset_password(database: Database, login: str, password: str) -> User:
    """A new password; all sessions of the person end and waiting times are lifted."""
    passwords.require(password, login)
    hashed = passwords.hashed(password)
    return database.write_now(lambda tx: set_password(tx, by_login(tx, login), hashed))


def set_password(tx: Tx, user: User, hashed: str, by: str = COMMAND_LINE) -> User:
    """The same, in this unit."""
    accounts.login_worked(tx, login_key(user.login))
    audit.append(tx, audit.AuditRow(by, "reset-password", id=user.id))
    return accounts.change_user(tx, user.id, password=hashed)


def login_key(login: str) -> str:
    """Under what failures of a name are counted."""
    return f"login:{login.lower()[:100]}"


def change_roles(tx: Tx, user: User, roles: Sequence[str], by: str = COMMAND_LINE) -> User:
    """Other roles from now on; raises Conflict when nobody would be left to give any. Ends the person's sessions."""
    require_roles(roles)
    if ADMINISTRATOR in user.roles and ADMINISTRATOR not in roles:
        require_another_administrator(tx, user)
    if _MANAGE in permissions(user.roles) - permissions(roles):
        _end_invited_by(tx, user, by)
    told = f"{' '.join(user.roles)} -> {' '.join(roles)}"
    audit.append(tx, audit.AuditRow(by, "change-roles", id=user.id, detail=told))
    return accounts.change_user(tx, user.id, roles=list(dict.fromkeys(roles)))


def set_active(tx: Tx, user: User, active: bool, by: str = COMMAND_LINE) -> User:
    """Lets a person in no longer, or again; raises Conflict for the last administrator."""
    if not active and ADMINISTRATOR in user.roles:
        require_another_administrator(tx, user)
    if not active:
        grants.revoke_user(tx, user.id, "deactivated")
        _end_invited_by(tx, user, by)
    audit.append(tx, audit.AuditRow(by, "activate-user" if active else "deactivate-user", id=user.id))
    return accounts.change_user(tx, user.id, active=active)


def _end_invited_by(tx: Tx, user: User, by: str) -> None:
    """Nobody comes back by a link made while one still might make them: those that nobody accepted yet end."""
    ended = accounts.end_links(tx, INVITATION, "by", f"user:{user.id}")
    if ended:
        audit.append(tx, audit.AuditRow(by, "end-invitation", id=user.id, detail=f"{ended} made by who may no longer"))


def require_another_administrator(connection: Connection, user: User) -> None:
    """Raises Conflict when this is the only active administrator."""
    others = [u for u in accounts.users(connection) if u.active and u.id != user.id and ADMINISTRATOR in u.roles]
    if user.active and not others:
        raise Conflict(
            "this is the last administrator", where="users", mend="Make somebody else an administrator first."
        )


def by_login(connection: Connection, login: str) -> User:
    """The person of this name; raises Invalid."""
    found = accounts.user_by_login(connection, login)
    if found is None:
        raise Invalid("no such user", where="users", mend="suture user list")
    return found


def by_id(connection: Connection, id: str) -> User:
    """The person of this id; raises NotFound."""
    found = accounts.user(connection, id)
    if found is None:
        raise NotFound("no person with this id", where="people")
    return found
