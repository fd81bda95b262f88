"""A served chart and a program with a token of its own, as the public bulk data kits use them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.server import test_backend, test_bulk
from tests.server.running import FHIR, Running, serving

ASK = {"Prefer": "respond-async", "Accept": FHIR}
LEVELS = {"system": "/fhir/$export", "patient": "/fhir/Patient/$export", "group": "/fhir/Group/g1/$export"}


@dataclass
class Bulk:
    """`http` calls as the program; `server` may do everything."""

    server: Running
    http: httpx.AsyncClient

    async def kick(self, place: str, **more: Any) -> httpx.Response:
        headers = {**ASK, **more.pop("headers", {})}
        return await self.http.request(more.pop("method", "GET"), place, headers=headers, **more)

    async def done(self, kicked: httpx.Response) -> httpx.Response:
        """The complete state, as a client that heeds Retry-After gets it."""
        assert kicked.status_code == 202, kicked.text
        while True:
            answer = await self.http.get(kicked.headers["content-location"], headers={"Accept": "application/json"})
            if answer.status_code != 202:
                return answer
            await asyncio.sleep(float(answer.headers["retry-after"]) / 5)

    async def manifest(self, place: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await self.done(await self.kick(place, **more))).json()
        return found

    async def lines(self, file: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.http.get(file["url"], headers={"Accept": "application/fhir+ndjson"})
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Bulk]:
    async with serving(folder) as server:
        await test_bulk.fill(server)
        program = test_backend.program(server, "system/*.rs")
        token = (await test_backend.ask(server, program, scope="system/*.rs")).json()["access_token"]
        async with httpx.AsyncClient(
            base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=20
        ) as http:
            yield Bulk(server, http)
