"""The index is made anew when its rules or the server's address have changed, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suture.standards.fhir import json
from suture.standards.fhir.index import RULES, extract
from suture.store import reindex, resources
from suture.store.database import Database
from tests import damage
from tests.store.search.people import OBSERVATIONS, PATIENTS
from tests.stores import settings

TABLES = ("T", "I", "R", "S", "D", "L", "Q", "W")
ABSOLUTE = {"resourceType": "Observation", "id": "abs", "subject": {"reference": "https://a.example/fhir/Patient/ann"}}


def opened(folder: Path, address: str = "", *, serving: bool = False) -> Database:
    return Database.open(settings(folder, http__base_url=address), serving=serving)


def fill(store: Database) -> None:
    members: list[dict[str, Any]] = [*PATIENTS, *OBSERVATIONS, ABSOLUTE]

    def load(tx: Any) -> None:
        for m in members:
            resources.put(tx, m["resourceType"], m["id"], json.write(m), extract(m, store.base))
        resources.delete(tx, "Patient", "bob")

    store.write_now(load)


def state(store: Database) -> dict[str, Any]:
    tables = {name: sorted(store.read.all(f"SELECT * FROM {name}")) for name in TABLES}
    return tables | {"res": store.read.all("SELECT rid, pat, sd FROM res WHERE op <> 3 ORDER BY rid")}


def set_fact(store: Database, value: str) -> None:
    store.write_now(lambda tx: tx.execute("UPDATE fact SET value = ? WHERE name = ?", (value, reindex.FACT)))


def test_an_index_of_these_rules_is_left_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store)
    store.write_now(lambda tx: tx.execute("DELETE FROM S"))
    store.close()
    store = opened(tmp_path)
    assert state(store)["S"] == []
    assert not any("index" in notice for notice in store.notices)
    store.close()


@pytest.mark.parametrize("before", ["0 ", "99 ", ""])
def test_an_index_of_other_rules_is_made_anew(tmp_path: Path, before: str) -> None:
    store = opened(tmp_path)
    fill(store)
    whole = state(store)
    for table in TABLES:
        store.write_now(lambda tx, table=table: tx.execute(f"DELETE FROM {table}"))
    store.write_now(lambda tx: tx.execute("UPDATE res SET pat = 7, sd = 7"))
    set_fact(store, before)
    store.close()
    store = opened(tmp_path)
    assert "The search index was made anew: 16 resources" in store.notices
    assert state(store) == whole
    store.close()


def test_what_was_broken_off_begins_anew(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store)
    whole = state(store)
    store.write_now(reindex._emptied)
    store.close()
    store = opened(tmp_path)
    assert state(store) == whole
    assert store.read.one("SELECT value FROM fact WHERE name = ?", (reindex.FACT,)) == (f"{RULES} ",)
    store.close()


def test_references_to_a_new_address_become_local_when_it_is_served(tmp_path: Path) -> None:
    store = opened(tmp_path, "http://127.0.0.1:8080", serving=True)
    assert store.base == ""
    fill(store)
    outside = state(store)
    store.close()
    store = opened(tmp_path, "https://a.example", serving=True)
    assert store.base == "https://a.example/fhir/"
    assert len(state(store)["R"]) == len(outside["R"]) + 1
    store.close()
    store = opened(tmp_path)
    assert store.base == "https://a.example/fhir/", "a command follows what is served"
    assert not any("index" in notice for notice in store.notices)
    store.close()


@pytest.mark.parametrize(
    ("url", "base"),
    [("", ""), ("http://localhost:1", ""), ("http://[::1]:80", ""), ("https://a.example/", "https://a.example/fhir/")],
)
def test_a_server_has_an_address_of_its_own_or_none(url: str, base: str) -> None:
    assert reindex.base_of(url) == base


def test_a_damaged_body_ends_no_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = opened(tmp_path)
    fill(store)
    ann = store.read.all("SELECT min(rid) FROM res WHERE fid = 'ann'")[0][0]
    rest = [store.read.all(f"SELECT count(*) FROM {name} WHERE rid <> ?", (ann,)) for name in TABLES]
    places = state(store)["res"]
    damage.body(store, "Patient", "ann")
    set_fact(store, "0 ")
    store.close()
    store = opened(tmp_path)
    told = [r.getMessage() for r in caplog.records if r.name == "suture.store"]
    assert told == [f"a resource could not be indexed, for its body is damaged: row {ann}"]
    assert [store.read.all(f"SELECT count(*) FROM {name}") for name in TABLES] == rest
    assert state(store)["res"] == places
    store.close()
