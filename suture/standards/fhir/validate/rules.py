"""R4's invariants as plain functions over dicts, for what comes often; all others are evaluated as FHIRPath.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. A test proves each row equal to its FHIRPath. Where order is
compared (`start <= end`), what can't be compared because parts are missing is not an error.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from suture.standards.fhir.validate.moments import after

Rule = Callable[[Any], Any]
Value = dict[str, Any]

UCUM = "http://unitsofmeasure.org"
_TERMS = "http://terminology.hl7.org/CodeSystem/"


def has(value: Value, name: str) -> bool:
    """FHIRPath's exists() for an element that is no choice."""
    return name in value or f"_{name}" in value


def has_choice(value: Value, name: str) -> bool:
    """FHIRPath's exists() for a choice; only for names that begin no other element."""
    return any(key.startswith((name, f"_{name}")) for key in value)


def coded(value: Value, name: str, system: str, *codes: str) -> bool:
    """One of the codings of the concept `name` is one of `codes`."""
    codings = value.get(name, {}).get("coding", ())
    return any(c.get("system") == system and c.get("code") in codes for c in codings)


def needs(name: str, other: str) -> Rule:
    """`name.empty() or other.exists()`"""
    return lambda v: (name not in v and f"_{name}" not in v) or other in v or f"_{other}" in v


def excludes(name: str, other: str) -> Rule:
    """`name.empty() or other.empty()`"""
    return lambda v: (name not in v and f"_{name}" not in v) or (other not in v and f"_{other}" not in v)


def some(*names: str) -> Rule:
    """One of the elements exists."""
    keys = [key for name in names for key in (name, f"_{name}")]

    def rule(v: Value) -> bool:
        for key in keys:  # noqa: SIM110 - any() with a generator costs a frame
            if key in v:
                return True
        return False

    return rule


# --- datatypes


def ext_1(v: Value) -> bool:
    others = len(v) - ("url" in v) - ("id" in v) - ("extension" in v) - ("_url" in v) - ("_id" in v)
    return ("extension" in v) != (others > 0)


def qty_3(v: Value) -> bool:
    return "system" in v or ("code" not in v and "_code" not in v) or "_system" in v


def sqt_1(v: Value) -> bool:
    return "comparator" not in v and "_comparator" not in v


def _ucum(v: Value) -> bool:
    return not has(v, "system") or v.get("system") == UCUM


def age_1(v: Value) -> bool:
    return (has(v, "code") or not has(v, "value")) and _ucum(v) and ("value" not in v or v["value"] > 0)


def dis_1(v: Value) -> bool:
    return (has(v, "code") or not has(v, "value")) and _ucum(v)


def cnt_3(v: Value) -> bool:
    whole = "value" not in v or "." not in str(v["value"])
    return dis_1(v) and (not has(v, "code") or v.get("code") == "1") and whole


def drt_1(v: Value) -> bool:
    return not has(v, "code") or (v.get("system") == UCUM and has(v, "value"))


def per_1(v: Value) -> bool:
    return "end" not in v or "start" not in v or not after(v["start"], v["end"])


def rng_2(v: Value) -> bool:
    low, high = v.get("low"), v.get("high")
    if not low or not high or "value" not in low or "value" not in high:
        return True
    same = all(low.get(key) == high.get(key) for key in ("system", "code", "unit"))
    return not same or Decimal(str(low["value"])) <= Decimal(str(high["value"]))


def rat_1(v: Value) -> bool:
    above = "numerator" in v
    return above == ("denominator" in v) and (above or "extension" in v)


def tim_4(v: Value) -> bool:
    return not has(v, "duration") or ("duration" in v and v["duration"] >= 0)


def tim_5(v: Value) -> bool:
    return not has(v, "period") or ("period" in v and v["period"] >= 0)


def tim_9(v: Value) -> bool:
    return not has(v, "offset") or (has(v, "when") and not set(v.get("when", ())) & {"C", "CM", "CD", "CV"})


# --- resources


def _verified(v: Value, system: str) -> bool:
    return coded(v, "verificationStatus", _TERMS + system, "entered-in-error")


def ait_1(v: Value) -> bool:
    return "clinicalStatus" in v or _verified(v, "allergyintolerance-verification")


def ait_2(v: Value) -> bool:
    return "clinicalStatus" not in v or not _verified(v, "allergyintolerance-verification")


def con_4(v: Value) -> bool:
    ended = has_choice(v, "abatement")
    return not ended or coded(v, "clinicalStatus", _TERMS + "condition-clinical", "resolved", "remission", "inactive")


