"""A whole server on a real socket, with keys for its callers."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from suture import settings as settings_of
from suture.access import people
from suture.app import App, open_server
from suture.clock import SYSTEM
from suture.server import subscriptions
from suture.server.log import Log
from suture.server.web import Web, url_of
from suture.services.subscriptions import notifier
from suture.store import accounts, audit
from tests import stores

FHIR = "application/fhir+json"
notifier.LOOK = subscriptions.LOOK = 0.02  # seconds; else each notification takes two fifths of one


@dataclass
class Running:
    """`http` calls as a caller who may do everything."""

    app: App
    http: httpx.AsyncClient
    log: io.StringIO
    url: str
    made: list[str] = field(default_factory=list)

    def key(self, scopes: str, patient: str = "", expires: int = 0) -> dict[str, str]:
        """The header of a new client with these scopes."""
        name = f"c{len(accounts.clients(self.app.database.read))}"
        self.made.append(name)
        _, key = people.add_client(self.app.database, name, scopes, patient, expires)
        return {"Authorization": f"Bearer {key}"}

    def attribute(self, **attributes: Any) -> None:
        """Gives the client that was made last more attributes: clearance, restrict, organization …"""
        last = next(c for c in accounts.clients(self.app.database.read) if c.name == self.made[-1])
        kept = {**last.attributes, **attributes}
        self.app.database.write_now(lambda tx: accounts.change_client(tx, last.id, attributes=kept))

    async def put(self, resource: dict[str, Any]) -> httpx.Response:
        found = await self.http.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert found.status_code in (200, 201), found.text
        return found

    def trail(self) -> list[audit.AuditRow]:
        """All rows of the audit trail that are about the FHIR API, oldest first."""
        rows = [entry.row for entry in reversed(audit.find(self.app.database.read, count=100_000))]
        return [row for row in rows if row.what != "create-client"]

    async def disclosed(self, count: int, whose: str = "") -> list[audit.AuditRow]:
        """The rows of notifications (about `whose` record), once there are so many: each is written when its receiver has answered."""
        for _ in range(500):
            told = [row for row in self.trail() if row.what == "notify"]
            if len(found := [row for row in told if not whose or row.patient == whose]) >= count:
                return found
            await asyncio.sleep(0.02)
        raise AssertionError([(row.patient, row.detail) for row in found])


@asynccontextmanager
async def serving(folder: Path, **values: Any) -> AsyncIterator[Running]:
    """A started server in a folder of its own, on a port of its own; second factors are optional unless asked for."""
    given = {"login__second_factor": "optional", "access__even": 0.0, "session__recheck": 0.0, **values}
    settings = settings_of.read(folder, {}).with_values(
        key_file=str(folder / "keys" / "test.key"), http__port=0, database=stores.address(folder), **given
    )
    log = io.StringIO()
    app = open_server(settings, log=Log(SYSTEM, log))
    await app.start()
    listening = next(part._listening for part in app.parts if isinstance(part, Web))
    url = url_of(app.settings, listening)
    try:
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            running = Running(app, http, log, url)
            http.headers.update(running.key("system/*.cruds"))
            yield running
    finally:
        await app.stop()


def outcome_of(response: httpx.Response) -> tuple[int, str, str]:
    """Status, issue code and text of an OperationOutcome."""
    body = response.json()
    assert body["resourceType"] == "OperationOutcome", body
    issue = body["issue"][0]
    return response.status_code, issue["code"], issue["details"]["text"]


__all__ = ["FHIR", "Log", "Running", "outcome_of", "serving"]
