"""What is done for a synthetic person: visits, problems, allergies, medicines, vaccines, procedures, orders, plans.

https://hl7.org/fhir/us/core/profiles-and-extensions.html
"""

from __future__ import annotations

from typing import Any

from suture.sandbox.synthetic.house import HOSPITAL, MEDICINES, WARD, doctor, medicine, post
from suture.sandbox.synthetic.shapes import (
    ABSENT,
    CORE_CODES,
    Life,
    Resource,
    at,
    coded,
    coding,
    extension,
    quantity,
    to,
)

_PROBLEMS = (
    ("44054006", "Type 2 diabetes mellitus"),
    ("38341003", "Hypertensive disorder"),
    ("195967001", "Asthma"),
    ("84114007", "Heart failure"),
)
_ACTIVE = coded("condition-clinical", "active", "Active")
_OVER = coded("condition-clinical", "resolved", "Resolved")
_SURE = coded("condition-ver-status", "confirmed", "Confirmed")
_ASSERTED = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"


def care(life: Life) -> None:
    """The whole care of a record, visit by visit and room by room."""
    for visit in range(2):
        _visit(life, visit)
    for room in (_problems, _allergies, _medicines, _vaccines, _procedures, _orders, _devices, _goals, _plans, _teams):
        room(life)


def _visit(life: Life, visit: int) -> None:
    day = life.ago(40 + 300 * visit)
    period = {"start": at(day), "end": at(day, "09:30:00")}
    part = {"type": [coded("v3-ParticipationType", "PPRF", "primary performer")], "period": period}
    life.add(
        "Encounter", str(visit), "encounter",
        extension=[extension("us-core-interpreter-needed", valueCoding=coding("snomed", "373067005", "No"))],
        identifier=[{"system": "https://synthetic.example.org/visits", "value": f"{life.person.mrn}-{visit}"}],
        status="finished",
        **{"class": coding("actcode", "AMB", "ambulatory")},
        type=[coded("snomed", "185349003", "Encounter for check up")],
        subject=life.subject,
        participant=[part | {"individual": to("Practitioner", doctor(visit))}],
        period=period,
        reasonCode=[coded("snomed", "410620009", "Well visit")],
        reasonReference=[life.own("Condition", "problem"), life.own("Condition", "visit" if visit else "today")],
        hospitalization={"dischargeDisposition": coded("discharge-disposition", "home", "Home")},
        location=[{"location": to("Location", WARD)}],
        serviceProvider=to("Organization", HOSPITAL),
    )  # fmt: skip


def _condition(life: Life, name: str, profile: str, kinds: list[Resource], code: Resource, **more: Any) -> None:
    given = {
        "extension": [extension(_ASSERTED, valueDateTime=life.ago(340).isoformat())],
        "clinicalStatus": _ACTIVE,
        "verificationStatus": _SURE,
        "category": kinds,
        "code": code,
        "subject": life.subject,
        "onsetDateTime": life.ago(400).isoformat(),
        "recordedDate": at(life.ago(340)),
        "recorder": to("Practitioner", doctor(0)),
        **more,
    }
    life.add("Condition", name, profile, **given)


def _problems(life: Life) -> None:
    problem = coded("snomed", *life.r.choice(_PROBLEMS))
    listed, concern = (
        coded("condition-category", "problem-list-item"),
        coded(f"{CORE_CODES}/condition-category", "health-concern"),
    )
    diagnosed, social = coded("condition-category", "encounter-diagnosis"), coded("core", "sdoh")
    both = "condition-problems-health-concerns"
    _condition(life, "problem", both, [listed], problem, encounter=life.own("Encounter", "1"))
    over: Resource = {"clinicalStatus": _OVER, "abatementDateTime": life.ago(100).isoformat()}
    _condition(life, "cold", both, [listed], coded("snomed", "82272006", "Common cold"), **over)
    _condition(life, "food", both, [concern, social], coded("snomed", "733423003", "Food insecurity"))
    visit = life.own("Encounter", "1")
    _condition(
        life,
        "visit",
        "condition-encounter-diagnosis",
        [diagnosed],
        coded("icd10", "J00", "Common cold"),
        encounter=visit,
        **over,
    )
    _condition(
        life, "today", "condition-encounter-diagnosis", [diagnosed], problem, encounter=life.own("Encounter", "0")
    )


