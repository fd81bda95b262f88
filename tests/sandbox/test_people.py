"""Synthetic people are the same for a seed, differ between numbers, and refer only to what exists."""

from __future__ import annotations

import json

from suture.sandbox import people


def test_a_seed_always_gives_the_same_charts() -> None:
    first, second = ([people.chart(p, 7) for p in people.people(7, 5)] for _ in range(2))
    assert first == second
    assert people.person(7, 1) != people.person(7, 2) != people.person(8, 2)


def test_every_reference_points_at_a_resource_of_the_chart() -> None:
    resources = [r for p in people.people(3, 20) for r in people.chart(p, 3)] + people.organizations()
    known = {f"{r['resourceType']}/{r['id']}" for r in resources}
    text = json.dumps(resources)
    named = {part.split('"')[0] for part in text.split('"reference": "')[1:]}
    assert named <= known
    assert len(known) == len(resources)
