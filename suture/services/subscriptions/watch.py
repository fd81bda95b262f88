"""Follows the chart's changes in the order of their commits and gives each event its number, for whom it is one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import suture.services.interactions.guard as guard
import suture.services.subscriptions.registry as registry
from suture.clock import instant
from suture.errors import SutureError
from suture.services.interactions.chart import Chart
from suture.services.subscriptions.owners import Owners
from suture.services.subscriptions.registry import Entry, Registry
from suture.standards.fhir import json
from suture.standards.fhir.topics import Change
from suture.store import skipped, sound, subscriptions
from suture.store.bodies import Damaged
from suture.store.connection import Connection, Tx
from suture.store.row import Row
from suture.store.subscriptions import Found

log = logging.getLogger("suture.subscriptions")
PAGE = 50  # versions looked at between two turns of others
BEHIND = 60_000_000  # microseconds that the kept place may lag when nothing was found


class Watch:
    """One per installation; the place it came to is kept with the events."""

    def __init__(self, chart: Chart, owners: Owners) -> None:
        self._chart = chart
        self._owners = owners
        self._at = 0
        self._patience = sound.Patience()
        self.registry = Registry()

    def refresh(self, connection: Connection) -> Registry:
        """The registry as it stands now."""
        _, mark = subscriptions.place(connection)
        if mark != self.registry.mark:
            self.registry = registry.read(connection, self._chart.topics, self._chart.fhir_url, mark)
        return self.registry

    async def once(self) -> int:
        """Looks at the next versions; returns how many there were."""
        connection = self._chart.database.read
        known = self.refresh(connection)
        kept, mark = subscriptions.place(connection)
        start = max(kept, self._at)
        if not known.groups or mark != known.mark:
            return 0
        rows = sound.changes(connection, start, known.groups, PAGE, self._patience)
        if not rows or subscriptions.place(connection)[1] != mark:  # somebody began to listen meanwhile: look again
            return len(rows)
        found: list[Found] = []
        missed: list[Row] = []
        may = self._judge(connection)
        for at, row in enumerate(rows):
            try:
                found += _events(connection, known, row, may)
            except Damaged as error:
                if self._patience.waits(error):
                    raise
                missed.append(row)
            if at % 10 == 9:
                await asyncio.sleep(0)
        await self._move(kept, rows[-1].updated, found, missed)
        self._patience.over()
        return len(rows)

    async def _move(self, kept: int, upto: int, found: list[Found], missed: list[Row]) -> None:
        """Keeps what was found; without anything found the place moves in memory, and on disk now and then."""
        if not found and not missed and upto - kept <= BEHIND:
            self._at = upto
            return
        told = {rid: text for row in missed for rid, text in _told(self.registry, row)}

        def unit(tx: Tx) -> bool:
            moved = subscriptions.looked(tx, kept, upto, found, told)
            if moved and missed:
                skipped.note(tx, missed)
            return moved

        if await self._chart.database.write(unit):
            self._at = upto
            if missed:
                log.error("subscriptions went past what can't be read: %d versions", len(missed))

    def _judge(self, connection: Connection) -> Callable[[Entry, Row], bool]:
        """Whether a subscription's owner may see the version; who is let in no longer gets numbers until that is told."""
        known: dict[str, Callable[[Row], bool]] = {}

        def may(entry: Entry, row: Row) -> bool:
            whose = repr(entry.kept.owner)
            if whose not in known:
                try:
                    known[whose] = guard.judge(connection, self._owners.caller(connection, entry.kept.owner), "read")
                except SutureError:
                    known[whose] = lambda _: True
            return known[whose](row)

        return may


def _told(known: Registry, row: Row) -> list[tuple[int, str]]:
    """What everybody who listens to the type is told: nobody knows any more for whom it was an event."""
    text = f"a change of {row.type} at {instant(row.updated)} could not be read; if it was an event, it was not sent"
    return [(rid, text) for rid in known.listening(row.type, row.updated)]


def _events(connection: Connection, known: Registry, row: Row, may: Callable[[Entry, Row], bool]) -> list[Found]:
    """Raises Damaged when it can't be told for whom the version is an event."""
    change = change_of(connection, row)
    hits = {entry.kept.rid: entry for entry in known.hits(row.type, change) if entry.kept.since < row.updated}
    return [
        Found(rid, row.updated, row.type, row.id, row.version) for rid, entry in sorted(hits.items()) if may(entry, row)
    ]


def change_of(connection: Connection, row: Row) -> Change:
    """A version beside the one before it. Where that can't be read it counts as one without content: rather an event too many.

    Raises Damaged when the version itself, or of a deletion the one before, can't be read.
    """
    before = sound.vread(connection, row.type, row.id, row.version - 1) if row.version > 1 else None
    if row.damaged or (row.deleted and before is not None and before.damaged):
        raise sound.refusal(row.type)
    was = _content(before) if before is not None and not before.deleted else None
    return Change(was, None if row.deleted else json.reread(row.body), connection.shared.base)


def _content(row: Row) -> dict[str, Any]:
    return {"resourceType": row.type, "id": row.id} if row.damaged else json.reread(row.body)