def _allergies(life: Life) -> None:
    for name, code, what, state in (
        ("penicillin", "764146007", "Penicillin", "active"),
        ("peanut", "762952008", "Peanut", "inactive"),
    ):
        life.add(
            "AllergyIntolerance", name, "allergyintolerance",
            clinicalStatus=coded("allergyintolerance-clinical", state),
            verificationStatus=coded("allergyintolerance-verification", "confirmed"),
            code=coded("snomed", code, what),
            patient=life.subject,
            recorder=to("Practitioner", doctor(0)),
            reaction=[{"manifestation": [coded("snomed", "247472004", "Wheal")], "severity": "mild"}],
        )  # fmt: skip


def _dosage(number: int) -> list[Resource]:
    return [{
        "text": "1 tablet by mouth once a day",
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "route": coded("snomed", "26643006", "Oral route"),
        "doseAndRate": [{"doseQuantity": quantity(1 + number % 2, "{tbl}")}],
    }]  # fmt: skip


def _medicine(number: int) -> Resource:
    """By reference or by code, in turns."""
    if number % 2:
        return {"medicationCodeableConcept": coded("rxnorm", *MEDICINES[number % len(MEDICINES)])}
    return {"medicationReference": to("Medication", medicine(number))}


def _medicines(life: Life) -> None:
    for number, status in enumerate(("active", "completed", "active")):
        reported: Resource = {"reportedBoolean": False}
        if number == 2:
            reported = {"reportedReference": to("Practitioner", doctor(0))}
        _prescription(life, number, status, {**_medicine(number), **reported})
        _dispense(life, number)


def _prescription(life: Life, number: int, status: str, more: Resource) -> None:
    takes = [
        {"url": "medicationAdherence", "valueCodeableConcept": coded("snomed", "1156699004", "Takes as directed")},
        {"url": "dateAsserted", "valueDateTime": at(life.ago(40))},
        {"url": "informationSource", "valueCodeableConcept": coded("snomed", "116154003", "Patient")},
    ]
    life.add(
        "MedicationRequest", str(number), "medicationrequest",
        extension=[extension("us-core-medication-adherence", extension=takes)],
        status=status,
        intent="order",
        category=[coded("medicationrequest-category", "outpatient", "Outpatient")],
        subject=life.subject,
        encounter=life.own("Encounter", str(number % 2)),
        authoredOn=at(life.ago(40 + number)),
        requester=to("Practitioner", doctor(number)),
        reasonCode=[coded("snomed", "38341003", "Hypertensive disorder")],
        reasonReference=[life.own("Condition", "problem")],
        dosageInstruction=_dosage(number),
        dispenseRequest={"numberOfRepeatsAllowed": 3, "quantity": quantity(30, "{tbl}")},
        **more,
    )  # fmt: skip


def _dispense(life: Life, number: int) -> None:
    life.add(
        "MedicationDispense", str(number), "medicationdispense",
        status="completed",
        subject=life.subject,
        context=life.own("Encounter", str(number % 2)),
        performer=[{"actor": to("Practitioner", doctor(2))}, {"actor": to("Organization", HOSPITAL)}],
        authorizingPrescription=[life.own("MedicationRequest", str(number))],
        type=coded("actcode", "FF", "First Fill"),
        quantity=quantity(30, "{tbl}"),
        whenHandedOver=at(life.ago(39)),
        dosageInstruction=_dosage(number),
        **_medicine(number),
    )  # fmt: skip


def _vaccines(life: Life) -> None:
    for name, code, what, done in (
        ("flu", "140", "Influenza, injectable, preservative free", True),
        ("tdap", "115", "Tdap", False),
    ):
        more: Resource = {"lotNumber": f"L{life.r.randint(1000, 9999)}", "location": to("Location", WARD)}
        if not done:
            more = {"statusReason": coded("v3-ActReason", "PATOBJ", "Patient objection")}
        life.add(
            "Immunization", name, "immunization",
            status="completed" if done else "not-done",
            vaccineCode=coded("cvx", code, what),
            patient=life.subject,
            encounter=life.own("Encounter", "0"),
            occurrenceDateTime=at(life.ago(40)),
            primarySource=True,
            performer=[{"actor": to("Practitioner", doctor(2))}],
            **more,
        )  # fmt: skip


