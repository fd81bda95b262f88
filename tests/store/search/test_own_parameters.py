"""Search parameters of a site's own: built over what is there, kept while it is written, resumed, taken away again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suture.errors import Conflict, InvalidSearch
from suture.standards.fhir import definitions, json, search
from suture.standards.fhir.index import extract
from suture.store import parameters, parameters_build, record, resources, restrictions
from suture.store import search as store_search
from suture.store.database import Database
from suture.store.record import Version
from suture.store.verify import verify
from tests import damage
from tests.store.search.people import OBSERVATIONS, PATIENTS, WORLD, patient
from tests.store.search.worlds import World
from tests.stores import database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = database(tmp_path)
    yield World(store, WORLD)
    store.close()
    definitions.adopt(definitions.NO_OWN)


def own(id: str = "own", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter", "id": id, "status": "active", "url": f"http://example.org/{id}", "name": "Own",
        "description": "x", "code": id, "base": ["Patient"], "type": "date", "expression": "Patient.deceased.as(dateTime)",
    } | more  # fmt: skip


def put(store: Database, resource: dict[str, Any]) -> None:
    raw = json.write(resource)
    store.write_now(lambda tx: resources.put(tx, resource["resourceType"], resource["id"], raw))


def remove(store: Database, id: str) -> None:
    store.write_now(lambda tx: resources.delete(tx, "SearchParameter", id))


def built(store: Database) -> None:
    for _ in range(10_000):
        if not store.write_now(parameters_build.step):
            assert not parameters_build.waiting(store.read)
            parameters.adopt(store.read)
            return
    raise AssertionError("building does not end")


def rows_of(store: Database) -> int:
    return sum(store.read.all(f"SELECT count(*) FROM {table}")[0][0] for table in "TIRSDLQ")


def states(store: Database) -> list[tuple[str, str]]:
    return [(s.code, s.state) for s in parameters.standings(store.read)]


def sound(store: Database) -> None:
    assert all(f.good for f in verify(store) if f.what == "index"), [f.text for f in verify(store)]


CASES = [
    ("date", ["Patient"], "Patient.deceased.as(dateTime)", "Patient", "ge2020", {"cyd"}),
    ("string", ["Patient", "Practitioner"], "Patient.name.family | Practitioner.name.family", "Practitioner", "agren", {"dora"}),
    ("string", ["Patient", "Practitioner"], "Patient.name.family | Practitioner.name.family", "Patient", "stone", {"bob", "cyd"}),
    ("token", ["Patient"], "Patient.identifier.where(system = 'urn:ssn')", "Patient", "urn:ssn|999-1", {"ann"}),
    ("token", ["Patient"], "Patient.telecom", "Patient", "555-0001", {"ann"}),
    ("quantity", ["Observation"], "Observation.component.value.ofType(Quantity)", "Observation", "gt140||mmHg", {"p1"}),
    ("reference", ["Observation"], "Observation.subject.where(resolve() is Patient)", "Observation", "bob", {"w3", "h1", "p2"}),
    ("uri", ["Questionnaire"], "Questionnaire.url", "Questionnaire", "http://example.org/fhir/Questionnaire/form", {"form"}),
    ("number", ["MolecularSequence"], "MolecularSequence.referenceSeq.windowStart", "MolecularSequence", "10", {"dna"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "base", "expression", "type", "asked", "expected"), CASES, ids=[c[2] for c in CASES])
def test_what_was_there_is_found_once_it_is_built(
    world: World, kind: str, base: list[str], expression: str, type: str, asked: str, expected: set[str]
) -> None:
    put(world.store, own(type=kind, base=base, expression=expression))
    built(world.store)
    assert states(world.store) == [("own", "on")]
    found = {f.partition("/")[2] for f in world.check(type, [("own", asked)])}
    assert found == expected
    missing = {f.partition("/")[2] for f in world.check(type, [("own:missing", "true")])}
    assert not missing & expected
    assert set(world.check(type, [("_sort", "own")])) == set(world.check(type, [("_sort", "-own")]))
    sound(world.store)


def test_until_then_a_search_says_so_and_writes_are_indexed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters_build, "PIECE", 1)
    put(world.store, own(expression="Patient.deceased.as(dateTime)"))
    parameters.adopt(world.store.read)
    with pytest.raises(
        InvalidSearch, match="Patient has no such search parameter"
    ):  # what an older one left goes first
        search.parse("Patient", [("own", "2020")])
    assert world.store.write_now(parameters_build.step)
    assert world.store.write_now(parameters_build.step)
    assert states(world.store) == [("own", "building")]
    parameters.adopt(world.store.read)
    for pairs in ([("own", "2020")], [("_sort", "own")], [("_has:Patient:link:own", "2020")]):
        with pytest.raises(InvalidSearch):
            search.parse("Patient", pairs)
    assert search.parse("Patient", [("own", "2020")], lenient=True).unknown == ("own",)
    assert "own" not in search.searchable("Patient")
    put(world.store, patient("new", "New", [], "2000", "male", deceasedDateTime="2020-07-07T00:00:00Z"))
    put(world.store, PATIENTS[2] | {"deceasedDateTime": "2021-01-01T00:00:00Z"})  # changed before or after it is built
    sound(world.store)
    built(world.store)
    query = search.parse("Patient", [("own", "ge2020"), ("_sort", "own")])
    assert world.pages(query) == ["Patient/new", "Patient/cyd"]
    assert world.pages(search.parse("Patient", [("own", "2020-05")])) == []
    sound(world.store)


def test_it_goes_on_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters_build, "PIECE", 1)
    store = database(tmp_path)
    World(store, PATIENTS)
    put(store, own())
    for _ in range(3):
        store.write_now(parameters_build.step)
    (before,) = parameters.standings(store.read)
    assert (before.state, 0 < before.done < before.all) == ("building", True)
    store.close()
    definitions.adopt(definitions.NO_OWN)
    store = database(tmp_path)
    built(store)
    query = search.parse("Patient", [("own", "ge2020")])
    assert [row.id for row in store_search.find(store.read, query).rows] == ["cyd"]
    store.close()
    definitions.adopt(definitions.NO_OWN)


def test_taken_away_changed_and_brought_back(world: World) -> None:
    empty = rows_of(world.store)
    put(
        world.store,
        own(base=["Observation"], type="quantity", expression="Observation.component.value.ofType(Quantity)"),
    )
    own_rows = rows_of(world.store) - empty  # of the SearchParameter itself
    built(world.store)
    full = rows_of(world.store)
    assert full > empty + own_rows
    remove(world.store, "own")
    parameters.adopt(world.store.read)
    assert "own" not in search.searchable("Observation")
    put(world.store, OBSERVATIONS[-1] | {"component": []})  # while its rows are still there
    built(world.store)
    assert (states(world.store), rows_of(world.store) < full) == ([], True)
    sound(world.store)
    put(
        world.store,
        own(base=["Observation"], type="quantity", expression="Observation.component.value.ofType(Quantity)"),
    )
    built(world.store)
    assert world.pages(search.parse("Observation", [("own", "gt90")])) == ["Observation/p1"]
    put(world.store, own(base=["Observation"], type="token", expression="Observation.component.code"))
    built(world.store)
    assert world.pages(search.parse("Observation", [("own", "8480-6")])) == ["Observation/p1"]
    put(world.store, own(status="retired"))
    built(world.store)
    assert states(world.store) == []
    sound(world.store)


def test_a_code_of_a_type_is_given_once(world: World) -> None:
    put(world.store, own("one", code="same"))
    with pytest.raises(Conflict) as caught:
        put(world.store, own("two", code="same"))
    assert (caught.value.where, "Patient" in caught.value.text) == ("SearchParameter.code", True)
    assert resources.read(world.store.read, "SearchParameter", "two") is None
    put(world.store, own("three", code="same", base=["Person"], type="string", expression="Person.name"))
    built(world.store)
    assert states(world.store) == [("same", "on"), ("same", "on")]


def test_two_that_look_at_the_same_values(world: World) -> None:
    put(world.store, own("one"))
    built(world.store)
    put(world.store, own("two"))
    built(world.store)
    remove(world.store, "one")
    built(world.store)
    assert world.pages(search.parse("Patient", [("two", "ge2020")])) == ["Patient/cyd"]
    sound(world.store)


def test_an_undone_write_leaves_none(world: World) -> None:
    def unit(tx: Any) -> None:
        resources.put(tx, "SearchParameter", "own", json.write(own()))
        raise Conflict("undone")

    with pytest.raises(Conflict, match="undone"):
        world.store.write_now(unit)
    assert states(world.store) == []
    put(world.store, patient("later", "Later", [], "2000", "male"))
    sound(world.store)


def test_a_record_of_another_installation_is_indexed_by_it_too(world: World) -> None:
    put(world.store, own())
    built(world.store)
    came = patient("came", "Came", [], "2000", "male", deceasedDateTime="2022-01-01T00:00:00Z")
    consent = {
        "resourceType": "Consent", "id": "no", "status": "active", "patient": {"reference": "Patient/came"}, "provision": {"type": "deny"},
    }  # fmt: skip

    def unit(tx: Any) -> None:
        for one in (came, consent):
            version = Version(1, 1_600_000_000_000_000, "PUT", json.write(one))
            assert record.put(tx, one["resourceType"], one["id"], [version], extract(one)) == record.CREATED

    definitions.adopt(definitions.NO_OWN)  # a process that has not heard of it yet
    world.store.write_now(unit)
    parameters.adopt(world.store.read)
    assert world.pages(search.parse("Patient", [("own", "2022")])) == ["Patient/came"]
    assert restrictions.bodies(world.store.read, ["came"]), "and its consents hold"
    sound(world.store)


def test_a_damaged_body_does_not_end_the_building(world: World) -> None:
    before = damage.body(world.store, "Patient", "ann")
    put(world.store, own(type="token", base=["Patient"], expression="Patient.identifier.where(system = 'urn:ssn')"))
    built(world.store)
    assert states(world.store) == [("own", "on")]
    world.store.write_now(lambda tx: damage.spoil(tx, "Patient", "ann", 0, before))
    told = next(f.text for f in verify(world.store) if f.what == "index")
    assert told.endswith("lack index rows: Patient/ann (I)")
