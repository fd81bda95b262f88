"""Numbers of posting lists: given once, found with those that are there, forgotten with a unit that is undone."""

from __future__ import annotations

from typing import Any

import pytest

from suture.store import codes, postings
from suture.store.database import Database


def test_a_list_has_one_number(store: Database) -> None:
    def unit(tx: Any) -> list[int]:
        tid = codes.number(tx, "urn:s", "a")
        return [
            postings.of_code(tx, 1, "urn:s", "a"),
            postings.of_code(tx, 1, "urn:s", "a"),
            postings.number(tx, 1, tid),
            postings.of_code(tx, 2, "urn:s", "a"),
        ]

    first, again, by_number, other = store.write_now(unit)
    assert first == again == by_number != other
    assert store.read.one("SELECT count(*) FROM posting") == (2,)


@pytest.mark.parametrize("remembered", [True, False])
def test_the_lists_that_are_there_are_found_in_the_order_asked(store: Database, remembered: bool) -> None:
    made = store.write_now(lambda tx: {key: postings.number(tx, *key) for key in ((1, 5), (1, 4), (2, 5))})
    postings.find(store.read, (1, 2), (4, 5))
    if not remembered:
        store.shared.posted.clear()
    asked = ((2, 5), (2, 4), (1, 5), (1, 4))
    assert postings.find(store.read, (2, 1), (5, 4)) == tuple(made[key] for key in asked if key in made)
    assert set(store.shared.posted) == set(made)
    assert postings.find(store.read, (), (5,)) == postings.find(store.read, (1,), ()) == ()


def test_a_unit_that_is_undone_takes_its_numbers_along(store: Database) -> None:
    def unit(tx: Any) -> None:
        number = postings.of_code(tx, 1, "urn:s", "a")
        tid = codes.number(tx, "urn:s", "a")
        assert postings.find(tx, (1,), (tid,)) == (number,)
        assert postings.find(store.read, (1,), (tid,)) == ()  # nobody else knows of it yet
        raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        store.write_now(unit)
    assert store.shared.postings == store.shared.coded == {}
    assert postings.find(store.read, (1,), (1, 2, 3)) == ()
    assert store.write_now(lambda tx: postings.of_code(tx, 1, "urn:s", "b")) > 0


def test_the_list_of_a_code_that_is_new_is_not_looked_for(store: Database) -> None:
    def unit(tx: Any) -> list[str]:
        asked: list[str] = []
        one = tx.one
        tx.one = lambda sql, values=(): asked.append(sql.split()[3]) or one(sql, values)
        try:
            postings.of_code(tx, 1, "urn:s", "a")
            postings.of_code(tx, 2, "urn:s", "a")
            postings.of_code(tx, 2, "urn:s", "a")
        finally:
            del tx.one
        return asked

    assert store.write_now(unit) == ["tok", "posting"]
