"""Of many subscriptions only those are held against a change whose filters it can fit; whoever fits is found."""

from __future__ import annotations

import pytest

from suture.services.subscriptions.registry import Entry, Registry
from suture.standards.fhir import search, subscription, topics
from suture.standards.fhir.topics import Change
from suture.store.subscriptions import Subscription
from tests.notified import subscription as asked
from tests.server.people import observation

KNOWN = {topic.url: topic for topic in topics.SHIPPED}
BASE = "http://localhost/fhir"


def registry(*filters: tuple[str, ...]) -> Registry:
    """One subscription to observations for each group of filters, numbered from 1."""
    made = Registry()
    for rid, group in enumerate(filters, start=1):
        kept = Subscription(rid, str(rid), 1, "active", 1, 0, 0, 0, 0, 0, "", "client:x", 0, {})
        wanted = subscription.read(asked("https://x.example", "observation-changed", "id-only", group), KNOWN, BASE)
        made._add(Entry(kept, wanted), BASE)
    return made


def hits(made: Registry, id: str = "o1", whose: str = "p1") -> list[int]:
    return sorted(entry.kept.rid for entry in made.hits("Observation", Change(None, observation(id, whose))))


def test_filters_of_all_shapes_find_whom_they_fit() -> None:
    made = registry(
        (),
        ("Observation?patient=Patient/p1",),
        ("Observation?patient=Patient/p2",),
        ("Observation?subject=Patient/p1&status=final",),
        ("Observation?subject=Patient/p1&status=preliminary",),
        ("Observation?patient=Patient/p1,Patient/p2",),
        ("Observation?patient=Patient/p1", "Observation?code=nothing"),
        ("Observation?status:not=final",),
        (f"Observation?patient={BASE}/Patient/p1",),
        ("Observation?code=http://loinc.org|8867-4",),
        ("Observation?code=http://loinc.org|8867-5",),
        ("Observation?code=8867-4",),
        ("Observation?code=http://loinc.org|",),
        ("Observation?_id=o1",),
    )
    assert hits(made) == [1, 2, 4, 6, 9, 10, 12, 13, 14]


def test_a_deletion_is_found_by_what_was_there() -> None:
    made = registry(("Observation?patient=Patient/p1",), ("Observation?patient=Patient/p2",))
    found = made.hits("Observation", Change(observation("o1", "p1"), None))
    assert [entry.kept.rid for entry in found] == [1]


def test_a_thousand_filters_cost_a_few_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    made = registry(*((f"Observation?patient=Patient/p{n}",) for n in range(1000)))
    asked_of = []
    holds = search.holds
    monkeypatch.setattr(search, "holds", lambda *given: asked_of.append(1) or holds(*given))
    assert hits(made, whose="p7") == [8]
    assert len(asked_of) == 1
