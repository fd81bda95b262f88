"""The papers of a synthetic record: notes, reports, advance directives, answered questionnaires, and who wrote what.

https://hl7.org/fhir/us/core/clinical-notes.html
"""

from __future__ import annotations

import base64
from typing import Any

from suture.sandbox.synthetic.findings import LAB
from suture.sandbox.synthetic.house import HOSPITAL, LABORATORY, QUESTIONNAIRE_URL, doctor
from suture.sandbox.synthetic.shapes import CORE_CODES, Life, Resource, at, coded, coding, extension, to

NOTES = (
    ("11488-4", "Consultation note"),
    ("18842-5", "Discharge summary"),
    ("34117-2", "History and physical note"),
    ("28570-0", "Procedure note"),
    ("11506-3", "Progress note"),
    ("18748-4", "Imaging report"),
    ("11502-2", "Laboratory report"),
    ("11526-1", "Pathology report"),
    ("11504-8", "Surgical operation note"),
    ("34111-5", "Emergency department note"),
)
REPORTS = (
    ("LP29684-5", "Radiology", "18748-4", "Imaging report"),
    ("LP29708-2", "Cardiology", "34752-6", "Cardiology report"),
    ("LP7839-6", "Pathology", "11526-1", "Pathology report"),
)
_DOCUMENT = "us-core-documentreference-category"
AGENTS = "us-core-provenance-participant-type"
TARGETS = frozenset(
    [
        "AllergyIntolerance",
        "CarePlan",
        "CareTeam",
        "Condition",
        "Coverage",
        "Device",
        "DiagnosticReport",
        "DocumentReference",
        "Encounter",
        "Goal",
        "Immunization",
        "MedicationDispense",
        "MedicationRequest",
        "Observation",
        "Patient",
        "Procedure",
        "QuestionnaireResponse",
        "RelatedPerson",
        "ServiceRequest",
        "Specimen",
    ]
)


def papers(life: Life) -> None:
    """Notes, reports, directives and answers of a record."""
    for number, (code, name) in enumerate(NOTES):
        _note(life, code, name, number)
    for row in REPORTS:
        _report(life, *row)
    _laboratory(life)
    _answers(life)
    if life.role != "child":
        _directive(life)


def _file(life: Life, name: str, text: str) -> Resource:
    """The attachment that points to a Binary of the record."""
    encoded = base64.b64encode(f"{text}\n{life.person.given} {life.person.family}\n".encode()).decode()
    life.add("Binary", name, "", contentType="text/plain", data=encoded)
    return {"contentType": "text/plain", "url": life.own("Binary", name)["reference"], "title": text}