def con_5(v: Value) -> bool:
    return "clinicalStatus" not in v or not _verified(v, "condition-ver-status")


def obs_6(v: Value) -> bool:
    return "dataAbsentReason" not in v or not has_choice(v, "value")


def obs_7(v: Value) -> bool:
    if "component" not in v or not has_choice(v, "value"):
        return True
    codings = v.get("code", {}).get("coding", [])
    return not any(coding in codings for c in v["component"] for coding in c.get("code", {}).get("coding", ()))


def app_2(v: Value) -> bool:
    return has(v, "start") == has(v, "end")


def app_3(v: Value) -> bool:
    return (has(v, "start") and has(v, "end")) or v.get("status") in ("proposed", "cancelled", "waitlist")


def app_4(v: Value) -> bool:
    return "cancelationReason" not in v or v.get("status") in ("no-show", "cancelled")


def task_order(v: Value) -> bool:
    if "lastModified" not in v or "authoredOn" not in v:
        return not (has(v, "lastModified") and has(v, "authoredOn"))
    return not after(v["authoredOn"], v["lastModified"])


def mdd_1(v: Value) -> bool:
    if "whenHandedOver" not in v or "whenPrepared" not in v:
        return not (has(v, "whenHandedOver") and has(v, "whenPrepared"))
    return not after(v["whenPrepared"], v["whenHandedOver"])


def parameter_1(v: Value) -> bool:
    value = has_choice(v, "value")
    return not value and "resource" not in v if "part" in v else value != ("resource" in v)


def lst_2(v: Value) -> bool:
    return v.get("mode") == "changes" or not any(has(entry, "deleted") for entry in v.get("entry", ()))


def lst_3(v: Value) -> bool:
    return v.get("mode") == "working" or not any(has(entry, "date") for entry in v.get("entry", ()))


def que_7(v: Value) -> bool:
    """R4 writes `answer is Boolean`, which no FHIR boolean is; R5 mended it."""
    return v.get("operator") != "exists" or "answerBoolean" in v or "_answerBoolean" in v


def not_home(v: Value) -> bool:
    return v.get("use") != "home"


# --- bundles


def _entries(v: Value) -> list[Value]:
    entries: list[Value] = v.get("entry", [])
    return entries


def bdl_1(v: Value) -> bool:
    return not has(v, "total") or v.get("type") in ("searchset", "history")


def bdl_2(v: Value) -> bool:
    return v.get("type") == "searchset" or not any("search" in entry for entry in _entries(v))


def bdl_3(v: Value) -> bool:
    wanted = v.get("type") in ("batch", "transaction", "history") if "type" in v else None
    return all(("request" in entry) == wanted for entry in _entries(v))


def bdl_4(v: Value) -> bool:
    wanted = v.get("type") in ("batch-response", "transaction-response", "history") if "type" in v else None
    return all(("response" in entry) == wanted for entry in _entries(v))


def bdl_7(v: Value) -> bool:
    if v.get("type") == "history":
        return True
    names = [
        entry.get("fullUrl", "") + entry.get("resource", {}).get("meta", {}).get("versionId", "")
        for entry in _entries(v)
        if has(entry, "fullUrl")
    ]
    return len(names) == len(set(names))


def bdl_8(v: Value) -> bool:
    return "/_history/" not in v.get("fullUrl", "")


def bdl_9(v: Value) -> bool:
    identifier = v.get("identifier", {})
    return v.get("type", "document") != "document" or (has(identifier, "system") and has(identifier, "value"))


def bdl_10(v: Value) -> bool:
    return v.get("type", "document") != "document" or "timestamp" in v


def _first(v: Value, kind: str) -> bool:
    entries = _entries(v)
    return bool(entries) and entries[0].get("resource", {}).get("resourceType") == kind


def bdl_11(v: Value) -> bool:
    return v.get("type", "document") != "document" or _first(v, "Composition")


def bdl_12(v: Value) -> bool:
    return v.get("type", "message") != "message" or _first(v, "MessageHeader")


def _true(_: Value) -> bool:
    return True


