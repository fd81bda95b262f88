"""Exports that fail say what failed, whether to ask again, and what of it could not be read; scopes say what one may ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from suture.errors import NotFound, SutureError, TooCostly, Unavailable
from suture.services.bulk import faults
from suture.services.bulk.select import Selection
from tests.server.people import observation
from tests.server.running import FHIR, Running, outcome_of, serving
from tests.server.test_bulk import exported, fill, kicked, lines, manifest

ASK = {"Prefer": "respond-async", "Accept": FHIR}


async def ended(server: Running, place: str) -> httpx.Response:
    while (answer := await server.http.get(place)).status_code in (202, 429):
        pass
    return answer


@pytest.mark.parametrize(
    ("error", "tries", "said"),
    [
        (Unavailable("a page is damaged", mend="Run: suture verify"), 5, (500, "exception", "the export failed: a page is damaged (5 tries)")),
        (TooCostly("the query ran too long", mend="Narrow it"), 1, (422, "too-costly", "the export failed: the query ran too long")),
        (NotFound("no such Group"), 1, (500, "not-found", "the export failed: no such Group")),
        (RuntimeError("Patient/p1 is secret"), 1, (500, "exception", "the export failed by a fault of the server")),
    ],
)  # fmt: skip
def test_a_fault_says_whether_asking_again_makes_sense(
    error: Exception, tries: int, said: tuple[int, str, str]
) -> None:
    fault = json.loads(faults.of_error(error, tries))
    assert (fault["status"], fault["issue"], fault["text"]) == said
    assert "secret" not in str(fault)
    again = not isinstance(error, SutureError) or error.retry
    assert ("it will fail again" in fault["mend"]) != again
    assert ("ask for it again" in fault["mend"] or "Ask for it once more" in fault["mend"]) == again


async def test_what_is_in_the_way_is_tried_again_and_what_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "PAUSE", 0.0)
    run, raised = Selection.run, list[Exception]()

    def failing(self: Selection) -> Any:
        if raised:
            raise raised.pop()
        return run(self)

    monkeypatch.setattr(Selection, "run", failing)
    async with serving(tmp_path, bulk__look=0.02) as server:
        await fill(server)
        raised += [Unavailable("busy"), Unavailable("busy")]
        made = await manifest(server, await kicked(server, "/fhir/$export?_type=Patient"))
        assert [f["count"] for f in made["output"]] == [3]
        raised += [TooCostly("the query ran too long", mend="Narrow it.")]
        place = await kicked(server)
        for _ in range(2):
            said = await ended(server, place)
            assert outcome_of(said) == (422, "too-costly", "the export failed: the query ran too long")
            assert said.json()["issue"][0]["diagnostics"] == "Narrow it. Unchanged, it will fail again."
            assert said.headers["content-type"].startswith(FHIR)
        assert outcome_of(await server.http.get(f"{place}/0.Patient.ndjson"))[2] == "no such file of this export"
        raised += [RuntimeError("never told")]
        said = await ended(server, await kicked(server))
        assert outcome_of(said) == (500, "exception", "the export failed by a fault of the server")
        raised += [Unavailable("busy")] * faults.TRIES
        said = await ended(server, await kicked(server))
        assert outcome_of(said) == (500, "exception", "the export failed: busy (5 tries)")
        place = await kicked(server, "/fhir/$export?_type=Patient")
        await manifest(server, place)
        left = f"UPDATE export_job SET state = 'running', lease = 0, tries = {faults.TRIES} WHERE state = 'done'"
        server.app.database.write_now(lambda tx: tx.execute(left))  # as after the fifth crash
        said = await ended(server, place)
        assert outcome_of(said)[2] == "the export was begun 5 times and the server ended each time before it was done"
        assert (await server.http.delete(place)).status_code == 202
        gone = await server.http.get(place)
        assert outcome_of(gone) == (404, "not-found", "no such export")
        assert gone.json()["issue"][0]["diagnostics"] == "It has expired, was deleted, or is another caller's."


async def test_what_is_damaged_is_named_and_all_else_comes(server: Running) -> None:
    await fill(server)
    damage = "UPDATE res SET zd = 0, body = ? WHERE fid = ?"
    server.app.database.write_now(lambda tx: tx.execute(damage, (b"x" * 90, "o2")))
    place = await kicked(server, "/fhir/Patient/$export?_type=Observation")
    made = await manifest(server, place)
    assert [r["id"] for r in await lines(server, made["output"][0])] == ["o1", "o3"]
    (found,) = await lines(server, made["error"][0])
    assert found["issue"][0]["expression"] == ["Observation/o2"]
    place = await kicked(server, "/fhir/$export?_type=Observation,Patient")  # bodies are not read before files are
    made = await manifest(server, place)
    assert made["error"] == []
    for _ in range(2):
        assert [r["id"] for r in await lines(server, made["output"][0])] == ["o1", "o3"]
    (error,) = (await manifest(server, place))["error"]
    (found,) = await lines(server, error)
    assert found["issue"][0]["details"]["text"] == "a resource could not be exported: what is stored of it is damaged"
    few = server.key("system/Observation.rs?code=1-0 system/Patient.rs")
    made = await manifest(server, await kicked(server, "/fhir/Patient/$export", headers=few), few)
    (found,) = await lines(server, made["error"][0], few)
    assert found["issue"][0]["expression"] == ["Observation"]  # it can't be judged, so it is not named


async def test_patients_who_are_not_there_are_counted(server: Running) -> None:
    await fill(server)
    made = await manifest(server, await kicked(server, "/fhir/Group/g1/$export?patient=p1,p3,nobody&_type=Patient"))
    assert [f["count"] for f in made["output"]] == [1]
    (found,) = await lines(server, made["error"][0])
    assert found["issue"][0]["details"]["text"].startswith("2 of the patients that were named are unknown here")
    assert found["issue"][0]["expression"] == ["patient"]


async def test_an_export_both_finds_and_reads(server: Running) -> None:
    await fill(server)
    await server.put(observation("o4", "p1", code="1-0"))
    for scopes, said in (("system/*.r", "may not both find and read anything"), ("system/*.s", "may not both")):
        refused = await server.http.get("/fhir/$export", headers={**ASK, **server.key(scopes)})
        assert outcome_of(refused)[:2] == (403, "forbidden")
        assert said in outcome_of(refused)[2]
    named = await server.http.get("/fhir/$export?_type=Patient", headers={**ASK, **server.key("system/Patient.s")})
    assert "may not read Patient" in outcome_of(named)[2]
    apart = server.key("system/Observation.r system/Observation.s?code=1-0 system/Patient.s")
    assert await exported(server, headers=apart) == {"Observation": ["o1", "o4"]}
    old = server.key("system/Patient.read")
    assert await exported(server, headers=old) == {"Patient": ["p1", "p2", "p3"]}
