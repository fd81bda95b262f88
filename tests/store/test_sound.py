"""One damaged body: all beside it is read, it is named, what was passed by is kept in mind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.standards.fhir.index import extract
from suture.store import health, resources, skipped, sound
from suture.store.bodies import Damaged
from suture.store.connection import Tx
from suture.store.database import Database
from tests import damage, stores


def put(tx: Tx, id: str, family: str, type: str = "Patient") -> resources.Row:
    said = {"resourceType": type, "id": id, "name": [{"family": family, "text": "some words that fill a page " * 3}]}
    return resources.put(tx, type, id, json.dumps(said).encode(), extract(said, ""))


def fill(store: Database) -> None:
    """Three people, each with two versions; the last with a deletion, too."""
    for family in ("Stone", "River"):
        for id in "abc":
            store.write_now(lambda tx, i=id, f=family: put(tx, i, f))
    store.write_now(lambda tx: resources.delete(tx, "Patient", "c"))


def seen(rows: list[resources.Row]) -> list[tuple[str, int, bool]]:
    return [(row.id, row.version, row.damaged) for row in rows]


def test_all_beside_a_damaged_body_is_read(store: Database) -> None:
    fill(store)
    whole = seen(resources.changes(store.read, 0))
    damage.body(store, "Patient", "a", 1)
    damage.body(store, "Patient", "b")
    lost = {("a", 1), ("b", 2)}
    assert seen(sound.changes(store.read, 0)) == [(id, ver, (id, ver) in lost) for id, ver, _ in whole]
    assert seen(sound.changes(store.read, 0, ["Patient"], 2)) == [("a", 1, True), ("b", 1, False)]
    assert seen(sound.history(store.read, "Patient", "")) == list(reversed(seen(sound.changes(store.read, 0))))
    assert seen(sound.history(store.read, "Patient", "b")) == [("b", 2, True), ("b", 1, False)]
    assert resources.vread(store.read, "Patient", "b", 1) is not None  # the current one is not read for it
    for version, id in ((1, "a"), (2, "b")):
        row = sound.vread(store.read, "Patient", id, version)
        assert row is not None
        assert (row.damaged, row.version, row.method) == (True, version, "PUT")
    rids = [row.rid for row in sound.history(store.read, "Patient", "") if row.version == 2]
    assert seen(sound.read_all(store.read, rids)) == [("b", 2, True), ("a", 2, False)]  # c is deleted
    found = sound.read(store.read, "Patient", "b")
    assert found is not None
    assert found.damaged
    with pytest.raises(Damaged, match="a stored body is damaged"):
        resources.read(store.read, "Patient", "b")


def test_what_is_passed_by_is_kept_in_mind_until_it_can_be_read_again(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    old, now = damage.body(store, "Patient", "a", 1), damage.body(store, "Patient", "b")
    lost = [row for row in sound.changes(store.read, 0) if row.damaged]
    store.write_now(lambda tx: skipped.note(tx, lost[:1]))
    store.write_now(lambda tx: skipped.note(tx, lost))
    assert len(skipped.noted(store.read)) == 2
    [finding] = health._left_out(store)
    assert (finding.level, finding.text) == ("bad", "2 versions can't be read; subscriptions and flows went past them")
    monkeypatch.setattr(skipped, "MOST", 1)
    with pytest.raises(Damaged, match="very many stored versions"):
        store.write_now(lambda tx: skipped.note(tx, lost))
    store.write_now(lambda tx: damage.spoil(tx, "Patient", "a", 1, old))
    store.write_now(lambda tx: damage.spoil(tx, "Patient", "b", 0, now))
    assert list(health._left_out(store)) == []
    assert seen(sound.changes(store.read, 0)) == seen(resources.changes(store.read, 0))


def test_a_damaged_page_costs_what_stands_on_it(tmp_path: Path) -> None:
    """On SQLite: an index of PostgreSQL has no row numbers."""
    store = stores.database(tmp_path)
    store.write_now(lambda tx: [put(tx, f"p{n}", "Stone") for n in range(100)])
    whole = resources.changes(store.read, 0)
    store.close()
    damage.of_file(tmp_path, "res", at=1)
    store = stores.database(tmp_path)
    with pytest.raises(Damaged, match="a page of the database is damaged"):
        resources.changes(store.read, 0)
    found = sound.changes(store.read, 0)
    assert [row.rid for row in found] == [row.rid for row in whole]
    assert 0 < sum(row.damaged for row in found) < 100
    named = sound.read_all(store.read, [row.rid for row in whole])
    assert [(row.rid, row.id) for row in named] == [(row.rid, row.id) for row in whole]
    assert [row.damaged for row in named] == [row.damaged for row in found]
    lost = next(row for row in named if row.damaged)
    row = sound.read(store.read, "Patient", lost.id)
    assert row is not None
    assert row.damaged
    store.write_now(lambda tx: skipped.note(tx, [row for row in found if row.damaged]))
    assert len(skipped.still(store.read)) == sum(row.damaged for row in found)
    store.close()
