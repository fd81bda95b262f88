"""API keys of the gateway: only hashes are kept; a rotated key's forerunner works on for a while.

https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suture.clock import new_id
from suture.crypto import token_hash
from suture.errors import Conflict, NotFound
from suture.store.connection import Connection, Tx


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its value; `attributes` holds routes, plan, scopes, limits and who it is for."""

    id: str
    name: str
    active: bool
    expires: int  # microseconds; 0: never
    attributes: Mapping[str, Any]
    created: int
    used: int  # when it last came, to the minute; 0: never
    old_until: int = 0


_KEY = "kid, name, active, expires, attributes, created, used, old_until"


def _key(row: tuple[Any, ...] | None) -> Key | None:
    return (
        None if row is None else Key(row[0], row[1], bool(row[2]), row[3], json.loads(row[4]), row[5], row[6], row[7])
    )


def add(tx: Tx, name: str, key: str, attributes: Mapping[str, Any], expires: int = 0) -> Key:
    """Keeps the hash of a new key; raises Conflict when the name is taken."""
    if tx.one("SELECT 1 FROM gateway_key WHERE name = ?", (name,)):
        raise Conflict("this name is taken", where="keys", mend="Take another one, or rotate that key.")
    made = Key(new_id(tx.shared.clock), name, True, expires, dict(attributes), tx.now, 0)
    tx.execute(
        "INSERT INTO gateway_key VALUES (?, ?, ?, NULL, 0, 1, ?, ?, ?, 0)",
        (made.id, name, token_hash(key), expires, json.dumps(made.attributes), tx.now),
    )
    return made


def rotate(tx: Tx, name: str, key: str, overlap: int) -> Key:
    """A new key in the place of the old one, which works on for `overlap` microseconds; raises NotFound."""
    found = _require(tx, name)
    tx.execute(
        "UPDATE gateway_key SET old_hash = CASE WHEN ? > 0 THEN hash END, old_until = ?, hash = ? WHERE kid = ?",
        (overlap, tx.now + overlap if overlap else 0, token_hash(key), found.id),
    )
    return _require(tx, name)


def revoke(tx: Tx, name: str) -> Key:
    """Ends a key and the one before it; raises NotFound."""
    found = _require(tx, name)
    tx.execute("UPDATE gateway_key SET active = 0, old_hash = NULL, old_until = 0 WHERE kid = ?", (found.id,))
    return found


def by_value(connection: Connection, key: str, now: int) -> Key | None:
    """The key that works with this value now; None for unknown, revoked and expired ones alike."""
    hash = token_hash(key)
    return _key(
        connection.one(
            f"SELECT {_KEY} FROM gateway_key WHERE active = 1 AND (expires = 0 OR expires > ?2) "
            "AND (hash = ?1 OR (old_hash = ?1 AND old_until > ?2))",
            (hash, now),
        )
    )


def by_name(connection: Connection, name: str) -> Key | None:
    return _key(connection.one(f"SELECT {_KEY} FROM gateway_key WHERE name = ?", (name,)))


def listing(connection: Connection) -> list[Key]:
    rows = connection.all(f"SELECT {_KEY} FROM gateway_key ORDER BY name")
    return [found for row in rows if (found := _key(row))]


def touch(tx: Tx, id: str, at: int) -> None:
    """Says when a key last came."""
    tx.execute("UPDATE gateway_key SET used = MAX(used, ?) WHERE kid = ?", (at, id))


def _require(tx: Tx, name: str) -> Key:
    found = by_name(tx, name)
    if found is None:
        raise NotFound("no such key", where="keys", mend="See: suture key list")
    return found
