"""A small world of our own making, with the corners that searches stumble over."""

from __future__ import annotations

from typing import Any

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
Resource = dict[str, Any]


def concept(system: str, code: str, text: str = "") -> Resource:
    return {"coding": [{"system": system, "code": code}]} | ({"text": text} if text else {})


def ref(reference: str) -> Resource:
    return {"reference": reference}


def quantity(value: float, unit: str, code: str = "") -> Resource:
    return {"value": value, "unit": unit, "system": UCUM, "code": code or unit}


def patient(id: str, family: str, given: list[str], birth: str, gender: str, **more: Any) -> Resource:
    name = [{"family": family, "given": given}]
    return {"resourceType": "Patient", "id": id, "name": name, "birthDate": birth, "gender": gender} | more


def observation(id: str, code: str, subject: str, when: str, **more: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")],
        "code": concept(LOINC, code),
        "subject": ref(subject),
        "effectiveDateTime": when,
    } | more


def pressure(id: str, subject: str, when: str, high: float, low: float) -> Resource:
    parts = [
        {"code": concept(LOINC, "8480-6"), "valueQuantity": quantity(high, "mmHg", "mm[Hg]")},
        {"code": concept(LOINC, "8462-4"), "valueQuantity": quantity(low, "mmHg", "mm[Hg]")},
    ]
    return observation(id, "85354-9", subject, when, component=parts)


PATIENTS = [
    patient(
        "ann",
        "Müller-Stone",
        ["Ann", "Zoë"],
        "1980-02-03",
        "female",
        identifier=[
            {"system": "urn:mrn", "value": "AbC1", "type": concept("http://terminology.hl7.org/CodeSystem/v2-0203", "MR")},
            {"system": "urn:ssn", "value": "999-1"},
        ],
        telecom=[{"system": "phone", "value": "555-0001"}, {"system": "email", "value": "Ann@Example.org"}],
        address=[{"line": ["1 Brook Road"], "city": "São Paulo", "postalCode": "01000", "state": "SP"}],
        active=True,
        meta={"tag": [{"system": "urn:tags", "code": "vip"}], "profile": ["http://example.org/p/one|1.0"]},
        generalPractitioner=[ref("Practitioner/dora")],
    ),
    patient("bob", "Stone", ["Bob"], "1980", "male", identifier=[{"system": "urn:mrn", "value": "abc1"}], deceasedBoolean=False),
    patient("cyd", "STONEHILL", ["Cyd"], "1999-12", "male", deceasedDateTime="2020-05-05T10:00:00Z", link=[{"other": ref("Patient/bob"), "type": "seealso"}]),
    {"resourceType": "Patient", "id": "nobody", "meta": {"source": "urn:feed:a"}},
]  # fmt: skip

