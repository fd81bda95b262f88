"""Scopes are read to the letter; what can't be kept is refused, never widened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.access import smart
from suture.access.caller import Scope
from suture.errors import InvalidSyntax


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
        ("user/Observation.rs?category=laboratory", "a scope narrowed by a query is not supported"),
        ("user/Observatory.r", "R4 has no resource type 'Observatory'"),
        ("user/HumanName.r", "R4 has no resource type 'HumanName'"),
    ],
)
def test_what_cannot_be_kept_is_refused(word: str, text: str) -> None:
    with pytest.raises(InvalidSyntax) as caught:
        smart.parse(f"user/Patient.r {word}")
    assert caught.value.text == text
    assert word in caught.value.where


def test_an_empty_list_grants_nothing() -> None:
    assert smart.parse("") == ()


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        scopes = smart.parse(text)
    except InvalidSyntax:
        return
    assert smart.parse(smart.text(scopes)) == scopes
