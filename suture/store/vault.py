"""The vault: secrets that connections name, sealed and bound to the origin they are for; and where polls go on.

https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html
"""

from __future__ import annotations

import json
from typing import NamedTuple

from suture import crypto
from suture.errors import NotFound
from suture.store.connection import Connection, Tx
from suture.store.shared import Shared

PURPOSE = "vault"


class Secret(NamedTuple):
    """A secret without its value."""

    name: str
    origin: str
    changed: int


def put(tx: Tx, name: str, value: str, origin: str) -> None:
    """Keeps a secret; it opens only for `origin` (scheme://host:port, or the address of what is no URL)."""
    sealed = crypto.seal(_key(tx.shared), value.encode(), context_of(name, origin))
    tx.execute("INSERT OR REPLACE INTO secret VALUES (?, ?, ?, ?)", (name, origin, sealed, tx.now))


def get(connection: Connection, name: str, origin: str) -> str:
    """The value, for exactly the origin it was kept for; raises NotFound otherwise."""
    row = connection.one("SELECT origin, sealed FROM secret WHERE name = ?", (name,))
    if row is None:
        raise NotFound("no such secret", where=f"secret:{name}", mend=f"Run: suture secret set {name}")
    if row[0] != origin:
        raise NotFound(
            f"this secret was kept for another address than {origin}",
            where=f"secret:{name}",
            mend="Set it again for this address, if it belongs there.",
        )
    return crypto.unseal(_key(connection.shared), row[1], context_of(name, origin)).decode()


def listing(connection: Connection) -> list[Secret]:
    return [Secret(*row) for row in connection.all("SELECT name, origin, changed FROM secret ORDER BY name")]


def delete(tx: Tx, name: str) -> None:
    tx.execute("DELETE FROM secret WHERE name = ?", (name,))
    if not tx.changes:
        raise NotFound("no such secret", where=f"secret:{name}")


def _key(shared: Shared) -> bytes:
    return shared.envelope.derive(PURPOSE)


def context_of(name: str, origin: str) -> bytes:
    return json.dumps(["suture-vault/1", name, origin]).encode()


def set_watermark(tx: Tx, name: str, value: str) -> None:
    """Where a poll goes on; set it in the unit that accepts what the poll brought."""
    tx.execute("INSERT OR REPLACE INTO watermark VALUES (?, ?, ?)", (name, value, tx.now))


def watermark(connection: Connection, name: str) -> str:
    row = connection.one("SELECT value FROM watermark WHERE name = ?", (name,))
    return row[0] if row else ""
