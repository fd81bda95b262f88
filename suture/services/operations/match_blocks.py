"""The searches that find whom a person may be: each shares something with them (https://hl7.org/fhir/R4/patient-operation-match.html)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from suture.services.operations.match_weights import Traits
from suture.standards.fhir.search_values import escaped

Pairs = list[tuple[str, str]]
MOST = 5  # values of one kind that are looked for


def blocks(patient: dict[str, Any], traits: Traits) -> Iterator[Pairs]:
    """Search parameters, the narrowest first."""
    for identifier in sorted(traits.identifiers)[:MOST]:
        system, _, value = identifier.partition("|")
        yield [("identifier", f"{escaped(system)}|{escaped(value)}")]
    yield from _reached(patient)
    yield from _named(traits)
    if len(traits.day) == 10:
        yield [("birthdate", traits.day)]
        year, month, day = traits.day.split("-")
        if int(day) <= 12 and day != month:
            yield [("birthdate", f"{year}-{day}-{month}")]


def _reached(patient: dict[str, Any]) -> Iterator[Pairs]:
    """By telephone and mail, as they are written."""
    for contact in patient.get("telecom", [])[:MOST]:
        if contact.get("system") in ("phone", "email") and contact.get("value"):
            yield [(contact["system"], escaped(contact["value"]))]


def _named(traits: Traits) -> Iterator[Pairs]:
    years = [("birthdate", traits.day[:4])] if traits.day else []
    for family in sorted(traits.family)[:MOST]:
        yield from ([("family", escaped(family)), ("given", escaped(given))] for given in sorted(traits.given)[:MOST])
        if years:
            yield [("family", escaped(family)), *years]
    for given in sorted(traits.given)[:MOST]:
        yield from (
            [("given", escaped(given)), ("address-postalcode", escaped(p))] for p in sorted(traits.postal)[:MOST]
        )
        yield from ([("family", escaped(given)), ("given", escaped(family))] for family in sorted(traits.family)[:MOST])
        if years:
            yield [("given", escaped(given)), *years]
