"""Programs that call with a bearer key of their own: added, looked up, revoked; only hashes of keys are kept (RFC 6750)."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

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


def of_certificate(fingerprint: str) -> str:
    """What stands for a key when a program shows a certificate; no header can hold it."""
    return f"certificate\0{fingerprint}"


def fingerprint(pem: bytes) -> str:
    """SHA-256 of a certificate; raises Invalid when it is none."""
    try:
        return x509.load_pem_x509_certificate(pem).fingerprint(SHA256()).hex()
    except ValueError:
        raise Invalid(
            "not a PEM certificate", where="certificate", mend="Give the program's own certificate."
        ) from None


def add_client(
    database: Database, name: str, scopes: str, patient: str, expires: int, certificate: str = ""
) -> tuple[accounts.Client, str]:
    """A new program and its bearer key, which is shown once and kept only as a hash.

    With the SHA-256 of a `certificate` the program shows that over TLS instead, and there is no key.
    """
    granted = smart.parse(scopes)
    if not granted:
        raise Invalid("a client without scopes can do nothing", where="scope", mend="--scope 'system/*.rs'")
    if any(s.context == "patient" for s in granted) and not patient:
        raise Invalid("a patient/ scope needs a patient", where="scope", mend="Add --patient ID.")
    key = of_certificate(certificate) if certificate else KEY_PREFIX + new_token()
    attributes = {name: value for name, value in (("patient", patient), ("expires", expires)) if value}

    def unit(tx: Tx) -> accounts.Client:
        if any(c.name == name and c.active for c in accounts.clients(tx)):
            raise Conflict("an active client has this name", where="clients", mend="Take another, or revoke that one.")
        if certificate and accounts.client_by_key(tx, key):
            raise Conflict("an active client has this certificate", where="certificate", mend="Revoke that one first.")
        made = accounts.create_client(tx, name, key=key, scopes=[str(s) for s in granted], attributes=attributes)
        audit.append(tx, audit.AuditRow("system", "create-client", id=made.id))
        return made

    return database.write_now(unit), "" if certificate else key


def revoke_client(database: Database, name: str) -> accounts.Client:
    """Ends a client's key, by name or id."""

    def unit(tx: Tx) -> accounts.Client:
        found = [c for c in accounts.clients(tx) if name in (c.id, c.name) and c.active]
        if not found:
            raise Invalid("no active client of that name", where="clients", mend="suture client list")
        audit.append(tx, audit.AuditRow("system", "revoke-client", id=found[0].id))
        return accounts.change_client(tx, found[0].id, active=False)

    return database.write_now(unit)
