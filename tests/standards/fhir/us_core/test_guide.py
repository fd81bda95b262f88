"""US Core inside: each version by its canonical, with its own value sets, asking for nothing that R4 asks for already."""

from __future__ import annotations

import pytest

from suture.standards.fhir import profiles, us_core
from suture.standards.fhir.profiles import Around

PATIENT = f"{us_core.URL}StructureDefinition/us-core-patient"
RACE = f"{us_core.URL}StructureDefinition/us-core-race"
SIMPLE = f"{us_core.URL}ValueSet/us-core-simple-observation-category"
CATEGORY = f"{us_core.URL}CodeSystem/us-core-category"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
AROUND = Around(us_core.profile, lambda reference: None, us_core.member_of)


@pytest.mark.parametrize(("version", "count"), [("6.1.0", 59), ("7.0.0", 63), ("8.0.0", 67)])
def test_every_profile_of_a_version_can_be_read(version: str, count: int) -> None:
    guide = us_core.guide(version)
    assert guide is not None
    found = [guide.profile(url) for url in guide.urls]
    assert len(found) == count
    assert {one.version for one in found if one is not None} == {version}


def test_a_canonical_names_a_version_or_means_the_newest() -> None:
    newest, older = us_core.profile(PATIENT), us_core.profile(f"{PATIENT}|6.1.0")
    assert newest is not None
    assert older is not None
    assert (newest.name, older.name) == (f"{PATIENT}|8.0.0", f"{PATIENT}|6.1.0")
    for other in (f"{PATIENT}|3.1.1", f"{PATIENT}2", "http://example.org/us-core-patient", ""):
        assert us_core.profile(other) is None
    assert us_core.guide("3.1.1") is None


@pytest.mark.parametrize("version", us_core.VERSIONS)
def test_what_a_profile_names_is_of_its_own_version(version: str) -> None:
    guide = us_core.guide(version)
    assert guide is not None
    found = guide.profile(PATIENT)
    assert found is not None
    assert found.root.children["extension"].slices["race"].types[0].profiles == (f"{RACE}|{version}",)


def test_what_r4_asks_for_is_not_asked_again() -> None:
    found = us_core.profile(PATIENT)
    assert found is not None
    assert "link" not in found.root.children
    assert "gender" not in found.root.children or found.root.children["gender"].binding is None


def test_a_value_set_is_told_by_version_and_other_sets_are_nobodys() -> None:
    assert us_core.member_of(CATEGORY, "observation-adi-documentation", f"{SIMPLE}|8.0.0") is True
    assert us_core.member_of(CATEGORY, "observation-adi-documentation", f"{SIMPLE}|7.0.0") is False
    assert us_core.member_of(CATEGORY, "observation-adi-documentation", SIMPLE) is True
    assert us_core.member_of(CATEGORY, "sdoh", f"{SIMPLE}|3.1.1") is None
    assert us_core.member_of(CATEGORY, "sdoh", f"{SIMPLE}2") is None
    assert us_core.member_of(None, "male", "http://hl7.org/fhir/ValueSet/administrative-gender") is None


def test_a_set_that_imports_what_is_not_here_says_neither_yes_nor_no() -> None:
    assert us_core.member_of(None, "F", f"{us_core.URL}ValueSet/birthsex|6.1.0") is None


def test_the_rules_of_vital_signs_hold_in_profiles_built_on_them() -> None:
    found = us_core.profile(f"{us_core.URL}StructureDefinition/us-core-heart-rate")
    assert found is not None
    bare = {"resourceType": "Observation", "status": "final", "code": {"text": "Pulse"}}
    texts = [i.text.partition(" (")[0] for i in profiles.check(bare, found, AROUND) if not i.expression.count(".")]
    assert texts == ["The rule vs-2 is broken."]
    reasoned = {**bare, "dataAbsentReason": {"coding": [{"system": ABSENT, "code": "unknown"}]}}
    assert not [i for i in profiles.check(reasoned, found, AROUND) if "vs-2" in i.text]
