"""Terminology resources, search parameters, capability statements, profiles, and the codes and addresses in all."""

from __future__ import annotations

from typing import Any

import pytest

from suture.standards.fhir.closely import Around
from suture.standards.fhir.closely.value_sets import soundly
from tests.standards.fhir.closely.looking import errors

STATUS = "http://hl7.org/fhir/publication-status"
HL7 = "http://hl7.org/fhir/StructureDefinition/"


def system(**more: Any) -> dict[str, Any]:
    return {"resourceType": "CodeSystem", "url": "urn:x:s", "content": "complete", "concept": [{"code": "a"}], **more}


@pytest.mark.parametrize(
    ("more", "place", "said"),
    [
        ({"count": 2}, "count", "It holds 1 concepts, not as many as count says."),
        ({"content": "not-present"}, "content", "It says that no concepts are here, but they are."),
        ({"supplements": "urn:x:t"}, "content", "What supplements another code system is a supplement."),
        ({"content": "supplement"}, "supplements", "A supplement names the code system that it adds to."),
        ({"content": "supplement", "supplements": STATUS}, "concept[0].code", "The code system that is supplemented has no such code."),
        ({"property": [{"code": "p", "type": "code"}, {"code": "p", "type": "code"}]}, "property[1].code", "A property of this code is there already."),
        ({"property": [{"code": "parent", "type": "string", "uri": "http://hl7.org/fhir/concept-properties#parent"}]}, "property[0].type", "The property parent has another type."),
        ({"property": [{"code": "p", "type": "integer"}], "concept": [{"code": "a", "property": [{"code": "p", "valueString": "1"}]}]}, "concept[0].property[0].value", "The value has another type than the property."),
    ],
)  # fmt: skip
def test_a_code_system_that_contradicts_itself(more: dict[str, Any], place: str, said: str) -> None:
    assert errors(system(**more)) == [(f"CodeSystem.{place}", said)]


def test_sound_code_systems() -> None:
    below = [{"code": "a", "concept": [{"code": "b"}]}]
    assert errors(system(count=2, concept=below)) == []
    assert errors(system(content="supplement", supplements=STATUS, concept=[{"code": "draft"}])) == []


def including(**part: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "compose": {"include": [part]}}


SCT = "http://snomed.info/sct"


@pytest.mark.parametrize(
    ("part", "place", "said"),
    [
        ({"system": "#inside"}, "system", "The system is an absolute address."),
        ({"system": STATUS, "concept": [{"code": "nothing"}]}, "concept[0].code", f"The code system {STATUS} has no such code."),
        ({"system": SCT, "concept": [{"code": "abc"}]}, "concept[0].code", "This is no SNOMED CT identifier and no expression."),
        ({"system": STATUS, "filter": [{"property": "concept", "op": "is-a", "value": "nothing"}]}, "filter[0].value", "The code system has no such code."),
        ({"system": "urn:x", "filter": [{"property": "inactive", "op": "=", "value": "no"}]}, "filter[0].value", "The filter asks for true or false."),
        ({"system": SCT, "filter": [{"property": "constraint", "op": "=", "value": "<< 404684003 12345678"}]}, "filter[0].value", "This is no expression constraint."),
        ({"system": SCT, "filter": [{"property": "246075003", "op": "is-a", "value": "404684003"}]}, "filter[0].op", "Attributes of SNOMED CT are asked for with = and in."),
    ],
)  # fmt: skip
def test_a_value_set_that_names_what_is_not_there(part: dict[str, Any], place: str, said: str) -> None:
    assert errors(including(**part)) == [(f"ValueSet.compose.include[0].{place}", said)]


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("<< 404684003", True), ("<404684003 |finding| : 246075003 = << 387517004", True), ("(<< 1234567 OR 7654321)", True),
        ("*", True), ("<< 404684003 MINUS ^ 700043003", True), ("<<404684003 |a ( b|", True),
        ("<< 404684003 12345678", False), ("(<< 404684003", False), ("<< 404684003)", False), ("", False), ("/*" * 5000, False),
    ],
)  # fmt: skip
def test_ecl_is_told_from_what_can_be_none(text: str, sound: bool) -> None:
    assert soundly(text) is sound


@pytest.mark.parametrize(
    ("coding", "said"),
    [
        ({"system": STATUS, "code": "nothing"}, f"The code system {STATUS} has no such code."),
        ({"system": SCT, "code": "12"}, "This is no SNOMED CT identifier and no expression."),
        ({"system": "http://unitsofmeasure.org", "code": "mmHg5x"}, "This is no UCUM unit."),
        ({"system": STATUS, "code": "draft"}, None),
        ({"system": SCT, "code": "404684003:363698007=39057004"}, None),
        ({"system": "http://unitsofmeasure.org", "code": "mm[Hg]"}, None),
        ({"system": "http://unitsofmeasure.org", "code": "[smoot]"}, None),
        ({"system": "http://loinc.org", "code": "anything"}, None),
    ],
)  # fmt: skip
def test_codes(coding: dict[str, Any], said: str | None) -> None:
    observation = {"resourceType": "Observation", "valueCodeableConcept": {"coding": [coding]}}
    assert [text for _, text in errors(observation)] == ([said] if said else [])


