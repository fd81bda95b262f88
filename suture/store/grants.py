"""Grants: what a person allowed an app or a program holds, and the codes and tokens that hang on one, all as hashes.

https://www.rfc-editor.org/rfc/rfc6749 · https://hl7.org/fhir/smart-app-launch/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from suture.clock import new_id
from suture.crypto import token_hash
from suture.store.connection import Connection, Tx

MICROS = 1_000_000
ACCESS, REFRESH = "access", "refresh"
KEPT = 86_400 * MICROS  # used codes and tokens are recognised for so long after their end


@dataclass(frozen=True, slots=True)
class Wanted:
    """A grant that is to be made. `refresh`: '' none, `online` as long as the session lasts, `offline`."""

    client: str
    scopes: tuple[str, ...]  # as granted, in the spelling the app asked for
    aud: str  # the FHIR base it is for
    user: str = ""  # '' for a program in its own name
    patient: str = ""
    fhir_user: str = ""
    refresh: str = ""
    session: bytes = b""  # hash of the session it was allowed in
    context: Mapping[str, Any] = field(default_factory=dict)  # launch context: encounter, fhirContext, intent, …


@dataclass(frozen=True, slots=True)
class Grant(Wanted):
    """A grant that was made; `ended` and `why` say when and how it was revoked (0: it was not)."""

    id: str = ""
    created: int = 0
    expires: int = 0  # when the last of its codes and tokens ends
    used: int = 0  # when it last gave a token; 0: its code was not exchanged yet
    ended: int = 0
    why: str = ""

    def live(self, now: int) -> bool:
        """Whether it can still give or carry tokens."""
        return not self.ended and self.expires > now


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code's side of the bargain: where it goes and what the app must prove (RFC 7636)."""

    grant: str
    redirect: str
    challenge: str
    details: Mapping[str, Any] = field(default_factory=dict)  # nonce, auth_time
    expires: int = 0
    used: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """An access or refresh token; `scopes` may be fewer than the grant's."""

    grant: str
    kind: str
    scopes: tuple[str, ...]
    created: int
    expires: int
    used: int


_GRANT = (
    "client, scopes, aud, uid, patient, fhir_user, refresh, session, context, gid, created, expires, used, ended, why"
)


def _grant(row: tuple[Any, ...]) -> Grant:
    client, scopes, aud, uid, patient, fhir_user, refresh, session, context, *rest = row
    gid, created, expires, used, ended, why = rest
    return Grant(
        client, tuple(json.loads(scopes)), aud, uid, patient, fhir_user, refresh, session or b"", json.loads(context),
        gid, created, expires, used or 0, ended or 0, why or "",
    )  # fmt: skip


def create(tx: Tx, wanted: Wanted, life: float) -> Grant:
    """A new grant that ends in `life` seconds unless tokens carry it further."""
    id, expires = new_id(tx.shared.clock), tx.now + int(life * MICROS)
    tx.execute(
        "INSERT INTO oauth_grant VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
        (
            id, wanted.client, wanted.user, wanted.patient, wanted.fhir_user, wanted.aud, json.dumps(wanted.scopes),
            wanted.refresh, wanted.session or None, json.dumps(dict(wanted.context)), tx.now, expires,
        ),
    )  # fmt: skip
    return _grant_of(tx, id)


def _grant_of(connection: Connection, id: str) -> Grant:
    found = get(connection, id)
    assert found is not None
    return found


def get(connection: Connection, id: str) -> Grant | None:
    row = connection.one(f"SELECT {_GRANT} FROM oauth_grant WHERE gid = ?", (id,))
    return _grant(row) if row else None


def of_user(connection: Connection, uid: str, now: int) -> list[Grant]:
    """The apps a person allowed, as far as they still may; the newest first."""
    return _live(connection, "uid", uid, now)


def of_patient(connection: Connection, patient: str, now: int) -> list[Grant]:
    """The apps that may, for whoever allowed it, see one patient's record."""
    return _live(connection, "patient", patient, now)


def of_client(connection: Connection, client: str, now: int) -> list[Grant]:
    """Everything an app or a program holds."""
    return _live(connection, "client", client, now)


def _live(connection: Connection, column: str, value: str, now: int) -> list[Grant]:
    rows = connection.all(
        f"SELECT {_GRANT} FROM oauth_grant WHERE {column} = ? AND {column} <> '' AND ended IS NULL AND expires > ? "
        "AND used IS NOT NULL ORDER BY created DESC, gid",
        (value, now),
    )
    return [_grant(row) for row in rows]


