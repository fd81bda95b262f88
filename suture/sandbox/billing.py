"""A billing system to talk to: its REST API takes charges, answers slowly and sometimes with 503.

The faults come from a seed, so that a walk through the demo is the same each time.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(slots=True)
class Billing:
    """What the billing system has taken; `charges` is keyed by the sender's Idempotency-Key."""

    seed: int = 1
    slowest: float = 0.4  # seconds
    busy_share: float = 0.3  # share of requests that are answered with 503
    charges: dict[str, Any] = field(default_factory=dict)
    requests: int = 0
    refusals: int = 0
    repeats: int = 0

    def application(self) -> Starlette:
        return Starlette(routes=[Route("/charges", self._take, methods=["POST"]), Route("/charges", self._list)])

    async def _take(self, request: Request) -> Response:
        self.requests += 1
        r = random.Random(f"{self.seed}/{self.requests}")
        body = await request.body()
        await asyncio.sleep(r.uniform(0.02, self.slowest))
        if r.random() < self.busy_share:
            self.refusals += 1
            return Response(status_code=503, headers={"Retry-After": "1"})
        return self._kept(request.headers.get("idempotency-key", ""), body)

    def _kept(self, key: str, body: bytes) -> Response:
        try:
            charge = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _json({"error": "the body is not JSON"}, 400)
        name = key or str(self.requests)
        self.repeats += name in self.charges
        self.charges[name] = charge
        return _json({"charge": name, "state": "accepted"}, 201)

    async def _list(self, request: Request) -> Response:
        return _json({"charges": len(self.charges), "requests": self.requests, "refused": self.refusals}, 200)


def _json(value: Any, status: int) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
