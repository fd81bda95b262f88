"""The rules of contained resources equal their FHIRPath; the narrative lets nothing act."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.standards.fhir.definitions import type_definition
from suture.standards.fhir.fhirpath import Environment, compile
from suture.standards.fhir.narrative import finding, fine_div
from suture.standards.fhir.validate import check
from suture.standards.fhir.validate.contained import broken_rules

EXPRESSIONS = {i.key: i.expression for i in type_definition("DomainResource").invariants}  # type: ignore[union-attr]


def resource_with_contained(rng: random.Random) -> dict[str, Any]:
    def maybe(chance: float) -> bool:
        return rng.random() < chance

    inside: list[dict[str, Any]] = []
    for name in rng.sample(["a", "b", "c"], rng.randint(1, 3)):
        one: dict[str, Any] = {"resourceType": "Organization", "id": name, "name": "x"}
        if maybe(0.2):
            one["meta"] = rng.choice([{"versionId": "1"}, {"security": [{"code": "x"}]}, {"profile": ["urn:x"]}])
        if maybe(0.2):
            one["partOf"] = {"reference": rng.choice(["#a", "#b", "#"])}
        inside.append(one)
    made: dict[str, Any] = {"resourceType": "Patient", "contained": inside, "generalPractitioner": []}
    for name in ("a", "b", "c"):
        if maybe(0.4):
            made["generalPractitioner"].append({"reference": f"#{name}"})
        if maybe(0.1):
            made.setdefault("extension", []).append(
                {"url": "urn:x", rng.choice(["valueUri", "valueString"]): f"#{name}"}
            )
    if not made["generalPractitioner"]:
        del made["generalPractitioner"]
    return made


@pytest.mark.parametrize("key", ["dom-2", "dom-3", "dom-4", "dom-5"])
def test_they_equal_their_fhirpath(key: str) -> None:
    seen = set()
    expression = compile(EXPRESSIONS[key], type="DomainResource")
    for seed in range(300):
        resource = resource_with_contained(random.Random(seed))
        if key == "dom-2" and seed % 3 == 0:
            resource["contained"][0]["contained"] = [{"resourceType": "Basic", "code": {"text": "x"}}]
        ours = key not in {found for found, _ in broken_rules(resource)}
        theirs = expression.holds(resource, Environment(variables={"resource": resource, "rootResource": resource}))
        assert ours == theirs, resource
        seen.add(ours)
    assert seen == {True, False}


def test_an_image_of_the_narrative_may_be_contained() -> None:
    image = {"resourceType": "Binary", "id": "i", "contentType": "image/png"}
    resource = {"resourceType": "Basic", "code": {"text": "x"}, "contained": [image]}
    assert [issue.text[:5] for issue in check(resource)] == ["dom-3"]
    section = {"text": {"status": "generated", "div": div('<img src="#i" alt="x"/>')}}
    composition = {
        "resourceType": "Composition",
        "contained": [image],
        "status": "final",
        "type": {"text": "x"},
        "date": "2026",
        "author": [{"display": "x"}],
        "title": "x",
        "section": [section],
    }
    assert check(composition) == []
    assert check(resource | {"text": {"status": "generated", "div": div('<img src="#i" alt="x"/>')}}) == []


def div(inner: str) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'


@pytest.mark.parametrize(
    "text",
    [
        div("plain"),
        div("<p>a &amp; b &nbsp; &#169; <b>c</b><br/></p>"),
        div('<a href="https://example.org/x">y</a><img src="data:image/png;base64,AAAA" alt="z"/>'),
        div('<table border="1"><tr><td colspan="2" style="color: red">x</td></tr></table>'),
        div('<p style="background-image: url(lines.png)">x</p>'),
        div('<p xml:lang="de" lang="de">x</p>'),
        '<h:div xmlns:h="http://www.w3.org/1999/xhtml"><h:p>x</h:p></h:div>',
    ],
)
def test_a_plain_narrative_passes(text: str) -> None:
    assert finding(text) is None
    assert fine_div(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (div("<script>alert(1)</script>"), "<script>"),
        (div("<iframe/>x"), "<iframe>"),
        (div("<object/>x"), "<object>"),
        (div("<form><input/></form>"), "<form>"),
        (div('<p onclick="x()">y</p>'), "attribute onclick"),
        (div('<a href="javascript:alert(1)">y</a>'), "active address"),
        (div('<a href=" JavaScript:alert(1)">y</a>'), "active address"),
        (div('<a href="java&#10;script:alert(1)">y</a>'), "active address"),
        (div('<img src="data:text/html,x"/>'), "active address"),
        (div('<img src="data:image/svg+xml;base64,AAAA"/>'), "active address"),
        (div('<p style="background:url(javascript:alert(1))">y</p>'), "style"),
        (div('<p style="width: expression(alert(1))">y</p>'), "style"),
        (div('<p style="background:u\\72l(http://x/y)">y</p>'), "style"),
        (div('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'), "XHTML namespace"),
        ("<div>x</div>", "XHTML namespace"),
        ('<p xmlns="http://www.w3.org/1999/xhtml">x</p>', "does not begin with <div>"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + div("&a;"), "document type"),
        (div("<?php x ?>y"), "processing instruction"),
        (div("<p>x"), "not well-formed"),
        (div("a & b"), "not well-formed"),
        (div("&nosuch;"), "not well-formed"),
        (div(" \n "), "says nothing"),
        (div("<div>" * 300 + "x" + "</div>" * 300), "nested too deep"),
        ("", "not well-formed"),
        ("x", "not well-formed"),
        (div("x") + div("y"), "not well-formed"),
        (5, "is text"),
    ],
)
def test_what_acts_or_is_broken_does_not(text: Any, says: str) -> None:
    wrong = finding(text)
    assert wrong is not None
    assert says in wrong[0]
    assert wrong[1]


@settings(max_examples=1000)
@given(st.text() | st.text().map(div))
def test_any_text_is_a_verdict(text: str) -> None:
    assert fine_div(text) == (finding(text) is None)


def test_every_element_of_a_narrative_is_checked_inside_a_resource() -> None:
    resource = {"resourceType": "Basic", "code": {"text": "x"}, "text": {"status": "generated", "div": div("<b>")}}
    assert [(i.expression, i.code) for i in check(resource)] == [("Basic.text.div", "invalid")]
