"""Two servers on one PostgreSQL database: each sees at once what the other did, and together they keep one order and one trail."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from suture.message import MessageState
from suture.store import accounts, audit, messages, resources, vault
from suture.store.queue import runs
from tests import stores
from tests.server.running import Running, serving
from tests.server.test_hooks import FLOW

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("backend", stores.BACKENDS[1:], indirect=True, scope="session")]
Pair = tuple[Running, Running]


@pytest.fixture
async def pair(tmp_path: Path, backend: str) -> AsyncIterator[Pair]:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "intake.yaml").write_text(FLOW)
    async with serving(tmp_path) as first, serving(tmp_path) as second:
        yield first, second


def patient(number: int) -> dict[str, object]:
    return {
        "resourceType": "Patient", "identifier": [{"system": "urn:example:mrn", "value": str(number)}],
        "name": [{"family": f"Testperson{number}"}],
    }  # fmt: skip


async def test_each_sees_at_once_what_the_other_wrote(pair: Pair) -> None:
    first, second = pair
    made = await first.http.post("/fhir/Patient", json=patient(1))
    url = f"/fhir/Patient/{made.json()['id']}"
    assert (await second.http.get(url)).json() == made.json()
    changed = await second.http.put(url, json={**made.json(), "gender": "female"}, headers={"If-Match": 'W/"1"'})
    assert changed.status_code == 200, changed.text
    assert (await first.http.get(url)).json()["meta"]["versionId"] == "2"
    late = await first.http.put(url, json={**made.json(), "gender": "male"}, headers={"If-Match": 'W/"1"'})
    assert late.status_code == 412
    for one in pair:
        found = (
            await one.http.get("/fhir/Patient?identifier=urn:example:mrn|1&gender=female&family=testperson")
        ).json()
        assert [entry["resource"]["id"] for entry in found["entry"]] == [made.json()["id"]]
    assert (await first.http.delete(url)).status_code in (200, 204)
    assert (await second.http.get(url)).status_code == 410


async def test_what_may_be_there_once_is_there_once(pair: Pair) -> None:
    none = {"If-None-Exist": "identifier=urn:example:mrn|7"}
    answers = await asyncio.gather(
        *(one.http.post("/fhir/Patient", json=patient(7), headers=none) for _ in range(10) for one in pair)
    )
    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert [answer.status_code for answer in answers].count(201) == 1
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_under_load_of_both_there_is_one_order_one_trail_and_every_row(pair: Pair) -> None:
    answers = await asyncio.gather(
        *(pair[number % 2].http.post("/fhir/Patient", json=patient(number)) for number in range(200))
    )
    assert {answer.status_code for answer in answers} == {201}
    read = pair[0].app.database.read
    feed, after = [], 0
    while page := resources.changes(read, after, ["Patient"], 17):
        feed += page
        after = page[-1].updated
    assert {row.id for row in feed} == {answer.json()["id"] for answer in answers}
    assert len(feed) == 200
    assert sorted(row.rid for row in feed) == list(range(1, 201))
    assert [row.rid for row in feed] == sorted(row.rid for row in feed)  # numbers and times rise together
    for one in pair:
        assert audit.verify(one.app.database.read) is None
    assert len([row for row in pair[0].trail() if row.what == "create"]) == 200


async def test_what_is_revoked_at_one_is_refused_at_the_other(pair: Pair) -> None:
    first, second = pair
    key = first.key("system/Patient.rs")
    assert (await second.http.get("/fhir/Patient", headers=key)).status_code == 200
    last = next(c for c in accounts.clients(first.app.database.read) if c.name == first.made[-1])
    await first.app.database.write(lambda tx: accounts.change_client(tx, last.id, active=False))
    assert (await second.http.get("/fhir/Patient", headers=key)).status_code == 401


async def test_a_webhook_at_the_one_that_waits_is_run_by_the_other(pair: Pair) -> None:
    first, second = pair
    assert [bool(one.app.turn and one.app.turn.ours) for one in pair] == [True, False]
    await first.app.database.write(lambda tx: vault.put(tx, "intake", "s3cret", "hook:intake"))
    body = json.dumps({"kind": "intake"}).encode()
    signature = {"x-signature": "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()}
    async with httpx.AsyncClient() as stranger:
        taken = await stranger.post(f"{second.url}/hooks/intake", content=body, headers=signature)
    assert taken.status_code == 202, taken.text
    read = first.app.database.read
    for _ in range(600):
        entry = messages.entry(read, taken.json()["id"])
        if entry is not None and entry.state is MessageState.DONE:
            break
        await asyncio.sleep(0.05)
    assert entry is not None
    assert entry.state is MessageState.DONE
    assert [run.state.value for run in runs.find(read)] == ["done"]
