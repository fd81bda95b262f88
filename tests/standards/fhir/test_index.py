"""Values as the index has them: folded text, ranges of dates and numbers, references here and elsewhere; and what broken input does."""

from __future__ import annotations

import copy
import hashlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.errors import InvalidResource
from suture.standards.fhir import index
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.index_atoms import plan
from suture.standards.fhir.index_compile import source
from suture.standards.fhir.index_dates import PRIMARY, UNDATED, one_date, sorting_date
from suture.standards.fhir.index_time import EARLIEST, LATEST, moment_range, written_range
from suture.standards.fhir.index_values import fold, period_range
from tests.store.search.people import WORLD

SECOND, DAY = 1_000_000, 86_400_000_000


def rows(code: str, /, **resource: Any) -> list[tuple[Any, ...]]:
    """The rows of a parameter, without the numbers of its atoms."""
    return [row[1:] for _, row in index.values(index.extract(resource), code)]


# --- text


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Müller", "muller"),
        ("  Ann\t Marie ", "ann marie"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("Ångström", "angstrom"),
        ("Søren Łódź", "soren lodz"),
        ("İstanbul", "istanbul"),
        ("Zoe\u0308", "zoe"),
        ("佐藤", "佐藤"),
        ("ﬁne", "fine"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


# --- dates

times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
zones = st.one_of(
    st.just("Z"),
    st.tuples(st.sampled_from("+-"), st.integers(0, 13), st.sampled_from((0, 15, 30, 45))).map(
        lambda z: f"{z[0]}{z[1]:02d}:{z[2]:02d}"
    ),
)


@given(times, zones, st.integers(0, 9))
def test_times_agree_with_the_datetime_module(moment: datetime, zone: str, digits: int) -> None:
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    text += f".{moment.microsecond:06d}000"[: digits + 1] if digits else ""
    low, high = moment_range(text + zone)
    exact = datetime.fromisoformat(text + (zone.replace("Z", "+00:00")))
    assert low == (exact - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert high - low == 10 ** (6 - min(digits, 6))
    assert (low, high) == written_range(text + zone)


@given(st.dates())
def test_days_months_years(day: Any) -> None:
    low, high = moment_range(day.isoformat())
    month, year = moment_range(day.isoformat()[:7]), moment_range(day.isoformat()[:4])
    assert high - low == DAY
    assert year[0] <= month[0] <= low < high <= month[1] <= year[1] <= LATEST


@given(st.one_of(st.text(max_size=30), st.from_regex(r"[0-9:TZ+.\-]{4,30}")))
@settings(max_examples=500)
def test_what_is_no_date_raises_value_error(text: str) -> None:
    try:
        low, high = written_range(text)
    except ValueError:
        return
    assert low < high
    assert moment_range(text) == (low, high)


def test_open_and_empty_periods() -> None:
    assert period_range({"start": "1970-01-01"}) == (0, LATEST)
    assert period_range({"end": "1970-01-01"}) == (EARLIEST, DAY)
    low, high = period_range({"start": "1970-01-02", "end": "1970-01-01"})
    assert low < high, "an upside-down period is a moment"


# --- kinds


def test_codes_have_the_system_of_their_value_set() -> None:
    assert rows("gender", resourceType="Patient", gender="male") == [
        ("http://hl7.org/fhir/administrative-gender", "male")
    ]
    assert rows("language", resourceType="Patient") == []


def test_a_concept_of_text_only_is_there_but_has_no_code() -> None:
    assert rows("code", resourceType="Observation", code={"text": "x"}) == [("", "")]


def test_identifiers_keep_their_case_and_codes_do_not() -> None:
    patient = {"identifier": [{"system": "S", "value": "aB", "type": {"coding": [{"system": "T", "code": "MR"}]}}]}
    assert rows("identifier", resourceType="Patient", **patient) == [("S", "aB"), ("T", "mr", "aB")]
    assert rows("code", resourceType="Observation", code={"coding": [{"code": "AbC"}]}) == [("", "abc")]


def test_quantities() -> None:
    def found(**quantity: Any) -> Any:
        return rows("value-quantity", resourceType="Observation", valueQuantity=quantity)

    assert found(value=5, unit="mg", system="u", code="m") == [("u", "m", "mg", 5.0, 5.0)]
    assert found(value=5, comparator="<") == [("", "", "", float("-inf"), 5.0)]
    assert found(value=5, comparator=">=") == [("", "", "", 5.0, float("inf"))]
    assert found(unit="mg") == []


def test_references_here_and_elsewhere() -> None:
    def found(reference: Any, base: str = "") -> Any:
        resource = {"resourceType": "Observation", "subject": reference}
        return [(name, row[1:]) for name, row in index.values(index.extract(resource, base), "subject")]

    assert found({"reference": "Patient/1"}) == [("references", ("Patient", "1"))]
    assert found({"reference": "Patient/1/_history/2"}) == [("references", ("Patient", "1"))]
    assert found({"reference": "https://a/fhir/Patient/1"}, "https://a/fhir/") == [("references", ("Patient", "1"))]
    assert found({"reference": "https://a/fhir/Patient/1"}) == [("urls", ("https://a/fhir/Patient/1",))]
    assert found({"reference": "#p"}) == [("urls", ("",))]
    assert found({"display": "somebody"}) == [("urls", ("",))]
    assert found({"identifier": {"system": "s", "value": "v"}}) == [("identifiers", ("s", "v")), ("urls", ("",))]


def test_patient_is_the_part_of_subject_that_leads_to_patients() -> None:
    group = {"resourceType": "Observation", "subject": {"reference": "Group/1"}}
    assert rows("patient", **group) == []
    assert rows("subject", **group) == [("Group", "1")]
    assert not set(index.atoms("Observation", "patient")) ^ {
        n for n in index.atoms("Observation", "subject") if plan("Observation").atoms[n].part == "Patient"
    }


def test_components_are_not_lost() -> None:
    part = {"code": {"coding": [{"code": "a"}]}, "valueQuantity": {"value": 1, "code": "mg"}}
    observation = {"resourceType": "Observation", "code": {"coding": [{"code": "b"}]}, "component": [part, part]}
    assert {r[1] for r in rows("combo-code", **observation)} == {"a", "b"}
    assert {r[1] for r in rows("component-code", **observation)} == {"a"}
    assert rows("component-code-value-quantity", **observation) == [("", "a", "", "mg", "", 1.0, 1.0)] * 2
    assert rows("combo-code-value-quantity", **observation) == [("", "a", "", "mg", "", 1.0, 1.0)] * 2


def test_the_sorting_date() -> None:
    assert (
        sorting_date(index.extract({"resourceType": "Observation", "effectivePeriod": {"start": "1970-01-02"}})) == DAY
    )
    assert sorting_date(index.extract({"resourceType": "Observation"})) == UNDATED
    assert sorting_date(index.extract({"resourceType": "Organization"})) == UNDATED
    assert all(one_date(type) for type in PRIMARY)


# --- what is broken


def test_what_is_no_resource_is_refused() -> None:
    with pytest.raises(InvalidResource, match="no resource type that could be indexed"):
        index.extract({"resourceType": "Nothing"})
    with pytest.raises(InvalidResource, match="a value that search looks at has a wrong form") as caught:
        index.extract({"resourceType": "Patient", "birthDate": "yesterday"})
    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize("seed", range(300))
def test_broken_resources_raise_invalid_resource_and_nothing_else(seed: int) -> None:
    random = Random(seed)
    resource = copy.deepcopy(random.choice(WORLD))
    for _ in range(random.choice((1, 2, 3))):
        _damage(random, resource)
    with suppress(InvalidResource):
        index.extract(resource)


def _damage(random: Random, value: Any) -> None:
    """Puts nonsense somewhere into a resource."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = random.choice(keys)
        if isinstance(value[key], dict | list) and random.random() < 0.7:
            value = value[key]
            continue
        value[key] = random.choice(
            (None, 0, -1.5, True, "", "x/y", "#", [], {}, [None], [[]], {"coding": 3}, "9999-99-99")
        )
        return


# --- all types


def test_every_type_has_a_function_that_takes_an_empty_resource() -> None:
    for type in sorted(RESOURCE_TYPES):
        assert index.extract({"resourceType": type}).type == type


def test_a_change_of_what_is_indexed_is_told_to_databases() -> None:
    """When this fails, what is extracted has changed: raise RULES in suture/standards/fhir/index.py, then put the new words here."""
    texts = [source(type, plan(type).atoms, {}) for type in sorted(RESOURCE_TYPES)]
    words = hashlib.sha256("".join(texts).encode()).hexdigest()[:16]
    assert (index.RULES, words) == (4, "205455f0d02eb0b2")
