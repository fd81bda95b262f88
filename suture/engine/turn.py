"""Which process runs the flows: one of all that serve a database; another one takes over when it ends.

The turn is a lock of the database that ends with its session. Who lost it ends: runs and deliveries know their owner, so
nothing it still tries is kept. https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from suture.errors import SutureError
from suture.store.database import Database

log = logging.getLogger("suture.engine")
LOOK = 1.0  # seconds between two looks


class Part(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Turn:
    """Starts its parts when the turn is this process's; `never`: it leaves them to others for good."""

    def __init__(
        self,
        database: Database,
        parts: Sequence[Part],
        lost: Callable[[], None],
        rest: Callable[[], None],
        *,
        never: bool = False,
    ) -> None:
        self._database = database
        self._parts = parts
        self._lost = lost
        self._rest = rest  # called when another process has the turn
        self._never = never
        self._started: list[Part] = []
        self._task: asyncio.Task[None] | None = None
        self.ours = False

    async def start(self) -> None:
        if not self._never and self._database.place.turn():
            await self._begin()
        else:
            self._rest()
        if self._never:
            return
        self._task = asyncio.get_running_loop().create_task(self._look())

    async def _begin(self) -> None:
        self.ours = True
        try:
            for part in self._parts:
                await part.start()
                self._started.append(part)
        except BaseException:
            await self._end()
            raise

    async def _look(self) -> None:
        """Waits for the turn, then keeps an eye on it."""
        while not self.ours:
            await asyncio.sleep(LOOK)
            if await asyncio.to_thread(self._turn):
                log.warning("this process runs the flows from now on")
                await self._begin_late()
        while True:
            await asyncio.sleep(LOOK)
            if not await asyncio.to_thread(self._turn):
                log.error("the turn to run the flows was lost, so this process ends")
                self._lost()
                return

    def _turn(self) -> bool:
        try:
            return self._database.place.turn()
        except SutureError:  # the server can't be reached: nobody has the turn
            return False

    async def _begin_late(self) -> None:
        try:
            await self._begin()
        except Exception as error:
            log.error("the flows could not be begun, so this process ends: %s", error)
            self._lost()

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
        await self._end()

    async def _end(self) -> None:
        while self._started:
            await self._started.pop().stop()
