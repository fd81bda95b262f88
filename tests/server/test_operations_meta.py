"""$meta of a type and of the whole server: all that is in use, and nothing of what the caller may not see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import suture.services.operations.meta_in_use as meta_in_use
from tests.attacks.world import LABEL, consent, put
from tests.server.people import observation, patient
from tests.server.running import Running, serving

TAGS = "urn:lists"


def tag(code: str, **more: str) -> dict[str, str]:
    return {"system": TAGS, "code": code, **more}


def dressed(resource: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {**resource, "meta": meta}


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with serving(tmp_path) as running:
        members = [
            dressed(patient("p1"), tag=[tag("Recall", display="To be called")], profile=["urn:a"]),
            dressed(patient("p2"), tag=[tag("recall"), {"code": "bare"}], profile=["urn:a|2"]),
            dressed(patient("p3"), tag=[tag("secret")], security=[LABEL], profile=["urn:hidden"]),
            dressed(observation("o1", "p1"), tag=[tag("lab")], security=[{"system": "urn:own", "code": "blue"}]),
            dressed(observation("o2", "p2"), tag=[tag("other")]),
        ]
        await put(running, members)
        yield running


async def told(server: Running, path: str, headers: dict[str, str] | None = None) -> dict[str, set[str]]:
    """The codes of each kind."""
    answer = await server.http.get(f"/fhir/{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    [row] = answer.json()["parameter"]
    assert row["name"] == "return"
    meta = row["valueMeta"]
    return {
        kind: {value if isinstance(value, str) else value["code"] for value in meta.get(kind, ())}
        for kind in ("profile", "tag", "security")
    }


async def test_all_of_a_type(server: Running) -> None:
    everything = server.key("system/*.cruds")
    server.attribute(clearance="*")
    found = await told(server, "Patient/$meta", everything)
    assert found["profile"] == {"urn:a", "urn:a|2", "urn:hidden"}
    assert {code.lower() for code in found["tag"]} == {"recall", "bare", "secret"}
    assert len(found["tag"]) == 3  # one whatever its case, as it was written
    assert found["security"] == {LABEL["code"]}


async def test_all_of_the_server(server: Running) -> None:
    found = await told(server, "$meta")
    assert {code.lower() for code in found["tag"]} == {"recall", "bare", "lab", "other"}
    assert found["security"] == {"blue"}
    row = server.trail()[-1]
    assert (row.what, row.outcome, row.patient, row.patients) == ("$meta", 200, "", ())


async def test_what_a_label_hides_is_not_told_of(server: Running) -> None:
    found = await told(server, "Patient/$meta")
    assert (found["profile"], found["security"]) == ({"urn:a", "urn:a|2"}, set())
    assert "secret" not in found["tag"]


async def test_what_a_consent_keeps_back_is_not_told_of(server: Running) -> None:
    await put(server, [consent() | {"id": "c1", "patient": {"reference": "Patient/p1"}}])
    found = await told(server, "$meta")
    assert {code.lower() for code in found["tag"]} == {"recall", "bare", "other"}
    assert found["security"] == set()


async def test_a_patient_learns_the_labels_of_its_own_record(server: Running) -> None:
    own = server.key("patient/*.rs", "p1")
    found = await told(server, "$meta", own)
    assert (found["tag"], found["profile"]) == ({"Recall", "lab"}, {"urn:a"})
    assert server.trail()[-1].patient == "Patient/p1"
    assert (await told(server, "Observation/$meta", own))["tag"] == {"lab"}


async def test_a_granular_scope_gives_what_it_reaches_and_names_whose_it_is(server: Running) -> None:
    some = server.key("user/Observation.rs?_tag=other")
    found = await told(server, "$meta", some)
    assert found == {"profile": set(), "tag": {"other"}, "security": set()}
    assert server.trail()[-1].patient == "Patient/p2"


async def test_without_the_right_to_search_there_is_a_reason(server: Running) -> None:
    reader = server.key("user/Patient.r")
    for path in ("Patient/$meta", "$meta"):
        answer = await server.http.get(f"/fhir/{path}", headers=reader)
        issue = answer.json()["issue"][0]
        assert (answer.status_code, issue["code"]) == (403, "forbidden")
        assert "It needs a scope such as user/" in issue["diagnostics"]
    assert (await server.http.get("/fhir/AuditEvent/$meta")).status_code == 405
    assert (await server.http.get("/fhir/Nothing/$meta")).status_code == 404


async def test_nothing_in_use_is_valid_fhir(server: Running) -> None:
    answer = await server.http.post("/fhir/Slot/$meta", json={"resourceType": "Parameters"})
    assert answer.status_code == 200
    asked = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": answer.json()}]}
    checked = await server.http.post("/fhir/Parameters/$validate", json=asked)
    assert checked.json()["issue"][0]["severity"] == "information", checked.text


async def test_too_many_are_refused_with_what_to_ask(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meta_in_use, "MOST", 2)
    answer = await server.http.get("/fhir/$meta")
    issue = answer.json()["issue"][0]
    assert (answer.status_code, issue["code"], issue["expression"]) == (422, "too-costly", ["$meta"])
    assert issue["diagnostics"] == "Ask for one type or one resource, or search by _profile, _tag or _security."
    monkeypatch.setitem(server.app.settings._values, "search.budget", 0.0)
    answer = await server.http.get("/fhir/Patient/$meta")
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["Patient"])


async def test_in_a_batch(server: Running) -> None:
    entries = [{"request": {"method": "GET", "url": url}} for url in ("$meta", "Patient/$meta", "Patient/p3/$meta")]
    answer = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    found = answer.json()["entry"]
    assert [entry["response"]["status"] for entry in found] == ["200", "200", "404"]
    assert "secret" not in answer.text
