"""Subscriptions whose criteria is a search, as the page of the R4 resource says, with a real endpoint and a real websocket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from suture.standards.fhir import xml
from tests.conformance.checks import check
from tests.conformance.subscriptions import Kit
from tests.notified import happened, searching, told
from tests.server.people import patient

pytestmark = pytest.mark.asyncio(loop_scope="module")
SEARCH, SOCKET = "Criteria that are a search", "Ping"


def place(kit: Kit, name: str) -> str:
    """An address of its own at the endpoint."""
    return kit.hook.url.replace("/notify", f"/{name}")


async def listening(kit: Kit, resource: dict[str, Any]) -> str:
    made = await kit.server.http.post("/fhir/Subscription", json=resource)
    assert (made.status_code, made.json()["status"]) == (201, "requested"), made.text
    return await kit.until(made.json()["id"], "active")


async def came(kit: Kit, name: str, count: int) -> list[str]:
    await kit.hook.until(lambda: len(kit.hook.paths(f"/{name}")) >= count)
    return kit.hook.paths(f"/{name}")


@check(SEARCH, "without a payload each create or update that fits is one POST without a body, with every header")
async def test_bare_calls(subscribed: Kit) -> None:
    kit = subscribed
    await listening(kit, searching(place(kit, "bare"), "Patient?gender=other&active=true", header=["X-Proof: b1"]))
    await kit.server.put(patient("bare1") | {"gender": "other", "active": True})
    await kit.server.put(patient("bare2") | {"gender": "other", "active": False})
    await kit.server.put(patient("bare1") | {"gender": "other", "active": True, "birthDate": "1990-01-01"})
    assert await came(kit, "bare", 2) == ["POST /bare", "POST /bare"]
    for line, headers, body in kit.hook.calls:
        if line.endswith("/bare"):
            assert (headers["x-proof"], headers["content-length"], body) == ("b1", "0", b"")
            assert "content-type" not in headers


@check(SEARCH, "there is no notification when what fitted is changed so that it no longer does, or is deleted")
async def test_the_new_value_counts(subscribed: Kit) -> None:
    kit = subscribed
    await listening(kit, searching(place(kit, "newest"), "Patient?birthdate=1901-01-01"))
    old = {"birthDate": "1901-01-01"}
    await kit.server.put(patient("newest1") | old)
    await kit.server.put(patient("newest1") | {"birthDate": "2001-01-01"})
    await kit.server.put(patient("newest2") | old)
    await kit.server.http.delete("/fhir/Patient/newest2")
    await kit.server.put(patient("newest3") | old)
    assert await came(kit, "newest", 3) == ["POST /newest"] * 3


@pytest.mark.parametrize("payload", ["application/fhir+json", "application/json", "application/fhir+xml"])
@check(
    SEARCH,
    "with a payload the endpoint is a base: PUT TYPE/ID with the resource, in JSON or XML, in the order of the changes",
)
async def test_updates(subscribed: Kit, payload: str) -> None:
    kit, name = subscribed, f"put{len(payload)}{payload[-3:]}"
    await listening(kit, searching(place(kit, name), f"Patient?_id={name}", payload))
    for family in ("One", "Two"):
        await kit.server.put(patient(name) | {"name": [{"family": family}]})
    assert await came(kit, name, 2) == [f"PUT /{name}/Patient/{name}"] * 2
    sent = [(h, body) for line, h, body in kit.hook.calls if f"/{name}/" in line]
    read = xml.read if payload.endswith("xml") else json.loads
    assert [h["content-type"] for h, _ in sent] == [payload, payload]
    assert [read(body)["name"][0]["family"] for _, body in sent] == ["One", "Two"]


@check(SEARCH, "a type without a query is every create and update of it")
async def test_a_whole_type(subscribed: Kit) -> None:
    kit = subscribed
    await listening(kit, searching(place(kit, "basic"), "Basic?"))
    await kit.server.put({"resourceType": "Basic", "id": "b1", "code": {"text": "note"}})
    assert await came(kit, "basic", 1) == ["POST /basic"]


@check(
    SEARCH,
    "after the last try the status is error with its reason; taken up again, what waited comes, one call a change",
)
async def test_error_and_recovery(subscribed: Kit) -> None:
    kit = subscribed
    id = await listening(kit, searching(place(kit, "again"), "Patient?family=Again"))
    kit.hook.status = 503
    for n in range(3):
        await kit.server.put(patient(f"again{n}") | {"name": [{"family": "Again"}]})
    await kit.until(id, "error")
    found = (await kit.server.http.get(f"/fhir/Subscription/{id}")).json()
    assert found["error"] == "the endpoint answered 503"
    kit.hook.status = 200
    await kit.server.http.put(f"/fhir/Subscription/{id}", json=found | {"status": "requested"})
    assert await came(kit, "again", 3) == ["POST /again"] * 3


@check(SEARCH, "$resend makes the calls once more, with the versions that fitted then")
async def test_once_more(subscribed: Kit) -> None:
    kit = subscribed
    id = await listening(kit, searching(place(kit, "more"), "Patient?_id=more", "application/fhir+json"))
    for family in ("One", "Two"):
        await kit.server.put(patient("more") | {"name": [{"family": family}]})
    await came(kit, "more", 2)
    await kit.noted(id, 2)
    assert (await kit.server.http.post(f"/fhir/Subscription/{id}/$resend", json={})).status_code == 200
    await came(kit, "more", 4)
    sent = [json.loads(body)["name"][0]["family"] for line, _, body in kit.hook.calls if "/more/" in line]
    assert sent == ["One", "Two", "One", "Two"]


@check(SEARCH, "$status and $events answer for them too, with no topic")
async def test_asked_about(subscribed: Kit) -> None:
    kit = subscribed
    id = await listening(kit, searching(place(kit, "asked"), "Patient?family=Asked"))
    await kit.server.put(patient("asked1") | {"name": [{"family": "Asked"}]})
    await came(kit, "asked", 1)
    assert (await kit.status(id)).items() >= {"status": "active", "events-since-subscription-start": "1"}.items()
    found = (await kit.server.http.get(f"/fhir/Subscription/{id}/$events?content=id-only")).json()
    assert happened(found)[0]["focus"][0]["reference"].endswith("/Patient/asked1")
    assert "topic" not in told(found) | await kit.status(id)


@check(
    SEARCH,
    "an unknown parameter, a chain, _has, a result parameter and what needs a terminology: 422 that names criteria",
)
async def test_refused(subscribed: Kit) -> None:
    for query in (
        "nosuch=1", "code:in=http://x.example/set", "patient.name=x", "_has:Provenance:target:agent=1", "_count=5",
        "_content=x", "_lastUpdated=gt2020-01-01", "value-quantity=x", "date=never", "=", "code", "_sort=date",
    ):  # fmt: skip
        wanted = searching(place(subscribed, "refused"), f"Observation?{query}")
        found = await subscribed.server.http.post("/fhir/Subscription", json=wanted)
        assert found.status_code == 422, (query, found.text)
        assert found.json()["issue"][0]["expression"] == ["Subscription.criteria"], found.text


@check(
    SOCKET,
    "/fhir/metadata says where the websocket is opened; bind ID is answered by bound ID, each fitting change by ping ID",
)
async def test_ping(subscribed: Kit) -> None:
    kit = subscribed
    wanted = searching("", "Patient?family=Ping")
    wanted["channel"] = {"type": "websocket"}
    id = await listening(kit, wanted)
    mine = {"Authorization": kit.server.http.headers["authorization"]}
    async with connect(await address(kit), additional_headers=mine) as line:
        await line.send(f"bind {id}")
        assert await heard(line) == f"bound {id}"
        for n in range(3):
            await kit.server.put(patient(f"ping{n}") | {"name": [{"family": "Ping" if n != 1 else "Other"}]})
        assert [await heard(line), await heard(line)] == [f"ping {id}", f"ping {id}"]


async def address(kit: Kit) -> str:
    async with httpx.AsyncClient(base_url=kit.server.url) as nobody:
        rest = (await nobody.get("/fhir/metadata")).json()["rest"][0]
    url = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
    (found,) = (one["valueUri"] for one in rest["extension"] if one["url"] == url)
    return str(found)


async def heard(line: ClientConnection) -> str:
    async with asyncio.timeout(10):
        return str(await line.recv())
