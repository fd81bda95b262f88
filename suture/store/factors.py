"""Second factors of people: sealed secrets and public keys, and the hashes of recovery codes (NIST SP 800-63B, 5.1)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import apsw

from suture import crypto
from suture.clock import new_id
from suture.crypto import token_hash
from suture.store.connection import Connection, Tx
from suture.store.envelope import Envelope
from suture.store.shared import Shared

PURPOSE = "second-factor"


@dataclass(frozen=True, slots=True)
class Factor:
    """One way to prove oneself besides the password. `mark`: the last time step or signature count that was accepted."""

    id: str
    user: str
    kind: str  # totp | passkey
    name: str
    secret: bytes  # of a passkey: its public key
    mark: int
    attributes: dict[str, Any]
    created: int
    used: int


_COLUMNS = "fid, uid, kind, name, sealed, mark, attributes, created, used"


def add(
    tx: Tx, user: str, kind: str, name: str, secret: bytes, mark: int = 0, attributes: Mapping[str, Any] | None = None
) -> str:
    """Keeps a new factor; returns its id."""
    id = new_id(tx.shared.clock)
    sealed = seal(tx.shared, user, secret)
    kept = json.dumps(dict(attributes or {}))
    tx.execute(
        "INSERT INTO factor VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", (id, user, kind, name, sealed, mark, kept, tx.now)
    )
    return id


def of_user(connection: Connection, user: str) -> list[Factor]:
    """All factors of a person, the oldest first."""
    rows = connection.all(f"SELECT {_COLUMNS} FROM factor WHERE uid = ? ORDER BY created", (user,))
    return [_factor(connection.shared, row) for row in rows]


def _factor(shared: Shared, row: tuple[Any, ...]) -> Factor:
    secret = unseal(shared, row[1], row[4])
    return Factor(row[0], row[1], row[2], row[3], secret, row[5], json.loads(row[6]), row[7], row[8] or 0)


def advance(tx: Tx, factor: Factor, mark: int) -> bool:
    """Notes that a factor was used up to `mark`; False when it was used so far before, by whichever process."""
    tx.execute("UPDATE factor SET mark = ?, used = ? WHERE fid = ? AND mark < ?", (mark, tx.now, factor.id, mark))
    return bool(tx.changes)


def used(tx: Tx, factor: Factor) -> None:
    """Notes the use of a factor that counts nothing."""
    tx.execute("UPDATE factor SET used = ? WHERE fid = ?", (tx.now, factor.id))


def remove(tx: Tx, user: str, id: str) -> bool:
    tx.execute("DELETE FROM factor WHERE fid = ? AND uid = ?", (id, user))
    return bool(tx.changes)


def remove_all(tx: Tx, user: str) -> None:
    """No factor and no recovery code is left."""
    tx.execute("DELETE FROM factor WHERE uid = ?", (user,))
    tx.execute("DELETE FROM recovery WHERE uid = ?", (user,))


def seal(shared: Shared, user: str, secret: bytes) -> bytes:
    return crypto.seal(shared.envelope.derive(PURPOSE), secret, _context(user))


def unseal(shared: Shared, user: str, sealed: bytes) -> bytes:
    return crypto.unseal(shared.envelope.derive(PURPOSE), sealed, _context(user))


def reseal(target: apsw.Connection, before: Envelope, after: Envelope) -> None:
    """Seals all secrets under another envelope, in a copy of the database."""
    old, new = before.derive(PURPOSE), after.derive(PURPOSE)
    for id, user, sealed in target.execute("SELECT fid, uid, sealed FROM factor").fetchall():
        context = _context(str(user))
        again = crypto.seal(new, crypto.unseal(old, bytes(sealed), context), context)  # type: ignore[arg-type]
        target.execute("UPDATE factor SET sealed = ? WHERE fid = ?", (again, id))


def _context(user: str) -> bytes:
    return json.dumps(["suture-second-factor/1", user]).encode()


# --- recovery codes


def set_codes(tx: Tx, user: str, codes: Iterable[str]) -> None:
    """Keeps the hashes of new codes; the old ones work no more."""
    tx.execute("DELETE FROM recovery WHERE uid = ?", (user,))
    for code in codes:
        tx.execute("INSERT INTO recovery VALUES (?, ?)", (_hash(user, code), user))


def use_code(tx: Tx, user: str, code: str) -> bool:
    """Uses a code up; False when it is none of this person's, or was used."""
    tx.execute("DELETE FROM recovery WHERE hash = ? AND uid = ?", (_hash(user, code), user))
    return bool(tx.changes)


def codes_left(connection: Connection, user: str) -> int:
    row = connection.one("SELECT count(*) FROM recovery WHERE uid = ?", (user,))
    return int(row[0]) if row else 0


def _hash(user: str, code: str) -> bytes:
    return token_hash(f"{user} {code}")
