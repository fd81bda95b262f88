"""What a change costs when many subscriptions listen: `python -m bench.subscriptions [how many]`.

Filters by one patient each, by one code each, and by a value that nothing sorts (what a status is not).
"""

from __future__ import annotations

import sys
import time
from typing import Any

from suture.services.subscriptions.registry import Entry, Registry
from suture.standards.fhir import subscription, topics
from suture.standards.fhir.subscription import IG
from suture.standards.fhir.topics import BASE, Change
from suture.store.subscriptions import Subscription

KNOWN = {topic.url: topic for topic in topics.SHIPPED}
ROUNDS = 300


def asked(filter: str) -> dict[str, Any]:
    content = {"extension": [{"url": IG + "backport-payload-content", "valueCode": "id-only"}]}
    return {
        "resourceType": "Subscription", "criteria": BASE + "observation-changed",
        "_criteria": {"extension": [{"url": IG + "backport-filter-criteria", "valueString": filter}]},
        "channel": {"type": "rest-hook", "endpoint": "https://x.example", "payload": "application/fhir+json", "_payload": content},
    }  # fmt: skip


def registry(filters: list[str]) -> Registry:
    made = Registry()
    for rid, filter in enumerate(filters, start=1):
        kept = Subscription(rid, str(rid), 1, "active", 1, 0, 0, 0, 0, 0, "", "client:x", 0, {})
        made._add(Entry(kept, subscription.read(asked(filter), KNOWN)), "")
    return made


def observation(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": f"o{number}", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/p{number}"}, "valueQuantity": {"value": 72, "unit": "/min"},
    }  # fmt: skip


def micros(made: Registry) -> float:
    """CPU of one change, in microseconds."""
    started = time.process_time()
    for number in range(ROUNDS):
        list(made.hits("Observation", Change(None, observation(number))))
    return (time.process_time() - started) / ROUNDS * 1e6


SHAPES = {
    "by patient": "Observation?patient=Patient/p{}",
    "by code": "Observation?code=http://loinc.org|{}",
    "by status": "Observation?status:not=s{}",
}


def main(most: int) -> None:
    print(f"{'subscriptions':>14}" + "".join(f"{name:>12}" for name in SHAPES) + "   (CPU microseconds a change)")
    for count in sorted({1, 10, 100, most}):
        taken = [micros(registry([shape.format(n) for n in range(count)])) for shape in SHAPES.values()]
        print(f"{count:>14}" + "".join(f"{one:>12.0f}" for one in taken))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
