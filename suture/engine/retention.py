"""Lets messages go that are older than their flows keep them; what is still open stays however old it is (docs/flows.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from suture.clock import Clock
from suture.engine.walk import Version
from suture.store import retention
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.retention import Purged


class Retention:
    """Looks at every source now and then; of flows that share a source the longest keeping counts."""

    def __init__(
        self, database: Database, sources: Mapping[str, Sequence[Version]], every: float, clock: Clock
    ) -> None:
        self._database = database
        self._keeps = {source: longest(flows) for source, flows in sources.items()}
        self._every = every
        self._clock = clock

    async def run(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(self._every)

    async def sweep(self) -> int:
        """Deletes what is due, in small commits; how many messages went."""
        gone = 0
        for source, keep in self._keeps.items():
            if keep is not None:
                gone += await self._purge(source, self._clock.micros() - int(keep * 1_000_000))
        return gone

    async def _purge(self, source: str, before: int) -> int:
        gone, after = 0, 0
        while True:
            found = await self._database.write(_unit(source, before, after))
            gone, after = gone + found.messages, found.after
            if not after:
                return gone


def _unit(source: str, before: int, after: int) -> Callable[[Tx], Purged]:
    return lambda tx: retention.purge(tx, before, source=source, after=after)


def longest(flows: Sequence[Version]) -> float | None:
    """Seconds that messages of these flows are kept; None when one of them keeps them for ever."""
    keeps = [version.flow.keep for version in flows]
    return None if None in keeps or not keeps else max(keep for keep in keeps if keep is not None)
