"""Sets of patients that a row of the trail names: exact, kept once, found by each of theirs, and any change of them is seen."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.store import audit, crowds, resources
from suture.store.audit import AuditRow, Filter
from suture.store.database import Database


@given(st.sets(st.integers(0, crowds.PART - 1), max_size=300), st.integers(0, crowds.PART - 1))
def test_a_part_holds_exactly_its_places(places: set[int], other: int) -> None:
    for packed in (crowds._list(sorted(places)), crowds._bits(places)):
        assert all(crowds._holds(packed, place) for place in places)
        assert crowds._holds(packed, other) == (other in places)


def test_many_side_by_side_take_a_bit_each() -> None:
    (part, packed), *rest = crowds._parts(range(1, 5000))
    assert (part, len(packed), rest) == (0, crowds.BITS, [])
    assert sum(crowds._holds(packed, place) for place in range(crowds.PART)) == 4999


def people(store: Database, *ids: str) -> list[int]:
    def unit(tx: resources.Tx) -> list[int]:
        body = {"resourceType": "Patient"}
        return [resources.put(tx, "Patient", id, orjson.dumps({**body, "id": id})).rid for id in ids]

    return store.write_now(unit)


@pytest.fixture
def told(store: Database) -> Database:
    """Row 1 is about p1 and p2 and others far away, row 2 about p2, row 3 about p1 alone, by name."""
    first, second, _ = people(store, "p1", "p2", "p3")

    def unit(tx: resources.Tx) -> None:
        for patients in ([first, second, *range(70_000, 70_100)], [second]):
            audit.append(tx, AuditRow("client:1", "export", "Observation", patient=crowds.put(tx, patients)))
        audit.append(tx, AuditRow("user:1", "read", "Patient", "p1", "Patient/p1"))

    store.write_now(unit)
    return store


def test_rows_are_found_by_each_patient_of_their_set(told: Database) -> None:
    def found(*patients: str, **more: object) -> list[tuple[int, tuple[str, ...]]]:
        rows = audit.search(told.read, Filter(patients=patients, **more))  # type: ignore[arg-type]
        return [(entry.n, audit.persons(entry.row)) for entry in rows]

    assert found("Patient/p1") == [(3, ("Patient/p1",)), (1, ("Patient/p1",))]
    assert found("Patient/p2") == [(2, ("Patient/p2",)), (1, ("Patient/p2",))]
    assert (
        found("Patient/p2", count=1)
        == found("Patient/p2", what=("export",), since=1, count=1)
        == [(2, ("Patient/p2",))]
    )
    assert found("Patient/p2", before=2) == [(1, ("Patient/p2",))]
    assert found("Patient/p3") == found("Patient/nobody") == []
    assert audit.verify(told.read) is None


def test_a_set_is_kept_once(told: Database) -> None:
    before = told.read.one("SELECT count(*) FROM crowd")
    (rid,) = people(told, "p2")
    assert told.write_now(lambda tx: crowds.put(tx, [rid, rid])) == told.write_now(lambda tx: crowds.put(tx, [rid]))
    assert told.read.one("SELECT count(*) FROM crowd") == before == (3,)


@pytest.mark.parametrize("tampering", ["DELETE FROM crowd WHERE part = 1", "UPDATE crowd SET part = 5 WHERE part = 1"])
def test_a_set_that_was_changed_is_seen(told: Database, tampering: str) -> None:
    told.write_now(lambda tx: tx.execute(tampering))
    broken = audit.verify(told.read)
    assert broken is not None
    assert (broken.n, broken.kind) == (1, "unlisted")
    assert "no longer those it was written for" in broken.text
