"""Subscriptions in the store: numbers without gaps together with the place they were found up to, on every back end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from suture.store import subscriptions
from suture.store.database import Database
from suture.store.subscriptions import Found
from tests import stores

OWNER = {"id": "client:a", "grant": "", "scopes": ["system/*.rs"], "patient": "", "purpose": ""}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    made = stores.database(tmp_path)
    yield made
    made.close()


def ask(store: Database, rid: int, status: str = "requested", version: int = 1, held: bool = False) -> None:
    store.write_now(lambda tx: subscriptions.ask(tx, rid, f"s{rid}", version, status, "client:a", OWNER, held))


def turn(store: Database, rid: int, status: str, error: str = "") -> None:
    store.write_now(lambda tx: subscriptions.turned(tx, rid, 2, status, error))


def look(store: Database, *rids: int) -> bool:
    """One event for each, at a new place."""
    before = subscriptions.place(store.read)[0]
    found = [Found(rid, 5, "Patient", "p1", 1) for rid in rids]
    return store.write_now(lambda tx: subscriptions.looked(tx, before, before + 1, found))


def numbers(store: Database, rid: int) -> list[int]:
    return [event.number for event in subscriptions.events(store.read, rid, 1, 1 << 40, 100)]


def test_numbers_go_on_from_one_and_each_subscription_has_its_own(store: Database) -> None:
    for rid in (1, 2):
        ask(store, rid)
        turn(store, rid, "active")
    assert look(store, 1, 1, 2)
    assert look(store, 1)
    assert (numbers(store, 1), numbers(store, 2)) == ([1, 2, 3], [1])
    kept = subscriptions.get(store.read, 1)
    assert kept is not None
    assert (kept.events, kept.sent, kept.owner) == (3, 0, OWNER)


def test_who_comes_second_to_a_place_writes_nothing(store: Database) -> None:
    ask(store, 1)
    turn(store, 1, "active")
    at, _ = subscriptions.place(store.read)
    found = [Found(1, 5, "Patient", "p1", 1)]
    assert store.write_now(lambda tx: subscriptions.looked(tx, at, at + 7, found))
    assert not store.write_now(lambda tx: subscriptions.looked(tx, at, at + 9, found))
    assert numbers(store, 1) == [1]
    assert subscriptions.place(store.read)[0] == at + 7


def test_what_waits_is_a_handshake_or_events_of_who_has_an_endpoint(store: Database) -> None:
    for rid, held in ((1, False), (2, False), (3, True)):
        ask(store, rid, held=held)
    assert subscriptions.waiting(store.read, 1 << 60) == [1, 2, 3]
    for rid in (1, 2, 3):
        turn(store, rid, "active")
    assert subscriptions.waiting(store.read, 1 << 60) == []
    look(store, 1, 2, 3)
    assert subscriptions.waiting(store.read, 1 << 60) == [1, 2]
    store.write_now(lambda tx: subscriptions.delivered(tx, 1, 1, 7_000_000))
    kept = subscriptions.get(store.read, 1)
    assert kept is not None
    assert kept.due == kept.beat + 7_000_000  # it rests until then
    store.write_now(lambda tx: subscriptions.delivered(tx, 1, 1))
    store.write_now(lambda tx: subscriptions.failed(tx, 2, 1 << 61))
    assert subscriptions.waiting(store.read, 1 << 60) == []
    kept = subscriptions.get(store.read, 2)
    assert kept is not None
    assert kept.tries == 1


def test_asking_again_keeps_the_numbers_and_off_ends_them(store: Database) -> None:
    ask(store, 1)
    turn(store, 1, "active")
    look(store, 1)
    turn(store, 1, "error", "no answer")
    look(store, 1)
    ask(store, 1, version=3)
    kept = subscriptions.get(store.read, 1)
    assert kept is not None
    assert (kept.status, kept.events, kept.sent, kept.error, kept.since > 0) == ("requested", 2, 0, "", True)
    ask(store, 1, "off", 4)
    kept = subscriptions.get(store.read, 1)
    assert kept is not None
    assert (kept.since, kept.sent, kept.events) == (0, 2, 2)
    assert subscriptions.count_of(store.read, "client:a") == 0


def test_what_is_deleted_or_old_is_gone(store: Database) -> None:
    for rid in (1, 2):
        ask(store, rid)
        turn(store, rid, "active")
    look(store, 1, 2)
    store.write_now(lambda tx: subscriptions.drop(tx, 1))
    assert (subscriptions.get(store.read, 1), numbers(store, 1)) == (None, [])
    assert look(store, 1)
    assert numbers(store, 1) == []
    assert store.write_now(lambda tx: subscriptions.forget(tx, 6)) == 1
    assert [kept.id for kept in subscriptions.of(store.read, "client:a")] == ["s2"]


def test_every_change_of_a_subscription_moves_the_mark(store: Database) -> None:
    marks = [subscriptions.place(store.read)[1]]
    for change in (lambda: ask(store, 1), lambda: turn(store, 1, "active"), lambda: turn(store, 1, "off")):
        change()
        marks.append(subscriptions.place(store.read)[1])
    assert marks == sorted(set(marks))


def test_runs_that_go_out_once_more(store: Database) -> None:
    ask(store, 1)
    turn(store, 1, "active")
    for _ in range(6):
        look(store, 1)
    store.write_now(lambda tx: subscriptions.delivered(tx, 1, 6))
    assert subscriptions.waiting(store.read, 1 << 60) == []
    assert subscriptions.between(store.read, 1, 2, 4, 0, 9) == (1, 2, 4, 3)
    assert subscriptions.between(store.read, 1, 7, 9, 0, 9) is None
    assert subscriptions.between(store.read, 1, 1, 9, 6, 9) is None  # they are of time 5
    for first, last in ((2, 4), (2, 3), (4, 6)):
        store.write_now(lambda tx, first=first, last=last: subscriptions.again(tx, 1, first, last))
    assert (subscriptions.spans(store.read, 1), subscriptions.next_span(store.read, 1)) == (2, (2, 4))
    assert subscriptions.waiting(store.read, 1 << 60) == [1]
    store.write_now(lambda tx: subscriptions.resent(tx, 1, 2, 3))
    assert (subscriptions.spans(store.read, 1), subscriptions.next_span(store.read, 1)) == (
        1,
        (4, 6),
    )  # one with the other
    store.write_now(lambda tx: subscriptions.resent(tx, 1, 4, 6))
    assert subscriptions.waiting(store.read, 1 << 60) == []
    store.write_now(lambda tx: subscriptions.again(tx, 1, 1, 6))
    turn(store, 1, "off")
    assert subscriptions.spans(store.read, 1) == 0
