"""Idempotency-Key: a write that is sent again happens once; the second answer is the first one's, after a restart too."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.people import patient
from tests.server.running import Running, outcome_of, serving

KEY = {"Idempotency-Key": "2f1c0d8e-5b1f-4f0a-9a52-0d5d5d3f6f11"}
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [{"request": {"method": "POST", "url": "Patient"}, "resource": patient("x")}],
}


async def count(server: Running) -> int:
    found: int = (await server.http.get("/fhir/Patient?_summary=count")).json()["total"]
    return found


async def test_a_create_sent_twice_happens_once(server: Running) -> None:
    first = await server.http.post("/fhir/Patient", json=patient("x"), headers=KEY)
    again = await server.http.post("/fhir/Patient", json=patient("x"), headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again.headers["location"]) == (first.content, first.headers["location"])
    assert await count(server) == 1
    assert [row.detail for row in server.trail() if row.what == "create"] == ["", "repeated"]


async def test_many_at_once_happen_once(server: Running) -> None:
    sent = [server.http.post("/fhir", json=BUNDLE, headers=KEY) for _ in range(8)]
    answers = await asyncio.gather(*sent)
    assert {a.status_code for a in answers} == {200}
    assert len({a.content for a in answers}) == 1
    assert await count(server) == 1


async def test_another_request_with_the_same_key_is_refused(server: Running) -> None:
    await server.http.post("/fhir/Patient", json=patient("x"), headers=KEY)
    for answer in (
        await server.http.post("/fhir/Patient", json=patient("y"), headers=KEY),
        await server.http.post("/fhir", json=BUNDLE, headers=KEY),
    ):
        assert outcome_of(answer) == (422, "conflict", "this key was sent with another request")
    assert await count(server) == 1


async def test_keys_of_different_callers_are_different(server: Running) -> None:
    await server.http.post("/fhir/Patient", json=patient("x"), headers=KEY)
    other = server.key("user/*.cruds")
    assert (await server.http.post("/fhir/Patient", json=patient("y"), headers={**KEY, **other})).status_code == 201
    assert await count(server) == 2


async def test_a_patch_is_done_once(server: Running) -> None:
    await server.put({**patient("p1"), "name": [{"given": ["A"]}]})
    body = json.dumps([{"op": "add", "path": "/name/0/given/-", "value": "B"}])
    headers = {**KEY, "Content-Type": "application/json-patch+json"}
    answers = [await server.http.patch("/fhir/Patient/p1", content=body, headers=headers) for _ in range(3)]
    assert {a.json()["meta"]["versionId"] for a in answers} == {"2"}
    assert answers[2].json()["name"][0]["given"] == ["A", "B"]


async def test_what_failed_may_be_sent_again(server: Running) -> None:
    broken = {**patient("x"), "gender": "frob"}
    assert (await server.http.post("/fhir/Patient", json=broken, headers=KEY)).status_code == 422
    assert (await server.http.post("/fhir/Patient", json=patient("x"), headers=KEY)).status_code == 201


@pytest.mark.parametrize("key", ["a b", "x" * 300, '"'])
async def test_what_is_no_key_is_refused(server: Running, key: str) -> None:
    answer = await server.http.post("/fhir/Patient", json=patient("x"), headers={"Idempotency-Key": key})
    assert outcome_of(answer) == (400, "invalid", "not a key")


async def test_a_batch_takes_no_key(server: Running) -> None:
    answer = await server.http.post("/fhir", json={**BUNDLE, "type": "batch"}, headers=KEY)
    assert outcome_of(answer) == (400, "invalid", "a batch has no Idempotency-Key")


async def test_it_holds_over_a_restart_and_ends_with_its_life(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        caller = server.key("user/*.cruds")
        first = await server.http.post("/fhir", json=BUNDLE, headers={**KEY, **caller})
    async with serving(tmp_path) as server:
        again = await server.http.post("/fhir", json=BUNDLE, headers={**KEY, **caller})
        assert again.content == first.content
        assert await count(server) == 1
    async with serving(tmp_path, fhir__idempotency_life=0.0) as server:
        assert (await server.http.post("/fhir", json=BUNDLE, headers={**KEY, **caller})).status_code == 200
        assert await count(server) == 2
