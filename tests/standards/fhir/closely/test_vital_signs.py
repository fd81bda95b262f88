"""Vital signs are held against R4's own profiles of them, named or not."""

from __future__ import annotations

from typing import Any

from suture.standards.fhir.closely import Around, look
from tests.standards.fhir.closely.looking import bundle, errors
from tests.standards.fhir.vital_signs.signs import coded, observation, pressure

SNOMED = "http://snomed.info/sct"
PERCENT = {"value": 97, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}


def told(resource: dict[str, Any]) -> list[tuple[str, str]]:
    return [(place, text.partition(" (")[0]) for place, text in errors(resource)]


def test_sound_ones_pass() -> None:
    assert errors(pressure()) == []
    assert errors(observation("2708-6", valueQuantity=PERCENT)) == []
    assert errors(observation("2345-7", category=[])) == [], "glucose is no vital sign"


def test_the_profiles_own_code_stands_beside_a_closer_one() -> None:
    unit = {"value": 37, "unit": "C", "system": "http://unitsofmeasure.org", "code": "Cel"}
    core = observation("276885007", SNOMED, valueQuantity=unit)
    assert told(core) == [("Observation.code.coding", "The slice BodyTempCode is missing.")]
    core["code"]["coding"] += coded("8310-5")["coding"]
    assert errors(core) == []


def test_what_a_profile_asks_for_is_missed_at_its_place_in_a_bundle() -> None:
    silent = pressure()
    del silent["component"][0]["valueQuantity"], silent["effectiveDateTime"]
    entry = {"fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "resource": silent}
    place = "Bundle.entry[0].resource"
    assert set(told(bundle("collection", entry))) == {
        (f"{place}.effective", "The element is missing."),
        (f"{place}.component[0]", "The rule vs-3 is broken."),
    }


def test_only_errors_are_told_unasked_and_nothing_twice() -> None:
    seen = observation("59408-5", valueQuantity=PERCENT)
    assert [one.severity for one in look(seen)] == ["error"], "its code is only a warning of the profile's binding"
    url = "http://hl7.org/fhir/StructureDefinition/oxygensat"
    assert look(seen, Around(profiles=(url,))) == [], "whoever names the profile is told by it"
