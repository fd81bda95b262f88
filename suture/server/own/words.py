"""Resources in plain words: what it is, when it was, and what else one wants to know (https://hl7.org/fhir/R4/).

One row of a table for each kind of entry; what a resource does not say is left out, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

Resource = Mapping[str, Any]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


class Line(TypedDict):
    """One entry of the record."""

    what: str
    when: str
    more: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One part of the record: how it is searched for, and what is said of each entry."""

    title: str
    type: str
    search: tuple[tuple[str, str], ...]
    nothing: str
    line: Callable[[Resource], Line]


def concept(value: Any) -> str:
    """A CodeableConcept or Coding as somebody would say it."""
    if not isinstance(value, Mapping):
        return ""
    if value.get("text"):
        return str(value["text"])
    codings = [one for one in value.get("coding", []) if isinstance(one, Mapping)] or [value]
    named = next((one for one in codings if one.get("display")), codings[0])
    return str(named.get("display") or named.get("code") or "")


def concepts(values: Any) -> str:
    """Several of them."""
    return ", ".join(filter(None, map(concept, values if isinstance(values, list) else [])))


def reference(value: Any) -> str:
    """What a reference is called, when it says so."""
    return str(value.get("display") or "") if isinstance(value, Mapping) else ""


def day(value: Any) -> str:
    """A date, or as much of one as is known: 5 March 2026, March 2026, 2026."""
    parts = str(value or "")[:10].split("-")
    if not parts[0].isdigit():
        return ""
    if len(parts) > 1 and parts[1].isdigit() and 1 <= int(parts[1]) <= 12:
        month = f"{MONTHS[int(parts[1]) - 1]} {parts[0]}"
        return f"{int(parts[2])} {month}" if len(parts) > 2 and parts[2].isdigit() else month
    return parts[0]


def moment(resource: Resource, *names: str) -> str:
    """The first of these dates, times or periods that is there."""
    for name in names:
        value = resource.get(name)
        if isinstance(value, Mapping):
            value = value.get("start") or value.get("end")
        if value:
            return day(value)
    return ""


def quantity(value: Any) -> str:
    """A number with its unit."""
    if not isinstance(value, Mapping) or value.get("value") is None:
        return ""
    return f"{value.get('comparator', '')}{value['value']} {value.get('unit') or value.get('code') or ''}".strip()


def said(resource: Resource) -> str:
    """What an observation found."""
    found = quantity(resource.get("valueQuantity")) or concept(resource.get("valueCodeableConcept"))
    text = found or str(resource.get("valueString") or "") or _whether(resource.get("valueBoolean"))
    parts = [f"{concept(one.get('code'))} {said(one)}" for one in resource.get("component", []) if said(one)]
    return text or ", ".join(parts) or concept(resource.get("dataAbsentReason"))


