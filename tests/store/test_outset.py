"""What a search knows of the chart before it begins stands still while it runs, and is new for the next."""

from __future__ import annotations

import orjson
import pytest

from suture.store import codes, names, outset, resources, rids, search_lookup
from suture.store.connection import Tx
from suture.store.database import Database


def put(store: Database, type: str, id: str) -> None:
    body = orjson.dumps({"resourceType": type, "id": id})
    store.write_now(lambda tx: resources.put(tx, type, id, body))


def test_it_stands_still_in_the_block_only(store: Database) -> None:
    with outset.held(store.read):
        first = outset.of(store.read)
        store.write_now(lambda tx: names.number(tx, "something new"))
        assert outset.of(store.read) is first
        with outset.held(store.read):
            assert outset.of(store.read) is first
        assert outset.of(store.read) is first
    assert outset.of(store.read).names > first.names
    assert store.read.outset is None


async def test_searches_of_one_turn_of_the_loop_share_it(store: Database) -> None:
    turn = outset.Turn()
    first = turn.of(store.read)
    assert turn.of(store.read) is first
    await store.write(lambda tx: names.number(tx, "something new"))
    assert turn.of(store.read).names > first.names


def test_a_name_that_was_missing_is_found_when_it_comes(store: Database) -> None:
    for _ in range(2):
        with outset.held(store.read):
            assert names.find(store.read, "Group") == 0
            assert search_lookup.rows(store.read, ("Patient", "Group"), "x") == ()
    put(store, "Group", "x")
    store.shared.names.pop("Group", None)  # as if another process had written it
    with outset.held(store.read):
        assert names.find(store.read, "Group") > 0
        assert len(search_lookup.rows(store.read, ("Patient", "Group"), "x")) == 1


def test_places_of_several_types_come_with_one_id(store: Database) -> None:
    put(store, "Patient", "x")
    put(store, "Group", "x")
    put(store, "Group", "y")
    found = search_lookup.places(store.read, [("Patient", "x"), ("Group", "x"), ("Group", "y"), ("Device", "x")])
    assert set(found) == {("Patient", "x"), ("Group", "x"), ("Group", "y")}
    assert len(set(found.values())) == 3
    assert search_lookup.places(store.read, [("Patient", "x")]) == {("Patient", "x"): found["Patient", "x"]}


def test_a_number_that_is_taken_back_was_never_a_reader_s(store: Database) -> None:
    """The next resource gets the same number: who looked meanwhile must not take it for the first."""

    def undone(tx: Tx) -> None:
        rids.target(tx, "Patient", "first")
        assert search_lookup.places(store.read, [("Patient", "first")]) == {}
        assert search_lookup.places(tx, [("Patient", "first")]) != {}
        raise ValueError("my affair")

    put(store, "Patient", "before")
    with pytest.raises(ValueError, match="my affair"):
        store.write_now(undone)
    put(store, "Patient", "second")
    assert search_lookup.places(store.read, [("Patient", "first")]) == {}
    assert len(search_lookup.places(store.read, [("Patient", "second")])) == 1


def test_a_reader_takes_no_code_s_number_that_may_be_taken_back(store: Database) -> None:
    def undone(tx: Tx) -> None:
        number = codes.number(tx, "urn:x", "first")
        assert codes.find(tx, "urn:x", "first") == [number]
        with outset.held(store.read):
            assert codes.find(store.read, "urn:x", "first") == []
        raise ValueError("my affair")

    with pytest.raises(ValueError, match="my affair"):
        store.write_now(undone)
    second = store.write_now(lambda tx: codes.number(tx, "urn:x", "second"))
    with outset.held(store.read):
        assert codes.find(store.read, "urn:x", "second") == [second]
        assert codes.find(store.read, "urn:x", "first") == []
