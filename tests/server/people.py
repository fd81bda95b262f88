"""Small resources for tests, all made up."""

from __future__ import annotations

from typing import Any

SYSTEM = "http://example.org/mrn"


def patient(id: str, family: str = "Example", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id,
        "identifier": [{"system": SYSTEM, "value": f"mrn-{id}"}],
        "name": [{"family": family, "given": ["Ann"]}],
        "gender": "female",
        "birthDate": "1980-02-03",
        **more,
    }


def observation(id: str, whose: str, code: str = "8867-4", value: str = "72", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                    }
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{whose}"},
        "effectiveDateTime": "2024-05-06T07:08:09Z",
        "valueString": value,
        **more,
    }


def practitioner(id: str, family: str = "Doctor") -> dict[str, Any]:
    return {"resourceType": "Practitioner", "id": id, "name": [{"family": family}]}


def encounter(id: str, whose: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": id,
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{whose}"},
        **more,
    }
