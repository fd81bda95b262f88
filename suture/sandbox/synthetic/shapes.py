"""The shapes that all synthetic resources share: codes, references, times, and the life a person's record is made from.

https://hl7.org/fhir/us/core/
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from suture.sandbox.people import OMB, US_CORE, Person, named_id

Resource = dict[str, Any]
CORE_CODES = "http://hl7.org/fhir/us/core/CodeSystem"
TERMS = "http://terminology.hl7.org/CodeSystem"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
SYSTEMS = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "cvx": "http://hl7.org/fhir/sid/cvx",
    "icd10": "http://hl7.org/fhir/sid/icd-10-cm",
    "ucum": "http://unitsofmeasure.org",
    "npi": "http://hl7.org/fhir/sid/us-npi",
    "omb": OMB,
    "nucc": "http://nucc.org/provider-taxonomy",
    "core": f"{CORE_CODES}/us-core-category",
    "actcode": f"{TERMS}/v3-ActCode",
}


def coding(system: str, code: str, display: str = "") -> Resource:
    """A Coding; a system is one of SYSTEMS, a name of terminology.hl7.org, or a whole URL."""
    place = SYSTEMS.get(system) or (system if ":" in system else f"{TERMS}/{system}")
    return {"system": place, "code": code, **({"display": display} if display else {})}


def coded(system: str, code: str, display: str = "") -> Resource:
    """A CodeableConcept of one coding."""
    return {"coding": [coding(system, code, display)], **({"text": display} if display else {})}


def quantity(value: float, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": SYSTEMS["ucum"], "code": unit}


def to(type: str, id: str) -> Resource:
    return {"reference": f"{type}/{id}"}


def at(day: date, time: str = "09:00:00") -> str:
    """An instant of a day, in the house's own time zone."""
    return f"{day.isoformat()}T{time}-06:00"


def unknown() -> Resource:
    """Stands where a value was asked for and isn't known."""
    return coded("data-absent-reason", "unknown", "Unknown")


def extension(name: str, **value: Any) -> Resource:
    """An extension of US Core (a bare name) or of another place (a URL)."""
    return {"url": name if ":" in name else f"{US_CORE}/{name}", **value}


def address(person: Person) -> Resource:
    return {
        "use": "home",
        "line": [person.line],
        "city": person.city,
        "state": person.state,
        "postalCode": person.postal,
        "country": "US",
    }


@dataclass(slots=True)
class Life:
    """One person, the people around, and the resources made so far; all chance comes from `r`."""

    person: Person
    kin: dict[str, Person]  # role -> person of the same family
    role: str
    anchor: date
    r: random.Random
    us_core: str = "8.0.0"
    made: list[Resource] = field(default_factory=list)

    @property
    def subject(self) -> Resource:
        return to("Patient", self.person.id)

    @property
    def age(self) -> int:
        return (self.anchor - self.person.birth).days // 365

    def ago(self, days: int) -> date:
        """A day so long before the anchor, not before birth."""
        return max(self.anchor - timedelta(days=days), self.person.birth)

    def id(self, type: str, name: str) -> str:
        return named_id(f"{type}/{self.person.mrn}/{name}")

    def own(self, type: str, name: str) -> Resource:
        """A reference to this person's own resource of that name."""
        return to(type, self.id(type, name))

    def add(self, type: str, called: str, profile: str, /, **elements: Any) -> Resource:
        """Makes a resource of this person's record."""
        resource = shaped(type, self.id(type, called), profile, self.anchor, elements)
        self.made.append(resource)
        return resource


def shaped(type: str, id: str, profile: str, anchor: date, elements: dict[str, Any]) -> Resource:
    """A resource with its id, the profile it claims (none for what US Core doesn't profile), and its elements."""
    meta: Resource = {"lastUpdated": at(anchor)}
    if profile:
        meta["profile"] = [profile if ":" in profile else f"{US_CORE}/us-core-{profile}"]
    return {"resourceType": type, "id": id, "meta": meta, **elements}
