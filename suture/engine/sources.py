"""The doors that ask by themselves: a FHIR server that is polled, and the own chart's changes in commit order.

https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from suture.clock import Clock, instant
from suture.component import seconds
from suture.connectors.fhir import FhirSender, listed, next_link, table
from suture.engine import expressions
from suture.engine.subject import focus
from suture.engine.walk import Version
from suture.errors import SendFailed, SutureError, Unavailable
from suture.ports import Accept
from suture.standards.fhir import json
from suture.standards.fhir.fhirpath import Environment
from suture.store import skipped, sound, vault
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.row import Row

log = logging.getLogger("suture.engine")

LOOK = 0.5  # seconds between two looks at the own chart
PAGE = 200
MOST_PAGES = 10_000  # of one poll
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Poll:
    """One fhir.poll source: the watermark moves only when everything up to it is journalled."""

    def __init__(
        self,
        version: Version,
        open_sender: Callable[[], FhirSender],
        allowed: Callable[[], None],
        accept: Accept,
        database: Database,
        clock: Clock,
    ) -> None:
        self.flow = version.flow
        self.with_ = version.flow.source.with_
        self.name = f"poll:{version.flow.id}"
        self._open = open_sender
        self._allowed = allowed
        self._accept = accept
        self._database = database
        self._clock = clock
        self._overlap = seconds(self.with_["overlap"])
        self._stuck = False  # the last poll came no further than it reaches back: the next one begins where it ended

    async def run(self) -> None:
        """Polls for ever; what fails is logged and tried again at the next turn."""
        every = seconds(self.with_["every"])
        fhir = self._open()
        try:
            while True:
                wait = every
                try:
                    self._allowed()
                    await self.once(fhir)
                except SutureError as error:
                    wait = max(every, error.after) if isinstance(error, SendFailed | Unavailable) else every
                    log.warning("poll of flow %s: %s", self.flow.id, error.code)
                await asyncio.sleep(wait)
        finally:
            await fhir.close()

    async def once(self, fhir: FhirSender) -> int:
        """One poll with all its pages; returns how many resources came."""
        mark = vault.watermark(self._database.read, self.name) or await self._begin()
        seen = Seen(self._clock.now())
        path, query = str(self.with_["type"]), tuple(self._query(mark))
        for _ in range(MOST_PAGES):
            bundle = await fhir.page(path, query)
            found = [e["resource"] for e in listed(bundle) if table(e.get("search")).get("mode") != "include"]
            seen.page(bundle, await asyncio.gather(*map(self._take, found)))
            path, query = next_link(bundle), ()
            if not path:
                break
        await self._move(moment(mark), seen, whole=not path)
        return seen.count

    async def _move(self, before: datetime, seen: Seen, *, whole: bool) -> None:
        """Moves the watermark to what was certainly seen: without the last page that is known of a sorted list only."""
        certain = max(min(before, seen.start), seen.certain)
        self._stuck = not whole and seen.sorted and certain - before <= timedelta(seconds=self._overlap)
        if not whole and not seen.sorted:
            log.warning("poll of flow %s: more than %d pages, not sorted by _lastUpdated", self.flow.id, MOST_PAGES)
        elif seen.count:
            mark = instant(int(certain.timestamp() * 1_000_000))
            await self._database.write(lambda tx: vault.set_watermark(tx, self.name, mark))

    async def _begin(self) -> str:
        """Where the first poll begins; a first start is kept at once, so that it stays the same until a poll works."""
        if self.with_["since"]:
            return str(self.with_["since"])
        begin = instant(self._clock.micros())
        await self._database.write(lambda tx: vault.set_watermark(tx, self.name, begin))
        return begin

    def _query(self, mark: str) -> Iterator[tuple[str, str]]:
        since = max(moment(mark) - timedelta(seconds=0.0 if self._stuck else self._overlap), EPOCH)
        yield "_lastUpdated", f"ge{since.isoformat().replace('+00:00', 'Z')}"
        yield "_sort", "_lastUpdated"
        yield "_count", str(self.with_["page"])
        for name, value in (self.with_["search"] or {}).items():
            for one in value if isinstance(value, list) else [value]:
                yield str(name), str(one)

    async def _take(self, resource: dict[str, Any]) -> datetime:
        """Journals one resource (a version seen before is a duplicate); returns when it was changed."""
        await self._accept(self.name, json.write(resource), {"connection": self.with_["connection"]})
        return stamp(resource)


@dataclass(slots=True)
class Seen:
    """What a poll has seen: what changed after its start may stand on a page that was read before, so nothing later counts."""

    start: datetime
    newest: datetime = EPOCH
    last: datetime = EPOCH
    sorted: bool = True  # each changed no earlier than the one before
    count: int = 0

    def page(self, bundle: dict[str, Any], changed: Sequence[datetime]) -> None:
        """Notes one page; a server that tells its own time is believed when its clock is behind ours."""
        told = stamp(bundle)
        self.start = min(self.start, told) if told > EPOCH else self.start
        for one in changed:
            self.sorted = self.sorted and one >= self.last and one > EPOCH
            self.last, self.newest = one, max(self.newest, one)
        self.count += len(changed)

    @property
    def certain(self) -> datetime:
        return min(self.newest, self.start)


def stamp(resource: dict[str, Any]) -> datetime:
    """When a resource says that it was changed."""
    return moment(str(table(resource.get("meta")).get("lastUpdated") or ""))


def moment(text: str) -> datetime:
    """A FHIR instant; 1970 when it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return EPOCH
    return max(found if found.tzinfo else found.replace(tzinfo=UTC), EPOCH)


