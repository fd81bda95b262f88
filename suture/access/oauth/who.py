"""The person behind an app: how far the roles reach, whose record is open, which resource of the chart is the person."""

from __future__ import annotations

from functools import lru_cache

from suture.access import smart
from suture.access.caller import Scope
from suture.access.oauth.scopes import read
from suture.access.proxies import patients_of
from suture.access.roles import ROLES
from suture.store.accounts import User
from suture.store.connection import Connection

FHIR_USERS = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Person")


def may(user: User) -> tuple[Scope, ...]:
    """How far the person's roles reach into the chart today."""
    return _may(user.roles)


@lru_cache(maxsize=256)
def _may(roles: tuple[str, ...]) -> tuple[Scope, ...]:
    return smart.parse(" ".join(ROLES[role].scopes for role in roles if role in ROLES))


def one_record(user: User) -> bool:
    """Whether the person reaches records one by one (patients, proxies), not the whole chart."""
    return not any(scope.context == "user" for scope in may(user))


def records(connection: Connection, user: User, now: int) -> list[str]:
    """The patients whose records are open to a patient or proxy; the own one first."""
    return [one.patient for one in patients_of(connection, user, now)]


def open_to(connection: Connection, user: User, patient: str, now: int) -> bool:
    """Whether a grant about this patient still holds: staff see the whole chart, others what is open to them now."""
    return not one_record(user) or (bool(patient) and patient in records(connection, user, now))


def fhir_user(user: User) -> str:
    """The person as a resource, such as Practitioner/7; empty when the chart doesn't know the person."""
    said = str(user.attributes.get("fhir_user") or "")
    if said.partition("/")[0] in FHIR_USERS and read(f"user/{said.partition('/')[0]}.r"):
        return said
    return f"Patient/{user.patient}" if user.patient else ""


def scope_of_self(reference: str) -> Scope | None:
    """Opens the one resource that is the person, so that what `fhirUser` names can be read with the token."""
    type, _, id = reference.partition("/")
    return read(f"user/{type}.r?_id={id}") if type in FHIR_USERS and id else None
