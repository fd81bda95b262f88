"""The name somebody meant: alike, and of the alike ones the one with the fewest letters to change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.spelling import changes, nearest


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("hl7v2/ADT_A0l", ["hl7v2/ADT_A60", "hl7v2/ADT_A01", "hl7v2/ORU_R01"], "hl7v2/ADT_A01"),
        ("SUTURE_DATABSE", ["SUTURE_DATABASE", "SUTURE_KEY_FILE"], "SUTURE_DATABASE"),
        ("quite other", ["message"], ""),
        ("x" * 300, ["x" * 299], ""),
        ("x", [], ""),
    ],
)
def test_the_nearest_name(name: str, known: list[str], meant: str) -> None:
    assert nearest(name, known) == meant


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_changes_are_a_distance(a: str, b: str, c: str) -> None:
    assert changes(a, b) == changes(b, a)
    assert (changes(a, b) == 0) == (a == b)
    assert changes(a, c) <= changes(a, b) + changes(b, c)
    assert abs(len(a) - len(b)) <= changes(a, b) <= max(len(a), len(b))
