"""Codes of value sets that are at hand as resources, with R4's own behind them."""

from __future__ import annotations

import pytest

from suture.standards.terminology.collected import Collected
from tests.standards.terminology.worlds import ANIMALS, RESOURCE

BIRDS = "http://example.org/birds"
SETS = [
    {
        "resourceType": "ValueSet",
        "url": BIRDS,
        "version": "1",
        "compose": {
            "include": [{"system": ANIMALS, "filter": [{"property": "concept", "op": "is-a", "value": "bird"}]}]
        },
    },
    {
        "resourceType": "ValueSet",
        "url": "http://example.org/far",
        "compose": {"include": [{"system": "http://example.org/elsewhere"}]},
    },
]
FOUND = Collected([RESOURCE, *SETS])


@pytest.mark.parametrize(
    ("system", "code", "url", "known"),
    [
        (ANIMALS, "hen", BIRDS, True),
        (ANIMALS, "hen", f"{BIRDS}|1", True),
        (ANIMALS, "cat", BIRDS, False),
        (None, "hen", BIRDS, True),
        (ANIMALS, "hen", f"{BIRDS}|2", None),
        (ANIMALS, "hen", "http://example.org/none", None),
        ("http://example.org/elsewhere", "x", "http://example.org/far", None),
        (None, "male", "http://hl7.org/fhir/ValueSet/administrative-gender", True),
        (None, "man", "http://hl7.org/fhir/ValueSet/administrative-gender", False),
    ],
)
def test_a_code_is_in_a_set_or_not_or_nobody_can_tell(
    system: str | None, code: str, url: str, known: bool | None
) -> None:
    assert FOUND.member_of(system, code, url) is known


def test_a_system_of_which_only_the_name_is_here_tells_nothing() -> None:
    bare = {"resourceType": "CodeSystem", "url": ANIMALS, "content": "not-present"}
    assert Collected([bare, *SETS]).member_of(ANIMALS, "hen", BIRDS) is None


def test_what_is_not_sound_is_not_used() -> None:
    broken = {"resourceType": "ValueSet", "url": BIRDS, "compose": {"include": ["x"]}}
    asked: list[str] = []

    def sound(resource: dict[str, object]) -> bool:
        asked.append(str(resource["url"]))
        return resource is not broken

    found = Collected([RESOURCE, broken], sound)
    assert found.member_of(ANIMALS, "hen", BIRDS) is None
    assert found.member_of(ANIMALS, "hen", BIRDS) is None
    assert asked == [BIRDS]