class Changes:
    """One fhir.changed source: the own store's versions in commit order, each at least once."""

    def __init__(self, version: Version, accept: Accept, database: Database) -> None:
        self.flow = version.flow
        self.with_ = version.flow.source.with_
        self.name = f"changed:{version.flow.id}"
        self._patience = sound.Patience()
        self._accept = accept
        self._database = database

    async def run(self) -> None:
        """Follows for ever."""
        while True:
            try:
                found = await self.once()
            except Unavailable as error:
                log.warning("flow %s waits for the chart: %s", self.flow.id, error.code)
                await asyncio.sleep(error.after)
                continue
            if not found:
                await asyncio.sleep(LOOK)

    async def once(self) -> int:
        """The next versions after the watermark; returns how many there were. What can't be read is noted and passed by."""
        mark = int(vault.watermark(self._database.read, self.name) or await self._begin())
        rows = sound.changes(
            self._database.read, mark, [str(t) for t in self.with_["types"] or ()], PAGE, self._patience
        )
        wanted = [row for row in rows if row.body and self._wanted(row.body)]
        await asyncio.gather(
            *(self._accept(self.name, row.body, {"version": row.version, "method": row.method}) for row in wanted)
        )
        if rows:
            await self._move(rows[-1].updated, [row for row in rows if row.damaged])
            self._patience.over()
        return len(rows)

    async def _move(self, upto: int, missed: Sequence[Row]) -> None:
        def unit(tx: Tx) -> None:
            vault.set_watermark(tx, self.name, str(upto))
            if missed:
                skipped.note(tx, missed)

        await self._database.write(unit)
        if missed:
            log.error("flow %s went past what can't be read in the chart: %d versions", self.flow.id, len(missed))

    async def _begin(self) -> str:
        """Where the first start begins; kept at once, so that nothing between two starts is missed."""
        mark = "0" if self.with_["since"] == "beginning" else ""

        def unit(tx: Any) -> str:
            begin = mark or str(tx.now - 1)
            vault.set_watermark(tx, self.name, begin)
            return begin

        return await self._database.write(unit)

    def _wanted(self, body: bytes) -> bool:
        when = self.with_["when"]
        if not when:
            return True
        try:
            return bool(expressions.compiled(str(when)).holds(focus(json.read(body)), Environment()))
        except SutureError:
            return True  # the flow's own steps will say what is wrong with it
