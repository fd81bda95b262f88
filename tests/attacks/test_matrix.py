"""Every interaction that metadata names, on every type that is a patient's, against a patient one may not see: 0 leaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suture.access import compartment
from suture.standards.fhir.search_tables import followed
from suture.store import resources
from tests.attacks.made import made, types
from tests.attacks.world import SECRET, WAYS, Ask, Scene, a, b, scene

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SOME = [
    "Patient",
    "Observation",
    "Encounter",
    "Condition",
    "Device",
    "Provenance",
    "Consent",
    "Appointment",
    "Coverage",
]
EARLY, LATE = "Thu, 01 Jan 1970 00:00:00 GMT", "Wed, 01 Jan 2098 00:00:00 GMT"
# operations that metadata may name: how each is asked about b; one that is missing here fails the test
OPERATIONS: dict[str, list[Ask]] = {}


def asks(type: str) -> Iterator[Ask]:
    """All that can be asked about one resource of b."""
    place, found = f"/fhir/{type}/{b(type)}", f"/fhir/{type}"
    for method, path in (
        ("GET", place),
        ("HEAD", place),
        ("GET", f"{place}?_elements=id"),
        ("GET", f"{place}?_summary=true"),
    ):
        yield Ask("read", method, path)
    yield Ask("read", "GET", place, {"If-None-Match": 'W/"1"'})
    yield Ask("read", "GET", place, {"If-Modified-Since": LATE})
    yield Ask("vread", "GET", f"{place}/_history/1")
    yield Ask("vread", "GET", f"{place}/_history/2")
    yield Ask("history-instance", "GET", f"{place}/_history")
    yield Ask("history-type", "GET", f"{found}/_history?_count=1000")
    yield Ask("history-system", "GET", "/fhir/_history?_count=1000")
    for query in _queries(type):
        yield Ask("search-type", "GET", f"{found}?{query}")
    yield Ask("search-type", "POST", f"{found}/_search", FORM, {"content": f"_id={b(type)}"})
    yield Ask("search-system", "GET", f"/fhir?_type={type}&_id={b(type)}")
    yield from _bundles(type, place)
    yield from _writes(type, place, found)


def _queries(type: str) -> Iterator[str]:
    yield from (f"_id={b(type)}", "_count=1000", "_total=accurate", "_include=*", f"_id={a(type)},{b(type)}&_sort=-_id")
    if type != "Patient":
        code = compartment.parameters(type)[0]
        yield f"{code}=Patient/bsecret"
        if followed(type, code):
            yield f"{code}:Patient.identifier={SECRET}"
    yield "_revinclude=Provenance:target&_revinclude=Observation:patient"


def _bundles(type: str, place: str) -> Iterator[Ask]:
    urls = [place.removeprefix("/fhir/"), f"{place.removeprefix('/fhir/')}/_history", f"{type}?_id={b(type)}"]
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    yield Ask("batch", "POST", "/fhir", {}, {"json": {"resourceType": "Bundle", "type": "batch", "entry": entries}})
    for entry in entries:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        yield Ask("transaction", "POST", "/fhir", {}, {"json": bundle})


def _writes(type: str, place: str, found: str) -> Iterator[Ask]:
    mine = made(type, b(type), "a", "Amark")
    fresh = {k: v for k, v in made(type, "x", "a", "Amark").items() if k != "id"}
    search = f"_id={b(type)}"
    yield Ask("update", "PUT", place, {}, {"json": mine})
    yield Ask("update", "PUT", place, {"If-Match": 'W/"1"'}, {"json": mine})
    yield Ask("update", "PUT", place, {"If-None-Match": "*"}, {"json": mine})
    yield Ask("update", "PUT", f"{found}?{search}", {}, {"json": fresh})
    yield Ask("create", "POST", found, {"If-None-Exist": search}, {"json": fresh})
    yield Ask("delete", "DELETE", place)
    yield Ask("delete", "DELETE", place, {"If-Match": 'W/"1"'})
    yield Ask("delete", "DELETE", f"{found}?{search}")
    for method, url in (
        ("PUT", place.removeprefix("/fhir/")),
        ("PUT", f"{type}?{search}"),
        ("DELETE", place.removeprefix("/fhir/")),
    ):
        entry: dict[str, Any] = {"request": {"method": method, "url": url}}
        if method == "PUT":
            entry["resource"] = fresh if "?" in url else mine
        for kind in ("batch", "transaction"):
            yield Ask(kind, "POST", "/fhir", {}, {"json": {"resourceType": "Bundle", "type": kind, "entry": [entry]}})


async def attack(there: Scene, wanted: list[str]) -> list[str]:
    leaks = []
    for type in wanted:
        for ask in asks(type):
            answer = await there.ask(ask)
            if SECRET.lower() in there.told(answer):
                leaks.append(f"{ask.method} {ask.path} {ask.headers}: {answer.status_code} {answer.text[:300]}")
    return leaks


def untouched(there: Scene, wanted: list[str]) -> None:
    """All of b is as it was."""
    for type in wanted:
        row = resources.read(there.server.app.database.read, type, b(type))
        assert row is not None, type
        assert (row.version, row.deleted) == (1, False), type


def nowhere(there: Scene, folder: Path) -> None:
    """Nothing of b stands in the log or in any file as it is."""
    assert SECRET.lower() not in there.server.log.getvalue().lower()
    for file in folder.rglob("*"):
        assert not file.is_file() or SECRET.lower().encode() not in file.read_bytes().lower(), file.name


async def covered(there: Scene, done: set[str]) -> None:
    """Metadata names nothing that was not attacked."""
    rest = (await there.http.get("/fhir/metadata")).json()["rest"][0]
    rows = [rest, *rest["resource"]]
    named = {i["code"] for row in rows for i in row.get("interaction", ())}
    assert named <= done, named - done
    assert {o["name"] for row in rows for o in row.get("operation", ())} <= OPERATIONS.keys()


@pytest.mark.slow
async def test_a_patients_token_gets_nothing_of_another_patient(tmp_path: Path) -> None:
    async with scene(tmp_path, "compartment") as there:
        assert await attack(there, types()) == []
        assert there.asked >= 600
        untouched(there, types())
        await covered(there, {ask.interaction for type in types() for ask in asks(type)})


@pytest.mark.parametrize("way", WAYS)
async def test_whatever_hides_a_patient_hides_all_of_it(tmp_path: Path, way: str) -> None:
    async with scene(tmp_path, way, SOME) as there:
        assert await attack(there, SOME) == []
        untouched(there, SOME)
        nowhere(there, tmp_path)
