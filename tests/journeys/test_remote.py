"""Between systems: a webhook becomes an appointment in another FHIR server, found before it is created; a poll brings it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from suture.connectors import connection
from suture.message import RunState
from suture.store import vault
from suture.store.queue import runs
from tests.connectors.site import Got, Say, Site
from tests.engine.rig import Rig, adt
from tests.server.running import Running, serving

BOOK = """suture: flow/1
id: booking
source: {uses: http.listen, with: {secret: secret:hook, proof: bearer, patient: mrn}}
steps:
  - {id: known, uses: fhir.search, with: {connection: ehr, type: Patient, search: {identifier: "urn:mrn|{{ mrn }}"}}}
  - {id: found, uses: filter, with: {when: known.entry.count() = 1}}
  - id: book
    uses: map
    with: {map: own/booking}
  - {id: save, uses: fhir.write, with: {connection: ehr}}
  - {id: tell, uses: http.send, with: {connection: desk, body: {where: "{{ save.entry.first().response.location }}"}}}
"""
MAP = """suture: map/1
map: own/booking
source: json
target: Appointment
rows:
  - {id: id, from: id, to: "identifier[own].value"}
  - {id: system, set: "urn:booking", to: "identifier[own].system"}
  - {id: status, set: booked, to: status}
  - {id: start, from: start, to: start}
  - {id: end, from: end, to: end}
  - {id: who, from: mrn, to: "participant[who].actor.display"}
  - {id: part, set: accepted, to: "participant[who].status"}
"""
POLL = """suture: flow/1
id: follow
source: {uses: fhir.poll, with: {connection: ehr, type: Appointment, every: 100ms, since: "2020-01-01T00:00:00Z", page: 2}}
steps: [{id: keep, uses: file.write, with: {connection: out, name: "{{ id }}-{{ meta.versionId }}.json"}}]
"""


def texts(url: str, desk: str) -> dict[str, str]:
    ehr = {
        "suture": "connection/1",
        "id": "ehr",
        "uses": "fhir",
        "base": f"{url}/fhir",
        "auth": {"kind": "bearer", "token": "secret:ehr"},
    }
    return {
        "ehr": json.dumps(ehr),
        "desk": json.dumps({"suture": "connection/1", "id": "desk", "uses": "http", "base": desk}),
        "out": "{suture: connection/1, id: out, uses: file, folder: out}",
    }


async def keep_secrets(rig: Rig, remote: Running) -> None:
    key = remote.key("system/*.cruds")["Authorization"].removeprefix("Bearer ")

    def unit(tx: Any) -> None:
        vault.put(tx, "ehr", key, connection.origin(remote.url))
        vault.put(tx, "hook", "s3cret", "hook:booking")

    await rig.rooms.database.write(unit)


async def call(rig: Rig, **body: Any) -> None:
    await rig.engine.hook("booking", {"authorization": "Bearer s3cret"}, json.dumps(body).encode())


async def test_a_webhook_books_in_another_server_once_and_the_poll_brings_it_back(tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    async with serving(tmp_path / "remote") as remote, Site(lambda got: Say()) as desk:
        await remote.put({"resourceType": "Patient", "id": "p1", "identifier": [{"system": "urn:mrn", "value": "77"}]})
        async with Rig(tmp_path / "own", {"b": BOOK, "p": POLL}, texts(remote.url, desk.url), {"booking": MAP}) as rig:
            await keep_secrets(rig, remote)
            slot = {"id": "A1", "mrn": "77", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T09:20:00Z"}
            await call(rig, **slot)
            await rig.until(lambda: desk.got)
            await call(rig, **(slot | {"end": "2026-12-01T09:40:00Z"}))
            await call(rig, **(slot | {"mrn": "unknown"}))
            await rig.until(lambda: len(desk.got) == 2)
            await rig.until(lambda: [r for r in runs.find(rig.read, flow="booking") if r.error == "filtered at found"])
            found = (await remote.http.get("/fhir/Appointment")).json()["entry"]
            assert [(e["resource"]["end"], e["resource"]["meta"]["versionId"]) for e in found] == [
                ("2026-12-01T09:40:00Z", "2")
            ]
            where = f"Appointment/{found[0]['resource']['id']}"
            assert [got.json["where"].split("/_history")[0] for got in desk.got] == [where, where]
            await rig.until(lambda: (tmp_path / "own" / "out" / f"{found[0]['resource']['id']}-2.json").exists())
            polled = [m for m in rig.messages(type="Appointment") if m.source == "poll:follow"]
            assert len({m.control_id for m in polled}) == len(polled)


async def test_a_poll_goes_page_by_page_and_takes_each_version_once_also_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    async with serving(tmp_path / "remote") as remote, Site(lambda got: Say()) as desk:
        for n in range(5):
            await remote.put(_appointment(n))
        rig = Rig(tmp_path / "own", {"p": POLL}, texts(remote.url, desk.url))
        await rig.start()
        await keep_secrets(rig, remote)
        await rig.settled(5)
        await rig.stop()
        await remote.put(_appointment(3) | {"status": "cancelled"})
        await rig.start()
        await rig.settled(6)
        names = sorted(path.name for path in (tmp_path / "own" / "out").iterdir())
        assert names == ["a0-1.json", "a1-1.json", "a2-1.json", "a3-1.json", "a3-2.json", "a4-1.json"]
        await rig.stop()


def _appointment(n: int) -> dict[str, Any]:
    participant = [{"status": "accepted", "actor": {"display": "somebody"}}]
    return {"resourceType": "Appointment", "id": f"a{n}", "status": "booked", "participant": participant,
            "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T09:20:00Z"}  # fmt: skip


async def test_a_poll_never_follows_a_page_to_another_origin(tmp_path: Path) -> None:
    async with Site(lambda got: Say()) as evil:
        page = {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": [{"relation": "next", "url": f"{evil.url}/fhir?page=2"}],
            "entry": [],
        }
        async with Site(lambda got: Say(200, page)) as site:
            connections = texts(site.url, evil.url)
            connections["ehr"] = connections["ehr"].replace(', "auth": {"kind": "bearer", "token": "secret:ehr"}', "")
            async with Rig(tmp_path, {"p": POLL}, connections) as rig:
                await rig.until(lambda: len(site.got) > 2)
            assert evil.got == []


async def test_a_remote_write_that_was_interrupted_is_repeated_without_a_second_copy(tmp_path: Path) -> None:
    """The remote takes the resource, but its answer is lost: the next attempt finds what is there."""
    stored: list[dict[str, Any]] = []

    def handler(got: Got) -> Say:
        if got.method == "GET":
            matches = [{"resource": one} for one in stored]
            return Say(200, {"resourceType": "Bundle", "type": "searchset", "entry": matches})
        if got.method == "POST":
            stored.append(got.json | {"id": "x1", "meta": {"versionId": "1"}})
            assert got.headers["if-none-exist"].startswith("identifier=")
            return Say(hang_up=True)
        return Say(200, got.json, {"etag": 'W/"2"'})

    flow = """suture: flow/1
