"""The least, the most and the longest that a profile allows, and differentials without ids."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from suture.standards.fhir import profiles
from suture.standards.fhir.profiles import Around
from suture.standards.fhir.profiles.values import order
from tests.standards.fhir.profiles.made import element, profile

URL = "http://example.org/bounded"
BOUNDED = profiles.read(
    profile(
        URL,
        "Patient",
        element("Patient.birthDate", minValueDate="1900-01-01", maxValueDate="2020-12-31"),
        element("Patient.name.family", maxLength=5),
        element("Patient.multipleBirth[x]", maxValueInteger=3),
    )
)


@pytest.mark.parametrize(
    ("found", "place", "text"),
    [
        ({"birthDate": "1899-12-31"}, "Patient.birthDate", "The value is less than 1900-01-01."),
        ({"birthDate": "2021-01-01"}, "Patient.birthDate", "The value is more than 2020-12-31."),
        ({"name": [{"family": "Miller"}]}, "Patient.name[0].family", "The text has more than 5 characters."),
        ({"multipleBirthInteger": 4}, "Patient.multipleBirth", "The value is more than 3."),
    ],
)
def test_what_passes_a_bound_is_found(found: dict[str, Any], place: str, text: str) -> None:
    issues = profiles.check({"resourceType": "Patient", **found}, BOUNDED, Around())
    assert [(i.expression, i.text) for i in issues] == [(place, f"{text} ({URL}|1)")]


def test_what_stands_on_a_bound_or_is_less_precise_passes() -> None:
    for found in (
        {"birthDate": "1900-01-01"},
        {"birthDate": "1899"},
        {"name": [{"family": "Mills"}]},
        {"multipleBirthBoolean": True},
    ):
        assert profiles.check({"resourceType": "Patient", **found}, BOUNDED, Around()) == []


@pytest.mark.parametrize(
    ("one", "other", "known"),
    [
        (Decimal("1.50"), 1.5, 0),
        ({"value": 2, "code": "g"}, {"value": 1, "code": "g"}, 1),
        ({"value": 2, "code": "g"}, {"value": 1, "code": "kg"}, None),
        ("2024-01-01T10:00:00Z", "2024-01-01T11:00:00Z", -1),
        ("2024-01-01T10:00:00+01:00", "2024-01-01T11:00:00+02:00", None),
        (True, 1, None),
        ({"value": 1}, 1, None),
    ],
)
def test_values_are_ordered_as_far_as_that_goes(one: Any, other: Any, known: int | None) -> None:
    assert order(one, other) == known


def test_elements_without_ids_are_placed_by_path_and_slice() -> None:
    rows = [
        {"path": "Patient"},
        {
            "path": "Patient.telecom",
            "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"},
        },
        {"path": "Patient.telecom", "sliceName": "phone", "min": 1},
        {"path": "Patient.telecom.system", "fixedCode": "phone"},
        {"path": "Patient.telecom", "sliceName": "fax", "max": "0"},
        {"path": "Patient.telecom.system", "fixedCode": "fax"},
        {"path": "Patient.name", "min": 1},
    ]
    bare = profiles.read(profile(URL, "Patient", *rows))
    phone, fax = {"system": "phone", "value": "1"}, {"system": "fax", "value": "2"}
    found = [
        [issue.text.partition(" (")[0] for issue in profiles.check({"resourceType": "Patient", **more}, bare, Around())]
        for more in ({"telecom": [phone], "name": [{}]}, {"telecom": [phone, fax], "name": [{}]}, {"telecom": []})
    ]
    few = ["The slice phone is missing.", "The element is missing."]
    assert found == [[], ["The slice fax may not be there."], few]
