"""Follows the chart's changes in the order of their commits and gives each event its number, for whom it is one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import suture.services.interactions.guard as guard
import suture.services.subscriptions.registry as registry
from suture.errors import SutureError
from suture.services.interactions.chart import Chart
from suture.services.subscriptions.owners import Owners
from suture.services.subscriptions.registry import Entry, Registry
from suture.standards.fhir import json
from suture.standards.fhir.topics import Change
from suture.store import resources, subscriptions
from suture.store.connection import Connection
from suture.store.resources import Row
from suture.store.subscriptions import Found

PAGE = 50  # versions looked at between two turns of others
BEHIND = 60_000_000  # microseconds that the kept place may lag when nothing was found


class Watch:
    """One per installation; the place it came to is kept with the events."""

    def __init__(self, chart: Chart, owners: Owners) -> None:
        self._chart = chart
        self._owners = owners
        self._at = 0
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
        rows = resources.changes(connection, start, known.groups, PAGE)
        if not rows or subscriptions.place(connection)[1] != mark:  # somebody began to listen meanwhile: look again
            return len(rows)
        found: list[Found] = []
        may = self._judge(connection)
        for at, row in enumerate(rows):
            found += _events(connection, known, row, may)
            if at % 10 == 9:
                await asyncio.sleep(0)
        return await self._move(kept, rows[-1].updated, found, len(rows))

    async def _move(self, kept: int, upto: int, found: list[Found], count: int) -> int:
        """Keeps what was found; without anything found the place moves in memory, and on disk now and then."""
        quiet = not found and upto - kept <= BEHIND
        if quiet or await self._chart.database.write(lambda tx: subscriptions.looked(tx, kept, upto, found)):
            self._at = upto
        return count

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


def _events(connection: Connection, known: Registry, row: Row, may: Callable[[Entry, Row], bool]) -> list[Found]:
    change = change_of(connection, row)
    hits = {entry.kept.rid: entry for entry in known.hits(row.type, change) if entry.kept.since < row.updated}
    return [
        Found(rid, row.updated, row.type, row.id, row.version) for rid, entry in sorted(hits.items()) if may(entry, row)
    ]


def change_of(connection: Connection, row: Row) -> Change:
    """A version beside the one before it."""
    before = resources.vread(connection, row.type, row.id, row.version - 1) if row.version > 1 else None
    was = json.reread(before.body) if before is not None and not before.deleted else None
    return Change(was, None if row.deleted else json.reread(row.body), connection.shared.base)
