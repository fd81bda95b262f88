"""Exports over HTTP: from the kick-off to the files, exact while writes go on, for nobody but who asked."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from suture.store import exports, scan
from tests.server.people import encounter, observation, patient, practitioner
from tests.server.running import FHIR, Running, outcome_of, serving

ASK = {"Prefer": "respond-async", "Accept": FHIR}
Resource = dict[str, Any]


async def kicked(server: Running, path: str = "/fhir/$export", **more: Any) -> str:
    headers = {**ASK, **more.pop("headers", {})}
    answer = await server.http.request(more.pop("method", "GET"), path, headers=headers, **more)
    assert answer.status_code == 202, answer.text
    assert answer.content == b""
    return answer.headers["content-location"]


async def manifest(server: Running, place: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    for look in range(300):
        answer = await server.http.get(place, headers=headers or {})
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()
            return found
        assert answer.status_code == 202, answer.text
        assert len(answer.headers["x-progress"]) < 100
        await asyncio.sleep(0.02 if look < 2 else 0.15)  # ten looks in a second are let through
    raise AssertionError("the export does not end")


async def lines(server: Running, file: dict[str, Any], headers: dict[str, str] | None = None) -> list[Resource]:
    answer = await server.http.get(file["url"], headers=headers or {})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+ndjson")
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert {r["resourceType"] for r in found} <= {file["type"]}
    return found


async def exported(server: Running, path: str = "/fhir/$export", **more: Any) -> dict[str, list[str]]:
    """Type -> sorted ids of what an export holds."""
    own = more.get("headers", {})
    made = await manifest(server, await kicked(server, path, **more), own)
    found: dict[str, list[str]] = {}
    for file in made["output"]:
        rows = await lines(server, file, own)
        assert len(rows) == file["count"]
        found.setdefault(file["type"], []).extend(r["id"] for r in rows)
    return {type: sorted(ids) for type, ids in found.items()}


async def fill(server: Running) -> None:
    await server.put({"resourceType": "Organization", "id": "org", "name": "House"})
    await server.put({"resourceType": "Organization", "id": "far", "name": "Elsewhere"})
    await server.put(practitioner("d1"))
    for n in range(1, 4):
        await server.put(patient(f"p{n}", managingOrganization={"reference": "Organization/org"}))
        await server.put(encounter(f"e{n}", f"p{n}"))
        await server.put(observation(f"o{n}", f"p{n}", code=f"{n}-0", performer=[{"reference": "Practitioner/d1"}]))
    about = [{"reference": "Observation/o1"}]
    await server.put(
        {
            "resourceType": "Provenance",
            "id": "pr1",
            "target": about,
            "recorded": "2024-01-01T00:00:00Z",
            "agent": [{"who": {"display": "x"}}],
        }
    )
    await server.put(
        {
            "resourceType": "Provenance",
            "id": "pr2",
            "target": about,
            "recorded": "2025-01-01T00:00:00Z",
            "agent": [{"who": {"display": "x"}}],
        }
    )
    members = [
        {"entity": {"reference": "Patient/p1"}},
        {"entity": {"reference": "Patient/p2"}},
        {"entity": {"reference": "Patient/p3"}, "inactive": True},
    ]
    await server.put({"resourceType": "Group", "id": "g1", "type": "person", "actual": True, "member": members})


ALL = {
    "Organization": ["far", "org"], "Practitioner": ["d1"], "Patient": ["p1", "p2", "p3"], "Encounter": ["e1", "e2", "e3"],
    "Observation": ["o1", "o2", "o3"], "Provenance": ["pr1", "pr2"], "Group": ["g1"],
}  # fmt: skip


async def test_the_whole_chart(server: Running) -> None:
    await fill(server)
    assert await exported(server) == ALL


async def test_the_manifest_says_what_the_standard_asks(server: Running) -> None:
    await fill(server)
    made = await manifest(server, await kicked(server, "/fhir/$export?_type=Patient,Encounter"))
    assert made["request"] == f"{server.url}/fhir/$export?_type=Patient,Encounter"
    assert made["requiresAccessToken"] is True
    assert (made["deleted"], made["error"]) == ([], [])
    assert {f["type"] for f in made["output"]} == {"Patient", "Encounter"}
    assert all(f["url"].startswith(f"{server.url}/bulk/") for f in made["output"])
    assert made["transactionTime"].endswith("Z")


async def test_all_patients_with_what_they_refer_to(server: Running) -> None:
    await fill(server)
    expected = {k: v for k, v in ALL.items() if k != "Group"} | {"Organization": ["org"]}
    assert await exported(server, "/fhir/Patient/$export") == expected


async def test_the_members_of_a_group(server: Running) -> None:
    await fill(server)
    found = await exported(server, "/fhir/Group/g1/$export")
    assert found == {
        "Organization": ["org"], "Practitioner": ["d1"], "Patient": ["p1", "p2"], "Encounter": ["e1", "e2"],
        "Observation": ["o1", "o2"], "Provenance": ["pr1", "pr2"],
    }  # fmt: skip
    none = await server.http.get("/fhir/Group/none/$export", headers=ASK)
    assert outcome_of(none) == (404, "not-found", "no such Group")


async def test_chosen_patients_by_post(server: Running) -> None:
    await fill(server)
    rows = [
        {"name": "patient", "valueReference": {"reference": "Patient/p2"}},
        {"name": "patient", "valueReference": {"reference": "Patient/p3"}},
        {"name": "_type", "valueString": "Patient,Observation"},
    ]
    body = {"resourceType": "Parameters", "parameter": rows}
    assert await exported(server, "/fhir/Group/g1/$export", method="POST", json=body) == {
        "Patient": ["p2"],
        "Observation": ["o2"],
    }
    assert await exported(server, "/fhir/Patient/$export", method="POST", json=body) == {
        "Patient": ["p2", "p3"], "Observation": ["o2", "o3"],
    }  # fmt: skip


async def test_provenance_when_it_is_asked_for(server: Running) -> None:
    await fill(server)
    place = "/fhir/Patient/$export?_type=Observation"
    assert "Provenance" not in await exported(server, place)
    relevant = await exported(server, f"{place}&includeAssociatedData=RelevantProvenanceResources")
    latest = await exported(server, f"{place}&includeAssociatedData=LatestProvenanceResources")
    assert (relevant["Provenance"], latest["Provenance"]) == (["pr1", "pr2"], ["pr2"])


async def test_filters_are_alternatives(server: Running) -> None:
    await fill(server)
    query = "_type=Observation,Patient&_typeFilter=Observation%3Fcode%3D1-0,Observation%3Fcode%3D3-0"
    assert await exported(server, f"/fhir/$export?{query}") == {
        "Observation": ["o1", "o3"],
        "Patient": ["p1", "p2", "p3"],
    }


async def test_only_some_elements(server: Running) -> None:
    await fill(server)
    made = await manifest(server, await kicked(server, "/fhir/$export?_type=Patient&_elements=Patient.birthDate"))
    found = await lines(server, made["output"][0])
    assert set(found[0]) == {"resourceType", "id", "meta", "birthDate"}
    assert found[0]["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_since_tells_what_changed_and_what_was_deleted(server: Running) -> None:
    await fill(server)
    first = await manifest(server, await kicked(server))
    await server.put(patient("p1", "Changed"))
    await server.http.delete("/fhir/Observation/o2")
    made = await manifest(server, await kicked(server, f"/fhir/$export?_since={first['transactionTime']}"))
    assert [(f["type"], f["count"]) for f in made["output"]] == [("Patient", 1)]
    (gone,) = await lines(server, made["deleted"][0])
    assert (gone["type"], gone["entry"]) == (
        "transaction",
        [{"request": {"method": "DELETE", "url": "Observation/o2"}}],
    )
    of_patients = await manifest(
        server, await kicked(server, f"/fhir/Patient/$export?_since={first['transactionTime']}")
    )
    assert of_patients["deleted"][0]["count"] == 1


async def test_who_came_into_a_group_comes_whole(server: Running) -> None:
    await fill(server)
    group: Resource = {"resourceType": "Group", "id": "late", "type": "person", "actual": True}
    members = [{"entity": {"reference": f"Patient/p{n}"}} for n in (1, 2)]
    past = {"entity": {"reference": "Patient/p3"}, "period": {"end": "2020"}}
    await server.put({**group, "member": [members[0], past]})
    first = await manifest(server, await kicked(server, "/fhir/Group/late/$export"))
    assert {f["type"]: f["count"] for f in first["output"]}["Patient"] == 1
    await asyncio.sleep(0.01)
    since = f"/fhir/Group/late/$export?_since={first['transactionTime']}&_type=Patient,Observation"
    await asyncio.sleep(0.01)
    assert await exported(server, since) == {}
    await server.put({**group, "member": [*members, past]})
    assert await exported(server, since) == {"Patient": ["p2"], "Observation": ["o2"]}


async def test_it_shows_the_moment_whatever_is_written_afterwards(server: Running) -> None:
    await fill(server)
    made = await manifest(server, await kicked(server, "/fhir/$export?_type=Patient,Observation"))
    await server.put(patient("p1", "Later"))
    await server.put(patient("p9"))
    await server.http.delete("/fhir/Patient/p2")
    files = {f["type"]: await lines(server, f) for f in made["output"]}
    assert sorted(r["id"] for r in files["Patient"]) == ["p1", "p2", "p3"]
    assert {r["name"][0]["family"] for r in files["Patient"]} == {"Example"}


@pytest.mark.slow
async def test_while_writes_go_on_it_is_exact(server: Running) -> None:
    for n in range(40):
        await server.put(patient(f"p{n}", "0"))
    done = asyncio.Event()

    async def change() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            await asyncio.gather(*(server.put(patient(f"p{n}", str(turn))) for n in range(40)))

    writer = asyncio.create_task(change())
    try:
        for _ in range(3):
            made = await manifest(server, await kicked(server, "/fhir/$export?_type=Patient"))
            found = [r for f in made["output"] for r in await lines(server, f)]
            assert sorted(r["id"] for r in found) == sorted(f"p{n}" for n in range(40))
            assert all(r["meta"]["lastUpdated"] <= made["transactionTime"] for r in found)
            for r in found[:5]:  # the newest version that is not newer than the moment
                history = (await server.http.get(f"/fhir/Patient/{r['id']}/_history?_count=1000")).json()["entry"]
                best = next(
                    e["resource"] for e in history if e["resource"]["meta"]["lastUpdated"] <= made["transactionTime"]
                )
                assert best["meta"]["versionId"] == r["meta"]["versionId"]
    finally:
        done.set()
        await writer


async def test_large_types_come_in_several_files(tmp_path: Path) -> None:
    async with serving(tmp_path, bulk__file_resources=2) as server:
        await fill(server)
        made = await manifest(server, await kicked(server, "/fhir/$export?_type=Patient"))
        assert [f["count"] for f in made["output"]] == [2, 1]
        assert sum([len(await lines(server, f)) for f in made["output"]]) == 3


async def test_compressed(server: Running) -> None:
    await fill(server)
    made = await manifest(server, await kicked(server, "/fhir/$export?_type=Patient"))
    async with server.http.stream("GET", made["output"][0]["url"], headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert len(gzip.decompress(raw).splitlines()) == 3


async def test_a_body_of_several_lines_is_one_line(server: Running) -> None:
    raw = b'{"resourceType":"Patient",\n "id":"p1",\r\n "birthDate":"1980-01-01"}'
    await server.http.put("/fhir/Patient/p1", content=raw, headers={"Content-Type": FHIR})
    assert await exported(server) == {"Patient": ["p1"]}


@pytest.mark.parametrize(
    ("path", "headers", "said"),
    [
        ("/fhir/$export", {"Prefer": ""}, "an export runs in the background"),
        ("/fhir/$export?_outputFormat=csv", {}, "files are made as NDJSON only"),
        ("/fhir/$export?_type=Frob", {}, "R4 has no such resource type"),
        ("/fhir/$export?_since=yesterday", {}, "not an instant"),
        ("/fhir/$export?frob=1", {}, "the export has no such parameter"),
        ("/fhir/$export?patient=p1", {}, "the export has no such parameter"),
        ("/fhir/$export?_typeFilter=frob", {}, "not a search"),
        ("/fhir/$export?_typeFilter=Patient%3Fname%3Da%26_sort%3Dname", {}, "_sort has no meaning in a filter"),
        ("/fhir/$export?_typeFilter=Observation%3Fsubject.name%3Da", {}, "a filter looks at one resource alone"),
        (
            "/fhir/$export?_type=Patient&_typeFilter=Observation%3Fcode%3Da",
            {},
            "a filter of a type that is not exported",
        ),
        ("/fhir/$export?_typeFilter=Observation%3Ffrob%3Da", {}, None),
        ("/fhir/$export?_elements=Frob.name", {}, "R4 has no such resource type"),
        ("/fhir/$export?includeAssociatedData=frob", {}, "no such associated data here"),
        ("/fhir/Patient/$export?patient=a%20b", {}, "not a patient"),
        ("/fhir/$export", {"Accept": "text/csv"}, "Accept names no format that is written here"),
    ],
)
async def test_what_is_refused(server: Running, path: str, headers: dict[str, str], said: str | None) -> None:
    answer = await server.http.get(path, headers={**ASK, **headers})
    assert 400 <= answer.status_code < 410, answer.text
    assert said is None or outcome_of(answer)[2] == said


async def test_what_is_not_known_may_be_passed_over_and_is_listed(server: Running) -> None:
    await fill(server)
    place = await kicked(
        server, "/fhir/$export?_type=Patient&frob=1", headers={"Prefer": "respond-async, handling=lenient"}
    )
    made = await manifest(server, place)
    (error,) = made["error"]
    found = await lines(server, error)
    assert [i["expression"] for r in found for i in r["issue"]] == [["frob"]]


async def test_nobody_else_sees_it(server: Running) -> None:
    await fill(server)
    place = await kicked(server)
    made = await manifest(server, place)
    other = server.key("system/*.cruds")
    for url in (place, made["output"][0]["url"]):
        assert outcome_of(await server.http.get(url, headers=other)) == (404, "not-found", "no such export")
        async with httpx.AsyncClient() as nobody:
            assert (await nobody.get(url)).status_code == 401
    assert (await server.http.delete(place, headers=other)).status_code == 404
    assert (await server.http.get(f"{place}/7.Nothing.ndjson")).status_code == 404


async def test_it_is_deleted(server: Running) -> None:
    await fill(server)
    place = await kicked(server)
    made = await manifest(server, place)
    assert (await server.http.delete(place)).status_code == 202
    for url in (place, made["output"][0]["url"]):
        assert outcome_of(await server.http.get(url)) == (404, "not-found", "no such export")
    assert (await server.http.delete(place)).status_code == 404


async def test_who_asks_too_often_or_for_too_many_waits(tmp_path: Path) -> None:
    async with serving(tmp_path, bulk__max_jobs=0) as server:
        answer = await server.http.get("/fhir/$export", headers=ASK)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    async with serving(tmp_path) as server:
        place = await kicked(server)
        answers = [await server.http.get(place) for _ in range(12)]
        assert answers[-1].status_code == 429
        assert answers[-1].headers["retry-after"] == "1"


async def test_scopes_bound_it(server: Running) -> None:
    await fill(server)
    few = server.key("system/Patient.rs system/Observation.rs?code=1-0")
    assert await exported(server, headers=few) == {"Patient": ["p1", "p2", "p3"], "Observation": ["o1"]}
    refused = await server.http.get("/fhir/$export?_type=Encounter", headers={**ASK, **few})
    assert refused.status_code == 403
    assert (await server.http.get("/fhir/Group/g1/$export", headers={**ASK, **few})).status_code == 403
    own = server.key("patient/*.rs", patient="p2")
    found = await exported(server, "/fhir/Patient/$export", headers=own)
    assert (found["Patient"], found["Observation"], found["Encounter"]) == (["p2"], ["o2"], ["e2"])


async def again(server: Running) -> dict[str, Any]:
    """The same for who may see everything."""
    server.http.headers.update(server.key("system/*.rs"))
    server.attribute(clearance="*")
    return await manifest(server, await kicked(server, "/fhir/$export?_type=Patient"))


async def test_what_was_withheld_meanwhile_is_left_out_of_the_file(server: Running) -> None:
    await fill(server)
    some = server.key("user/*.rs")
    made = await manifest(server, await kicked(server, "/fhir/$export?_type=Patient", headers=some), some)
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    await server.put({**patient("p2"), "meta": {"security": [label]}})
    found = await lines(server, made["output"][0], some)
    assert [r["id"] for r in found] == ["p1", "p3"]  # though p2, as it was then, bore no label
    assert "p2" in [r["id"] for r in await lines(server, (await again(server))["output"][0])]


async def test_the_trail_names_what_left(server: Running) -> None:
    await fill(server)
    made = await manifest(server, await kicked(server, "/fhir/Group/g1/$export?_type=Patient"))
    await lines(server, made["output"][0])
    asked, *_, left = [row for row in server.trail() if row.what.startswith("export")]
    assert (asked.what, asked.type, asked.id) == ("export-request", "Group", "g1")
    assert (left.what, left.type, left.detail) == ("export", "Patient", "file 0, 2 resources of 2 patients")
    assert set(left.patients) == {"Patient/p1", "Patient/p2"}


async def test_a_restart_finishes_what_was_begun(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await fill(server)
        caller = server.key("system/*.rs")
        place = (await kicked(server, headers=caller)).removeprefix(server.url)
        await manifest(server, place, caller)
        left = "UPDATE export_job SET state = 'running', lease = 0"  # as a killed process leaves it
        server.app.database.write_now(lambda tx: tx.execute(left))
    async with serving(tmp_path) as server:
        made = await manifest(server, place, caller)
        assert sum(f["count"] for f in made["output"]) == sum(map(len, ALL.values()))


async def test_files_end_with_their_life(tmp_path: Path) -> None:
    async with serving(tmp_path, bulk__life=0.4) as server:
        await fill(server)
        place = await kicked(server)
        for _ in range(200):
            await asyncio.sleep(0.15)
            if (await server.http.get(place)).status_code == 404:
                break
        else:
            raise AssertionError("it is still there")
        await kicked(server)
        for _ in range(200):
            if server.app.database.read.one("SELECT count(*) FROM export_job") == (1,):
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the first one is kept for ever")


async def test_attachments_come_along(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(
        {"resourceType": "Binary", "id": "scan", "contentType": "text/plain", "data": base64.b64encode(b"x").decode()}
    )
    await server.put({
        "resourceType": "DocumentReference", "id": "doc", "status": "current", "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": {"url": f"{server.url}/fhir/Binary/scan"}}],
    })  # fmt: skip
    found = await exported(server, "/fhir/Patient/$export")
    assert found == {"Patient": ["p1"], "DocumentReference": ["doc"], "Binary": ["scan"]}


def test_row_numbers_are_packed_and_come_back() -> None:
    raw = exports.array("q", range(10)).tobytes()
    assert list(exports.numbers(raw, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_large_types_are_found_in_one_pass(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(server)
    moment = server.app.clock.micros()
    await server.put(patient("p1", "Later"))
    await server.http.delete("/fhir/Patient/p2")
    await server.put(patient("p4"))
    kinds, read = ["Patient", "Observation"], server.app.database.read

    def found() -> dict[str, list[int]]:
        parts = list(scan.rids(read, moment, kinds))
        return {type: [rid for part in parts for rid in part.get(type, [])] for type in kinds}

    wanted = found()
    assert [len(rids) for rids in wanted.values()] == [3, 3]
    monkeypatch.setattr(scan, "AT_ONCE", 3)
    assert found() == wanted
    assert len(list(scan.rids(read, moment, kinds))) > 3


async def test_large_resources_are_read_a_few_at_a_time(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan.portions, "__defaults__", (20_000,))
    monkeypatch.setattr(scan, "LARGEST_PORTION", 20_000)
    for n in range(6):
        await server.put(
            patient(
                f"big{n}",
                photo=[
                    {"contentType": "image/png", "data": base64.b64encode(random.Random(n).randbytes(15_000)).decode()}
                ],
            )
        )
        await server.put(patient(f"small{n}"))
    connection = server.app.database.read
    parts = [[v.id for v in part] for part in scan.versions(connection, 1 << 62, ("Patient",))]
    assert [id for part in parts for id in part] == [f"{size}{n}" for n in range(6) for size in ("big", "small")]
    assert max(sum(id.startswith("big") for id in part) for part in parts) == 2
    rids = [v.rid for part in scan.versions(connection, 1 << 62, ("Patient",)) for v in part]
    portions = list(scan.portions(connection, rids))
    assert [rid for portion in portions for rid in portion] == rids
    assert len(portions) >= 5
    assert len((await exported(server, "/fhir/$export?_type=Patient"))["Patient"]) == 12
