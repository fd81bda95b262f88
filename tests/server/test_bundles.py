"""Batches judge each entry for itself; transactions are all or nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from suture.access import policy
from suture.errors import InvalidResource
from tests.server.people import SYSTEM, encounter, observation, patient, practitioner
from tests.server.running import Running, outcome_of

URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    full_url = more.pop("fullUrl", None)
    made: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        made["resource"] = resource
    if full_url:
        made["fullUrl"] = full_url
    return made


async def send(server: Running, kind: str, *entries: dict[str, Any], **headers: str) -> httpx.Response:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await server.http.post("/fhir", json=bundle, headers=headers)


def statuses(answer: httpx.Response) -> list[str]:
    return [e["response"]["status"] for e in answer.json()["entry"]]


async def test_references_inside_a_transaction_become_addresses(server: Running) -> None:
    body = observation("x", "nobody", subject={"reference": URN}, performer=[{"reference": "Practitioner/d1"}])
    body["extension"] = [{"url": "http://example.org/about", "valueUri": URN}]
    body["text"] = {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}">x</a></div>',
    }
    body["note"] = [{"text": URN}]
    answer = await send(
        server,
        "transaction",
        entry("POST", "Observation", body),
        entry("POST", "Patient", patient("x"), fullUrl=URN),
        entry("PUT", "Practitioner/d1", practitioner("d1")),
    )
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "transaction-response"
    assert statuses(answer) == ["201", "201", "201"]
    places = [e["response"]["location"].split("/_history")[0] for e in bundle["entry"]]
    stored = (await server.http.get(f"/fhir/{places[0]}")).json()
    assert stored["subject"]["reference"] == places[1]
    assert stored["extension"][0]["valueUri"] == places[1]
    assert f'href="{places[1]}"' in stored["text"]["div"]
    assert stored["note"][0]["text"] == URN
    assert places[2] == "Practitioner/d1"


async def test_a_full_url_of_another_server_resolves_relative_references(server: Running) -> None:
    answer = await send(
        server,
        "transaction",
        entry("POST", "Patient", patient("a"), fullUrl="https://elsewhere.example/fhir/Patient/a"),
        entry("POST", "Observation", observation("o", "a"), fullUrl="https://elsewhere.example/fhir/Observation/o"),
    )
    places = [e["response"]["location"].split("/_history")[0] for e in answer.json()["entry"]]
    stored = (await server.http.get(f"/fhir/{places[1]}")).json()
    assert stored["subject"]["reference"] == places[0] != "Patient/a"


async def test_one_bad_entry_undoes_all_and_is_named(server: Running) -> None:
    answer = await send(
        server,
        "transaction",
        entry("PUT", "Patient/p1", patient("p1")),
        entry("PUT", "Observation/o1", observation("o1", "p1", status="odd")),
    )
    assert answer.status_code == 422
    issue = answer.json()["issue"][0]
    assert issue["expression"] == ["Bundle.entry[1].resource.status"]
    assert (await server.http.get("/fhir/Patient/p1")).status_code == 404


async def test_a_failed_precondition_undoes_all(server: Running) -> None:
    await server.put(patient("p1"))
    answer = await send(
        server,
        "transaction",
        entry("PUT", "Patient/p2", patient("p2")),
        entry("PUT", "Patient/p1", patient("p1", "New"), ifMatch='W/"9"'),
    )
    assert outcome_of(answer) == (412, "conflict", "the resource is no longer at the version of If-Match")
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert (await server.http.get("/fhir/Patient/p2")).status_code == 404
    assert (await server.http.get("/fhir/Patient/p1")).json()["meta"]["versionId"] == "1"


async def test_methods_run_in_the_order_of_the_standard(server: Running) -> None:
    await server.put(patient("p1"))
    answer = await send(
        server,
        "transaction",
        entry("GET", "Patient/p1"),
        entry("PUT", "Patient/p2", patient("p2")),
        entry("POST", "Observation", observation("x", "p1")),
        entry("DELETE", "Patient/p1"),
    )
    assert outcome_of(answer)[:2] == (410, "deleted")
    answer = await send(
        server, "transaction", entry("GET", "Patient/p2"), entry("PUT", "Patient/p2", patient("p2", "Later"))
    )
    assert answer.json()["entry"][0]["resource"]["name"][0]["family"] == "Later"
    assert statuses(answer) == ["200", "201"]


async def test_conditional_create_inside_a_transaction(server: Running) -> None:
    condition = f"identifier={SYSTEM}|mrn-x"
    both = [
        entry("POST", "Patient", patient("x"), ifNoneExist=condition, fullUrl=URN),
        entry("POST", "Observation", observation("o", "x", subject={"reference": URN})),
    ]
    first = await send(server, "transaction", *both)
    assert statuses(first) == ["201", "201"]
    second = await send(server, "transaction", *both)
    assert statuses(second) == ["200", "201"]
    place = second.json()["entry"][0]["response"]["location"].split("/_history")[0]
    assert first.json()["entry"][0]["response"]["location"].startswith(place)
    made = second.json()["entry"][1]["response"]["location"].split("/_history")[0]
    assert (await server.http.get(f"/fhir/{made}")).json()["subject"]["reference"] == place


async def test_conditional_update_and_delete_inside_a_transaction(server: Running) -> None:
    url = f"Patient?identifier={SYSTEM}|mrn-x"
    body = {k: v for k, v in patient("x").items() if k != "id"}
    first = await send(server, "transaction", entry("PUT", url, body, fullUrl=URN))
    assert statuses(first) == ["201"]
    second = await send(server, "transaction", entry("PUT", url, {**body, "gender": "male"}))
    assert statuses(second) == ["200"]
    third = await send(server, "transaction", entry("DELETE", url), entry("DELETE", "Patient?identifier=none|none"))
    assert statuses(third) == ["204", "204"]
    place = first.json()["entry"][0]["response"]["location"].split("/_history")[0]
    assert (await server.http.get(f"/fhir/{place}")).status_code == 410


async def test_conditional_references(server: Running) -> None:
    await server.put({**practitioner("d1"), "identifier": [{"system": "urn:npi", "value": "123"}]})
    text = "Practitioner?identifier=urn:npi|123"
    body = observation("o1", "p1", performer=[{"reference": text, "display": text}])
    body["extension"] = [{"url": "urn:x", "valueUri": text}]
    good = await send(server, "transaction", entry("PUT", "Observation/o1", body))
    assert statuses(good) == ["201"], good.text
    stored = (await server.http.get("/fhir/Observation/o1")).json()
    assert stored["performer"] == [{"reference": "Practitioner/d1", "display": text}]
    assert stored["extension"] == [{"url": "urn:x", "valueUri": text}]  # only a Reference is one
    body["performer"] = [{"reference": "Practitioner?identifier=urn:npi|404"}]
    bad = await send(server, "transaction", entry("PUT", "Observation/o1", body))
    assert outcome_of(bad) == (412, "conflict", "a conditional reference finds nothing")


async def test_fifty_racing_conditional_creates_make_one(server: Running) -> None:
    made = entry("POST", "Patient", patient("x"), ifNoneExist=f"identifier={SYSTEM}|mrn-x")
    answers = await asyncio.gather(*(send(server, "transaction", made) for _ in range(50)))
    assert sorted(statuses(a)[0] for a in answers) == ["200"] * 49 + ["201"]


async def test_fifty_racing_updates_have_one_winner(server: Running) -> None:
    await server.put(patient("p1"))
    headers = {"If-Match": 'W/"1"'}
    answers = await asyncio.gather(
        *(server.http.put("/fhir/Patient/p1", json=patient("p1", f"N{n}"), headers=headers) for n in range(50))
    )
    assert sorted(a.status_code for a in answers) == [200] + [412] * 49


@pytest.mark.parametrize(
    ("entries", "status", "text"),
    [
        ([{}], 400, "an entry needs a request"),
        (["x"], 400, "an entry needs a request"),
        ([{"request": {"method": "PUT"}}], 400, "an entry needs a url"),
        ([{"request": {"method": "BREW", "url": "Patient"}}], 400, "not a method"),
        ([entry("POST", "Patient")], 400, "this entry needs a resource"),
        ([entry("POST", "Patient/p1", patient("p1"))], 400, "POST goes to a resource type"),
        ([entry("PUT", "Patient", patient("p1"))], 400, "a conditional request needs a search"),
        ([entry("PUT", "Patient/p1/x", patient("p1"))], 400, "not an address of one resource"),
        ([entry("PUT", "Patient/a_b", patient("a_b"))], 400, "not an id"),
        ([entry("PUT", "Patient/p2", patient("p1"))], 400, "the resource's id is not the id of the url"),
        ([entry("PUT", "Patient/p1", practitioner("p1"))], 400, "the resource is no Patient"),
        ([entry("PATCH", "Patient/p1", patient("p1"))], 400, "a FHIRPath Patch is a Parameters resource"),
        ([entry("GET", "Nothing/p1")], 404, "R4 has no such resource type"),
        ([entry("GET", "Patient/p1/$everything")], 405, "an operation can't be part of a transaction"),
        ([entry("GET", "https://elsewhere.example/fhir/Patient/p1")], 400, "the url is not below this server's base"),
        ([entry("PUT", "Patient/p1", patient("p1"))] * 2, 400, "two entries write the same resource"),
        ([entry("POST", "Patient", patient("a"), fullUrl=URN)] * 2, 400, "two entries have the same fullUrl"),
        ([entry("PUT", "Patient/p1", patient("p1"), ifMatch="x")], 400, "If-Match names no version"),
        ([entry("PUT", "Patient/p1", patient("p1"), ifMatch=3)], 400, "must be a string"),
        ([entry("PUT", "Patient?nothing=1", patient("p1"))], 400, "Patient has no such search parameter"),
    ],
)
async def test_an_entry_that_cannot_be_met(
    server: Running, entries: list[dict[str, Any]], status: int, text: str
) -> None:
    answer = await send(server, "transaction", *entries)
    found = outcome_of(answer)
    assert (found[0], found[2]) == (status, text)
    assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry")


@pytest.mark.parametrize(
    ("bundle", "text"),
    [
        ({"resourceType": "Patient"}, "not a batch or transaction"),
        ({"resourceType": "Bundle"}, "not a batch or transaction"),
        ({"resourceType": "Bundle", "type": "collection"}, "not a batch or transaction"),
        ({"resourceType": "Bundle", "type": "transaction", "entry": {}}, "entry must be a list"),
        ({"resourceType": "Bundle", "type": "batch", "entry": {}}, "entry must be a list"),
    ],
)
async def test_what_is_no_bundle_to_run(server: Running, bundle: dict[str, Any], text: str) -> None:
    assert outcome_of(await server.http.post("/fhir", json=bundle)) == (400, "invalid", text)


async def test_too_many_entries(server: Running) -> None:
    limit = server.app.settings["fhir.max_bundle"]
    for kind in ("batch", "transaction"):
        answer = await send(server, kind, *([entry("GET", "Patient/p1")] * (limit + 1)))
        assert outcome_of(answer) == (413, "too-long", f"more than {limit} entries")


async def test_empty_bundles_are_fine(server: Running) -> None:
    for kind in ("batch", "transaction"):
        answer = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": kind})
        assert answer.json() == {"resourceType": "Bundle", "type": f"{kind}-response"}


async def test_a_batch_answers_each_entry(server: Running) -> None:
    await server.put(patient("p1"))
    answer = await send(
        server,
        "batch",
        entry("GET", "Patient/p1"),
        entry("GET", "Patient/none"),
        entry("POST", "Patient", patient("x", gender="odd")),
        entry("POST", "Patient", patient("x")),
        entry("PUT", "Patient/p3", patient("p3"), ifMatch='W/"1"'),
        entry("DELETE", "Patient/p1"),
        {},
        entry("GET", "Patient/p1", ifNoneMatch='W/"1"'),
        entry("GET", "Patient?name=none"),
        entry("GET", "Patient/p1/_history"),
    )
    assert answer.status_code == 200
    assert statuses(answer) == ["410", "404", "422", "201", "412", "204", "400", "410", "200", "200"]
    bundle = answer.json()
    assert bundle["entry"][2]["response"]["outcome"]["issue"][0]["severity"] == "error"
    assert bundle["entry"][8]["resource"]["type"] == "searchset"
    assert bundle["entry"][9]["resource"]["type"] == "history"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_head_entry_tells_the_version_and_shows_nothing(server: Running, kind: str) -> None:
    await server.put(patient("p1", "Stone"))
    answer = await send(server, kind, entry("HEAD", "Patient/p1"), entry("HEAD", "Patient?name=stone"))
    assert statuses(answer) == ["200", "200"]
    assert answer.json()["entry"][0]["response"]["etag"] == 'W/"1"'
    assert "Stone" not in answer.text


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_preferred_representation_is_of_writes_alone(server: Running, kind: str) -> None:
    await server.put(patient("p1", "Stone"))
    reads = [entry("HEAD", "Patient/p1"), entry("GET", "Patient/p1", ifNoneMatch='W/"1"'), entry("GET", "Patient/p1")]
    answer = await send(server, kind, *reads, Prefer="return=representation")
    assert statuses(answer) == ["200", "304", "200"]
    assert ["resource" in e for e in answer.json()["entry"]] == [False, False, True]
    assert [e["response"]["etag"] for e in answer.json()["entry"]] == ['W/"1"'] * 3


async def test_prefer_representation_shows_what_was_written(server: Running) -> None:
    for kind in ("batch", "transaction"):
        plain = await send(server, kind, entry("PUT", "Patient/p1", patient("p1", kind)))
        assert "resource" not in plain.json()["entry"][0]
        shown = await send(
            server, kind, entry("PUT", "Patient/p1", patient("p1", kind)), Prefer="return=representation"
        )
        assert shown.json()["entry"][0]["resource"]["name"][0]["family"] == kind


async def test_a_batch_entry_can_do_no_more_than_its_caller(server: Running) -> None:
    server.http.headers.update(server.key("user/Patient.rs"))
    answer = await send(
        server,
        "batch",
        entry("GET", "Observation/o1"),
        entry("PUT", "Patient/p1", patient("p1")),
        entry("GET", "Patient"),
    )
    assert statuses(answer) == ["403", "403", "200"]
    refused = await send(server, "transaction", entry("PUT", "Patient/p1", patient("p1")))
    assert outcome_of(refused) == (403, "forbidden", "'c1' may not update Patient")


async def test_a_flow_commits_its_transaction_with_its_own_rows(server: Running) -> None:
    app = server.app
    caller = policy.flow_caller("lab")
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [entry("PUT", f"Patient?identifier={SYSTEM}|mrn-x", patient("p9"), fullUrl=URN)],
    }
    unit = app.interactions.transaction_unit(caller, bundle)
    assert (await server.http.get("/fhir/Patient/p9")).status_code == 404

    def broken(tx: Any) -> None:
        unit(tx)
        raise ValueError("the run failed")

    with pytest.raises(ValueError, match="the run failed"):
        await app.database.write(broken)
    assert (await server.http.get("/fhir/Patient/p9")).status_code == 404
    response = await app.database.write(unit)
    assert response["entry"][0]["response"]["status"] == "201"
    assert (await server.http.get("/fhir/Patient/p9")).status_code == 200
    assert [r for r in server.trail() if r.what == "transaction"][-1].who == "flow:lab"


async def test_two_flow_units_of_one_commit_see_each_other(server: Running) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry("PUT", f"Patient?identifier={SYSTEM}|mrn-x", {k: v for k, v in patient("x").items() if k != "id"}),
            entry("POST", "Encounter", encounter("e", "x", subject={"reference": URN})),
        ],
    }
    bundle["entry"][0]["fullUrl"] = URN  # type: ignore[index]
    caller = policy.flow_caller("adt")
    units = [server.app.interactions.transaction_unit(caller, bundle) for _ in range(5)]
    answers = await asyncio.gather(*(server.app.database.write(unit) for unit in units))
    assert [a["entry"][0]["response"]["status"] for a in answers] == ["201", "200", "200", "200", "200"]
    assert len({a["entry"][0]["response"]["location"] for a in answers}) == 1


async def test_a_flow_hears_what_is_wrong_before_anything_is_written(server: Running) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [entry("PUT", "Patient/p1", patient("p1", gender="odd"))],
    }
    with pytest.raises(InvalidResource) as caught:
        server.app.interactions.transaction_unit(policy.flow_caller("lab"), bundle)
    assert caught.value.where.startswith("Bundle.entry[0]")
