"""$match over HTTP: the likeliest first, certain only when nobody comes near, nobody whom the caller may not see."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.running import Running, outcome_of

ANN: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "Example", "given": ["Ann"]}],
    "birthDate": "1980-02-03",
    "gender": "female",
    "telecom": [{"system": "phone", "value": "555-0123"}],
    "address": [{"line": ["12 Oak Street"], "city": "Town", "postalCode": "12345"}],
}
HERE: dict[str, dict[str, Any]] = {
    "ann": ANN,
    "twin": {**ANN, "name": [{"family": "Example", "given": ["Bea"]}]},
    "typo": {**ANN, "name": [{"family": "Exampel", "given": ["Ann"]}], "birthDate": "1980-03-02", "telecom": []},
    "other": {
        **ANN,
        "name": [{"family": "Zed", "given": ["Kim"]}],
        "birthDate": "1950-01-01",
        "telecom": [],
        "address": [],
    },
}


async def fill(server: Running) -> None:
    for id, person in HERE.items():
        await server.put({key: value for key, value in {**person, "id": id}.items() if value != []})


async def match(server: Running, person: Any, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    rows = [{"name": name, value[0]: value[1]} for name, value in more.items()]
    body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": person}, *rows]}
    return await server.http.post("/fhir/Patient/$match", json=body, headers=headers)


def graded(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "searchset"
    found = [(e["resource"]["id"], e["search"]) for e in bundle.get("entry", [])]
    scores = [search["score"] for _, search in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    return [(id, search["extension"][0]["valueCode"]) for id, search in found]


async def test_the_likeliest_stands_first_and_alone_is_certain(server: Running) -> None:
    await fill(server)
    found = graded(await match(server, ANN))
    assert found[0] == ("ann", "certain")
    assert dict(found) == {"ann": "certain", "twin": "possible", "typo": "probable"}
    assert graded(await match(server, ANN, count=("valueInteger", 1))) == [("ann", "certain")]
    assert graded(await match(server, ANN, onlyCertainMatches=("valueBoolean", True))) == [("ann", "certain")]
    last = server.trail()[-1]
    assert (last.what, last.patient) == ("$match", "Patient/ann")


async def test_of_two_alike_none_is_certain(server: Running) -> None:
    await fill(server)
    await server.put({**ANN, "id": "again"})
    assert dict(graded(await match(server, ANN)))["ann"] == "probable"
    assert graded(await match(server, ANN, onlyCertainMatches=("valueBoolean", True))) == []


async def test_a_record_that_was_replaced_is_not_certain(server: Running) -> None:
    await server.put({**ANN, "id": "old", "link": [{"other": {"reference": "Patient/new"}, "type": "replaced-by"}]})
    assert graded(await match(server, ANN)) == [("old", "probable")]


async def test_little_that_is_known_finds_what_is_possible(server: Running) -> None:
    await fill(server)
    some = {"resourceType": "Patient", "name": [{"family": "Example", "given": ["A"]}], "birthDate": "1980"}
    assert dict(graded(await match(server, some)))["ann"] == "possible"
    assert graded(await match(server, {"resourceType": "Patient", "birthDate": "1999-01-01"})) == []
    assert graded(await match(server, {"resourceType": "Patient"})) == []
    plain = await server.http.post("/fhir/Patient/$match", json=ANN)
    assert graded(plain)[0] == ("ann", "certain")


async def test_nobody_is_shown_whom_the_caller_may_not_see(server: Running) -> None:
    await fill(server)
    own = server.key("patient/*.rs", patient="twin")
    found = await match(server, ANN, headers=own)
    assert graded(found) == [("twin", "possible")]
    assert "555-0123" in found.text
    assert "Patient/ann" not in found.text
    none = server.key("system/Observation.rs")
    assert (await match(server, ANN, headers=none)).status_code == 403


@pytest.mark.parametrize(
    ("person", "status", "text"),
    [
        ({"resourceType": "Observation"}, 400, "not a Patient"),
        ({"resourceType": "Patient", "name": "Ann"}, 422, None),
        ({"resourceType": "Patient", "name": [{"given": "Ann"}]}, 422, None),
        ({"resourceType": "Patient", "birthDate": "soon"}, 422, None),
        ([], 400, "must be a resource"),
    ],
)
async def test_what_is_no_patient_is_refused(server: Running, person: Any, status: int, text: str | None) -> None:
    answer = await match(server, person)
    assert answer.status_code == status, answer.text
    assert text is None or outcome_of(answer)[2] == text
    missing = await server.http.post("/fhir/Patient/$match", json={"resourceType": "Parameters"})
    assert outcome_of(missing)[2] == "$match needs resource"
