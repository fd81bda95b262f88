"""What is valid passes; what is broken is found at its place."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from suture.errors import InvalidResource, Issue
from suture.standards.fhir.validate import check, require, shapes
from suture.standards.fhir.validate.explain import MOST_FINDINGS, Findings, explain_resource
from suture.standards.fhir.validate.shapes import fine_resource, surely
from tests.standards.fhir import samples
from tests.standards.fhir.samples import fresh


@pytest.mark.parametrize("resource", samples.ALL, ids=lambda r: r["resourceType"])
def test_valid_resources_have_no_findings(resource: dict) -> None:
    assert check(resource) == []
    found = Findings(resource, resource)
    explain_resource(resource, "", found)
    assert found.issues == []
    require(resource)


def test_a_bare_resource_is_valid() -> None:
    assert check({"resourceType": "Patient"}) == []


def test_findings_are_bounded() -> None:
    """Somebody may send millions of keys that no element has; each would be compared with the names there are."""
    resource = {"resourceType": "Patient", **{f"a{n}": 1 for n in range(1000)}}
    issues = check(resource)
    assert len(issues) == MOST_FINDINGS + 2  # the one that ends the search, and the note
    assert (issues[0].expression, issues[-1].severity, issues[-1].mend) == (
        "Patient.a0",
        "information",
        "Mend these first.",
    )
    with pytest.raises(InvalidResource, match=f"And {MOST_FINDINGS} more"):
        require(resource)


def test_no_error_hides_behind_warnings() -> None:
    resource = {"resourceType": "Patient", "generalPractitioner": [{"reference": "odd"}] * 1000}
    assert {issue.severity for issue in check(resource)} == {"warning"}
    assert len(check(resource)) == MOST_FINDINGS
    require(resource)
    found = check({**resource, "link": [{"type": "wrong"}]})
    assert [issue.severity for issue in found[MOST_FINDINGS:]] == ["error", "information"]
    with pytest.raises(InvalidResource):
        require({**resource, "link": [{"type": "wrong"}]})


def put(resource: dict, path: str, value: Any) -> dict:
    """A copy with the value at a path such as `name.0.family`; None removes it, `...` is null."""
    changed = fresh(resource)
    target: Any = changed
    *steps, last = path.split(".")
    for step in steps:
        target = target[int(step)] if step.isdigit() else target[step]
    key: Any = int(last) if last.isdigit() else last
    if value is None:
        del target[key]
    else:
        target[key] = None if value is ... else value
    return changed


# what is changed, to what, and the finding: place, code, a part of text or mend
BROKEN: list[tuple[dict, str, Any, str, str, str]] = [
    (samples.PATIENT, "nam", [], "Patient.nam", "structure", "Did you mean 'name'?"),
    (samples.PATIENT, "name.0.familie", "x", "Patient.name[0].familie", "structure", "Did you mean 'family'?"),
    (samples.PATIENT, "a b", "x", "Patient.?", "structure", "no element of this name"),
    (samples.PATIENT, "_contact", {}, "Patient._contact", "structure", "no element of this name"),
    (samples.PATIENT, "__birthDate", "x", "Patient.__birthDate", "structure", "no element of this name"),
    (samples.PATIENT, "_resourceType", "x", "Patient._resourceType", "structure", "no element of this name"),
    (samples.PATIENT, "active", "true", "Patient.active", "structure", "written as true or false, not as text"),
    (samples.PATIENT, "active", ..., "Patient.active", "structure", "null is not a value"),
    (samples.PATIENT, "name", {}, "Patient.name", "structure", "This is a list"),
    (samples.PATIENT, "name", [], "Patient.name", "structure", "The list is empty"),
    (samples.PATIENT, "name.0", {}, "Patient.name[0]", "structure", "The element is empty"),
    (samples.PATIENT, "name.0", {"id": "x"}, "Patient.name[0]", "structure", "The element is empty"),
    (samples.PATIENT, "name.0", ..., "Patient.name[0]", "structure", "null is not a value"),
    (samples.PATIENT, "name.0", "x", "Patient.name[0]", "structure", "HumanName is an object, not text"),
    (samples.PATIENT, "name.0.given.1", ..., "Patient.name[0].given[1]", "structure", "null is not a value"),
    (samples.PATIENT, "name.0.given.1", "", "Patient.name[0].given[1]", "structure", "The text is empty"),
    (samples.PATIENT, "name.0.given.1", "a\x01", "Patient.name[0].given[1]", "value", "no valid string"),
    (samples.PATIENT, "maritalStatus", [{"text": "x"}], "Patient.maritalStatus", "structure", "not a list"),
    (samples.PATIENT, "id", "a b", "Patient.id", "value", "1 to 64 of A-Z"),
    (samples.PATIENT, "id", "x" * 65, "Patient.id", "value", "1 to 64"),
    (samples.PATIENT, "birthDate", "1981-02-29", "Patient.birthDate", "value", "a day that exists"),
    (samples.PATIENT, "birthDate", "1900-02-29", "Patient.birthDate", "value", "a day that exists"),
    (samples.PATIENT, "birthDate", "1981-2-9", "Patient.birthDate", "value", "YYYY-MM-DD"),
    (samples.PATIENT, "birthDate", "0000", "Patient.birthDate", "value", "YYYY"),
    (samples.PATIENT, "meta.lastUpdated", "2026-01-01", "Patient.meta.lastUpdated", "value", "no valid instant"),
    (samples.PATIENT, "gender", "Female", "Patient.gender", "code-invalid", "Write one of: female, male, other, unknown."),
    (samples.PATIENT, "telecom.0.rank", 0, "Patient.telecom[0].rank", "value", "from 1 to"),
    (samples.PATIENT, "telecom.0.rank", True, "Patient.telecom[0].rank", "structure", "not as true or false"),
    (samples.PATIENT, "multipleBirthInteger", Decimal("2.0"), "Patient.multipleBirth.ofType(integer)", "value", "whole number"),
    (samples.PATIENT, "multipleBirthInteger", 2**31, "Patient.multipleBirth.ofType(integer)", "value", "2147483647"),
    (samples.PATIENT, "multipleBirthBoolean", True, "Patient.multipleBirth", "structure", "Only one of multipleBirthBoolean and multipleBirthInteger"),
    (samples.PATIENT, "extension.1.valueString", "x", "Patient.extension[1].value", "structure", "Only one of"),
    (samples.PATIENT, "extension.1.valueDecimal", "1.5", "Patient.extension[1].value.ofType(decimal)", "structure", "written as number, not as text"),
    (samples.PATIENT, "extension.1.valueDecimal", None, "Patient.extension[1]", "invariant", "ext-1"),
    (samples.PATIENT, "extension.0.valueString", "x", "Patient.extension[0]", "invariant", "ext-1"),
    (samples.PATIENT, "extension.1.url", None, "Patient.extension[1].url", "required", "Add 'url'."),
    (samples.PATIENT, "_birthDate", {}, "Patient.birthDate", "structure", "The element is empty"),
    (samples.PATIENT, "_birthDate", [], "Patient.birthDate", "structure", "Element is an object"),
    (samples.PATIENT, "_birthDate.value", "x", "Patient.birthDate.value", "structure", "no element of this name"),
    (samples.PATIENT, "contact.0", {"relationship": [{"text": "x"}]}, "Patient.contact[0]", "invariant", "pat-1"),
    (samples.PATIENT, "communication.0.language", None, "Patient.communication[0].language", "required", "needs language"),
    (samples.PATIENT, "name.0.period.end", "1999", "Patient.name[0].period", "invariant", "per-1"),
    (samples.PATIENT, "generalPractitioner.0.reference", "Patient/1", "Patient.generalPractitioner[0].reference", "invalid", "Point to one of: Organization"),
    (samples.PATIENT, "generalPractitioner.0.type", "Group", "Patient.generalPractitioner[0].type", "invalid", "may not point to Group"),
    (samples.PATIENT, "generalPractitioner.0.type", "Organization", "Patient.generalPractitioner[0].reference", "invalid", "its type says another"),
    (samples.PATIENT, "generalPractitioner.0.reference", "https://a/Patient/1", "Patient.generalPractitioner[0].reference", "invalid", "may not point to Patient"),
    (samples.PATIENT, "generalPractitioner.0.reference", "Practitionr/1", "Patient.generalPractitioner[0].reference", "invalid", "Did you mean 'Practitioner'?"),
    (samples.PATIENT, "generalPractitioner.0.reference", "#x", "Patient.generalPractitioner[0].reference", "invariant", "ref-1"),
    (samples.PATIENT, "text.div", '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>', "Patient.text.div", "invalid", "<script>"),
    (samples.PATIENT, "text.div", "<div>x</div>", "Patient.text.div", "invalid", "XHTML namespace"),
    (samples.PATIENT, "resourceType", "Patent", "", "structure", "Did you mean 'Patient'?"),
    (samples.PATIENT, "resourceType", 5, "", "structure", "none of R4's"),
    (samples.OBSERVATION, "status", None, "Observation.status", "required", "Add 'status'."),
    (samples.OBSERVATION, "code", None, "Observation.code", "required", "Add 'code'."),
    (samples.OBSERVATION, "valueString", "x", "Observation.value", "structure", "Only one of valueQuantity and valueString"),
    (samples.OBSERVATION, "value", {"value": 1}, "Observation.value", "structure", "Did you mean"),
    (samples.OBSERVATION, "valueQuantity.code", 5, "Observation.value.ofType(Quantity).code", "structure", "written as text, not as a number"),
    (samples.OBSERVATION, "valueQuantity.system", None, "Observation.value.ofType(Quantity)", "invariant", "qty-3"),
    (samples.OBSERVATION, "dataAbsentReason", {"text": "x"}, "Observation", "invariant", "obs-6"),
    (samples.OBSERVATION, "component.0.code", samples.OBSERVATION["code"], "Observation", "invariant", "obs-7"),
    (samples.OBSERVATION, "referenceRange.0", {"type": {"text": "x"}}, "Observation.referenceRange[0]", "invariant", "obs-3"),
    (samples.OBSERVATION, "referenceRange.0.low.comparator", "<", "Observation.referenceRange[0].low", "invariant", "sqt-1"),
    (samples.CONDITION, "clinicalStatus.coding.0.code", "gone", "Condition.clinicalStatus", "code-invalid", "Write one of: active, inactive"),
    (samples.CONDITION, "clinicalStatus", {"text": "active"}, "Condition.clinicalStatus", "code-invalid", "No coding"),
    (samples.CONDITION, "clinicalStatus.coding.0.code", "active", "Condition", "invariant", "con-4"),
    (samples.CONDITION, "onsetAge.value", -1, "Condition.onset.ofType(Age)", "invariant", "age-1"),
    (samples.MEDICATION_REQUEST, "medicationReference", None, "MedicationRequest.medication", "required", "Add one of: medicationCodeableConcept, medicationReference."),
    (samples.MEDICATION_REQUEST, "medicationReference.reference", "#n", "MedicationRequest.medication.ofType(Reference).reference", "invariant", "ref-1"),
    (samples.MEDICATION_REQUEST, "medicationReference.reference", "Medication/1", "MedicationRequest.contained[0]", "invariant", "dom-3"),
    (samples.MEDICATION_REQUEST, "contained.0.meta", {"versionId": "1"}, "MedicationRequest.contained[0]", "invariant", "dom-4"),
    (samples.MEDICATION_REQUEST, "contained.0.meta", {"security": [{"code": "a"}]}, "MedicationRequest.contained[0]", "invariant", "dom-5"),
    (samples.MEDICATION_REQUEST, "contained.0.contained", [{"resourceType": "Patient", "id": "z"}], "MedicationRequest.contained[0]", "invariant", "dom-2"),
    (samples.MEDICATION_REQUEST, "contained.0", {"resourceType": "Patient", "id": "m"}, "MedicationRequest.medication.ofType(Reference).reference", "invalid", "may not point to Patient"),
    (samples.MEDICATION_REQUEST, "contained.0.status", "x", "MedicationRequest.contained[0].status", "code-invalid", "medication-status"),
    (samples.MEDICATION_REQUEST, "dosageInstruction.0.timing.repeat.when", ["AC"], "MedicationRequest.dosageInstruction[0].timing.repeat", "invariant", "tim-10"),
    (samples.MEDICATION_REQUEST, "dosageInstruction.0.timing.repeat.timeOfDay.0", "24:00:00", "MedicationRequest.dosageInstruction[0].timing.repeat.timeOfDay[0]", "value", "hh:mm:ss"),
    (samples.MEDICATION_REQUEST, "dosageInstruction.0.maxDosePerPeriod.numerator", None, "MedicationRequest.dosageInstruction[0].maxDosePerPeriod", "invariant", "rat-1"),
    (samples.ALLERGY, "_category", [None], "AllergyIntolerance.category", "structure", "not the same length"),
    (samples.ALLERGY, "_category", {"id": "x"}, "AllergyIntolerance.category", "structure", "_category is a list"),
    (samples.ALLERGY, "_category", [], "AllergyIntolerance.category", "structure", "The list is empty"),
    (samples.ALLERGY, "category.0", ..., "AllergyIntolerance.category[0]", "structure", "Both lists hold null"),
    (samples.ALLERGY, "category.1", "meat", "AllergyIntolerance.category[1]", "code-invalid", "biologic, environment, food"),
    (samples.ALLERGY, "clinicalStatus", None, "AllergyIntolerance", "invariant", "ait-1"),
    (samples.ENCOUNTER, "class", None, "Encounter.class", "required", "needs class"),
    (samples.ENCOUNTER, "length.system", "urn:x", "Encounter.length", "invariant", "drt-1"),
    (samples.DOCUMENT, "content.0.attachment.data", "aGVsbG8", "DocumentReference.content[0].attachment.data", "value", "base64"),
    (samples.DOCUMENT, "content.0.attachment.contentType", None, "DocumentReference.content[0].attachment", "invariant", "att-1"),
    (samples.DOCUMENT, "content.0.attachment.contentType", "a text", "DocumentReference.content[0].attachment.contentType", "code-invalid", "MIME type"),
    (samples.DOCUMENT, "content.0.attachment.url", "a b", "DocumentReference.content[0].attachment.url", "value", "without spaces"),
    (samples.PARAMETERS, "parameter.0.resource", {"resourceType": "Patient"}, "Parameters.parameter[0]", "invariant", "inv-1"),
    (samples.PARAMETERS, "parameter.1.resource.gender", "x", "Parameters.parameter[1].resource.gender", "code-invalid", "administrative-gender"),
    (samples.PARAMETERS, "parameter.1.resource", {"id": "1"}, "Parameters.parameter[1].resource", "structure", "no resourceType"),
    (samples.PARAMETERS, "parameter.1.resource", "x", "Parameters.parameter[1].resource", "structure", "A resource is an object, not text"),
    (samples.PARAMETERS, "parameter.2.part.0.valueMoney.currency", "euro", "Parameters.parameter[2].part[0].value.ofType(Money).currency", "code-invalid", "ISO 4217"),
    (samples.PARAMETERS, "contained", [], "Parameters.contained", "structure", "no element of this name"),
    (samples.BUNDLE, "type", "batch-response", "Bundle", "invariant", "bdl-3"),
    (samples.BUNDLE, "total", 3, "Bundle", "invariant", "bdl-1"),
    (samples.BUNDLE, "entry.0.request", None, "Bundle", "invariant", "bdl-3"),
    (samples.BUNDLE, "entry.0.search", {"mode": "match"}, "Bundle", "invariant", "bdl-2"),
    (samples.BUNDLE, "entry.0.response", {"status": "200"}, "Bundle", "invariant", "bdl-4"),
    (samples.BUNDLE, "entry.1.fullUrl", "http://x/fhir/Patient/1/_history/2", "Bundle.entry[1]", "invariant", "bdl-8"),
    (samples.BUNDLE, "entry.1.resource.status", "x", "Bundle.entry[1].resource.status", "code-invalid", "observation-status"),
    (samples.BUNDLE, "entry.2.resource.contained.0.id", "other", "Bundle.entry[2].resource.medication.ofType(Reference).reference", "invariant", "ref-1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "where", "value", "place", "code", "says"), BROKEN, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_broken_place_is_named(resource: dict, where: str, value: Any, place: str, code: str, says: str) -> None:
    broken = put(resource, where, value)
    before = copy.deepcopy(broken)
    issues = check(broken)
    assert broken == before
    assert [i for i in issues if (i.expression, i.code) == (place, code) and says in f"{i.text} {i.mend}"], issues


def test_two_fullurls_that_are_the_same() -> None:
    bundle = fresh(samples.BUNDLE)
    bundle["entry"][1]["fullUrl"] = bundle["entry"][0]["fullUrl"]
    assert check(bundle) == []  # the patient has a version
    bundle["entry"][2]["fullUrl"] = bundle["entry"][1]["fullUrl"]
    assert [i.text[:5] for i in check(bundle)] == ["bdl-7"]


def test_a_document_needs_its_parts() -> None:
    issues = check({"resourceType": "Bundle", "type": "document", "entry": [{"resource": samples.PATIENT}]})
    assert [i.text.partition(":")[0] for i in issues] == ["bdl-9", "bdl-10", "bdl-11"]


def test_require_raises_with_every_issue() -> None:
    with pytest.raises(InvalidResource) as caught:
        require({"resourceType": "Observation", "status": "odd"})
    assert [i.expression for i in caught.value.issues] == ["Observation.status", "Observation.code"]
    assert "And 1 more." in str(caught.value)


def test_a_warning_does_not_refuse() -> None:
    resource = {"resourceType": "Patient", "managingOrganization": {"reference": "somewhere"}}
    assert [i.severity for i in check(resource)] == ["warning"]
    require(resource)


def test_no_value_is_told() -> None:
    secret = "Zebediah"
    for path in ("gender", "birthDate", "id", "name.0.use", "maritalStatus", "generalPractitioner.0.reference"):
        for issue in check(put(samples.PATIENT, path, f"{secret} {secret}/x")):
            assert secret not in f"{issue}"


def test_a_deep_resource_ends() -> None:
    value: dict = {"url": "urn:x", "valueString": "y"}
    for _ in range(5000):
        value = {"url": "urn:x", "extension": [value]}
    issues = check({"resourceType": "Patient", "extension": [value]})
    assert [i.code for i in issues] == ["too-costly"]


def test_the_fast_half_knows_its_own_samples() -> None:
    """Most of what is sent must not need the close look."""
    for resource in (samples.PATIENT, samples.OBSERVATION, samples.CONDITION, samples.ENCOUNTER):
        assert surely(fine_resource, resource), resource["resourceType"]


def test_issues_are_plain_rows() -> None:
    assert check({"resourceType": "Basic"}) == [
        Issue("error", "required", "Basic needs code.", "Basic.code", "Add 'code'.")
    ]


def test_many_threads_may_begin_at_once() -> None:
    shapes._shapes.clear()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(check, samples.ALL * 8))
    assert [issues for issues in results if issues] == []


@pytest.mark.parametrize(
    "text", ["a" * 10**6, "/" * 10**6, "http://" + "/" * 10**6, "https://a" + "/Patient" * 10**5, " " * 10**6, "&" + "a" * 10**6, "a b " * 10**5, "#" * 10**6, "0" * 10**6, "A/" * 10**5, '<div xmlns="http://www.w3.org/1999/xhtml">' + "a" * 10**6, '<div xmlns="http://www.w3.org/1999/xhtml">' + " " * 10**6 + "</div>"],
    ids=lambda t: t[:12],
)  # fmt: skip
def test_no_text_keeps_it_busy(text: str) -> None:
    """Each place is checked in linear time; a pattern that tries every split would not come back."""
    places = [
        "id",
        "birthDate",
        "gender",
        "implicitRules",
        "generalPractitioner.0.reference",
        "text.div",
        "name.0.family",
    ]
    for place in [*places, "identifier.0.system", "generalPractitioner.0.type", "meta.lastUpdated"]:
        check(put(samples.PATIENT, place, text))
    for place in ("content.0.attachment.data", "content.0.attachment.contentType", "content.0.attachment.url"):
        check(put(samples.DOCUMENT, place, text))