def _procedures(life: Life) -> None:
    day = life.ago(40)
    for name, code, what, when in (
        ("ecg", "29303009", "Electrocardiographic procedure", {"performedDateTime": at(day)}),
        ("dressing", "225358003", "Wound care", {"performedPeriod": {"start": at(day), "end": at(day, "09:20:00")}}),
    ):
        life.add(
            "Procedure", name, "procedure",
            basedOn=[life.own("ServiceRequest", "procedure")],
            status="completed",
            code=coded("snomed", code, what),
            subject=life.subject,
            encounter=life.own("Encounter", "0"),
            performer=[{"actor": to("Practitioner", doctor(0))}],
            reasonCode=[coded("snomed", "38341003", "Hypertensive disorder")],
            reasonReference=[life.own("Condition", "problem")],
            **when,
        )  # fmt: skip


def _orders(life: Life) -> None:
    day = life.ago(45)
    for name, kind, code, when in (
        ("lab", ("snomed", "108252007", "Laboratory procedure"), ("loinc", "24323-8", "Comprehensive metabolic panel"), {"occurrenceDateTime": at(day)}),
        ("procedure", ("snomed", "387713003", "Surgical procedure"), ("snomed", "29303009", "Electrocardiographic procedure"), {"occurrencePeriod": {"start": at(day)}}),
        ("food", ("core", "sdoh", ""), ("snomed", "467771000124109", "Assistance with food access"), {"occurrenceDateTime": at(day)}),
    ):  # fmt: skip
        life.add(
            "ServiceRequest", name, "servicerequest",
            status="active",
            intent="order",
            category=[coded(*kind)],
            code=coded(*code),
            subject=life.subject,
            encounter=life.own("Encounter", "0"),
            authoredOn=at(day),
            requester=to("Practitioner", doctor(0)),
            reasonCode=[coded("snomed", "38341003", "Hypertensive disorder")],
            reasonReference=[life.own("Condition", "problem")],
            **when,
        )  # fmt: skip


def _devices(life: Life) -> None:
    made, ends, serial, lot = life.ago(800), life.ago(-2000), f"S{life.person.mrn}", f"P{life.r.randint(100, 999)}"
    label = f"(01)09504000059118(11){made:%y%m%d}(17){ends:%y%m%d}(10){lot}(21){serial}"
    life.add(
        "Device", "pacemaker", "implantable-device",
        udiCarrier=[{"deviceIdentifier": "09504000059118", "carrierHRF": label}],
        status="active",
        distinctIdentifier=f"DI{life.person.mrn}",
        manufactureDate=made.isoformat(),
        expirationDate=ends.isoformat(),
        lotNumber=lot,
        serialNumber=serial,
        type=coded("snomed", "14106009", "Cardiac pacemaker"),
        patient=life.subject,
    )  # fmt: skip


def _goals(life: Life) -> None:
    start: Resource = {"startDate": life.ago(40).isoformat()}
    if life.role == "child":
        start = {"_startDate": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}}
    life.add(
        "Goal", "walk", "goal",
        lifecycleStatus="active",
        description={**coded("snomed", "229065009", "Exercise therapy"), "text": "Walk half an hour every day"},
        subject=life.subject,
        target=[{"dueDate": life.ago(-180).isoformat()}],
        expressedBy=life.subject if life.role != "elder" else to("Practitioner", doctor(0)),
        **start,
    )  # fmt: skip


def _plans(life: Life) -> None:
    life.add(
        "CarePlan", "plan", "careplan",
        text={"status": "additional", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Walk more, salt less.</div>'},
        status="active",
        intent="plan",
        category=[coded(f"{CORE_CODES}/careplan-category", "assess-plan")],
        subject=life.subject,
        period={"start": at(life.ago(40)), "end": at(life.ago(-180))},
        contributor=[to("Practitioner", doctor(0))],
        goal=[life.own("Goal", "walk")],
    )  # fmt: skip


def _teams(life: Life) -> None:
    relative = next(role for role in life.kin if role != life.role)
    members = (
        ("17561000", "Cardiologist", to("Practitioner", doctor(1))),
        ("59058001", "General physician", to("PractitionerRole", post(0))),
        ("116154003", "Patient", life.subject),
        ("133932002", "Caregiver", life.own("RelatedPerson", relative)),
        ("224891009", "Healthcare services", to("Organization", HOSPITAL)),
    )
    life.add(
        "CareTeam", "team", "careteam",
        status="active",
        name="Care team",
        subject=life.subject,
        participant=[{"role": [coded("snomed", code, what)], "member": who} for code, what, who in members],
    )  # fmt: skip
