"""What the server says is valid R4 by its own validator: capabilities, bundles of every kind, outcomes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from suture.errors import Issue
from suture.services.interactions import capabilities
from suture.standards.fhir import json, validate
from suture.standards.fhir.definitions import RESOURCE_TYPES
from tests.server.people import encounter, observation, patient, practitioner
from tests.server.running import Running


def errors(answer: httpx.Response) -> list[Issue]:
    return [issue for issue in validate.check(json.read(answer.content)) if issue.severity in ("error", "fatal")]


async def test_the_capability_statement_is_valid(server: Running) -> None:
    answer = await server.http.get("/fhir/metadata")
    assert errors(answer) == []
    statement = answer.json()
    assert {r["type"] for r in statement["rest"][0]["resource"]} == RESOURCE_TYPES
    assert statement["implementation"]["url"] == f"{server.url}/fhir"


async def test_every_interaction_it_names_is_there(server: Running) -> None:
    await server.put(patient("p1"))
    calls = {
        "read": ("GET", "/fhir/Patient/p1"),
        "vread": ("GET", "/fhir/Patient/p1/_history/1"),
        "update": ("PUT", "/fhir/Patient/p1"),
        "patch": ("PATCH", "/fhir/Patient/p1"),
        "create": ("POST", "/fhir/Patient"),
        "history-instance": ("GET", "/fhir/Patient/p1/_history"),
        "history-type": ("GET", "/fhir/Patient/_history"),
        "search-type": ("GET", "/fhir/Patient"),
        "delete": ("DELETE", "/fhir/Patient/p1"),
        "history-system": ("GET", "/fhir/_history"),
        "search-system": ("GET", "/fhir"),
    }
    named = {*capabilities.ON_TYPES, *capabilities.ON_SYSTEM}
    assert named == {*calls, "batch", "transaction"}  # the two have tests of their own
    for method, path in calls.values():
        body = (
            patient("p1")
            if method in ("PUT", "POST")
            else {"resourceType": "Parameters"}
            if method == "PATCH"
            else None
        )
        assert (await server.http.request(method, path, json=body)).status_code < 300, path


async def test_every_search_parameter_it_names_can_be_asked_for(server: Running) -> None:
    values = {
        "token": "x", "string": "x", "reference": "Patient/x", "date": "2020", "number": "1", "quantity": "1", "uri": "urn:x",
        "composite": "x$x", "special": "x", "near": "1|2", "_filter": "_id eq x",
    }  # fmt: skip
    statement = (await server.http.get("/fhir/metadata")).json()
    for kind in (
        "Patient",
        "Observation",
        "Encounter",
        "MedicationRequest",
        "Provenance",
        "Location",
        "ValueSet",
        "Bundle",
    ):
        row = next(r for r in statement["rest"][0]["resource"] if r["type"] == kind)
        for parameter in row["searchParam"]:
            pairs = {parameter["name"]: values.get(parameter["name"], values[parameter["type"]])}
            answer = await server.http.get(f"/fhir/{kind}", params=pairs)
            if parameter["type"] == "composite" and answer.status_code == 400:
                continue  # its second part is a date or a number
            assert answer.status_code == 200, (kind, parameter, answer.text)
        for include in row.get("searchInclude", []):
            assert (await server.http.get(f"/fhir/{kind}?_include={include}")).status_code == 200, include
        for include in row.get("searchRevInclude", [])[:20]:
            assert (await server.http.get(f"/fhir/{kind}?_revinclude={include}")).status_code == 200, include


async def test_bundles_of_every_kind_are_valid(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(patient("p1", "Later"))
    await server.put(practitioner("d1"))
    await server.put(encounter("e1", "p1"))
    await server.put(observation("o1", "p1", performer=[{"reference": "Practitioner/d1"}]))
    await server.put(observation("o2", "p1"))
    await server.http.delete("/fhir/Observation/o2")
    lenient = {"Prefer": "handling=lenient"}
    for path, headers in (
        ("/fhir/Observation?_include=*&_revinclude=Provenance:target&_total=accurate", {}),
        ("/fhir/Observation?_count=1&_elements=status", {}),
        ("/fhir/Patient?_summary=true", {}),
        ("/fhir/Patient?_summary=count", {}),
        ("/fhir/Patient?shoe=9", lenient),
        ("/fhir/Patient?name=nobody", {}),
        ("/fhir?_type=Patient", {}),
        ("/fhir/Patient/p1/_history", {}),
        ("/fhir/Observation/_history?_count=1", {}),
        ("/fhir/_history", {}),
    ):
        answer = await server.http.get(path, headers=headers)
        assert (answer.status_code, errors(answer)) == (200, []), path


@pytest.mark.parametrize("prefer", ["return=minimal", "return=representation"])
@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_responses_are_valid(server: Running, kind: str, prefer: str) -> None:
    await server.put(patient("p1"))
    entries: list[dict[str, Any]] = [
        {"request": {"method": "GET", "url": "Patient/p1"}},
        {"request": {"method": "GET", "url": "Patient?name=x"}},
        {"request": {"method": "GET", "url": "Patient/p1/_history"}},
        {"request": {"method": "PUT", "url": "Patient/p2"}, "resource": patient("p2")},
        {"request": {"method": "POST", "url": "Patient"}, "resource": patient("x")},
        {"request": {"method": "DELETE", "url": "Patient/none"}},
    ]
    if kind == "batch":
        entries += [{"request": {"method": "GET", "url": "Patient/none"}}, {"fullUrl": "x"}]
    bundle = {"resourceType": "Bundle", "type": kind, "entry": entries}
    answer = await server.http.post("/fhir", json=bundle, headers={"Prefer": prefer})
    assert (answer.status_code, errors(answer)) == (200, [])
    assert len(answer.json()["entry"]) == len(entries)


async def test_outcomes_are_valid(server: Running) -> None:
    for method, path, body in (
        ("GET", "/fhir/Patient/none", None),
        ("GET", "/fhir/Patient?wrong=1", None),
        ("GET", "/fhir/Nothing", None),
        ("PATCH", "/fhir/Patient/p1", None),
        ("POST", "/fhir/Patient", {"resourceType": "Patient", "gender": "odd", "birthDate": "x"}),
        ("POST", "/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [{}]}),
    ):
        answer = await server.http.request(method, path, json=body)
        assert answer.status_code >= 400
        assert errors(answer) == [], path
    anonymous = await httpx.AsyncClient().get(f"{server.url}/fhir/Patient")
    assert errors(anonymous) == []


async def test_decimals_keep_their_digits_through_every_answer(server: Running) -> None:
    raw = b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.10}}'
    headers = {"Content-Type": "application/fhir+json", "Prefer": "return=representation"}
    entry = b'{"request":{"method":"PUT","url":"Observation/o"},"resource":%s}' % raw
    bundle = b'{"resourceType":"Bundle","type":"transaction","entry":[%s]}' % entry
    answers = [
        await server.http.post("/fhir", content=bundle, headers=headers),
        await server.http.get("/fhir/Observation/o"),
        await server.http.get("/fhir/Observation?_id=o&_elements=value"),
        await server.http.get("/fhir/Observation/o/_history"),
    ]
    for answer in answers:
        assert b'"value":1.10' in answer.content
    xml = await server.http.get("/fhir/Observation/o?_format=xml")
    assert b'value="1.10"' in xml.content
    assert json.read(answers[1].content)["valueQuantity"]["value"] == Decimal("1.10")
