"""Synthetic people from a seed, as US Core shaped R4 resources; nobody in them exists.

https://hl7.org/fhir/us/core/STU6.1/
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from suture.sandbox import names

MRN_SYSTEM = "urn:oid:2.16.840.1.113883.19.5.1"
MEMBER_SYSTEM = "https://payer.example.org/members"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
OMB = "urn:oid:2.16.840.1.113883.6.238"
TODAY = date(2026, 11, 1)  # the people's fixed present, so that a seed always gives the same ages
_SPACE = uuid.UUID("6f0c2f0e-7d1c-5f3e-9a54-3f6f1f9f0b11")

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """One synthetic person, the facts behind HL7 messages, intake forms and FHIR resources alike."""

    number: int
    mrn: str
    family: str
    given: str
    middle: str
    gender: str  # female | male
    birth: date
    line: str
    city: str
    state: str
    postal: str
    phone: str
    email: str
    language: tuple[str, str]
    race: tuple[str, str]
    ethnicity: tuple[str, str]
    payer: tuple[str, str]
    member: str

    @property
    def id(self) -> str:
        return named_id(f"Patient/{self.mrn}")


def named_id(name: str) -> str:
    """The same id for the same name in every run (uuid5)."""
    return str(uuid.uuid5(_SPACE, name))


def people(seed: int, count: int) -> Iterator[Person]:
    """`count` persons; the same seed always gives the same ones."""
    for number in range(count):
        yield person(seed, number)


def person(seed: int, number: int) -> Person:
    r = random.Random(f"{seed}/{number}")
    gender = r.choice(("female", "male"))
    given, middle = r.sample(names.GIVEN_FEMALE if gender == "female" else names.GIVEN_MALE, 2)
    family = r.choice(names.FAMILY)
    city, state, postal = r.choice(names.TOWNS)
    return Person(
        number=number,
        mrn=f"{seed % 1000:03d}{number:06d}",
        family=family,
        given=given,
        middle=middle,
        gender=gender,
        birth=TODAY - timedelta(days=r.randint(30, 92 * 365)),
        line=f"{r.randint(1, 999)} {r.choice(names.STREETS)} {r.choice(names.STREET_KINDS)}",
        city=city,
        state=state,
        postal=postal,
        phone=f"555-01{r.randint(0, 99):02d}",
        email=f"person{number}@example.org",
        language=r.choices(names.LANGUAGES, (70, 15, 5, 5, 5))[0],
        race=r.choices(names.RACES, (60, 15, 15, 6, 4))[0],
        ethnicity=r.choices(names.ETHNICITIES, (80, 20))[0],
        payer=r.choice(names.PAYERS),
        member=f"M{r.randint(10**7, 10**8 - 1)}",
    )


def patient(p: Person) -> Resource:
    """The US Core Patient of a person."""
    return {
        "resourceType": "Patient",
        "id": p.id,
        "extension": [_omb("race", p.race), _omb("ethnicity", p.ethnicity)],
        "identifier": [
            {"use": "usual", "type": _coded("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", "Medical record number"), "system": MRN_SYSTEM, "value": p.mrn}
        ],
        "active": True,
        "name": [{"use": "official", "family": p.family, "given": [p.given, p.middle]}],
        "telecom": [{"system": "phone", "value": p.phone, "use": "home"}, {"system": "email", "value": p.email}],
        "gender": p.gender,
        "birthDate": p.birth.isoformat(),
        "address": [{"use": "home", "line": [p.line], "city": p.city, "state": p.state, "postalCode": p.postal, "country": "US"}],
        "communication": [{"language": _coded("urn:ietf:bcp:47", *p.language), "preferred": True}],
    }  # fmt: skip


def coverage(p: Person) -> Resource:
    """The Coverage of a person, paid by an Organization that organizations() lists."""
    return {
        "resourceType": "Coverage",
        "id": named_id(f"Coverage/{p.mrn}"),
        "status": "active",
        "type": _coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "EHCPOL", "extended healthcare"),
        "identifier": [{"type": _coded("http://terminology.hl7.org/CodeSystem/v2-0203", "MB", "Member Number"), "system": MEMBER_SYSTEM, "value": p.member}],
        "subscriberId": p.member,
        "beneficiary": {"reference": f"Patient/{p.id}"},
        "relationship": _coded("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "self", "Self"),
        "payor": [{"reference": f"Organization/{named_id(p.payer[0])}", "display": p.payer[1]}],
        "class": [{"type": _coded("http://terminology.hl7.org/CodeSystem/coverage-class", "group", "Group"), "value": f"G{p.payer[0]}"}],
    }  # fmt: skip


def organizations() -> list[Resource]:
    """The payers that coverages name."""
    return [
        {
            "resourceType": "Organization",
            "id": named_id(code),
            "identifier": [{"system": "https://payer.example.org/ids", "value": code}],
            "active": True,
            "type": [_coded("http://terminology.hl7.org/CodeSystem/organization-type", "pay", "Payer")],
            "name": name,
        }
        for code, name in names.PAYERS
    ]


def chart(p: Person, seed: int) -> list[Resource]:
    """A person's patient, coverage, and a few encounters with problems and vital signs."""
    r = random.Random(f"{seed}/{p.number}/chart")
    resources = [patient(p), coverage(p)]
    for visit in range(r.randint(1, 3)):
        resources += _visit(p, visit, TODAY - timedelta(days=r.randint(1, 900)), r)
    return list({f"{one['resourceType']}/{one['id']}": one for one in resources}.values())