# (type, key) -> rule. ele-1 is the rule of empties; dom-2..5, ref-1 and txt-1, txt-2 need more than the value itself and
# stand in contained.py and narrative.py.
NATIVE: dict[tuple[str, str], Rule] = {
    ("Extension", "ext-1"): ext_1,
    ("Quantity", "qty-3"): qty_3,
    ("Age", "age-1"): age_1,
    ("Distance", "dis-1"): dis_1,
    ("Count", "cnt-3"): cnt_3,
    ("Duration", "drt-1"): drt_1,
    ("Period", "per-1"): per_1,
    ("Range", "rng-2"): rng_2,
    ("Ratio", "rat-1"): rat_1,
    ("Attachment", "att-1"): needs("data", "contentType"),
    ("ContactPoint", "cpt-2"): needs("value", "system"),
    ("Expression", "exp-1"): some("expression", "reference"),
    ("Timing.repeat", "tim-1"): needs("duration", "durationUnit"),
    ("Timing.repeat", "tim-2"): needs("period", "periodUnit"),
    ("Timing.repeat", "tim-4"): tim_4,
    ("Timing.repeat", "tim-5"): tim_5,
    ("Timing.repeat", "tim-6"): needs("periodMax", "period"),
    ("Timing.repeat", "tim-7"): needs("durationMax", "duration"),
    ("Timing.repeat", "tim-8"): needs("countMax", "count"),
    ("Timing.repeat", "tim-9"): tim_9,
    ("Timing.repeat", "tim-10"): excludes("timeOfDay", "when"),
    ("Patient.contact", "pat-1"): some("name", "telecom", "address", "organization"),
    ("AllergyIntolerance", "ait-1"): ait_1,
    ("AllergyIntolerance", "ait-2"): ait_2,
    ("Appointment", "app-2"): app_2,
    ("Appointment", "app-3"): app_3,
    ("Appointment", "app-4"): app_4,
    ("Appointment.participant", "app-1"): some("type", "actor"),
    ("AppointmentResponse", "apr-1"): some("participantType", "actor"),
    ("AuditEvent.entity", "sev-1"): excludes("name", "query"),
    ("CarePlan.activity", "cpl-3"): excludes("detail", "reference"),
    ("CareTeam.participant", "ctm-1"): _true,  # only says something where a reference can be resolved
    ("Composition.section", "cmp-1"): some("text", "entry", "section"),
    ("Composition.section", "cmp-2"): excludes("emptyReason", "entry"),
    ("Condition", "con-4"): con_4,
    ("Condition", "con-5"): con_5,
    ("Condition.stage", "con-1"): some("summary", "assessment"),
    ("Condition.evidence", "con-2"): some("code", "detail"),
    ("FamilyMemberHistory", "fhs-1"): lambda v: not has_choice(v, "age") or not has_choice(v, "born"),
    ("FamilyMemberHistory", "fhs-2"): lambda v: has_choice(v, "age") or not has(v, "estimatedAge"),
    ("Goal.target", "gol-1"): lambda v: not has_choice(v, "detail") or "measure" in v,
    ("Group", "grp-1"): lambda v: "member" not in v or v.get("actual") is True,
    ("Immunization.education", "imm-1"): some("documentType", "reference"),
    ("ImmunizationRecommendation.recommendation", "imr-1"): some("vaccineCode", "targetDisease"),
    ("InsurancePlan", "ipn-1"): some("identifier", "name"),
    ("Linkage", "lnk-1"): lambda v: len(v.get("item", ())) > 1,
    ("List", "lst-1"): excludes("emptyReason", "entry"),
    ("List", "lst-2"): lst_2,
    ("List", "lst-3"): lst_3,
    ("MedicationAdministration.dosage", "mad-1"): lambda v: "dose" in v or has_choice(v, "rate"),
    ("MedicationDispense", "mdd-1"): mdd_1,
    ("Observation", "obs-6"): obs_6,
    ("Observation", "obs-7"): obs_7,
    ("Observation.referenceRange", "obs-3"): some("low", "high", "text"),
    ("Organization", "org-1"): some("identifier", "name"),
    ("Organization.address", "org-2"): not_home,
    ("Organization.telecom", "org-3"): not_home,
    ("Parameters.parameter", "inv-1"): parameter_1,
    ("Questionnaire.item.enableWhen", "que-7"): que_7,
    ("QuestionnaireResponse.item", "qrs-1"): excludes("answer", "item"),
    ("ServiceRequest", "prr-1"): needs("orderDetail", "code"),
    ("Task", "inv-1"): task_order,
    ("Bundle", "bdl-1"): bdl_1,
    ("Bundle", "bdl-2"): bdl_2,
    ("Bundle", "bdl-3"): bdl_3,
    ("Bundle", "bdl-4"): bdl_4,
    ("Bundle", "bdl-7"): bdl_7,
    ("Bundle", "bdl-9"): bdl_9,
    ("Bundle", "bdl-10"): bdl_10,
    ("Bundle", "bdl-11"): bdl_11,
    ("Bundle", "bdl-12"): bdl_12,
    ("Bundle.entry", "bdl-5"): some("resource", "request", "response"),
    ("Bundle.entry", "bdl-8"): bdl_8,
}
