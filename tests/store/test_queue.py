"""Runs and deliveries: due, leased, in order inside a lane, ended once."""

from __future__ import annotations

import pytest

from suture.errors import Conflict
from suture.message import DeliveryState, RunState
from suture.store.database import Database
from suture.store.queue import dead, deliveries, runs
from suture.store.queue.deliveries import Attempt, Delivery

SECOND = 1_000_000


async def test_a_lane_hands_out_one_run_at_a_time_and_in_order(store: Database) -> None:
    made = [await store.write(lambda tx, n=n: runs.insert(tx, n, "labs", lane="p1")) for n in range(3)]
    other = await store.write(lambda tx: runs.insert(tx, 9, "labs", lane="p2"))
    first = await store.write(lambda tx: runs.lease(tx, "me", tx.now + SECOND))
    assert [r.run for r in first] == [made[0].run, other.run]
    following = await store.write(lambda tx: runs.finish(tx, made[0].run, "me"))
    assert following == made[1].run
    second = await store.write(lambda tx: runs.lease(tx, "me", tx.now + SECOND))
    assert [r.run for r in second] == [made[1].run]


async def test_a_lost_lease_can_no_longer_write(store: Database) -> None:
    run = await store.write(lambda tx: runs.insert(tx, 1, "labs", owner="old", lease=tx.now + 1))
    taken = await store.write(lambda tx: runs.lease(tx, "new", tx.now + SECOND))
    assert [r.run for r in taken] == [run.run]
    with pytest.raises(Conflict, match="another worker"):
        await store.write(lambda tx: runs.finish(tx, run.run, "old"))


async def test_steps_are_kept_in_order_with_their_outputs(store: Database) -> None:
    run = await store.write(lambda tx: runs.insert(tx, 1, "labs", owner="me", lease=tx.now + SECOND))
    done = [runs.Step("chart", b'{"a":1}', 5, 7), runs.Step("check", b"", 12, 1, error="no", input=1)]
    await store.write(lambda tx: runs.progress(tx, run.run, "me", done, step="save", first=1))
    found = runs.get(store.read, run.run)
    assert found is not None
    assert (found.step, found.state) == ("save", RunState.RUNNING)
    assert runs.steps(store.read, run.run) == [done[0]._replace(turn=1), done[1]._replace(turn=2)]


def enqueue(store: Database, lane: str = "", content: bytes = b"MSH|...") -> Delivery:
    return store.write_now(
        lambda tx: deliveries.enqueue(
            tx, run=1, mid=1, step="send", connection="ehr", content=content, content_type="x/hl7", lane=lane
        )
    )


def test_a_delivery_blocks_its_lane_until_it_ends(store: Database) -> None:
    first, second, free = enqueue(store, "p1"), enqueue(store, "p1"), enqueue(store)
    taken = store.write_now(lambda tx: deliveries.take(tx, "ehr", "me", tx.now + SECOND))
    assert [d.did for d in taken] == [first.did, free.did]
    failed = Attempt(5, 9, DeliveryState.RETRYING, b"AE", "busy")
    store.write_now(lambda tx: deliveries.retry(tx, first.did, failed, tx.now))
    again = store.write_now(lambda tx: deliveries.take(tx, "ehr", "me", tx.now + SECOND))
    assert [d.did for d in again] == [first.did]
    good = Attempt(9, 9, DeliveryState.DELIVERED, b"AA")
    assert store.write_now(lambda tx: deliveries.delivered(tx, first.did, good)) == 1
    assert deliveries.attempts(store.read, first.did) == [failed, good]
    last = store.write_now(lambda tx: deliveries.take(tx, "ehr", "me", tx.now + SECOND))
    assert [d.did for d in last] == [second.did]
    with pytest.raises(Conflict, match="ended already"):
        store.write_now(lambda tx: deliveries.dead(tx, first.did, None, "late"))


def test_the_exact_bytes_stay_with_the_delivery(store: Database) -> None:
    content = bytes(range(256)) * 9
    assert deliveries.content(store.read, enqueue(store, content=content).did) == content


def test_what_another_process_was_sending_is_told_at_the_start(store: Database) -> None:
    made = enqueue(store)
    store.write_now(lambda tx: deliveries.take(tx, "ehr", "gone", tx.now + SECOND))
    left = store.write_now(lambda tx: deliveries.release_others(tx, "me"))
    assert [d.did for d in left] == [made.did]
    store.write_now(lambda tx: deliveries.ambiguous(tx, made.did, None))
    assert [d.state for d in deliveries.find(store.read)] == [DeliveryState.AMBIGUOUS]


def test_a_dead_letter_is_closed_once(store: Database) -> None:
    letter = store.write_now(
        lambda tx: dead.bury(tx, mid=1, run=2, flow="labs", step="chart", code="unmapped", reason="no row for OBX-5")
    )
    assert dead.find(store.read) == [letter]
    assert dead.count(store.read) == {"labs": 1}
    store.write_now(lambda tx: dead.close(tx, letter.id, "user:1", replay=3))
    assert dead.find(store.read) == []
    with pytest.raises(Conflict, match="already"):
        store.write_now(lambda tx: dead.close(tx, letter.id, "user:1"))
