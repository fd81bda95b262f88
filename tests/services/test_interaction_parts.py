"""The readers of headers, entries, references and parts: everything is read, refused, or passed over as its standard says."""

from __future__ import annotations

import json as stdjson
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidSearch, SutureError
from suture.server.formats import wanted
from suture.server.route import FHIR_JSON, FHIR_XML, JSON, Route
from suture.server.router import MethodNotOffered, Router
from suture.services.interactions import entries, references, subset
from suture.services.interactions.rules import Conditions, Preferences, version_of
from suture.standards.fhir import json


def refusal(call: Callable[[], Any]) -> SutureError | None:
    """The error of a call that was refused; None when it went well. Any other exception passes through."""
    try:
        call()
    except SutureError as error:
        return error
    return None


@pytest.mark.parametrize(("tag", "version"), [('W/"3"', 3), ('"3"', 3), ("3", 3), (' W/"12" ', 12)])
def test_if_match_is_read(tag: str, version: int) -> None:
    assert Conditions(if_match=tag).version == version


@given(st.text(max_size=12))
def test_any_if_match_is_a_version_or_refused(tag: str) -> None:
    error = refusal(lambda: version_of(tag))
    assert error is None or str(error).startswith("If-Match: If-Match names no version")


@given(st.text(max_size=60))
def test_any_prefer_is_read(text: str) -> None:
    found = Preferences.read(text)
    assert found.returns in {"minimal", "representation", "OperationOutcome"}


def test_prefer_knows_what_is_its_own() -> None:
    assert Preferences.read("") == Preferences()
    assert Preferences.read("return=minimal; x=1, handling=lenient") == Preferences("minimal", True, True)
    assert Preferences.read("respond-async, wait=5").stated is False


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", FHIR_JSON), ("*/*", FHIR_JSON), ("application/json", JSON), ("application/fhir+xml", FHIR_XML),
        ("application/fhir+xml;q=0.2, application/json;q=0.9", JSON), ("text/html, */*;q=0.1", FHIR_JSON),
        ("application/fhir+json; fhirVersion=4.0", FHIR_JSON), ("APPLICATION/JSON", JSON),
    ],
)  # fmt: skip
def test_accept_is_read(accept: str, kind: bytes) -> None:
    assert wanted(accept) == kind


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_accept_is_a_format_or_refused(accept: str, name: str) -> None:
    error = refusal(lambda: wanted(accept, name))
    assert error is None or error.status == 406


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_any_entry_is_read_or_refused_with_its_place(entry: Any) -> None:
    error = refusal(lambda: entries.read_one(3, entry, "http://own/fhir"))
    assert error is None or (error.where.startswith("Bundle.entry[3]") and error.status < 500)


@given(st.text(max_size=30))
def test_any_url_of_an_entry_is_read_or_refused(url: str) -> None:
    error = refusal(lambda: entries.read_one(0, {"request": {"method": "GET", "url": url}}, "http://own/fhir"))
    assert error is None or error.status < 500


def test_an_own_absolute_url_is_relative() -> None:
    request = {"method": "GET", "url": "http://own/fhir/Patient/p1/_history/2"}
    found = entries.read_one(0, {"request": request}, "http://own/fhir")
    assert (found.path, found.type, found.id) == (("Patient", "p1", "_history", "2"), "Patient", "p1")


def test_references_change_only_where_addresses_stand() -> None:
    urn = "urn:uuid:1"
    before = {
        "resourceType": "Observation",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": urn}],
        "subject": {"reference": urn, "display": urn},
        "hasMember": [{"reference": urn + "#part"}, {"reference": "urn:uuid:other"}, {"display": "x"}],
        "contained": [{"resourceType": "Patient", "id": "1"}],
        "note": [{"text": urn}],
    }
    kept = stdjson.dumps(before)
    after = references.rewritten(before, references.resolver({urn: "Patient/1"}))
    assert after["subject"] == {"reference": "Patient/1", "display": urn}
    assert after["hasMember"] == [{"reference": "Patient/1#part"}, {"reference": "urn:uuid:other"}, {"display": "x"}]
    assert after["identifier"] == before["identifier"]
    assert after["note"] == before["note"]
    assert after["contained"] is before["contained"]
    assert stdjson.dumps(before) == kept


ADDRESSES = {"urn:uuid:1": "Patient/1", "urn:uuid:2": "Organization/2"}
NAMES = st.sampled_from(["reference", "url", "uri", "value", "valueUri", "display", 'a"reference', "source"])
TEXTS = st.sampled_from(
    [
        "urn:uuid:1",
        "urn:uuid:2#part",
        "urn:uuid:3",
        "x urn:uuid:1",
        '"reference":"urn:uuid:1"',
        'a"reference',
        "\\",
        "é",
    ]
)
ELEMENTS = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.decimals(allow_nan=False, allow_infinity=False, places=2),
    lambda inner: st.dictionaries(
        NAMES, inner | st.lists(st.dictionaries(NAMES, inner, max_size=3), max_size=3), max_size=4
    ),
    max_leaves=12,
)


