"""Every interaction on one resource, over HTTP."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.server.people import observation, patient
from tests.server.running import FHIR, Running, outcome_of


async def test_create_gives_an_id_and_says_where(server: Running) -> None:
    made = await server.http.post("/fhir/Patient", json=patient("theirs"))
    assert made.status_code == 201
    body = made.json()
    assert body["id"] != "theirs"
    assert body["meta"]["versionId"] == "1"
    assert made.headers["location"] == f"{server.url}/fhir/Patient/{body['id']}/_history/1"
    assert made.headers["etag"] == 'W/"1"'
    assert made.headers["last-modified"].endswith("GMT")
    assert made.headers["content-type"] == FHIR
    read = await server.http.get(f"/fhir/Patient/{body['id']}")
    assert read.status_code == 200
    assert read.json() == body


async def test_a_body_is_kept_byte_for_byte_but_for_id_and_meta(server: Running) -> None:
    raw = (
        b'{ "resourceType" : "Observation",\n "status":"final", "code":{"text":"x"}, "valueQuantity":{"value":72.50} }'
    )
    made = await server.http.post("/fhir/Observation", content=raw, headers={"Content-Type": FHIR})
    assert made.status_code == 201, made.text
    stripped = re.sub(rb',"(id|meta)":("[^"]+"|\{[^}]+\})', b"", made.content)
    assert stripped == raw


async def test_update_makes_versions_and_history_keeps_them(server: Running) -> None:
    assert (await server.put(patient("p1", "First"))).status_code == 201
    second = await server.put(patient("p1", "Second"))
    assert second.status_code == 200
    assert second.headers["etag"] == 'W/"2"'
    old = await server.http.get("/fhir/Patient/p1/_history/1")
    assert old.json()["name"][0]["family"] == "First"
    history = (await server.http.get("/fhir/Patient/p1/_history")).json()
    assert [e["resource"]["meta"]["versionId"] for e in history["entry"]] == ["2", "1"]
    assert [e["request"]["method"] for e in history["entry"]] == ["PUT", "PUT"]
    assert [e["response"]["status"] for e in history["entry"]] == ["200", "201"]


async def test_an_update_that_changes_nothing_makes_no_version(server: Running) -> None:
    await server.put(patient("p1"))
    again = await server.put(patient("p1"))
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"1"')


async def test_delete_then_gone_then_back(server: Running) -> None:
    await server.put(patient("p1"))
    assert (await server.http.delete("/fhir/Patient/p1")).status_code == 204
    gone = await server.http.get("/fhir/Patient/p1")
    assert outcome_of(gone) == (410, "deleted", "this Patient was deleted")
    assert (await server.http.delete("/fhir/Patient/p1")).status_code == 204
    assert (await server.http.delete("/fhir/Patient/never")).status_code == 204
    history = (await server.http.get("/fhir/Patient/p1/_history")).json()["entry"]
    assert [e["request"]["method"] for e in history] == ["DELETE", "PUT"]
    assert "resource" not in history[0]
    assert (await server.put(patient("p1"))).status_code == 201
    assert (await server.http.get("/fhir/Patient/p1/_history/2")).status_code == 410
    assert (await server.http.get("/fhir/Patient/p1")).json()["meta"]["versionId"] == "3"


async def test_if_match_lets_one_writer_win(server: Running) -> None:
    await server.put(patient("p1"))
    lost = await server.http.put("/fhir/Patient/p1", json=patient("p1", "B"), headers={"If-Match": 'W/"7"'})
    assert outcome_of(lost) == (412, "conflict", "the resource is no longer at the version of If-Match")
    won = await server.http.put("/fhir/Patient/p1", json=patient("p1", "B"), headers={"If-Match": 'W/"1"'})
    assert won.status_code == 200
    assert (await server.http.delete("/fhir/Patient/p1", headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await server.http.delete("/fhir/Patient/p1", headers={"If-Match": 'W/"2"'})).status_code == 204
    wrong = await server.http.put("/fhir/Patient/p1", json=patient("p1"), headers={"If-Match": "latest"})
    assert outcome_of(wrong) == (400, "invalid", "If-Match names no version")


async def test_if_none_match_star_only_creates(server: Running) -> None:
    headers = {"If-None-Match": "*"}
    assert (await server.http.put("/fhir/Patient/p1", json=patient("p1"), headers=headers)).status_code == 201
    second = await server.http.put("/fhir/Patient/p1", json=patient("p1", "B"), headers=headers)
    assert outcome_of(second) == (412, "conflict", "there is one already")


async def test_conditional_read(server: Running) -> None:
    made = await server.put(patient("p1"))
    same = await server.http.get("/fhir/Patient/p1", headers={"If-None-Match": 'W/"1"'})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == 'W/"1"'
    assert (await server.http.get("/fhir/Patient/p1", headers={"If-None-Match": 'W/"9"'})).status_code == 200
    since = {"If-Modified-Since": made.headers["last-modified"]}
    assert (await server.http.get("/fhir/Patient/p1", headers=since)).status_code == 304
    old = {"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}
    assert (await server.http.get("/fhir/Patient/p1", headers=old)).status_code == 200
    nonsense = {"If-Modified-Since": "yesterday"}
    assert (await server.http.get("/fhir/Patient/p1", headers=nonsense)).status_code == 200


@pytest.mark.parametrize(
    ("prefer", "kind"), [("return=minimal", ""), ("return=representation", "Patient"), ("return=OperationOutcome", "OperationOutcome"), ("respond-async", "Patient")]
)  # fmt: skip
async def test_prefer_says_what_comes_back(server: Running, prefer: str, kind: str) -> None:
    made = await server.http.post("/fhir/Patient", json=patient("x"), headers={"Prefer": prefer})
    assert made.status_code == 201
    assert "location" in made.headers
    assert (made.json()["resourceType"] if made.content else "") == kind


async def test_conditional_create(server: Running) -> None:
    headers = {"If-None-Exist": "identifier=http://example.org/mrn|mrn-x"}
    first = await server.http.post("/fhir/Patient", json=patient("x"), headers=headers)
    assert first.status_code == 201
    second = await server.http.post("/fhir/Patient", json=patient("x", "Other"), headers=headers)
    assert second.status_code == 200
    assert second.json() == first.json()
    await server.http.post("/fhir/Patient", json=patient("x"))
    several = await server.http.post("/fhir/Patient", json=patient("x"), headers=headers)
    assert outcome_of(several) == (412, "conflict", "the condition finds more than one resource")
    empty = await server.http.post("/fhir/Patient", json=patient("x"), headers={"If-None-Exist": "_count=1"})
    assert outcome_of(empty) == (400, "invalid", "a condition needs search parameters and nothing else")


async def test_conditional_update(server: Running) -> None:
    url = "/fhir/Patient?identifier=http://example.org/mrn|mrn-x"
    body = {k: v for k, v in patient("x").items() if k != "id"}
    first = await server.http.put(url, json=body)
    assert first.status_code == 201
    second = await server.http.put(url, json={**body, "gender": "male"})
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
    other = await server.http.put(url, json={**body, "id": "someone-else"})
    assert outcome_of(other) == (400, "invalid", "the body's id is not the id of the one that was found")
    await server.put(patient("x"))
    assert (await server.http.put(url, json=body)).status_code == 412


async def test_conditional_delete(server: Running) -> None:
    url = "/fhir/Patient?identifier=http://example.org/mrn|mrn-x"
    assert (await server.http.delete(url)).status_code == 204
    await server.put(patient("x"))
    assert (await server.http.delete(url)).status_code == 204
    assert (await server.http.get("/fhir/Patient/x")).status_code == 410
    await server.http.post("/fhir/Patient", json=patient("x"))
    await server.http.post("/fhir/Patient", json=patient("x"))
    assert (await server.http.delete(url)).status_code == 412
    assert (await server.http.delete("/fhir/Patient")).status_code == 400


async def test_histories_of_a_type_and_of_all(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(observation("o1", "p1"))
    await server.put(patient("p1", "New"))
    of_type = (await server.http.get("/fhir/Patient/_history")).json()
    assert of_type["type"] == "history"
    assert len(of_type["entry"]) == 2
    first = (await server.http.get("/fhir/_history?_count=2")).json()
    assert [e["fullUrl"].rsplit("/", 2)[-2:] for e in first["entry"]] == [["Patient", "p1"], ["Observation", "o1"]]
    following = {link["relation"]: link["url"] for link in first["link"]}["next"]
    rest = (await server.http.get(following)).json()
    assert [e["resource"]["meta"]["versionId"] for e in rest["entry"]] == ["1"]
    assert "next" not in {link["relation"] for link in rest["link"]}
    since = of_type["entry"][0]["resource"]["meta"]["lastUpdated"]
    later = (await server.http.get("/fhir/Patient/_history", params={"_since": since})).json()
    assert len(later["entry"]) == 1
    for query in ("_since=soon", "_count=0", "_count=x", "_at=2024", "_since=2024-01-01"):
        assert (await server.http.get(f"/fhir/Patient/_history?{query}")).status_code == 400


async def test_metadata_is_open_and_says_only_what_is_there(server: Running) -> None:
    answer = await httpx.AsyncClient().get(f"{server.url}/fhir/metadata")
    statement = answer.json()
    assert statement["fhirVersion"] == "4.0.1"
    assert answer.headers["access-control-allow-origin"] == "*"
    kinds = {r["type"]: r for r in statement["rest"][0]["resource"]}
    assert {i["code"] for i in kinds["Patient"]["interaction"]} == {
        "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"
    }  # fmt: skip
    assert {"name": "birthdate", "type": "date"}.items() <= next(
        p for p in kinds["Patient"]["searchParam"] if p["name"] == "birthdate"
    ).items()
    assert "Provenance:target" in kinds["Observation"]["searchRevInclude"]


async def test_head_tells_the_same_without_the_body(server: Running) -> None:
    await server.put(patient("p1"))
    get, head = await server.http.get("/fhir/Patient/p1"), await server.http.head("/fhir/Patient/p1")
    assert head.content == b""
    assert head.headers["content-length"] == str(len(get.content))
    assert head.headers["etag"] == get.headers["etag"]


async def test_xml_both_ways(server: Running) -> None:
    raw = b'<Patient xmlns="http://hl7.org/fhir"><id value="x1"/><birthDate value="1980-02-03"/></Patient>'
    headers = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
    made = await server.http.put("/fhir/Patient/x1", content=raw, headers=headers)
    assert made.status_code == 201, made.text
    assert made.headers["content-type"] == "application/fhir+xml"
    assert b'<birthDate value="1980-02-03"/>' in made.content
    assert (await server.http.get("/fhir/Patient/x1")).json()["birthDate"] == "1980-02-03"
    found = await server.http.get("/fhir/Patient?_format=xml")
    assert found.content.startswith(b"<")
    assert b"<Bundle" in found.content


async def test_summary_and_elements_of_a_read(server: Running) -> None:
    await server.put(
        patient("p1", text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'})
    )
    cut = (await server.http.get("/fhir/Patient/p1?_elements=gender")).json()
    assert set(cut) == {"resourceType", "id", "meta", "gender"}
    assert cut["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "text" not in (await server.http.get("/fhir/Patient/p1?_summary=data")).json()
    assert set((await server.http.get("/fhir/Patient/p1?_summary=text")).json()) == {
        "resourceType",
        "id",
        "meta",
        "text",
    }
    wrong = await server.http.get("/fhir/Patient/p1?name=x")
    assert outcome_of(wrong) == (400, "invalid", "a read has no such parameter")
