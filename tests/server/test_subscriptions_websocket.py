"""Notifications through a websocket: a real client binds with a token; what was missed comes when it binds again; attacks are let go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import suture.services.subscriptions.binding as binding
from suture.access.people import revoke_client
from suture.server import subscriptions as served
from tests.notified import numbers, subscription, told
from tests.server.people import observation, patient
from tests.server.running import Running, serving


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with serving(tmp_path) as running:
        yield running


def wanted(**more: Any) -> dict[str, Any]:
    made = subscription("", **more)
    del made["channel"]["endpoint"]
    made["channel"]["type"] = "websocket"
    return made


async def active(server: Running, http: httpx.AsyncClient | None = None, **more: Any) -> str:
    made = await (http or server.http).post("/fhir/Subscription", json=wanted(**more))
    assert made.status_code == 201, made.text
    id = str(made.json()["id"])
    for _ in range(600):
        if (await server.http.get(f"/fhir/Subscription/{id}")).json()["status"] == "active":
            return id
        await asyncio.sleep(0.05)
    raise AssertionError("it is not active")


async def token(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    found = await http.get(f"/fhir/Subscription{path}/$get-ws-binding-token")
    assert found.status_code == 200, found.text
    rows = found.json()["parameter"]
    return {row["name"]: next(value for name, value in row.items() if name.startswith("value")) for row in rows}


@asynccontextmanager
async def bound(server: Running, path: str, http: httpx.AsyncClient | None = None) -> AsyncIterator[ClientConnection]:
    """A client that has bound, and was greeted."""
    known = await token(http or server.http, path)
    async with connect(known["websocket-url"]) as line:
        await line.send(f"bind-with-token: {known['token']}")
        greeted = await said(line)
        assert told(greeted)["type"] == "handshake"
        yield line


async def said(line: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(10):
        found: dict[str, Any] = json.loads(await line.recv())
    return found


async def ended(line: ClientConnection) -> int:
    """How the server closed it."""
    try:
        async with asyncio.timeout(15):
            while True:
                await line.recv()
    except ConnectionClosed:
        return line.close_code or 0


async def test_events_come_and_what_was_missed_comes_later(server: Running) -> None:
    id = await active(server, content="full-resource")
    async with bound(server, f"/{id}") as line:
        await server.put(patient("p1"))
        first = await said(line)
        assert (first["type"], told(first)["type"], numbers(first)) == ("history", "event-notification", [1])
        assert first["entry"][1]["resource"]["id"] == "p1"
    await server.put(patient("p2"))
    async with bound(server, f"/{id}") as line:
        assert numbers(await said(line)) == [2]
    rows = [(row.outcome, row.patient) for row in await server.disclosed(4)]
    assert rows == [(200, ""), (200, "Patient/p1"), (200, ""), (200, "Patient/p2")]


async def test_one_token_binds_all_of_the_callers_own(server: Running) -> None:
    first, second = await active(server), await active(server, topic="patient-created")
    known = await token(server.http, "")
    async with connect(known["websocket-url"]) as line:
        await line.send(f"bind-with-token: {known['token']}")
        greeted = {told(await said(line))["subscription"]["reference"].rpartition("/")[2] for _ in range(2)}
        assert greeted == {first, second}


async def test_a_token_binds_once_and_only_its_owner_gets_one(server: Running) -> None:
    id = await active(server)
    known = await token(server.http, f"/{id}")
    for code in (0, 1008):
        async with connect(known["websocket-url"]) as line:
            await line.send(f"bind-with-token: {known['token']}")
            if code:
                assert await ended(line) == code
            else:
                assert told(await said(line))["type"] == "handshake"
    async with httpx.AsyncClient(base_url=server.url, headers=server.key("system/*.cruds")) as other:
        found = await other.get(f"/fhir/Subscription/{id}/$get-ws-binding-token")
        assert found.status_code == 404
        assert "no subscription of yours" in found.text


@pytest.mark.parametrize("text", ["hello", "bind-with-token:", "bind-with-token: nonsense", "bind-with-token\n", "{}"])
async def test_what_is_no_token_ends_it(server: Running, text: str) -> None:
    async with connect(f"ws{server.url.removeprefix('http')}{binding.PATH}") as line:
        await line.send(text)
        assert await ended(line) == 1008


async def test_silence_large_frames_and_crowds_are_let_go(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"ws{server.url.removeprefix('http')}{binding.PATH}"
    async with connect(url) as line:
        await line.send("x" * 10_000)
        assert await ended(line) == 1009
    monkeypatch.setattr(served, "PATIENCE", 0.2)
    async with connect(url) as line:
        assert await ended(line) == 1001
    monkeypatch.setattr(served, "MOST_OPEN", 0)
    with pytest.raises(Exception, match="403"):
        await connect(url)
    with pytest.raises(Exception, match="403"):
        await connect(f"ws{server.url.removeprefix('http')}/elsewhere")


async def test_who_is_let_in_no_longer_hears_nothing_more(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(patient("p2"))
    headers = server.key("patient/*.cruds system/Subscription.cruds", "p1")
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        id = await active(server, http, topic="observation-changed", content="full-resource")
        async with bound(server, f"/{id}", http) as line:
            await server.put(observation("o2", "p2"))
            await server.put(observation("o1", "p1"))
            heard = await said(line)
            assert numbers(heard) == [1]
            assert "o2" not in str(heard)
            assert "p2" not in str(heard)
            revoke_client(server.app.database, server.made[-1])
            await server.put(observation("o3", "p1"))
            assert await ended(line) == 1001
    found = (await server.http.get(f"/fhir/Subscription/{id}")).json()
    assert found["status"] == "error"
    assert "let in no longer" in found["error"]


async def test_a_websocket_has_no_endpoint(server: Running) -> None:
    made = wanted()
    made["channel"]["endpoint"] = "https://elsewhere.example"
    found = await server.http.post("/fhir/Subscription", json=made)
    assert found.status_code == 422
    assert found.json()["issue"][0]["expression"] == ["Subscription.channel"]
