"""Names and dates of people are compared in levels; weights of what agrees and differs add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.services.operations import match_compare as compare
from suture.services.operations.match_blocks import blocks
from suture.services.operations.match_weights import COMPARED, WEIGHTS, Traits, likeness

ANN: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:mrn", "value": "7"}],
    "name": [{"family": "O'Brien", "given": ["Ann", "Mary"]}],
    "birthDate": "1980-02-03",
    "gender": "female",
    "telecom": [{"system": "phone", "value": "(555) 010-0123"}, {"system": "email", "value": "Ann@Example.org"}],
    "address": [{"line": ["12 Oak Street"], "postalCode": "12345-6789"}],
}


@pytest.mark.parametrize(
    ("ours", "theirs", "level"),
    [
        ("smith", "smith", "exact"),
        ("smith", "smiht", "near"),
        ("johansson", "johannsen", "near"),
        ("meyer", "maier", "sound"),
        ("j", "john", "part"),
        ("smith jones", "jones", "part"),
        ("lee", "law", "sound"),
        ("ann", "bea", "apart"),
    ],
)
def test_names_have_levels(ours: str, theirs: str, level: str) -> None:
    assert compare.names([ours], [theirs]) == compare.names([theirs], [ours]) == level


def test_the_best_of_several_names_counts_and_none_says_nothing() -> None:
    assert compare.names(["x", "smith"], ["smith", "y"]) == "exact"
    assert compare.names([], ["smith"]) == ""


@pytest.mark.parametrize(
    ("ours", "theirs", "level"),
    [
        ("1980-02-03", "1980-02-03", "exact"),
        ("1980-02-03", "1980-03-02", "near"),
        ("1980-02-03", "1980-02-08", "near"),
        ("1980-02-03", "1981-02-08", "apart"),
        ("1980-02", "1980-02-03", "month"),
        ("1980", "1980-02-03", "year"),
        ("1981", "1980-02-03", "apart"),
        ("", "1980-02-03", ""),
    ],
)
def test_days_have_levels(ours: str, theirs: str, level: str) -> None:
    assert compare.days(ours, theirs) == compare.days(theirs, ours) == level


def test_soundex_is_the_american_one() -> None:
    said = [compare.soundex(n) for n in ("robert", "rupert", "ashcraft", "tymczak", "pfister", "honeyman")]
    assert said == ["R163".lower(), "r163", "a261", "t522", "p236", "h555"]


def found(**change: Any) -> tuple[str, dict[str, str]]:
    like = likeness(Traits({key: v for key, v in {**ANN, **change}.items() if v is not None}), Traits(ANN))
    return like.grade, like.levels


def test_all_the_same_is_certain_and_every_level_has_a_weight() -> None:
    grade, levels = found()
    assert (grade, set(levels.values()), set(levels)) == ("certain", {"exact"}, set(WEIGHTS))
    assert set(COMPARED) == set(WEIGHTS)


TWIN = {"name": [{"family": "O'Brien", "given": ["Bea"]}], "identifier": None}


@pytest.mark.parametrize(
    ("change", "grade"),
    [
        ({"identifier": None}, "certain"),
        ({"identifier": None, "telecom": None, "address": None}, "probable"),
        (TWIN, "possible"),
        ({**TWIN, "gender": "male"}, "possible"),
        ({"birthDate": "1980-03-02"}, "probable"),
        ({"gender": "male"}, "probable"),
        ({"name": [{"family": "Ann", "given": ["OBrien"]}], "identifier": None}, "probable"),
        ({"identifier": None, "telecom": None, "address": None, "birthDate": None}, "possible"),
        ({"name": [{"family": "Zed", "given": ["Kim"]}], "birthDate": "1950-01-01", "identifier": None, "telecom": None, "address": None}, "certainly-not"),
    ],
)  # fmt: skip
def test_what_differs_is_never_certain(change: dict[str, Any], grade: str) -> None:
    assert found(**change)[0] == grade


def test_every_block_shares_something() -> None:
    asked = list(blocks(ANN, Traits(ANN)))
    assert [("identifier", "urn:mrn|7")] in asked
    assert [("family", "obrien"), ("given", "ann")] in asked
    assert [("birthdate", "1980-02-03")] in asked
    assert [("birthdate", "1980-03-02")] in asked
    assert list(blocks({}, Traits({}))) == []


NAMES = st.text(max_size=12)


@given(ours=NAMES, theirs=NAMES)
def test_comparing_is_the_same_both_ways(ours: str, theirs: str) -> None:
    assert compare.names([ours], [theirs]) == compare.names([theirs], [ours])
    assert compare.days(ours, theirs) == compare.days(theirs, ours)


def _distance(a: str, b: str) -> int:
    """Optimal string alignment as it is defined, slowly."""
    known: dict[tuple[int, int], int] = {}
    for i in range(len(a) + 1):
        for j in range(len(b) + 1):
            ways = [known[i - 1, j] + 1] if i else []
            ways += [known[i, j - 1] + 1] if j else []
            ways += [known[i - 1, j - 1] + (a[i - 1] != b[j - 1])] if i and j else []
            swapped = i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]
            ways += [known[i - 2, j - 2] + 1] if swapped else []
            known[i, j] = min(ways, default=0)
    return known[len(a), len(b)]


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_slips_are_counted_to_two(a: str, b: str) -> None:
    assert min(compare._slips(a, b), 3) == min(_distance(a, b), 3)
