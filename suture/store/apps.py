"""Registered OAuth clients: what was registered, where it stands, and the hashes of their secrets (RFC 7591, RFC 6749).

Ids are UUIDv7 text like all others; a secret carries 256 random bits and is never kept in clear.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from suture.clock import new_id
from suture.crypto import token_hash
from suture.errors import Conflict, NotFound
from suture.store.connection import Connection, Tx

MICROS = 1_000_000
PUBLIC, SYMMETRIC, ASYMMETRIC = "public", "confidential-symmetric", "confidential-asymmetric"
KINDS = (PUBLIC, SYMMETRIC, ASYMMETRIC)
PENDING, APPROVED, REFUSED, ENDED = "pending", "approved", "refused", "ended"
STATUSES = (PENDING, APPROVED, REFUSED, ENDED)
# from where a client may go; what is refused or ended never comes back under the same id
TURNS: dict[str, tuple[str, ...]] = {PENDING: (APPROVED, REFUSED), APPROVED: (ENDED,), REFUSED: (), ENDED: ()}
_RECORD = ("redirect_uris", "launch_url", "scopes", "grant_types", "jwks", "jwks_url", "logo", "contacts", "attributes")


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A registered app or program. `scopes` is the most it may ever be granted, in SMART's words as they were registered.

    `attributes` holds what few clients have: `client_uri`, `policy_uri`, `tos_uri`, `software_id`, `algorithms`
    (its own allow-list of signature algorithms), `udap` (its issuer), `note` (why it was refused or ended).
    """

    id: str
    name: str
    kind: str  # public | confidential-symmetric | confidential-asymmetric
    redirect_uris: tuple[str, ...] = ()
    launch_url: str = ""
    scopes: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ()  # authorization_code | refresh_token | client_credentials
    jwks: Mapping[str, Any] | None = None  # public keys by value
    jwks_url: str = ""  # or where they are published
    logo: str = ""
    status: str = PENDING
    contacts: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "command"  # how it came: command | console | register | udap
    created: int = 0
    changed: int = 0
    decided: int = 0  # when somebody approved or refused it; 0 while it waits

    @property
    def approved(self) -> bool:
        """Only an approved client is ever let in."""
        return self.status == APPROVED


_COLUMNS = "cid, name, kind, status, origin, record, created, changed, decided"


def _client(row: tuple[Any, ...] | None) -> OAuthClient | None:
    if row is None:
        return None
    cid, name, kind, status, origin, record, created, changed, decided = row
    said: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(record).items()
    }
    return OAuthClient(
        cid, name, kind, status=status, origin=origin, created=created, changed=changed, decided=decided, **said
    )


def _record(client: OAuthClient) -> str:
    told = asdict(client)
    return json.dumps({name: told[name] for name in _RECORD if told[name]})


def get(connection: Connection, id: str) -> OAuthClient | None:
    """The client of an id, in whatever state."""
    return _client(connection.one(f"SELECT {_COLUMNS} FROM app WHERE cid = ?", (id,)))


def find(connection: Connection, *, status: str = "") -> list[OAuthClient]:
    """All clients, or those of one state; who waits longest stands first."""
    where, values = ("WHERE status = ?", (status,)) if status else ("", ())
    rows = connection.all(f"SELECT {_COLUMNS} FROM app {where} ORDER BY created, cid", values)
    return [found for row in rows if (found := _client(row))]


def since(connection: Connection, when: int) -> list[OAuthClient]:
    """Those that registered by themselves after `when`."""
    rows = connection.all(f"SELECT {_COLUMNS} FROM app WHERE origin IN ('register', 'udap') AND created > ?", (when,))
    return [found for row in rows if (found := _client(row))]


def count(connection: Connection, status: str) -> int:
    """How many clients are in a state."""
    row = connection.one("SELECT count(*) FROM app WHERE status = ?", (status,))
    return int(row[0]) if row else 0


def add(tx: Tx, client: OAuthClient) -> OAuthClient:
    """Keeps a new client; an empty id is filled in. Raises Conflict when the id is taken."""
    decided = 0 if client.status == PENDING else tx.now
    made = replace(client, id=client.id or new_id(tx.shared.clock), created=tx.now, changed=tx.now, decided=decided)
    if get(tx, made.id) or tx.one("SELECT 1 FROM client WHERE cid = ?", (made.id,)):
        raise Conflict("this client id is taken", where="clients")
    tx.execute(
        "INSERT INTO app VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (made.id, made.name, made.kind, made.status, made.origin, _record(made), tx.now, tx.now, decided),
    )
    return made


