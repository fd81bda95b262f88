"""One damaged body stops nothing but itself: subscriptions, flows, pages, and whoever mends it by writing it anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from suture.store import resources, skipped, sound, subscriptions
from suture.store.connection import Tx
from tests import damage
from tests.notified import Hook, happened, hook, searching, subscription, told
from tests.server.people import observation, patient
from tests.server.running import Running, outcome_of, serving


@pytest_asyncio.fixture
async def hooked() -> AsyncIterator[Hook]:
    async with hook() as made:
        yield made


@pytest_asyncio.fixture
async def server(tmp_path: Path, hooked: Hook) -> AsyncIterator[Running]:
    allowed = f"http://127.0.0.1:{hooked.port}"
    async with serving(tmp_path, outbound__allow=allowed, subscriptions__retry_first=0.5) as running:
        yield running


def put_spoiled(server: Running, resource: dict[str, Any]) -> None:
    """Writes a resource whose body can't be read from the beginning, in one commit."""

    def unit(tx: Tx) -> None:
        resources.put(tx, resource["resourceType"], resource["id"], json.dumps(resource).encode())
        damage.spoil(tx, resource["resourceType"], resource["id"])

    server.app.database.write_now(unit)


async def told_of(server: Running, id: str) -> dict[str, Any]:
    found = await server.http.get(f"/fhir/Subscription/{id}/$status")
    assert found.status_code == 200, found.text
    return told(found.json())


async def active(server: Running, resource: dict[str, Any]) -> str:
    found = await server.http.post("/fhir/Subscription", json=resource)
    assert found.status_code == 201, found.text
    id = str(found.json()["id"])
    for _ in range(500):
        if (await told_of(server, id))["status"] == "active":
            return id
        await asyncio.sleep(0.02)
    raise AssertionError("it is not active")


