"""Places that no version of HL7 v2 has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.standards.hl7v2.absent import absent


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("PID-99.1", "PID has 40 fields, there is no PID-99"),
        ("PID-3.30", "PID-3 is of type CX, which has no component 30"),
        ("PID-8.30", "PID-8 is of type CWE, which has no component 30"),
        ("XYZ-1", "HL7 has no segment XYZ"),
    ],
)
def test_what_is_not_there_is_named(place: str, said: str) -> None:
    assert absent(place) == said


@pytest.mark.parametrize("place", ["PID-3.1", "PID-7.2", "OBX[2]-5.40", "PID", "ZPI-99.9", "CLM-05-1", "PID-3[2].4.1"])
def test_what_may_be_there_is_not(place: str) -> None:
    assert absent(place) == ""


@given(st.text(max_size=12))
def test_any_text_may_be_asked_for(text: str) -> None:
    assert isinstance(absent(text), str)
