"""What a search that ran too long is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.standards.fhir.search_advice import advice


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("value-string:contains _sort _total", "Leave out or narrow value-string:contains, _sort, _total. Name a patient or a code or a date."),
        ("patient code date", "Ask for a shorter time or fewer values."),
        ("subject:Patient.name code", "Leave out or narrow subject:Patient.name. Name a date."),
        ("_has:Observation:patient:code", "Leave out or narrow _has:Observation:patient:code. Name a patient or a code or a date."),
        ("identifier date:missing", "Leave out or narrow date:missing. Name a code."),
    ],
)  # fmt: skip
def test_it_names_what_costs_and_what_would_help(names: str, said: str) -> None:
    assert advice([(name, "secret") for name in names.split()]) == said


@given(st.lists(st.tuples(st.text(max_size=200), st.just("secret")), max_size=300))
def test_it_is_short_and_holds_no_value(pairs: list[tuple[str, str]]) -> None:
    said = advice(pairs)
    assert len(said) < 800
    assert said.isprintable()
    assert "secret" not in said or any("secret" in name for name, _ in pairs)
