"""Whose records rows are, as the trail must know it."""

from __future__ import annotations

from typing import Any

import orjson

from suture.store import resources, whose
from suture.store.database import Database
from tests.server.people import observation, patient


def put(store: Database, body: dict[str, Any]) -> resources.Row:
    return store.write_now(lambda tx: resources.put(tx, body["resourceType"], body["id"], orjson.dumps(body)))


def appointment(*patients: str) -> dict[str, Any]:
    who = [{"actor": {"reference": f"Patient/{p}"}, "status": "accepted"} for p in patients]
    return {"resourceType": "Appointment", "id": "a1", "status": "booked", "participant": who}


def test_rows_are_of_their_compartments_patients(store: Database) -> None:
    rows = [
        put(store, patient("p1")),
        put(store, observation("o1", "p2")),
        put(store, observation("o2", "not-there")),
        put(store, observation("o3", "0193f0aa-0000-7000-8000-000000000001")),
        put(store, appointment("p3", "p4")),
        put(store, {"resourceType": "Organization", "id": "x", "name": "y"}),
    ]
    found = whose.of_rows(store.read, rows)
    wanted = {"p1", "p2", "not-there", "0193f0aa-0000-7000-8000-000000000001", "p3", "p4"}
    assert set(found) == {f"Patient/{id}" for id in wanted}
    assert len(found) == len(wanted)
    assert whose.of_rows(store.read, []) == ()


def test_what_changes_hands_is_both_theirs(store: Database) -> None:
    put(store, observation("o1", "p1"))
    put(store, appointment("p3", "p4"))
    assert whose.of_id(store.read, "Observation", "o1") == ("Patient/p1",)
    assert set(whose.of_id(store.read, "Appointment", "a1")) == {"Patient/p3", "Patient/p4"}
    assert whose.of_id(store.read, "Observation", "none") == ()
    assert whose.of_id(store.read, "Patient", "p9") == ("Patient/p9",)
    first = resources.read(store.read, "Observation", "o1")
    put(store, observation("o1", "p2"))
    assert first is not None
    assert whose.of_versions(store.read, [first]) == ("Patient/p2", "Patient/p1")


def test_patients_are_named_however_they_are_written() -> None:
    body = b'{"a":{"reference":"Patient/p1/_history/2"},"b":{"display":"x","reference" : "http://x.example/fhir/Patient/p2"}}'
    assert whose.named(body) == ["Patient/p1", "Patient/p2"]
