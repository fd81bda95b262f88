"""Every registered function does what its examples say, and never raises on any text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.mapping.context import Source
from suture.mapping.functions import REGISTRY, Doubt, Function

EXAMPLES = [(f, text, out) for f in REGISTRY.values() for text, out in f.examples]


def called(f: Function, text: str) -> Any:
    source, *rest = text.split(" | ") if f.most else [text]
    found = f.work(source, Source(), *[r.strip("'") for r in rest])
    return found.value if isinstance(found, Doubt) else found


@pytest.mark.parametrize(("f", "text", "out"), EXAMPLES, ids=lambda v: v.name if isinstance(v, Function) else repr(v))
def test_examples(f: Function, text: str, out: Any) -> None:
    found = called(f, text)
    assert found == out
    assert type(found) is type(out)


@pytest.mark.parametrize("f", REGISTRY.values(), ids=lambda f: f.name)
def test_each_has_help_and_an_example(f: Function) -> None:
    assert f.help.endswith(".")
    assert f.examples


@given(st.sampled_from([f for f in REGISTRY.values() if f.least == 0]), st.text())
def test_no_text_breaks_a_function(f: Function, text: str) -> None:
    f.work(text, Source())


def test_decimals_keep_their_form() -> None:
    assert str(REGISTRY["decimal"].work("72.50", Source())) == "72.50"


def test_times_get_the_offset_of_the_source_in_summer_and_winter() -> None:
    chicago = Source(time_zone="America/Chicago")
    assert REGISTRY["dateTime"].work("20260715083000", chicago) == "2026-07-15T08:30:00-05:00"
    assert REGISTRY["dateTime"].work("202601150830", chicago) == "2026-01-15T08:30:00-06:00"


def test_an_unknown_authority_is_the_sources_own_and_doubtful() -> None:
    found = REGISTRY["system"].work("HOSP", Source(id="lakeside"))
    assert found == Doubt(
        "urn:suture:source:lakeside:HOSP", "an assigning authority that the source's table does not know"
    )
    assert (
        REGISTRY["system"].work("HOSP", Source(authorities={"HOSP": "https://h.example/mrn"}))
        == "https://h.example/mrn"
    )
