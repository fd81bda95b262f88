"""Audit rows of requests that were turned away at the door: one each for known callers, a bounded number for strangers and those past a limit.

The first refusal of a stranger leaves its row before the answer; equal ones (act, outcome, address) of the same minute are
counted into one more row when it is over. 45 CFR 164.312(b), NIST SP 800-92.
"""

from __future__ import annotations

import asyncio

from suture.access.caller import ANONYMOUS
from suture.clock import Clock
from suture.store import audit
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database

MINUTE = 60_000_000
TOO_MANY = 429  # of a known caller, too: who is past a limit may not write a row for each request
MOST = 30  # kinds of refusal told apart in one minute; those beyond share one row without an address


class Denials:
    """Made for one event loop and one serving process."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._minute = 0
        self._more: dict[AuditRow, int] = {}  # first row of its kind in this minute -> how many came after it
        self._beyond = 0
        self._due: list[AuditRow] = []  # not written yet
        self._flush: asyncio.TimerHandle | None = None
        self._flushing: set[asyncio.Task[None]] = set()

    async def note(self, row: AuditRow) -> None:
        """Returns when the row is on disk, or counted with its like."""
        if self._taken(row):
            await self._database.write(self._write)

    def append(self, tx: Tx, row: AuditRow) -> None:
        """The same inside a unit."""
        if self._taken(row):
            self._write(tx)

    async def close(self) -> None:
        """Writes what is only counted."""
        if self._flush is not None:
            self._flush.cancel()
        if self._flushing:
            await asyncio.wait(self._flushing)
        self._turn(0)
        if self._due:
            await self._database.write(self._write)

    def _taken(self, row: AuditRow) -> bool:
        """Whether something is to be written now; otherwise the row is counted."""
        self._turn(self._clock.micros() // MINUTE)
        if (row.who == ANONYMOUS.id or row.outcome == TOO_MANY) and not self._first(row):
            self._wait()
        else:
            self._due.append(row)
        return bool(self._due)

    def _first(self, row: AuditRow) -> bool:
        if row in self._more:
            self._more[row] += 1
        elif len(self._more) < MOST:
            self._more[row] = 0
            return True
        else:
            self._beyond += 1
        return False

    def _turn(self, minute: int) -> None:
        """What a minute that is over only counted becomes rows."""
        if minute == self._minute:
            return
        told = "{} more in the same minute"
        self._due += [row._replace(detail=told.format(count)) for row, count in self._more.items() if count]
        if self._beyond:
            detail = f"{told.format(self._beyond)}, of other addresses or kinds"
            self._due.append(AuditRow(ANONYMOUS.id, "denied", outcome=401, detail=detail))
        self._minute, self._beyond = minute, 0
        self._more.clear()

    def _write(self, tx: Tx) -> None:
        rows, self._due = self._due, []
        for row in rows:
            audit.append(tx, row)
        tx.on_rollback(lambda: self._due.extend(rows))

    # --- what nobody comes after is written when the minute is over

    def _wait(self) -> None:
        if self._flush is None:
            left = MINUTE - self._clock.micros() % MINUTE
            self._flush = asyncio.get_running_loop().call_later(left / 1_000_000, self._over)

    def _over(self) -> None:
        self._flush = None
        self._turn(self._clock.micros() // MINUTE)
        if self._due:
            task = asyncio.get_running_loop().create_task(self._database.write(self._write))
            self._flushing.add(task)
            task.add_done_callback(self._ended)
        if self._more or self._beyond:  # the timer was early
            self._wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A failure put the rows back: they go with the next ones."""
        self._flushing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._wait()
