"""Full text in the store: kept with each write, built over what was there, told apart by the setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidSearch, Unstartable
from suture.standards.fhir import json, search
from suture.standards.fhir import search_words as language
from suture.store import fulltext, fulltext_postgres, resources
from suture.store.database import Database
from tests import damage
from tests.store.search.people import WORLD
from tests.store.search.test_interference import Seen, patient_rule
from tests.store.search.worlds import World
from tests.stores import settings


def opened(folder: Path, mode: str, serving: bool = True) -> Database:
    return Database.open(settings(folder, search__text=mode), serving=serving)


def built(store: Database) -> None:
    while store.write_now(fulltext.step):
        pass
    assert not fulltext.waiting(store.read)


def spoken(id: str, div: str, note: str = "") -> dict[str, Any]:
    text = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'}
    code = {"text": note or "none"}
    return {"resourceType": "Observation", "id": id, "status": "final", "text": text, "code": code}


SPOKEN = [
    spoken("a", "Acute <b>pain</b> in the chest", "Brustschmerz"),
    spoken("b", "Chronic pain", "Rückenschmerz, chronisch"),
    spoken("c", "No complaints", "acute pain was asked for"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Iterator[World]:
    store = opened(tmp_path_factory.mktemp("words"), "all")
    yield World(store, [*WORLD, *SPOKEN])
    store.close()


ASKED = [
    ("Observation", "_text=pain", "a b"),
    ("Observation", "_text=PAIN AND acute", "a"),
    ("Observation", "_text=pain NOT chronic", "a"),
    ("Observation", '_text="acute pain"', "a"),
    ("Observation", '_text="pain acute"', ""),
    ("Observation", "_text=compl*", "c"),
    ("Observation", "_text=compl", ""),
    ("Observation", "_content=acute pain", "a c"),
    ("Observation", "_content=ruckenschmerz", "b"),
    ("Observation", "_content=Brustschmerz,Rückenschmerz", "a b"),
    ("Observation", '_content=(chest OR chronic) AND "pain"', "a b"),
    ("Observation", "_content=schmerz", "n1"),
    ("Observation", "_content=uberall&code=11488-4", "n1"),
    ("Patient", "_content=paulo", "ann"),
    ("Patient", "_content=pain", ""),
    ("Observation", "subject:Patient._content=brook&code=85354-9", "p1"),
    ("Patient", "_has:Observation:patient:_content=schmerz", "cyd"),
    ("", "_content=dora", "dora"),
    ("", "_text=pain", "a b"),
]


@pytest.mark.parametrize(("type", "query", "expected"), ASKED, ids=[a[1] for a in ASKED])
def test_expected(world: World, type: str, query: str, expected: str) -> None:
    pairs = [(key, text) for key, _, text in (part.partition("=") for part in query.split("&"))]
    assert {f.partition("/")[2] for f in world.check(type, pairs)} == set(expected.split())


PARTS = st.sampled_from(
    ["pain", "acute", "chest", "compl*", '"acute pain"', "8480-6", "stone", "AND", "OR", "NOT", "(", ")"]
)


@given(st.lists(PARTS, min_size=1, max_size=8).map(" ".join))
def test_any_question_agrees_with_memory(world: World, text: str) -> None:
    for code in ("_text", "_content"):
        try:
            search.parse("Observation", [(code, text)])
        except InvalidSearch:
            continue
        world.check("Observation", [(code, text)])


@pytest.mark.parametrize("patient", ["ann", "bob", "cyd"])
def test_words_of_what_may_not_be_seen_find_nothing(world: World, patient: str) -> None:
    rule = patient_rule(patient)
    for type, text in (("Observation", "schmerz OR 29463"), ("Patient", "stone* OR paulo"), ("", "schmerz OR stone")):
        query = search.parse(type, [("_content", text)])
        narrowed = search.restrict(query, rule)
        assert set(world.pages(narrowed)) == Seen(world, rule).brute(query)


def found(store: Database, text: str, code: str = "_content") -> list[str]:
    from_store = World(store, [])
    return sorted(f.partition("/")[2] for f in from_store.pages(search.parse("Observation", [(code, text)])))


def put(store: Database, resource: dict[str, Any]) -> None:
    raw = json.write(resource)
    store.write_now(lambda tx: resources.put(tx, resource["resourceType"], resource["id"], raw))


def test_it_follows_each_write(tmp_path: Path) -> None:
    store = opened(tmp_path, "all")
    for one in SPOKEN:
        put(store, one)
    put(store, spoken("a", "Nothing", "left"))
    store.write_now(lambda tx: resources.delete(tx, "Observation", "b"))
    assert (found(store, "pain"), found(store, "nothing left")) == (["c"], ["a"])
    store.close()


def test_the_setting_decides_and_what_was_there_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fulltext, "PIECE", 1)
    store = opened(tmp_path, "off")
    for one in SPOKEN:
        put(store, one)
    with pytest.raises(InvalidSearch, match="this full text is not kept here"):
        found(store, "pain")
    store.close()
    store = opened(tmp_path, "narrative")
    store.write_now(fulltext.step)
    with pytest.raises(InvalidSearch, match=r"still being built \(\d+ %\)"):
        found(store, "pain", "_text")
    put(store, spoken("d", "New pain"))
    store.close()
    store = opened(tmp_path, "narrative")  # a restart goes on
    assert fulltext.standing(store.read).done > 0
    built(store)
    assert (found(store, "pain", "_text"), fulltext.codes(store.read)) == (["a", "b", "d"], ("_text",))
    with pytest.raises(InvalidSearch, match="this full text is not kept here"):
        found(store, "pain")
    store.close()
    store = opened(tmp_path, "all", serving=False)  # a command follows the database
    assert fulltext.standing(store.read).mode == "narrative"
    store.close()
    store = opened(tmp_path, "off")
    with pytest.raises((apsw.SQLError, psycopg.errors.UndefinedTable)):
        store.read.one("SELECT 1 FROM fulltext")
    store.close()
    with pytest.raises(Unstartable, match=r"search\.text"):
        opened(tmp_path, "some")


def test_what_postgresql_is_asked() -> None:
    back = fulltext_postgres.Tsvector()
    asked = back.matching("content", language.read('("acute pain" OR bri*) NOT chronic', "_content"))
    assert asked.text == "SELECT rid FROM fulltext WHERE content @@ CAST(? AS tsquery)"
    assert asked.values == ("((('acute' <-> 'pain') | ('bri':*)) & !('chronic'))",)
    assert fulltext_postgres._vector(["a", "b", "a"]) == "'a':1,3 'b':2"


def test_a_damaged_body_does_not_end_the_building(tmp_path: Path) -> None:
    store = opened(tmp_path, "off")
    for one in SPOKEN:
        put(store, one)
    damage.body(store, "Observation", "b")
    store.close()
    store = opened(tmp_path, "all")
    built(store)
    assert found(store, "pain") == ["a", "c"]
    put(store, spoken("b", "New pain"))
    assert found(store, "pain") == ["a", "b", "c"]
    store.close()
