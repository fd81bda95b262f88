"""SIGKILL while exports leave the house: no byte of a file without its row in the trail, no set without its row; the export of
the command line goes on as if nothing had been."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from suture import settings as settings_of
from suture.access import people
from suture.standards.fhir.index import extract
from suture.store import audit, bulk
from suture.store.audit import Filter
from suture.store.database import Database
from suture.store.verify import verify
from tests.journeys.test_kill_bulk import ASK, Served, ended
from tests.server.people import encounter, observation, patient

SMALL, LARGE = 130, 1500  # people
ASKED = 60  # patients of each export: more than the trail names one by one
JOBS, KILLS = 6, (1, 4)  # files of which something is there when the server is killed


def filled(served: Served, count: int) -> str:
    """A chart of so many people; the key of who may read it."""
    database = Database.open(settings_of.read(served.folder, served.environment))
    made = (
        r for n in range(count) for r in (patient(f"p{n}"), encounter(f"e{n}", f"p{n}"), observation(f"o{n}", f"p{n}"))
    )
    bulk.load(database, (bulk.Item(r["resourceType"], r["id"], json.dumps(r).encode(), extract(r, "")) for r in made))
    _, key = people.add_client(database, "bulk", "system/*.rs", "", 0)
    database.close()
    return key


@dataclass
class Fetched:
    """What came of the files: how often at least one byte of each was there."""

    job: str
    whose: set[str]
    files: list[str]
    arrived: Counter[str] = field(default_factory=Counter)

    async def take(self, http: httpx.AsyncClient, url: str, begun: asyncio.Queue[str] | None = None) -> bytes:
        raw = b""
        try:
            async with http.stream("GET", url) as answer:
                assert answer.status_code == 200
                async for part in answer.aiter_raw():
                    if not raw:
                        self.arrived[url] += 1
                        if begun is not None:
                            begun.put_nowait(url)
                    raw += part
        except httpx.TransportError:
            pass
        return raw


async def exported(http: httpx.AsyncClient, chosen: random.Random) -> list[Fetched]:
    """Exports of different people each, so that each file tells of another set."""
    asked: list[tuple[set[str], str]] = []
    for _ in range(JOBS):
        whose = {f"p{n}" for n in chosen.sample(range(SMALL), ASKED)}
        path = f"/fhir/Patient/$export?_type=Patient,Observation&patient={','.join(sorted(whose))}"
        asked.append((whose, (await http.get(path, headers=ASK)).headers["content-location"]))
    made = [(whose, place, await ended(http, place)) for whose, place in asked]
    return [Fetched(place.rpartition("/")[2], whose, [f["url"] for f in one["output"]]) for whose, place, one in made]


def judged(served: Served, jobs: list[Fetched]) -> None:
    """Every part is sound, no file is without its row, each row is found by those it is about and by nobody else."""
    database = Database.open(settings_of.read(served.folder, served.environment))
    try:
        assert [finding.text for finding in verify(database) if not finding.good] == []
        rows = [e.row for e in audit.find(database.read, count=1000) if e.row.what == "export"]
        told = Counter((row.id, row.detail.partition(",")[0]) for row in rows)
        for job in jobs:
            for url, times in job.arrived.items():
                assert told[job.job, f"file {url.rpartition('/')[2].partition('.')[0]}"] >= times
        sets = {f"={digest}" for (digest,) in database.read.all("SELECT DISTINCT digest FROM crowd")}
        assert sets == {row.patient for row in rows if row.patient}
        for person in ("p1", "p2"):
            found = {
                e.row.id for e in audit.search(database.read, Filter(patients=(f"Patient/{person}",), what=("export",)))
            }
            assert found == {
                job.job for job in jobs if person in job.whose and any(told[job.job, f"file {n}"] for n in (0, 1))
            }
    finally:
        database.close()


@pytest.mark.timeout(240)
async def test_no_file_leaves_without_its_row(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        served = Served(tmp_path, free.getsockname()[1])
    chosen = random.Random(11)
    headers = {"Authorization": f"Bearer {filled(served, SMALL)}", "Accept-Encoding": "identity"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", headers=headers, timeout=30) as http:
        await served.start(http)
        try:
            jobs = await exported(http, chosen)
            cut = 0
            for many in KILLS:
                begun = asyncio.Queue[str]()
                files = [(job, url) for job in jobs for url in job.files]
                taken = [
                    asyncio.create_task(job.take(http, url, begun)) for job, url in chosen.sample(files, len(files))
                ]
                for _ in range(many):
                    await asyncio.wait_for(begun.get(), 60)
                await served.kill()
                cut += sum(not raw for raw in await asyncio.gather(*taken))
                judged(served, jobs)
                await served.start(http)
            assert cut
            for job in jobs:
                lines = [json.loads(line) for url in job.files for line in (await job.take(http, url)).splitlines()]
                assert {row["id"] for row in lines} == job.whose | {f"o{id[1:]}" for id in job.whose}
        finally:
            await served.kill()
    judged(served, jobs)


def cut_off(command: list[str], environment: dict[str, str], when: Callable[[], bool]) -> bool:
    """Runs it until something is so, then kills it; whether it could."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not when():
            time.sleep(0.0005)
        process.kill()
    return process.returncode != 0


def lines(out: Path) -> dict[str, list[bytes]]:
    return {file.name: sorted(file.read_bytes().splitlines()) for file in out.iterdir()}


@pytest.mark.timeout(240)
def test_an_export_that_was_killed_goes_on_to_the_same_files(tmp_path: Path) -> None:
    served = Served(tmp_path, 0)
    filled(served, LARGE)
    out, whole = tmp_path / "out", tmp_path / "whole"
    command = [sys.executable, "-m", "suture", "export", "--project", str(tmp_path), "--out", str(out)]

    def there(pattern: str) -> Callable[[], bool]:
        return lambda: out.exists() and any(out.glob(pattern))

    killed = [
        cut_off(command, served.environment, there(pattern)) for pattern in (".export.json", "*.part", "*.ndjson")
    ]
    assert killed[:2] == [True, True]
    state = json.loads((out / ".export.json").read_bytes())
    database = Database.open(settings_of.read(tmp_path, served.environment))
    late = (observation(f"o{n}", "p1", value="1") for n in range(0, LARGE, 7))
    bulk.load(database, (bulk.Item("Observation", r["id"], json.dumps(r).encode(), extract(r, "")) for r in late))
    database.close()
    ran = subprocess.run([*command, "--json"], env=served.environment, check=True, capture_output=True)
    told = json.loads(ran.stdout)
    assert (told["continued"], told["resources"], told["errors"]) == (True, 3 * LARGE, [])
    through = [*command[:-1], str(whole), "--until", told["transactionTime"]]
    subprocess.run(through, env=served.environment, check=True, capture_output=True)
    assert lines(out) == lines(whole)
    assert sorted(lines(out)) == ["Encounter.ndjson", "Observation.ndjson", "Patient.ndjson"]
    database = Database.open(settings_of.read(tmp_path, served.environment))
    assert [finding.text for finding in verify(database) if not finding.good] == []
    assert {e.row.detail for e in audit.find(database.read) if e.row.what == "export"} == {
        f"command line, {3 * LARGE} resources of {LARGE} patients"
    }
    database.close()
    assert state["moment"] > 0
    assert os.stat(out).st_mode & 0o777 == 0o700