_PROBLEMS = (
    ("44054006", "Type 2 diabetes mellitus"),
    ("38341003", "Hypertensive disorder"),
    ("195967001", "Asthma"),
    ("84114007", "Heart failure"),
)
_VITALS = (
    ("8867-4", "Heart rate", "/min", 55, 110),
    ("8310-5", "Body temperature", "Cel", 36, 39),
    ("29463-7", "Body weight", "kg", 45, 120),
)


def _visit(p: Person, number: int, day: date, r: random.Random) -> list[Resource]:
    subject = {"reference": f"Patient/{p.id}"}
    encounter = named_id(f"Encounter/{p.mrn}/{number}")
    code, display = r.choice(_PROBLEMS)
    return [
        {
            "resourceType": "Encounter",
            "id": encounter,
            "status": "finished",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": "AMB",
                "display": "ambulatory",
            },
            "type": [_coded("http://snomed.info/sct", "185349003", "Encounter for check up")],
            "subject": subject,
            "period": {"start": f"{day}T09:00:00-06:00", "end": f"{day}T09:30:00-06:00"},
        },
        {
            "resourceType": "Condition",
            "id": named_id(f"Condition/{p.mrn}/{code}"),
            "clinicalStatus": _coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active"),
            "verificationStatus": _coded(
                "http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed", "Confirmed"
            ),
            "category": [
                _coded(
                    "http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item", "Problem List Item"
                )
            ],
            "code": _coded("http://snomed.info/sct", code, display),
            "subject": subject,
            "onsetDateTime": day.isoformat(),
        },
        *(_vital(p, number, day, vital, r) for vital in _VITALS),
    ]


def _vital(p: Person, number: int, day: date, vital: tuple[str, str, str, int, int], r: random.Random) -> Resource:
    code, display, unit, low, high = vital
    return {
        "resourceType": "Observation",
        "id": named_id(f"Observation/{p.mrn}/{number}/{code}"),
        "status": "final",
        "category": [
            _coded("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "Vital Signs")
        ],
        "code": _coded("http://loinc.org", code, display),
        "subject": {"reference": f"Patient/{p.id}"},
        "encounter": {"reference": f"Encounter/{named_id(f'Encounter/{p.mrn}/{number}')}"},
        "effectiveDateTime": f"{day}T09:10:00-06:00",
        "valueQuantity": {
            "value": r.randint(low, high),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
    }


def _coded(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _omb(name: str, coded: tuple[str, str]) -> Resource:
    code, display = coded
    return {
        "url": f"{US_CORE}/us-core-{name}",
        "extension": [
            {"url": "ombCategory", "valueCoding": {"system": OMB, "code": code, "display": display}},
            {"url": "text", "valueString": display},
        ],
    }
