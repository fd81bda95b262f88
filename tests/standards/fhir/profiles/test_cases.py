"""HL7's public validator cases: the guide tells exactly how far Suture agrees, and it agrees no less than it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.standards.fhir.profiles import cases

GUIDE = Path(__file__).parents[4] / "docs" / "validation.md"


@pytest.mark.slow
def test_the_guide_names_every_disagreement() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    told = text.partition("<!-- validator cases -->\n")[2].partition("\n<!-- end -->")[0]
    assert told == cases.section(), "print it anew: python -m tests.standards.fhir.profiles.cases"


@pytest.mark.slow
def test_they_agree_no_less_than_they_did() -> None:
    found = cases.judge()
    agreed = sum(one.wanted == one.got for one in found)
    assert len(found) > 490
    assert agreed >= 469, f"{agreed} of {len(found)} judgements"
    whole, of = cases.agreeing(found)
    assert of > 400
    assert whole >= 372, f"{whole} of {of} cases"
    alarms = [one.name for one in found if one.got and not one.wanted]
    assert len(alarms) <= 7, alarms
