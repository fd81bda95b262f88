"""The audit trail as FHIR: AuditEvents that are sound, found by every parameter, and shown to who may see them."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from suture.standards.fhir import search as language
from suture.standards.fhir import validate
from suture.store import audit, whose
from suture.store.audit import AuditRow
from tests.server.people import observation, patient
from tests.server.running import Running, outcome_of

RICH = AuditRow(
    "user:1", "search-type", "Observation", "", "", "patient&code", 200, "TREAT", "10.0.0.7", "", "app", "g1",
    ("Patient/p1", "Patient/p2", "#0f"),
)  # fmt: skip
ROWS = [
    RICH,
    AuditRow("user:2", "login", outcome=401, address="10.0.0.8"),
    AuditRow("anonymous", "denied", outcome=403),
    AuditRow("flow:f", "send", "Delivery", "d-1", detail="delivered mllp.send lab", patients=("#0f",)),
    AuditRow("user:3", "reveal", "Message", "0193-x", detail="the lab asked"),
    AuditRow("system", "backup"),
    AuditRow("client:c", "delete", "Observation", "o9", "Patient/p1", outcome=204),
    AuditRow("client:c", "read", "Observation", "o 9", outcome=500),
]


def keep(server: Running, *rows: AuditRow) -> None:
    for row in rows:
        server.app.database.write_now(lambda tx, row=row: audit.append(tx, row))


async def found(server: Running, query: str, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    answer = await server.http.get(f"/fhir/AuditEvent?{query}", headers=headers or {})
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", []) if entry["search"]["mode"] == "match"]


async def test_every_row_is_a_sound_resource(server: Running) -> None:
    keep(server, *ROWS)
    await server.put(patient("p1"))
    await server.http.get("/fhir/Patient?name=x")
    events = await found(server, "_count=1000")
    assert len(events) == len(ROWS) + 3  # the key that was made and two requests of ours
    assert [(event["id"], validate.check(event)) for event in events if validate.check(event)] == []
    rich = next(event for event in events if event.get("purposeOfEvent"))
    assert [agent["altId"] for agent in rich["agent"]] == ["user:1", "client:app"]
    assert [entity["what"].get("reference") for entity in rich["entity"][:3]] == ["Patient/p1", "Patient/p2", None]
    assert rich["entity"][3]["query"] == "T2JzZXJ2YXRpb24/cGF0aWVudCZjb2Rl"


async def test_read_gives_what_search_gave(server: Running) -> None:
    keep(server, *ROWS)
    for event in await found(server, "_count=50"):
        read = await server.http.get(f"/fhir/AuditEvent/{event['id']}")
        assert (read.status_code, read.json()) == (200, event)
    for id in ("audit-0", "audit-01", "audit-999999", "audit--1", "x", "audit-1x"):
        assert (await server.http.get(f"/fhir/AuditEvent/{id}")).status_code == 404, id


QUERIES = (
    "date=ge2000", "date=lt2000", "date=gt2100", "action=R", "action=R,D", "action=E", "outcome=0", "outcome=4", "outcome=4,8", "outcome=8",
    "type=rest", "type=110114", "subtype=read", "subtype=urn:suture:audit-action|send", "patient=p1", "patient=Patient/p2",
    "patient=none", "entity=Observation/o9", "altid=user:1", "altid=client:app", "altid=USER:1", "altid=client:c", "address=10.0.0.7",
    "entity-type=1", "entity-role=24", "entity-name=Message", "agent-name=x", "patient=p1&action=D", "patient=p1,p2",
    "altid:not=user:1", "outcome:not=0", "policy=x", "site=x", "_id=audit-3", "patient:missing=true", "source:identifier=x",
)  # fmt: skip


async def test_every_parameter_finds_what_it_finds_in_memory(server: Running) -> None:
    keep(server, *ROWS)
    everything = await found(server, "_count=1000&_sort=date")
    top = int(everything[-1]["id"].removeprefix("audit-"))
    hits = 0
    for text in QUERIES:
        query = language.parse("AuditEvent", [tuple(part.split("=", 1)) for part in text.split("&")])  # type: ignore[misc]
        wanted = [event["id"] for event in everything if language.matches(query, event)]
        got = [e["id"] for e in await found(server, f"{text}&_count=1000&_sort=date")]
        assert [id for id in got if int(id.removeprefix("audit-")) <= top] == wanted, text
        hits += bool(wanted)
    assert hits > 25


async def test_pages_are_whole_in_both_directions(server: Running) -> None:
    random_rows = random.Random(7)
    for _ in range(60):
        keep(server, random_rows.choice(ROWS))
    for sort in ("date", "-date"):
        ids, url = [], f"/fhir/AuditEvent?patient=p1&_count=7&_sort={sort}"
        while url:
            body = (await server.http.get(url)).json()
            ids += [entry["resource"]["id"] for entry in body.get("entry", [])]
            following = next((link["url"] for link in body["link"] if link["relation"] == "next"), "")
            url = following and urlsplit(following).path + "?" + urlsplit(following).query
        numbers = [int(id.removeprefix("audit-")) for id in ids]
        assert numbers == sorted(set(numbers), reverse=sort == "-date")
        assert len(numbers) >= 10
    counted = (await server.http.get("/fhir/AuditEvent?action=D&_summary=count")).json()
    assert counted["total"] == len(await found(server, "action=D&_count=1000"))


@pytest.mark.parametrize(
    "query",
    ["_include=AuditEvent:patient", "patient.name=x", "_sort=agent", "_sort=date,action", "wrong=1", "_cursor=x"],
)
async def test_what_cannot_be_asked_is_said(server: Running, query: str) -> None:
    assert (await server.http.get(f"/fhir/AuditEvent?{query}")).status_code == 400


async def test_the_trail_is_never_written_from_outside(server: Running) -> None:
    body = {"resourceType": "AuditEvent", "id": "audit-1"}
    for method, path in (
        ("PUT", "/fhir/AuditEvent/audit-1"), ("POST", "/fhir/AuditEvent"), ("DELETE", "/fhir/AuditEvent/audit-1"),
        ("PUT", "/fhir/AuditEvent?altid=x"), ("DELETE", "/fhir/AuditEvent?altid=x"), ("GET", "/fhir/AuditEvent/_history"),
        ("GET", "/fhir/AuditEvent/audit-1/_history"), ("GET", "/fhir/AuditEvent/audit-1/_history/1"),
    ):  # fmt: skip
        answer = await server.http.request(method, path, json=body if method in ("PUT", "POST") else None)
        assert outcome_of(answer) == (405, "not-supported", "AuditEvents are made from the audit trail"), (method, path)
    assert (await server.http.get("/fhir?_type=Patient,AuditEvent")).status_code == 400
    for kind in ("batch", "transaction"):
        entries = [{"request": {"method": "POST", "url": "AuditEvent"}, "resource": body}]
        answer = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": kind, "entry": entries})
        assert "405" in answer.text or answer.status_code == 405


async def test_who_may_see_the_trail(server: Running) -> None:
    keep(server, *ROWS)
    for scopes, status in (
        ("system/AuditEvent.rs", 200), ("system/*.rs", 200), ("user/AuditEvent.s", 200), ("user/*.cruds", 403),
        ("user/Patient.rs", 403), ("system/*.cud", 403), ("system/AuditEvent.r", 403),
    ):  # fmt: skip
        answer = await server.http.get("/fhir/AuditEvent", headers=server.key(scopes))
        assert answer.status_code == status, scopes
        assert server.trail()[-1].outcome == status
    async with httpx.AsyncClient(base_url=server.url) as nobody:
        assert (await nobody.get("/fhir/AuditEvent")).status_code == 401


async def test_patients_see_their_own_rows_and_nothing_of_others(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(patient("p2"))
    await server.put(observation("o2", "p2"))
    number = whose.by_number(server.app.database.read, "mrn-p1")
    keep(
        server,
        *ROWS,
        AuditRow("flow:f", "send", "Delivery", "d-9", detail="delivered mllp.send lab", patients=(number,)),
    )
    entries = [
        {"request": {"method": "PUT", "url": f"Patient/{p}"}, "resource": patient(p, "New")} for p in ("p1", "p2")
    ]
    await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    own = server.key("patient/*.rs", "p1")
    seen = await found(server, "_count=1000", own)
    assert {event["subtype"][-1]["code"] for event in seen} >= {
        "update",
        "search-type",
        "delete",
        "send",
        "transaction",
    }
    for event in seen:
        assert event["entity"] == [seen[0]["entity"][0]]
        assert event["entity"][0]["what"] == {"reference": "Patient/p1"}
        text = str(event)
        assert not any(mark in text for mark in ("p2", "o9", "10.0.0", "patient&code", "lab"))
        assert (await server.http.get(f"/fhir/AuditEvent/{event['id']}", headers=own)).json() == event
    ids = {event["id"] for event in seen}
    for event in await found(server, "_count=1000"):
        answer = await server.http.get(f"/fhir/AuditEvent/{event['id']}", headers=own)
        mine = any(mark in str(event.get("entity")) for mark in ("Patient/p1'", number[1:]))
        assert answer.status_code == (200 if event["id"] in ids or mine else 404), event
    assert await found(server, "patient=p2", own) == []
    assert await found(server, "entity=Observation/o2", own) == []


async def test_a_granular_scope_opens_its_part(server: Running) -> None:
    keep(server, *ROWS)
    part = server.key("system/AuditEvent.rs?action=D")
    seen = await found(server, "_count=1000", part)
    assert {event["action"] for event in seen} == {"D"}
    others = [event["id"] for event in await found(server, "action:not=D")]
    assert (await server.http.get(f"/fhir/AuditEvent/{others[0]}", headers=part)).status_code == 404