def test_a_sites_own_code_system_is_held_to_when_it_is_whole() -> None:
    own = {("CodeSystem", "urn:x:s"): system()}
    around = Around(lambda type, url: own.get((type, url)))
    coded = {"resourceType": "Basic", "code": {"coding": [{"system": "urn:x:s", "code": "b"}]}}
    assert errors(coded, around) == [("Basic.code.coding[0].code", "The code system urn:x:s has no such code.")]
    own["CodeSystem", "urn:x:s"] = system(content="fragment")
    assert errors(coded, around) == []


def parameter(**more: Any) -> dict[str, Any]:
    return {"resourceType": "SearchParameter", "url": "urn:x:p", "type": "token", "base": ["Patient"], **more}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"type": "composite"}, "A composite search parameter has two or more components."),
        ({"derivedFrom": "http://hl7.org/fhir/SearchParameter/individual-birthdate"}, "It has another type than what it is derived from."),
        ({"derivedFrom": "http://hl7.org/fhir/SearchParameter/Account-name", "type": "string"}, "What it is derived from is not for this type."),
        ({"expression": "Patient.("}, "The expression is no FHIRPath."),
        ({"expression": "Observation.code"}, "The expression speaks of none of the types it is for."),
    ],
)  # fmt: skip
def test_search_parameters(more: dict[str, Any], said: str) -> None:
    assert said in [text for _, text in errors(parameter(**more))]
    assert errors(parameter(expression="Patient.active")) == []


def test_a_capability_statement_names_parameters_by_their_type() -> None:
    def stating(type: str) -> dict[str, Any]:
        row = {
            "name": "birthdate",
            "type": type,
            "definition": "http://hl7.org/fhir/SearchParameter/individual-birthdate",
        }
        rest = [{"mode": "server", "resource": [{"type": "Patient", "searchParam": [row]}]}]
        return {"resourceType": "CapabilityStatement", "rest": rest}

    place = "CapabilityStatement.rest[0].resource[0].searchParam[0].type"
    assert errors(stating("string")) == [(place, "The search parameter is defined with another type.")]
    assert errors(stating("date")) == []


def profile(**element: Any) -> dict[str, Any]:
    return {"resourceType": "StructureDefinition", "type": "Observation", "derivation": "constraint", "differential": {"element": [{"id": "x", **element}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("element", "said"),
    [
        ({"path": "Observation.vaule"}, "The type has no element of this path."),
        ({"path": "Observation.subject", "type": [{"code": "Quantity", "profile": ["http://hl7.org/fhir/StructureDefinition/Period"]}]}, "The profile is one of another type."),
        ({"path": "Observation.category", "slicing": {"discriminator": [{"type": "value", "path": "kodings"}]}}, "The path leads to no element."),
        ({"path": "Observation.value[x]"}, None),
        ({"path": "Observation.category", "slicing": {"discriminator": [{"type": "value", "path": "coding.code"}]}}, None),
    ],
)  # fmt: skip
def test_profiles_speak_of_what_there_is(element: dict[str, Any], said: str | None) -> None:
    assert [text for _, text in errors(profile(**element))] == ([said] if said else [])


def test_addresses() -> None:
    oid = {"system": "urn:ietf:rfc:3986", "value": "1.2.3"}
    assert errors({"resourceType": "Basic", "identifier": [oid]}) == [
        ("Basic.identifier[0].value", "The system urn:ietf:rfc:3986 asks for an absolute URI.")
    ]
    assert [text for _, text in errors({"resourceType": "ValueSet", "url": "mine"})] == [
        "The url of a definition is an absolute address."
    ]
    core = {"resourceType": "ValueSet", "compose": {"include": [{"valueSet": [STATUS]}]}}
    assert errors(core) == [("ValueSet.compose.include[0].valueSet[0]", "This is the address of a CodeSystem.")]


def test_obligations_come_from_profiles_that_are_there_for_that() -> None:
    flag = {"url": HL7 + "obligation-profile-flag", "valueBoolean": True}
    base = {"resourceType": "StructureDefinition", "baseDefinition": "urn:base"}
    known = {
        "urn:good": {**base, "extension": [flag]},
        "urn:plain": base,
        "urn:far": {**base, "extension": [flag], "baseDefinition": "urn:x"},
    }
    around = Around(lambda type, url: known.get(url))
    rows = [{"url": HL7 + "inherit-obligations", "valueCanonical": url} for url in (*known, "urn:unknown")]
    found = errors({**base, "extension": rows}, around)
    assert found == [
        ("StructureDefinition.extension[1].value", "This profile is not marked as one of obligations."),
        ("StructureDefinition.extension[2].value", "This profile stands on another base."),
    ]
