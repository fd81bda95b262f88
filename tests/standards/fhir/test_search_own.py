"""SearchParameters of a site's own: what can be put to work, and what is refused with its element."""

from __future__ import annotations

import tarfile
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidResource
from suture.standards.fhir import json, search_own
from suture.standards.fhir.definitions import NO_OWN, Own, adopt
from suture.standards.fhir.index import extract, values
from tests import public

RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"


def own(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter", "status": "active", "url": "http://example.org/own", "name": "Own", "description": "x",
        "code": "own", "base": ["Patient"], "type": "string", "expression": "Patient.contact.name",
    } | more  # fmt: skip


WRONG = [
    ({"code": "with space"}, "SearchParameter.code"),
    ({"code": "_own"}, "SearchParameter.code"),
    ({"code": "name"}, "SearchParameter.code"),
    ({"type": "composite"}, "SearchParameter.type"),
    ({"type": "special"}, "SearchParameter.type"),
    ({"base": ["Resource"]}, "SearchParameter.base"),
    ({"base": []}, "SearchParameter.base"),
    ({"base": ["AuditEvent"]}, "SearchParameter.base"),
    ({"expression": ""}, "SearchParameter.expression"),
    ({"expression": "Observation.code"}, "SearchParameter.expression"),
    ({"expression": "Patient.nonsense"}, "SearchParameter.expression"),
    ({"expression": "Patient.name.where(family.startsWith('x'))"}, "SearchParameter.expression"),
    ({"expression": "Patient.birthDate.extension('http://x').value"}, "SearchParameter.expression"),
    ({"expression": "%resource.name"}, "SearchParameter.expression"),
    ({"expression": "Patient"}, "SearchParameter.expression"),
    ({"expression": "where(a='b')"}, "SearchParameter.expression"),
    ({"expression": "Patient.name.where(use='a').where(family='b')"}, "SearchParameter.expression"),
    ({"expression": "a" * 5000}, "SearchParameter.expression"),
    ({"type": "date"}, "SearchParameter.type"),
    ({"type": "reference", "expression": "Patient.link.other", "target": ["Nobody"]}, "SearchParameter.target"),
]


@pytest.mark.parametrize(("change", "where"), WRONG, ids=lambda v: str(v)[:60])
def test_what_is_refused_names_the_element(change: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidResource) as caught:
        search_own.read(own(**change))
    assert caught.value.where == where
    assert caught.value.mend


def test_what_rests() -> None:
    assert search_own.read(own(status="draft", code="name")) is None
    assert search_own.read(own(status="retired")) is None
    derived = own(
        code="name", derivedFrom="http://hl7.org/fhir/SearchParameter/Patient-name", expression="Patient.name"
    )
    assert search_own.read(derived) is None, "R4 has it"


def test_a_union_is_cut_to_each_type() -> None:
    found = search_own.read(
        own(base=["Patient", "Person"], expression="Patient.contact.name|Person.link.target.display | Person.name.period", type="string")
        | {"expression": "Patient.contact.name | Person.telecom.value"}
    )  # fmt: skip
    assert found is not None
    assert found.expressions == {"Patient": "Patient.contact.name", "Person": "Person.telecom.value"}


CASES: list[tuple[str, str, dict[str, Any], set[Any]]] = [
    (
        "token", f"Patient.extension.where(url = '{RACE}').extension.value.code",
        {"extension": [{"url": RACE, "extension": [{"url": "ombCategory", "valueCoding": {"system": "urn:o", "code": "2106-3"}}]}]},
        {("tokens", "", "2106-3")},
    ),
    (
        "token", f"Patient.extension('{RACE}').extension('ombCategory').value",
        {"extension": [{"url": RACE, "extension": [{"url": "ombCategory", "valueCoding": {"system": "urn:o", "code": "2106-3"}}, {"url": "text", "valueString": "x"}]}]},
        {("tokens", "urn:o", "2106-3")},
    ),
    ("date", "Patient.extension('urn:d').value.ofType(date)", {"extension": [{"url": "urn:d", "valueDate": "2020"}]}, {("dates", 1577836800000000, 1609459200000000)}),
    ("string", "Patient.contact.name", {"contact": [{"name": {"family": "Å", "given": ["B"]}}]}, {("strings", "a"), ("strings", "b")}),
    ("token", "Patient.identifier.where(system = 'urn:mrn')", {"identifier": [{"system": "urn:mrn", "value": "A1"}, {"system": "urn:x", "value": "B"}]}, {("identifiers", "urn:mrn", "A1")}),
    ("token", "Patient.telecom", {"telecom": [{"system": "phone", "value": "5"}, {"system": "sms", "value": "6"}]}, {("words", "5"), ("words", "6")}),
    ("reference", "Patient.link.other.where(resolve() is Patient)", {"link": [{"other": {"reference": "Patient/2"}, "type": "seealso"}]}, {("references", "Patient", "2")}),
    ("number", "Patient.multipleBirth.as(integer)", {"multipleBirthInteger": 2}, {("quantities", "", "", "", 2.0, 2.0)}),
    ("uri", "Patient.meta.extension('urn:u').value.ofType(uri)", {"meta": {"extension": [{"url": "urn:u", "valueUri": "http://x"}]}}, {("urls", "http://x")}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "expression", "content", "expected"), CASES, ids=[c[1][:60] for c in CASES])
def test_what_is_extracted(kind: str, expression: str, content: dict[str, Any], expected: set[Any]) -> None:
    definition = search_own.read(own(type=kind, expression=expression))
    assert definition is not None
    patient = {"resourceType": "Patient", "id": "1", "telecom": [{"system": "email", "value": "e"}]} | content
    before = extract(patient)
    try:
        adopt(Own("test " + expression, {"Patient": {"own": definition.parameter("Patient", built=True)}}))
        after = extract(patient)
        found = {(name, *row[1:]) for name, row in values(after, "own")}
        assert found - {("words", "e")} == expected
        for code in ("phone", "email", "telecom", "identifier", "link", "name"):  # R4's own stay as they were
            assert list(values(after, code)) == list(values(before, code)), code
    finally:
        adopt(NO_OWN)


@given(st.text(alphabet="Patient.name()'=|[] where extension('x') as(HumanName) resolve()is0/%$", max_size=60))
def test_any_expression_is_read_or_refused(expression: str) -> None:
    found = None
    with suppress(InvalidResource):
        found = search_own.read(own(expression=expression))
    if found is not None:
        try:
            adopt(Own("any " + expression, {"Patient": {"own": found.parameter("Patient", built=True)}}))
            extract({"resourceType": "Patient", "name": [{"family": "a"}]})
        finally:
            adopt(NO_OWN)


@pytest.mark.slow
def test_those_of_us_core_can_be_put_to_work() -> None:
    made: set[str] = set()
    with tarfile.open(public.path("fhir/us_core_610.tgz")) as archive:
        for member in archive:
            if "SearchParameter-" in member.name:
                file = archive.extractfile(member)
                resource = json.read(file.read() if file else b"{}")
                found = search_own.read(resource | {"status": "active"})
                made |= {found.code} if found else set()
    assert made >= {"race", "ethnicity", "asserted-date", "discharge-disposition", "description", "role"}
