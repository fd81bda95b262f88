"""Subscriptions over a real server and a real endpoint: handshake, numbers, filters, errors and recovery, access at each send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from suture.access.people import revoke_client
from tests.notified import Hook, happened, hook, let, subscription, told
from tests.server.people import observation, patient
from tests.server.running import Running, outcome_of, serving


@pytest_asyncio.fixture
async def server(tmp_path: Path, hooked: Hook) -> AsyncIterator[Running]:
    async with serving(
        tmp_path,
        outbound__allow=f"http://127.0.0.1:{hooked.port}",
        subscriptions__retry_first=0.05,
        subscriptions__attempts=3,
    ) as running:
        yield running


async def made(server: Running, resource: dict[str, Any], **headers: str) -> str:
    found = await server.http.post("/fhir/Subscription", json=resource, headers=headers)
    assert found.status_code == 201, found.text
    assert found.json()["status"] == "requested"
    return str(found.json()["id"])


async def status_of(server: Running, id: str) -> dict[str, Any]:
    found = await server.http.get(f"/fhir/Subscription/{id}/$status")
    assert found.status_code == 200, found.text
    bundle = found.json()
    assert bundle["type"] == "searchset"
    return told(bundle)


async def active(server: Running, hooked: Hook, resource: dict[str, Any], **headers: str) -> str:
    id = await made(server, resource, **headers)
    await until_status(server, id, "active")
    return id


async def until_status(server: Running, id: str, wanted: str) -> dict[str, Any]:
    return await told_until(server, id, "status", wanted)


async def told_until(server: Running, id: str, name: str, wanted: str) -> dict[str, Any]:
    """The status once it says so."""
    for _ in range(600):
        if (found := await status_of(server, id))[name] == wanted:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} is not {wanted}: {found}")


async def test_handshake_then_numbered_events_in_order(server: Running, hooked: Hook) -> None:
    id = await active(server, hooked, subscription(hooked.url, header=["X-Proof: abc", "Authorization: Bearer s3cret"]))
    headers, shake = hooked.came[0]
    assert told(shake)["type"] == "handshake"
    assert told(shake)["status"] == "requested"
    assert headers["content-type"] == "application/fhir+json"
    assert (headers["x-proof"], headers["authorization"]) == ("abc", "Bearer s3cret")
    for n in range(5):
        await server.put(patient(f"p{n}"))
    await hooked.until(lambda: len(hooked.numbers()) == 5)
    assert hooked.numbers() == [1, 2, 3, 4, 5]
    for bundle in hooked.of("event-notification"):
        assert bundle["type"] == "history"
        assert all("request" in entry and "response" in entry for entry in bundle["entry"])
        assert bundle["entry"][0]["request"]["url"].endswith(f"Subscription/{id}/$status")
        assert all("resource" not in entry and entry["fullUrl"] for entry in bundle["entry"][1:])
    assert (await server.http.get(f"/fhir/Subscription/{id}")).json()["status"] == "active"
    assert (await status_of(server, id))["events-since-subscription-start"] == "5"


async def test_full_resources_filters_and_includes(server: Running, hooked: Hook) -> None:
    await server.put(patient("p1"))
    await server.put(patient("p2"))
    await active(
        server,
        hooked,
        subscription(hooked.url, "observation-created", "full-resource", ("Observation?patient=Patient/p1",)),
    )
    await server.put(observation("o2", "p2"))
    await server.put(observation("o1", "p1"))
    await hooked.until(lambda: bool(hooked.numbers()))
    (bundle,) = hooked.of("event-notification")
    (event,) = happened(bundle)
    assert event["focus"][0]["reference"].endswith("/Observation/o1")
    assert event["additional-context"][0]["reference"].endswith("/Patient/p1")
    shown = [entry["resource"]["id"] for entry in bundle["entry"][1:]]
    assert sorted(shown) == ["o1", "p1"]
    assert "o2" not in str(bundle)
    assert [row.patient for row in await server.disclosed(2)] == ["", "Patient/p1"]


async def test_empty_says_nothing_but_the_number(server: Running, hooked: Hook) -> None:
    await active(server, hooked, subscription(hooked.url, content="empty"))
    await server.put(patient("p1"))
    await hooked.until(lambda: bool(hooked.numbers()))
    (bundle,) = hooked.of("event-notification")
    assert len(bundle["entry"]) == 1
    assert set(happened(bundle)[0]) == {"event-number", "timestamp"}
    assert "topic" not in told(bundle)
    assert "p1" not in str(bundle)


async def test_a_handshake_that_fails_is_an_error(server: Running, hooked: Hook) -> None:
    hooked.status = 500
    id = await made(server, subscription(hooked.url))
    found = await until_status(server, id, "error")
    assert found["error"]["text"] == "the endpoint answered 500"
    assert (await server.http.get(f"/fhir/Subscription/{id}")).json()["error"] == "the endpoint answered 500"


@pytest.mark.slow
async def test_retries_then_error_then_the_client_takes_it_up_again(server: Running, hooked: Hook) -> None:
    id = await active(server, hooked, subscription(hooked.url))
    hooked.status = 503
    await server.put(patient("p1"))
    await until_status(server, id, "error")
    await server.put(patient("p2"))
    await told_until(server, id, "events-since-subscription-start", "2")
    hooked.status = 200
    again = (await server.http.get(f"/fhir/Subscription/{id}")).json() | {"status": "active"}
    found = await server.http.put(f"/fhir/Subscription/{id}", json=again)
    assert (found.status_code, found.json()["status"]) == (200, "requested")
    assert "error" not in found.json()
    await hooked.until(lambda: len(hooked.numbers()) == 2)
    assert hooked.numbers() == [1, 2]
    missed = (
        await server.http.get(f"/fhir/Subscription/{id}/$events?eventsSinceNumber=2&content=full-resource")
    ).json()
    assert missed["type"] == "history"
    assert told(missed)["type"] == "query-event"
    assert [event["event-number"] for event in happened(missed)] == [["2"]]
    assert missed["entry"][1]["resource"]["id"] == "p2"


@pytest.mark.slow
async def test_batches_hold_at_most_what_was_asked_for(server: Running, hooked: Hook) -> None:
    hooked.wait = 0.5
    await active(server, hooked, subscription(hooked.url, most=2))
    entries = [{"resource": patient(f"p{n}"), "request": {"method": "PUT", "url": f"Patient/p{n}"}} for n in range(5)]
    sent = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert sent.status_code == 200, sent.text
    await hooked.until(lambda: len(hooked.numbers()) == 5)
    assert [len(happened(bundle)) for bundle in hooked.of("event-notification")] == [2, 2, 1]


async def test_access_is_judged_when_it_is_sent(server: Running, hooked: Hook) -> None:
    """A program sees its patient alone; when it is let in no longer, nothing goes out and the subscription says why."""
    await server.put(patient("p1"))
    await server.put(patient("p2"))
    key = server.key("patient/*.cruds system/Subscription.cruds", "p1")
    id = await active(server, hooked, subscription(hooked.url, "observation-changed", "full-resource"), **key)
    await server.put(observation("o2", "p2"))
    await server.put(observation("o1", "p1"))
    await hooked.until(lambda: bool(hooked.numbers()))
    assert hooked.numbers() == [1]
    assert "o2" not in str(hooked.bundles)
    assert "p2" not in str(hooked.bundles)
    revoke_client(server.app.database, server.made[-1])
    await server.put(observation("o3", "p1"))
    found = await until_status(server, id, "error")
    assert "let in no longer" in found["error"]["text"]
    assert "o3" not in str(hooked.bundles)
    assert found["events-since-subscription-start"] == "2"


async def test_off_and_deleted_end_it(server: Running, hooked: Hook) -> None:
    id = await active(server, hooked, subscription(hooked.url))
    resource = (await server.http.get(f"/fhir/Subscription/{id}")).json()
    found = await server.http.put(f"/fhir/Subscription/{id}", json=resource | {"status": "off"})
    assert found.json()["status"] == "off"
    await server.put(patient("p1"))
    other = await active(server, hooked, subscription(hooked.url))
    await server.put(patient("p2"))
    await hooked.until(lambda: bool(hooked.numbers()))
    assert [told(b)["subscription"]["reference"].rpartition("/")[2] for b in hooked.of("event-notification")] == [other]
    assert (await server.http.delete(f"/fhir/Subscription/{other}")).status_code == 204
    assert (await server.http.get(f"/fhir/Subscription/{other}/$status")).status_code == 410
    listed = (await server.http.get("/fhir/Subscription/$status?status=off")).json()
    assert listed["total"] == 1


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"criteria": "http://example.org/no-topic"}, "Subscription.criteria"),
        ({"filters": ("Patient?birthdate=2000-01-01",)}, "Subscription.criteria.extension.valueString"),
        ({"filters": ("Observation?patient=Patient/1",)}, "Subscription.criteria.extension.valueString"),
        ({"channel": {"type": "sms"}}, "Subscription.channel.type"),
        ({"channel": {"endpoint": "ftp://example.org"}}, "Subscription.channel.endpoint"),
        ({"channel": {"endpoint": "http://169.254.169.254/latest"}}, "Subscription.channel.endpoint"),
        ({"channel": {"endpoint": "http://127.0.0.1:1/"}}, "Subscription.channel.endpoint"),
        ({"channel": {"payload": "text/csv"}}, "Subscription.channel.payload"),
        ({"channel": {"_payload": {"id": "x"}}}, "Subscription.channel.payload.extension"),
        ({"channel": {"header": ["Host: elsewhere"]}}, "Subscription.channel.header[0]"),
        ({"channel": {"header": ["X-A: 1\u00a0\u2028X-B: 2"]}}, "Subscription.channel.header[0]"),
        ({"channel": {"header": ["X-A"]}}, "Subscription.channel.header[0]"),
        ({"most": 1_000_000}, "Subscription.channel.extension"),
        ({"strange": True}, "Subscription.extension"),
    ],
)
async def test_what_is_not_done_is_refused(server: Running, hooked: Hook, change: dict[str, Any], place: str) -> None:
    resource = subscription(hooked.url, filters=change.get("filters", ()), most=change.get("most"))
    if "criteria" in change:
        resource["criteria"] = change["criteria"]
    resource["channel"] |= change.get("channel", {})
    if "strange" in change:
        resource["extension"] = [
            {
                "url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.topic",
                "valueUri": "http://x.org",
            }
        ]
    found = await server.http.post("/fhir/Subscription", json=resource)
    assert found.status_code == 422, found.text
    issue = found.json()["issue"][0]
    assert issue["expression"] == [place], issue
    assert not hooked.came


async def test_one_caller_has_so_many(tmp_path: Path, hooked: Hook) -> None:
    async with serving(tmp_path, outbound__allow=f"http://127.0.0.1:{hooked.port}", subscriptions__most=2) as server:
        for _ in range(2):
            await made(server, subscription(hooked.url))
        found = await server.http.post("/fhir/Subscription", json=subscription(hooked.url))
        assert outcome_of(found)[::2] == (403, "one caller has at most 2 subscriptions")


@pytest.mark.slow
async def test_a_heartbeat_and_an_end(server: Running, hooked: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suture.standards.fhir.subscription.SHORTEST_BEAT", 1)
    id = await active(server, hooked, subscription(hooked.url, heartbeat=1))
    await hooked.until(lambda: len(hooked.of("heartbeat")) >= 1)
    beat = told(hooked.of("heartbeat")[0])
    assert (beat["events-since-subscription-start"], beat["status"]) == ("0", "active")
    resource = (await server.http.get(f"/fhir/Subscription/{id}")).json()
    await server.http.put(f"/fhir/Subscription/{id}", json=resource | {"end": "2020-01-01T00:00:00Z"})
    await until_status(server, id, "off")


async def test_a_transaction_holds_no_subscription(server: Running, hooked: Hook) -> None:
    entry = {"resource": subscription(hooked.url), "request": {"method": "POST", "url": "Subscription"}}
    sent = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert outcome_of(sent)[::2] == (400, "a Subscription is written by itself")
    alone = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert alone.json()["entry"][0]["response"]["status"].startswith("201"), alone.text
    await hooked.until(lambda: bool(hooked.came))


async def test_a_slow_endpoint_holds_up_nobody(server: Running, hooked: Hook) -> None:
    async with hook() as slow:
        slow.wait = 60.0
        let(server.app.outbound, slow)
        await made(server, subscription(slow.url))
        await slow.until(lambda: bool(slow.came))  # it has the handshake, and takes its time
        await active(server, hooked, subscription(hooked.url))
        await server.put(patient("p1"))
        await hooked.until(lambda: bool(hooked.numbers()))


async def test_metadata_lists_topics(server: Running) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        statement = (await http.get("/fhir/metadata")).json()
    row = next(one for one in statement["rest"][0]["resource"] if one["type"] == "Subscription")
    assert row["supportedProfile"] == [
        "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription"
    ]
    listed = {one["valueCanonical"] for one in row["extension"]}
    assert "https://suture.health/fhir/SubscriptionTopic/encounter-start" in listed
    assert {one["name"] for one in row["operation"]} >= {"status", "events"}


async def test_a_topic_of_ones_own(tmp_path: Path, hooked: Hook) -> None:
    (tmp_path / "topics").mkdir()
    (tmp_path / "topics" / "married.yaml").write_text(
        "suture: topic/1\nurl: https://clinic.example/topics/named\ntitle: Renamed\n"
        "triggers: [{type: Patient, on: [update], when: '%previous.name != %current.name'}]\nfilters: {Patient: [_id]}\n"
    )
    async with serving(tmp_path, outbound__allow=f"http://127.0.0.1:{hooked.port}") as server:
        id = await active(server, hooked, subscription(hooked.url, "https://clinic.example/topics/named"))
        await server.put(patient("p1"))
        await server.put(patient("p1") | {"gender": "other"})
        await server.put(patient("p1") | {"gender": "other", "name": [{"family": "New"}]})
        await hooked.until(lambda: bool(hooked.numbers()))
        assert (await status_of(server, id))["events-since-subscription-start"] == "1"
        statement = (await server.http.get("/fhir/metadata")).text
        assert "https://clinic.example/topics/named" in statement