def _document(life: Life, name: str, profile: str, attachment: Resource, **more: Any) -> None:
    life.add(
        "DocumentReference", name, profile,
        identifier=[{"system": "https://synthetic.example.org/documents", "value": life.id("DocumentReference", name)}],
        status="current",
        subject=life.subject,
        date=at(life.ago(40)),
        content=[{"attachment": attachment, "format": coding("http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "urn:ihe:iti:xds:2017:mimeTypeSufficient")}],
        **more,
    )  # fmt: skip


def _note(life: Life, code: str, name: str, number: int) -> None:
    attachment = _file(life, f"note/{code}", name)
    if number == 0:
        attachment = {"contentType": "text/plain", "data": base64.b64encode(name.encode()).decode(), "title": name}
    _document(
        life, f"note/{code}", "documentreference", attachment,
        type=coded("loinc", code, name),
        category=[coded(f"{CORE_CODES}/{_DOCUMENT}", "clinical-note", "Clinical Note")],
        author=[to("Practitioner", doctor(number))],
        custodian=to("Organization", HOSPITAL),
        context={"encounter": [life.own("Encounter", "0")], "period": {"start": at(life.ago(40)), "end": at(life.ago(40), "09:30:00")}},
    )  # fmt: skip


def _directive(life: Life) -> None:
    for name, inline in (("adi", False), ("adi/second", True)):
        text = "Durable power of attorney"
        attachment = _file(life, name, text)
        if inline:
            attachment = {"contentType": "text/plain", "data": base64.b64encode(text.encode()).decode()}
        _document(
            life, name, "adi-documentreference", attachment,
            extension=[extension("us-core-authentication-time", valueDateTime=at(life.ago(40)))],
            type=coded("loinc", "64298-3", "Power of attorney"),
            category=[coded("loinc", "42348-3", "Advance healthcare directives")],
            author=[life.subject, to("Practitioner", doctor(0))],
            authenticator=to("Practitioner", doctor(0)),
            custodian=to("Organization", HOSPITAL),
            context={"period": {"start": at(life.ago(40))}},
        )  # fmt: skip


def _report(life: Life, kind: str, section: str, code: str, name: str) -> None:
    url = life.own("Binary", f"report/{kind}")["reference"]
    attachment = _file(life, f"report/{kind}", name)
    image: Resource = {}
    if kind == "LP29684-5":
        life.add("Media", "image", "", status="completed", subject=life.subject,
                 content={"contentType": "text/plain", "url": url})  # fmt: skip
        image = {"media": [{"comment": "overview", "link": life.own("Media", "image")}]}
    results = [
        life.own("Observation", "chest"),
        life.own("Observation", "ejection"),
        life.own("Observation", LAB[0][0]),
    ]
    _diagnostic(life, f"report/{kind}", "diagnosticreport-note", category=[coded("loinc", kind, section)],
                code=coded("loinc", code, name), result=results, presentedForm=[attachment], **image)  # fmt: skip
    _document(
        life, f"report/{kind}", "documentreference", attachment,
        type=coded("loinc", code, name),
        category=[coded(f"{CORE_CODES}/{_DOCUMENT}", "clinical-note", "Clinical Note")],
        author=[to("Practitioner", doctor(1))],
        context={"encounter": [life.own("Encounter", "0")], "period": {"start": at(life.ago(40))}},
    )  # fmt: skip


def _laboratory(life: Life) -> None:
    _diagnostic(
        life, "lab", "diagnosticreport-lab",
        category=[coded("v2-0074", "LAB", "Laboratory")],
        code=coded("loinc", "24323-8", "Comprehensive metabolic panel"),
        specimen=[life.own("Specimen", "blood")],
        result=[life.own("Observation", name) for name, *_ in LAB],
    )  # fmt: skip


def _diagnostic(life: Life, name: str, profile: str, **more: Any) -> None:
    life.add(
        "DiagnosticReport", name, profile,
        status="final",
        subject=life.subject,
        encounter=life.own("Encounter", "0"),
        effectiveDateTime=at(life.ago(40)),
        issued=at(life.ago(39)),
        performer=[to("Organization", LABORATORY), to("Practitioner", doctor(1))],
        resultsInterpreter=[to("Practitioner", doctor(1)), to("Organization", LABORATORY)],
        **more,
    )  # fmt: skip


def _answers(life: Life) -> None:
    often = {"linkId": "food/often", "text": "How often", "answer": [{"valueString": "monthly"}]}
    worry = {"linkId": "food/worry", "text": "Worried that food would run out",
             "answer": [{"valueBoolean": life.r.random() < 0.3, "item": [often]}]}  # fmt: skip
    last = {"linkId": "ride/when", "text": "When last", "answer": [{"valueDate": life.ago(90).isoformat()}]}
    life.add(
        "QuestionnaireResponse", "needs", "questionnaireresponse",
        identifier={"system": "https://synthetic.example.org/answers", "value": life.person.mrn},
        questionnaire=QUESTIONNAIRE_URL,
        _questionnaire={"extension": [
            extension("http://hl7.org/fhir/StructureDefinition/display", valueString="Needs at home"),
            extension("us-core-extension-questionnaire-uri", valueUri="https://synthetic.example.org/needs"),
        ]},
        status="completed",
        subject=life.subject,
        authored=at(life.ago(40)),
        author=life.subject if life.role != "elder" else to("Practitioner", doctor(0)),
        item=[{"linkId": "food", "text": "Was there food at home every day?", "item": [worry]},
              {"linkId": "ride", "text": "Missed a visit for want of a ride", "answer": [{"valueBoolean": True, "item": [last]}]}],
    )  # fmt: skip


def origins(life: Life) -> None:
    """Provenance of everything in the record, twenty resources at a time: who wrote it, who sent it."""
    targets = [to(one["resourceType"], one["id"]) for one in life.made if one["resourceType"] in TARGETS]
    who, house_of = to("Practitioner", doctor(0)), to("Organization", HOSPITAL)
    agents = [
        {"type": coded("provenance-participant-type", "author", "Author"), "who": who, "onBehalfOf": house_of},
        {
            "type": coded(f"{CORE_CODES}/{AGENTS}", "transmitter", "Transmitter"),
            "who": house_of,
            "onBehalfOf": house_of,
        },
    ]
    for start in range(0, len(targets), 20):
        life.add("Provenance", str(start), "provenance", target=targets[start : start + 20],
                 recorded=at(life.ago(39)), agent=agents)  # fmt: skip
