"""Audit rows of accesses that wait at the same time go into the trail as one unit; each access waits until its own is on disk.

45 CFR 164.312(b): no answer leaves before its row is committed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from suture.errors import SutureError
from suture.store import audit
from suture.store.audit import AuditRow
from suture.store.database import Database

Waiting = list[tuple[AuditRow, "asyncio.Future[Any]"]]


class Ledger:
    """Gathers rows until the group commit comes to them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: Waiting | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def append(self, row: AuditRow) -> None:
        """Returns when the row is on disk; raises what kept it from there."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if self._open is None:
            self._open = [(row, future)]
            self._write(self._open)
        else:
            self._open.append((row, future))
        await future

    def _write(self, rows: Waiting) -> None:
        """A caller that gives up meanwhile takes its row not back: the access was made."""
        try:
            written = self._database.submit(
                lambda tx: audit.append_all(tx, [row for row, _ in rows]), lambda: self._close(rows)
            )
        except SutureError as error:
            self._close(rows)
            _settle(rows, error)
        else:
            written.add_done_callback(lambda done: self._written(rows, done.exception()))

    def _written(self, rows: Waiting, error: BaseException | None) -> None:
        self._close(rows)
        if error is None or isinstance(error, SutureError):
            _settle(rows, error)
            return
        task = asyncio.get_running_loop().create_task(self._each(rows))  # one is at fault: the others are not to suffer
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _each(self, rows: Waiting) -> None:
        for row, future in rows:
            try:
                await self._database.write(lambda tx, row=row: audit.append(tx, row))  # type: ignore[misc]
            except Exception as error:
                _settle([(row, future)], error)
            else:
                _settle([(row, future)], None)

    def _close(self, rows: Waiting) -> None:
        """Who comes now belongs to the next unit."""
        if self._open is rows:
            self._open = None


def _settle(rows: Waiting, error: Exception | None) -> None:
    for _, future in rows:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
