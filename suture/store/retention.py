"""Retention: messages that are old enough and done with are deleted, with their runs, steps, deliveries and attempts.

What is still open (a run, a delivery, a dead letter nobody has looked at) is kept however old it is; the audit trail and
resources are not touched. https://www.hhs.gov/hipaa/for-professionals/faq/580/
"""

from __future__ import annotations

from typing import NamedTuple

from suture.store import names
from suture.store.connection import Tx
from suture.store.queue.deliveries import ATTEMPT_BITS
from suture.store.queue.runs import STEP_BITS


class Purged(NamedTuple):
    """How many messages went, and the mid to go on behind; 0 when the end is reached."""

    messages: int
    after: int


def purge(tx: Tx, before: int, *, source: str = "", after: int = 0, count: int = 200) -> Purged:
    """Looks at up to `count` messages received before `before` (microseconds) and deletes those that are done with."""
    only, values = ("AND source = ?", [names.find(tx, source)]) if source else ("", [])
    rows = tx.all(
        f"SELECT mid FROM message WHERE mid > ? AND mid < ? {only} ORDER BY mid LIMIT ?",
        [after, before, *values, count],
    )
    gone = [mid for (mid,) in rows if _done_with(tx, mid)]
    for mid in gone:
        _delete(tx, mid)
    return Purged(len(gone), rows[-1][0] if len(rows) == count else 0)


def _done_with(tx: Tx, mid: int) -> bool:
    for (run,) in tx.all("SELECT run FROM run WHERE mid = ?", (mid,)):
        open_rows = tx.one(
            "SELECT 1 FROM run WHERE run = ?1 AND (open = 1 OR state = 2) "
            "UNION ALL SELECT 1 FROM delivery WHERE run = ?1 AND open = 1 "
            "UNION ALL SELECT 1 FROM dead WHERE run = ?1 AND open = 1 LIMIT 1",
            (run,),
        )
        if open_rows:
            return False
    return True


def _delete(tx: Tx, mid: int) -> None:
    for (run,) in tx.all("SELECT run FROM run WHERE mid = ?", (mid,)):
        for (did,) in tx.all("SELECT did FROM delivery WHERE run = ?", (run,)):
            tx.execute("DELETE FROM attempt WHERE aid BETWEEN ? AND ?", _span(did, ATTEMPT_BITS))
        tx.execute("DELETE FROM delivery WHERE run = ?", (run,))
        tx.execute("DELETE FROM step WHERE sid BETWEEN ? AND ?", _span(run, STEP_BITS))
        tx.execute("DELETE FROM dead WHERE run = ?", (run,))
    tx.execute("DELETE FROM run WHERE mid = ?", (mid,))
    row = tx.one("SELECT patients FROM message WHERE mid = ?", (mid,))
    for patient in str(row[0]).split("\x1f") if row and row[0] else []:
        tx.execute("DELETE FROM message_patient WHERE patient = ? AND mid = ?", (patient, mid))
    tx.execute("DELETE FROM message WHERE mid = ?", (mid,))


def _span(key: int, bits: int) -> tuple[int, int]:
    return key << bits, (key + 1 << bits) - 1
