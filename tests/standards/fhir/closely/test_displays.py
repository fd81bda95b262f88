"""Displays are those of the code system, in some spelling and some language."""

from __future__ import annotations

from typing import Any

import pytest

from suture.standards.fhir.closely import Around, look
from tests.standards.fhir.closely.looking import errors

GENDER, RELATION = "http://hl7.org/fhir/administrative-gender", "http://terminology.hl7.org/CodeSystem/v2-0131"
OWN = "http://hospital.org/wards"
PLACE = "Basic.code.coding[0].display"


def basic(system: str, code: str, display: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Basic", "code": {"coding": [{"system": system, "code": code, "display": display}]}, **more}


def test_another_name_is_an_error_where_the_system_is_known_whole() -> None:
    assert errors(basic(GENDER, "female", "Male")) == [(PLACE, f"The code system {GENDER} calls the code otherwise.")]
    [found] = look(basic(GENDER, "female", "Male"))
    assert found.mend == "Write 'Female', or leave the display out."


def test_a_system_that_grew_since_r4_is_doubted_only_on_request() -> None:
    other = basic(RELATION, "C", "Cousin")
    assert [(one.severity, one.expression) for one in look(other)] == [("warning", PLACE)]
    strict = Around(strict=frozenset({"displays"}))
    assert errors(other, strict) == [(PLACE, f"The code system {RELATION} calls the code otherwise.")]


@pytest.mark.parametrize(
    "sound",
    [
        basic(RELATION, "C", "emergency  contact"),
        basic(RELATION, "N", "Next of kin"),
        basic(RELATION, "C", "Notfallkontakt", language="de-CH"),
        basic(RELATION, "nowhere", "x"),
        basic("http://hospital.org/unknown", "C", "x"),
        basic(GENDER, "female", "  "),
        basic(GENDER, "female", 7),
    ],
)
def test_spelling_languages_and_what_nobody_knows_are_let_pass(sound: dict[str, Any]) -> None:
    assert [one for one in look(sound) if one.expression == PLACE] == []


def test_a_long_display_may_be_cut_short() -> None:
    system, code = "http://terminology.hl7.org/CodeSystem/v3-TribalEntityUS", "187"
    whole = "Paiute-Shoshone Tribe of the Fallon Reservation and Colony, Nevada"
    assert look(basic(system, code, whole)) == []


def test_a_stored_system_names_its_codes_by_designations_too() -> None:
    concept = {"code": "3b", "display": "Surgery", "designation": [{"language": "de", "value": "Chirurgie"}]}
    wards = {"resourceType": "CodeSystem", "url": OWN, "status": "active", "content": "complete", "concept": [concept]}
    around = Around(lambda type, url: wards if (type, url) == ("CodeSystem", OWN) else None)
    assert errors(basic(OWN, "3b", "Chirurgie"), around) == []
    assert errors(basic(OWN, "3b", "Kitchen"), around) == [(PLACE, f"The code system {OWN} calls the code otherwise.")]


def test_the_language_of_the_bundle_counts_for_what_says_nothing() -> None:
    inner = {
        "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
        "resource": basic(GENDER, "female", "weiblich"),
    }
    around = {"resourceType": "Bundle", "type": "collection", "entry": [inner]}
    assert len(errors(around)) == 1
    assert errors({**around, "language": "de"}) == []
