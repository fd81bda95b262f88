"""Which profile an Observation has to keep, by its code."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.standards.fhir import vital_signs
from suture.standards.fhir.vital_signs.choice import CODES, LOINC, SNOMED
from tests.standards.fhir.vital_signs.signs import observation


@pytest.mark.parametrize("url", [url for url in vital_signs.URLS if not url.endswith("/vitalsigns")])
def test_a_profile_is_chosen_by_the_code_that_it_asks_for(url: str) -> None:
    profile = vital_signs.profile(url)
    assert profile is not None
    asked = next(iter(profile.root.children["code"].children["coding"].slices.values())).children["code"].fixed
    assert vital_signs.meant(observation(asked)) == url


@pytest.mark.parametrize(
    ("code", "system", "name"),
    [("8331-1", LOINC, "bodytemp"), ("276885007", SNOMED, "bodytemp"), ("59408-5", LOINC, "oxygensat"), ("8480-6", LOINC, "bp")],
)  # fmt: skip
def test_closer_codes_of_the_same_measurement_choose_it_too(code: str, system: str, name: str) -> None:
    assert vital_signs.meant(observation(code, system)).endswith(f"/{name}")


def test_other_codes_choose_none() -> None:
    assert vital_signs.meant(observation("2345-7")) == ""
    assert vital_signs.meant(observation("8310-5", "http://hospital.org/codes")) == ""
    assert vital_signs.meant({}) == ""
    assert set(CODES.values()) <= set(vital_signs.URLS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["coding", "system", "code"]), inner),
    max_leaves=8,
)


@given(JSON)
def test_anything_may_be_asked(code: Any) -> None:
    assert vital_signs.meant({"code": code}) == ""