@given(st.dictionaries(NAMES.filter(lambda name: '"' not in name), ELEMENTS, max_size=4))
def test_addresses_in_bytes_are_those_in_the_resource(resource: dict[str, Any]) -> None:
    resolve = references.resolver(ADDRESSES)
    wanted_bytes = json.write(references.rewritten(resource, resolve))
    assert references.spelled(json.write(resource), resolve) == wanted_bytes
    assert json.write(json.reread(wanted_bytes)) == wanted_bytes


def test_a_narrative_is_read_closely() -> None:
    assert references.spelled(b'{"text":{"div":"<div/>"}}', references.resolver(ADDRESSES)) is None


@given(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=4))
def test_without_addresses_nothing_changes(resource: dict[str, Any]) -> None:
    assert references.rewritten(resource, references.resolver({})) is resource


def test_a_uri_that_is_called_reference_is_no_reference() -> None:
    text = "Patient?identifier=a|1"
    resource = {
        "resourceType": "DetectedIssue",
        "reference": text,
        "patient": {"reference": text},
        "contained": [{"valueExpression": {"language": "text/cql", "reference": text}}],
    }
    assert list(references.conditional(resource)) == [text]
    changed = references.met(resource, {text: "Patient/1"})
    assert changed == {**resource, "patient": {"reference": "Patient/1"}}


def test_conditional_references_are_found_everywhere() -> None:
    resource = {
        "subject": {"reference": "Patient?identifier=a|1"},
        "performer": [{"reference": "Practitioner/1"}, {"reference": "Practitioner?identifier=b|2"}],
        "note": [{"text": "Patient?identifier=c|3"}],
    }
    assert sorted(references.conditional(resource)) == ["Patient?identifier=a|1", "Practitioner?identifier=b|2"]
    assert references.may_be_conditional(stdjson.dumps(resource).encode())
    assert not references.may_be_conditional(b'{"note":"Patient?identifier=c|3"}')


def test_a_cut_resource_keeps_what_is_mandatory_and_says_so() -> None:
    body = b'{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"x"}]},"status":"final","code":{},"valueString":"v","_valueString":{},"issued":"t"}'
    found = stdjson.loads(subset.cutter("", ("value",))(body, "Observation"))
    assert set(found) == {"resourceType", "id", "meta", "status", "code", "valueString", "_valueString"}
    assert [t["code"] for t in found["meta"]["tag"]] == ["x", "SUBSETTED"]
    again = subset.cut(stdjson.dumps(found).encode(), frozenset({"status"}))
    assert [t["code"] for t in stdjson.loads(again)["meta"]["tag"]] == ["x", "SUBSETTED"]
    assert subset.cutter("false", ())(body, "Observation") is body


async def nothing(request: Any) -> Any:
    raise InvalidSearch("never called")


def test_a_literal_wins_over_a_parameter_and_the_rest_takes_all() -> None:
    table = [
        Route("GET", "/fhir/metadata", nothing),
        Route("GET", "/fhir/{type}", nothing),
        Route("GET", "/fhir/{type}/{id}", nothing),
        Route("POST", "/fhir/{type}/_search", nothing),
        Route("GET", "/hooks/{name}/{rest...}", nothing),
    ]
    router = Router(table)
    assert router.find("GET", "/fhir/metadata")[0] is table[0]
    assert router.find("HEAD", "/fhir/Patient") == (table[1], {"type": "Patient"})
    assert router.find("GET", "/fhir/Patient/a%20b") == (table[2], {"type": "Patient", "id": "a b"})
    assert router.find("POST", "/fhir/Patient/_search")[0] is table[3]
    assert router.find("GET", "/hooks/a/b/c/d")[1] == {"name": "a", "rest": "b/c/d"}
    with pytest.raises(MethodNotOffered) as caught:
        router.find("PUT", "/fhir/Patient/_search")
    assert caught.value.offered == ["POST"]
    with pytest.raises(ValueError, match="two routes for GET /fhir/metadata"):
        Router([*table, table[0]])


@given(st.text(max_size=40), st.text(max_size=8))
def test_any_path_finds_a_route_or_nothing(path: str, method: str) -> None:
    router = Router(
        [Route("GET", "/a/{b}", nothing), Route("GET", "/a/{b}/c", nothing), Route("PUT", "/x/{r...}", nothing)]
    )
    error = refusal(lambda: router.find(method, path))
    assert error is None or error.status in (404, 405)
