"""Subscriptions to a search: who may ask for one, who may bind to it, and what its owner may not see is never sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import suture.services.subscriptions.binding as binding
from tests.notified import Hook, hook, searching, subscription
from tests.server.people import observation, patient
from tests.server.running import Running, outcome_of, serving
from tests.server.test_subscriptions_websocket import ended, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class There:
    """A server, an endpoint, and a program that sees one patient alone."""

    server: Running
    hook: Hook
    other: httpx.AsyncClient
    mine: dict[str, str]

    @property
    def socket(self) -> str:
        return f"ws{self.server.url.removeprefix('http')}{binding.PATH}"

    async def active(self, resource: dict[str, object], http: httpx.AsyncClient | None = None) -> str:
        made = await (http or self.server.http).post("/fhir/Subscription", json=resource)
        assert made.status_code == 201, made.text
        for _ in range(600):
            if (await self.server.http.get(made.headers["location"].partition("/_history")[0])).json()[
                "status"
            ] == "active":
                return str(made.json()["id"])
            await asyncio.sleep(0.05)
        raise AssertionError("it is not active")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def there(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[There]:
    folder = tmp_path_factory.mktemp("searches")
    async with hook() as hooked, serving(folder, outbound__allow=f"http://127.0.0.1:{hooked.port}") as server:
        await server.put(patient("p1"))
        await server.put(patient("p2"))
        mine = server.key("patient/Observation.rs patient/Patient.r system/Subscription.cruds", "p1")
        async with httpx.AsyncClient(base_url=server.url, headers=mine) as other:
            yield There(server, hooked, other, mine)


async def test_the_type_must_be_open_to_who_asks(there: There) -> None:
    for criteria in ("Condition?code=1", "Patient?name=x"):  # it may not search these
        found = await there.other.post("/fhir/Subscription", json=searching(there.hook.url, criteria))
        status, code, text = outcome_of(found)
        assert (status, code) == (403, "forbidden")
        assert criteria.partition("?")[0] in text


async def test_only_what_its_owner_may_see_goes_out(there: There) -> None:
    place = there.hook.url.replace("/notify", "/mine")
    await there.active(searching(place, "Observation?status=final", "application/fhir+json"), there.other)
    await there.server.put(observation("o2", "p2"))
    await there.server.put(observation("o1", "p1"))
    await there.hook.until(lambda: bool(there.hook.paths("/mine")))
    ((line, _, body),) = [call for call in there.hook.calls if "/mine" in call[0]]
    assert (line, json.loads(body)["subject"]["reference"]) == ("PUT /mine/Observation/o1", "Patient/p1")
    assert "o2" not in str(there.hook.calls)
    assert [row.patient for row in await there.server.disclosed(1)] == ["Patient/p1"]


async def test_many_changes_at_once_come_one_by_one(there: There) -> None:
    place = there.hook.url.replace("/notify", "/many")
    await there.active(searching(place, "Basic"))
    entries = [
        {
            "resource": {"resourceType": "Basic", "id": f"b{n}", "code": {}},
            "request": {"method": "PUT", "url": f"Basic/b{n}"},
        }
        for n in range(45)
    ]
    for entry in entries:
        entry["resource"]["code"] = {"text": "one"}  # type: ignore[index]
    sent = await there.server.http.post(
        "/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries}
    )
    assert sent.status_code == 200, sent.text
    await there.hook.until(lambda: len(there.hook.paths("/many")) == 45)


async def test_a_ping_is_for_who_wrote_it(there: There) -> None:
    wanted = searching("", "Observation?code=8867-4")
    wanted["channel"] = {"type": "websocket"}
    topical = subscription("", "observation-changed")
    topical["channel"] = {
        "type": "websocket",
        "payload": topical["channel"]["payload"],
        "_payload": topical["channel"]["_payload"],
    }
    theirs, mine = await there.active(wanted), await there.active(wanted, there.other)
    of_topic = await there.active(topical, there.other)
    for id, headers in ((mine, {}), (theirs, there.mine), (of_topic, there.mine), ("nosuch", there.mine)):
        async with connect(there.socket, additional_headers=headers) as line:
            await line.send(f"bind {id}")
            assert await ended(line) == 1008
    with pytest.raises(InvalidStatus, match="403"):
        async with connect(there.socket, additional_headers={"Authorization": "Bearer nonsense"}):
            pass
    async with connect(there.socket, additional_headers=there.mine) as line:
        await line.send(f"bind {mine}")
        assert await line.recv() == f"bound {mine}"
        await there.server.put(observation("o4", "p2"))
        await there.server.put(observation("o5", "p1"))
        async with asyncio.timeout(10):
            assert await line.recv() == f"ping {mine}"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await line.recv()


async def test_a_token_binds_a_search_too(there: There) -> None:
    wanted = searching("", "Patient?family=Token")
    wanted["channel"] = {"type": "websocket"}
    id = await there.active(wanted)
    known = await token(there.server.http, f"/{id}")
    async with connect(known["websocket-url"]) as line:
        await line.send(f"bind-with-token: {known['token']}")
        assert await line.recv() == f"bound {id}"
        await there.server.put(patient("p9", "Token"))
        async with asyncio.timeout(10):
            assert await line.recv() == f"ping {id}"
