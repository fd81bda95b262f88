"""A server with flows, a destination of ours to script, and a browser of an administrator without a window."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from suture.access import people
from suture.access.roles import ADMINISTRATOR
from suture.engine import delivery, runner
from suture.engine.engine import Engine
from suture.message import DeliveryState
from suture.store import audit, messages
from suture.store.messages import Entry
from suture.store.queue import dead, deliveries, runs
from suture.store.queue.deliveries import Delivery
from tests.connectors.site import Got, Say, Site
from tests.server.running import Running, serving

runner.POLL = delivery.POLL = 0.05  # seconds; else each retry that is due waits half of one
PASSWORD = "correct horse battery"
SAME = {"Sec-Fetch-Site": "same-origin"}
FLOWS = {
    "adt": """suture: flow/1
id: admissions
title: Admissions into the chart
source: {uses: mllp.listen, with: {messages: [ADT^*], time_zone: America/Chicago, system: "urn:example:hospital"}}
order_by: PID-3.1
steps:
  - {id: chart, uses: map, with: {map: hl7v2/ADT_A01}}
  - {id: check, uses: validate}
  - {id: save, uses: fhir.write, with: {connection: local}}
  - {id: tell, uses: http.send, with: {connection: registry, path: people, body: {mrn: "{{ PID-3.1 }}", family: "{{ PID-5.1 }}"}}}
on_error: {retry: {attempts: 2, backoff: 20ms..50ms}}
""",
    "intake": """suture: flow/1
id: intake
title: Intake forms
source: {uses: http.listen, with: {secret: secret:hook, type: kind, patient: mrn}}
steps:
  - {id: send, uses: http.send, with: {connection: registry, path: forms}}
""",
}

# Nothing of these may stand on a page that was not revealed. Every text is unlike anything Suture itself writes.
MARKERS = ("Zquackson", "Wilhelmira", "88114477", "19630214", "Blixweg", "5550199", "Kwarkburg", "Xanthomatosis")
ADT = (
    "MSH|^~\\&|ADT|LAKESIDE|SUTURE|CLINIC|20261125080000-0600||ADT^A01^ADT_A01|{id}|P|2.5.1\r"
    "EVN|A01|20261125080000\r"
    "PID|1||{mrn}^^^LAKESIDE^MR||{family}^{given}^^^^^L||19630214|F|||9 Blixweg^^Kwarkburg^IL^60601||^PRN^PH^^1^312^5550199\r"
    "NK1|1|{family}^Otto|SPO^Spouse^HL70063|9 Blixweg^^Kwarkburg^IL^60601|^PRN^PH^^1^312^5550199\r"
    "PV1|1|I|WEST^204^A^LAKESIDE||||1001^Doctor^Dora|||||||||||V1|||||||||||||||||||||||||20261125070000\r"
    "DG1|1||E75.5^Xanthomatosis^I10|||A\r"
    "ZZZ|1|Zquackson lives here\r"
)


def adt(id: str = "MSG1", mrn: str = "88114477", family: str = "Zquackson", given: str = "Wilhelmira") -> bytes:
    return ADT.format(id=id, mrn=mrn, family=family, given=given).encode()


FORM = {
    "kind": "form",
    "mrn": "88114477",
    "name": {"family": "Zquackson", "given": "Wilhelmira"},
    "status": "Zquackson",
}


@dataclass
class Console:
    """`http` is signed in as an administrator, and sends what a browser sends from our own pages."""

    server: Running
    http: httpx.AsyncClient
    site: Site

    @property
    def engine(self) -> Engine:
        assert self.server.app.engine is not None
        return self.server.app.engine

    @property
    def read(self) -> Any:
        return self.server.app.database.read

    async def send(self, *originals: bytes) -> list[Entry]:
        """Sends as over MLLP, waits until all runs have come to a halt; the messages, oldest first."""
        for original in originals:
            await self.engine.accept("mllp:0", original, {})
        await self.settled()
        return messages.find(self.read, count=1000)[::-1]

    async def settled(self) -> None:
        await self.until(lambda: all(run.state in ("done", "failed") for run in runs.find(self.read, count=1000)))

    async def until(self, holds: Callable[[], Any], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, [(r.flow, r.state, r.error) for r in runs.find(self.read)]
            await asyncio.sleep(0.01)

    async def page(self, path: str, status: int = 200) -> str:
        found = await self.http.get(path)
        assert found.status_code == status, (path, found.status_code, found.text[:500])
        return found.text

    async def post(self, path: str, status: int = 303, **fields: str) -> httpx.Response:
        found = await self.http.post(path, data=fields)
        assert found.status_code == status, (path, found.status_code, found.text[:500])
        return found

    def trail(self, *what: str) -> list[audit.AuditRow]:
        """The audit rows of some kinds, oldest first."""
        rows = [entry.row for entry in reversed(audit.find(self.read, count=10_000))]
        return [row for row in rows if row.what in what]

    def messages(self) -> list[Entry]:
        return messages.find(self.read, count=1000)

    def deliveries(self, state: DeliveryState) -> list[Delivery]:
        return deliveries.find(self.read, state=state)

    def letters(self, open: bool | None = True) -> list[dead.DeadLetter]:
        return dead.find(self.read, open=open)


@asynccontextmanager
async def console(
    folder: Path, answer: Callable[[Got], Say] | None = None, flows: Mapping[str, str] = FLOWS
) -> AsyncIterator[Console]:
    """A second time in the same folder it goes on with what is there."""
    async with Site(answer or (lambda got: Say(200, {"echo": got.body.decode()}))) as site:
        _write(folder, site.url, flows)
        async with serving(folder, mllp__port=0) as server:
            if not server.app.people.anybody():
                people.add_user(server.app.database, "ada", "Ada", PASSWORD, [ADMINISTRATOR])
            token = await server.app.people.sign_in("ada", PASSWORD, "")
            headers = {**SAME, "Accept": "text/html"}
            async with httpx.AsyncClient(
                base_url=server.url, headers=headers, cookies={"suture_session": token}, timeout=20
            ) as http:
                yield Console(server, http, site)


def _write(folder: Path, url: str, flows: Mapping[str, str]) -> None:
    for name in ("flows", "connections"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, text in flows.items():
        (folder / "flows" / f"{name}.yaml").write_text(text)
    registry = {"suture": "connection/1", "id": "registry", "uses": "http", "base": url}
    (folder / "connections" / "registry.yaml").write_text(json.dumps(registry))