async def test_a_subscription_goes_past_what_can_not_be_read_and_is_told(
    server: Running, hooked: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    id = await active(server, subscription(hooked.url))
    other = await active(server, subscription(hooked.url + "2", "observation-created"))
    put_spoiled(server, patient("lost", name=[{"family": "Secretname"}]))
    await server.put(patient("a"))
    await hooked.until(lambda: hooked.numbers() == [1])
    said = await told_of(server, id)
    assert said["status"] == "active"
    assert said["error"]["text"].startswith("a change of Patient at 20")
    assert said["error"]["text"].endswith("could not be read; if it was an event, it was not sent")
    assert "lost" not in said["error"]["text"]
    assert "error" not in await told_of(server, other)
    assert "subscriptions went past what can't be read: 1 versions" in caplog.text
    assert "Secretname" not in caplog.text + server.log.getvalue()
    assert len(skipped.noted(server.app.database.read)) == 1
    await server.put(patient("a", gender="male"))
    await hooked.until(lambda: hooked.numbers() == [1, 2])


async def test_what_comes_after_a_damaged_version_is_an_event(server: Running, hooked: Hook) -> None:
    await server.put(patient("a"))
    await server.put(patient("b"))
    await active(server, subscription(hooked.url))
    damage.body(server.app.database, "Patient", "a")
    await server.put(patient("a", gender="male"))
    await hooked.until(lambda: hooked.numbers() == [1])
    damage.body(server.app.database, "Patient", "b")
    assert (await server.http.delete("/fhir/Patient/b")).status_code == 204
    await server.put(patient("c"))
    await hooked.until(lambda: hooked.numbers() == [1, 2])
    assert [event["focus"][0]["reference"].rpartition("/")[2] for b in hooked.bundles for event in happened(b)] == [
        "a",
        "c",
    ]


async def test_an_event_whose_resource_was_damaged_before_it_was_sent(server: Running, hooked: Hook) -> None:
    await active(server, subscription(hooked.url, content="full-resource"))
    search = await active(server, searching(hooked.url, "Patient?gender=male", "application/fhir+json"))
    hooked.status = 503
    await server.put(patient("a", gender="male"))
    for _ in range(500):  # each tried once, and not again for a while
        if all(kept.tries for kept in subscriptions.every(server.app.database.read)):
            break
        await asyncio.sleep(0.02)
    damage.body(server.app.database, "Patient", "a")
    hooked.status = 200
    await server.put(patient("b", gender="male"))
    await hooked.until(
        lambda: hooked.numbers() == [1, 2] and hooked.paths("/notify/Patient/") == ["PUT /notify/Patient/b"]
    )
    entries = [entry for bundle in hooked.of("event-notification") for entry in bundle["entry"][1:]]
    assert [("resource" in entry, entry["fullUrl"].rpartition("/")[2]) for entry in entries] == [
        (False, "a"),
        (True, "b"),
    ]
    said = await told_of(server, search)
    assert said["error"]["text"] == "event 1 could not be sent: what is stored of its Patient is damaged"


async def test_a_damaged_subscription_ends_itself_alone(server: Running, hooked: Hook) -> None:
    broken = await active(server, subscription(hooked.url + "2"))
    await active(server, subscription(hooked.url))
    damage.body(server.app.database, "Subscription", broken)
    await active(server, subscription(hooked.url + "3"))
    found = await server.http.get("/fhir/Subscription/$status", params={"id": broken})
    assert told(found.json())["status"] == "error"
    assert told(found.json())["error"]["text"] == "what is stored of the Subscription itself is damaged"
    await server.put(patient("a"))
    await hooked.until(lambda: 1 in hooked.numbers())


# --- written anew


async def test_whoever_has_the_right_version_mends_it(server: Running) -> None:
    whole = await server.put(patient("a", gender="male"))
    damage.body(server.app.database, "Patient", "a")
    broken = await server.http.get("/fhir/Patient/a")
    assert outcome_of(broken) == (500, "exception", "what is stored of it is damaged and can't be read")
    assert broken.json()["issue"][0]["expression"] == ["Patient/a"]
    assert "retry-after" not in broken.headers
    assert broken.json()["issue"][0]["diagnostics"].startswith("Send its right version with PUT")
    change = [{"op": "replace", "path": "/gender", "value": "female"}]
    patched = await server.http.patch(
        "/fhir/Patient/a", json=change, headers={"Content-Type": "application/json-patch+json"}
    )
    assert outcome_of(patched) == (500, "exception", "what is stored of it is damaged and can't be read")
    mended = await server.put(patient("a", gender="female"))
    assert (mended.status_code, mended.headers["etag"]) == (200, 'W/"2"')
    assert (await server.http.get("/fhir/Patient/a")).json()["gender"] == "female"
    old = await server.http.get("/fhir/Patient/a/_history/1")
    assert (old.status_code, old.json()["issue"][0]["expression"]) == (500, ["Patient/a/_history/1"])
    assert outcome_of(old)[2] == "what is stored of it is damaged and can't be read"
    for gender, count in (("male", 0), ("female", 1)):
        assert (await server.http.get(f"/fhir/Patient?gender={gender}")).json().get("total", 0) in (count, 0)
        found = (await server.http.get(f"/fhir/Patient?gender={gender}")).json()
        assert len(found.get("entry", [])) == count
    assert whole.status_code == 201


@pytest.mark.parametrize("way", ["If-Match", "condition", "If-None-Exist", "batch", "transaction", "by condition"])
async def test_every_way_of_writing_over_it(server: Running, way: str) -> None:
    await server.put(patient("a"))
    damage.body(server.app.database, "Patient", "a")
    new, search = patient("a", gender="other"), {"identifier": "http://example.org/mrn|mrn-a"}
    if way == "If-Match":
        late = await server.http.put("/fhir/Patient/a", json=new, headers={"If-Match": 'W/"2"'})
        assert late.status_code == 412
        answer = await server.http.put("/fhir/Patient/a", json=new, headers={"If-Match": 'W/"1"'})
    elif way == "condition":
        answer = await server.http.put("/fhir/Patient", params=search, json=new)
    elif way == "If-None-Exist":
        asked = {"If-None-Exist": "identifier=http://example.org/mrn|mrn-a"}
        refused = await server.http.post("/fhir/Patient", json=patient("x"), headers=asked)
        assert outcome_of(refused) == (500, "exception", "what is stored of it is damaged and can't be read")
        there = await server.http.put("/fhir/Patient/a", json=new, headers={"If-None-Match": "*"})
        assert there.status_code == 412
        return
    else:
        url = "Patient?identifier=http://example.org/mrn|mrn-a" if way == "by condition" else "Patient/a"
        kind = "batch" if way == "batch" else "transaction"
        entry = {"fullUrl": "urn:uuid:5b0d2b0c-6a5e-4d5e-9a65-3d7d4a7f6f10", "resource": new}
        entry |= {"request": {"method": "PUT", "url": url}}
        answer = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert answer.json()["entry"][0]["response"]["status"].startswith("200"), answer.text
    assert answer.status_code == 200, answer.text
    assert (await server.http.get("/fhir/Patient/a")).json()["gender"] == "other"


async def test_a_damaged_one_is_deleted(server: Running) -> None:
    await server.put(patient("a"))
    await server.put(patient("b"))
    damage.body(server.app.database, "Patient", "a")
    assert (await server.http.delete("/fhir/Patient/a")).status_code == 204
    assert (await server.http.get("/fhir/Patient/a")).status_code == 410
    found = (await server.http.get("/fhir/Patient?identifier=http://example.org/mrn|mrn-a")).json()
    assert "entry" not in found
    damage.body(server.app.database, "Patient", "b")
    where = {"identifier": "http://example.org/mrn|mrn-b"}
    assert (await server.http.delete("/fhir/Patient", params=where)).status_code == 204
    assert (await server.http.get("/fhir/Patient/b")).status_code == 410


async def test_who_reaches_a_part_of_the_type_gets_the_answer_for_unknown(server: Running) -> None:
    for id in ("a", "b"):
        await server.put(patient(id))
        await server.put(observation(f"o{id}", id))
    bound = server.key("patient/*.cruds", patient="a")
    before = {}
    for id in ("a", "b"):
        before[id] = damage.body(server.app.database, "Observation", f"o{id}")
    for id, whose in (("oa", "a"), ("ob", "b"), ("none", "a")):
        new = observation(id, whose if whose == "a" else "a", value="anew")
        answers = [
            await server.http.get(f"/fhir/Observation/{id}", headers=bound),
            await server.http.get(f"/fhir/Observation/{id}/_history/1", headers=bound),
            await server.http.get(f"/fhir/Observation/{id}/_history", headers=bound),
            await server.http.put(f"/fhir/Observation/{id}", json=new, headers=bound),
            await server.http.put(f"/fhir/Observation/{id}", json=new, headers={**bound, "If-None-Match": "*"}),
        ]
        assert {outcome_of(answer) for answer in answers} == {(404, "not-found", "no such Observation")}
        assert (await server.http.delete(f"/fhir/Observation/{id}", headers=bound)).status_code == 204
    database = server.app.database
    for id in ("a", "b"):
        found = database.read.one("SELECT ver, op FROM res WHERE rid = ?", (rid_of(server, f"o{id}"),))
        assert found is not None
        assert found[0] == 1
        database.write_now(lambda tx, i=id: damage.spoil(tx, "Observation", f"o{i}", 0, before[i]))
        assert (await server.http.get(f"/fhir/Observation/o{id}")).status_code == 200


def rid_of(server: Running, id: str) -> int:
    row = sound.read(server.app.database.read, "Observation", id)
    assert row is not None
    return row.rid
