"""Texts, addresses, codes, attachments and narratives."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import Any

import pytest

from suture.standards.fhir.closely import Around, look
from tests.standards.fhir.closely.looking import errors


def strict(*names: str) -> Around:
    return Around(strict=frozenset(names))


@pytest.mark.parametrize("text", ["a <script>x</script>", "<b>bold</b>", "x <br/>", '<a href="x">'])
def test_html_in_a_text_is_refused_on_request(text: str) -> None:
    patient = {"resourceType": "Patient", "name": [{"text": text}]}
    assert errors(patient) == []
    assert errors(patient, strict("html")) == [("Patient.name[0].text", "The text holds what looks like HTML.")]


@pytest.mark.parametrize("text", ["potassium < 3.5", "a < b > c", "x <= y", "<3 mmol>", "1 < 2 > 0"])
def test_signs_are_no_html(text: str) -> None:
    assert errors({"resourceType": "Patient", "name": [{"text": text}]}, strict("html")) == []


def test_what_would_run_is_a_warning() -> None:
    note = [{"text": "see javascript:alert(1)"}]
    found = look({"resourceType": "Patient", "name": [{"text": "<script>"}], "text": {}})
    assert [(i.severity, i.expression) for i in found] == [("warning", "Patient.name[0].text")]
    assert [i.severity for i in look({"resourceType": "Observation", "note": note})] == ["warning"]


def test_html_in_markdown_is_refused_on_request() -> None:
    observation = {"resourceType": "Observation", "note": [{"text": "a <red> b"}]}
    assert errors(observation) == []
    text = "The markdown holds what looks like HTML."
    assert errors(observation, strict("markdown")) == [("Observation.note[0].text", text)]
    escaped = {"resourceType": "Observation", "note": [{"text": "a \\<red> b < 3"}]}
    assert errors(escaped, strict("markdown")) == []


def test_addresses_for_examples_are_refused_on_request() -> None:
    patient = {"resourceType": "Patient", "identifier": [{"system": "http://ids.example.org/x"}]}
    assert errors(patient) == []
    found = errors(patient, strict("examples"))
    assert found == [("Patient.identifier[0].system", "This address is one for examples.")]
    real = {"resourceType": "Patient", "identifier": [{"system": "http://example.organic.com/x"}]}
    assert errors(real, strict("examples")) == []


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ("http://loinc.org", None),
        ("urn:oid:1.2.3", None),
        ("LOINC", "A system is an absolute address."),
        ("http://hl7.org/fhir/ValueSet/measure-type", "This is a value set, and no code system."),
    ],
)
def test_the_system_of_a_code(system: str, text: str | None) -> None:
    found = errors({"resourceType": "Observation", "code": {"coding": [{"system": system, "code": "x"}]}})
    assert found == ([("Observation.code.coding[0].system", text)] if text else [])


def test_a_canonical_is_absolute_or_a_fragment() -> None:
    def measure(library: str) -> dict[str, Any]:
        return {"resourceType": "Measure", "library": [library]}

    assert errors(measure("http://a.org/Library/x|1")) == errors(measure("#x")) == errors(measure("urn:x:y")) == []
    assert errors(measure("Library/x")) == [("Measure.library[0]", "A canonical is an absolute address.")]


def attachment(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Media", "content": {"data": b64encode(b"hello").decode(), **more}}


def test_size_and_hash_are_those_of_the_content() -> None:
    right = b64encode(sha1(b"hello", usedforsecurity=False).digest()).decode()
    assert errors(attachment(size=5, hash=right)) == []
    assert errors(attachment(size=6)) == [("Media.content", "The size is told as 6; the content has 5 bytes.")]
    assert errors(attachment(hash="AAAA")) == [("Media.content", "The hash is not that of the content.")]
    assert errors({"resourceType": "Media", "content": {"size": 100, "url": "http://a.org"}}) == []


def narrative(inner: str, **more: Any) -> dict[str, Any]:
    text = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'}
    return {"resourceType": "Patient", "text": text, **more}


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("a &amp; &lt; &#160; &#xA0;", None),
        ('<a href="http://a.org">x</a> <a href="#b">x</a> <a href="c.html">x</a>', None),
        ("a&nbsp;b", "XHTML here knows no named characters of HTML."),
        ('<a href="urn:uuid:1">x</a>', "A link leads to urn:, which no reader can follow."),
    ],
)
def test_narratives(inner: str, text: str | None) -> None:
    assert errors(narrative(inner)) == ([("Patient.text.div", text)] if text else [])


PROFILE = "http://a.org/profile"
EN, DE = (f'<div lang="{one}" xml:lang="{one}">text</div>' for one in ("en", "de"))


def asking(control: str, code: str) -> Around:
    url = f"http://hl7.org/fhir/StructureDefinition/narrative-{control}-control"
    element = {"path": "Patient.text", "extension": [{"url": url, "valueCode": code}]}
    definition = {"resourceType": "StructureDefinition", "differential": {"element": [element]}}
    return Around(lambda type, url: definition if url == PROFILE else None, profiles=(PROFILE,))


@pytest.mark.parametrize(
    ("control", "code", "inner", "text"),
    [
        ("language", "_no", "text", None),
        ("language", "_no", EN, "The profile forbids sections by language."),
        ("language", "_yes", EN, None),
        ("language", "_yes", "text", "The profile asks for sections by language."),
        ("language", "_resource", EN + DE, None),
        ("language", "_resource", DE, "The profile asks for a section in the resource's language."),
        ("language", "de", EN, "The profile asks for a section in de."),
        ("source", "error", '<p class="original">x</p>', None),
        (
            "source",
            "error",
            "<p>x</p>",
            "A part of the narrative does not tell its origin, which the profile asks for.",
        ),
    ],
)
def test_what_a_profile_asks_of_a_narrative(control: str, code: str, inner: str, text: str | None) -> None:
    found = errors(narrative(inner, language="en"), asking(control, code))
    assert found == ([("Patient.text", text)] if text else [])


def test_text_outside_of_the_sections_by_language_is_a_warning() -> None:
    assert [i.severity for i in look(narrative("outside" + EN))] == ["warning"]
    assert look(narrative(EN + DE)) == []