id: feed
source: {uses: mllp.listen, with: {system: "urn:test"}}
steps:
  - {id: chart, uses: map, with: {map: hl7v2/PID-Patient}}
  - {id: save, uses: fhir.write, with: {connection: ehr}}
on_error: {retry: {attempts: 3, backoff: 10ms..20ms}}
"""
    async with Site(handler) as site:
        connections = {"ehr": json.dumps({"suture": "connection/1", "id": "ehr", "uses": "fhir", "base": site.url})}
        async with Rig(tmp_path, {"f": flow}, connections) as rig:
            await rig.accept(adt())
            await rig.settled(1)
            assert rig.runs()[0].state is RunState.DONE
            assert len(stored) == 1
            assert [got.method for got in site.got] == ["GET", "POST", "GET"]


@pytest.mark.parametrize("status", [409, 412])
async def test_a_version_conflict_in_the_other_server_is_a_dead_letter_with_its_reason(
    tmp_path: Path, status: int
) -> None:
    def handler(got: Got) -> Say:
        if got.method == "GET":
            stored = {
                "resourceType": "Patient",
                "id": "x1",
                "meta": {"versionId": "7"},
                "identifier": [{"system": "s", "value": "1"}],
            }
            return Say(200, {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": stored}]})
        assert got.headers["if-match"] == 'W/"7"'
        return Say(status)

    flow = """suture: flow/1
id: feed
source: {uses: mllp.listen, with: {system: "urn:test"}}
steps:
  - {id: chart, uses: map, with: {map: hl7v2/PID-Patient}}
  - {id: save, uses: fhir.write, with: {connection: ehr}}
"""
    async with Site(handler) as site:
        connections = {"ehr": json.dumps({"suture": "connection/1", "id": "ehr", "uses": "fhir", "base": site.url})}
        async with Rig(tmp_path, {"f": flow}, connections) as rig:
            await rig.accept(adt())
            await rig.settled(1)
            assert f"answered {status}" in rig.letters()[0].reason


async def test_what_changes_while_the_first_polls_fail_is_not_missed(tmp_path: Path) -> None:
    down = True
    empty = {"resourceType": "Bundle", "type": "searchset"}
    async with Site(lambda got: Say(503) if down else Say(200, empty)) as site:
        connections = texts(site.url, site.url)
        connections["ehr"] = connections["ehr"].replace(', "auth": {"kind": "bearer", "token": "secret:ehr"}', "")
        flow = POLL.replace(', since: "2020-01-01T00:00:00Z"', "").replace("every: 100ms", "every: 10ms")
        async with Rig(tmp_path, {"p": flow}, connections) as rig:
            await rig.until(lambda: len(site.got) > 3)
            down = False
            await rig.until(lambda: len(site.got) > 6)
    asked = {parse_qs(urlsplit(got.target).query)["_lastUpdated"][0] for got in site.got}
    assert len(asked) == 1
