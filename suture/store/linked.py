"""People known by another house's sign-in: its issuer and what that one calls them, never by name or mail address.

https://openid.net/specs/openid-connect-core-1_0.html#ClaimStability
"""

from __future__ import annotations

from typing import NamedTuple

from suture.errors import Conflict
from suture.store.connection import Connection, Tx


class Linked(NamedTuple):
    """One link."""

    issuer: str
    created: int
    used: int


def link(tx: Tx, issuer: str, subject: str, user: str) -> None:
    """From now on this subject signs in as this person; raises Conflict when it does so as another one."""
    there = user_of(tx, issuer, subject)
    if there and there != user:
        raise Conflict("this sign-in belongs to somebody else here", where="sso", mend="Unlink it there first.")
    tx.execute("INSERT OR IGNORE INTO identity VALUES (?, ?, ?, ?, NULL)", (issuer, subject, user, tx.now))


def user_of(connection: Connection, issuer: str, subject: str) -> str:
    """Whom a subject signs in as; empty for nobody."""
    row = connection.one("SELECT uid FROM identity WHERE issuer = ? AND subject = ?", (issuer, subject))
    return str(row[0]) if row else ""


def used(tx: Tx, issuer: str, subject: str) -> None:
    tx.execute("UPDATE identity SET used = ? WHERE issuer = ? AND subject = ?", (tx.now, issuer, subject))


def of_user(connection: Connection, user: str) -> list[Linked]:
    """With which houses a person may sign in."""
    rows = connection.all("SELECT issuer, created, used FROM identity WHERE uid = ? ORDER BY created", (user,))
    return [Linked(row[0], row[1], row[2] or 0) for row in rows]


def unlink(tx: Tx, user: str) -> None:
    """This person signs in here only."""
    tx.execute("DELETE FROM identity WHERE uid = ?", (user,))
