"""Who may see a patient's record in the patient's stead, since when and until when (45 CFR 164.502(g))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suture.clock import new_id
from suture.store.connection import Connection, Tx


@dataclass(frozen=True, slots=True)
class Proxy:
    """One person who stands in for one patient; `expires` and `ended` are 0 when there is no such moment."""

    id: str
    user: str
    patient: str
    relation: str
    granted_by: str  # a caller's id
    created: int
    expires: int
    ended: int


_COLUMNS = "pid, uid, patient, relation, granted_by, created, expires, ended"


def _proxy(row: tuple[Any, ...]) -> Proxy:
    return Proxy(row[0], row[1], row[2], row[3], row[4], row[5], row[6] or 0, row[7] or 0)


def grant(tx: Tx, user: str, patient: str, relation: str, granted_by: str, expires: int = 0) -> Proxy:
    """Lets a person stand in for a patient from now on."""
    made = Proxy(new_id(tx.shared.clock), user, patient, relation, granted_by, tx.now, expires, 0)
    tx.execute(
        "INSERT INTO proxy VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
        (made.id, user, patient, relation, granted_by, tx.now, expires or None),
    )
    return made


def end(tx: Tx, id: str) -> None:
    """From now on this person stands in no longer; the row stays, so that one can see who once could."""
    tx.execute("UPDATE proxy SET ended = ? WHERE pid = ? AND ended IS NULL", (tx.now, id))


def get(connection: Connection, id: str) -> Proxy | None:
    row = connection.one(f"SELECT {_COLUMNS} FROM proxy WHERE pid = ?", (id,))
    return _proxy(row) if row else None


def of_user(connection: Connection, user: str, now: int) -> list[Proxy]:
    """The patients a person stands in for now."""
    sql = f"SELECT {_COLUMNS} FROM proxy WHERE uid = ? AND ended IS NULL AND (expires IS NULL OR expires > ?) ORDER BY created"
    return [_proxy(row) for row in connection.all(sql, (user, now))]


def of_patient(connection: Connection, patient: str) -> list[Proxy]:
    """Everybody who stands or stood in for a patient, the newest first."""
    sql = f"SELECT {_COLUMNS} FROM proxy WHERE patient = ? ORDER BY created DESC"
    return [_proxy(row) for row in connection.all(sql, (patient,))]
