"""Every interaction that metadata names, on every type that is a patient's, against a patient one may not see: 0 leaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
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
PATCH = {"Content-Type": "application/json-patch+json"}
TAG = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]}
MATCH = {
    "resourceType": "Parameters",
    "parameter": [
        {"name": "resource", "resource": {"resourceType": "Patient", "name": [{"family": SECRET}],
                                          "identifier": [{"system": "http://example.org/ids", "value": SECRET}]}},
        {"name": "count", "valueInteger": 9},
    ],
}  # fmt: skip
# operations that metadata may name: how each is asked about b of a type; one that is missing here fails the test.
# `export` is asked by `exported` below: it takes several requests.
OPERATIONS: dict[str, Callable[[str, str], list[tuple[str, str, Any]]]] = {
    "everything": lambda type, place: [
        ("GET", f"{place}/$everything", None), ("GET", "/fhir/Patient/a/$everything", None), ("GET", "/fhir/Patient/$everything", None),
        ("GET", "/fhir/Encounter/a-visit/$everything", None),
    ],
    "lastn": lambda type, place: [("GET", f"/fhir/Observation/$lastn?patient={who}&max=9", None) for who in ("bsecret", "a,bsecret")],
    "docref": lambda type, place: [("GET", "/fhir/DocumentReference/$docref?patient=bsecret", None)],
    "meta": lambda type, place: [("GET", f"{place}/$meta", None), ("GET", f"/fhir/{type}/$meta", None), ("GET", "/fhir/$meta", None)],
    "meta-add": lambda type, place: [("POST", f"{place}/$meta-add", TAG)],
    "meta-delete": lambda type, place: [("POST", f"{place}/$meta-delete", TAG)],
    "validate": lambda type, place: [("GET", f"{place}/$validate", None), ("POST", f"{place}/$validate", made(type, b(type), "a", "Amark"))],
    "graphql": lambda type, place: [
        ("GET", f"{place}/$graphql?query={{id}}", None),
        ("POST", "/fhir/$graphql", {"query": f'{{{type}(id:"{b(type)}"){{id}}}}'}),
        ("POST", "/fhir/$graphql", {"query": f'{{{type}List(_id:"{b(type)}"){{id}}}}'}),
        ("POST", "/fhir/$graphql", {"query": f"{{{type}List(_count:100){{id}}}}"}),
    ],
    "match": lambda type, place: [("POST", "/fhir/Patient/$match", MATCH)],
    "expand": lambda type, place: [("GET", "/fhir/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender", None)],
    "validate-code": lambda type, place: [
        ("GET", f"/fhir/{kind}/$validate-code?url=http://hl7.org/fhir/administrative-gender&code=male", None)
        for kind in ("ValueSet", "CodeSystem")
    ],
    "lookup": lambda type, place: [("GET", "/fhir/CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male", None)],
    "subsumes": lambda type, place: [("GET", "/fhir/CodeSystem/$subsumes?system=http://hl7.org/fhir/administrative-gender&codeA=male&codeB=male", None)],
    "translate": lambda type, place: [("GET", "/fhir/ConceptMap/$translate?code=male&system=http://hl7.org/fhir/administrative-gender", None)],
    "status": lambda type, place: [("GET", "/fhir/Subscription/$status", None)],
    "events": lambda type, place: [("GET", "/fhir/Subscription/none/$events", None)],
    "resend": lambda type, place: [("POST", "/fhir/Subscription/none/$resend", {})],
    "get-ws-binding-token": lambda type, place: [("GET", "/fhir/Subscription/$get-ws-binding-token", None)],
    "export": lambda type, place: [],
}  # fmt: skip


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
    for name, way in OPERATIONS.items():
        for method, path, body in way(type, place):
            yield Ask(f"${name}", method, path, {}, {"json": body} if body is not None else {})
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
    change = {"content": b'[{"op": "replace", "path": "/language", "value": "de"}]'}
    yield Ask("patch", "PATCH", place, PATCH, change)
    yield Ask("patch", "PATCH", f"{found}?{search}", PATCH, change)
    yield Ask("patch", "PATCH", place, PATCH, {"content": b'[{"op": "test", "path": "/id", "value": "x"}]'})
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


async def exported(there: Scene) -> list[str]:
    """The files of every export that may be asked for, as far as they name b."""
    leaks = []
    for place in ("/fhir/$export", "/fhir/Patient/$export", "/fhir/Patient/$export?patient=bsecret"):
        kicked = await there.http.get(place, headers={"Prefer": "respond-async"})
        if kicked.status_code != 202:
            continue
        manifest = await _ended(there, kicked.headers["content-location"])
        for file in manifest["output"] + manifest["deleted"]:
            text = (await there.http.get(file["url"])).text
            leaks += [f"{place}: {line[:200]}" for line in text.splitlines() if SECRET.lower() in line.lower()]
    return leaks


async def _ended(there: Scene, place: str) -> dict[str, Any]:
    for _ in range(200):
        state = await there.http.get(place)
        if state.status_code == 200:
            found: dict[str, Any] = state.json()
            return found
        await asyncio.sleep(0.15)
    raise AssertionError("the export does not end")


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
        assert await exported(there) == []
        untouched(there, types())
        await covered(there, {ask.interaction for type in types() for ask in asks(type)})


@pytest.mark.parametrize("way", WAYS)
async def test_whatever_hides_a_patient_hides_all_of_it(tmp_path: Path, way: str) -> None:
    async with scene(tmp_path, way, SOME) as there:
        assert await attack(there, SOME) == []
        assert await exported(there) == []
        untouched(there, SOME)
        nowhere(there, tmp_path)