def change(tx: Tx, client: OAuthClient) -> OAuthClient:
    """Keeps what was changed in a client's registration; its state is turned by `turn` only."""
    tx.execute(
        "UPDATE app SET name = ?, kind = ?, record = ?, changed = ? WHERE cid = ?",
        (client.name, client.kind, _record(client), tx.now, client.id),
    )
    return _require(tx, client.id)


def turn(tx: Tx, id: str, status: str, note: str = "") -> OAuthClient:
    """Approves, refuses or ends a client; raises Conflict for a turn that isn't there. Ending takes its secrets away."""
    found = _require(tx, id)
    if status not in TURNS[found.status]:
        raise Conflict(f"this client is {found.status}", where=f"client {id}", mend=_after(found.status))
    if note:
        found = replace(found, attributes={**found.attributes, "note": note})
    tx.execute(
        "UPDATE app SET status = ?, record = ?, changed = ?, decided = ? WHERE cid = ?",
        (status, _record(found), tx.now, found.decided or tx.now, id),
    )
    if status in (REFUSED, ENDED):
        tx.execute("DELETE FROM app_secret WHERE cid = ?", (id,))
    return _require(tx, id)


def _after(status: str) -> str:
    turns = TURNS[status]
    return f"It can become: {', '.join(turns)}." if turns else "Register it anew."


def reopen(tx: Tx, id: str) -> OAuthClient:
    """An approved client whose registration changed waits again."""
    tx.execute("UPDATE app SET status = ?, decided = 0, changed = ? WHERE cid = ?", (PENDING, tx.now, id))
    return _require(tx, id)


def of_issuer(connection: Connection, community: str, issuer: str) -> OAuthClient | None:
    """The client that an issuer of a trust community registered, in whatever state."""
    row = connection.one("SELECT cid FROM app_issuer WHERE community = ? AND issuer = ?", (community, issuer))
    return get(connection, row[0]) if row else None


def set_issuer(tx: Tx, community: str, issuer: str, id: str) -> None:
    """From now on this client is the issuer's."""
    tx.execute("INSERT OR REPLACE INTO app_issuer VALUES (?, ?, ?)", (community, issuer, id))


def add_secret(tx: Tx, id: str, secret: str, *, keep_old: float = 0.0) -> None:
    """Gives a client a new secret; the old ones end at once, or after `keep_old` seconds. Raises NotFound, Conflict."""
    found = _require(tx, id)
    if found.kind != SYMMETRIC:
        raise Conflict(f"a client of the kind {found.kind} has no secret", where=f"client {id}")
    if found.status in (REFUSED, ENDED):
        raise Conflict(f"this client is {found.status}", where=f"client {id}", mend="Register it anew.")
    if keep_old <= 0:
        tx.execute("DELETE FROM app_secret WHERE cid = ?", (id,))
    end = tx.now + int(keep_old * MICROS)
    tx.execute("DELETE FROM app_secret WHERE cid = ? AND expires > 0 AND expires <= ?", (id, tx.now))
    tx.execute("UPDATE app_secret SET expires = ? WHERE cid = ? AND (expires = 0 OR expires > ?)", (end, id, end))
    tx.execute("INSERT INTO app_secret VALUES (?, ?, ?, 0)", (token_hash(secret), id, tx.now))


def has_secret(connection: Connection, id: str, secret: str, now: int) -> bool:
    """Whether this is a secret of the client that still works."""
    row = connection.one("SELECT cid, expires FROM app_secret WHERE hash = ?", (token_hash(secret),))
    return row is not None and row[0] == id and (row[1] == 0 or row[1] > now)


def secrets(connection: Connection, id: str) -> Sequence[tuple[int, int]]:
    """When the client's secrets were made and when they end (0: never), the newest first."""
    return connection.all("SELECT created, expires FROM app_secret WHERE cid = ? ORDER BY created DESC", (id,))


def _require(connection: Connection, id: str) -> OAuthClient:
    found = get(connection, id)
    if found is None:
        raise NotFound("no such client", where=f"client {id[:100]}", mend="suture client list")
    return found
