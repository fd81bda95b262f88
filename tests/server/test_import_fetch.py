"""Imports that fetch their files: from allowed addresses only, gone on with after a break, told by file and line."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from suture.services.bulk import arriving, fetching
from suture.store import accounts, audit
from tests.connectors.site import Got, Say, Site
from tests.server.people import observation, patient
from tests.server.running import FHIR, Running, outcome_of, serving
from tests.server.test_import import done, file, told

ASK = {"Prefer": "respond-async", "Accept": FHIR, "Content-Type": "application/json"}


class Files:
    """Another server: what lies where; `turn` may answer a request otherwise."""

    def __init__(self) -> None:
        self.there: dict[str, Say] = {}
        self.turn: Callable[[Got], Say | None] = lambda got: None

    def __call__(self, got: Got) -> Say:
        return self.turn(got) or self.there.get(got.target) or Say(404)


@pytest_asyncio.fixture
async def files(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Files, Site]]:
    monkeypatch.setattr(fetching, "PAUSES", (0.01, 0.01))
    made = Files()
    async with Site(made) as site:
        yield made, site


@pytest_asyncio.fixture
async def server(tmp_path: Path, files: tuple[Files, Site]) -> AsyncIterator[Running]:
    async with serving(tmp_path, outbound__allow=files[1].url) as running:
        yield running


async def asked(server: Running, body: dict[str, Any], **headers: str) -> str:
    answer = await server.http.post("/fhir/$import", json=body, headers={**ASK, **headers})
    assert answer.status_code == 202, answer.text
    return answer.headers["content-location"]


def inputs(site: Site, *rows: tuple[str, str]) -> dict[str, Any]:
    return {"inputSource": "https://ehr.example/fhir", "input": [{"type": t, "url": site.url + p} for t, p in rows]}


async def test_files_are_fetched_and_faults_told_by_file_and_line(server: Running, files: tuple[Files, Site]) -> None:
    other, site = files
    other.there = {
        "/p": Say(body=file(patient("p1"), b"{no json", observation("o9", "p1")).rstrip(b"\n")),
        "/o.gz": Say(body=gzip.compress(file(observation("o1", "p1")))),
        "/o2": Say(body=gzip.compress(file(b"", b"[]")), headers={"content-encoding": "gzip"}),
    }
    body = inputs(site, ("Patient", "/p"), ("Observation", "/o.gz"), ("Observation", "/none"), ("Observation", "/o2"))
    made = await done(server, await asked(server, body))
    assert made["extension"]["imported"] == {"created": 2, "updated": 0, "unchanged": 0, "failed": 4, "deleted": 0}
    assert [(one["inputUrl"], one["count"]) for one in made["error"]] == [
        (f"{site.url}/p", 2), (f"{site.url}/none", 1), (f"{site.url}/o2", 1),
    ]  # fmt: skip
    faults = [one["issue"][0] for one in await told(server, made)]
    assert [(one.get("location") or one["expression"])[0] for one in faults] == [
        "line 2",
        "line 3",
        "input[2].url",
        "line 2",
    ]
    assert "the answer was 404" in faults[2]["details"]["text"]
    assert site.url not in json.dumps(faults)
    assert "the manifest says that the file holds Patient" in faults[1]["details"]["text"]
    assert (await server.http.get("/fhir/Observation?patient=p1")).json()["entry"][0]["resource"]["id"] == "o1"
    assert (await server.http.get("/fhir/Observation/o9")).status_code == 404


async def test_a_manifest_is_followed_with_what_it_deletes(server: Running, files: tuple[Files, Site]) -> None:
    other, site = files
    await server.put(patient("old"))
    gone = {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "DELETE"}}]}
    gone["entry"][0]["request"]["url"] = "Patient/old"  # type: ignore[index]
    row = {"type": "Patient", "url": f"{site.url}/p"}
    other.there = {
        "/m": Say(body={"output": [row], "link": [{"relation": "next", "url": f"{site.url}/m2"}]}),
        "/m2": Say(body={"output": [], "deleted": [{"type": "Bundle", "url": f"{site.url}/d"}]}),
        "/p": Say(body=file(patient("p1"))),
        "/d": Say(body=file(gone, patient("p2"))),
    }
    made = await done(server, await asked(server, {"exportUrl": f"{site.url}/m", "exportType": "static"}))
    assert made["extension"]["imported"] == {"created": 1, "updated": 0, "unchanged": 0, "failed": 1, "deleted": 1}
    assert (await server.http.get("/fhir/Patient/old")).status_code == 410
    assert (await server.http.get("/fhir/Patient/p2")).status_code == 404


async def test_who_may_not_delete_deletes_nothing(server: Running, files: tuple[Files, Site]) -> None:
    other, site = files
    await server.put(patient("old"))
    gone = {"request": {"method": "DELETE", "url": "Patient/old"}}
    other.there = {
        "/m": Say(body={"output": [], "deleted": [{"type": "Bundle", "url": f"{site.url}/d"}]}),
        "/d": Say(body=file({"resourceType": "Bundle", "type": "transaction", "entry": [gone]})),
    }
    held = server.key("system/*.crus")
    place = await asked(server, {"exportUrl": f"{site.url}/m", "exportType": "static"}, **held)
    made = await done(server, place, **held)
    assert (made["extension"]["imported"]["deleted"], made["extension"]["imported"]["failed"]) == (0, 1)
    assert (await server.http.get("/fhir/Patient/old")).status_code == 200


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (Say(body={"output": [], "requiresAccessToken": True}), "need a token"),
        (Say(body={"output": [{"url": "http://169.254.169.254/latest"}]}), "is not on the list of origins"),
        (Say(body=b"<html>"), "JSON"),
        (Say(302, headers={"location": "/p"}), "the answer is a redirect (302)"),
        (Say(503), "it is not there yet (503)"),
        (Say(hang_up=True), "no answer from"),
    ],
)
async def test_a_manifest_that_leads_nowhere(server: Running, files: tuple[Files, Site], said: Say, fault: str) -> None:
    other, site = files
    other.there = {"/m": said, "/p": Say(body=file(patient("p1")))}
    made = await done(server, await asked(server, {"exportUrl": f"{site.url}/m", "exportType": "static"}))
    assert fault in (await told(server, made))[0]["issue"][0]["details"]["text"]
    assert "/p" not in [got.target for got in site.got]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/p", "file:///etc/passwd", "https://a@b/", "http://169.254.169.254/"]
)
async def test_addresses_that_are_not_allowed_are_refused_at_once(server: Running, url: str) -> None:
    body = {"input": [{"type": "Patient", "url": url}]}
    answer = await server.http.post("/fhir/$import", json=body, headers=ASK)
    assert (outcome_of(answer)[0], answer.json()["issue"][0]["expression"]) == (400, ["input[0].url"])


class Broken(Say):
    """Says that more comes than does before the connection ends."""

    def bytes(self) -> bytes:
        whole = super().bytes()
        return whole.replace(b"content-length: ", b"content-length: 9")


async def test_a_file_that_broke_off_goes_on_behind_its_last_whole_part(
    server: Running, files: tuple[Files, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "PART", 1000)
    other, site = files
    raw = file(*(patient(f"p{n}") for n in range(50)), b"{")
    ranges: list[str] = []

    def turn(got: Got) -> Say:
        ranges.append(got.headers.get("range", ""))
        if len(ranges) == 1:
            return Broken(body=raw[:4000], headers={"etag": '"v1"'}, ends=True)
        start = int(ranges[-1].removeprefix("bytes=").rstrip("-"))
        assert got.headers["if-range"] == '"v1"'
        return Say(206, raw[start:], {"etag": '"v1"', "content-range": f"bytes {start}-{len(raw) - 1}/{len(raw)}"})

    other.turn = turn
    made = await done(server, await asked(server, inputs(site, ("Patient", "/p"))))
    assert len(ranges) == 2
    assert made["extension"]["imported"]["created"] == 50
    assert [one["issue"][0]["location"][0] for one in await told(server, made)] == ["line 51"]


@pytest.mark.parametrize(("etag", "created", "fault"), [('W/"a"', 50, ""), ('W/"b"', 0, "it changed while")])
async def test_a_packed_file_is_fetched_again_and_gone_on_with(
    server: Running, files: tuple[Files, Site], monkeypatch: pytest.MonkeyPatch, etag: str, created: int, fault: str
) -> None:
    monkeypatch.setattr(arriving, "PART", 1000)
    monkeypatch.setattr(arriving, "PIECE", 500)
    other, site = files
    raw = gzip.compress(file(*(patient(f"p{n}") for n in range(50))), 0)
    calls: list[Got] = []

    def turn(got: Got) -> Say:
        calls.append(got)
        broken = len(calls) == 1
        return (Broken if broken else Say)(
            body=raw[:4000] if broken else raw, headers={"etag": 'W/"a"' if broken else etag}, ends=broken
        )

    other.turn = turn
    made = await done(server, await asked(server, inputs(site, ("Patient", "/p.gz"))))
    assert "range" not in calls[1].headers
    if fault:
        assert fault in (await told(server, made))[0]["issue"][0]["details"]["text"]
    else:
        assert made["extension"]["imported"]["created"] == created


async def test_all_files_together_stay_within_the_size(tmp_path: Path, files: tuple[Files, Site]) -> None:
    other, site = files
    other.there = {"/a": Say(body=gzip.compress(b"\n" * 90_000)), "/b": Say(body=b"\n" * 20_000)}
    async with serving(tmp_path, outbound__allow=site.url, bulk__import_size=100_000) as server:
        made = await done(server, await asked(server, inputs(site, ("Patient", "/a"), ("Patient", "/b"))))
        faults = await told(server, made)
        assert [one["inputUrl"] for one in made["error"]] == [f"{site.url}/b"]
        assert "larger than 10000 bytes" in faults[0]["issue"][0]["details"]["text"]


async def test_it_can_be_ended_while_it_fetches(server: Running, files: tuple[Files, Site]) -> None:
    other, site = files
    other.there = {"/p": Say(503)}
    place = await asked(server, inputs(site, ("Patient", "/p")))
    assert (await server.http.delete(place)).status_code == 202
    assert (await server.http.get(place)).status_code == 404
    other = server.key("system/*.cruds")  # type: ignore[assignment]
    for name in ("errors.ndjson", "0.errors.ndjson", "7.errors.ndjson", "x"):
        assert (await server.http.get(f"{place}/{name}", headers=other)).status_code == 404  # type: ignore[arg-type]


async def test_a_restart_goes_on_with_the_files(tmp_path: Path, files: tuple[Files, Site]) -> None:
    other, site = files
    async with serving(tmp_path, outbound__allow=site.url) as server:
        assert server.app.imports is not None
        await server.app.imports.stop()
        place = await asked(server, inputs(site, ("Patient", "/p")))
        answer = await server.http.get(place)
        assert (answer.status_code, answer.headers["x-progress"]) == (202, "0 of 1 files fetched")
        key = server.http.headers["Authorization"]
    other.there = {"/p": Say(body=file(patient("p1")))}
    async with serving(tmp_path, outbound__allow=site.url) as server:
        made = await done(server, f"{server.url}/bulk/import/{place.rpartition('/')[2]}", Authorization=key)
        assert made["extension"]["imported"]["created"] == 1


async def test_who_was_ended_fetches_nothing_more(server: Running, files: tuple[Files, Site]) -> None:
    _, site = files
    assert server.app.imports is not None
    await server.app.imports.stop()
    held = server.key("system/*.cruds")
    await asked(server, inputs(site, ("Patient", "/p")), **held)
    last = next(c for c in accounts.clients(server.app.database.read) if c.name == server.made[-1])
    server.app.database.write_now(lambda tx: accounts.change_client(tx, last.id, active=False))
    found = server.app.imports._fetcher
    job = fetching.import_files.fetching(server.app.database.read)[0]
    await found._turn(job)
    assert site.got == []


async def test_the_trail_says_how_many_addresses_were_asked_for(server: Running, files: tuple[Files, Site]) -> None:
    other, site = files
    other.there = {"/p": Say(body=file(patient("p1")))}
    await done(server, await asked(server, inputs(site, ("Patient", "/p"))))
    rows = [e.row for e in audit.find(server.app.database.read, count=50) if e.row.what.startswith("import")]
    assert {(r.what, r.detail) for r in rows if r.detail != "0 resources"} == {
        ("import-request", "1 addresses"), ("import", "1 resources"),
    }  # fmt: skip
