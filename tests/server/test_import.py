"""Imports over HTTP: a file is kept, its lines are written as their sender may write them, faults are told by line."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from suture.services.bulk import arriving
from suture.services.bulk.imports import Imports
from suture.store import accounts, audit
from tests.server.people import observation, patient
from tests.server.running import FHIR, Running, outcome_of, serving

ASK = {"Prefer": "respond-async", "Accept": FHIR, "Content-Type": "application/fhir+ndjson"}


def file(*resources: Any) -> bytes:
    return b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in resources)


async def sent(server: Running, body: bytes, **headers: str) -> str:
    answer = await server.http.post("/fhir/$import", content=body, headers={**ASK, **headers})
    assert answer.status_code == 202, answer.text
    return answer.headers["content-location"]


async def done(server: Running, place: str, **headers: str) -> dict[str, Any]:
    for _ in range(900):
        answer = await server.http.get(place, headers=headers)
        if answer.status_code != 202:
            assert answer.status_code == 200, answer.text
            made: dict[str, Any] = answer.json()
            return made
        assert len(answer.headers["x-progress"]) < 100
        await asyncio.sleep(0.05)
    raise AssertionError("the import does not end")


async def told(server: Running, made: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    found = [await server.http.get(one["url"], headers=headers) for one in made["error"]]
    assert all(one.headers["content-type"] == "application/fhir+ndjson" for one in found)
    return [json.loads(line) for one in found for line in one.text.splitlines()]


async def test_lines_are_stored_and_faults_told_by_line(server: Running) -> None:
    bad = {"resourceType": "Patient", "id": "bad", "gender": "unheard-of"}
    body = file(patient("p1"), b"", b"{no json", bad, observation("o1", "p1"), {"resourceType": "Nothing"}, b"[1]")
    made = await done(server, await sent(server, body))
    assert made["extension"]["imported"] == {"created": 2, "updated": 0, "unchanged": 0, "failed": 4}
    faults = await told(server, made)
    assert [one["issue"][0]["location"][0] for one in faults] == ["line 3", "line 4", "line 6", "line 7"]
    assert (await server.http.get("/fhir/Observation?patient=p1")).json()["entry"][0]["resource"]["id"] == "o1"
    assert (await server.http.get("/fhir/Patient/bad")).status_code == 404


async def test_the_same_file_again_makes_no_version(server: Running) -> None:
    nameless = {"resourceType": "Patient", "active": True}
    body = file(patient("p1"), nameless, patient("p1", family="Other"))
    first = await done(server, await sent(server, body))
    assert first["extension"]["imported"] == {"created": 2, "updated": 1, "unchanged": 0, "failed": 0}
    again = await done(server, await sent(server, file(nameless, patient("p1", family="Other"))))
    assert again["extension"]["imported"] == {"created": 0, "updated": 0, "unchanged": 2, "failed": 0}


@pytest.mark.parametrize("said", [{}, {"Content-Encoding": "gzip"}])
async def test_a_packed_file_is_unpacked(server: Running, said: dict[str, str]) -> None:
    made = await done(server, await sent(server, gzip.compress(file(patient("p1"), b"{")), **said))
    assert made["extension"]["imported"] == {"created": 1, "updated": 0, "unchanged": 0, "failed": 1}


async def test_only_what_the_sender_may_write(server: Running) -> None:
    await server.put(patient("p1"))
    held = server.key("system/Observation.crus")
    made = await done(
        server, await sent(server, file(patient("p1", family="Taken"), observation("o1", "p1")), **held), **held
    )
    assert made["extension"]["imported"] == {"created": 1, "updated": 0, "unchanged": 0, "failed": 1}
    assert [one["issue"][0]["code"] for one in await told(server, made, **held)] == ["forbidden"]
    assert (await server.http.get("/fhir/Patient/p1")).json()["name"][0]["family"] == "Example"
    reader = server.key("system/*.rs")
    refused = await server.http.post("/fhir/$import", content=file(patient("p2")), headers={**ASK, **reader})
    assert outcome_of(refused)[0] == 403


async def test_withheld_records_are_not_overwritten(server: Running) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
    await server.put(patient("p1") | {"meta": {"security": [label]}})
    server.attribute(clearance=["*"])
    held = server.key("system/*.cruds")
    made = await done(server, await sent(server, file(patient("p1", family="Taken")), **held), **held)
    assert made["extension"]["imported"]["failed"] == 1


async def test_the_trail_names_the_request_and_whose_records_were_written(server: Running) -> None:
    await done(server, await sent(server, file(patient("p1"), observation("o2", "p2"))))
    rows = [e.row for e in reversed(audit.find(server.app.database.read, count=100)) if e.row.what.startswith("import")]
    assert [(r.what, r.patients, r.detail) for r in rows] == [
        ("import-request", (), ""),
        ("import", ("Patient/p1", "Patient/p2"), "2 resources"),
    ]


async def test_nobody_else_sees_it_and_it_can_be_ended(server: Running) -> None:
    place = await sent(server, file(b"{"))
    await done(server, place)
    other = server.key("system/*.cruds")
    for method, url in (("GET", place), ("DELETE", place), ("GET", f"{place}/errors.ndjson")):
        assert outcome_of(await server.http.request(method, url, headers=other))[0] == 404
    assert (await server.http.delete(place)).status_code == 202
    for method, url in (("GET", place), ("DELETE", place), ("GET", f"{place}/errors.ndjson")):
        assert outcome_of(await server.http.request(method, url))[0] == 404


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("", {"Prefer": "return=minimal"}, 400),
        ("", {"Content-Type": "text/csv"}, 415),
        ("", {"Content-Type": FHIR}, 400),
        ("", {"Content-Encoding": "gzip"}, 400),
        ("", {"Content-Encoding": "br"}, 415),
        ("", {"Accept": "image/png"}, 406),
        ("?mode=all", {}, 400),
    ],
)
async def test_what_is_refused(server: Running, path: str, headers: dict[str, str], status: int) -> None:
    answer = await server.http.post(f"/fhir/$import{path}", content=b"{}", headers={**ASK, **headers})
    assert outcome_of(answer)[0] == status


async def test_limits(tmp_path: Path) -> None:
    async with serving(tmp_path, bulk__import_size=1000, bulk__max_jobs=1) as server:
        too_long = await server.http.post("/fhir/$import", content=b" " * 2000, headers=ASK)
        assert outcome_of(too_long)[0] == 413
        await stop(server)
        await sent(server, file(patient("p1")))
        answer = await server.http.post("/fhir/$import", content=file(patient("p1")), headers=ASK)
        assert (outcome_of(answer)[0], answer.headers["retry-after"]) == (429, "30")


async def stop(server: Running) -> Imports:
    """Nobody works on imports any more."""
    assert server.app.imports is not None
    await server.app.imports.stop()
    return server.app.imports


async def test_a_restart_goes_on_behind_the_last_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "PART", 400)
    async with serving(tmp_path) as server:
        worker = await stop(server)
        place = await sent(server, file(*(patient(f"p{n}") for n in range(10)), b"{"))
        job = place.rpartition("/")[2]
        for _ in range(3):
            found = worker.find(await caller(server), job)
            await worker._part(found)
        assert 0 < found.line < 10
        await worker._part(found)  # what was seen before another one went on does nothing
        key = server.http.headers["Authorization"]
    async with serving(tmp_path) as server:
        made = await done(server, f"{server.url}/bulk/import/{job}", Authorization=key)
        assert made["extension"]["imported"] == {"created": 10, "updated": 0, "unchanged": 0, "failed": 1}
        assert [one["issue"][0]["location"][0] for one in await told(server, made, Authorization=key)] == ["line 11"]


async def caller(server: Running) -> Any:
    first = accounts.clients(server.app.database.read)[0]
    return type("Who", (), {"id": f"client:{first.id}", "client": ""})()


async def test_who_was_ended_imports_nothing_more(server: Running) -> None:
    worker = await stop(server)
    held = server.key("system/*.cruds")
    place = await sent(server, file(patient("p1")), **held)
    last = next(c for c in accounts.clients(server.app.database.read) if c.name == server.made[-1])
    server.app.database.write_now(lambda tx: accounts.change_client(tx, last.id, active=False))
    await worker.start()
    await asyncio.sleep(0.3)
    assert (await server.http.get("/fhir/Patient/p1")).status_code == 404
    async with httpx.AsyncClient() as late:
        assert (await late.get(place, headers=held)).status_code == 401
