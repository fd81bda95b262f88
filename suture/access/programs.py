"""Programs that call with a bearer key of their own: added, looked up, revoked; only hashes of keys are kept (RFC 6750)."""

from __future__ import annotations

from suture.access import smart
from suture.access.caller import Caller
from suture.crypto import new_token
from suture.errors import Conflict, Invalid
from suture.store import accounts, audit
from suture.store.connection import Tx
from suture.store.database import Database

KEY_PREFIX = "sk_"


def client_caller(client: accounts.Client) -> Caller:
    """A program as a caller."""
    scopes = smart.parse(" ".join(client.scopes))
    return Caller(f"client:{client.id}", "client", client.name, scopes, client.attributes.get("patient") or None)


def add_client(database: Database, name: str, scopes: str, patient: str, expires: int) -> tuple[accounts.Client, str]:
    """A new program and its bearer key, which is shown once and kept only as a hash."""
    granted = smart.parse(scopes)
    if not granted:
        raise Invalid("a client without scopes can do nothing", where="scope", mend="--scope 'system/*.rs'")
    if any(s.context == "patient" for s in granted) and not patient:
        raise Invalid("a patient/ scope needs a patient", where="scope", mend="Add --patient ID.")
    key = KEY_PREFIX + new_token()
    attributes = {name: value for name, value in (("patient", patient), ("expires", expires)) if value}

    def unit(tx: Tx) -> accounts.Client:
        if any(c.name == name and c.active for c in accounts.clients(tx)):
            raise Conflict("an active client has this name", where="clients", mend="Take another, or revoke that one.")
        made = accounts.create_client(tx, name, key=key, scopes=[str(s) for s in granted], attributes=attributes)
        audit.append(tx, audit.AuditRow("system", "create-client", id=made.id))
        return made

    return database.write_now(unit), key


def revoke_client(database: Database, name: str) -> accounts.Client:
    """Ends a client's key, by name or id."""

    def unit(tx: Tx) -> accounts.Client:
        found = [c for c in accounts.clients(tx) if name in (c.id, c.name) and c.active]
        if not found:
            raise Invalid("no active client of that name", where="clients", mend="suture client list")
        audit.append(tx, audit.AuditRow("system", "revoke-client", id=found[0].id))
        return accounts.change_client(tx, found[0].id, active=False)

    return database.write_now(unit)
