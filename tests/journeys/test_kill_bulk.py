"""SIGKILL in the middle of bulk work: exports show exactly their moment, imports store every line once, whatever was cut off."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from suture import settings as settings_of
from suture.access import people
from suture.store.database import Database
from tests.server.people import observation, patient

ROOT = Path(__file__).parents[2]
ASK = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
SIZE = 3000


@dataclass
class Served:
    """`suture serve` as its own process, killed and started again at the same address."""

    folder: Path
    port: int
    process: asyncio.subprocess.Process | None = None

    @property
    def environment(self) -> dict[str, str]:
        own = {"SUTURE_KEY_FILE": f"{self.folder}/key", "PYTHONPATH": str(ROOT), "SUTURE_HTTP_PORT": str(self.port)}
        return {**os.environ, **own}

    async def start(self, http: httpx.AsyncClient) -> None:
        command = (sys.executable, "-m", "suture", "serve", "--project", str(self.folder))
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*command, env=self.environment, stdout=log, stderr=log)
        for _ in range(1200):
            assert self.process.returncode is None, (self.folder / "log").read_text()[-2000:]
            try:
                await http.get("/health/ready")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    async def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


async def ended(http: httpx.AsyncClient, place: str) -> dict[str, Any]:
    for _ in range(600):
        answer = await http.get(place)
        if answer.status_code not in (202, 429):
            assert answer.status_code == 200, answer.text
            made: dict[str, Any] = answer.json()
            return made
        await asyncio.sleep(0.1)
    raise AssertionError("it does not end")


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_bulk_work_outlives_its_process(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        served = Served(tmp_path, free.getsockname()[1])
    database = Database.open(settings_of.read(tmp_path, served.environment))
    _, key = people.add_client(database, "bulk", "system/*.cruds", "", 0)
    database.close()
    chosen = random.Random(7)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", headers=headers, timeout=30) as http:
        await served.start(http)
        try:
            await walk(served, http, chosen)
        finally:
            await served.kill()


async def walk(served: Served, http: httpx.AsyncClient, chosen: random.Random) -> None:
    resources = [patient(f"p{n}") if n % 10 == 0 else observation(f"o{n}", f"p{n - n % 10}") for n in range(SIZE)]
    body = b"".join(json.dumps(r).encode() + b"\n" for r in resources) + b"{\n"
    sent = await http.post("/fhir/$import", content=body, headers={**ASK, "Content-Type": "application/fhir+ndjson"})
    assert sent.status_code == 202, sent.text
    for _ in range(2):
        await asyncio.sleep(chosen.uniform(0.05, 0.4))
        await served.kill()
        await served.start(http)
    made = await ended(http, sent.headers["content-location"])
    assert made["extension"]["imported"] == {"created": SIZE, "updated": 0, "unchanged": 0, "failed": 1}
    fault = json.loads((await http.get(made["error"][0]["url"])).text)
    assert fault["issue"][0]["location"][0] == f"line {SIZE + 1}"
    kicked = await http.get("/fhir/Patient/$export", headers=ASK)
    assert kicked.status_code == 202, kicked.text
    for n in range(2):
        await served.kill()
        await served.start(http)
        late = await http.put(f"/fhir/Patient/late{n}", json=patient(f"late{n}"))
        changed = await http.put("/fhir/Patient/p0", json=patient("p0", family=f"Changed{n}"))
        assert (late.status_code, changed.status_code) == (201, 200)
    made = await ended(http, kicked.headers["content-location"])
    lines = [json.loads(line) for f in made["output"] for line in (await http.get(f["url"])).text.splitlines()]
    assert sorted(r["id"] for r in lines) == sorted(r["id"] for r in resources)
    assert {r["meta"]["versionId"] for r in lines} == {"1"}
