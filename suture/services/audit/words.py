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
    "patch": "changed a part of",
    "delete": "deleted",
    "transaction": "wrote or read several records at once",
    "batch": "wrote or read several records at once",
    "import": "imported",
    "export": "exported",
    "export-request": "asked for an export of",
    "ehi-export": "exported the whole record",
    "send": "sent",
    "notify": "was sent what happened, through",
    "list": "looked at a list of",
    "reveal": "looked at the plain content of",
    "replay": "repeated the work on",
    "denied": "was turned away",
    "login": "signed in",
    "logout": "signed out",
    "confirm": "confirmed who it is",
    "report": "reported on",
    "disclosures": "made the accounting of disclosures of",
    "export-audit": "exported the trail as",
    "break-glass": "broke the glass for",
    "end-glass": "ended the emergency for",
    "review-glass": "looked at the emergency for",
    "link": "linked with another record the",
    "unlink": "took apart from another record the",
    "dismiss": "said that these are two persons:",
    "put-off": "put off the",
    "discard": "closed without a repeat",
    "restart": "took up again",
    "turn-off": "turned off",
    "invite": "made an invitation",
    "accept-invitation": "tried an invitation",
    "end-invitation": "took an invitation back",
    "create-user": "let in the person",
    "change-roles": "changed the roles of",
    "deactivate-user": "let in no longer",
    "activate-user": "let in again",
    "reset-password": "set a forgotten password anew for",
    "change-password": "changed the password of",
    "add-second-factor": "added a second factor for",
    "remove-second-factor": "removed a second factor of",
    "reset-second-factor": "took away the second factors of",
    "new-recovery-codes": "made new recovery codes for",
    "end-session": "ended a session of",
    "end-sessions": "ended all sessions of",
    "link-sign-in": "linked a single sign-on to",
    "unlink-sign-in": "unlinked the single sign-on of",
    "grant-proxy": "let stand in for a patient",
    "end-proxy": "ended the standing in of",
    "change-standing": "changed clearance or bounds of",
    "create-client": "made a bearer key",
    "revoke-client": "ended the program",
    "register-client": "registered",
    "approve-client": "approved",
    "refuse-client": "refused",
    "end-client": "ended",
    "change-client": "changed",
    "rotate-secret": "made a new secret of",
    "launch": "opened an app",
    "authorize": "allowed an app",
    "token": "got its token",
    "refresh": "renewed its token",
    "introspect": "asked about a token",
    "revoke": "took back what an app was allowed",
    "create-partner": "added",
    "end-partner": "ended",
    "create-agreement": "recorded",
    "end-agreement": "ended",
    "keep-document": "kept the paper of",
    "override-agreement": "opened without an agreement",
    "end-override": "closed what an override had opened:",
    "key-add": "made the gateway's",
    "key-rotate": "made a new value of the gateway's",
    "key-revoke": "ended the gateway's",
    "new-signing-key": "made a new signing key",
    "rotate-key": "made a new key of the database",
    "backup": "made a backup",
    "restore": "restored a backup",
    "terminology-load": "loaded a version of",
    "terminology-remove": "took away loaded versions of",
    "accept-audit-trail": "took the trail as it is",
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
    if row.what == "login" and row.outcome >= 400:
        return "was not let in"
    verb = _DONE.get(row.what) or (f"called {row.what} of" if row.what.startswith("$") else row.what)
    return f"{verb} {row.type}" if row.type and row.what != "send" else verb


def sent(kind: str) -> str:
    """What a step sends."""
    return _SENT.get(kind, kind)
