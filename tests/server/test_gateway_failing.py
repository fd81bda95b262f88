"""The gateway on a whole server: upstreams that fail, are slow, or have no agreement."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.connectors.site import Got, Say, Site
from tests.server.gate import ALL, echo, gate


class Failing:
    """Answers what it is told, one after the other, then 200."""

    def __init__(self, *said: Say) -> None:
        self.said = list(said)

    def __call__(self, got: Got) -> Say:
        return self.said.pop(0) if self.said else Say(200, {"ok": True})


@pytest.mark.parametrize("said", [Say(503), Say(502), Say(504), Say(hang_up=True)])
@pytest.mark.parametrize(
    ("method", "keyed", "tries"),
    [
        ("GET", False, 3),
        ("PUT", False, 3),
        ("DELETE", False, 3),
        ("POST", False, 1),
        ("POST", True, 3),
        ("PATCH", False, 1),
    ],
)
async def test_only_what_may_come_twice_is_tried_again(
    tmp_path: Path, said: Say, method: str, keyed: bool, tries: int
) -> None:
    async with Site(Failing(said, said)) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        headers = {**at.key("orders"), **({"Idempotency-Key": "1"} if keyed else {})}
        answer = await at.http.request(
            method, "/gateway/orders/x", headers=headers, content=b"{}" if method != "GET" else b""
        )
        assert answer.status_code == (200 if tries == 3 else 502 if said.hang_up else said.status)
    assert len(site.got) == tries
    assert {got.body for got in site.got} == {b"{}" if method != "GET" else b""}


@pytest.mark.parametrize("status", [200, 301, 400, 401, 404, 409, 429, 500])
async def test_other_answers_pass_as_they_are(tmp_path: Path, status: int) -> None:
    async with (
        Site(Failing(Say(status, {"a": 1}, {"location": "https://elsewhere.example/"}))) as site,
        gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at,
    ):
        answer = await at.http.get("/gateway/orders/x", headers=at.key("orders"), follow_redirects=False)
        assert (answer.status_code, answer.json()) == (status, {"a": 1})
    assert len(site.got) == 1


async def test_a_failing_upstream_is_left_alone(tmp_path: Path) -> None:
    route = ALL + "\nretries: 0\ncircuit: {failures: 3, open: 1h}"
    async with Site(lambda got: Say(503)) as site, gate(tmp_path, {"orders": route}, {"lab": site.url}) as at:
        key = at.key("orders")
        for _ in range(5):
            assert (await at.http.get("/gateway/orders/x", headers=key)).status_code == 503
        assert (len(site.got), at.gateway.circuit("orders")) == (3, "open")
        answer = await at.http.get("/gateway/orders/x", headers=key)
        assert answer.json()["text"] == "the upstream fails and is left alone for a while"
        assert 3500 < int(answer.headers["retry-after"]) <= 3600


async def test_a_slow_upstream_stalls_nobody(tmp_path: Path) -> None:
    going = asyncio.Event()

    async def slow(got: Got) -> Say:
        await going.wait()
        return Say(200, {})

    routes = {"slow": "to: stuck\nconcurrency: 2", "quick": "to: lab"}
    async with (
        Site(slow) as stuck,
        Site(echo) as site,
        gate(tmp_path, routes, {"stuck": stuck.url, "lab": site.url}) as at,
    ):
        key = at.key("slow", "quick")
        waiting = [asyncio.create_task(at.http.get("/gateway/slow/x", headers=key)) for _ in range(6)]
        quick = [await at.http.get("/gateway/quick/x", headers=key) for _ in range(20)]
        assert [a.status_code for a in quick] == [200] * 20
        assert not any(task.done() for task in waiting)
        assert len(stuck.got) <= 2
        going.set()
        assert [a.status_code for a in await asyncio.gather(*waiting)] == [200] * 6


async def test_dead_and_slow_upstreams_are_told_without_their_address(tmp_path: Path) -> None:
    async def slow(got: Got) -> Say:
        await asyncio.sleep(60)
        return Say()

    routes = {"slow": "to: stuck\ntimeout: 0.2s\nretries: 0", "dead": "to: gone\nretries: 1"}
    async with Site(slow) as stuck, gate(tmp_path, routes, {"stuck": stuck.url, "gone": "http://127.0.0.1:9"}) as at:
        key = at.key("slow", "dead")
        for route in routes:
            answer = await at.http.get(f"/gateway/{route}/x", headers=key)
            assert (answer.status_code, answer.json()["error"]) == (502, "send-unavailable")
            assert "127.0.0.1" not in answer.text


async def test_a_line_the_upstream_closed_meanwhile_costs_no_request(tmp_path: Path) -> None:
    async def closing(got: Got) -> Say:
        return Say(200, {"n": len(site.got)}, {"keep-alive": "timeout=0"})

    async with Site(closing) as site, gate(tmp_path, {"orders": ALL + "\nretries: 0"}, {"lab": site.url}) as at:
        key = at.key("orders")
        for n in range(1, 4):
            answer = await at.http.get("/gateway/orders/x", headers=key)
            assert (answer.status_code, answer.json()) == (200, {"n": n})
            for upstream in at.gateway._upstreams.values():
                for idle in upstream._idle:
                    idle.line._transport.abort()  # as a server that closes silent connections does


async def test_an_upstream_without_an_agreement_gets_nothing(tmp_path: Path) -> None:
    async with gate(tmp_path, {"orders": "to: lab"}, {"lab": "https://lab.example\npartner: lakeside"}) as at:
        answer = await at.http.get("/gateway/orders/x", headers=at.key("orders"))
        assert (answer.status_code, answer.json()["error"]) == (403, "no-agreement")
