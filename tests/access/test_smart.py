"""Scopes are read to the letter; what can't be kept is refused, never widened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.access import smart
from suture.access.caller import Scope
from suture.errors import InvalidSyntax
from suture.standards.fhir import definitions


@pytest.mark.parametrize(
    ("word", "scope"),
    [
        ("patient/*.read", Scope("patient", "*", "rs")),
        ("patient/Observation.write", Scope("patient", "Observation", "cud")),
        ("user/*.*", Scope("user", "*", "cruds")),
        ("system/Patient.rs", Scope("system", "Patient", "rs")),
        ("user/Observation.cruds", Scope("user", "Observation", "cruds")),
        ("user/Observation.s", Scope("user", "Observation", "s")),
    ],
)
def test_v1_and_v2_are_read(word: str, scope: Scope) -> None:
    assert smart.parse_one(word) == scope


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("user/Observation.sr", "not a SMART scope"),
        ("user/Observation.dus", "not a SMART scope"),
        ("user/Observation.", "not a SMART scope"),
        ("user/Observation", "not a SMART scope"),
        ("user/Observation.rr", "not a SMART scope"),
        ("User/Observation.r", "not a SMART scope"),
        ("anyone/Observation.r", "not a SMART scope"),
        ("openid", "not a SMART scope"),
        ("user/Observation.dus?category=laboratory", "not a SMART scope"),
        ("user/Observation.?category=laboratory", "not a SMART scope"),
        (
            "user/Observation.read?category=a",
            "a query stands behind letters of cruds, written without blanks and quotes",
        ),
        (
            'user/Observation.rs?category="a"',
            "a query stands behind letters of cruds, written without blanks and quotes",
        ),
        ("user/Observatory.r", "R4 has no resource type 'Observatory'"),
        ("user/HumanName.r", "R4 has no resource type 'HumanName'"),
    ],
)
def test_what_cannot_be_kept_is_refused(word: str, text: str) -> None:
    with pytest.raises(InvalidSyntax) as caught:
        smart.parse(f"user/Patient.r {word}")
    assert caught.value.text == text
    assert word in caught.value.where


CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


@pytest.mark.parametrize(
    "word",
    [
        f"patient/Observation.rs?category={CATEGORY}",
        "user/Observation.rs?category=a,b&status=final",
        "system/Observation.cruds?code:not=http://loinc.org|1234-5",
        "patient/*.rs?_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|N",
        "user/Observation.r?date=ge2020-01-01&date=lt2021",
        "user/Patient.rs?name:exact=Ann%20Lee",
        "user/Observation.rs?value-quantity=gt5.4||mg",
        "user/Observation.rs?subject:missing=false",
        "user/Observation.rs?status:in=http://hl7.org/fhir/ValueSet/observation-status",
        "user/Observation.rs?code-value-concept=a$b",
    ],
)
def test_granular_scopes_are_kept_as_they_are_written(word: str) -> None:
    (scope,) = smart.parse(word)
    assert str(scope) == word
    assert smart.rule(scope) is not None


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("user/Observation.rs?", "it says nothing"),
        ("user/Observation.rs?category", "not PARAMETER=VALUE, joined by &"),
        ("user/Observation.rs?category=", "a value is empty"),
        ("user/Observation.rs?category=a,", "a value is empty"),
        ("user/Observation.rs?category=%ff", "not PARAMETER=VALUE, joined by &"),
        ("user/Observation.rs?colour=red", "Observation has no such search parameter"),
        ("user/Observation.rs?category:colour=red", "the modifier :colour is not supported for a token parameter"),
        ("user/Observation.rs?category:text=lab", "the modifier :text is not exact"),
        ("user/Observation.rs?code:below=http://x|y", "the hierarchy of this code system is not known here"),
        ("user/Observation.rs?code:in=http://x/valueset", "this value set can't be enumerated here"),
        ("user/Observation.rs?date=ap2020", "'approximately' is not exact"),
        ("user/Observation.rs?_lastUpdated=ge2020", "_lastUpdated changes with every write"),
        ("user/Observation.rs?patient.name=x", "chains, _has, _list and _filter are more than a test of one parameter"),
        (
            "user/Patient.rs?_has:Observation:patient:code=x",
            "chains, _has, _list and _filter are more than a test of one parameter",
        ),
        ("user/Observation.rs?category=a&_count=1", "it shapes results, it says nothing about a row"),
        ("user/Observation.rs?category=a&_sort=date", "it shapes results, it says nothing about a row"),
        ("user/Observation.rs?category=a&_include=*", "it shapes results, it says nothing about a row"),
        ("user/Observation.rs?category=a&_format=json", "it shapes results, it says nothing about a row"),
        (
            "user/Observation.rs?_filter=code%20eq%20x",
            "chains, _has, _list and _filter are more than a test of one parameter",
        ),
        ("user/Observation.rs?_text=x", "_text is not exact"),
        ("user/Observation.rs?_list=x", "chains, _has, _list and _filter are more than a test of one parameter"),
        ("user/Location.rs?near=1%7C2", "near is not exact"),
        ("user/*.rs?category=a", "a search over all types has no such search parameter"),
        ("user/Observation.rs?" + "&".join(["code=x"] * 11), "not PARAMETER=VALUE, joined by &"),
        ("user/Observation.rs?code=" + ",".join(map(str, range(60))), "more than 50 values"),
    ],
)
def test_a_query_that_cannot_be_kept_to_the_letter_is_refused(word: str, text: str) -> None:
    with pytest.raises(InvalidSyntax) as caught:
        smart.parse(word)
    assert caught.value.text == f"this query can't be kept to the letter: {text}"


def test_a_search_parameter_of_ones_own_bounds_no_scope() -> None:
    """If it went away, `race:missing=true` would open the whole type."""
    race = definitions.SearchParameter("race", "token", "Patient.gender", "urn:race", own=True)
    definitions.adopt(definitions.Own("race", {"Patient": {"race": race}}))
    try:
        with pytest.raises(InvalidSyntax, match="may change or go"):
            smart.parse("user/Patient.rs?race:missing=true")
    finally:
        definitions.adopt(definitions.NO_OWN)


def test_an_empty_list_grants_nothing() -> None:
    assert smart.parse("") == ()


PIECES = st.sampled_from(
    ["patient/", "user/", "Observation", "*", ".rs", ".", "?", "category", "=", "a", "&", ":not", "|", ",", " ", "%20"]
)


@given(st.text(max_size=40) | st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        scopes = smart.parse(text)
    except InvalidSyntax:
        return
    assert smart.parse(smart.text(scopes)) == scopes
