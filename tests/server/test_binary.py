"""Binaries as bytes: in and out in their own type, seen by whoever may see the document they belong to, and by nobody else."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.server.people import patient
from tests.server.running import FHIR, Running, outcome_of

PDF = b"%PDF-1.7 bytes\x00\xff"


async def put(server: Running, id: str = "b1", context: str = "", kind: str = "application/pdf") -> None:
    headers = {"Content-Type": kind, **({"X-Security-Context": context} if context else {})}
    made = await server.http.put(f"/fhir/Binary/{id}", content=PDF, headers=headers)
    assert made.status_code == 201, made.text


def document(id: str, owner: str, binary: str) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference", "id": id, "status": "current", "subject": {"reference": f"Patient/{owner}"},
        "content": [{"attachment": {"contentType": "application/pdf", "url": f"Binary/{binary}"}}],
    }  # fmt: skip


async def test_bytes_go_in_and_come_out(server: Running) -> None:
    made = await server.http.post("/fhir/Binary", content=PDF, headers={"Content-Type": "application/pdf"})
    assert made.status_code == 201
    assert base64.b64decode(made.json()["data"]) == PDF
    place = f"/fhir/Binary/{made.json()['id']}"
    for accept in ("*/*", "application/pdf", "text/html,application/xhtml+xml,*/*;q=0.8"):
        raw = await server.http.get(place, headers={"Accept": accept})
        assert (raw.status_code, raw.content, raw.headers["content-type"]) == (200, PDF, "application/pdf")
    assert raw.headers["content-disposition"] == "attachment"
    assert "sandbox" in raw.headers["content-security-policy"]
    assert raw.headers["x-content-type-options"] == "nosniff"
    assert raw.headers["etag"] == 'W/"1"'
    head = await server.http.head(place)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(PDF)))
    same = await server.http.get(place, headers={"If-None-Match": 'W/"1"'})
    assert same.status_code == 304


@pytest.mark.parametrize("accept", [FHIR, "application/json", "application/fhir+xml"])
async def test_the_resource_when_it_is_asked_for(server: Running, accept: str) -> None:
    await put(server)
    shown = await server.http.get("/fhir/Binary/b1", headers={"Accept": accept})
    assert shown.headers["content-type"].startswith(accept)
    assert b"Binary" in shown.content
    named = await server.http.get("/fhir/Binary/b1?_format=json")
    assert named.json()["contentType"] == "application/pdf"


async def test_another_type_is_not_pretended(server: Running) -> None:
    await put(server)
    answer = await server.http.get("/fhir/Binary/b1", headers={"Accept": "image/png"})
    assert outcome_of(answer) == (406, "not-supported", "the content is of another type")


async def test_what_is_no_media_type_is_refused(server: Running) -> None:
    answer = await server.http.post("/fhir/Binary", content=PDF, headers={"Content-Type": "pdf"})
    assert outcome_of(answer) == (400, "invalid", "not a media type")
    odd = await server.http.post("/fhir/Binary", content=PDF, headers={"Content-Type": "a/b c"})
    assert odd.status_code in (400, 422)


async def test_the_security_context_goes_with_it(server: Running) -> None:
    await server.put(patient("p1"))
    await put(server, context="Patient/p1")
    shown = await server.http.get("/fhir/Binary/b1")
    assert shown.headers["x-security-context"] == "Patient/p1"
    assert (await server.http.get("/fhir/Binary/b1?_format=json")).json()["securityContext"] == {
        "reference": "Patient/p1"
    }


async def test_a_patient_reads_what_its_documents_and_contexts_name(server: Running) -> None:
    for person in ("p1", "p2"):
        await server.put(patient(person))
    for id, context in (("own", "Patient/p1"), ("other", "Patient/p2"), ("doc1", ""), ("doc2", ""), ("loose", "")):
        await put(server, id, context)
    await server.put(document("d1", "p1", "doc1"))
    await server.put(document("d2", "p2", "doc2"))
    own = server.key("patient/*.cruds", patient="p1")
    found = {}
    for id in ("own", "other", "doc1", "doc2", "loose", "none"):
        found[id] = (await server.http.get(f"/fhir/Binary/{id}", headers=own)).status_code
    assert found == {"own": 200, "doc1": 200, "other": 404, "doc2": 404, "loose": 404, "none": 404}
    few = server.key("patient/Observation.rs", patient="p1")
    assert (await server.http.get("/fhir/Binary/own", headers=few)).status_code == 403
    trail = [row for row in server.trail() if row.type == "Binary" and row.what == "read" and row.outcome == 200]
    assert {row.patient for row in trail} == {"Patient/p1"}


async def test_the_binary_of_a_withheld_document_is_withheld(server: Running) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    await server.put(patient("p1"))
    await put(server, "hidden")
    await put(server, "plain")
    await server.put({**document("d1", "p1", "hidden"), "meta": {"security": [label]}})
    await server.put(document("d2", "p1", "plain"))
    some = server.key("user/*.rs")
    assert (await server.http.get("/fhir/Binary/plain", headers=some)).status_code == 200
    assert (await server.http.get("/fhir/Binary/hidden", headers=some)).status_code == 404
    listed = (await server.http.get("/fhir/Binary", headers={**some, "Accept": FHIR})).json()
    assert [e["resource"]["id"] for e in listed["entry"]] == ["plain"]
