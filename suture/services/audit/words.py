"""The trail in plain words: who somebody is, what was done, what was sent."""

from __future__ import annotations

from suture.store import accounts, apps
from suture.store.audit import AuditRow
from suture.store.connection import Connection

_DONE = {
    "read": "read",
    "vread": "read an old version of",
    "history-instance": "read the history of",
    "history-type": "read the history of all",
    "history-system": "read the history of everything",
    "search-type": "searched",
    "search-system": "searched everything",
    "create": "created",
    "update": "changed",
    "delete": "deleted",
    "transaction": "wrote or read several records at once",
    "batch": "wrote or read several records at once",
    "import": "imported",
    "export": "exported the whole chart",
    "ehi-export": "exported the whole record",
    "send": "sent",
    "list": "looked at a list of",
    "reveal": "looked at the plain content of",
    "replay": "repeated the work on",
    "denied": "was turned away",
    "login": "signed in",
    "logout": "signed out",
}
_SENT = {
    "mllp.send": "an HL7 v2 message",
    "http.send": "a message to a web service",
    "fhir.write": "FHIR records",
    "fhir.search": "a question about the person",
    "file.write": "a file",
}
HOW = {"delivered": "arrived", "ambiguous": "sent; not known whether it arrived", "refused": "refused by the receiver"}


def who(connection: Connection, caller: str) -> str:
    """A caller's name, with what it is; the id where no name is kept any more."""
    kind, _, id = caller.partition(":")
    if kind == "user":
        person = accounts.user(connection, id)
        return person.name if person else caller
    if kind == "client":
        return program(connection, id)
    return f"flow {id}" if kind == "flow" else caller


def program(connection: Connection, id: str) -> str:
    """An app or program by name."""
    app = apps.get(connection, id)
    key = None if app else accounts.client(connection, id)
    return app.name if app else key.name if key else id


def done(row: AuditRow) -> str:
    """What was done, such as "searched Observation"."""
    verb = _DONE.get(row.what, row.what)
    return f"{verb} {row.type}" if row.type and row.what != "send" else verb


def sent(kind: str) -> str:
    """What a step sends."""
    return _SENT.get(kind, kind)
