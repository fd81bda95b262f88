"""Loads the demo's people: a family with whole US Core records before the flows are on, then those the flows are about."""

from __future__ import annotations

from typing import Any

from suture.access import policy
from suture.sandbox.synthetic import FAMILY, world
from suture.services.interactions.door import Interactions
from suture.services.interactions.rules import Preferences

OTHERS = 1_000_003  # added to the seed: the family is none of the hospital's people


async def family(chart: Interactions, seed: int) -> int:
    """One family in the chart; returns how many resources its records have.

    A flow that follows changes begins when it is started, so that what is loaded before is no event to it.
    """
    return await put(chart, list(world(seed + OTHERS, len(FAMILY))))


async def put(chart: Interactions, resources: list[dict[str, Any]]) -> int:
    """All of them in one transaction; returns how many they are."""
    entries = [
        {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in resources
    ]
    await chart.bundle(
        policy.SYSTEM,
        {"resourceType": "Bundle", "type": "transaction", "entry": entries},
        Preferences(returns="minimal"),
    )
    return len(resources)
