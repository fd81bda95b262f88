"""Whether what a flow sends may leave the house: the Consents of the patients it is about are asked before every send.

A message whose parts can't be told apart (HL7 v2, text) is kept back whole when a Consent keeps any part of it back.
https://hl7.org/fhir/R4/consent.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from suture.access import compartment, consent, labels
from suture.access.consent import Asked, Directive
from suture.access.withheld import PARTNER
from suture.errors import SutureError
from suture.standards.fhir import search
from suture.store import messages, restrictions, whose
from suture.store import search as store_search
from suture.store.audit_listed import PATIENT
from suture.store.connection import Connection

SENDING = frozenset({"disclose", "access", "use"})
MOST_PATIENTS = 50  # that one identifier of a message may mean


class ConsentDenied(SutureError):
    """A patient said no; sending again changes nothing."""

    code, status, issue, exception = "consent-denied", 403, "forbidden", "171.202"


def require(connection: Connection, partner: str, mid: int, body: bytes, where: str) -> None:
    """Raises ConsentDenied when a Consent keeps this content, or a part of it, from the partner."""
    if not restrictions.labels(connection, labels.CODES)[1]:
        return
    about = _patients(connection, mid, body)
    asked = Asked(
        frozenset({f"{PARTNER}|{partner}"} if partner else ()), now=connection.shared.clock.micros(), actions=SENDING
    )
    for resource in _resources(body):
        for patient in compartment.owners(resource, connection.shared.base) or about:
            if consent.denies(_directives(connection, patient), asked, resource):
                raise ConsentDenied(
                    "a Consent of the patient keeps this from its destination",
                    where=where,
                    mend="It was not sent. Take out what the Consent names, or close the dead letter.",
                )


def _directives(connection: Connection, patient: str) -> list[Directive]:
    bodies = restrictions.bodies(connection, [patient])
    found = (consent.read(body, connection.shared.base) for body in bodies)
    return [directive for directive in found if directive is not None and directive.patient == patient]


def _patients(connection: Connection, mid: int, body: bytes) -> set[str]:
    """Whom the message came about, by the identifiers it carries, and whom the content names."""
    found = {reference.removeprefix(PATIENT) for reference in whose.named(body)}
    for text in messages.patients_of(connection, mid):
        query = search.parse("Patient", [("identifier", _escaped(text))])
        rows = store_search.find(connection, search.replace(query, count=MOST_PATIENTS)).rows
        found |= {row.id for row in rows}
    return found


def _escaped(text: str) -> str:
    return re.sub(r"([,|$\\])", r"\\\1", text)


def _resources(body: bytes) -> Iterator[dict[str, Any]]:
    """The resources of the content; what is no FHIR in JSON is one thing of which nothing is known."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("resourceType"), str):
        yield {}
    elif content["resourceType"] != "Bundle":
        yield content
    else:
        entries = [entry.get("resource") for entry in content.get("entry") or () if isinstance(entry, dict)]
        yield from (entry if isinstance(entry, dict) else {} for entry in entries)
