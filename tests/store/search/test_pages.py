"""Totals, includes, what policy adds, searches over all types, budgets; and that searches follow every write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from suture.errors import InvalidSearch, TooCostly
from suture.standards.fhir import json, search
from suture.standards.fhir.index import extract
from suture.standards.fhir.search import AllOf, AnyOf, Branch, Compartment, Match, Token
from suture.store import resources
from suture.store import search as store_search
from tests.store.search.people import OTHERS, PATIENTS, WORLD, observation
from tests.store.search.queries import Maker, readable
from tests.store.search.worlds import Pairs, World
from tests.stores import database


def find(world: World, type: str, pairs: Pairs, **shape: Any) -> store_search.Page:
    return store_search.find(world.store.read, replace(search.parse(type, pairs), **shape))


def included(world: World, type: str, pairs: Pairs, **more: Any) -> set[str]:
    query = search.parse(type, pairs)
    page = store_search.find(world.store.read, query)
    return {f"{r.type}/{r.id}" for r in store_search.included(world.store.read, query, page.rows, **more)}


# --- totals


def test_a_total_is_counted_only_when_it_is_asked_for(people: World) -> None:
    assert find(people, "Observation", [("_count", "2")]).total is None
    assert find(people, "Observation", [("_count", "2"), ("_total", "accurate")]).total == 12
    assert find(people, "Observation", [("_count", "2"), ("_total", "estimate")]).total == 12
    assert find(people, "Observation", [("_count", "2"), ("_total", "none")]).total is None


def test_no_rows_but_a_total(people: World) -> None:
    for pairs in ([("_count", "0")], [("_summary", "count")]):
        page = find(people, "Observation", pairs)
        assert (page.rows, page.next, page.total) == ([], None, 12)


def test_a_count_can_stop(people: World) -> None:
    assert store_search.count(people.store.read, search.parse("Observation", []), most=5) == 5


def test_the_last_page_has_no_next(people: World) -> None:
    assert find(people, "Patient", [("_count", "4")]).next is None
    assert find(people, "Patient", [("_count", "3")]).next is not None


# --- includes


def test_include_and_its_target_type(people: World) -> None:
    assert included(people, "Observation", [("_id", "w1,x1"), ("_include", "Observation:subject")]) == {
        "Patient/ann",
        "Group/cohort",
    }
    assert included(people, "Observation", [("_id", "w1,x1"), ("_include", "Observation:subject:Patient")]) == {
        "Patient/ann"
    }
    assert included(people, "Observation", [("_id", "w1"), ("_include", "*")]) == {"Patient/ann", "Encounter/stay"}
    assert included(people, "Patient", [("_id", "ann"), ("_include", "Observation:subject")]) == set()


def test_revinclude(people: World) -> None:
    assert included(people, "Observation", [("_id", "w1,w2"), ("_revinclude", "Provenance:target")]) == {
        "Provenance/who"
    }
    assert included(people, "Patient", [("_id", "cyd"), ("_revinclude", "Observation:patient")]) == {
        "Observation/s1",
        "Observation/n1",
    }


def test_iterate_goes_on_from_what_was_included(people: World) -> None:
    pairs = [("_id", "w1"), ("_include", "Observation:encounter"), ("_include:iterate", "Encounter:service-provider")]
    assert included(people, "Observation", pairs) == {"Encounter/stay", "Organization/mercy"}
    pairs.append(("_include:iterate", "Organization:partof"))
    assert included(people, "Observation", pairs) == {"Encounter/stay", "Organization/mercy", "Organization/group"}


def test_what_may_not_be_seen_is_left_out_and_leads_no_further(people: World) -> None:
    pairs = [("_id", "w1"), ("_include", "Observation:encounter"), ("_include:iterate", "Encounter:service-provider")]
    assert included(people, "Observation", pairs, allows=lambda row: row.type != "Encounter") == set()


def test_too_many_includes_are_refused(people: World) -> None:
    with pytest.raises(TooCostly, match="more than 3 resources would be included"):
        included(people, "Patient", [("_revinclude", "Observation:patient")], most=3)


# --- what policy adds


def pages(world: World, query: search.SearchQuery) -> set[str]:
    found = world.pages(query)
    assert set(found) == world.brute(query)
    assert len(found) == len(set(found)) == store_search.count(world.store.read, query)
    return {f.partition("/")[2] for f in found}


def test_a_compartment(people: World) -> None:
    rule = Compartment(("bob",))
    for type, expected in {
        "Patient": "bob cyd",  # cyd is linked to bob
        "Observation": "w3 h1 t1 p2",  # t1: bob performed it
        "Encounter": "visit",
        "Appointment": "meet",
        "Organization": "",
        "Practitioner": "",
    }.items():
        assert pages(people, search.SearchQuery(type, (rule,))) == set(expected.split())
    assert pages(people, search.SearchQuery("Observation", (Compartment(()),))) == set()
    assert pages(people, search.SearchQuery("Observation", (Compartment(("unheard-of",)),))) == set()


def test_granular_rules(people: World) -> None:
    weight = Match("code", "token", (Token("http://loinc.org", "29463-7"),))
    rule = AnyOf((AllOf((Compartment(("ann",)), weight)), AllOf((Compartment(("cyd",)),))))
    assert pages(people, search.SearchQuery("Observation", (rule,))) == {"w1", "w2", "s1", "n1"}
    assert pages(people, search.SearchQuery("Observation", (AllOf(()),))) == {
        o.split("/")[1] for o in people.brute(search.SearchQuery("Observation"))
    }
    assert pages(people, search.SearchQuery("Observation", (search.NOTHING,))) == set()


def test_a_chain_tells_nothing_about_what_may_not_be_seen(people: World) -> None:
    query = search.parse("Observation", [("subject:Patient.name", "stone"), ("code", "29463-7")])
    assert pages(people, query) == {"w3"}
    rule = {"Patient": Compartment(("ann",))}
    assert pages(people, search.restrict(query, rule.get)) == set()
    query = search.parse("Patient", [("_has:Observation:patient:code", "29463-7")])
    assert pages(people, query) == {"ann", "bob"}
    hidden = {"Observation": search.NOTHING}
    assert pages(people, search.restrict(query, hidden.get)) == set()


@pytest.mark.parametrize("seed", range(3))
def test_any_query_under_any_rule_agrees_with_memory(people: World, seed: int) -> None:
    random = Random(seed)
    maker, members = Maker(random, people.by_key), list(people.by_key.values())
    rules = [
        None,
        search.NOTHING,
        Compartment(("ann",)),
        Compartment(("bob", "cyd")),
        AnyOf((Compartment(("bob",)), Compartment(("ann",)))),
    ]
    for _ in range(120):
        resource = random.choice(members)
        pairs = maker.query(resource)
        if readable(resource["resourceType"], pairs):
            chosen = {t: random.choice(rules) for t, _ in people.by_key}
            pages(people, search.restrict(search.parse(resource["resourceType"], pairs), chosen.get))


# --- all types


def test_a_search_over_all_types(people: World) -> None:
    assert len(pages(people, search.parse("", []))) == len(WORLD)
    assert pages(people, search.parse("", [("_id", "ann,dora,w1")])) == {"ann", "dora", "w1"}
    assert pages(people, search.parse("", [("_type", "Patient,Group"), ("_lastUpdated", "gt2000")])) == {
        "ann",
        "bob",
        "cyd",
        "nobody",
        "cohort",
    }
    assert pages(people, search.parse("", [("_tag", "vip")])) == {"ann"}
    query = search.restrict(
        search.parse("", []), lambda type: Compartment(("cyd",)) if type != "Patient" else search.NOTHING
    )
    assert pages(people, query) == {"s1", "n1", "risk"}
    assert pages(people, replace(query, rules=(Branch("Patient", ()),))) == {"ann", "bob", "cyd", "nobody"}


# --- budgets and hostile values


def test_a_search_that_takes_too_long_is_ended(fresh: World) -> None:
    rows = [observation(f"o{n}", "1-1", "Patient/ann", "2020") for n in range(1500)]
    fresh.store.write_now(
        lambda tx: [resources.put(tx, "Observation", r["id"], json.write(r), extract(r)) for r in rows]
    )
    query = search.parse("Observation", [("_summary", "count"), ("date", "ne2021"), ("code:not", "2-2")])
    with pytest.raises(TooCostly, match=r"ran longer than it may\. Narrow it: name a patient"):
        store_search.find(fresh.store.read, query, budget=-1)
    assert find(fresh, "Patient", []).rows, "the connection works on"


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", '"; DROP TABLE res; --', "%", "_", "a\u0301" * 50, "\U0010ffff", "0x41", "*"]
)
def test_values_are_only_values(people: World, text: str) -> None:
    for type, key in (
        ("Patient", "name"),
        ("Patient", "name:contains"),
        ("Patient", "identifier"),
        ("Observation", "code"),
        ("Patient", "_id"),
        ("Patient", "_profile"),
    ):
        if key.startswith("name") and not any(c.isalnum() or ord(c) > 127 for c in text):
            with pytest.raises(InvalidSearch, match="no letter and no digit"):
                search.parse(type, [(key, text)])
            continue
        people.check(type, [(key, text)])
    assert len(people.check("Patient", [])) == len(PATIENTS)


def test_many_values_are_one_search(people: World) -> None:
    assert people.check("Observation", [("code", ",".join(f"{n}-x" for n in range(499)) + ",8302-2")]) == [
        "Observation/h1"
    ]


# --- writes


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    store = database(tmp_path)
    yield World(store, [*PATIENTS, *OTHERS])
    store.close()


def put(world: World, resource: dict[str, Any]) -> None:
    rows = extract(resource, world.store.base)
    world.store.write_now(
        lambda tx: resources.put(tx, resource["resourceType"], resource["id"], json.write(resource), rows)
    )
    world.by_key[resource["resourceType"], resource["id"]] = resource


def delete(world: World, type: str, id: str) -> None:
    world.store.write_now(lambda tx: resources.delete(tx, type, id))
    world.by_key.pop((type, id), None)


def test_searches_follow_writes(fresh: World) -> None:
    put(fresh, observation("o", "1-1", "Patient/new", "2020-01-01"))
    assert fresh.check("Observation", [("code", "1-1")]) == ["Observation/o"]
    assert fresh.check("Observation", [("subject:Patient.gender", "male")]) == []
    put(fresh, {"resourceType": "Patient", "id": "new", "gender": "male"})
    assert fresh.check("Observation", [("subject:Patient.gender", "male")]) == ["Observation/o"]
    put(fresh, observation("o", "2-2", "Patient/new", "2021-01-01"))
    assert fresh.check("Observation", [("code", "1-1")]) == []
    assert fresh.check("Observation", [("code", "2-2"), ("patient", "new"), ("date", "2021")]) == ["Observation/o"]
    delete(fresh, "Patient", "new")
    assert fresh.check("Observation", [("subject:Patient.gender", "male")]) == []
    assert fresh.check("Observation", [("patient", "new")]) == ["Observation/o"]
    assert included(fresh, "Observation", [("_include", "Observation:subject")]) == set()
    delete(fresh, "Observation", "o")
    assert fresh.check("Observation", []) == []
    assert fresh.check("Observation", [("_sort", "-_lastUpdated")]) == []


def test_random_writes_leave_the_index_right(fresh: World) -> None:
    random = Random(3)
    ids = [f"o{n}" for n in range(12)]
    for _ in range(150):
        id = random.choice(ids)
        if random.random() < 0.25:
            delete(fresh, "Observation", id)
            continue
        more = {"valueQuantity": {"value": random.randrange(5), "code": "kg"}} if random.random() < 0.5 else {}
        subject = random.choice(("Patient/ann", "Patient/bob", "Group/cohort"))
        put(
            fresh,
            observation(
                id, random.choice(("1-1", "2-2")), subject, random.choice(("2020", "2021-02", "2021-02-03")), **more
            ),
        )
    for pairs in (
        [("code", "1-1")],
        [("date", "2021")],
        [("patient", "ann")],
        [("value-quantity", "gt2")],
        [("value-quantity:missing", "true")],
        [("subject:Patient.name", "stone")],
    ):
        fresh.check("Observation", pairs)
    (rows,) = (
        fresh.store.read.one("SELECT (SELECT count(*) FROM T) + (SELECT count(*) FROM R) + (SELECT count(*) FROM D)")
        or ()
    )
    store = database(fresh.store.path.parent / "again")
    again = World(store, fresh.by_key.values())
    assert again.store.read.one(
        "SELECT (SELECT count(*) FROM T) + (SELECT count(*) FROM R) + (SELECT count(*) FROM D)"
    ) == (rows,)
    store.close()


@pytest.mark.parametrize("looked_up", [0, 10_000])
def test_sort_keys_are_the_same_whether_gathered_or_looked_up(
    people: World, monkeypatch: pytest.MonkeyPatch, looked_up: int
) -> None:
    monkeypatch.setattr("suture.store.search_plan.LOOKED_UP", looked_up)
    for pairs in (
        [("_sort", "code,-date"), ("status", "final,amended")],
        [("_sort", "-status,value-quantity,_id"), ("patient", "ann,bob,cyd")],
        [("_sort", "value-concept,-code"), ("category", "vital-signs")],
    ):
        again = people.check("Observation", pairs, 2)
        monkeypatch.setattr("suture.store.search_plan.LOOKED_UP", 10_000 - looked_up)
        assert people.check("Observation", pairs, 3) == again
    found = people.check("Patient", [("_sort", "-identifier"), ("_id", "ann,bob,cyd,nobody")], 1)
    assert found[2:] in (["Patient/nobody", "Patient/cyd"], ["Patient/cyd", "Patient/nobody"])


def test_includes_through_canonicals_heed_the_version(tmp_path: Path) -> None:
    def form(id: str, version: str) -> dict[str, Any]:
        return {
            "resourceType": "Questionnaire",
            "id": id,
            "status": "active",
            "url": "http://x/form",
            "version": version,
        }

    def answer(id: str, canonical: str) -> dict[str, Any]:
        return {"resourceType": "QuestionnaireResponse", "id": id, "status": "completed", "questionnaire": canonical}

    store = database(tmp_path)
    answers = [answer("any", "http://x/form"), answer("second", "http://x/form|2"), answer("other", "http://x/other")]
    world = World(store, [form("one", "1"), form("two", "2"), *answers])

    def led_to(type: str, id: str, key: str, text: str) -> set[str]:
        query = search.parse(type, [("_id", id), (key, text)])
        rows = store_search.find(world.store.read, query).rows
        return {row.id for row in store_search.included(world.store.read, query, rows)}

    forward = ("_include", "QuestionnaireResponse:questionnaire")
    back = ("_revinclude", "QuestionnaireResponse:questionnaire")
    assert led_to("QuestionnaireResponse", "any", *forward) == {"one", "two"}
    assert led_to("QuestionnaireResponse", "second", *forward) == {"two"}
    assert led_to("QuestionnaireResponse", "other", *forward) == set()
    assert led_to("Questionnaire", "one", *back) == {"any"}
    assert led_to("Questionnaire", "two", *back) == {"any", "second"}
    for version, expected in (("1", {"any"}), ("2", {"any", "second"}), ("3", set())):
        found = world.check("QuestionnaireResponse", [("questionnaire.version", version)])
        assert {f.partition("/")[2] for f in found} == expected
    store.close()
