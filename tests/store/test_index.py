"""Index rows follow the resources: written, changed by difference, taken away; references may come before what they point to."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from suture.errors import TooCostly
from suture.standards.fhir.index import extract
from suture.store import connection, index, names, resources
from suture.store.bodies import Damaged
from suture.store.database import Database
from tests import damage, stores

TABLES = ("T", "I", "R", "S", "D", "Q", "W")

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:mrn", "value": "7", "type": {"coding": [{"system": "t", "code": "MR"}]}}],
    "name": [{"family": "Stone", "given": ["Ann", "Bo"]}],
    "birthDate": "1980-02-03",
    "active": True,
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "1-8"}]},
    "subject": {"reference": "Patient/p"},
    "effectiveDateTime": "2020-01-01",
    "valueQuantity": {"value": 5.5, "system": "http://unitsofmeasure.org", "code": "mg"},
}


def put(store: Database, id: str, resource: dict[str, Any]) -> resources.Row:
    rows = extract(resource, store.base)
    return store.write_now(lambda tx: resources.put(tx, resource["resourceType"], id, orjson.dumps(resource), rows))


def table(store: Database, name: str) -> list[tuple[Any, ...]]:
    return store.read.all(f"SELECT * FROM {name}")


def counts(store: Database) -> dict[str, int]:
    return {name: len(table(store, name)) for name in TABLES}


def test_a_resource_has_rows_of_every_kind(store: Database) -> None:
    put(store, "p", PATIENT)
    assert counts(store) == {
        "T": 2,
        "I": 2,
        "R": 0,
        "S": 3,
        "D": 1,
        "Q": 0,
        "W": 0,
    }  # active, not deceased; value and typed value
    put(store, "o", OBSERVATION)
    assert counts(store) == {"T": 4, "I": 2, "R": 1, "S": 3, "D": 2, "Q": 2, "W": 0}


def test_only_what_changed_is_written(store: Database) -> None:
    row = put(store, "o", OBSERVATION)
    before = {name: table(store, name) for name in TABLES}
    put(store, "o", OBSERVATION | {"status": "amended"})
    assert {name: table(store, name) for name in TABLES if name != "T"} == {n: r for n, r in before.items() if n != "T"}
    pid = names.find(store.read, "Observation.status")
    codes = store.read.all(
        "SELECT code FROM T JOIN posting USING (lid) JOIN tok USING (tid) WHERE pid = ? AND rid = ?", (pid, row.rid)
    )
    assert codes == [("amended",)]


def test_a_new_date_moves_every_posting(store: Database) -> None:
    put(store, "o", OBSERVATION)
    put(store, "o", OBSERVATION | {"effectiveDateTime": "2021-01-01"})
    (sd,) = store.read.one("SELECT sd FROM res") or ()
    assert set(store.read.all("SELECT sd FROM T UNION ALL SELECT sd FROM R")) == {(sd,)}
    assert counts(store) == {"T": 2, "I": 0, "R": 1, "S": 0, "D": 1, "Q": 2, "W": 0}


def test_a_deleted_resource_leaves_no_rows_and_comes_back_with_them(store: Database) -> None:
    put(store, "o", OBSERVATION)
    full = counts(store)
    store.write_now(lambda tx: resources.delete(tx, "Observation", "o"))
    assert set(counts(store).values()) == {0}
    put(store, "o", OBSERVATION)
    assert counts(store) == full


def test_a_reference_waits_for_its_target(store: Database) -> None:
    put(store, "o", OBSERVATION)
    ((_, waiting, _, _),) = table(store, "R")
    assert table(store, "dangling")
    assert put(store, "p", PATIENT).rid == waiting
    assert table(store, "dangling") == []
    assert put(store, "q", PATIENT).rid != waiting


def test_a_resource_may_refer_to_itself(store: Database) -> None:
    row = put(store, "o", OBSERVATION | {"derivedFrom": [{"reference": "Observation/o"}]})
    assert row.rid in {target for _, target, _, _ in table(store, "R")}
    assert len(table(store, "dangling")) == 1  # the patient only


def test_the_patient_of_a_resource_stands_in_its_row(store: Database) -> None:
    patient = put(store, "p", PATIENT)
    one = put(store, "o", OBSERVATION)
    several = put(store, "o2", OBSERVATION | {"performer": [{"reference": "Patient/q"}]})
    nobody = put(store, "o3", {k: v for k, v in OBSERVATION.items() if k != "subject"})
    found = dict(store.read.all("SELECT rid, pat FROM res"))
    assert [found[r.rid] for r in (patient, one, several, nobody)] == [patient.rid, patient.rid, -1, 0]


def test_references_to_our_own_address_are_local(store: Database) -> None:
    store.shared.base = "https://here.example/fhir/"
    put(store, "o", OBSERVATION | {"subject": {"reference": "https://here.example/fhir/Patient/p"}})
    assert len(table(store, "R")) == 1
    store.write_now(lambda tx: resources.delete(tx, "Observation", "o"))
    assert set(counts(store).values()) == {0}


def test_an_undone_unit_leaves_nothing(store: Database) -> None:
    def unit(tx: Any) -> None:
        resources.put(tx, "Observation", "o", orjson.dumps(OBSERVATION), extract(OBSERVATION))
        raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        store.write_now(unit)
    assert set(counts(store).values()) == {0}
    put(store, "o", OBSERVATION)
    codes = store.read.all("SELECT code FROM T JOIN posting USING (lid) JOIN tok USING (tid) ORDER BY code")
    assert codes == [("1-8",), ("final",)]


LONG: dict[str, Any] = {**OBSERVATION, "effectivePeriod": {"start": "2019-01-01", "end": "2021-01-01"}}
del LONG["effectiveDateTime"]


@pytest.mark.parametrize(("id", "resource"), [("p", PATIENT), ("o", LONG)])
def test_what_can_not_be_read_any_more_is_found_in_the_index_by_its_number(
    store: Database, id: str, resource: dict[str, Any]
) -> None:
    type, every = resource["resourceType"], (*TABLES, "L")
    put(store, f"{id}2", resource)
    beside = {name: sorted(table(store, name)) for name in every}
    put(store, id, resource)
    rid = store.read.all("SELECT max(rid) FROM res")[0][0]
    damage.body(store, type, id)
    gone = store.write_now(lambda tx: resources.delete(tx, type, id))
    assert gone is not None
    assert (gone.version, gone.change) == (2, "deleted")
    assert {name: sorted(table(store, name)) for name in every} == beside
    put(store, id, resource)
    whole = {name: sorted(table(store, name)) for name in every}
    damage.body(store, type, id)
    again = put(store, id, {**resource, "language": "en"})
    assert (again.rid, again.version, again.change) == (rid, 4, "updated")
    damage.body(store, type, id)
    assert put(store, id, resource).version == 5
    assert {name: sorted(table(store, name)) for name in every} == whole
    with pytest.raises(Damaged):
        resources.vread(store.read, type, id, 4)


def test_what_the_index_holds_is_not_looked_for_without_end(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "FORGETTING", -1.0)
    monkeypatch.setattr(connection, "OPERATIONS", 1)
    for n in range(50):
        put(store, f"p{n}", PATIENT)
    damage.body(store, "Patient", "p1")
    if stores.backend == stores.SQLITE:
        with pytest.raises(TooCostly, match=r"what the index holds of it can't be found in time. Restore the last"):
            put(store, "p1", PATIENT)
    assert put(store, "p2", {**PATIENT, "active": False}).version == 2
