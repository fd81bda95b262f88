"""Every search parameter and composite of every type finds what has its value, and nothing else; FHIRPath is asked too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from suture.standards.fhir import search
from suture.standards.fhir.definitions import RESOURCE_TYPES, search_parameters
from suture.standards.fhir.search_tables import searchable
from suture.store import search as store_search
from tests.standards.fhir.test_index_against_fhirpath import ENVIRONMENT, compiled
from tests.store.search.every import PLAIN, Case, cases
from tests.store.search.worlds import World
from tests.stores import database

pytestmark = pytest.mark.slow
CASES = list(cases())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Iterator[World]:
    store = database(tmp_path_factory.mktemp("every"))
    blank = [{"resourceType": type, "id": "blank"} for type in sorted(RESOURCE_TYPES)]
    yield World(store, [*(case.resource for case in CASES), *blank])
    store.close()


def ids(world: World, type: str, key: str, text: str) -> set[str]:
    query = search.parse(type, [(key, text), ("_count", "1000")])
    return {row.id for row in store_search.find(world.store.read, query).rows}


def of_type(type: str) -> list[Case]:
    return [case for case in CASES if case.type == type]


@pytest.mark.parametrize("type", sorted(RESOURCE_TYPES - {"AuditEvent"}))
def test_it_finds_and_does_not_find(world: World, type: str) -> None:
    for case in of_type(type):
        place, id, code = f"{type}?{case.parameter.code}", case.resource["id"], case.parameter.code
        found = ids(world, type, code, case.finds)
        assert id in found, f"{place}={case.finds} does not find {case.resource}"
        assert "blank" not in found, place
        assert id not in ids(world, type, code, case.misses), f"{place}={case.misses} finds {case.resource}"
        if not case.parameter.components:
            assert id in ids(world, type, f"{code}:missing", "false"), place
            assert id not in ids(world, type, f"{code}:missing", "true"), place
            assert "blank" in ids(world, type, f"{code}:missing", "true") or code == "deceased", place


@pytest.mark.parametrize("type", sorted(RESOURCE_TYPES - {"AuditEvent"}))
def test_fhirpath_and_memory_say_the_same(world: World, type: str) -> None:
    for case in of_type(type):
        expression = compiled(case.parameter.expression, type)
        assert expression.evaluate(case.resource, ENVIRONMENT), (case.parameter.code, case.resource)
        for text in (case.finds, case.misses):
            query = search.parse(type, [(case.parameter.code, text)])
            stored = {f"{type}/{id}" for id in ids(world, type, case.parameter.code, text)}
            assert stored == world.brute(query), (case.parameter.code, text)


def test_no_parameter_is_left_out() -> None:
    seen = {(case.type, case.parameter.code) for case in CASES}
    types = sorted(RESOURCE_TYPES - {"AuditEvent"})
    assert {(t, c) for t in types for c in searchable(t) if c not in PLAIN} == seen
    unsearched = {
        (t, c) for t in types for c, p in search_parameters(t).items() if p.expression and c not in searchable(t)
    }
    assert unsearched == {("Bundle", "composition"), ("Bundle", "message")}, "whole resources inside a Bundle"
    assert len(CASES) > 2_300
