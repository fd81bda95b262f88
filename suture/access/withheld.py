"""What security labels and the Consents of patients keep from a caller, over and above what scopes open.

The same decision stands behind searches (as conditions that narrow them) and behind each row that goes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from suture.access import compartment, consent, labels
from suture.access.caller import Caller
from suture.access.consent import Asked, Directive
from suture.access.roles import PATIENT, PROXY
from suture.standards.fhir.search_query import AnyOf, Compartment, Condition, Judged, Match, NoneOf, Token
from suture.store import restrictions
from suture.store.bodies import Damaged
from suture.store.connection import Connection
from suture.store.row import Row

TRUSTED = frozenset({"system", "flow"})  # the house itself; what leaves it for a partner is judged when it leaves
CLIENT, PARTNER = "urn:suture:client", "urn:suture:partner"  # systems of identifiers by which a Consent names one


class Withheld:
    """What is kept from one caller, now, on one connection."""

    __slots__ = ("_asked", "_base", "_consents", "_directives", "_glass", "_hidden", "_keeper", "_labels", "_tx")

    def __init__(self, connection: Connection, caller: Caller, labels_: Sequence[Token], restricted: bool) -> None:
        self._tx = connection
        self._base = connection.shared.base
        self._asked = asked(caller, connection.shared.clock.micros())
        self._glass = caller.glass
        self._keeper = not caller.clearance.isdisjoint((labels.ALL, labels.CONSENTS))
        self._labels = tuple(labels_)
        self._hidden = frozenset((token.code or "").upper() for token in labels_)
        self._consents = restricted
        self._directives: dict[str, list[Directive] | None] = {}

    def rules(self) -> list[Condition]:
        """What must hold of every row of a search."""
        found: list[Condition] = []
        if self._labels:
            unlabelled = NoneOf((Match("_security", "token", self._labels),))
            found.append(AnyOf((unlabelled, Compartment(tuple(sorted(self._glass))))) if self._glass else unlabelled)
        if self._consents:
            found.append(Judged(self._consented))
        return found

    def lets(self, row: Row, body: bytes) -> bool:
        """Whether a row may be seen; `body` is its own, or of a deletion the last before it."""
        marked = bool(self._labels) and (b'"security"' in body or b"\\u" in body)
        named = self._consents and (
            row.type in compartment.ADDED or restrictions.touches(self._tx, row.rid, row.version)
        )
        return True if not marked and not named else self.lets_resource(orjson.loads(body))

    def lets_resource(self, resource: dict[str, Any]) -> bool:
        """The same for a resource that was read."""
        return self._unlabelled(resource) and (not self._consents or self._consented(resource))

    def _unlabelled(self, resource: dict[str, Any]) -> bool:
        if self._hidden.isdisjoint(labels.of(resource)):
            return True
        return any(compartment.holds(patient, resource, self._base) for patient in self._glass)

    def _consented(self, resource: dict[str, Any]) -> bool:
        """Whether no patient the resource is of keeps it back."""
        if self._keeper and resource.get("resourceType") == restrictions.TYPE:
            return True
        for patient in compartment.owners(resource, self._base) - self._glass:
            found = self._of(patient)
            if found is None or consent.denies(found, self._asked, resource):
                return False
        return True

    def _of(self, patient: str) -> list[Directive] | None:
        """The directives of a patient; None when there are more than are heeded, or one can't be read: then nothing is shown."""
        if patient not in self._directives:
            try:
                bodies = restrictions.bodies(self._tx, [patient])
            except Damaged:
                self._directives[patient] = None
                return None
            read = [consent.read(body, self._base) for body in bodies]
            some = [d for d in read if d is not None and d.patient == patient]
            self._directives[patient] = some if len(bodies) <= restrictions.MOST else None
        return self._directives[patient]


def of(connection: Connection, caller: Caller) -> Withheld | None:
    """What is kept from this caller; None when nothing is, which is quickly seen."""
    if caller.kind in TRUSTED:
        return None
    hidden = labels.hidden(caller.clearance)
    in_use, restricted = restrictions.labels(connection, labels.CODES)
    found = labels.tokens(in_use, hidden) if in_use else ()
    return Withheld(connection, caller, found, restricted) if found or restricted else None


def asked(caller: Caller, now: int) -> Asked:
    """Who asks, as a Consent sees it."""
    own = caller.patient if caller.kind == "user" and caller.patient and _one_s_own(caller) else ""
    return Asked(actors(caller), caller.purpose, now, own=own or "")


def _one_s_own(caller: Caller) -> bool:
    """Whether it is a patient or a proxy; an app that staff uses on a patient's chart is neither, whoever the chart says staff is."""
    return bool({PATIENT, PROXY} & set(caller.roles))


def actors(caller: Caller) -> frozenset[str]:
    """The names by which a Consent may mean this caller."""
    client = caller.client or (caller.id.partition(":")[2] if caller.kind == "client" else "")
    names = {caller.fhir_user, *caller.organizations, f"{CLIENT}|{client}" if client else ""}
    if caller.kind == "client":
        names.add(f"{CLIENT}|{caller.name}")
    return frozenset(names - {""})
