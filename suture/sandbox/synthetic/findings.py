"""What is measured and asked of a synthetic person: vital signs, laboratory, social history, screening, preferences.

https://hl7.org/fhir/us/core/profiles-and-extensions.html
"""

from __future__ import annotations

from typing import Any

from suture.sandbox.synthetic.house import doctor
from suture.sandbox.synthetic.shapes import Life, Resource, at, coded, coding, extension, quantity, to, unknown

# name, profile, LOINC, what, unit, lowest, highest
VITALS = (
    ("rate", "heart-rate", "8867-4", "Heart rate", "/min", 55, 110),
    ("breath", "respiratory-rate", "9279-1", "Respiratory rate", "/min", 12, 20),
    ("warmth", "body-temperature", "8310-5", "Body temperature", "Cel", 36, 39),
    ("weight", "body-weight", "29463-7", "Body weight", "kg", 4, 120),
    ("height", "body-height", "8302-2", "Body height", "cm", 50, 195),
    ("bmi", "bmi", "39156-5", "Body mass index", "kg/m2", 15, 34),
)
_HEAD = "http://hl7.org/fhir/us/core/StructureDefinition/"
CHILD_VITALS = (
    ("head", "head-circumference", "9843-4", "Head circumference", "cm", 33, 49),
    ("bmi-pct", f"{_HEAD}pediatric-bmi-for-age", "59576-9", "BMI for age percentile", "%", 5, 95),
    ("wfl-pct", f"{_HEAD}pediatric-weight-for-height", "77606-2", "Weight for length percentile", "%", 5, 95),
    ("head-pct", f"{_HEAD}head-occipital-frontal-circumference-percentile", "8289-1", "Head circumference percentile", "%", 5, 95),
)  # fmt: skip
LAB = (
    ("glucose", "2345-7", "Glucose", "mg/dL", 70, 180, 99),
    ("hemoglobin", "718-7", "Hemoglobin", "g/dL", 9, 17, 15),
    ("creatinine", "2160-0", "Creatinine", "mg/dL", 1, 3, 1),
)
_POSITION = {
    "code": coded("loinc", "8361-8", "Body position"),
    "valueCodeableConcept": coded("snomed", "33586001", "Sitting position"),
}
_POSITION_UNKNOWN = {"code": coded("loinc", "8361-8", "Body position"), "dataAbsentReason": unknown()}


def findings(life: Life) -> None:
    """All observations of a record, visit by visit."""
    for visit in range(2):
        _vitals(life, visit)
    _laboratory(life)
    _clinical(life)
    _screening(life)
    _social(life)
    _preferences(life)


def category(code: str) -> Resource:
    return coded("observation-category", code)


def core(code: str) -> Resource:
    return coded("core", code)


def observe(life: Life, name: str, profile: str, day: int, **more: Any) -> Resource:
    """An observation of this person, `day` days ago."""
    given = {"status": "final", "subject": life.subject, "performer": [to("Practitioner", doctor(day))], **more}
    if not any(key.startswith("effective") for key in given):
        given["effectiveDateTime"] = at(life.ago(day), "09:10:00")
    return life.add("Observation", name, profile, **given)


def _vitals(life: Life, visit: int) -> None:
    day = 40 + 300 * visit
    for row in VITALS + (CHILD_VITALS if life.role == "child" else ()):
        _vital(life, visit, day, row)
    _pressure(life, visit, day)
    _oximetry(life, visit, day)
    if life.role != "child":
        _average(life, visit, day)


def _vital(life: Life, visit: int, day: int, row: tuple[str, str, str, str, str, int, int]) -> None:
    name, profile, code, what, unit, low, high = row
    missing = visit == 1
    value: Resource = (
        {"dataAbsentReason": unknown()}
        if missing and life.role in {"elder", "child"}
        else {"valueQuantity": quantity(life.r.randint(low * 10, high * 10) / 10, unit)}
    )
    observe(
        life, f"{name}/{visit}", profile, day,
        category=[category("vital-signs")],
        code=coded("loinc", code, what),
        encounter=life.own("Encounter", str(visit)),
        component=[_POSITION_UNKNOWN if missing else _POSITION],
        **value,
    )  # fmt: skip


def _part(code: str, value: float, unit: str) -> Resource:
    return {"code": coded("loinc", code), "valueQuantity": quantity(value, unit)}


def _absent(code: str) -> Resource:
    return {"code": coded("loinc", code), "dataAbsentReason": unknown()}


