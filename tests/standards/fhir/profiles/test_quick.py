"""The fast yes is never wrong: whenever it says yes, the slow walk finds nothing; and it says yes to most that is good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.sandbox.synthetic import world
from suture.standards.fhir import profiles, us_core, validate
from suture.standards.fhir.fhirpath import compile
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.profiles import Around, Profile
from suture.standards.fhir.profiles.quick import Quick
from suture.standards.fhir.profiles.quick_formulas import FORMULAS
from suture.standards.fhir.profiles.rules import Rule, Slicing, TypeRule
from suture.standards.fhir.us_core.held import QUICK, member_of
from tests.standards.fhir.profiles.made import MARK, PULSE, coded, element, mark_profile, profile, pulse, pulse_profile
from tests.standards.fhir.us_core.examples import claims

KNOWN = {PULSE: profiles.read({**pulse_profile, "snapshot": pulse_profile["differential"]}), MARK: profiles.read({**mark_profile, "snapshot": mark_profile["differential"]})}  # fmt: skip


def known(url: str) -> Profile | None:
    return KNOWN.get(url.partition("|")[0])


def nowhere(reference: str) -> dict[str, Any] | None:
    return None


MADE = Quick(known, member_of)


def agree(resource: dict[str, Any], profile: Profile, quick: Quick, around: Around) -> tuple[bool, bool]:
    """The fast word and the slow one: a yes that the slow walk does not say, too, is a fault."""
    fast, slow = quick.keeps(resource, profile, around.resolve), not profiles.check(resource, profile, around)
    assert slow or not fast
    return fast, slow


def test_a_good_resource_is_known_at_once_and_a_bad_one_is_left_to_the_slow_walk() -> None:
    plain = profile(
        "urn:p",
        "Observation",
        *(one for one in pulse_profile["differential"]["element"] if "component" not in one["id"]),
    )
    read = profiles.read({**plain, "snapshot": plain["differential"]})
    around = Around(known, nowhere, member_of)
    assert agree(pulse(), read, MADE, around) == (True, True)
    for changes in (
        {"subject": None},
        {"extension": None},
        {"category": []},
        {"valueQuantity": None},
        {"status": "cancelled"},
    ):
        assert agree(pulse(**changes), read, MADE, around) == (False, False)


FIELDS = {
    "id", "name", "min", "max", "types", "fixed", "pattern", "least", "most", "longest", "shortest", "present", "instead",
    "binding", "bindings", "invariants", "must_support", "slicing", "slices", "children",
}  # fmt: skip


def test_it_knows_all_that_a_rule_can_say() -> None:
    """Whoever adds a field has to teach quick.py, or let it leave such rules to the slow walk."""
    assert {one.name for one in fields(Rule)} == FIELDS
    assert {one.name for one in fields(TypeRule)} == {"code", "profiles", "targets", "aggregation"}
    assert {one.name for one in fields(Slicing)} == {"discriminators", "rules", "ordered"}


def test_ordered_slices_and_differentials_are_left_to_the_slow_walk() -> None:
    around = Around(known, nowhere, member_of)
    assert agree(pulse(), KNOWN[PULSE], MADE, around) == (False, True)
    assert agree(pulse(), profiles.read(pulse_profile), MADE, around)[0] is False


def test_profiles_in_circles_end() -> None:
    named = element("Patient.name", type=[{"code": "HumanName", "profile": ["urn:loop"]}])
    made = profile("urn:loop", "HumanName", {**named, "id": "HumanName.period", "path": "HumanName.period"})
    read = profiles.read({**made, "snapshot": made["differential"]})
    quick = Quick(lambda url: read, member_of)
    assert quick.keeps({"resourceType": "HumanName", "period": {"period": {}}}, read, nowhere) in (True, False)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 9)
    | st.sampled_from(["final", "8478-0", "/min", MARK, "Patient/p1", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["coding", "code", "system", "url", "value", "reference", "extension"]), inner
        )
    ),
    max_leaves=8,
)
PARTS = st.sampled_from(["category", "code", "subject", "extension", "valueQuantity", "_status", "status", "effectiveDateTime"])  # fmt: skip


@given(st.dictionaries(PARTS, JUNK, max_size=3), st.sampled_from(["us-core-heart-rate", "us-core-observation-lab"]))
def test_on_odd_content_it_never_says_yes_where_the_slow_walk_says_no(changes: dict[str, Any], name: str) -> None:
    resource = {**pulse(), "effectiveDateTime": "2026-11-25", **changes}
    if validate.check(resource):  # R4's own check comes first
        return
    found = us_core.profile(f"{us_core.URL}StructureDefinition/{name}")
    assert found is not None
    agree(resource, found, QUICK, Around(us_core.profile, nowhere, member_of))


VALUE = st.one_of(
    st.sampled_from(["2026", "2026-11-25", "2026-11-25T08:00:00Z", ""]),
    st.fixed_dictionaries(
        {},
        optional={
            "status": st.sampled_from(["final", "completed", "in-progress"]),
            "intent": st.just("order"),
            "value": st.sampled_from(["1234567893", "1234567890", "11D1234567", "12345", "x"]),
            "system": st.sampled_from(["http://unitsofmeasure.org", "urn:x"]),
            "low": st.sampled_from([{"system": "urn:x"}, {"system": "http://unitsofmeasure.org"}]),
            "family": st.just("A"),
            "given": st.just(["B"]),
            "extension": st.sampled_from(
                [
                    [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}],
                    [{"url": "ombCategory", "valueCoding": {"code": "UNK"}}] * 2,
                    [{"url": "ombCategory", "valueCoding": {"code": "UNK"}}],
                ]
            ),
            "coding": st.sampled_from([[{"system": "urn:x"}], [{"system": "http://snomed.info/sct"}]]),
            "vaccineCode": st.sampled_from(
                [coded("1", "http://hl7.org/fhir/sid/cvx"), coded("1", "http://hl7.org/fhir/sid/ndc"), {"text": "x"}]
            ),
            "code": st.sampled_from([coded("72166-2"), coded("401201003"), coded("x")]),
            "url": st.just("urn:x"),
            "subject": st.just({"reference": "Patient/1"}),
        },
    ),
)


@given(st.sampled_from(sorted(FORMULAS)), VALUE)
def test_a_written_rule_says_yes_only_where_its_fhirpath_does_not_say_no(expression: str, value: Any) -> None:
    if FORMULAS[expression](value):
        assert compile(expression).verdict(value) is not False


def spoiled(example: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The example, and the example without each of its elements, doubled, cut off, and without each part of a part."""
    yield example
    for name, value in example.items():
        if name in ("resourceType", "id", "meta", "text"):
            continue
        yield {key: inner for key, inner in example.items() if key != name}
        if isinstance(value, list):
            yield {**example, name: [*value, *value]}
            yield {**example, name: value[:1]}
        first = value[0] if isinstance(value, list) and value else value
        for part in first if isinstance(first, dict) else ():
            less = {key: inner for key, inner in first.items() if key != part}
            yield {**example, name: [less, *value[1:]] if isinstance(value, list) else less}


@pytest.mark.slow
@pytest.mark.parametrize("version", us_core.VERSIONS)
def test_both_walks_agree_on_every_example_and_every_spoiled_one(version: str) -> None:
    good = fast = 0
    for example, url in claims(version):
        found = us_core.profile(f"{url}|{version}")
        assert found is not None
        for one in spoiled(example):
            quick, slow = agree(one, found, QUICK, Around(us_core.profile, partial(resolved, one), member_of))
            good, fast = good + slow, fast + quick
    assert good > 1000
    assert fast > 0.9 * good


@pytest.mark.slow
@pytest.mark.parametrize("version", us_core.VERSIONS)
def test_most_of_what_is_good_is_known_at_once(version: str) -> None:
    said = []
    for one in world(11, 4, us_core=version):
        for url in us_core.fitting(version, one):
            found = us_core.profile(url)
            assert found is not None
            said.append(agree(one, found, QUICK, Around(us_core.profile, partial(resolved, one), member_of)))
    good = [fast for fast, slow in said if slow]
    assert len(good) > 200
    assert sum(good) > 0.9 * len(good)
