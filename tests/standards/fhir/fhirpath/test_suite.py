"""The official suite: what misses is exactly what docs/fhirpath.md lists, each with its reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from suture.standards.fhir.fhirpath import compile
from suture.standards.fhir.fhirpath.functions import FUNCTIONS
from tests.standards.fhir.fhirpath import suite

PAGE = Path(__file__).parents[4] / "docs" / "fhirpath.md"


def listed(heading: str) -> set[str]:
    """The case names of a table in the page."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def test_just_the_listed_cases_miss() -> None:
    misses = {case.name for case in suite.cases() if suite.run(case)}
    assert misses == listed("What misses of the official suite")


def test_the_page_tells_the_figures_of_the_suite() -> None:
    cases = list(suite.cases())
    missed = len(listed("What misses of the official suite"))
    assert f"{len(cases) - missed} of {len(cases)}" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["2 + 2 /", "2 + 2 /* not finished", "name.", "where(", "'open", "@2015-13", "1 @T14"])
def test_broken_texts_are_refused_without_a_type_too(text: str) -> None:
    with pytest.raises(Exception, match="column"):
        compile(text)


def test_the_page_lists_every_function() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## Functions", 1)[1].split("N1 has", 1)[0]
    assert set(re.findall(r"`(\w+)\(\)`", section)) == set(FUNCTIONS)