def _pressure(life: Life, visit: int, day: int) -> None:
    high, low = life.r.randint(100, 160), life.r.randint(60, 95)
    parts = [_part("8480-6", high, "mm[Hg]"), _part("8462-4", low, "mm[Hg]")]
    missing = visit == 1 and life.role == "elder"
    absent: Resource = {"dataAbsentReason": unknown()} if missing else {}
    observe(
        life, f"pressure/{visit}", "blood-pressure", day,
        category=[category("vital-signs")],
        code=coded("loinc", "85354-9", "Blood pressure panel"),
        component=[_absent("8480-6"), _absent("8462-4")] if missing else parts,
        **absent,
    )  # fmt: skip


def _oximetry(life: Life, visit: int, day: int) -> None:
    parts = [_part("3151-8", 2, "L/min"), _part("3150-0", 28, "%")]
    missing = visit == 1 and life.role == "elder"
    value: Resource = (
        {"dataAbsentReason": unknown()} if missing else {"valueQuantity": quantity(life.r.randint(92, 100), "%")}
    )
    observe(
        life, f"oximetry/{visit}", "pulse-oximetry", day,
        category=[category("vital-signs")],
        code={"coding": [coding("loinc", "59408-5"), coding("loinc", "2708-6")], "text": "Oxygen saturation"},
        component=[_absent("3151-8"), _absent("3150-0")] if missing else parts,
        **value,
    )  # fmt: skip


def _average(life: Life, visit: int, day: int) -> None:
    parts = [_part("96608-5", life.r.randint(105, 140), "mm[Hg]"), _part("96609-3", life.r.randint(65, 90), "mm[Hg]")]
    missing = visit == 1 and life.role == "elder"
    observe(
        life, f"average/{visit}", "average-blood-pressure", day,
        category=[category("vital-signs")],
        code=coded("loinc", "96607-7", "Blood pressure panel mean"),
        effectivePeriod={"start": at(life.ago(day + 7)), "end": at(life.ago(day))},
        component=[_absent("96608-5"), _absent("96609-3")] if missing else parts,
    )  # fmt: skip


def _laboratory(life: Life) -> None:
    life.add(
        "Specimen", "blood", "specimen",
        identifier=[{"system": "https://synthetic.example.org/specimens", "value": life.person.mrn}],
        accessionIdentifier={"system": "https://synthetic.example.org/accessions", "value": f"A{life.person.mrn}"},
        status="available",
        type=coded("snomed", "119297000", "Blood specimen"),
        subject=life.subject,
        collection={"collectedDateTime": at(life.ago(40)), "bodySite": coded("snomed", "368208006", "Left upper arm")},
        condition=[coded("v2-0493", "LIVE", "Live")],
    )  # fmt: skip
    for name, code, what, unit, low, high, limit in LAB:
        value = life.r.randint(low * 10, high * 10) / 10
        over = ("H", "High") if value > limit else ("N", "Normal")
        _result(life, name, code, what, valueQuantity=quantity(value, unit), interpretation=[coded("v3-ObservationInterpretation", *over)],
                referenceRange=[{"low": quantity(low, unit), "high": quantity(limit, unit), "text": f"{low} to {limit} {unit}"}])  # fmt: skip
    _result(life, "ketones", "2514-8", "Ketones", valueCodeableConcept=coded("snomed", "260385009", "Negative"))
    _result(life, "color", "5778-6", "Color of urine", valueString="yellow")
    _result(life, "potassium", "2823-3", "Potassium", dataAbsentReason=unknown())


def _result(life: Life, name: str, code: str, what: str, **value: Any) -> None:
    observe(
        life, name, "observation-lab", 40,
        category=[category("laboratory")],
        code=coded("loinc", code, what),
        encounter=life.own("Encounter", "0"),
        specimen=life.own("Specimen", "blood"),
        **value,
    )  # fmt: skip


def _clinical(life: Life) -> None:
    for name, kind, code, what, value in (
        ("ecg", "procedure", "8601-7", "EKG impression", {"valueString": "Sinus rhythm"}),
        ("chest", "imaging", "18782-3", "Radiology impression", {"valueCodeableConcept": coded("snomed", "17621005", "Normal")}),
        ("ejection", "imaging", "10230-1", "Left ventricular ejection fraction", {"valueQuantity": quantity(60, "%")}),
        ("stress", "procedure", "18752-6", "Exercise stress test", {"dataAbsentReason": unknown()}),
    ):  # fmt: skip
        observe(life, name, "observation-clinical-result", 40, category=[category(kind)], code=coded("loinc", code, what),
                encounter=life.own("Encounter", "0"), **value)  # fmt: skip


# name, categories beside survey, LOINC, what
_SCREENED = (
    ("food", "sdoh", "88122-7", "Food ran out before money to buy more"),
    ("walking", "functional-status", "54628-3", "Walking"),
    ("disability", "disability-status", "69858-9", "Serious difficulty walking or climbing stairs"),
    ("memory", "cognitive-status", "69740-9", "Recall score"),
)


