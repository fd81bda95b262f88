"""One damaged body stops nothing but itself: subscriptions, flows, pages, and whoever mends it by writing it anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from suture.services.subscriptions import notifier
from suture.store import resources, skipped, sound, subscriptions
from suture.store.connection import Tx
from tests import damage
from tests.notified import Hook, happened, searching, subscription, told
from tests.server.people import observation, patient
from tests.server.running import Running, outcome_of, serving


@pytest_asyncio.fixture
async def server(tmp_path: Path, hooked: Hook) -> AsyncIterator[Running]:
    allowed = f"http://127.0.0.1:{hooked.port}"
    async with serving(tmp_path, outbound__allow=allowed, subscriptions__retry_first=0.5) as running:
        yield running


def put_spoiled(server: Running, resource: dict[str, Any]) -> None:
    """Writes a resource whose body can't be read from the beginning, in one commit."""

    def unit(tx: Tx) -> None:
        resources.put(tx, resource["resourceType"], resource["id"], json.dumps(resource).encode())
        damage.spoil(tx, resource["resourceType"], resource["id"])

    server.app.database.write_now(unit)


async def told_of(server: Running, id: str) -> dict[str, Any]:
    found = await server.http.get(f"/fhir/Subscription/{id}/$status")
    assert found.status_code == 200, found.text
    return told(found.json())


async def active(server: Running, resource: dict[str, Any]) -> str:
    found = await server.http.post("/fhir/Subscription", json=resource)
    assert found.status_code == 201, found.text
    id = str(found.json()["id"])
    for _ in range(500):
        if (await told_of(server, id))["status"] == "active":
            return id
        await asyncio.sleep(0.02)
    raise AssertionError("it is not active")


