"""The profiles of vital signs are those of R4's package, and they judge what they are made for."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from scripts import build_vital_signs
from suture.standards.fhir import profiles, validate, vital_signs
from suture.standards.fhir.definitions import files
from suture.standards.fhir.profiles import Around
from tests import public
from tests.standards.fhir.vital_signs.signs import observation, pressure

BASE = "http://hl7.org/fhir/StructureDefinition/"


@pytest.mark.slow
def test_the_table_is_made_from_the_package(tmp_path: Path) -> None:
    build_vital_signs.write(public.path("fhir/hl7.fhir.r4.core-4.0.1.tgz"), tmp_path)
    committed = files("suture.standards.fhir.vital_signs") / "profiles.jsonl"
    assert (tmp_path / "profiles.jsonl").read_bytes() == committed.read_bytes()


def test_every_profile_is_there_by_its_canonical_and_version() -> None:
    for url in vital_signs.URLS:
        found = vital_signs.profile(f"{url}|4.0.1")
        assert found is not None
        assert (found.type, found.name) == ("Observation", f"{url}|4.0.1")
        assert vital_signs.profile(f"{url}|5.0.0") is None
    assert vital_signs.profile(BASE + "Observation") is None


def findings(resource: dict[str, Any], name: str) -> list[tuple[str, str, str]]:
    profile = vital_signs.profile(BASE + name)
    assert profile is not None
    found = profiles.check(resource, profile, Around(vital_signs.profile, member_of=vital_signs.member_of))
    quick = vital_signs.QUICK.keeps(resource, profile, None)
    assert not (quick and found), "a fast yes is never wrong"
    return [(one.severity, one.expression, one.text.partition(" (")[0]) for one in found]


def test_a_temperature_keeps_its_profile() -> None:
    sound = observation(
        "8310-5", valueQuantity={"value": 37, "unit": "C", "system": "http://unitsofmeasure.org", "code": "Cel"}
    )
    assert findings(sound, "bodytemp") == []
    unit = observation(
        "8310-5", valueQuantity={"value": 37, "unit": "K", "system": "http://unitsofmeasure.org", "code": "K"}
    )
    assert findings(unit, "bodytemp") == [
        ("error", "Observation.value.code", "No code of http://hl7.org/fhir/ValueSet/ucum-bodytemp|4.0.1 is there")
    ]
    assert findings(observation("8310-5"), "bodytemp") == [("error", "Observation", "The rule vs-2 is broken.")]


def test_a_blood_pressure_has_both_its_parts() -> None:
    assert findings(pressure(), "bp") == []
    half = pressure()
    half["component"][1]["code"]["coding"][0]["code"] = "8478-0"
    assert ("error", "Observation.component", "The slice DiastolicBP is missing.") in findings(half, "bp")


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything inside."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*way, key)
        yield from places(inner, (*way, key))


def test_the_fast_yes_knows_a_pressure_and_is_never_wrong_about_one() -> None:
    """Its components are told apart by slices inside them (`findings` compares)."""
    profile = vital_signs.profile(BASE + "bp")
    assert profile is not None
    assert vital_signs.QUICK.keeps(pressure(), profile, None)
    found = 0
    for *way, last in places(pressure()):
        for change in ("out", "twice", "other"):
            spoiled = holder = pressure()
            for key in way:
                holder = holder[key]
            if change == "out":
                del holder[last]
            elif change == "twice" and isinstance(holder, list):
                holder.append(deepcopy(holder[last]))
            else:
                holder[last] = "x"
            if spoiled.get("resourceType") == "Observation" and not validate.check(spoiled):
                found += bool(findings(spoiled, "bp"))
    assert found > 20


def test_a_component_may_have_units_that_no_vital_sign_has() -> None:
    """Oxygen flows beside a saturation: R4 binds all components to seven units, and took it back."""
    flow = {"value": 6, "unit": "L/min", "system": "http://unitsofmeasure.org", "code": "L/min"}
    inhaled = {"code": {"coding": [{"system": "http://loinc.org", "code": "3151-8"}]}, "valueQuantity": flow}
    percent = {"value": 95, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
    found = findings(observation("2708-6", valueQuantity=percent, component=[inhaled]), "oxygensat")
    assert [one for one in found if one[0] == "error"] == []
