"""The gateway on a whole server: who may call, our own chart behind it, and limits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from suture.services.gateway.callers import MARK
from suture.store import gateway_keys
from tests.connectors.site import Got, Say, Site
from tests.server.gate import ALL, echo, gate

# --- who may call


async def test_a_key_opens_its_routes_only_and_everything_wrong_looks_the_same(tmp_path: Path) -> None:
    routes = {"orders": ALL, "results": ALL, "closed": ALL + "\nkeys: false\nscope: system/Patient.r"}
    async with Site(echo) as site, gate(tmp_path, routes, {"lab": site.url}) as at:
        orders, database = at.key("orders", "closed"), at.server.app.database
        expired, revoked = at.key("orders", expires=1), at.key("orders")
        database.write_now(lambda tx: gateway_keys.revoke(tx, "k2"))
        wrong = [{}, expired, revoked, {"X-API-Key": MARK + "x" * 43}, {"X-API-Key": "x"}, {"X-API-Key": ""}, {"Authorization": "Bearer nothing"},
            {"Authorization": f"Basic {orders['X-API-Key']}"}, {"Authorization": orders["X-API-Key"]}, {"Authorization": "Bearer"},
            {**orders, "Authorization": "Bearer x"}, {"Cookie": "suture_session=x"}]  # fmt: skip
        seen = set()
        for headers in wrong:
            for route in ("orders", "nothing-here", "closed"):
                answer = await at.http.get(f"/gateway/{route}/x", headers=headers)
                seen.add((answer.status_code, answer.text, answer.headers["www-authenticate"]))
        assert len(seen) == 1
        assert next(iter(seen))[0] == 401
        seen = set()
        for route in ("results", "nothing-here", "closed", "orders2", "%2e%2e", "ORDERS"):
            answer = await at.http.get(f"/gateway/{route}/x", headers=orders)
            seen.add((answer.status_code, answer.text))
        assert len(seen) == 1
        assert next(iter(seen))[0] == 404
        assert (await at.http.get("/gateway/orders/x", headers=orders)).status_code == 200
    assert len(site.got) == 1


async def test_a_rotated_key_works_beside_the_old_one_for_a_while(tmp_path: Path) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        old, database = at.key("orders"), at.server.app.database
        database.write_now(lambda tx: gateway_keys.rotate(tx, "k0", MARK + "new", 3_600_000_000))
        new = {"X-API-Key": MARK + "new"}
        assert [(await at.http.get("/gateway/orders/x", headers=h)).status_code for h in (old, new)] == [
            200,
            200,
        ]
        database.write_now(lambda tx: gateway_keys.rotate(tx, "k0", MARK + "newer", 0))
        newer = {"X-API-Key": MARK + "newer"}
        assert [(await at.http.get("/gateway/orders/x", headers=h)).status_code for h in (old, new, newer)] == [
            401,
            401,
            200,
        ]
        database.write_now(lambda tx: gateway_keys.revoke(tx, "k0"))
        assert (await at.http.get("/gateway/orders/x", headers=newer)).status_code == 401


async def test_only_hashes_of_keys_are_kept(tmp_path: Path) -> None:
    async with gate(tmp_path, {}, {}) as at:
        value = at.key("orders")["X-API-Key"]
        rows = at.server.app.database.read.all("SELECT * FROM gateway_key")
    assert value not in str(rows)
    assert value.removeprefix(MARK) not in at.server.log.getvalue()


@pytest.mark.parametrize("url", ["/gateway/orders/x?api_key={}", "/gateway/orders/x?a={}", "/gateway/orders/{}", "/gateway/orders/x?A=%67k_x",
    "/gateway/orders/x?access_token=abc", "/gateway/orders/x?apikey=1", "/gateway/orders/x?X-Api-Key=1", "/gateway/{}/x"])  # fmt: skip
async def test_a_key_in_the_url_is_refused_whoever_sends_it(tmp_path: Path, url: str) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        key = at.key("orders")
        answer = await at.http.get(url.format(key["X-API-Key"]), headers=key)
        assert (answer.status_code, answer.json()["text"]) == (400, "a key stands in the URL")
        assert key["X-API-Key"] not in at.server.log.getvalue()
    assert site.got == []


async def test_a_token_opens_a_route_with_the_scope_it_asks_for(tmp_path: Path) -> None:
    routes = {"orders": "to: lab\nscope: system/ServiceRequest.r system/Patient.r", "plain": "to: lab"}
    async with Site(echo) as site, gate(tmp_path, routes, {"lab": site.url}) as at:
        right = at.server.key("system/ServiceRequest.cruds system/Patient.rs")
        every = at.server.key("system/*.rs")
        assert [(await at.http.get("/gateway/orders/x", headers=h)).status_code for h in (right, every)] == [
            200,
            200,
        ]
        less = [
            at.server.key("system/ServiceRequest.rs"),
            at.server.key("user/*.rs"),
            at.server.key("system/*.cud"),
            at.server.key("patient/*.rs", "p1"),
        ]
        assert [(await at.http.get("/gateway/orders/x", headers=h)).status_code for h in less] == [404] * 4
        assert (await at.http.get("/gateway/plain/x", headers=every)).status_code == 404
    assert len(site.got) == 2


async def test_methods_that_are_not_named_are_not_passed_on(tmp_path: Path) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": "to: lab"}, {"lab": site.url}) as at:
        key = at.key("orders")
        answer = await at.http.post("/gateway/orders/x", headers=key)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert (await at.http.request("TRACE", "/gateway/orders/x", headers=key)).status_code == 405
    assert site.got == []


# --- our own FHIR API


async def test_a_route_leads_to_our_own_chart_within_the_key_s_scopes(tmp_path: Path) -> None:
    route = "to: local\nmethods: [GET, POST]\neach: {minute: 20}"
    async with gate(tmp_path, {"chart": route}, {}) as at:
        await at.server.put({"resourceType": "Patient", "id": "p1", "gender": "female"})
        await at.server.put(
            {
                "resourceType": "Observation",
                "id": "o1",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": "Patient/p1"},
            }
        )
        key = at.key("chart", scopes=["system/Patient.rs"])
        answer = await at.http.get("/gateway/chart/Patient/p1", headers=key)
        assert (answer.status_code, answer.json()["gender"]) == (200, "female")
        assert answer.headers["ratelimit"] == '"minute";r=19;t=60'
        answer = await at.http.get("/gateway/chart/Patient?gender=female", headers=key)
        assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == ["p1"]
        answer = await at.http.get("/gateway/chart/Observation/o1", headers=key)
        assert (answer.status_code, answer.json()["resourceType"]) == (403, "OperationOutcome")
        answer = await at.http.post("/gateway/chart/Patient", headers=key, json={"resourceType": "Patient"})
        assert answer.status_code == 403
        nothing = at.key("chart")
        assert (await at.http.get("/gateway/chart/Patient/p1", headers=nothing)).status_code == 403
        patient = at.key("chart", scopes=["patient/*.rs"], patient="p1")
        assert (await at.http.get("/gateway/chart/Observation/o1", headers=patient)).status_code == 200
        for path in ("/../api/messages", "/..%2fapi%2fmessages", "/metrics", "/.well-known/x/../../api"):
            answer = await at.http.get(f"/gateway/chart{path}", headers=key)
            assert answer.status_code in (400, 403, 404)


# --- limits


async def test_a_limit_answers_429_and_says_when_to_come_again(tmp_path: Path) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL + "\neach: {minute: 3}"}, {"lab": site.url}) as at:
        key, other = at.key("orders"), at.key("orders")
        answers = [await at.http.get("/gateway/orders/x", headers=key) for _ in range(5)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
        assert [a.headers["ratelimit"] for a in answers[:3]] == [f'"minute";r={n};t=60' for n in (2, 1, 0)] or answers[
            2
        ].headers["ratelimit"].startswith('"minute";r=0')
        assert answers[0].headers["ratelimit-policy"] == '"minute";q=3;w=60'
        assert 1 <= int(answers[3].headers["retry-after"]) <= 66
        assert answers[3].json()["error"] == "too-many-requests"
        assert (await at.http.get("/gateway/orders/x", headers=other)).status_code == 200
    assert len(site.got) == 4


async def test_limits_of_plan_key_and_route_hold_together(tmp_path: Path) -> None:
    routes = {
        "orders": ALL + "\nlimits: {day: 8}\nplan: bronze",
        "bronze": "suture: plan/1\nid: bronze\nlimits: {day: 5}\n",
        "gold": "suture: plan/1\nid: gold\nlimits: {day: 50}\n",
    }
    async with Site(echo) as site, gate(tmp_path, routes, {"lab": site.url}) as at:

        async def let_in(key: dict[str, str]) -> int:
            return sum([(await at.http.get("/gateway/orders/x", headers=key)).status_code == 200 for _ in range(9)])

        assert await let_in(at.key("orders", limits="day=2")) == 2  # its own
        assert await let_in(at.key("orders")) == 5  # the route's plan
        assert await let_in(at.key("orders", plan="gold")) == 1  # what the route has left


async def test_the_chart_has_a_limit_too(tmp_path: Path) -> None:
    async with gate(tmp_path, {}, {}, gateway__fhir_limits="minute=4") as at:
        other = at.server.key("system/*.rs")
        answers = [await at.server.http.get("/fhir/Patient") for _ in range(6)]
        assert [a.status_code for a in answers] == [200] * 4 + [429] * 2
        assert answers[4].json()["issue"][0]["code"] == "throttled"
        assert "retry-after" in answers[4].headers
        assert (await at.server.http.get("/fhir/Patient", headers=other)).status_code == 200
        assert (await at.server.http.get("/fhir/metadata")).status_code == 200


async def test_requests_at_once_are_limited_and_let_go(tmp_path: Path) -> None:
    going, full = asyncio.Event(), asyncio.Event()

    async def slow(got: Got) -> Say:
        if len(site.got) == 2:
            full.set()
        await going.wait()
        return Say(200, {})

    async with (
        Site(slow) as site,
        gate(tmp_path, {"orders": ALL + "\neach: {concurrency: 2}"}, {"lab": site.url}) as at,
    ):
        key = at.key("orders")
        two = [asyncio.create_task(at.http.get("/gateway/orders/x", headers=key)) for _ in range(2)]
        await asyncio.wait_for(full.wait(), 5)
        assert (await at.http.get("/gateway/orders/x", headers=key)).status_code == 429
        going.set()
        assert [a.status_code for a in await asyncio.gather(*two)] == [200, 200]
        await asyncio.sleep(0.06)
        assert (await at.http.get("/gateway/orders/x", headers=key)).status_code == 200