async def test_a_subscription_goes_past_what_can_not_be_read_and_is_told(
    server: Running, hooked: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    id = await active(server, subscription(hooked.url))
    other = await active(server, subscription(hooked.url + "2", "observation-created"))
    put_spoiled(server, patient("lost", name=[{"family": "Secretname"}]))
    await server.put(patient("a"))
    await hooked.until(lambda: hooked.numbers() == [1])
    said = await told_of(server, id)
    assert said["status"] == "active"
    assert said["error"]["text"].startswith("a change of Patient at 20")
    assert said["error"]["text"].endswith("could not be read; if it was an event, it was not sent")
    assert "lost" not in said["error"]["text"]
    assert "error" not in await told_of(server, other)
    assert "subscriptions went past what can't be read: 1 versions" in caplog.text
    assert "Secretname" not in caplog.text + server.log.getvalue()
    assert len(skipped.noted(server.app.database.read)) == 1
    await server.put(patient("a", gender="male"))
    await hooked.until(lambda: hooked.numbers() == [1, 2])


async def test_what_breaks_off_in_between_loses_and_doubles_nothing(
    server: Running, hooked: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "AFTER_FAULT", 0.05)
    id = await active(server, subscription(hooked.url))
    tries, note = [], skipped.note

    def broken_off(tx: Tx, rows: Any) -> None:
        note(tx, rows)
        tries.append(rows)
        if len(tries) < 3:
            raise OSError

    monkeypatch.setattr(skipped, "note", broken_off)

    def unit(tx: Tx) -> None:
        for one in ("a", "lost", "b"):
            resources.put(tx, "Patient", one, json.dumps(patient(one)).encode())
        damage.spoil(tx, "Patient", "lost")

    server.app.database.write_now(unit)
    await server.put(patient("c"))
    await hooked.until(lambda: len(hooked.numbers()) == 3)
    places = [event["focus"][0]["reference"].rpartition("/")[2] for b in hooked.bundles for event in happened(b)]
    assert (len(tries), hooked.numbers(), places) == (3, [1, 2, 3], ["a", "b", "c"])
    assert (await told_of(server, id))["status"] == "active"


async def test_what_comes_after_a_damaged_version_is_an_event(server: Running, hooked: Hook) -> None:
    await server.put(patient("a"))
    await server.put(patient("b"))
    await active(server, subscription(hooked.url))
    damage.body(server.app.database, "Patient", "a")
    await server.put(patient("a", gender="male"))
    await hooked.until(lambda: hooked.numbers() == [1])
    damage.body(server.app.database, "Patient", "b")
    assert (await server.http.delete("/fhir/Patient/b")).status_code == 204
    await server.put(patient("c"))
    await hooked.until(lambda: hooked.numbers() == [1, 2])
    assert [event["focus"][0]["reference"].rpartition("/")[2] for b in hooked.bundles for event in happened(b)] == [
        "a",
        "c",
    ]


async def test_an_event_whose_resource_was_damaged_before_it_was_sent(server: Running, hooked: Hook) -> None:
    await active(server, subscription(hooked.url, content="full-resource"))
    search = await active(server, searching(hooked.url, "Patient?gender=male", "application/fhir+json"))
    hooked.status = 503
    await server.put(patient("a", gender="male"))
    for _ in range(500):  # each tried once, and not again for a while
        if all(kept.tries for kept in subscriptions.every(server.app.database.read)):
            break
        await asyncio.sleep(0.02)
    damage.body(server.app.database, "Patient", "a")
    hooked.status = 200
    await server.put(patient("b", gender="male"))
    await hooked.until(
        lambda: hooked.numbers() == [1, 2] and hooked.paths("/notify/Patient/") == ["PUT /notify/Patient/b"]
    )
    entries = [entry for bundle in hooked.of("event-notification") for entry in bundle["entry"][1:]]
    assert [("resource" in entry, entry["fullUrl"].rpartition("/")[2]) for entry in entries] == [
        (False, "a"),
        (True, "b"),
    ]
    said = await told_of(server, search)
    assert said["error"]["text"] == "event 1 could not be sent: what is stored of its Patient is damaged"


async def test_a_damaged_subscription_ends_itself_alone(server: Running, hooked: Hook) -> None:
    broken = await active(server, subscription(hooked.url + "2"))
    await active(server, subscription(hooked.url))
    damage.body(server.app.database, "Subscription", broken)
    await active(server, subscription(hooked.url + "3"))
    found = await server.http.get("/fhir/Subscription/$status", params={"id": broken})
    assert told(found.json())["status"] == "error"
    assert told(found.json())["error"]["text"] == "what is stored of the Subscription itself is damaged"
    await server.put(patient("a"))
    await hooked.until(lambda: 1 in hooked.numbers())
    again = {**subscription(hooked.url + "2"), "id": broken}
    assert (await server.http.put(f"/fhir/Subscription/{broken}", json=again)).status_code == 200
    for _ in range(500):
        if (await told_of(server, broken))["status"] == "active":
            break
        await asyncio.sleep(0.02)
    else:
        raise AssertionError("it is not taken up again")


# --- written anew


async def test_whoever_has_the_right_version_mends_it(server: Running) -> None:
    whole = await server.put(patient("a", gender="male"))
    damage.body(server.app.database, "Patient", "a")
    broken = await server.http.get("/fhir/Patient/a")
    assert outcome_of(broken) == (500, "exception", "what is stored of it is damaged and can't be read")
    assert broken.json()["issue"][0]["expression"] == ["Patient/a"]
    assert "retry-after" not in broken.headers
    assert broken.json()["issue"][0]["diagnostics"].startswith("Send its right version with PUT")
    change = [{"op": "replace", "path": "/gender", "value": "female"}]
    patched = await server.http.patch(
        "/fhir/Patient/a", json=change, headers={"Content-Type": "application/json-patch+json"}
    )
    assert outcome_of(patched) == (500, "exception", "what is stored of it is damaged and can't be read")
    mended = await server.put(patient("a", gender="female"))
    assert (mended.status_code, mended.headers["etag"]) == (200, 'W/"2"')
    assert (await server.http.get("/fhir/Patient/a")).json()["gender"] == "female"
    old = await server.http.get("/fhir/Patient/a/_history/1")
    assert (old.status_code, old.json()["issue"][0]["expression"]) == (500, ["Patient/a/_history/1"])
    assert outcome_of(old)[2] == "what is stored of it is damaged and can't be read"
    for gender, count in (("male", 0), ("female", 1)):
        assert (await server.http.get(f"/fhir/Patient?gender={gender}")).json().get("total", 0) in (count, 0)
        found = (await server.http.get(f"/fhir/Patient?gender={gender}")).json()
        assert len(found.get("entry", [])) == count
    assert whole.status_code == 201


@pytest.mark.parametrize("way", ["If-Match", "condition", "If-None-Exist", "batch", "transaction", "by condition"])
async def test_every_way_of_writing_over_it(server: Running, way: str) -> None:
    await server.put(patient("a"))
    damage.body(server.app.database, "Patient", "a")
    new, search = patient("a", gender="other"), {"identifier": "http://example.org/mrn|mrn-a"}
    if way == "If-Match":
        late = await server.http.put("/fhir/Patient/a", json=new, headers={"If-Match": 'W/"2"'})
        assert late.status_code == 412
        answer = await server.http.put("/fhir/Patient/a", json=new, headers={"If-Match": 'W/"1"'})
    elif way == "condition":
        answer = await server.http.put("/fhir/Patient", params=search, json=new)
    elif way == "If-None-Exist":
        asked = {"If-None-Exist": "identifier=http://example.org/mrn|mrn-a"}
        refused = await server.http.post("/fhir/Patient", json=patient("x"), headers=asked)
        assert outcome_of(refused) == (500, "exception", "what is stored of it is damaged and can't be read")
        there = await server.http.put("/fhir/Patient/a", json=new, headers={"If-None-Match": "*"})
        assert there.status_code == 412
        return
    else:
        url = "Patient?identifier=http://example.org/mrn|mrn-a" if way == "by condition" else "Patient/a"
        kind = "batch" if way == "batch" else "transaction"
        entry = {"fullUrl": "urn:uuid:5b0d2b0c-6a5e-4d5e-9a65-3d7d4a7f6f10", "resource": new}
        entry |= {"request": {"method": "PUT", "url": url}}
        answer = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert answer.json()["entry"][0]["response"]["status"].startswith("200"), answer.text
    assert answer.status_code == 200, answer.text
    assert (await server.http.get("/fhir/Patient/a")).json()["gender"] == "other"


async def test_a_damaged_one_is_deleted(server: Running) -> None:
    await server.put(patient("a"))
    await server.put(patient("b"))
    damage.body(server.app.database, "Patient", "a")
    assert (await server.http.delete("/fhir/Patient/a")).status_code == 204
    assert (await server.http.get("/fhir/Patient/a")).status_code == 410
    found = (await server.http.get("/fhir/Patient?identifier=http://example.org/mrn|mrn-a")).json()
    assert "entry" not in found
    damage.body(server.app.database, "Patient", "b")
    where = {"identifier": "http://example.org/mrn|mrn-b"}
    assert (await server.http.delete("/fhir/Patient", params=where)).status_code == 204
    assert (await server.http.get("/fhir/Patient/b")).status_code == 410


async def test_who_reaches_a_part_of_the_type_gets_the_answer_for_unknown(server: Running) -> None:
    for id in ("a", "b"):
        await server.put(patient(id))
        await server.put(observation(f"o{id}", id))
    bound = server.key("patient/*.cruds", patient="a")
    before = {}
    for id in ("a", "b"):
        before[id] = damage.body(server.app.database, "Observation", f"o{id}")
    for id, whose in (("oa", "a"), ("ob", "b"), ("none", "a")):
        new = observation(id, whose if whose == "a" else "a", value="anew")
        answers = [
            await server.http.get(f"/fhir/Observation/{id}", headers=bound),
            await server.http.get(f"/fhir/Observation/{id}/_history/1", headers=bound),
            await server.http.get(f"/fhir/Observation/{id}/_history", headers=bound),
            await server.http.put(f"/fhir/Observation/{id}", json=new, headers=bound),
            await server.http.put(f"/fhir/Observation/{id}", json=new, headers={**bound, "If-None-Match": "*"}),
        ]
        assert {outcome_of(answer) for answer in answers} == {(404, "not-found", "no such Observation")}
        assert (await server.http.delete(f"/fhir/Observation/{id}", headers=bound)).status_code == 204
    database = server.app.database
    for id in ("a", "b"):
        found = database.read.one("SELECT ver, op FROM res WHERE rid = ?", (rid_of(server, f"o{id}"),))
        assert found is not None
        assert found[0] == 1
        database.write_now(lambda tx, i=id: damage.spoil(tx, "Observation", f"o{i}", 0, before[i]))
        assert (await server.http.get(f"/fhir/Observation/o{id}")).status_code == 200


def rid_of(server: Running, id: str) -> int:
    row = sound.read(server.app.database.read, "Observation", id)
    assert row is not None
    return row.rid


# --- pages


def read_of(bundle: dict[str, Any]) -> list[str]:
    """Type/id of all entries that hold a resource."""
    found = (e["resource"] for e in bundle.get("entry", ()) if "resource" in e)
    return sorted(f"{r['resourceType']}/{r['id']}" for r in found if r["resourceType"] != "OperationOutcome")


def outcomes(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The issues of entries with the mode outcome."""
    told = (e for e in bundle.get("entry", ()) if e.get("search", {}).get("mode") == "outcome")
    return [issue for e in told for issue in e["resource"]["issue"]]


def named_in(bundle: dict[str, Any]) -> list[str]:
    issues = outcomes(bundle)
    assert {issue["details"]["text"] for issue in issues} <= {"what is stored of it is damaged and can't be read"}
    return sorted(place for issue in issues for place in issue["expression"])


async def got(server: Running, path: str, **headers: str) -> dict[str, Any]:
    answer = await server.http.get(f"/fhir/{path}", headers=headers)
    assert answer.status_code == 200, (path, answer.text)
    return dict(answer.json())


@pytest_asyncio.fixture
async def chart(server: Running) -> Running:
    """Two people with two observations each; of Ann one is damaged."""
    for id in ("ann", "bob"):
        await server.put(patient(id))
        for n in (1, 2):
            await server.put(observation(f"{id}{n}", id))
    damage.body(server.app.database, "Observation", "ann1")
    return server


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("Observation", ["ann2", "bob1", "bob2"]),
        ("Observation?_elements=status", ["ann2", "bob1", "bob2"]),
        ("Observation?_summary=true&_sort=-date", ["ann2", "bob1", "bob2"]),
        ("Observation?subject=Patient/ann", ["ann2"]),
        ("Observation?_id=ann1", []),
        ("Patient/ann/Observation", ["ann2"]),
        ("Observation/$lastn?patient=ann&max=9", ["ann2"]),
        ("Observation/$lastn?patient=ann", ["ann2"]),
    ],
)
async def test_a_page_names_what_can_not_be_read(chart: Running, path: str, rest: list[str]) -> None:
    found = await got(chart, path)
    assert read_of(found) == [f"Observation/{id}" for id in rest]
    assert named_in(found) == ["Observation/ann1"]


async def test_includes_and_everything_name_it_too(chart: Running) -> None:
    found = await got(chart, "Patient?_id=ann&_revinclude=Observation:subject")
    assert (read_of(found), named_in(found)) == (["Observation/ann2", "Patient/ann"], ["Observation/ann1"])
    found = await got(chart, "Patient/ann/$everything")
    assert (read_of(found), named_in(found)) == (["Observation/ann2", "Patient/ann"], ["Observation/ann1"])
    damage.body(chart.app.database, "Patient", "ann")
    found = await got(chart, "Observation?subject=Patient/ann&_include=Observation:subject")
    assert (read_of(found), named_in(found)) == (["Observation/ann2"], ["Observation/ann1", "Patient/ann"])
    found = await got(chart, "Patient/ann/$everything")
    assert (read_of(found), named_in(found)) == (["Observation/ann2"], ["Observation/ann1", "Patient/ann"])
    found = await got(chart, "Patient/bob/$everything")
    assert (len(read_of(found)), outcomes(found)) == (3, [])


async def test_pages_go_on_behind_it_and_count_it(chart: Running) -> None:
    seen, named, path = [], [], "Observation?_count=1&_total=accurate"
    for _ in range(5):
        found = await got(chart, path)
        assert found.get("total", 4) == 4
        seen, named = seen + read_of(found), named + named_in(found)
        after = [link["url"] for link in found["link"] if link["relation"] == "next"]
        if not after:
            break
        path = after[0].partition("/fhir/")[2]
    assert (sorted(seen), named) == (["Observation/ann2", "Observation/bob1", "Observation/bob2"], ["Observation/ann1"])


async def test_histories_show_the_version_without_its_content(chart: Running) -> None:
    await chart.put(observation("ann1", "ann", value="anew"))
    for path, count in (("Observation/ann1/_history", 2), ("Observation/_history", 5), ("_history", 7)):
        found = await got(chart, path)
        lost = [e for e in found["entry"] if "resource" not in e]
        assert len(found["entry"]) == count
        [entry] = lost
        assert (entry["request"]["method"], entry["response"]["etag"]) == ("PUT", 'W/"1"')
        issue = entry["response"]["outcome"]["issue"][0]
        assert (issue["code"], issue["expression"]) == ("exception", ["Observation/ann1"])
    damage.body(chart.app.database, "Observation", "ann1")
    assert [("resource" in e) for e in (await got(chart, "Observation/ann1/_history"))["entry"]] == [False, False]


async def test_who_reaches_a_part_is_told_how_many_and_not_which(chart: Running) -> None:
    damage.body(chart.app.database, "Observation", "bob1")
    ann = chart.key("patient/*.rs", patient="ann")
    for path in ("Observation", "Patient/ann/$everything", "Observation/$lastn?patient=ann", "Observation?_id=ann1"):
        found = await got(chart, path, **ann)
        [issue] = outcomes(found)
        assert (
            issue["details"]["text"]
            == "left out, for what is stored of it is damaged and can't be read: 1 of the chart"
        )
        assert "expression" not in issue
        assert "bob" not in json.dumps(found)
        assert "ann1" not in json.dumps(found["entry"])
    assert outcomes(await got(chart, "Observation?_id=bob1", **ann)) == []
    found = await got(chart, "Observation/_history", **ann)
    assert read_of(found) == ["Observation/ann2"]
    asked = {"query": "{ObservationList {id}}"}
    said = await chart.http.post("/fhir/$graphql", json=asked, headers=ann)
    assert "damaged" in said.text
    assert "ann1" not in said.text


async def test_graphql_says_which_one_it_could_not_read(chart: Running) -> None:
    said = await chart.http.post("/fhir/$graphql", json={"query": '{ObservationList(subject: "Patient/ann") {id}}'})
    assert said.status_code == 500
    assert said.json()["issue"][0]["expression"] == ["Observation/ann1"]
    said = await chart.http.post("/fhir/$graphql", json={"query": '{ObservationList(subject: "Patient/bob") {id}}'})
    assert len(said.json()["data"]["ObservationList"]) == 2


async def test_where_a_consent_decides_what_can_not_be_read_is_counted_only(chart: Running) -> None:
    await chart.put(DENIED)
    viewer = chart.key("system/*.rs")
    found = await got(chart, "Observation", **viewer)
    assert read_of(found) == ["Observation/ann2", "Observation/bob1", "Observation/bob2"]  # another code is denied
    [issue] = outcomes(found)
    assert issue["details"]["text"].endswith("can't be read: 1 of the chart")
    assert "ann1" not in json.dumps(found)
    damage.body(chart.app.database, "Consent", "no")  # nobody knows any more what Ann denies
    found = await got(chart, "Observation", **viewer)
    assert read_of(found) == ["Observation/bob1", "Observation/bob2"]
    assert (await chart.http.get("/fhir/Observation/ann2", headers=viewer)).status_code == 404


DENIED = {
    "resourceType": "Consent",
    "id": "no",
    "status": "active",
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
    "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
    "patient": {"reference": "Patient/ann"},
    "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]},
    "provision": {"type": "deny", "code": [{"coding": [{"system": "http://loinc.org", "code": "1-1"}]}]},
}
