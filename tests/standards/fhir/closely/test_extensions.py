"""Extensions: their addresses, places, values and children."""

from __future__ import annotations

from typing import Any

import pytest

from suture.standards.fhir.closely import Around, look
from suture.standards.fhir.closely.defined import read
from suture.standards.fhir.closely.extensions import MOST_RULES
from tests.standards.fhir.closely.looking import errors

HL7 = "http://hl7.org/fhir/StructureDefinition/"
OWN = "http://hospital.org/ext/one"


def patient(*extensions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "extension": list(extensions), **more}


def species(url: str = "species", **value: Any) -> dict[str, Any]:
    return {"url": url, **(value or {"valueCodeableConcept": {"text": "dog"}})}


ANIMAL = HL7 + "patient-animal"


@pytest.mark.parametrize(
    "sound",
    [
        patient({"url": ANIMAL, "extension": [species()]}),
        patient({"url": HL7 + "patient-cadavericDonor", "valueBoolean": True}),
        patient({"url": "http://anybody.org/x", "valueString": "x"}, {"url": HL7 + "of-tomorrow", "valueString": "x"}),
        patient({"url": "http://anybody.org/x", "extension": [{"url": "part", "valueString": "x"}]}),
        patient(_birthDate={"extension": [{"url": HL7 + "patient-birthTime", "valueDateTime": "2020-01-01T10:00:00Z"}]}),
        patient(birthDate="2020-01-01", _birthDate={"extension": [{"url": HL7 + "data-absent-reason", "valueCode": "unknown"}]}),
        patient(name=[{"family": "x", "_family": {"extension": [{"url": HL7 + "humanname-mothers-family", "valueString": "x"}]}}]),
    ],
)  # fmt: skip
def test_sound_ones(sound: dict[str, Any]) -> None:
    assert look(sound) == []


FIRST = "Patient.extension[0]"


@pytest.mark.parametrize(
    ("broken", "place", "text"),
    [
        (patient({"url": "local", "valueString": "x"}), FIRST, "The address of an extension is absolute."),
        (patient({"url": OWN + "|1", "valueString": "x"}), FIRST, "The address of an extension names no version."),
        (patient({"url": ANIMAL, "extension": []}), FIRST, "This extension needs an extension species."),
        (patient({"url": ANIMAL, "extension": [species(), species()]}), FIRST, "This extension holds species 2 times; the most is 1."),
        (
            patient({"url": ANIMAL, "extension": [species(), species("kind")]}),
            f"{FIRST}.extension[1]",
            "The extension around this does not define it.",
        ),
        (
            patient({"url": ANIMAL, "extension": [species(valueString="dog")]}),
            f"{FIRST}.extension[0]",
            "This extension takes no string.",
        ),
        (patient({"url": HL7 + "patient-cadavericDonor", "valueString": "x"}), FIRST, "This extension takes no string."),
        (patient({"url": HL7 + "humanname-mothers-family", "valueString": "x"}), FIRST, "This extension may not stand here."),
        (
            patient(modifierExtension=[{"url": HL7 + "patient-cadavericDonor", "valueBoolean": True}]),
            "Patient.modifierExtension[0]",
            "This extension modifies nothing.",
        ),
    ],
)  # fmt: skip
def test_what_r4_says_of_its_own(broken: dict[str, Any], place: str, text: str) -> None:
    assert (place, text) in errors(broken)


def test_a_rule_of_its_place() -> None:
    item = {"linkId": "1", "extension": [{"url": HL7 + "questionnaire-unit", "valueCoding": {"code": "kg"}}]}
    asked = {"resourceType": "Questionnaire", "item": [{**item, "type": "decimal"}]}
    assert errors(asked) == []
    asked["item"][0]["type"] = "string"
    assert errors(asked) == [("Questionnaire.item[0].extension[0]", "This extension may not stand here as things are.")]


def test_unknown_ones_are_refused_on_request_and_named_where_they_modify() -> None:
    strict = Around(strict=frozenset({"extensions"}))
    unknown = {"url": OWN, "valueString": "x"}
    assert errors(patient(unknown), strict) == [(FIRST, "Nobody here knows this extension.")]
    assert errors(patient({"url": HL7 + "of-tomorrow", "valueString": "x"}), strict) == []
    assert errors(patient({"url": "http://example.org/x", "valueString": "x"}), strict) == []
    guide = {"url": "http://hl7.org/fhir/uv/of-tomorrow/StructureDefinition/x", "valueString": "x"}
    assert errors(patient(guide), strict) == [(FIRST, "Nobody here knows this extension.")], (
        "a guide's have to be at hand"
    )
    (found,) = look(patient(modifierExtension=[unknown]))
    assert (found.severity, found.expression) == ("warning", "Patient.modifierExtension[0]")


def test_those_of_us_core_are_known() -> None:
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
    assert errors(patient({"url": url, "extension": [{"url": "text", "valueString": "x"}]})) == []
    assert errors(patient({"url": url, "extension": []})) == [(FIRST, "This extension needs an extension text.")]
    sex = url.replace("race", "sex")  # a code, a Coding in later versions
    assert errors(patient({"url": sex, "valueCode": "x"}), Around(strict=frozenset({"extensions"}))) == []


