"""The billing system refuses now and then, takes a charge once, and says so."""

from __future__ import annotations

import httpx

from suture.sandbox.billing import Billing


async def test_it_refuses_sometimes_and_counts_repeats() -> None:
    billing = Billing(seed=3, slowest=0.03, busy_share=0.5)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(billing.application()), base_url="http://billing"
    ) as client:
        answers = [
            await client.post("/charges", json={"n": n}, headers={"Idempotency-Key": str(n % 3)}) for n in range(20)
        ]
        listed = (await client.get("/charges")).json()
    statuses = [a.status_code for a in answers]
    assert set(statuses) == {201, 503}
    assert all(a.headers["retry-after"] == "1" for a in answers if a.status_code == 503)
    assert listed == {"charges": len(billing.charges), "requests": 20, "refused": statuses.count(503)}
    assert billing.repeats == statuses.count(201) - len(billing.charges)


async def test_a_body_that_is_no_json_is_refused_for_good() -> None:
    billing = Billing(busy_share=0.0, slowest=0.03)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(billing.application()), base_url="http://billing"
    ) as client:
        answer = await client.post("/charges", content=b"{")
    assert (answer.status_code, answer.json()) == (400, {"error": "the body is not JSON"})
