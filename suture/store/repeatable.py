"""Writes that may be sent again, and what came of the first (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)."""

from __future__ import annotations

from typing import NamedTuple

from suture.store.connection import Connection, Tx

OLDEST = 500  # rows past their life that a write takes away


class Kept(NamedTuple):
    """What came of a write: a status, the version it made (Type/id/version, or nothing), an answer's bytes, whose it was."""

    asked: bytes
    status: int
    place: str = ""
    body: bytes = b""
    patients: tuple[str, ...] = ()


def find(connection: Connection, who: bytes, oldest: int) -> Kept | None:
    """What came of the write with this digest of caller and key, unless it is older."""
    row = connection.one(
        "SELECT asked, status, place, patients, zd, body FROM repeatable WHERE who = ? AND at > ?", (who, oldest)
    )
    if row is None:
        return None
    asked, status, place, patients, zd, body = row
    plain = b"" if body is None else connection.bodies.unpack(zd, body)
    return Kept(bytes(asked), status, place, plain, tuple(patients.split()))


def keep(tx: Tx, who: bytes, kept: Kept, oldest: int) -> None:
    """Keeps it, in the write's own transaction; takes away what is past its life."""
    tx.execute(
        "DELETE FROM repeatable WHERE who IN (SELECT who FROM repeatable WHERE at <= ? ORDER BY at LIMIT ?)",
        (oldest, OLDEST),
    )
    zd, body = tx.bodies.pack("content", kept.body) if kept.body else (None, None)
    tx.execute(
        "INSERT INTO repeatable (who, asked, at, status, place, patients, zd, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (who, kept.asked, tx.now, kept.status, kept.place, " ".join(kept.patients), zd, body),
    )
