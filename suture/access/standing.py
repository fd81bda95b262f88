"""How a caller stands beside its scopes: clearance for labels, bounds, organizations, purpose of use, broken glass.

Read from the person's and the app's attributes at every request, so that a change takes hold within `session.recheck`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from suture.access import compartment, glass, labels
from suture.access.caller import Caller
from suture.access.roles import permissions
from suture.clock import Clock
from suture.errors import Invalid, InvalidFile, Problem
from suture.settings import Settings
from suture.standards.fhir.definitions import code_parents
from suture.store import accounts, audit
from suture.store.connection import Connection, Tx
from suture.store.database import Database

PURPOSES = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
EMERGENCIES = frozenset({glass.PURPOSE, "ETREAT"})  # only while the glass is broken
MOST_KEPT = 10_000
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the attributes of a person or program say."""

    clearance: frozenset[str] = NONE
    bounds: frozenset[str] = NONE
    organizations: tuple[str, ...] = ()
    fhir_user: str = ""


Stood = tuple[Caller, str, str, float, Caller]


class Standings:
    """Gives callers their standing."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._roles = _roles(settings["access.clearance"])
        self._known: dict[tuple[str, str, tuple[str, ...]], tuple[float, Standing]] = {}
        self._stood: dict[int, Stood] = {}  # by id() of a caller that is kept elsewhere, too

    def stand(self, caller: Caller, purpose: str = "", address: str = "") -> Caller:
        """The caller with all that holds for this request; raises Invalid for a purpose it may not name."""
        known = self._stood.get(id(caller))
        if known is not None and known[:3] == (caller, purpose, address) and known[3] >= self._clock.monotonic():
            return known[4]
        stood = self._stand(caller, purpose, address)
        if caller.kind == "client":  # a person's glass may break at any moment
            if len(self._stood) >= MOST_KEPT:
                self._stood.clear()
            until = self._clock.monotonic() + self._settings["session.recheck"]
            self._stood[id(caller)] = (caller, purpose, address, until, stood)
        return stood

    def _stand(self, caller: Caller, purpose: str, address: str) -> Caller:
        found = self._standing(caller)
        person = caller.kind == "user" and glass.BREAK in permissions(caller.roles)  # today, not when it was broken
        broken = glass.active(self._database.read, caller.id, self._clock.micros()) if person else NONE
        encounter = caller.encounter and self._settings["access.encounter_only"]
        return replace(
            caller,
            address=address or caller.address,
            purpose=_purpose(purpose, broken) if purpose else caller.purpose,
            clearance=found.clearance,
            bounds=found.bounds | {"encounter"} if encounter else found.bounds,
            organizations=found.organizations,
            fhir_user=caller.fhir_user or found.fhir_user,
            glass=broken,
        )

    def _standing(self, caller: Caller) -> Standing:
        key = (caller.id, caller.client, caller.roles)
        now = self._clock.monotonic()
        known = self._known.get(key)
        if known is None or known[0] < now:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            known = self._known[key] = (now + self._settings["session.recheck"], self._read(caller))
        return known[1]

    def _read(self, caller: Caller) -> Standing:
        kind, _, id = caller.id.partition(":")
        own = of_attributes(_attributes(self._database.read, kind, id))
        by_role = frozenset().union(*(self._roles.get(role, NONE) for role in caller.roles))
        own = replace(own, clearance=own.clearance | by_role)
        if not caller.client or kind == "client":
            return own
        return _through(own, of_attributes(_attributes(self._database.read, "client", caller.client)))


def _through(person: Standing, app: Standing) -> Standing:
    """A person who uses an app: what both are cleared for, inside the bounds of both."""
    both = person.clearance & app.clearance
    if labels.ALL in person.clearance:
        both = app.clearance
    elif labels.ALL in app.clearance:
        both = person.clearance
    organizations = tuple(dict.fromkeys((*person.organizations, *app.organizations)))
    return Standing(both, person.bounds | app.bounds, organizations, person.fhir_user)


def of_attributes(attributes: Mapping[str, Any]) -> Standing:
    """Reads attributes; raises Invalid for what is not understood, so that nobody sees more by a typing error."""
    bounds = frozenset(str(attributes.get("restrict", "")).replace(",", " ").split())
    unknown = sorted(bounds - compartment.BOUND.keys())
    if unknown:
        raise Invalid("no such compartment", where="restrict", mend=f"One of: {', '.join(compartment.BOUND)}.")
    clearance = attributes.get("clearance", "")
    organizations = str(attributes.get("organization", "")).replace(",", " ").split()
    return Standing(
        labels.clearance(clearance if isinstance(clearance, str) else ",".join(map(str, clearance)), "clearance"),
        bounds,
        tuple(o if o.startswith("Organization/") else f"Organization/{o}" for o in organizations),
        str(attributes.get("fhir_user", "")),
    )


def _attributes(connection: Connection, kind: str, id: str) -> Mapping[str, Any]:
    found: accounts.User | accounts.Client | None = None
    if kind == "user":
        found = accounts.user(connection, id)
    elif kind == "client":
        found = accounts.client(connection, id)
    return found.attributes if found else {}


def _roles(text: str) -> dict[str, frozenset[str]]:
    """`clinician=R,PSY administrator=*`; raises InvalidFile."""
    found: dict[str, frozenset[str]] = {}
    for word in text.split():
        role, _, codes = word.partition("=")
        try:
            found[role] = labels.clearance(codes, "access.clearance")
        except Invalid as error:
            problem = Problem("suture.toml", 0, 0, f"'access.clearance': {error.text}", error.mend)
            raise InvalidFile([problem]) from None
    return found


def _purpose(purpose: str, broken: frozenset[str]) -> str:
    if not _of_use(purpose):
        raise Invalid(
            "not a purpose of use", where="X-Purpose-Of-Use", mend="A code of HL7's PurposeOfUse, such as TREAT."
        )
    if purpose in EMERGENCIES and not broken:
        raise Invalid("there is no emergency", where="X-Purpose-Of-Use", mend="Break the glass first, with a reason.")
    return purpose


@lru_cache(maxsize=1024)
def _of_use(purpose: str) -> bool:
    """Whether HL7 counts the code among the purposes of use."""
    parents = code_parents(PURPOSES) or {}
    return any(parent == "PurposeOfUse" or _of_use(parent) for parent in parents.get(purpose, ()))


NAMES = ("clearance", "restrict", "organization", "fhir_user")


def change(database: Database, whom: str, changes: Mapping[str, str]) -> None:
    """Changes attributes of `user:LOGIN` or `client:NAME`, for the command line; raises Invalid for what is not understood."""

    def unit(tx: Tx) -> None:
        found = _found(tx, whom)
        kept = {name: value for name, value in {**found.attributes, **changes}.items() if value != ""}
        of_attributes(kept)
        if isinstance(found, accounts.User):
            accounts.change_user(tx, found.id, attributes=kept)
        else:
            accounts.change_client(tx, found.id, attributes=kept)
        audit.append(tx, audit.AuditRow("system", "change-standing", id=found.id, detail=" ".join(sorted(changes))))

    database.write_now(unit)


def written(connection: Connection, whom: str) -> dict[str, str]:
    """The attributes as they are written."""
    found = _found(connection, whom).attributes
    return {name: str(found.get(name, "")) for name in NAMES}


def _found(connection: Connection, whom: str) -> accounts.User | accounts.Client:
    kind, _, name = whom.partition(":")
    found: accounts.User | accounts.Client | None = None
    if kind == "user":
        found = accounts.user_by_login(connection, name)
    elif kind == "client":
        found = next((c for c in accounts.clients(connection) if c.active and name in (c.id, c.name)), None)
    if found is None:
        raise Invalid("nobody of that name", where=whom, mend="Write user:LOGIN or client:NAME.")
    return found
