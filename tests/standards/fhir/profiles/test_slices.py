"""Slices are told apart as the profile means it, references lead to what keeps the profiles, and bounds convert."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from suture.standards.fhir import profiles
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.profiles import Around
from tests.standards.fhir.profiles.made import LOINC, Resource, coded, element, profile, sliced

KEPT = "http://hl7.org/fhir/StructureDefinition/"
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition."


def findings(resource: Resource, definition: Resource, *others: Resource, today: str = "") -> list[tuple[str, str]]:
    known = {one["url"]: profiles.read(one) for one in (definition, *others)}
    around = Around(lambda url: known.get(url.partition("|")[0]), partial(resolved, resource), today=today)
    found = profiles.check(resource, known[definition["url"]], around)
    return [(i.expression, i.text.partition(" (")[0]) for i in found if i.severity == "error"]


payloads = profile(
    "urn:payloads", "Communication",
    element("Communication.payload", slicing=sliced("type", "content", rules="closed")),
    element("Communication.payload:text", sliceName="text", max="1"),
    element("Communication.payload:text.contentString", min=1),
    element("Communication.payload:file", sliceName="file"),
    element("Communication.payload:file.contentAttachment", min=1, type=[{"code": "Attachment"}]),
)  # fmt: skip


def test_a_choice_written_with_its_type_tells_slices_apart() -> None:
    text, file = {"contentString": "a"}, {"contentAttachment": {"url": "urn:a"}}
    sound = {"resourceType": "Communication", "payload": [text, file, file]}
    assert findings(sound, payloads) == []
    assert findings({**sound, "payload": [text, text]}, payloads) == [
        ("Communication.payload", "The slice text is there 2 times, at most 1 are allowed.")
    ]
    other = {"contentReference": {"reference": "Binary/1"}}
    assert findings({**sound, "payload": [other]}, payloads) == [
        ("Communication.payload[0]", "It is none of the slices that are allowed here.")
    ]


telecoms = profile(
    "urn:telecoms", "Patient",
    element("Patient.telecom", slicing={"discriminator": [{"type": "value", "path": "system"}, {"type": "value", "path": "use"}], "rules": "closed"}),
    element("Patient.telecom:home", sliceName="home", min=1),
    element("Patient.telecom:home.system", fixedCode="phone"),
    element("Patient.telecom:home.use", fixedCode="home"),
    element("Patient.telecom:mail", sliceName="mail"),
    element("Patient.telecom:mail.system", fixedCode="email"),
    element("Patient.telecom:mail.use", max="0"),
    element("Patient.telecom:fax", sliceName="fax", max="1"),
    element("Patient.telecom:fax.system", fixedCode="fax"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("telecom", "found"),
    [
        ([{"system": "phone", "use": "home"}, {"system": "email"}, {"system": "fax", "use": "old"}], []),
        ([{"system": "email", "use": "work"}], ["It is none of the slices that are allowed here.", "The slice home is missing."]),
        ([{"system": "phone", "use": "home"}, {"system": "fax"}, {"system": "fax", "use": "old"}], ["The slice fax is there 2 times, at most 1 are allowed."]),
    ],
)  # fmt: skip
def test_what_a_slice_leaves_open_decides_nothing_and_what_it_forbids_is_not_there(
    telecom: list[Any], found: list[str]
) -> None:
    assert [text for _, text in findings({"resourceType": "Patient", "telecom": telecom}, telecoms)] == found


def test_a_type_behind_a_reference_is_the_type_of_its_target() -> None:
    def item(slice: str, type: str) -> list[Resource]:
        targets = [{"code": "Reference", "targetProfile": [KEPT + type]}]
        return [
            element(f"List.entry:{slice}", sliceName=slice, min=1),
            element(f"List.entry:{slice}.item", type=targets),
        ]

    listed = profile(
        "urn:list", "List", element("List.entry", slicing=sliced("type", "item.resolve()", rules="closed")), *item("c", "Condition"), *item("o", "Observation")
    )  # fmt: skip
    inside = [{"resourceType": "Condition", "id": "c"}, {"resourceType": "Observation", "id": "o"}]
    entries = [{"item": {"reference": "#c"}}, {"item": {"reference": "#o"}}]
    assert findings({"resourceType": "List", "contained": inside, "entry": entries}, listed) == []
    assert findings({"resourceType": "List", "contained": inside, "entry": entries[:1]}, listed) == [
        ("List.entry", "The slice o is missing.")
    ]


def test_an_element_of_another_profile_is_what_a_slice_is() -> None:
    def slot(letter: str) -> list[Resource]:
        return [
            element(f"Composition.section:{letter}", sliceName=letter),
            element(
                f"Composition.section:{letter}.code",
                patternCodeableConcept={"coding": [{"system": LOINC, "code": letter}]},
            ),
        ]

    library = profile("urn:library", "Composition", *slot("a"), *slot("b"))
    named = {"url": KEPT + "elementdefinition-profile-element", "valueString": "Composition.section:b"}
    type = [{"code": "BackboneElement", "profile": ["urn:library"], "_profile": [{"extension": [named]}]}]
    paper = profile(
        "urn:paper", "Composition", element("Composition.section", slicing=sliced("pattern", "code", rules="closed")),
        element("Composition.section:only", sliceName="only", min=1, type=type),
    )  # fmt: skip
    assert findings({"resourceType": "Composition", "section": [{"code": coded("b")}]}, paper, library) == []
    assert [
        text for _, text in findings({"resourceType": "Composition", "section": [{"code": coded("a")}]}, paper, library)
    ] == [
        "It is none of the slices that are allowed here.",
        "The slice only is missing.",
    ]


def test_entries_are_told_apart_by_type_and_profile() -> None:
    kind = profile("urn:kind", "Observation", element("Observation.code", patternCodeableConcept=coded("1-1")))

    def slot(name: str, url: str) -> list[Resource]:
        type = [{"code": "Resource", "profile": [url]}]
        return [
            element(f"Bundle.entry:{name}", sliceName=name, max="1"),
            element(f"Bundle.entry:{name}.resource", type=type),
        ]

    pack = profile(
        "urn:pack", "Bundle", element("Bundle.entry", slicing=sliced("profile", "resource", rules="closed")), *slot("o", "urn:kind"), *slot("p", KEPT + "Procedure")
    )  # fmt: skip
    one, other = {"resourceType": "Observation", "code": coded("1-1")}, {"resourceType": "Procedure"}
    assert findings({"resourceType": "Bundle", "entry": [{"resource": one}, {"resource": other}]}, pack, kind) == []
    stranger = {"resourceType": "Observation", "code": coded("2-2")}
    assert findings({"resourceType": "Bundle", "entry": [{"resource": stranger}]}, pack, kind) == [
        ("Bundle.entry[0]", "It is none of the slices that are allowed here.")
    ]


linked = profile(
    "urn:linked", "Patient", element("Patient.birthDate", min=1),
    element("Patient.link.other", type=[{"code": "Reference", "targetProfile": ["urn:linked"]}]),
)  # fmt: skip


def _patient(id: str, other: str, **more: Any) -> Resource:
    return {"resourceType": "Patient", "id": id, "link": [{"other": {"reference": f"Patient/{other}"}}], **more}


def test_what_is_referred_to_keeps_the_profile_in_circles_too() -> None:
    entries = [_patient("a", "b", birthDate="1970"), _patient("b", "a", birthDate="1971")]
    holder = profile(
        "urn:holder", "Bundle", element("Bundle.entry.resource", type=[{"code": "Resource", "profile": ["urn:linked"]}])
    )
    bundle: Resource = {"resourceType": "Bundle", "entry": [{"resource": one} for one in entries]}
    assert findings(bundle, holder, linked) == []
    del entries[1]["birthDate"]
    found = findings(bundle, holder, linked)
    assert ("Bundle.entry[0].resource.link[0].other", "What it refers to keeps none of the profiles that are asked for.") in found  # fmt: skip
    assert ("Bundle.entry[1].resource.birthDate", "The element is missing.") in found


def test_where_a_reference_may_lead_is_heeded() -> None:
    where = profile(
        "urn:where",
        "Observation",
        element(
            "Observation.subject",
            type=[{"code": "Reference", "targetProfile": [KEPT + "Patient"], "aggregation": ["bundled"]}],
        ),
    )
    contained = {
        "resourceType": "Observation",
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "subject": {"reference": "#p"},
    }
    assert findings(contained, where) == [
        ("Observation.subject", "The reference is contained, which is not allowed here.")
    ]
    assert findings({"resourceType": "Observation", "subject": {"reference": "Patient/p"}}, where) == []


UCUM = {"system": "http://unitsofmeasure.org"}
weights = profile(
    "urn:weights", "Observation",
    element("Observation.value[x]", type=[{"code": "Quantity"}]),
    element("Observation.valueQuantity", minValueQuantity={"value": 1, "code": "kg", **UCUM}, maxValueQuantity={"value": 2, "code": "kg", **UCUM}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (Decimal("1.5"), "kg", None),
        (1500, "g", None),
        (999, "g", "The value is less than"),
        (Decimal("2000.1"), "g", "The value is more than"),
        (5, "m", None),  # another dimension can't be compared
    ],
)
def test_bounds_hold_in_every_unit_of_the_dimension(value: Any, code: str, text: str | None) -> None:
    found = findings({"resourceType": "Observation", "valueQuantity": {"value": value, "code": code, **UCUM}}, weights)
    assert [one[: len(text or "")] for _, one in found] == ([text] if text else [])


@pytest.mark.parametrize(
    ("born", "wrong"),
    [("1926-11-25", False), ("1926-11-24", True), ("1926", False), ("1925", True), ("2001-02", False)],
)
def test_a_duration_counts_from_today(born: str, wrong: bool) -> None:
    hundred = profile(
        "urn:100", "Patient", element("Patient.birthDate", minValueDuration={"value": 100, "code": "a", **UCUM})
    )
    found = findings({"resourceType": "Patient", "birthDate": born}, hundred, today="2026-11-25")
    assert bool(found) is wrong
    assert findings({"resourceType": "Patient", "birthDate": born}, hundred) == []  # nobody says what day it is


def test_what_r5_says_more_of_an_element_is_heeded() -> None:
    absent = {"extension": [{"url": KEPT + "data-absent-reason", "valueCode": "unknown"}]}
    shadow = {"resourceType": "Patient", "_active": absent}
    must = element("Patient.active", extension=[{"url": R5 + "mustHaveValue", "valueBoolean": True}])
    other = element("Patient.active", extension=[{"url": R5 + "valueAlternatives", "valueCanonical": "urn:why"}])
    why = element(
        "Patient.active",
        extension=[{"url": R5 + "valueAlternatives", "valueCanonical": KEPT + "data-absent-reason"}],
    )
    assert findings(shadow, profile("urn:m", "Patient", must)) == [("Patient.active", "A value must be here.")]
    assert findings(shadow, profile("urn:o", "Patient", other)) == [("Patient.active", "The value is missing, and no extension says why.")]  # fmt: skip
    assert findings(shadow, profile("urn:w", "Patient", why)) == []


def test_additional_bindings_and_shortest_texts_hold() -> None:
    rows = [{"url": "purpose", "valueCode": "required"}, {"url": "valueSet", "valueCanonical": "urn:vs"}]
    bound = element(
        "Patient.maritalStatus",
        binding={"strength": "example", "extension": [{"url": R5 + "binding.additional", "extension": rows}]},
    )
    short = element("Patient.id", extension=[{"url": KEPT + "minLength", "valueInteger": 5}])
    read = profiles.read(profile("urn:b", "Patient", bound, short))
    around = Around(member_of=lambda system, code, url: code == "M")
    found = profiles.check({"resourceType": "Patient", "id": "abc", "maritalStatus": coded("X")}, read, around)
    assert sorted(i.text.partition(" (")[0] for i in found) == [
        "No code of urn:vs is there",
        "The text has less than 5 characters.",
    ]
    assert profiles.check({"resourceType": "Patient", "id": "abcde", "maritalStatus": coded("M")}, read, around) == []


parts = profile(
    "urn:parts", "Observation",
    element("Observation.component", slicing={"discriminator": [{"type": "value", "path": "code.coding.code"}], "rules": "open"}),
    element("Observation.component:upper", sliceName="upper", min=1, max="1"),
    element("Observation.component:upper.code.coding", slicing={"discriminator": [{"type": "value", "path": "code"}], "rules": "open"}),
    element("Observation.component:upper.code.coding:own", sliceName="own", min=1, max="1"),
    element("Observation.component:upper.code.coding:own.code", min=1, fixedCode="8480-6"),
)  # fmt: skip


def test_a_slice_is_told_by_what_a_slice_inside_it_asks_for() -> None:
    """As R4's blood pressure: which component is meant stands in a slice of its codings."""
    also = {"code": {"coding": [{"code": "mine"}, {"system": LOINC, "code": "8480-6"}]}}
    sound = {"resourceType": "Observation", "component": [{"code": coded("8462-4")}, also]}
    assert findings(sound, parts) == []
    other = {**sound, "component": [{"code": coded("8462-4")}]}
    assert findings(other, parts) == [("Observation.component", "The slice upper is missing.")]
