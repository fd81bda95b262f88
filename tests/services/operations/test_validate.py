"""$validate tells the same with and without the fast yes, over the examples of US Core, whole and spoiled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suture.services.canonicals import Known
from suture.services.operations.validate import judged
from suture.standards.fhir import us_core
from tests.services.matches.house import house as opened
from tests.standards.fhir.us_core.examples import package

TODAY = "2026-01-01"


class Counting:
    """The fast yes of `known`, counted; `off`: never."""

    def __init__(self, known: Known, *, off: bool = False) -> None:
        self.within, self.off, self.yes = known.quick, off, 0

    def keeps(self, *asked: Any) -> bool:
        found = not self.off and self.within.keeps(*asked)
        self.yes += found
        return found


def spoiled(example: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The example, without each of three elements, and inside a Bundle."""
    yield example
    for name in [key for key in example if key not in ("resourceType", "id", "meta", "text")][:3]:
        yield {key: value for key, value in example.items() if key != name}
    entry = {"fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "resource": example}
    yield {"resourceType": "Bundle", "type": "collection", "entry": [entry]}


@pytest.mark.slow
def test_the_fast_yes_changes_no_outcome(tmp_path: Path) -> None:
    done = 0
    with opened(tmp_path) as house, house.chart.canonicals.at(house.chart.database.read) as known:
        fast, slow = Counting(known), Counting(known, off=True)
        for example in package(us_core.NEWEST)[1]:
            for resource in spoiled(example):
                found = []
                for way in (fast, slow):
                    known.quick = way  # type: ignore[assignment]
                    found.append(judged(known, resource, [], TODAY))
                assert found[0] == found[1], example["id"]
                done += 1
    assert done > 800
    assert fast.yes > 300
    assert slow.yes == 0


def test_a_named_profile_is_held_against_what_r4_finds_unsound_all_the_same(tmp_path: Path) -> None:
    """The fast yes stands on R4's: without it the slow walk is taken."""
    patient = {"resourceType": "Patient", "gender": "frob"}
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    with opened(tmp_path) as house, house.chart.canonicals.at(house.chart.database.read) as known:
        counting = known.quick = Counting(known)  # type: ignore[assignment]
        found = judged(known, patient, [url], TODAY)
    assert [one.expression for one in found] == ["Patient.gender", "Patient.identifier", "Patient.name"]
    assert counting.yes == 0
