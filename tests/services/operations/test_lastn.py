"""Which observations are of one kind."""

from __future__ import annotations

from typing import Any

from suture.services.operations.lastn import Groups
from suture.standards.fhir import json
from suture.store.row import Row


def row(number: int, *codes: str, text: str = "") -> Row:
    code: dict[str, Any] = {"coding": [{"system": "s", "code": c} for c in codes]} if codes else {}
    if text:
        code["text"] = text
    body = json.write({"resourceType": "Observation", "id": str(number), "code": code})
    return Row(number, "Observation", str(number), 1, 0, "PUT", body)


def test_a_shared_coding_or_the_same_text_makes_one_kind() -> None:
    groups = Groups(2)
    for made in (
        row(1, "a", "b"),
        row(2, "c"),
        row(3, "b"),
        row(4, "a"),
        row(5, text="Pulse"),
        row(6, text="pulse"),
        row(7, "c"),
    ):
        groups.add(made)
    assert [r.rid for r in groups.rows()] == [1, 3, 2, 7, 5, 6]
