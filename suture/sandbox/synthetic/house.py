"""What all synthetic people share: the hospital, its staff and rooms, payers, medicines, the questionnaire.

https://hl7.org/fhir/us/core/
"""

from __future__ import annotations

from datetime import date
from typing import Any

from suture.sandbox import names
from suture.sandbox.people import named_id
from suture.sandbox.synthetic.shapes import Resource, coded, coding, shaped, to

ADDRESS = {"line": ["1 Harbor Way"], "city": "Lakeside", "state": "IL", "postalCode": "60601", "country": "US"}
PHONE = [{"system": "phone", "value": "555-0100", "use": "work"}]
HOSPITAL, LABORATORY, WARD = named_id("house/hospital"), named_id("house/laboratory"), named_id("house/ward")
ENDPOINT, QUESTIONNAIRE = named_id("house/endpoint"), named_id("house/questionnaire")
QUESTIONNAIRE_URL = f"https://synthetic.example.org/Questionnaire/{QUESTIONNAIRE}"
NPIS = ("1245319599", "1245319607", "1245319615")  # with their check digits
STAFF = (
    ("Okafor", "Grace", "208D00000X", "General Practice"),
    ("Lindqvist", "Ivan", "207RC0000X", "Cardiovascular Disease"),
    ("Tanaka", "Mei", "163W00000X", "Registered Nurse"),
)
MEDICINES = (
    ("860975", "metformin 500 MG extended release oral tablet"),
    ("314076", "lisinopril 10 MG oral tablet"),
    ("197361", "amlodipine 5 MG oral tablet"),
)


def doctor(number: int) -> str:
    return named_id(f"house/staff/{number % len(STAFF)}")


def post(number: int) -> str:
    return named_id(f"house/post/{number % len(STAFF)}")


def medicine(number: int) -> str:
    return named_id(f"house/medicine/{number % len(MEDICINES)}")


def payer(code: str) -> str:
    return named_id(f"house/payer/{code}")


def shared(anchor: date) -> list[Resource]:
    """The resources that are nobody's own."""
    return [
        *_organizations(anchor),
        _ward(anchor),
        _endpoint(anchor),
        _questionnaire(anchor),
        *(one for number in range(len(STAFF)) for one in _staff(number, anchor)),
        *(
            shaped(
                "Medication", medicine(n), "medication", anchor, {"code": coded("rxnorm", *named), "status": "active"}
            )
            for n, named in enumerate(MEDICINES)
        ),
    ]


def _organization(id: str, name: str, kind: str, identifiers: list[Resource], anchor: date) -> Resource:
    elements = {
        "identifier": identifiers,
        "active": True,
        "type": [coded("organization-type", kind)],
        "name": name,
        "telecom": PHONE,
        "address": [ADDRESS],
    }
    return shaped("Organization", id, "organization", anchor, elements)


def _organizations(anchor: date) -> list[Resource]:
    npi = {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1144221847"}
    clia = {"system": "urn:oid:2.16.840.1.113883.4.7", "value": "14D0000001"}
    payers = [
        _organization(payer(code), name, "pay", [{"system": "urn:oid:2.16.840.1.113883.6.300", "value": f"{80840 + n}"}], anchor)
        for n, (code, name) in enumerate(names.PAYERS)
    ]  # fmt: skip
    return [
        _organization(HOSPITAL, "Lakeside Hospital", "prov", [npi], anchor),
        _organization(LABORATORY, "Lakeside Laboratory", "prov", [clia], anchor),
        *payers,
    ]


def _ward(anchor: date) -> Resource:
    elements = {
        "identifier": [{"system": "https://synthetic.example.org/places", "value": "WARD-1"}],
        "status": "active",
        "name": "Lakeside Hospital, ward 1",
        "type": [coded("v3-RoleCode", "HOSP", "Hospital")],
        "telecom": PHONE,
        "address": ADDRESS,
        "managingOrganization": to("Organization", HOSPITAL),
    }
    return shaped("Location", WARD, "location", anchor, elements)


def _endpoint(anchor: date) -> Resource:
    elements = {
        "status": "active",
        "connectionType": coding("endpoint-connection-type", "direct-project", "Direct Project"),
        "payloadType": [coded("endpoint-payload-type", "any", "Any")],
        "address": "mailto:lakeside@direct.example.org",
    }
    return shaped("Endpoint", ENDPOINT, "", anchor, elements)


def _questionnaire(anchor: date) -> Resource:
    items = [
        {"linkId": "food", "text": "Was there food at home every day?", "type": "group", "item": [
            {"linkId": "food/worry", "text": "Worried that food would run out", "type": "boolean", "item": [
                {"linkId": "food/often", "text": "How often", "type": "string"}]}]},
        {"linkId": "ride", "text": "Missed a visit for want of a ride", "type": "boolean", "item": [
            {"linkId": "ride/when", "text": "When last", "type": "date"}]},
    ]  # fmt: skip
    elements = {"url": QUESTIONNAIRE_URL, "status": "active", "title": "Needs at home", "item": items}
    return shaped("Questionnaire", QUESTIONNAIRE, "", anchor, elements)


def _staff(number: int, anchor: date) -> list[Resource]:
    family, given, specialty, title = STAFF[number]
    who: dict[str, Any] = {
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": NPIS[number]}],
        "active": True,
        "name": [{"family": family, "given": [given], "prefix": ["Dr."]}],
        "telecom": PHONE,
        "address": [ADDRESS],
    }
    role = {
        "active": True,
        "practitioner": to("Practitioner", doctor(number)),
        "organization": to("Organization", HOSPITAL),
        "code": [coded("nucc", specialty, title)],
        "specialty": [coded("nucc", specialty, title)],
        "location": [to("Location", WARD)],
        "telecom": PHONE,
        "endpoint": [to("Endpoint", ENDPOINT)],
    }
    return [
        shaped("Practitioner", doctor(number), "practitioner", anchor, who),
        shaped("PractitionerRole", post(number), "practitionerrole", anchor, role),
    ]
