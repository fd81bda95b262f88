"""FHIR XML becomes the JSON structure, comes back, and can do no harm."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from suture.errors import InvalidResource, InvalidSyntax, SutureError, TooLarge
from suture.standards.fhir import json, xml
from tests import public

PATIENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment -->
<Patient xmlns="http://hl7.org/fhir">
  <id value="p1"/>
  <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml" class="x">A &amp; <b>B</b><br/><p></p></div></text>
  <contained><Organization><id value="o"/></Organization></contained>
  <active value="true"/>
  <name id="n"><family value="A"><extension url="http://x"><valueDecimal value="72.50"/></extension></family>
    <given value="B"/><given><extension url="http://y"><valueInteger value="3"/></extension></given></name>
  <birthDate value="1970-01-01"/>
  <multipleBirthInteger value="2"/>
  <contact><name><family value="C"/></name></contact>
</Patient>"""

AS_JSON = {
    "resourceType": "Patient",
    "id": "p1",
    "text": {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml" class="x">A &amp; <b>B</b><br/><p></p></div>',
    },
    "contained": [{"resourceType": "Organization", "id": "o"}],
    "active": True,
    "name": [
        {
            "id": "n",
            "family": "A",
            "_family": {"extension": [{"url": "http://x", "valueDecimal": Decimal("72.50")}]},
            "given": ["B", None],
            "_given": [None, {"extension": [{"url": "http://y", "valueInteger": 3}]}],
        }
    ],
    "birthDate": "1970-01-01",
    "multipleBirthInteger": 2,
    "contact": [{"name": {"family": "C"}}],
}


def test_xml_becomes_the_json_structure() -> None:
    value = xml.read(PATIENT)
    assert value == AS_JSON
    assert str(value["name"][0]["_family"]["extension"][0]["valueDecimal"]) == "72.50"


@pytest.mark.parametrize(
    "inner",
    [
        "a &quot;b&quot; &amp; 'c'", "<p></p><br/>", "<!-- note -->x", "one\ntwo", "one\r\ntwo", "<i  title = 'x' >y</i>",
        "&#160;\u00a0\u20ac", '<a href="http://x?a=1&amp;b=2">z</a>',
    ],
)  # fmt: skip
def test_a_narrative_comes_back_to_the_letter(inner: str) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'
    patient = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    assert xml.read(xml.write(patient)) == patient


def test_a_narrative_that_leans_on_its_surroundings_is_written_out() -> None:
    raw = (
        '<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><f:text><f:status value="generated"/>'
        "<h:div><h:p>x</h:p></h:div></f:text></f:Patient>"
    )
    assert xml.read(raw.encode())["text"]["div"] == '<div xmlns="http://www.w3.org/1999/xhtml"><p>x</p></div>'
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?><Patient xmlns="http://hl7.org/fhir"><text><div xmlns="http://www.w3.org/1999/xhtml">\u00e9</div></text></Patient>'
    assert xml.read(latin.encode("latin-1"))["text"]["div"] == '<div xmlns="http://www.w3.org/1999/xhtml">\u00e9</div>'


def test_it_comes_back() -> None:
    assert xml.read(xml.write(AS_JSON)) == AS_JSON


def test_what_is_not_of_its_type_stays_text_for_the_validator() -> None:
    raw = b'<Patient xmlns="http://hl7.org/fhir"><active value="yes"/><multipleBirthInteger value="two"/><name/></Patient>'
    assert xml.read(raw) == {"resourceType": "Patient", "active": "yes", "multipleBirthInteger": "two", "name": [{}]}


def wrap(inner: str) -> bytes:
    return f'<Patient xmlns="http://hl7.org/fhir">\n{inner}</Patient>'.encode()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><Patient xmlns="http://hl7.org/fhir"/>', "document type is not allowed"),
        (b"<Patient/>", "not in the FHIR namespace"),
        (b'<Patint xmlns="http://hl7.org/fhir"/>', "no resource type 'Patint' here. Did you mean 'Patient'?"),
        (wrap("<nam/>"), "Patient (line 2): R4 has no element 'nam' here. Did you mean 'name'?"),
        (wrap("<name><familie value='x'/></name>"), "Patient.name[0] (line 2): R4 has no element 'familie'"),
        (wrap("<name use='x'/>"), "The attribute 'use' is not allowed here"),
        (wrap("<name>"), "line 2, column 9: This is not XML: mismatched tag"),
        (wrap("Smith"), "Text stands between elements"),
        (wrap("<?php x?>"), "processing instruction"),
        (wrap("<contained/>"), "Patient.contained[0] (line 2): Exactly one resource belongs here"),
        (wrap("<name>" * 200), "more than 100 deep"),
        (b"", "not XML: no element found"),
    ],
)
def test_a_refusal_names_the_place(raw: bytes, says: str) -> None:
    with pytest.raises(InvalidSyntax) as caught:
        xml.read(raw)
    assert says in str(caught.value)
    assert "Smith" not in str(caught.value)


def test_size_has_a_limit() -> None:
    with pytest.raises(TooLarge):
        xml.read(PATIENT, max_size=100)


TAGS = st.sampled_from(["<a>", "</a>", "<name>", "</name>", "<div xmlns='http://www.w3.org/1999/xhtml'>", "</div>", "<id value='1'/>", "x", "&lt;", "&b;", "<!--", "<![CDATA[", "<contained>", "<Patient>"])  # fmt: skip


@given(st.binary() | st.lists(TAGS).map("".join).map(wrap))
@example(b'<?xml version="1.0" encoding="nonsense"?><a/>')
@example(b'<?xml version="1.0" encoding="utf-7"?><a/>')
@example(PATIENT.decode().encode("utf-16"))
def test_any_bytes_are_a_resource_or_an_error_of_the_tree(raw: bytes) -> None:
    try:
        value = xml.read(raw)
    except SutureError:
        return
    assert value["resourceType"]


@pytest.mark.parametrize(
    "value",
    [
        {"resourceType": "Patint"},
        {"resourceType": "Patient", "nam": []},
        {"resourceType": "Patient", "name": ["x"]},
        {"resourceType": "Patient", "text": {"div": "<div"}},
        {"resourceType": "Patient", "contained": ["x"]},
    ],
)
def test_what_is_not_valid_is_not_written(value: dict) -> None:
    with pytest.raises(InvalidResource, match="Validate it first"):
        xml.write(value)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(("folder", "least"), [("fhir-test-cases/r4/examples", 70), ("hl7.fhir.r4.examples", 5000)])
def test_the_official_examples_come_back_equal(folder: str, least: int) -> None:
    """The second folder is spec/hl7.fhir.r4.examples/4.0.1/package of github.com/google/fhir."""
    done = 0
    for file in sorted(public.path(folder).glob("*.json")):
        value = json.read(file.read_bytes(), max_depth=200)
        if "resourceType" in value:
            assert xml.read(xml.write(value)) == value, file.name
            done += 1
    assert done >= least
