"""Each resource meets the profile that is meant for it, by type, code and category; names ask for it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Invalid
from suture.standards.fhir import us_core
from suture.standards.fhir.us_core import Named

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
OWN = f"{us_core.URL}CodeSystem/us-core-category"
LOINC = "http://loinc.org"
DIAGNOSIS = "http://terminology.hl7.org/CodeSystem/condition-category"


def coded(system: str, *codes: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def of(type: str, *categories: dict[str, Any], code: str = "") -> dict[str, Any]:
    return {"resourceType": type, "category": list(categories), "code": coded(LOINC, code) if code else {}}


def chosen(resource: dict[str, Any], version: str = us_core.NEWEST) -> list[str]:
    return [url.removeprefix(f"{us_core.URL}StructureDefinition/") for url in us_core.fitting(version, resource)]


VITAL, LAB, SURVEY = (coded(CATEGORY, code) for code in ("vital-signs", "laboratory", "survey"))
CHOICES: list[tuple[dict[str, Any], str]] = [
    (of("Patient"), "us-core-patient"),
    (of("Encounter"), "us-core-encounter"),
    (of("Observation", VITAL, code="8867-4"), "us-core-heart-rate"),
    (of("Observation", code="85354-9"), "us-core-blood-pressure"),
    (of("Observation", VITAL, code="2708-6"), "us-core-pulse-oximetry"),
    (of("Observation", VITAL, code="85353-1"), "us-core-vital-signs"),
    (of("Observation", LAB, code="718-7"), "us-core-observation-lab"),
    (of("Observation", SURVEY, coded(OWN, "sdoh")), "us-core-observation-screening-assessment"),
    (of("Observation", coded(OWN, "functional-status")), "us-core-simple-observation"),
    (of("Observation", coded(CATEGORY, "social-history", "activity")), "us-core-simple-observation"),
    (of("Observation", coded(CATEGORY, "imaging")), "us-core-observation-clinical-result"),
    (of("Observation", coded(CATEGORY, "social-history"), code="72166-2"), "us-core-smokingstatus"),
    (of("Condition", coded(DIAGNOSIS, "encounter-diagnosis")), "us-core-condition-encounter-diagnosis"),
    (of("Condition", coded(DIAGNOSIS, "problem-list-item")), "us-core-condition-problems-health-concerns"),
    (of("DiagnosticReport", coded("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB")), "us-core-diagnosticreport-lab"),
    (of("DiagnosticReport"), "us-core-diagnosticreport-note"),
    (of("DocumentReference"), "us-core-documentreference"),
]  # fmt: skip


@pytest.mark.parametrize("version", us_core.VERSIONS)
@pytest.mark.parametrize(("resource", "name"), CHOICES)
def test_the_profile_that_is_meant(resource: dict[str, Any], name: str, version: str) -> None:
    assert chosen(resource, version) == [f"{name}|{version}"]


def test_a_version_without_the_profile_takes_the_next() -> None:
    directive = of("DocumentReference", coded(LOINC, "42348-3"))
    assert chosen(directive) == ["us-core-adi-documentreference|8.0.0"]
    assert chosen(directive, "7.0.0") == ["us-core-documentreference|7.0.0"]


def test_some_resources_have_none() -> None:
    for resource in (of("Account"), of("Bundle"), of("Observation"), of("Observation", coded(CATEGORY, "none")), {}):
        assert chosen(resource) == []
    assert us_core.fitting("3.1.1", of("Patient")) == []
    (note,) = us_core.unmet([Named("8.0.0")], of("Observation"))
    assert note.text == "no profile of US Core 8.0.0 is for this Observation"
    assert note.mend == "Give it a category or a code that US Core knows."


PATIENT = f"{us_core.URL}StructureDefinition/us-core-patient"


@pytest.mark.parametrize(
    ("name", "version", "url"),
    [
        ("us-core", "8.0.0", ""),
        ("us-core@6.1.0", "6.1.0", ""),
        ("us-core-patient", "8.0.0", f"{PATIENT}|8.0.0"),
        ("us-core-patient@7.0.0", "7.0.0", f"{PATIENT}|7.0.0"),
        (PATIENT, "8.0.0", f"{PATIENT}|8.0.0"),
        (f"{PATIENT}|6.1.0", "6.1.0", f"{PATIENT}|6.1.0"),
    ],
)
def test_names(name: str, version: str, url: str) -> None:
    assert us_core.named(name) == Named(version, url)


def test_other_names_are_not_of_us_core_and_a_version_that_is_not_inside_is_told() -> None:
    assert [us_core.named(name) for name in ("pulse", "us-core-x", "http://example.org/x", "", f"{PATIENT}|9")] == [
        None
    ] * 5
    with pytest.raises(Invalid, match=r"US Core 5\.0\.1 is not inside"):
        us_core.named("us-core@5.0.1")


JUNK = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["coding", "system", "code"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.sampled_from(["Observation", "Condition", "Patient"]), JUNK, JUNK)
def test_whatever_is_in_it_a_resource_is_asked_about_without_a_fault(type: str, code: object, category: object) -> None:
    assert len(us_core.fitting("8.0.0", {"resourceType": type, "code": code, "category": category})) <= 1
