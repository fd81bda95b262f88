"""Rows of lists: what is told of a message, a run and a dead letter without telling whose they are."""

from __future__ import annotations

from suture.clock import instant
from suture.engine import redact
from suture.server.admin.shapes import LetterRow, MessageRow, RunRow
from suture.store import messages
from suture.store.connection import Connection
from suture.store.messages import Entry
from suture.store.queue import runs
from suture.store.queue.dead import DeadLetter
from suture.store.queue.runs import Run

FOR_EVER = 1 << 59  # times beyond it are leases, not moments


def when(micros: int) -> str:
    """An instant, empty when there is none."""
    return instant(micros) if 0 < micros < FOR_EVER else ""


def run(one: Run) -> RunRow:
    return {
        "id": one.id,
        "flow": one.flow,
        "version": one.version,
        "state": str(one.state),
        "step": one.step,
        "started": when(one.started),
        "ended": when(one.ended),
        "error": one.error,
        "replayed": bool(one.replayed_by),
        "replay": bool(one.replay_of),
    }


def message(connection: Connection, one: Entry) -> MessageRow:
    return {
        "id": one.id,
        "received": when(one.received),
        "source": one.source,
        "kind": one.kind,
        "type": one.type,
        "control_id": redact.address(one.control_id) if one.kind == "fhir" else one.control_id,
        "state": str(one.state),
        "flagged": bool(one.same_as),
        "runs": [run(found) for found in runs.find(connection, mid=one.mid, count=20)],
    }


def letter(connection: Connection, one: DeadLetter) -> LetterRow:
    entry = messages.entry_of(connection, one.mid)
    failed = runs.get(connection, one.run) if one.run else None
    again = runs.get(connection, one.replay) if one.replay else None
    return {
        "id": one.id,
        "at": when(one.at),
        "flow": one.flow,
        "step": one.step,
        "code": one.code,
        "reason": one.reason,
        "message": entry.id if entry else "",
        "type": entry.type if entry else "",
        "run": failed.id if failed else "",
        "open": one.open,
        "closed": when(one.closed),
        "closed_by": one.closed_by,
        "replayed_as": again.id if again else "",
    }
