"""A server with a subscriber: what the checks of topic-based subscriptions walk through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from suture.store import resources
from suture.store import subscriptions as store
from tests.notified import Hook, hook, subscription, told
from tests.server.people import patient
from tests.server.running import Running, serving


@dataclass
class Kit:
    """`id` is a subscription to new patients, id-only, that is active."""

    server: Running
    hook: Hook
    made: httpx.Response
    id: str
    number: int = 0

    async def create(self, **more: Any) -> httpx.Response:
        """A subscription is asked for; `more` as in `subscription`."""
        return await self.server.http.post("/fhir/Subscription", json=subscription(self.hook.url, **more))

    async def active(self, **more: Any) -> str:
        """One that is active."""
        found = await self.create(**more)
        assert found.status_code == 201, found.text
        return await self.until(str(found.json()["id"]), "active")

    async def until(self, id: str, status: str) -> str:
        for _ in range(600):
            if (await self.status(id))["status"] == status:
                return id
            await asyncio.sleep(0.05)
        raise AssertionError(await self.status(id))

    async def status(self, id: str) -> dict[str, Any]:
        return told((await self.server.http.get(f"/fhir/Subscription/{id}/$status")).json())

    async def noted(self, id: str, number: int) -> None:
        """Until the server has noted that so many went out and nothing is to go again, which is a moment after the endpoint has them."""
        read = self.server.app.database.read
        row = resources.read(read, "Subscription", id)
        assert row is not None
        for _ in range(600):
            kept = store.get(read, row.rid)
            if kept is not None and kept.sent >= number and not store.spans(read, row.rid):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(kept)

    async def patient(self) -> str:
        """A new patient's id."""
        self.number += 1
        await self.server.put(patient(f"kit{self.number}"))
        return f"kit{self.number}"

    def of(self, id: str, kind: str = "event-notification") -> list[dict[str, Any]]:
        """The notifications of one subscription."""
        return [b for b in self.hook.of(kind) if told(b)["subscription"]["reference"].endswith(f"/{id}")]

    async def notified(self, id: str, count: int = 1) -> list[dict[str, Any]]:
        await self.hook.until(lambda: len(self.of(id)) >= count)
        return self.of(id)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Kit]:
    async with (
        hook() as hooked,
        serving(
            folder,
            outbound__allow=f"http://127.0.0.1:{hooked.port}",
            subscriptions__retry_first=0.05,
            subscriptions__attempts=2,
        ) as server,
    ):
        wanted = subscription(hooked.url, "patient-created", header=["X-Proof: Abc-1", "X-Other: two words"])
        made = await server.http.post("/fhir/Subscription", json=wanted)
        kit = Kit(server, hooked, made, made.json()["id"])
        await kit.until(kit.id, "active")
        yield kit
