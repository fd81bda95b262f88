"""Trading partners, the agreements with them, and overrides (45 CFR 164.308(b), 164.504(e))."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from suture.clock import new_id
from suture.errors import Conflict, NotFound
from suture.store.connection import Connection, Tx


@dataclass(frozen=True, slots=True)
class Partner:
    """Somebody to whom records go; `ended` in microseconds, 0 while it is one."""

    id: str
    name: str
    contact: str
    created: int
    ended: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement, from `first` to `last` (days, both included; `last` empty: until notice)."""

    id: str
    partner: str
    kind: str
    first: str
    last: str
    note: str
    created: int
    created_by: str
    ended: int
    document_name: str
    document_hash: str

    def holds(self, day: str) -> bool:
        """Whether it is in force on this day (YYYY-MM-DD)."""
        return not self.ended and self.first <= day and (not self.last or day <= self.last)


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody opened a connection without an agreement, for a while."""

    connection: str
    reason: str
    who: str
    made: int
    until: int


_PARTNER = "SELECT id, name, contact, created, coalesce(ended, 0) FROM partner"
_AGREEMENT = (
    "SELECT id, partner, kind, first, coalesce(last, ''), note, created, created_by, coalesce(ended, 0),"
    " coalesce(document_name, ''), coalesce(lower(hex(document_hash)), '') FROM agreement"
)


def put_partner(tx: Tx, id: str, name: str, contact: str) -> None:
    """A new partner; raises Conflict when there is one of this id."""
    if tx.one("SELECT 1 FROM partner WHERE id = ?", (id,)):
        raise Conflict("there is a partner of this id", where="partner")
    tx.execute("INSERT INTO partner VALUES (?, ?, ?, ?, NULL)", (id, name, contact, tx.now))


def end_partner(tx: Tx, id: str) -> None:
    """Ends a partner and all agreements with it."""
    require_partner(tx, id)
    tx.execute("UPDATE partner SET ended = ? WHERE id = ?", (tx.now, id))
    tx.execute("UPDATE agreement SET ended = ? WHERE partner = ? AND ended IS NULL", (tx.now, id))


def require_partner(connection: Connection, id: str) -> Partner:
    """The partner; raises NotFound for an unknown or ended one."""
    row = connection.one(f"{_PARTNER} WHERE id = ? AND ended IS NULL", (id,))
    if row is None:
        raise NotFound("no such partner", where="partner", mend="suture partner list; suture partner add ID --name …")
    return Partner(*row)


def partners(connection: Connection) -> list[Partner]:
    return [Partner(*row) for row in connection.all(f"{_PARTNER} ORDER BY ended IS NOT NULL, id")]


def add_agreement(tx: Tx, partner: str, kind: str, first: str, last: str, note: str, who: str) -> str:
    """A new agreement; returns its id."""
    require_partner(tx, partner)
    id = new_id(tx.shared.clock)
    columns = "id, partner, kind, first, last, note, created, created_by"
    values = (id, partner, kind, first, last or None, note, tx.now, who)
    tx.execute(f"INSERT INTO agreement ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    return id


def end_agreement(tx: Tx, id: str) -> None:
    """From now on it no longer holds; raises NotFound when there is none in force."""
    tx.execute("UPDATE agreement SET ended = ? WHERE id = ? AND ended IS NULL", (tx.now, id))
    _require_changed(tx)


def keep_document(tx: Tx, id: str, name: str, content: bytes) -> None:
    """The signed paper, with its SHA-256."""
    tx.execute(
        "UPDATE agreement SET document_name = ?, document_hash = ?, document = ? WHERE id = ?",
        (name, hashlib.sha256(content).digest(), content, id),
    )
    _require_changed(tx)


def document(connection: Connection, id: str) -> tuple[str, bytes]:
    """Name and bytes of the signed paper; raises NotFound."""
    row = connection.one("SELECT document_name, document FROM agreement WHERE id = ? AND document IS NOT NULL", (id,))
    if row is None:
        raise NotFound("no document is kept with this agreement", where="agreement")
    return str(row[0]), bytes(row[1])


def agreements(connection: Connection, partner: str = "") -> list[Agreement]:
    """All, or those with one partner, newest first."""
    where, values = ("WHERE partner = ?", (partner,)) if partner else ("", ())
    rows: list[tuple[Any, ...]] = connection.all(f"{_AGREEMENT} {where} ORDER BY aid DESC", values)
    return [Agreement(*row) for row in rows]


def in_force(connection: Connection, partner: str, day: str) -> Agreement | None:
    """The agreement that holds longest from this day on; None when there is none."""
    found = [one for one in agreements(connection, partner) if one.holds(day)]
    return max(found, key=lambda one: one.last or "9999", default=None)


def add_override(tx: Tx, connection: str, reason: str, who: str, until: int) -> None:
    tx.execute(
        "INSERT INTO override (connection, reason, who, made, until) VALUES (?, ?, ?, ?, ?)",
        (connection, reason, who, tx.now, until),
    )


def end_overrides(tx: Tx, connection: str) -> int:
    """Ends what is open; returns how many were."""
    tx.execute("UPDATE override SET until = ? WHERE connection = ? AND until > ?", (tx.now, connection, tx.now))
    return tx.changes


def overrides(connection: Connection, name: str = "", now: int = 0) -> list[Override]:
    """Newest first; with `now` only those still open, with `name` those of one connection."""
    rows = connection.all(
        "SELECT connection, reason, who, made, until FROM override WHERE until > ? AND ? IN ('', connection)"
        " ORDER BY oid DESC",
        (now, name),
    )
    return [Override(*row) for row in rows]


def _require_changed(tx: Tx) -> None:
    if not tx.changes:
        raise NotFound("no such agreement in force", where="agreement", mend="suture partner show ID")