def _whether(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else ""


def usual(resource: Resource) -> str:
    """The range that is usual for this result, as the laboratory says it."""
    for one in resource.get("referenceRange", []):
        low, high = quantity(one.get("low")), quantity(one.get("high"))
        if one.get("text") or low or high:
            return f"usual: {one.get('text') or ' to '.join(filter(None, (low, high)))}"
    return ""


def _line(what: str, when: str, *more: str) -> Line:
    return {"what": what or "Not named", "when": when, "more": "; ".join(part for part in more if part)}


def _condition(r: Resource) -> Line:
    ended = moment(r, "abatementDateTime", "abatementPeriod")
    over = f"until {ended}" if ended else concept(r.get("clinicalStatus"))
    return _line(concept(r.get("code")), moment(r, "onsetDateTime", "onsetPeriod", "recordedDate"), over)


def _allergy(r: Resource) -> Line:
    reactions = ", ".join(filter(None, (concepts(one.get("manifestation")) for one in r.get("reaction", []))))
    high = "serious" if r.get("criticality") == "high" else ""
    return _line(concept(r.get("code")), moment(r, "onsetDateTime", "recordedDate"), reactions, high)


def _medicine(r: Resource) -> Line:
    how = "; ".join(filter(None, (str(one.get("text") or "") for one in r.get("dosageInstruction", []))))
    name = concept(r.get("medicationCodeableConcept")) or reference(r.get("medicationReference"))
    return _line(name, moment(r, "authoredOn"), how, str(r.get("status") or ""))


def _immunization(r: Resource) -> Line:
    return _line(concept(r.get("vaccineCode")), moment(r, "occurrenceDateTime"), _unless(r, "completed"))


def _result(r: Resource) -> Line:
    when = moment(r, "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued")
    flagged = concepts(r.get("interpretation"))
    return _line(concept(r.get("code")), when, said(r), "" if flagged.lower() == "normal" else flagged, usual(r))


def _report(r: Resource) -> Line:
    when = moment(r, "effectiveDateTime", "effectivePeriod", "issued")
    return _line(concept(r.get("code")), when, str(r.get("conclusion") or ""), _unless(r, "final"))


def _visit(r: Resource) -> Line:
    where = ", ".join(filter(None, (reference(one.get("location")) for one in r.get("location", []))))
    what = concepts(r.get("type")) or concept(r.get("class")) or "Visit"
    return _line(what, moment(r, "period"), concepts(r.get("reasonCode")), where)


def _procedure(r: Resource) -> Line:
    when = moment(r, "performedDateTime", "performedPeriod")
    return _line(concept(r.get("code")), when, _unless(r, "completed"))


def _document(r: Resource) -> Line:
    return _line(
        concept(r.get("type")) or str(r.get("description") or ""), moment(r, "date"), concepts(r.get("category"))
    )


def _coverage(r: Resource) -> Line:
    payer = ", ".join(filter(None, (reference(one) for one in r.get("payor", []))))
    number = f"member {r['subscriberId']}" if r.get("subscriberId") else ""
    return _line(payer or concept(r.get("type")), moment(r, "period"), number)


def _plan(r: Resource) -> Line:
    return _line(
        str(r.get("title") or "") or concepts(r.get("category")), moment(r, "period"), str(r.get("description") or "")
    )


def _unless(r: Resource, usual_status: str) -> str:
    status = str(r.get("status") or "")
    return "" if status == usual_status else status


def _observations(title: str, category: str, nothing: str) -> Kind:
    return Kind(title, "Observation", (("category", category), ("_sort", "-date")), nothing, _result)


KINDS: dict[str, Kind] = {
    "problems": Kind("Health problems", "Condition", (("_sort", "-recorded-date"),), "No health problem is recorded.", _condition),
    "allergies": Kind("Allergies", "AllergyIntolerance", (("_sort", "-date"),), "No allergy is recorded.", _allergy),
    "medicines": Kind("Medicines", "MedicationRequest", (("_sort", "-authoredon"),), "No medicine is recorded.", _medicine),
    "results": _observations("Test results", "laboratory", "No test result is recorded."),
    "measured": _observations("Vital signs", "vital-signs", "Nothing measured is recorded."),
    "reports": Kind("Reports", "DiagnosticReport", (("_sort", "-date"),), "No report is recorded.", _report),
    "vaccinations": Kind("Vaccinations", "Immunization", (("_sort", "-date"),), "No vaccination is recorded.", _immunization),
    "visits": Kind("Visits", "Encounter", (("_sort", "-date"),), "No visit is recorded.", _visit),
    "procedures": Kind("Procedures", "Procedure", (("_sort", "-date"),), "No procedure is recorded.", _procedure),
    "documents": Kind("Documents", "DocumentReference", (("_sort", "-date"),), "No document is recorded.", _document),
    "plans": Kind("Care plans", "CarePlan", (("_sort", "-date"),), "No care plan is recorded.", _plan),
    "insurance": Kind("Insurance", "Coverage", (), "No insurance is recorded.", _coverage),
}  # fmt: skip


def person(r: Resource) -> dict[str, str]:
    """What the record says about the person itself."""
    addresses = [one for one in r.get("address", []) if isinstance(one, Mapping)]
    reached = [str(one["value"]) for one in r.get("telecom", []) if isinstance(one, Mapping) and one.get("value")]
    facts = {
        "Born": day(r.get("birthDate")),
        "Gender": str(r.get("gender") or ""),
        "Address": _address(addresses[0]) if addresses else "",
        "Telephone and mail": ", ".join(reached),
        "Numbers": ", ".join(_numbers(r.get("identifier", []))),
    }
    return {name: value for name, value in facts.items() if value}


def _numbers(identifiers: Iterable[Any]) -> list[str]:
    return [str(one["value"]) for one in identifiers if isinstance(one, Mapping) and one.get("value")]


def _address(one: Mapping[str, Any]) -> str:
    if one.get("text"):
        return str(one["text"])
    place = " ".join(filter(None, (str(one.get("state") or ""), str(one.get("postalCode") or ""))))
    return ", ".join(filter(None, (*map(str, one.get("line", [])), str(one.get("city") or ""), place)))
