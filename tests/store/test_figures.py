"""Figures of the last hour and of what is open."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from suture import settings as settings_of
from suture.clock import SetClock, new_id
from suture.message import Message, MessageState, RunState
from suture.store import figures, messages
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.queue import dead, deliveries, runs
from suture.store.queue.deliveries import Attempt, DeliveryState


def test_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SetClock(datetime(2026, 11, 25, 8, tzinfo=UTC))
    settings = settings_of.read(tmp_path, {}).with_values(key_file=str(tmp_path / "key"))
    database = Database.open(settings, clock)

    def put(tx: Tx, state: MessageState) -> int:
        made = messages.accept(tx, Message(new_id(clock), "mllp:2575", "hl7v2", b"MSH|", 0))
        messages.set_state(tx, made.mid, state)
        return made.mid

    database.write_now(lambda tx: put(tx, MessageState.FAILED))
    clock.advance(3601)
    for state in (
        MessageState.DONE,
        MessageState.DONE,
        MessageState.FAILED,
        MessageState.UNROUTED,
        MessageState.RECEIVED,
    ):
        database.write_now(lambda tx, state=state: put(tx, state))

    def waiting(tx: Tx) -> None:
        mid = put(tx, MessageState.RECEIVED)
        run = runs.insert(tx, mid, "flow", owner="me", lease=1 << 60)
        sends = [
            deliveries.enqueue(tx, run=run.run, mid=mid, step="s", connection="c", content=b"", content_type="x")
            for _ in range(2)
        ]
        runs.wait(tx, run.run, "me", step="s")
        deliveries.retry(tx, sends[0].did, Attempt(tx.now, 1, DeliveryState.RETRYING), tx.now + 1)
        deliveries.ambiguous(tx, sends[1].did, None)
        dead.bury(tx, mid=mid, run=run.run, flow="flow", step="s", code="x", reason="y")

    database.write_now(waiting)
    found = figures.now(database.read, clock.micros())
    assert found == figures.Figures(
        received=6, done=2, failed=1, unrouted=1, running=0, waiting=1, retrying=1, ambiguous=1, dead=1
    )
    assert runs.find(database.read)[0].state is RunState.WAITING
    monkeypatch.setattr(figures, "MOST", 3)
    assert figures.now(database.read, clock.micros()).received == 3
    for table in ("message WHERE id >= x''", "message WHERE state = 3 AND mid >= 1", "run WHERE state = 2"):
        plan = str(database.read.all(f"EXPLAIN QUERY PLAN SELECT 1 FROM {table}"))
        assert "COVERING INDEX" in plan, plan
    database.close()
