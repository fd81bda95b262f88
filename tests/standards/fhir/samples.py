"""Valid resources of many shapes, made for these tests."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

Resource = dict[str, Any]

_LOINC = "http://loinc.org"
_UCUM = "http://unitsofmeasure.org"
_TERMS = "http://terminology.hl7.org/CodeSystem/"


def _concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": "shown"}], "text": "shown"}


def _quantity(value: str, unit: str) -> Resource:
    return {"value": Decimal(value), "unit": unit, "system": _UCUM, "code": unit}


PATIENT: Resource = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"versionId": "1", "lastUpdated": "2026-02-28T10:00:00.123Z", "profile": ["http://example.org/p|1.0"]},
    "text": {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p class="a">A&nbsp;&amp; B<br/></p></div>',
    },
    "extension": [
        {
            "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
            "extension": [{"url": "text", "valueString": "x"}],
        },
        {"url": "http://example.org/score", "valueDecimal": Decimal("1.50")},
    ],
    "identifier": [
        {"use": "usual", "system": "urn:oid:1.2.3", "value": "12", "type": _concept(_TERMS + "v2-0203", "MR")}
    ],
    "active": True,
    "name": [{"use": "official", "family": "A", "given": ["B", "C"], "period": {"start": "2001", "end": "2001-05-01"}}],
    "telecom": [{"system": "phone", "value": "1", "use": "home", "rank": 1}],
    "gender": "female",
    "birthDate": "1980-02-29",
    "_birthDate": {"extension": [{"url": "http://example.org/time", "valueDateTime": "1980-02-29T10:00:00-05:00"}]},
    "deceasedBoolean": False,
    "address": [{"use": "home", "line": ["1 Road"], "city": "X", "country": "US"}],
    "maritalStatus": _concept(_TERMS + "v3-MaritalStatus", "M"),
    "multipleBirthInteger": 2,
    "contact": [
        {"relationship": [_concept(_TERMS + "v2-0131", "N")], "name": {"family": "D"}, "telecom": [{"system": "sms"}]}
    ],
    "communication": [{"language": _concept("urn:ietf:bcp:47", "en"), "preferred": True}],
    "generalPractitioner": [
        {"reference": "Practitioner/7", "type": "Practitioner", "display": "Dr"},
        {"identifier": {"system": "http://example.org", "value": "1"}},
    ],
    "managingOrganization": {"reference": "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"},
    "link": [{"other": {"reference": "http://example.org/fhir/Patient/9/_history/2"}, "type": "seealso"}],
}

OBSERVATION: Resource = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "category": [_concept(_TERMS + "observation-category", "vital-signs")],
    "code": _concept(_LOINC, "85354-9"),
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-01-31T23:59:60+14:00",
    "issued": "2026-01-31T10:00:00Z",
    "valueQuantity": _quantity("72.50", "mm[Hg]"),
    "interpretation": [_concept(_TERMS + "v3-ObservationInterpretation", "H")],
    "note": [{"authorString": "me", "time": "2026-01", "text": "fine\nso far"}],
    "referenceRange": [{"low": _quantity("1", "mm[Hg]"), "high": _quantity("2.0", "mm[Hg]"), "text": "1 to 2"}],
    "component": [
        {"code": _concept(_LOINC, "8480-6"), "valueQuantity": _quantity("120", "mm[Hg]")},
        {"code": _concept(_LOINC, "8462-4"), "dataAbsentReason": _concept(_TERMS + "data-absent-reason", "unknown")},
    ],
}

CONDITION: Resource = {
    "resourceType": "Condition",
    "clinicalStatus": _concept(_TERMS + "condition-clinical", "resolved"),
    "verificationStatus": _concept(_TERMS + "condition-ver-status", "confirmed"),
    "code": _concept("http://snomed.info/sct", "44054006"),
    "subject": {"reference": "Patient/p1"},
    "onsetAge": {"value": 52, "unit": "years", "system": _UCUM, "code": "a"},
    "abatementDateTime": "2020-04",
    "stage": [{"summary": {"text": "x"}}],
    "evidence": [{"code": [{"text": "x"}]}],
}

MEDICATION_REQUEST: Resource = {
    "resourceType": "MedicationRequest",
    "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "aspirin"}}],
    "status": "active",
    "intent": "order",
    "medicationReference": {"reference": "#m"},
    "subject": {"reference": "Patient/p1"},
    "authoredOn": "2026-01-01",
    "dosageInstruction": [
        {
            "sequence": 1,
            "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d", "timeOfDay": ["08:00:00"]}},
            "asNeededBoolean": True,
            "doseAndRate": [{"doseQuantity": _quantity("2", "mg")}],
            "maxDosePerPeriod": {"numerator": _quantity("4", "mg"), "denominator": _quantity("1", "d")},
        }
    ],
    "dispenseRequest": {"validityPeriod": {"start": "2026-01-01", "end": "2026-01-01T09:00:00Z"}},
}

ALLERGY: Resource = {
    "resourceType": "AllergyIntolerance",
    "clinicalStatus": _concept(_TERMS + "allergyintolerance-clinical", "active"),
    "type": "allergy",
    "category": ["food", "medication"],
    "_category": [None, {"id": "c2"}],
    "patient": {"reference": "Patient/p1"},
    "reaction": [{"manifestation": [{"text": "rash"}], "severity": "mild"}],
}

ENCOUNTER: Resource = {
    "resourceType": "Encounter",
    "status": "finished",
    "class": {"system": _TERMS + "v3-ActCode", "code": "AMB"},
    "participant": [{"individual": {"reference": "Practitioner/7"}, "period": {"start": "2026-01-01T10:00:00Z"}}],
    "length": {"value": 30, "unit": "min", "system": _UCUM, "code": "min"},
    "hospitalization": {"dischargeDisposition": {"text": "home"}},
}

PROVENANCE_OF_NONE: Resource = {
    "resourceType": "Patient",
    "name": [
        {"family": "A", "given": ["B", None], "_given": [None, {"extension": [{"url": "urn:x", "valueCode": "y"}]}]}
    ],
    "_gender": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]},
}

DOCUMENT: Resource = {
    "resourceType": "DocumentReference",
    "status": "current",
    "content": [
        {
            "attachment": {
                "contentType": "text/plain;charset=utf-8",
                "data": "aGVsbG8gd29ybGQ=",
                "url": "http://example.org/a?b=c",
                "size": 11,
            }
        }
    ],
    "context": {"related": [{"reference": "Patient?identifier=http://x|1"}]},
}

QUESTIONNAIRE: Resource = {
    "resourceType": "Questionnaire",
    "url": "http://example.org/q",
    "name": "Q",
    "status": "active",
    "item": [
        {
            "linkId": "1",
            "text": "group",
            "type": "group",
            "item": [
                {"linkId": "1.1", "type": "choice", "answerOption": [{"valueCoding": {"code": "a"}}], "required": True},
                {"linkId": "1.2", "type": "string", "maxLength": 10, "enableWhen": [{"question": "1.1", "operator": "exists", "answerBoolean": True}]},
            ],
        }
    ],
}  # fmt: skip

PARAMETERS: Resource = {
    "resourceType": "Parameters",
    "parameter": [
        {"name": "a", "valueString": "b"},
        {"name": "c", "resource": PATIENT},
        {"name": "d", "part": [{"name": "e", "valueMoney": {"value": Decimal("2.10"), "currency": "EUR"}}]},
    ],
}

BUNDLE: Resource = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {"fullUrl": "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7", "resource": PATIENT, "request": {"method": "PUT", "url": "Patient/p1"}},
        {"fullUrl": "http://example.org/fhir/Observation/o1", "resource": OBSERVATION, "request": {"method": "POST", "url": "Observation"}},
        {"resource": MEDICATION_REQUEST, "request": {"method": "POST", "url": "MedicationRequest"}},
    ],
}  # fmt: skip

ALL: list[Resource] = [
    PATIENT, OBSERVATION, CONDITION, MEDICATION_REQUEST, ALLERGY, ENCOUNTER, PROVENANCE_OF_NONE, DOCUMENT, QUESTIONNAIRE,
    PARAMETERS, BUNDLE,
]  # fmt: skip


def fresh(resource: Resource) -> Resource:
    return copy.deepcopy(resource)
