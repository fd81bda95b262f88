"""Retention deletes what is done with, and nothing that is open."""

from __future__ import annotations

from suture.clock import new_id
from suture.message import DeliveryState, Message, RunState
from suture.store import messages, retention
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.queue import dead, deliveries, runs
from suture.store.queue.deliveries import Attempt

LATER = 1 << 60
TABLES = ("message", "message_patient", "run", "step", "delivery", "attempt", "dead")


def journal(tx: Tx, number: int, ending: str) -> int:
    sent = Message(new_id(), "mllp", "hl7v2", b"MSH|%d" % number, 0, str(number), "ADT^A01", ("p1", f"p{number}"))
    mid = messages.accept(tx, sent).mid
    if ending == "unrouted":
        return mid
    run = runs.insert(tx, mid, "flow", owner="me", lease=LATER).run
    runs.keep_steps(tx, run, [runs.Step("a", b"output", 1, 1)], 1)
    sending = deliveries.enqueue(tx, run=run, mid=mid, step="s", connection="c", content=b"x", content_type="t")
    if ending != "delivery open":
        deliveries.delivered(tx, sending.did, Attempt(1, 1, DeliveryState.DELIVERED))
    if ending == "dead letter open":
        dead.bury(tx, mid=mid, run=run, flow="flow", step="s", code="unmapped", reason="r")
    if ending != "run open":
        runs.finish(tx, run, "me", RunState.DONE)
    return mid


def counts(store: Database) -> list[int]:
    return [(store.read.one(f"SELECT count(*) FROM {table}") or (0,))[0] for table in TABLES]


def test_only_what_is_done_with_goes(store: Database) -> None:
    kept = [store.write_now(lambda tx, e=e, n=n: journal(tx, n, e)) for n, e in enumerate(
        ["delivery open", "run open", "dead letter open"])]  # fmt: skip
    before = counts(store)
    for number, ending in enumerate(["unrouted", "done", "done"], 10):
        store.write_now(lambda tx, n=number, e=ending: journal(tx, n, e))
    purged = store.write_now(lambda tx: retention.purge(tx, LATER))
    assert purged == retention.Purged(3, 0)
    assert counts(store) == before
    assert [entry.mid for entry in messages.find(store.read)] == kept[::-1]


def test_young_messages_and_other_sources_stay(store: Database) -> None:
    first = store.write_now(lambda tx: journal(tx, 1, "done"))
    second = store.write_now(lambda tx: journal(tx, 2, "done"))
    assert store.write_now(lambda tx: retention.purge(tx, LATER, source="elsewhere")).messages == 0
    assert store.write_now(lambda tx: retention.purge(tx, second, count=1)) == retention.Purged(1, first)
    assert [entry.mid for entry in messages.find(store.read)] == [second]
