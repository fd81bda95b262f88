"""Masked contents keep their shape and lose what they say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.engine import redact

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "status", "type", "x"]), inner)
    ),
    max_leaves=20,
)


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


@given(st.text())
def test_a_text_keeps_only_its_shape(text: str) -> None:
    masked = redact.text(text)
    assert len(masked) == len(text)
    assert not {c for c in masked if c.isalnum()} - set("xX9")


@given(JSON)
def test_no_text_of_a_foreign_document_is_shown(value: object) -> None:
    states = {"waiting", "sending", "delivered", "retrying", "ambiguous", "dead"}
    for text in _texts(redact.masked(value)):
        assert text in states or not {c for c in text if c.isalnum()} - set("xX9")


@given(st.binary(max_size=300))
def test_any_bytes_can_be_shown_masked(raw: bytes) -> None:
    for kind in ("hl7v2", "json", "fhir"):
        redact.original(raw, kind)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("PID|1||8811^^^A^MR||Zquack^Wil", "PID|9||9999^^^X^XX||Xxxxxx^Xxx"),
        ("MSA|AE|M1|Zquack is unknown", "MSA|AE|M1|Xxxxxx xx xxxxxxx"),
        ("EVN|A01|20261125|20261126||Zquack", "EVN|A01|20261125|99999999||Xxxxxx"),
        ("Zquack lives here", "Xxxxxx xxxxx xxxx"),
        ("Zqu", "Xxx"),
        ("MSH|^~\\&|Zquack", "MSH|^~\\&|Xxxxxx"),
    ],
)
def test_a_segment_shows_its_name_and_delimiters(line: str, shown: str) -> None:
    raw = f"MSH|^~\\&|ADT|LAKESIDE\r{line}\r".encode()
    assert redact.original(raw, "hl7v2") == f"MSH|^~\\&|ADT|LAKESIDE\n{shown}"


def test_a_resource_keeps_the_words_of_fhir() -> None:
    entry = {
        "resource": {
            "resourceType": "Patient",
            "identifier": [{"use": "usual", "system": "urn:example:hospital", "value": "8811"}],
            "extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"}],
            "active": True,
            "multipleBirthInteger": 2,
        },
        "request": {"method": "PUT", "url": "Patient?identifier=urn:example:hospital|8811"},
        "response": {"status": "201 Created", "location": "Patient/8811/_history/1"},
    }
    shown = redact.masked({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert (shown["resourceType"], shown["type"]) == ("Bundle", "transaction")
    (masked,) = shown["entry"]
    assert masked["resource"] == {
        "resourceType": "Patient",
        "identifier": [{"use": "usual", "system": "urn:example:hospital", "value": "9999"}],
        "extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"}],
        "active": True,
        "multipleBirthInteger": "9",
    }
    assert masked["request"] == {"method": "PUT", "url": "Patient?xxxxxxxxxx=xxx:xxxxxxx:xxxxxxxx|9999"}
    assert masked["response"] == {"status": "201 Created", "location": "Patient/9999/_xxxxxxx/9"}


def test_words_are_shown_only_where_they_are_words() -> None:
    assert redact.masked({"status": "zquack", "system": "urn:x", "use": "home"}) == {
        "status": "xxxxxx", "system": "xxx:x", "use": "xxxx"
    }  # fmt: skip
    assert redact.masked({"resourceType": "Patient", "use": "Zquack Wil"})["use"] == "Xxxxxx Xxx"
    assert redact.masked({"status": 200, "errors": 0, "times": 41987})["status"] == 200
    assert redact.masked({"times": 41987}) == {"times": "9"}


@given(JSON)
def test_an_indented_document_reads_back(value: object) -> None:
    if isinstance(value, dict):
        assert json.loads(redact.indented(value)) == value


def test_numbers_stay_as_they_were_written() -> None:
    assert redact.original(b'{"resourceType":"Basic","a":[]}', "fhir") == '{\n  "resourceType": "Basic",\n  "a": []\n}'
    assert redact.original(b"Zquack", "json") == "Xxxxxx"