OTHERS: list[Resource] = [
    {"resourceType": "Practitioner", "id": "dora", "name": [{"family": "Ågren", "given": ["Dora"]}], "identifier": [{"system": "urn:npi", "value": "123"}]},
    {"resourceType": "Organization", "id": "mercy", "name": "Mercy  Hospital", "address": [{"city": "Bath"}], "partOf": ref("Organization/group")},
    {"resourceType": "Organization", "id": "group", "name": "Health Group"},
    {
        "resourceType": "Encounter", "id": "stay", "status": "finished", "class": {"system": "urn:class", "code": "IMP"}, "subject": ref("Patient/ann"),
        "period": {"start": "2019-01-01T10:00:00Z", "end": "2019-06-01T10:00:00Z"}, "serviceProvider": ref("Organization/mercy"),
        "location": [{"location": ref("Location/reef")}], "length": {"value": 5, "unit": "d", "system": UCUM, "code": "d"},
    },
    {
        "resourceType": "Encounter", "id": "visit", "status": "in-progress", "class": {"system": "urn:class", "code": "AMB"}, "subject": ref("Patient/bob"),
        "period": {"start": "2020-03-01T10:00:00+02:00"}, "participant": [{"individual": ref("Practitioner/dora")}],
    },
    {
        "resourceType": "Condition", "id": "flu", "subject": ref("Patient/ann"), "code": concept("http://snomed.info/sct", "6142004", "Flu"), "encounter": ref("Encounter/stay"),
        "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"), "onsetDateTime": "2019-01", "recordedDate": "2019-02-01",
    },
    {"resourceType": "Condition", "id": "old", "subject": ref("Patient/bob"), "code": {"text": "something"}, "onsetAge": quantity(30, "a"), "abatementString": "long gone"},
    {"resourceType": "Condition", "id": "span", "subject": ref("Patient/bob"), "onsetRange": {"low": quantity(20, "a"), "high": quantity(25, "a")}, "onsetPeriod": {"end": "2018"}},
    {"resourceType": "Provenance", "id": "who", "target": [ref("Observation/w1"), ref("Patient/ann")], "recorded": "2021-01-01T00:00:00.5Z", "agent": [{"who": ref("Practitioner/dora")}]},
    {"resourceType": "Appointment", "id": "meet", "status": "booked", "start": "2022-01-01T09:00:00Z", "participant": [{"actor": ref("Patient/ann"), "status": "accepted"}, {"actor": ref("Patient/bob"), "status": "accepted"}, {"actor": ref("Practitioner/dora"), "status": "accepted"}]},
    {"resourceType": "RiskAssessment", "id": "risk", "status": "final", "subject": ref("Patient/cyd"), "prediction": [{"probabilityDecimal": 0.25}, {"probabilityRange": {"low": {"value": 10, "unit": "%"}, "high": {"value": 20, "unit": "%"}}}]},
    {"resourceType": "Questionnaire", "id": "form", "status": "active", "url": "http://example.org/fhir/Questionnaire/form", "version": "2.0", "title": "Form", "useContext": [{"code": {"system": "urn:u", "code": "age"}, "valueRange": {"low": quantity(18, "a")}}]},
    {"resourceType": "QuestionnaireResponse", "id": "answer", "status": "completed", "questionnaire": "http://example.org/fhir/Questionnaire/form|2.0", "subject": ref("Patient/ann"), "authored": "2021-05-05"},
    {"resourceType": "DocumentReference", "id": "doc2", "status": "current", "subject": ref("Patient/ann"), "content": [{"attachment": {"url": "http://x/1"}}], "relatesTo": [{"code": "replaces", "target": ref("DocumentReference/doc1")}]},
    {"resourceType": "DocumentReference", "id": "doc1", "status": "superseded", "subject": {"identifier": {"system": "urn:mrn", "value": "AbC1"}}, "content": [{"attachment": {"url": "http://x/2"}}], "date": "2018-01-01T00:00:00Z"},
    {"resourceType": "MolecularSequence", "id": "dna", "coordinateSystem": 0, "patient": ref("Patient/ann"), "referenceSeq": {"chromosome": concept("urn:chr", "1"), "referenceSeqId": concept("urn:seq", "s1"), "windowStart": 10, "windowEnd": 20}, "variant": [{"start": 3, "end": 5}, {"start": 7, "end": 9}]},
    {"resourceType": "Group", "id": "cohort", "type": "person", "actual": True, "characteristic": [{"code": concept("urn:c", "a"), "valueBoolean": True, "exclude": False}, {"code": concept("urn:c", "b"), "valueCodeableConcept": concept("urn:v", "x"), "exclude": False}], "member": [{"entity": ref("Patient/ann")}]},
    {"resourceType": "MedicationRequest", "id": "rx", "status": "active", "intent": "order", "subject": ref("Patient/ann"), "medicationReference": ref("#m"), "contained": [{"resourceType": "Medication", "id": "m"}], "authoredOn": "2020-02-29"},
    {"resourceType": "List", "id": "mine", "status": "current", "mode": "working", "subject": ref("Patient/ann"), "entry": [{"item": ref("Observation/w1")}, {"item": ref("Patient/bob")}, {"item": ref("Observation/w2"), "deleted": True}]},
    {"resourceType": "Location", "id": "munich", "name": "Marienplatz", "position": {"latitude": 48.1374, "longitude": 11.5755}},
    {"resourceType": "Location", "id": "fiji", "position": {"latitude": -16.8, "longitude": 179.99}, "partOf": ref("Location/munich")},
    {"resourceType": "Location", "id": "reef", "partOf": ref("Location/fiji")},
    {"resourceType": "Location", "id": "pole", "position": {"latitude": 90.0, "longitude": 0}},
    {"resourceType": "Location", "id": "equal", "position": {"latitude": 48.0, "longitude": 48.0}},
    {"resourceType": "Invoice", "id": "bill", "status": "issued", "totalGross": {"value": 12.5, "currency": "EUR"}, "subject": ref("Patient/bob")},
]  # fmt: skip

OBSERVATIONS = [
    observation("w1", "29463-7", "Patient/ann", "2020-01-01", valueQuantity=quantity(72.5, "kg"), encounter=ref("Encounter/stay")),
    observation("w2", "29463-7", "Patient/ann", "2020-01-01T23:30:00-02:00", valueQuantity=quantity(73, "kg")),
    observation("w3", "29463-7", "Patient/bob", "2021-07", valueQuantity=quantity(90, "kg") | {"comparator": "<"}, status="amended"),
    observation("h1", "8302-2", "Patient/bob", "2021", valueQuantity={"value": 180, "unit": "cm"}),
    observation("s1", "72166-2", "Patient/cyd", "2019-05-05T10:11:12.345Z", valueCodeableConcept=concept("http://snomed.info/sct", "449868002", "Every day")),
    observation("n1", "11488-4", "Patient/cyd", "2018-02-02", valueString="Überall Schmerz"),
    observation("d1", "8665-2", "Patient/ann", "2017-01-01", valueDateTime="2016-12-24", derivedFrom=[ref("Observation/d1")]),
    observation("x1", "29463-7", "Group/cohort", "2020-02-02", dataAbsentReason=concept("urn:dar", "unknown")),
    observation("f1", "29463-7", "http://elsewhere.example/fhir/Patient/ann", "2020-02-02"),
    observation("t1", "9279-1", "Patient/ann", "2020-02-02", valueSampledData={"origin": quantity(0, "mV"), "period": 10, "dimensions": 1, "factor": 2, "data": "1 2 E 5"}, performer=[ref("Patient/bob")]),
    pressure("p1", "Patient/ann", "2020-06-01", 150, 70),
    pressure("p2", "Patient/bob", "2020-06-02", 120, 95),
]  # fmt: skip

WORLD: list[Resource] = [*PATIENTS, *OTHERS, *OBSERVATIONS]
