"""What documents and messages must hold, and where references in a Bundle lead."""

from __future__ import annotations

from typing import Any

import pytest

from suture.standards.fhir.closely import look
from tests.standards.fhir.closely.looking import bundle, entry, errors

SERVER = "http://a.org/fhir/"
C, P, Q = (f"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e{n}" for n in range(3))
MISSING = "What this names must be in the Bundle, and is not."
ALIKE = " An entry has this type and id, but by its fullUrl it is another one."
LONE = "No reference ties this entry to the Composition."


def document(subject: str, *others: dict[str, Any], at: str = C, **more: Any) -> dict[str, Any]:
    first = entry(
        at, "Composition", at.rpartition("/")[2] if at[0] == "h" else "", subject={"reference": subject}, **more
    )
    return bundle("document", first, *others)


@pytest.mark.parametrize(
    "sound",
    [
        document(P, entry(P, "Patient")),
        document("Patient/1", entry(f"{SERVER}Patient/1", "Patient", "1"), at=f"{SERVER}Composition/1"),
        document(f"{SERVER}Patient/1", entry(f"{SERVER}Patient/1", "Patient", "1")),
        document("Patient/" + P[9:], entry(P, "Patient")),
        document(P, entry(P, "Patient"), entry(Q, "Provenance", target=[{"reference": C}])),
        document(P, entry(P, "Patient", text={"div": f'<div><img src="{Q}"/></div>'}), entry(Q, "Binary")),
        {**document(P, entry(P, "Patient"), entry(Q, "Binary")), "link": [{"relation": "stylesheet", "url": Q}]},
        document("#p", contained=[{"resourceType": "Patient", "id": "p"}]),
    ],
)
def test_sound_documents(sound: dict[str, Any]) -> None:
    assert errors(sound) == []


SUBJECT = "Bundle.entry[0].resource.subject"


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        (document(P), [(SUBJECT, MISSING)]),
        (document("Patient/1", entry(P, "Patient", "1")), [(SUBJECT, MISSING + ALIKE), ("Bundle.entry[1]", LONE)]),
        (
            document("Patient/1", entry("http://b.org/Patient/1", "Patient", "1"), at=f"{SERVER}Composition/1"),
            [(SUBJECT, MISSING + ALIKE), ("Bundle.entry[1]", LONE)],
        ),
        (document(P, entry(P, "Patient"), entry(Q, "Device")), [("Bundle.entry[2]", LONE)]),
        (
            document(P, entry(P, "Patient"), entry(P, "Patient")),
            [(SUBJECT, "More than one entry of the Bundle fits this reference."), ("Bundle.entry[2].fullUrl", "")],
        ),
        (
            document(P, entry(P, "Patient"), section=[{"section": [{"entry": [{"reference": Q}]}]}]),
            [("Bundle.entry[0].resource.section[0].section[0].entry[0]", MISSING)],
        ),
        (
            document(P, entry(P, "Patient"), attester=[{"party": {"reference": Q}}]),
            [("Bundle.entry[0].resource.attester[0].party", MISSING)],
        ),
    ],
)
def test_what_a_document_lacks(broken: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert set(errors(broken)) == {(place, text) for place, text in found if text}


def test_a_version_is_the_one_that_is_named() -> None:
    one, two = (entry(f"{SERVER}Patient/1", "Patient", "1", meta={"versionId": v}) for v in "12")
    at = f"{SERVER}Composition/1"
    assert errors(document("Patient/1/_history/2", one, two, at=at)) == [("Bundle.entry[1]", LONE)]
    assert (SUBJECT, MISSING + ALIKE) in errors(document("Patient/1/_history/3", one, two, at=at))


def test_a_message_holds_its_focus_and_may_hold_more() -> None:
    head = entry(C, "MessageHeader", focus=[{"reference": P}])
    assert errors(bundle("message", head)) == [("Bundle.entry[0].resource.focus[0]", MISSING)]
    found = look(bundle("message", head, entry(P, "Patient"), entry(Q, "Device")))
    assert [(i.severity, i.expression) for i in found] == [("warning", "Bundle.entry[2]")]


def test_the_same_in_a_collection_is_no_error() -> None:
    assert errors({**document(P), "type": "collection"}) == []


@pytest.mark.parametrize(
    ("reference", "held", "text"),
    [
        ({"reference": P}, "Patient", None),
        ({"reference": P}, "Device", "This leads to a Device, which is not allowed here."),
        ({"reference": P, "type": "Group"}, "Patient", "This leads to a Patient, which is not its type."),
        ({"reference": "Group/" + P[9:]}, "Patient", "The address names a Group, but the entry holds a Patient."),
        ({"reference": Q}, "Device", None),
    ],
)
def test_a_reference_leads_to_a_type_that_is_allowed(reference: dict[str, Any], held: str, text: str | None) -> None:
    found = errors(bundle("collection", entry(C, "Encounter", subject=reference), entry(P, held)))
    assert found == ([(SUBJECT, text)] if text else [])


def test_an_id_is_there_once_in_a_resource() -> None:
    patient = {"resourceType": "Patient", "name": [{"id": "a"}, {"id": "b"}], "_birthDate": {"id": "a"}}
    assert errors(patient) == [("Patient.birthDate", "Another element of the resource has this id.")]
    element = [{"id": "Patient", "path": "Patient"}]
    views = {"snapshot": {"element": element}, "differential": {"element": element}}
    assert errors({"resourceType": "StructureDefinition", **views}) == []
    twice = [entry(C, "Patient", name=[{"id": "a"}]), entry(P, "Patient", name=[{"id": "a"}])]
    assert errors(bundle("collection", *twice)) == []


def test_a_long_address_and_many_entries_of_one_are_no_trouble() -> None:
    long = "http://a.org/" + "/" * 100_000
    refs = [{"reference": "Patient/1"}] * 50
    assert (SUBJECT, MISSING) in errors(document("Patient/1", at=long, section=[{"entry": refs}]))
    many = [entry(P, "Patient") for _ in range(120)]
    assert (SUBJECT, "More than one entry of the Bundle fits this reference.") in errors(document(P, *many))
