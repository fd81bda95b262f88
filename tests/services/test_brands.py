"""brands.yaml becomes a bundle that holds together, and every mistake in it has its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from suture.errors import InvalidFile
from suture.services import brands
from suture.standards.fhir import closely, validate

BASE = "https://ehr.example"
FULL = """suture: brands/1
developers: https://developers.lakeside.example
primary: lakeside
brands:
  - id: childrens
    name: Lakeside Children's
    website: https://www.kids.lakeside.example/about
    part_of: lakeside
  - id: lakeside
    name: Lakeside Health
    website: https://www.lakeside.example
    identifiers: [{system: "urn:ietf:rfc:3986", value: "https://lakeside.example"}, {system: "http://hl7.org/fhir/sid/us-npi", value: "1234567893"}]
    aliases: [Lakeside General]
    categories: [prov, laboratory]
    logo: https://lakeside.example/logo.svg
    addresses: [{line: [1 Shore Road], city: Springfield, state: IL, postalCode: "62701", country: US}]
    portal: {name: MyLakeside, description: For everyone treated here, url: https://my.lakeside.example}
"""


def bundle(text: str = FULL) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(brands.made(text, "brands.yaml", BASE, 1_700_000_000_000_000).body)
    return said


def test_the_bundle_holds_together() -> None:
    said = bundle()
    assert (said["type"], said["timestamp"]) == ("collection", "2023-11-14T22:13:20.000Z")
    assert validate.check(said) == []
    assert closely.look(said) == []
    resources = [entry["resource"] for entry in said["entry"]]
    endpoints = {f"Endpoint/{one['id']}": one for one in resources if one["resourceType"] == "Endpoint"}
    organizations = {f"Organization/{one['id']}": one for one in resources if one["resourceType"] == "Organization"}
    assert [one["address"] for one in endpoints.values()] == [f"{BASE}/fhir"]
    pointed = {ref["reference"] for one in organizations.values() for ref in one["endpoint"]}
    assert pointed == set(endpoints)
    for one in organizations.values():
        portal = [part for ext in one["extension"] for part in ext["extension"] if part["url"] == "portalEndpoint"]
        assert {part["valueReference"]["reference"] for part in portal} <= {r["reference"] for r in one["endpoint"]}
        assert len(one["telecom"]) == 1
    assert organizations["Organization/childrens"]["partOf"]["reference"] in organizations
    assert len({entry["fullUrl"] for entry in said["entry"]}) == 3


def test_the_primary_brand_has_exactly_one_place() -> None:
    made = brands.made(FULL, "brands.yaml", BASE, 0)
    found = [
        entry["resource"]["id"]
        for entry in json.loads(made.body)["entry"]
        if dict(made.identifier) in entry["resource"].get("identifier", [])
    ]
    assert found == ["lakeside"]


def test_an_identifier_is_made_of_the_website() -> None:
    one = next(e["resource"] for e in bundle()["entry"] if e["resource"]["id"] == "childrens")
    assert one["identifier"] == [{"system": "urn:ietf:rfc:3986", "value": "https://kids.lakeside.example"}]


def test_the_version_follows_the_content() -> None:
    first, second = (brands.made(text, "f", BASE, 0) for text in (FULL, FULL.replace("MyLakeside", "Mine")))
    assert first.etag.startswith(b'W/"')
    assert first.etag != second.etag
    assert first == brands.made(FULL, "f", BASE, 0)


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("suture: brands/1", "suture: flow/1", (1, 1), "it does not begin with 'suture: brands/1'"),
        ("developers: https", "developer: https", (2, 1), "no field named 'developer'"),
        ("https://developers", "http://developers", (2, 13), "'developers' is an https address"),
        ("primary: lakeside", "primary: nobody", (3, 10), "no brand has this id"),
        ("part_of: lakeside", "part_of: nobody", (8, 14), "no brand has this id"),
        ("id: childrens", "id: child rens", (5, 9), "an id has letters"),
        ("id: childrens", "id: lakeside", (4, 1), "two brands have one id"),
        ("    name: Lakeside Health\n", "", (9, 5), "'name' is missing"),
        ("[prov, laboratory]", "[clinic]", (14, 5), "no such category"),
        ("city: Springfield", "town: Springfield", (16, 40), "no field named 'town'"),
        ("[Lakeside General]", "Lakeside General", (13, 14), "'aliases' is a list"),
        ("portal: {name: MyLakeside", "portal: {title: MyLakeside", (17, 14), "no field named 'title'"),
        ("https://my.lakeside.example", "javascript:x", (17, 77), "'url' is an https address"),
    ],
)
def test_a_mistake_has_its_place(old: str, new: str, place: tuple[int, int], said: str) -> None:
    text = FULL.replace(old, new)
    with pytest.raises(InvalidFile) as error:
        brands.made(text, "brands.yaml", BASE, 0)
    assert any(said in one.text and (one.line, one.column) == place for one in error.value.problems), [
        (one.line, one.column, one.text) for one in error.value.problems
    ]


@pytest.mark.parametrize("text", ["", "[]", "7", "suture: brands/1", "suture: brands/1\nbrands: []\ndevelopers: https://a.example", "suture: brands/1\ndevelopers: https://a.example\nbrands: [7]", "{"])  # fmt: skip
def test_what_is_no_such_file_is_told(text: str) -> None:
    with pytest.raises(InvalidFile):
        brands.made(text, "brands.yaml", BASE, 0)


def test_without_a_file_nothing_is_claimed(tmp_path: Path) -> None:
    assert brands.read(tmp_path, BASE) is None
    (tmp_path / "brands.yaml").write_text(FULL)
    assert brands.read(tmp_path, BASE) is not None
