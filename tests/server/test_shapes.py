"""How an answer looks and how a body may come: indented, compressed, of another version of FHIR."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest

from suture.standards.fhir import json as fhir_json
from suture.standards.fhir import xml
from tests.server.people import patient
from tests.server.running import FHIR, Running, outcome_of


async def test_an_indented_answer_says_the_same(server: Running) -> None:
    raw = (
        b'{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},"valueQuantity":{"value":72.50}}'
    )
    await server.http.put("/fhir/Observation/o1", content=raw, headers={"Content-Type": FHIR})
    plain = await server.http.get("/fhir/Observation/o1")
    for path, accept in (("?_pretty=true", FHIR), ("", f"{FHIR}; pretty=true")):
        shown = await server.http.get(f"/fhir/Observation/o1{path}", headers={"Accept": accept})
        assert shown.text.startswith('{\n  "resourceType": "Observation",\n')
        assert '"value": 72.50' in shown.text
        assert json.loads(shown.content) == json.loads(plain.content)


async def test_xml_is_indented_but_for_narratives(server: Running) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>a <b>b</b></p>\n<div>c</div></div>'
    body = {**patient("p1"), "text": {"status": "generated", "div": div}}
    await server.put(body)
    shown = await server.http.get("/fhir/Patient/p1?_format=xml&_pretty=true")
    assert '<Patient xmlns="http://hl7.org/fhir">\n  <id value="p1"/>\n' in shown.text
    assert div in shown.text
    plain = await server.http.get("/fhir/Patient/p1?_format=xml")
    assert xml.read(shown.content) == xml.read(plain.content)


async def test_a_compressed_body_is_read(server: Running) -> None:
    headers = {"Content-Type": FHIR, "Content-Encoding": "gzip"}
    made = await server.http.put(
        "/fhir/Patient/p1", content=gzip.compress(json.dumps(patient("p1")).encode()), headers=headers
    )
    assert made.status_code == 201, made.text


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        (b"x", "br", (415, "not-supported", "this compression is not read here")),
        (b"not gzip", "gzip", (400, "invalid", "the body is not gzip")),
        (gzip.compress(b"{}")[:-4], "gzip", (400, "invalid", "the compressed body is cut off, or more follows it")),
        (gzip.compress(b"{}") * 2, "gzip", (400, "invalid", "the compressed body is cut off, or more follows it")),
    ],
)
async def test_a_body_that_cannot_be_unpacked(
    server: Running, body: bytes, encoding: str, said: tuple[int, str, str]
) -> None:
    headers = {"Content-Type": FHIR, "Content-Encoding": encoding}
    assert outcome_of(await server.http.post("/fhir/Patient", content=body, headers=headers)) == said


async def test_a_small_body_that_unpacks_to_a_huge_one_is_stopped(server: Running) -> None:
    bomb = gzip.compress(b" " * (server.app.settings["http.max_body"] + 2), 9)
    answer = await server.http.post(
        "/fhir/Patient", content=bomb, headers={"Content-Type": FHIR, "Content-Encoding": "gzip"}
    )
    assert answer.status_code == 413
    assert "larger than" in outcome_of(answer)[2]


@pytest.mark.parametrize("version", ["3.0", "5.0", "4.3", "9"])
async def test_other_versions_of_fhir_are_refused_with_the_reason(server: Running, version: str) -> None:
    await server.put(patient("p1"))
    kind = f"{FHIR}; fhirVersion={version}"
    asked = await server.http.get("/fhir/Patient/p1", headers={"Accept": kind})
    sent = await server.http.post("/fhir/Patient", json=patient("p2"), headers={"Content-Type": kind})
    named = await server.http.get("/fhir/Patient/p1", params={"_format": kind})
    for answer, status in ((asked, 406), (sent, 415), (named, 406)):
        assert answer.status_code == status
        assert outcome_of(answer)[2].startswith("only R4 is spoken here: there is no translation to or from ")


async def test_r4_by_name_is_fine_and_another_range_is_taken(server: Running) -> None:
    await server.put(patient("p1"))
    for accept in (f"{FHIR}; fhirVersion=4.0", f"{FHIR};fhirVersion=5.0, {FHIR};q=0.5"):
        assert (await server.http.get("/fhir/Patient/p1", headers={"Accept": accept})).status_code == 200
    made = await server.http.put(
        "/fhir/Patient/p3", content=json.dumps(patient("p3")), headers={"Content-Type": f"{FHIR};fhirVersion=4.0"}
    )
    assert made.status_code == 201


async def test_a_browser_may_ask_to_patch(server: Running) -> None:
    async with httpx.AsyncClient(base_url=server.url) as page:
        asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
        answer = await page.options("/fhir/metadata", headers=asked)
    assert "PATCH" in answer.headers["access-control-allow-methods"]


ODD = rb"""{"status": "final", "resourceType":"Observation", "meta": {"tag": [{"code": "t"}], "profile": ["urn:p"]},
  "valueQuantity": {"unit": "kg", "value": 72.50}, "id": "o1", "_status": {"id": "s"},
  "note": [{"text": "a\nb\u00e9"}], "code": {"text": "x", "coding": [{"code": "c", "system": "urn:x"}]},
  "component": [{"code": {"text": "y"}, "valueQuantity": {"value": 1.0e2}}],
  "text": {"div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">a <b>b</b></div>", "status": "generated"}}"""
AS_XML = {"Content-Type": "application/fhir+xml"}


async def test_what_is_put_back_as_xml_unchanged_makes_no_version(server: Running) -> None:
    """Whatever form the JSON has in which it is kept; a digit more is a change."""
    for _ in range(2):
        kept = await server.http.put("/fhir/Observation/o1", content=ODD, headers={"Content-Type": "application/json"})
        assert kept.headers["etag"] == 'W/"1"', kept.text
    shown = await server.http.get("/fhir/Observation/o1?_format=xml")
    for place in ("Observation/o1", "Observation?code=c"):
        again = await server.http.put(f"/fhir/{place}", content=shown.content, headers=AS_XML)
        assert (again.status_code, again.headers["etag"]) == (200, 'W/"1"'), again.text
    assert b'"value": 72.50}' in (await server.http.get("/fhir/Observation/o1")).content
    changed = shown.content.replace(b"72.50", b"72.5")
    assert (await server.http.put("/fhir/Observation/o1", content=changed, headers=AS_XML)).headers["etag"] == 'W/"2"'
    assert (await server.http.delete("/fhir/Observation/o1")).status_code == 204
    assert (await server.http.put("/fhir/Observation/o1", content=changed, headers=AS_XML)).status_code == 201


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_in_a_bundle_of_xml_what_is_unchanged_makes_no_version(server: Running, kind: str) -> None:
    await server.http.put("/fhir/Observation/o1", content=ODD, headers={"Content-Type": "application/json"})
    resource = fhir_json.read((await server.http.get("/fhir/Observation/o1")).content)
    for changed, version in ((False, "1"), (True, "2")):
        sent = {**resource, "status": "amended"} if changed else resource
        entry = {"resource": sent, "request": {"method": "PUT", "url": "Observation/o1"}}
        raw = xml.write({"resourceType": "Bundle", "type": kind, "entry": [entry]})
        answer = await server.http.post("/fhir", content=raw, headers=AS_XML)
        assert answer.json()["entry"][0]["response"]["etag"] == f'W/"{version}"', answer.text


async def test_a_patch_that_changes_nothing_makes_no_version(server: Running) -> None:
    await server.http.put("/fhir/Observation/o1", content=ODD, headers={"Content-Type": "application/json"})
    for value, version in (("final", "1"), ("amended", "2")):
        patch = json.dumps([{"op": "replace", "path": "/status", "value": value}])
        headers = {"Content-Type": "application/json-patch+json"}
        answer = await server.http.patch("/fhir/Observation/o1", content=patch, headers=headers)
        assert (answer.status_code, answer.headers["etag"]) == (200, f'W/"{version}"'), answer.text
