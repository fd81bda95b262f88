"""A SearchParameter that is posted: built in the background, told about, switched on, gone again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from suture.standards.fhir import definitions
from suture.store import parameters_build
from tests.server.people import observation, patient
from tests.server.running import Running, outcome_of
from tests.server.test_search import bundle_of, places

RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("suture.services.building.LOOK", 0.02)
    yield
    definitions.adopt(definitions.NO_OWN)


def race(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter", "status": "active", "url": "http://example.org/race", "name": "Race",
        "description": "x", "code": "race", "base": ["Patient"], "type": "token",
        "expression": f"Patient.extension('{RACE}').extension('ombCategory').value",
    } | more  # fmt: skip


def of_race(id: str, code: str) -> dict[str, Any]:
    inner = [{"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": code}}]
    return patient(id, extension=[{"url": RACE, "extension": inner}])


async def state(server: Running) -> list[str]:
    rows = server.app.database.read.all("SELECT state FROM parameter")
    return [("waiting", "building", "on", "leaving")[row[0]] for row in rows]


async def until(server: Running, wanted: list[str]) -> None:
    for _ in range(500):
        if await state(server) == wanted:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{await state(server)}, not {wanted}")


def searchable(metadata: dict[str, Any]) -> dict[str, Any]:
    return {p["name"]: p for r in metadata["rest"][0]["resource"] if r["type"] == "Patient" for p in r["searchParam"]}


async def test_from_the_post_to_the_delete(server: Running) -> None:
    await server.put(of_race("p1", "2106-3"))
    await server.put(of_race("p2", "2054-5"))
    await server.put(observation("o1", "p1"))
    before = searchable((await server.http.get("/fhir/metadata")).json())
    assert (await server.http.get("/fhir/Patient?race=2106-3")).status_code == 400
    made = await server.http.post("/fhir/SearchParameter", json=race())
    assert made.status_code == 201, made.text
    await until(server, ["on"])
    assert places(await bundle_of(server, "/fhir/Patient?race=2106-3")) == ["match Patient/p1"]
    assert places(await bundle_of(server, "/fhir/Observation?patient.race=2106-3")) == ["match Observation/o1"]
    assert places(await bundle_of(server, "/fhir/Patient?_sort=race")) == ["match Patient/p2", "match Patient/p1"]
    after = searchable((await server.http.get("/fhir/metadata")).json())
    assert set(after) - set(before) == {"race"}
    assert after["race"] == {"name": "race", "type": "token", "definition": "http://example.org/race"}
    await server.put(of_race("p2", "2106-3"))
    assert len(places(await bundle_of(server, "/fhir/Patient?race=2106-3"))) == 2
    gone = await server.http.delete(f"/fhir/SearchParameter/{made.json()['id']}")
    assert gone.status_code in (200, 204)
    answer = await server.http.get("/fhir/Patient?race=2106-3")
    assert outcome_of(answer) == (400, "invalid", "Patient has no such search parameter")
    await until(server, [])


async def test_while_it_is_being_built(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await server.put(of_race("p1", "2106-3"))
    built, go = parameters_build._built, asyncio.Event()
    monkeypatch.setattr(parameters_build, "_built", lambda tx, rid: go.is_set() and built(tx, rid))
    assert (await server.http.post("/fhir/SearchParameter", json=race())).status_code == 201
    await until(server, ["building"])
    answer = await server.http.get("/fhir/Patient?race=2106-3")
    text = "this search parameter is new, its index is still being built (0 %)"
    assert outcome_of(answer) == (400, "invalid", text)
    assert answer.json()["issue"][0]["expression"] == ["race"]
    lenient = {"Prefer": "handling=lenient"}
    left_out = (await server.http.get("/fhir/Patient?race=x", headers=lenient)).json()
    assert [entry["search"]["mode"] for entry in left_out["entry"]] == ["match", "outcome"]
    listed = await server.http.get("/api/search-parameters")
    assert listed.status_code == 403, "a program with FHIR scopes alone sees no console"
    go.set()
    await until(server, ["on"])
    assert places(await bundle_of(server, "/fhir/Patient?race=2106-3")) == ["match Patient/p1"]


async def test_what_is_refused_and_to_whom(server: Running) -> None:
    for change, where in (
        ({"code": "name"}, "SearchParameter.code"),
        ({"expression": "Patient.nonsense"}, "SearchParameter.expression"),
        ({"type": "composite"}, "SearchParameter.type"),
    ):
        answer = await server.http.post("/fhir/SearchParameter", json=race(**change))
        assert answer.status_code == 422, answer.text
        assert answer.json()["issue"][0]["expression"] == [where]
    reader = server.key("user/Patient.cruds user/SearchParameter.rs")
    assert (await server.http.post("/fhir/SearchParameter", json=race(), headers=reader)).status_code == 403
    own = server.key("patient/*.cruds", patient="p1")
    assert (await server.http.post("/fhir/SearchParameter", json=race(), headers=own)).status_code == 403
    assert (await server.http.post("/fhir/SearchParameter", json=race())).status_code == 201
    assert (await server.http.post("/fhir/SearchParameter", json=race())).status_code == 409