def _screening(life: Life) -> None:
    answers = life.own("QuestionnaireResponse", "needs")
    members = [life.own("Observation", name) for name, *_ in _SCREENED]
    for name, kind, code, what in _SCREENED:
        value: Resource = {"valueCodeableConcept": coded("loinc", "LA28398-7", "Never true")}
        if name == "memory":
            value = {"valueQuantity": quantity(life.r.randint(1, 3), "{score}")}
        if name == "walking":
            value = {"valueString": "walks alone"}
        screened(life, name, kind, code, what, derivedFrom=[answers], **value)
    screened(life, "panel", "sdoh", "88121-9", "Hunger Vital Sign", hasMember=[*members, answers],
             derivedFrom=[members[0], life.own("DocumentReference", "note/11488-4")], dataAbsentReason=unknown())  # fmt: skip


def screened(life: Life, name: str, kind: str, code: str, what: str, **more: Any) -> None:
    """A screening or assessment; its category of US Core stands beside `survey`."""
    observe(life, name, "observation-screening-assessment", 40, category=[category("survey"), core(kind)],
            code=coded("loinc", code, what), performer=[to("Practitioner", doctor(40)), life.subject], **more)  # fmt: skip


# name, profile, LOINC, what, the answer
_HABITS = (
    ("smoking", "smokingstatus", "72166-2", "Tobacco smoking status", coded("snomed", "8517006", "Ex-smoker")),
    ("orientation", "observation-sexual-orientation", "76690-7", "Sexual orientation", coded("snomed", "20430005", "Heterosexual")),
)  # fmt: skip
_PREGNANCY = (
    ("pregnancy", "observation-pregnancystatus", "82810-3", "Pregnancy status", coded("snomed", "60001007", "Not pregnant")),
    ("intent", "observation-pregnancyintent", "86645-9", "Pregnancy intention", coded("snomed", "454391000124103", "Wants to become pregnant")),
)  # fmt: skip
_WORKS = "urn:oid:2.16.840.1.114222.4.5.327"


def _social(life: Life) -> None:
    if life.role == "child":
        return
    social = [category("social-history")]
    for name, profile, code, what, answer in _HABITS + (_PREGNANCY if life.role == "mother" else ()):
        observe(life, name, profile, 40, category=social, code=coded("loinc", code, what), valueCodeableConcept=answer)
    observe(life, "packs", "smokingstatus", 41, category=social, code=coded("loinc", "8664-5", "Pack years"),
            valueQuantity=quantity(life.r.randint(1, 30), "{PackYears}"))  # fmt: skip
    _simple(life)
    _work(life)


def _simple(life: Life) -> None:
    days = quantity(life.r.randint(0, 7), "d/wk")
    housed = coded("loinc", "LA31993-1", "A steady place to live")
    observe(life, "activity", "simple-observation", 40, category=[category("activity")],
            code=coded("loinc", "89555-7", "Days a week of exercise"), valueQuantity=days,
            derivedFrom=[life.own("QuestionnaireResponse", "needs")])  # fmt: skip
    observe(life, "home", "simple-observation", 40, category=[category("social-history"), core("sdoh")],
            code=coded("loinc", "71802-3", "Housing status"), valueCodeableConcept=housed,
            performer=[to("Practitioner", doctor(40)), life.subject], derivedFrom=[life.own("QuestionnaireResponse", "needs")])  # fmt: skip


def _work(life: Life) -> None:
    industry = {
        "code": coded("loinc", "86188-0", "Industry"),
        "valueCodeableConcept": coded(_WORKS, "622110", "Hospitals"),
    }
    observe(
        life, "work", "observation-occupation", 40,
        category=[category("social-history")],
        code=coded("loinc", "11341-5", "History of occupation"),
        effectivePeriod={"start": life.ago(3000).isoformat(), "end": life.ago(200).isoformat()},
        valueCodeableConcept=coded(_WORKS, "29-1141.00", "Registered nurse"),
        component=[industry],
    )  # fmt: skip


def _preferences(life: Life) -> None:
    if life.role == "child":
        return
    for name, code, what in (
        ("treatment-intervention-preference", "75773-2", "Treatment preferences"),
        ("care-experience-preference", "95541-9", "Care experience preference"),
    ):
        observe(life, name, name, 40, category=[core(name)], code=coded("loinc", code, what),
                valueString="Comfort first" if life.role == "elder" else "Full treatment")  # fmt: skip
    observe(
        life, "adi", "observation-adi-documentation", 40,
        extension=[extension("http://hl7.org/fhir/StructureDefinition/workflow-supportingInfo", valueReference=life.own("DocumentReference", "adi"))],
        category=[core("observation-adi-documentation")],
        code=coded("loinc", "45473-6", "Advance directive"),
        issued=at(life.ago(40)),
        valueCodeableConcept=coded("loinc", "LA33-6", "Yes"),
    )  # fmt: skip