def definition(*contexts: tuple[str, str], modifier: bool = False, rule: str = "") -> dict[str, Any]:
    elements = [
        {"id": "Extension", "path": "Extension", "isModifier": modifier},
        {"id": "Extension.extension", "path": "Extension.extension", "max": "0"},
        {"id": "Extension.value[x]", "path": "Extension.value[x]", "type": [{"code": "string"}]},
    ]
    return {
        "resourceType": "StructureDefinition",
        "url": OWN,
        "type": "Extension",
        "derivation": "constraint",
        "context": [{"type": kind, "expression": text} for kind, text in contexts],
        "differential": {"element": elements},
        **({"contextInvariant": [rule]} if rule else {}),
    }


def placed(found: dict[str, Any], resource: dict[str, Any]) -> list[str]:
    around = Around(lambda type, url: found if (type, url) == ("StructureDefinition", OWN) else None)
    return [text for _, text in errors(resource, around)]


ONE = {"url": OWN, "valueString": "x"}
NOT_HERE = ["This extension may not stand here."]


@pytest.mark.parametrize(
    ("kind", "text", "resource", "fits"),
    [
        ("element", "Patient", patient(ONE), True),
        ("element", "DomainResource", patient(ONE), True),
        ("element", "Element", patient(ONE), True),
        ("element", "Group", patient(ONE), False),
        ("element", "Patient.name", patient(name=[{"extension": [ONE]}]), True),
        ("element", "HumanName", patient(name=[{"extension": [ONE]}]), True),
        ("element", "Patient.name.family", patient(name=[{"_family": {"extension": [ONE]}}]), True),
        ("element", "BackboneElement", patient(contact=[{"extension": [ONE]}]), True),
        ("element", "DomainResource.text", patient(text={"extension": [ONE]}), True),
        ("element", "Patient.address", patient(name=[{"extension": [ONE]}]), False),
        ("element", "OfTomorrow", patient(ONE), True),
        ("element", "Patient.deceased[x]", patient(_deceasedBoolean={"extension": [ONE]}), True),
        ("extension", HL7 + "x", patient({"url": HL7 + "x", "extension": [ONE]}), True),
        ("extension", HL7 + "y", patient({"url": HL7 + "x", "extension": [ONE]}), False),
        ("fhirpath", "Patient.name.where(use = 'old')", patient(name=[{"use": "old", "extension": [ONE]}]), True),
        ("fhirpath", "Patient.name.where(use = 'old')", patient(name=[{"use": "usual", "extension": [ONE]}]), False),
        ("fhirpath", "Patient.name.where(", patient(ONE), True),
    ],
)
def test_where_one_may_stand(kind: str, text: str, resource: dict[str, Any], fits: bool) -> None:
    assert placed(definition((kind, text)), resource) == ([] if fits else NOT_HERE)


def test_a_definition_at_hand_with_a_rule_and_as_a_modifier() -> None:
    ruled = definition(("element", "Patient"), rule="active.not()")
    assert placed(ruled, patient(ONE, active=False)) == []
    assert placed(ruled, patient(ONE, active=True)) == ["This extension may not stand here as things are."]
    assert placed(definition(modifier=True), patient(ONE)) == ["This extension modifies what it stands in."]
    assert placed(definition(modifier=True), patient(modifierExtension=[ONE])) == []


def test_a_definition_that_can_not_be_read_is_none() -> None:
    assert read({}) is None
    assert read({"type": "Extension", "url": OWN}) is None
    assert read({"type": "Patient", "url": OWN, "differential": {"element": [{"path": "Patient"}]}}) is None
    assert read({**definition(), "context": "x"}) is None


def test_rules_of_places_are_evaluated_a_bounded_number_of_times() -> None:
    ruled = definition(rule="%extension.value = 'x'")
    many = patient(
        *({"url": OWN, "valueString": "x"} for _ in range(MOST_RULES)), *({"url": OWN, "valueString": "y"},) * 9
    )
    assert placed(ruled, many) == []
    assert placed(ruled, patient({"url": OWN, "valueString": "y"})) == [
        "This extension may not stand here as things are."
    ]


def test_extensions_inside_extensions_to_any_depth_are_no_trouble() -> None:
    inner: dict[str, Any] = {"url": ANIMAL, "extension": [species("kind")]}
    for _ in range(80):
        inner = {"url": "http://anybody.org/x", "extension": [inner]}
    assert [text for _, text in errors(patient(inner))] == [
        "This extension may not stand here.",
        "This extension needs an extension species.",
        "The extension around this does not define it.",
    ]


def test_the_id_of_a_resource_has_none() -> None:
    absent = {"extension": [{"url": HL7 + "data-absent-reason", "valueCode": "masked"}]}
    told = [("Patient.id", "The id of a resource has no extensions.")]
    assert errors({"resourceType": "Patient", "id": "p", "_id": absent}) == told
    assert errors({"resourceType": "Patient", "id": "p", "_gender": absent}) == []
