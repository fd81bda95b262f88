"""PATCH over HTTP: both languages, alone, by condition, in bundles; judged before and after like an update."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.server.people import observation, patient
from tests.server.running import FHIR, Running, outcome_of

XML_PATCH = {"Content-Type": "application/xml-patch+xml"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
LATER = [{"op": "replace", "path": "/name/0/family", "value": "Later"}]


def replace(path: str, value: str) -> dict[str, Any]:
    parts = [("type", "Code", "replace"), ("path", "String", path), ("value", "String", value)]
    rows = [{"name": name, f"value{kind}": text} for name, kind, text in parts]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": rows}]}


async def ask(server: Running, path: str, body: Any, headers: dict[str, str] = JSON_PATCH) -> httpx.Response:
    return await server.http.patch(path, content=json.dumps(body), headers=headers)


async def test_a_json_patch_makes_a_version(server: Running) -> None:
    await server.put(patient("p1", "First"))
    done = await ask(server, "/fhir/Patient/p1", LATER)
    assert done.status_code == 200
    assert (done.headers["etag"], done.json()["name"][0]["family"]) == ('W/"2"', "Later")
    history = (await server.http.get("/fhir/Patient/p1/_history")).json()["entry"]
    assert [e["request"]["method"] for e in history] == ["PATCH", "PUT"]
    assert server.trail()[-2].what == "patch"


async def test_a_fhirpath_patch_in_json_and_in_xml(server: Running) -> None:
    await server.put(patient("p1", "First"))
    done = await ask(server, "/fhir/Patient/p1", replace("Patient.name[0].family", "Second"), {"Content-Type": FHIR})
    assert done.json()["name"][0]["family"] == "Second"
    raw = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
        '<part><name value="type"/><valueCode value="delete"/></part>'
        '<part><name value="path"/><valueString value="Patient.name"/></part></parameter></Parameters>'
    )
    done = await server.http.patch("/fhir/Patient/p1", content=raw, headers={"Content-Type": "application/fhir+xml"})
    assert (done.status_code, "name" in done.json()) == (200, False)


async def test_an_xml_patch(server: Running) -> None:
    await server.put(patient("p1", "First"))
    raw = (
        '<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Patient/f:name[1]/f:family/@value">Third</replace></diff>'
    )
    done = await server.http.patch("/fhir/Patient/p1", content=raw, headers=XML_PATCH)
    assert (done.status_code, done.json()["name"][0]["family"], done.headers["etag"]) == (200, "Third", 'W/"2"')
    named = raw.replace("/f:name[1]/f:family/@value", "/f:id/@value").replace("Third", "p2")
    refused = await server.http.patch("/fhir/Patient/p1", content=named, headers=XML_PATCH)
    assert outcome_of(refused)[2] == "a patch keeps type and id"
    lost = await server.http.patch("/fhir/Patient/p1", content=raw.replace("name[1]", "name[9]"), headers=XML_PATCH)
    assert outcome_of(lost) == (422, "processing", "nothing is at this place")


async def test_decimals_keep_their_digits(server: Running) -> None:
    raw = (
        b'{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},"valueQuantity":{"value":72.50}}'
    )
    await server.http.put("/fhir/Observation/o1", content=raw, headers={"Content-Type": FHIR})
    body = b'[{"op":"add","path":"/valueQuantity/unit","value":"kg"},{"op":"add","path":"/referenceRange","value":[{"low":{"value":1.00}}]}]'
    done = await server.http.patch("/fhir/Observation/o1", content=body, headers=JSON_PATCH)
    assert b'"value":72.50' in done.content
    assert b'"value":1.00' in done.content


async def test_by_condition(server: Running) -> None:
    await server.put(patient("p1", "First"))
    done = await ask(server, "/fhir/Patient?identifier=mrn-p1", LATER)
    assert done.json()["name"][0]["family"] == "Later", done.text
    none = await ask(server, "/fhir/Patient?identifier=mrn-none", LATER)
    assert outcome_of(none) == (404, "not-found", "the condition finds nothing to patch")
    await server.put(patient("p2"))
    several = await ask(server, "/fhir/Patient?gender=female", LATER)
    assert outcome_of(several)[:2] == (412, "conflict")


async def test_if_match_and_prefer(server: Running) -> None:
    await server.put(patient("p1"))
    late = await ask(server, "/fhir/Patient/p1", LATER, {**JSON_PATCH, "If-Match": 'W/"7"'})
    assert late.status_code == 412
    done = await ask(server, "/fhir/Patient/p1", LATER, {**JSON_PATCH, "If-Match": 'W/"1"', "Prefer": "return=minimal"})
    assert (done.status_code, done.content) == (200, b"")


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ([{"op": "remove", "path": "/nothing"}], 422, "nothing is at this place"),
        ([{"op": "add", "path": "/gender", "value": "frob"}], 422, None),
        ([{"op": "add", "path": "/frob", "value": 1}], 422, None),
        ([{"op": "replace", "path": "/id", "value": "p2"}], 400, "a patch keeps type and id"),
        ([{"op": "replace", "path": "/resourceType", "value": "Basic"}], 400, "a patch keeps type and id"),
        ({"op": "remove"}, 400, "a JSON Patch is an array of operations"),
    ],
)
async def test_what_it_may_not_do(server: Running, body: Any, status: int, text: str | None) -> None:
    await server.put(patient("p1"))
    answer = await ask(server, "/fhir/Patient/p1", body)
    assert answer.status_code == status, answer.text
    assert text is None or outcome_of(answer)[2] == text
    assert (await server.http.get("/fhir/Patient/p1")).json()["meta"]["versionId"] == "1"


async def test_the_wrong_kind_of_body(server: Running) -> None:
    await server.put(patient("p1"))
    xml = await server.http.patch("/fhir/Patient/p1", content=b"<diff/>", headers=XML_PATCH)
    assert outcome_of(xml) == (400, "invalid", "no XML Patch: there are no operations")
    broken = await server.http.patch("/fhir/Patient/p1", content=b"<diff>", headers=XML_PATCH)
    assert broken.status_code == 400
    other = await server.http.patch("/fhir/Patient/p1", content=b"x", headers={"Content-Type": "text/plain"})
    assert outcome_of(other)[:2] == (415, "not-supported")
    two = await server.http.patch("/fhir/Patient/p1", content=b'[],"x":[]', headers=JSON_PATCH)
    assert outcome_of(two)[2] == "a JSON Patch is an array of operations"
    none = await ask(server, "/fhir/Patient/nobody", LATER)
    assert outcome_of(none) == (404, "not-found", "no such Patient")
    await server.http.delete("/fhir/Patient/p1")
    assert (await ask(server, "/fhir/Patient/p1", LATER)).status_code == 410


async def test_a_patient_token_patches_only_its_own_record_and_can_move_nothing_out_of_it(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(patient("p2"))
    for id, owner in (("o1", "p1"), ("o2", "p2")):
        await server.put(observation(id, owner))
    own = server.key("patient/*.cruds", patient="p1")
    tests = [{"op": "test", "path": "/status", "value": "final"}]
    assert (await ask(server, "/fhir/Observation/o1", tests, {**JSON_PATCH, **own})).status_code == 200
    hidden = await ask(server, "/fhir/Observation/o2", tests, {**JSON_PATCH, **own})
    assert outcome_of(hidden) == (404, "not-found", "no such Observation")
    moved = [{"op": "replace", "path": "/subject/reference", "value": "Patient/p2"}]
    assert (await ask(server, "/fhir/Observation/o1", moved, {**JSON_PATCH, **own})).status_code == 403
    blind = server.key("user/Observation.u")
    assert (await ask(server, "/fhir/Observation/o1", tests, {**JSON_PATCH, **blind})).status_code == 403


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_in_bundles(server: Running, kind: str) -> None:
    await server.put(patient("p1", "First"))
    await server.put(patient("p2", "First"))
    raw = base64.b64encode(json.dumps(LATER).encode()).decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": raw}
    entries = [
        {"request": {"method": "PATCH", "url": "Patient/p1"}, "resource": binary},
        {
            "request": {"method": "PATCH", "url": "Patient?identifier=mrn-p2"},
            "resource": replace("Patient.name[0].family", "Path"),
        },
        {"request": {"method": "GET", "url": "Patient/p1"}},
    ]
    answer = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": kind, "entry": entries})
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["200", "200", "200"], answer.text
    assert answer.json()["entry"][2]["resource"]["name"][0]["family"] == "Later"
    assert (await server.http.get("/fhir/Patient/p2")).json()["name"][0]["family"] == "Path"


async def test_a_transaction_whose_patch_fails_writes_nothing(server: Running) -> None:
    await server.put(patient("p1", "First"))
    entries = [
        {"request": {"method": "PUT", "url": "Patient/p2"}, "resource": patient("p2")},
        {"request": {"method": "PATCH", "url": "Patient/p1"}, "resource": replace("Patient.gender.x", "y")},
    ]
    answer = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["Bundle.entry[1]"]), answer.text
    assert (await server.http.get("/fhir/Patient/p2")).status_code == 404


async def test_an_operation_in_a_bundle(server: Running) -> None:
    entries = [{"request": {"method": "GET", "url": "Patient/p1/$frobnicate"}}]
    answer = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    found = answer.json()["entry"][0]["response"]
    assert (found["status"], found["outcome"]["issue"][0]["details"]["text"]) == ("404", "no such operation here")
