"""Topic-based subscriptions in R4 as the public kit and the backport guide ask for them, with a real endpoint."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from suture.standards.fhir import validate
from tests.conformance.checks import check
from tests.conformance.subscriptions import Kit
from tests.notified import BACKPORT, TOPICS, happened, numbers, subscription, told

pytestmark = pytest.mark.asyncio(loop_scope="module")
RESEND = "$resend"
STATEMENT, ASKING, SHAKE, NOTICE, STATUS, EVENTS, ERRORS, REFUSED = (
    "CapabilityStatement", "Asking for one", "Handshake", "Notifications", "$status", "$events", "Errors", "What is refused"
)  # fmt: skip


async def _statement(kit: Kit) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=kit.server.url) as nobody:
        rest = (await nobody.get("/fhir/metadata")).json()["rest"][0]
    found: dict[str, Any] = next(one for one in rest["resource"] if one["type"] == "Subscription")
    return found


@check(STATEMENT, "Subscription has supportedProfile backport-subscription and create, read, update, delete")
async def test_profile(subscribed: Kit) -> None:
    row = await _statement(subscribed)
    assert BACKPORT + "backport-subscription" in row["supportedProfile"]
    assert {"create", "read", "update", "delete"} <= {one["code"] for one in row["interaction"]}


@check(STATEMENT, "capabilitystatement-subscriptiontopic-canonical lists every topic that can be used")
async def test_topics(subscribed: Kit) -> None:
    row = await _statement(subscribed)
    urls = [e["valueCanonical"] for e in row["extension"] if e["url"].endswith("subscriptiontopic-canonical")]
    assert TOPICS + "patient-created" in urls
    assert sorted(urls) == sorted(subscribed.server.app.interactions.chart.topics)


@check(STATEMENT, "the operations status and events stand at Subscription with the definitions of the guide")
async def test_operations(subscribed: Kit) -> None:
    found = {one["name"]: one["definition"] for one in (await _statement(subscribed))["operation"]}
    place = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-"
    assert (found["status"], found["events"]) == (place + "status", place + "events")


@check(ASKING, "POST of a conformant rest-hook subscription: 201 with Location and status requested")
async def test_created(subscribed: Kit) -> None:
    assert subscribed.made.status_code == 201
    assert f"/Subscription/{subscribed.id}/" in subscribed.made.headers["location"]
    assert subscribed.made.json()["status"] == "requested"


@check(ASKING, "what was asked for is kept: criteria, filters, channel, headers and extensions read back equal")
async def test_kept(subscribed: Kit) -> None:
    more: dict[str, Any] = {
        "heartbeat": 600,
        "timeout": 5,
        "most": 3,
        "filters": ("Patient?_id=none",),
        "header": ["A: b"],
    }
    wanted = subscription(subscribed.hook.url, **more)
    id = await subscribed.active(**more)
    found = (await subscribed.server.http.get(f"/fhir/Subscription/{id}")).json()
    assert {name: found[name] for name in ("criteria", "_criteria", "channel")} == {
        name: wanted[name] for name in ("criteria", "_criteria", "channel")
    }


@check(
    SHAKE, "the first POST is a handshake with status requested and number 0; only after its 2xx the status is active"
)
async def test_handshake(subscribed: Kit) -> None:
    (shake,) = subscribed.of(subscribed.id, "handshake")
    found = told(shake)
    assert (found["status"], found["events-since-subscription-start"]) == ("requested", "0")
    assert (await subscribed.server.http.get(f"/fhir/Subscription/{subscribed.id}")).json()["status"] == "active"


@check(SHAKE, "a handshake that is answered with anything but 2xx leads to error, a redirect too")
@pytest.mark.parametrize("status", [302, 404, 500])
async def test_handshake_fails(subscribed: Kit, status: int) -> None:
    subscribed.hook.status = status
    id = (await subscribed.create()).json()["id"]
    await subscribed.until(id, "error")
    subscribed.hook.status = 200
    assert not subscribed.of(id, "handshake")


@check(
    NOTICE,
    "Content-Type is channel.payload, and every channel.header comes exactly as written",
    "handshakes carry them too",
)
async def test_headers(subscribed: Kit) -> None:
    await subscribed.patient()
    await subscribed.notified(subscribed.id)
    for headers, bundle in subscribed.hook.came:
        if told(bundle)["subscription"]["reference"].endswith(subscribed.id):
            assert headers["content-type"] == "application/fhir+json"
            assert (headers["x-proof"], headers["x-other"]) == ("Abc-1", "two words")
    assert any(b"X-Proof: Abc-1\r\n" in head for head in subscribed.hook.raw)


@check(
    NOTICE,
    "a Bundle of type history whose first entry is Parameters of the status profile, valid against R4",
    "request and response stand on every entry; the first one's request.url ends in Subscription/ID/$status",
    "subscription, status and type come once; event-number and timestamp stand in every event",
)
@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
async def test_shape(subscribed: Kit, content: str) -> None:
    id = await subscribed.active(topic="patient-created", content=content)
    await subscribed.patient()
    bundle = (await subscribed.notified(id))[0]
    validate.require(bundle)
    assert bundle["type"] == "history"
    first = bundle["entry"][0]
    assert first["resource"]["meta"]["profile"] == [BACKPORT + "backport-subscription-status-r4"]
    assert first["request"]["url"].endswith(f"Subscription/{id}/$status")
    assert all({"request", "response"} <= set(entry) for entry in bundle["entry"])
    names = [row["name"] for row in first["resource"]["parameter"]]
    assert [names.count(name) for name in ("subscription", "status", "type")] == [1, 1, 1]
    assert all({"event-number", "timestamp"} <= set(event) for event in happened(bundle))


@check(NOTICE, "empty: no other entry, no focus, no additional-context, no topic")
async def test_empty(subscribed: Kit) -> None:
    id = await subscribed.active(topic="patient-created", content="empty")
    await subscribed.patient()
    bundle = (await subscribed.notified(id))[0]
    assert len(bundle["entry"]) == 1
    assert set(happened(bundle)[0]) == {"event-number", "timestamp"}
    assert "topic" not in told(bundle)


@check(NOTICE, "id-only: focus, and entries with fullUrl and without a resource")
async def test_id_only(subscribed: Kit) -> None:
    id = await subscribed.active(topic="patient-created", content="id-only")
    who = await subscribed.patient()
    bundle = (await subscribed.notified(id))[0]
    assert happened(bundle)[0]["focus"][0]["reference"].endswith(f"/Patient/{who}")
    assert [entry["fullUrl"].rpartition("/")[2] for entry in bundle["entry"][1:]] == [who]
    assert all("resource" not in entry for entry in bundle["entry"][1:])


@check(NOTICE, "full-resource: topic, and focus resolves inside the bundle to a valid resource")
async def test_full(subscribed: Kit) -> None:
    id = await subscribed.active(topic="patient-created", content="full-resource")
    who = await subscribed.patient()
    bundle = (await subscribed.notified(id))[0]
    there = {entry["fullUrl"]: entry.get("resource") for entry in bundle["entry"]}
    found = there[happened(bundle)[0]["focus"][0]["reference"]]
    assert found["id"] == who
    validate.require(found)
    assert told(bundle)["topic"] == TOPICS + "patient-created"


@check(NOTICE, "numbers begin at 1 and have no gap; events-since-subscription-start is the last one")
async def test_numbers(subscribed: Kit) -> None:
    id = await subscribed.active(topic="patient-created", most=1)
    for _ in range(4):
        await subscribed.patient()
    found = await subscribed.notified(id, 4)
    assert [numbers(bundle) for bundle in found] == [[1], [2], [3], [4]]
    assert (await subscribed.status(id))["events-since-subscription-start"] == "4"


@check(NOTICE, "a filter keeps away what it does not fit; another subscription gets it")
async def test_filter(subscribed: Kit) -> None:
    every = await subscribed.active(topic="patient-created")
    id = await subscribed.active(topic="patient-created", filters=("Patient?_id=kit-none",))
    await subscribed.patient()
    await subscribed.notified(every)
    assert not subscribed.of(id)


@check(STATUS, "of one: 200, a searchset with its Parameters, type query-status")
async def test_status(subscribed: Kit) -> None:
    answer = await subscribed.server.http.get(f"/fhir/Subscription/{subscribed.id}/$status")
    assert answer.status_code == 200
    bundle = answer.json()
    validate.require(bundle)
    assert (bundle["type"], len(bundle["entry"])) == ("searchset", 1)
    assert told(bundle)["type"] == "query-status"


@check(STATUS, "of the type: id and status, repeated or in a list, are joined by OR; by GET and by POST")
async def test_status_of_many(subscribed: Kit) -> None:
    other = await subscribed.active(topic="patient-created")
    for query in (f"id={subscribed.id}&id={other}", f"id={subscribed.id},{other}&status=active,off"):
        bundle = (await subscribed.server.http.get(f"/fhir/Subscription/$status?{query}")).json()
        assert bundle["total"] == 2
    none = (await subscribed.server.http.get(f"/fhir/Subscription/$status?id={other}&status=error")).json()
    assert none["total"] == 0
    body = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueString": other}]}
    posted = (await subscribed.server.http.post("/fhir/Subscription/$status", json=body)).json()
    assert told(posted)["subscription"]["reference"].endswith(other)


@check(
    EVENTS,
    "a history bundle of type query-event with the events from eventsSinceNumber to eventsUntilNumber, both included",
)
async def test_events(subscribed: Kit) -> None:
    id = await subscribed.active(topic="patient-created")
    for _ in range(4):
        await subscribed.patient()
    await subscribed.hook.until(lambda: sum(len(numbers(b)) for b in subscribed.of(id)) == 4)
    place = f"/fhir/Subscription/{id}/$events?eventsSinceNumber=2&eventsUntilNumber=3"
    bundle = (await subscribed.server.http.get(place)).json()
    validate.require(bundle)
    assert (bundle["type"], told(bundle)["type"], numbers(bundle)) == ("history", "query-event", [2, 3])
    full = (await subscribed.server.http.get(place + "&content=full-resource")).json()
    assert all("resource" in entry for entry in full["entry"])


async def _again(kit: Kit, id: str, **given: str) -> httpx.Response:
    rows = [
        {"name": name, "valueInstant" if name.endswith("Instant") else "valueString": v} for name, v in given.items()
    ]
    body = {"resourceType": "Parameters", "parameter": rows}
    return await kit.server.http.post(f"/fhir/Subscription/{id}/$resend", json=body if rows else {})


@check(RESEND, "events from eventsSinceNumber to eventsUntilNumber, both included, go out once more; the numbers stay")
async def test_resend(subscribed: Kit) -> None:
    kit = subscribed
    id = await kit.active(most=1)
    for count in range(1, 5):
        await kit.patient()
        await kit.notified(id, count)
    await kit.noted(id, 4)
    found = await _again(kit, id, eventsSinceNumber="2", eventsUntilNumber="3")
    assert (found.status_code, found.json()["resourceType"]) == (200, "OperationOutcome")
    assert found.json()["issue"][0]["details"]["text"] == "2 events go out again."
    sent = [number for bundle in await kit.notified(id, 6) for number in numbers(bundle)]
    assert sent == [1, 2, 3, 4, 2, 3]
    await kit.patient()
    assert numbers((await kit.notified(id, 7))[6]) == [5]
    assert (await kit.status(id))["events-since-subscription-start"] == "5"


@check(RESEND, "eventsSinceInstant and eventsUntilInstant narrow it; without a parameter it is everything that is kept")
async def test_resend_by_time(subscribed: Kit) -> None:
    kit = subscribed
    id = await kit.active()
    await kit.patient()
    await kit.notified(id)
    await kit.noted(id, 1)
    none = await _again(kit, id, eventsSinceInstant="2100-01-01T00:00:00Z")
    assert none.json()["issue"][0]["details"]["text"] == "0 events go out again."
    await _again(kit, id, eventsSinceInstant="2020-01-01T00:00:00Z", eventsUntilInstant="2100-01-01T00:00:00Z")
    await kit.notified(id, 2)
    await kit.noted(id, 1)
    await _again(kit, id)
    assert [numbers(bundle) for bundle in await kit.notified(id, 3)] == [[1], [1], [1]]


@check(
    RESEND,
    "who may not change the Subscription can't ask for it; by GET, for one that is off or a number that is none it is refused",
)
async def test_resend_refused(subscribed: Kit) -> None:
    kit = subscribed
    id = await kit.active()
    async with httpx.AsyncClient(base_url=kit.server.url, headers=kit.server.key("system/Subscription.rs")) as reader:
        assert (await reader.post(f"/fhir/Subscription/{id}/$resend", json={})).status_code == 403
    assert (await kit.server.http.get(f"/fhir/Subscription/{id}/$resend")).status_code == 405
    assert (await _again(kit, id, eventsSinceNumber="x")).status_code == 400
    assert (await _again(kit, id, eventsSinceInstant="yesterday")).status_code == 400
    assert (await _again(kit, "nosuch")).status_code == 404
    resource = (await kit.server.http.get(f"/fhir/Subscription/{id}")).json()
    await kit.server.http.put(f"/fhir/Subscription/{id}", json=resource | {"status": "off"})
    found = await _again(kit, id)
    assert (found.status_code, "the subscription is off" in found.text) == (409, True)


@check(
    ERRORS,
    "after the last try the status is error; numbers go on, and $status keeps answering with the reason",
    "the client takes it up again with requested or active; what waited comes in order",
)
async def test_error_and_recovery(subscribed: Kit) -> None:
    id = await subscribed.active(topic="patient-created")
    subscribed.hook.status = 503
    await subscribed.patient()
    await subscribed.until(id, "error")
    await subscribed.patient()
    for _ in range(100):
        if (found := await subscribed.status(id))["events-since-subscription-start"] == "2":
            break
    assert (found["status"], found["error"]["text"]) == ("error", "the endpoint answered 503")
    subscribed.hook.status = 200
    resource = (await subscribed.server.http.get(f"/fhir/Subscription/{id}")).json()
    await subscribed.server.http.put(f"/fhir/Subscription/{id}", json=resource | {"status": "requested"})
    await subscribed.hook.until(lambda: sum(len(numbers(b)) for b in subscribed.of(id)) == 2)
    assert [n for bundle in subscribed.of(id) for n in numbers(bundle)] == [1, 2]


@check(ERRORS, "off: nothing is numbered or sent any more")
async def test_off(subscribed: Kit) -> None:
    id, other = await subscribed.active(topic="patient-created"), await subscribed.active(topic="patient-created")
    resource = (await subscribed.server.http.get(f"/fhir/Subscription/{id}")).json()
    await subscribed.server.http.put(f"/fhir/Subscription/{id}", json=resource | {"status": "off"})
    await subscribed.patient()
    await subscribed.notified(other)
    found = await subscribed.status(id)
    assert (found["status"], found["events-since-subscription-start"]) == ("off", "0")


@check(
    REFUSED,
    "an unknown topic, filter, channel, endpoint, payload type or content, and extensions of other versions: 422 that names the element",
)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("criteria",), "http://example.org/unknown"),
        (("_criteria", "extension"), [{"url": BACKPORT + "backport-filter-criteria", "valueString": "Patient?birthdate=2000"}]),
        (("channel", "type"), "message"),
        (("channel", "endpoint"), "https://not-listed.example/hook"),
        (("channel", "payload"), "application/pdf"),
        (("channel", "_payload", "extension"), [{"url": BACKPORT + "backport-payload-content", "valueCode": "all"}]),
        (("extension",), [{"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.topic", "valueUri": "x:y"}]),
    ],
)  # fmt: skip
async def test_refused(subscribed: Kit, path: tuple[str, ...], value: Any) -> None:
    resource = subscription(subscribed.hook.url)
    holder = resource
    for name in path[:-1]:
        holder = holder.setdefault(name, {})
    holder[path[-1]] = value
    answer = await subscribed.server.http.post("/fhir/Subscription", json=resource)
    assert answer.status_code == 422, answer.text
    assert answer.json()["issue"][0]["expression"][0].startswith("Subscription."), answer.text


@check(
    "Access", "who may not read the Subscription gets neither $status nor $events; the answer is the one for unknown"
)
async def test_strangers(subscribed: Kit) -> None:
    headers = subscribed.server.key("system/Patient.rs")
    async with httpx.AsyncClient(base_url=subscribed.server.url, headers=headers) as stranger:
        for operation in ("$status", "$events"):
            assert (await stranger.get(f"/fhir/Subscription/{subscribed.id}/{operation}")).status_code in (403, 404)
    async with httpx.AsyncClient(base_url=subscribed.server.url) as nobody:
        assert (await nobody.get(f"/fhir/Subscription/{subscribed.id}/$status")).status_code == 401


@check("Access", "no notification and no $events holds a resource that its owner or caller may not read")
async def test_no_more_than_allowed(subscribed: Kit) -> None:
    headers = subscribed.server.key("system/Subscription.cruds")
    wanted = subscription(subscribed.hook.url, "patient-created", "full-resource")
    async with httpx.AsyncClient(base_url=subscribed.server.url, headers=headers) as blind:
        id = (await blind.post("/fhir/Subscription", json=wanted)).json()["id"]
        await subscribed.until(id, "active")
        await subscribed.patient()
        await subscribed.notified(subscribed.id, len(subscribed.of(subscribed.id)))
        other = await subscribed.active(topic="patient-created")
        await subscribed.patient()
        await subscribed.notified(other)
        assert not subscribed.of(id)
        told_later = (await blind.get(f"/fhir/Subscription/{other}/$events?content=full-resource")).json()
        assert len(told_later["entry"]) == 1
        assert "focus" not in happened(told_later)[0]