def revoke(tx: Tx, id: str, why: str) -> bool:
    """Ends a grant with all its codes and tokens; False when it had ended already or is unknown."""
    tx.execute("UPDATE oauth_grant SET ended = ?, why = ? WHERE gid = ? AND ended IS NULL", (tx.now, why, id))
    return tx.changes > 0


def revoke_client(tx: Tx, client: str, why: str = "client") -> int:
    """Ends everything an app or a program holds; returns how many grants ended."""
    return _revoke(tx, "client", client, why)


def revoke_user(tx: Tx, uid: str, why: str = "user") -> int:
    """Ends everything a person allowed."""
    return _revoke(tx, "uid", uid, why)


def _revoke(tx: Tx, column: str, value: str, why: str) -> int:
    tx.execute(
        f"UPDATE oauth_grant SET ended = ?, why = ? WHERE {column} = ? AND {column} <> '' AND ended IS NULL",
        (tx.now, why, value),
    )
    return tx.changes


def add_code(tx: Tx, token: str, code: Code, life: float) -> None:
    """Keeps a code for `life` seconds."""
    tx.execute(
        "INSERT INTO oauth_code VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (
            token_hash(token), code.grant, code.redirect, code.challenge, json.dumps(dict(code.details)),
            tx.now + int(life * MICROS),
        ),
    )  # fmt: skip


def code(connection: Connection, token: str) -> Code | None:
    """What is known of a code, also when it was used or has expired."""
    row = connection.one(
        "SELECT gid, redirect, challenge, details, expires, used FROM oauth_code WHERE hash = ?", (token_hash(token),)
    )
    return Code(row[0], row[1], row[2], json.loads(row[3]), row[4], row[5] or 0) if row else None


def use_code(tx: Tx, token: str) -> None:
    """From now on the code is a replay."""
    tx.execute("UPDATE oauth_code SET used = ? WHERE hash = ?", (tx.now, token_hash(token)))


def issue(tx: Tx, grant: str, kind: str, token: str, life: float, scopes: Sequence[str]) -> Token:
    """Keeps an access or refresh token for `life` seconds; the grant lasts at least as long."""
    made = Token(grant, kind, tuple(scopes), tx.now, tx.now + int(life * MICROS), 0)
    tx.execute(
        "INSERT INTO oauth_token VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (token_hash(token), grant, kind, json.dumps(made.scopes), made.created, made.expires),
    )
    tx.execute(
        "UPDATE oauth_grant SET used = ?, expires = max(expires, ?) WHERE gid = ?", (tx.now, made.expires, grant)
    )
    return made


def token(connection: Connection, text: str) -> tuple[Grant, Token] | None:
    """A token of either kind with its grant, also when it was used, has expired or was revoked."""
    row = connection.one(
        f"SELECT t.kind, t.scopes, t.created, t.expires, t.used, {', '.join('g.' + c for c in _GRANT.split(', '))} "
        "FROM oauth_token t JOIN oauth_grant g ON g.gid = t.gid WHERE t.hash = ?",
        (token_hash(text),),
    )
    if row is None:
        return None
    grant = _grant(row[5:])
    return grant, Token(grant.id, row[0], tuple(json.loads(row[1])), row[2], row[3], row[4] or 0)


def live_token(connection: Connection, text: str, kind: str, now: int) -> tuple[Grant, Token] | None:
    """A token of one kind with its grant, while both can be used."""
    found = token(connection, text)
    if found is None or found[1].kind != kind or found[1].used or found[1].expires <= now or not found[0].live(now):
        return None
    return found


def use_token(tx: Tx, text: str) -> None:
    """A refresh token was exchanged for the next one."""
    tx.execute("UPDATE oauth_token SET used = ? WHERE hash = ?", (tx.now, token_hash(text)))


def drop_token(tx: Tx, text: str) -> None:
    """Forgets one token; the grant and its other tokens stay."""
    tx.execute("DELETE FROM oauth_token WHERE hash = ?", (token_hash(text),))


def sweep(tx: Tx) -> int:
    """Deletes what ended a day ago; of grants that people gave thirty days stay for questions. Returns how many rows."""
    gone, old = 0, tx.now - KEPT
    for table in ("oauth_code", "oauth_token", "oauth_launch"):
        tx.execute(f"DELETE FROM {table} WHERE expires <= ?", (old,))
        gone += tx.changes
    tx.execute(
        "DELETE FROM oauth_grant WHERE expires <= ? AND (uid = '' OR used IS NULL OR expires <= ?)",
        (old, old - 29 * KEPT),
    )
    return gone + tx.changes
