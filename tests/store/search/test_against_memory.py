"""Whatever is asked, SQL gives exactly the resources that brute force in memory gives, in the order that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from suture.standards.fhir import search
from suture.standards.fhir.index import extract, values
from suture.standards.fhir.index_dates import UNDATED, sorting_date
from tests import synthea
from tests.store.search.queries import Maker, readable
from tests.store.search.worlds import Resource, World
from tests.stores import database


def ask(world: World, seed: int, rounds: int, count: int) -> int:
    """Checks `rounds` made queries; returns how many found something."""
    random = Random(seed)
    maker, members = Maker(random, world.by_key), list(world.by_key.values())
    fruitful = 0
    for _ in range(rounds):
        resource = random.choice(members)
        pairs = maker.query(resource)
        if readable(resource["resourceType"], pairs):
            fruitful += bool(world.check(resource["resourceType"], pairs, count))
    return fruitful


@pytest.mark.parametrize("seed", range(8))
def test_our_small_world(people: World, seed: int) -> None:
    assert ask(people, seed, 100, 2) > 50


def test_every_parameter_of_our_small_world(people: World) -> None:
    maker = Maker(Random(1), people.by_key)
    asked = 0
    for resource in people.by_key.values():
        for code in search.searchable(resource["resourceType"]):
            pair = maker.plain(resource, code) if maker.rows(resource, code) else None
            if pair is not None and readable(resource["resourceType"], [pair]):
                people.check(resource["resourceType"], [pair], 5)
                asked += 1
    assert asked > 200


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Iterator[World]:
    store = database(tmp_path_factory.mktemp("families"))
    yield World(store, synthea.resources(3))
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_synthetic_families(families: World, seed: int) -> None:
    assert ask(families, seed, 60, 50) > 30


US_CORE = """AllergyIntolerance patient|CarePlan patient+category|CareTeam patient+status|Condition patient|Condition patient+category
Device patient|DiagnosticReport patient|DiagnosticReport patient+category|DiagnosticReport patient+category+date|DiagnosticReport patient+code
DocumentReference patient|DocumentReference patient+category+date|Encounter _id|Encounter patient|Encounter date+patient|Goal patient
Immunization patient|Location name|MedicationRequest patient+intent|MedicationRequest patient+intent+status|Observation patient+category
Observation patient+category+date|Observation patient+code|Organization address|Organization name|Patient _id|Patient identifier|Patient name
Patient birthdate+name|Patient gender+name|Practitioner identifier|Practitioner name|Procedure patient|Procedure patient+date|Provenance target"""


@pytest.mark.slow
@pytest.mark.parametrize("case", [c.strip() for line in US_CORE.splitlines() for c in line.split("|")])
def test_searches_that_us_core_demands(families: World, case: str) -> None:
    type, codes = case.split()
    maker, found = Maker(Random(7), families.by_key), False
    for resource in families.all(type)[:12]:
        pairs = [(code, _plain(maker, resource, code)) for code in codes.split("+") if maker.rows(resource, code)]
        if pairs:
            found |= bool(families.check(type, pairs, 50))
            for prefix in ("ge", "le", "gt", "lt") if "date" in codes else ():
                families.check(type, [(c, prefix + t if c == "date" else t) for c, t in pairs], 50)
    assert found or not families.all(type)


def _plain(maker: Maker, resource: Resource, code: str) -> str:
    name, row = maker.rows(resource, code)[0]
    if name == "dates":
        return datetime.fromtimestamp(row[1] // 1_000_000, UTC).strftime("%Y-%m-%d")
    return str(row[-1])


# --- order


def keys(world: World, found: list[str], key: Any) -> list[Any]:
    return [key(world.by_key[f.partition("/")[0], f.partition("/")[2]]) for f in found]


def newest(resource: Resource) -> int:
    return sorting_date(extract(resource))


def test_newest_first_unless_asked_otherwise(people: World) -> None:
    dates = keys(people, people.check("Observation", []), newest)
    assert dates == sorted(dates, reverse=True)
    dates = keys(people, people.check("Observation", [("_sort", "date"), ("code", "29463-7,8302-2")]), newest)
    assert dates == sorted(dates)
    assert UNDATED not in dates


def test_sorted_by_several_keys(people: World) -> None:
    found = keys(people, people.check("Patient", [("_sort", "gender,-birthdate")]), lambda r: r["id"])
    assert found == ["ann", "cyd", "bob", "nobody"]
    found = keys(people, people.check("Patient", [("_sort", "-family")]), lambda r: r["id"])
    assert found == ["cyd", "bob", "ann", "nobody"]
    found = keys(people, people.check("Patient", [("_sort", "-_id")], 1), lambda r: r["id"])
    assert found == ["nobody", "cyd", "bob", "ann"]


def test_a_page_goes_on_where_it_ended_whatever_comes_between(people: World) -> None:
    query = search.parse("Observation", [("_sort", "status,-date")])
    assert people.pages(query, 1) == people.pages(query, 2) == people.pages(query, 100)


def least_and_greatest(resource: Resource, code: str) -> tuple[Any, Any]:
    """The least and the greatest value of a parameter; what has none comes behind all others."""
    found: list[Any] = []
    for name, row in values(extract(resource), code):
        if name in ("dates", "strings"):
            found.append(row[1])
        elif name == "quantities":
            found.append(row[4])
        elif name == "references":
            found.append(f"{row[1]}/{row[2]}")
        else:
            found.append(str(row[-1]))
    found = [value for value in found if value != ""]  # a concept of words only can't be compared
    return (min(found), max(found)) if found else (None, None)


@pytest.mark.parametrize(
    "type", ["Patient", "Observation", "Condition", "Encounter", "Organization", "DocumentReference"]
)
def test_sorted_by_any_parameter(people: World, type: str) -> None:
    for code, kind in search.searchable(type).items():
        if kind in ("composite", "special") or code in ("_id", "_lastUpdated"):
            continue
        for sign, pick in (("", 0), ("-", 1)):
            found = people.check(type, [("_sort", sign + code)], 2)
            seen = keys(people, found, lambda r, c=code, p=pick: least_and_greatest(r, c)[p])
            given = [k for k in seen if k is not None]
            assert given == sorted(given, reverse=bool(sign)), (type, sign + code)
            bare = [k is not None for k in seen]
            assert bare == sorted(bare, reverse=True), "what has no value comes last, with a minus too"
