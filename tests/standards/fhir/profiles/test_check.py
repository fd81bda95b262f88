"""Each kind of rule finds what breaks it, at its place, and nothing else; official examples keep their own profiles."""

from __future__ import annotations

import tarfile
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidResource, Issue
from suture.standards.fhir import json, profiles
from suture.standards.fhir.profiles import Around, Profile
from tests import public
from tests.standards.fhir.profiles.made import (
    CATEGORY,
    MARK,
    PULSE,
    coded,
    element,
    mark_profile,
    profile,
    pulse,
    pulse_profile,
)
from tests.standards.terminology.worlds import member_of

KNOWN = {PULSE: profiles.read(pulse_profile), MARK: profiles.read(mark_profile)}
AROUND = Around(lambda url: KNOWN.get(url.partition("|")[0]), lambda reference: None, member_of)


def findings(resource: dict[str, Any]) -> list[tuple[str, str]]:
    found = profiles.check(resource, KNOWN[PULSE], AROUND)
    return [(i.expression, i.text.removesuffix(f" ({PULSE}|1)").removesuffix(f" ({MARK}|1)")) for i in found]


def test_what_keeps_it_has_no_findings() -> None:
    assert findings(pulse()) == []
    assert findings(pulse(component=None)) == []


SECOND_FIRST = [{"code": coded("second")}, {"code": coded("first")}]


@pytest.mark.parametrize(
    ("changes", "place", "text"),
    [
        ({"subject": None}, "subject", "The element is missing."),
        ({"identifier": [{"value": "x"}]}, "identifier", "The element may not be there."),
        ({"category": [coded("exam", CATEGORY)]}, "category", "The slice vital is missing."),
        ({"category": [coded("vital-signs", CATEGORY)] * 2}, "category", "The slice vital is there 2 times, at most 1 are allowed."),
        ({"code": coded("1-1")}, "code", "The value does not hold {'coding': [{'system': 'http://loinc.org', 'code': '8478-0'}]}."),
        ({"valueQuantity": {"value": 1, "code": "/h"}}, "value.code", "The value is not /min."),
        ({"valueQuantity": {"value": 1}}, "value.code", "The element is missing."),
        ({"valueQuantity": None, "valueString": "72"}, "value", "string is not allowed here."),
        ({"subject": {"reference": "Group/g1"}}, "subject", "It refers to a Group."),
        ({"extension": None}, "extension", "The slice mark is missing."),
        ({"extension": [{"url": MARK, "valueBoolean": True}]}, "extension[0].value", "boolean is not allowed here."),
        ({"extension": [{"url": MARK}]}, "extension[0].value", "The element is missing."),
        ({"component": [{"code": coded("third")}]}, "component[0]", "It is none of the slices that are allowed here."),
        ({"component": SECOND_FIRST}, "component[1]", "The slice first stands behind a later one."),
        ({"interpretation": [coded("H")]}, "interpretation[0]", "No code of http://hl7.org/fhir/ValueSet/administrative-gender is there (required)."),
        ({"status": "cancelled"}, "", "The rule p-1 is broken."),
    ],
)  # fmt: skip
def test_each_rule_finds_what_breaks_it(changes: dict[str, Any], place: str, text: str) -> None:
    assert findings(pulse(**changes)) == [(f"Observation.{place}".rstrip("."), text)]


def test_another_type_can_not_keep_it() -> None:
    assert findings({"resourceType": "Patient"})[0][1].startswith("A Patient can't keep a profile of Observation")


def test_a_profile_that_nobody_knows_is_told_and_is_no_error() -> None:
    named = element("Patient.name", type=[{"code": "HumanName", "profile": ["urn:gone"]}])
    odd = profiles.read(profile("urn:x", "Patient", named))
    found = profiles.check({"resourceType": "Patient", "name": [{"family": "A"}]}, odd, AROUND)
    assert [(i.severity, i.text) for i in found] == [
        ("information", "The profile urn:gone is not known here. (urn:x|1)")
    ]


def test_a_base_profile_holds_too() -> None:
    made = {**profile("urn:child", "Observation", element("Observation.note", min=1)), "baseDefinition": PULSE}
    found = profiles.check(pulse(subject=None), profiles.read(made), AROUND)
    assert {i.expression for i in found} == {"Observation.note", "Observation.subject"}


def test_what_is_no_profile_is_refused() -> None:
    with pytest.raises(InvalidResource, match="no url, type or elements"):
        profiles.read({"resourceType": "StructureDefinition", "url": "urn:x", "type": "Patient"})


def test_profiles_in_circles_end() -> None:
    inner = element("Bundle.entry.resource", type=[{"code": "Bundle", "profile": ["urn:loop"]}])
    loop = profiles.read(profile("urn:loop", "Bundle", element("Bundle.type", fixedCode="collection"), inner))
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "batch"}
    for _ in range(20):
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": bundle}]}
    found = profiles.check(bundle, loop, Around(lambda url: loop))
    assert found == []  # what stands deeper than DEEPEST is not looked at
    shallow = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": {"resourceType": "Bundle", "type": "batch"}}],
    }
    assert [i.expression for i in profiles.check(shallow, loop, Around(lambda url: loop))] == [
        "Bundle.entry[0].resource.type"
    ]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["coding", "code", "system", "url", "value", "reference"]), inner)
    ),
    max_leaves=8,
)
PARTS = st.sampled_from(["category", "code", "subject", "component", "extension", "valueQuantity"])


@given(st.dictionaries(PARTS, JUNK, max_size=4))
def test_odd_content_is_found_or_passed_over_but_never_a_fault(changes: dict[str, Any]) -> None:
    for issue in profiles.check({**pulse(), **changes}, KNOWN[PULSE], AROUND):
        assert isinstance(issue, Issue)


@cache
def package(name: str) -> tuple[dict[str, Profile], list[dict[str, Any]]]:
    known, examples = {}, []
    with tarfile.open(public.path(f"fhir/{name}")) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".json") else None
            if file is None:
                continue
            found = json.read(file.read().removeprefix(b"\xef\xbb\xbf"), max_depth=300)
            if found.get("resourceType") == "StructureDefinition":
                made = profiles.read(found)
                known[made.url] = made
            elif "/example/" in member.name:
                examples.append(found)
    return known, examples


@pytest.mark.slow
@pytest.mark.parametrize("name", ["us_core_610.tgz", "us_core_700.tgz", "us_core_800.tgz"])
def test_the_examples_of_us_core_keep_their_profiles(name: str) -> None:
    known, examples = package(name)
    around = Around(lambda url: known.get(url.partition("|")[0]), lambda reference: None, member_of)
    done = 0
    for example in examples:
        for url in example.get("meta", {}).get("profile", []):
            if url.partition("|")[0] in known:
                found = profiles.check(example, known[url.partition("|")[0]], around)
                assert [i for i in found if i.severity in ("error", "fatal")] == [], example["id"]
                done += 1
    assert done > 150


@pytest.mark.slow
def test_an_example_without_what_must_be_there_is_found() -> None:
    known, examples = package("us_core_700.tgz")
    around = Around(lambda url: known.get(url.partition("|")[0]), lambda reference: None, member_of)
    done = 0
    for example in examples:
        for url in example.get("meta", {}).get("profile", []):
            rule = known.get(url.partition("|")[0])
            if rule is None:
                continue
            for name, child in rule.root.children.items():
                if child.min and name in example:
                    less = {key: value for key, value in example.items() if key.lstrip("_") != name}
                    assert any(i.severity == "error" for i in profiles.check(less, rule, around)), (example["id"], name)
                    done += 1
    assert done > 300
