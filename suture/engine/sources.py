"""The doors that ask by themselves: a FHIR server that is polled, and the own chart's changes in commit order.

https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
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
from suture.store import resources, vault
from suture.store.database import Database

log = logging.getLogger("suture.engine")

LOOK = 0.5  # seconds between two looks at the own chart
PAGE = 200
MOST_PAGES = 10_000  # of one poll
AHEAD = timedelta(minutes=10)
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
        newest, count = mark, 0
        path, query = str(self.with_["type"]), tuple(self._query(mark))
        for _ in range(MOST_PAGES):
            bundle = await fhir.page(path, query)
            found = [e["resource"] for e in listed(bundle) if table(e.get("search")).get("mode") != "include"]
            newest = max([newest, *await asyncio.gather(*map(self._take, found))], key=moment)
            count += len(found)
            path, query = next_link(bundle), ()
            if not path:
                break
        await self._database.write(lambda tx: vault.set_watermark(tx, self.name, newest))
        return count

    async def _begin(self) -> str:
        """Where the first poll begins; a first start is kept at once, so that it stays the same until a poll works."""
        if self.with_["since"]:
            return str(self.with_["since"])
        begin = instant(self._clock.micros())
        await self._database.write(lambda tx: vault.set_watermark(tx, self.name, begin))
        return begin

    def _query(self, mark: str) -> Iterator[tuple[str, str]]:
        since = max(moment(mark) - timedelta(seconds=seconds(self.with_["overlap"])), EPOCH)
        yield "_lastUpdated", f"ge{since.isoformat().replace('+00:00', 'Z')}"
        yield "_sort", "_lastUpdated"
        yield "_count", str(self.with_["page"])
        for name, value in (self.with_["search"] or {}).items():
            for one in value if isinstance(value, list) else [value]:
                yield str(name), str(one)

    async def _take(self, resource: dict[str, Any]) -> str:
        """Journals one resource (a version seen before is a duplicate); returns when it was changed."""
        await self._accept(self.name, json.write(resource), {"connection": self.with_["connection"]})
        changed = moment(str(table(resource.get("meta")).get("lastUpdated") or ""))
        latest = self._clock.now() + AHEAD  # a server whose clock is far ahead must not hide what comes later
        return instant(int(min(changed, latest).timestamp() * 1_000_000))


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
        self._accept = accept
        self._database = database

    async def run(self) -> None:
        """Follows for ever."""
        while True:
            try:
                found = await self.once()
            except Unavailable as error:
                await asyncio.sleep(error.after)
                continue
            if not found:
                await asyncio.sleep(LOOK)

    async def once(self) -> int:
        """The next versions after the watermark; returns how many there were."""
        mark = int(vault.watermark(self._database.read, self.name) or await self._begin())
        rows = resources.changes(self._database.read, mark, [str(t) for t in self.with_["types"] or ()], PAGE)
        wanted = [row for row in rows if not row.deleted and self._wanted(row.body)]
        await asyncio.gather(
            *(self._accept(self.name, row.body, {"version": row.version, "method": row.method}) for row in wanted)
        )
        if rows:
            await self._database.write(lambda tx: vault.set_watermark(tx, self.name, str(rows[-1].updated)))
        return len(rows)

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
